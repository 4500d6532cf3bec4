"""The node: a Redis server as a state machine.

It is given bytes and time, and gives back ordered effects:

    connected / receive(client, data) / unsent(client, bytes) / disconnected / tick()
    -> take_effects(), once per turn of the loop

No socket, no file, no clock, no randomness of its own: `clock` and `seed` are arguments. So the same node runs under
the event loop, inside a test with a clock that is turned by hand, and in a simulation where one seed decides
everything; and the same input gives the same output, byte for byte.

Reading order: `receive`, then execute.py for what becomes of the bytes, then `take_effects` for the end of the turn.
`tick` is Redis's serverCron.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from mini_redis.commands.blocking import Block, without_waiting
from mini_redis.keyspace.active_expire import ActiveExpire
from mini_redis.keyspace.database import Database, Keyspace
from mini_redis.keyspace.notifications import attach, notify
from mini_redis.keyspace.types import Value
from mini_redis.persistence.dump import dump, restore
from mini_redis.persistence.forms import pack_value, read_value, serialized_length
from mini_redis.persistence.strings import Reader
from mini_redis.resp.parser import RequestParser
from mini_redis.resp.reply import Reply
from mini_redis.server.access import Access
from mini_redis.server.blocking import Waiting
from mini_redis.server.client import Client
from mini_redis.server.clock import Clock
from mini_redis.server.command_table import CommandTable, LiveCommand
from mini_redis.server.config import Config
from mini_redis.server.context import Context
from mini_redis.server.effects import Append, Close, Effect, Exit, Log, Write
from mini_redis.server.environment import Environment
from mini_redis.server.eviction import Eviction
from mini_redis.server.execute import call, process
from mini_redis.server.gates import GATES, is_local
from mini_redis.server.info import describe
from mini_redis.server.keysizes import KeySizes
from mini_redis.server.limits import ClientLimits
from mini_redis.server.memory import Account, account
from mini_redis.server.observation import NEVER_NS, Observation
from mini_redis.server.propagation import Propagation
from mini_redis.server.pubsub import PubSub
from mini_redis.server.scripting import Scripting
from mini_redis.server.stats import Statistics
from mini_redis.server.tracking import Tracking

NOT_WORTH_CHECKING = 65_536  # bytes: no query buffer limit is below
PROTECTED_MODE_TEXT = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for "
    b"the default user. In this mode connections are only accepted from the loopback interface. If you want to "
    b"connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable "
    b"protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by "
    b"connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly "
    b"accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively "
    b"you can just disable the protected mode by editing the Redis configuration file, and setting the "
    b"protected mode option to 'no', and then restarting the server. 3) If you started the server manually just "
    b"for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication password for "
    b"the default user. NOTE: You only need to do one of the above things in order for the server to start "
    b"accepting connections from the outside.\r\n"
)


class Server:
    """One node. Single-threaded: whoever calls its methods does so one at a time."""

    def __init__(self, config: Config, clock: Clock, seed: int = 0, environment: Environment | None = None) -> None:
        self.config = config
        self.clock = clock
        self.environment = environment or Environment()
        self.monotonic_ns = clock.monotonic_ns
        self.rng = Random(seed)
        self.run_id = b"%040x" % self.rng.getrandbits(160)
        self.replid = b"%040x" % self.rng.getrandbits(160)

        self.keyspace = Keyspace(config.databases)
        self.keyspace.on_expired = self._key_expired
        self.keyspace.on_fields_expired = self._fields_expired
        self.active_expire = ActiveExpire(clock.monotonic_ns)
        self.active_expire.on_cycle = self._expire_cycle_ran
        self.keysizes = KeySizes(self.keyspace)
        self.waiting = Waiting(self)
        self.pubsub = PubSub(self)
        self.tracking = Tracking(self)
        self.access = Access(self)
        self.keyspace.on_bound = self.waiting.key_bound
        self.keyspace.on_gone = self.waiting.key_gone
        self.propagation = Propagation(lambda data: self.effects.append(Append(data)))
        self.command_table = CommandTable()
        self.commands = self.command_table.table
        self.dirty = 0
        self.vector_sets_created = 0
        self.hll_wide = True  # PFDEBUG SIMD
        self.last_command_ns = 0
        self.remarkable_ns = NEVER_NS  # how long a command must take for `observation` to hear of it
        self.observation = Observation(self)
        self.notify_flags = 0
        self.listeners: list[Callable[[bytes, bytes], None]] = []  # whom `publish` reaches

        self.clients: dict[int, Client] = {}
        self.clients_created = 0
        self.writers: list[Client] = []  # those with replies of this turn
        self.postponed: list[Client] = []  # those that wait for the end of CLIENT PAUSE
        self.limits = ClientLimits(self)
        self.eviction = Eviction(self)
        self.paused_until_ms = 0
        self.pause_writes_only = False

        self.effects: list[Effect] = []  # before this turn's replies: the log
        self.endings: list[Effect] = []  # after them: connections to close, the end itself
        self.now_us = 0
        self.in_turn = False  # the clock was read since the last `take_effects`
        self.freeze_time()
        self.stats = Statistics(self.now_us)
        self.track_latency = True
        self.active_expire_enabled = True
        self.checks_seals = True  # DEBUG SET-SKIP-CHECKSUM-VALIDATION
        self.next_tick_ms = 0  # when the node wants `tick`: for its cron, or because somebody's waiting ends
        self._next_cron_ms = 0
        self.cron_runs = 0
        self.cron_paused = False  # DEBUG PAUSE-CRON
        self.leaked: list[bytes] = []  # DEBUG LEAK
        self.shutting_down = False
        self.scripting = Scripting(self)
        self.access.load_configured()
        self._obey_config()

    # --- Input: what the driver calls ---------------------------------------------------------------------------------

    def connected(self, address: str, local_address: str = "", fd: int = -1, connection: object = None) -> Client:
        """Somebody connected; the client to name in all later calls. It may have been refused: see its `closing`."""
        self.freeze_time()
        self.clients_created += 1
        self.stats.connections += 1
        parser = RequestParser(self.config.proto_max_bulk_len)
        client = Client(self.clients_created, parser, address, local_address, fd, self.now_ms)
        self.access.welcome(client)
        client.context = Context(self, client)
        client.connection = connection
        if len(self.clients) >= self.config.maxclients:
            self.stats.rejected_connections += 1
            self._refuse(client, b"-ERR max number of clients reached\r\n")
        elif self.config.protected_mode and self.access.users.default.no_password and not is_local(address):
            self.stats.rejected_connections += 1
            self._refuse(client, PROTECTED_MODE_TEXT)
        else:
            self.clients[client.id] = client
            self.limits.wake(client)
            if self.limits.counts_memory:
                self.limits.measure(client)
        return client

    def receive(self, client: Client, data: bytes) -> None:
        """The client sent `data`; run what is complete."""
        if not self.in_turn:
            self.in_turn = True
            self.freeze_time()
        client.last_interaction_ms = self.keyspace.now_ms
        size = len(data)
        client.net_input += size
        stats = self.stats
        stats.net_input += size
        stats.reads += 1
        if self.limits.counts_memory:
            self.limits.evict_clients()
        if client.closing:
            return
        if client.asleep:
            self.limits.wake(client)
        parser = client.parser
        batch = [] if client.held else parser.single(data)
        if not batch:
            parser.feed(data)
        if parser.size + client.queued_bytes > NOT_WORTH_CHECKING and self.limits.query_buffer_exceeded(client):
            return
        process(self, client, batch)
        if self.limits.counts_memory:
            self.limits.measure(client)

    def unsent(self, client: Client, size: int) -> None:
        """The driver holds `size` bytes that the client's socket has not taken."""
        client.unsent = size
        if not client.closing:
            if client.asleep:
                self.limits.wake(client)
            self.limits.check_output(client)
        if self.limits.counts_memory:
            self.limits.measure(client)
            self.limits.evict_clients()

    def disconnected(self, client: Client) -> None:
        """The client is gone; nothing can be sent to it any more."""
        client.closing = client.held = True
        client.out.clear()
        self._forget(client)

    def tick(self) -> None:
        """Time has passed. Call it when it `is_due`."""
        self.freeze_time()
        if self.now_ms >= self._next_cron_ms or self._next_cron_ms - self.now_ms > self._period_ms:
            start_ns = self.monotonic_ns()
            self._cron()
            self.stats.cron_ns += self.monotonic_ns() - start_ns
        self.waiting.time_out(self.now_ms)
        if self.eviction.is_due:
            self.eviction.resume()
        self.next_tick_ms = self._next_cron_ms
        if self.waiting.deadlines:
            self.wake_at(self.waiting.deadlines.peekitem(0)[0][0])
        if self.eviction.is_due:
            self.wake_at(self.now_ms)

    def is_due(self, now_ms: int) -> bool:
        """Whether the node wants `tick` now: `next_tick_ms` has come, or is so far away that the date went back."""
        return now_ms >= self.next_tick_ms or self.next_tick_ms - now_ms > self._period_ms

    @property
    def _period_ms(self) -> int:
        return 1000 // self.config.hz

    def wake_at(self, at_ms: int) -> None:
        """The node wants `tick` at this unix time, or before."""
        self.next_tick_ms = min(self.next_tick_ms, at_ms)

    def _cron(self) -> None:
        """serverCron: what has to happen `hz` times a second."""
        self.cron_runs += 1
        hz = self.config.hz
        self._next_cron_ms = self.now_ms + self._period_ms
        if self.cron_paused:
            return
        if self.paused_until_ms and self.now_ms >= self.paused_until_ms:
            self.unpause()
        if self.active_expire_enabled and not self.paused_until_ms and not self.keyspace.masks_only:
            self.active_expire.slow(self.keyspace.databases, self.now_ms, hz, self.config.active_expire_effort)
            self.propagation.end_unit(transaction=False)
        self.limits.cron()
        self.tracking.limit()
        self.keyspace.ledger.settle()  # what is open does not pile up
        for db in self.keyspace.databases:
            db.clocks.drop_unless_wanted(self.now_ms)
        self.keysizes.walk(self.now_ms)
        self.stats.sample(self)

    # --- Output: once per turn ----------------------------------------------------------------------------------------

    def take_effects(self) -> list[Effect]:
        """What is to be done now, in this order; the turn ends here (beforeSleep)."""
        self.in_turn = False
        if self.active_expire_enabled and not self.paused_until_ms and not self.keyspace.masks_only:
            self.active_expire.fast(self.keyspace.databases, self.now_ms, self.config.active_expire_effort)
            self.propagation.end_unit(transaction=False)
        if self.waiting.ready:
            self.waiting.serve()
        if self.postponed and not self.paused_until_ms:
            self._resume(self.postponed)
        while self.waiting.resumed:
            self._resume(self.waiting.resumed)
        if self.tracking.prefixes:
            self.tracking.broadcast()
        if self.pubsub.pushed:
            self.pubsub.check_limits()
        writers, self.writers = self.writers, []
        return self._effects_for(writers)

    def _effects_for(self, writers: list[Client]) -> list[Effect]:
        """What is to be done, and what these are to be sent."""
        effects, self.effects = self.effects, []
        replies: list[tuple[Client, bytes]] = []
        limits, sent = self.limits, 0
        for client in writers:
            if limits.limits_output:
                limits.check_output(client)
            out = client.out
            if not out:
                continue  # disconnected within this turn
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            client.net_output += len(data)
            sent += len(data)
            replies.append((client, data))
            if limits.counts_memory:
                limits.measure(client)
        if replies:
            effects.append(Write(replies))
        self.stats.net_output += sent
        self.stats.writes += len(writers)
        if self.limits.counts_memory:
            self.limits.evict_clients()
        if self.keyspace.graveyard.remains:
            self.keyspace.graveyard.work()
            if self.keyspace.graveyard.remains:
                self.wake_at(self.now_ms)
        if self.endings:
            effects += self.endings
            self.endings = []
        return effects

    def between_times(self, serve: Callable[[], None]) -> None:
        """Let the driver `serve` the others in the middle of a script, which afterwards finds the world as it was.

        Who runs it is not heard: he could be gone before his reply is there.
        """
        caller, propagation, pubsub, waiting = self.scripting.caller, self.propagation, self.pubsub, self.waiting
        assert caller is not None, "only what somebody called can take long"
        aside = propagation.set_aside(), waiting.ready, pubsub.running, pubsub.deferred, caller.held
        frozen = self.now_us, self.keyspace.now_ms
        waiting.ready, pubsub.deferred, caller.held = {}, [], True
        try:
            serve()
        finally:
            self.in_turn = True
            self.now_us, self.keyspace.now_ms = frozen
            unit, waiting.ready, pubsub.running, pubsub.deferred, caller.held = aside
            propagation.take_back(unit)

    def take_effects_between(self) -> list[Effect]:
        """As `take_effects`, in the middle of a script: nothing but what the others are told."""
        running = [client for client in self.writers if client is self.scripting.caller]
        writers = [client for client in self.writers if client is not self.scripting.caller]
        self.writers = running
        return self._effects_for(writers)

    # --- What commands and gates use ----------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.keyspace.now_ms

    def freeze_time(self) -> None:
        """Read the clock: from now until the next call, time stands."""
        self.now_us = now_us = self.clock.wall_us()
        self.keyspace.now_ms = now_us // 1000

    def call(self, client: Client, command: LiveCommand, argv: list[bytes]) -> Reply:
        """Run a command inside a transaction or script, where nobody can wait."""
        reply = call(self, client, command, argv)
        return without_waiting(reply) if type(reply) is Block else reply

    def acl_allows(self, client: Client, argv: list[bytes]) -> bool:
        """Whether the client may make this call; nothing is logged. Raises ReplyError if there is no such command."""
        return self.access.allows(client, argv)

    def is_out_of_memory(self) -> bool:
        """Whether the running command found memory exceeded and nothing to evict: a script may then not write."""
        return bool(self.config.maxmemory) and self.eviction.out_of_memory

    def log(self, level: str, text: str) -> None:
        self.effects.append(Log(level, text))

    def publish(self, channel: bytes, message: bytes) -> int:
        """Hand a message to whoever listens; how many clients that are."""
        for listener in self.listeners:
            listener(channel, message)
        return self.pubsub.publish(channel, message)

    def dump(self, value: Value) -> bytes:
        """A value as DUMP answers it."""
        return dump(value, self.config.rdbcompression)

    def serialized_length(self, value: Value) -> int:
        """As DEBUG OBJECT tells it."""
        return serialized_length(value, self.config.rdbcompression)

    def restore(self, payload: bytes) -> Value:
        """The value that DUMP has answered somewhere. Raises ReplyError."""
        return restore(payload, self.config, checked=self.checks_seals)

    def saved_and_loaded(self, value: Value) -> Value:
        """The value that an RDB file with this one would give back."""
        form, body = pack_value(value, self.config.rdbcompression)
        return read_value(form, Reader(body), self.config)

    def count_error(self, code: bytes) -> None:
        """INFO errorstats."""
        given_up = self.stats.count_error(code)
        if given_up:
            self.log(
                "#",
                "Errorstats stopped adding new errors because the number of errors reached the limit, may be misuse of"
                " lua error_reply, please check INFO ERRORSTATS, this can be re-enabled via CONFIG RESETSTAT.",
            )
            self.log("#", f"Current errors code list: {b', '.join(given_up).decode('utf-8', 'backslashreplace')}")

    def close(self, client: Client, *, flush: bool) -> None:
        """End a connection; with `flush` after its replies have been sent."""
        if client.closing:
            return
        client.closing = client.held = True
        if not flush:
            client.out.clear()
        self._forget(client)
        self.endings.append(Close(client, flush))

    def stop(self, code: int = 0) -> None:
        """End the process when this turn's effects are done. Nobody's next request is run."""
        self.shutting_down = True
        for client in self.clients.values():
            client.held = True
        self.endings.append(Exit(code))

    def info(self, sections: Sequence[bytes]) -> bytes:
        """What INFO answers; see info.py."""
        return describe(self, sections)

    def account_memory(self) -> Account:
        """What memory is used for; see memory.py."""
        return account(self)

    def write_file(self, path: str, data: bytes) -> None:
        """Replace a file at once, where a reply depends on the outcome. Raises ReplyError."""
        self.environment.write_file(path, data)

    def release_transaction(self, client: Client) -> None:
        """Leave MULTI and WATCH."""
        client.discard_transaction()
        self.unwatch(client)

    def watch(self, client: Client, key: bytes) -> None:
        db = client.db
        if (db.id, key) in client.watching:
            return
        client.watching[db.id, key] = key in db.data and db.is_expired(key)
        db.watched.setdefault(key, []).append(client)
        db.observed = True

    def unwatch(self, client: Client) -> None:
        for number, key in client.watching:
            db = self.keyspace.databases[number]
            watched = db.watched
            watched[key].remove(client)
            if not watched[key]:
                del watched[key]
                db.observed = bool(watched or self.tracking.clients)
        client.watching.clear()
        client.dirty_cas = False

    def choose_observers(self) -> None:
        """The first client began to track, or the last one ended: let modified keys be told, or not. O(databases)."""
        for db in self.keyspace.databases:
            db.observed = bool(db.watched or self.tracking.clients)
        self.choose_gates()

    def key_modified(self, db: Database, key: bytes, by: Client | None) -> None:
        """Transactions that watch the key fail, and caches are told. `by` is None if its time was over."""
        db.touch_watched(key)
        if self.tracking.clients:
            self.tracking.modified(key, by)

    def watched_key_expired(self, client: Client) -> bool:
        """Whether a watched key's time has passed since WATCH, although nobody has looked at it yet."""
        for (number, key), was_expired in client.watching.items():
            db = self.keyspace.databases[number]
            if not was_expired and key in db.data and db.is_expired(key):
                return True
        return False

    def pause(self, until_ms: int, *, writes_only: bool) -> None:
        """CLIENT PAUSE. A second call never shortens or weakens the first."""
        if self.paused_until_ms:
            writes_only = writes_only and self.pause_writes_only
            until_ms = max(until_ms, self.paused_until_ms)
        self.paused_until_ms = until_ms
        self.pause_writes_only = writes_only
        self.keyspace.masks_only = True
        self.choose_gates()

    def unpause(self) -> None:
        """End the pause. What waited runs at the end of this turn, in the order in which it came."""
        self.paused_until_ms = 0
        self.keyspace.masks_only = False
        self.choose_gates()

    def _resume(self, clients: list[Client]) -> None:
        """Go on with what these have sent while they had to wait."""
        resumed = clients[:]
        clients.clear()
        for client in resumed:
            if not client.closing and client.waiting is None:
                client.held = client.paused = False
                process(self, client, [])

    def postpone(self, client: Client) -> None:
        client.held = client.paused = True
        self.postponed.append(client)

    def choose_gates(self) -> None:
        """Give each command the gates that it must pass in the server's present state."""
        standing = [gate for gate in GATES if gate.stands(self)]
        self.command_table.set_gates(lambda command: tuple(gate for gate in standing if gate.concerned(command)))

    # --- Inside -------------------------------------------------------------------------------------------------------

    def _refuse(self, client: Client, text: bytes) -> None:
        client.closing = client.held = True
        self.endings += [Write([(client, text)]), Close(client, flush=True)]

    def _forget(self, client: Client) -> None:
        self.limits.forget(client)
        self.clients.pop(client.id, None)
        if client.waiting is not None:
            self.waiting.end(client)
        if client.subscriptions:
            self.pubsub.forget(client)
        if client.monitoring:
            self.observation.end(client)
        self.tracking.end(client)
        if client.queue is not None or client.watching:
            self.release_transaction(client)

    def _key_expired(self, db: Database, key: bytes) -> None:
        self._key_gone(db, key, "expired", self.config.lazyfree_lazy_expire)

    def key_evicted(self, db: Database, key: bytes) -> None:
        """Announce and propagate that a key was deleted for want of memory. Each is a unit of its own."""
        self._key_gone(db, key, "evicted", self.config.lazyfree_lazy_eviction)
        self.propagation.end_unit(transaction=False)

    def _key_gone(self, db: Database, key: bytes, event: str, lazily: bool) -> None:
        # Not counted as a change: the command that came across the key would then itself be propagated.
        self.propagation.also(db.id, [b"UNLINK" if lazily else b"DEL", key])
        if self.notify_flags:
            notify(self.notify_flags, self.publish, db.id, key, event)
        self.key_modified(db, key, None)

    def _expire_cycle_ran(self, duration_ns: int) -> None:
        self.observation.latency.note(b"expire-cycle", duration_ns, self.observation.now_s)

    def _fields_expired(self, db: Database, key: bytes, fields: list[bytes]) -> None:
        self.key_modified(db, key, None)
        for field in fields:
            self.propagation.also(db.id, [b"HDEL", key, field])
        if self.notify_flags:
            notify(self.notify_flags, self.publish, db.id, key, "hexpired")
            if key not in db.data:
                notify(self.notify_flags, self.publish, db.id, key, "del")

    def _obey_config(self) -> None:
        """Act on the configuration now, and again whenever CONFIG SET changes it."""
        for old, new in self.config.renamed_commands:
            self.command_table.rename(old, new)
        hooks: dict[str, Callable[[], None]] = {
            "requirepass": self.choose_gates,
            "notify_keyspace_events": self._choose_events,
            "maxmemory": self._limit_memory,
            "maxmemory_clients": self.limits.configure_memory,
            "maxmemory_policy": self._choose_policy,
            "maxmemory_samples": self.eviction.configure,
            "lazyfree_lazy_expire": self._choose_lazy_freeing,
            "lazyfree_lazy_server_del": self._choose_lazy_freeing,
            "lfu_log_factor": self._tune_clocks,
            "lfu_decay_time": self._tune_clocks,
            "latency_tracking": self._choose_latency_tracking,
            "slowlog_log_slower_than": self.observation.configure,
            "slowlog_max_len": self.observation.configure,
            "latency_monitor_threshold": self.observation.configure,
            "proto_max_bulk_len": self._limit_bulks,
            "client_output_buffer_limit": self.limits.configure,
            "acl_pubsub_default": self.access.default_channels_configured,
        }
        for hook in dict.fromkeys(hooks.values()):
            hook()
        hooks["maxmemory"] = self._limit_memory_now
        hooks["requirepass"] = self.access.password_configured
        self.config.on_change.update(hooks)

    def _limit_memory(self) -> None:
        self.limits.configure_memory()
        self.choose_gates()

    def _limit_memory_now(self) -> None:
        self._limit_memory()
        self.eviction.limit_changed()

    def _choose_lazy_freeing(self) -> None:
        self.keyspace.frees_expired_lazily = self.config.lazyfree_lazy_expire
        self.keyspace.frees_replaced_lazily = self.config.lazyfree_lazy_server_del

    def _choose_events(self) -> None:
        self.notify_flags = self.config.notify_keyspace_events
        attach(self.keyspace, self.notify_flags, self.publish)

    def _choose_policy(self) -> None:
        self.eviction.configure()
        self.keyspace.use_lfu(self.config.maxmemory_policy.endswith(b"lfu"))
        self._tune_clocks()

    def _tune_clocks(self) -> None:
        needed = self.config.maxmemory_policy.endswith((b"lru", b"lfu"))
        for db in self.keyspace.databases:
            clocks = db.clocks
            clocks.log_factor, clocks.decay_minutes = self.config.lfu_log_factor, self.config.lfu_decay_time
            clocks.rng = self.rng
            if needed:
                clocks.want()

    def _choose_latency_tracking(self) -> None:
        self.track_latency = self.config.latency_tracking

    def _limit_bulks(self) -> None:
        for client in self.clients.values():
            client.parser.max_bulk = self.config.proto_max_bulk_len
