"""The gates between a request and its handler: who may run what, and when.

Redis checks them one after the other in processCommand, for every command. Here each is a function, in that order, and
each says for itself which commands it concerns and whether it is on at all; the server asks once whenever its state
changes, and a command carries the tuple of gates that it really has to pass. A GET on a plain server passes none.

A gate raises a ReplyError to refuse, or `Postponed` to make the client wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mini_redis.commands.registry import MAY_REPLICATE, NO_AUTH, NO_MULTI, WRITE, Command
from mini_redis.resp.reply import NO_AUTH as NO_AUTH_ERROR
from mini_redis.resp.reply import NOT_ALLOWED_IN_MULTI, ReplyError

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.node import Server


class Postponed(Exception):
    """The request waits, unread, until the server is unpaused."""


@dataclass(frozen=True, slots=True)
class Gate:
    """`check` runs for commands that are `concerned`, while the server `stands` it."""

    stands: Callable[[Server], bool]
    concerned: Callable[[Command], bool]
    check: Callable[[Server, Client, Command, list[bytes]], None]


def _debug_enabled(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """DEBUG can distort a server, so it is off unless the configuration says `yes`, or `local` for loopback."""
    allowed = server.config.enable_debug_command
    if allowed == b"yes" or (allowed == b"local" and is_local(client.address)):
        return
    raise ReplyError(
        b"ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a"
        b" local connection, otherwise you need to set this option in the configuration file, and then restart the"
        b" server."
    )


def _authenticated(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """A stranger may only say who he is: AUTH, HELLO, QUIT, RESET."""
    if not client.authenticated:
        raise NO_AUTH_ERROR


def _not_in_multi(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """Some commands make no sense in a queue, for they change how the connection itself behaves."""
    if client.queue is not None:
        raise NOT_ALLOWED_IN_MULTI


def _not_paused(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """CLIENT PAUSE: everything waits, or only what could change data. Nothing is refused, nothing is lost."""
    if server.pause_writes_only:
        concerned = command.flags & (WRITE | MAY_REPLICATE) or (
            command.name == b"exec"
            and any(queued.command.flags & (WRITE | MAY_REPLICATE) for queued, _ in client.queue or ())
        )
        if not concerned:
            return
    raise Postponed


def _always(server: Server) -> bool:
    return True


def _has_password(server: Server) -> bool:
    return bool(server.config.requirepass)


def _is_paused(server: Server) -> bool:
    return server.paused_until_ms > 0


GATES: tuple[Gate, ...] = (
    Gate(_always, lambda command: command.name.startswith(b"debug"), _debug_enabled),
    Gate(_has_password, lambda command: not command.flags & NO_AUTH, _authenticated),
    Gate(_always, lambda command: bool(command.flags & NO_MULTI), _not_in_multi),
    Gate(_is_paused, lambda command: True, _not_paused),
)


def is_local(address: str) -> bool:
    """Whether the peer is this machine: loopback, or a Unix socket."""
    host = address.rpartition(":")[0]
    return host.startswith("127.") or host in ("[::1]", "::1") or address.startswith("/") or address.endswith(":0")
