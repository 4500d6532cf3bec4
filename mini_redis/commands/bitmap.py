"""Bits of strings: set and get one, count and find them, combine whole rows, small integers among them.

A bitmap is a string (see structures/bitmap.py), so everything that works on strings works on bitmaps too, and a string
that was not meant as one has bits all the same. What is changed in place is a buffer from then on, as with SETRANGE.

An offset counts bits from the left. The last one that can be named is the last bit of the longest string that a client
could send (`proto-max-bulk-len`): 2**32 - 1. A write beyond the end fills up with zeros first, so `SETBIT k 4294967295
1` costs 512 MB, whatever it returns.

What changes nothing is no change: SETBIT of a bit that was so already, and of a BITFIELD what wrote the number that
stood there, neither announce nor propagate. But making the string longer is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at, key_range, keys_of_bitfield
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.commands.substring import as_buffer
from mini_redis.keyspace.types import STRING
from mini_redis.resp.reply import SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.bitmap import (
    NOT,
    OPERATIONS,
    WITH_TWO_SOURCES,
    Bits,
    Field,
    Overflow,
    combine,
    count_ones,
    find_bit,
    get_bit,
    set_bit,
)

if TYPE_CHECKING:
    from mini_redis.server.context import Context

BAD_OFFSET = ReplyError(b"ERR bit offset is not an integer or out of range")
BAD_BIT = ReplyError(b"ERR bit is not an integer or out of range")
NOT_A_BIT = ReplyError(b"ERR The bit argument must be 1 or 0.")
NOT_OF_MANY = ReplyError(b"ERR BITOP NOT must be called with a single source key.")
BAD_FIELD = ReplyError(
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
BAD_OVERFLOW = ReplyError(b"ERR Invalid OVERFLOW type specified")
ONLY_GET = ReplyError(b"ERR BITFIELD_RO only supports the GET subcommand")

# --- One bit ---------------------------------------------------------------------------------------------------------


@command(
    "SETBIT key offset value/integer",
    flags=WRITE | DENYOOM,
    acl="bitmap",
    since="2.2.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
)
def setbit(ctx: Context, argv: list[bytes]) -> Reply:
    """Make a bit of a string 0 or 1, after zeros if the string ends before; without key, an empty one.

    Answers what the bit was. Errors: an offset or a bit that is none; WRONGTYPE.
    """
    key = argv[1]
    offset = _offset(ctx, argv[2])
    bit = integer(argv[3], BAD_BIT)
    if bit not in (0, 1):
        raise BAD_BIT

    buffer, grew = _room_for(ctx, key, offset)
    before = set_bit(buffer, offset, bit)

    if grew or before != bit:
        ctx.changed(key, "setbit")
    return before


@command(
    "GETBIT key offset",
    flags=READONLY | FAST,
    acl="bitmap",
    since="2.2.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
)
def getbit(ctx: Context, argv: list[bytes]) -> Reply:
    """Look at a bit of a string; 0 beyond its end and without key.

    Errors: an offset that is none; WRONGTYPE.
    """
    offset = _offset(ctx, argv[2])
    value: Bits | None = ctx.db.read(argv[1], STRING)
    return 0 if value is None else get_bit(value, offset)


# --- Many bits -------------------------------------------------------------------------------------------------------


@command(
    "BITCOUNT key [range:(start end [unit:(BYTE | BIT)@7.0.0])]",
    flags=READONLY,
    acl="bitmap",
    since="2.6.0",
    complexity="O(N)",
    keys=key_at(1, "RO access"),
)
def bitcount(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the ones of a string, or of the part from `start` to `end`, this one included.

    Positions count bytes, with BIT bits; negative ones from the end. Errors: syntax; a position that is not an integer;
    WRONGTYPE.
    """
    if len(argv) == 2:
        start, end, unit_bits = 0, -1, 8
    elif len(argv) in (4, 5):
        start, end = integer(argv[2]), integer(argv[3])
        unit_bits = _unit_bits(argv[4:])
    else:
        raise SYNTAX_ERROR

    value: Bits | None = ctx.db.read(argv[1], STRING)
    if value is None or (start < 0 and end < 0 and start > end):
        return 0
    bits = _range(len(value), start, end, unit_bits)
    return 0 if bits is None else count_ones(value, *bits)


