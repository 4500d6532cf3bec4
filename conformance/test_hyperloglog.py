"""HyperLogLogs keep the oracle's bytes through random histories: tens of thousands of elements, unions, and damage.

Every command goes to both servers, and after each the whole value is read from both. Damage is a byte or two written
anywhere, an end cut off, a byte appended. A failure prints the last commands; the seeds are fixed.
"""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from .endpoints import Endpoint
from .wire import quote_command

KEYS = [b"a", b"b", b"c", b"d", b"e"]
HEADER_SIZE = 16


class Both:
    """The oracle and the subject, asked the same."""

    def __init__(self, oracle: Endpoint, subject: Endpoint) -> None:
        self.connections = [oracle.connect(), subject.connect()]
        self.history: deque[str] = deque(maxlen=15)

    def call(self, *argv: bytes | int) -> bytes:
        """The text of the reply that both gave."""
        words = [word if isinstance(word, bytes) else b"%d" % word for word in argv]
        self.history.append(quote_command(words)[:200])
        theirs, ours = (connection.call(*words) for connection in self.connections)
        assert ours.raw == theirs.raw, "\n".join(self.history)
        return theirs.text

    def close(self) -> None:
        for connection in self.connections:
            connection.call(b"FLUSHALL")
            connection.call(b"CONFIG", b"SET", b"hll-sparse-max-bytes", b"3000")
            connection.close()


def elements(rng: Random) -> list[bytes]:
    return [rng.randbytes(rng.choice((1, 3, 8, 9, 20))) for _ in range(rng.choice((0, 1, 3, 10, 100)))]


def step(both: Both, rng: Random) -> None:
    """One command of a history."""
    key = rng.choice(KEYS)
    match rng.choices(range(8), weights=(75, 8, 4, 6, 3, 1, 1, 1))[0]:
        case 0:
            both.call(b"PFADD", key, *elements(rng))
        case 1:
            both.call(b"PFCOUNT", key)
        case 2:
            both.call(b"PFCOUNT", *rng.choices(KEYS, k=rng.choice((2, 3, 5))))
        case 3:
            both.call(b"PFMERGE", *rng.choices(KEYS, k=rng.choice((1, 2, 3, 5))))
        case 4:
            both.call(b"DEL", key)
        case 5:
            both.call(b"PFDEBUG", b"TODENSE", key)
        case 6:
            both.call(b"PFDEBUG", b"DECODE", key)
        case _:
            most = rng.choice((3000, 3000, 3000, 1000, 200, 0, 16384))
            both.call(b"CONFIG", b"SET", b"hll-sparse-max-bytes", most)


def damage(both: Both, rng: Random) -> None:
    """Write into a value what no command of ours would."""
    key = rng.choice(KEYS)
    size = int(both.call(b"STRLEN", key))
    if not size:
        return
    match rng.randrange(5):
        case 0 | 1 | 2:
            offset = rng.choice((rng.randrange(size + 2), rng.randrange(20), size - 1, max(0, size - 2)))
            both.call(b"SETRANGE", key, offset, rng.randbytes(rng.choice((1, 1, 2))))
        case 3:
            keep = rng.choice((rng.randrange(size), size - 1, max(0, size - 2)))
            both.call(b"SET", key, both.call(b"GET", key)[:keep])
        case _:
            both.call(b"APPEND", key, rng.randbytes(1))


def ends_within_an_opcode(value: bytes) -> bool:
    """Whether the second byte of a sparse value's last run is missing.

    Redis then reads the zero byte that ends every C string, and, where it replaces that run, writes over it: from then
    on there is a byte that no command shows. We have no such byte.
    """
    at = HEADER_SIZE
    if value[:5] != b"HYLL\x01":
        return False
    while at < len(value):
        at += 2 if 0x40 <= value[at] < 0x80 else 1
    return at > len(value)


@pytest.mark.parametrize("seed", range(1, 4))
def test_histories(oracle: Endpoint, subject: Endpoint, seed: int) -> None:
    rng = Random(seed)
    both = Both(oracle, subject)
    both.call(b"FLUSHALL")
    for _ in range(500):
        step(both, rng)
        both.call(b"GET", rng.choice(KEYS))
    for key in KEYS:
        both.call(b"GET", key)
    both.close()


@pytest.mark.parametrize("seed", range(11, 15))
def test_histories_with_damage(oracle: Endpoint, subject: Endpoint, seed: int) -> None:
    rng = Random(seed)
    both = Both(oracle, subject)
    both.call(b"FLUSHALL")
    for _ in range(500):
        step(both, rng)
        if rng.random() < 0.15:
            damage(both, rng)
        for key in KEYS:
            if ends_within_an_opcode(both.call(b"GET", key)):
                both.call(b"DEL", key)
    both.close()


def test_estimates_to_the_last_digit(oracle: Endpoint, subject: Endpoint) -> None:
    """From one element to 200,000, counted on the way."""
    both = Both(oracle, subject)
    both.call(b"FLUSHALL")
    rng = Random(5)
    added, batch = 0, 1
    while added < 200_000:
        both.call(b"PFADD", b"h", *(rng.randbytes(8) for _ in range(batch)))
        both.call(b"PFCOUNT", b"h")
        both.call(b"PFCOUNT", b"h", b"none")
        added += batch
        batch = max(1, added // 8)
    both.call(b"GET", b"h")
    both.close()
