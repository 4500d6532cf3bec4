"""The event loop with real sockets: hostile clients, limits, clean endings. Nobody is harmed by anybody else."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mini_redis.testing
from mini_redis.drivers import event_loop
from mini_redis.drivers.event_loop import READ_SIZE
from mini_redis.drivers.poller import SelectorPoller
from mini_redis.resp.parser import encode_request
from mini_redis.server.client import Client
from mini_redis.testing import RunningServer

DEADLINE = 20.0  # seconds after which something that should have happened has not


@contextmanager
def connection(server: RunningServer) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), timeout=DEADLINE) as sock:
        yield sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def read_to_the_end(sock: socket.socket) -> bytes:
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def talk(sock: socket.socket, *words: bytes, end: bytes = b"\r\n") -> bytes:
    sock.sendall(encode_request(list(words)))
    return read_until(sock, end)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with mini_redis.testing.run() as running:
        yield running


def test_half_a_request_disturbs_nobody(server: RunningServer) -> None:
    with connection(server) as half, connection(server) as other:
        half.sendall(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nva")
        assert talk(other, b"PING") == b"+PONG\r\n"
        half.sendall(b"lue\r\n")
        assert read_until(half, b"\r\n") == b"+OK\r\n"


def test_byte_by_byte(server: RunningServer) -> None:
    with connection(server) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode_request([b"ECHO", b"slow"]):
            sock.send(bytes([byte]))
        assert read_until(sock, b"slow\r\n") == b"$4\r\nslow\r\n"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"*99999999999\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n$99999999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n!", b""),
        (b"x" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
        (b"PING\r\n*1\r\n:1\r\n", b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n"),
    ],
)
def test_damage_ends_that_connection_only(server: RunningServer, sent: bytes, answer: bytes) -> None:
    with connection(server) as sock, connection(server) as other:
        sock.sendall(sent)
        if answer:
            assert read_to_the_end(sock) == answer
        assert talk(other, b"PING") == b"+PONG\r\n"


def test_where_there_is_no_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "Poller", SelectorPoller)
    with mini_redis.testing.run() as server, connection(server) as sock:
        assert talk(sock, b"SET", b"k", b"v" * 5_000_000) == b"+OK\r\n"
        sock.sendall(encode_request([b"GET", b"k"]) * 3)  # too much for the socket: the rest waits until it can be sent
        assert read_until(sock, (b"$5000000\r\n" + b"v" * 5_000_000 + b"\r\n") * 3)


def test_a_large_value_comes_and_goes(server: RunningServer) -> None:
    value = os.urandom(1024) * 8192
    with connection(server) as sock:
        assert talk(sock, b"SET", b"large", value) == b"+OK\r\n"
        sock.sendall(encode_request([b"GET", b"large"]))
        expected = b"$%d\r\n%b\r\n" % (len(value), value)
        received = bytearray()
        while len(received) < len(expected):
            received += sock.recv(1 << 20)
        assert bytes(received) == expected
        talk(sock, b"DEL", b"large")


def test_a_client_that_never_reads_is_kept_apart_and_then_ended() -> None:
    limits = "normal 4mb 0 0"
    with (
        mini_redis.testing.run(client_output_buffer_limit=limits) as server,
        connection(server) as greedy,
        connection(server) as other,
    ):
        assert talk(other, b"SET", b"k", b"x" * 1_000_000) == b"+OK\r\n"
        greedy.sendall(encode_request([b"GET", b"k"]) * 200)
        assert talk(other, b"PING") == b"+PONG\r\n"
        received = read_to_the_end(greedy)
        assert len(received) < 200 * 1_000_000
        count = server.inspect(lambda node: node.stats.output_buffer_disconnections)
        assert count == 1


def test_the_hard_limit_also_counts_within_a_turn() -> None:
    """A hundred bytes can ask for gigabytes: the replies are not all made first and measured then."""
    with mini_redis.testing.run(client_output_buffer_limit="normal 4mb 0 0") as server, connection(server) as greedy:
        assert talk(greedy, b"SET", b"k", b"x" * 1_000_000) == b"+OK\r\n"
        greedy.sendall(encode_request([b"GET", b"k"]) * 100)
        assert read_to_the_end(greedy) == b""
        calls = server.inspect(lambda node: node.commands[b"GET"].calls)
        assert calls <= 5


def test_who_says_quit_and_never_reads_is_not_waited_for_for_ever() -> None:
    with mini_redis.testing.run(clock="manual") as server, connection(server) as sock, connection(server) as other:
        assert talk(sock, b"SET", b"k", b"x" * 1_000_000) == b"+OK\r\n"
        sock.sendall(encode_request([b"GET", b"k"]) * 30 + b"QUIT\r\n")
        while server.inspect(lambda node: len(node.clients)) > 1:
            assert talk(other, b"PING") == b"+PONG\r\n"
        server.advance(seconds=70)
        assert len(read_to_the_end(sock)) < 30_000_000
        assert talk(other, b"PING") == b"+PONG\r\n"


def test_a_unix_socket_is_told_by_its_flag(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with mini_redis.testing.run(unixsocket=path), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(path))
        assert b" flags=U " in talk(sock, b"CLIENT", b"INFO", end=b"\n\r\n")


def test_the_soft_limit_gives_time() -> None:
    with (
        mini_redis.testing.run(clock="manual", client_output_buffer_limit="normal 0 1mb 5") as server,
        connection(server) as slow,
        connection(server) as other,
    ):
        assert talk(other, b"SET", b"k", b"x" * 1_000_000) == b"+OK\r\n"
        slow.sendall(encode_request([b"GET", b"k"]) * 20)
        talk(other, b"PING")
        server.advance(seconds=4)
        assert server.inspect(lambda node: node.stats.output_buffer_disconnections) == 0
        server.advance(seconds=3)
        assert server.inspect(lambda node: node.stats.output_buffer_disconnections) == 1


def test_the_query_buffer_has_a_limit() -> None:
    with mini_redis.testing.run(client_query_buffer_limit="1mb") as server:
        with connection(server) as sock:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n" + b"x" * 2_999_000)
            assert read_to_the_end(sock) == b""
        assert server.inspect(lambda node: node.stats.query_buffer_disconnections) == 1


def test_maxclients() -> None:
    with mini_redis.testing.run(maxclients=2) as server, connection(server) as a, connection(server) as b:
        assert talk(a, b"PING") == talk(b, b"PING") == b"+PONG\r\n"
        with connection(server) as third:
            assert read_to_the_end(third) == b"-ERR max number of clients reached\r\n"
        b.close()
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with connection(server) as again:
                again.sendall(b"PING\r\n")
                if again.recv(100) == b"+PONG\r\n":
                    return
        pytest.fail("the place was not given to somebody else")


def test_idle_clients_are_closed_after_timeout() -> None:
    with mini_redis.testing.run(clock="manual", timeout=30) as server, connection(server) as sock:
        assert talk(sock, b"PING") == b"+PONG\r\n"
        server.advance(seconds=29)
        assert talk(sock, b"PING") == b"+PONG\r\n"
        server.advance(seconds=33)
        assert read_to_the_end(sock) == b""


def test_a_mistake_of_ours_ends_one_connection_and_is_logged() -> None:
    def plant_a_mistake(node: object) -> None:
        live = node.commands[b"ECHO"]  # type: ignore[attr-defined]
        live.handler = lambda ctx, argv: 1 / 0

    with mini_redis.testing.run() as server, connection(server) as victim, connection(server) as other:
        server.inspect(plant_a_mistake)
        victim.sendall(encode_request([b"ECHO", b"x"]))
        assert read_to_the_end(victim) == b""
        assert talk(other, b"PING") == b"+PONG\r\n"


def test_ports_and_addresses_change_while_it_runs() -> None:
    with mini_redis.testing.run() as server, connection(server) as sock:
        old, new = server.port, free_port()
        assert talk(sock, b"CONFIG", b"SET", b"port", b"%d" % new) == b"+OK\r\n"
        assert talk(sock, b"CONFIG", b"SET", b"bind", b"127.0.0.1 127.0.0.2") == b"+OK\r\n"
        for host in ("127.0.0.1", "127.0.0.2"):
            with socket.create_connection((host, new), timeout=DEADLINE) as other:
                assert talk(other, b"PING") == b"+PONG\r\n"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old), timeout=DEADLINE)

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            refused = talk(sock, b"CONFIG", b"SET", b"port", b"%d" % taken.getsockname()[1])
        assert refused.endswith(b"Unable to listen on this port. Check server logs.\r\n")
        with socket.create_connection(("127.0.0.1", new), timeout=DEADLINE) as other:
            assert talk(other, b"PING") == b"+PONG\r\n"


def test_an_address_is_added_without_losing_the_first_one_and_the_unix_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with mini_redis.testing.run(unixsocket=path) as server, connection(server) as sock:
        new = free_port()
        assert talk(sock, b"CONFIG", b"SET", b"port", b"%d" % new) == b"+OK\r\n"
        for bind, hosts in [
            (b"127.0.0.1 127.0.0.2", ["127.0.0.1", "127.0.0.2"]),
            (b"127.0.0.2", ["127.0.0.2"]),
            (b"*", ["127.0.0.1", "127.0.0.2"]),
            (b"127.0.0.1", ["127.0.0.1"]),
        ]:
            assert talk(sock, b"CONFIG", b"SET", b"bind", bind) == b"+OK\r\n"
            for host in hosts:
                with socket.create_connection((host, new), timeout=DEADLINE) as other:
                    assert talk(other, b"PING") == b"+PONG\r\n"
            with socket.socket(socket.AF_UNIX) as other:
                other.settimeout(DEADLINE)
                other.connect(str(path))
                assert talk(other, b"PING") == b"+PONG\r\n"
        refused = talk(sock, b"CONFIG", b"SET", b"bind", b"192.0.2.1")
        assert refused.startswith(b"-ERR CONFIG SET failed")
        with socket.create_connection(("127.0.0.1", new), timeout=DEADLINE) as other:
            assert talk(other, b"PING") == b"+PONG\r\n"


def test_who_gets_a_dead_connections_number_does_not_inherit_its_end() -> None:
    """Within one turn: a client is killed, is found to have gone, and a newcomer's socket gets its number."""
    with mini_redis.testing.run() as server, connection(server) as killer:
        go = threading.Event()
        reached = threading.Event()
        victim = socket.create_connection((server.host, server.port), timeout=DEADLINE)
        number = talk(victim, b"CLIENT", b"ID").strip(b":\r\n")
        waiter = threading.Thread(target=server.inspect, args=(lambda node: reached.set() or go.wait(DEADLINE),))
        waiter.start()
        assert reached.wait(DEADLINE)
        much = encode_request([b"SET", b"k", b"v" * READ_SIZE])  # so that nobody else is read before it is run
        killer.sendall(encode_request([b"CLIENT", b"KILL", b"ID", number]) + much)
        victim.close()
        with connection(server) as newcomer:
            newcomer.sendall(b"PING\r\n")
            go.set()
            waiter.join()
            assert read_until(newcomer, b"\r\n") == b"+PONG\r\n"
            assert read_until(killer, b"+OK\r\n") == b":1\r\n+OK\r\n"


