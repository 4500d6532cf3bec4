"""Time is an argument: what a node needs to know of it, and the clock that only moves when told.

`wall_us` dates things (TTLs, TIME); `monotonic_ns` measures them (slow log, latency); `sleep` exists for DEBUG SLEEP.
The event loop's driver passes the real ones; tests and simulations pass a `ManualClock`.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    def wall_us(self) -> int:
        """Unix time in microseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass, with everything standing still."""
        ...


class ManualClock:
    """A clock that stands until `advance`. Starts at a fixed date, so that runs can be compared."""

    def __init__(self, wall_us: int = 1_700_000_000_000_000) -> None:
        self._wall_us = wall_us
        self._passed_us = 0

    def wall_us(self) -> int:
        return self._wall_us + self._passed_us

    def monotonic_ns(self) -> int:
        return self._passed_us * 1000

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both times forward."""
        assert seconds >= 0, "time does not go back"
        self._passed_us += round(seconds * 1_000_000)

    def step(self, seconds: float) -> None:
        """Correct the date alone, in either direction, as a time server may: no time passes."""
        self._wall_us += round(seconds * 1_000_000)
