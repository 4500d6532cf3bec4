"""The same problem in several structures: what does each cost? `python -m conformance.choices` measures it.

"Use a hash for an object" is advice; "a hash of eight fields takes a third of the memory of eight keys" is a reason.
Each problem below is solved in two or three ways. For each way: the bytes that it takes for one thing (a user, a
player, an event...) on real Redis, by its own `used_memory`, and what the operations take on both servers.

The second half asks Redis what a threshold saves: the same value just below it and just beyond.

`--json docs/measured/choices.json` writes what the pages show.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from .bench import add_pair, opened
from .endpoints import Endpoint, EndpointError
from .growth import FIRST_ID, Operation, Words, empty, machine, measure, send_all

Calls = Callable[[Random, int], tuple[Words, ...]]

FIELDS: dict[bytes, bytes] = {
    b"name": b"Ana Maria Silva",
    b"mail": b"ana@example.com",
    b"city": b"Lisbon",
    b"plan": b"free",
    b"visits": b"118",
    b"joined": b"2024-05-17",
    b"language": b"pt",
    b"theme": b"dark",
}
PROFILE = b"{" + b", ".join(b'"%b": "%b"' % pair for pair in FIELDS.items()) + b"}"
KEPT = 1000  # events that are kept of a log
LONG_US = 300  # what takes longer is measured alone: its round trip does not matter


@dataclass(frozen=True, slots=True)
class Way:
    """One structure for a problem. `fill(n)` makes n things; an operation that it cannot do is left out."""

    name: str
    fill: Callable[[int], Iterator[Words]]
    operations: dict[str, Calls]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be done with so many things."""

    name: str
    thing: str
    things: int
    ways: tuple[Way, ...]


def _user(number: int) -> bytes:
    return b"user:%06d" % number


def _field(number: int, name: bytes) -> bytes:
    return b"user:%06d:%b" % (number, name)


def _score(number: int) -> bytes:
    return b"%d" % (number * 7919 % 100_003)


def _event(number: int) -> bytes:
    return b"event %08d: somebody looked at a page" % number


