"""Times to live of a hash's fields: the same notions as for keys (see expire.py), one level deeper.

A session kept in a hash has parts that live shorter than the rest: a token, a counter, a flag. Since 7.4 each field may
have its own TTL. The differences to keys:

- A call names fields, `FIELDS numfields field ...`, and answers for each.
- HSET takes a field's TTL away, as SET does a key's; HINCRBY keeps it.
- A field whose time is past is left out by those who list, deleted by those who ask for it by name, and still counted
  by HLEN until the active cycle comes along.

What replicas and the log are told is a date again, HPEXPIREAT, or HDEL where that date is past.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as of
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import EXPIRY_UNITS, integer, invalid_expire_time
from mini_redis.commands.expire import CONDITIONS, condition_holds
from mini_redis.commands.hash import grew, make_room, values_of
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.keyspace.types import HASH
from mini_redis.resp.reply import Reply, ReplyError, wrong_arity
from mini_redis.structures.hash import LISTPACK_EX, Hash

if TYPE_CHECKING:
    from mini_redis.server.context import Context

FIELDS_MISSING: Final = ReplyError(b"ERR Mandatory argument FIELDS is missing or not at the right position")
NOT_SO_MANY: Final = ReplyError(b"ERR The `numfields` parameter must match the number of arguments")
NUMBER_NOT_POSITIVE: Final = ReplyError(b"ERR Number of fields must be a positive integer")
NUMBER_NOT_ABOVE_ZERO: Final = ReplyError(b"ERR Parameter `numFields` should be greater than 0")
INVALID_NUMBER: Final = ReplyError(b"ERR invalid number of fields")
NEGATIVE_TIME: Final = ReplyError(b"ERR invalid expire time, must be >= 0")
ONE_CONDITION: Final = ReplyError(b"ERR Only one of FXX or FNX arguments can be specified")
ONE_TIME: Final = ReplyError(b"ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")

INT32_MAX: Final = (1 << 31) - 1
LATEST_MS: Final = (1 << 46) - 1
"""The buckets of Redis's tree have 46 bits for a time."""

NO_FIELD, NO_TTL = -2, -1
NOT_SET, SET, DELETED = 0, 1, 2


# --- Set a TTL -------------------------------------------------------------------------------------------------------


@command(
    "HEXPIRE key seconds [condition:(NX | XX | GT | LT)] (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW update"),
)
def hexpire(ctx: Context, argv: list[bytes]) -> Reply:
    """Let fields expire some seconds from now.

    Answers for each field: 1 if it has the new TTL, 2 if it is gone, its time being past, 0 if the condition does not
    hold, -2 if there is no such field. NX: only if it has no TTL; XX: only if it has one; GT, LT: only if that makes it
    longer, shorter. Errors: a time that is negative or too far away; a wrong number of fields; WRONGTYPE.
    """
    return _expire(ctx, argv, b"hexpire", 1000, ctx.now_ms)


@command(
    "HPEXPIRE key milliseconds [condition:(NX | XX | GT | LT)] (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW update"),
)
def hpexpire(ctx: Context, argv: list[bytes]) -> Reply:
    """Let fields expire some milliseconds from now.

    Answers and errors as of HEXPIRE.
    """
    return _expire(ctx, argv, b"hpexpire", 1, ctx.now_ms)


@command(
    "HEXPIREAT key unix-time-seconds [condition:(NX | XX | GT | LT)] (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW update"),
)
def hexpireat(ctx: Context, argv: list[bytes]) -> Reply:
    """Let fields expire at a date given in unix seconds.

    Answers and errors as of HEXPIRE.
    """
    return _expire(ctx, argv, b"hexpireat", 1000, 0)


@command(
    "HPEXPIREAT key unix-time-milliseconds [condition:(NX | XX | GT | LT)] (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW update"),
)
def hpexpireat(ctx: Context, argv: list[bytes]) -> Reply:
    """Let fields expire at a date given in unix milliseconds.

    Answers and errors as of HEXPIRE.
    """
    return _expire(ctx, argv, b"hpexpireat", 1, 0)


