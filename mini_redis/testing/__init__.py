"""A faithful Redis server inside your tests, on a real port, with a clock you can turn.

    import mini_redis.testing

    with mini_redis.testing.run(clock="manual") as server:
        client = redis.Redis(port=server.port)
        client.set("session", "x", ex=60)
        server.advance(seconds=61)
        assert client.get("session") is None

The server has its own thread and real sockets, so any client works, in any language, synchronous or not. The same
node also runs without sockets: see `mini_redis.drivers.in_process`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from mini_redis.drivers.event_loop import EventLoop, LoopThread
from mini_redis.drivers.in_process import turn_clock
from mini_redis.server.clock import ManualClock
from mini_redis.server.config import Config
from mini_redis.server.node import Server

__all__ = ["RunningServer", "run"]


class RunningServer:
    """A server that runs in a thread of this process until its `with` block ends."""

    host = "127.0.0.1"

    def __init__(self, thread: LoopThread, clock: ManualClock | None) -> None:
        self._thread = thread
        self._clock = clock
        self.port = thread.loop.port

    @property
    def url(self) -> str:
        """What `redis.Redis.from_url` takes."""
        return f"redis://{self.host}:{self.port}/0"

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on the server's clock; returns when all that should have happened has.

        Keys expire and the cron runs as often as it would have. Raises RuntimeError without `run(clock="manual")`.
        """
        clock = self._clock
        if clock is None:
            raise RuntimeError('this server lives in real time: start it with run(clock="manual")')
        loop = self._thread.loop
        self._thread.call(lambda: turn_clock(loop.server, clock, seconds, loop.perform_effects))

    def inspect(self, question: Any) -> Any:
        """Call `question(node)` in the server's thread, between two turns, and return its answer."""
        node: Server = self._thread.loop.server
        return self._thread.call(lambda: question(node))


@contextmanager
def run(
    *, clock: Literal["real", "manual"] = "real", seed: int | None = None, **directives: object
) -> Iterator[RunningServer]:
    """Run a server on a free port of the loopback interface while the block lasts.

    A manual clock stands at a fixed date. `directives` are those of redis.conf with underscores:
    `run(requirepass="x", maxclients=10)`. `seed` makes what is random (RANDOMKEY, eviction) repeatable. Raises
    ValueError for a wrong directive, OSError if no port is to be had.
    """
    manual = ManualClock() if clock == "manual" else None
    config = Config()
    settings: dict[str, object] = {"bind": "127.0.0.1", "save": "", "enable_debug_command": "yes"} | directives
    config.port = 0
    config.load([_line(name, value) for name, value in settings.items()])
    loop = EventLoop(config, manual, seed=seed, write_log=lambda line: None)
    thread = LoopThread(loop)
    with thread:
        yield RunningServer(thread, manual)


def _line(name: str, value: object) -> str:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'{name.replace("_", "-")} "{escaped}"'
