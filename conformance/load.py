"""Load for the benchmark: many requests from few lines, faster than the server that is measured.

redis-benchmark measures speed, and nothing here competes with it. But it cannot insert each key of a range exactly
once, nor delete them in random order, nor tell which batch waited longest. `drive` does: some connections, each with
one pipeline of requests on its way, each sending the next as soon as all replies of the last have come.

Every request of a load gets a reply of the same, known length (`+OK`, `:1`), so that replies are counted by their
bytes and never parsed. What does not fit is an error, and raised as soon as the sum does not come out.
"""

from __future__ import annotations

import selectors
import socket
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from random import Random

from .wire import Address

STALLED_AFTER = 30.0  # seconds without any byte from the server


class LoadError(Exception):
    """The server did not answer as the load expects; the argument says what came instead."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests, each of which is answered by `reply`."""

    requests: Iterable[bytes]
    reply: bytes


def inserts(numbers: Iterable[int]) -> Load:
    """SET key:<twelve digits> to a distinct string of eight bytes."""
    template = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$8\r\nv%07d\r\n"
    return Load((template % (number, number % 10_000_000) for number in numbers), b"+OK\r\n")


def deletions(numbers: Iterable[int]) -> Load:
    """DEL of keys that `inserts` made."""
    template = b"*2\r\n$3\r\nDEL\r\n$16\r\nkey:%012d\r\n"
    return Load((template % number for number in numbers), b":1\r\n")


def shuffled(count: int, seed: int = 1) -> array[int]:
    """0 .. count - 1 in an order that the seed decides. No list: releasing millions of integers would stop the load."""
    numbers = array("Q", range(count))
    Random(seed).shuffle(numbers)
    return numbers


class _Lane:
    """One connection with at most one batch on its way."""

    __slots__ = ("expected", "received", "sent_at", "sock", "unsent")

    def __init__(self, address: Address) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.unsent = b""
        self.expected = 0
        self.received = 0
        self.sent_at = 0.0

    def give(self, batch: list[bytes], reply_length: int) -> None:
        self.expected = len(batch) * reply_length
        self.received = 0
        self.unsent = b"".join(batch)
        self.sent_at = time.perf_counter()
        self.push()

    def push(self) -> None:
        with suppress(BlockingIOError):
            self.unsent = self.unsent[self.sock.send(self.unsent) :]


def drive(address: Address, load: Load, clients: int = 50, pipeline: int = 16) -> float:
    """Send the whole load over `clients` connections, `pipeline` requests at a time. Raises LoadError.

    Returns the longest time, in seconds, that a batch waited for the last of its replies.
    """
    requests: Iterator[bytes] = iter(load.requests)
    selector = selectors.DefaultSelector()
    lanes = [_Lane(address) for _ in range(clients)]
    worst = 0.0
    busy = 0  # lanes that have a batch on its way
    try:
        for lane in lanes:
            batch = list(islice(requests, pipeline))
            if not batch:
                break
            selector.register(lane.sock, selectors.EVENT_READ, lane)
            lane.give(batch, len(load.reply))
            busy += 1
        while busy:
            ready = selector.select(STALLED_AFTER)
            if not ready:
                raise LoadError("the server has stopped answering")
            for key, _ in ready:
                lane = key.data
                if not _take(lane, load.reply):
                    continue
                worst = max(worst, time.perf_counter() - lane.sent_at)
                batch = list(islice(requests, pipeline))
                if batch:
                    lane.give(batch, len(load.reply))
                else:
                    selector.unregister(lane.sock)
                    busy -= 1
    finally:
        selector.close()
        for lane in lanes:
            lane.sock.close()
    return worst


def _take(lane: _Lane, reply: bytes) -> bool:
    """Read what is there; whether that completes the batch."""
    data = lane.sock.recv(1 << 16)
    at = lane.received % len(reply)
    if not data:
        raise LoadError("the server has closed the connection")
    if not (reply[at:] + reply).startswith(data[: len(reply)]):
        raise LoadError(f"{reply!r} was expected, and {data[:80]!r} has come")
    lane.received += len(data)
    if lane.unsent:
        lane.push()
    if lane.received > lane.expected:
        raise LoadError(f"{lane.expected} bytes of replies were expected, and {lane.received} have come")
    return lane.received == lane.expected
