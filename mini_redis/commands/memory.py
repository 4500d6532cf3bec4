"""MEMORY: what a key costs, and where memory goes. The figures are those of server/memory.py and keyspace/memory.py.

MEMORY USAGE looks at what is there, expired or not, and leaves no trace: no hit, no miss, no use of the key. Who asks
what a key costs must not change what is evicted next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mini_redis.commands.arguments import integer
from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import LOADING, READONLY, STALE, command, container, help_reply
from mini_redis.keyspace.memory import usage
from mini_redis.resp.reply import OK, SYNTAX_ERROR, Reply, Verbatim

if TYPE_CHECKING:
    from mini_redis.server.context import Context
    from mini_redis.server.memory import Account

SAMPLES = 5
WORTH_A_LOOK = 5 * 2**20
MUCH_OVER_NOW = 1.5
LARGE_CLIENT = 200 * 1024
TOO_SMALL = (
    b"Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these"
    b" conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back"
    b" to our programming as soon as I finished rebooting.\n"
)
ALL_IS_WELL = (
    b"Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n"
)

container("MEMORY", "Tell where memory goes.", since="4.0.0", group="server")


@command(
    "MEMORY USAGE key [SAMPLES count]",
    flags=READONLY,
    since="4.0.0",
    complexity="O(N) where N is the number of samples.",
    keys=key_at(2, "RO"),
)
def memory_usage(ctx: Context, argv: list[bytes]) -> Reply:
    """Estimate the bytes that a key and its value take in Redis; null without key.

    Of a value of many elements so many are measured, 5 by default, and taken for the rest; 0: all.
    Errors: syntax; a count that is not an integer, or negative.
    """
    samples = SAMPLES
    words = iter(argv[3:])
    for word in words:
        count = next(words, None)
        if word.upper() != b"SAMPLES" or count is None:
            raise SYNTAX_ERROR
        samples = integer(count)
        if samples < 0:
            raise SYNTAX_ERROR

    db, key = ctx.db, argv[2]
    value = db.data.get(key)
    return None if value is None else usage(key, value, key in db.expires, samples)


@command(
    "MEMORY STATS",
    since="4.0.0",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def memory_stats(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell what memory is used for: a map, with a map of its own for each database that is not empty."""
    told = ctx.server.account_memory()
    resident = told.resident
    stats: dict[Reply, Reply] = {
        b"peak.allocated": told.peak,
        b"total.allocated": told.used,
        b"startup.allocated": told.startup,
        b"replication.backlog": 0,
        b"replica.fullsync.buffer": 0,
        b"clients.slaves": 0,
        b"clients.normal": told.clients,
        b"cluster.links": 0,
        b"aof.buffer": 0,
        b"lua.caches": told.scripts,
        b"functions.caches": told.functions,
        b"script.VMs": sum(told.interpreters),
    }
    for number, tables in told.tables.items():
        stats[b"db.%d" % number] = {
            b"overhead.hashtable.main": tables.main,
            b"overhead.hashtable.expires": tables.expires,
        }
    stats |= {
        b"overhead.db.hashtable.lut": told.table_slots,
        b"overhead.db.hashtable.rehashing": 0,
        b"overhead.total": told.overhead,
        b"db.dict.rehashing.count": 0,
        b"keys.count": told.keys,
        b"keys.bytes-per-key": told.net // told.keys if told.keys else 0,
        b"dataset.bytes": told.dataset,
        b"dataset.percentage": told.dataset_percent,
        b"peak.percentage": told.peak_percent,
        b"allocator.allocated": resident,
        b"allocator.active": resident,
        b"allocator.resident": resident,
        b"allocator.muzzy": 0,
        b"allocator-fragmentation.ratio": 1.0,
        b"allocator-fragmentation.bytes": 0,
        b"allocator-rss.ratio": 1.0,
        b"allocator-rss.bytes": 0,
        b"rss-overhead.ratio": 1.0,
        b"rss-overhead.bytes": 0,
        b"fragmentation": told.resident_ratio,
        b"fragmentation.bytes": resident - told.used,
    }
    return stats


@command(
    "MEMORY DOCTOR",
    since="4.0.0",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def memory_doctor(ctx: Context, argv: list[bytes]) -> Reply:
    """Look for what is wrong with the use of memory, and say what to do.

    Fragmentation is no finding here: that Python's objects are larger than what Redis would use is no illness.
    """
    told = ctx.server.account_memory()
    if told.used < WORTH_A_LOOK:
        return Verbatim(TOO_SMALL)
    findings = list(_findings(told, len(ctx.server.clients)))
    if not findings:
        return Verbatim(ALL_IS_WELL)
    return Verbatim(b"Sam, there is something about this instance's memory:\n\n" + b"\n".join(findings))


def _findings(told: Account, clients: int) -> Iterator[bytes]:
    if told.peak > told.used * MUCH_OVER_NOW:
        yield (
            b" * Peak: at its highest, memory was more than one and a half times what it is now. The process may keep"
            b" what was freed since, so its resident size can look large beside its data. Nothing has to be done, or"
            b" try MEMORY PURGE.\n"
        )
    if told.clients > clients * LARGE_CLIENT:
        yield (
            b" * Large clients: on average a client's buffers take more than 200 kB. Somebody sends pipelines that are"
            b" too long, or does not read his replies. CLIENT LIST shows who (tot-mem); maxmemory-clients and"
            b" client-output-buffer-limit end it.\n"
        )


@command(
    "MEMORY MALLOC-STATS",
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def memory_malloc_stats(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the allocator's own statistics; Python's has none to tell, and this is what Redis then says."""
    return Verbatim(b"Stats not supported for the current allocator")


@command(
    "MEMORY PURGE",
    since="4.0.0",
    complexity="Depends on how much memory is allocated, could be slow",
    tips="request_policy:all_shards response_policy:all_succeeded",
)
def memory_purge(ctx: Context, argv: list[bytes]) -> Reply:
    """Ask the allocator to give back to the system what it keeps for later."""
    ctx.server.environment.give_back_memory()
    return OK


@command("MEMORY HELP", flags=LOADING | STALE, since="4.0.0", complexity="O(1)")
def memory_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "MEMORY",
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
    )
