"""Commands that do not care what a key holds: delete, rename, copy, move, list, scan, flush.

They look keys up in four ways, and which one each takes can be seen (statistics, `keymiss` events, OBJECT IDLETIME):

    db.read     counts a hit or miss, and is a use of the key        COPY's source
    db.glance   counts, but asks *about* the key only                EXISTS, TYPE
    db.write    is a use, and does not count                         RENAME, MOVE, COPY's destination
    db.peek     nothing but lazy expiry                              DEL, SCAN, RANDOMKEY

A bound value is never changed in place by these commands, and a `bytearray` is the only value so far that others do
change in place: COPY duplicates it.

RENAME and COPY REPLACE first delete what is in the way. So listeners hear `new` for a key that existed, and hear
`overwritten` only after the command's own events. SET, which binds over the old value, says `overwritten` first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at, key_range
from mini_redis.commands.registry import DENYOOM, FAST, READONLY, WRITE, command
from mini_redis.keyspace.types import Value, rebound, type_of
from mini_redis.resp.reply import (
    DB_INDEX_OUT_OF_RANGE,
    MODULE_KEY_NOT_COPIED,
    NO_SUCH_KEY,
    OK,
    SAME_OBJECT,
    SYNTAX_ERROR,
    Bulks,
    Reply,
    ReplyError,
    SimpleString,
)
from mini_redis.structures.glob import glob_matcher
from mini_redis.structures.hash import Hash
from mini_redis.structures.vector_set import VectorSet

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database
    from mini_redis.server.context import Context

NOT_AN_INT32 = ReplyError(b"ERR value is out of range, value must between -2147483648 and 2147483647")

INT32 = range(-(2**31), 2**31)
RANDOM_KEY_TRIES = 100


# --- Is it there, and what is it? ------------------------------------------------------------------------------------


@command(
    "EXISTS key ...",
    flags=READONLY | FAST,
    acl="keyspace",
    since="1.0.0",
    complexity="O(N) where N is the number of keys to check.",
    keys=key_range(1, -1, "RO"),
    tips="request_policy:multi_shard response_policy:agg_sum",
)
def exists(ctx: Context, argv: list[bytes]) -> Reply:
    """Count how many of the named keys exist.

    A key named twice counts twice. Not a use of the key for OBJECT IDLETIME.
    """
    db = ctx.db
    return sum(db.glance(key) is not None for key in argv[1:])


@command("TYPE key", flags=READONLY | FAST, acl="keyspace", since="1.0.0", complexity="O(1)", keys=key_at(1, "RO"))
def type_(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell what kind of value a key holds.

    A status: `string`, `list`, `set`, `zset`, `hash`, `stream`, or `none` if there is no such key.
    """
    value = ctx.db.glance(argv[1])
    return SimpleString(b"none" if value is None else type_of(value).name)


@command(
    "TOUCH key ...",
    flags=READONLY | FAST,
    acl="keyspace",
    since="3.2.1",
    complexity="O(N) where N is the number of keys that will be touched.",
    keys=key_range(1, -1, "RO"),
    tips="request_policy:multi_shard response_policy:agg_sum",
)
def touch(ctx: Context, argv: list[bytes]) -> Reply:
    """Count as a use of each named key that exists; tell how many do.

    The one command that CLIENT NO-TOUCH does not hold back.
    """
    db = ctx.db
    touched = 0
    for key in argv[1:]:
        if db.glance(key) is not None:
            db.clocks.touch(key, ctx.now_ms)
            touched += 1
    return touched


# --- Delete ----------------------------------------------------------------------------------------------------------


@command(
    "DEL key ...",
    flags=WRITE,
    acl="keyspace",
    since="1.0.0",
    complexity=(
        "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than "
        "a string, the individual complexity for this key is O(M) where M is the number of elements in the list, "
        "set, sorted set or hash. Removing a single key that holds a string value is O(1)."
    ),
    keys=key_range(1, -1, "RM delete"),
    tips="request_policy:multi_shard response_policy:agg_sum",
)
def del_(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove keys, and tell how many there were.

    A key whose time has passed does not count: it expires instead.
    """
    return _delete(ctx, argv, lazily=ctx.server.config.lazyfree_lazy_user_del)


def _delete(ctx: Context, argv: list[bytes], lazily: bool) -> int:
    db = ctx.db
    deleted = 0
    for key in argv[1:]:
        db.peek(key)  # a master deletes an expired key here; what a replica only masks is deleted below
        if db.delete(key, lazily):
            ctx.changed(key, "del")
            deleted += 1
    return deleted


@command(
    "UNLINK key ...",
    flags=WRITE | FAST,
    acl="keyspace",
    since="4.0.0",
    complexity=(
        "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread "
        "in order to reclaim memory, where N is the number of allocations the deleted objects where composed of."
    ),
    keys=key_range(1, -1, "RM delete"),
    tips="request_policy:multi_shard response_policy:agg_sum",
)
def unlink(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove keys as DEL does; their memory is released later.

    Redis leaves that to another thread; here the loop does it little by little, see keyspace/graveyard.py.
    """
    return _delete(ctx, argv, lazily=True)


# --- Rename, copy, move ----------------------------------------------------------------------------------------------


@command(
    "RENAME key newkey",
    flags=WRITE,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "OW update")),
)
def rename(ctx: Context, argv: list[bytes]) -> Reply:
    """Give a key another name, replacing what had that name.

    The TTL goes with the key. Errors: no such key.
    """
    _rename(ctx, argv[1], argv[2], replace=True)
    return OK


