"""The gates between a request and its handler: who may run what, and when.

Redis checks them one after the other in processCommand, for every command. Here each is a function, in that order, and
each says for itself which commands it concerns and whether it is on at all; the server asks once whenever its state
changes, and a command carries the tuple of gates that it really has to pass. A GET on a plain server passes none.

A gate raises a ReplyError to refuse, or `Postponed` to make the client wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mini_redis.commands.registry import ALLOW_BUSY, DENYOOM, MAY_REPLICATE, NO_AUTH, NO_MULTI, READONLY, WRITE, Command
from mini_redis.resp.reply import NO_AUTH as NO_AUTH_ERROR
from mini_redis.resp.reply import NOT_ALLOWED_IN_MULTI, OUT_OF_MEMORY, ReplyError

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
        b'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a'
        b" local connection, otherwise you need to set this option in the configuration file, and then restart the"
        b" server."
    )


def _authenticated(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """A stranger may only say who he is: AUTH, HELLO, QUIT, RESET."""
    if not client.authenticated:
        raise NO_AUTH_ERROR


def _permitted(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """The rules of the client's user: this command, on these keys, on these channels. A refusal is logged."""
    server.access.permit(client, command, argv)


def _not_in_multi(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """Some commands make no sense in a queue, for they change how the connection itself behaves."""
    if client.queue is not None:
        raise NOT_ALLOWED_IN_MULTI


def _tracking_limited(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """Nobody is refused: before each command the table of client-side caching is brought back below its limit."""
    server.tracking.limit()


SUBSCRIBERS_COMMANDS = frozenset(
    (b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe")
    + (b"ping", b"quit", b"reset")
)


def _has_room(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """maxmemory: evict keys first, whatever the command is; refuse what could grow if that was not enough."""
    if not server.eviction.make_room() and any(flags & DENYOOM for flags in _flags(server, client, command, argv)):
        raise OUT_OF_MEMORY


def _not_listening(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """RESP2 cannot tell a message from a reply, so a subscriber asks nothing that would be replied to."""
    if client.subscriptions and client.resp == 2:
        raise ReplyError(
            b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this"
            b" context" % command.name
        )


def _only_watches(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """A monitor hears of everything, whatever its own rights and however busy the server; so it may not touch data."""
    if client.monitoring:
        raise ReplyError(b"ERR Replica can't interact with the keyspace")


def _no_script_runs(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """While a script does not end, nobody is served, but whoever wants to end it is heard."""
    raise server.scripting.busy_error()


def _not_paused(server: Server, client: Client, command: Command, argv: list[bytes]) -> None:
    """CLIENT PAUSE: everything waits, or only what could change data. Nothing is refused, nothing is lost."""
    if client.monitoring:
        return
    concerned = WRITE | MAY_REPLICATE
    if not server.pause_writes_only or any(flags & concerned for flags in _flags(server, client, command, argv)):
        raise Postponed


def _flags(server: Server, client: Client, command: Command, argv: list[bytes]) -> Iterator[int]:
    """The flags of a call, a script's own if it declares them; of EXEC those of each call that is queued."""
    calls = [(command.name, command.flags, argv)]
    if command.name == b"exec":
        calls = [(queued.name, queued.command.flags, words) for queued, words in client.queue or ()]
    return (server.scripting.flags_of_call(*call) for call in calls)


def _always(server: Server) -> bool:
    return True


def _has_password(server: Server) -> bool:
    return server.access.asks_for_password


def _has_rules(server: Server) -> bool:
    return server.access.restricts


def _limits_memory(server: Server) -> bool:
    return bool(server.config.maxmemory) and not server.scripting.busy


def _has_subscribers(server: Server) -> bool:
    return bool(server.pubsub.subscribers)


def _has_monitors(server: Server) -> bool:
    return bool(server.observation.monitors)


def _has_caches(server: Server) -> bool:
    return bool(server.tracking.clients)


def _is_busy(server: Server) -> bool:
    return server.scripting.busy


def _is_paused(server: Server) -> bool:
    return server.paused_until_ms > 0


GATES: tuple[Gate, ...] = (
    Gate(_always, lambda command: command.name.startswith(b"debug"), _debug_enabled),
    Gate(_has_password, lambda command: not command.flags & NO_AUTH, _authenticated),
    Gate(_always, lambda command: bool(command.flags & NO_MULTI), _not_in_multi),
    Gate(_has_rules, lambda command: not command.flags & NO_AUTH, _permitted),
    Gate(_limits_memory, lambda command: True, _has_room),
    Gate(_has_caches, lambda command: True, _tracking_limited),
    Gate(_has_subscribers, lambda command: command.name not in SUBSCRIBERS_COMMANDS, _not_listening),
    Gate(_is_busy, lambda command: not command.flags & ALLOW_BUSY, _no_script_runs),
    Gate(_has_monitors, lambda command: bool(command.flags & (WRITE | READONLY | MAY_REPLICATE)), _only_watches),
    Gate(_is_paused, lambda command: True, _not_paused),
)


def is_local(address: str) -> bool:
    """Whether the peer is this machine: loopback, or a Unix socket."""
    host = address.rpartition(":")[0]
    return host.startswith("127.") or host in ("[::1]", "::1") or address.startswith("/") or address.endswith(":0")
