"""Lists: push, pop, look inside, cut out. What waits for elements, or moves them elsewhere, is in list_queue.py.

A list never exists empty: the push that makes it and the removal that empties it are the beginning and the end of its
key. So every handler that removes something ends with `ctx.shrank`, and none has to ask whether a list is empty.

Each writing handler frames its work by two questions about the encoding (structures/quicklist.py): `reserve` before
something is added, `settle` after something went. LINSERT and LSET ask the first one before they know whether they
will add anything, as Redis does; so a list may become a quicklist by an insertion that finds no pivot.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import at_least, integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.keyspace.types import LIST
from mini_redis.resp.reply import (
    NO_SUCH_KEY,
    NOT_POSITIVE,
    NULL_ARRAY,
    OK,
    SYNTAX_ERROR,
    Bulks,
    Reply,
    ReplyError,
    wrong_arity,
)
from mini_redis.structures.numbers import INT64_MIN
from mini_redis.structures.quicklist import LISTPACK, List

if TYPE_CHECKING:
    from mini_redis.server.context import Context

INDEX_OUT_OF_RANGE: Final = ReplyError(b"ERR index out of range")
RANK_ZERO: Final = ReplyError(
    b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start"
    b" from the end of the list"
)
RANK_OUT_OF_RANGE: Final = ReplyError(
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
NEGATIVE_COUNT: Final = ReplyError(b"ERR COUNT can't be negative")
NEGATIVE_MAXLEN: Final = ReplyError(b"ERR MAXLEN can't be negative")

EVENT_OF_POP: Final = {True: "lpop", False: "rpop"}
"""Whether from the head -> the event."""


# --- Push and pop ----------------------------------------------------------------------------------------------------


@command(
    "LPUSH key element ...",
    flags=WRITE | DENYOOM | FAST,
    acl="list",
    since="1.0.0",
    complexity=(
        "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
    ),
    keys=key_at(1, "RW insert"),
)
def lpush(ctx: Context, argv: list[bytes]) -> Reply:
    """Put elements before the first one of a list; without key, that makes the list.

    The last one named comes to stand first. Answers the new length. Errors: WRONGTYPE.
    """
    return _push(ctx, argv, "lpush", List.push_head)


@command(
    "RPUSH key element ...",
    flags=WRITE | DENYOOM | FAST,
    acl="list",
    since="1.0.0",
    complexity=(
        "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
    ),
    keys=key_at(1, "RW insert"),
)
def rpush(ctx: Context, argv: list[bytes]) -> Reply:
    """Put elements behind the last one of a list; without key, that makes the list.

    Answers the new length. Errors: WRONGTYPE.
    """
    return _push(ctx, argv, "rpush", List.push_tail)


@command(
    "LPUSHX key element ...",
    flags=WRITE | DENYOOM | FAST,
    acl="list",
    since="2.2.0",
    complexity=(
        "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
    ),
    keys=key_at(1, "RW insert"),
)
def lpushx(ctx: Context, argv: list[bytes]) -> Reply:
    """Put elements before the first one of a list, if there is such a list.

    Answers the new length, 0 without key. Errors: WRONGTYPE.
    """
    return 0 if ctx.db.write(argv[1], LIST) is None else _push(ctx, argv, "lpush", List.push_head)


@command(
    "RPUSHX key element ...",
    flags=WRITE | DENYOOM | FAST,
    acl="list",
    since="2.2.0",
    complexity=(
        "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
    ),
    keys=key_at(1, "RW insert"),
)
def rpushx(ctx: Context, argv: list[bytes]) -> Reply:
    """Put elements behind the last one of a list, if there is such a list.

    Answers the new length, 0 without key. Errors: WRONGTYPE.
    """
    return 0 if ctx.db.write(argv[1], LIST) is None else _push(ctx, argv, "rpush", List.push_tail)


def _push(ctx: Context, argv: list[bytes], event: str, push: Callable[[List, bytes], None]) -> int:
    key, elements = argv[1], argv[2:]
    db = ctx.db
    found = db.write(key, LIST)
    values: List = List() if found is None else found

    if values.encoding is LISTPACK:
        values.reserve(elements, ctx.server.config.list_max_listpack_size)
    for element in elements:
        push(values, element)
    if found is None:
        db.set(key, values)

    ctx.changed(key, event, len(elements))
    return values.count


@command(
    "LPOP key [count@6.2.0]",
    flags=WRITE | FAST,
    acl="list",
    since="1.0.0",
    complexity="O(N) where N is the number of elements returned",
    keys=key_at(1, "RW access delete"),
)
def lpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the first element off a list; with a count, as many from there as there are.

    Null without key. With a count, an array. Errors: a count that is not an integer, or negative; WRONGTYPE.
    """
    return _pop(ctx, argv, at_head=True)


