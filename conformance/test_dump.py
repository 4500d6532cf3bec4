"""Values travel between real servers and ours, in both directions and from every version at hand.

What generated commands have left on one server is dumped there and restored on another; then the value's digest, its
encoding and its time to live must be the same, and dumped again it must be what came (in the same order, where there is
one). Ours reads what old versions wrote; Redis 8.2 reads what ours writes. (Valkey 9 calls its format version 80, which
Redis refuses, and so do we.)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import started
from .endpoints import Endpoint
from .generate import Generator
from .grammar import Command, read_grammar
from .hints import choose_commands
from .normalise import canonical_dump
from .runner import reset
from .state import all_keys
from .wire import Connection

STREAMS = 12
LARGE = 100_000  # bytes of a string, which SETRANGE may have made
GROUPS = ["string", "list", "hash", "set", "sorted-set", "stream", "hyperloglog", "geo", "bitmap"]


@pytest.fixture(scope="module", params=("redis-8.2", "redis-7.0", "redis-6.2"))
def source(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """Where values come from."""
    yield from started(request.param)


@pytest.fixture(scope="module")
def grammar(oracle: Endpoint) -> dict[str, Command]:
    return read_grammar(oracle)


def filled(endpoint: Endpoint, grammar: dict[str, Command], number: int) -> Connection:
    """A connection to the server, which holds what generated stream `number` leaves in database 0."""
    reset(endpoint.control(), endpoint)
    connection = endpoint.connect()
    generator = Generator(choose_commands(grammar, GROUPS, frozenset()), f"dump:{endpoint.name}")
    stream, _ = generator.stream(number)
    for step in stream.steps:
        if step.argv and step.argv[0].upper() not in STEERING:
            connection.call(*step.argv)
    return connection


# What waits, queues, or turns the connection into something else.
STEERING = frozenset(
    (b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"SELECT", b"HELLO", b"CONFIG", b"CLIENT", b"PSUBSCRIBE", b"XREAD")
    + (b"XREADGROUP", b"BLPOP", b"BRPOP", b"BLMOVE", b"BLMPOP", b"BRPOPLPUSH", b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP")
)


def travel(source: Connection, target: Connection, ordered: bool) -> int:
    """Send every value; how many there were."""
    keys = all_keys(source)
    for key in keys:
        kind = source.call(b"TYPE", key).text
        if kind == b"string" and int(source.call(b"STRLEN", key).text) > LARGE:
            continue
        dump = source.call(b"DUMP", key)
        if not dump.text:
            continue  # its time was over
        answer = target.call(b"RESTORE", key, b"0", dump.text, b"REPLACE")
        assert answer.text == b"OK", (key, dump.text, answer.raw)
        digests = [connection.call(b"DEBUG", b"DIGEST-VALUE", key).children[0].text for connection in (source, target)]
        has_ttl = source.call(b"PTTL", key).text != b"-1"
        assert has_ttl or digests[0] == digests[1], (key, dump.text)
        if ordered:
            again = target.call(b"DUMP", key)
            assert canonical_dump(again) == canonical_dump(dump), key
            kinds = [connection.call(b"OBJECT", b"ENCODING", key).text for connection in (source, target)]
            assert kinds[0] == kinds[1] or kind == b"string", key  # which is tried anew: is it a number?
    return len(keys)


def test_what_real_servers_dump_is_restored_by_ours(
    source: Endpoint, subject: Endpoint, grammar: dict[str, Command]
) -> None:
    reset(subject.control(), subject)
    target = subject.connect()
    sent = 0
    for number in range(STREAMS):
        connection = filled(source, grammar, number)
        sent += travel(connection, target, ordered=source.name == "redis-8.2")
        connection.close()
    target.close()
    assert sent > 100


def test_what_ours_dumps_is_restored_by_redis(
    oracle: Endpoint, subject: Endpoint, grammar: dict[str, Command]
) -> None:
    reset(oracle.control(), oracle)
    target = oracle.connect()
    sent = 0
    for number in range(STREAMS):
        connection = filled(subject, grammar, number)
        sent += travel(connection, target, ordered=True)
        connection.close()
    target.close()
    assert sent > 100
