"""Ranges of sorted sets: by rank, by score, by text; to list, to count, to store, to remove.

Every range becomes a range of ranks, first (structures/sorted_set.py). What the ten commands here differ in is how the
bounds are spelled:

    rank     0  -1                    both included, negative from the end
    score    1.5  (1.5  -inf  +inf    included, excluded
    text     [a  (a  -  +             likewise, among members of one score; - and + are before and after everything
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.commands.sorted_set import insert, tell_pairs
from mini_redis.keyspace.types import ZSET
from mini_redis.resp.reply import SYNTAX_ERROR, Bulks, Reply, ReplyError
from mini_redis.structures.sorted_set import SortedSet

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_A_SCORE: Final = ReplyError(b"ERR min or max is not a float")
NOT_A_TEXT: Final = ReplyError(b"ERR min or max not valid string range item")
LIMIT_OF_RANKS: Final = ReplyError(
    b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
SCORES_OF_TEXTS: Final = ReplyError(b"ERR syntax error, WITHSCORES not supported in combination with BYLEX")

Ranks: TypeAlias = "Callable[[SortedSet], tuple[int, int]]"
"""Gives the ranks of a range in a sorted set, the second one excluded."""


# --- Bounds ----------------------------------------------------------------------------------------------------------


def by_rank(start: bytes, stop: bytes, reverse: bool) -> Ranks:
    """Raises the error of a rank that is no integer."""
    first, last = integer(start), integer(stop)

    def ranks(pairs: SortedSet) -> tuple[int, int]:
        size = len(pairs)
        low, high = _span(size, first, last)
        return (size - high, size - low) if reverse else (low, high)

    return ranks


def _span(size: int, first: int, last: int) -> tuple[int, int]:
    """Ranks from `first` to `last`, negative ones counted from the end, as ranks of which the second is excluded."""
    low = max(0, first + size if first < 0 else first)
    high = min(size, (last + size if last < 0 else last) + 1)
    return (low, high) if low < high else (0, 0)


def by_score(low: bytes, high: bytes) -> Ranks:
    """Raises NOT_A_SCORE."""
    (least, without_least), (most, without_most) = _score_bound(low), _score_bound(high)

    def ranks(pairs: SortedSet) -> tuple[int, int]:
        start = pairs.rank_of_score(least, after=without_least)
        stop = pairs.rank_of_score(most, after=not without_most)
        return start, max(start, stop)

    return ranks


def by_text(low: bytes, high: bytes, reverse: bool = False, skip: int = 0) -> Ranks:
    """`skip`: so many will be left out, which matters where scores differ. Raises NOT_A_TEXT."""
    least, most = _text_bound(low), _text_bound(high)

    def ranks(pairs: SortedSet) -> tuple[int, int]:
        if least is AFTER_ALL or most is BEFORE_ALL or not pairs:
            return 0, 0
        if not pairs.has_one_score():
            return _walk(pairs, least, most, reverse, skip)
        start = 0 if isinstance(least, str) else pairs.rank_of_text(least[0], after=least[1])
        stop = len(pairs) if isinstance(most, str) else pairs.rank_of_text(most[0], after=not most[1])
        return start, max(start, stop)

    return ranks


def _walk(pairs: SortedSet, least: TextBound, most: TextBound, reverse: bool, skip: int) -> tuple[int, int]:
    """A range of texts where scores differ has no meaning; this is what Redis finds by going from member to member.

    It looks for the first one, goes on over those to be left out without looking, and ends before the first that does
    not belong.
    """

    def above(member: bytes) -> bool:
        return isinstance(least, str) or (member > least[0] if least[1] else member >= least[0])

    def below(member: bytes) -> bool:
        return isinstance(most, str) or (member < most[0] if most[1] else member <= most[0])

    members = pairs.members(0, len(pairs))
    size = len(members)
    if not above(members[-1]) or not below(members[0]):
        return 0, 0
    if reverse:
        stop = next((at for at in range(size, 0, -1) if below(members[at - 1])), 0)
        return next((at for at in range(stop - skip, 0, -1) if not above(members[at - 1])), 0), stop
    start = next((at for at in range(size) if above(members[at])), size)
    return start, next((at for at in range(start + skip, size) if not below(members[at])), size)


_FLOAT = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_HEXADECIMAL = re.compile(rb"[+-]?0[xX](?=\.?[0-9a-fA-F])[0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?").fullmatch
_INFINITE = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE).fullmatch


def _score_bound(raw: bytes) -> tuple[float, bool]:
    """A score, and whether it is excluded. Read as strtod() does, which is more tolerant than where scores are set."""
    excluded = raw[:1] == b"("
    text = raw.partition(b"\0")[0][excluded:]
    if not text:
        return 0.0, excluded
    if _FLOAT(text):
        return float(text), excluded
    if found := _INFINITE(text):
        return -inf if found[1] == b"-" else inf, excluded
    if _HEXADECIMAL(text):
        try:
            return float.fromhex(text.decode()), excluded
        except OverflowError:
            return inf, excluded
    raise NOT_A_SCORE


BEFORE_ALL: Final = "-"
AFTER_ALL: Final = "+"


TextBound: TypeAlias = tuple[bytes, bool] | str
"""A text and whether it is excluded, or one of the two ends."""


def _text_bound(raw: bytes) -> TextBound:
    """A text and whether it is excluded, or one of the two ends."""
    if raw in (b"-", b"+"):
        return raw.decode()
    if raw[:1] in (b"[", b"("):
        return raw[1:], raw[:1] == b"("
    raise NOT_A_TEXT


# --- List ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Query:
    """What ZRANGE and its older sisters ask for. `by`: rank, score or text; None until an option or nothing says it."""

    by: str | None = None
    reverse: bool | None = None
    with_scores: bool = False
    offset: int = 0
    limit: int = -1
    limited: bool = False

    def read(self, words: list[bytes], *, storing: bool = False) -> None:
        """Read the options; what the command itself or an option has decided cannot be said again."""
        at = 0
        while at < len(words):
            match words[at].upper():
                case b"WITHSCORES" if not storing:
                    self.with_scores = True
                case b"LIMIT" if at + 2 < len(words):
                    self.offset, self.limit, self.limited = integer(words[at + 1]), integer(words[at + 2]), True
                    at += 2
                case b"REV" if self.reverse is None:
                    self.reverse = True
                case b"BYLEX" if self.by is None:
                    self.by = "text"
                case b"BYSCORE" if self.by is None:
                    self.by = "score"
                case _:
                    raise SYNTAX_ERROR
            at += 1
        self.by = self.by or "rank"
        if self.limited and self.limit != -1 and self.by == "rank":
            raise LIMIT_OF_RANKS
        if self.with_scores and self.by == "text":
            raise SCORES_OF_TEXTS

    def ranks(self, start: bytes, stop: bytes) -> Ranks:
        """Raises the error of a bound that is none."""
        if self.by == "rank":
            return by_rank(start, stop, bool(self.reverse))
        low, high = (stop, start) if self.reverse else (start, stop)
        if self.by == "score":
            return by_score(low, high)
        return by_text(low, high, bool(self.reverse), skip=max(0, self.offset))

    def span(self, pairs: SortedSet, ranks: Ranks) -> tuple[int, int]:
        """The ranks, LIMIT applied. O(log n)."""
        start, stop = ranks(pairs)
        if self.limited and self.by != "rank":
            if self.offset < 0:
                return 0, 0
            count = max(0, stop - start - self.offset)
            if self.limit >= 0:
                count = min(count, self.limit)
            if self.reverse:
                stop -= self.offset
                start = stop - count
            else:
                start += self.offset
                stop = start + count
        return start, max(start, stop)


@command(
    "ZRANGE key start/string stop/string [sortby:(BYSCORE | BYLEX)@6.2.0] [REV@6.2.0] [LIMIT (offset "
    "count)@6.2.0] [WITHSCORES]",
    flags=READONLY,
    acl="sortedset",
    since="1.2.0",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."
    ),
    keys=key_at(1, "RO access"),
)
def zrange(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members of a range, by rank or, as said, by score or text, from either end.

    Errors: a bound that is none; options that do not go together; syntax; WRONGTYPE.
    """
    if len(argv) > 4:
        return _list(ctx, argv, _Query())
    first, last = integer(argv[2]), integer(argv[3])  # what is asked most often: ranks, and no option
    pairs = ctx.db.read(argv[1], ZSET)
    return [] if pairs is None else Bulks(pairs.members(*_span(len(pairs), first, last)))


