"""COMMAND: a server that can describe itself.

Client libraries ask how many words a command takes and where its keys are, redis-cli asks for everything once to offer
hints while one types, and cluster clients route by it. All answers come from the declarations, those of this very
command included; `docs.py` gives them their shape.

COMMAND tells of the commands that exist here, so COUNT and LIST are shorter than a real server's as long as groups are
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mini_redis.commands.docs import describe_all, describe_info, key_flag_words
from mini_redis.commands.keyspecs import Positions
from mini_redis.commands.registry import (
    LOADING,
    NO_MANDATORY_KEYS,
    STALE,
    Command,
    command,
    help_reply,
    lookup,
    resolve,
)
from mini_redis.resp.reply import SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.glob import glob_matcher

if TYPE_CHECKING:
    from mini_redis.server.context import Context


@command(
    "COMMAND",
    flags=LOADING | STALE,
    acl="connection",
    since="2.8.13",
    complexity="O(N) where N is the total number of Redis commands",
    tips="nondeterministic_output_order",
    arity=-1,
)
def command_(ctx: Context, argv: list[bytes]) -> Reply:
    """Describe every command."""
    return [describe_info(each) for each in _table(ctx).values()]


@command("COMMAND COUNT", flags=LOADING | STALE, acl="connection", since="2.8.13", complexity="O(1)")
def command_count(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the commands; a container counts as one."""
    return len(_table(ctx))


@command(
    "COMMAND DOCS [command-name ...]",
    flags=LOADING | STALE,
    acl="connection",
    since="7.0.0",
    complexity="O(N) where N is the number of commands to look up",
    tips="nondeterministic_output_order",
)
def command_docs(ctx: Context, argv: list[bytes]) -> Reply:
    """Document commands for people and code generators: summary, history, argument tree.

    Unknown names are left out.
    """
    if len(argv) == 2:
        return describe_all(_table(ctx).values())
    found = (lookup(name, _table(ctx)) for name in argv[2:])
    return describe_all(each for each in found if each is not None)


@command(
    "COMMAND GETKEYS command [arg ...]",
    flags=LOADING | STALE,
    acl="connection",
    since="2.8.13",
    complexity="O(N) where N is the number of arguments to the command",
)
def command_getkeys(ctx: Context, argv: list[bytes]) -> Reply:
    """Find the keys in a call without making it."""
    call = argv[2:]
    return [call[index] for index, _ in _keys_of_call(ctx, call)]


@command(
    "COMMAND GETKEYSANDFLAGS command [arg ...]",
    flags=LOADING | STALE,
    acl="connection",
    since="7.0.0",
    complexity="O(N) where N is the number of arguments to the command",
)
def command_getkeysandflags(ctx: Context, argv: list[bytes]) -> Reply:
    """Find the keys in a call and what would happen to each."""
    call = argv[2:]
    return [[call[index], key_flag_words(flags)] for index, flags in _keys_of_call(ctx, call)]


@command("COMMAND HELP", flags=LOADING | STALE, acl="connection", since="5.0.0", complexity="O(1)")
def command_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands of COMMAND."""
    return help_reply(
        "COMMAND",
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
    )


@command(
    "COMMAND INFO [command-name ...]",
    flags=LOADING | STALE,
    acl="connection",
    since="2.8.13",
    complexity="O(N) where N is the number of commands to look up",
    tips="nondeterministic_output_order",
)
def command_info(ctx: Context, argv: list[bytes]) -> Reply:
    """Describe the named commands, or every one; null stands for an unknown name."""
    if len(argv) == 2:
        return command_(ctx, argv)
    found = (lookup(name, _table(ctx)) for name in argv[2:])
    return [None if each is None else describe_info(each) for each in found]


@command(
    "COMMAND LIST [FILTERBY (MODULE module-name | ACLCAT category | PATTERN pattern)]",
    flags=LOADING | STALE,
    acl="connection",
    since="7.0.0",
    complexity="O(N) where N is the total number of Redis commands",
    tips="nondeterministic_output_order",
)
def command_list(ctx: Context, argv: list[bytes]) -> Reply:
    """Name the commands and subcommands, all or those that a filter lets through."""
    passes = _filter(argv[2:])
    return [each.name for each in _with_subcommands(_table(ctx)) if passes(each)]


def _table(ctx: Context) -> Mapping[bytes, Command]:
    """The commands by the lower-case names under which this server offers them (see `rename-command`)."""
    offered = ctx.server.command_table.table
    return {name: live.command for name, live in offered.items() if name == name.lower()}


def _filter(words: Sequence[bytes]) -> Callable[[Command], object]:
    """Read `FILTERBY kind value`. Raises SYNTAX_ERROR."""
    if not words:
        return lambda each: True
    if len(words) != 3 or words[0].lower() != b"filterby":
        raise SYNTAX_ERROR
    kind, value = words[1].lower(), words[2]
    match kind:
        case b"module":
            module = value.decode("latin-1")
            return lambda each: each.module and each.module == module
        case b"aclcat":
            category = value.lower().decode("latin-1")
            return lambda each: category in each.categories
        case b"pattern":
            matches = glob_matcher(value, nocase=True)
            return lambda each: matches(each.name)
        case _:
            raise SYNTAX_ERROR


def _with_subcommands(table: Mapping[bytes, Command]) -> Iterator[Command]:
    for each in table.values():
        yield each
        yield from each.subcommands.values()


def _keys_of_call(ctx: Context, call: Sequence[bytes]) -> Positions:
    """The keys of a call to be described; raises what COMMAND GETKEYS answers to a call that makes no sense."""
    called = resolve(call, _table(ctx))
    if called is None:
        raise ReplyError(b"ERR Invalid command specified")
    if not called.has_keys:
        raise ReplyError(b"ERR The command has no key arguments")
    if not called.accepts(len(call)):
        raise ReplyError(b"ERR Invalid number of arguments specified for command")
    positions = called.key_positions(call)
    if not positions and not called.flags & NO_MANDATORY_KEYS:
        raise ReplyError(b"ERR Invalid arguments specified for command")
    return positions
