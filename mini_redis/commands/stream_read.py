"""Reading on: XREAD for everybody, XREADGROUP for the consumers of a group; both may wait for what is yet to come.

Both are given streams, and for each the last id that the reader knows; the answer is what comes after. So it is the
reader who remembers where it is, and any number of readers cost nothing while they are away. `$` is "from now on":
whoever waits is put down with the id that this means now, lest it mean another when the call is tried again.

    XREAD        all waiting readers get what one XADD adds
    XREADGROUP   with `>`, each entry goes to one reader of the group and becomes pending there (consumer_group.py);
                 with an id, a reader sees again what is pending for itself, and never waits

What the log sees of XREADGROUP is not the reading but what it did: an XCLAIM for each entry that became pending, and an
XGROUP SETID for how far the group has got.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.blocking import Block, blocking_timeout_ms
from mini_redis.commands.keyspecs import key_after, keys_of_xread
from mini_redis.commands.registry import BLOCKING, READONLY, WRITE, command
from mini_redis.commands.stream import entry_reply, error_naming, parse_strict_id
from mini_redis.keyspace.types import STREAM
from mini_redis.resp.reply import NULL_ARRAY, SYNTAX_ERROR, Pairs, Reply, ReplyError
from mini_redis.structures.consumer_group import Consumer, Group, Pending, pending_range
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import MAX_ID, MIN_ID, StreamId, id_text

if TYPE_CHECKING:
    from mini_redis.server.context import Context

GROUP_IN_XREAD: Final = ReplyError(
    b"ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
)
NOACK_IN_XREAD: Final = ReplyError(
    b"ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
)
NEW_IN_XREAD: Final = ReplyError(
    b"ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)
NO_GROUP_NAMED: Final = ReplyError(b"ERR Missing GROUP option for XREADGROUP")
NEW: Final = MAX_ID
"""What `>` stands for. Redis takes the greatest id for it too, written out."""


@dataclass(slots=True)
class ReadCall:
    """What stands in a call. `keys` and `ids` are parallel; `count` is None for all."""

    in_group: bool
    count: int | None = None
    blocks: bool = False
    deadline_ms: int | None = None
    group: bytes = b""
    consumer: bytes = b""
    named: bool = False
    noack: bool = False
    keys: tuple[bytes, ...] = ()
    ids: tuple[bytes, ...] = ()


@command(
    "XREAD [COUNT count] [BLOCK milliseconds/integer] STREAMS streams:(key ... id ...)",
    flags=READONLY | BLOCKING,
    acl="stream",
    since="5.0.0",
    keys=key_after("STREAMS", 1, "RO access", last=-1, limit=2),
    getkeys=keys_of_xread,
)
def xread(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the entries of some streams that come after ids that are known, or wait for some.

    `$` is the last id, so that only what comes later is meant; `+` is the one before the last entry, which is then
    answered. Null if there is nothing, at once or after BLOCK's milliseconds (0: waits for ever). COUNT is for each
    stream. Errors: options that do not fit; an id that is not one; WRONGTYPE.
    """
    call = _parse(ctx, argv, in_group=False)
    db = ctx.db
    known = [_known_id(db.read(key, STREAM), word) for key, word in zip(call.keys, call.ids, strict=True)]

    answer = Pairs()
    for key, last_known in zip(call.keys, known, strict=True):
        stream: Stream | None = db.read(key, STREAM)
        if stream is None or last_known >= stream.last_id or last_known >= stream.last_living_id():
            continue
        entries = islice(stream.range(last_known + 1), call.count)
        answer.append([key, list(map(entry_reply, entries))])
    if answer:
        return answer
    if not call.blocks:
        return NULL_ARRAY
    ids = [id_text(known[at]) if word == b"$" else word for at, word in enumerate(call.ids)]
    again = [*argv[: -len(ids)], *ids]
    return Block(list(call.keys), STREAM, call.deadline_ms, NULL_ARRAY, again)


