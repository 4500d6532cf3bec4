"""What several sorted sets have in common, all of it, and what only the first has. Plain sets take part; they score 1.

A score of the result is made of those that a member has in each: weighted by WEIGHTS, then summed, or the least, or the
greatest. Where infinities cancel each other, the score is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from mini_redis.commands.arguments import integer, limit_of
from mini_redis.commands.keyspecs import counted_keys, key_at
from mini_redis.commands.registry import DENYOOM, READONLY, WRITE, command
from mini_redis.commands.sorted_set import tell_pairs
from mini_redis.keyspace.types import SET, ZSET
from mini_redis.resp.reply import NOT_AN_INTEGER, SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.numbers import parse_double
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_A_WEIGHT: Final = ReplyError(b"ERR weight value is not a float")

Combine: TypeAlias = "Callable[[float, float], float]"
Scores: TypeAlias = dict[bytes, float]


def _sum(a: float, b: float) -> float:
    total = a + b
    return total if total == total else 0.0


AGGREGATES: Final[dict[bytes, Combine]] = {b"SUM": _sum, b"MIN": min, b"MAX": max}


@dataclass(slots=True)
class _Source:
    """One of the sets, and what its scores count for."""

    value: Set | SortedSet | None
    weight: float = 1.0

    def __len__(self) -> int:
        return 0 if self.value is None else len(self.value)

    def items(self) -> list[tuple[bytes, float]]:
        if self.value is None:
            return []
        if isinstance(self.value, Set):
            return [(member, self._weighted(1.0)) for member in self.value]
        return [(member, self._weighted(score)) for score, member in self.value]

    def score(self, member: bytes) -> float | None:
        """The weighted score, which may be no number (0 times inf): a sum makes that 0, MIN and MAX pass it over."""
        if self.value is None:
            return None
        if isinstance(self.value, Set):
            return self.weight if member in self.value else None
        score = self.value.scores.get(member)
        return None if score is None else self.weight * score

    def _weighted(self, score: float) -> float:
        weighted = self.weight * score
        return weighted if weighted == weighted else 0.0


def _union(sources: list[_Source], combine: Combine) -> Scores:
    scores: Scores = {}
    for source in sorted(sources, key=len):
        for member, score in source.items():
            before = scores.get(member)
            scores[member] = score if before is None else combine(before, score)
    return scores


def _intersection(sources: list[_Source], combine: Combine) -> Scores:
    smallest, *others = sorted(sources, key=len)
    scores: Scores = {}
    for member, score in smallest.items():
        for other in others:
            found = other.score(member)
            if found is None:
                break
            score = combine(score, found)
        else:
            scores[member] = score
    return scores


def _difference(sources: list[_Source], combine: Combine) -> Scores:
    first, *others = sources
    return {
        member: score for member, score in first.items() if all(other.score(member) is None for other in others)
    }


# --- List ------------------------------------------------------------------------------------------------------------


@command(
    "ZUNION numkeys key ... [WEIGHTS weight ...] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]",
    flags=READONLY,
    acl="sortedset",
    since="6.2.0",
    complexity=(
        "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number "
        "of elements in the resulting sorted set."
    ),
    keys=counted_keys(1, "RO access"),
)
def zunion(ctx: Context, argv: list[bytes]) -> Reply:
    """List what is a member of any sorted set.

    Errors: no positive number of keys; a weight that is no number; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, b"zunion", _union)


