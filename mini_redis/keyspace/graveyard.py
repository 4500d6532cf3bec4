"""The graveyard: what was deleted, and is released little by little.

Question it answers: DEL of a hash with a million fields takes a tenth of a second, most of it spent on giving memory
back. Who asks for nothing but a PONG meanwhile should not wait. Redis has two commands: DEL releases at once, UNLINK
leaves it to another thread. Here is one thread, so what is large is buried, and each turn of the loop releases a little
(`work`), one after the other, until nothing is left; a loop without requests goes on turning for it.

    DEL, SET over it, expiry, eviction     buried if it has more than LARGE elements: at most a turn is lost on it
    UNLINK, lazyfree-lazy-*                buried if Redis would leave it to its thread
    FLUSHALL, FLUSHDB                      the whole database is buried

For everybody else what is buried is gone: not in any database, not counted in `used_memory`. Only the process is still
as large as before, for the few turns that it takes.

**What real Redis does differently.** There, `used_memory` falls only as the thread gets on, and eviction must wait for
it. `lazyfree_pending_objects` and `lazyfreed_objects` mean the same in both; here they also tell of large values that
were deleted without being unlinked.

Each step is measured in elements, not in time, so that the same input is the same work: determinism.

Invariant: `pending` is the number of buried values that are not released yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from mini_redis.keyspace.memory import LAYOUTS, Container
from mini_redis.keyspace.types import Value
from mini_redis.structures.deadlines import Deadlines
from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.piecemeal import STEP, dismantle

LARGE: Final = 8_192
"""Elements that are released in about a millisecond."""
WORTHWHILE: Final = 64
"""Allocations that Redis would rather leave to its thread."""
A_TURN: Final = 8_192
"""Elements released in a turn of the loop."""


class Graveyard:
    """What one keyspace has deleted and still holds."""

    __slots__ = ("freed", "pending", "remains")

    def __init__(self) -> None:
        self.remains: deque[Iterator[int]] = deque()
        """What is still to be taken apart: while there is any, `work` has something to do."""
        self.pending = 0
        self.freed = 0
        """How many values were released here since the start, or CONFIG RESETSTAT."""

    def take(self, value: Any, lazily: bool = False) -> None:
        """`value` is not used any more: bury it if it is large, or `lazily` if Redis would. O(1)."""
        if type(value) not in LAYOUTS:
            return
        layout = LAYOUTS[type(value)]
        if layout.parts(value) > LARGE or (lazily and layout.effort(value) > WORTHWHILE):
            self.pending += 1
            self.remains.append(self._release(value))

    def take_database(
        self, data: IndexedDict[Value], expires: IndexedDict[int], deadlines: Deadlines, clocks: dict[bytes, int] | None
    ) -> None:
        """Bury a whole database. O(1)."""
        self.pending += len(data)
        self.remains.append(self._release_database(data, expires, deadlines, clocks))

    def work(self, elements: int = A_TURN) -> None:
        """Release about so many elements, the first buried first."""
        while self.remains and elements > 0:
            done = next(self.remains[0], None)
            if done is None:
                self.remains.popleft()
            else:
                elements -= done

    def _release(self, value: Container) -> Iterator[int]:
        yield from value.dismantle()
        self.pending -= 1
        self.freed += 1

    def _release_database(
        self, data: IndexedDict[Value], expires: IndexedDict[int], deadlines: Deadlines, clocks: dict[bytes, int] | None
    ) -> Iterator[int]:
        for values in data.drain():
            size = len(values) or STEP
            yield from self._release_containers([value for value in values if type(value) in LAYOUTS])
            self.pending -= len(values)
            self.freed += len(values)
            del values
            yield size
        yield from expires.dismantle()
        yield from deadlines.dismantle()
        if clocks is not None:
            yield from dismantle(clocks)

    def _release_containers(self, values: list[Any]) -> Iterator[int]:
        """Take apart one after the other, so that many of middle size are not released at once."""
        done = 0
        while values:
            for count in values.pop().dismantle():
                done += count
                if done >= STEP:
                    yield done
                    done = 0
