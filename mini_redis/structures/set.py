"""A set: members without order, in one of three shapes.

Question it answers: what does a set of a thousand user ids cost? If all are integers, eight bytes each or fewer: Redis
keeps them as a sorted array, and finds one by bisection. Small sets of anything are a listpack, and the rest a hash
table:

    intset      integers only, `set-max-intset-entries` at most      ascending
    listpack    `set-max-listpack-entries` and `-value` at most       in the order in which they came
    hashtable   anything                                              no order

A set only ever moves down in this table. The orders are visible (SMEMBERS), so we keep them: a sorted list of numbers,
a dict, and an IndexedDict, which can be scanned and sampled.

Invariants (`check`):

    (1) `payload` is the sum of the lengths of the members;
    (2) the encoding tells the shape: an `intset` has numbers only, a `hashtable` is an IndexedDict;
    (3) the numbers of an intset ascend.

An intset of Redis chooses 2, 4 or 8 bytes for all its numbers by the largest of them; a Python list does not care, so
that only its serialised length tells. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from random import Random
from typing import Final

from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.intset import NARROWEST, width_of
from mini_redis.structures.numbers import parse_integer
from mini_redis.structures.piecemeal import dismantle, piecemeal

INTSET: Final = b"intset"
LISTPACK: Final = b"listpack"
HASHTABLE: Final = b"hashtable"


class Set:
    """The value of a set key. Begins as an intset."""

    __slots__ = ("accounted", "encoding", "members", "numbers", "payload", "width")

    def __init__(self) -> None:
        self.numbers: list[int] = []  # of an intset
        self.width = NARROWEST  # bytes a number, of an intset: what the largest needs that it ever had
        self.members: dict[bytes, None] | IndexedDict[bool] = {}  # of anything else
        self.encoding = INTSET
        self.payload = 0
        self.accounted = 0

    def __len__(self) -> int:
        return len(self.numbers) if self.encoding is INTSET else len(self.members)

    def __iter__(self) -> Iterator[bytes]:
        if self.encoding is INTSET:
            return (b"%d" % number for number in self.numbers)
        return iter(self.members)

    def __contains__(self, member: bytes) -> bool:
        if self.encoding is not INTSET:
            return member in self.members
        number = parse_integer(member)
        if number is None:
            return False
        at = bisect_left(self.numbers, number)
        return at < len(self.numbers) and self.numbers[at] == number

    def add(self, member: bytes) -> bool:
        """Add a member that fits the encoding; whether it is new. O(1), O(n) for an intset."""
        if self.encoding is HASHTABLE:
            if self.members.put(member, True):  # type: ignore[union-attr]
                return False
        elif self.encoding is INTSET:
            number = parse_integer(member)
            assert number is not None, "an intset holds integers"
            if member in self:
                return False
            insort(self.numbers, number)
            if not -(1 << 15) <= number < 1 << 15:
                self.width = max(self.width, width_of(number))
        elif member in self.members:
            return False
        else:
            self.members[member] = None  # type: ignore[assignment]
        self.payload += len(member)
        return True

    def discard(self, member: bytes) -> bool:
        """Remove a member; whether it was there. O(1), O(n) for an intset."""
        if member not in self:
            return False
        if self.encoding is INTSET:
            del self.numbers[bisect_left(self.numbers, int(member))]
        else:
            del self.members[member]
        self.payload -= len(member)
        return True

    def become_listpack(self) -> None:
        """From an intset. O(n)."""
        assert self.encoding is INTSET
        self.members = dict.fromkeys(self)
        self.numbers = []
        self.encoding = LISTPACK

    def become_table(self) -> None:
        """From anything smaller; there is no way back. O(n)."""
        if self.encoding is not HASHTABLE:
            table: IndexedDict[bool] = IndexedDict()
            for member in self:
                table[member] = True
            self.members = table
            self.numbers = []
            self.encoding = HASHTABLE

    def random(self, rng: Random) -> bytes:
        """Any member, all equally likely. O(1), O(n) for a listpack."""
        if self.encoding is INTSET:
            return b"%d" % rng.choice(self.numbers)
        if isinstance(self.members, dict):
            return rng.choice(list(self.members))
        return self.members.random_key(rng)

    def pop_random(self, rng: Random) -> bytes:
        """Remove any member, all equally likely. O(1), O(n) for an intset or a listpack."""
        if self.encoding is not HASHTABLE:
            member = self.random(rng)
            self.discard(member)
            return member
        member, _ = self.members.pop_random(rng)  # type: ignore[union-attr]
        self.payload -= len(member)
        return member

    def sample(self, rng: Random, count: int) -> list[bytes]:
        """So many different members, or all. O(n), or O(count) where few of many are wanted."""
        if isinstance(self.members, IndexedDict):
            return self.members.sample(rng, count)
        return rng.sample(list(self), count) if count < len(self) else list(self)

    def copy(self) -> Set:
        """A set that shares nothing that can change. O(n)."""
        twin = Set()
        twin.payload, twin.encoding = self.payload, self.encoding
        twin.numbers, twin.width = list(self.numbers), self.width
        twin.members = dict.fromkeys(self.members) if isinstance(self.members, dict) else IndexedDict()
        if isinstance(twin.members, IndexedDict):
            for member in self.members:
                twin.members[member] = True
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all members, step by step. O(n)."""
        yield from piecemeal(len(self.numbers), self.numbers.pop)
        yield from dismantle(self.members)

    def check(self) -> None:
        """Assert the invariants. O(n)."""
        assert self.payload == sum(map(len, self)), "(1) payload follows the members"
        assert self.numbers == sorted(set(self.numbers)), "(3) an intset ascends"
        assert all(width_of(number) <= self.width for number in self.numbers), "(3) every number has room"
        assert not (self.numbers and self.encoding is not INTSET), "(2) numbers belong to an intset"
        assert isinstance(self.members, IndexedDict) == (self.encoding is HASHTABLE), "(2) the encoding tells the shape"
