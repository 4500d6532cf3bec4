"""Piecemeal: letting go of a large structure in small steps.

Question it answers: releasing a million elements takes a tenth of a second, whoever does it; who is served meanwhile?
Redis hands them to another thread. Here there is none, and while the one thread releases, nobody is served. So a
structure that is to go is taken apart: it gives up its elements one by one, and pauses now and then, so that whoever
takes it apart (keyspace/graveyard.py) can go on later.

Each structure has `dismantle`, a generator made of these steps. It yields how many elements it let go since the last
time. Nobody else may use the structure any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

STEP: Final = 1024
"""Elements between two pauses: a tenth of a millisecond."""


class Dismantled(Protocol):
    """A structure that knows how to take itself apart."""

    def dismantle(self) -> Iterator[int]: ...


def piecemeal(count: int, pop: Callable[[], object], weight: int = 1) -> Iterator[int]:
    """Call `pop` so often, pausing after about `STEP` elements. A pop counts as `weight` elements. O(count)."""
    at_once = max(1, STEP // weight)
    while count > 0:
        step = min(count, at_once)
        for _ in range(step):
            pop()
        count -= step
        yield step * weight


def dismantle(entries: dict[bytes, Any] | Dismantled) -> Iterator[int]:
    """Let go of all entries of a dict, of Python's or of our own, step by step. O(n)."""
    return piecemeal(len(entries), entries.popitem) if isinstance(entries, dict) else entries.dismantle()