def test_a_connection_that_ended_leaves_nothing_behind() -> None:
    """Not even until the next collection of cycles, which does not look at what has lived long."""

    def connected(node: object) -> list[Client]:
        return [thing for thing in gc.get_objects() if type(thing) is Client]

    gc.collect()
    gc.disable()
    others = connected(None)  # of nodes that other specifications keep: none of them goes as long as they are listed
    try:
        with mini_redis.testing.run() as server, connection(server) as sock:
            for ending in (b"QUIT\r\n", b"*x\r\n", b"PING\r\n", b"CLIENT KILL TYPE normal SKIPME no\r\n"):
                with connection(server) as other:
                    other.sendall(ending)
                    assert other.recv(1)
            with connection(server) as sock:
                assert talk(sock, b"PING") == b"+PONG\r\n"
                deadline = time.monotonic() + DEADLINE
                while (left := len(server.inspect(connected)) - len(others)) > 1 and time.monotonic() < deadline:
                    pass
                assert left == 1
    finally:
        gc.enable()


# --- The command line -------------------------------------------------------------------------------------------------


def start(*arguments: str, stdin: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mini_redis", "serve", *arguments],
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    """Read the process's output, past any buffer of Python's, until `words` are in it."""
    assert process.stdout is not None
    descriptor, seen = process.stdout.fileno(), b""
    while select.select([descriptor], [], [], DEADLINE)[0]:
        piece = os.read(descriptor, 65536)
        seen += piece
        if words.encode() in seen:
            return
        if not piece:
            break
    pytest.fail(f"no line with {words!r} in\n{seen.decode()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_server_cleanly(number: signal.Signals) -> None:
    process = start("--port", str(free_port()))
    try:
        wait_for_line(process, "Ready to accept connections")
        process.send_signal(number)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.communicate()


def test_shutdown_ends_the_server_and_says_nothing() -> None:
    port = free_port()
    process = start("--port", str(port))
    try:
        wait_for_line(process, "Ready to accept connections")
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
            sock.sendall(b"SHUTDOWN NOSAVE\r\n")
            assert read_to_the_end(sock) == b""
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.communicate()


def test_configuration_from_file_stdin_and_command_line(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "redis.conf"
    file.write_text("maxclients 123\ntimeout 7\n")
    process = start(str(file), "--port", str(port), "--timeout", "9")
    try:
        wait_for_line(process, "Ready to accept connections")
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
            assert talk(sock, b"CONFIG", b"GET", b"maxclients", end=b"123\r\n")
            assert talk(sock, b"CONFIG", b"GET", b"timeout", end=b"9\r\n")
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)

    process = start("-", stdin=f"port {port}\nmaxclients 77\n")
    try:
        assert process.stdin is not None
        process.stdin.write(f"port {port}\nmaxclients 77\n")
        process.stdin.close()
        wait_for_line(process, "Ready to accept connections")
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
            assert talk(sock, b"CONFIG", b"GET", b"maxclients", end=b"77\r\n")
    finally:
        process.terminate()
        process.wait(DEADLINE)
        process.stdout.close()  # type: ignore[union-attr]


def test_a_taken_port_is_said_plainly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("--port", str(taken.getsockname()[1]))
        output, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 1
        assert "Address already in use" in output
