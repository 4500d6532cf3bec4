"""Streams: add, read ranges, delete, trim. Reading on and waiting is in stream_read.py, groups in stream_group.py and
stream_pending.py, what they tell about themselves in stream_info.py.

A stream is a log: entries get ids that only increase, and reading takes nothing away. So, unlike a list, it may be
empty and still be there: its last id and its groups are worth keeping.

What the log of commands sees is exact where the client was not: `*` becomes the id that was given, `~` becomes `=` with
the length, or the first id, that came out. Whoever replays may have nodes of another size.

Trimming with another policy than KEEPREF has to ask for each entry whether it is pending, which `~` was made to avoid:
Redis 8.2.3 then trims nothing at all, and so do we.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from mini_redis.commands.arguments import at_least, integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.keyspace.types import STREAM
from mini_redis.resp.reply import NO_SUCH_KEY, NULL_ARRAY, OK, SYNTAX_ERROR, Reply, ReplyError, wrong_arity
from mini_redis.structures.stream import ACKED, DELREF, KEEPREF, Entry, Stream, Trim
from mini_redis.structures.stream_id import (
    MAX_ID,
    MAX_PART,
    MIN_ID,
    SEQUENCE_BITS,
    StreamId,
    id_text,
    make_id,
    parse_bound,
    parse_id,
    parse_open_id,
)

if TYPE_CHECKING:
    from mini_redis.server.context import Context

INVALID_ID: Final = ReplyError(b"ERR Invalid stream ID specified as stream command argument")
INVALID_START: Final = ReplyError(b"ERR invalid start ID for the interval")
INVALID_END: Final = ReplyError(b"ERR invalid end ID for the interval")
ID_ZERO: Final = ReplyError(b"ERR The ID specified in XADD must be greater than 0-0")
ID_TOO_SMALL: Final = ReplyError(b"ERR The ID specified in XADD is equal or smaller than the target stream top item")
NO_MORE_IDS: Final = ReplyError(
    b"ERR The stream has exhausted the last possible ID, unable to add more items",
)
ENTRY_TOO_LARGE: Final = ReplyError(b"ERR Elements are too large to be stored")
ONE_STRATEGY: Final = ReplyError(
    b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
)
NO_STRATEGY: Final = ReplyError(b"ERR syntax error, XTRIM must be called with a trimming strategy")
LIMIT_OF_NOTHING: Final = ReplyError(
    b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
)
LIMIT_OF_EXACT: Final = ReplyError(b"ERR syntax error, LIMIT cannot be used without the special ~ option")
NEGATIVE_MAXLEN: Final = ReplyError(b"ERR The MAXLEN argument must be >= 0.")
NEGATIVE_LIMIT: Final = ReplyError(b"ERR The LIMIT argument must be >= 0.")
NUMIDS_NOT_POSITIVE: Final = ReplyError(b"ERR Number of IDs must be a positive integer")
NUMIDS_MISCOUNTED: Final = ReplyError(b"ERR The `numids` parameter must match the number of arguments")
IDS_MISSING: Final = ReplyError(b"ERR IDS option is required")
ENTRIES_ADDED_NEGATIVE: Final = ReplyError(b"ERR entries_added must be positive")
BEFORE_GIVEN_DELETION: Final = ReplyError(
    b"ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
BEFORE_DELETION: Final = ReplyError(b"ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
BEFORE_TOP: Final = ReplyError(b"ERR The ID specified in XSETID is smaller than the target stream top item")
FEWER_THAN_LENGTH: Final = ReplyError(
    b"ERR The entries_added specified in XSETID is smaller than the target stream length"
)

NODES_TRIMMED: Final = 100
"""So many nodes' entries may go in one approximate trim, unless LIMIT says otherwise..."""
ENTRIES_TRIMMED: Final = (10_000, 1_000_000)
"""...but so many where nodes have no limit, and never more than so many."""
POLICIES: Final = (KEEPREF, DELREF, ACKED)

NO_ENTRY, DELETED, REFERENCED = -1, 1, 2
"""What XDELEX and XACKDEL tell of an id."""


# --- Ids -------------------------------------------------------------------------------------------------------------


