"""DEBUG: the screwdriver. What tests and the curious do to a server, and nobody else should.

It can stop a server for a minute or fill it with keys, so it is refused unless `enable-debug-command` allows it
(gates.py). Redis reads the second word by itself instead of declaring subcommands, so COMMAND knows only `debug`; and
it minds neither TTLs nor statistics: what it shows of a key is what is there, expired or not.

HELP lists what exists here. Of what Redis 8.2 has beside, which is unknown here:

    comes with what it is about    LOADAOF AOF-FLUSH-SLEEP RESTART CRASH-AND-RECOVER (files); REPL-PAUSE (replicas);
                                   CLUSTERLINK INTERNAL_SECRET MARK-INTERNAL-CLIENT DROP-CLUSTER-PACKET-FILTER (cluster)
    is about C or its allocator    CLIENT-EVICTION MALLCTL MALLCTL-STR STRUCTSIZE KEYSIZES-HIST-ASSERT

Three switches are accepted although they move nothing, since test suites set them on the way to something else
(`SWITCHES`); the log says so each time. A crash on purpose ends the process at once, with what was running unanswered;
a failed assertion (ASSERT) does here what every one does: a traceback in the log, and that client's connection closes.

`SUBCOMMANDS` is the table: name -> (how many words may follow, function). Looks into structures are in
debug_structures.py, RELOAD is in debug_reload.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from mini_redis.commands.arguments import at_least, integer
from mini_redis.commands.config import rewrite_config_file
from mini_redis.commands.debug_reload import debug_reload
from mini_redis.commands.debug_structures import (
    debug_htstats,
    debug_htstats_key,
    debug_listpack,
    debug_quicklist,
    debug_sdslen,
)
from mini_redis.commands.registry import ADMIN, LOADING, NOSCRIPT, STALE, command, help_reply, wrong_subcommand
from mini_redis.keyspace.digest import EMPTY, dataset_digest, value_digest
from mini_redis.keyspace.types import type_of
from mini_redis.resp.reply import (
    NO_REPLY,
    NO_SUCH_KEY,
    NOT_POSITIVE,
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
from mini_redis.structures.quicklist import QUICKLIST

if TYPE_CHECKING:
    from mini_redis.server.context import Context

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
        raise wrong_subcommand(argv)
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
    value: Any = db.data.get(key)
    if value is None:
        raise NO_SUCH_KEY
    encoding = type_of(value).encoding(key, value, key in db.expires)
    length = ctx.server.serialized_length(value)
    lru, now = db.clocks.word(key, ctx.now_ms), ctx.now_ms // 1000 & 0xFFFFFF
    idle = now - lru if now >= lru else now + 0xFFFFFF - lru
    facts = b"refcount:1 encoding:%b serializedlength:%d lru:%d lru_seconds_idle:%d" % (encoding, length, lru, idle)
    if encoding == QUICKLIST:
        nodes, compressing = value.nodes, ctx.server.config.list_compress_depth != 0
        average, size = len(value) / len(nodes), sum(node.size for node in nodes)
        facts += b" ql_nodes:%d ql_avg_node:%.2f ql_listpack_max:%d" % (len(nodes), average, value.fill)
        facts += b" ql_compressed:%d ql_uncompressed_size:%d" % (compressing, size)
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
        ctx.server.key_modified(db, key, ctx.client)
    return OK


def _not_negative(raw: bytes) -> int:
    return at_least(0, raw, NOT_POSITIVE)


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


def _pause_cron(ctx: Context, argv: list[bytes]) -> Reply:
    """PAUSE-CRON 0|1: whether the cron stands still: nothing expires by itself, no rate is sampled."""
    ctx.server.cron_paused = int(_leading_number(argv[2])) != 0
    return OK


def _script(ctx: Context, argv: list[bytes]) -> Reply:
    """SCRIPT LIST|sha: write all cached scripts, or that one, into the log."""
    scripting = ctx.server.scripting
    if argv[2].lower() == b"list":
        found = list(scripting.scripts.values())
    elif len(argv[2]) == 40:
        found = [scripting.find(argv[2])]
    else:
        raise wrong_subcommand(argv)
    for script in found:
        ctx.server.log("#", f"SCRIPT SHA: {script.name.decode()}\n{script.text.decode('utf-8', 'replace')}")
    return OK


def _set_disable_deny_scripts(ctx: Context, argv: list[bytes]) -> Reply:
    """SET-DISABLE-DENY-SCRIPTS 0|1: let scripts call what makes no sense in them, to see that nothing breaks."""
    ctx.server.scripting.may_call_all = int(_leading_number(argv[2])) != 0
    return OK


def _set_skip_checksum_validation(ctx: Context, argv: list[bytes]) -> Reply:
    """SET-SKIP-CHECKSUM-VALIDATION 0|1: let RESTORE read what was damaged, to see that it finds the damage itself."""
    ctx.server.checks_seals = int(_leading_number(argv[2])) == 0
    return OK


# --- The server's identity, its end, and what is not there -----------------------------------------------------------


def _change_repl_id(ctx: Context, argv: list[bytes]) -> Reply:
    """CHANGE-REPL-ID: begin another history of this dataset."""
    ctx.server.replid = b"%040x" % ctx.rng.getrandbits(160)
    return OK


def _config_rewrite_force_all(ctx: Context, argv: list[bytes]) -> Reply:
    """CONFIG-REWRITE-FORCE-ALL: CONFIG REWRITE, and what is at its default is written too."""
    failed = b"ERR CONFIG-REWRITE-FORCE-ALL failed: "
    if not ctx.server.config.path:
        raise ReplyError(failed + b"Bad address")  # what the system says to Redis then
    try:
        rewrite_config_file(ctx.server, everything=True)
    except ReplyError as failure:
        raise ReplyError(failed + failure.text.removeprefix(b"ERR ")) from failure
    return OK


def _replicate(ctx: Context, argv: list[bytes]) -> Reply:
    """REPLICATE target words...: tell replicas and the log what never happened here, so that data diverges."""
    if len(argv) > 3:
        ctx.server.propagation.also(ctx.db.id, argv[3:])
    return OK


def _leak(ctx: Context, argv: list[bytes]) -> Reply:
    """LEAK text: keep it for ever."""
    ctx.server.leaked.append(argv[2])
    return OK


def _assert(ctx: Context, argv: list[bytes]) -> Reply:
    """ASSERT: fail an assertion."""
    raise AssertionError("DEBUG ASSERT")


def _crash(ctx: Context, argv: list[bytes]) -> Reply:
    """PANIC, SEGFAULT, OOM: end the process as if it had crashed, with the exit code of its kind."""
    name = argv[1].upper().decode()
    ctx.server.log("#", f"DEBUG {name}: this process ends here, without a word to anybody.")
    ctx.server.stop(CRASHES[name])
    return NO_REPLY


CRASHES: Final = {"PANIC": 134, "OOM": 134, "SEGFAULT": 139}
"""128 and the signal's number: SIGABRT, SIGSEGV."""


