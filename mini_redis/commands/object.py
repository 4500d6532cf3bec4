"""OBJECT: how a value is kept, and when it was used. For the curious; the answers are Redis's own.

Looking counts as a hit or a miss, but neither as a use of the key nor as a `keymiss` event: who looks at the clock must
not turn it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.keyspecs import key_at
from mini_redis.commands.registry import LOADING, READONLY, STALE, command, container, help_reply
from mini_redis.keyspace.types import type_of
from mini_redis.resp.reply import Reply, ReplyError

if TYPE_CHECKING:
    from mini_redis.server.context import Context

_ADJUST = b"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
NO_LFU = ReplyError(
    b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. " + _ADJUST,
)
NO_LRU = ReplyError(b"ERR An LFU maxmemory policy is selected, idle time not tracked. " + _ADJUST)

container("OBJECT", "Look at how a key's value is kept.", since="2.2.3", group="generic")


@command(
    "OBJECT ENCODING key",
    flags=READONLY,
    acl="keyspace",
    since="2.2.3",
    complexity="O(1)",
    keys=key_at(2, "RO"),
    tips="nondeterministic_output",
    group="generic",
)
def object_encoding(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how Redis would lay the value out in memory; null without key.

    Strings: `int`, `embstr` or `raw`, see keyspace/types.py.
    """
    db, key = ctx.db, argv[2]
    value = db.glance(key, announce_miss=False)
    return None if value is None else type_of(value).encoding(key, value, db.expire_at(key) is not None)


@command(
    "OBJECT FREQ key",
    flags=READONLY,
    acl="keyspace",
    since="4.0.0",
    complexity="O(1)",
    keys=key_at(2, "RO"),
    tips="nondeterministic_output",
    group="generic",
)
def object_freq(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how often the key is used, on a logarithmic scale from 0 to 255; null without key.

    Errors: no LFU policy is selected.
    """
    db, key = ctx.db, argv[2]
    if db.glance(key, announce_miss=False) is None:
        return None
    if not db.clocks.lfu:
        raise NO_LFU
    return db.frequency(key)


@command("OBJECT HELP", flags=LOADING | STALE, acl="keyspace", since="6.2.0", complexity="O(1)", group="generic")
def object_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "OBJECT",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
    )


@command(
    "OBJECT IDLETIME key",
    flags=READONLY,
    acl="keyspace",
    since="2.2.3",
    complexity="O(1)",
    keys=key_at(2, "RO"),
    tips="nondeterministic_output",
    group="generic",
)
def object_idletime(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many seconds ago the key was last used; null without key.

    Errors: an LFU policy is selected, so that uses are counted and not dated.
    """
    db, key = ctx.db, argv[2]
    if db.glance(key, announce_miss=False) is None:
        return None
    if db.clocks.lfu:
        raise NO_LRU
    return db.idle_seconds(key)


@command(
    "OBJECT REFCOUNT key",
    flags=READONLY,
    acl="keyspace",
    since="2.2.3",
    complexity="O(1)",
    keys=key_at(2, "RO"),
    tips="nondeterministic_output",
    group="generic",
)
def object_refcount(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell how many references the value has; null without key.

    Always 1 since Redis 8.2, where a value lives beside its key; before, small integers were shared.
    """
    return None if ctx.db.glance(argv[2], announce_miss=False) is None else 1