def _known_id(stream: Stream | None, word: bytes) -> StreamId:
    """The id that a reader says it knows."""
    match word:
        case b"$":
            return MIN_ID if stream is None else stream.last_id
        case b"+":
            last_id = MIN_ID if stream is None else stream.last_living_id()
            return max(MIN_ID, last_id - 1)
        case b">":
            raise NEW_IN_XREAD
        case _:
            return parse_strict_id(word)


@command(
    "XREADGROUP GROUP group-block:(group consumer) [COUNT count] [BLOCK milliseconds/integer] [NOACK]"
    " STREAMS streams:(key ... id ...)",
    flags=WRITE | BLOCKING,
    acl="stream",
    since="5.0.0",
    complexity=(
        "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always "
        "asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP "
        "blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data."
    ),
    keys=key_after("STREAMS", 4, "RO access", last=-1, limit=2),
    getkeys=keys_of_xread,
)
def xreadgroup(ctx: Context, argv: list[bytes]) -> Reply:
    """Get entries of some streams for a consumer of a group: new ones, or again what is pending for it.

    `>` asks for what nobody in the group was given; it becomes pending unless NOACK is said. An id asks for what is
    pending after it. A consumer is made by its first call. Null if there is nothing new, at once or after BLOCK's
    milliseconds (0: waits for ever). Errors: NOGROUP; options that do not fit; an id that is not one; WRONGTYPE.
    """
    call = _parse(ctx, argv, in_group=True)
    db = ctx.db
    groups: list[Group] = []
    known: list[StreamId] = []
    for key, word in zip(call.keys, call.ids, strict=True):
        stream: Stream | None = db.read(key, STREAM)
        group = None if stream is None else stream.groups.get(call.group)
        if group is None:
            raise _no_group(key, call.group)
        groups.append(group)
        known.append(_known_id_in_group(word))

    ctx.propagate_nothing()
    answer = Pairs()
    for key, group, after in zip(call.keys, groups, known, strict=True):
        stream = db.read(key, STREAM)
        assert stream is not None, "it was there above"
        db.lend(key, stream)
        reader = Reader(ctx, key, call.group, group, _consumer(ctx, key, group, call))
        if after != NEW:
            answer.append([key, reader.history(stream, after + 1, call.count)])
        elif group.last_id < stream.last_id and group.last_id < stream.last_living_id():
            answer.append([key, reader.news(stream, call.count, call.noack)])
    if answer:
        return answer
    if not call.blocks:
        return NULL_ARRAY
    return Block(list(call.keys), STREAM, call.deadline_ms, NULL_ARRAY, when_gone=True)


def _no_group(key: bytes, group: bytes) -> ReplyError:
    return error_naming(
        b"NOGROUP No such key '%b' or consumer group '%b' in XREADGROUP with GROUP option", key, group
    )


def _known_id_in_group(word: bytes) -> StreamId:
    if word in (b"$", b"+"):
        raise ReplyError(
            b"ERR The %b ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer"
            b" by specifying a proper ID, or use the > ID to get new messages. The %b ID would just return an empty"
            b" result set." % (word, word)
        )
    return NEW if word == b">" else parse_strict_id(word)


def _consumer(ctx: Context, key: bytes, group: Group, call: ReadCall) -> Consumer:
    """The consumer who reads, made if need be; it was seen now."""
    found = find_consumer(ctx, key, group, call.consumer)
    if found is None:
        found = make_consumer(ctx, key, group, call.consumer)
        if call.noack:  # else the claims make it
            ctx.propagate_as(b"XGROUP", b"CREATECONSUMER", key, call.group, call.consumer)
    return found


def find_consumer(ctx: Context, key: bytes, group: Group, name: bytes) -> Consumer | None:
    """The consumer of that name, seen now; None if there is none."""
    found: Consumer | None = group.consumers.get(name)
    if found is not None:
        found.seen_ms = ctx.now_ms
    return found


def make_consumer(ctx: Context, key: bytes, group: Group, name: bytes) -> Consumer:
    """Make a consumer, and announce it."""
    made = group.add_consumer(name, ctx.now_ms)
    ctx.noted(key, "xgroup-createconsumer")
    return made