@command(
    "RPOP key [count@6.2.0]",
    flags=WRITE | FAST,
    acl="list",
    since="1.0.0",
    complexity="O(N) where N is the number of elements returned",
    keys=key_at(1, "RW access delete"),
)
def rpop(ctx: Context, argv: list[bytes]) -> Reply:
    """Take the last element off a list; with a count, as many from there as there are, the last one first.

    Null without key. With a count, an array. Errors: a count that is not an integer, or negative; WRONGTYPE.
    """
    return _pop(ctx, argv, at_head=False)


def _pop(ctx: Context, argv: list[bytes], at_head: bool) -> Reply:
    if len(argv) == 2:
        values = ctx.db.write(argv[1], LIST)
        return None if values is None else pop_one(ctx, argv[1], values, at_head)

    if len(argv) > 3:
        raise wrong_arity(b"lpop" if at_head else b"rpop")
    count = at_least(0, argv[2], NOT_POSITIVE)
    values = ctx.db.write(argv[1], LIST)
    if values is None:
        return NULL_ARRAY
    return pop_many(ctx, argv[1], values, count, at_head) if count else []


def pop_one(ctx: Context, key: bytes, values: List, at_head: bool) -> bytes:
    """Take an element off the list at `key`, and announce it. O(1)."""
    element = values.pop_head() if at_head else values.pop_tail()
    took_off(ctx, key, values, 1, at_head)
    return element


def pop_many(ctx: Context, key: bytes, values: List, count: int, at_head: bool) -> list[bytes]:
    """Take up to `count` elements, at least one, off the list at `key`, and announce it. O(count)."""
    size = len(values)
    count = min(count, size)
    if at_head:
        elements = values.range(0, count)
        values.delete_range(0, count)
    else:
        elements = values.range(size - count, size)
        elements.reverse()
        values.delete_range(size - count, size)
    took_off(ctx, key, values, count, at_head)
    return elements


def took_off(ctx: Context, key: bytes, values: List, count: int, at_head: bool) -> None:
    """Announce that `count` elements are gone from an end of the list at `key`."""
    if len(values.nodes) == 1:  # else it stays a quicklist
        values.settle(ctx.server.config.list_max_listpack_size)
    ctx.shrank(key, values, EVENT_OF_POP[at_head], count, events_first=True)


# --- Read ------------------------------------------------------------------------------------------------------------


