"""Who waits while a million elements are deleted? `python -m conformance.release` measures both servers.

A value of a million elements is filled in, and deleted: by DEL, by UNLINK, by SET over it, and by FLUSHALL of a million
keys. Meanwhile somebody else says PING, again and again. What counts is how long he had to wait for one PONG:

    reply      until the deletion was answered, ms
    PING       the longest wait of the other client while memory is given back, ms
    turn       our longest turn of the event loop, by the clock and by its CPU time, ms: bar 20

Redis's DEL releases before it answers, its UNLINK in another thread. Here all is released little by little
(mini_redis/keyspace/graveyard.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .bench import TURN_BAR_MS, add_pair, ask, info, opened
from .endpoints import Endpoint, EndpointError
from .growth import fill
from .wire import encode_command

ELEMENTS = 1_000_000
DELETIONS: dict[str, tuple[bytes, ...]] = {
    "DEL": (b"DEL", b"value"),
    "UNLINK": (b"UNLINK", b"value"),
    "SET over it": (b"SET", b"value", b"small"),
}
CASES = tuple((value, name) for value in ("list", "set", "hash", "zset", "stream") for name in DELETIONS) + (
    ("keys", "FLUSHALL"),
    ("keys", "FLUSHALL ASYNC"),
)
LISTENING_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Release:
    """One deletion on one server, in ms. A turn is None for a server that does not tell."""

    reply: float
    longest_ping: float
    turn: float | None
    turn_cpu: float | None


def measure(endpoint: Endpoint, value: str, name: str, elements: int) -> Release:
    """Fill in, delete, and ask all the time."""
    fill(endpoint, value, 0, elements)
    time.sleep(LISTENING_SECONDS)
    ask(endpoint, b"CONFIG", b"RESETSTAT")
    deleting, asking = endpoint.connect(timeout=60.0), endpoint.connect(timeout=60.0)
    try:
        for connection in (deleting, asking):
            connection.call(b"PING")
        started = time.perf_counter()
        deleting.send(encode_command(DELETIONS.get(name, tuple(name.encode().split()))))
        longest, reply = 0.0, 0.0
        now = started
        while now < started + LISTENING_SECONDS or not _all_is_released(endpoint, now - started):
            now = time.perf_counter()
            asking.call(b"PING")
            longest = max(longest, time.perf_counter() - now)
            if not reply:
                deleting.read_reply()
                reply = time.perf_counter() - started
        facts = info(endpoint)
    finally:
        deleting.close()
        asking.close()
        ask(endpoint, b"FLUSHALL")
    turn, cpu = (facts.get(f"mini_redis_worst_turn_{kind}usec") for kind in ("", "cpu_"))
    return Release(reply * 1000, longest * 1000, turn and int(turn) / 1000, cpu and int(cpu) / 1000)  # type: ignore[arg-type]


def _all_is_released(endpoint: Endpoint, seconds: float) -> bool:
    return seconds > 60 or int(info(endpoint)["lazyfree_pending_objects"]) == 0


def table(rows: Iterator[tuple[str, str, Release, Release]]) -> Iterator[str]:
    """Markdown, a row as soon as it is measured."""
    yield "| value | deleted by | reply | PING | turn | its CPU | oracle: reply | PING |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for value, name, ours, theirs in rows:
        turn, cpu = ("-" if each is None else f"{each:.1f}" for each in (ours.turn, ours.turn_cpu))
        yield (
            f"| {value} | {name} | {ours.reply:.1f} | {ours.longest_ping:.1f} | {turn} | {cpu} "
            f"| {theirs.reply:.1f} | {theirs.longest_ping:.1f} |"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.release", description="Deleting large values.")
    add_pair(parser)
    parser.add_argument("--elements", type=int, default=ELEMENTS, metavar="N", help=f"default {ELEMENTS:,}")
    options = parser.parse_args(arguments)
    worst = worst_cpu = 0.0

    def rows() -> Iterator[tuple[str, str, Release, Release]]:
        nonlocal worst, worst_cpu
        for value, name in CASES:
            ours, theirs = (measure(endpoint, value, name, options.elements) for endpoint in (subject, oracle))
            worst, worst_cpu = max(worst, ours.turn or 0.0), max(worst_cpu, ours.turn_cpu or 0.0)
            yield value, name, ours, theirs

    try:
        with opened(options.subject, options.oracle, options.flush) as (subject, oracle):
            for line in table(rows()):
                print(line, flush=True)
    except EndpointError as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 2
    verdict = "met" if worst_cpu <= TURN_BAR_MS else "NOT MET"
    print(f"longest turn {worst:.1f} ms, of CPU time {worst_cpu:.1f} ms, bar {TURN_BAR_MS:g} ms: {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
