"""The event loop: one thread, many sockets. Redis's ae.c and networking.c in one file.

Question it answers: how does one thread serve ten thousand clients? It never waits for any one of them. `poll` says
which sockets have something; from each a bounded piece is read, whole commands are run, and at the end of the turn the
replies go out, all those of a client in one send. A client that is slow to send has nothing to read, one that is slow
to read has its replies kept; neither makes anybody else wait.

    turn:  poll -> (read -> run) until all are served or 5 ms are over -> cron if due -> effects: log, replies, closing

The node decides, this file only does: it knows sockets and nothing of Redis.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from mini_redis.drivers.debugging import DebugSessions
from mini_redis.drivers.listeners import Listeners
from mini_redis.drivers.poller import HAS_EPOLL, IN, OUT, Poller
from mini_redis.drivers.process import ProcessEnvironment, SystemClock, raise_open_files_limit
from mini_redis.server.client import Client
from mini_redis.server.clock import Clock
from mini_redis.server.config import Config
from mini_redis.server.config_kinds import BadValue
from mini_redis.server.effects import Append, Close, Effect, Exit, Log, Write
from mini_redis.server.environment import Environment
from mini_redis.server.node import Server

READ_SIZE: Final = 16 * 1024  # at once from one client, and from all before it is run: more would make others wait
LARGEST_READ: Final = 1024 * 1024  # while a large argument is on its way
SEND_PIECES_AT_ONCE: Final = 64 * 1024 * 16
TURN_NS: Final = 5_000_000  # then replies go out and the cron runs, before those who are still ready are served
ACCEPTS_PER_TURN: Final = 1000
RESERVED_DESCRIPTORS: Final = 32
PATIENCE_MS: Final = 60_000  # for a client that is to be closed and still has to take replies
LEVELS: Final = {b"debug": ".-*#", b"verbose": "-*#", b"notice": "*#", b"warning": "#", b"nothing": ""}


class Connection:
    """A client's socket, and the replies that it has not taken yet."""

    __slots__ = ("client", "closing", "fd", "pending", "pending_bytes", "progress_ms", "recv", "send", "sock")

    client: Client

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.recv = sock.recv
        self.send = sock.send
        self.pending: deque[bytes | memoryview] = deque()
        self.pending_bytes = 0
        self.closing = False
        self.progress_ms = 0  # when the peer last took something, once `closing`


