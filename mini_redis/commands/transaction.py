"""Transactions: MULTI queues, EXEC runs the queue without anybody in between, WATCH makes it conditional.

Question it answers: how is a transaction atomic without locks? One thread runs one command at a time, and EXEC *is* one
command: while it runs, nobody else does. There is no roll-back: a command that fails inside EXEC has failed, and
the others have not. What can be known before (an unknown command, a wrong number of arguments, no permission) makes
EXEC refuse the whole queue instead.

WATCH is compare-and-set: EXEC answers null if a watched key was modified since, or has expired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.keyspecs import key_range
from mini_redis.commands.registry import ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE, command
from mini_redis.resp.reply import (
    DISCARD_WITHOUT_MULTI,
    EXEC_ABORT,
    EXEC_WITHOUT_MULTI,
    NESTED_MULTI,
    NULL_ARRAY,
    OK,
    WATCH_INSIDE_MULTI,
    InProtocol,
    Reply,
    ReplyError,
)

if TYPE_CHECKING:
    from mini_redis.server.context import Context


@command("MULTI", flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl="transaction", since="1.2.0",
         complexity="O(1)")  # fmt: skip
def multi(ctx: Context, argv: list[bytes]) -> Reply:
    """Begin a transaction: the commands that follow are queued."""
    if ctx.client.queue is not None:
        raise NESTED_MULTI
    ctx.client.queue = []
    return OK


@command(
    "EXEC",
    flags=NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG,
    acl="transaction",
    since="1.2.0",
    complexity="Depends on commands in the transaction",
)
def exec_(ctx: Context, argv: list[bytes]) -> Reply:
    """Run the queue as one, unless a watched key has changed; answers the array of replies."""
    client, server = ctx.client, ctx.server
    if client.queue is None:
        raise EXEC_WITHOUT_MULTI
    queue, was_refused = client.queue, client.dirty_exec
    keys_changed = client.dirty_cas or server.watched_key_expired(client)

    server.unwatch(client)
    if was_refused or keys_changed:
        client.discard_transaction()
        if was_refused:
            raise EXEC_ABORT
        return NULL_ARRAY
    replies: list[Reply] = []
    protocol = client.resp
    for queued, words in queue:
        try:
            if server.access.restricts:
                server.access.permit_queued(client, queued.command, words)
            replies.append(server.call(client, queued, words))
        except ReplyError as error:
            server.count_error(error.code)
            replies.append(error.with_traceback(None))
        if client.resp != protocol:  # a HELLO: what was answered before it stays in the protocol of then
            replies[:-1] = [
                reply if isinstance(reply, InProtocol) else InProtocol(reply, protocol) for reply in replies[:-1]
            ]
            protocol = client.resp
    client.discard_transaction()
    ctx.propagate_nothing()  # each of them already was
    return replies


@command(
    "DISCARD",
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    acl="transaction",
    since="2.0.0",
    complexity="O(N), when N is the number of queued commands",
)
def discard(ctx: Context, argv: list[bytes]) -> Reply:
    """Forget the queue and the watched keys."""
    if ctx.client.queue is None:
        raise DISCARD_WITHOUT_MULTI
    ctx.server.release_transaction(ctx.client)
    return OK


@command(
    "WATCH key ...",
    flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY,
    acl="transaction",
    since="2.2.0",
    complexity="O(1) for every key.",
    keys=key_range(1, -1, "RO"),
)
def watch(ctx: Context, argv: list[bytes]) -> Reply:
    """Make the next EXEC depend on these keys staying as they are."""
    if ctx.client.queue is not None:
        raise WATCH_INSIDE_MULTI
    if not ctx.client.dirty_cas:  # it will fail anyway
        for key in argv[1:]:
            ctx.server.watch(ctx.client, key)
    return OK


@command("UNWATCH", flags=NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl="transaction", since="2.2.0",
         complexity="O(1)")  # fmt: skip
def unwatch(ctx: Context, argv: list[bytes]) -> Reply:
    """Forget the watched keys."""
    ctx.server.unwatch(ctx.client)
    return OK
