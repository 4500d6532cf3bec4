"""A sorted set: members with scores, ordered by score, and by member where scores are equal.

Question it answers: what is the rank of one player among a million, while scores change all the time? Two structures
hold the same pairs, each answering what the other cannot:

    scores   IndexedDict member -> score          "what is the score of ...", O(1)
    order    SortedList of (score, member)        "who is on place ...", "how many are below ...", O(log n)

Redis's second structure is a skip list, whose links know how many members they leap over; ours is a list of lists
(sortedcontainers), which keeps the lengths of its parts. While it is small, Redis keeps all in one listpack in order,
and so reports `listpack` until a limit is passed, `zset-max-listpack-entries` or `-value`; then `skiplist`, for good.

A range of anything is a range of ranks: `rank_of_score` and `rank_of_text` turn a bound into the number of members
before it, and everything else is slicing.

Invariants (`check`):

    (1) both structures hold the same pairs;
    (2) no score is NaN; and as long as all is one listpack, none is -0;
    (3) `payload` is the sum of the lengths of the members.

Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import copysign, inf, nextafter
from typing import Final

from sortedcontainers import SortedList

from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.piecemeal import piecemeal

LISTPACK: Final = b"listpack"
SKIPLIST: Final = b"skiplist"

Pair = tuple[float, bytes]


class SortedSet:
    """The value of a sorted set key."""

    __slots__ = ("accounted", "encoding", "order", "payload", "scores")

    def __init__(self) -> None:
        self.scores: IndexedDict[float] = IndexedDict()
        self.order: SortedList[Pair] = SortedList()
        self.encoding = LISTPACK
        self.payload = 0
        self.accounted = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Pair]:
        """Pairs of score and member, lowest first."""
        return iter(self.order)

    def set(self, member: bytes, score: float) -> bool:
        """Give a member its score; whether it is new. O(log n)."""
        if self.encoding is LISTPACK:
            score += 0.0  # a listpack has no -0
        before = self.scores.get(member)
        self.scores[member] = score
        if before is None:
            self.order.add((score, member))
            self.payload += len(member)
            return True
        if before != score:
            self.order.remove((before, member))
            self.order.add((score, member))
        return False

    def delete(self, member: bytes) -> bool:
        """Remove a member; whether it was there. O(log n)."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        self.order.remove((score, member))
        self.payload -= len(member)
        return True

    def rank(self, member: bytes) -> int | None:
        """How many members are before it; None if it is not there. O(log n)."""
        score = self.scores.get(member)
        return None if score is None else self.order.index((score, member))

    def slice(self, start: int, stop: int, *, reverse: bool = False) -> list[Pair]:
        """The pairs of ranks start..stop - 1, or backwards. O(log n + stop - start)."""
        pairs: list[Pair] = self.order[start:stop]
        if reverse:
            pairs.reverse()
        return pairs

    def delete_slice(self, start: int, stop: int) -> int:
        """Remove the members of ranks start..stop - 1; how many there were. O(log n + stop - start)."""
        gone = self.slice(start, stop)
        del self.order[start:stop]
        for _, member in gone:
            del self.scores[member]
            self.payload -= len(member)
        return len(gone)

    def rank_of_score(self, score: float, *, after: bool) -> int:
        """How many members have a lower score; with `after`, or the same one. O(log n)."""
        if after and score == inf:
            return len(self.order)
        bound = nextafter(score, inf) if after else score
        return int(self.order.bisect_left((bound,)))  # sorts before (bound, b"")

    def rank_of_text(self, text: bytes, *, after: bool) -> int:
        """How many members are smaller as texts; with `after`, or equal. All have the same score. O(log n)."""
        if not self.order:
            return 0
        key = (self.order[0][0], text)
        return int(self.order.bisect_right(key) if after else self.order.bisect_left(key))

    def become_skiplist(self) -> None:
        """Change the encoding; there is no way back. O(1)."""
        self.encoding = SKIPLIST

    def copy(self) -> SortedSet:
        """A sorted set that shares nothing that can change. O(n log n)."""
        twin = SortedSet()
        for score, member in self.order:
            twin.scores[member] = score
        twin.order = SortedList(self.order)
        twin.payload, twin.encoding = self.payload, self.encoding
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all members, step by step. O(n)."""
        yield from piecemeal(len(self.order), self.order.pop, weight=2)
        yield from self.scores.dismantle()

    def check(self) -> None:
        """Assert the invariants. O(n log n)."""
        self.scores.check()
        pairs = sorted((score, member) for member, score in self.scores.items())
        assert pairs == list(self.order), "(1) both hold the same pairs"
        assert all(score == score for score, _ in self.order), "(2) no score is NaN"
        if self.encoding is LISTPACK:
            assert all(copysign(1.0, score) > 0 for score in self.scores.values() if not score), "(2) no score is -0"
        assert self.payload == sum(map(len, self.scores)), "(3) payload follows the members"
