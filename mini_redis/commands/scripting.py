"""EVAL and its like: run a script inside the server, as if it were one command; and SCRIPT, the cache of scripts.

A script is sent once and then called by its SHA1. The server may forget it at any time (a restart, SCRIPT FLUSH, too
many other scripts), and answers NOSCRIPT: whoever calls by SHA1 is ready to send the text again.

Keys are told apart from the other arguments, so that a cluster knows where the script belongs; nobody checks that it
uses no others. What happens while it runs is in server/scripting.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.keyspecs import counted_keys
from mini_redis.commands.registry import (
    ALLOW_BUSY,
    LOADING,
    MAY_REPLICATE,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    STALE,
    command,
    container,
    help_reply,
)
from mini_redis.resp.reply import NOT_AN_INTEGER, OK, TOO_MANY_KEYS, Reply, ReplyError
from mini_redis.structures.numbers import parse_integer

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NEGATIVE_KEYS = ReplyError(b"ERR Number of keys can't be negative")
FLUSH_OPTIONS = ReplyError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
DEBUG_OPTIONS = ReplyError(b"ERR Use SCRIPT DEBUG YES/SYNC/NO")
OUTSIDE_OF_PIPELINES = ReplyError(b"ERR SCRIPT DEBUG must be called outside a pipeline")
EVAL_TO_DEBUG = ReplyError(b"ERR Please use EVAL instead of EVALSHA for debugging")
WORST = "We cannot tell how the keys will be used so we assume the worst, "
RUNS = NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS


@command(
    "EVAL script numkeys [key ...] [arg ...]",
    flags=RUNS | MAY_REPLICATE,
    acl="scripting",
    since="2.6.0",
    complexity="Depends on the script that is executed.",
    keys=counted_keys(2, "RW access update", notes=WORST + "RW and UPDATE"),
)
def eval_(ctx: Context, argv: list[bytes]) -> Reply:
    """Run a Lua script and answer what it returns.

    Errors: a wrong number of keys; what the compiler says; what the script raises, with the line.
    """
    return _eval(ctx, argv, ro=False)


@command(
    "EVAL_RO script numkeys [key ...] [arg ...]",
    flags=RUNS | READONLY,
    acl="scripting",
    since="7.0.0",
    complexity="Depends on the script that is executed.",
    keys=counted_keys(2, "RO access", notes=WORST + "RO and ACCESS"),
)
def eval_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Run a Lua script that may not write."""
    return _eval(ctx, argv, ro=True)


def _eval(ctx: Context, argv: list[bytes], *, ro: bool) -> Reply:
    ctx.server.observation.script_begins(ctx.client, argv)
    if ctx.client.debugs:
        return ctx.server.scripting.debug(ctx, argv, lambda: _run(ctx, argv, ro))
    return _run(ctx, argv, ro)


def _run(ctx: Context, argv: list[bytes], ro: bool) -> Reply:
    keys = key_count(argv)
    scripting = ctx.server.scripting
    return scripting.run(ctx, argv, scripting.use(argv[1]), keys, ro=ro)


@command(
    "EVALSHA sha1 numkeys [key ...] [arg ...]",
    flags=RUNS | MAY_REPLICATE,
    acl="scripting",
    since="2.6.0",
    complexity="Depends on the script that is executed.",
    keys=counted_keys(2, "RW access update"),
)
def evalsha(ctx: Context, argv: list[bytes]) -> Reply:
    """Run the script of a SHA1, which the server has seen before. NOSCRIPT if it does not know it."""
    return _evalsha(ctx, argv, ro=False)


