"""Does an operation cost what Redis documents, as the data grows? `python -m conformance.growth` measures both servers.

Each operation runs on one value of 1,000, 10,000, 100,000 and 1,000,000 elements. What counts is the growth: how much
longer an operation takes on a value a thousand times as large. O(1) stays where it was, O(log N) grows by a factor of
two at most (log 1,000,000 / log 1,000), O(N) by a thousand. Round trips are paid by all alike, so requests are sent in
batches, and replies are received without being read, up to a last one that is known.

A figure is the fastest of some rounds: whatever else the machine does meanwhile only adds to the others. An operation
is within its documented complexity if its growth is at most the documented one times `TOLERANCE`: caches miss more
often on a million elements than on a thousand, on any server.

`--values list,hash` measures these alone; `--json docs/measured/growth.json` writes what the pages show.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from math import cos, log, pi, sqrt
from pathlib import Path
from random import Random

from .bench import add_pair, describe, opened
from .endpoints import Endpoint, EndpointError
from .wire import Connection, encode_command

SIZES = (1_000, 10_000, 100_000, 1_000_000)
TOLERANCE = 4.0
BATCH = 50
ROUNDS = 15
FILL = 1_000
LAST = b"that was all"

Words = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """`call(rng, n)` gives the words of one call on a value of n elements; afterwards the size is about the same."""

    name: str
    complexity: str
    """As the command's documentation has it, N being the size of the value: O(1), O(log N) or O(N)."""
    fill: str
    """Which value it runs on: a key of FILLS."""
    call: Callable[[Random, int], tuple[Words, ...]]


def _element(number: int) -> bytes:
    return b"element:%07d" % number


FIRST_ID = 10_000_000_000_000  # ms that are long to come, so that XADD's `*` goes on from the last of these
AREA = 20.0  # degrees: places lie in a square of so many around 0, 0


def _place(number: int) -> tuple[bytes, bytes]:
    """Longitude and latitude, the same for the same number."""
    rng = Random(number)
    return b"%.6f" % (AREA * (rng.random() - 0.5)), b"%.6f" % (AREA * (rng.random() - 0.5))


def _radius_of(places: int, count: int) -> bytes:
    """How many km around the middle hold `places` of `count`."""
    side_km = AREA * 40_030 / 360 * cos(pi * AREA / 4 / 180)
    return b"%.3f" % (side_km * sqrt(places / pi / count))


FILLS: dict[str, Callable[[int, int], tuple[Words, ...]]] = {
    "keys": lambda start, stop: (
        (b"MSET", *(word for n in range(start, stop) for word in (_element(n), b"v"))),
    ),
    "string": lambda start, stop: ((b"APPEND", b"value", b"x" * (stop - start)),),
    "list": lambda start, stop: ((b"RPUSH", b"value", *(_element(n) for n in range(start, stop))),),
    "set": lambda start, stop: ((b"SADD", b"value", *(_element(n) for n in range(start, stop))),),
    "hash": lambda start, stop: (
        (b"HSET", b"value", *(word for n in range(start, stop) for word in (_element(n), b"v"))),
    ),
    "zset": lambda start, stop: (
        (b"ZADD", b"value", *(word for n in range(start, stop) for word in (b"%d" % n, _element(n)))),
    ),
    "geo": lambda start, stop: (
        (b"GEOADD", b"value", *(word for n in range(start, stop) for word in (*_place(n), _element(n)))),
    ),
    "stream": lambda start, stop: tuple(
        (b"XADD", b"value", b"%d-0" % (FIRST_ID + n), b"f", b"v") for n in range(start, stop)
    ),
}  # fmt: skip
"""Name -> the commands that add the elements from start up to stop."""

