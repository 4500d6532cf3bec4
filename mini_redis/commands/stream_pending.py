"""What is pending: acknowledge it, look at it, take it over from a consumer that has died.

    given by XREADGROUP  --->  pending  --->  XACK, XACKDEL      done
                                 |  ^
                                 `--'   XCLAIM, XAUTOCLAIM       another consumer's, or the same one's once more

This makes a group deliver *at least once*: who dies between doing and acknowledging leaves something that will be done
again. How often an entry was delivered is counted, so that what kills every consumer can be found and put aside.

An entry may be deleted while it is pending. Whoever claims it then takes it off the list instead: it cannot be done
any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import FAST, READONLY, WRITE, command
from mini_redis.commands.stream import (
    DELETED,
    NO_ENTRY,
    REFERENCED,
    entry_reply,
    error_naming,
    ids_with_policy,
    parse_end,
    parse_start,
    parse_strict_id,
)
from mini_redis.commands.stream_read import find_consumer, make_consumer, tell_claim, tell_group
from mini_redis.keyspace.types import STREAM
from mini_redis.resp.reply import NULL_ARRAY, SYNTAX_ERROR, WRONG_TYPE, Reply, ReplyError
from mini_redis.structures.consumer_group import Consumer, Group, Pending, pending_range
from mini_redis.structures.numbers import INT64_MAX
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import MIN_ID, StreamId, id_text, parse_id

if TYPE_CHECKING:
    from mini_redis.server.context import Context

BAD_COUNT: Final = ReplyError(b"ERR COUNT must be > 0")
COUNT_TOO_HIGH: Final = ReplyError(
    b"ERR Insufficient memory, failed allocating transient memory, COUNT too high."
)

ID_BYTES: Final = 16
MOST_CLAIMED: Final = INT64_MAX // ID_BYTES
MOST_MEMORY: Final = 1 << 47
"""What no processor of today can address: Redis reserves room for COUNT ids, and would be refused."""
USUALLY_CLAIMED: Final = 100
LOOKED_AT_FOR_EACH: Final = 10
"""Entries that XAUTOCLAIM looks at for each one that it may claim."""


def _no_group(key: bytes, group: bytes) -> ReplyError:
    return error_naming(b"NOGROUP No such key '%b' or consumer group '%b'", key, group)


# --- Acknowledge -----------------------------------------------------------------------------------------------------


@command(
    "XACK key group id ...",
    flags=WRITE | FAST,
    acl="stream",
    since="5.0.0",
    complexity="O(1) for each message ID processed.",
    keys=key_at(1, "RW update"),
)
def xack(ctx: Context, argv: list[bytes]) -> Reply:
    """Say that entries are done with: they are no longer pending in a group; tell how many were.

    0 without key or group. Errors: an id that is not one; WRONGTYPE.
    """
    stream = ctx.db.read(argv[1], STREAM)
    group = None if stream is None else stream.groups.get(argv[2])
    if group is None:
        return 0
    ids = list(map(parse_strict_id, argv[3:]))

    ctx.db.lend(argv[1], stream)
    acknowledged = sum(map(group.acknowledge, ids))

    if acknowledged:
        ctx.noted(argv[1], times=acknowledged)
    return acknowledged


@command(
    "XACKDEL key group condition:[KEEPREF | DELREF | ACKED] IDS ids:(numids id ...)",
    flags=WRITE | FAST,
    acl="stream",
    since="8.2.0",
    complexity="O(1) for each message ID processed.",
    keys=key_at(1, "RW update delete"),
)
def xackdel(ctx: Context, argv: list[bytes]) -> Reply:
    """Say that entries are done with, and delete them with regard to other groups.

    Policies as of XDELEX. Tells of each id: 1 acknowledged and deleted, 2 acknowledged but referenced elsewhere, -1 not
    pending in this group. Errors: syntax; an id that is not one; WRONGTYPE.
    """
    stream: Stream | None = ctx.db.read(argv[1], STREAM)
    policy, words = ids_with_policy(argv, 3)
    group = None if stream is None else stream.groups.get(argv[2])
    if stream is None or group is None:
        return [NO_ENTRY] * len(words)
    ids = list(map(parse_strict_id, words))

    ctx.db.lend(argv[1], stream)
    results: list[Reply] = []
    deleted = 0
    for entry_id in ids:
        if not group.acknowledge(entry_id):
            results.append(NO_ENTRY)
        elif not stream.release(entry_id, policy):
            results.append(REFERENCED)
        else:
            deleted += stream.delete(entry_id)
            results.append(DELETED)

    acknowledged = len(results) - results.count(NO_ENTRY)
    if deleted:
        ctx.changed(argv[1], "xdel", acknowledged)
    elif acknowledged:
        ctx.noted(argv[1], times=acknowledged)
    return results


# --- Look ------------------------------------------------------------------------------------------------------------


@command(
    "XPENDING key group filters:[[IDLE min-idle-time/integer@6.2.0] start/string end/string count [consumer]]",
    flags=READONLY,
    acl="stream",
    since="5.0.0",
    complexity=(
        "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is "
        "O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command "
        "returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional "
        "O(N) time for iterating every consumer."
    ),
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def xpending(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell what is pending in a group: how much, from which id to which, for whom; or in a range one by one.

    One by one: id, consumer, milliseconds since it was delivered, how often it was. IDLE leaves out what was delivered
    later. Errors: NOGROUP; syntax; WRONGTYPE.
    """
    wanted = _pending_range(argv)
    stream = ctx.db.read(argv[1], STREAM)
    group: Group | None = None if stream is None else stream.groups.get(argv[2])
    if group is None:
        raise _no_group(argv[1], argv[2])
    if wanted is None:
        return _summary(group)

    pel = group.pel
    if wanted.consumer is not None:
        if wanted.consumer not in group.consumers:
            return []
        pel = group.consumers[wanted.consumer].pel
    now_ms = ctx.now_ms
    found = (
        [id_text(entry_id), pending.consumer.name, max(0, now_ms - pending.delivered_ms), pending.deliveries]
        for entry_id, pending in pending_range(pel, wanted.start, wanted.end)
        if not wanted.min_idle_ms or now_ms - pending.delivered_ms >= wanted.min_idle_ms
    )
    return list(islice(found, wanted.count))