@command(
    "BITPOS key bit [range:(start [end-unit-block:(end [unit:(BYTE | BIT)@7.0.0])])]",
    flags=READONLY,
    acl="bitmap",
    since="2.8.7",
    complexity="O(N)",
    keys=key_at(1, "RO access"),
)
def bitpos(ctx: Context, argv: list[bytes]) -> Reply:
    """Find the first bit of a string, or of the part from `start` to `end`, that is 0 or 1.

    Positions are those of BITCOUNT; the answer is always a bit's, counted from the beginning of the string, and -1 if
    there is none. Unless an `end` was given, the string goes on for ever with zeros: there is always a first 0.
    Errors: a bit that is none; a position that is not an integer; syntax; WRONGTYPE.
    """
    bit = integer(argv[2])
    if bit not in (0, 1):
        raise NOT_A_BIT
    if len(argv) > 6:
        raise SYNTAX_ERROR
    start = integer(argv[3]) if len(argv) > 3 else 0
    unit_bits = _unit_bits(argv[5:])
    end = integer(argv[4]) if len(argv) > 4 else -1

    value: Bits | None = ctx.db.read(argv[1], STRING)
    if value is None:
        return -1 if bit else 0
    bits = _range(len(value), start, end, unit_bits)
    if bits is None:
        return -1
    found = find_bit(value, bit, *bits)
    if found is None and not bit and len(argv) < 5:
        return 8 * len(value)
    return -1 if found is None else found


def _unit_bits(words: list[bytes]) -> int:
    """How many bits a position counts, if the option says so; bytes if there is none."""
    match [word.upper() for word in words]:
        case [] | [b"BYTE"]:
            return 8
        case [b"BIT"]:
            return 1
        case _:
            raise SYNTAX_ERROR


def _range(length: int, start: int, end: int, unit_bits: int) -> tuple[int, int] | None:
    """The first and the last bit that are meant, of a string of so many bytes; None if no bit is."""
    units = length * 8 // unit_bits
    first = max(0, start + units) if start < 0 else start
    last = min(max(0, end + units) if end < 0 else end, units - 1)
    return (first * unit_bits, (last + 1) * unit_bits - 1) if first <= last else None


# --- Whole rows ------------------------------------------------------------------------------------------------------


@command(
    "BITOP operation:(AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) destkey key ...",
    flags=WRITE | DENYOOM,
    acl="bitmap",
    since="2.6.0",
    complexity="O(N)",
    keys=(key_at(2, "OW update"), key_range(3, -1, "RO access")),
)
def bitop(ctx: Context, argv: list[bytes]) -> Reply:
    """Combine the bits of some strings and store the result, whatever was at `destkey`; a missing one is all zeros.

    Answers the length of the result, which is that of the longest string. If that is 0, `destkey` is deleted. What the
    operations mean is told in structures/bitmap.py. Errors: syntax; the wrong number of keys; WRONGTYPE.
    """
    db, target, sources = ctx.db, argv[2], argv[3:]
    operation = argv[1].upper()
    if operation not in OPERATIONS:
        raise SYNTAX_ERROR
    if operation == NOT and len(sources) > 1:
        raise NOT_OF_MANY
    if operation in WITH_TWO_SOURCES and len(sources) < 2:
        raise ReplyError(b"ERR BITOP %b must be called with at least two source keys." % operation)

    values: list[Bits] = [db.read(key, STRING) or b"" for key in sources]
    if any(values):
        result = combine(operation, values)
        db.set(target, result)
        ctx.changed(target, "set")
        return len(result)

    if db.write(target) is not None:
        db.delete(target)
        ctx.changed(target, "del")
    return 0


# --- Bit fields ------------------------------------------------------------------------------------------------------


@command(
    "BITFIELD key [operation:(GET get-block:(encoding offset) | write:([OVERFLOW overflow-block:(WRAP | SAT | FAIL)] "
    "write-operation:(SET set-block:(encoding offset value/integer) | "
    "INCRBY incrby-block:(encoding offset increment)))) ...]",
    flags=WRITE | DENYOOM,
    acl="bitmap",
    since="3.2.0",
    complexity="O(1) for each subcommand specified",
    keys=key_at(
        1, "RW access update variable_flags", notes="This command allows both access and modification of the key"
    ),
    getkeys=keys_of_bitfield,
)
def bitfield(ctx: Context, argv: list[bytes]) -> Reply:
    """Read and write integers of any width at any bit of a string; without key, an empty one.

    An encoding is `i` (signed) or `u` and a width; an offset counts bits, `#3` means the fourth field of that width.
    GET answers a number, SET the one that was there, INCRBY the sum. OVERFLOW tells what becomes of a number that does
    not fit, from there on: WRAP cuts it, SAT takes the nearest, FAIL leaves the field alone and answers null.
    Errors: syntax; an encoding, offset or number that is none; WRONGTYPE.
    """
    operations = _parse_operations(ctx, argv[2:])
    if all(operation.kind == GET for operation in operations):
        return _get_fields(ctx, argv[1], operations)

    key = argv[1]
    last_bit = max(one.offset + one.field.width - 1 for one in operations if one.kind != GET)
    buffer, grew = _room_for(ctx, key, last_bit)
    answers: list[Reply] = []
    changes = 0
    for one in operations:
        before = one.field.get(buffer, one.offset)
        if one.kind == GET:
            answers.append(before)
            continue
        if one.kind == SET:
            after = one.field.fit_given(one.number, one.overflow)
        else:
            after = one.field.fit(before + one.number, one.overflow)
        if after is None:
            answers.append(None)
            continue
        one.field.set(buffer, one.offset, after)
        changes += grew or after != before
        answers.append(before if one.kind == SET else after)

    # If all writes failed, the string may have grown and nobody is told: so it is in Redis.
    if changes:
        ctx.changed(key, "setbit", changes)
    return answers


