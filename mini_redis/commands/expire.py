"""Times to live: how long a key has, and how a client says so.

Four commands set a TTL, from two units and two ways to tell the time; inside there is one notion only, the unix time in
milliseconds at which the key is gone:

                     from now on      a date
    seconds          EXPIRE           EXPIREAT
    milliseconds     PEXPIRE          PEXPIREAT

That date is also what replicas and the log are told: whatever was sent, they see PEXPIREAT, so that a log replayed
tomorrow does not give the key another day. A date that is already past deletes the key at once, and that is told as the
deletion it is.

Without TTL means "never", and that is how the conditions compare: GT never holds for a key without TTL, LT always.

What a replica does (docs of CLIENT PAUSE and replication tell more): it takes a date in the past as it stands and waits
for the master's DEL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.arguments import integer, invalid_expire_time
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import FAST, READONLY, WRITE, command
from mini_redis.resp.reply import Reply, ReplyError
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NX_WITH_OTHERS = ReplyError(b"ERR NX and XX, GT or LT options at the same time are not compatible")
GT_WITH_LT = ReplyError(b"ERR GT and LT options at the same time are not compatible")

NO_KEY = -2
NO_TTL = -1

NX, XX, GT, LT = 1, 2, 4, 8
CONDITIONS = {b"NX": NX, b"XX": XX, b"GT": GT, b"LT": LT}


# --- Set a TTL -------------------------------------------------------------------------------------------------------


@command(
    "EXPIRE key seconds [condition:(NX | XX | GT | LT)@7.0.0]",
    flags=WRITE | FAST,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW update"),
    group="generic",
)
def expire(ctx: Context, argv: list[bytes]) -> Reply:
    """Let a key expire some seconds from now.

    1 if the key has the new TTL (or is gone, its time being past); 0 if there is no such key or the condition does not
    hold. NX: only if it has no TTL; XX: only if it has one; GT, LT: only if that makes it longer, shorter.
    """
    return _expire(ctx, argv, b"expire", 1000, ctx.now_ms)


@command(
    "PEXPIRE key milliseconds [condition:(NX | XX | GT | LT)@7.0.0]",
    flags=WRITE | FAST,
    acl="keyspace",
    since="2.6.0",
    complexity="O(1)",
    keys=key_at(1, "RW update"),
    group="generic",
)
def pexpire(ctx: Context, argv: list[bytes]) -> Reply:
    """Let a key expire some milliseconds from now.

    Answers and conditions as of EXPIRE.
    """
    return _expire(ctx, argv, b"pexpire", 1, ctx.now_ms)


@command(
    "EXPIREAT key unix-time-seconds [condition:(NX | XX | GT | LT)@7.0.0]",
    flags=WRITE | FAST,
    acl="keyspace",
    since="1.2.0",
    complexity="O(1)",
    keys=key_at(1, "RW update"),
    group="generic",
)
def expireat(ctx: Context, argv: list[bytes]) -> Reply:
    """Let a key expire at a date given in unix seconds.

    Answers and conditions as of EXPIRE.
    """
    return _expire(ctx, argv, b"expireat", 1000, 0)


@command(
    "PEXPIREAT key unix-time-milliseconds [condition:(NX | XX | GT | LT)@7.0.0]",
    flags=WRITE | FAST,
    acl="keyspace",
    since="2.6.0",
    complexity="O(1)",
    keys=key_at(1, "RW update"),
    group="generic",
)
def pexpireat(ctx: Context, argv: list[bytes]) -> Reply:
    """Let a key expire at a date given in unix milliseconds.

    Answers and conditions as of EXPIRE.
    """
    return _expire(ctx, argv, b"pexpireat", 1, 0)


def _expire(ctx: Context, argv: list[bytes], name: bytes, unit_ms: int, since_ms: int) -> int:
    key = argv[1]
    condition = _parse_conditions(argv[3:])
    at_ms = _parse_time(argv[2], name, unit_ms, since_ms)

    db = ctx.db
    if db.write(key) is None or not condition_holds(condition, db.expire_at(key), at_ms):
        return 0

    if at_ms <= ctx.now_ms and not db.keyspace.masks_only:
        db.delete(key)
        ctx.propagate_as(b"UNLINK" if ctx.server.config.lazyfree_lazy_expire else b"DEL", key)
        ctx.changed(key, "del")
        return 1

    db.set_expire_at(key, at_ms)
    if name != b"pexpireat":  # which is told as it was said
        ctx.propagate_as(b"PEXPIREAT", key, b"%d" % at_ms, *argv[3:])
    ctx.changed(key, "expire")
    return 1


def _parse_conditions(words: list[bytes]) -> int:
    condition = 0
    for word in words:
        if word.upper() not in CONDITIONS:
            raise ReplyError(b"ERR Unsupported option %b" % word.partition(b"\0")[0])
        condition |= CONDITIONS[word.upper()]
    if condition & NX and condition != NX:
        raise NX_WITH_OTHERS
    if condition & GT and condition & LT:
        raise GT_WITH_LT
    return condition


def _parse_time(raw: bytes, name: bytes, unit_ms: int, since_ms: int) -> int:
    at_ms = integer(raw) * unit_ms
    if not INT64_MIN <= at_ms <= INT64_MAX - since_ms:
        raise invalid_expire_time(name)
    return at_ms + since_ms


def condition_holds(condition: int, before_ms: int | None, at_ms: int) -> bool:
    """Whether the TTL may be changed from `before_ms` (None: never) to `at_ms`."""
    if before_ms is None:
        return not condition & (XX | GT)
    if condition & NX:
        return False
    if condition & GT:
        return at_ms > before_ms
    if condition & LT:
        return at_ms < before_ms
    return True


@command(
    "PERSIST key",
    flags=WRITE | FAST,
    acl="keyspace",
    since="2.2.0",
    complexity="O(1)",
    keys=key_at(1, "RW update"),
    group="generic",
)
def persist(ctx: Context, argv: list[bytes]) -> Reply:
    """Let a key live for ever again.

    1 if it had a TTL, else 0.
    """
    db, key = ctx.db, argv[1]
    if db.write(key) is None or not db.persist(key):
        return 0
    ctx.changed(key, "persist")
    return 1


# --- Ask for it ------------------------------------------------------------------------------------------------------


@command(
    "TTL key",
    flags=READONLY | FAST,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
    group="generic",
)
def ttl(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many seconds a key has left, rounded to the nearest.

    -1 without TTL, -2 without key.
    """
    at_ms = _expiry(ctx, argv[1])
    return at_ms if at_ms < 0 else (max(0, at_ms - ctx.now_ms) + 500) // 1000


