"""Pub/sub: subscribe, publish, and look who is listening. What happens to a message is in server/pubsub.py.

Each subscription is confirmed by a push of its own, with the number of those that the client now has; so SUBSCRIBE with
three channels has three answers. In RESP3 pushes and replies are told apart by their type, and a subscriber may do
whatever it likes; in RESP2 they are not, so a subscriber may only subscribe, unsubscribe, ping and leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.keyspecs import key_at, key_range
from mini_redis.commands.registry import (
    FAST,
    LOADING,
    MAY_REPLICATE,
    NOSCRIPT,
    PUBSUB,
    STALE,
    command,
    container,
    help_reply,
    wrong_subcommand,
)
from mini_redis.resp.reply import Frames, Push, Reply, ReplyError
from mini_redis.structures.glob import glob_matcher

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_INSIDE_MULTI = ReplyError(b"ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
CHANNELS, PATTERNS, SHARDS = range(3)  # the tables of server/pubsub.py
COUNTED_TOGETHER = {CHANNELS: (CHANNELS, PATTERNS), PATTERNS: (CHANNELS, PATTERNS), SHARDS: (SHARDS,)}


@command(
    "SUBSCRIBE channel ...",
    flags=PUBSUB | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
)
def subscribe(ctx: Context, argv: list[bytes]) -> Reply:
    """Listen to channels: from now on their messages come as pushes."""
    return _subscribe(ctx, argv, CHANNELS, b"subscribe")


@command(
    "PSUBSCRIBE pattern ...",
    flags=PUBSUB | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
)
def psubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    """Listen to all channels whose names fit patterns."""
    return _subscribe(ctx, argv, PATTERNS, b"psubscribe")


@command(
    "SSUBSCRIBE shardchannel ...",
    flags=PUBSUB | NOSCRIPT | LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to subscribe to.",
    keys=key_range(1, -1, "not_key"),
)
def ssubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    """Listen to shard channels: in a cluster, those of one slot stay on its node.

    Errors: inside of a transaction, where the older two are allowed only because they always were.
    """
    if ctx.client.queue is not None:
        raise NOT_INSIDE_MULTI
    return _subscribe(ctx, argv, SHARDS, b"ssubscribe")


def _subscribe(ctx: Context, argv: list[bytes], table: int, word: bytes) -> Reply:
    answers = Frames()
    for name in argv[1:]:
        ctx.server.pubsub.subscribe(ctx.client, table, name)
        answers.append(Push([word, name, _count(ctx, table)]))
    return answers


@command(
    "UNSUBSCRIBE [channel ...]",
    flags=PUBSUB | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to unsubscribe.",
)
def unsubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    """Listen to channels no longer; to none if none is named."""
    return _unsubscribe(ctx, argv, CHANNELS, b"unsubscribe")


@command(
    "PUNSUBSCRIBE [pattern ...]",
    flags=PUBSUB | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
)
def punsubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    """Listen to patterns no longer; to none if none is named."""
    return _unsubscribe(ctx, argv, PATTERNS, b"punsubscribe")


@command(
    "SUNSUBSCRIBE [shardchannel ...]",
    flags=PUBSUB | NOSCRIPT | LOADING | STALE,
    since="7.0.0",
    complexity="O(N) where N is the number of shard channels to unsubscribe.",
    keys=key_range(1, -1, "not_key"),
)
def sunsubscribe(ctx: Context, argv: list[bytes]) -> Reply:
    """Listen to shard channels no longer; to none if none is named."""
    return _unsubscribe(ctx, argv, SHARDS, b"sunsubscribe")


def _unsubscribe(ctx: Context, argv: list[bytes], table: int, word: bytes) -> Reply:
    own = ctx.client.subscriptions
    names = argv[1:] or (list(own[table]) if own else [])
    answers = Frames()
    for name in names:
        ctx.server.pubsub.unsubscribe(ctx.client, table, name)
        answers.append(Push([word, name, _count(ctx, table)]))
    return answers or Frames([Push([word, None, _count(ctx, table)])])


def _count(ctx: Context, table: int) -> int:
    own = ctx.client.subscriptions
    return sum(len(own[each]) for each in COUNTED_TOGETHER[table]) if own else 0


@command(
    "PUBLISH channel message",
    flags=PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE,
    since="2.0.0",
    complexity=(
        "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total "
        "number of subscribed patterns (by any client)."
    ),
)
def publish(ctx: Context, argv: list[bytes]) -> Reply:
    """Send a message to all who listen; answers how many that are, on this node."""
    return ctx.server.publish(argv[1], argv[2])


@command(
    "SPUBLISH shardchannel message",
    flags=PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE,
    since="7.0.0",
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
    keys=key_at(1, "not_key"),
)
def spublish(ctx: Context, argv: list[bytes]) -> Reply:
    """Send a message to all who listen to a shard channel; answers how many that are."""
    return ctx.server.pubsub.publish_to_shard(argv[1], argv[2])


# --- Who is listening ------------------------------------------------------------------------------------------------

container("PUBSUB", "See who listens to what.", since="2.8.0", group="pubsub")


@command(
    "PUBSUB CHANNELS [pattern]",
    flags=PUBSUB | LOADING | STALE,
    since="2.8.0",
    complexity=(
        "O(N) where N is the number of active channels, and assuming constant time pattern matching "
        "(relatively short channels and patterns)"
    ),
)
def pubsub_channels(ctx: Context, argv: list[bytes]) -> Reply:
    """List the channels that somebody listens to, all or those whose names fit a pattern."""
    return _names(ctx, argv, CHANNELS)


@command(
    "PUBSUB SHARDCHANNELS [pattern]",
    flags=PUBSUB | LOADING | STALE,
    since="7.0.0",
    complexity=(
        "O(N) where N is the number of active shard channels, and assuming constant time pattern matching "
        "(relatively short shard channels)."
    ),
)
def pubsub_shardchannels(ctx: Context, argv: list[bytes]) -> Reply:
    """List the shard channels that somebody listens to, all or those whose names fit a pattern."""
    return _names(ctx, argv, SHARDS)


def _names(ctx: Context, argv: list[bytes], table: int) -> Reply:
    if len(argv) > 3:
        raise wrong_subcommand(argv)
    names = list(ctx.server.pubsub.tables[table])
    if len(argv) == 2:
        return names
    matches = glob_matcher(argv[2])
    return [name for name in names if matches(name)]


@command(
    "PUBSUB NUMSUB [channel ...]",
    flags=PUBSUB | LOADING | STALE,
    since="2.8.0",
    complexity="O(N) for the NUMSUB subcommand, where N is the number of requested channels",
)
def pubsub_numsub(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell of channels how many listen to each, patterns not counted."""
    return _numbers(ctx, argv, CHANNELS)


@command(
    "PUBSUB SHARDNUMSUB [shardchannel ...]",
    flags=PUBSUB | LOADING | STALE,
    since="7.0.0",
    complexity="O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
)
def pubsub_shardnumsub(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell of shard channels how many listen to each."""
    return _numbers(ctx, argv, SHARDS)


def _numbers(ctx: Context, argv: list[bytes], table: int) -> Reply:
    clients = ctx.server.pubsub.tables[table]
    return [part for name in argv[2:] for part in (name, len(clients.get(name, ())))]


@command(
    "PUBSUB NUMPAT",
    flags=PUBSUB | LOADING | STALE,
    since="2.8.0",
    complexity="O(1)",
)
def pubsub_numpat(ctx: Context, argv: list[bytes]) -> Reply:
    """Count the patterns that somebody listens to."""
    return len(ctx.server.pubsub.tables[PATTERNS])


@command(
    "PUBSUB HELP",
    flags=LOADING | STALE,
    since="6.2.0",
    complexity="O(1)",
)
def pubsub_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "PUBSUB",
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    )