@dataclass(frozen=True, slots=True)
class PendingRange:
    """Which pending entries XPENDING shows one by one. `consumer` is None for all."""

    start: StreamId
    end: StreamId
    count: int
    min_idle_ms: int
    consumer: bytes | None


def _pending_range(argv: list[bytes]) -> PendingRange | None:
    """None for the summary."""
    if len(argv) == 3:
        return None
    if not 6 <= len(argv) <= 9:
        raise SYNTAX_ERROR
    at, min_idle_ms = 3, 0
    if argv[3].upper() == b"IDLE":
        min_idle_ms = integer(argv[4])
        if len(argv) < 8:
            raise SYNTAX_ERROR
        at = 5
    count = max(0, integer(argv[at + 2]))
    start, end = parse_start(argv[at]), parse_end(argv[at + 1])
    return PendingRange(start, end, count, min_idle_ms, argv[at + 3] if len(argv) > at + 3 else None)


def _summary(group: Group) -> Reply:
    pel = group.pel
    if not pel:
        return [0, None, None, NULL_ARRAY]
    busy = [
        [name, b"%d" % len(consumer.pel)] for name, consumer in group.consumers.items() if consumer.pel
    ]
    return [len(pel), id_text(pel.peekitem(0)[0]), id_text(pel.peekitem()[0]), busy]


# --- Claim -----------------------------------------------------------------------------------------------------------