@command("LLEN key", flags=READONLY | FAST, acl="list", since="1.0.0", complexity="O(1)", keys=key_at(1, "RO"))
def llen(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the elements of a list; 0 without key.

    Errors: WRONGTYPE.
    """
    values = ctx.db.read(argv[1], LIST)
    return 0 if values is None else len(values)


@command(
    "LINDEX key index",
    flags=READONLY,
    acl="list",
    since="1.0.0",
    complexity=(
        "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for "
        "the first or the last element of the list O(1)."
    ),
    keys=key_at(1, "RO access"),
)
def lindex(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the element at an index of a list; null if there is none.

    0 is the first, -1 the last. Errors: WRONGTYPE; an index that is not an integer, if there is such a list.
    """
    values = ctx.db.read(argv[1], LIST)
    return None if values is None else values.index(integer(argv[2]))


@command(
    "LRANGE key start stop",
    flags=READONLY,
    acl="list",
    since="1.0.0",
    complexity=(
        "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) "
        "for large lists; and N is the number of elements in the specified range."
    ),
    keys=key_at(1, "RO access"),
)
def lrange(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the elements from one index of a list to another, both included.

    Negative indexes count from the end, and what lies outside of the list is left out. Errors: an index that is not an
    integer; WRONGTYPE.
    """
    start, stop = integer(argv[2]), integer(argv[3])
    values = ctx.db.read(argv[1], LIST)
    if values is None:
        return []
    first, end = _inside(start, stop, values.count)
    return Bulks(values.range(first, end))


def _inside(start: int, stop: int, size: int) -> tuple[int, int]:
    """A client's range, both ends included and perhaps negative, as a range of Python's within 0..size."""
    first = start if start >= 0 else max(0, start + size)
    end = stop + size + 1 if stop < 0 else stop + 1 if stop < size else size
    return (first, end) if first < end else (0, 0)


@command(
    "LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    flags=READONLY,
    acl="list",
    since="6.0.6",
    complexity=(
        "O(N) where N is the number of elements in the list, for the average case. When searching for elements near "
        "the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time."
    ),
    keys=key_at(1, "RO access"),
)
def lpos(ctx: Context, argv: list[bytes]) -> Reply:
    """Find where in a list an element stands; null if nowhere.

    RANK: begin with this match, negative: searching from the end. COUNT: so many indexes, 0 for all, as an array.
    MAXLEN: compare only with so many elements, 0 for all.
    Errors: syntax; an option that is not an integer or out of its range; WRONGTYPE.
    """
    rank, count, most = _lpos_options(argv[3:])

    values = ctx.db.read(argv[1], LIST)
    if values is None:
        return None if count is None else []
    found = values.positions(argv[2], most or len(values), from_tail=rank < 0)
    wanted = islice(found, abs(rank) - 1, None)
    if count is None:
        return next(wanted, None)
    return list(islice(wanted, count or None))


def _lpos_options(words: list[bytes]) -> tuple[int, int | None, int]:
    """RANK, COUNT (None if not said), MAXLEN."""
    rank, count, most = 1, None, 0
    for at in range(0, len(words), 2):
        has_argument = at + 1 < len(words)
        match words[at].upper():
            case b"RANK" if has_argument:
                rank = integer(words[at + 1])
                if rank == INT64_MIN:
                    raise RANK_OUT_OF_RANGE
                if rank == 0:
                    raise RANK_ZERO
            case b"COUNT" if has_argument:
                count = _not_negative(words[at + 1], NEGATIVE_COUNT)
            case b"MAXLEN" if has_argument:
                most = _not_negative(words[at + 1], NEGATIVE_MAXLEN)
            case _:
                raise SYNTAX_ERROR
    return rank, count, most


def _not_negative(raw: bytes, error: ReplyError) -> int:
    number = integer(raw, error)
    if number < 0:
        raise error
    return number


# --- Change inside ---------------------------------------------------------------------------------------------------


@command(
    "LSET key index element",
    flags=WRITE | DENYOOM,
    acl="list",
    since="1.0.0",
    complexity=(
        "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1)."
    ),
    keys=key_at(1, "RW update"),
)
def lset(ctx: Context, argv: list[bytes]) -> Reply:
    """Replace the element at an index of a list.

    Errors: no such key; WRONGTYPE; an index that is not an integer, or out of range.
    """
    key, element = argv[1], argv[3]
    values = ctx.db.write(key, LIST)
    if values is None:
        raise NO_SUCH_KEY
    index = _as_int(integer(argv[2]))

    fill = ctx.server.config.list_max_listpack_size
    values.reserve([element], fill)
    if not values.replace(index, element):
        raise INDEX_OUT_OF_RANGE
    values.settle(fill)

    ctx.changed(key, "lset")
    return OK


def _as_int(number: int) -> int:
    """The lower 32 bits, signed: all that LSET looks at, in Redis."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


@command(
    "LINSERT key where:(BEFORE | AFTER) pivot element",
    flags=WRITE | DENYOOM,
    acl="list",
    since="2.2.0",
    complexity=(
        "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting "
        "somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end "
        "(tail) is O(N)."
    ),
    keys=key_at(1, "RW insert"),
)
def linsert(ctx: Context, argv: list[bytes]) -> Reply:
    """Put an element before or after the first one that equals the pivot.

    Answers the new length; -1 if there is no pivot, 0 without key. Errors: syntax; WRONGTYPE.
    """
    where = argv[2].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise SYNTAX_ERROR

    key, element = argv[1], argv[4]
    values = ctx.db.write(key, LIST)
    if values is None:
        return 0
    values.reserve([element], ctx.server.config.list_max_listpack_size)
    if not values.insert(argv[3], element, after=where == b"AFTER"):
        return -1

    ctx.changed(key, "linsert")
    return len(values)


@command(
    "LREM key count element",
    flags=WRITE,
    acl="list",
    since="1.0.0",
    complexity="O(N+M) where N is the length of the list and M is the number of elements removed.",
    keys=key_at(1, "RW delete"),
)
def lrem(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove what equals an element from a list: the first so many, the last so many if negative, all if 0.

    Answers how many went. Errors: a count that is not an integer; WRONGTYPE.
    """
    count = integer(argv[2])
    if count == INT64_MIN:
        raise RANK_OUT_OF_RANGE
    key = argv[1]
    values = ctx.db.write(key, LIST)
    if values is None:
        return 0

    removed: int = values.remove(argv[3], abs(count) or len(values), from_tail=count < 0)
    if removed:
        values.settle(ctx.server.config.list_max_listpack_size)
        ctx.shrank(key, values, "lrem", removed, events_first=True)
    return removed


@command(
    "LTRIM key start stop",
    flags=WRITE,
    acl="list",
    since="1.0.0",
    complexity="O(N) where N is the number of elements to be removed by the operation.",
    keys=key_at(1, "RW delete"),
)
def ltrim(ctx: Context, argv: list[bytes]) -> Reply:
    """Keep only the elements from one index of a list to another, both included; nothing if that is nothing.

    Indexes as of LRANGE. Errors: an index that is not an integer; WRONGTYPE.
    """
    start, stop = integer(argv[2]), integer(argv[3])
    key = argv[1]
    values = ctx.db.write(key, LIST)
    if values is None:
        return OK

    size = len(values)
    first, end = _inside(start, stop, size)
    values.delete_range(end, size)
    values.delete_range(0, first)
    values.settle(ctx.server.config.list_max_listpack_size)

    ctx.shrank(key, values, "ltrim", size - len(values), events_first=True)
    return OK
