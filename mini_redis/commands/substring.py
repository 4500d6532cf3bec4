"""Parts of strings: append, overwrite, cut out, measure, compare.

Strings are values, until a part of one is changed: then it becomes a buffer (`bytearray`) that stays in the database
and grows in place, so that a thousand APPENDs cost a thousand small copies and not a thousand whole ones. Redis does
the same, and says so: OBJECT ENCODING is `raw` from then on. Only a SET, or an INCR, makes it a plain value again.

Positions count from 0, negative ones from the end. No string becomes longer than `proto-max-bulk-len`, which is the
longest that a client could have sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at, key_range
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.keyspace.types import STRING, Value
from mini_redis.resp.reply import SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.lcs import Match, lcs_length, lcs_matches

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.server.context import Context

TOO_LONG = ReplyError(b"ERR string exceeds maximum allowed size (proto-max-bulk-len)")
OFFSET_OUT_OF_RANGE = ReplyError(b"ERR offset is out of range")
LCS_OF_OTHER_TYPES = ReplyError(b"ERR The specified keys must contain string values")
LCS_LEN_AND_IDX = ReplyError(b"ERR If you want both the length and indexes, please just use IDX.")
LCS_TOO_LARGE = ReplyError(b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")

# --- Change a part ---------------------------------------------------------------------------------------------------


@command(
    "APPEND key value",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="2.0.0",
    complexity=(
        "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already "
        "present value is of any size, since the dynamic string library used by Redis will double the free space "
        "available on every reallocation."
    ),
    keys=key_at(1, "RW insert"),
    group="string",
)
def append(ctx: Context, argv: list[bytes]) -> Reply:
    """Append to a string; without key, set it.

    Answers the new length. Errors: WRONGTYPE; the string would be too long.
    """
    db, key, tail = ctx.db, argv[1], argv[2]
    value: bytes | bytearray | None = db.write(key, STRING)
    if value is not None:
        _check_length(ctx, len(value) + len(tail))

    if value is None:
        db.set(key, tail)
        length = len(tail)
    else:
        buffer = as_buffer(db, key, value)
        buffer += tail
        length = len(buffer)

    ctx.changed(key, "append")
    return length


@command(
    "SETRANGE key offset value",
    flags=WRITE | DENYOOM,
    acl="string",
    since="2.2.0",
    complexity=(
        "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small "
        "so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value "
        "argument."
    ),
    keys=key_at(1, "RW update"),
    group="string",
)
def setrange(ctx: Context, argv: list[bytes]) -> Reply:
    """Overwrite a string from an offset on, after zero bytes if it ends before; without key, an empty one.

    Answers the new length. An empty value changes nothing and makes no key.
    Errors: an offset that is not an integer, or negative; WRONGTYPE; the string would be too long.
    """
    db, key, part = ctx.db, argv[1], argv[3]
    offset = integer(argv[2])
    if offset < 0:
        raise OFFSET_OUT_OF_RANGE

    value: bytes | bytearray | None = db.write(key, STRING)
    if not part:
        return 0 if value is None else len(value)
    _check_length(ctx, offset + len(part))

    if value is None:
        buffer = bytearray()
        db.set(key, buffer)
    else:
        buffer = as_buffer(db, key, value)
    buffer += bytes(max(0, offset - len(buffer)))
    buffer[offset : offset + len(part)] = part

    ctx.changed(key, "setrange")
    return len(buffer)


def _check_length(ctx: Context, length: int) -> None:
    if length > ctx.server.config.proto_max_bulk_len:
        raise TOO_LONG


def as_buffer(db: Database, key: bytes, value: bytes | bytearray) -> bytearray:
    """Make the value of an existing key one that grows in place, and return it. O(len(value)) the first time."""
    if isinstance(value, bytearray):
        return value
    buffer = bytearray(value)
    db.replace(key, buffer)
    return buffer


# --- Look at a part --------------------------------------------------------------------------------------------------


@command(
    "STRLEN key",
    flags=READONLY | FAST,
    acl="string",
    since="2.2.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
    group="string",
)
def strlen(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the bytes of a string; 0 without key.

    Errors: WRONGTYPE.
    """
    value: bytes | bytearray | None = ctx.db.read(argv[1], STRING)
    return 0 if value is None else len(value)