def _expire(ctx: Context, argv: list[bytes], name: bytes, unit_ms: int, since_ms: int) -> Reply:
    key = argv[1]
    fields = ctx.db.write(key, HASH)
    at_ms = _parse_time(argv[2], name, unit_ms, since_ms)
    condition = CONDITIONS.get(argv[3].upper(), 0)
    names = _parse_fields(argv[4 if condition else 3 :], NUMBER_NOT_ABOVE_ZERO)
    if fields is None:
        return [NO_FIELD] * len(names)
    fields.make_room_for_times()
    answers = [_expire_one(ctx, fields, field, condition, at_ms) for field in names]
    done = [field for field, answer in zip(names, answers, strict=True) if answer > 0]
    words = [b"%d" % at_ms, *argv[3 : 5 if condition else 4], b"%d" % len(done), *done]
    _announce(ctx, key, fields, at_ms, done, [argv[0] if name == b"hpexpireat" else b"HPEXPIREAT", key, *words])
    return answers


def _expire_one(ctx: Context, fields: Hash, field: bytes, condition: int, at_ms: int) -> int:
    if field not in fields.fields:
        return NO_FIELD
    if condition and not condition_holds(condition, fields.expire_at(field), at_ms):
        return NOT_SET
    if at_ms <= ctx.now_ms and not ctx.db.keyspace.masks_only:
        fields.delete(field)
        return DELETED
    fields.set_expire_at(field, at_ms)
    return SET


def _parse_time(raw: bytes, name: bytes, unit_ms: int, since_ms: int) -> int:
    number = integer(raw)
    if number < 0:
        raise NEGATIVE_TIME
    at_ms = number * unit_ms + since_ms
    if at_ms > LATEST_MS:
        raise invalid_expire_time(name)
    return at_ms


def _parse_fields(words: list[bytes], not_positive: ReplyError) -> list[bytes]:
    """The names after FIELDS and their number, which are the last that a call says."""
    if words[0].upper() != b"FIELDS":
        raise FIELDS_MISSING
    number = integer(words[1], not_positive)
    if number < 1:
        raise not_positive
    if number != len(words) - 2:
        raise NOT_SO_MANY
    return words[2:]


def _announce(ctx: Context, key: bytes, fields: Hash, at_ms: int, names: list[bytes], told: list[bytes]) -> None:
    """Fields have got a time, which replicas are `told`; or they are gone, where that time was past already."""
    if not names:
        return
    ctx.db.deadlines_changed(key, fields)
    if at_ms <= ctx.now_ms and not ctx.db.keyspace.masks_only:
        for field in names:
            ctx.propagate_as(b"HDEL", key, field)
        ctx.shrank(key, fields, "hdel", len(names))
    else:
        ctx.propagate_as(*told)
        ctx.changed(key, "hexpire", len(names))


@command(
    "HPERSIST key (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW update"),
)
def hpersist(ctx: Context, argv: list[bytes]) -> Reply:
    """Let fields live until somebody removes them.

    Answers for each: 1 if it had a TTL, -1 if not, -2 if there is no such field. Errors: a wrong number of fields;
    WRONGTYPE.
    """
    key = argv[1]
    fields = ctx.db.write(key, HASH)
    names = _parse_fields(argv[2:], NUMBER_NOT_POSITIVE)
    if fields is None:
        return [NO_FIELD] * len(names)
    answers = []
    for field in names:
        there = field in fields.fields and not fields.is_past(field, ctx.now_ms)
        answers.append(NO_FIELD if not there else SET if fields.persist(field) else NO_TTL)
    if SET in answers:
        ctx.db.deadlines_changed(key, fields)
        ctx.notify(key, "hpersist")
        ctx.modified(key, answers.count(SET))
    return answers


# --- Ask for it ------------------------------------------------------------------------------------------------------


