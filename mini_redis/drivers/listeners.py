"""The sockets on which clients arrive: `port`, `bind` and `unixsocket`, which may change while the server runs.

Question it answers: how does a server move to another port without being unreachable in between, and without losing
the old one if the new one is taken? The new sockets are opened beside the old ones, which are closed only when all the
new ones could be had. `*:6379` cannot be had beside `127.0.0.1:6379`, though: then the old ones go first, and come back
if that did not help.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Any

from mini_redis.drivers.poller import IN
from mini_redis.server.config_kinds import BadValue
from mini_redis.server.node import Server


class Listeners:
    """Those of one node, registered with the loop's poller."""

    def __init__(self, server: Server, poller: Any) -> None:
        self._server = server
        self._config = server.config
        self._poller = poller
        self.by_number: dict[int, socket.socket] = {}  # by file descriptor

    @property
    def port(self) -> int:
        """The TCP port that is listened on, chosen by the system if the configuration said 0."""
        for listener in self.by_number.values():
            if listener.family != socket.AF_UNIX:
                return int(listener.getsockname()[1])
        return 0

    def open(self, *, any_port: bool = False) -> None:
        """Listen where the configuration says, and no longer anywhere else; `any_port` lets the system choose.

        Raises OSError if some socket cannot be had; then nothing has changed.
        """
        config = self._config
        open_already = {_name(listener): listener for listener in self.by_number.values()}
        wanted: list[socket.socket] = []
        try:
            if config.port or any_port:
                for address in config.bind:
                    listener = self._bound(address.decode(), 0 if any_port else config.port, open_already)
                    if listener is not None:
                        wanted.append(listener)
            if config.unixsocket:
                path = os.fsdecode(config.unixsocket)
                wanted.append(open_already.get(path) or self._bound_to_path(path))
        except OSError:
            for listener in wanted:
                if listener.fileno() not in self.by_number:
                    listener.close()
            raise
        self.close(keep=wanted)
        for listener in wanted:
            if listener.fileno() not in self.by_number:
                self._add(listener)
        self._server.environment.tcp_port = self.port

    def close(self, keep: Sequence[socket.socket] = ()) -> None:
        """Stop listening, but for those to keep."""
        for number, listener in list(self.by_number.items()):
            if listener in keep:
                continue
            del self.by_number[number]
            self._poller.unregister(number)
            if listener.family == socket.AF_UNIX:
                os.unlink(listener.getsockname())
            listener.close()

    # --- CONFIG SET ---------------------------------------------------------------------------------------------------

    def move_port(self) -> None:
        """`port` has changed. Raises BadValue, and listens where it did, if that cannot be had."""
        self._move(b"Unable to listen on this port. Check server logs.")

    def move_addresses(self) -> None:
        """`bind` has changed; likewise."""
        self._move(b"Failed to bind to specified addresses.")

    def _move(self, refusal: bytes) -> None:
        try:
            try:
                self.open()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or self._config.port != self.port:
                    raise
                self._move_by_closing_first()
        except OSError as error:
            self._server.log("#", f"Could not listen: {error.strerror}")
            raise BadValue(refusal) from None

    def _move_by_closing_first(self) -> None:
        unix = [listener for listener in self.by_number.values() if listener.family == socket.AF_UNIX]
        old = [_name(listener) for listener in self.by_number.values() if listener not in unix]
        self.close(keep=unix)
        try:
            self.open()
        except OSError:
            for host, port in old:
                listener = self._bound(host, port, {})
                assert listener is not None, "only an address with `-` in front may be missing"
                self._add(listener)
            raise

    # --- One socket ---------------------------------------------------------------------------------------------------

    def _add(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self.by_number[listener.fileno()] = listener
        self._poller.register(listener.fileno(), IN)

    def _bound(self, address: str, port: int, open_already: dict[Any, socket.socket]) -> socket.socket | None:
        """A listening socket; None if the address is optional (`-` in front) and this machine does not have it."""
        optional = address.startswith("-")
        address = address.removeprefix("-")
        host = {"*": "0.0.0.0", "::*": "::"}.get(address, address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if (host, port) in open_already:
            return open_already[host, port]
        listener = None
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
            listener.listen(self._config.tcp_backlog)
        except OSError as error:
            if listener is not None:
                listener.close()
            if optional and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                return None
            raise
        return listener

    def _bound_to_path(self, path: str) -> socket.socket:
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        if self._config.unixsocketperm:
            os.chmod(path, self._config.unixsocketperm)
        listener.listen(self._config.tcp_backlog)
        return listener


def _name(listener: socket.socket) -> Any:
    """(host, port), or the path of a Unix socket."""
    name = listener.getsockname()
    return name if listener.family == socket.AF_UNIX else name[:2]
