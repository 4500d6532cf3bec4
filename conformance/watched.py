"""What does it cost to be watched? `python -m conformance.watched` measures our server beside real Redis.

The same SETs, 50 clients at -P 16, while nobody watches, while the slow log takes everything, and while one, two and
four clients monitor. What is told is the CPU time of the server per request, from its own INFO: requests a second
would also tell how fast the monitors' own processes read. The monitors run in a thread here, which reads and forgets.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from .bench import add_pair, ask, cpu_seconds, info, opened
from .endpoints import Endpoint, EndpointError
from .load import drive, inserts
from .wire import encode_command

CASES = (("nobody watches", 0, False), ("slow log of all", 0, True), *((f"{n} MONITOR", n, False) for n in (1, 2, 4)))
"""Name, number of monitors, whether the slow log takes everything."""


@contextmanager
def monitors(endpoint: Endpoint, count: int) -> Iterator[None]:
    """So many clients that monitor and read what they are told."""
    selector = selectors.DefaultSelector()
    watchers = [socket.create_connection(endpoint.address) for _ in range(count)]
    wake, woken = socket.socketpair()
    selector.register(woken, selectors.EVENT_READ)
    for watcher in watchers:
        watcher.sendall(encode_command([b"MONITOR"]))
        assert watcher.recv(5) == b"+OK\r\n"
        selector.register(watcher, selectors.EVENT_READ)

    def read() -> None:
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    return
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.recv(1 << 20)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        wake.send(b".")
        reader.join()
        for one in (*watchers, wake, woken):
            one.close()
        selector.close()


def cpu_us(endpoint: Endpoint, count: int, slow_log: bool, requests: int) -> float:
    """CPU time of the server for one SET."""
    threshold = b"0" if slow_log else b"10000"
    ask(endpoint, b"CONFIG", b"SET", b"slowlog-log-slower-than", threshold)
    with monitors(endpoint, count):
        before = cpu_seconds(info(endpoint))
        drive(endpoint.address, inserts(range(requests)), clients=50, pipeline=16)
        return (cpu_seconds(info(endpoint)) - before) * 1e6 / requests


def measure(pair: Sequence[Endpoint], requests: int, rounds: int) -> list[list[float]]:
    """For each case the medians, one for each endpoint. In turns, so that a slow minute strikes all."""
    samples: list[list[list[float]]] = [[[] for _ in pair] for _ in CASES]
    for _ in range(rounds):
        for of_case, (_, count, slow_log) in zip(samples, CASES, strict=True):
            for endpoint, of_endpoint in zip(pair, of_case, strict=True):
                of_endpoint.append(cpu_us(endpoint, count, slow_log, requests))
    return [[median(one) for one in of_case] for of_case in samples]


def table(titles: list[str], found: list[list[float]]) -> str:
    """Markdown: microseconds a request, and how many times what it costs unwatched."""
    heads = "".join(f" {title} | |" for title in titles)
    lines = [f"| CPU per SET |{heads}", "|---|" + "--:|--:|" * len(titles)]
    for (name, _, _), row in zip(CASES, found, strict=True):
        cells = "".join(f" {us:.2f} us | x {us / alone:.1f} |" for us, alone in zip(row, found[0], strict=True))
        lines.append(f"| {name} |{cells}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.watched", description="The cost of being watched.")
    add_pair(parser)
    parser.add_argument("--requests", type=int, default=50_000, metavar="N", help="of one run (default 50,000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args(arguments)
    try:
        with opened(options.subject, options.oracle, options.flush) as pair:
            print(table([endpoint.title for endpoint in pair], measure(pair, options.requests, options.rounds)))
    except EndpointError as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