@command(
    "GETRANGE key start end",
    flags=READONLY,
    acl="string",
    since="2.4.0",
    complexity=(
        "O(N) where N is the length of the returned string. The complexity is ultimately determined by the "
        "returned length, but because creating a substring from an existing string is very cheap, it can be "
        "considered O(1) for small strings."
    ),
    keys=key_at(1, "RO access"),
    group="string",
)
def getrange(ctx: Context, argv: list[bytes]) -> Reply:
    """Cut out the bytes from `start` to `end`, this one included; empty without key or if nothing is there.

    Errors: a position that is not an integer; WRONGTYPE.
    """
    start, end = integer(argv[2]), integer(argv[3])
    value: bytes | bytearray | None = ctx.db.read(argv[1], STRING)
    if value is None or (start < 0 and end < 0 and start > end):
        return b""

    # Clamping both to 0 makes `0 -100` the first byte: protocol, not intention.
    length = len(value)
    first = max(0, start + length) if start < 0 else start
    last = max(0, end + length) if end < 0 else end
    return bytes(value[first : last + 1])


@command(
    "SUBSTR key start end",
    flags=READONLY,
    acl="string",
    since="1.0.0",
    complexity=(
        "O(N) where N is the length of the returned string. The complexity is ultimately determined by the "
        "returned length, but because creating a substring from an existing string is very cheap, it can be "
        "considered O(1) for small strings."
    ),
    keys=key_at(1, "RO access"),
    deprecated_since="2.0.0",
    replaced_by="`GETRANGE`",
    group="string",
)
def substr(ctx: Context, argv: list[bytes]) -> Reply:
    """Cut out a part of a string: GETRANGE under its first name."""
    return getrange(ctx, argv)


@command(
    "LCS key1 key2#0 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    flags=READONLY,
    acl="string",
    since="7.0.0",
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
    keys=key_range(1, 1, "RO access"),
    group="string",
)
def lcs(ctx: Context, argv: list[bytes]) -> Reply:
    """Find the longest common subsequence of two strings; a missing key is an empty one.

    Answers the subsequence; with LEN its length; with IDX a map of `matches`, the runs it is made of, last one first,
    each the positions in both strings (WITHMATCHLEN: and the length), and `len`. MINMATCHLEN leaves out shorter runs.
    Errors: other types; syntax; LEN and IDX at once; strings for which Redis would need too large a table.
    """
    first, second = ctx.db.read(argv[1]), ctx.db.read(argv[2])
    a, b = _comparable(first), _comparable(second)
    options = _parse_lcs_options(argv[3:])
    if (len(a) + 1) * (len(b) + 1) * _BYTES_A_CELL > ctx.server.config.proto_max_bulk_len:
        raise LCS_TOO_LARGE

    if options.length_only:
        return lcs_length(a, b)
    matches = lcs_matches(a, b)
    if not options.indexes:
        return b"".join(a[match.a_start : match.a_end + 1] for match in reversed(matches))
    return {
        b"matches": [options.describe(match) for match in matches if match.length >= options.shortest],
        b"len": sum(match.length for match in matches),
    }


def _comparable(value: Value) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, (bytes, bytearray)):
        raise LCS_OF_OTHER_TYPES
    return bytes(value)


_BYTES_A_CELL = 4
"""Of Redis's table, whose size decides what is refused. Ours takes 32 times less, see structures/lcs.py."""


class _LcsOptions(NamedTuple):
    length_only: bool
    indexes: bool
    with_length: bool
    shortest: int

    def describe(self, match: Match) -> list[Reply]:
        positions: list[Reply] = [[match.a_start, match.a_end], [match.b_start, match.b_end]]
        return [*positions, match.length] if self.with_length else positions


def _parse_lcs_options(words: list[bytes]) -> _LcsOptions:
    length_only = indexes = with_length = False
    shortest = 0
    remaining = iter(words)
    for word in remaining:
        match word.upper():
            case b"LEN":
                length_only = True
            case b"IDX":
                indexes = True
            case b"WITHMATCHLEN":
                with_length = True
            case b"MINMATCHLEN":
                length = next(remaining, None)
                if length is None:
                    raise SYNTAX_ERROR
                shortest = integer(length)
            case _:
                raise SYNTAX_ERROR
    if length_only and indexes:
        raise LCS_LEN_AND_IDX
    return _LcsOptions(length_only, indexes, with_length, shortest)
