"""Sorted sets: members with scores, one by one. Ranges of them are in sorted_set_range.py, what several of them have in
common in sorted_set_algebra.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import count_of_drawn, integer, mpop_words
from mini_redis.commands.blocking import Block, blocking_timeout
from mini_redis.commands.keyspecs import counted_keys, key_at, key_range
from mini_redis.commands.registry import BLOCKING, DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.commands.scan import scan_members
from mini_redis.keyspace.types import ZSET
from mini_redis.resp.reply import (
    NOT_A_FLOAT,
    NOT_POSITIVE,
    NULL_ARRAY,
    SYNTAX_ERROR,
    Reply,
    ReplyError,
    wrong_arity,
)
from mini_redis.structures.numbers import format_double, parse_double
from mini_redis.structures.sorted_set import LISTPACK, Pair, SortedSet

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NX_WITH_XX: Final = ReplyError(b"ERR XX and NX options at the same time are not compatible")
GT_LT_NX: Final = ReplyError(b"ERR GT, LT, and/or NX options at the same time are not compatible")
INCR_OF_ONE: Final = ReplyError(b"ERR INCR option supports a single increment-element pair")
SCORE_IS_NAN: Final = ReplyError(b"ERR resulting score is not a number (NaN)")

NX, XX, GT, LT, CH, INCR = 1, 2, 4, 8, 16, 32
IS_HIGHEST: Final = {b"MAX": True, b"MIN": False}
OPTIONS: Final = {b"NX": NX, b"XX": XX, b"GT": GT, b"LT": LT, b"CH": CH, b"INCR": INCR}


# --- Write -----------------------------------------------------------------------------------------------------------


@command(
    "ZADD key [condition:(NX | XX)@3.0.2] [comparison:(GT | LT)@6.2.0] [change:CH@3.0.2] "
    "[increment:INCR@3.0.2] data:(score member) ...",
    flags=WRITE | DENYOOM | FAST,
    acl="sortedset",
    since="1.2.0",
    complexity="O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    keys=key_at(1, "RW update"),
)
def zadd(ctx: Context, argv: list[bytes]) -> Reply:
    """Give members of a sorted set their scores; without key, that makes the set.

    NX: only new members; XX: only those that are there; GT, LT: only to a higher, lower score. Answers how many are
    new, with CH how many changed, with INCR (one member, the score is added) the score or null. Errors: options that
    exclude each other; syntax; a score that is no number; WRONGTYPE.
    """
    options, at = 0, 2
    while at < len(argv) and (option := OPTIONS.get(argv[at].upper())):
        options |= option
        at += 1
    return add(ctx, argv[1], options, argv[at:])


@command(
    "ZINCRBY key increment member",
    flags=WRITE | DENYOOM | FAST,
    acl="sortedset",
    since="1.2.0",
    complexity="O(log(N)) where N is the number of elements in the sorted set.",
    keys=key_at(1, "RW access update"),
)
def zincrby(ctx: Context, argv: list[bytes]) -> Reply:
    """Add to the score of a member; without member, to 0.

    Answers the sum. Errors: an increment that is no number, or a word that would be an option of ZADD; a sum that is no
    number; WRONGTYPE.
    """
    if argv[2].upper() in OPTIONS:
        raise SYNTAX_ERROR
    return add(ctx, argv[1], INCR, argv[2:])


def add(ctx: Context, key: bytes, options: int, words: list[bytes]) -> Reply:
    if not words or len(words) % 2:
        raise SYNTAX_ERROR
    if options:
        _check_options(options, len(words) // 2)
    scores = [parse_score(raw) for raw in words[::2]]
    members = words[1::2]

    found: SortedSet | None = ctx.db.write(key, ZSET)
    if found is None and options & XX:
        return None if options & INCR else 0
    pairs = SortedSet() if found is None else found
    if pairs.encoding is LISTPACK:
        expect(ctx, pairs, len(members), 0)
    added = changed = 0
    score: float | None = None
    for member, score in zip(members, scores, strict=True):
        if options:
            score = _score_after(pairs.scores.get(member), score, options)
            if score is None:
                continue
        before = insert(ctx, pairs, member, score)
        if before is None:
            added += 1
        elif score != before:
            changed += 1
    if found is None:
        ctx.db.set(key, pairs)

    if added or changed:
        ctx.changed(key, "zincr" if options & INCR else "zadd", added + changed)
    if options & INCR:
        return score
    return added + changed if options & CH else added


def _check_options(options: int, pairs: int) -> None:
    if options & NX and options & XX:
        raise NX_WITH_XX
    if (options & GT and options & (NX | LT)) or (options & LT and options & NX):
        raise GT_LT_NX
    if options & INCR and pairs > 1:
        raise INCR_OF_ONE


def _score_after(before: float | None, given: float, options: int) -> float | None:
    """The score that a member is to have; None if the options leave it as it is."""
    if before is None:
        return None if options & XX else given
    if options & NX:
        return None
    score = before + given if options & INCR else given
    if score != score:
        raise SCORE_IS_NAN
    if (options & LT and score >= before) or (options & GT and score <= before):
        return None
    return score


def parse_score(raw: bytes) -> float:
    """Read a score or an increment."""
    score = parse_double(raw)
    if score is None:
        raise NOT_A_FLOAT
    return score


def expect(ctx: Context, pairs: SortedSet, members: int, longest: int) -> None:
    """So many members are named, or one so long comes: a listpack that would not take them changes at once."""
    config = ctx.server.config
    if members > config.zset_max_listpack_entries or longest > config.zset_max_listpack_value:
        pairs.become_skiplist()


def insert(ctx: Context, pairs: SortedSet, member: bytes, score: float) -> float | None:
    """Give a member, perhaps a new one, its score; the one that it had. O(log n)."""
    if pairs.encoding is LISTPACK and member not in pairs.scores:
        expect(ctx, pairs, len(pairs) + 1, len(member))
    return pairs.set(member, score)


@command(
    "ZREM key member ...",
    flags=WRITE | FAST,
    acl="sortedset",
    since="1.2.0",
    complexity=(
        "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed."
    ),
    keys=key_at(1, "RW delete"),
)
def zrem(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove members of a sorted set; the last one takes the key with it.

    Answers how many were there. Errors: WRONGTYPE.
    """
    key = argv[1]
    pairs = ctx.db.write(key, ZSET)
    if pairs is None:
        return 0
    removed = sum(map(pairs.delete, argv[2:]))
    if removed:
        ctx.shrank(key, pairs, "zrem", removed, events_first=True)
    return removed