def _switch(ctx: Context, argv: list[bytes]) -> Reply:
    """Check the words of a switch that moves nothing here."""
    name = argv[1].upper()
    check, reason = SWITCHES[name]
    check(argv)
    ctx.server.log("#", f"DEBUG {name.decode()} has no effect: {reason}")
    return OK


def _is_threshold(argv: list[bytes]) -> None:
    found = re.fullmatch(rb"([0-9]+)(|b|kb?|mb?|gb?)", argv[2].lower() or b"0")
    factor = {b"": 1, b"b": 1, b"k": 1000, b"m": 1000**2, b"g": 1000**3, b"kb": 2**10, b"mb": 2**20, b"gb": 2**30}
    if found is None or int(found[1]) * factor[found[2]] >= 2**32:
        raise NOT_A_THRESHOLD


def _is_reply_buffer_option(argv: list[bytes]) -> None:
    match argv[2].upper():
        case b"RESIZING":
            pass
        case b"PEAK-RESET-TIME":
            if argv[3].upper() not in (b"NEVER", b"RESET"):
                integer(argv[3])
        case _:
            raise wrong_subcommand(argv)


NOT_A_THRESHOLD = ReplyError(b"ERR argument must be a memory value bigger than 1 and smaller than 4gb")
SWITCHES: Final[dict[bytes, tuple[Callable[[list[bytes]], None], str]]] = {
    b"DICT-RESIZING": (lambda argv: None, "a table grows and shrinks with each key"),
    b"QUICKLIST-PACKED-THRESHOLD": (_is_threshold, "which elements get a node of their own follows from the fill"),
    b"REPLYBUFFER": (_is_reply_buffer_option, "replies are kept in pieces, not in a buffer of some size"),
}


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
        "ASSERT",
        "    Crash by assertion failed.",
        "CHANGE-REPL-ID",
        "    Change the replication IDs of the instance.",
        "    Dangerous: should be used only for testing the replication subsystem.",
        "CONFIG-REWRITE-FORCE-ALL",
        "    Like CONFIG REWRITE but writes all configuration options, including",
        "    keywords not listed in original configuration file or default values.",
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "LEAK <string>",
        "    Create a memory leak of the input string.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "HTSTATS <dbid> [full]",
        "    Return hash table statistics of the specified Redis database.",
        "HTSTATS-KEY <key> [full]",
        "    Like HTSTATS but for the hash table stored at <key>'s value.",
        "REPLICATE <string>",
        "    Replicates the provided string to replicas, allowing data divergence.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "OOM",
        "    Crash the server simulating an out-of-memory error.",
        "PANIC",
        "    Crash the server simulating a panic.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix. These are not propagated to",
        "    replicas. Cluster slots are not respected so keys not belonging to the",
        "    current node can be created in cluster mode.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "RELOAD [option ...]",
        "    * DEBUG RELOAD: verify that the server is able to persist, flush and reload",
        "      the database.",
        "SDSLEN <key>",
        "    Show low level SDS string info representing `key` and value.",
        "SEGFAULT",
        "    Crash the server with sigsegv.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys (and hash-fields) in background ",
        "    when they are not accessed (otherwise the Redis behavior). Setting it",
        "    to 1 reenables back the default.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Sets the threshold for elements to be inserted as plain vs packed nodes",
        "    Default value is 1GB, allows values up to 4GB. Setting to 0 restores to default.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Enables or disables checksum checks for RDB files and RESTORE's payload.",
        "SLEEP <seconds>",
        "    Stop the server for <seconds>. Decimals allowed.",
        "STRINGMATCH-TEST",
        "    Run a fuzz tester against the stringmatchlen() function.",
        "LISTPACK <key>",
        "    Show low level info about the listpack encoding of <key>.",
        "QUICKLIST <key> [<0|1>]",
        "    Show low level info about the quicklist encoding of <key>.",
        "    The optional argument (0 by default) sets the level of detail",
        "PAUSE-CRON <0|1>",
        "    Stop periodic cron job processing.",
        "REPLYBUFFER PEAK-RESET-TIME <NEVER||RESET|time>",
        "    Sets the time (in milliseconds) to wait between client reply buffer peak resets.",
        "    In case NEVER is provided the last observed peak will never be reset",
        "    In case RESET is provided the peak reset time will be restored to the default value",
        "REPLYBUFFER RESIZING <0|1>",
        "    Enable or disable the reply buffer resize cron job",
        "DICT-RESIZING <0|1>",
        "    Enable or disable the main dict and expire dict resizing.",
        "SCRIPT <LIST|<sha>>",
        "    Output SHA and content of all scripts or of a specific script with its SHA.",
    )


