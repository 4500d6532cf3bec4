"""The state that a stream leaves behind: the same keys, types, values, encodings and times to live?

DUMP tells what a value looks like inside; where both write the same version of it, it must be the same.

Two servers with DEBUG DIGEST compare every value in one reply each (the digest is order-free and covers every type). It
knows neither encodings nor when a key expires, so the keyspace is walked in any case, and where a digest is missing or
differs the values are read too, by type, to name the key that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .dial import Control
from .endpoints import count_keys
from .normalise import CLOCK_DOUBT, canonical_dump
from .outcome import Outcome
from .wire import Connection, Reply

VALUE_READERS: dict[bytes, tuple[tuple[bytes, ...], bool]] = {
    # type: (command with the key as last but its tail, order counts)
    b"string": ((b"GET", b"KEY"), True),
    b"list": ((b"LRANGE", b"KEY", b"0", b"-1"), True),
    b"set": ((b"SMEMBERS", b"KEY"), False),
    b"zset": ((b"ZRANGE", b"KEY", b"0", b"-1", b"WITHSCORES"), True),
    b"hash": ((b"HGETALL", b"KEY"), False),
    b"stream": ((b"XINFO", b"STREAM", b"KEY", b"FULL", b"COUNT", b"0"), True),
}
# A digest covers every database, so it says nothing about one alone.
NO_DIGEST = Reply("-", b"ERR", b"-ERR\r\n")
NO_DUMP = Reply("$", None, b"$-1\r\n")
LONGEST_DUMPED = 100_000
Facts = dict[str, str]
Keyspace = dict[tuple[int, bytes], Facts]


@dataclass
class Snapshot:
    """What one server holds. The values are read when they are first needed: a digest may make that unnecessary."""

    keyspace: Keyspace
    digest: Reply
    fill: Callable[[Keyspace], None]
    lacks: frozenset[str] = frozenset()
    _filled: bool = False

    def with_values(self) -> Keyspace:
        if not self._filled:
            self.fill(self.keyspace)
            self._filled = True
        return self.keyspace


def take(connection: Control, db: int | None = None) -> Snapshot:
    """The state of all databases, or of `db` alone."""
    lacks: set[str] = set()
    keyspace = walk(connection, db, lacks)
    digest = NO_DIGEST if db is not None else connection.call(b"DEBUG", b"DIGEST")
    if digest.is_error and db is None:
        lacks.add("DEBUG DIGEST")

    def fill(keyspace: Keyspace) -> None:
        add_values(connection, keyspace)

    return Snapshot(keyspace, digest, fill, frozenset(lacks))


def compare_state(
    oracle: Snapshot, subject: Snapshot, slack_ms: int
) -> Iterator[tuple[Outcome, Outcome, tuple[bytes, ...], bool]]:
    """Each difference as (oracle, subject, what was looked at, doubtful: times to live less than two seconds apart)."""
    left, right = oracle.keyspace, subject.keyspace
    digests = (oracle.digest, subject.digest)
    comparable = not digests[0].is_error and not digests[1].is_error
    if not comparable or digests[0].raw != digests[1].raw:
        left, right = oracle.with_values(), subject.with_values()
    found = False
    for place in sorted(left.keys() | right.keys()):
        here, there = left.get(place), right.get(place)
        if here is None or there is None or not same_facts(here, there, slack_ms):
            found = True
            shown = [Outcome(detail="(no such key)" if facts is None else show(facts)) for facts in (here, there)]
            doubt = here is not None and there is not None and same_facts(here, there, CLOCK_DOUBT["milliseconds"])
            yield shown[0], shown[1], (b"KEY", place[1], b"IN", b"DB", b"%d" % place[0]), doubt
    if not found and comparable and digests[0].raw != digests[1].raw:
        yield Outcome((digests[0],)), Outcome((digests[1],)), (b"DEBUG", b"DIGEST"), False


def walk(connection: Control, db: int | None, lacks: set[str]) -> Keyspace:
    """Type, encoding and expiry of every key; `lacks` gets what the server cannot tell. Leaves `db` or 0 selected."""
    keyspace: Keyspace = {}
    for number in count_keys(connection, db):
        connection.call(b"SELECT", b"%d" % number)
        for key in all_keys(connection):
            kind, encoding, expiry, left, length = connection.pipeline(
                [
                    (b"TYPE", key),
                    (b"OBJECT", b"ENCODING", key),
                    (b"PEXPIRETIME", key),
                    (b"PTTL", key),
                    (b"STRLEN", key),
                ],
            )
            if kind.text == b"none":
                continue
            facts = {"type": kind.text.decode("utf-8", "replace")}
            if encoding.is_error:
                lacks.add("OBJECT ENCODING")
            else:
                facts["encoding"] = encoding.text.decode("utf-8", "replace")
            facts["pttl"] = left.text.decode("utf-8", "replace")
            is_large = length.text.isdigit() and int(length.text) > LONGEST_DUMPED
            dump = NO_DUMP if is_large else connection.call(b"DUMP", key)
            if dump.text and not dump.is_error:
                version, inside = canonical_dump(dump)
                facts[f"dump, RDB {version}"] = repr(inside)
            if not expiry.is_error:
                facts["expires at ms"] = expiry.text.decode("utf-8", "replace")
            keyspace[number, key] = facts
    connection.call(b"SELECT", b"%d" % (db or 0))
    return keyspace


def all_keys(connection: Connection) -> list[bytes]:
    """Every key of the selected database, by SCAN, else by KEYS."""
    keys: dict[bytes, None] = {}
    cursor = b"0"
    while True:
        reply = connection.call(b"SCAN", cursor, b"COUNT", b"1000")
        if len(reply.children) != 2:
            return [child.text for child in connection.call(b"KEYS", b"*").children]
        keys |= dict.fromkeys(child.text for child in reply.children[1].children)
        cursor = reply.children[0].text
        if cursor == b"0":
            return list(keys)


def add_values(connection: Connection, keyspace: Keyspace) -> None:
    """Read every value, by its type."""
    for (number, key), facts in keyspace.items():
        reader = VALUE_READERS.get(facts["type"].encode())
        if reader is None:
            continue
        connection.call(b"SELECT", b"%d" % number)
        command, ordered = reader
        reply = connection.call(*(key if word == b"KEY" else word for word in command))
        if ordered or reply.is_error:
            facts["value"] = repr(reply.raw)
        elif facts["type"] == "hash":
            children = reply.children
            pairs = sorted((k.raw, v.raw) for k, v in zip(children[::2], children[1::2], strict=False))
            facts["value"] = repr(pairs)
        else:
            facts["value"] = repr(sorted(child.raw for child in reply.children))
    connection.call(b"SELECT", b"0")


def same_facts(left: Facts, right: Facts, slack_ms: int) -> bool:
    """Equal, times to live within `slack_ms` (by the moment of expiry where both servers can tell it).

    What only one of them can tell is not compared.
    """
    times = ("pttl", "expires at ms")
    shared = [name for name in left if name in right and name not in times]
    if any(left[name] != right[name] for name in shared):
        return False
    name = "expires at ms" if "expires at ms" in left and "expires at ms" in right else "pttl"
    a, b = left[name], right[name]
    return a == b or (a.isdigit() and b.isdigit() and abs(int(a) - int(b)) <= slack_ms)


def show(facts: Facts) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())
