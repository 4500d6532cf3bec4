"""A client as the node knows it: identity, protocol, transaction, and the bytes in both directions.

No socket: `connection` belongs to the driver, and the node never looks at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.resp.parser import RequestParser

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.server.blocking import Wait
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.context import Context
    from mini_redis.server.tracking import Interest

IDLE_BYTES = 1920  # what Redis keeps for a client that does nothing: the structure and a reply buffer of 1 kB
SUBSCRIPTION_BYTES = 40
WATCH_BYTES = 80
PREFIX_BYTES = 36

# Values of `reply_mode`, CLIENT REPLY's three and the moment between SKIP and the command it skips.
REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP = range(4)


Subscriptions = tuple[dict[bytes, None], dict[bytes, None], dict[bytes, None]]


class Client:
    """One connection.

    `held` says that no further request may be run now: the client waits (`paused`) or is about to go (`closing`). It
    is one flag so that the loop over a batch tests one thing.
    """

    __slots__ = (
        "accounted", "address", "asleep", "authenticated", "closing", "commands_run", "connection", "context",
        "created_ms", "debugs", "dirty_cas", "dirty_exec", "fd", "held", "id", "in_script", "last_command",
        "last_interaction_ms", "lib_name", "lib_ver", "local_address", "monitoring", "name", "net_input", "net_output",
        "no_evict", "no_touch", "out", "parser", "paused", "queue", "queued_bytes", "replays", "reply_mode", "resp",
        "soft_limit_since_ms", "special", "subscriptions", "tracking", "unsent", "user", "waiting", "watching",
    )  # fmt: skip

    context: Context

    def __init__(
        self, number: int, parser: RequestParser, address: str, local_address: str, fd: int, now_ms: int
    ) -> None:
        self.id = number
        self.parser = parser
        self.address = address
        self.local_address = local_address
        self.fd = fd
        self.connection: object = None
        self.created_ms = now_ms
        self.last_interaction_ms = now_ms

        self.name = b""
        self.lib_name = b""
        self.lib_ver = b""
        self.user = b"default"
        self.authenticated = True
        self.resp = 2
        self.reply_mode = REPLY_ON
        self.no_evict = False
        self.no_touch = False
        self.replays = False  # it speaks for a log or a master: what was decided there is not decided again
        self.monitoring = False  # MONITOR: every command is shown to it
        self.tracking: Interest | None = None
        self.special = False  # a call of this client's is more than a call: see `settle`
        self.debugs: bytes | None = None  # SCRIPT DEBUG: b"yes" or b"sync"
        self.in_script = False  # nobody's connection: it calls what scripts call

        # MULTI: the queue is None outside of a transaction.
        self.queue: list[tuple[LiveCommand, list[bytes]]] | None = None
        self.queued_bytes = 0
        self.dirty_exec = False
        self.dirty_cas = False
        self.watching: dict[tuple[int, bytes], bool] = {}  # (db, key) -> it was expired already when WATCHed

        self.out: list[bytes] = []  # encoded replies of this turn
        self.unsent = 0  # bytes that the socket has not taken yet
        self.accounted = 0  # its part of `ClientLimits.clients_memory`
        self.soft_limit_since_ms: int | None = None
        self.held = False
        self.paused = False
        self.subscriptions: Subscriptions | tuple[()] = ()  # channels, patterns, shard channels
        self.waiting: Wait | None = None  # for a key: BLPOP and its like
        self.closing = False
        self.asleep = False  # nothing is pending, and nothing has come since that was seen: see `ClientLimits.cron`

        self.last_command = b"NULL"
        self.commands_run = 0
        self.net_input = 0
        self.net_output = 0

    @property
    def db(self) -> Database:
        return self.context.db

    @property
    def query_buffer(self) -> int:
        """Bytes that were received and not run: unparsed ones, and what MULTI has queued."""
        return self.parser.size + self.queued_bytes

    @property
    def output_buffer(self) -> int:
        """Bytes of replies that have not left."""
        return self.unsent + sum(map(len, self.out))

    @property
    def cannot_wait(self) -> bool:
        """Whether a blocking command answers at once: within a transaction, or because a script calls it."""
        return self.queue is not None or self.in_script

    @property
    def memory(self) -> int:
        """What Redis would use for it, roughly: `tot-mem` of CLIENT LIST, and what `maxmemory-clients` limits."""
        extras = SUBSCRIPTION_BYTES * sum(map(len, self.subscriptions)) + WATCH_BYTES * len(self.watching)
        if self.tracking is not None:
            extras += PREFIX_BYTES * len(self.tracking.prefixes or ())
        if self.waiting is not None:
            extras += self.waiting.size
        return IDLE_BYTES + self.parser.memory + self.queued_bytes + self.output_buffer + extras

    @property
    def kind(self) -> bytes:
        """The class of CLIENT LIST TYPE and of `client-output-buffer-limit`."""
        return b"pubsub" if self.subscriptions else b"normal"

    @property
    def flags(self) -> bytes:
        """The letters of CLIENT LIST's `flags`, in its order."""
        letters = b""
        if self.monitoring:
            letters += b"O"
        if self.subscriptions:
            letters += b"P"
        if self.queue is not None:
            letters += b"x"
        if self.paused or self.waiting:
            letters += b"b"
        if self.tracking is not None:
            letters += b"t"
            if self.tracking.broken:
                letters += b"R"
            if self.tracking.prefixes is not None:
                letters += b"B"
        if self.dirty_cas:
            letters += b"d"
        if self.closing:
            letters += b"c"
        if self.address.startswith("/"):
            letters += b"U"
        if self.no_evict:
            letters += b"e"
        if self.no_touch:
            letters += b"T"
        return letters or b"N"

    def settle(self) -> None:
        """Note whether something goes around this client's calls, so that those of all others pay for one test."""
        self.special = self.no_touch or self.tracking is not None

    def release(self) -> None:
        """The connection is over: break the circles of references, so that the memory is free at once.

        A cyclic collector would find them, but rarely looks where long-lived objects are: see GarbageCollector.
        """
        self.connection = None
        del self.context

    def enqueue(self, command: LiveCommand, argv: list[bytes]) -> None:
        """Keep a call for EXEC. If EXEC is bound to fail, do not: CLIENT LIST tells how many there are."""
        assert self.queue is not None
        if self.dirty_exec or self.dirty_cas:
            return
        self.queue.append((command, argv))
        self.queued_bytes += sum(map(len, argv))

    def discard_transaction(self) -> None:
        """Leave MULTI; the watched keys are the caller's to release."""
        self.queue = None
        self.queued_bytes = 0
        self.dirty_exec = False
        self.dirty_cas = False
        if self.tracking is not None:
            self.tracking.caching = False  # it was about this transaction