@command(
    "XCLAIM key group consumer min-idle-time id ... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE]"
    " [JUSTID] [LASTID lastid]",
    flags=WRITE | FAST,
    acl="stream",
    since="5.0.0",
    complexity="O(log N) with N being the number of messages in the PEL of the consumer group.",
    keys=key_at(1, "RW update"),
    tips="nondeterministic_output",
)
def xclaim(ctx: Context, argv: list[bytes]) -> Reply:
    """Make entries that are pending in a group, for so long or longer, pending for another consumer.

    Answers the entries, or just their ids (JUSTID, which then is no delivery). IDLE, TIME and RETRYCOUNT say what is
    written down of the delivery; FORCE makes pending what is not; LASTID moves the group on. Errors: NOGROUP; an
    option that is not known, or wrong; WRONGTYPE.
    """
    key = argv[1]
    stream: Stream | None = ctx.db.read(key, STREAM)
    group = None if stream is None else stream.groups.get(argv[2])
    if stream is None or group is None:
        raise _no_group(key, argv[2])
    terms = _claim_terms(argv, ctx.now_ms)

    ctx.db.lend(key, stream)
    ctx.propagate_nothing()
    moved_on = terms.last_id > group.last_id
    if moved_on:
        group.last_id = terms.last_id
    claim = Claim(ctx, key, argv[2], stream, group, _claimant(ctx, key, group, argv[3]), terms)
    words = argv[5 : 5 + len(terms.ids)]
    for entry_id, word in zip(terms.ids, words, strict=True):
        if claim.try_one(entry_id, word):
            moved_on = False  # the claim has told it
    if moved_on:
        tell_group(ctx, key, argv[2], group)
        ctx.noted(key)
    return claim.claimed


@dataclass(slots=True)
class Terms:
    """On which terms entries are claimed."""

    min_idle_ms: int
    ids: list[StreamId] = field(default_factory=list)
    delivered_ms: int = 0
    deliveries: int | None = None
    force: bool = False
    just_id: bool = False
    last_id: StreamId = MIN_ID


def _claim_terms(argv: list[bytes], now_ms: int) -> Terms:
    """Read min-idle-time, the ids, and the options, which begin where a word is no id."""
    terms = Terms(_min_idle_ms(argv[4], b"XCLAIM"))
    at, end = 5, len(argv)
    while at < end and (entry_id := parse_id(argv[at])) is not None:
        terms.ids.append(entry_id)
        at += 1

    delivered_ms = now_ms
    while at < end:
        option, has_argument = argv[at].upper(), at + 1 < end
        match option:
            case b"FORCE":
                terms.force = True
            case b"JUSTID":
                terms.just_id = True
            case b"IDLE" | b"TIME" | b"RETRYCOUNT" if has_argument:
                number = integer(argv[at + 1], ReplyError(b"ERR Invalid %b option argument for XCLAIM" % option))
                if option == b"RETRYCOUNT":
                    terms.deliveries = number if number >= 0 else None
                else:
                    delivered_ms = now_ms - number if option == b"IDLE" else number
                at += 1
            case b"LASTID" if has_argument:
                terms.last_id = parse_strict_id(argv[at + 1])
                at += 1
            case _:
                raise error_naming(b"ERR Unrecognized XCLAIM option '%b'", argv[at])
        at += 1
    # Clients compute times by clocks of their own; what cannot be means now.
    terms.delivered_ms = delivered_ms if 0 <= delivered_ms <= now_ms else now_ms
    return terms


def _min_idle_ms(raw: bytes, command_name: bytes) -> int:
    return max(0, integer(raw, ReplyError(b"ERR Invalid min-idle-time argument for %b" % command_name)))


def _claimant(ctx: Context, key: bytes, group: Group, name: bytes) -> Consumer:
    return find_consumer(ctx, key, group, name) or make_consumer(ctx, key, group, name)