@dataclass(slots=True)
class Reader:
    """One consumer who reads from one stream, during one call."""

    ctx: Context
    key: bytes
    group_name: bytes
    group: Group
    consumer: Consumer

    def news(self, stream: Stream, count: int | None, noack: bool) -> list[Reply]:
        """Give the consumer what comes after the group's last id."""
        group, now_ms = self.group, self.ctx.now_ms
        entries = list(islice(stream.range(group.last_id + 1), count))
        for entry_id, _ in entries:
            stream.advance(group, entry_id)
            if noack:
                continue
            pending = group.deliver(entry_id, self.consumer, now_ms)
            self.consumer.active_ms = now_ms
            tell_claim(self.ctx, self.key, self.group_name, group, id_text(entry_id), pending)
        tell_group(self.ctx, self.key, self.group_name, group)
        self.ctx.noted(self.key)
        return list(map(entry_reply, entries))

    def history(self, stream: Stream, start: StreamId, count: int | None) -> list[Reply]:
        """What is pending for the consumer, delivered once more; entries that are gone by their ids alone."""
        now_ms = self.ctx.now_ms
        answer: list[Reply] = []
        # The greatest id as an id is another way to write `>`, so there is always one that follows.
        for entry_id, pending in islice(pending_range(self.consumer.pel, start), count):
            body = stream.get(entry_id)
            if body is None:
                answer.append([id_text(entry_id), NULL_ARRAY])
                continue
            pending.delivered_ms = now_ms
            pending.deliveries += 1
            answer.append(entry_reply((entry_id, body)))
        return answer


def tell_claim(ctx: Context, key: bytes, name: bytes, group: Group, id_word: bytes, pending: Pending) -> None:
    """Replicas and the log are told who an entry is pending for, since when, and how far the group has got."""
    if ctx.server.propagation.active:
        ctx.propagate_as(
            b"XCLAIM", key, name, pending.consumer.name, b"0", id_word, b"TIME", b"%d" % pending.delivered_ms,
            b"RETRYCOUNT", b"%d" % pending.deliveries, b"FORCE", b"JUSTID", b"LASTID", id_text(group.last_id),
        )  # fmt: skip


def tell_group(ctx: Context, key: bytes, name: bytes, group: Group) -> None:
    """Replicas and the log are told how far a group has got, and how many entries that are."""
    if ctx.server.propagation.active:
        read = -1 if group.entries_read is None else group.entries_read
        ctx.propagate_as(
            b"XGROUP", b"SETID", key, name, id_text(group.last_id), b"ENTRIESREAD", b"%d" % read
        )


def _parse(ctx: Context, argv: list[bytes], in_group: bool) -> ReadCall:
    """Read the options, in any order, up to STREAMS and what follows it."""
    call = ReadCall(in_group)
    at, end = 1, len(argv)
    while at < end:
        match argv[at].upper():
            case b"BLOCK" if at + 1 < end:
                at += 1
                call.blocks, call.deadline_ms = True, blocking_timeout_ms(ctx, argv[at])
            case b"COUNT" if at + 1 < end:
                at += 1
                count = integer(argv[at])
                call.count = count if count > 0 else None
            case b"STREAMS" if at + 1 < end:
                names = argv[at + 1 :]
                if len(names) % 2:
                    raise _unbalanced(in_group)
                half = len(names) // 2
                call.keys, call.ids = tuple(names[:half]), tuple(names[half:])
                break
            case b"GROUP" if at + 2 < end:
                if not in_group:
                    raise GROUP_IN_XREAD
                call.named, call.group, call.consumer = True, argv[at + 1], argv[at + 2]
                at += 2
            case b"NOACK":
                if not in_group:
                    raise NOACK_IN_XREAD
                call.noack = True
            case _:
                raise SYNTAX_ERROR
        at += 1
    if not call.keys:
        raise SYNTAX_ERROR
    if in_group and not call.named:
        raise NO_GROUP_NAMED
    return call


def _unbalanced(in_group: bool) -> ReplyError:
    name, ids = (b"xreadgroup", b"ID or '>'") if in_group else (b"xread", b"ID, '+', or '$'")
    return ReplyError(
        b"ERR Unbalanced '%b' list of streams: for each stream key an %b must be specified." % (name, ids)
    )
