"""DEBUG: the screwdriver. What tests and the curious do to a server, and nobody else should.

It can stop a server for a minute or fill it with keys, so it is refused unless `enable-debug-command` allows it
(gates.py). Redis reads the second word by itself instead of declaring subcommands, so COMMAND knows only `debug`; and
it minds neither TTLs nor statistics: what it shows of a key is what is there, expired or not.

Here is what is true of this server. What looks at or bends C structures (JEMALLOC, listpacks, hash tables, crashes on
purpose) has no meaning here, and what needs files or replicas comes with them; both are unknown subcommands, and HELP
lists only what exists.

`SUBCOMMANDS` is the table: name -> (how many words may follow, function).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mini_redis.commands.arguments import integer
from mini_redis.commands.registry import ADMIN, LOADING, NOSCRIPT, STALE, command, help_reply
from mini_redis.keyspace.digest import EMPTY, dataset_digest, value_digest
from mini_redis.keyspace.serialized_length import serialized_length
from mini_redis.keyspace.types import type_of
from mini_redis.resp.reply import (
    NO_SUCH_KEY,
    OK,
    Annotated,
    BigNumber,
    Frames,
    Push,
    Reply,
    ReplyError,
    SetReply,
    SimpleString,
    Verbatim,
)
from mini_redis.structures.glob import glob_matcher
from mini_redis.structures.numbers import INT64_MAX

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_POSITIVE = ReplyError(b"ERR value is out of range, must be positive")
FUZZ_ROUNDS: Final = 2_000
ANY_NUMBER: Final = 1 << 40


@command(
    "DEBUG",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="1.0.0",
    complexity="Depends on subcommand.",
    arity=-2,
    doc_flags="syscmd",
    group="server",
)
def debug(ctx: Context, argv: list[bytes]) -> Reply:
    """Look at the server's insides, or disturb it on purpose.

    Errors: DEBUG is not allowed; no such subcommand, or not with so many words.
    """
    fewest, most, run = SUBCOMMANDS.get(argv[1].lower(), NO_SUBCOMMAND)
    if not fewest <= len(argv) - 2 <= most:
        name = argv[1].partition(b"\0")[0]
        raise ReplyError(b"ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP." % name[:128])
    return run(ctx, argv)


# --- The dataset -----------------------------------------------------------------------------------------------------


def _digest(ctx: Context, argv: list[bytes]) -> Reply:
    """DIGEST: the state of all databases in 40 hexadecimal digits. O(size of the data)."""
    return SimpleString(dataset_digest(ctx.server.keyspace.databases).hex().encode())


def _digest_value(ctx: Context, argv: list[bytes]) -> Reply:
    """DIGEST-VALUE key ...: the same of single values, whatever the keys are called; zeros where there is no key."""
    db = ctx.db
    digests = (
        EMPTY if (value := db.data.get(key)) is None else value_digest(value, expires=key in db.expires)
        for key in argv[2:]
    )
    return [SimpleString(digest.hex().encode()) for digest in digests]


def _object(ctx: Context, argv: list[bytes]) -> Reply:
    """OBJECT key: how the value is kept.

    The address is 0x0: Python moves no object, but an address would make equal runs answer differently. `lru` is the
    access clock in 24 bits: unix seconds of the last access; under an LFU policy minutes and counter, and then the idle
    time, which is the distance between clock and now, means nothing, here as in Redis.
    """
    db, key = ctx.db, argv[2]
    value = db.data.get(key)
    if value is None:
        raise NO_SUCH_KEY
    encoding = type_of(value).encoding(key, value, key in db.expires)
    length = serialized_length(value, ctx.server.config.rdbcompression)
    lru, now = db.clocks.word(key, ctx.now_ms), ctx.now_ms // 1000 & 0xFFFFFF
    idle = now - lru if now >= lru else now + 0xFFFFFF - lru
    facts = b"refcount:1 encoding:%b serializedlength:%d lru:%d lru_seconds_idle:%d" % (encoding, length, lru, idle)
    return SimpleString(b"Value at:0x0 " + facts)


def _populate(ctx: Context, argv: list[bytes]) -> Reply:
    """POPULATE count [prefix] [size]: make the keys prefix:0, prefix:1, ... that do not exist.

    Their values are value:0 and so on, cut or filled with zero bytes to `size`. Neither counted as changes nor
    propagated; WATCH notices. O(count).
    """
    count = _not_negative(argv[2])
    prefix = argv[3] if len(argv) > 3 else b"key"
    size = _not_negative(argv[4]) if len(argv) > 4 else 0

    db = ctx.db
    for number in range(count):
        key = b"%b:%d" % (prefix, number)
        if db.write(key) is not None:
            continue
        value = b"value:%d" % number
        db.set(key, value[:size].ljust(size, b"\0") if size else value)
        db.touch_watched(key)
    return OK


def _not_negative(raw: bytes) -> int:
    number = integer(raw, NOT_POSITIVE)
    if number < 0:
        raise NOT_POSITIVE
    return number


# --- Time ------------------------------------------------------------------------------------------------------------


def _sleep(ctx: Context, argv: list[bytes]) -> Reply:
    """SLEEP seconds: stand still, and everybody with it. What is not a number is 0."""
    microseconds = _leading_number(argv[2]) * 1_000_000
    if 0 < microseconds <= INT64_MAX:
        ctx.server.clock.sleep(microseconds / 1_000_000)
    return OK


def _set_active_expire(ctx: Context, argv: list[bytes]) -> Reply:
    """SET-ACTIVE-EXPIRE 0|1: whether expired keys that nobody looks at are deleted. What is not a number is 0."""
    ctx.server.active_expire_enabled = int(_leading_number(argv[2])) != 0
    return OK


_NUMBER = re.compile(rb"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def _leading_number(raw: bytes) -> float:
    """What C reads of a text that only begins like a number: `2x` is 2, `x` is 0."""
    found = _NUMBER.match(raw)
    number = float(found[1]) if found else 0.0
    return number if abs(number) < 1e300 else 0.0


# --- Clients and log -------------------------------------------------------------------------------------------------


def _error(ctx: Context, argv: list[bytes]) -> Reply:
    """ERROR text: answer an error of the caller's own words, for tests of clients. INFO does not count it."""
    return ReplyError(argv[2])


