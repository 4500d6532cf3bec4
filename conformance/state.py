"""The state that a stream leaves behind: the same keys, types, values, encodings and times to live?

Two servers with DEBUG DIGEST compare every value in one reply each (the digest is order-free and covers every type). It
knows neither encodings nor when a key expires, so the keyspace is walked in any case, and where a digest is missing or
differs the values are read too, by type, to name the key that differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .normalise import CLOCK_DOUBT
from .outcome import Outcome
from .wire import Connection, Reply, encode_command

VALUE_READERS: dict[bytes, tuple[tuple[bytes, ...], bool]] = {
    # type: (command with the key as last but its tail, order counts)
    b"string": ((b"GET", b"KEY"), True),
    b"list": ((b"LRANGE", b"KEY", b"0", b"-1"), True),
    b"set": ((b"SMEMBERS", b"KEY"), False),
    b"zset": ((b"ZRANGE", b"KEY", b"0", b"-1", b"WITHSCORES"), True),
    b"hash": ((b"HGETALL", b"KEY"), False),
    b"stream": ((b"XINFO", b"STREAM", b"KEY", b"FULL", b"COUNT", b"0"), True),
}
Facts = dict[str, str]
Keyspace = dict[tuple[int, bytes], Facts]


def pipeline(connection: Connection, commands: list[tuple[bytes, ...]]) -> list[Reply]:
    """Send all, await all."""
    connection.send(b"".join(encode_command(argv) for argv in commands))
    return [connection.read_reply() for _ in commands]


def compare_state(
    oracle: Connection, subject: Connection, slack_ms: int
) -> Iterator[tuple[Outcome, Outcome, tuple[bytes, ...], bool]]:
    """Each difference as (oracle, subject, what was looked at, doubtful: times to live less than two seconds apart)."""
    left, right = walk(oracle), walk(subject)
    digests = [connection.call(b"DEBUG", b"DIGEST") for connection in (oracle, subject)]
    read_values = digests[0].is_error or digests[1].is_error or digests[0].raw != digests[1].raw
    if read_values:
        add_values(oracle, left)
        add_values(subject, right)
    found = False
    for place in sorted(left.keys() | right.keys()):
        here, there = left.get(place), right.get(place)
        if here is None or there is None or not same_facts(here, there, slack_ms):
            found = True
            shown = [Outcome(detail="(no such key)" if facts is None else show(facts)) for facts in (here, there)]
            doubt = here is not None and there is not None and same_facts(here, there, CLOCK_DOUBT["milliseconds"])
            yield shown[0], shown[1], (b"KEY", place[1], b"IN", b"DB", b"%d" % place[0]), doubt
    if not found and not digests[0].is_error and not digests[1].is_error and digests[0].raw != digests[1].raw:
        yield Outcome((digests[0],)), Outcome((digests[1],)), (b"DEBUG", b"DIGEST"), False


def walk(connection: Connection) -> Keyspace:
    """Type, encoding and expiry of every key in every database. Leaves database 0 selected."""
    keyspace: Keyspace = {}
    info = connection.call(b"INFO", b"keyspace").text
    for number in (int(found) for found in re.findall(rb"db(\d+):", info)):
        connection.call(b"SELECT", b"%d" % number)
        keys: dict[bytes, None] = {}
        cursor = b"0"
        while True:
            reply = connection.call(b"SCAN", cursor, b"COUNT", b"1000")
            if len(reply.children) != 2:
                break
            keys |= dict.fromkeys(child.text for child in reply.children[1].children)
            cursor = reply.children[0].text
            if cursor == b"0":
                break
        for key in keys:
            kind, encoding, expiry, left = pipeline(
                connection,
                [(b"TYPE", key), (b"OBJECT", b"ENCODING", key), (b"PEXPIRETIME", key), (b"PTTL", key)],
            )
            if kind.text == b"none":
                continue
            facts = {"type": kind.text.decode(), "encoding": encoding.text.decode("utf-8", "replace")}
            facts["pttl"] = left.text.decode("utf-8", "replace")
            if not expiry.is_error:
                facts["expires at ms"] = expiry.text.decode("utf-8", "replace")
            keyspace[number, key] = facts
    connection.call(b"SELECT", b"0")
    return keyspace


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
    """Equal, times to live within `slack_ms` (by the moment of expiry where both servers can tell it)."""
    times = ("pttl", "expires at ms")
    if {k: v for k, v in left.items() if k not in times} != {k: v for k, v in right.items() if k not in times}:
        return False
    name = "expires at ms" if "expires at ms" in left and "expires at ms" in right else "pttl"
    a, b = left[name], right[name]
    return a == b or (a.isdigit() and b.isdigit() and abs(int(a) - int(b)) <= slack_ms)


def show(facts: Facts) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())
