"""Strings: keep a value, give it back. GET and SET in all their forms, single and many.

A string value is `bytes`, or `bytearray` once APPEND, SETRANGE or SETBIT has changed it in place (substring.py); both
read alike. A reply must not change after it was made, and inside of a transaction it is sent later than made: hence
`frozen` around values that stay in the database.

SET is one function with four small ancestors (SETNX, SETEX, PSETEX, GETSET), whose options it has taken over. What
replicas and the log see of each is normalised: a TTL becomes a date (PXAT), GET and a condition that held are dropped.
A date that is past makes no difference here: the key is bound, and whoever looks finds it expired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mini_redis.commands.arguments import EXPIRY_UNITS, expiry
from mini_redis.commands.keyspecs import key_at, key_range, keys_of_set
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.keyspace.types import STRING, Value
from mini_redis.resp.reply import OK, SYNTAX_ERROR, Reply, wrong_arity

if TYPE_CHECKING:
    from mini_redis.server.context import Context


@command("GET key", flags=READONLY | FAST, acl="string", since="1.0.0", complexity="O(1)", keys=key_at(1, "RO access"))
def get(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the value of a string; null without key.

    Errors: WRONGTYPE.
    """
    value = ctx.db.read(argv[1], STRING)
    return bytes(value) if type(value) is bytearray else value


# --- Set -------------------------------------------------------------------------------------------------------------


