"""The ledger: what the keys of each database take, known at any moment.

Question it answers: `maxmemory` is checked before every command, so used memory must be a number that is there already.
Redis has it from its allocator. We have to count, with each write, and a write must not become slower for it.

    Database.used     bytes of its keys and values, by the layout of Redis (memory.py)
    Keyspace.used     the same of all databases together: what `maxmemory` asks for
    value.accounted   the part of it that a container's contents make up
    stale             container -> its database: written to since it was measured
    buffer            a string that is changed in place (a bytearray), with its key, and what was counted for both

**Strings** are counted when they are bound: their lengths say all, and `IndexedDict.put` tells what was there before.
An overwritten value of the same length costs one comparison. (`Database.set` and `take` do this themselves.)

**Containers** are only *noted* when a command gets hold of them for writing, and measured when somebody wants to know:
the next check of `maxmemory`, INFO, or the cron. So a thousand pushes to one list in a row are one measurement. All
measures are O(1).

**Buffers** have no place for a note, so the last one handed out is remembered with its size.

Invariant (`check`): after `settle`, each database's `used` is the sum over its keys of what `counted` says, and the
keyspace's is the sum of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mini_redis.keyspace.memory import KEY_BYTES, LAYOUTS, STRING_BYTES, TTL_SHARE, Container

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.keyspace.types import Value


class Ledger:
    """The open items of one keyspace. All is O(1), but for `settle`: O(containers written to)."""

    __slots__ = ("buffer", "stale")

    def __init__(self) -> None:
        self.stale: dict[Container, Database] = {}
        self.buffer: tuple[Database, bytes, bytearray, int] | None = None

    def enter(self, db: Database, key: bytes, value: Value) -> None:
        """`key` of `db` is bound to `value`, which was not counted so far."""
        db.count(STRING_BYTES[len(key) + len(value)] if isinstance(value, (bytes, bytearray)) else KEY_BYTES[len(key)])
        self.lend(db, key, value)

    def lend(self, db: Database, key: bytes, value: Any) -> None:
        """`key`'s value is about to be changed in place."""
        if type(value) in LAYOUTS:
            self.stale[value] = db
        elif isinstance(value, bytearray) and (self.buffer is None or self.buffer[2] is not value):
            self._settle_buffer()
            self.buffer = (db, key, value, STRING_BYTES[len(key) + len(value)])

    def strike(self, db: Database, key: bytes, value: Any) -> None:
        """`key` of `db` is not bound to `value` any more."""
        if isinstance(value, (bytes, bytearray)):
            self._settle_buffer()
            db.count(-STRING_BYTES[len(key) + len(value)])
        else:
            self.stale.pop(value, None)
            db.count(-KEY_BYTES[len(key)] - value.accounted)
            value.accounted = 0

    def settle(self) -> None:
        """Measure what was written to."""
        self._settle_buffer()
        for value, db in self.stale.items():
            size = LAYOUTS[type(value)].counted(value)
            db.count(size - value.accounted)
            value.accounted = size
        self.stale.clear()

    def _settle_buffer(self) -> None:
        if self.buffer is not None:
            db, key, value, counted = self.buffer
            db.count(STRING_BYTES[len(key) + len(value)] - counted)
            self.buffer = None

    def check(self, db: Database) -> None:
        """Assert the invariant. O(keys)."""
        self.settle()
        total = len(db.expires) * TTL_SHARE
        for key, value in db.data.items():
            total += counted(key, value)
            assert type(value) not in LAYOUTS or value.accounted == LAYOUTS[type(value)].counted(value), key  # type: ignore[attr-defined]
        assert db.used == total, f"{db.used} bytes are counted, and there are {total}"
        assert db.keyspace.used == sum(each.used for each in db.keyspace.databases), "the sum is the sum"


def counted(key: bytes, value: Any) -> int:
    """What a key with its value is counted as, without TTL. O(1)."""
    if isinstance(value, (bytes, bytearray)):
        return STRING_BYTES[len(key) + len(value)]
    return KEY_BYTES[len(key)] + LAYOUTS[type(value)].counted(value)
