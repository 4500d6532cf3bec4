"""SORT: elements of a list, set or sorted set in another order, or what other keys say about them.

The nearest that Redis comes to a join. `BY weight_*` looks up a weight for each element, `GET user_*->name` what to
answer instead of it; `*` stands for the element, `->` goes into a hash. All of it happens in one command, on the one
thread: a sort over many elements is what everybody else waits for.

A pattern without `*` after BY ("nosort" by custom) means: look nothing up, do not sort. A list and a sorted set then
keep their order, from which LIMIT takes a part; a set that is stored is sorted as text all the same, so that replicas
store the same list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import field as of
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.hash import values_of
from mini_redis.commands.keyspecs import ACCESS, OW, RO, UPDATE, Positions, key_at, unknown_keys
from mini_redis.commands.registry import DENYOOM, READONLY, WRITE, command
from mini_redis.keyspace.types import LIST, SET, STRING, ZSET
from mini_redis.resp.reply import SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.hash import Hash
from mini_redis.structures.quicklist import List
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_NUMBERS: Final = ReplyError(b"ERR One or more scores can't be converted into double")
BY_DENIED: Final = ReplyError(b"ERR BY option of SORT denied due to insufficient ACL permissions.")
GET_DENIED: Final = ReplyError(b"ERR GET option of SORT denied due to insufficient ACL permissions.")

LOOKED_UP: Final = unknown_keys(
    "RO access",
    notes=(
        "For the optional BY/GET keyword. "
        "It is marked 'unknown' because the key names derive from the content of the key we sort"
    ),
)
STORED: Final = unknown_keys(
    "OW update",
    notes=(
        "For the optional STORE keyword. "
        "It is marked 'unknown' because the keyword can appear anywhere in the argument array"
    ),
)

_NUMBER: Final = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE)


def keys_of_sort(argv: Sequence[bytes]) -> Positions:
    """The key, and the one after the last STORE. Which others a pattern reaches, only the elements tell."""
    target, at = 0, 2
    while at < len(argv):
        word = argv[at].lower()
        if word == b"store" and at + 1 < len(argv):
            target = at + 1
        at += {b"limit": 3, b"by": 2, b"get": 2}.get(word, 1)  # as in Redis, STORE's own word may be another STORE
    return [(1, RO | ACCESS)] + ([(target, OW | UPDATE)] if target else [])


@command(
    "SORT key [BY by-pattern:pattern#1] [LIMIT offset count] [(GET get-pattern:pattern#1) ...] "
    "[order:(ASC | DESC)] [sorting:ALPHA] [STORE destination]",
    flags=WRITE | DENYOOM,
    acl="set sortedset list dangerous",
    since="1.0.0",
    complexity=(
        "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of "
        "returned elements. When the elements are not sorted, complexity is O(N)."
    ),
    keys=(key_at(1, "RO access"), LOOKED_UP, STORED),
    getkeys=keys_of_sort,
)
def sort(ctx: Context, argv: list[bytes]) -> Reply:
    """Sort elements as numbers or as text, and answer them, or store them as a list.

    Answers the elements or what GET asks for, with STORE how many. Errors: syntax; elements or weights that are not
    numbers, without ALPHA; WRONGTYPE.
    """
    return _sort(ctx, argv, may_store=True)


@command(
    "SORT_RO key [BY by-pattern:pattern#1] [LIMIT offset count] [(GET get-pattern:pattern#1) ...] "
    "[order:(ASC | DESC)] [sorting:ALPHA]",
    flags=READONLY,
    acl="set sortedset list dangerous",
    since="7.0.0",
    complexity=(
        "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of "
        "returned elements. When the elements are not sorted, complexity is O(N)."
    ),
    keys=(key_at(1, "RO access"), LOOKED_UP),
    getkeys=lambda argv: [(1, RO | ACCESS)],  # a STORE would be refused
)
def sort_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Sort elements as SORT does, without STORE: for replicas."""
    return _sort(ctx, argv, may_store=False)


@dataclass(slots=True)
class _Call:
    by: bytes | None = None
    gets: list[bytes] = of(default_factory=list)
    start: int = 0
    count: int = -1
    descending: bool = False
    as_text: bool = False
    target: bytes | None = None

    @property
    def sorting(self) -> bool:
        return self.by is None or b"*" in self.by


