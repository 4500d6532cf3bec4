"""ACL: who may do what. The handlers translate; rules and users are in mini_redis/security, what follows for
connections in mini_redis/server/access.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.registry import (
    ADMIN,
    LOADING,
    NOSCRIPT,
    STALE,
    command,
    container,
    help_reply,
    wrong_subcommand,
)
from mini_redis.resp.reply import OK, Reply, ReplyError, SetReply, wrong_arity

if TYPE_CHECKING:
    from mini_redis.security.log import Refusal
    from mini_redis.security.selector import Selector
    from mini_redis.server.context import Context

DEFAULT_USER_STAYS: Final = ReplyError(b"ERR The 'default' user cannot be removed")
BAD_NUMBER_OF_BITS: Final = ReplyError(
    b"ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096"
)
USUAL_BITS: Final = 256
SHOWN_ENTRIES: Final = 10

container("ACL", "Manage users and what each of them may do.", since="6.0.0", group="server")


# --- Users ------------------------------------------------------------------------------------------------------------


@command(
    "ACL SETUSER username [rule ...]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N). Where N is the number of rules provided.",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def acl_setuser(ctx: Context, argv: list[bytes]) -> Reply:
    """Create a user or change one, by rules that are carried out in order: all of them or none.

    Errors: a name with spaces; a selector that is not closed; the first rule that cannot be carried out.
    """
    ctx.server.access.set_user(argv[2], argv[3:])
    return OK


@command(
    "ACL DELUSER username ...",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(1) amortized time considering the typical user.",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def acl_deluser(ctx: Context, argv: list[bytes]) -> Reply:
    """Delete users and end their connections; answers how many there were. Not the default user."""
    names = argv[2:]
    if b"default" in names:
        raise DEFAULT_USER_STAYS
    return sum(ctx.server.access.delete_user(name) for name in names)


@command(
    "ACL GETUSER username",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N). Where N is the number of password, command and pattern rules that the user has.",
)
def acl_getuser(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell what a user is and may: a map; null if there is none."""
    user = ctx.server.access.users.by_name.get(argv[2])
    if user is None:
        return None
    root, *others = user.selectors
    return {
        b"flags": SetReply(user.flags),
        b"passwords": list(user.passwords),
        **_told(root),
        b"selectors": [_told(selector) for selector in others],
    }


def _told(selector: Selector) -> dict[Reply, Reply]:
    return {
        b"commands": selector.describe_commands(),
        b"keys": selector.describe_keys(),
        b"channels": selector.describe_channels(),
    }