@dataclass(slots=True)
class Claim:
    """One call of XCLAIM or XAUTOCLAIM: what is claimed for whom, and what came of it."""

    ctx: Context
    key: bytes
    group_name: bytes
    stream: Stream
    group: Group
    consumer: Consumer
    terms: Terms
    claimed: list[Reply] = field(default_factory=list)
    deleted: list[Reply] = field(default_factory=list)

    def try_one(self, entry_id: StreamId, word: bytes) -> bool:
        """Claim an entry if the terms allow; whether anything changed. `word` is how the log names it."""
        pending = self.group.pel.get(entry_id)
        body = self.stream.get(entry_id)
        if body is None:
            if pending is None:
                return False
            tell_claim(self.ctx, self.key, self.group_name, self.group, word, pending)
            self.group.acknowledge(entry_id)
            self.deleted.append(id_text(entry_id))
            self.ctx.noted(self.key)
            return True

        now_ms, terms = self.ctx.now_ms, self.terms
        if pending is None:
            if not terms.force:
                return False
            pending = self.group.add(entry_id, self.consumer, now_ms)
        elif terms.min_idle_ms and now_ms - pending.delivered_ms < terms.min_idle_ms:
            return False
        self._take_over(entry_id, pending)
        self.claimed.append(id_text(entry_id) if terms.just_id else entry_reply((entry_id, body)))
        tell_claim(self.ctx, self.key, self.group_name, self.group, word, pending)
        self.ctx.noted(self.key)
        return True

    def _take_over(self, entry_id: StreamId, pending: Pending) -> None:
        terms = self.terms
        self.group.give(entry_id, pending, self.consumer)
        pending.delivered_ms = terms.delivered_ms
        if terms.deliveries is not None:
            pending.deliveries = terms.deliveries
        elif not terms.just_id:
            pending.deliveries += 1
        self.consumer.active_ms = self.ctx.now_ms


@command(
    "XAUTOCLAIM key group consumer min-idle-time/string start/string [COUNT count] [JUSTID]",
    flags=WRITE | FAST,
    acl="stream",
    since="6.2.0",
    complexity="O(1) if COUNT is small.",
    keys=key_at(1, "RW delete"),
    tips="nondeterministic_output",
)
def xautoclaim(ctx: Context, argv: list[bytes]) -> Reply:
    """Claim, from an id on, what has been pending in a group for so long or longer, whatever it is.

    Answers the id to go on from (0-0 at the end), the entries (or ids: JUSTID), and the ids of deleted entries that are
    not pending any more. Errors: NOGROUP; numbers and ids that are not such; syntax; WRONGTYPE.
    """
    key = argv[1]
    value = ctx.db.read(key)  # a miss is one even if what follows is wrong; of which type it is matters afterwards
    terms = Terms(_min_idle_ms(argv[4], b"XAUTOCLAIM"), delivered_ms=ctx.now_ms)
    start = parse_start(argv[5])
    count, terms.just_id = _autoclaim_options(argv)
    if value is not None and type(value) is not Stream:
        raise WRONG_TYPE
    stream: Stream | None = value
    group = None if stream is None else stream.groups.get(argv[2])
    if stream is None or group is None:
        raise _no_group(key, argv[2])
    if count * ID_BYTES >= MOST_MEMORY:
        raise COUNT_TOO_HIGH

    ctx.db.lend(key, stream)
    ctx.propagate_nothing()
    claim = Claim(ctx, key, argv[2], stream, group, _claimant(ctx, key, group, argv[3]), terms)
    attempts = count * LOOKED_AT_FOR_EACH
    # A copy, since claiming changes the list; one more than are looked at, to tell where to go on.
    upcoming = [entry_id for entry_id, _ in islice(pending_range(group.pel, start), attempts + 1)]
    looked_at = 0
    for entry_id in upcoming[:attempts]:
        if len(claim.claimed) + len(claim.deleted) == count:
            break
        claim.try_one(entry_id, id_text(entry_id))
        looked_at += 1
    following = upcoming[looked_at] if looked_at < len(upcoming) else MIN_ID
    return [id_text(following), claim.claimed, claim.deleted]


def _autoclaim_options(argv: list[bytes]) -> tuple[int, bool]:
    """COUNT and JUSTID."""
    count, just_id = USUALLY_CLAIMED, False
    at = 6
    while at < len(argv):
        match argv[at].upper():
            case b"COUNT" if at + 1 < len(argv):
                count = integer(argv[at + 1], BAD_COUNT)
                if not 1 <= count <= MOST_CLAIMED:
                    raise BAD_COUNT
                at += 2
            case b"JUSTID":
                just_id = True
                at += 1
            case _:
                raise SYNTAX_ERROR
    return count, just_id
