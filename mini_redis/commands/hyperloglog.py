"""HyperLogLogs: count different elements in twelve kilobytes, and merge such counts.

They are strings (see structures/hyperloglog.py): SET, GET, DUMP and EXPIRE work on them, and so does SETRANGE, after
which they may be none any more. Two errors tell that: WRONGTYPE is said of a string whose header is not that of a
HyperLogLog, INVALIDOBJ if its registers make no sense once somebody walks over them. PFADD may have added some of its
elements before it finds out, and then nobody is told of those: so it is in Redis.

PFCOUNT of one key writes: it keeps the cardinality in the value. Hence it is propagated if it did, although it is a
reading command, and replicas answer it; and it makes transactions that watch the key fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.keyspecs import key_at, key_range
from mini_redis.commands.registry import ADMIN, DENYOOM, FAST, MAY_REPLICATE, READONLY, WRITE, command
from mini_redis.commands.substring import as_buffer
from mini_redis.keyspace.notifications import NO_EVENT
from mini_redis.keyspace.types import STRING
from mini_redis.resp.reply import OK, Frames, Reply, ReplyError, SimpleString
from mini_redis.structures import hyperloglog
from mini_redis.structures.hyperloglog_sparse import CorruptError, decode

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_A_HYPERLOGLOG = ReplyError(b"WRONGTYPE Key is not a valid HyperLogLog string value.")
CORRUPT = ReplyError(b"INVALIDOBJ Corrupted HLL object detected")
NO_KEY_TO_DEBUG = ReplyError(b"ERR The specified key does not exist")
NOT_SPARSE = ReplyError(b"ERR HLL encoding is not sparse")
ON_OR_OFF = ReplyError(b"ERR Argument must be ON or OFF")


@command(
    "PFADD key [element ...]",
    flags=WRITE | DENYOOM | FAST,
    acl="hyperloglog",
    since="2.8.9",
    complexity="O(1) to add every element.",
    keys=key_at(1, "RW insert"),
)
def pfadd(ctx: Context, argv: list[bytes]) -> Reply:
    """Add elements to a HyperLogLog; without key, to an empty one.

    1 if that changed what PFCOUNT estimates, or made the key; else 0. Errors: WRONGTYPE; INVALIDOBJ.
    """
    key, elements = argv[1], argv[2:]
    most_bytes = ctx.server.config.hll_sparse_max_bytes
    value = ctx.db.write(key, STRING)

    changes = 0
    if value is None:
        hll = hyperloglog.empty()
        ctx.db.set(key, hll)
        changes = 1
    else:
        hll = as_buffer(ctx.db, key, _checked(value))
    try:
        for element in elements:
            changes += hyperloglog.add(hll, element, most_bytes)
    except CorruptError:
        raise CORRUPT from None

    if not changes:
        return 0
    hyperloglog.forget_cardinality(hll)
    ctx.changed(key, "pfadd", changes)
    return 1


@command(
    "PFCOUNT key ...",
    flags=READONLY | MAY_REPLICATE,
    acl="hyperloglog",
    since="2.8.9",
    complexity=(
        "O(1) with a very small average constant time when called with a single key. O(N) with N being the "
        "number of keys, and much bigger constant times, when called with multiple keys."
    ),
    keys=key_range(
        1,
        -1,
        "RW access",
        notes="RW because it may change the internal representation of the key, and propagate to replicas",
    ),
)
def pfcount(ctx: Context, argv: list[bytes]) -> Reply:
    """Estimate how many different elements were added to one HyperLogLog, or to any of several; 0 without key.

    Of one key the answer is kept in the value until the next change; of several it is made anew each time.
    Errors: WRONGTYPE; INVALIDOBJ.
    """
    if len(argv) > 2:
        largest, _ = _union(ctx, argv[1:])
        return hyperloglog.estimate(largest)

    key = argv[1]
    value = ctx.db.read(key, STRING)
    if value is None:
        return 0
    hll = as_buffer(ctx.db, key, _checked(value))
    cardinality = hyperloglog.known_cardinality(hll)
    if cardinality is not None:
        return cardinality

    try:
        cardinality = hyperloglog.count(hll)
    except CorruptError:
        raise CORRUPT from None
    ctx.changed(key, NO_EVENT)
    return cardinality


@command(
    "PFMERGE destkey [sourcekey ...]",
    flags=WRITE | DENYOOM,
    acl="hyperloglog",
    since="2.8.9",
    complexity="O(N) to merge N HyperLogLogs, but with high constant times.",
    keys=(key_at(1, "RW access insert"), key_range(2, -1, "RO access")),
)
def pfmerge(ctx: Context, argv: list[bytes]) -> Reply:
    """Add to a HyperLogLog all that was added to some others; without key, to an empty one.

    It becomes dense if one of them is. Errors: WRONGTYPE; INVALIDOBJ.
    """
    db, key = ctx.db, argv[1]
    largest, dense = _union(ctx, argv[1:])

    value = db.write(key, STRING)
    if value is None:
        hll = hyperloglog.empty()
        db.set(key, hll)
    else:
        hll = as_buffer(db, key, value)
    hyperloglog.raise_to(hll, largest, dense=dense, sparse_most_bytes=ctx.server.config.hll_sparse_max_bytes)

    ctx.changed(key, "pfadd")
    return OK


def _union(ctx: Context, keys: list[bytes]) -> tuple[bytes, bool]:
    """The registers of some keys together, and whether one of them is dense. The first key with an error tells it."""
    largest, dense = hyperloglog.NO_REGISTERS, False
    for key in keys:
        value = ctx.db.read(key, STRING)
        if value is None:
            continue
        hll = _checked(value)
        dense |= hyperloglog.encoding(hll) == b"dense"
        try:
            largest = hyperloglog.merge(largest, hll, wide=ctx.server.hll_wide)
        except CorruptError:
            raise CORRUPT from None
    return largest, dense


def _checked(value: bytes | bytearray) -> bytes | bytearray:
    if not hyperloglog.is_hyperloglog(value):
        raise NOT_A_HYPERLOGLOG
    return value


# --- Debugging -------------------------------------------------------------------------------------------------------


@command(
    "PFDEBUG subcommand key",
    flags=WRITE | DENYOOM | ADMIN,
    acl="hyperloglog",
    since="2.8.9",
    complexity="N/A",
    keys=key_at(2, "RW access"),
    doc_flags="syscmd",
)
def pfdebug(ctx: Context, argv: list[bytes]) -> Reply:
    """Look into a HyperLogLog.

    ENCODING: sparse or dense. DECODE: the runs of a sparse one, in writing. GETREG: all registers, after making it
    dense. TODENSE: 1 if it was sparse. SIMD ON, OFF instead of a key: whether PFMERGE and PFCOUNT take all registers at
    once or one after another.
    Errors: no such key; WRONGTYPE; no such subcommand; INVALIDOBJ.
    """
    subcommand, key = argv[1].upper(), argv[2]
    if subcommand == b"SIMD":
        return _switch_simd(ctx, argv[2].upper())
    value = ctx.db.write(key, STRING)
    if value is None:
        raise NO_KEY_TO_DEBUG
    hll = as_buffer(ctx.db, key, _checked(value))

    try:
        match subcommand:
            case b"ENCODING":
                return SimpleString(hyperloglog.encoding(hll))
            case b"DECODE":
                if hyperloglog.encoding(hll) != b"sparse":
                    raise NOT_SPARSE
                return decode(hll)
            case b"GETREG" | b"TODENSE":
                converted = hyperloglog.to_dense(hll)
            case _:
                raise ReplyError(b"ERR Unknown PFDEBUG subcommand '%b'" % argv[1].partition(b"\0")[0])
    except CorruptError:
        raise CORRUPT from None

    ctx.server.dirty += converted  # replicas shall become dense too, but nobody who watches has missed anything
    return list(hyperloglog.registers(hll)) if subcommand == b"GETREG" else int(converted)


def _switch_simd(ctx: Context, word: bytes) -> Reply:
    if word in (b"ON", b"OFF"):
        ctx.server.hll_wide = word == b"ON"
    state = SimpleString(b"enabled" if ctx.server.hll_wide else b"disabled")
    # Redis 8.2.3 tells the error and goes on: two replies to one request.
    return state if word in (b"ON", b"OFF") else Frames((ON_OR_OFF, state))


@command(
    "PFSELFTEST",
    flags=ADMIN,
    acl="hyperloglog",
    since="2.8.9",
    complexity="N/A",
    doc_flags="syscmd",
)
def pfselftest(ctx: Context, argv: list[bytes]) -> Reply:
    """Check that registers are read, packed, merged and estimated rightly on this machine.

    Takes about half a second, in which nobody else is served.
    """
    wrong = hyperloglog.self_test(ctx.rng)
    if wrong:
        raise ReplyError(b"TESTFAILED " + wrong.encode())
    return OK