@command(
    "BITFIELD_RO key [(GET get-block:(encoding offset)) ...]",
    flags=READONLY | FAST,
    acl="bitmap",
    since="6.0.0",
    complexity="O(1) for each subcommand specified",
    keys=key_at(1, "RO access"),
)
def bitfield_ro(ctx: Context, argv: list[bytes]) -> Reply:
    """Read integers of any width at any bit of a string: BITFIELD with GET alone, which a replica can answer."""
    operations = _parse_operations(ctx, argv[2:])
    if any(operation.kind != GET for operation in operations):
        raise ONLY_GET
    return _get_fields(ctx, argv[1], operations)


GET: Final = b"GET"
SET: Final = b"SET"
_WORDS_OF_OPERATION: Final = {GET: 2, SET: 3, b"INCRBY": 3}
_OVERFLOWS: Final = (b"WRAP", b"SAT", b"FAIL")


class _Operation(NamedTuple):
    kind: bytes
    field: Field
    offset: int
    number: int
    """To set, or to add; 0 for GET."""
    overflow: Overflow


def _get_fields(ctx: Context, key: bytes, operations: list[_Operation]) -> Reply:
    value: Bits | None = ctx.db.read(key, STRING)
    return [one.field.get(value or b"", one.offset) for one in operations]


def _parse_operations(ctx: Context, words: list[bytes]) -> list[_Operation]:
    operations: list[_Operation] = []
    overflow: Overflow = "wrap"
    at = 0
    while at < len(words):
        kind, left = words[at].upper(), len(words) - at - 1
        if kind == b"OVERFLOW" and left:
            policy = words[at + 1].upper()
            if policy not in _OVERFLOWS:
                raise BAD_OVERFLOW
            overflow = cast(Overflow, policy.decode().lower())
            at += 2
            continue
        takes = _WORDS_OF_OPERATION.get(kind, left + 1)
        if takes > left:
            raise SYNTAX_ERROR
        field = _field(words[at + 1])
        offset = _offset(ctx, words[at + 2], field.width)
        number = integer(words[at + 3]) if takes == 3 else 0
        operations.append(_Operation(kind, field, offset, number, overflow))
        at += 1 + takes
    return operations


def _field(raw: bytes) -> Field:
    sign = raw[:1]
    width = integer(raw[1:], BAD_FIELD)
    if sign not in (b"i", b"u") or not 1 <= width <= (64 if sign == b"i" else 63):
        raise BAD_FIELD
    return Field(sign == b"i", width)


# --- Shared ----------------------------------------------------------------------------------------------------------


def _offset(ctx: Context, raw: bytes, width: int = 0) -> int:
    """Read the offset of a bit; with a `width`, `#n` is the n-th field of it."""
    if width and raw[:1] == b"#":
        # Multiplied in 64 bits, so that a huge number comes round to a small offset: an accident of Redis.
        offset = integer(raw[1:], BAD_OFFSET) * width + (1 << 63) & (1 << 64) - 1
        offset -= 1 << 63
    else:
        offset = integer(raw, BAD_OFFSET)
    if not 0 <= offset >> 3 < ctx.server.config.proto_max_bulk_len:
        raise BAD_OFFSET
    return offset


def _room_for(ctx: Context, key: bytes, last_bit: int) -> tuple[bytearray, bool]:
    """The buffer at `key`, made or filled up with zeros so that it has a certain bit; and whether it was."""
    db = ctx.db
    size = (last_bit >> 3) + 1
    value: Bits | None = db.write(key, STRING)
    if value is None:
        buffer = bytearray(size)
        db.set(key, buffer)
        return buffer, True
    buffer = as_buffer(db, key, value)
    missing = size - len(buffer)
    if missing > 0:
        buffer += bytes(missing)
    return buffer, missing > 0