OPERATIONS = (
    Operation("GET", "O(1)", "keys", lambda rng, n: ((b"GET", _element(rng.randrange(n))),)),
    Operation("SET + DEL", "O(1)", "keys", lambda rng, n: ((b"SET", b"new", b"v"), (b"DEL", b"new"))),
    Operation("RANDOMKEY", "O(1)", "keys", lambda rng, n: ((b"RANDOMKEY",),)),
    Operation("SCAN", "O(1)", "keys", lambda rng, n: ((b"SCAN", b"0"),)),
    Operation("STRLEN", "O(1)", "string", lambda rng, n: ((b"STRLEN", b"value"),)),
    Operation("GETRANGE, 10 bytes", "O(1)", "string", lambda rng, n: (
        (b"GETRANGE", b"value", b"%d" % (at := rng.randrange(n)), b"%d" % (at + 9)),)),
    Operation("SETRANGE, 1 byte", "O(1)", "string", lambda rng, n: (
        (b"SETRANGE", b"value", b"%d" % rng.randrange(n), b"y"),)),
    Operation("APPEND, 1 byte", "O(1)", "string", lambda rng, n: ((b"APPEND", b"value", b"z"),)),
    Operation("LPUSH + RPOP", "O(1)", "list", lambda rng, n: ((b"LPUSH", b"value", b"v"), (b"RPOP", b"value"))),
    Operation("LRANGE 0 9", "O(1)", "list", lambda rng, n: ((b"LRANGE", b"value", b"0", b"9"),)),
    Operation("LINDEX first", "O(1)", "list", lambda rng, n: ((b"LINDEX", b"value", b"0"),)),
    Operation("LINDEX middle", "O(N)", "list", lambda rng, n: ((b"LINDEX", b"value", b"%d" % (n // 2)),)),
    Operation("SADD + SREM", "O(1)", "set", lambda rng, n: ((b"SADD", b"value", b"new"), (b"SREM", b"value", b"new"))),
    Operation("SISMEMBER", "O(1)", "set", lambda rng, n: ((b"SISMEMBER", b"value", _element(rng.randrange(n))),)),
    Operation("SRANDMEMBER", "O(1)", "set", lambda rng, n: ((b"SRANDMEMBER", b"value"),)),
    Operation("SPOP + SADD", "O(1)", "set", lambda rng, n: (
        (b"SPOP", b"value"), (b"SADD", b"value", b"again:%09d" % rng.randrange(10**9)))),
    Operation("HSET", "O(1)", "hash", lambda rng, n: ((b"HSET", b"value", _element(rng.randrange(n)), b"w"),)),
    Operation("HGET", "O(1)", "hash", lambda rng, n: ((b"HGET", b"value", _element(rng.randrange(n))),)),
    Operation("HSET + HDEL", "O(1)", "hash", lambda rng, n: (
        (b"HSET", b"value", b"new", b"v"), (b"HDEL", b"value", b"new"))),
    Operation("HRANDFIELD", "O(1)", "hash", lambda rng, n: ((b"HRANDFIELD", b"value"),)),
    Operation("HPEXPIRE", "O(1)", "hash", lambda rng, n: (
        (b"HPEXPIRE", b"value", b"%d" % rng.randrange(10**9, 10**10), b"FIELDS", b"1", _element(rng.randrange(n))),)),
    Operation("ZADD", "O(log N)", "zset", lambda rng, n: (
        (b"ZADD", b"value", b"%d" % rng.randrange(n), _element(rng.randrange(n))),)),
    Operation("ZSCORE", "O(1)", "zset", lambda rng, n: ((b"ZSCORE", b"value", _element(rng.randrange(n))),)),
    Operation("ZRANK", "O(log N)", "zset", lambda rng, n: ((b"ZRANK", b"value", _element(rng.randrange(n))),)),
    Operation("ZRANGE 10", "O(log N)", "zset", lambda rng, n: (
        (b"ZRANGE", b"value", b"%d" % (at := rng.randrange(n)), b"%d" % (at + 9)),)),
    Operation("ZCOUNT", "O(log N)", "zset", lambda rng, n: (
        (b"ZCOUNT", b"value", b"%d" % rng.randrange(n), b"+inf"),)),
    Operation("ZPOPMIN + ZADD", "O(log N)", "zset", lambda rng, n: (
        (b"ZPOPMIN", b"value"), (b"ZADD", b"value", b"0", b"first"))),
    Operation("GEOADD", "O(log N)", "geo", lambda rng, n: (
        (b"GEOADD", b"value", *_place(rng.randrange(n)), _element(rng.randrange(n))),)),
    Operation("GEODIST", "O(1)", "geo", lambda rng, n: (
        (b"GEODIST", b"value", _element(rng.randrange(n)), _element(rng.randrange(n))),)),
    Operation("GEOSEARCH, 10 found", "O(log N)", "geo", lambda rng, n: (
        (b"GEOSEARCH", b"value", b"FROMLONLAT", b"0", b"0", b"BYRADIUS", _radius_of(10, n), b"km"),)),
    Operation("XADD + XTRIM", "O(1)", "stream", lambda rng, n: (
        (b"XADD", b"value", b"*", b"f", b"v"), (b"XTRIM", b"value", b"MAXLEN", b"=", b"%d" % n))),
    Operation("XRANGE 10", "O(log N)", "stream", lambda rng, n: (
        (b"XRANGE", b"value", b"%d" % (FIRST_ID + rng.randrange(n)), b"+", b"COUNT", b"10"),)),
)  # fmt: skip


@dataclass(slots=True)
class Growth:
    """What one operation takes, in us, by size: of the subject, of the oracle."""

    operation: str
    complexity: str
    value: str
    """Which kind of value it ran on."""
    subject: list[float] = field(default_factory=list)
    oracle: list[float] = field(default_factory=list)

    @property
    def within(self) -> bool:
        """Whether the subject's growth is that of the documented complexity."""
        smallest, largest = SIZES[0], SIZES[len(self.subject) - 1]
        factors = {"O(1)": 1.0, "O(log N)": log(largest) / log(smallest), "O(N)": largest / smallest}
        return self.subject[-1] / self.subject[0] <= factors[self.complexity] * TOLERANCE


def measure(endpoint: Endpoint, operation: Operation, size: int, batch: int = BATCH) -> float:
    """Microseconds a call, the fastest of some rounds. The value is there already."""
    rng = Random(size)
    connection = endpoint.connect(timeout=120.0)
    try:
        return min(_round(connection, operation, rng, size, batch) for _ in range(ROUNDS))
    finally:
        connection.close()


def _round(connection: Connection, operation: Operation, rng: Random, size: int, batch: int) -> float:
    calls = [words for _ in range(batch) for words in operation.call(rng, size)]
    data = b"".join(map(encode_command, [*calls, (b"ECHO", LAST)]))
    started = time.perf_counter()
    connection.send(data)
    connection.receive_through(b"$%d\r\n%b\r\n" % (len(LAST), LAST))
    return (time.perf_counter() - started) * 1e6 / len(calls)


def empty(endpoint: Endpoint) -> None:
    """Begin anew. A server of ours is started again: one that is freeing a million keys does two things at once."""
    if endpoint.owned:
        endpoint.restart()
    else:
        send_all(endpoint, [(b"FLUSHALL",)])


def fill(endpoint: Endpoint, name: str, start: int, stop: int) -> None:
    """Make the value grow from `start` elements to `stop`."""
    commands = (words for at in range(start, stop, FILL) for words in FILLS[name](at, min(at + FILL, stop)))
    send_all(endpoint, commands)


def send_all(endpoint: Endpoint, commands: Iterable[Words]) -> None:
    """Send commands, some at a time. EndpointError for one that fails."""
    left = iter(commands)
    connection = endpoint.connect(timeout=120.0)
    try:
        while some := list(islice(left, FILL)):
            connection.send(b"".join(map(encode_command, some)))
            for words in some:
                reply = connection.read_reply()
                if reply.is_error:
                    said = reply.text.decode("utf-8", "replace")
                    raise EndpointError(f"{endpoint.title} answers {words[0].decode()}: {said}")
    finally:
        connection.close()


def grow(
    subject: Endpoint, oracle: Endpoint, sizes: tuple[int, ...] = SIZES, values: Iterable[str] = tuple(FILLS)
) -> Iterator[Growth]:
    """All operations, value by value."""
    for name in values:
        operations = [each for each in OPERATIONS if each.fill == name]
        found = [Growth(each.name, each.complexity, name) for each in operations]
        for endpoint in (subject, oracle):
            empty(endpoint)
            for before, size in zip((0, *sizes), sizes, strict=False):
                fill(endpoint, name, before, size)
                for growth, operation in zip(found, operations, strict=True):
                    times = growth.subject if endpoint is subject else growth.oracle
                    times.append(measure(endpoint, operation, size))
        yield from found


# --- Telling ---------------------------------------------------------------------------------------------------------


def table(found: list[Growth], sizes: tuple[int, ...] = SIZES) -> str:
    """Markdown: microseconds a call by size, of both, and whether ours grows as documented."""
    ours = "".join(f" {size:,} |" for size in sizes)
    theirs = f" Redis, {sizes[0]:,} | Redis, {sizes[-1]:,} |"
    lines = [f"| operation | documented |{ours}{theirs} |", "|---|---|" + "--:|" * (len(sizes) + 2) + "---|"]
    for each in found:
        cells = "".join(f" {micros:.1f} |" for micros in [*each.subject, each.oracle[0], each.oracle[-1]])
        lines.append(
            f"| {each.operation} | {each.complexity} |{cells} {'as documented' if each.within else 'WORSE'} |"
        )
    return "\n".join(lines)


def machine(subject: Endpoint, oracle: Endpoint) -> dict[str, object]:
    """What was measured, and on what."""
    about = f"{os.cpu_count()} processors under a load of {os.getloadavg()[1]:.0f}"
    return {"subject": describe(subject), "oracle": oracle.title, "machine": about}


def plot(found: list[Growth], sizes: tuple[int, ...] = SIZES) -> str:
    """An SVG: size across, microseconds up, both logarithmic; a line an operation, ours alone."""
    width, height, left, bottom = 720, max(360, 40 + 14 * len(found)), 70, 40
    most = max(max(each.subject) for each in found)
    least = min(min(each.subject) for each in found)

    def place(size: int, micros: float) -> tuple[float, float]:
        across = log(size / sizes[0]) / max(log(sizes[-1] / sizes[0]), 1e-9)
        up = log(micros / least) / max(log(most / least), 1e-9)
        return left + across * (width - left - 190), height - bottom - up * (height - bottom - 20)

    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    parts = [head + ' font-family="sans-serif" font-size="11" fill="currentColor">']
    for size in sizes:
        x, y = place(size, least)
        parts.append(f'<text x="{x:.0f}" y="{y + 20:.0f}" text-anchor="middle">{size:,}</text>')
    for micros in (least, *(10.0**power for power in range(1, 7) if least * 1.5 < 10**power < most / 1.5), most):
        x, y = place(sizes[0], micros)
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{micros:,.0f} us</text>')
    for number, each in enumerate(sorted(found, key=lambda growth: -growth.subject[-1])):
        points = " ".join("{:.1f},{:.1f}".format(*place(*pair)) for pair in zip(sizes, each.subject, strict=True))
        colour = f"hsl({number * 360 // len(found)} 55% 48%)"
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{width - 170}" y="{20 + number * 14}" fill="{colour}">{each.operation}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.growth", description="Cost by size.")
    add_pair(parser)
    parser.add_argument("--largest", type=int, default=SIZES[-1], metavar="N", help="leave out what is larger")
    parser.add_argument("--values", default=",".join(FILLS), metavar="KINDS", help=f"of {', '.join(FILLS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write an SVG")
    options = parser.parse_args(arguments)
    sizes = tuple(size for size in SIZES if size <= options.largest)
    try:
        with opened(options.subject, options.oracle, options.flush) as (subject, oracle):
            found = list(grow(subject, oracle, sizes, options.values.split(",")))
    except EndpointError as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 2
    print(table(found, sizes))
    if options.json is not None:
        document = machine(subject, oracle) | {"sizes": sizes, "operations": [asdict(each) for each in found]}
        options.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if options.plot is not None:
        options.plot.write_text(plot(found, sizes), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
