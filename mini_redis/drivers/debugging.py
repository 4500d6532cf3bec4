"""Sessions of SCRIPT DEBUG on real sockets: a script waits for its client, and with YES in a process of its own.

What is said is server/debugger.py's.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from mini_redis.resp.reply import ReplyError
from mini_redis.server.client import Client
from mini_redis.server.node import Server

SEND_PATIENCE: Final = struct.pack("ll", 5, 0)  # seconds, for who does not read


class Conversation:
    """A session of SCRIPT DEBUG: the socket is waited for, since the script does."""

    def __init__(self, sock: socket.socket, *, is_child: bool) -> None:
        self._sock = sock
        self._is_child = is_child
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_PATIENCE)

    def send(self, data: bytes) -> None:
        with suppress(OSError):
            self._sock.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._sock.recv(16 * 1024)
        except OSError:
            return b""

    def end(self) -> None:
        if self._is_child:
            os._exit(0)
        self._sock.setblocking(False)


class DebugSessions:
    """Those of one node. `others` tells what a process has to close that is forked for one client."""

    def __init__(self, server: Server, others: Callable[[Client], Iterator[Any]]) -> None:
        self._server = server
        self._others = others
        self._is_child = False
        self._children: set[int] = set()
        server.scripting.converse = self._converse
        if hasattr(os, "fork"):
            server.scripting.fork = self._fork

    def _converse(self, client: Client) -> Conversation:
        connection: Any = client.connection
        return Conversation(connection.sock, is_child=self._is_child)

    def _fork(self, client: Client) -> bool:
        """Whether this is the child, who keeps nothing but this client's socket. Raises ReplyError."""
        try:
            child = os.fork()
        except OSError as error:
            told = f"ERR Fork() failed: can't run EVAL in debugging mode: {error.strerror}"
            raise ReplyError(told.encode()) from None
        if child:
            self._children.add(child)
            return False
        self._is_child = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for other in self._others(client):
            other.close()
        return True

    def bury(self) -> None:
        """Take note of the processes that have ended. O(sessions)."""
        for child in list(self._children):
            if os.waitpid(child, os.WNOHANG)[0]:
                self._children.discard(child)

    def kill(self) -> None:
        """End all sessions that have a process of their own: the server ends."""
        self.bury()
        for child in self._children:
            self._server.log("#", f"Killing debugging session {child}")
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self._children.clear()