# --- Read ------------------------------------------------------------------------------------------------------------


@command(
    "ZCARD key",
    flags=READONLY | FAST,
    acl="sortedset",
    since="1.2.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
)
def zcard(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the members.

    Errors: WRONGTYPE.
    """
    pairs = ctx.db.read(argv[1], ZSET)
    return 0 if pairs is None else len(pairs)


@command(
    "ZSCORE key member",
    flags=READONLY | FAST,
    acl="sortedset",
    since="1.2.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
)
def zscore(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the score of a member, null if it is not there.

    Errors: WRONGTYPE.
    """
    pairs = ctx.db.read(argv[1], ZSET)
    return None if pairs is None else pairs.scores.get(argv[2])


@command(
    "ZMSCORE key member ...",
    flags=READONLY | FAST,
    acl="sortedset",
    since="6.2.0",
    complexity="O(N) where N is the number of members being requested.",
    keys=key_at(1, "RO access"),
)
def zmscore(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the scores of members, null for each that is not there.

    Errors: WRONGTYPE.
    """
    pairs = ctx.db.read(argv[1], ZSET)
    return [None if pairs is None else pairs.scores.get(member) for member in argv[2:]]


@command(
    "ZRANK key member [WITHSCORE]",
    flags=READONLY | FAST,
    acl="sortedset",
    since="2.0.0",
    complexity="O(log(N))",
    keys=key_at(1, "RO access"),
)
def zrank(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many members are before one, the lowest score first; null if it is not there.

    WITHSCORE adds its score. Errors: syntax; WRONGTYPE.
    """
    return _rank(ctx, argv, from_highest=False)


@command(
    "ZREVRANK key member [WITHSCORE]",
    flags=READONLY | FAST,
    acl="sortedset",
    since="2.0.0",
    complexity="O(log(N))",
    keys=key_at(1, "RO access"),
)
def zrevrank(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many members are before one, the highest score first; null if it is not there.

    WITHSCORE adds its score. Errors: syntax; WRONGTYPE.
    """
    return _rank(ctx, argv, from_highest=True)


def _rank(ctx: Context, argv: list[bytes], from_highest: bool) -> Reply:
    if len(argv) > 4:
        raise wrong_arity(b"zrevrank" if from_highest else b"zrank")
    with_score = len(argv) == 4
    if with_score and argv[3].upper() != b"WITHSCORE":
        raise SYNTAX_ERROR
    pairs = ctx.db.read(argv[1], ZSET)
    rank = None if pairs is None else pairs.rank(argv[2])
    if rank is None:
        return NULL_ARRAY if with_score else None
    if from_highest:
        rank = len(pairs) - 1 - rank
    return [rank, pairs.scores[argv[2]]] if with_score else rank


@command(
    "ZRANDMEMBER key [options:(count [WITHSCORES])]",
    flags=READONLY,
    acl="sortedset",
    since="6.2.0",
    complexity="O(N) where N is the number of members returned",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def zrandmember(ctx: Context, argv: list[bytes]) -> Reply:
    """Choose members by chance: one, so many different ones, or, for a negative count, so many with repetition.

    Errors: a count that is not an integer or out of range; syntax; WRONGTYPE.
    """
    if len(argv) == 2:
        pairs = ctx.db.read(argv[1], ZSET)
        return None if pairs is None else pairs.scores.random_key(ctx.rng)
    count, with_scores = count_of_drawn(argv[2:], b"WITHSCORES")
    pairs = ctx.db.read(argv[1], ZSET)
    if pairs is None:
        return []
    if count < 0:
        chosen = [pairs.scores.random_key(ctx.rng) for _ in range(-count)]
    else:
        chosen = pairs.scores.sample(ctx.rng, count)
    if not with_scores:
        return chosen
    return tell_pairs(ctx, [(pairs.scores[member], member) for member in chosen])


def tell_pairs(ctx: Context, pairs: list[Pair]) -> Reply:
    """Members with scores: an array of arrays, or a flat one in RESP2."""
    if ctx.client.resp == 3:
        return [[member, score] for score, member in pairs]
    return [part for score, member in pairs for part in (member, score)]


@command(
    "ZSCAN key cursor [MATCH pattern] [COUNT count]",
    flags=READONLY,
    acl="sortedset",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
        " return back to 0. N is the number of elements inside the collection."
    ),
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def zscan(ctx: Context, argv: list[bytes]) -> Reply:
    """Go on with a walk over the members: the next cursor, and some members with their scores.

    Errors: an invalid cursor; syntax; WRONGTYPE.
    """
    return scan_members(
        ctx,
        argv,
        ZSET,
        lambda value: [member for _, member in value] if value.encoding is LISTPACK else value.scores,
        lambda value, member: (member, format_double(value.scores[member])),
    )


# --- Pop -------------------------------------------------------------------------------------------------------------


@command(
    "ZPOPMIN key [count]",
    flags=WRITE | FAST,
    acl="sortedset",
    since="5.0.0",
    complexity=(
        "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped."
    ),
    keys=key_at(1, "RW access delete"),
)
def zpopmin(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the member of the lowest score off a sorted set, or so many.

    Answers members with scores. Errors: a count that is not an integer, or negative; syntax; WRONGTYPE.
    """
    return _pop(ctx, argv, from_highest=False)


@command(
    "ZPOPMAX key [count]",
    flags=WRITE | FAST,
    acl="sortedset",
    since="5.0.0",
    complexity=(
        "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped."
    ),
    keys=key_at(1, "RW access delete"),
)
def zpopmax(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the member of the highest score off a sorted set, or so many.

    Answers members with scores. Errors: a count that is not an integer, or negative; syntax; WRONGTYPE.
    """
    return _pop(ctx, argv, from_highest=True)


def _pop(ctx: Context, argv: list[bytes], from_highest: bool) -> Reply:
    if len(argv) > 3:
        raise SYNTAX_ERROR
    count = integer(argv[2], NOT_POSITIVE) if len(argv) == 3 else 1
    if count < 0:
        raise NOT_POSITIVE
    pairs = ctx.db.write(argv[1], ZSET)
    if pairs is None or not count:
        return []
    popped = _take(ctx, argv[1], pairs, count, from_highest)
    if len(argv) == 3:
        return tell_pairs(ctx, popped)
    score, member = popped[0]
    return [member, score]


def _take(ctx: Context, key: bytes, pairs: SortedSet, count: int, from_highest: bool) -> list[Pair]:
    """Remove up to `count` members, at least one, and announce it."""
    size = len(pairs)
    count = min(count, size)
    start, stop = (size - count, size) if from_highest else (0, count)
    popped = pairs.slice(start, stop, reverse=from_highest)
    pairs.delete_slice(start, stop)
    ctx.shrank(key, pairs, "zpopmax" if from_highest else "zpopmin", count, events_first=True)
    return popped


@command(
    "BZPOPMIN key ... timeout/double",
    flags=WRITE | BLOCKING | FAST,
    acl="sortedset",
    since="5.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    keys=key_range(1, -2, "RW access delete"),
)
def bzpopmin(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the member of the lowest score off the first of some sorted sets that exists, or wait for one.

    Answers key, member, score; null after the timeout in seconds (0: none). Errors: a timeout that is not a float, or
    negative; WRONGTYPE.
    """
    return _blocking_pop(ctx, argv, from_highest=False)


@command(
    "BZPOPMAX key ... timeout/double",
    flags=WRITE | BLOCKING | FAST,
    acl="sortedset",
    since="5.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    keys=key_range(1, -2, "RW access delete"),
)
def bzpopmax(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the member of the highest score off the first of some sorted sets that exists, or wait for one.

    Answers key, member, score; null after the timeout in seconds (0: none). Errors: a timeout that is not a float, or
    negative; WRONGTYPE.
    """
    return _blocking_pop(ctx, argv, from_highest=True)


def _blocking_pop(ctx: Context, argv: list[bytes], from_highest: bool) -> Reply:
    keys = argv[1:-1]
    deadline_ms = blocking_timeout(ctx, argv[-1])
    for key in keys:
        pairs = ctx.db.write(key, ZSET)
        if pairs is not None:
            ctx.propagate_as(b"ZPOPMAX" if from_highest else b"ZPOPMIN", key)
            ((score, member),) = _take(ctx, key, pairs, 1, from_highest)
            return [key, member, score]
    return Block(keys, ZSET, deadline_ms, NULL_ARRAY)


@command(
    "ZMPOP numkeys key ... where:(MIN | MAX) [COUNT count]",
    flags=WRITE,
    acl="sortedset",
    since="7.0.0",
    complexity=(
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the "
        "sorted set, and M being the number of elements popped."
    ),
    keys=counted_keys(1, "RW access delete"),
)
def zmpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take members, one unless COUNT says more, off the first of some sorted sets that exists.

    Answers key and members with scores; null without any such key. Errors: numkeys or count not positive; syntax;
    WRONGTYPE.
    """
    keys, from_highest, count = mpop_words(argv[1:], IS_HIGHEST)
    popped = _pop_from_first(ctx, keys, from_highest, count)
    return NULL_ARRAY if popped is None else popped


@command(
    "BZMPOP timeout/double numkeys key ... where:(MIN | MAX) [COUNT count]",
    flags=WRITE | BLOCKING,
    acl="sortedset",
    since="7.0.0",
    complexity=(
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the "
        "sorted set, and M being the number of elements popped."
    ),
    keys=counted_keys(2, "RW access delete"),
)
def bzmpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take members off the first of some sorted sets that exists, or wait for one.

    As ZMPOP; null after the timeout in seconds (0: none). Errors: those of ZMPOP; a timeout that is not a float, or
    negative.
    """
    keys, from_highest, count = mpop_words(argv[2:], IS_HIGHEST)
    deadline_ms = blocking_timeout(ctx, argv[1])
    popped = _pop_from_first(ctx, keys, from_highest, count)
    return Block(keys, ZSET, deadline_ms, NULL_ARRAY) if popped is None else popped


def _pop_from_first(ctx: Context, keys: list[bytes], from_highest: bool, count: int) -> list[Reply] | None:
    for key in keys:
        pairs = ctx.db.write(key, ZSET)
        if pairs is not None:
            ctx.propagate_as(b"ZPOPMAX" if from_highest else b"ZPOPMIN", key, b"%d" % min(count, len(pairs)))
            popped = _take(ctx, key, pairs, count, from_highest)
            return [key, [[member, score] for score, member in popped]]
    return None