@command(
    "ZREVRANGE key start stop [WITHSCORES]",
    flags=READONLY,
    acl="sortedset",
    since="1.2.0",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` argument",
)
def zrevrange(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members of a range of ranks, the highest score first.

    Errors: a rank that is no integer; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, _Query("rank", reverse=True))


@command(
    "ZRANGEBYSCORE key min/double max/double [WITHSCORES@2.0.0] [LIMIT offset count]",
    flags=READONLY,
    acl="sortedset",
    since="1.0.5",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being"
        " returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can "
        "consider it O(log(N))."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYSCORE` argument",
)
def zrangebyscore(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members of a range of scores, the lowest first.

    Errors: a bound that is no score; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, _Query("score", reverse=False))


@command(
    "ZREVRANGEBYSCORE key max/double min/double [WITHSCORES] [LIMIT offset count]",
    flags=READONLY,
    acl="sortedset",
    since="2.2.0",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being"
        " returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can "
        "consider it O(log(N))."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYSCORE` arguments",
)
def zrevrangebyscore(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members of a range of scores, the highest first; the higher bound comes first, too.

    Errors: a bound that is no score; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, _Query("score", reverse=True))


@command(
    "ZRANGEBYLEX key min max [LIMIT offset count]",
    flags=READONLY,
    acl="sortedset",
    since="2.8.9",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being"
        " returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can "
        "consider it O(log(N))."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `BYLEX` argument",
)
def zrangebylex(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members of a range of texts, the smallest first; for members of one score.

    Errors: a bound that is no text; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, _Query("text", reverse=False))


@command(
    "ZREVRANGEBYLEX key max min [LIMIT offset count]",
    flags=READONLY,
    acl="sortedset",
    since="2.8.9",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being"
        " returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can "
        "consider it O(log(N))."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="6.2.0",
    replaced_by="`ZRANGE` with the `REV` and `BYLEX` arguments",
)
def zrevrangebylex(ctx: Context, argv: list[bytes]) -> Reply:
    """List the members of a range of texts, the greatest first; the greater bound comes first, too.

    Errors: a bound that is no text; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, _Query("text", reverse=True))


def _list(ctx: Context, argv: list[bytes], query: _Query) -> Reply:
    query.read(argv[4:])
    ranks = query.ranks(argv[2], argv[3])
    pairs = ctx.db.read(argv[1], ZSET)
    if pairs is None:
        return []
    start, stop = query.span(pairs, ranks)
    if query.with_scores:
        return tell_pairs(ctx, pairs.slice(start, stop, reverse=bool(query.reverse)))
    return Bulks(pairs.members(start, stop, reverse=bool(query.reverse)))


@command(
    "ZRANGESTORE dst src min max [sortby:(BYSCORE | BYLEX)] [REV] [LIMIT offset count]",
    flags=WRITE | DENYOOM,
    acl="sortedset",
    since="6.2.0",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
        "stored into the destination key."
    ),
    keys=(key_at(1, "OW update"), key_at(2, "RO access")),
)
def zrangestore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store the members of a range, with their scores, as a sorted set.

    Answers how many there are. Errors: as ZRANGE.
    """
    target, source = argv[1], argv[2]
    query = _Query()
    query.read(argv[5:], storing=True)
    ranks = query.ranks(argv[3], argv[4])
    pairs = ctx.db.read(source, ZSET)
    found = [] if pairs is None else pairs.slice(*query.span(pairs, ranks), reverse=bool(query.reverse))

    result = SortedSet()
    if found and len(found) > ctx.server.config.zset_max_listpack_entries:
        result.become_skiplist()
    for score, member in found:
        insert(ctx, result, member, score)
    return ctx.store(target, result, "zrangestore")


# --- Count -----------------------------------------------------------------------------------------------------------


@command(
    "ZCOUNT key min/double max/double",
    flags=READONLY | FAST,
    acl="sortedset",
    since="2.0.0",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    keys=key_at(1, "RO access"),
)
def zcount(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the members of a range of scores.

    Errors: a bound that is no score; WRONGTYPE.
    """
    return _count(ctx, argv[1], by_score(argv[2], argv[3]))


@command(
    "ZLEXCOUNT key min max",
    flags=READONLY | FAST,
    acl="sortedset",
    since="2.8.9",
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    keys=key_at(1, "RO access"),
)
def zlexcount(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the members of a range of texts; for members of one score.

    Errors: a bound that is no text; WRONGTYPE.
    """
    return _count(ctx, argv[1], by_text(argv[2], argv[3]))


def _count(ctx: Context, key: bytes, ranks: Ranks) -> int:
    pairs = ctx.db.read(key, ZSET)
    if pairs is None:
        return 0
    start, stop = ranks(pairs)
    return stop - start


# --- Remove ----------------------------------------------------------------------------------------------------------


@command(
    "ZREMRANGEBYRANK key start stop",
    flags=WRITE,
    acl="sortedset",
    since="2.0.0",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
        "removed by the operation."
    ),
    keys=key_at(1, "RW delete"),
)
def zremrangebyrank(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove the members of a range of ranks.

    Answers how many went. Errors: a rank that is no integer; WRONGTYPE.
    """
    return _remove(ctx, argv[1], by_rank(argv[2], argv[3], reverse=False), "zremrangebyrank")


@command(
    "ZREMRANGEBYSCORE key min/double max/double",
    flags=WRITE,
    acl="sortedset",
    since="1.2.0",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
        "removed by the operation."
    ),
    keys=key_at(1, "RW delete"),
)
def zremrangebyscore(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove the members of a range of scores.

    Answers how many went. Errors: a bound that is no score; WRONGTYPE.
    """
    return _remove(ctx, argv[1], by_score(argv[2], argv[3]), "zremrangebyscore")


@command(
    "ZREMRANGEBYLEX key min max",
    flags=WRITE,
    acl="sortedset",
    since="2.8.9",
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements "
        "removed by the operation."
    ),
    keys=key_at(1, "RW delete"),
)
def zremrangebylex(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove the members of a range of texts; for members of one score.

    Answers how many went. Errors: a bound that is no text; WRONGTYPE.
    """
    return _remove(ctx, argv[1], by_text(argv[2], argv[3]), "zremrangebylex")


def _remove(ctx: Context, key: bytes, ranks: Ranks, event: str) -> int:
    pairs = ctx.db.write(key, ZSET)
    if pairs is None:
        return 0
    removed: int = pairs.delete_slice(*ranks(pairs))
    if removed:
        ctx.shrank(key, pairs, event, removed)
    return removed
