"""INFO keysizes: how long are the values? For each type a histogram by powers of two.

Question it answers: is there one list of a million elements among these keys, the one that makes everybody wait when it
is deleted? Redis counts with every write that changes a length. Here writes stay as cheap as they are, and the keys are
counted when somebody asks:

- A database of up to `AT_ONCE` keys at once: exact, and done in a few milliseconds.
- A larger one by a *walk*: a thousand keys in each turn of the cron, round by round, as long as somebody has asked
  within the last minutes. What is told is the last whole round, so it is as old as a round takes (100 seconds for a
  million keys), and a key that moved meanwhile may have been counted twice. Before the first round is over: nothing.

Who never asks pays nothing. Streams and vector sets are not measured, as in Redis.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mini_redis.keyspace.types import DATA_TYPES, HASH_TYPE, LIST_TYPE, SET_TYPE, STRING_TYPE, ZSET_TYPE, type_of

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database, Keyspace
    from mini_redis.keyspace.types import Value

AT_ONCE: Final = 4_096  # keys, about 2 ms
PER_TURN: Final = 1_024  # of a walk: also about 2 ms, as nearly each of them is a miss in the processor's caches
WALKS_ON_MS: Final = 180_000  # after the last question

Counts = dict[str, dict[int, int]]
"""Measure -> bits that a length has -> how many values."""

MEASURES: Final[dict[bytes, str]] = {
    STRING_TYPE.name: "strings_sizes",
    LIST_TYPE.name: "lists_items",
    SET_TYPE.name: "sets_items",
    ZSET_TYPE.name: "zsets_items",
    HASH_TYPE.name: "hashes_items",
}
"""Type name -> what the section calls the lengths of its values, in the order of its lines."""
_MEASURE_OF: Final = {cls: MEASURES.get(data_type.name, "") for cls, data_type in DATA_TYPES.items()}


class KeySizes:
    """The histograms of one node's databases."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._rounds: dict[int, Counts] = {}  # by database: the last whole round
        self._walks_until_ms = 0
        self._number = 0  # the walk: in which database, where, and what it has seen there
        self._cursor = 0
        self._counts: Counts = {}

    def of(self, db: Database, now_ms: int) -> Counts:
        """What is known of a database. O(AT_ONCE) at most."""
        if len(db.data) <= AT_ONCE:
            counts: Counts = {}
            _count(counts, db.data.values())
            return counts
        self._walks_until_ms = now_ms + WALKS_ON_MS
        return self._rounds.get(db.id, {})

    def walk(self, now_ms: int) -> None:
        """Called by the cron: count some more keys, if anybody wants to know. O(PER_TURN)."""
        if now_ms >= self._walks_until_ms:
            self._rounds.clear()
            return
        left, databases = PER_TURN, self._keyspace.databases
        for _ in databases:
            db = databases[self._number % len(databases)]
            while left > 0 and len(db.data) > AT_ONCE:
                self._cursor, keys = db.data.scan(self._cursor, left)
                left -= len(keys) or 1
                _count(self._counts, (db.data[key] for key in keys))
                if self._cursor == 0:
                    self._rounds[db.id] = self._counts
                    break
            if left <= 0 and self._cursor:
                return
            self._number, self._cursor, self._counts = (self._number + 1) % len(databases), 0, {}


def _count(counts: Counts, values: Iterable[Value]) -> None:
    for value in values:
        cls = type(value)
        measure = _MEASURE_OF[cls] if cls in _MEASURE_OF else MEASURES.get(type_of(value).name)
        if measure:
            bits = len(value).bit_length()  # type: ignore[arg-type]
            of_measure = counts.setdefault(measure, {})
            of_measure[bits] = of_measure.get(bits, 0) + 1


def told(counts: dict[int, int]) -> str:
    """One line's value: `0=1,1=2,512=1,1K=2`, each length told as the smallest number of as many bits."""
    return ",".join(f"{_power(bits)}={counts[bits]}" for bits in sorted(counts))


def _power(bits: int) -> str:
    """0, 1, 2, 4 ... 512, 1K, 2K."""
    size = 1 << bits >> 1
    for unit in ("", "K", "M", "G"):
        if size < 1024:
            return f"{size}{unit}"
        size >>= 10
    return f"{size}T"