def parse_strict_id(raw: bytes) -> StreamId:
    """Read the id of an entry, its sequence 0 if left out."""
    entry_id = parse_id(raw)
    if entry_id is None:
        raise INVALID_ID
    return entry_id


def parse_start(raw: bytes) -> StreamId:
    """Read where a range begins, `(` excluding it."""
    if raw[:1] == b"(" and len(raw) > 1:
        start = parse_strict_id(raw[1:]) + 1
        if start > MAX_ID:
            raise INVALID_START
        return start
    bound = parse_bound(raw, 0)
    if bound is None:
        raise INVALID_ID
    return bound


def parse_end(raw: bytes) -> StreamId:
    """Read where a range ends, `(` excluding it."""
    excluded = raw[:1] == b"(" and len(raw) > 1
    bound = parse_id(raw[1:], MAX_PART) if excluded else parse_bound(raw, MAX_PART)
    if bound is None:
        raise INVALID_ID
    if excluded and bound == MIN_ID:
        raise INVALID_END
    return bound - 1 if excluded else bound


def error_naming(text: bytes, *names: bytes) -> ReplyError:
    """An error that repeats what a client has said; a zero byte ends each name, as in C."""
    return ReplyError(text % tuple(name.partition(b"\0")[0] for name in names))


def entry_reply(entry: Entry) -> list[Reply]:
    """An entry as it is sent: its id, and the array of its fields and values."""
    return [id_text(entry[0]), entry[1]]


# --- Add -------------------------------------------------------------------------------------------------------------


@command(
    "XADD key [NOMKSTREAM@6.2.0] condition:[KEEPREF | DELREF | ACKED] trim:[strategy:(MAXLEN | MINID@6.2.0)"
    " operator:[equal:= | approximately:~] threshold [LIMIT count@6.2.0]] id-selector:(auto-id:* | id)"
    " data:(field value) ...",
    flags=WRITE | DENYOOM | FAST,
    acl="stream",
    since="5.0.0",
    complexity="O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
    keys=key_at(1, "RW update", notes="UPDATE instead of INSERT because of the optional trimming feature"),
    tips="nondeterministic_output",
)
def xadd(ctx: Context, argv: list[bytes]) -> Reply:
    """Add an entry to a stream, and trim it if told so; without key, that makes the stream.

    Answers the id; null with NOMKSTREAM if there is no stream. `*` gives an id by the clock, `5-*` a sequence within
    that millisecond. Errors: an id that is not one, or not greater than all before; options that do not fit; WRONGTYPE.
    """
    options = NO_OPTIONS if argv[2] == b"*" else _add_options(ctx, argv)
    id_at, trim = options.id_at, options.trim
    body = argv[id_at + 1 :]
    if not body or len(body) % 2:
        raise wrong_arity(b"xadd")
    wanted, is_open = BY_CLOCK if argv[id_at] == b"*" else _wanted_id(argv[id_at])

    key, db, server = argv[1], ctx.db, ctx.server
    found = db.write(key, STREAM)
    if found is None and options.only_existing:
        return None
    stream: Stream = Stream() if found is None else found
    next_id, by_clock = stream.last_id + 1, server.keyspace.now_ms << SEQUENCE_BITS
    if next_id > MAX_ID:
        raise NO_MORE_IDS
    if wanted is None:  # the clock may have been set back; ids never go back
        entry_id = by_clock if by_clock > next_id else next_id
    else:
        entry_id = _wanted_or_next(wanted, is_open, next_id)
    config = server.config
    if not stream.append(entry_id, body, config.stream_node_max_bytes, config.stream_node_max_entries):
        raise ENTRY_TOO_LARGE
    if found is None:
        db.set(key, stream)

    text = id_text(entry_id)
    if server.notify_flags:
        ctx.notify(key, "xadd")
    if trim is not None and stream.trim(trim):
        ctx.notify(key, "xtrim")
    ctx.modified(key)
    if server.propagation.active:
        words = [*argv[:id_at], text, *argv[id_at + 1 :]] if is_open else argv
        ctx.propagate_as(*_with_exact_trim(words, stream, trim, options.threshold_at))
    if db.blocked:
        ctx.ready(key)
    return text