@command(
    "ACL LIST",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
)
def acl_list(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell all users as lines of an ACL file, by name."""
    return list(ctx.server.access.users.lines())


@command(
    "ACL USERS",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
)
def acl_users(ctx: Context, argv: list[bytes]) -> Reply:
    """List the names of all users, in the order of their bytes."""
    return list(ctx.server.access.users.names())


@command("ACL WHOAMI", flags=NOSCRIPT | LOADING | STALE, since="6.0.0", complexity="O(1)")
def acl_whoami(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell which user this connection is."""
    return ctx.client.user


# --- What rules are about ---------------------------------------------------------------------------------------------


@command(
    "ACL CAT [category]",
    flags=NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(1) since the categories and commands are a fixed set.",
)
def acl_cat(ctx: Context, argv: list[bytes]) -> Reply:
    """List the categories, or the commands in one of them."""
    if len(argv) > 3:
        raise wrong_subcommand(argv)
    catalogue = ctx.server.access.users.catalogue
    if len(argv) == 2:
        return list(catalogue.categories())
    names = catalogue.listed(argv[2])
    if names is None:
        raise ReplyError(b"ERR Unknown category '%b'" % argv[2].partition(b"\0")[0])
    return list(names)


@command(
    "ACL DRYRUN username command [arg ...]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="7.0.0",
    complexity="O(1).",
)
def acl_dryrun(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell whether a user might make a call, or why not, without making it.

    OK, or the reason as text. Errors: no such user; no such command; a wrong number of arguments.
    """
    server, name, call = ctx.server, argv[2], argv[3:]
    user = server.access.users.by_name.get(name)
    if user is None:
        raise ReplyError(b"ERR User '%b' not found" % name.partition(b"\0")[0])
    try:
        live = server.command_table.resolve(call)
    except ReplyError:
        raise ReplyError(b"ERR Command '%b' not found" % call[0].partition(b"\0")[0]) from None
    if not live.min_words <= len(call) <= live.max_words:
        raise wrong_arity(live.name)
    denial = user.denial(live.command, call)
    if denial is None:
        return OK
    return server.access.explain(name, live.command, denial, call[denial[1]])


@command("ACL GENPASS [bits/integer]", flags=NOSCRIPT | LOADING | STALE, since="6.0.0", complexity="O(1)")
def acl_genpass(ctx: Context, argv: list[bytes]) -> Reply:
    """Make up a password of so many random bits, 256 unless told, in hexadecimal.

    They come from the operating system. Not from the server's generator, as all other chance does: from enough of its
    numbers the next ones follow. (In a test or a simulation there is no system, and passwords repeat with the seed.)
    Errors: bits that are not an integer, or out of their range.
    """
    if len(argv) > 3:
        raise wrong_subcommand(argv)
    bits = USUAL_BITS if len(argv) == 2 else integer(argv[2])
    if not 0 < bits <= 4096:
        raise BAD_NUMBER_OF_BITS
    digits = (bits + 3) // 4
    secret = ctx.server.environment.secret_bytes((digits + 1) // 2, ctx.rng)
    return secret.hex().encode()[:digits]


# --- The log of refusals ----------------------------------------------------------------------------------------------


@command(
    "ACL LOG [operation:(count/integer | RESET)]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N) with N being the number of entries shown.",
)
def acl_log(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell what was refused lately, ten entries unless told, newest first; or forget it.

    Errors: a count that is not an integer.
    """
    if len(argv) > 3:
        raise wrong_subcommand(argv)
    log = ctx.server.access.log
    if len(argv) == 3 and argv[2].upper() == b"RESET":
        log.clear()
        return OK
    count = SHOWN_ENTRIES if len(argv) == 2 else integer(argv[2])
    return [_entry(refusal, ctx.now_ms) for refusal in log.entries[: max(count, 0)]]


def _entry(refusal: Refusal, now_ms: int) -> Reply:
    return {
        b"count": refusal.count,
        b"reason": refusal.reason_name,
        b"context": refusal.context,
        b"object": refusal.object,
        b"username": refusal.user,
        b"age-seconds": (now_ms - refusal.updated_ms) / 1000,
        b"client-info": refusal.client,
        b"entry-id": refusal.id,
        b"timestamp-created": refusal.created_ms,
        b"timestamp-last-updated": refusal.updated_ms,
    }


# --- The file ---------------------------------------------------------------------------------------------------------


@command(
    "ACL LOAD",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
)
def acl_load(ctx: Context, argv: list[bytes]) -> Reply:
    """Replace all users by those of the ACL file, if it is without mistakes.

    Connections of users that are gone end. Errors: no ACL file configured; all that is wrong in it.
    """
    ctx.server.access.load()
    return OK


@command(
    "ACL SAVE",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="6.0.0",
    complexity="O(N). Where N is the number of configured users.",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def acl_save(ctx: Context, argv: list[bytes]) -> Reply:
    """Write the present users into the ACL file.

    Errors: no ACL file configured; it cannot be written.
    """
    ctx.server.access.save()
    return OK


@command("ACL HELP", flags=LOADING | STALE, since="6.0.0", complexity="O(1)")
def acl_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "ACL",
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "DELUSER <username> [<username> ...]",
        "    Delete a list of users.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Returns whether the user can execute the given command without executing the command.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "LOAD",
        "    Reload users from the ACL file.",
        "LOG [<count> | RESET]",
        "    Show the ACL log entries.",
        "SAVE",
        "    Save the current config to the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or modify a user with the specified attributes.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
    )
