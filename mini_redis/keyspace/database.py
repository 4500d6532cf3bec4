"""A database: its keys, when they expire, who watches them, and when they were last used.

Question it answers: what happens between "GET k" and the value?

    data     IndexedDict key -> value          strings are bare bytes: no object per key
    expires  IndexedDict key -> unix ms        only the keys that have a TTL, as in Redis
    watched  dict        key -> [watchers]     WATCH: who must be told when the key changes
    blocked  dict        key -> {waiter}       who waits for the key to be bound (server/blocking.py)
    clocks   dict        key -> access clock   OBJECT IDLETIME and FREQ (see access.py)
    field_deadlines      key -> unix ms        only hashes that have fields with a TTL: when the first of them is over
    used     int         bytes                 what they would take in Redis (see ledger.py, memory.py)

Invariants: every key of `expires`, `clocks` and `field_deadlines` is a key of `data`; no value in `data` is None.

**Expiry is lazy first.** A key whose time has come is still in `data` until somebody looks at it or the active cycle
(active_expire.py) finds it. Every lookup below masks it; a master also deletes it on the spot and tells its replicas by
a DEL, while a replica only masks and waits for that DEL, lest the two disagree about when.

Time is `Keyspace.now_ms`, frozen by the node for the length of a command: a key cannot expire halfway through one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from mini_redis.keyspace.access import AccessClocks
from mini_redis.keyspace.graveyard import Graveyard
from mini_redis.keyspace.ledger import Ledger
from mini_redis.keyspace.memory import LAYOUTS, STRING_BYTES, TTL_SHARE
from mini_redis.keyspace.types import Kind, Value, rebound
from mini_redis.resp.reply import WRONG_TYPE
from mini_redis.structures.deadlines import Deadlines
from mini_redis.structures.indexed_dict import IndexedDict

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.structures.hash import Hash


class Watcher(Protocol):
    """Who did WATCH: its next EXEC fails once `dirty_cas` is set.

    `watching` tells of each key, named with its database, whether its time was over already: then it may vanish.
    """

    dirty_cas: bool
    watching: dict[tuple[int, bytes], bool]


class Keyspace:
    """All databases of a node, and what they share: the frozen time and the statistics."""

    def __init__(self, databases: int = 16) -> None:
        self.now_ms = 0
        self.hits = 0
        self.misses = 0
        self.expired_keys = 0
        self.expired_fields = 0
        self.masks_only = False  # a replica: expired keys are hidden, never deleted
        self.frees_expired_lazily = False  # lazyfree-lazy-expire
        self.frees_replaced_lazily = False  # lazyfree-lazy-server-del
        self.touching = True  # off while a CLIENT NO-TOUCH client's command runs
        self.on_expired: Callable[[Database, bytes], None] = lambda db, key: None
        self.on_fields_expired: Callable[[Database, bytes, list[bytes]], None] = lambda db, key, fields: None
        self.on_bound: Callable[[Database, bytes, Value], None] = lambda db, key, value: None  # a key that is awaited
        self.on_gone: Callable[[Database, bytes], None] = lambda db, key: None  # likewise: the value it had
        self.on_miss: Callable[[Database, bytes], None] | None = None  # set while somebody wants `keymiss` events
        self.on_new: Callable[[Database, bytes], None] | None = None  # likewise for `new`
        self.on_overwritten: Callable[[Database, bytes, Value, Value], None] | None = None
        self.used = 0  # the sum over the databases
        self.ledger = Ledger()
        self.graveyard = Graveyard()
        self.databases = [Database(self, number) for number in range(databases)]

    @property
    def used_bytes(self) -> int:
        """What all keys would take in Redis. O(containers written to since the last time)."""
        ledger = self.ledger
        if ledger.stale or ledger.buffer is not None:
            ledger.settle()
        return self.used

    def swap(self, one: int, other: int) -> None:
        """SWAPDB: exchange the contents. Watchers stay with the number and hear of each changed key. O(watched).

        A database exchanged with itself changes nothing, and nobody hears of it.
        """
        if one == other:
            return
        a, b = self.databases[one], self.databases[other]
        a.touch_watched_in(b)
        b.touch_watched_in(a)
        self.ledger.settle()  # what is open is noted with its database
        a.used, b.used = b.used, a.used
        a.data, b.data = b.data, a.data
        a.expires, b.expires = b.expires, a.expires
        a.field_deadlines, b.field_deadlines = b.field_deadlines, a.field_deadlines
        a.clocks, b.clocks = b.clocks, a.clocks
        a.expires_cursor, b.expires_cursor = b.expires_cursor, a.expires_cursor
        a.average_ttl_ms, b.average_ttl_ms = b.average_ttl_ms, a.average_ttl_ms
        for db in (a, b):
            for key in db.blocked:
                self.on_gone(db, key)
                if key in db.data:
                    self.on_bound(db, key, db.data[key])

    def use_lfu(self, lfu: bool) -> None:
        """Choose what the access clocks count. If that is a change they start anew. O(databases)."""
        for database in self.databases:
            if database.clocks.lfu != lfu:
                database.clocks = database.clocks.anew(lfu)


class Database:
    """One numbered keyspace. All single-key operations are O(1)."""

    __slots__ = (
        "average_ttl_ms",
        "blocked",
        "clocks",
        "data",
        "expires",
        "expires_cursor",
        "field_deadlines",
        "id",
        "keyspace",
        "observed",
        "used",
        "watched",
    )

    def __init__(self, keyspace: Keyspace, number: int) -> None:
        self.keyspace = keyspace
        self.id = number
        self.data: IndexedDict[Value] = IndexedDict()
        self.expires: IndexedDict[int] = IndexedDict()
        self.watched: dict[bytes, list[Watcher]] = {}
        self.observed = False  # somebody wants to know which keys are modified: WATCH here, or client tracking
        self.blocked: dict[bytes, dict[Client, None]] = {}
        self.field_deadlines = Deadlines()
        self.clocks = AccessClocks(lfu=False)
        self.expires_cursor = 0  # where the active cycle goes on
        self.average_ttl_ms = 0  # its estimate, for INFO
        self.used = 0

    def __len__(self) -> int:
        return len(self.data)

    @property
    def used_bytes(self) -> int:
        """What its keys would take in Redis. O(containers written to since the last time)."""
        self.keyspace.ledger.settle()
        return self.used

    # --- Lookups -----------------------------------------------------------------------------------------------------

    def read(self, key: bytes, kind: Kind | None = None) -> Any:
        """The value for a reading command: counts a hit or a miss. Raises WRONG_TYPE unless it is of `kind`."""
        keyspace = self.keyspace
        now_ms = keyspace.now_ms
        value = self.data.get(key)
        if value is None or ((at_ms := self.expires.get(key)) is not None and at_ms < now_ms and self._expire(key)):
            keyspace.misses += 1
            if keyspace.on_miss:
                keyspace.on_miss(self, key)
            return None
        keyspace.hits += 1
        if keyspace.touching:
            lru = self.clocks.lru
            if lru is not None:
                lru[key] = now_ms
            else:
                self.clocks.touch(key, now_ms)
        if kind is not None and type(value) not in kind:
            raise WRONG_TYPE
        return value

    def glance(self, key: bytes, announce_miss: bool = True) -> Value:
        """The value for a command that asks about the key: as `read`, but the access clock stays. TYPE, TTL, OBJECT."""
        keyspace = self.keyspace
        value = self.peek(key)
        if value is not None:
            keyspace.hits += 1
            return value
        keyspace.misses += 1
        if keyspace.on_miss and announce_miss:
            keyspace.on_miss(self, key)
        return None

    def write(self, key: bytes, kind: Kind | None = None) -> Any:
        """The value for a writing command, which may change it in place: as `read`, without statistics."""
        keyspace = self.keyspace
        now_ms = keyspace.now_ms
        value = self.data.get(key)
        if value is None or ((at_ms := self.expires.get(key)) is not None and at_ms < now_ms and self._expire(key)):
            return None
        if keyspace.touching:
            lru = self.clocks.lru
            if lru is not None:
                lru[key] = now_ms
            else:
                self.clocks.touch(key, now_ms)
        cls = type(value)
        if kind is not None and cls not in kind:
            raise WRONG_TYPE
        if cls is not bytes:
            if cls in LAYOUTS:
                keyspace.ledger.stale[value] = self  # type: ignore[index]  # a class of LAYOUTS is a Container
            else:
                keyspace.ledger.lend(self, key, value)
        return value

    def peek(self, key: bytes) -> Value:
        """The value, leaving no trace: neither statistics nor access clock."""
        value = self.data.get(key)
        now_ms = self.keyspace.now_ms
        if value is None or (self.expires.get(key, now_ms) < now_ms and self._expire(key)):
            return None
        return value

    def is_expired(self, key: bytes) -> bool:
        """Whether the key's time has passed. At the very millisecond it is still there, as in Redis."""
        now_ms = self.keyspace.now_ms
        at_ms = self.expires.get(key, now_ms)
        assert at_ms is not None
        return at_ms < now_ms

    def _expire(self, key: bytes) -> bool:
        """Mask an expired key, and on a master delete it. Always true, so that lookups read as one condition."""
        if not self.keyspace.masks_only:
            self.delete_expired(key)
        return True

    def delete_expired(self, key: bytes) -> None:
        """Delete a key because its time has passed: counted, announced, propagated."""
        self.delete(key, self.keyspace.frees_expired_lazily)
        self.keyspace.expired_keys += 1
        self.keyspace.on_expired(self, key)

    # --- Changes -----------------------------------------------------------------------------------------------------

    def set(self, key: bytes, value: Value, keep_ttl: bool = False) -> None:
        """Bind `key` to `value`. Its TTL goes, unless `keep_ttl`; if its time had passed, it first expires."""
        keyspace = self.keyspace
        expires_at_ms = self.expires.get(key)
        if expires_at_ms is not None:
            if expires_at_ms < keyspace.now_ms and not keyspace.masks_only:
                self.delete_expired(key)
            elif keep_ttl:
                value = rebound(key, value, True, key, True)
            else:
                del self.expires[key]
                self.count(-TTL_SHARE)
        if keyspace.on_new or keyspace.on_overwritten:
            self._announce_binding(key, value)
        if self.blocked and key in self.blocked:
            if key in self.data:  # a value that is replaced serves nobody, whatever takes its place: so it is in Redis
                keyspace.on_gone(self, key)
            else:
                keyspace.on_bound(self, key, value)
        if self.field_deadlines.at:
            self.field_deadlines.discard(key)
        before = self.data.put(key, value)
        if type(value) is not bytes or (before is not None and type(before) is not bytes):
            self._account(key, before, value)
        elif before is None or len(before) != len(value):
            size = STRING_BYTES[len(key) + len(value)]
            if before is not None:
                size -= STRING_BYTES[len(key) + len(before)]
            self.used += size  # `count` without the call
            keyspace.used += size
        lru = self.clocks.lru
        if lru is not None:
            lru[key] = keyspace.now_ms
        else:
            self.clocks.touch(key, keyspace.now_ms)

    def replace(self, key: bytes, value: Value) -> None:
        """Give a key that is there another value; TTL and clock stay, and nobody hears of it. INCR, APPEND."""
        before = self.data.put(key, value)
        assert before is not None, "only a key that is there has a value to replace"
        if type(value) is not bytes or type(before) is not bytes:
            self._account(key, before, value)
        elif len(before) != len(value):
            self.count(STRING_BYTES[len(key) + len(value)] - STRING_BYTES[len(key) + len(before)])

    def count(self, size: int) -> None:
        """The database has grown by so many bytes, or shrunk."""
        self.used += size
        self.keyspace.used += size

    def lend(self, key: bytes, value: Value) -> None:
        """A key's value is about to change in place. `write` says so itself."""
        self.keyspace.ledger.lend(self, key, value)

    def _account(self, key: bytes, before: Any, value: Value) -> None:
        """`key` held `before`, None if it is new, and holds `value` now: count that, and let go of the one before."""
        if before is value:
            return
        keyspace = self.keyspace
        if before is not None:
            keyspace.ledger.strike(self, key, before)
            if type(before) is not bytes:
                keyspace.graveyard.take(before, keyspace.frees_replaced_lazily)
        keyspace.ledger.enter(self, key, value)

    def _announce_binding(self, key: bytes, value: Value) -> None:
        before = self.data.get(key)
        if before is None:
            if self.keyspace.on_new:
                self.keyspace.on_new(self, key)
        elif self.keyspace.on_overwritten:
            self.keyspace.on_overwritten(self, key, before, value)

    def delete(self, key: bytes, lazily: bool | None = None) -> bool:
        """Remove `key` with its TTL and clock; whether it was there (expired keys count: ask `peek` first).

        The memory is released later if it is much, or if asked for `lazily` and Redis would do so. Unless told, the
        server deletes on its own account.
        """
        value = self.take(key)
        if value is None:
            return False
        if type(value) is not bytes:
            keyspace = self.keyspace
            keyspace.graveyard.take(value, keyspace.frees_replaced_lazily if lazily is None else lazily)
        return True

    def take(self, key: bytes) -> Value:
        """As `delete`, but for a value that lives on: it is returned, None without key. RENAME, MOVE."""
        value = self.data.pop(key)
        if value is None:
            return None
        if type(value) is bytes:
            self.count(-STRING_BYTES[len(key) + len(value)])
        else:
            self.keyspace.ledger.strike(self, key, value)
        if key in self.expires:
            del self.expires[key]
            self.count(-TTL_SHARE)
        if self.field_deadlines.at:
            self.field_deadlines.discard(key)
        self.clocks.forget(key)
        if self.blocked and key in self.blocked:
            self.keyspace.on_gone(self, key)
        return value

    def flush(self) -> int:
        """Remove all keys; how many there were. Watchers of existing keys are told. O(watched), and released later."""
        removed = len(self.data)
        self.touch_watched_in(None)
        for key in self.blocked:
            if key in self.data:
                self.keyspace.on_gone(self, key)
        self.keyspace.ledger.settle()
        if removed:
            self.keyspace.graveyard.take_database(self.data, self.expires, self.field_deadlines, self.clocks.clocks)
        self.count(-self.used)
        self.data = IndexedDict()
        self.expires = IndexedDict()
        self.field_deadlines = Deadlines()
        self.clocks = self.clocks.anew(self.clocks.lfu)
        self.expires_cursor = 0
        self.average_ttl_ms = 0
        return removed

    # --- Time to live ------------------------------------------------------------------------------------------------

    def expire_at(self, key: bytes) -> int | None:
        """The unix time in ms at which `key` expires, None without TTL."""
        return self.expires.get(key)

    def set_expire_at(self, key: bytes, at_ms: int) -> None:
        assert key in self.data, "a TTL needs a key"
        if self.expires.put(key, at_ms) is None:
            self.count(TTL_SHARE)

    def persist(self, key: bytes) -> bool:
        """Drop the TTL; whether there was one."""
        if self.expires.pop(key) is None:
            return False
        self.count(-TTL_SHARE)
        self.replace(key, rebound(key, self.data[key], True, key, False))
        return True

    # --- Times to live of fields -------------------------------------------------------------------------------------

    def deadlines_changed(self, key: bytes, value: Hash) -> None:
        """The times of a hash's fields are others than before, or the hash has got this key. O(log n)."""
        soonest = None if value.deadlines is None else value.deadlines.soonest
        if soonest is not None:
            self.field_deadlines.set(key, soonest)
        elif self.field_deadlines.at:
            self.field_deadlines.discard(key)

    def delete_expired_fields(self, key: bytes, value: Hash, fields: list[bytes], keep_key: bool = False) -> None:
        """Delete fields because their time has passed: counted, announced, propagated.

        The last one takes the key with it, unless `keep_key`: then the caller will see to it.
        """
        for field in fields:
            value.delete(field)
        self.lend(key, value)
        self.keyspace.expired_fields += len(fields)
        if value or keep_key:
            self.deadlines_changed(key, value)
        else:
            self.delete(key)
        self.keyspace.on_fields_expired(self, key, fields)

    # --- Access clocks -----------------------------------------------------------------------------------------------

    def idle_seconds(self, key: bytes) -> int:
        return self.clocks.idle_seconds(key, self.keyspace.now_ms)

    def frequency(self, key: bytes) -> int:
        return self.clocks.frequency(key, self.keyspace.now_ms)

    # --- WATCH -------------------------------------------------------------------------------------------------------

    def touch_watched(self, key: bytes) -> None:
        """`key` was modified: transactions that watch it will fail, unless what was over before is now gone."""
        for watcher in self.watched.get(key, ()):
            if watcher.watching[self.id, key] and key not in self.data:
                watcher.watching[self.id, key] = False
            else:
                watcher.dirty_cas = True

    def touch_watched_in(self, other: Database | None) -> None:
        """Every key vanishes or is replaced by `other`'s: tell the watchers of those that exist on either side.

        What had no value then, or one whose time was over, and has none now or one whose time is over, is the same.
        """
        for key, watchers in self.watched.items():
            comes = other is not None and key in other.data
            if not comes and key not in self.data:
                continue
            comes_over = comes and other is not None and other.is_expired(key)
            for watcher in watchers:
                was_over = watcher.watching[self.id, key]
                if (was_over or key not in self.data) and (comes_over or not comes):
                    watcher.watching[self.id, key] = comes_over
                else:
                    watcher.dirty_cas = True
