"""How much memory does the node use, and for what? One account for `maxmemory`, INFO, MEMORY STATS and MEMORY DOCTOR.

There are two answers, and both are told:

    used       what Redis 8.2.3 would use for the same keys and clients: an estimate by its layout, exact to the byte in
               itself, and the same on every machine. `used_memory`, what `maxmemory` limits.
    resident   what this process takes from the system: Python's objects. `used_memory_rss`.

    used = EMPTY_SERVER + keys and values (keyspace/ledger.py) + clients (their buffers, server/client.py)

Their quotient is `mem_fragmentation_ratio`, as in Redis. There, much above 1 means that memory was given back to the
allocator, but is full of holes; here it means that Python's objects are larger than C's structures.

`overhead` is the part that is not data: the empty server, the clients, and, of each key, its place in the tables and
the header of its object. `dataset` is the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mini_redis.keyspace.memory import OBJECT, POINTER, TABLE_SHARE, buckets
from mini_redis.scripting.interpreter import FUNCTION, SCRIPT

if TYPE_CHECKING:
    from mini_redis.server.node import Server

EMPTY_SERVER: Final = 650_000
"""What Redis takes before the first key: most of it for its table of commands."""


def used_memory(server: Server) -> int:
    """The bytes that `maxmemory` limits. O(containers written to since the last time)."""
    return EMPTY_SERVER + server.keyspace.used_bytes + server.limits.clients_memory


@dataclass(frozen=True, slots=True)
class Tables:
    """What the keys of one database take in its hash tables, and for their objects."""

    main: int
    expires: int


@dataclass(frozen=True, slots=True)
class Account:
    """All figures at one moment, in bytes unless they say otherwise."""

    used: int
    peak: int
    resident: int
    clients: int
    tables: dict[int, Tables]
    """By number of database; empty ones are left out."""
    table_slots: int
    keys: int
    scripts: int
    """The texts of scripts, and of functions: beside `used`, as in Redis."""
    functions: int
    interpreters: tuple[int, int]
    """What Lua itself takes for scripts, and for functions."""

    startup = EMPTY_SERVER

    @property
    def overhead(self) -> int:
        return EMPTY_SERVER + self.clients + sum(each.main + each.expires for each in self.tables.values())

    @property
    def dataset(self) -> int:
        return max(0, self.used - self.overhead)

    @property
    def net(self) -> int:
        """What came since the start."""
        return max(1, self.used - EMPTY_SERVER)

    @property
    def dataset_percent(self) -> float:
        return self.dataset * 100 / self.net

    @property
    def peak_percent(self) -> float:
        return self.used * 100 / max(1, self.peak)

    @property
    def resident_ratio(self) -> float:
        """`mem_fragmentation_ratio`."""
        return self.resident / self.used


def account(server: Server) -> Account:
    """Add it all up. O(databases + scripts)."""
    scripting = server.scripting
    used = server.stats.peak_memory.measure(used_memory(server), server.now_ms)
    databases = [db for db in server.keyspace.databases if len(db.data)]
    sizes = [(len(db.data), len(db.expires)) for db in databases]
    return Account(
        used=used,
        peak=server.stats.peak_memory.bytes,
        resident=server.environment.resident_bytes(),
        clients=server.limits.clients_memory,
        tables={
            db.id: Tables(_table(keys, OBJECT), _table(ttls, 0))
            for db, (keys, ttls) in zip(databases, sizes, strict=True)
        },
        table_slots=sum(POINTER * (buckets(keys) + buckets(ttls)) for keys, ttls in sizes),
        keys=sum(keys for keys, _ in sizes),
        scripts=sum(len(script.text) for script in scripting.scripts.values()),
        functions=sum(len(library.code) for library in scripting.libraries.by_name.values()),
        interpreters=(scripting.used_bytes(SCRIPT), scripting.used_bytes(FUNCTION)),
    )


def _table(entries: int, each: int) -> int:
    return entries * (TABLE_SHARE + each) + POINTER * buckets(entries)
