"""Which key goes when memory is full? The eight policies of `maxmemory-policy`.

Question it answers: the key to give up is the one that will not be asked for again for the longest time. Nobody knows
that, so one takes the one that was not used for the longest time (LRU), or the least often (LFU). But exactly which one
that is, costs a linked list through all keys, two pointers each, and a move to its head with every GET. Redis does with
a clock of 24 bits in each key and a little luck:

    1. look at `maxmemory-samples` random keys (5) of each database
    2. put them into the *pool*, the 16 best candidates ever seen, in order, if they are better than one of those or if
       there is room
    3. evict the best of the pool that still exists

The pool is what makes five samples enough: a bad key that was seen once is remembered, and the next evictions go on
from there. With 10 samples it can hardly be told from exact LRU (docs/eviction.md has the figures).

    policy             from which keys     the best candidate
    allkeys-lru        all                 the longest idle, in seconds
    volatile-lru       those with a TTL    likewise
    allkeys-lfu        all                 the lowest counter of access.py
    volatile-lfu       those with a TTL    likewise
    volatile-ttl       those with a TTL    the soonest over
    allkeys-random     all                 any; no pool; databases take turns
    volatile-random    those with a TTL    likewise
    noeviction         none                none: writes that need memory are refused instead

**What the pool does not know.** A candidate that was used after it had been seen keeps its place, and is evicted all
the same; so in Redis, and so here.

**What real Redis does differently.** It looks at keys that stand beside each other in its hash table, which is as good
as random there. Slots of an IndexedDict stand in the order of insertion, so each sample is drawn on its own.

Invariant (`check`): the pool is sorted by score, ascending, and holds at most POOL_SIZE candidates.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.structures.indexed_dict import IndexedDict

POOL_SIZE: Final = 16
HIGHEST_FREQUENCY: Final = 255


def _idle(db: Database, key: bytes) -> int:
    return db.idle_seconds(key)


def _rareness(db: Database, key: bytes) -> int:
    return HIGHEST_FREQUENCY - db.frequency(key)


def _nearness_of_end(db: Database, key: bytes) -> int:
    return -(db.expire_at(key) or 0)


@dataclass(frozen=True, slots=True)
class Policy:
    """One value of `maxmemory-policy`."""

    evicts: bool
    all_keys: bool
    """Else only those with a TTL."""
    score: Callable[[Database, bytes], int] | None
    """The higher, the better a candidate; None: chance decides."""


POLICIES: Final[dict[bytes, Policy]] = {
    b"noeviction": Policy(False, False, None),
    b"allkeys-lru": Policy(True, True, _idle),
    b"volatile-lru": Policy(True, False, _idle),
    b"allkeys-lfu": Policy(True, True, _rareness),
    b"volatile-lfu": Policy(True, False, _rareness),
    b"allkeys-random": Policy(True, True, None),
    b"volatile-random": Policy(True, False, None),
    b"volatile-ttl": Policy(True, False, _nearness_of_end),
}


class Candidate(NamedTuple):
    """A key that was seen."""

    score: int
    db: int
    key: bytes


class Evictor:
    """Chooses victims for one keyspace. The pool lives as long as the policy does."""

    __slots__ = ("_next_db", "_pool", "_rng", "samples", "policy")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._pool: list[Candidate] = []
        self._next_db = 0
        self.policy = POLICIES[b"noeviction"]
        self.samples = 5

    def choose(self, databases: Sequence[Database]) -> tuple[Database, bytes] | None:
        """The key to evict; None if no key may be. O(databases * samples)."""
        if not self.policy.evicts:
            return None
        if self.policy.score is None:
            return self._any(databases)
        while self._fill(databases):
            while self._pool:
                _, number, key = self._pool.pop()
                if key in self._keys(databases[number]):
                    return databases[number], key
        return None

    def _keys(self, db: Database) -> IndexedDict[object] | IndexedDict[int]:
        return db.data if self.policy.all_keys else db.expires

    def _any(self, databases: Sequence[Database]) -> tuple[Database, bytes] | None:
        for _ in databases:
            self._next_db = (self._next_db + 1) % len(databases)
            db = databases[self._next_db]
            if len(keys := self._keys(db)):
                return db, keys.random_key(self._rng)
        return None

    def _fill(self, databases: Sequence[Database]) -> bool:
        """Look at some keys of each database; whether there are any."""
        found = False
        for db in databases:
            keys = self._keys(db)
            if not len(keys):
                continue
            found = True
            if len(keys) <= self.samples:
                for key in keys:
                    self._offer(db, key)
            else:
                for _ in range(self.samples):
                    self._offer(db, keys.random_key(self._rng))
        return found

    def _offer(self, db: Database, key: bytes) -> None:
        """Give a key a place in the pool, unless that is full of better ones."""
        assert self.policy.score is not None, "chance needs no pool"
        pool, score = self._pool, self.policy.score(db, key)
        at = bisect_left(pool, score, key=_score_of)
        if len(pool) == POOL_SIZE:
            if at == 0:
                return
            del pool[0]
            at -= 1
        pool.insert(at, Candidate(score, db.id, key))

    def forget(self) -> None:
        """The scores mean nothing any more: there is another policy."""
        self._pool.clear()

    def check(self) -> None:
        """Assert the invariant. O(POOL_SIZE)."""
        assert len(self._pool) <= POOL_SIZE
        assert [each.score for each in self._pool] == sorted(each.score for each in self._pool)


def _score_of(candidate: Candidate) -> int:
    return candidate.score
