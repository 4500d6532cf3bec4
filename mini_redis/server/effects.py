"""What a node asks of the outside world, once per turn of the loop, in the order in which it must happen.

The node never touches a socket or a file. It hands over these small tuples; the driver carries them out. The order is
the contract: whatever a turn logs stands before whatever it says to a client, so nobody reads a reply
whose command could still be lost. Redis decides the same thing at the same place, in beforeSleep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from mini_redis.server.client import Client


class Append(NamedTuple):
    """Add `data` to the log of write commands."""

    data: bytes


class Write(NamedTuple):
    """Send bytes to clients, in this order. What a socket does not take at once is the driver's to keep, and
    `Server.unsent` tells the node how much that is."""

    replies: list[tuple[Client, bytes]]


class Close(NamedTuple):
    """End a client's connection. With `flush`, after what was written before has been sent."""

    client: Client
    flush: bool


class Log(NamedTuple):
    """One line for the server's log; `level` is one of `.`, `-`, `*`, `#`: debug, verbose, notice, warning."""

    level: str
    text: str


class Exit(NamedTuple):
    """Stop the process, after everything before it has been done."""

    code: int


Effect: TypeAlias = Append | Write | Close | Log | Exit