@command(
    "PTTL key",
    flags=READONLY | FAST,
    acl="keyspace",
    since="2.6.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
    group="generic",
)
def pttl(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many milliseconds a key has left.

    -1 without TTL, -2 without key.
    """
    at_ms = _expiry(ctx, argv[1])
    return at_ms if at_ms < 0 else max(0, at_ms - ctx.now_ms)


@command(
    "EXPIRETIME key",
    flags=READONLY | FAST,
    acl="keyspace",
    since="7.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
    group="generic",
)
def expiretime(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the date at which a key expires, in unix seconds rounded to the nearest.

    -1 without TTL, -2 without key.
    """
    at_ms = _expiry(ctx, argv[1])
    return at_ms if at_ms < 0 else (at_ms + 500) // 1000


@command(
    "PEXPIRETIME key",
    flags=READONLY | FAST,
    acl="keyspace",
    since="7.0.0",
    complexity="O(1)",
    keys=key_at(1, "RO access"),
    group="generic",
)
def pexpiretime(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the date at which a key expires, in unix milliseconds.

    -1 without TTL, -2 without key.
    """
    return _expiry(ctx, argv[1])


def _expiry(ctx: Context, key: bytes) -> int:
    """The date at which `key` expires, or NO_TTL or NO_KEY. Asking is not a use of the key."""
    db = ctx.db
    if db.glance(key) is None:
        return NO_KEY
    at_ms = db.expire_at(key)
    return NO_TTL if at_ms is None else at_ms
