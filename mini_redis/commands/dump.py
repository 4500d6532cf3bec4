"""DUMP and RESTORE: take a value out of a server as bytes, and put it into another. The bytes: persistence/dump.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mini_redis.commands.arguments import integer
from mini_redis.commands.generic import announce_replaced
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import ASKING, DENYOOM, READONLY, WRITE, command
from mini_redis.resp.reply import OK, SYNTAX_ERROR, Reply, ReplyError
from mini_redis.structures.hash import Hash
from mini_redis.structures.numbers import INT64_MAX
from mini_redis.structures.vector_set import VectorSet

if TYPE_CHECKING:
    from mini_redis.server.context import Context

BUSY_KEY = ReplyError(b"BUSYKEY Target key name already exists.")
INVALID_TTL = ReplyError(b"ERR Invalid TTL value, must be >= 0")
INVALID_IDLETIME = ReplyError(b"ERR Invalid IDLETIME value, must be >= 0")
INVALID_FREQ = ReplyError(b"ERR Invalid FREQ value, must be >= 0 and <= 255")
COST_OF_RESTORE = (
    "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of "
    "Redis objects composing the value and M their average size. For small string values the time complexity is thus "
    "O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) "
    "because inserting values into sorted sets is O(log(N))."
)
ARGUMENTS = (
    "key ttl serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds@5.0.0] [FREQ frequency@5.0.0]"
)


@command(
    "DUMP key",
    flags=READONLY,
    acl="keyspace",
    since="2.6.0",
    complexity=(
        "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects "
        "composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) "
        "where M is small, so simply O(1)."
    ),
    keys=key_at(1, "RO access"),
    tips="nondeterministic_output",
)
def dump(ctx: Context, argv: list[bytes]) -> Reply:
    """Answer a key's value, without its TTL, as bytes that RESTORE understands; null without key."""
    value = ctx.db.read(argv[1])
    return None if value is None else ctx.server.dump(value)


@command(f"RESTORE {ARGUMENTS}", flags=WRITE | DENYOOM, acl="keyspace dangerous", since="2.6.0",
         complexity=COST_OF_RESTORE, keys=key_at(1, "OW update"))  # fmt: skip
def restore(ctx: Context, argv: list[bytes]) -> Reply:
    """Bind a key to a value that DUMP has answered, here or elsewhere, now or years ago.

    A TTL of 0 is none; a date in the past (ABSTTL) makes no key. IDLETIME and FREQ set the access clock, if the policy
    is one that keeps it. Errors: options and their values; a key that is there, without REPLACE; bytes that are not
    from DUMP, or are damaged. Then nothing is changed.
    """
    options = parse_options(argv[4:])
    key = argv[1]
    if not options.replace and ctx.db.write(key) is not None:
        raise BUSY_KEY
    ttl = integer(argv[2])
    if ttl < 0:
        raise INVALID_TTL
    value = ctx.server.restore(argv[3])
    if isinstance(value, VectorSet):
        value.number = ctx.server.vector_sets_created
        ctx.server.vector_sets_created += 1

    before = ctx.db.data.get(key) if options.replace else None
    ctx.db.delete(key)
    at_ms = ttl if not ttl or options.absttl else min(ttl + ctx.now_ms, INT64_MAX)
    if ttl and at_ms <= ctx.now_ms:
        if before is not None:
            ctx.changed(key, "del")
            ctx.propagate_as(b"UNLINK" if ctx.server.config.lazyfree_lazy_server_del else b"DEL", key)
        return OK
    ctx.db.set(key, value)
    if ttl:
        ctx.db.set_expire_at(key, at_ms)
    if isinstance(value, Hash):
        ctx.db.deadlines_changed(key, value)
    ctx.db.clocks.set(key, ctx.now_ms, idle_seconds=options.idle_seconds, frequency=options.frequency)

    ctx.changed(key, "restore")
    announce_replaced(ctx, ctx.db, key, before, value)
    if ttl and not options.absttl:
        ctx.propagate_as(*argv[:2], b"%d" % at_ms, *argv[3:], b"ABSTTL")
    return OK


@command(f"RESTORE-ASKING {ARGUMENTS}", flags=WRITE | DENYOOM | ASKING, acl="keyspace dangerous", since="3.0.0",
         complexity=COST_OF_RESTORE, keys=key_at(1, "OW update"), group="server", doc_flags="syscmd")  # fmt: skip
def restore_asking(ctx: Context, argv: list[bytes]) -> Reply:
    """RESTORE into a slot that this node is about to take over: what MIGRATE sends."""
    return restore(ctx, argv)


@dataclass
class Options:
    """As they were said. None: not at all."""

    replace: bool = False
    absttl: bool = False
    idle_seconds: int | None = None
    frequency: int | None = None


def parse_options(words: list[bytes]) -> Options:
    """Read what follows the value. Raises ReplyError."""
    options = Options()
    rest = iter(words)
    for word in rest:
        match word.upper():
            case b"REPLACE":
                options.replace = True
            case b"ABSTTL":
                options.absttl = True
            case b"IDLETIME" if options.frequency is None and (value := next(rest, None)) is not None:
                options.idle_seconds = integer(value)
                if options.idle_seconds < 0:
                    raise INVALID_IDLETIME
            case b"FREQ" if options.idle_seconds is None and (value := next(rest, None)) is not None:
                options.frequency = integer(value)
                if not 0 <= options.frequency <= 255:
                    raise INVALID_FREQ
            case _:
                raise SYNTAX_ERROR
    return options