@command(
    "EVALSHA_RO sha1 numkeys [key ...] [arg ...]",
    flags=RUNS | READONLY,
    acl="scripting",
    since="7.0.0",
    complexity="Depends on the script that is executed.",
    keys=counted_keys(2, "RO access"),
)
def evalsha_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Run the script of a SHA1, which may not write."""
    return _evalsha(ctx, argv, ro=True)


def _evalsha(ctx: Context, argv: list[bytes], *, ro: bool) -> Reply:
    ctx.server.observation.script_begins(ctx.client, argv)
    scripting = ctx.server.scripting
    if len(argv[1]) != 40:  # so no number of keys can be wrong
        scripting.find(argv[1])
    if ctx.client.debugs:
        raise EVAL_TO_DEBUG
    keys = key_count(argv)
    return scripting.run(ctx, argv, scripting.find(argv[1]), keys, ro=ro)


def key_count(argv: list[bytes], error: ReplyError = NOT_AN_INTEGER) -> int:
    """How many of the words after the count are keys of a script or function; `error` if that is no number."""
    count = parse_integer(argv[2])
    if count is None:
        raise error
    if 0 <= count <= len(argv) - 3:
        return count
    raise NEGATIVE_KEYS if count < 0 else TOO_MANY_KEYS


# --- SCRIPT ----------------------------------------------------------------------------------------------------------

container("SCRIPT", "A container for commands about Lua scripts.", since="2.6.0", group="scripting")


@command(
    "SCRIPT LOAD script",
    flags=NOSCRIPT | STALE,
    acl="scripting",
    since="2.6.0",
    complexity="O(N) with N being the length in bytes of the script body.",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def script_load(ctx: Context, argv: list[bytes]) -> Reply:
    """Keep a script without running it; answers its SHA1."""
    return ctx.server.scripting.load(argv[2]).name


@command(
    "SCRIPT EXISTS sha1 ...",
    flags=NOSCRIPT,
    acl="scripting",
    since="2.6.0",
    complexity=(
        "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation)."
    ),
    tips="request_policy:all_shards response_policy:agg_logical_and",
)
def script_exists(ctx: Context, argv: list[bytes]) -> Reply:
    """For each SHA1 whether the server knows its script: 1 or 0."""
    known = ctx.server.scripting.scripts
    return [int(sha.lower() in known) for sha in argv[2:]]


@command(
    "SCRIPT FLUSH [flush-type:(ASYNC | SYNC)@6.2.0]",
    flags=NOSCRIPT,
    acl="scripting",
    since="2.6.0",
    complexity="O(N) with N being the number of scripts in cache",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def script_flush(ctx: Context, argv: list[bytes]) -> Reply:
    """Forget all scripts. ASYNC and SYNC choose which of Redis's threads does it; here there is one."""
    if len(argv) > 3 or (len(argv) == 3 and argv[2].upper() not in (b"ASYNC", b"SYNC")):
        raise FLUSH_OPTIONS
    ctx.server.scripting.flush()
    return OK


@command(
    "SCRIPT KILL",
    flags=NOSCRIPT | ALLOW_BUSY,
    acl="scripting",
    since="2.6.0",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:one_succeeded",
)
def script_kill(ctx: Context, argv: list[bytes]) -> Reply:
    """End the script that keeps the server busy, unless it has written already.

    Errors: NOTBUSY; UNKILLABLE; BUSY if it is a function that runs.
    """
    ctx.server.scripting.kill(b"SCRIPT")
    return OK


@command("SCRIPT DEBUG mode:(YES | SYNC | NO)", flags=NOSCRIPT, acl="scripting", since="3.2.0", complexity="O(1)")
def script_debug(ctx: Context, argv: list[bytes]) -> Reply:
    """Let this client debug the scripts that it runs: in a process of their own (YES), or in the server (SYNC).

    The first EVAL begins the session, see server/debugger.py; the connection ends with it. Errors: a mode that is none;
    other replies have yet to be sent.
    """
    mode, client = argv[2].lower(), ctx.client
    if client.output_buffer:
        raise OUTSIDE_OF_PIPELINES
    if mode not in (b"no", b"yes", b"sync"):
        raise DEBUG_OPTIONS
    client.debugs = None if mode == b"no" else mode
    return OK


@command("SCRIPT HELP", flags=LOADING | STALE, acl="scripting", since="5.0.0", complexity="O(1)")
def script_help(ctx: Context, argv: list[bytes]) -> Reply:
    """What SCRIPT can do."""
    return help_reply(
        "SCRIPT",
        "DEBUG (YES|SYNC|NO)",
        "    Set the debug mode for subsequent scripts executed.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Return information about the existence of the scripts in the script cache.",
        "FLUSH [ASYNC|SYNC]",
        "    Flush the Lua scripts cache. Very dangerous on replicas.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the scripts cache.",
        "    * SYNC: Synchronously flush the scripts cache.",
        "KILL",
        "    Kill the currently executing Lua script.",
        "LOAD <script>",
        "    Load a script into the scripts cache without executing it.",
    )
