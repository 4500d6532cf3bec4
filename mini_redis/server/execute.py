"""The life of a command: parse -> look up -> gates -> handler -> announce -> propagate -> encode.

Read this file from `process` downwards. It is the hottest path of the server, which is why a few things are spelled
out where a call would read better.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from mini_redis.commands.blocking import Block
from mini_redis.resp.encoder import BULK_HEADS, encode
from mini_redis.resp.reply import NO_REPLY, OK, QUEUED, Frames, ProtocolError, Reply, ReplyError, wrong_arity
from mini_redis.server.client import REPLY_ON, REPLY_SKIP, REPLY_SKIP_NEXT
from mini_redis.server.command_table import EXACT_US
from mini_redis.server.gates import Postponed
from mini_redis.structures.histogram import representative_us

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.node import Server

Request = list[bytes]
SLOW_NS = 1_000_000  # a command longer than this lets the next one see a new time
MEETS_ANY_KEY = (b"keys", b"randomkey", b"scan")  # the expired keys they come across are unrelated
HTTP_WORDS = (b"post", b"host:")  # no commands, but how a browser's request begins or goes on
LARGE_REPLY = 16 * 1024
FEW = 1024
INTEGERS = [b":%d\r\n" % number for number in range(FEW)]  # ready made, as most replies of writes are


def process(server: Server, client: Client, batch: list[Request]) -> None:
    """Run these requests, and every whole one that the client has sent behind them, until it has to wait or goes."""
    parser, pubsub, waiting = client.parser, server.pubsub, server.waiting
    pubsub.running = client
    try:
        while True:
            server.stats.requests += len(batch)
            for number, argv in enumerate(batch):
                if client.held:
                    parser.unread(batch[number:])
                    return
                execute(server, client, argv)
                if pubsub.deferred:
                    pubsub.flush()
                if waiting.ready:
                    waiting.serve()
            if not parser.size or client.held:
                return
            batch = parser.next_batch()
            if not batch:
                return
    except Postponed:
        parser.unread(batch[number:])
        server.postpone(client)
    except ProtocolError as error:
        server.log("-", f"Protocol error from client {client.id} {client.address}: {error.text.decode('latin-1')}")
        send(server, client, failed(server, error))
        server.close(client, flush=True)
    except Exception:
        # The one place where anything is caught: our mistake ends this client's connection, never the node.
        server.log("#", f"Unexpected error serving client {client.id} {client.address}:\n{traceback.format_exc()}")
        server.close(client, flush=False)
        pubsub.deferred.clear()
    finally:
        pubsub.running = None


def execute(server: Server, client: Client, argv: Request) -> None:
    """Run one request and queue its reply."""
    try:
        command = server.commands.get(argv[0])
        if command is None or command.subcommands:
            if argv[0].lower() in HTTP_WORDS:
                hang_up_on_browser(server, client)
                return
            command = server.command_table.resolve(argv)
        client.last_command = command.name
        if not command.min_words <= len(argv) <= command.max_words:
            command.rejected_calls += 1
            raise wrong_arity(command.name)
        if command.gates:
            pass_gates(server, client, command, argv)
    except ReplyError as error:
        if command is None or command.name != client.last_command:
            client.last_command = b"NULL"
        if client.queue is not None:
            client.dirty_exec = True
        if command is not None and command.name == b"exec":  # a refused EXEC ends its transaction all the same
            server.release_transaction(client)
            error = ReplyError(b"EXECABORT Transaction discarded because of: " + error.text.removeprefix(b"ERR "))
        if client.tracking is not None and client.queue is None and not client.last_command.startswith(b"client|"):
            client.tracking.caching = False
        send(server, client, failed(server, error))
        return

    if client.queue is not None and not command.runs_inside_multi:
        client.enqueue(command, argv)
        send(server, client, QUEUED)
        return

    reply = call(server, client, command, argv)
    if server.propagation.active:
        server.propagation.end_unit(transaction=command.name not in MEETS_ANY_KEY)
    if server.last_command_ns > SLOW_NS:
        server.freeze_time()

    if type(reply) is bytes:
        encoded = BULK_HEADS[len(reply)] + reply + b"\r\n"
    elif reply is OK:
        encoded = b"+OK\r\n"
    elif type(reply) is int:
        encoded = INTEGERS[reply] if 0 <= reply < FEW else b":%d\r\n" % reply
    elif type(reply) is Block:
        server.waiting.begin(client, command, argv, reply)
        return
    else:
        encoded = encode(reply, client.resp)
    if client.reply_mode != REPLY_ON and type(reply) is not Frames:  # what is pushed is no reply
        if client.reply_mode != REPLY_SKIP_NEXT or command.name != b"client|reply":
            _reply_quietly(client)
            return
        client.reply_mode = REPLY_SKIP
        return
    if not client.out:
        server.writers.append(client)
    client.out.append(encoded)
    if len(encoded) > LARGE_REPLY and server.limits.limits_output:  # a pipeline can ask for gigabytes within one turn
        server.limits.check_output(client)


def call(server: Server, client: Client, command: LiveCommand, argv: Request) -> Reply:
    """Run a handler: measured, counted, propagated. Errors come back as replies. Also what EXEC calls."""
    context = client.context
    dirty = server.dirty
    db = context.db
    start_ns = server.monotonic_ns()
    try:
        reply = _call_specially(server, client, command, argv) if client.special else command.handler(context, argv)
    except ReplyError as error:
        command.failed_calls += 1
        reply = failed(server, error)
    duration_ns = server.monotonic_ns() - start_ns

    command.calls += 1
    command.duration_ns += duration_ns
    if server.track_latency:
        micros = duration_ns // 1000
        if micros > EXACT_US:
            micros = representative_us(micros)
        command.latencies[micros] += 1
    client.commands_run += 1
    if duration_ns >= server.remarkable_ns:
        server.observation.command_ran(client, command, argv, duration_ns, reply)
    if server.propagation.active:
        server.propagation.command_done(db.id, argv, server.dirty > dirty)
    server.last_command_ns = duration_ns
    return reply


def pass_gates(server: Server, client: Client, command: LiveCommand, argv: Request) -> None:
    """Raises what the first closed gate says."""
    for gate in command.gates:
        try:
            gate.check(server, client, command.command, argv)
        except ReplyError:
            command.rejected_calls += 1
            raise


def send(server: Server, client: Client, reply: Reply) -> None:
    """Queue a reply for the end of this turn."""
    if reply is NO_REPLY or client.reply_mode != REPLY_ON:
        _reply_quietly(client)
        return
    if not client.out:
        server.writers.append(client)
    client.out.append(encode(reply, client.resp))


def failed(server: Server, error: ReplyError) -> ReplyError:
    """Count an error that a client is about to read."""
    server.count_error(error.code)
    # Most errors are shared constants, and raising one adds to its traceback each time.
    return error.with_traceback(None)


def hang_up_on_browser(server: Server, client: Client) -> None:
    """A web page can make its reader's browser talk to a server on his machine; what it smuggles in shall not run."""
    server.log(
        "#",
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is"
        " likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance."
        f" Connection from {client.address} aborted.",
    )
    server.close(client, flush=False)


def _reply_quietly(client: Client) -> None:
    """CLIENT REPLY OFF and SKIP: this reply is not sent."""
    if client.reply_mode == REPLY_SKIP:
        client.reply_mode = REPLY_ON
    elif client.reply_mode == REPLY_SKIP_NEXT:
        client.reply_mode = REPLY_SKIP


def _call_specially(server: Server, client: Client, command: LiveCommand, argv: Request) -> Reply:
    """CLIENT NO-TOUCH: access clocks stand still, except for TOUCH itself. CLIENT TRACKING: what is read is noted."""
    interest = client.tracking
    reply: Reply = None
    if client.no_touch:
        server.keyspace.touching = command.name == b"touch"
    if interest is not None:
        interest.depth += 1
    try:
        reply = command.handler(client.context, argv)
        return reply
    finally:
        server.keyspace.touching = True
        if interest is not None:
            interest.depth -= 1
            server.tracking.command_done(interest, command, argv, waits=type(reply) is Block)
