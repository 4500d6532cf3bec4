"""A hash: fields with values, small in one piece, large in a table; fields may have times to live.

Question it answers: what does `HSET user:1 name ana` cost beside `SET user:1:name ana`? Very little while the hash is
small, for then Redis keeps it in one listpack (see listpack.py): field, value, field, value, one after another. Such a
hash has an order, that in which the fields came, and looking for a field means walking; so there are limits,
`hash-max-listpack-entries` and `-value`, and beyond them it becomes a hash table for good.

We hold a plain dict while it is small, which keeps that order, and an IndexedDict once it is large, which has none but
can be scanned and sampled. Either way a lookup is O(1).

A field with a TTL stays until somebody deletes it: `live` leaves out those whose time is past. The first TTL makes a
listpack a `listpackex`, for good: each field is then followed by its time as well, and they stand in the order of their
times, those without one last, so that what is to go is found at the front.

Invariants (`check`):

    (1) `payload` is the sum of the lengths of fields and values;
    (2) a `hashtable` is an IndexedDict, the other encodings are dicts;
    (3) only fields have deadlines, and no `listpack` has any;
    (4) the order of a `listpackex` is that of its deadlines.

Redis's table keeps field and TTL in one allocation; here they are two structures, and a field without TTL is in one of
them only. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from mini_redis.structures.deadlines import Deadlines
from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.piecemeal import dismantle

LISTPACK: Final = b"listpack"
LISTPACK_EX: Final = b"listpackex"
HASHTABLE: Final = b"hashtable"
Fields: TypeAlias = dict[bytes, bytes] | IndexedDict[bytes]

NEVER: Final = 1 << 63
"""Later than any time to live."""


class Hash:
    """The value of a hash key."""

    __slots__ = ("accounted", "deadlines", "encoding", "fields", "payload")

    def __init__(self) -> None:
        self.fields: Fields = {}
        self.encoding = LISTPACK
        self.deadlines: Deadlines | None = None
        self.payload = 0
        self.accounted = 0

    def __len__(self) -> int:
        return len(self.fields)

    def set(self, field: bytes, value: bytes, keep_ttl: bool = False) -> bool:
        """Bind a field; whether it is new. A TTL that it had goes, unless `keep_ttl`. O(1)."""
        if self.deadlines is not None and not keep_ttl:
            self.persist(field)
        fields = self.fields
        if self.encoding is HASHTABLE:
            before = fields.put(field, value)  # type: ignore[union-attr]
        else:
            before = fields.get(field)
            fields[field] = value
        if before is None:
            self.payload += len(field) + len(value)
            return True
        self.payload += len(value) - len(before)
        return False

    def delete(self, field: bytes) -> bool:
        """Remove a field; whether it was there. O(1)."""
        value = self.fields.pop(field, None)
        if value is None:
            return False
        if self.deadlines is not None:
            self.deadlines.discard(field)
        self.payload -= len(field) + len(value)
        return True

    def become_table(self) -> None:
        """Change the encoding; there is no way back. O(n)."""
        if self.encoding is not HASHTABLE:
            table: IndexedDict[bytes] = IndexedDict()
            for field, value in self.fields.items():
                table[field] = value
            self.fields = table
            self.encoding = HASHTABLE

    # --- Times to live -----------------------------------------------------------------------------------------------

    def expire_at(self, field: bytes) -> int | None:
        """The unix time in ms at which a field is over, None if it has no TTL. O(1)."""
        return None if self.deadlines is None else self.deadlines.at.get(field)

    def set_expire_at(self, field: bytes, at_ms: int) -> None:
        """Give a field that is there a time. O(log n), O(n) while the hash is small."""
        assert field in self.fields, "a TTL needs a field"
        self.make_room_for_times().set(field, at_ms)
        if self.encoding is LISTPACK_EX:
            self._move(field, at_ms)

    def make_room_for_times(self) -> Deadlines:
        """Some fields may get a TTL. O(1)."""
        if self.encoding is LISTPACK:
            self.encoding = LISTPACK_EX
        if self.deadlines is None:
            self.deadlines = Deadlines()
        return self.deadlines

    def persist(self, field: bytes) -> bool:
        """Take a field's TTL away; whether it had one. O(log n)."""
        if self.deadlines is None or not self.deadlines.discard(field):
            return False
        if self.encoding is LISTPACK_EX:
            self.fields[field] = self.fields.pop(field)  # type: ignore[assignment]
        return True

    def is_past(self, field: bytes, now_ms: int) -> bool:
        """Whether a field's time was before now. O(1)."""
        return self.deadlines is not None and self.deadlines.at.get(field, now_ms) < now_ms

    def past(self, now_ms: int) -> list[bytes]:
        """The fields whose time was before now, the soonest first. O(1) if there are none."""
        return [] if self.deadlines is None else self.deadlines.past(now_ms)

    def live(self, now_ms: int) -> Fields:
        """The fields with their values without those that are past, in their order. O(1), O(n) if some are."""
        past = set(self.past(now_ms))
        return {field: self.fields[field] for field in self.fields if field not in past} if past else self.fields

    def _move(self, field: bytes, at_ms: int) -> None:
        """Let a field stand behind those that are over before, and so in front of those that are over by then."""
        assert self.deadlines is not None
        value = self.fields.pop(field)
        assert value is not None
        times = self.deadlines.at
        reordered: dict[bytes, bytes] = {}
        for other, content in self.fields.items():
            if field not in reordered and times.get(other, NEVER) >= at_ms:
                reordered[field] = value
            reordered[other] = content
        reordered.setdefault(field, value)
        self.fields = reordered

    def copy(self) -> Hash:
        """A hash that shares nothing that can change. O(n)."""
        twin = Hash()
        if self.encoding is HASHTABLE:
            twin.become_table()
        for field, value in self.fields.items():
            twin.fields[field] = value
        twin.payload = self.payload
        twin.encoding = self.encoding
        twin.deadlines = None if self.deadlines is None else self.deadlines.copy()
        return twin

    def dismantle(self) -> Iterator[int]:
        """Let go of all fields, step by step. O(n)."""
        yield from dismantle(self.fields)
        if self.deadlines is not None:
            yield from self.deadlines.dismantle()

    def check(self) -> None:
        """Assert the invariants. O(n)."""
        assert self.payload == sum(len(field) + len(value) for field, value in self.fields.items()), "(1) payload"
        assert isinstance(self.fields, dict) == (self.encoding is not HASHTABLE), "(2) the encoding tells the structure"
        if self.deadlines is not None:
            self.deadlines.check()
            assert all(field in self.fields for field in self.deadlines), "(3) a deadline of no field"
            assert self.encoding is not LISTPACK, "(3) a listpack has no room for deadlines"
        if self.encoding is LISTPACK_EX:
            assert self.deadlines is not None
            times = [self.deadlines.at.get(field, NEVER) for field in self.fields]
            assert times == sorted(times), "(4) fields are not in the order of their times"