@command(
    "SET key value [condition:(NX | XX)@2.6.12] [GET@6.2.0] [expiration:(EX seconds@2.6.12 | PX milliseconds@2.6.12 "
    "| EXAT unix-time-seconds@6.2.0 | PXAT unix-time-milliseconds@6.2.0 | KEEPTTL@6.0.0)]",
    flags=WRITE | DENYOOM,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update variable_flags", notes="RW and ACCESS due to the optional `GET` argument"),
    getkeys=keys_of_set,
)
def set_(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a key to a string, whatever it held before, and drop its TTL.

    NX: only if there is no such key; XX: only if there is one; then null tells that the condition did not hold. GET:
    answer what was there before, null without key; the condition counts all the same. EX, PX: expire after so many
    seconds, milliseconds; EXAT, PXAT: at this unix time; KEEPTTL: as before.
    Errors: syntax; a time that is not an integer, not positive or too large; with GET, WRONGTYPE.
    """
    if len(argv) == 3:  # the most frequent write of all: `_bind` without the call
        key = argv[1]
        ctx.db.set(key, argv[2])
        ctx.changed(key, "set")
        return OK

    key, value = argv[1], argv[2]
    options = _parse_options(argv[3:], _SET_OPTIONS)
    at_ms = options.expire_at_ms(ctx.now_ms, b"set")

    before = ctx.db.read(key, STRING) if options.get else ctx.db.write(key)
    if options.nx and before is not None or options.xx and before is None:
        return frozen(before) if options.get else None

    if options.get and at_ms is None:
        ctx.propagate_as(*argv[:3], *(word for word in argv[3:] if word.upper() != b"GET"))
    elif options.expiration != b"PXAT" and at_ms is not None:
        ctx.propagate_as(b"SET", key, value, b"PXAT", b"%d" % at_ms)
    _bind(ctx, key, value, at_ms, keep_ttl=options.expiration == b"KEEPTTL")
    return frozen(before) if options.get else OK


def _bind(ctx: Context, key: bytes, value: bytes, at_ms: int | None = None, keep_ttl: bool = False) -> None:
    """Bind, and announce: the last two paragraphs of every command that sets a whole value."""
    db = ctx.db
    db.set(key, value, keep_ttl or at_ms is not None)  # a TTL about to be replaced need not go first
    ctx.changed(key, "set")
    if at_ms is not None:
        db.set_expire_at(key, at_ms)
        ctx.notify(key, "expire")


@command(
    "SETNX key value",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "OW insert"),
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `NX` argument",
)
def setnx(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a key to a string unless the key exists.

    1 if it was bound, else 0.
    """
    if ctx.db.write(argv[1]) is not None:
        return 0

    _bind(ctx, argv[1], argv[2])
    return 1


@command(
    "SETEX key seconds value",
    flags=WRITE | DENYOOM,
    acl="string",
    since="2.0.0",
    complexity="O(1)",
    keys=key_at(1, "OW update"),
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `EX` argument",
)
def setex(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a key to a string for some seconds.

    Errors: a time that is not an integer, not positive or too large.
    """
    return _bind_for(ctx, argv[1], argv[3], expiry(argv[2], b"EX", ctx.now_ms, b"setex"))


@command(
    "PSETEX key milliseconds value",
    flags=WRITE | DENYOOM,
    acl="string",
    since="2.6.0",
    complexity="O(1)",
    keys=key_at(1, "OW update"),
    deprecated_since="2.6.12",
    replaced_by="`SET` with the `PX` argument",
)
def psetex(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a key to a string for some milliseconds.

    Errors: a time that is not an integer, not positive or too large.
    """
    return _bind_for(ctx, argv[1], argv[3], expiry(argv[2], b"PX", ctx.now_ms, b"psetex"))


def _bind_for(ctx: Context, key: bytes, value: bytes, at_ms: int) -> Reply:
    ctx.propagate_as(b"SET", key, value, b"PXAT", b"%d" % at_ms)
    _bind(ctx, key, value, at_ms)
    return OK


# --- Get and change --------------------------------------------------------------------------------------------------


@command(
    "GETSET key value",
    flags=WRITE | DENYOOM | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
    deprecated_since="6.2.0",
    replaced_by="`SET` with the `!GET` argument",
)
def getset(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a key to a string, drop its TTL, and answer what was there before; null without key.

    Errors: WRONGTYPE.
    """
    before = ctx.db.read(argv[1], STRING)

    ctx.propagate_as(b"SET", argv[1], argv[2])
    _bind(ctx, argv[1], argv[2])
    return before


@command(
    "GETDEL key",
    flags=WRITE | FAST,
    acl="string",
    since="6.2.0",
    complexity="O(1)",
    keys=key_at(1, "RW access delete"),
)
def getdel(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the value of a string and delete the key; null without key.

    Errors: WRONGTYPE.
    """
    key = argv[1]
    value = ctx.db.read(key, STRING)
    if value is None:
        return None

    ctx.db.delete(key)

    ctx.propagate_as(b"DEL", key)
    ctx.changed(key, "del")
    return value


@command(
    "GETEX key [expiration:(EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
    "PERSIST)]",
    flags=WRITE | FAST,
    acl="string",
    since="6.2.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update", notes="RW and UPDATE because it changes the TTL"),
)
def getex(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the value of a string and change its TTL; null without key.

    EX, PX, EXAT, PXAT: as of SET, but a date that is past deletes the key at once. PERSIST: no TTL.
    Errors: syntax; WRONGTYPE; if the key exists, a time that is not an integer, not positive or too large.
    """
    db, key = ctx.db, argv[1]
    options = _parse_options(argv[2:], _GETEX_OPTIONS)
    value = db.read(key, STRING)
    if value is None:
        return None
    at_ms = options.expire_at_ms(ctx.now_ms, b"getex")

    if at_ms is not None and at_ms <= ctx.now_ms and not db.keyspace.masks_only:
        db.delete(key)
        ctx.propagate_as(b"UNLINK" if ctx.server.config.lazyfree_lazy_expire else b"DEL", key)
        ctx.changed(key, "del")
    elif at_ms is not None:
        db.set_expire_at(key, at_ms)
        ctx.propagate_as(b"PEXPIREAT", key, b"%d" % at_ms)
        ctx.changed(key, "expire")
    elif options.expiration == b"PERSIST" and db.persist(key):
        ctx.propagate_as(b"PERSIST", key)
        ctx.changed(key, "persist")
    return frozen(value)


# --- Many at once ----------------------------------------------------------------------------------------------------


@command(
    "MGET key ...",
    flags=READONLY | FAST,
    acl="string",
    since="1.0.0",
    complexity="O(N) where N is the number of keys to retrieve.",
    keys=key_range(1, -1, "RO access"),
    tips="request_policy:multi_shard",
)
def mget(ctx: Context, argv: list[bytes]) -> Reply:
    """Get the values of some strings; null for a key that does not exist or holds something else."""
    values = map(ctx.db.read, argv[1:])
    return [frozen(value) if isinstance(value, STRING) else None for value in values]


@command(
    "MSET data:(key value) ...",
    flags=WRITE | DENYOOM,
    acl="string",
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    keys=key_range(1, -1, "OW update", step=2),
    tips="request_policy:multi_shard response_policy:all_succeeded",
)
def mset(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind some keys to strings, whatever they held before, and drop their TTLs."""
    if len(argv) % 2 == 0:
        raise wrong_arity(b"mset")

    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        _bind(ctx, key, value)
    return OK


@command(
    "MSETNX data:(key value) ...",
    flags=WRITE | DENYOOM,
    acl="string",
    since="1.0.1",
    complexity="O(N) where N is the number of keys to set.",
    keys=key_range(1, -1, "OW insert", step=2),
)
def msetnx(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind some keys to strings, all of them or, if any of the keys exists, none.

    1 if they were bound, else 0.
    """
    if len(argv) % 2 == 0:
        raise wrong_arity(b"msetnx")

    if any(ctx.db.write(key) is not None for key in argv[1::2]):
        return 0

    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        _bind(ctx, key, value)
    return 1


# --- Shared ----------------------------------------------------------------------------------------------------------

_SET_OPTIONS = frozenset((b"NX", b"XX", b"GET", b"KEEPTTL", *EXPIRY_UNITS))
_GETEX_OPTIONS = frozenset((b"PERSIST", *EXPIRY_UNITS))


class _Options(NamedTuple):
    nx: bool
    xx: bool
    get: bool
    expiration: bytes
    """EX, PX, EXAT, PXAT, KEEPTTL, PERSIST; empty if none was given."""
    time: bytes

    def expire_at_ms(self, now_ms: int, command: bytes) -> int | None:
        """The date that was asked for, in unix ms; None if none was."""
        if self.expiration not in EXPIRY_UNITS:
            return None
        return expiry(self.time, self.expiration, now_ms, command)


def _parse_options(words: list[bytes], allowed: frozenset[bytes]) -> _Options:
    """Read the options of SET or GETEX. One said twice is fine, and its last time counts; two that exclude each other
    are not, wherever they stand."""
    nx = xx = get = False
    expiration = time = b""
    remaining = iter(words)
    for word in remaining:
        option = word.upper()
        if option not in allowed:
            raise SYNTAX_ERROR
        match option:
            case b"NX" if not xx:
                nx = True
            case b"XX" if not nx:
                xx = True
            case b"GET":
                get = True
            case b"KEEPTTL" | b"PERSIST" if expiration in (b"", option):
                expiration = option
            case b"EX" | b"PX" | b"EXAT" | b"PXAT" if expiration in (b"", option):
                expiration, argument = option, next(remaining, None)
                if argument is None:
                    raise SYNTAX_ERROR
                time = argument
            case _:
                raise SYNTAX_ERROR
    return _Options(nx, xx, get, expiration, time)


def frozen(value: Value) -> Value:
    """A string value as a reply that no later command can change. O(1), or a copy if it is a buffer."""
    return bytes(value) if type(value) is bytearray else value
