"""Walking over what is too large to be listed at once: SCAN over keys, and the walk that HSCAN, SSCAN and ZSCAN share.

The server remembers nothing of a walk: the cursor is all there is (structures/indexed_dict.py tells why that is
enough). What is there from the beginning to the end of the walk is listed at least once; anything else may be. What is
small, and therefore in one piece, is answered at once and whole, whatever COUNT says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mini_redis.commands.arguments import integer
from mini_redis.commands.registry import READONLY, command
from mini_redis.keyspace.types import Kind, type_of
from mini_redis.resp.reply import SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.glob import glob_matcher
from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.numbers import parse_integer

if TYPE_CHECKING:
    from mini_redis.server.context import Context

INVALID_CURSOR = ReplyError(b"ERR invalid cursor")
NOVALUES_ONLY_IN_HSCAN = ReplyError(b"ERR NOVALUES option can only be used in HSCAN")
UINT64_MAX = 2**64 - 1
LONGEST_UINT64 = 20
_STRTOULL = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)").fullmatch
SCAN_COUNT = 10
SCAN_SLOTS_PER_COUNT = 10


@command(
    "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type@6.0.0]",
    flags=READONLY,
    acl="keyspace",
    group="generic",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
        "return back to 0. N is the number of elements inside the collection."
    ),
    tips="nondeterministic_output request_policy:special response_policy:special",
)
def scan(ctx: Context, argv: list[bytes]) -> Reply:
    """Go on with a walk over the keys: the next cursor, and some keys.

    The walk begins with cursor 0 and ends when 0 comes back. What is there from its beginning to its end is listed, at
    least once; anything else may be. The server remembers nothing of it. MATCH and TYPE filter what was visited, so an
    answer may be empty and the walk still not over.
    """
    cursor = parse_cursor(argv[1])
    options = _options(argv[2:], of_keys=True)
    count, matches, type_name = options.count, options.matches, options.type_name

    db = ctx.db
    found: list[bytes] = []
    slots_left = count * SCAN_SLOTS_PER_COUNT
    while True:
        cursor, visited = db.data.scan(cursor, count)
        slots_left -= count
        for key in visited:
            value = db.peek(key)
            if value is None or (matches is not None and not matches(key)):
                continue
            if type_name is None or type_of(value).name == type_name:
                found.append(key)
        if cursor == 0 or len(found) >= count or slots_left <= 0:
            return [b"%d" % cursor, found]


def scan_members(
    ctx: Context,
    argv: list[bytes],
    kind: Kind,
    members: Callable[[Any], Iterable[bytes]],
    told: Callable[[Any, bytes], Iterable[Reply]],
    *,
    may_leave_values: bool = False,
    hidden: Callable[[Any, bytes], bool] | None = None,
) -> Reply:
    """HSCAN and its like. `members` gives what is walked over: an IndexedDict, or something small to list whole.

    `told` gives what is answered of one member of a value; without NOVALUES, if that may be said. `hidden` members are
    passed over.
    """
    cursor = parse_cursor(argv[2])
    value = ctx.db.read(argv[1], kind)
    if value is None:
        return [b"0", []]
    options = _options(argv[3:], may_leave_values=may_leave_values)
    found: list[bytes] = []
    walked = members(value)
    if isinstance(walked, IndexedDict):
        slots_left = options.count * SCAN_SLOTS_PER_COUNT
        while True:
            cursor, visited = walked.scan(cursor, options.count)
            found += visited
            slots_left -= options.count
            if cursor == 0 or len(found) >= options.count or slots_left <= 0:
                break
    else:
        cursor, found = 0, list(walked)
    if hidden is not None:
        found = [member for member in found if not hidden(value, member)]
    if options.matches is not None:
        found = [member for member in found if options.matches(member)]
    if options.without_values:
        return [b"%d" % cursor, found]
    return [b"%d" % cursor, [part for member in found for part in told(value, member)]]


def parse_cursor(raw: bytes) -> int:
    """Read the cursor of SCAN, SSCAN, HSCAN or ZSCAN, 0 up to 2**64 - 1.

    Redis reads it as a number of its own spelling first, and refuses negative ones; what is spelled otherwise goes to
    strtoull(), which lets spaces, signs and zeros pass and wraps negative numbers around. So "-1" is an invalid cursor
    and "-01" a large one.
    """
    text = raw.partition(b"\0")[0]
    number = parse_integer(text)
    if number is not None:
        if number < 0:
            raise INVALID_CURSOR
        return number
    found = _STRTOULL(text)
    digits = found[2].lstrip(b"0") if found is not None else b""
    if found is None or len(digits) > LONGEST_UINT64 or int(digits or b"0") > UINT64_MAX:
        raise INVALID_CURSOR
    wrapped = -int(digits or b"0") if found[1] == b"-" else int(digits or b"0")
    return wrapped & UINT64_MAX


@dataclass(slots=True)
class _Options:
    count: int = SCAN_COUNT
    matches: Callable[[bytes], object] | None = None
    type_name: bytes | None = None
    without_values: bool = False


def _options(words: list[bytes], *, of_keys: bool = False, may_leave_values: bool = False) -> _Options:
    """The last of each option counts."""
    options = _Options()
    at = 0
    while at < len(words):
        option, has_argument = words[at].upper(), at + 1 < len(words)
        match option:
            case b"COUNT" if has_argument:
                options.count = integer(words[at + 1])
                if options.count < 1:
                    raise SYNTAX_ERROR
            case b"MATCH" if has_argument:
                options.matches = None if words[at + 1] == b"*" else glob_matcher(words[at + 1])
            case b"TYPE" if has_argument and of_keys:
                options.type_name = words[at + 1].lower()
            case b"NOVALUES":
                if not may_leave_values:
                    raise NOVALUES_ONLY_IN_HSCAN
                options.without_values = True
                at -= 1
            case _:
                raise SYNTAX_ERROR
        at += 2
    return options