class EventLoop:
    """Runs one node on real sockets. `run` returns the exit code when the node is told to stop.

    `call_soon` is the only method that another thread may use.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        *,
        seed: int | None = None,
        environment: Environment | None = None,
        on_tick: Callable[[], None] | None = None,
        write_log: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self._poller = Poller()
        environment = environment or ProcessEnvironment()
        environment.multiplexing_api = "epoll" if HAS_EPOLL else "selectors"
        seed = int.from_bytes(os.urandom(8), "big") if seed is None else seed
        self.server = Server(config, clock or SystemClock(), seed, environment)
        self.server.scripting.meanwhile = self._serve_between
        self._sessions = DebugSessions(self.server, self._others)
        self._cpu_ns = 0  # how long the loop's thread has run, at the end of the last turn
        self._on_tick = on_tick or (lambda: None)
        self._write_log = write_log or self._print_log
        self._connections: dict[int, Connection] = {}
        self._leaving: set[Connection] = set()  # those to close once they have read their last replies
        self._listeners = Listeners(self.server, self._poller)
        self._calls: deque[Callable[[], None]] = deque()
        self._exit_code: int | None = None
        self._ready: deque[tuple[int, int]] = deque()  # whose turn it is to be read
        self._requests: deque[tuple[Client, bytes]] = deque()  # what was read, and is to be run
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.setblocking(False)
        self._poller.register(self._woken.fileno(), IN)
        self._respect_descriptor_limit()
        config.on_change.update(
            port=self._listeners.move_port,
            bind=self._listeners.move_addresses,
            maxclients=self._allow_more_clients,
        )

    # --- Around the loop ----------------------------------------------------------------------------------------------

    def listen(self, *, any_port: bool = False) -> None:
        """Open the sockets that the configuration names; `any_port` lets the system choose. Raises OSError."""
        self._listeners.open(any_port=any_port)

    @property
    def port(self) -> int:
        """The TCP port that is listened on, chosen by the system if the configuration said 0."""
        return self._listeners.port

    def _allow_more_clients(self) -> None:
        wanted = self.config.maxclients + RESERVED_DESCRIPTORS
        granted = raise_open_files_limit(wanted)
        if granted < wanted:
            text = b"The operating system is not able to handle the specified number of clients, try with %d"
            raise BadValue(text % (granted - RESERVED_DESCRIPTORS))

    def _respect_descriptor_limit(self) -> None:
        wanted = self.config.maxclients + RESERVED_DESCRIPTORS
        granted = raise_open_files_limit(wanted)
        if granted < wanted:
            self.config.maxclients = granted - RESERVED_DESCRIPTORS
            self.server.log("#", f"maxclients has been reduced to {self.config.maxclients} by the open files limit.")

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT end the server cleanly. Only the main thread may ask for this."""

        def handle(number: int, frame: object) -> None:
            def shut_down() -> None:
                self.server.log("#", f"Received {signal.Signals(number).name} scheduling shutdown...")
                self.server.stop()

            self.call_soon(shut_down)

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)

    def call_soon(self, function: Callable[[], None]) -> None:
        """Run `function` inside the loop's thread, at its next turn."""
        self._calls.append(function)
        try:
            self._waker.send(b".")
        except BlockingIOError:
            pass  # it is awake already
        except OSError:
            pass  # it has ended

    def run(self) -> int:
        """Serve until the node says Exit; its code."""
        try:
            self.perform_effects()
            self._cpu_ns = time.thread_time_ns()
            while self._exit_code is None:
                self._turn()
            return self._exit_code
        finally:
            self._listeners.close()
            self._sessions.kill()
            for connection in list(self._connections.values()):
                self._flush_last(connection)
                connection.sock.close()
            self._poller.close()
            self._waker.close()
            self._woken.close()

    # --- One turn -----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        server = self.server
        if not self._ready:
            wait_ms = 0 if self._requests else server.next_tick_ms - server.clock.wall_us() // 1000
            self._ready.extend(self._poller.poll(max(0.0, wait_ms / 1000) if wait_ms < 1000 else 1.0))
        start_ns = time.perf_counter_ns()

        while self._run(start_ns + TURN_NS) and self._ready:
            self._read(self._ready)

        if server.is_due(server.clock.wall_us() // 1000):
            server.tick()
            self._on_tick()
            self._sessions.bury()
        self.perform_effects()

        before_ns, self._cpu_ns = self._cpu_ns, time.thread_time_ns()
        server.stats.turn(time.perf_counter_ns() - start_ns, self._cpu_ns - before_ns)

    def _read(self, ready: deque[tuple[int, int]]) -> None:
        """Read from those who are ready, until that is READ_SIZE bytes.

        Only then it is run, not each request at once: between two visits to the kernel, a processor forgets our code.
        """
        connections, requests, room = self._connections, self._requests, READ_SIZE
        while ready and room > 0:
            fd, event = ready.popleft()
            connection = connections.get(fd)
            if connection is None:
                self._other_event(fd)
                continue
            if event & OUT:
                self._flush(connection)
                if not event & ~OUT:
                    continue
            try:
                large = connection.client.parser.needed > READ_SIZE
                data = connection.recv(LARGEST_READ if large else READ_SIZE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                requests.append((connection.client, data))
                room -= len(data)
            else:
                self._drop(connection)

    def _run(self, until_ns: int) -> bool:
        """Run what was read, but only until then; whether there is time for more."""
        requests, receive = self._requests, self.server.receive
        while requests:
            client, data = requests.popleft()
            receive(client, data)
            if time.perf_counter_ns() > until_ns:
                return False
        return True

    def _serve_between(self) -> None:
        """A script does not end: hear the others, who are most likely told so. The caller's turn has not ended."""
        caller = self.server.scripting.caller
        ready = deque(each for each in self._poller.poll(0) if not self._belongs_to(caller, each[0]))
        until_ns = time.perf_counter_ns() + TURN_NS
        while self._run(until_ns) and ready:
            self._read(ready)
        self._perform(self.server.take_effects_between())

    def _belongs_to(self, client: Client | None, fd: int) -> bool:
        return fd in self._connections and self._connections[fd].client is client

    def _other_event(self, fd: int) -> None:
        if listener := self._listeners.by_number.get(fd):
            self._accept(listener)
        elif fd == self._woken.fileno():
            self._woken.recv(4096)
            while self._calls:
                self._calls.popleft()()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EINTR):
                    continue
                self.server.log("#", f"Error accepting a client connection: {error.strerror}")
                return
            sock.setblocking(False)
            if sock.family == socket.AF_UNIX:
                path = listener.getsockname()
                addresses = f"{path}:0", f"{path}:0"
            else:
                self._tune(sock)
                addresses = _spelled(peer), _spelled(sock.getsockname())
            connection = Connection(sock)
            self._connections[connection.fd] = connection
            self._poller.register(connection.fd, IN)
            connection.client = self.server.connected(*addresses, connection.fd, connection)

    def _tune(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seconds = self.config.tcp_keepalive
        if not seconds:
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    def _others(self, client: Client) -> Iterator[Any]:
        """What a process that is forked for one client has to let go of."""
        yield self._poller
        yield from self._listeners.by_number.values()
        yield from (each.sock for each in self._connections.values() if each.client is not client)

    # --- Effects ------------------------------------------------------------------------------------------------------

    def perform_effects(self) -> None:
        """Carry out a turn's effects in their order."""
        self._perform(self.server.take_effects())

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Write(replies):
                    self._write(replies)
                case Close(client, flush):
                    if isinstance(client.connection, Connection):  # else the peer was quicker
                        self._close(client.connection, flush)
                case Log(level, text):
                    if level in LEVELS[self.config.loglevel]:
                        self._write_log(self._log_line(level, text))
                case Exit(code):
                    self._exit_code = code
                case Append():
                    raise AssertionError("the log of writes is switched on only by a driver that keeps one")
        if self._leaving:
            self._lose_patience()

    def _write(self, replies: list[tuple[Client, bytes]]) -> None:
        for client, data in replies:
            connection: Any = client.connection
            if connection.pending:
                self._keep(connection, data)
                continue
            try:
                sent = connection.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._drop(connection)
                continue
            if sent < len(data):
                self._keep(connection, memoryview(data)[sent:])
                self._poller.modify(connection.fd, IN | OUT)

    def _keep(self, connection: Connection, data: bytes | memoryview) -> None:
        """The socket does not take it now."""
        connection.pending.append(data)
        connection.pending_bytes += len(data)
        self.server.unsent(connection.client, connection.pending_bytes)

    def _flush(self, connection: Connection) -> None:
        """The socket takes bytes again: give it what has waited, but no more than its share of this turn."""
        given = 0
        while connection.pending and given < SEND_PIECES_AT_ONCE:
            piece = connection.pending[0]
            try:
                sent = connection.send(piece)
            except BlockingIOError:
                break
            except OSError:
                self._drop(connection)
                return
            given += sent
            connection.pending_bytes -= sent
            if sent < len(piece):
                connection.pending[0] = memoryview(piece)[sent:]
            else:
                connection.pending.popleft()
        self.server.unsent(connection.client, connection.pending_bytes)
        if given:
            connection.progress_ms = self.server.now_ms
        if not connection.pending:
            if connection.closing:
                self._forget(connection)
            else:
                self._poller.modify(connection.fd, IN)

    def _close(self, connection: Connection, flush: bool) -> None:
        if flush and connection.pending:
            connection.closing = True
            connection.progress_ms = self.server.now_ms
            self._leaving.add(connection)
            self._poller.modify(connection.fd, OUT)
        else:
            self._forget(connection)

    def _lose_patience(self) -> None:
        """Who has said QUIT but does not take his replies is no client any more, and CLIENT KILL cannot reach him."""
        longest_ago = self.server.now_ms - PATIENCE_MS
        for connection in [each for each in self._leaving if each.progress_ms < longest_ago]:
            self._forget(connection)

    def _drop(self, connection: Connection) -> None:
        """The peer is gone."""
        if connection.client.connection is connection:
            self._forget(connection)
            self.server.disconnected(connection.client)

    def _forget(self, connection: Connection) -> None:
        """Let go of the socket. From here on `client.connection` is None: the number may soon be somebody else's."""
        connection.client.release()
        self._leaving.discard(connection)
        del self._connections[connection.fd]
        self._poller.unregister(connection.fd)
        connection.pending.clear()
        connection.sock.close()

    def _flush_last(self, connection: Connection) -> None:
        """The process ends: one last try for what is pending, without waiting."""
        for piece in connection.pending:
            try:
                connection.send(piece)
            except OSError:
                return

    # --- The log ------------------------------------------------------------------------------------------------------

    def _log_line(self, level: str, text: str) -> str:
        now = time.time()
        stamp = time.strftime("%d %b %Y %H:%M:%S", time.localtime(now))
        return f"{os.getpid()}:M {stamp}.{int(now * 1000) % 1000:03d} {level} {text}"

    def _print_log(self, line: str) -> None:
        logfile = os.fsdecode(self.config.logfile)
        if logfile:
            with open(logfile, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        else:
            print(line, file=sys.stdout, flush=True)


class LoopThread:
    """An event loop in a thread of its own; a context manager that listens on entry and has ended on exit."""

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self._thread = threading.Thread(target=loop.run, name="mini-redis", daemon=True)

    def __enter__(self) -> EventLoop:
        self.loop.listen(any_port=not self.loop.config.port)
        self._thread.start()
        return self.loop

    def __exit__(self, *exc: object) -> None:
        self.loop.call_soon(self.loop.server.stop)
        self._thread.join()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run `function` in the loop's thread and wait for what it returns."""
        done = threading.Event()
        result: list[Any] = []

        def run() -> None:
            try:
                result.append(function())
            except Exception as error:  # raised again where the caller is
                result.append(error)
            finally:
                done.set()

        self.loop.call_soon(run)
        done.wait()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]


def _spelled(address: Any) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
