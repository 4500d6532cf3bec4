"""SCRIPT DEBUG: what a session says is compared with Redis in conformance/test_debugger.py; here, what is around it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mini_redis.testing
from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.encoder import encode
from mini_redis.resp.parser import encode_request
from mini_redis.server.debugger import LONGEST_WORD, _readable, _words
from mini_redis.testing import RunningServer

DEADLINE = 20.0
STOPPED = b"*2\r\n+* Stopped at 1, stop reason = step over\r\n"
END = b"+<endsession>\r\n"


def debug(script: str, *said: str) -> tuple[InProcess, bytes]:
    """A session in which this is said; the client goes away behind it."""
    node = InProcess("busy-reply-threshold 5")
    client = node.connect()
    client.in_session = [encode_request(line.encode().split(b" ")) for line in said]
    assert client.command("SCRIPT", "DEBUG", "SYNC") == b"+OK\r\n"
    answer = client.command("EVAL", script, 1, "k")
    assert client.closed, "the session is over"
    return node, answer


def test_the_script_goes_on_when_nobody_is_there_any_more() -> None:
    node, answer = debug("redis.call('set', KEYS[1], 1)\nredis.call('incr', KEYS[1])\nreturn 'done'", "b 3", "s")
    assert answer.endswith(END + b"$4\r\ndone\r\n")
    assert node.connect().command("GET", "k") == b"$1\r\n2\r\n"


def test_what_has_no_end_is_ended_when_nobody_is_there_any_more() -> None:
    node = InProcess("busy-reply-threshold 5")
    ticks = count(step=1_000_000)
    node.server.monotonic_ns = lambda: next(ticks)
    client = node.connect()
    client.in_session = [encode_request([b"c"])]
    client.command("SCRIPT", "DEBUG", "SYNC")
    assert b"-ERR timeout during Lua debugging with client closing connection script: " in client.command(
        "EVAL", "while true do end", 0
    )


def test_a_client_that_says_too_much_at_once_ends_the_script() -> None:
    node = InProcess()
    client = node.connect()
    client.in_session = [b"*1\r\n$900\r\n" + b"x" * 100, b"x" * (1 << 20)]
    client.command("SCRIPT", "DEBUG", "SYNC")
    assert b"-ERR max client buffer reached script: " in client.command("EVAL", "return 1", 0)


def test_the_next_script_is_run_as_ever() -> None:
    node, answer = debug("return redis.call('ping')", "c")
    assert answer.endswith(END + b"+PONG\r\n")
    client = node.connect()
    assert client.command("EVAL", "redis.debug('x') return redis.breakpoint()", 0) == b"$-1\r\n"
    assert client.command("EVAL", "local a = 1\nreturn redis.call('nosuch')", 0).startswith(b"-ERR Unknown Redis")


def test_what_redis_crashes_on() -> None:
    _, answer = debug("return 1", "e redis.call('nosuch')", "c")
    assert b"+<error> ERR Unknown Redis command called from script" in answer


def test_compiled_code_is_no_code() -> None:
    """Lua believes it, so whoever could run it would be out of the sandbox."""
    _, answer = debug("return 1", "e \x1bLuaQ", "c")
    assert b"+<error> ldb_eval:1: unexpected symbol near 'char(27)'" in answer


def test_where_nothing_can_be_forked_it_is_said() -> None:
    client = InProcess().connect()
    assert client.command("SCRIPT", "DEBUG", "YES") == b"+OK\r\n"
    assert client.command("EVAL", "return 1", 0).startswith(b"-ERR Fork() failed: can't run EVAL in debugging mode: ")


@given(st.lists(st.binary(min_size=1, max_size=LONGEST_WORD), min_size=1, max_size=5), st.data())
def test_requests_are_read_when_they_are_whole(words: list[bytes], data: st.DataObject) -> None:
    request = encode_request(words)
    assert _words(request) == words
    assert _words(request[: data.draw(st.integers(1, len(request) - 1))]) is None


texts = st.binary(max_size=5) | st.sampled_from([b"\r\n", b"a\r\n", b"\r\n\r\nb"])
replies = st.recursive(texts | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=4), max_leaves=10)


@given(replies)
def test_what_is_read_is_in_the_readable_reply(reply: object) -> None:
    parts = iter(encode(reply, 2).split(b"\r\n"))  # type: ignore[arg-type]
    told = b"".join(_readable(parts))
    assert b"\r" not in told and b"\n" not in told
    assert list(parts) == [b""], "nothing is left over"


# --- In a real process -----------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with mini_redis.testing.run() as running:
        yield running


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
@pytest.mark.parametrize(("option", "kept"), [("--ldb", "rolled back"), ("--ldb-sync-mode", "session ended)")])
def test_redis_cli_debugs_a_file(server: RunningServer, tmp_path: Path, option: str, kept: str) -> None:
    script = tmp_path / "script.lua"
    script.write_text("local v = redis.call('set', KEYS[1], ARGV[1])\nreturn redis.call('get', KEYS[1])\n")
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), option, "--eval", str(script), "k", ",", "hello"],
        input="s\np v\nc\n", capture_output=True, text=True, check=True, timeout=DEADLINE,
    )  # fmt: skip
    for line in ("<redis> set k hello", '<value> {["ok"]="OK"}', '"hello"', kept):
        assert line in done.stdout
    with socket.create_connection((server.host, server.port), timeout=DEADLINE) as sock:
        sock.sendall(b"GET k\r\n")
        assert sock.recv(100) == (b"$5\r\nhello\r\n" if option == "--ldb-sync-mode" else b"$-1\r\n")


def test_others_are_served_beside_a_session_in_its_own_process_which_ends_with_the_server() -> None:
    with socket.socket() as sock:
        with mini_redis.testing.run() as server, socket.socket() as other:
            for each in (sock, other):
                each.settimeout(DEADLINE)
                each.connect((server.host, server.port))
            sock.sendall(b"SCRIPT DEBUG YES\r\n")
            assert sock.recv(100) == b"+OK\r\n"
            sock.sendall(encode_request([b"EVAL", b"return 1", b"0"]))
            assert sock.recv(1000).startswith(STOPPED)
            other.sendall(b"PING\r\n")
            assert other.recv(100) == b"+PONG\r\n"
            sock.sendall(encode_request([b"t"]))
            assert sock.recv(1000).startswith(b"*2\r\n+In top level:\r\n")
        assert sock.recv(100) == b"", "its process was ended"
