"""A sorted set: members with scores, ordered by score, and by member where scores are equal.

Question it answers: what is the rank of one player among a million, while scores change all the time? Two structures
hold the same pairs, each answering what the other cannot:

    scores   IndexedDict member -> score    "what is the score of ...", O(1)
    order    SortedList of places           "who is on place ...", "how many are below ...", O(log n)

Redis's second structure is a skip list, whose links know how many members they leap over; ours is a list of lists
(sortedcontainers), which keeps the lengths of its parts. While it is small, Redis keeps all in one listpack in order,
and so reports `listpack` until a limit is passed, `zset-max-listpack-entries` or `-value`; then `skiplist`, for good.

**A place is one text**: eight bytes for the score, then the member. Texts are compared byte by byte, and IEEE 754 has
seen to it that doubles nearly can be, too: of two positive numbers the greater has the greater bytes. A sign bit in
front of that would put the negative numbers last and upside down; so it is turned round, and of a negative number so
is every other bit (`_ordered`). Finding a place in a hundred thousand then takes half the time that it takes among
tuples of a float and a member, which are three objects each, and which the garbage collector must visit besides.

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
from operator import itemgetter
from struct import Struct
from typing import Final

from sortedcontainers import SortedList

from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.piecemeal import piecemeal

LISTPACK: Final = b"listpack"
SKIPLIST: Final = b"skiplist"
SCORE_BYTES: Final = 8
TURNED_ROUND: Final = bytes(255 - byte for byte in range(256))

Pair = tuple[float, bytes]
_member: Final = itemgetter(slice(SCORE_BYTES, None))  # of a place
_big_endian: Final = Struct(">d").pack


def _ordered(score: float) -> bytes:
    """The score as bytes that compare as scores do; -0 is 0. O(1)."""
    return _big_endian(-score if score else -0.0) if score >= 0 else _big_endian(score).translate(TURNED_ROUND)


class Places(SortedList):  # type: ignore[misc]  # the library is not typed
    """Shorter parts than usual: most of what a new place costs is making room for it within its part."""

    DEFAULT_LOAD_FACTOR = 250


class SortedSet:
    """The value of a sorted set key."""

    __slots__ = ("accounted", "encoding", "order", "payload", "scores")

    def __init__(self) -> None:
        self.scores: IndexedDict[float] = IndexedDict()
        self.order = Places()
        self.encoding = LISTPACK
        self.payload = 0
        self.accounted = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Pair]:
        """Pairs of score and member, lowest first."""
        return ((self.scores[place[SCORE_BYTES:]], place[SCORE_BYTES:]) for place in self.order)

    def set(self, member: bytes, score: float) -> float | None:
        """Give a member its score; the one that it had, None if it is new. O(log n)."""
        if self.encoding is LISTPACK:
            score += 0.0  # a listpack has no -0
        before = self.scores.put(member, score)
        if before is None:
            self.order.add(_ordered(score) + member)
            self.payload += len(member)
        elif before != score:
            self.order.remove(_ordered(before) + member)
            self.order.add(_ordered(score) + member)
        return before

    def delete(self, member: bytes) -> bool:
        """Remove a member; whether it was there. O(log n)."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        self.order.remove(_ordered(score) + member)
        self.payload -= len(member)
        return True

    def rank(self, member: bytes) -> int | None:
        """How many members are before it; None if it is not there. O(log n)."""
        score = self.scores.get(member)
        return None if score is None else self.order.index(_ordered(score) + member)

    def members(self, start: int, stop: int, *, reverse: bool = False) -> list[bytes]:
        """The members of ranks start..stop - 1, or backwards. O(log n + stop - start)."""
        members = list(map(_member, self.order[start:stop]))
        if reverse:
            members.reverse()
        return members

    def slice(self, start: int, stop: int, *, reverse: bool = False) -> list[Pair]:
        """As `members`, with their scores. O(log n + stop - start)."""
        members = self.members(start, stop, reverse=reverse)
        return list(zip(map(self.scores.__getitem__, members), members, strict=True))

    def delete_slice(self, start: int, stop: int) -> int:
        """Remove the members of ranks start..stop - 1; how many there were. O(log n + stop - start)."""
        gone = self.members(start, stop)
        del self.order[start:stop]
        for member in gone:
            del self.scores[member]
            self.payload -= len(member)
        return len(gone)

    def rank_of_score(self, score: float, *, after: bool) -> int:
        """How many members have a lower score; with `after`, or the same one. O(log n)."""
        if after and score == inf:
            return len(self.order)
        return int(self.order.bisect_left(_ordered(nextafter(score, inf) if after else score)))

    def rank_of_text(self, text: bytes, *, after: bool) -> int:
        """How many members are smaller as texts; with `after`, or equal. All have the same score. O(log n)."""
        if not self.order:
            return 0
        place = self.order[0][:SCORE_BYTES] + text
        return int(self.order.bisect_right(place) if after else self.order.bisect_left(place))

    def has_one_score(self) -> bool:
        """Whether all members have the same. O(1)."""
        return not self.order or self.order[0][:SCORE_BYTES] == self.order[-1][:SCORE_BYTES]

    @property
    def highest(self) -> float:
        """The highest score; there must be one. O(1)."""
        return self.scores[self.order[-1][SCORE_BYTES:]]

    def become_skiplist(self) -> None:
        """Change the encoding; there is no way back. O(1)."""
        self.encoding = SKIPLIST

    def copy(self) -> SortedSet:
        """A sorted set that shares nothing that can change. O(n log n)."""
        twin = SortedSet()
        for score, member in self:
            twin.scores[member] = score
        twin.order = Places(self.order)
        twin.payload, twin.encoding = self.payload, self.encoding
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all members, step by step. O(n)."""
        yield from piecemeal(len(self.order), self.order.pop, weight=2)
        yield from self.scores.dismantle()

    def check(self) -> None:
        """Assert the invariants. O(n log n)."""
        self.scores.check()
        assert all(score == score for score in self.scores.values()), "(2) no score is NaN"
        pairs = sorted((score, member) for member, score in self.scores.items())
        places = [_ordered(score) + member for score, member in pairs]
        assert places == list(self.order), "(1) both hold the same pairs"
        if self.encoding is LISTPACK:
            assert all(copysign(1.0, score) > 0 for score in self.scores.values() if not score), "(2) no score is -0"
        assert self.payload == sum(map(len, self.scores)), "(3) payload follows the members"
