"""Waiting: what a handler returns that cannot be served yet.

Question it answers: how can one thread let ten thousand clients wait? It does not: BLPOP on an empty list *returns*
`Block`, and the node puts the client aside. When one of the keys is bound to a value of the right type, the node
runs the very same handler again (server/blocking.py). So there is no second BLPOP, and no state of a half-done command:
what a handler knew is its arguments, and those are kept.

A handler need not ask whether it may wait: inside MULTI or a script the node answers `on_timeout` at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mini_redis.commands.arguments import integer
from mini_redis.keyspace.types import Kind
from mini_redis.resp.reply import Reply, ReplyError
from mini_redis.structures.long_double import parse_long_double
from mini_redis.structures.numbers import INT64_MAX

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NOT_A_TIMEOUT = ReplyError(b"ERR timeout is not a float or out of range")
NOT_A_TIMEOUT_MS = ReplyError(b"ERR timeout is not an integer or out of range")
NEGATIVE_TIMEOUT = ReplyError(b"ERR timeout is negative")
TIMEOUT_OUT_OF_RANGE = ReplyError(b"ERR timeout is out of range")


AS_ON_TIMEOUT: Final = object()


class Block(NamedTuple):
    """The command has to wait."""

    keys: list[bytes]
    """It is run again as soon as one of them is bound to a value of `kind`..."""
    kind: Kind
    deadline_ms: int | None
    """Unix time; None waits for ever. If the command has to wait again, its first deadline stays."""
    on_timeout: Reply
    argv: list[bytes] | None = None
    """What to run instead of the client's words: XREAD's `$` means the end of the stream as it was at first."""
    at_once: Reply = AS_ON_TIMEOUT
    """What a transaction or a script is answered, where nobody can wait, if that is something else."""
    when_gone: bool = False
    """...or, for a consumer group, as soon as the key is gone or of another type."""


def without_waiting(block: Block) -> Reply:
    """The answer where nobody can wait."""
    return block.on_timeout if block.at_once is AS_ON_TIMEOUT else block.at_once


def blocking_timeout(ctx: Context, raw: bytes) -> int | None:
    """Read a timeout in seconds, fractions allowed, as the deadline of a `Block`; 0 is for ever."""
    seconds = parse_long_double(raw)
    if seconds is None:
        raise NOT_A_TIMEOUT
    if not seconds.is_finite:
        raise TIMEOUT_OUT_OF_RANGE
    scaled, exponent = seconds.significand * 1000, seconds.exponent
    # A part of a millisecond counts as a whole one: -(-x >> n) rounds up.
    return _deadline(ctx, scaled << exponent if exponent >= 0 else -(-scaled >> -exponent))


def blocking_timeout_ms(ctx: Context, raw: bytes) -> int | None:
    """Read a timeout in whole milliseconds as the deadline of a `Block`; 0 is for ever."""
    return _deadline(ctx, integer(raw, NOT_A_TIMEOUT_MS))


def _deadline(ctx: Context, timeout_ms: int) -> int | None:
    if timeout_ms < 0:
        raise NEGATIVE_TIMEOUT
    if timeout_ms == 0:
        return None
    if timeout_ms > INT64_MAX - ctx.now_ms:
        raise TIMEOUT_OUT_OF_RANGE
    return ctx.now_ms + timeout_ms
