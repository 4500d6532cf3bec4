"""A database: its keys, when they expire, who watches them, and when they were last used.

Question it answers: what happens between "GET k" and the value?

    data     IndexedDict key -> value          strings are bare bytes: no object per key
    expires  IndexedDict key -> unix ms        only the keys that have a TTL, as in Redis
    watched  dict        key -> [watchers]     WATCH: who must be told when the key changes
    clocks   dict        key -> access clock   OBJECT IDLETIME and FREQ (see access.py)

Invariants: every key of `expires` and of `clocks` is a key of `data`; no value in `data` is None.

**Expiry is lazy first.** A key whose time has come is still in `data` until somebody looks at it or the active cycle
(active_expire.py) finds it. Every lookup below masks it; a master also deletes it on the spot and tells its replicas by
a DEL, while a replica only masks and waits for that DEL, lest the two disagree about when.

Time is `Keyspace.now_ms`, frozen by the node for the length of a command: a key cannot expire halfway through one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mini_redis.keyspace.access import AccessClocks
from mini_redis.keyspace.types import Kind, Value, rebound
from mini_redis.resp.reply import WRONG_TYPE
from mini_redis.structures.indexed_dict import IndexedDict


class Watcher(Protocol):
    """Who did WATCH: its next EXEC fails once `dirty_cas` is set."""

    dirty_cas: bool


class Keyspace:
    """All databases of a node, and what they share: the frozen time and the statistics."""

    def __init__(self, databases: int = 16) -> None:
        self.now_ms = 0
        self.hits = 0
        self.misses = 0
        self.expired_keys = 0
        self.masks_only = False  # a replica: expired keys are hidden, never deleted
        self.touching = True  # off while a CLIENT NO-TOUCH client's command runs
        self.on_expired: Callable[[Database, bytes], None] = lambda db, key: None
        self.on_miss: Callable[[Database, bytes], None] | None = None  # set while somebody wants `keymiss` events
        self.on_new: Callable[[Database, bytes], None] | None = None  # likewise for `new`
        self.on_overwritten: Callable[[Database, bytes, Value, Value], None] | None = None
        self.databases = [Database(self, number) for number in range(databases)]

    def swap(self, one: int, other: int) -> None:
        """SWAPDB: exchange the contents. Watchers stay with the number and hear of each changed key. O(watched).

        A database exchanged with itself changes nothing, and nobody hears of it.
        """
        if one == other:
            return
        a, b = self.databases[one], self.databases[other]
        a.touch_watched_in(b)
        b.touch_watched_in(a)
        a.data, b.data = b.data, a.data
        a.expires, b.expires = b.expires, a.expires
        a.clocks, b.clocks = b.clocks, a.clocks
        a.expires_cursor, b.expires_cursor = b.expires_cursor, a.expires_cursor
        a.average_ttl_ms, b.average_ttl_ms = b.average_ttl_ms, a.average_ttl_ms

    def use_lfu(self, lfu: bool) -> None:
        """Choose what the access clocks count. If that is a change they start anew. O(databases)."""
        for database in self.databases:
            if database.clocks.lfu != lfu:
                database.clocks = database.clocks.anew(lfu)


class Database:
    """One numbered keyspace. All single-key operations are O(1)."""

    __slots__ = ("average_ttl_ms", "clocks", "data", "expires", "expires_cursor", "id", "keyspace", "watched")

    def __init__(self, keyspace: Keyspace, number: int) -> None:
        self.keyspace = keyspace
        self.id = number
        self.data: IndexedDict[Value] = IndexedDict()
        self.expires: IndexedDict[int] = IndexedDict()
        self.watched: dict[bytes, list[Watcher]] = {}
        self.clocks = AccessClocks(lfu=False)
        self.expires_cursor = 0  # where the active cycle goes on
        self.average_ttl_ms = 0  # its estimate, for INFO

    def __len__(self) -> int:
        return len(self.data)

    # --- Lookups -----------------------------------------------------------------------------------------------------

    def read(self, key: bytes, kind: Kind | None = None) -> Value:
        """The value for a reading command: counts a hit or a miss. Raises WRONG_TYPE unless it is of `kind`."""
        keyspace = self.keyspace
        value = self.data.get(key)
        if value is None or (self.expires.get(key, keyspace.now_ms) < keyspace.now_ms and self._expire(key)):
            keyspace.misses += 1
            if keyspace.on_miss:
                keyspace.on_miss(self, key)
            return None
        keyspace.hits += 1
        if keyspace.touching:
            lru = self.clocks.lru
            if lru is not None:
                lru[key] = keyspace.now_ms // 1000
            else:
                self.clocks.touch(key, keyspace.now_ms)
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

    def write(self, key: bytes, kind: Kind | None = None) -> Value:
        """The value for a writing command: as `read`, without statistics."""
        keyspace = self.keyspace
        value = self.data.get(key)
        if value is None or (self.expires.get(key, keyspace.now_ms) < keyspace.now_ms and self._expire(key)):
            return None
        if keyspace.touching:
            lru = self.clocks.lru
            if lru is not None:
                lru[key] = keyspace.now_ms // 1000
            else:
                self.clocks.touch(key, keyspace.now_ms)
        if kind is not None and type(value) not in kind:
            raise WRONG_TYPE
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
        self.delete(key)
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
        if keyspace.on_new or keyspace.on_overwritten:
            self._announce_binding(key, value)
        self.data[key] = value
        lru = self.clocks.lru
        if lru is not None:
            lru[key] = keyspace.now_ms // 1000
        else:
            self.clocks.touch(key, keyspace.now_ms)

    def _announce_binding(self, key: bytes, value: Value) -> None:
        before = self.data.get(key)
        if before is None:
            if self.keyspace.on_new:
                self.keyspace.on_new(self, key)
        elif self.keyspace.on_overwritten:
            self.keyspace.on_overwritten(self, key, before, value)

    def delete(self, key: bytes) -> bool:
        """Remove `key` with its TTL and clock; whether it was there (expired keys count: ask `peek` first)."""
        if key not in self.data:
            return False
        del self.data[key]
        if key in self.expires:
            del self.expires[key]
        self.clocks.forget(key)
        return True

    def flush(self) -> int:
        """Remove all keys; how many there were. Watchers of existing keys are told. O(watched) and the release."""
        removed = len(self.data)
        self.touch_watched_in(None)
        self.data = IndexedDict()
        self.expires = IndexedDict()
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
        self.expires[key] = at_ms

    def persist(self, key: bytes) -> bool:
        """Drop the TTL; whether there was one."""
        if self.expires.pop(key) is None:
            return False
        self.data[key] = rebound(key, self.data[key], True, key, False)
        return True

    # --- Access clocks -----------------------------------------------------------------------------------------------

    def idle_seconds(self, key: bytes) -> int:
        return self.clocks.idle_seconds(key, self.keyspace.now_ms)

    def frequency(self, key: bytes) -> int:
        return self.clocks.frequency(key, self.keyspace.now_ms)

    # --- WATCH -------------------------------------------------------------------------------------------------------

    def touch_watched(self, key: bytes) -> None:
        """`key` was modified: transactions that watch it will fail."""
        for watcher in self.watched.get(key, ()):
            watcher.dirty_cas = True

    def touch_watched_in(self, other: Database | None) -> None:
        """Every key vanishes or is replaced by `other`'s: tell the watchers of those that exist on either side."""
        for key in self.watched:
            if key in self.data or (other is not None and key in other.data):
                self.touch_watched(key)