@command(
    "RENAMENX key newkey",
    flags=WRITE | FAST,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    keys=(key_at(1, "RW access delete"), key_at(2, "OW insert")),
)
def renamenx(ctx: Context, argv: list[bytes]) -> Reply:
    """Give a key another name if that is free.

    1 if it was, else 0; also 0 for a key renamed to itself. Errors: no such key.
    """
    return int(_rename(ctx, argv[1], argv[2], replace=False))


def _rename(ctx: Context, source: bytes, target: bytes, replace: bool) -> bool:
    db = ctx.db
    value = db.write(source)
    if value is None:
        raise NO_SUCH_KEY
    if source == target:
        return False

    in_the_way = db.write(target)
    if in_the_way is not None and not replace:
        return False

    at_ms = db.expire_at(source)
    value = rebound(source, value, at_ms is not None, target, at_ms is not None)
    db.delete(target)
    db.take(source)
    _bind(db, target, value, at_ms)

    ctx.modified(source)
    ctx.modified(target, times=0)
    ctx.notify(source, "rename_from")
    ctx.notify(target, "rename_to")
    announce_replaced(ctx, db, target, in_the_way, value)
    return True


@command(
    "COPY source destination [DB destination-db] [REPLACE]",
    flags=WRITE | DENYOOM,
    acl="keyspace",
    since="6.2.0",
    complexity="O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
    keys=(key_at(1, "RO access"), key_at(2, "OW update")),
)
def copy(ctx: Context, argv: list[bytes]) -> Reply:
    """Copy a key's value and TTL to another key, here or in another database.

    1 if it was copied; 0 if there is no source, or the destination exists and REPLACE is not said.
    """
    source, target = argv[1], argv[2]
    here, there, replace = ctx.db, ctx.db, False
    words = iter(argv[3:])
    for word in words:
        match word.upper():
            case b"REPLACE":
                replace = True
            case b"DB":
                index = next(words, None)
                if index is None:
                    raise SYNTAX_ERROR
                there = database_at(ctx, index)
            case _:
                raise SYNTAX_ERROR
    if here is there and source == target:
        raise SAME_OBJECT

    value = here.read(source)
    if value is None:
        return 0
    in_the_way = there.write(target)
    if in_the_way is not None and not replace:
        return 0

    at_ms = here.expire_at(source)
    duplicate = rebound(source, _duplicated(value), at_ms is not None, target, at_ms is not None)
    there.delete(target)
    _bind(there, target, duplicate, at_ms)

    _changed_in(ctx, there, target, "copy_to")
    announce_replaced(ctx, there, target, in_the_way, duplicate)
    return 1


@command(
    "MOVE key db",
    flags=WRITE | FAST,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    keys=key_at(1, "RW access update"),
)
def move(ctx: Context, argv: list[bytes]) -> Reply:
    """Move a key with its TTL to another database.

    1 if it was moved; 0 if there is no such key here, or there is one there.
    """
    key, here, there = argv[1], ctx.db, database_at(ctx, argv[2])
    if here is there:
        raise SAME_OBJECT

    value = here.write(key)
    if value is None or there.write(key) is not None:
        return 0

    at_ms = here.expire_at(key)
    here.take(key)
    _bind(there, key, value, at_ms)

    ctx.changed(key, "move_from")
    _changed_in(ctx, there, key, "move_to", times=0)
    return 1


def database_at(ctx: Context, index: bytes) -> Database:
    """The database that a client names, or the error that says why there is none."""
    number = integer(index)
    if number not in INT32:
        raise NOT_AN_INT32
    databases = ctx.server.keyspace.databases
    if not 0 <= number < len(databases):
        raise DB_INDEX_OUT_OF_RANGE
    return databases[number]


def _duplicated(value: Any) -> Value:
    """A value that shares nothing that may change with the original. O(size of the value)."""
    if isinstance(value, VectorSet):
        raise MODULE_KEY_NOT_COPIED
    if isinstance(value, (bytes, bytearray)):
        return bytearray(value) if isinstance(value, bytearray) else value
    return value.copy()


def _bind(db: Database, key: bytes, value: Value, at_ms: int | None) -> None:
    db.set(key, value)
    if isinstance(value, Hash):
        db.deadlines_changed(key, value)
    if at_ms is not None:
        db.set_expire_at(key, at_ms)


def _changed_in(ctx: Context, db: Database, key: bytes, event: str, times: int = 1) -> None:
    """`ctx.changed` for a key of another database than the client's."""
    here, ctx.db = ctx.db, db
    ctx.changed(key, event, times)
    ctx.db = here


