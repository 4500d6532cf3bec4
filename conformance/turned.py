"""mini_redis inside this process, its clock turned: a stream's `@wait 300ms` takes no time on it.

No socket, no thread: where a Connection wants a socket it is given a `LocalSocket`, and awaiting a reply *is* letting
time pass. Beside a recorded oracle (`--oracle FILE.trace`) a whole run sleeps nowhere and needs nothing but Python,
so it also works in a browser.
"""

from __future__ import annotations

import time

from mini_redis.drivers.in_process import InProcess

from .dial import Target
from .endpoints import Endpoint


class LocalSocket:
    """What a Connection asks of a socket, for a node in this process."""

    def __init__(self, node: InProcess) -> None:
        self._node = node
        self._client = node.connect()
        self._timeout: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def getsockname(self) -> tuple[str, int]:
        host, _, port = self._client.handle.address.rpartition(":")
        return host, int(port)

    def sendall(self, data: bytes) -> None:
        self._client.send(data)

    def recv(self, size: int) -> bytes:
        """What has arrived; with a timeout, time passes on the node until something does."""
        until_ms = self._node.server.clock.wall_us() // 1000 + round((self._timeout or 0) * 1000)
        while not self._client.received and not self._client.closed:
            if self._timeout == 0:
                raise BlockingIOError
            left_ms = until_ms - self._node.server.clock.wall_us() // 1000
            if left_ms <= 0:
                raise TimeoutError
            self._node.advance(min(left_ms, 100) / 1000)
        return self._client.take()

    def close(self) -> None:
        self._client.disconnect()


class LocalClock:
    """The node's clock, as a Session turns it."""

    def __init__(self, node: InProcess) -> None:
        self._node = node

    def now_ms(self) -> int:
        return self._node.clock.wall_us() // 1000

    def turn(self, ms: int) -> None:
        if ms < 0:
            self._node.clock.step(ms / 1000)
        else:
            self._node.advance(ms / 1000)


class LocalLog:
    """What the node would append to its file, what was due by now included."""

    def __init__(self, node: InProcess) -> None:
        self._node = node

    def take(self) -> bytes:
        self._node.advance(0)
        taken, self._node.log = self._node.log, b""
        return taken


def start(logging: bool = False) -> Endpoint:
    """A node of its own, which may log; its address is for reading only."""
    node = InProcess("save ''", "enable-debug-command yes", wall_us=time.time_ns() // 1000, logging=logging)
    target = Target("127.0.0.1", 6379, opened=lambda: LocalSocket(node))
    journal = LocalLog(node) if logging else None
    endpoint = Endpoint("mini_redis:manual", target, clock=LocalClock(node), journal=journal)
    endpoint.read_facts()
    return endpoint
