"""Deadlines: names with the time at which each is over, the soonest first.

Question it answers: whose time is up? A dict knows when a name ends, but not which name ends first; a sorted list knows
that, but not where a name stands in it. Kept together they answer both, and changing a deadline costs O(log n).

Keys with a TTL do without (see keyspace/active_expire.py): they are found by looking around. Fields of hashes cannot be
found that way, for nobody wants to look into every hash. So each hash that has fields with a TTL holds the deadlines of
those, and each database holds the deadlines of such hashes: the soonest of each. (Redis uses a bucketed radix tree for
both, "ebuckets"; the questions are the same.)

Invariant (`check`): the sorted list holds exactly the pairs of the dict.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedList

from mini_redis.structures.piecemeal import dismantle, piecemeal


class Deadlines:
    """Names with unix times in ms."""

    __slots__ = ("at", "_order")

    def __init__(self) -> None:
        self.at: dict[bytes, int] = {}
        self._order: SortedList[tuple[int, bytes]] = SortedList()

    def __len__(self) -> int:
        return len(self.at)

    def __iter__(self) -> Iterator[bytes]:
        """The names, the soonest first."""
        return (name for _, name in self._order)

    def set(self, name: bytes, at_ms: int) -> None:
        """Give a name its time, or another one. O(log n)."""
        self.discard(name)
        self.at[name] = at_ms
        self._order.add((at_ms, name))

    def discard(self, name: bytes) -> bool:
        """Forget a name; whether it had a time. O(log n)."""
        at_ms = self.at.pop(name, None)
        if at_ms is None:
            return False
        self._order.remove((at_ms, name))
        return True

    @property
    def soonest(self) -> int | None:
        """The first time of all, None if there is none. O(1)."""
        return self._order[0][0] if self.at else None

    def past(self, now_ms: int, at_most: int | None = None) -> list[bytes]:
        """Those whose time was before now, the soonest first. O(log n + their number)."""
        until = self._order.bisect_left((now_ms, b""))
        return [name for _, name in self._order[: until if at_most is None else min(until, at_most)]]

    def copy(self) -> Deadlines:
        """The same, sharing nothing. O(n log n)."""
        twin = Deadlines()
        twin.at = dict(self.at)
        twin._order = SortedList(self._order)
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all names, step by step. O(n)."""
        yield from piecemeal(len(self._order), self._order.pop, weight=2)
        yield from dismantle(self.at)

    def check(self) -> None:
        """Assert the invariant. O(n log n)."""
        assert sorted((at_ms, name) for name, at_ms in self.at.items()) == list(self._order)
