"""Every command that the subject knows is described as the oracle describes it, under RESP2 and RESP3.

The summary is each server's own sentence; everything else (arity, flags, categories, tips, key specifications, the
argument tree, history, complexity) must be equal. Sets may come in any order; subcommands that the subject lacks
are not counted against it, those it has beyond the oracle are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import pytest

from .endpoints import start
from .wire import Connection, Reply

Pair: TypeAlias = tuple[Connection, Connection]
SUBCOMMANDS = 9
"""Where COMMAND INFO nests them."""


@pytest.fixture(scope="module", params=[2, 3], ids=["RESP2", "RESP3"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A connection to the subject and one to the oracle."""
    servers = [start("mini_redis"), start("redis-8.2")]
    subject, oracle = (server.connect() for server in servers)
    try:
        for connection in (subject, oracle):
            connection.call(b"HELLO", b"%d" % request.param)
        yield subject, oracle
    finally:
        for connection in (subject, oracle):
            connection.close()
        for server in servers:
            server.stop()


def test_command_info(pair: Pair) -> None:
    for name in names(pair[0]):
        ours, theirs = (info(connection.call(b"COMMAND", b"INFO", name)) for connection in pair)
        assert ours == theirs, name


def test_command_docs(pair: Pair) -> None:
    for name in names(pair[0]):
        ours, theirs = (docs(connection.call(b"COMMAND", b"DOCS", name)) for connection in pair)
        assert ours == theirs, name


def test_subcommands_exist_in_the_oracle_and_are_described_alike_inside_their_container(pair: Pair) -> None:
    known = set(names(pair[1]))
    for name in names(pair[0]):
        assert name in known
        [whole] = pair[0].call(b"COMMAND", b"INFO", name).children
        for nested in whole.children[SUBCOMMANDS].children:
            [alone] = pair[0].call(b"COMMAND", b"INFO", nested.children[0].text).children
            assert nested.raw == alone.raw, name


def names(connection: Connection) -> list[bytes]:
    """Commands and subcommands, by full name."""
    return [child.text for child in connection.call(b"COMMAND", b"LIST").children]


def info(reply: Reply) -> object:
    """The ten facts of one command but for its subcommands; of these, whether there are any."""
    [whole] = reply.children
    *facts, subcommands = whole.children
    return [canonical(fact) for fact in facts], subcommands.kind, bool(subcommands.children)


def docs(reply: Reply) -> object:
    """The documentation of one command but for its summary and its subcommands, in the order in which it was sent."""
    name, facts = reply.children
    fields = list(zip(facts.children[::2], facts.children[1::2], strict=True))
    kept = [(key.text, canonical(value)) for key, value in fields if key.text not in (b"summary", b"subcommands")]
    return name.raw, reply.kind, facts.kind, [key.text for key, _ in fields], kept


def canonical(reply: Reply) -> object:
    """Nested tuples with types; a RESP3 set in any order."""
    if not isinstance(reply.value, tuple):
        return reply.kind, reply.value
    children = [canonical(child) for child in reply.children]
    return reply.kind, tuple(sorted(children, key=repr) if reply.kind == "~" else children)
