"""Globs, doubles, long doubles and subsequences agree with the oracle on thousands of random values.

What spec/ proves against definitions is compared here with the server itself, through the commands that show it: KEYS
and COMMAND LIST FILTERBY, ZADD and ZSCORE, INCRBYFLOAT, LCS. A failure prints what differs; the seeds are fixed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from random import Random

import pytest

from mini_redis.structures.glob import glob_match
from mini_redis.structures.lcs import lcs_length, lcs_matches
from mini_redis.structures.long_double import parse_long_double
from mini_redis.structures.numbers import format_double, parse_double

from .endpoints import Endpoint
from .wire import Connection, Reply, encode_command

AT_ONCE = 500


@pytest.fixture
def connection(oracle: Endpoint) -> Iterator[Connection]:
    connection = oracle.connect()
    connection.call(b"FLUSHALL")
    yield connection
    connection.call(b"FLUSHALL")
    connection.close()


def ask(connection: Connection, requests: Sequence[Sequence[bytes]]) -> list[Reply]:
    """Send all, in pipelines, and return the replies."""
    replies: list[Reply] = []
    for start in range(0, len(requests), AT_ONCE):
        batch = requests[start : start + AT_ONCE]
        connection.send(b"".join(encode_command(list(argv)) for argv in batch))
        replies += [connection.read_reply() for _ in batch]
    return replies


def made_of(rng: Random, pieces: Sequence[bytes], most: int) -> bytes:
    return b"".join(rng.choices(pieces, k=rng.randrange(most + 1)))


# --- Globs -----------------------------------------------------------------------------------------------------------

GLOB_PIECES = (
    *([b"a"] * 4), *([b"b"] * 3), *([b"*"] * 4), *([b"?"] * 2), *([b"["] * 5), *([b"]"] * 4), *([b"^"] * 2),
    *([b"-"] * 3), *([b"\\"] * 2), b"\0", b"\n", b"\x80", b"\xff", b"A", b"Z", b"z",
)  # fmt: skip


def test_globs_on_keys(connection: Connection) -> None:
    rng = Random(1)
    keys = sorted({made_of(rng, GLOB_PIECES, 6) for _ in range(300)})
    connection.call(b"MSET", *(word for key in keys for word in (key, b"")))
    patterns = [pattern for pattern in (made_of(rng, GLOB_PIECES, 8) for _ in range(3000)) if pattern != b"*"]

    replies = ask(connection, [(b"KEYS", pattern) for pattern in patterns])

    different = [
        (pattern, theirs, ours)
        for pattern, reply in zip(patterns, replies, strict=True)
        if (theirs := sorted(child.text for child in reply.children))
        != (ours := [key for key in keys if glob_match(pattern, key)])
    ]
    assert different == []


def test_globs_that_ignore_case_on_names_of_commands(connection: Connection) -> None:
    rng = Random(2)
    names = sorted(child.text for child in connection.call(b"COMMAND", b"LIST").children)
    odd = rb"[a-Z] [A-z] [Z-a] [^a-g] \S [\S] [Sg] * ? [_-z]".split() + [b"[^\x80-\xff]", b"[\x80-a]"]
    patterns = []
    for _ in range(2000):
        letters = [bytes((byte,)) for byte in rng.choice(names)[:8]]
        changed = [rng.choice((letter, letter, letter.upper(), rng.choice(odd))) for letter in letters]
        patterns.append(b"".join(changed) + rng.choice((b"", b"*")))

    replies = ask(connection, [(b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", pattern) for pattern in patterns])

    matches = [[name for name in names if glob_match(pattern, name, nocase=True)] for pattern in patterns]
    different = [
        (pattern, theirs, ours)
        for pattern, reply, ours in zip(patterns, replies, matches, strict=True)
        if (theirs := sorted(child.text for child in reply.children)) != ours
    ]
    assert different == []
    assert sum(map(bool, matches)) > 500


# --- Doubles ---------------------------------------------------------------------------------------------------------


def digits(rng: Random, most: int) -> str:
    return "".join(rng.choices("0123456789", k=rng.randrange(1, most + 1)))


DOUBLES: tuple[Callable[[Random], float], ...] = (
    lambda rng: float(struct.unpack("<d", rng.randbytes(8))[0]),
    lambda rng: float(struct.unpack("<d", struct.pack("<Q", rng.getrandbits(52) >> rng.randrange(52)))[0]),  # subnormal
    lambda rng: 2.0 ** rng.randrange(-1074, 1024),
    lambda rng: round(rng.uniform(-1000, 1000), rng.randrange(1, 5)),
    lambda rng: rng.uniform(-1, 1) * 10.0 ** rng.randrange(-12, 25),
    lambda rng: float(f"{rng.randrange(10)}.{digits(rng, 3)}e{rng.randrange(-30, 30)}"),
    lambda rng: float(rng.choice((1, -1)) * rng.getrandbits(64)),
)


def test_doubles_are_written_alike(connection: Connection) -> None:
    rng = Random(3)
    numbers = [number for _ in range(6000) if isfinite(number := rng.choice(DOUBLES)(rng)) and number]

    replies = ask(
        connection,
        [call for n in numbers for call in ((b"ZADD", b"z", repr(n).encode(), b"m"), (b"ZSCORE", b"z", b"m"))],
    )

    written = [reply.text for reply in replies[1::2]]
    assert [
        (number, text) for number, text in zip(numbers, written, strict=True) if format_double(number) != text
    ] == []


NUMBER_TEXTS: tuple[Callable[[Random], str], ...] = (
    lambda rng: "".join(rng.choices("00112359.eE+-xXpPaAfFin tyN_", k=rng.randrange(8))),
    lambda rng: f"{sign(rng)}0x{''.join(rng.choices('0123456789abcDEF.', k=rng.randrange(1, 24)))}{binary_power(rng)}",
    lambda rng: f"{sign(rng)}{digits(rng, 25)}{decimal_power(rng)}",
    lambda rng: f"{sign(rng)}{digits(rng, 18)}.{digits(rng, 22)}{decimal_power(rng)}",
    lambda rng: f"{sign(rng)}{digits(rng, 3)}.{digits(rng, 3)}",
    lambda rng: f"{digits(rng, 400)}.{digits(rng, 400)}",
    lambda rng: (
        sign(rng) + rng.choice(("inf", "INF", "nan", "infinity", "iNfInItY", "infinit")) + rng.choice(("", " ", "x"))
    ),
)


def sign(rng: Random) -> str:
    return rng.choice(("", "+", "-"))


def decimal_power(rng: Random) -> str:
    return rng.choice(
        ("", "", f"e{rng.randrange(-40, 40)}", f"E{rng.randrange(-350, 320)}", f"e{rng.randrange(-5000, 5000)}", "e")
    )


def binary_power(rng: Random) -> str:
    return rng.choice(
        ("", f"p{rng.randrange(-70, 70)}", f"P{rng.randrange(-1100, 1100)}", f"p{rng.randrange(-16500, 16500)}", "p")
    )


def test_doubles_are_read_alike(connection: Connection) -> None:
    rng = Random(4)
    texts = [rng.choice(NUMBER_TEXTS)(rng).encode() for _ in range(6000)]

    replies = ask(
        connection,
        [call for t in texts for call in ((b"DEL", b"z"), (b"ZADD", b"z", t, b"m"), (b"ZSCORE", b"z", b"m"))],
    )

    read = [(parse_double(text), reply.value) for text, reply in zip(texts, replies[2::3], strict=True)]
    assert [
        (text, ours, theirs)
        for text, (ours, theirs) in zip(texts, read, strict=True)
        if theirs != (None if ours is None else format_double(ours + 0.0 if ours else 0.0))
    ] == []
    assert sum(ours is not None for ours, _ in read) > 2000


# --- Long doubles ----------------------------------------------------------------------------------------------------


def incrbyfloat(value: bytes, increment: bytes) -> bytes:
    a, b = parse_long_double(value), parse_long_double(increment)
    if a is None or b is None:
        return b"ERR value is not a valid float"
    return bytes(a + b) if (a + b).is_finite else b"ERR increment would produce NaN or Infinity"


def test_long_doubles_are_read_added_and_written_alike(connection: Connection) -> None:
    rng = Random(5)
    pairs = [(rng.choice(NUMBER_TEXTS)(rng).encode(), rng.choice(NUMBER_TEXTS)(rng).encode()) for _ in range(6000)]

    replies = ask(connection, [call for a, b in pairs for call in ((b"SET", b"k", a), (b"INCRBYFLOAT", b"k", b))])

    sums = [(incrbyfloat(*pair), reply.text) for pair, reply in zip(pairs, replies[1::2], strict=True)]
    assert [(pair, ours, theirs) for pair, (ours, theirs) in zip(pairs, sums, strict=True) if ours != theirs] == []
    assert sum(not ours.startswith(b"ERR") for ours, _ in sums) > 1500


# --- Subsequences ----------------------------------------------------------------------------------------------------


def test_the_same_common_subsequence(connection: Connection) -> None:
    rng = Random(6)
    pairs = []
    for _ in range(1500):
        alphabet = rng.sample(range(256), rng.choice((1, 2, 3, 5, 26)))
        pairs.append(
            (bytes(rng.choices(alphabet, k=rng.randrange(40))), bytes(rng.choices(alphabet, k=rng.randrange(40))))
        )

    replies = ask(
        connection, [call for a, b in pairs for call in ((b"MSET", b"a", a, b"b", b), (b"LCS", b"a", b"b", b"IDX"))]
    )

    for (a, b), reply in zip(pairs, replies[1::2], strict=True):
        _, runs, _, length = reply.children
        theirs = [
            tuple(int(position.text) for ends in run.children for position in ends.children) for run in runs.children
        ]
        assert [tuple(match) for match in lcs_matches(a, b)] == theirs, (a, b)
        assert lcs_length(a, b) == int(length.text), (a, b)