PROBLEMS = (
    Problem("profile", "user", 20_000, (
        Way("a hash for each", lambda n: (
            (b"HSET", _user(each), *(word for pair in FIELDS.items() for word in pair)) for each in range(n)
        ), {
            "read all": lambda rng, n: ((b"HGETALL", _user(rng.randrange(n))),),
            "read one field": lambda rng, n: ((b"HGET", _user(rng.randrange(n)), b"city"),),
            "change one field": lambda rng, n: ((b"HSET", _user(rng.randrange(n)), b"city", b"Porto"),),
            "add to one field": lambda rng, n: ((b"HINCRBY", _user(rng.randrange(n)), b"visits", b"1"),),
        }),
        Way("a key for each field", lambda n: (
            (b"MSET", *(word for name, value in FIELDS.items() for word in (_field(each, name), value)))
            for each in range(n)
        ), {
            "read all": lambda rng, n: tuple(
                (b"MGET", *(_field(at, name) for name in FIELDS)) for at in (rng.randrange(n),)
            ),
            "read one field": lambda rng, n: ((b"GET", _field(rng.randrange(n), b"city")),),
            "change one field": lambda rng, n: ((b"SET", _field(rng.randrange(n), b"city"), b"Porto"),),
            "add to one field": lambda rng, n: ((b"INCR", _field(rng.randrange(n), b"visits")),),
        }),
        Way("one JSON text", lambda n: ((b"SET", _user(each), PROFILE) for each in range(n)), {
            "read all": lambda rng, n: ((b"GET", _user(rng.randrange(n))),),
            "read one field": lambda rng, n: ((b"GET", _user(rng.randrange(n))),),
            "change one field": lambda rng, n: tuple(
                call for at in (rng.randrange(n),) for call in ((b"GET", _user(at)), (b"SET", _user(at), PROFILE))
            ),
        }),
    )),
    Problem("ranking", "player", 20_000, (
        Way("sorted set", lambda n: ((b"ZADD", b"board", _score(each), _user(each)) for each in range(n)), {
            "add points": lambda rng, n: ((b"ZINCRBY", b"board", b"5", _user(rng.randrange(n))),),
            "place of one": lambda rng, n: ((b"ZREVRANK", b"board", _user(rng.randrange(n))),),
            "best ten": lambda rng, n: ((b"ZRANGE", b"board", b"0", b"9", b"REV", b"WITHSCORES"),),
        }),
        Way("hash, sorted by the client", lambda n: (
            (b"HSET", b"board", _user(each), _score(each)) for each in range(n)
        ), {
            "add points": lambda rng, n: ((b"HINCRBY", b"board", _user(rng.randrange(n)), b"5"),),
            "place of one": lambda rng, n: ((b"HGETALL", b"board"),),
            "best ten": lambda rng, n: ((b"HGETALL", b"board"),),
        }),
        Way("set and keys, SORT BY", lambda n: (
            call for each in range(n) for call in (
                (b"SADD", b"players", _user(each)), (b"SET", b"score:" + _user(each), _score(each)))
        ), {
            "add points": lambda rng, n: ((b"INCRBY", b"score:" + _user(rng.randrange(n)), b"5"),),
            "best ten": lambda rng, n: ((b"SORT", b"players", b"BY", b"score:*", b"DESC", b"LIMIT", b"0", b"10"),),
        }),
    )),
    Problem("latest", "event", KEPT, (
        Way("list", lambda n: ((b"LPUSH", b"log", _event(each)) for each in range(n)), {
            "add, keep 1,000": lambda rng, n: (
                (b"LPUSH", b"log", _event(rng.randrange(10**8))), (b"LTRIM", b"log", b"0", b"%d" % (KEPT - 1))),
            "latest ten": lambda rng, n: ((b"LRANGE", b"log", b"0", b"9"),),
        }),
        Way("sorted set by time", lambda n: ((b"ZADD", b"log", b"%d" % each, _event(each)) for each in range(n)), {
            "add, keep 1,000": lambda rng, n: (
                (b"ZADD", b"log", b"%d" % (at := rng.randrange(10**8)), _event(at)),
                (b"ZREMRANGEBYRANK", b"log", b"0", b"-%d" % (KEPT + 1))),
            "latest ten": lambda rng, n: ((b"ZRANGE", b"log", b"0", b"9", b"REV"),),
            "ten since a moment": lambda rng, n: (
                (b"ZRANGE", b"log", b"%d" % rng.randrange(n), b"+inf", b"BYSCORE", b"LIMIT", b"0", b"10"),),
        }),
        Way("stream", lambda n: (
            (b"XADD", b"log", b"%d-0" % (FIRST_ID + each), b"e", _event(each)) for each in range(n)
        ), {
            "add, keep 1,000": lambda rng, n: (
                (b"XADD", b"log", b"MAXLEN", b"~", b"%d" % KEPT, b"*", b"e", _event(rng.randrange(10**8))),),
            "latest ten": lambda rng, n: ((b"XREVRANGE", b"log", b"+", b"-", b"COUNT", b"10"),),
            "ten since a moment": lambda rng, n: (
                (b"XRANGE", b"log", b"%d" % (FIRST_ID + rng.randrange(n)), b"+", b"COUNT", b"10"),),
        }),
    )),
    Problem("visitors", "visitor", 50_000, (
        Way("set", lambda n: ((b"SADD", b"seen", b"%d" % (each * 3)) for each in range(n)), {
            "note one": lambda rng, n: ((b"SADD", b"seen", b"%d" % (rng.randrange(n) * 3)),),
            "was this one here?": lambda rng, n: ((b"SISMEMBER", b"seen", b"%d" % (rng.randrange(n) * 3)),),
            "how many?": lambda rng, n: ((b"SCARD", b"seen"),),
        }),
        Way("bitmap", lambda n: ((b"SETBIT", b"seen", b"%d" % (each * 3), b"1") for each in range(n)), {
            "note one": lambda rng, n: ((b"SETBIT", b"seen", b"%d" % (rng.randrange(n) * 3), b"1"),),
            "was this one here?": lambda rng, n: ((b"GETBIT", b"seen", b"%d" % (rng.randrange(n) * 3)),),
            "how many?": lambda rng, n: ((b"BITCOUNT", b"seen"),),
        }),
        Way("HyperLogLog", lambda n: ((b"PFADD", b"seen", b"%d" % (each * 3)) for each in range(n)), {
            "note one": lambda rng, n: ((b"PFADD", b"seen", b"%d" % (rng.randrange(n) * 3)),),
            "how many?": lambda rng, n: ((b"PFCOUNT", b"seen"),),
        }),
    )),
    Problem("queue", "message", 20_000, (
        Way("list", lambda n: ((b"RPUSH", b"jobs", _event(each)) for each in range(n)), {
            "put one, take one": lambda rng, n: ((b"RPUSH", b"jobs", _event(rng.randrange(10**8))), (b"LPOP", b"jobs")),
        }),
        Way("sorted set", lambda n: ((b"ZADD", b"jobs", b"%d" % each, _event(each)) for each in range(n)), {
            "put one, take one": lambda rng, n: (
                (b"ZADD", b"jobs", b"%d" % (at := rng.randrange(10**8)), _event(at)), (b"ZPOPMIN", b"jobs")),
        }),
        Way("stream", lambda n: (
            (b"XADD", b"jobs", b"%d-0" % (FIRST_ID + each), b"e", _event(each)) for each in range(n)
        ), {
            "put one, take one": lambda rng, n: (
                (b"XADD", b"jobs", b"*", b"e", _event(rng.randrange(10**8))),
                (b"XTRIM", b"jobs", b"MAXLEN", b"%d" % n)),
        }),
    )),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """A value at its threshold, and the same value one step beyond: `make(n, length)` with each."""

    kind: str
    directive: str
    below: tuple[int, int]
    beyond: tuple[int, int]
    make: Callable[[int, int], Words]


def _words(count: int, length: int) -> list[bytes]:
    return [b"%0*d" % (min(length, 8), number) + b"x" * (length - min(length, 8)) for number in range(count)]


def _string(count: int, length: int) -> Words:
    return b"SET", b"value", b"x" * length


def _hash(count: int, length: int) -> Words:
    return b"HSET", b"value", *(word for each in _words(count, length) for word in (each[:8], each))


def _zset(count: int, length: int) -> Words:
    return b"ZADD", b"value", *(w for n, each in enumerate(_words(count, length)) for w in (b"%d" % n, each))


def _list(count: int, length: int) -> Words:
    return b"RPUSH", b"value", *_words(count, length)


def _set(count: int, length: int) -> Words:
    return b"SADD", b"value", *_words(count, length)


def _numbers(count: int, length: int) -> Words:
    return b"SADD", b"value", *(b"%d" % (10**length + number) for number in range(count))


EDGES = (
    Edge("string", "key and text fit into one allocation", (1, 36), (1, 37), _string),
    Edge("list", "list-max-listpack-size -2 (8 kB)", (450, 16), (600, 16), _list),
    Edge("hash", "hash-max-listpack-entries 512", (512, 10), (513, 10), _hash),
    Edge("hash", "hash-max-listpack-value 64", (10, 64), (10, 65), _hash),
    Edge("set", "set-max-intset-entries 512", (512, 6), (513, 6), _numbers),
    Edge("set", "set-max-listpack-entries 128", (128, 10), (129, 10), _set),
    Edge("set", "set-max-listpack-value 64", (10, 64), (10, 65), _set),
    Edge("zset", "zset-max-listpack-entries 128", (128, 10), (129, 10), _zset),
    Edge("zset", "zset-max-listpack-value 64", (10, 64), (10, 65), _zset),
)  # fmt: skip


# --- Measuring -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cost:
    """What one way costs: bytes of one thing on the oracle, microseconds by operation on both."""

    problem: str
    thing: str
    things: int
    way: str
    bytes: float = 0.0
    subject: dict[str, float] = field(default_factory=dict)
    oracle: dict[str, float] = field(default_factory=dict)


def choose(subject: Endpoint, oracle: Endpoint, scale: int = 1) -> Iterator[Cost]:
    """All problems, way by way. `scale` divides the number of things."""
    for problem in PROBLEMS:
        for way in problem.ways:
            things = problem.things // scale
            cost = Cost(problem.name, problem.thing, things, way.name)
            for endpoint, times in ((subject, cost.subject), (oracle, cost.oracle)):
                empty(endpoint)
                before = used_memory(endpoint)
                send_all(endpoint, way.fill(things))
                if endpoint is oracle:
                    cost.bytes = (used_memory(endpoint) - before) / things
                for name, call in way.operations.items():
                    operation = Operation(name, "", "", call)
                    alone = measure(endpoint, operation, things, batch=1)
                    times[name] = alone if alone > LONG_US else measure(endpoint, operation, things)
            yield cost


def used_memory(endpoint: Endpoint) -> int:
    connection = endpoint.connect()
    try:
        text = connection.call(b"INFO", b"memory").text.decode()
    finally:
        connection.close()
    return int(dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)["used_memory"])


