"""The string commands: replies, what the log sees, events and the count of changes, as observed at Redis 8.2.3.

Replies in all their variety are compared with the server itself by the streams of conformance/streams/string; here is
what a client does not see, and what has to hold in time.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import Consequences, Observer, words

from mini_redis.drivers.in_process import InProcess, InProcessClient

NOW = 1_700_000_000_000
OK = b"+OK\r\n"
NULL = b"$-1\r\n"
ZERO, ONE = b":0\r\n", b":1\r\n"
NEW, OVERWRITTEN, SET, EXPIRE = b"0:new k", b"0:overwritten k", b"0:set k", b"0:expire k"
MISS, DELETED, EXPIRED, INCRBY = b"0:keymiss k", b"0:del k", b"0:expired k", b"0:incrby k"


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def at(ms: int) -> bytes:
    """A date in the log."""
    return b"%d" % (NOW + ms)


@pytest.fixture
def seen() -> Observer:
    observer = Observer()
    observer.stand_still()
    return observer


@pytest.fixture
def client() -> InProcessClient:
    return InProcess().connect()


# --- What one command brings about ------------------------------------------------------------------------------------

WITHOUT_KEY = {
    b"SET k v": Consequences(OK, [b"SET k v"], [NEW, SET], 1),
    b"SET k v NX": Consequences(OK, [b"SET k v NX"], [NEW, SET], 1),
    b"SET k v XX": Consequences(NULL),
    b"SET k v KEEPTTL": Consequences(OK, [b"SET k v KEEPTTL"], [NEW, SET], 1),
    b"SET k v EX 100": Consequences(OK, [b"SET k v PXAT " + at(100_000)], [NEW, SET, EXPIRE], 1),
    b"set k v px 100 nx": Consequences(OK, [b"SET k v PXAT " + at(100)], [NEW, SET, EXPIRE], 1),
    b"SET k v EXAT 9999999999": Consequences(OK, [b"SET k v PXAT 9999999999000"], [NEW, SET, EXPIRE], 1),
    b"SET k v NX PXAT 9999999999999": Consequences(OK, [b"SET k v NX PXAT 9999999999999"], [NEW, SET, EXPIRE], 1),
    b"SET k v EXAT 1": Consequences(OK, [b"SET k v PXAT 1000"], [NEW, SET, EXPIRE], 1),
    b"SET k v GET": Consequences(NULL, [b"SET k v"], [MISS, NEW, SET], 1),
    b"set k v nx get": Consequences(NULL, [b"set k v nx"], [MISS, NEW, SET], 1),
    b"SET k v XX GET": Consequences(NULL, [], [MISS]),
    b"SET k v EX 10 NX GET": Consequences(NULL, [b"SET k v PXAT " + at(10_000)], [MISS, NEW, SET, EXPIRE], 1),
    b"SETNX k v": Consequences(ONE, [b"SETNX k v"], [NEW, SET], 1),
    b"SETEX k 10 v": Consequences(OK, [b"SET k v PXAT " + at(10_000)], [NEW, SET, EXPIRE], 1),
    b"PSETEX k 10 v": Consequences(OK, [b"SET k v PXAT " + at(10)], [NEW, SET, EXPIRE], 1),
    b"GETSET k v": Consequences(NULL, [b"SET k v"], [MISS, NEW, SET], 1),
    b"GET k": Consequences(NULL, [], [MISS]),
    b"GETDEL k": Consequences(NULL, [], [MISS]),
    b"GETEX k EX 10": Consequences(NULL, [], [MISS]),
    b"STRLEN k": Consequences(ZERO, [], [MISS]),
    b"GETRANGE k 0 -1": Consequences(bulk(b""), [], [MISS]),
    b"MGET k k": Consequences(b"*2\r\n" + NULL * 2, [], [MISS, MISS]),
    b"LCS k k": Consequences(bulk(b""), [], [MISS, MISS]),
    b"MSET k a k b": Consequences(OK, [b"MSET k a k b"], [NEW, SET, OVERWRITTEN, SET], 2),
    b"MSETNX k a k b": Consequences(ONE, [b"MSETNX k a k b"], [NEW, SET, OVERWRITTEN, SET], 2),
    b"APPEND k v": Consequences(ONE, [b"APPEND k v"], [NEW, b"0:append k"], 1),
    b'APPEND k ""': Consequences(ZERO, [b"APPEND k "], [NEW, b"0:append k"], 1),
    b"SETRANGE k 1 v": Consequences(b":2\r\n", [b"SETRANGE k 1 v"], [NEW, b"0:setrange k"], 1),
    b'SETRANGE k 1 ""': Consequences(ZERO),
    b"INCR k": Consequences(ONE, [b"INCR k"], [NEW, INCRBY], 1),
    b"DECRBY k 5": Consequences(b":-5\r\n", [b"DECRBY k 5"], [NEW, INCRBY], 1),
    b"INCRBYFLOAT k 1.50": Consequences(bulk(b"1.5"), [b"SET k 1.5 KEEPTTL"], [NEW, b"0:incrbyfloat k"], 1),
}

WITH_TEN = {  # after SET k 10 EX 1000
    b"SET k v": Consequences(OK, [b"SET k v"], [OVERWRITTEN, SET], 1),
    b"SET k v NX": Consequences(NULL),
    b"SET k v XX": Consequences(OK, [b"SET k v XX"], [OVERWRITTEN, SET], 1),
    b"SET k v NX GET": Consequences(bulk(b"10")),
    b"SET k v GET XX get": Consequences(bulk(b"10"), [b"SET k v XX"], [OVERWRITTEN, SET], 1),
    b"SET k v XX PXAT 1 GET": Consequences(bulk(b"10"), [b"SET k v XX PXAT 1 GET"], [OVERWRITTEN, SET, EXPIRE], 1),
    b"SET k v KEEPTTL GET": Consequences(bulk(b"10"), [b"SET k v KEEPTTL"], [OVERWRITTEN, SET], 1),
    b"SETNX k v": Consequences(ZERO),
    b"GETSET k v": Consequences(bulk(b"10"), [b"SET k v"], [OVERWRITTEN, SET], 1),
    b"GET k": Consequences(bulk(b"10")),
    b"GETDEL k": Consequences(bulk(b"10"), [b"DEL k"], [DELETED], 1),
    b"GETEX k": Consequences(bulk(b"10")),
    b"GETEX k EX 10": Consequences(bulk(b"10"), [b"PEXPIREAT k " + at(10_000)], [EXPIRE], 1),
    b"GETEX k PXAT 9999999999999": Consequences(bulk(b"10"), [b"PEXPIREAT k 9999999999999"], [EXPIRE], 1),
    b"GETEX k EXAT 1": Consequences(bulk(b"10"), [b"DEL k"], [DELETED], 1),
    b"GETEX k PERSIST": Consequences(bulk(b"10"), [b"PERSIST k"], [b"0:persist k"], 1),
    b"MSET k v l w": Consequences(OK, [b"MSET k v l w"], [OVERWRITTEN, SET, b"0:new l", b"0:set l"], 2),
    b"MSETNX l v k w": Consequences(ZERO),
    b"MGET k l": Consequences(b"*2\r\n" + bulk(b"10") + NULL, [], [b"0:keymiss l"]),
    b'APPEND k ""': Consequences(b":2\r\n", [b"APPEND k "], [b"0:append k"], 1),
    b"SETRANGE k 0 2": Consequences(b":2\r\n", [b"SETRANGE k 0 2"], [b"0:setrange k"], 1),
    b'SETRANGE k 0 ""': Consequences(b":2\r\n"),
    b"INCR k": Consequences(b":11\r\n", [b"INCR k"], [INCRBY], 1),
    b"INCRBY k 0": Consequences(b":10\r\n", [b"INCRBY k 0"], [INCRBY], 1),
    b"INCRBYFLOAT k 0": Consequences(bulk(b"10"), [b"SET k 10 KEEPTTL"], [b"0:incrbyfloat k"], 1),
}

AFTER_EXPIRY = {  # SET k 5 PX 10, and nobody has looked since
    b"SET k v": Consequences(OK, [b"MULTI", b"DEL k", b"SET k v", b"EXEC"], [EXPIRED, NEW, SET], 1),
    b"SET k v XX": Consequences(NULL, [b"DEL k"], [EXPIRED]),
    b"SET k v GET": Consequences(NULL, [b"MULTI", b"DEL k", b"SET k v", b"EXEC"], [EXPIRED, MISS, NEW, SET], 1),
    b"SET k v KEEPTTL": Consequences(OK, [b"MULTI", b"DEL k", b"SET k v KEEPTTL", b"EXEC"], [EXPIRED, NEW, SET], 1),
    b"SETNX k v": Consequences(ONE, [b"MULTI", b"DEL k", b"SETNX k v", b"EXEC"], [EXPIRED, NEW, SET], 1),
    b"MSET k v": Consequences(OK, [b"MULTI", b"DEL k", b"MSET k v", b"EXEC"], [EXPIRED, NEW, SET], 1),
    b"MSETNX k v": Consequences(ONE, [b"MULTI", b"DEL k", b"MSETNX k v", b"EXEC"], [EXPIRED, NEW, SET], 1),
    b"GETDEL k": Consequences(NULL, [b"DEL k"], [EXPIRED, MISS]),
    b"INCR k": Consequences(ONE, [b"MULTI", b"DEL k", b"INCR k", b"EXEC"], [EXPIRED, NEW, INCRBY], 1),
    b"APPEND k v": Consequences(ONE, [b"MULTI", b"DEL k", b"APPEND k v", b"EXEC"], [EXPIRED, NEW, b"0:append k"], 1),
}


@pytest.mark.parametrize("line", WITHOUT_KEY)
def test_without_key(seen: Observer, line: bytes) -> None:
    assert seen(line) == WITHOUT_KEY[line]


@pytest.mark.parametrize("line", WITH_TEN)
def test_with_a_number_that_will_expire(seen: Observer, line: bytes) -> None:
    seen(b"SET k 10 EX 1000")
    assert seen(line) == WITH_TEN[line]


@pytest.mark.parametrize("line", AFTER_EXPIRY)
def test_an_expired_key_goes_before_anything_comes(seen: Observer, line: bytes) -> None:
    seen(b"SET k 5 PX 10")
    seen.advance(0.011)
    assert seen(line) == AFTER_EXPIRY[line]


@pytest.mark.parametrize(
    "line",
    [
        b"SET k v EX 0", b"SET k v NX XX", b"SET k v EX", b"SET k v FOO", b"SETEX k 0 v", b"PSETEX k x v", b"MSET k",
        b"MSET k v k", b"MSETNX k v k", b"INCRBY k x", b"INCRBYFLOAT k x", b"DECRBY k -9223372036854775808",
        b"SETRANGE k -1 v", b"SETRANGE k 536870912 v", b"GETEX k GET", b"GETEX k EX 0", b"GETRANGE k a 1",
        b"LCS k k LEN IDX", b"LCS k k FOO", b"INCRBY k 9223372036854775807", b"INCRBYFLOAT k inf",
    ],
)  # fmt: skip
def test_a_mistake_changes_nothing(seen: Observer, line: bytes) -> None:
    seen(b"SET k 1")
    found = seen(line)
    assert found == Consequences(found.reply)
    assert found.reply.startswith(b"-ERR ")
    assert seen.talk(b"GET k") == bulk(b"1")


def test_getex_of_the_past_says_unlink_if_expiry_is_lazy(seen: Observer) -> None:
    for node in seen.nodes:
        node.server.config.lazyfree_lazy_expire = True
    seen(b"SET k v")
    assert seen(b"GETEX k PXAT 1").log == [b"UNLINK k"]
    seen(b"SET k v")
    assert seen(b"GETDEL k").log == [b"DEL k"]


# --- In time ---------------------------------------------------------------------------------------------------------


def test_a_ttl_is_kept_by_what_changes_a_value_and_dropped_by_what_replaces_it(seen: Observer) -> None:
    for line, kept in [
        (b"APPEND k 1", True), (b"SETRANGE k 0 5", True), (b"INCR k", True), (b"INCRBYFLOAT k 1", True),
        (b"SET k 1 KEEPTTL", True), (b"GETEX k", True), (b"SET k 1", False), (b"GETSET k 1", False),
        (b"MSET k 1", False), (b"GETEX k PERSIST", False),
    ]:  # fmt: skip
        seen(b"SET k 10 EX 100")
        seen(line)
        assert seen.talk(b"TTL k") == (b":100\r\n" if kept else b":-1\r\n"), line


def test_a_key_lives_through_its_last_millisecond(seen: Observer) -> None:
    seen(b"PSETEX k 50 v")
    seen.advance(0.050)
    assert seen.talk(b"GET k") == bulk(b"v")
    seen.advance(0.001)
    assert seen.talk(b"GET k") == NULL


# --- Values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read", [b"GET k", b"MGET k", b"GETSET k x", b"GETEX k", b"SET k x NX GET", b"GETRANGE k 0 -1"]
)
def test_a_reply_inside_of_a_transaction_does_not_change_any_more(client: InProcessClient, read: bytes) -> None:
    client.command("APPEND", "k", "a")
    client.command("APPEND", "k", "b")
    client.command("MULTI")
    client.command(*words(read))
    client.command("APPEND", "k", "c")
    assert bulk(b"ab") in client.command("EXEC")


def test_a_value_is_any_bytes(client: InProcessClient) -> None:
    value = bytes(range(256)) * 3
    assert client.command("SET", value, value) == OK
    assert client.command("GET", value) == bulk(value)
    assert client.command("APPEND", value, value) == b":1536\r\n"
    assert client.command("GETRANGE", value, 766, 769) == bulk(b"\xfe\xff\0\1")


def test_the_longest_string_is_the_longest_that_could_be_sent() -> None:
    node = InProcess()
    node.server.config.proto_max_bulk_len = 1000
    client = node.connect()
    too_long = b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
    assert client.command("SETRANGE", "k", 999, "x") == b":1000\r\n"
    assert client.command("SETRANGE", "k", 1000, "x") == too_long
    assert client.command("APPEND", "k", "x") == too_long
    assert client.command("SETRANGE", "k", 1000, "") == b":1000\r\n"
    assert client.command("SETRANGE", "new", 2**63 - 1, "x") == too_long
    assert client.command("LCS", "k", "none", "LEN") == (
        b"-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n"
    )


INTEGER = re.compile(rb"0|-?[1-9][0-9]*").fullmatch
KEYS = st.sampled_from([b"a", b"b"])
WORDS = st.sampled_from([b"", b"0", b"7", b"-12", b"9223372036854775807", b"x", b"\0\r\n", b"12345678901234567890"])
STEPS = st.one_of(
    st.tuples(st.just(b"SET"), KEYS, WORDS),
    st.tuples(st.just(b"APPEND"), KEYS, WORDS),
    st.tuples(st.just(b"SETRANGE"), KEYS, st.integers(0, 12).map(b"%d".__mod__), WORDS),
    st.tuples(st.sampled_from([b"INCRBY", b"DECRBY"]), KEYS, st.integers(-(2**63), 2**63 - 1).map(b"%d".__mod__)),
    st.tuples(st.just(b"GETRANGE"), KEYS, *[st.integers(-15, 15).map(b"%d".__mod__)] * 2),
    st.tuples(st.sampled_from([b"GET", b"STRLEN", b"GETDEL", b"INCR"]), KEYS),
    st.tuples(st.just(b"MSETNX"), KEYS, WORDS, KEYS, WORDS),
)


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=30))
def test_strings_are_a_dict_of_bytes(steps: list[tuple[bytes, ...]]) -> None:
    """The model: plain bytes in a plain dict."""
    client = InProcess().connect()
    model: dict[bytes, bytes] = {}
    for argv in steps:
        assert client.command(*argv) == expected(model, *argv), argv


def expected(model: dict[bytes, bytes], name: bytes, key: bytes, *rest: bytes) -> bytes:
    value = model.get(key)
    match name, *rest:
        case b"SET", new:
            model[key] = new
            return OK
        case b"APPEND", tail:
            model[key] = (value or b"") + tail
            return b":%d\r\n" % len(model[key])
        case b"SETRANGE", offset, part:
            if part:
                start = int(offset)
                padded = (value or b"").ljust(start, b"\0")
                model[key] = padded[:start] + part + padded[start + len(part) :]
            return b":%d\r\n" % len(model.get(key, b""))
        case (b"GET" | b"GETDEL",):
            if name == b"GETDEL":
                model.pop(key, None)
            return NULL if value is None else bulk(value)
        case (b"STRLEN",):
            return b":%d\r\n" % len(value or b"")
        case b"GETRANGE", first, last:
            text, start, end = value or b"", int(first), int(last)
            positions = range(len(text))
            if start < 0 and end < 0 and start > end:
                return bulk(b"")
            low = max(0, start + len(text) * (start < 0))
            high = max(0, end + len(text) * (end < 0))
            return bulk(bytes(text[position] for position in positions if low <= position <= high))
        case b"MSETNX", new, other, another:
            if value is not None or other in model:
                return ZERO
            model[key] = new
            model[other] = another
            return ONE
        case _:
            difference = int(rest[0]) if rest else 1
            if name == b"DECRBY" and difference == -(2**63):
                return b"-ERR decrement would overflow\r\n"
            if value is not None and not (INTEGER(value) and -(2**63) <= int(value) < 2**63):
                return b"-ERR value is not an integer or out of range\r\n"
            total = int(value or b"0") + (-difference if name == b"DECRBY" else difference)
            if not -(2**63) <= total < 2**63:
                return b"-ERR increment or decrement would overflow\r\n"
            model[key] = b"%d" % total
            return b":%d\r\n" % total
