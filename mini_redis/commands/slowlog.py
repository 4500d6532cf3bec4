"""SLOWLOG: the commands that took longest, lately. What is kept, and what it costs, is server/slowlog.py's essay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.registry import ADMIN, LOADING, STALE, command, container, help_reply, wrong_subcommand
from mini_redis.resp.reply import OK, Reply, ReplyError
from mini_redis.structures.numbers import parse_integer

if TYPE_CHECKING:
    from mini_redis.server.context import Context

BAD_COUNT = ReplyError(b"ERR count should be greater than or equal to -1")
USUAL_COUNT = 10

container("SLOWLOG", "Look at the commands that took longest.", since="2.2.12", group="server")


@command(
    "SLOWLOG GET [count]",
    flags=ADMIN | LOADING | STALE,
    since="2.2.12",
    complexity="O(N) where N is the number of entries returned",
    tips="request_policy:all_nodes nondeterministic_output",
)
def slowlog_get(ctx: Context, argv: list[bytes]) -> Reply:
    """Show the latest entries, 10 unless told, -1 for all.

    An entry: id, unix time, microseconds, arguments (shortened), client's address, client's name.
    Errors: a count that is no integer or below -1.
    """
    if len(argv) > 3:
        raise wrong_subcommand(argv)
    count: int | None = USUAL_COUNT
    if len(argv) == 3:
        count = parse_integer(argv[2])
        if count is None or count < -1:
            raise BAD_COUNT
    entries = list(ctx.server.observation.slowlog.entries)
    if count != -1:
        entries = entries[:count]
    return [[each.id, each.at_s, each.duration_us, each.argv, each.address, each.name] for each in entries]


@command(
    "SLOWLOG LEN",
    flags=ADMIN | LOADING | STALE,
    since="2.2.12",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:agg_sum nondeterministic_output",
)
def slowlog_len(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the entries."""
    return len(ctx.server.observation.slowlog.entries)


@command(
    "SLOWLOG RESET",
    flags=ADMIN | LOADING | STALE,
    since="2.2.12",
    complexity="O(N) where N is the number of entries in the slowlog",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def slowlog_reset(ctx: Context, argv: list[bytes]) -> Reply:
    """Forget all entries. Ids go on where they were."""
    ctx.server.observation.slowlog.entries.clear()
    return OK


@command("SLOWLOG HELP", flags=LOADING | STALE, since="6.2.0", complexity="O(1)")
def slowlog_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "SLOWLOG",
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    )
