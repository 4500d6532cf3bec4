"""INFO, TIME and SHUTDOWN: how is it, what time is it, goodbye.

Other commands of the group have files of their own: command.py, config.py, debug.py, lolwut.py; DBSIZE, SWAPDB and the
FLUSH family are with the data, in generic.py. What INFO tells is server/info.py's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.registry import ADMIN, ALLOW_BUSY, FAST, LOADING, NO_MULTI, NOSCRIPT, STALE, command
from mini_redis.resp.reply import NO_REPLY, SYNTAX_ERROR, Reply, ReplyError, Verbatim

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NO_SHUTDOWN = ReplyError(b"ERR No shutdown in progress.")
SHUTDOWN_FAILED = ReplyError(b"ERR Errors trying to SHUTDOWN. Check logs.")


@command(
    "INFO [section ...]",
    flags=LOADING | STALE,
    acl="dangerous",
    since="1.0.0",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def info(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell facts about the server and what it has done, as lines of name:value in sections.

    Without arguments or with "default": all sections but those that list every command; "all" and "everything": these
    too. Other words are names of sections, in any case and order; unknown ones are ignored.
    """
    return Verbatim(ctx.server.info(argv[1:]))


@command("TIME", flags=LOADING | STALE | FAST, since="2.6.0", complexity="O(1)", tips="nondeterministic_output")
def time(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the server's time: unix seconds, and the microseconds since that second.

    Time stands while a batch of pipelined commands or a transaction runs, so all of its TIMEs say the same.
    """
    seconds, microseconds = divmod(ctx.server.now_us, 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


@command(
    "SHUTDOWN [save-selector:(NOSAVE | SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
    since="1.0.0",
    complexity=(
        "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)"
    ),
)
def shutdown(ctx: Context, argv: list[bytes]) -> Reply:
    """End the server. There is no reply: the connection closes.

    This server does not write its data yet, and says so. SAVE asks for what cannot be done: if there is any data it is
    refused, as Redis refuses when its disk is full, unless FORCE says to go all the same. Without SAVE the server ends;
    if save points are configured its log warns of what is lost. NOW skips waiting for replicas, of which there are
    none, so that there is never a shutdown for ABORT to end.
    Errors: syntax; SAVE, see above; ABORT; without NOSAVE in the middle of a script.
    """
    words = [word.lower() for word in argv[1:]]
    known = all(word in (b"nosave", b"save", b"now", b"force", b"abort") for word in words)
    if not known or (b"save" in words and b"nosave" in words) or (b"abort" in words and set(words) != {b"abort"}):
        raise SYNTAX_ERROR
    if b"abort" in words:
        raise NO_SHUTDOWN

    server = ctx.server
    if server.scripting.busy and b"nosave" not in words:
        raise server.scripting.busy_error()
    server.log("*", "User requested shutdown...")
    would_save = b"save" in words or (b"nosave" not in words and server.config.save)
    if would_save and any(len(db.data) for db in server.keyspace.databases):
        server.log("#", "This server cannot write an RDB file: what it holds in memory is lost when it ends.")
        if b"save" in words and b"force" not in words:
            raise SHUTDOWN_FAILED
    server.log("#", "mini_redis is now ready to exit, bye bye...")
    server.stop()
    return NO_REPLY