def _log(ctx: Context, argv: list[bytes]) -> Reply:
    """LOG message: write a warning into the server's log."""
    ctx.server.log("#", "DEBUG LOG: " + argv[2].decode("utf-8", "replace"))
    return OK


def _protocol(ctx: Context, argv: list[bytes]) -> Reply:
    """PROTOCOL type: answer a sample of a reply type, for tests of clients."""
    name = argv[2].lower()
    if name == b"push" and ctx.client.resp == 2:
        raise ReplyError(b"ERR RESP2 is not supported by this command")
    if name not in SAMPLES:
        raise ReplyError(
            b"ERR Wrong protocol type name. Please use one of the following: "
            b"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
        )
    return SAMPLES[name]


SAMPLES: Final[dict[bytes, Reply]] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"bignum": BigNumber(1234567999999999999999999999999999999),
    b"null": None,
    b"array": [0, 1, 2],
    b"set": SetReply([0, 1, 2]),
    b"map": {0: False, 1: True, 2: False},
    b"attrib": Annotated({b"key-popularity": [b"key:123", 90]}, b"Some real reply following the attribute"),
    b"push": Frames([b"Some real reply following the push reply", Push([b"server-cpu-usage", 42])]),
    b"verbatim": Verbatim(b"This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
}


# --- Self-test, help -------------------------------------------------------------------------------------------------


def _stringmatch_test(ctx: Context, argv: list[bytes]) -> Reply:
    """STRINGMATCH-TEST: match random strings against random patterns made of what is special in them."""
    for _ in range(FUZZ_ROUNDS):
        pattern, text = (bytes(ctx.rng.choices(b"*?[]^-\\ab", k=ctx.rng.randrange(12))) for _ in "pt")
        glob_matcher(pattern, nocase=ctx.rng.random() < 0.5)(text)
        assert glob_matcher(re.sub(rb"[*?\[\]^\\-]", rb"\\\g<0>", text))(text), "a quoted text matches itself"
    return SimpleString(b"Apparently Redis did not crash: test passed")


def _help(ctx: Context, argv: list[bytes]) -> Reply:
    """HELP."""
    return help_reply(
        "DEBUG",
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix. These are not propagated to",
        "    replicas. Cluster slots are not respected so keys not belonging to the",
        "    current node can be created in cluster mode.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys (and hash-fields) in background ",
        "    when they are not accessed (otherwise the Redis behavior). Setting it",
        "    to 1 reenables back the default.",
        "SLEEP <seconds>",
        "    Stop the server for <seconds>. Decimals allowed.",
        "STRINGMATCH-TEST",
        "    Run a fuzz tester against the stringmatchlen() function.",
    )


Subcommand = tuple[int, int, "Callable[[Context, list[bytes]], Reply]"]
NO_SUBCOMMAND: Final[Subcommand] = (1, 0, _help)
SUBCOMMANDS: Final[dict[bytes, Subcommand]] = {
    b"digest": (0, 0, _digest),
    b"digest-value": (0, ANY_NUMBER, _digest_value),
    b"error": (1, 1, _error),
    b"help": (0, 0, _help),
    b"log": (1, 1, _log),
    b"object": (1, 1, _object),
    b"populate": (1, 3, _populate),
    b"protocol": (1, 1, _protocol),
    b"set-active-expire": (1, 1, _set_active_expire),
    b"sleep": (1, 1, _sleep),
    b"stringmatch-test": (0, 0, _stringmatch_test),
}
