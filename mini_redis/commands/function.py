"""FUNCTION and FCALL: libraries of functions that are kept with the data, and calls of them by name.

What a library is: scripting/functions.py. Whoever changes the libraries is propagated as it came: replicas and the log
need them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.keyspecs import counted_keys
from mini_redis.commands.registry import (
    ALLOW_BUSY,
    DENYOOM,
    LOADING,
    MAY_REPLICATE,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    SKIP_MONITOR,
    STALE,
    WRITE,
    command,
    container,
    help_reply,
    wrong_subcommand,
)
from mini_redis.commands.scripting import WORST, key_count
from mini_redis.resp.reply import OK, Reply, ReplyError
from mini_redis.structures.glob import glob_match

if TYPE_CHECKING:
    from mini_redis.server.context import Context

BAD_KEY_COUNT = ReplyError(b"ERR Bad number of keys provided")
NO_SUCH_FUNCTION = ReplyError(b"ERR Function not found")
NO_SUCH_LIBRARY = ReplyError(b"ERR Library not found")
NO_LIBRARY_NAME = ReplyError(b"ERR library name argument was not given")
FLUSH_OPTIONS = ReplyError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
WRONG_POLICY = ReplyError(b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
RUNS = NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS
TO_ALL = "request_policy:all_shards response_policy:all_succeeded"


@command(
    "FCALL function numkeys [key ...] [arg ...]",
    flags=RUNS | MAY_REPLICATE,
    acl="scripting",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    keys=counted_keys(2, "RW access update", notes=WORST + "RW and UPDATE"),
)
def fcall(ctx: Context, argv: list[bytes]) -> Reply:
    """Call a function by its name and answer what it returns."""
    return _fcall(ctx, argv, ro=False)


@command(
    "FCALL_RO function numkeys [key ...] [arg ...]",
    flags=RUNS | READONLY,
    acl="scripting",
    since="7.0.0",
    complexity="Depends on the function that is executed.",
    keys=counted_keys(2, "RO access", notes=WORST + "RO and ACCESS"),
)
def fcall_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Call a function that has the flag `no-writes`."""
    return _fcall(ctx, argv, ro=True)


def _fcall(ctx: Context, argv: list[bytes], *, ro: bool) -> Reply:
    ctx.server.observation.script_begins(ctx.client, argv)
    scripting = ctx.server.scripting
    function = scripting.libraries.find(argv[1])
    if function is None:
        raise NO_SUCH_FUNCTION
    return scripting.run(ctx, argv, function, key_count(argv, BAD_KEY_COUNT), ro=ro)


# --- FUNCTION: change the libraries ----------------------------------------------------------------------------------

container("FUNCTION", "A container for commands about functions.", since="7.0.0", group="scripting")


@command(
    "FUNCTION LOAD [REPLACE] function-code",
    flags=WRITE | DENYOOM | NOSCRIPT,
    acl="scripting",
    since="7.0.0",
    complexity="O(1) (considering compilation time is redundant)",
    tips=TO_ALL,
)
def function_load(ctx: Context, argv: list[bytes]) -> Reply:
    """Load a library; answers its name.

    Errors: what is wrong with its first line or its code; a name that is taken, of the library unless REPLACE, or of a
    function.
    """
    for word in argv[2:-1]:
        if word.lower() != b"replace":
            raise ReplyError(b"ERR Unknown option given: " + word)
    library = ctx.server.scripting.load_library(argv[-1], replace=len(argv) > 3)
    ctx.server.dirty += 1
    return library.name