def _parse(words: list[bytes], may_store: bool, may_look_up: Callable[[], bool]) -> _Call:
    """The options. Whose rules do not cover every key may not look up any: which keys that would be, nobody can say."""
    call = _Call()
    at = 0
    while at < len(words):
        left = len(words) - at - 1
        match words[at].upper():
            case b"ASC":
                call.descending = False
            case b"DESC":
                call.descending = True
            case b"ALPHA":
                call.as_text = True
            case b"LIMIT" if left >= 2:
                call.start, call.count = integer(words[at + 1]), integer(words[at + 2])
                at += 2
            case b"STORE" if left and may_store:
                call.target = words[at + 1]
                at += 1
            case b"BY" if left:
                call.by = words[at + 1]
                if call.sorting and not may_look_up():
                    raise BY_DENIED
                at += 1
            case b"GET" if left:
                if not may_look_up():
                    raise GET_DENIED
                call.gets.append(words[at + 1])
                at += 1
            case _:
                raise SYNTAX_ERROR
        at += 1
    return call


def _sort(ctx: Context, argv: list[bytes], may_store: bool) -> Reply:
    call = _parse(argv[2:], may_store, lambda: ctx.server.access.may_read_all_keys(ctx.client, argv))
    value = ctx.db.read(argv[1], LIST + SET + ZSET)
    if isinstance(value, SortedSet):
        ctx.db.lend(argv[1], value)  # it may be kept in another way afterwards
    elements = [] if value is None else _in_order(ctx, value, call)
    start = max(call.start, 0)
    elements = elements[start : None if call.count < 0 else start + call.count]
    found = elements if not call.gets else [_look_up(ctx, get, element) for element in elements for get in call.gets]
    return found if call.target is None else _store(ctx, call.target, [word or b"" for word in found])


def _in_order(ctx: Context, value: List | Set | SortedSet, call: _Call) -> list[bytes]:
    """The elements, sorted if that is wanted. O(n log n). A sorted set is a skiplist afterwards, as in Redis."""
    if isinstance(value, SortedSet):
        value.become_skiplist()
    elements = [member for _, member in value] if isinstance(value, SortedSet) else list(value)
    if not call.sorting:
        if isinstance(value, Set) and (call.target is not None or ctx.client.in_script):
            return sorted(elements, reverse=call.descending)  # the order of a set is nobody else's
        return elements[::-1] if call.descending else elements

    if call.by is None:
        weights: list[bytes | None] = list(elements)
    else:
        weights = [_look_up(ctx, call.by, element) for element in elements]
    if not call.as_text:
        keyed = sorted(zip(map(_number, weights), elements, strict=True), reverse=call.descending)
        return [element for _, element in keyed]
    # C's strings end at a zero byte; only what is to be stored is compared to its end, as replicas must agree.
    texts = weights if call.target is not None else [None if w is None else w.partition(b"\0")[0] for w in weights]
    order = sorted(range(len(texts)), key=lambda at: (texts[at] is not None, texts[at]), reverse=call.descending)
    return [elements[at] for at in order]


def _number(weight: bytes | None) -> float:
    text = b"" if weight is None else bytes(weight).partition(b"\0")[0]
    if not text:
        return 0.0
    if not _NUMBER.fullmatch(text):
        raise NOT_NUMBERS
    return float(text)


def _look_up(ctx: Context, pattern: bytes, element: bytes) -> bytes | None:
    """What the pattern leads to for an element: `#` to the element, `a_*->f` to the field f of the hash a_element."""
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    rest, arrow, field = after.partition(b"->")
    if arrow and field:
        key = before + element + rest
        fields = ctx.db.read(key)
        return values_of(ctx, key, fields, [field])[0] if isinstance(fields, Hash) else None
    value = ctx.db.read(before + element + after)
    return bytes(value) if type(value) in STRING else None


def _store(ctx: Context, target: bytes, elements: list[bytes]) -> int:
    values = List()
    values.reserve(elements, ctx.server.config.list_max_listpack_size)
    for element in elements:
        values.push_tail(element)
    return ctx.store(target, values, "sortstore", len(elements))
