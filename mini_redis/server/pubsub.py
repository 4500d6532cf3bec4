"""Publish and subscribe: who hears what, on this node.

Question it answers: what does a message cost, and what is promised about it? A message is copied into the output of
each subscriber and then forgotten: at most once, to those who are there. Who is away misses it; who reads too slowly is
disconnected (`client-output-buffer-limit pubsub`). What must not be lost belongs into a stream or a list.

    channels   channel -> the clients that subscribed to it     SUBSCRIBE       PUBLISH is O(subscribers + patterns)
    patterns   pattern -> likewise                               PSUBSCRIBE
    shards     channel -> likewise                               SSUBSCRIBE     a namespace of its own

Subscribers are told in the order in which they subscribed. A client that publishes to itself gets the message after the
reply to what it is doing (`deferred`): a reply is never torn apart by a push. What it is to hear of keys that it has in
its cache (tracking.py) comes after that.

Invariants: a client is in a channel's subscribers exactly if the channel is in the client's own table; no channel has
an empty table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.resp.encoder import encode
from mini_redis.resp.reply import Push, Reply
from mini_redis.server.tracking import Invalidation
from mini_redis.structures.glob import glob_match

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.node import Server

CHANNELS: Final = 0
PATTERNS: Final = 1
SHARDS: Final = 2

Table = dict[bytes, dict["Client", None]]


class PubSub:
    """The subscriptions of one node, in three tables."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.tables: tuple[Table, Table, Table] = ({}, {}, {})
        self.subscribers: dict[Client, None] = {}
        self.running: Client | None = None  # whose request is being run
        self.at_once = False  # it is not yet, but room is made for it: what it is told of that comes before the reply
        self.deferred: list[Reply | Invalidation] = []  # what it is to be told when that is done
        self.pushed: dict[Client, int] = {}  # bytes that were pushed to whom in this turn

    def subscribe(self, client: Client, table: int, name: bytes) -> None:
        """Add a subscription, if it is not there. O(1)."""
        if not client.subscriptions:
            client.subscriptions = ({}, {}, {})
        client.subscriptions[table][name] = None
        self.tables[table].setdefault(name, {})[client] = None
        if client not in self.subscribers:
            self.subscribers[client] = None
            if len(self.subscribers) == 1:
                self._server.choose_gates()

    def unsubscribe(self, client: Client, table: int, name: bytes) -> None:
        """Take a subscription away, if it is there. O(1)."""
        if not client.subscriptions or name not in client.subscriptions[table]:
            return
        del client.subscriptions[table][name]
        clients = self.tables[table][name]
        del clients[client]
        if not clients:
            del self.tables[table][name]
        if not any(client.subscriptions):
            client.subscriptions = ()
            del self.subscribers[client]
            if not self.subscribers:
                self._server.choose_gates()

    def forget(self, client: Client) -> None:
        """The client goes, or begins anew. O(its subscriptions)."""
        for table, names in enumerate(client.subscriptions):
            for name in list(names):
                self.unsubscribe(client, table, name)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to all who subscribed to the channel or to a pattern that fits it; how many that were."""
        direct = self.tables[CHANNELS].get(channel, ())
        for client in direct:
            self.push(client, Push([b"message", channel, message]))
        reached = len(direct)
        for pattern, clients in self.tables[PATTERNS].items():
            if glob_match(pattern, channel):
                for client in clients:
                    self.push(client, Push([b"pmessage", pattern, channel, message]))
                reached += len(clients)
        return reached

    def publish_to_shard(self, channel: bytes, message: bytes) -> int:
        """Send a message to those who did SSUBSCRIBE; how many that were."""
        clients = self.tables[SHARDS].get(channel, ())
        for client in clients:
            self.push(client, Push([b"smessage", channel, message]))
        return len(clients)

    def push(self, client: Client, push: Reply) -> None:
        """Tell a client something that it did not ask for, whatever its CLIENT REPLY mode."""
        if client is self.running and not self.at_once:
            self.deferred.append(push)
            return
        pushed = self.pushed.get(client, 0)
        hard_limit = self._server.config.client_output_buffer_limit[client.kind].hard
        if hard_limit and pushed >= hard_limit:
            return  # it will be disconnected at the end of the turn: do not pile up more until then
        if not client.out:
            self._server.writers.append(client)
        encoded = encode(push, client.resp)
        client.out.append(encoded)
        self.pushed[client] = pushed + len(encoded)

    def check_limits(self) -> None:
        """The turn ends: disconnect those for whom too much has piled up. O(clients that were told something)."""
        pushed, self.pushed = self.pushed, {}
        for client in pushed:
            if not client.closing:
                self._server.limits.check_output(client)

    def run_for(self, client: Client | None) -> Client | None:
        """From now on it is this client's request that is run; whose it was before."""
        before, self.running = self.running, client
        return before

    def flush(self) -> None:
        """The request is done: send what was deferred, invalidations last."""
        deferred = self.deferred
        if not deferred:
            return
        self.deferred = []
        client = self.run_for(None)
        assert client is not None
        if not client.closing:
            for message in sorted(deferred, key=lambda one: isinstance(one, Invalidation)):
                if isinstance(message, Invalidation):
                    self._server.tracking.tell(message.interest, message.keys)
                else:
                    self.push(client, message)
        self.run_for(client)

