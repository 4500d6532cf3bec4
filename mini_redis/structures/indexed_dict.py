"""IndexedDict: a dict that can also name a random member and continue a scan.

Question it answers: how can SCAN keep no state in the server, survive inserts and deletes between its calls, and
still promise that whatever was present throughout is returned?

Redis gets this from its hash table: the cursor is a bucket number whose *reversed* bits are counted up, so that a
table which doubles or halves between two calls is still covered. A Python dict shows no buckets, so we keep, beside
the dict, the list of its keys:

    tables  key -> value     one dict, or SHARDS of them once there are many keys (see below)
    slots   [key, key, ...]  every key once; a position in it is a SCAN cursor
    stale   {key: None}      deleted keys whose slot has not been reused yet (sharded like the tables)

A new key is appended to `slots`. A deleted key leaves its slot behind, stale; if it comes back before the slot was
reused, the slot is simply live again. No key knows its position, which is what makes this cheap: instead, each
deletion moves a *sweeping hand* a few slots on, and a stale slot under the hand is filled with the key popped from
the end. Therefore

    (1) a key only ever moves to a lower position;
    (2) every key of the dict stands in exactly one slot, and every slot holds a key of the dict or of `stale`.

A scan walks from the end towards 0. By (1) a key that it has not reached yet stays in front of it, so what is present
throughout is returned at least once: SCAN's guarantee. By (2) drawing slots until a live one turns up is a uniform
sample, and the hand's pace bounds the share of stale slots, so few draws are wasted.

**Growing without a pause.** Python's dict grows all at once: at 700 thousand keys the one unlucky insert waits 40 ms,
at 3 million 170 ms. Redis spreads the work over later commands (incremental rehashing); we spread it over space: past
`SPLIT_AT` keys the dict is split into `SHARDS` dicts chosen by hash, each of which grows on its own at its own moment.
One lookup costs about 60 ns more, and only then. The largest remaining step is the split itself, once, at a size where
it takes a millisecond or two. Nobody outside this file can tell.

Iteration follows `slots`, never the shards: Python's hash of bytes differs between processes, and a node that is given
the same input twice must answer the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Generic, Protocol, TypeVar, cast, overload

from mini_redis.structures.piecemeal import STEP

V = TypeVar("V")
D = TypeVar("D")

SHARDS = 256  # a power of two: the low bits of the hash choose
SPARSE = 256  # bytes an entry: a dict that has just grown takes at most 100


class Getter(Protocol[V]):
    """The type of `dict.get`."""

    @overload
    def __call__(self, key: bytes, /) -> V | None: ...
    @overload
    def __call__(self, key: bytes, default: V, /) -> V: ...


class IndexedDict(Generic[V]):
    """A mapping from bytes to V with uniform random choice and stateless, restartable scans.

    get, set, delete, `in`: O(1). `random_key`: O(1) expected. `scan`: O(count). Iteration must not be interleaved
    with insertions and deletions (take `list(d)`), except through `scan`, whose very purpose that is.
    """

    SPLIT_AT = 8_192  # keys; tests lower it to make the split happen among ten
    SWEEP = 4  # slots the hand moves for each deletion

    __slots__ = ("_hand", "_slots", "_stale", "_stale_count", "_tables", "get", "split_at")

    get: Getter[V]
    """`get(key, default=None)`: the dict's own method while there is one dict, so that the hottest call of the whole
    server is a single C function."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything. O(n), as the keys are released."""
        self._tables: list[dict[bytes, V]] = [{}]
        self._stale: list[dict[bytes, None]] = [{}]
        self._stale_count = 0
        self._slots: list[bytes] = []
        self._hand = 0
        self.split_at = self.SPLIT_AT
        self.get = self._tables[0].get

    # --- A mapping ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._slots) - self._stale_count

    @property
    def slots(self) -> int:
        """How many slots `scan` walks over, stale ones included. O(1)."""
        return len(self._slots)

    def __contains__(self, key: object) -> bool:
        tables = self._tables
        return key in tables[hash(key) & (len(tables) - 1)]

    def __getitem__(self, key: bytes) -> V:
        tables = self._tables
        return tables[hash(key) & (len(tables) - 1)][key]

    def __setitem__(self, key: bytes, value: V) -> None:
        tables = self._tables
        shard = hash(key) & (len(tables) - 1)
        table = tables[shard]
        if key in table:
            table[key] = value
            return
        table[key] = value
        if key in self._stale[shard]:
            del self._stale[shard][key]
            self._stale_count -= 1
            return
        self._slots.append(key)
        if len(self._slots) > self.split_at and len(tables) == 1:
            self._split()

    def put(self, key: bytes, value: V) -> V | None:
        """Bind `key` as `d[key] = value` does, and return what it was bound to before, None if it is new. O(1).

        Only where no value is None. It costs no more than binding without asking.
        """
        tables = self._tables
        shard = hash(key) & (len(tables) - 1)
        table = tables[shard]
        before = table.get(key)
        table[key] = value
        if before is not None:
            return before
        if key in self._stale[shard]:
            del self._stale[shard][key]
            self._stale_count -= 1
            return None
        self._slots.append(key)
        if len(self._slots) > self.split_at and len(tables) == 1:
            self._split()
        return None

    def __delitem__(self, key: bytes) -> None:
        tables = self._tables
        shard = hash(key) & (len(tables) - 1)
        table = tables[shard]
        del table[key]
        self._vacate(key, shard)

    def _vacate(self, key: bytes, shard: int) -> None:
        """A key is gone from its table: let go of its slot."""
        left = len(self._tables[shard])
        if not left & (left - 1):
            self._shrink(shard)
        if self._slots[-1] == key:
            self._slots.pop()
        else:
            self._stale[shard][key] = None
            self._stale_count += 1
        if self._stale_count:
            self._sweep()

    @overload
    def pop(self, key: bytes) -> V | None: ...
    @overload
    def pop(self, key: bytes, default: D) -> V | D: ...
    def pop(self, key: bytes, default: object = None) -> object:
        """Remove `key` and return its value, or `default`. O(1)."""
        tables = self._tables
        shard = hash(key) & (len(tables) - 1)
        table = tables[shard]
        if key not in table:
            return default
        value = table.pop(key)
        self._vacate(key, shard)
        return value

    def drain(self) -> Iterator[list[V]]:
        """Give all values away, some at a time, and let go of the keys: see piecemeal.py. O(n).

        Nobody may use the dict from then on. The last pieces are empty lists: there, only keys went.
        """
        for table in self._tables:
            while len(table) > STEP:
                yield [table.popitem()[1] for _ in range(STEP)]
            values = list(table.values())
            table.clear()
            yield values
        while self._slots:
            del self._slots[-STEP:]
            yield []

    def dismantle(self) -> Iterator[int]:
        """Let go of all entries, step by step. O(n)."""
        for values in self.drain():
            count = len(values)
            del values
            yield count or STEP

    def __iter__(self) -> Iterator[bytes]:
        if not self._stale_count:
            return iter(self._slots)
        return filter(self.__contains__, self._slots)

    def items(self) -> Iterator[tuple[bytes, V]]:
        """All pairs, in an order that does not depend on hashing. O(n)."""
        return ((key, self[key]) for key in self)

    def values(self) -> Iterator[V]:
        """All values, in the order of `items`. O(n)."""
        return (self[key] for key in self)

    # --- What a dict cannot do ---------------------------------------------------------------------------------------

    def random_key(self, rng: Random) -> bytes:
        """A uniformly chosen key; the dict must not be empty. O(1) expected."""
        return self._slots[self._random_slot(rng)]

    def sample(self, rng: Random, count: int) -> list[bytes]:
        """So many different keys, or all. O(count) expected, and O(n) where a third of them is wanted."""
        if count >= len(self):
            return list(self)
        if count * 3 > len(self):
            return rng.sample(list(self), count)
        chosen: dict[bytes, None] = {}
        while len(chosen) < count:
            chosen[self.random_key(rng)] = None
        return list(chosen)

    def pop_random(self, rng: Random) -> tuple[bytes, V]:
        """Remove a uniformly chosen key; the dict must not be empty. O(1) expected.

        Here the slot is known, so the last one's key fills it at once and nothing becomes stale.
        """
        slots, tables = self._slots, self._tables
        slot = self._random_slot(rng)
        key = slots[slot]
        shard = hash(key) & (len(tables) - 1)
        value = tables[shard].pop(key)
        left = len(tables[shard])
        if not left & (left - 1):
            self._shrink(shard)
        last = slots.pop()
        if slot < len(slots):
            slots[slot] = last
        if self._stale_count:
            self._sweep()
        return key, value

    def _random_slot(self, rng: Random) -> int:
        """A live one."""
        slots, tables = self._slots, self._tables
        assert len(slots) > self._stale_count, "a random key of an empty IndexedDict"
        while True:
            slot = int(rng.random() * len(slots))
            key = slots[slot]
            if key in tables[hash(key) & (len(tables) - 1)]:
                return slot

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Walk over `count` slots from `cursor`; the next cursor and the keys found there.

        `cursor` 0 starts a scan, and a returned cursor of 0 ends it. Any integer is accepted: one that this dict never
        gave out only means that the walk starts somewhere else. O(count). As with Redis, fewer or no keys may come
        back from a call although the scan has not ended.
        """
        slots = self._slots
        end = len(slots) if cursor <= 0 else min(cursor, len(slots))
        start = max(0, end - count)
        keys = slots[start:end]
        if self._stale_count:
            keys = [key for key in keys if key in self]
        keys.reverse()
        return start, keys

    # --- The hand and the split --------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Take SWEEP steps. In each, the hand passes a live slot, or the last slot is cut off and its key, unless it is
        stale as well, fills the hand's stale slot: a step costs the same however many stale slots lie in a row."""
        slots, stale = self._slots, self._stale
        last_shard = len(stale) - 1
        hand = self._hand
        for _ in range(self.SWEEP):
            if hand >= len(slots):
                hand = 0
            key = slots[hand]
            if key in stale[hash(key) & last_shard]:
                last = slots.pop()
                if last in stale[hash(last) & last_shard]:
                    self._forget(last)
                    if not slots:
                        self.clear()
                        return
                    continue
                self._forget(key)
                slots[hand] = last
            hand += 1
        self._hand = hand

    def _shrink(self, shard: int) -> None:
        """A dict keeps the room it once needed, so put what is left into another. Asked at every power of two.

        Where all are emptied, memory goes back on the way, and not that of all dicts at the end of it.
        """
        tables = self._tables
        table = tables[shard]
        if len(tables) > 1 and table.__sizeof__() > SPARSE * max(1, len(table)):
            tables[shard] = table.copy()

    def _forget(self, key: bytes) -> None:
        del self._stale[hash(key) & (len(self._stale) - 1)][key]
        self._stale_count -= 1

    def _split(self) -> None:
        tables: list[dict[bytes, V]] = [{} for _ in range(SHARDS)]
        stale: list[dict[bytes, None]] = [{} for _ in range(SHARDS)]
        for key, value in self._tables[0].items():
            tables[hash(key) & (SHARDS - 1)][key] = value
        for key in self._stale[0]:
            stale[hash(key) & (SHARDS - 1)][key] = None
        self._tables = tables
        self._stale = stale

        # A closure over the tables alone: a bound method of self would make every large dict a reference cycle.
        def get(key: bytes, default: V | None = None) -> V | None:
            return tables[hash(key) & 255].get(key, default)

        self.get = cast(Getter[V], get)

    def check(self) -> None:
        """Assert the invariants of the module's docstring. O(n)."""
        slots = self._slots
        assert len(set(slots)) == len(slots), "a key stands in two slots"
        live = {key for table in self._tables for key in table}
        stale = {key for table in self._stale for key in table}
        assert sum(map(len, self._tables)) == len(live) == len(self), "sizes disagree"
        assert len(stale) == self._stale_count, "the stale keys are miscounted"
        assert live | stale == set(slots), "slots hold exactly the live and the stale keys"
        assert not live & stale, "a live key is marked stale"
        assert len(self._tables) == len(self._stale) and len(self._tables) in (1, SHARDS)
        for number, table in enumerate(self._tables):
            assert all(hash(key) & (len(self._tables) - 1) == number for key in table), "a key in the wrong shard"
