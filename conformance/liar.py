"""A proxy that lies: a true server's replies, one of them altered. The judge is judged by whether it notices.

Each lie sees a command and the bytes of its reply and gives the bytes that the client gets instead; a push is shown
with `>` for a command. An early lie answers before the server was asked, and the true reply is dropped when it comes.

The proxy is honest about one thing that it cannot help: where CLIENT LIST names the proxy's own end of a connection, it
puts the client's, so that the runner finds its clients when it asks which of them wait.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from .wire import Address, Connection, Reply, WireClosed, WireGarbage, WireTimeout

Lie: TypeAlias = Callable[[list[bytes], Reply], bytes]
"""The command and its true reply; the bytes to send. Returning reply.raw is honest."""
EarlyLie: TypeAlias = Callable[[list[bytes]], bytes]
"""The command; the bytes to send before the server has seen it, or none."""
SUBSCRIPTION = (b"subscribe", b"psubscribe", b"ssubscribe", b"unsubscribe", b"punsubscribe", b"sunsubscribe")


def honest(argv: list[bytes], reply: Reply) -> bytes:
    return reply.raw


def in_turn(argv: list[bytes]) -> bytes:
    return b""


class Liar:
    """Listens on a free port, forwards to `target`, lies as told. Use as a context manager."""

    def __init__(self, target: Address, lie: Lie = honest, early: EarlyLie = in_turn) -> None:
        self.target = target
        self.lie = lie
        self.early = early
        self.told = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listener.getsockname()[:2]
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._addresses: dict[bytes, bytes] = {}
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Liar:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        # shutdown wakes the accept and every recv; close alone would leave them waiting.
        with self._lock:
            for one in (self._listener, *self._sockets):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets.add(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Requests are RESP arrays of bulks, so the reply reader reads them too."""
        upstream = socket.create_connection(self.target)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._addresses[_address(upstream.getsockname())] = _address(client.getpeername())
        requests, server = Connection.of(client, timeout=3600.0), Connection.of(upstream, timeout=3600.0)
        pending: deque[tuple[list[bytes], bool]] = deque()
        sending = threading.Lock()
        replies = threading.Thread(target=self._reply, args=(client, server, pending, sending), daemon=True)
        replies.start()
        with contextlib.suppress(WireClosed, WireTimeout, WireGarbage, OSError):
            while True:
                request = requests.read_reply()
                argv = [word.text for word in request.children]
                early = self.early(argv)
                pending.append((argv, bool(early)))
                if early:
                    self.told += 1
                    with sending:
                        client.sendall(early)
                server.send(request.raw)
        with contextlib.suppress(OSError):
            upstream.shutdown(socket.SHUT_RDWR)
        replies.join()
        server.close()
        with self._lock:
            self._sockets.discard(client)
        client.close()

    def _reply(
        self,
        client: socket.socket,
        server: Connection,
        pending: deque[tuple[list[bytes], bool]],
        sending: threading.Lock,
    ) -> None:
        with contextlib.suppress(WireClosed, WireTimeout, WireGarbage, OSError):
            while True:
                frame = server.read_frame()
                push = frame.kind == ">" and frame.children[0].text not in SUBSCRIPTION
                argv, told = ([b">"], False) if push else pending.popleft()
                if told:
                    continue
                if argv[:2] == [b"CLIENT", b"LIST"]:
                    frame = self._with_their_addresses(frame)
                answer = self.lie(argv, frame)
                self.told += answer != frame.raw
                with sending:
                    client.sendall(answer)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _with_their_addresses(self, reply: Reply) -> Reply:
        text = reply.value
        if not isinstance(text, bytes) or reply.kind not in "$=":
            return reply
        for ours, theirs in list(self._addresses.items()):
            text = text.replace(b" addr=%b " % ours, b" addr=%b " % theirs)
        return Reply(reply.kind, text, b"%b%d\r\n%b\r\n" % (reply.kind.encode(), len(text), text))


def _address(name: tuple[str, int]) -> bytes:
    return b"%b:%d" % (name[0].encode(), name[1])
