"""XINFO: what a stream, its groups and their consumers tell about themselves.

Three numbers need explaining.

- **entries-read, lag.** Lag is how many entries a group is yet to read: all that were ever added, less those that it
  has read. Looking would cost too much, so both are kept count of while that is possible. XDEL within what is yet to be
  read, or a group that begins in the middle, make them unknown (null) until the group reaches the end of the stream.
  See Stream.lag.
- **seen-time, active-time**: when a consumer last asked, and when it was last given something; -1 if never. In XINFO
  CONSUMERS as milliseconds since: idle and inactive.
- **radix-tree-keys, radix-tree-nodes**: in how many nodes Redis would keep this stream, and what the tree over
  them consists of. Ours are nodes in a sorted dict; the numbers are true of Redis (structures/radix_tree.py).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import LOADING, READONLY, STALE, command, container, help_reply, wrong_subcommand
from mini_redis.commands.stream import entry_reply
from mini_redis.commands.stream_group import no_such_group
from mini_redis.keyspace.types import STREAM
from mini_redis.resp.reply import NO_SUCH_KEY, Reply
from mini_redis.structures.consumer_group import NEVER, Consumer, Group, pending_range
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import MIN_ID, id_text

if TYPE_CHECKING:
    from mini_redis.server.context import Context

USUALLY_SHOWN: Final = 10
"""Entries, and pending ones of each list, that FULL shows unless COUNT says otherwise; 0 is all."""


container("XINFO", "Look into streams.", since="5.0.0", group="stream")


@command(
    "XINFO STREAM key full-block:[FULL [COUNT count]]",
    flags=READONLY,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(2, "RO access"),
)
def xinfo_stream(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell what there is to know of a stream; FULL: with entries, groups, consumers and what is pending.

    Errors: no such key; options that do not fit; WRONGTYPE.
    """
    stream = _stream(ctx, argv[2])
    options = argv[3:]
    count = USUALLY_SHOWN
    if options:
        if len(options) not in (1, 3) or options[0].upper() != b"FULL":
            raise wrong_subcommand(argv)
        if len(options) == 3:
            if options[1].upper() != b"COUNT":
                raise wrong_subcommand(argv)
            count = integer(options[2])
            count = USUALLY_SHOWN if count < 0 else count

    facts: dict[Reply, Reply] = {
        b"length": stream.length,
        b"radix-tree-keys": len(stream.nodes),
        b"radix-tree-nodes": stream.radix_nodes,
        b"last-generated-id": id_text(stream.last_id),
        b"max-deleted-entry-id": id_text(stream.max_deleted_id),
        b"entries-added": stream.entries_added,
        b"recorded-first-entry-id": id_text(stream.first_id),
    }
    if options:
        most = count or None
        facts[b"entries"] = list(map(entry_reply, islice(stream.range(MIN_ID), most)))
        facts[b"groups"] = [_full_group(stream, name, group, most) for name, group in stream.groups.items()]
        return facts
    facts[b"groups"] = len(stream.groups)
    for title, entries in ((b"first-entry", stream.range(MIN_ID)), (b"last-entry", stream.reverse_range())):
        entry = next(entries, None)
        facts[title] = None if entry is None else entry_reply(entry)
    return facts


def _stream(ctx: Context, key: bytes) -> Stream:
    found: Stream | None = ctx.db.read(key, STREAM)
    if found is None:
        raise NO_SUCH_KEY
    return found


def _full_group(stream: Stream, name: bytes, group: Group, most: int | None) -> Reply:
    pending = [
        [id_text(entry_id), each.consumer.name, each.delivered_ms, each.deliveries]
        for entry_id, each in islice(pending_range(group.pel, MIN_ID), most)
    ]
    return {
        b"name": name,
        b"last-delivered-id": id_text(group.last_id),
        b"entries-read": group.entries_read,
        b"lag": stream.lag(group),
        b"pel-count": len(group.pel),
        b"pending": pending,
        b"consumers": [_full_consumer(consumer, most) for consumer in group.consumers.values()],
    }


def _full_consumer(consumer: Consumer, most: int | None) -> Reply:
    pending = [
        [id_text(entry_id), each.delivered_ms, each.deliveries]
        for entry_id, each in islice(pending_range(consumer.pel, MIN_ID), most)
    ]
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": consumer.active_ms,
        b"pel-count": len(consumer.pel),
        b"pending": pending,
    }


@command(
    "XINFO GROUPS key",
    flags=READONLY,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(2, "RO access"),
)
def xinfo_groups(ctx: Context, argv: list[bytes]) -> Reply:
    """List the consumer groups of a stream: what is pending, how far they have read, how much is left.

    Errors: no such key; WRONGTYPE.
    """
    stream = _stream(ctx, argv[2])
    return [
        {
            b"name": name,
            b"consumers": len(group.consumers),
            b"pending": len(group.pel),
            b"last-delivered-id": id_text(group.last_id),
            b"entries-read": group.entries_read,
            b"lag": stream.lag(group),
        }
        for name, group in stream.groups.items()
    ]


@command(
    "XINFO CONSUMERS key group",
    flags=READONLY,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(2, "RO access"),
    tips="nondeterministic_output",
)
def xinfo_consumers(ctx: Context, argv: list[bytes]) -> Reply:
    """List the consumers of a group: what is pending, how long ago they asked and were given something.

    Errors: no such key; NOGROUP; WRONGTYPE.
    """
    stream = _stream(ctx, argv[2])
    group = stream.groups.get(argv[3])
    if group is None:
        raise no_such_group(argv[2], argv[3])
    now_ms = ctx.now_ms
    return [
        {
            b"name": name,
            b"pending": len(consumer.pel),
            b"idle": max(0, now_ms - consumer.seen_ms),
            b"inactive": NEVER if consumer.active_ms == NEVER else now_ms - consumer.active_ms,
        }
        for name, consumer in group.consumers.items()
    ]


@command("XINFO HELP", flags=LOADING | STALE, acl="stream", since="5.0.0", complexity="O(1)")
def xinfo_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "XINFO",
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    )
