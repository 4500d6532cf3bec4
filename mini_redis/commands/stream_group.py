"""XGROUP: make, set back and remove consumer groups and their consumers. What they are is in
structures/consumer_group.py, what is done with them in stream_read.py and stream_pending.py.

Groups surround the data of a key and are none of it: making or changing one is propagated and announced, but does not
fail a transaction that WATCHes the key.

A group that is gone concerns those who wait for it in XREADGROUP: they are tried again, and find NOGROUP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import (
    DENYOOM,
    LOADING,
    STALE,
    WRITE,
    command,
    container,
    help_reply,
    wrong_subcommand,
)
from mini_redis.commands.stream import INVALID_ID, error_naming, parse_strict_id
from mini_redis.commands.stream_read import make_consumer
from mini_redis.keyspace.types import STREAM
from mini_redis.resp.reply import OK, Reply, ReplyError
from mini_redis.structures.consumer_group import Group
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import StreamId, parse_bound

if TYPE_CHECKING:
    from mini_redis.server.context import Context

KEY_MISSING: Final = ReplyError(
    b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option"
    b" to create an empty stream automatically."
)
GROUP_EXISTS: Final = ReplyError(b"BUSYGROUP Consumer Group name already exists")
BAD_ENTRIES_READ: Final = ReplyError(b"ERR value for ENTRIESREAD must be positive or -1")
UNKNOWN_READ: Final = -1

MOST_WORDS_OF_CREATE: Final = 8
WORDS_OF_SETID: Final = (5, 7)


def no_such_group(key: bytes, group: bytes) -> ReplyError:
    """The error of commands that need a group to be there."""
    return error_naming(b"NOGROUP No such consumer group '%b' for key name '%b'", group, key)


container("XGROUP", "Make, change and remove consumer groups.", since="5.0.0", group="stream")


@command(
    "XGROUP CREATE key group id-selector:(id | new-id:$) [MKSTREAM] [ENTRIESREAD entriesread:entries-read]",
    flags=WRITE | DENYOOM,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(2, "RW insert"),
)
def xgroup_create(ctx: Context, argv: list[bytes]) -> Reply:
    """Make a consumer group that will read what comes after an id.

    0 is the whole stream, `$` what comes from now on. MKSTREAM makes an empty stream if there is none. Errors:
    BUSYGROUP; no such key; an id that is not one; options that do not fit; WRONGTYPE.
    """
    makes_stream, entries_read = _options(argv, makes=True)
    key, name, db = argv[2], argv[3], ctx.db
    found: Stream | None = db.write(key, STREAM)
    if found is None and not makes_stream:
        raise KEY_MISSING
    if len(argv) > MOST_WORDS_OF_CREATE:
        raise wrong_subcommand(argv)
    stream = Stream() if found is None else found
    last_id = stream.last_id if argv[4] == b"$" else parse_strict_id(argv[4])

    if found is None:
        db.set(key, stream)
        ctx.server.key_modified(db, key, ctx.client)
    if not stream.add_group(name, last_id, _at_most_all(stream, entries_read)):
        raise GROUP_EXISTS

    if found is None:
        ctx.changed(key, "xgroup-create")
    else:
        ctx.noted(key, "xgroup-create")
    return OK


@command(
    "XGROUP SETID key group id-selector:(id | new-id:$) [ENTRIESREAD entriesread:entries-read]",
    flags=WRITE,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(2, "RW update"),
)
def xgroup_setid(ctx: Context, argv: list[bytes]) -> Reply:
    """Let a consumer group read on after an id, forwards or backwards.

    What is pending remains so. Errors: NOGROUP; no such key; an id that is not one; options that do not fit; WRONGTYPE.
    """
    _, entries_read = _options(argv, makes=False)
    stream, group = _stream_and_group(ctx, argv)
    if len(argv) not in WORDS_OF_SETID:
        raise wrong_subcommand(argv)
    last_id = stream.last_id if argv[4] == b"$" else _loose_id(argv[4])

    group.last_id = last_id
    group.entries_read = _at_most_all(stream, entries_read)

    ctx.noted(argv[2], "xgroup-setid")
    return OK


def _options(argv: list[bytes], makes: bool) -> tuple[bool, int | None]:
    """MKSTREAM, which only CREATE has, and the entries read; None if they are unknown."""
    makes_stream, entries_read = False, UNKNOWN_READ
    at = 5
    while at < len(argv):
        match argv[at].upper():
            case b"MKSTREAM" if makes:
                makes_stream = True
                at += 1
            case b"ENTRIESREAD" if at + 1 < len(argv):
                entries_read = integer(argv[at + 1])
                if entries_read < UNKNOWN_READ:
                    raise BAD_ENTRIES_READ
                at += 2
            case _:
                raise wrong_subcommand(argv)
    return makes_stream, None if entries_read == UNKNOWN_READ else entries_read


def _at_most_all(stream: Stream, entries_read: int | None) -> int | None:
    return None if entries_read is None else min(entries_read, stream.entries_added)


def _loose_id(raw: bytes) -> StreamId:
    """SETID takes `-` and `+`, too."""
    bound = parse_bound(raw, 0)
    if bound is None:
        raise INVALID_ID
    return bound


def _stream_and_group(ctx: Context, argv: list[bytes]) -> tuple[Stream, Group]:
    """The stream and the group that the third and fourth word name."""
    stream: Stream | None = ctx.db.write(argv[2], STREAM)
    if stream is None:
        raise KEY_MISSING
    group: Any = stream.groups.get(argv[3])
    if group is None:
        raise no_such_group(argv[2], argv[3])
    return stream, group


@command(
    "XGROUP DESTROY key group",
    flags=WRITE,
    acl="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of entries in the group's pending entries list (PEL).",
    keys=key_at(2, "RW delete"),
)
def xgroup_destroy(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove a consumer group with its consumers and all that is pending; 1, or 0 if there is no such group.

    Errors: no such key; WRONGTYPE.
    """
    key = argv[2]
    stream = ctx.db.write(key, STREAM)
    if stream is None:
        raise KEY_MISSING
    if stream.groups.pop(argv[3], None) is None:
        return 0

    ctx.noted(key, "xgroup-destroy")
    ctx.ready(key)
    return 1


@command(
    "XGROUP CREATECONSUMER key group consumer",
    flags=WRITE | DENYOOM,
    acl="stream",
    since="6.2.0",
    complexity="O(1)",
    keys=key_at(2, "RW insert"),
)
def xgroup_createconsumer(ctx: Context, argv: list[bytes]) -> Reply:
    """Make a consumer of a group; 1, or 0 if there is one.

    Reading makes it as well. Errors: NOGROUP; no such key; WRONGTYPE.
    """
    _, group = _stream_and_group(ctx, argv)
    if argv[4] in group.consumers:
        return 0

    make_consumer(ctx, argv[2], group, argv[4])
    return 1


@command(
    "XGROUP DELCONSUMER key group consumer",
    flags=WRITE,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(2, "RW delete"),
)
def xgroup_delconsumer(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove a consumer of a group and forget what is pending for it; tell how many entries those were.

    Nobody will be given these again: claim them first. Errors: NOGROUP; no such key; WRONGTYPE.
    """
    _, group = _stream_and_group(ctx, argv)
    if argv[4] not in group.consumers:
        return 0

    forgotten = group.delete_consumer(argv[4])

    ctx.noted(argv[2], "xgroup-delconsumer")
    return forgotten


@command("XGROUP HELP", flags=LOADING | STALE, acl="stream", since="5.0.0", complexity="O(1)")
def xgroup_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "XGROUP",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
    )