Subcommand = tuple[int, int, "Callable[[Context, list[bytes]], Reply]"]
NO_SUBCOMMAND: Final[Subcommand] = (1, 0, _help)
SUBCOMMANDS: Final[dict[bytes, Subcommand]] = {
    b"assert": (0, ANY_NUMBER, _assert),
    b"change-repl-id": (0, 0, _change_repl_id),
    b"config-rewrite-force-all": (0, 0, _config_rewrite_force_all),
    b"dict-resizing": (1, 1, _switch),
    b"digest": (0, 0, _digest),
    b"digest-value": (0, ANY_NUMBER, _digest_value),
    b"error": (1, 1, _error),
    b"help": (0, 0, _help),
    b"htstats": (1, ANY_NUMBER, debug_htstats),
    b"htstats-key": (1, ANY_NUMBER, debug_htstats_key),
    b"leak": (1, 1, _leak),
    b"listpack": (1, 1, debug_listpack),
    b"log": (1, 1, _log),
    b"object": (1, 1, _object),
    b"oom": (0, ANY_NUMBER, _crash),
    b"panic": (0, ANY_NUMBER, _crash),
    b"pause-cron": (1, 1, _pause_cron),
    b"populate": (1, 3, _populate),
    b"protocol": (1, 1, _protocol),
    b"quicklist": (1, 2, debug_quicklist),
    b"quicklist-packed-threshold": (1, 1, _switch),
    b"reload": (0, ANY_NUMBER, debug_reload),
    b"replicate": (1, ANY_NUMBER, _replicate),
    b"replybuffer": (2, 2, _switch),
    b"script": (1, 1, _script),
    b"sdslen": (1, 1, debug_sdslen),
    b"segfault": (0, ANY_NUMBER, _crash),
    b"set-active-expire": (1, 1, _set_active_expire),
    b"set-disable-deny-scripts": (1, 1, _set_disable_deny_scripts),
    b"set-skip-checksum-validation": (1, 1, _set_skip_checksum_validation),
    b"sleep": (1, 1, _sleep),
    b"stringmatch-test": (0, 0, _stringmatch_test),
}
