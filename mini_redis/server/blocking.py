"""Who waits for which key: the node's side of `Block` (commands/blocking.py).

    keys      each database's `blocked`: key -> the clients that wait for it, in the order in which they came
    deadlines (unix ms, client id) -> client, sorted: the first of them is when the node must be woken
    kinds     kind of value -> how many clients wait for one, whatever the key
    ready     (database, key) -> None: bound by the running command to what somebody waits for

**Serving.** Whatever binds a key that was free (a push, RENAME, MOVE, SWAPDB...) only notes that the key is ready. (A
value put in the place of another, by SORT STORE or ZUNIONSTORE, does not make it ready; nor does it in Redis.) When the
command, or the whole transaction or script, is over, its waiters are tried in the order in which they came: the same
handler runs again, if all gates still let it pass, and either answers or blocks again, which keeps its deadline. That
is why a push of three elements serves three clients, why a transaction that pushes and pops again serves nobody, and
why replicas see the plain pop that was done and never the waiting.

**Nothing polls.** A waiting client costs its place in these tables. The loop sleeps until somebody sends something or
the first deadline comes.

Invariants: a client's `waiting` is None or names a wait whose client is in `blocked` of each of its keys; a client
that waits is `held`, so that what it sends meanwhile stays in its buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sortedcontainers import SortedDict

from mini_redis.commands.blocking import Block
from mini_redis.resp.reply import Reply, ReplyError
from mini_redis.server.execute import call, failed, pass_gates, send
from mini_redis.server.gates import Postponed

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.keyspace.types import Kind, Value
    from mini_redis.server.client import Client
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.node import Server


@dataclass(slots=True, eq=False)
class Wait:
    """What one client waits for."""

    client: Client
    command: LiveCommand
    argv: list[bytes]
    block: Block
    db: Database
    asked: list[bytes]
    """The client's own words; `argv` is what is run again."""
    spent_ns: int
    """What was spent on it so far, its waiting left out."""

    @property
    def size(self) -> int:
        """Bytes of the client's own words. O(words)."""
        return sum(map(len, self.asked))


class Waiting:
    """All waits of one node."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.clients: dict[Client, None] = {}
        self.deadlines: SortedDict[tuple[int, int], Client] = SortedDict()
        self.kinds: dict[Kind, int] = {}
        self.ready: dict[tuple[int, bytes], None] = {}
        self.resumed: list[Client] = []  # may go on with what they had sent meanwhile
        self.retried: Wait | None = None  # whose command is being run again

    def begin(self, client: Client, command: LiveCommand, argv: list[bytes], block: Block) -> None:
        """Put the client aside: it has called `command`, which answered `block`. O(keys + log of all that wait)."""
        self._wait(client, Wait(client, command, block.argv or argv, block, client.db, argv, 0))

    def _wait(self, client: Client, wait: Wait) -> None:
        db, command, block = wait.db, wait.command, wait.block
        client.waiting = wait
        client.held = True
        self.clients[client] = None
        command.calls -= 1  # it counts when it is answered
        command.duration_ns -= self._server.last_command_ns
        client.commands_run -= 1
        wait.spent_ns += self._server.last_command_ns
        if self._server.track_latency:
            command.forget_latency(self._server.last_command_ns)
        self.kinds[block.kind] = self.kinds.get(block.kind, 0) + 1
        for key in block.keys:
            db.blocked.setdefault(key, {})[client] = None
        if block.deadline_ms is not None:
            self.deadlines[block.deadline_ms, client.id] = client
            self._server.wake_at(block.deadline_ms)

    def end(self, client: Client) -> Wait:
        """Take the client out of all tables. It may go on at the end of the turn."""
        wait = client.waiting
        assert wait is not None, "only who waits can be woken"
        client.waiting = None
        del self.clients[client]
        self.kinds[wait.block.kind] -= 1
        for key in dict.fromkeys(wait.block.keys):
            waiters = wait.db.blocked[key]
            del waiters[client]
            if not waiters:
                del wait.db.blocked[key]
        if wait.block.deadline_ms is not None:
            del self.deadlines[wait.block.deadline_ms, client.id]
        if not client.closing:
            client.held = False
            self.resumed.append(client)
        return wait

    def key_bound(self, db: Database, key: bytes, value: Value) -> None:
        """`key`, which somebody waits for, was bound to `value`, or that grew. O(kinds)."""
        if any(waiting and type(value) in kind for kind, waiting in self.kinds.items()):
            self.ready[db.id, key] = None

    def key_gone(self, db: Database, key: bytes) -> None:
        """The value of `key`, which somebody waits for, is no more. O(waiters of the key)."""
        if any(client.waiting is not None and client.waiting.block.when_gone for client in db.blocked[key]):
            self.ready[db.id, key] = None

    def serve(self) -> None:
        """A unit of execution is over: let those that wait for what it made ready try again, first come, first served.

        Serving may make other keys ready (BLMOVE), until there is nothing left to serve.
        """
        databases = self._server.keyspace.databases
        while self.ready:
            ready, self.ready = self.ready, {}
            for number, key in ready:
                db = databases[number]
                for client in list(db.blocked.get(key, ())):
                    wait = client.waiting
                    if wait is not None and _can_serve(wait.block, db.peek(key)):
                        self._try_again(client)

    def time_out(self, now_ms: int) -> None:
        """Answer those whose deadline has come. O(log of all that wait) each."""
        while self.deadlines and self.deadlines.peekitem(0)[0][0] <= now_ms:
            self.give_up(self.deadlines.peekitem(0)[1])

    def give_up(self, client: Client, error: ReplyError | None = None) -> None:
        """End a wait without having been served: with the reply for that, or with `error`."""
        wait = self.end(client)
        wait.command.calls += 1
        wait.command.duration_ns += wait.spent_ns
        client.commands_run += 1
        if error is not None:
            wait.command.failed_calls += 1
        if self._server.track_latency:
            wait.command.count_latency(wait.spent_ns)
        if wait.spent_ns >= self._server.remarkable_ns:
            self._server.observation.command_answered(client, wait.command, wait.asked, wait.spent_ns)
        send(self._server, client, failed(self._server, error) if error is not None else wait.block.on_timeout)

    def _try_again(self, client: Client) -> None:
        server = self._server
        wait = self.end(client)
        try:
            pass_gates(server, client, wait.command, wait.argv)  # what it may do can have changed meanwhile
        except ReplyError as error:
            send(server, client, failed(server, error))
            return
        except Postponed:
            pass  # it had asked before the pause
        self.retried = wait
        interrupted = server.pubsub.run_for(client)
        reply: Reply = call(server, client, wait.command, wait.argv)
        self.retried = None
        if type(reply) is Block:
            self.resumed.remove(client)
            wait.argv = reply.argv or wait.argv
            wait.block = reply._replace(deadline_ms=wait.block.deadline_ms)
            self._wait(client, wait)
        else:
            wait.command.duration_ns += wait.spent_ns
            server.propagation.end_unit()
            send(server, client, reply)
        server.pubsub.flush()
        server.pubsub.run_for(interrupted)


def _can_serve(block: Block, value: Value) -> bool:
    return type(value) in block.kind or block.when_gone