def _wanted_id(raw: bytes) -> tuple[StreamId | None, bool]:
    """The id that a client wants for its entry, and whether its sequence is left open."""
    ms = parse_open_id(raw)
    if ms is not None:
        return make_id(ms, 0), True
    entry_id = parse_strict_id(raw)
    if entry_id == MIN_ID:
        raise ID_ZERO
    return entry_id, False


def _wanted_or_next(wanted: StreamId, is_open: bool, next_id: StreamId) -> StreamId:
    """The id of an entry of which a client has named one, `next_id` being the least that is free."""
    if is_open and wanted >> SEQUENCE_BITS == next_id >> SEQUENCE_BITS:
        return next_id
    if wanted < next_id:
        raise ID_TOO_SMALL
    return wanted


BY_CLOCK: Final = (None, True)
"""What `*` wants: any id, as of now."""


class AddOptions(NamedTuple):
    """What XADD and XTRIM are told. The two places are indexes into the call."""

    id_at: int
    trim: Trim | None
    only_existing: bool
    threshold_at: int


NO_OPTIONS: Final = AddOptions(2, None, False, 0)


def _add_options(ctx: Context, argv: list[bytes], adds: bool = True) -> AddOptions:
    """Read what stands between the key and the id (XADD), or all that follows the key (XTRIM)."""
    trim, policy, limit = Trim(), KEEPREF, None
    only_existing, policy_told, threshold_at = False, False, 0
    at, end = 2, len(argv)
    while at < end:
        word, has_more = argv[at].upper(), at + 1 < end
        if adds and word == b"*":
            break
        match word:
            case b"MAXLEN" | b"MINID" if has_more:
                if threshold_at:
                    raise ONE_STRATEGY
                threshold_at = at + 1
                if at + 2 < end and argv[at + 1] in (b"~", b"="):
                    threshold_at += 1
                trim = _threshold(word, argv[threshold_at], approximate=argv[at + 1 : threshold_at] == [b"~"])
                at = threshold_at
            case b"LIMIT" if has_more:
                at += 1
                limit = integer(argv[at])
                if limit < 0:
                    raise NEGATIVE_LIMIT
            case b"KEEPREF" | b"DELREF" | b"ACKED" if not policy_told:
                policy, policy_told = word, True
            case b"NOMKSTREAM" if adds:
                only_existing = True
            case _ if adds:
                # The first word that is no option is the id; what is wrong with it is told before what is missing.
                _check_id(argv[at])
                break
            case _:
                raise SYNTAX_ERROR
        at += 1

    if limit and not threshold_at:
        raise LIMIT_OF_NOTHING
    if not adds and not threshold_at:
        raise NO_STRATEGY
    if ctx.client.replays:
        limit = 0  # what the limit left was written into the threshold
    elif limit is not None and not trim.approximate:
        raise LIMIT_OF_EXACT
    elif limit is None:
        limit = _usual_limit(ctx.server.config.stream_node_max_entries) if trim.approximate else 0
    trim = trim._replace(limit=limit, policy=policy)
    return AddOptions(at, trim if threshold_at else None, only_existing, threshold_at)


def _check_id(raw: bytes) -> None:
    if parse_open_id(raw) is None:
        parse_strict_id(raw)


def _threshold(strategy: bytes, raw: bytes, approximate: bool) -> Trim:
    if strategy == b"MINID":
        return Trim(min_id=parse_strict_id(raw), approximate=approximate)
    maxlen = integer(raw)
    if maxlen < 0:
        raise NEGATIVE_MAXLEN
    return Trim(maxlen=maxlen, approximate=approximate)


def _usual_limit(node_max_entries: int) -> int:
    without, most = ENTRIES_TRIMMED
    return min(NODES_TRIMMED * node_max_entries, most) if node_max_entries > 0 else without


def _with_exact_trim(words: list[bytes], stream: Stream, trim: Trim | None, threshold_at: int) -> list[bytes]:
    """The call; if it trims approximately, with `=` and what that came to."""
    if trim is None or not trim.approximate:
        return words
    # Tombstones before the first entry count; of a stream without nodes it is the greatest id.
    first_id = next(iter(stream.nodes), MAX_ID)
    outcome = id_text(first_id) if trim.maxlen is None else b"%d" % stream.length
    return [*words[: threshold_at - 1], b"=", outcome, *words[threshold_at + 1 :]]