@command(
    "HTTL key (FIELDS numfields field ...)",
    flags=READONLY | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def httl(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many seconds fields have left, rounded.

    Answers for each: the time, -1 without TTL, -2 without field. Errors: a wrong number of fields; WRONGTYPE.
    """
    return _times(ctx, argv, lambda at_ms: (at_ms - ctx.now_ms + 999) // 1000)


@command(
    "HPTTL key (FIELDS numfields field ...)",
    flags=READONLY | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def hpttl(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many milliseconds fields have left. Answers and errors as of HTTL."""
    return _times(ctx, argv, lambda at_ms: at_ms - ctx.now_ms)


@command(
    "HEXPIRETIME key (FIELDS numfields field ...)",
    flags=READONLY | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RO access"),
)
def hexpiretime(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the unix seconds at which fields expire. Answers and errors as of HTTL."""
    return _times(ctx, argv, lambda at_ms: (at_ms + 999) // 1000)


@command(
    "HPEXPIRETIME key (FIELDS numfields field ...)",
    flags=READONLY | FAST,
    acl="hash",
    since="7.4.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RO access"),
)
def hpexpiretime(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the unix milliseconds at which fields expire. Answers and errors as of HTTL."""
    return _times(ctx, argv, lambda at_ms: at_ms)


def _times(ctx: Context, argv: list[bytes], told: Callable[[int], int]) -> Reply:
    fields = ctx.db.read(argv[1], HASH)
    names = _parse_fields(argv[2:], NUMBER_NOT_POSITIVE)
    if fields is None:
        return [NO_FIELD] * len(names)
    answers = []
    # At its very millisecond a field is still there, but not for these commands, if it lies in a listpackex.
    now_ms = ctx.now_ms + (fields.encoding is LISTPACK_EX)
    for field in names:
        at_ms = fields.expire_at(field)
        if field not in fields.fields or fields.is_past(field, now_ms):
            answers.append(NO_FIELD)
        else:
            answers.append(NO_TTL if at_ms is None else told(at_ms))
    return answers


# --- With the values -------------------------------------------------------------------------------------------------


@command(
    "HGETEX key [expiration:(EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-"
    "milliseconds | PERSIST)] (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="8.0.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW access update", notes="RW and UPDATE because it changes the TTL"),
)
def hgetex(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the values of fields and, in the same step, set their TTL or take it away.

    Answers null for each that is not there. Errors: a time that is negative or too far away; FIELDS where it does not
    belong; a wrong number of fields; WRONGTYPE.
    """
    key = argv[1]
    fields = ctx.db.write(key, HASH)
    at_ms, persist, rest = None, False, argv[2:]
    option = rest[0].upper()
    if option in EXPIRY_UNITS:
        at_ms = _parse_option(rest[1], option, ctx.now_ms, b"hgetex")
        rest = rest[2:]
    elif option == b"PERSIST":
        persist = True
        rest = rest[1:]
    if len(rest) < 2:
        raise wrong_arity(b"hgetex")
    names = _parse_fields(rest, NUMBER_NOT_POSITIVE)
    if fields is None:
        return [None] * len(names)

    values = values_of(ctx, key, fields, names)
    if option != b"FIELDS":
        fields.make_room_for_times()
    if persist:
        persisted = [fields.persist(field) for field in names]
        if any(persisted):
            ctx.propagate_as(b"HPERSIST", key, *rest)
            ctx.db.deadlines_changed(key, fields)
            ctx.changed(key, "hpersist", sum(persisted))
    elif at_ms is not None:
        there = []
        for at, field in enumerate(names):
            values[at] = fields.fields.get(field)
            if _expire_one(ctx, fields, field, 0, at_ms) != NO_FIELD:
                there.append(field)
        told = [b"HPEXPIREAT", key, b"%d" % at_ms, *rest]
        _announce(ctx, key, fields, at_ms, there, told)
    return values


@command(
    "HGETDEL key (FIELDS numfields field ...)",
    flags=WRITE | FAST,
    acl="hash",
    since="8.0.0",
    complexity="O(N) where N is the number of specified fields",
    keys=key_at(1, "RW access delete"),
)
def hgetdel(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the values of fields and remove them; the last one takes the key with it.

    Answers null for each that is not there. Errors: a wrong number of fields; WRONGTYPE.
    """
    key = argv[1]
    fields = ctx.db.write(key, HASH)
    names = _parse_fields(argv[2:], NUMBER_NOT_POSITIVE)
    if fields is None:
        return [None] * len(names)
    values: list[bytes | None] = []
    removed = 0
    values_of(ctx, key, fields, names)  # deletes those whose time is past
    for field in names:
        values.append(fields.fields.get(field))
        removed += fields.delete(field)
    if removed:
        ctx.propagate_as(b"HDEL", key, *names)
        ctx.db.deadlines_changed(key, fields)
        ctx.shrank(key, fields, "hdel", removed)
    return values


@command(
    "HSETEX key [condition:(FNX | FXX)] [expiration:(EX seconds | PX milliseconds | EXAT unix-time-"
    "seconds | PXAT unix-time-milliseconds | KEEPTTL)] (FIELDS numfields data:(field value) ...)",
    flags=WRITE | DENYOOM | FAST,
    acl="hash",
    since="8.0.0",
    complexity="O(N) where N is the number of fields being set.",
    keys=key_at(1, "RW update"),
)
def hsetex(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind fields to values, with a TTL for all of them.

    1 if that was done, 0 if the condition does not hold. FNX: only if none of the fields is there; FXX: only if all
    are. Errors: options that exclude each other; a time that is negative or too far away; a wrong number of fields;
    WRONGTYPE.
    """
    key = argv[1]
    call = _parse_hsetex(ctx, argv)
    names = call.pairs[::2]
    found = ctx.db.write(key, HASH)
    if call.condition and not _condition_holds(ctx, key, found, names, call.condition == b"FXX"):
        if found is not None and not found:
            ctx.db.delete(key)
            ctx.notify(key, "del")
        return 0

    fields: Hash = Hash() if found is None else found
    make_room(ctx, fields, call.pairs)
    for field, value in zip(names, call.pairs[1::2], strict=True):
        fields.set(field, value, call.keep_ttl)
    grew(ctx, key, fields, found is None)
    ctx.changed(key, "hset", len(names))
    if call.at_ms is None:
        return 1

    fields.make_room_for_times()
    for field in names:
        _expire_one(ctx, fields, field, 0, call.at_ms)
    unit = argv[call.time_at]
    told = [*argv[: call.time_at], unit if unit.upper() == b"PXAT" else b"PXAT", b"%d" % call.at_ms]
    told += argv[call.time_at + 2 :]
    _announce(ctx, key, fields, call.at_ms, names, told)
    return 1


def _condition_holds(ctx: Context, key: bytes, found: Hash | None, names: list[bytes], wanted: bool) -> bool:
    """Whether all fields are there, or none is. What is past is deleted on the way; the key stays for what comes."""
    if found is None:
        return not wanted
    for field in names:
        there = field in found.fields
        if there and found.is_past(field, ctx.now_ms):
            ctx.db.delete_expired_fields(key, found, [field], keep_key=True)
            there = False
        if there != wanted:
            return False
    return True


@dataclass(slots=True)
class _HsetexCall:
    condition: bytes = b""
    at_ms: int | None = None
    keep_ttl: bool = False
    time_at: int = 0
    """Where in the call the unit of the time stands."""
    pairs: list[bytes] = of(default_factory=list)


def _parse_hsetex(ctx: Context, argv: list[bytes]) -> _HsetexCall:
    call = _HsetexCall()
    at = 2
    while at < len(argv):
        option = argv[at].upper()
        if option in (b"FNX", b"FXX"):
            if call.condition:
                raise ONE_CONDITION
            call.condition = option
        elif option in EXPIRY_UNITS or option == b"KEEPTTL":
            if call.keep_ttl or call.time_at:
                raise ONE_TIME
            if option == b"KEEPTTL":
                call.keep_ttl = True
            else:
                call.time_at = at
                at += 1
                if at == len(argv):
                    break
                call.at_ms = _parse_option(argv[at], option, ctx.now_ms, b"hsetex")
        elif option == b"FIELDS":
            if at + 3 >= len(argv):
                break
            number = integer(argv[at + 1], INVALID_NUMBER)
            if not 0 < number <= INT32_MAX:
                raise INVALID_NUMBER
            call.pairs = argv[at + 2 :]
            if len(call.pairs) != number * 2:
                break
            return call
        else:
            raise ReplyError(b"ERR unknown argument: %b" % argv[at].partition(b"\0")[0])
        at += 1
    raise wrong_arity(b"hsetex")


def _parse_option(raw: bytes, unit: bytes, now_ms: int, name: bytes) -> int:
    unit_ms, counts_from_now = EXPIRY_UNITS[unit]
    return _parse_time(raw, name, unit_ms, now_ms if counts_from_now else 0)
