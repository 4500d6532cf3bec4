"""Client-side caching: a client keeps what it has read, and is told when that is no longer true.

Question it answers: how can a client answer from its own memory, without a round trip, and yet not from yesterday? It
says CLIENT TRACKING ON, and the server tells it which of its keys were modified. There are two ways to know whom to
tell, and they trade memory of the server for messages:

    table     key -> ids of the clients that have read it      the default: nobody hears of what he has not read
    prefixes  prefix -> its clients, and the keys of the turn  BCAST: nothing is remembered, everybody hears of all
                                                               keys that begin with his prefixes

**Told once, then forgotten.** The message for a key takes it out of the table; whoever reads it again is in again. So
an entry stands for "has a copy, and has not been told". Ids, not clients: who leaves is not looked for in the table (it
may stand there a million times), his ids go when their keys do. Ids are never used twice.

**What bounds it.** `tracking-table-max-keys`. What is too much is thrown out at random, before each command and in the
cron, and whoever had read it is told as if it had been modified: a cache may be told too much, never too little.

**Order.** A message to whoever else goes at once. To the client whose command is being run it goes after the reply, of
EXEC too, and after all other pushes that this command has caused. Broadcasts are sent at the end of the turn: one
message for each prefix, its keys sorted.

**How it gets there.** RESP3: a push `invalidate` with a list of keys, or null for "everything" (FLUSHALL). RESP2 has no
pushes; there, REDIRECT names another connection, which subscribes to something and reads messages of the channel
`__redis__:invalidate`. If that connection is gone, whoever speaks RESP3 is told `tracking-redir-broken` instead.

Invariants (`check`): (1) `items` is the number of ids in the table, and no key has none; (2) a client stands in a
prefix exactly if the prefix is among its own; (3) no prefix is without clients; (4) a client tracks exactly if it is in
`clients`.

As in Redis 8.2.3, and worth knowing: keys count without their database; SWAPDB tells nobody, and neither does the table
tell a NOLOOP client what its own next command has thrown out, so such a copy may be stale for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from mini_redis.commands.registry import READONLY
from mini_redis.resp.reply import InProtocol, Push
from mini_redis.structures.indexed_dict import IndexedDict

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.node import Server

CHANNEL: Final = b"__redis__:invalidate"
EFFORT: Final = 100  # keys that are thrown out at a time; more if that was not enough the last time
READS_BY_ITS_COMMANDS: Final = (b"eval_ro", b"evalsha_ro", b"fcall_ro")

Keys = list[bytes] | None
"""What is no longer true; None: nothing is."""


@dataclass(slots=True, eq=False)
class Interest:
    """What one client wants to hear of."""

    client: Client
    redirect: int = 0
    """The id of the client that is told instead; 0: itself."""
    prefixes: dict[bytes, None] | None = None
    """Those of BCAST; None in the default mode."""
    optin: bool = False
    optout: bool = False
    noloop: bool = False
    caching: bool = False
    """CLIENT CACHING was said: the next command is remembered (OPTIN), or not (OPTOUT)."""
    broken: bool = False
    """A message was lost because `redirect` is gone."""
    depth: int = 0
    """How many of its commands are running: one, and those inside of an EXEC or a script."""

    @property
    def wants_what_it_reads(self) -> bool:
        """Whether the keys of the running command are to be remembered."""
        if self.prefixes is not None:
            return False
        return self.caching if self.optin else not (self.optout and self.caching)


class Invalidation(NamedTuple):
    """A message that waits for the end of the command that caused it."""

    interest: Interest
    keys: Keys


@dataclass(slots=True, eq=False)
class Prefix:
    """Who wants to hear of a prefix, and which keys were modified in this turn, by whom the last time."""

    interests: dict[Interest, None] = field(default_factory=dict)
    keys: dict[bytes, Client | None] = field(default_factory=dict)


class Tracking:
    """All that one node knows of the caches of its clients."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.clients: dict[Client, None] = {}
        self.table: IndexedDict[dict[int, None]] = IndexedDict()
        self.items = 0
        self.prefixes: dict[bytes, Prefix] = {}
        self._times_over = 0  # how often in a row the limit was not reached

    # --- CLIENT TRACKING ----------------------------------------------------------------------------------------------

    def begin(
        self, client: Client, *, redirect: int, prefixes: list[bytes] | None, optin: bool, optout: bool, noloop: bool
    ) -> None:
        """Track for a client, or change how. `prefixes` is None but for BCAST, which adds to those there are."""
        interest = client.tracking
        if interest is None:
            interest = client.tracking = Interest(client)
            client.settle()
            self.clients[client] = None
            if len(self.clients) == 1:
                self._server.choose_observers()
        interest.redirect, interest.broken = redirect, False
        interest.optin, interest.optout, interest.noloop = optin, optout, noloop
        if prefixes is not None:
            own = interest.prefixes = interest.prefixes or {}
            for prefix in prefixes or [b""]:
                own[prefix] = None
                self.prefixes.setdefault(prefix, Prefix()).interests[interest] = None

    def end(self, client: Client) -> None:
        """Track no longer, if it did. O(its prefixes): what it has read stays in the table until that is modified."""
        interest = client.tracking
        if interest is None:
            return
        for prefix in interest.prefixes or ():
            interested = self.prefixes[prefix].interests
            del interested[interest]
            if not interested:
                del self.prefixes[prefix]
        client.tracking = None
        client.settle()
        del self.clients[client]
        if not self.clients:
            self._server.choose_observers()

    # --- Reading ------------------------------------------------------------------------------------------------------

    def command_done(self, interest: Interest, command: LiveCommand, argv: list[bytes], waits: bool) -> None:
        """One of the client's commands has run: remember what it has read, even if it failed. O(keys)."""
        declared = command.command
        if declared.flags & READONLY and interest.wants_what_it_reads and command.name not in READS_BY_ITS_COMMANDS:
            number = interest.client.id
            for index, _ in declared.key_positions(argv):
                self._remember(argv[index], number)
        is_over = not interest.depth and interest.client.queue is None and not waits
        if is_over and not command.name.startswith(b"client|"):
            interest.caching = False

    def _remember(self, key: bytes, number: int) -> None:
        ids = self.table.get(key)
        if ids is None:
            ids = self.table[key] = {}
        if number not in ids:
            ids[number] = None
            self.items += 1

    # --- Writing ------------------------------------------------------------------------------------------------------

    def modified(self, key: bytes, by: Client | None) -> None:
        """A key was modified: by a client, or None if its time was over. O(prefixes + who has read it)."""
        for prefix, interested in self.prefixes.items():
            if key.startswith(prefix):
                interested.keys[key] = by
        if key in self.table:
            self._forget(key)

    def flushed(self) -> None:
        """A database was emptied. Keys count without database, so nothing that was read is true. O(clients)."""
        running = self._server.pubsub.running
        for client in self._server.clients.values():
            interest = client.tracking
            if interest is None:
                continue
            if client is running:
                self._server.pubsub.deferred.append(Invalidation(interest, None))
            else:
                self.tell(interest, None)
        self.table.clear()
        self.items = 0

    def limit(self) -> None:
        """Throw out what is above `tracking-table-max-keys`, a bounded number of keys each time."""
        most = self._server.config.tracking_table_max_keys
        if not most or len(self.table) <= most:
            self._times_over = 0
            return
        pubsub, rng = self._server.pubsub, self._server.rng
        pubsub.at_once = True
        for _ in range(EFFORT * (self._times_over + 1)):
            self._forget(self.table.random_key(rng))
            if len(self.table) <= most:
                break
        pubsub.at_once = False
        self._times_over = 0 if len(self.table) <= most else self._times_over + 1

    def _forget(self, key: bytes) -> None:
        """Take a key out of the table and tell whoever has read it, but for NOLOOP not who brought that about."""
        ids = self.table.pop(key)
        assert ids is not None, "who calls this has found the key"
        self.items -= len(ids)
        pubsub = self._server.pubsub
        for number in ids:
            client = self._server.clients.get(number)
            interest = None if client is None else client.tracking
            if interest is None or interest.prefixes is not None or (client is pubsub.running and interest.noloop):
                continue
            if client is pubsub.running and not pubsub.at_once:
                pubsub.deferred.append(Invalidation(interest, [key]))
            else:
                self.tell(interest, [key])

    def broadcast(self) -> None:
        """The turn ends: tell who listens to prefixes what was modified in it. O(keys log keys + messages)."""
        for prefix in sorted(self.prefixes):
            interested = self.prefixes[prefix]
            if not interested.keys:
                continue
            modified, interested.keys = interested.keys, {}
            keys = sorted(modified)
            for interest in interested.interests:
                mine = interest.client
                heard = [key for key in keys if modified[key] is not mine] if interest.noloop else keys
                if heard:
                    self.tell(interest, heard)

    # --- Telling ------------------------------------------------------------------------------------------------------

    def tell(self, interest: Interest, keys: Keys) -> None:
        """Send a message to the client itself, or to where it is redirected."""
        pubsub, client, target = self._server.pubsub, interest.client, interest.client
        if interest.redirect:
            redirected = self._server.clients.get(interest.redirect)
            if redirected is None:
                interest.broken = True
                if client.resp == 3:
                    pubsub.push(client, Push([b"tracking-redir-broken", interest.redirect]))
                return
            target = redirected
        said = InProtocol(None, client.resp) if keys is None else keys  # Redis spells null for who tracks
        if target.resp == 3:
            pubsub.push(target, Push([b"invalidate", said]))
        elif interest.redirect and target.subscriptions:
            pubsub.push(target, Push([b"message", CHANNEL, said]))

    def check(self) -> None:
        """Assert the invariants. O(everything)."""
        assert self.items == sum(map(len, self.table.values())), "(1) the ids are miscounted"
        assert all(self.table.values()), "(1) nobody has read this key"
        pairs = {(interest.client, prefix) for prefix, one in self.prefixes.items() for interest in one.interests}
        told = {(client, prefix) for client in self.clients for prefix in _prefixes_of(client)}
        assert pairs == told, "(2) the prefixes of a client are those that have it"
        assert all(one.interests for one in self.prefixes.values()), "(3) a prefix without clients"
        tracking = {client for client in self._server.clients.values() if client.tracking is not None}
        assert tracking == set(self.clients), "(4) who tracks is in `clients`"


def _prefixes_of(client: Client) -> dict[bytes, None]:
    interest = client.tracking
    assert interest is not None, "(4) who is in `clients` tracks"
    return interest.prefixes or {}
