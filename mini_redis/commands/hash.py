"""Hashes: an object with fields, without reading or writing the rest of it.

A hash never exists empty: the field that is set first makes its key, the one that is removed last takes it away.

Whether the encoding changes is asked where something is added (`grew`): before it, one long field or value is enough;
after it, the number of fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import count_of_drawn, integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.commands.scan import scan_members
from mini_redis.keyspace.types import HASH
from mini_redis.resp.reply import (
    NOT_A_FLOAT,
    NOT_FINITE,
    OK,
    WOULD_OVERFLOW,
    Bulks,
    Reply,
    ReplyError,
    wrong_arity,
)
from mini_redis.structures.hash import HASHTABLE, Fields, Hash
from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.long_double import ZERO, parse_long_double
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN, parse_integer

if TYPE_CHECKING:
    from mini_redis.server.context import Context

HASH_VALUE_NOT_AN_INTEGER: Final = ReplyError(b"ERR hash value is not an integer")
HASH_VALUE_NOT_A_FLOAT: Final = ReplyError(b"ERR hash value is not a float")
INFINITE_INCREMENT: Final = ReplyError(b"ERR value is NaN or Infinity")


# --- Write -----------------------------------------------------------------------------------------------------------


@command(
    "HSET key data:(field value) ...",
    flags=WRITE | DENYOOM | FAST,
    acl="hash",
    since="2.0.0",
    complexity=(
        "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called "
        "with multiple field/value pairs."
    ),
    keys=key_at(1, "RW update"),
)
def hset(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind fields of a hash to values; without key, that makes the hash.

    Answers how many of the fields are new. Errors: a field without value; WRONGTYPE.
    """
    if len(argv) % 2:
        raise wrong_arity(b"hset")

    key = argv[1]
    found = ctx.db.write(key, HASH)
    fields: Hash = Hash() if found is None else found
    if fields.encoding is not HASHTABLE:
        make_room(ctx, fields, argv[2:])

    added = 0
    for at in range(2, len(argv), 2):
        added += fields.set(argv[at], argv[at + 1])
    if found is None or fields.encoding is not HASHTABLE or fields.deadlines is not None:
        grew(ctx, key, fields, found is None)

    ctx.changed(key, "hset", len(argv) // 2 - 1)
    return added


@command(
    "HMSET key data:(field value) ...",
    flags=WRITE | DENYOOM | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(N) where N is the number of fields being set.",
    keys=key_at(1, "RW update"),
    deprecated_since="4.0.0",
    replaced_by="`HSET` with multiple field-value pairs",
)
def hmset(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind fields of a hash to values: HSET that answers OK.

    Errors: a field without value; WRONGTYPE.
    """
    if len(argv) % 2:
        raise wrong_arity(b"hmset")
    hset(ctx, argv)
    return OK


def make_room(ctx: Context, fields: Hash, words: list[bytes]) -> None:
    """Fields and values are about to be added: a listpack gives way to one that is too long for it, or to too many.

    Too many at once, that is, even if some are named twice. O(words).
    """
    if fields.encoding is HASHTABLE:
        return
    config = ctx.server.config
    if len(words) > 2 * config.hash_max_listpack_entries:
        fields.become_table()
        return
    limit = config.hash_max_listpack_value
    for word in words:
        if len(word) > limit:
            fields.become_table()
            return


def grew(ctx: Context, key: bytes, fields: Hash, is_new: bool) -> None:
    """Fields were bound; `is_new`: and the key is to be bound."""
    if fields.deadlines is not None:
        ctx.db.deadlines_changed(key, fields)
    if fields.encoding is not HASHTABLE and len(fields.fields) > ctx.server.config.hash_max_listpack_entries:
        fields.become_table()
    if is_new:
        ctx.db.set(key, fields)


@command(
    "HSETNX key field value",
    flags=WRITE | DENYOOM | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW insert"),
)
def hsetnx(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a field of a hash to a value unless it is bound: 1 if it now is.

    Errors: WRONGTYPE.
    """
    key, field, value = argv[1:]
    found, before = _current(ctx, key, field)
    if before is not None:
        return 0
    _set_one(ctx, key, found, field, value)
    ctx.changed(key, "hset")
    return 1


@command(
    "HDEL key field ...",
    flags=WRITE | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(N) where N is the number of fields to be removed.",
    keys=key_at(1, "RW delete"),
)
def hdel(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove fields of a hash; the last one takes the key with it.

    Answers how many were there. Errors: WRONGTYPE.
    """
    key = argv[1]
    fields = ctx.db.write(key, HASH)
    if fields is None:
        return 0
    removed = sum(fields.delete(field) for field in argv[2:])
    if removed:
        ctx.db.deadlines_changed(key, fields)
        ctx.shrank(key, fields, "hdel", removed)
    return removed


@command(
    "HINCRBY key field increment",
    flags=WRITE | DENYOOM | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
)
def hincrby(ctx: Context, argv: list[bytes]) -> Reply:
    """Add to the integer of a field; without field, to 0.

    Answers the sum. Errors: the increment or the value is not an integer; overflow; WRONGTYPE.
    """
    increment = integer(argv[3])
    key, field = argv[1], argv[2]
    found, raw = _current(ctx, key, field)
    before = 0 if raw is None else parse_integer(raw)
    if before is None:
        raise HASH_VALUE_NOT_AN_INTEGER
    total = before + increment
    if not INT64_MIN <= total <= INT64_MAX:
        raise WOULD_OVERFLOW

    _set_one(ctx, key, found, field, b"%d" % total)

    ctx.changed(key, "hincrby")
    return total


@command(
    "HINCRBYFLOAT key field increment/double",
    flags=WRITE | DENYOOM | FAST,
    acl="hash",
    since="2.6.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
)
def hincrbyfloat(ctx: Context, argv: list[bytes]) -> Reply:
    """Add to the number of a field, with decimals; without field, to 0.

    Answers the sum as a text. Errors: the increment or the value is not a number, or the sum is infinite; WRONGTYPE.
    """
    increment = parse_long_double(argv[3])
    if increment is None:
        raise NOT_A_FLOAT
    if not increment.is_finite:
        raise INFINITE_INCREMENT
    key, field = argv[1], argv[2]
    found, raw = _current(ctx, key, field)
    before = ZERO if raw is None else parse_long_double(raw)
    if before is None:
        raise HASH_VALUE_NOT_A_FLOAT
    total = before + increment
    if not total.is_finite:
        raise NOT_FINITE

    text = bytes(total)
    _set_one(ctx, key, found, field, text)

    ctx.propagate_as(b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, text)
    ctx.changed(key, "hincrbyfloat")
    return text


def _current(ctx: Context, key: bytes, field: bytes) -> tuple[Hash | None, bytes | None]:
    """The hash that is about to be changed and the value of one of its fields, null for what is not there."""
    found = ctx.db.write(key, HASH)
    if found is None:
        return None, None
    (value,) = values_of(ctx, key, found, [field])
    return (found or None), value


def _set_one(ctx: Context, key: bytes, found: Hash | None, field: bytes, value: bytes) -> None:
    fields = Hash() if found is None else found
    make_room(ctx, fields, [field, value])
    fields.set(field, value, keep_ttl=True)
    grew(ctx, key, fields, found is None)


# --- Read ------------------------------------------------------------------------------------------------------------


@command(
    "HGET key field",
    flags=READONLY | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
)
def hget(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the value of a field, null if there is none.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    if fields is None:
        return None
    return fields.fields.get(argv[2]) if fields.deadlines is None else values_of(ctx, argv[1], fields, argv[2:])[0]


@command(
    "HMGET key field ...",
    flags=READONLY | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(N) where N is the number of fields being requested.",
    keys=key_at(1, "RO access"),
)
def hmget(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the values of fields, null for each that is not there.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    if fields is None:
        return [None] * (len(argv) - 2)
    return values_of(ctx, argv[1], fields, argv[2:])


def values_of(ctx: Context, key: bytes, fields: Hash, names: list[bytes]) -> list[bytes | None]:
    """The values of fields, null for each that is not there. Those whose time is past are deleted. O(names)."""
    if fields.deadlines is not None:
        past = [field for field in names if fields.is_past(field, ctx.now_ms)]
        if past and ctx.server.keyspace.masks_only:
            return [None if field in past else fields.fields.get(field) for field in names]
        if past:
            ctx.db.delete_expired_fields(key, fields, list(dict.fromkeys(past)))
    return list(map(fields.fields.get, names))


@command(
    "HGETALL key",
    flags=READONLY,
    acl="hash",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output_order",
)
def hgetall(ctx: Context, argv: list[bytes]) -> Reply:
    """Get all fields with their values.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    return {} if fields is None else dict(fields.live(ctx.now_ms).items())


@command(
    "HKEYS key",
    flags=READONLY,
    acl="hash",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output_order",
)
def hkeys(ctx: Context, argv: list[bytes]) -> Reply:
    """List the fields.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    return [] if fields is None else Bulks(fields.live(ctx.now_ms))


@command(
    "HVALS key",
    flags=READONLY,
    acl="hash",
    since="2.0.0",
    complexity="O(N) where N is the size of the hash.",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output_order",
)
def hvals(ctx: Context, argv: list[bytes]) -> Reply:
    """List the values.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    return [] if fields is None else Bulks(fields.live(ctx.now_ms).values())


@command(
    "HLEN key",
    flags=READONLY | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
)
def hlen(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the fields, with those whose time is past and which nobody has deleted yet.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    return 0 if fields is None else len(fields)


@command(
    "HEXISTS key field",
    flags=READONLY | FAST,
    acl="hash",
    since="2.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
)
def hexists(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell whether a field is there: 1 or 0.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    return int(fields is not None and values_of(ctx, argv[1], fields, argv[2:])[0] is not None)


@command(
    "HSTRLEN key field",
    flags=READONLY | FAST,
    acl="hash",
    since="3.2.0",
    complexity="O(1)",
    keys=key_at(1, "RO"),
)
def hstrlen(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how long the value of a field is, 0 if there is none.

    Errors: WRONGTYPE.
    """
    fields = ctx.db.read(argv[1], HASH)
    return 0 if fields is None else len(values_of(ctx, argv[1], fields, argv[2:])[0] or b"")


@command(
    "HRANDFIELD key [options:(count [WITHVALUES])]",
    flags=READONLY,
    acl="hash",
    since="6.2.0",
    complexity="O(N) where N is the number of fields returned",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def hrandfield(ctx: Context, argv: list[bytes]) -> Reply:
    """Choose fields by chance: one, so many different ones, or, for a negative count, so many with repetition.

    Errors: a count that is not an integer or out of range; syntax; WRONGTYPE.
    """
    if len(argv) == 2:
        fields = _to_choose_from(ctx, argv[1])
        return _some(ctx, fields, 1)[0] if fields else None
    count, with_values = count_of_drawn(argv[2:], b"WITHVALUES")
    fields = _to_choose_from(ctx, argv[1])
    if not fields or not count:
        return []
    chosen = _some(ctx, fields, -count) if count < 0 else _different(ctx, fields, count)
    if not with_values:
        return chosen
    pairs = [[field, fields[field]] for field in chosen]
    return pairs if ctx.client.resp == 3 else [part for pair in pairs for part in pair]


def _to_choose_from(ctx: Context, key: bytes) -> Fields:
    """The fields of a hash; those whose time is past are deleted first."""
    fields = ctx.db.read(key, HASH)
    if fields is None:
        return {}
    past = fields.past(ctx.now_ms)
    if past and not ctx.server.keyspace.masks_only:
        ctx.db.delete_expired_fields(key, fields, past)
    live: Fields = fields.live(ctx.now_ms)
    return live


def _some(ctx: Context, fields: Fields, count: int) -> list[bytes]:
    """So many fields, each of all. O(count)."""
    if isinstance(fields, IndexedDict):
        return [fields.random_key(ctx.rng) for _ in range(count)]
    return ctx.rng.choices(list(fields), k=count)


def _different(ctx: Context, fields: Fields, count: int) -> list[bytes]:
    """Up to so many different fields. O(n), or O(count) where few of many are wanted."""
    if isinstance(fields, IndexedDict):
        return fields.sample(ctx.rng, count)
    return ctx.rng.sample(list(fields), count) if count < len(fields) else list(fields)


@command(
    "HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    flags=READONLY,
    acl="hash",
    since="2.8.0",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to"
        " return back to 0. N is the number of elements inside the collection."
    ),
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def hscan(ctx: Context, argv: list[bytes]) -> Reply:
    """Go on with a walk over the fields: the next cursor, and some fields with their values.

    Errors: an invalid cursor; syntax; WRONGTYPE.
    """
    return scan_members(
        ctx,
        argv,
        HASH,
        lambda value: value.fields,
        lambda value, field: (field, value.fields[field]),
        may_leave_values=True,
        hidden=lambda value, field: value.is_past(field, ctx.now_ms),
    )
