"""Counters: strings that spell a number, and change by a difference. INCR and its family.

There is no integer type: a counter is the string `b"42"`, and adding is parse, add, write. It must be spelled as this
server would spell it (no `+`, no leading zero, no space), and it must fit into 64 bits before and after.

INCRBYFLOAT computes in the long doubles of long_double.py. Replicas and the log see its result (SET with KEEPTTL) and
not the sum, so that processors that add differently agree. Its results are `Embstr`: never an integer to OBJECT
ENCODING, even if they look like one.

When a key is there already, its value is replaced with `db.replace`: the TTL stays, and unlike with `db.set`
no event of its own is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, WRITE, command
from mini_redis.keyspace.types import STRING
from mini_redis.resp.reply import NOT_A_FLOAT, NOT_AN_INTEGER, NOT_FINITE, WOULD_OVERFLOW, Reply, ReplyError
from mini_redis.structures.long_double import ZERO, parse_long_double
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN, parse_integer
from mini_redis.structures.strings import Embstr

if TYPE_CHECKING:
    from mini_redis.server.context import Context

DECREMENT_WOULD_OVERFLOW = ReplyError(b"ERR decrement would overflow")


@command(
    "INCR key",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
    group="string",
)
def incr(ctx: Context, argv: list[bytes]) -> Reply:
    """Add one to an integer; without key, to 0.

    Answers the sum. Errors: WRONGTYPE; the value is not an integer; overflow.
    """
    return _add(ctx, argv[1], 1)


@command(
    "DECR key",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
    group="string",
)
def decr(ctx: Context, argv: list[bytes]) -> Reply:
    """Subtract one from an integer; without key, from 0.

    Answers the difference. Errors: WRONGTYPE; the value is not an integer; overflow.
    """
    return _add(ctx, argv[1], -1)


@command(
    "INCRBY key increment",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
    group="string",
)
def incrby(ctx: Context, argv: list[bytes]) -> Reply:
    """Add to an integer; without key, to 0.

    Answers the sum. Errors: one of both is not an integer; WRONGTYPE; overflow.
    """
    return _add(ctx, argv[1], integer(argv[2]))


@command(
    "DECRBY key decrement",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
    group="string",
)
def decrby(ctx: Context, argv: list[bytes]) -> Reply:
    """Subtract from an integer; without key, from 0.

    Answers the difference. Errors: one of both is not an integer, or the decrement has no negative; WRONGTYPE;
    overflow.
    """
    decrement = integer(argv[2])
    if decrement == INT64_MIN:
        raise DECREMENT_WOULD_OVERFLOW
    return _add(ctx, argv[1], -decrement)


def _add(ctx: Context, key: bytes, increment: int) -> int:
    db = ctx.db
    value: bytes | bytearray | None = db.write(key, STRING)
    if value is None:
        db.set(key, b"%d" % increment)
        ctx.changed(key, "incrby")
        return increment

    before = parse_integer(value)
    if before is None:
        raise NOT_AN_INTEGER
    total = before + increment
    if not INT64_MIN <= total <= INT64_MAX:
        raise WOULD_OVERFLOW

    db.replace(key, b"%d" % total)

    ctx.changed(key, "incrby")
    return total


@command(
    "INCRBYFLOAT key increment/double",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="2.6.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
    group="string",
)
def incrbyfloat(ctx: Context, argv: list[bytes]) -> Reply:
    """Add to a number with decimals; without key, to 0.

    Answers the sum, with up to 17 places and never with an exponent.
    Errors: WRONGTYPE; one of both is not a number; the sum is infinite.
    """
    db, key = ctx.db, argv[1]
    value: bytes | bytearray | None = db.write(key, STRING)
    before = ZERO if value is None else parse_long_double(value)
    increment = parse_long_double(argv[2])
    if before is None or increment is None:
        raise NOT_A_FLOAT

    total = before + increment
    if not total.is_finite:
        raise NOT_FINITE

    text = bytes(total)
    if value is None:
        db.set(key, Embstr(text))
    else:
        db.replace(key, Embstr(text))

    ctx.propagate_as(b"SET", key, text, b"KEEPTTL")
    ctx.changed(key, "incrbyfloat")
    return text