@command(
    "ZINTER numkeys key ... [WEIGHTS weight ...] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]",
    flags=READONLY,
    acl="sortedset",
    since="6.2.0",
    complexity=(
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of "
        "input sorted sets and M being the number of elements in the resulting sorted set."
    ),
    keys=counted_keys(1, "RO access"),
)
def zinter(ctx: Context, argv: list[bytes]) -> Reply:
    """List what is a member of all sorted sets.

    Errors: no positive number of keys; a weight that is no number; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, b"zinter", _intersection)


@command(
    "ZDIFF numkeys key ... [WITHSCORES]",
    flags=READONLY,
    acl="sortedset",
    since="6.2.0",
    complexity=(
        "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size"
        " of the first set, and K is the size of the result set."
    ),
    keys=counted_keys(1, "RO access"),
)
def zdiff(ctx: Context, argv: list[bytes]) -> Reply:
    """List what is a member of the first sorted set and of no other.

    Errors: no positive number of keys; syntax; WRONGTYPE.
    """
    return _list(ctx, argv, b"zdiff", _difference)


def _list(
    ctx: Context, argv: list[bytes], name: bytes, compute: Callable[[list[_Source], Combine], Scores]
) -> Reply:
    sources, combine, with_scores = _read(ctx, argv[1:], name, may_weigh=compute is not _difference, storing=False)
    result = sorted((score, member) for member, score in compute(sources, combine).items())
    return tell_pairs(ctx, result) if with_scores else [member for _, member in result]


def _read(
    ctx: Context, words: list[bytes], name: bytes, *, may_weigh: bool, storing: bool
) -> tuple[list[_Source], Combine, bool]:
    """The sets, how scores are combined, and whether WITHSCORES was said. `words` begin with numkeys."""
    numkeys = integer(words[0], NOT_AN_INTEGER)
    if numkeys < 1:
        raise ReplyError(b"ERR at least 1 input key is needed for '%b' command" % name)
    if numkeys > len(words) - 1:
        raise SYNTAX_ERROR
    sources = [_Source(ctx.db.read(key, SET + ZSET)) for key in words[1 : 1 + numkeys]]

    combine: Combine = _sum
    with_scores = False
    at = 1 + numkeys
    while at < len(words):
        left = len(words) - at - 1
        match words[at].upper():
            case b"WEIGHTS" if may_weigh and left >= numkeys:
                for source, raw in zip(sources, words[at + 1 :], strict=False):
                    weight = parse_double(raw)
                    if weight is None:
                        raise NOT_A_WEIGHT
                    source.weight = weight
                at += numkeys
            case b"AGGREGATE" if may_weigh and left:
                if words[at + 1].upper() not in AGGREGATES:
                    raise SYNTAX_ERROR
                combine = AGGREGATES[words[at + 1].upper()]
                at += 1
            case b"WITHSCORES" if not storing:
                with_scores = True
            case _:
                raise SYNTAX_ERROR
        at += 1
    return sources, combine, with_scores


# --- Store -----------------------------------------------------------------------------------------------------------


@command(
    "ZUNIONSTORE destination numkeys key ... [WEIGHTS weight ...] [AGGREGATE (SUM | MIN | MAX)]",
    flags=WRITE | DENYOOM,
    acl="sortedset",
    since="2.0.0",
    complexity=(
        "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number "
        "of elements in the resulting sorted set."
    ),
    keys=(key_at(1, "OW update"), counted_keys(2, "RO access")),
)
def zunionstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store what is a member of any sorted set.

    Answers how many that are. Errors: as ZUNION.
    """
    return _store(ctx, argv, "zunionstore", _union)


@command(
    "ZINTERSTORE destination numkeys key ... [WEIGHTS weight ...] [AGGREGATE (SUM | MIN | MAX)]",
    flags=WRITE | DENYOOM,
    acl="sortedset",
    since="2.0.0",
    complexity=(
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of "
        "input sorted sets and M being the number of elements in the resulting sorted set."
    ),
    keys=(key_at(1, "OW update"), counted_keys(2, "RO access")),
)
def zinterstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store what is a member of all sorted sets.

    Answers how many that are. Errors: as ZINTER.
    """
    return _store(ctx, argv, "zinterstore", _intersection)


@command(
    "ZDIFFSTORE destination numkeys key ...",
    flags=WRITE | DENYOOM,
    acl="sortedset",
    since="6.2.0",
    complexity=(
        "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size"
        " of the first set, and K is the size of the result set."
    ),
    keys=(key_at(1, "OW update"), counted_keys(2, "RO access")),
)
def zdiffstore(ctx: Context, argv: list[bytes]) -> Reply:
    """Store what is a member of the first sorted set and of no other.

    Answers how many that are. Errors: as ZDIFF.
    """
    return _store(ctx, argv, "zdiffstore", _difference)


def _store(
    ctx: Context, argv: list[bytes], event: str, compute: Callable[[list[_Source], Combine], Scores]
) -> Reply:
    may_weigh = compute is not _difference
    sources, combine, _ = _read(ctx, argv[2:], event.encode(), may_weigh=may_weigh, storing=True)
    scores = compute(sources, combine)
    result = SortedSet()
    config = ctx.server.config
    longest = max(map(len, scores), default=0)
    if len(scores) > config.zset_max_listpack_entries or longest > config.zset_max_listpack_value:
        result.become_skiplist()
    for member, score in scores.items():
        result.set(member, score)
    return ctx.store(argv[1], result, event)


@command(
    "ZINTERCARD numkeys key ... [LIMIT limit]",
    flags=READONLY,
    acl="sortedset",
    since="7.0.0",
    complexity="O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
    keys=counted_keys(1, "RO access"),
)
def zintercard(ctx: Context, argv: list[bytes]) -> Reply:
    """Count what is a member of all sorted sets, up to LIMIT (0: no limit).

    Errors: no positive number of keys; a limit that is negative; syntax; WRONGTYPE.
    """
    numkeys = integer(argv[1], NOT_AN_INTEGER)
    if numkeys < 1:
        raise ReplyError(b"ERR at least 1 input key is needed for 'zintercard' command")
    if numkeys > len(argv) - 2:
        raise SYNTAX_ERROR
    sources = [_Source(ctx.db.read(key, SET + ZSET)) for key in argv[2 : 2 + numkeys]]
    limit = limit_of(argv[2 + numkeys :])
    common = len(_intersection(sources, min))
    return min(common, limit) if limit else common