@command(
    "FUNCTION DELETE library-name",
    flags=WRITE | NOSCRIPT,
    acl="scripting",
    since="7.0.0",
    complexity="O(1)",
    tips=TO_ALL,
)
def function_delete(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove a library with its functions."""
    if not ctx.server.scripting.libraries.remove(argv[2]):
        raise NO_SUCH_LIBRARY
    ctx.server.dirty += 1
    return OK


@command(
    "FUNCTION FLUSH [flush-type:(ASYNC | SYNC)]",
    flags=WRITE | NOSCRIPT,
    acl="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions deleted",
    tips=TO_ALL,
)
def function_flush(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove all libraries. ASYNC and SYNC choose which of Redis's threads does it; here there is one."""
    if len(argv) > 3:
        raise wrong_subcommand(argv)
    if len(argv) == 3 and argv[2].upper() not in (b"ASYNC", b"SYNC"):
        raise FLUSH_OPTIONS
    ctx.server.scripting.forget_libraries()
    ctx.server.dirty += 1  # also when there were none here: a replica may still have some
    return OK


@command(
    "FUNCTION RESTORE serialized-value [policy:(FLUSH | APPEND | REPLACE)]",
    flags=WRITE | DENYOOM | NOSCRIPT,
    acl="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions on the payload",
    tips=TO_ALL,
)
def function_restore(ctx: Context, argv: list[bytes]) -> Reply:
    """Load the libraries of a dump: beside the present ones (APPEND), over them (REPLACE), or instead of them (FLUSH).

    Errors: a policy that is none; a damaged dump; names that are taken. Then nothing has changed.
    """
    if len(argv) > 4:
        raise wrong_subcommand(argv)
    policy = argv[3].lower() if len(argv) > 3 else b"append"
    if policy not in (b"flush", b"append", b"replace"):
        raise WRONG_POLICY
    ctx.server.scripting.restore_libraries(argv[2], policy)
    ctx.server.dirty += 1
    return OK


# --- FUNCTION: ask about them ----------------------------------------------------------------------------------------


@command(
    "FUNCTION LIST [LIBRARYNAME library-name-pattern/string] [WITHCODE]",
    flags=NOSCRIPT,
    acl="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
    tips="nondeterministic_output_order",
)
def function_list(ctx: Context, argv: list[bytes]) -> Reply:
    """Describe the libraries, or those whose name matches a pattern; with their code if wanted."""
    pattern = None
    with_code = False
    at = 2
    while at < len(argv):
        word = argv[at].lower()
        if word == b"withcode" and not with_code:
            with_code = True
        elif word == b"libraryname" and pattern is None:
            at += 1
            if at == len(argv):
                raise NO_LIBRARY_NAME
            pattern = argv[at]
        else:
            raise ReplyError(b"ERR Unknown argument " + argv[at])
        at += 1
    libraries = ctx.server.scripting.libraries.by_name.values()
    chosen = [one for one in libraries if pattern is None or glob_match(pattern, one.name, nocase=True)]
    return [library.described(with_code) for library in chosen]


@command(
    "FUNCTION DUMP",
    flags=NOSCRIPT,
    acl="scripting",
    since="7.0.0",
    complexity="O(N) where N is the number of functions",
)
def function_dump(ctx: Context, argv: list[bytes]) -> Reply:
    """All libraries as bytes, for FUNCTION RESTORE."""
    return ctx.server.scripting.dump_libraries()


@command(
    "FUNCTION STATS",
    flags=NOSCRIPT | ALLOW_BUSY,
    acl="scripting",
    since="7.0.0",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def function_stats(ctx: Context, argv: list[bytes]) -> Reply:
    """The function that runs, if one does, and how many there are."""
    scripting = ctx.server.scripting
    running: Reply = None
    if scripting.running is not None:
        if scripting.killer != b"FUNCTION":
            raise scripting.busy_error()
        running = {
            b"name": scripting.running.name,
            b"command": list(scripting.argv),
            b"duration_ms": scripting.running_ms(),
        }
    counts = {
        b"libraries_count": len(scripting.libraries.by_name),
        b"functions_count": len(scripting.libraries.functions),
    }
    return {b"running_script": running, b"engines": {b"LUA": counts}}


@command(
    "FUNCTION KILL",
    flags=NOSCRIPT | ALLOW_BUSY,
    acl="scripting",
    since="7.0.0",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:one_succeeded",
)
def function_kill(ctx: Context, argv: list[bytes]) -> Reply:
    """End the function that keeps the server busy, unless it has written already.

    Errors: NOTBUSY; UNKILLABLE; BUSY if it is a script that runs.
    """
    ctx.server.scripting.kill(b"FUNCTION")
    return OK


@command("FUNCTION HELP", flags=LOADING | STALE, acl="scripting", since="7.0.0", complexity="O(1)")
def function_help(ctx: Context, argv: list[bytes]) -> Reply:
    """What FUNCTION can do."""
    return help_reply(
        "FUNCTION",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Create a new library with the given library name and code.",
        "DELETE <LIBRARY NAME>",
        "    Delete the given library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "KILL",
        "    Kill the current running function.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE"
        " command",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
        "    control how to handle existing libraries (default APPEND):",
        "    * FLUSH: delete all existing libraries.",
        "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
        "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
        "      libraries with the new libraries (notice that even on this option there is a chance of failure",
        "      in case of functions name collision with another library).",
    )
