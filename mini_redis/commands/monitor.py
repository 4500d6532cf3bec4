"""MONITOR: see every command that the server runs, as it runs. What is shown and what not: server/observation.py.

The most direct answer to "what is that client doing?", and the most expensive one: each command is written out once
more for each monitor. Look for some seconds, then leave; docs/monitoring.md has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.registry import ADMIN, LOADING, NOSCRIPT, STALE, command
from mini_redis.resp.reply import NO_REPLY, OK, Reply, ReplyError

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_IN_A_TRANSACTION = ReplyError(b"ERR MONITOR isn't allowed for DENY BLOCKING client")


@command("MONITOR", flags=ADMIN | NOSCRIPT | LOADING | STALE, since="1.0.0")
def monitor(ctx: Context, argv: list[bytes]) -> Reply:
    """Show this client every command that runs from now on, until it says RESET or QUIT.

    Said again it has no reply. Errors: within a transaction or script.
    """
    if ctx.client.monitoring:
        return NO_REPLY
    if ctx.client.cannot_wait:
        raise NOT_IN_A_TRANSACTION
    ctx.server.observation.begin(ctx.client)
    return OK
