"""What a command handler is given besides its arguments: one object per client, used for all its commands.

A handler reads `ctx.db`, `ctx.now_ms`, `ctx.rng`; it says what it did with `ctx.changed`. Nothing else in a handler
touches WATCH, tracking, notifications, replication or the log: they all hang on that one call.
"""

from __future__ import annotations

from collections.abc import Sized
from random import Random
from typing import TYPE_CHECKING

from mini_redis.keyspace.notifications import NO_EVENT, notify

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.server.client import Client
    from mini_redis.server.node import Server


class Context:
    """The world as one client's command sees it."""

    __slots__ = ("client", "db", "rng", "server")

    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client
        self.db: Database = server.keyspace.databases[0]
        self.rng: Random = server.rng

    @property
    def now_ms(self) -> int:
        """Unix time in ms, frozen while a command, script or transaction runs."""
        return self.server.keyspace.now_ms

    def changed(self, key: bytes, event: str, times: int = 1) -> None:
        """`key` of the current database was modified, by `times` changes; `event` is its keyspace event.

        Fails transactions that WATCH the key, tells clients that track it, counts towards the next save, announces the
        event, and makes the command propagate.
        """
        server = self.server
        server.dirty += times
        if self.db.observed:
            server.key_modified(self.db, key, self.client)
        if server.notify_flags:
            notify(server.notify_flags, server.publish, self.db.id, key, event)

    def modified(self, key: bytes, times: int = 1) -> None:
        """`changed` without its event, where Redis tells caches and listeners in another order."""
        server = self.server
        server.dirty += times
        if self.db.observed:
            server.key_modified(self.db, key, self.client)

    def noted(self, key: bytes, event: str = NO_EVENT, times: int = 1) -> None:
        """What surrounds the data of `key` changed: a consumer group. As `changed`, but WATCH does not see it."""
        server = self.server
        server.dirty += times
        if server.notify_flags:
            notify(server.notify_flags, server.publish, self.db.id, key, event)

    def shrank(self, key: bytes, value: Sized, event: str, times: int = 1, events_first: bool = False) -> None:
        """`value`, the container at `key`, lost elements. As `changed`; and if it is empty now, the key goes too.

        Some commands of Redis tell their events before caches hear of the key: `events_first`.
        """
        server = self.server
        if value and not server.notify_flags and not self.db.observed:
            server.dirty += times  # nothing goes, and nobody listens
            return
        if not events_first:
            self.modified(key, times)
        self.notify(key, event)
        if not value:
            self.db.delete(key)
            self.notify(key, "del")
        if events_first:
            self.modified(key, times)

    def store(self, key: bytes, result: Sized, event: str, times: int = 1) -> int:
        """Bind what a command has made, or remove what was there if that is nothing; its size."""
        if result:
            self.db.set(key, result)
            self.changed(key, event, times)
        elif self.db.peek(key) is not None:
            self.db.delete(key)
            self.changed(key, "del")
        return len(result)

    def ready(self, key: bytes) -> None:
        """The value at `key` grew in a way that may serve clients that wait for it: XADD."""
        if key in self.db.blocked:
            self.server.waiting.key_bound(self.db, key, self.db.data[key])

    def notify(self, key: bytes, event: str) -> None:
        """Announce an event that modifies nothing by itself."""
        server = self.server
        if server.notify_flags:
            notify(server.notify_flags, server.publish, self.db.id, key, event)

    def propagate_as(self, *argv: bytes) -> None:
        """Replicas and the log see this call instead of the client's; said again, this one too."""
        propagation = self.server.propagation
        if propagation.active:
            propagation.replace(self.db.id, list(argv))

    def propagate_nothing(self) -> None:
        """Replicas and the log do not see this command."""
        self.server.propagation.suppress()