def announce_replaced(ctx: Context, db: Database, key: bytes, before: Value, after: Value) -> None:
    """The events of a key that was deleted and made anew, which so was overwritten; none if `before` is None."""
    if before is None:
        return
    here, ctx.db = ctx.db, db
    ctx.notify(key, "overwritten")
    if type_of(before) is not type_of(after):
        ctx.notify(key, "type_changed")
    ctx.db = here


# --- Which keys are there? -------------------------------------------------------------------------------------------


@command(
    "DBSIZE",
    flags=READONLY | FAST,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:agg_sum",
    group="server",
)
def dbsize(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the keys of the database.

    Those whose time has passed count as long as nobody has come across them.
    """
    return len(ctx.db)


@command(
    "KEYS pattern",
    flags=READONLY,
    acl="keyspace dangerous",
    since="1.0.0",
    complexity=(
        "O(N) with N being the number of keys in the database, under the assumption that the key names in the "
        "database and the given pattern have limited length."
    ),
    tips="request_policy:all_shards nondeterministic_output_order",
)
def keys(ctx: Context, argv: list[bytes]) -> Reply:
    """List all keys whose name matches a pattern.

    Everybody else waits meanwhile: SCAN is for servers in use. Expired keys are left out, and left alone.
    """
    db, pattern, now_ms = ctx.db, argv[1], ctx.now_ms
    found = list(db.data) if pattern == b"*" else list(filter(glob_matcher(pattern), db.data))
    if not len(db.expires):
        return Bulks(found)
    expires_at = db.expires.get
    return Bulks(key for key in found if (at_ms := expires_at(key)) is None or at_ms >= now_ms)


@command(
    "RANDOMKEY",
    flags=READONLY,
    acl="keyspace",
    since="1.0.0",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:special nondeterministic_output",
)
def randomkey(ctx: Context, argv: list[bytes]) -> Reply:
    """Draw a key, each with the same probability; null from an empty database.

    Expired keys that are drawn are deleted. Where they may only be masked (a replica) and every key has a TTL, the
    hundredth draw is answered even so, since there might be none to find.
    """
    db = ctx.db
    tries = RANDOM_KEY_TRIES if db.keyspace.masks_only and len(db.data) == len(db.expires) else None
    while len(db.data):
        key = db.data.random_key(ctx.rng)
        if tries is not None and key in db.expires:
            tries -= 1
            if tries == 0:
                return key
        if db.peek(key) is not None:
            return key
    return None


# --- Whole databases -------------------------------------------------------------------------------------------------


@command(
    "FLUSHDB [flush-type:(ASYNC@4.0.0 | SYNC@6.2.0)]",
    flags=WRITE,
    acl="keyspace dangerous",
    since="1.0.0",
    complexity="O(N) where N is the number of keys in the selected database",
    tips="request_policy:all_shards response_policy:all_succeeded",
    group="server",
)
def flushdb(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove all keys of the database.

    The memory is released little by little, whether SYNC or ASYNC is said: see keyspace/graveyard.py.
    """
    return _flush(ctx, argv, [ctx.db])


@command(
    "FLUSHALL [flush-type:(ASYNC@4.0.0 | SYNC@6.2.0)]",
    flags=WRITE,
    acl="keyspace dangerous",
    since="1.0.0",
    complexity="O(N) where N is the total number of keys in all databases",
    tips="request_policy:all_shards response_policy:all_succeeded",
    group="server",
)
def flushall(ctx: Context, argv: list[bytes]) -> Reply:
    """Remove all keys of all databases.

    The memory is released little by little, whether SYNC or ASYNC is said: see keyspace/graveyard.py.
    """
    return _flush(ctx, argv, ctx.server.keyspace.databases)


def _flush(ctx: Context, argv: list[bytes], databases: list[Database]) -> Reply:
    if len(argv) > 2 or (len(argv) == 2 and argv[1].upper() not in (b"SYNC", b"ASYNC")):
        raise SYNTAX_ERROR

    removed = sum(db.flush() for db in databases)
    ctx.server.tracking.flushed()

    ctx.server.dirty += removed
    ctx.propagate_as(*argv)  # also when there was nothing to remove here: a replica may still have something
    return OK


@command(
    "SWAPDB index1 index2",
    flags=WRITE | FAST,
    acl="keyspace dangerous",
    since="4.0.0",
    complexity="O(N) where N is the count of clients watching or blocking on keys from both databases.",
    group="server",
)
def swapdb(ctx: Context, argv: list[bytes]) -> Reply:
    """Exchange two databases, for all clients at once.

    Who is connected to the one sees the keys of the other from now on.
    """
    indexes: list[int] = []
    for raw, which in ((argv[1], b"first"), (argv[2], b"second")):
        error = ReplyError(b"ERR invalid %b DB index" % which)
        index = integer(raw, error)
        if index not in INT32:
            raise error
        indexes.append(index)
    keyspace = ctx.server.keyspace
    if not all(0 <= index < len(keyspace.databases) for index in indexes):
        raise DB_INDEX_OUT_OF_RANGE

    keyspace.swap(*indexes)

    ctx.server.dirty += 1
    return OK