# --- Read ------------------------------------------------------------------------------------------------------------


@command("XLEN key", flags=READONLY | FAST, acl="stream", since="5.0.0", complexity="O(1)", keys=key_at(1, "RO"))
def xlen(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the entries of a stream; 0 without key.

    Errors: WRONGTYPE.
    """
    stream = ctx.db.read(argv[1], STREAM)
    return 0 if stream is None else stream.length


@command(
    "XRANGE key start/string end/string [COUNT count]",
    flags=READONLY,
    acl="stream",
    since="5.0.0",
    complexity=(
        "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first "
        "10 elements with COUNT), you can consider it O(1)."
    ),
    keys=key_at(1, "RO access"),
)
def xrange(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the entries of a stream from one id to another, both included unless written `(id`.

    `-` is the least id and `+` the greatest; an id without sequence means its whole millisecond. Errors: an id that is
    not one; syntax; WRONGTYPE.
    """
    return _range(ctx, argv, argv[2], argv[3], backwards=False)


@command(
    "XREVRANGE key end/string start/string [COUNT count]",
    flags=READONLY,
    acl="stream",
    since="5.0.0",
    complexity=(
        "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 "
        "elements with COUNT), you can consider it O(1)."
    ),
    keys=key_at(1, "RO access"),
)
def xrevrange(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the entries of a stream from one id back to a smaller one, the last first.

    As XRANGE, with its bounds exchanged.
    """
    return _range(ctx, argv, argv[3], argv[2], backwards=True)


def _range(ctx: Context, argv: list[bytes], raw_start: bytes, raw_end: bytes, backwards: bool) -> Reply:
    start, end = parse_start(raw_start), parse_end(raw_end)
    count = None
    for at in range(4, len(argv), 2):
        if argv[at].upper() != b"COUNT" or at + 1 == len(argv):
            raise SYNTAX_ERROR
        count = max(0, integer(argv[at + 1]))

    stream = ctx.db.read(argv[1], STREAM)
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    entries = stream.reverse_range(start, end) if backwards else stream.range(start, end)
    return list(map(entry_reply, islice(entries, count)))


# --- Delete and trim -------------------------------------------------------------------------------------------------


@command(
    "XDEL key id ...",
    flags=WRITE | FAST,
    acl="stream",
    since="5.0.0",
    complexity="O(1) for each single item to delete in the stream, regardless of the stream size.",
    keys=key_at(1, "RW delete"),
)
def xdel(ctx: Context, argv: list[bytes]) -> Reply:
    """Delete entries of a stream; tell how many there were.

    Where they are pending they remain so. Errors: an id that is not one; WRONGTYPE.
    """
    stream = ctx.db.write(argv[1], STREAM)
    if stream is None:
        return 0
    ids = list(map(parse_strict_id, argv[2:]))

    deleted = sum(map(stream.delete, ids))

    if deleted:
        ctx.changed(argv[1], "xdel", deleted)
    return deleted


@command(
    "XDELEX key condition:[KEEPREF | DELREF | ACKED] IDS ids:(numids id ...)",
    flags=WRITE | FAST,
    acl="stream",
    since="8.2.0",
    complexity="O(1) for each single item to delete in the stream, regardless of the stream size.",
    keys=key_at(1, "RW delete"),
)
def xdelex(ctx: Context, argv: list[bytes]) -> Reply:
    """Delete entries of a stream with regard to the groups where they are pending.

    KEEPREF: they remain pending. DELREF: they do not. ACKED: only what no group has yet to read or acknowledge is
    deleted. Tells of each id: 1 deleted, -1 no such entry, 2 still referenced. Errors: syntax; an id that is not
    one; WRONGTYPE.
    """
    stream = ctx.db.write(argv[1], STREAM)
    policy, words = ids_with_policy(argv, 2)
    if stream is None:
        return [NO_ENTRY] * len(words)
    ids = list(map(parse_strict_id, words))

    results = [
        REFERENCED if not stream.release(entry_id, policy) else DELETED if stream.delete(entry_id) else NO_ENTRY
        for entry_id in ids
    ]

    deleted = results.count(DELETED)
    if deleted:
        ctx.changed(argv[1], "xdel", deleted)
    return results


def ids_with_policy(argv: list[bytes], at: int) -> tuple[bytes, list[bytes]]:
    """Read the policy and the words of the ids, in any order, as XDELEX and XACKDEL have them."""
    policy, ids = None, None
    while at < len(argv):
        word = argv[at].upper()
        if word in POLICIES and policy is None:
            policy = word
            at += 1
        elif word == b"IDS" and at + 1 < len(argv):
            count = at_least(1, argv[at + 1], NUMIDS_NOT_POSITIVE)
            at += 2
            if count > len(argv) - at:
                raise NUMIDS_MISCOUNTED
            ids = argv[at : at + count]
            at += count
        else:
            raise SYNTAX_ERROR
    if ids is None:
        raise IDS_MISSING
    return policy or KEEPREF, ids


@command(
    "XTRIM key trim:(strategy:(MAXLEN | MINID@6.2.0) operator:[equal:= | approximately:~] threshold"
    " [LIMIT count@6.2.0] condition:[KEEPREF | DELREF | ACKED])",
    flags=WRITE,
    acl="stream",
    since="5.0.0",
    complexity=(
        "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are "
        "organized in macro nodes containing multiple entries that can be released with a single deallocation."
    ),
    keys=key_at(1, "RW delete"),
    tips="nondeterministic_output",
)
def xtrim(ctx: Context, argv: list[bytes]) -> Reply:
    """Delete the oldest entries of a stream, so that so many remain or those from an id on; tell how many went.

    `~` removes whole nodes only: quick, and leaves some more. Errors: options that do not fit; WRONGTYPE.
    """
    _, trim, _, threshold_at = _add_options(ctx, argv, adds=False)
    assert trim is not None, "XTRIM has a strategy"

    stream = ctx.db.write(argv[1], STREAM)
    deleted: int = 0 if stream is None else stream.trim(trim)

    if deleted:
        ctx.notify(argv[1], "xtrim")
        ctx.modified(argv[1], deleted)
        ctx.propagate_as(*_with_exact_trim(argv, stream, trim, threshold_at))
    return deleted


# --- For replication -------------------------------------------------------------------------------------------------


@command(
    "XSETID key last-id [ENTRIESADDED entries-added@7.0.0] [MAXDELETEDID max-deleted-id@7.0.0]",
    flags=WRITE | DENYOOM | FAST,
    acl="stream",
    since="5.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW update"),
)
def xsetid(ctx: Context, argv: list[bytes]) -> Reply:
    """Set the last id of a stream, and its counters: for files that write a stream as commands.

    Errors: no such key; an id before what is there or was deleted; syntax; WRONGTYPE.
    """
    last_id = parse_strict_id(argv[2])
    entries_added, max_deleted_id = None, MIN_ID
    for at in range(3, len(argv), 2):
        match argv[at].upper():
            case b"ENTRIESADDED" if at + 1 < len(argv):
                entries_added = integer(argv[at + 1])
                if entries_added < 0:
                    raise ENTRIES_ADDED_NEGATIVE
            case b"MAXDELETEDID" if at + 1 < len(argv):
                max_deleted_id = parse_strict_id(argv[at + 1])
                if last_id < max_deleted_id:
                    raise BEFORE_GIVEN_DELETION
            case _:
                raise SYNTAX_ERROR

    stream = ctx.db.write(argv[1], STREAM)
    if stream is None:
        raise NO_SUCH_KEY
    if last_id < stream.max_deleted_id:
        raise BEFORE_DELETION
    if stream.length:
        if last_id < stream.last_living_id():
            raise BEFORE_TOP
        if entries_added is not None and entries_added < stream.length:
            raise FEWER_THAN_LENGTH

    stream.set_last_id(last_id)
    if entries_added is not None:
        stream.entries_added = entries_added
    if max_deleted_id:
        stream.max_deleted_id = max_deleted_id

    ctx.noted(argv[1], "xsetid")
    return OK