def edges(oracle: Endpoint) -> Iterator[dict[str, object]]:
    """Encoding and MEMORY USAGE of each edge's two values."""
    connection = oracle.connect()
    try:
        for edge in EDGES:
            for count, length in (edge.below, edge.beyond):
                connection.call(b"DEL", b"value")
                connection.call(*edge.make(count, length))
                yield {
                    "kind": edge.kind,
                    "directive": edge.directive,
                    "elements": count,
                    "length": length,
                    "encoding": connection.call(b"OBJECT", b"ENCODING", b"value").text.decode(),
                    "bytes": int(connection.call(b"MEMORY", b"USAGE", b"value", b"SAMPLES", b"0").text),
                }
    finally:
        connection.close()


def render(costs: list[Cost]) -> str:
    """A table a problem, in Markdown."""
    lines: list[str] = []
    for problem in dict.fromkeys(cost.problem for cost in costs):
        ways = [cost for cost in costs if cost.problem == problem]
        names = list(dict.fromkeys(name for cost in ways for name in cost.oracle))
        lines.append(f"{problem}, {ways[0].things:,} {ways[0].thing}s; microseconds mini_redis / Redis")
        lines.append("| | bytes each | " + " | ".join(names) + " |")
        lines.append("|---|--:|" + "--:|" * len(names))
        for cost in ways:
            cells = [f"{cost.subject[n]:.1f} / {cost.oracle[n]:.1f}" if n in cost.oracle else "" for n in names]
            lines.append(f"| {cost.way} | {cost.bytes:.1f} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.choices", description="One problem, many structures.")
    add_pair(parser)
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="an Nth of the things")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args(arguments)
    try:
        with opened(options.subject, options.oracle, options.flush) as (subject, oracle):
            costs = list(choose(subject, oracle, options.scale))
            thresholds = list(edges(oracle))
    except EndpointError as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 2
    print(render(costs))
    for edge in thresholds:
        print("{kind:<8}{directive:<36}{elements:>5} x {length:<4}{encoding:<12}{bytes:>8} bytes".format_map(edge))
    if options.json is not None:
        document = machine(subject, oracle) | {"costs": [asdict(cost) for cost in costs], "edges": thresholds}
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
