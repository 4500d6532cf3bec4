"""A proxy that lies: a true server's replies, one of them altered. The judge is judged by whether it notices.

Requests and replies pass one at a time per connection, as the runner sends them; each lie sees the command and the
bytes of its reply and gives the bytes that the client gets instead.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TypeAlias

from .wire import Address, Connection, Reply, WireClosed, WireGarbage, WireTimeout

Lie: TypeAlias = Callable[[list[bytes], Reply], bytes]
"""The command and its true reply; the bytes to send. Returning reply.raw is honest."""


class Liar:
    """Listens on a free port, forwards to `target`, lies as told. Use as a context manager."""

    def __init__(self, target: Address, lie: Lie) -> None:
        self.target = target
        self.lie = lie
        self.told = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listener.getsockname()[:2]
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
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
        requests = Connection.of(client, timeout=3600.0)
        server = Connection(self.target)
        try:
            while True:
                request = requests.read_reply()
                server.send(request.raw)
                reply = server.read_reply()
                answer = self.lie([word.text for word in request.children], reply)
                self.told += answer != reply.raw
                client.sendall(answer)
        except (WireClosed, WireTimeout, WireGarbage, OSError):
            pass
        finally:
            server.close()
            with self._lock:
                self._sockets.discard(client)
            client.close()
