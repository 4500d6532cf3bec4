"""redis-cli in every mode that needs one server, its help and hints at a terminal; redis-benchmark's whole list."""

from __future__ import annotations

import csv
import fcntl
import io
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Server

cli_is_there = pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")
pytestmark = [pytest.mark.program("redis-cli"), cli_is_there]


def cli(server: Server, *words: str, stdin: str | None = None, timeout: float = 60) -> str:
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.fixture
def filled(server: Server) -> Server:
    for words in (
        ("SET", "greeting", "hello"),
        ("RPUSH", "queue", "a", "b", "c"),
        ("HSET", "user:1", "name", "Ana", "age", "30"),
        ("SADD", "tags", "x", "y"),
        ("ZADD", "board", "1", "ana", "2.5", "bo"),
        ("XADD", "log", "1-1", "event", "began"),
    ):
        server.ask(*words)
    return server


def test_formats(filled: Server) -> None:
    assert cli(filled, "GET", "greeting") == "hello\n"
    assert cli(filled, "--no-raw", "LRANGE", "queue", "0", "-1") == '1) "a"\n2) "b"\n3) "c"\n'
    assert cli(filled, "-3", "--no-raw", "ZRANGE", "board", "0", "-1", "WITHSCORES") == (
        '1) 1) "ana"\n   2) (double) 1\n2) 1) "bo"\n   2) (double) 2.5\n'
    )
    assert cli(filled, "-3", "--no-raw", "HGETALL", "user:1") == '1# "name" => "Ana"\n2# "age" => "30"\n'
    assert cli(filled, "--json", "HGETALL", "user:1") == '{"name":"Ana","age":"30"}\n'
    assert cli(filled, "--csv", "LRANGE", "queue", "0", "-1") == '"a","b","c"\n'
    assert cli(filled, "-x", "SET", "from stdin", stdin="body") == "OK\n"
    assert cli(filled, "-X", "tag", "SET", "k", "tag", stdin="tagged") == "OK\n"
    assert cli(filled, "-n", "3", "DBSIZE") == "0\n"
    assert cli(filled, "-r", "3", "INCR", "n") == "1\n2\n3\n"
    assert cli(filled, "--quoted-input", "SET", r'"a\x00b"', "v") == "OK\n" and filled.ask("EXISTS", "a\0b") == 1


def test_scan(filled: Server) -> None:
    assert sorted(cli(filled, "--scan").split()) == ["board", "greeting", "log", "queue", "tags", "user:1"]
    assert cli(filled, "--scan", "--pattern", "user:*") == "user:1\n"


def test_bigkeys(filled: Server) -> None:
    said = cli(filled, "--bigkeys")
    assert "Sampled 6 keys" in said
    found = re.findall(r"Biggest +(\w+) found '\"(\S+)\"' has (\d+) (\w+)", said)
    assert {(kind, key, size + " " + unit) for kind, key, size, unit in found} == {
        ("list", "queue", "3 items"),
        ("hash", "user:1", "2 fields"),
        ("string", "greeting", "5 bytes"),
        ("stream", "log", "1 entries"),
        ("set", "tags", "2 members"),
        ("zset", "board", "2 members"),
    }


def test_memkeys(filled: Server) -> None:
    found = re.findall(r"Biggest +(\w+) found '\"(\S+)\"' has (\d+) bytes", cli(filled, "--memkeys"))
    assert {kind for kind, _, _ in found} == {"list", "hash", "string", "stream", "set", "zset"}
    assert all(16 <= int(size) < 10_000 for _, _, size in found)


def test_hotkeys(filled: Server) -> None:
    """The counters that an LFU policy keeps."""
    policy = filled.ask("CONFIG", "GET", "maxmemory-policy")
    filled.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    try:
        filled.ask("SET", "hot", "x")
        for _ in range(300):
            filled.ask("GET", "hot")
        found = re.findall(r"hot key found with counter: (\d+)\tkeyname: \"(\S+)\"", cli(filled, "--hotkeys"))
        assert found[0][1] == "hot" and int(found[0][0]) > 5
    finally:
        filled.ask("CONFIG", "SET", "maxmemory-policy", policy[1])


def until(words: list[str], wanted: str) -> str:
    """Start a mode that never ends, read until `wanted` (a pattern) was said, end it."""
    master, slave = pty.openpty()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.STDOUT)
    os.close(slave)
    said = ""
    deadline = time.monotonic() + 30
    try:
        while not re.search(wanted, said):
            assert time.monotonic() < deadline, said
            if select.select([master], [], [], 0.5)[0]:
                said += os.read(master, 4096).decode("utf-8", "replace")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(master)
    return said


def test_stat(filled: Server) -> None:
    said = until(["redis-cli", "-p", str(filled.port), "--stat", "-i", "0.05"], r"(\n\d+ .*){3}")
    assert re.search(r"keys +mem +clients +blocked +requests +connections", said)
    keys, memory, clients, blocked = re.findall(r"^(\d+) +(\S+) +(\d+) +(\d+) +\d+ \(\+\d+\)", said, re.MULTILINE)[0]
    assert (keys, blocked) == ("6", "0") and re.fullmatch(r"[\d.]+[KMG]", memory) and int(clients) >= 2


def test_latency(server: Server) -> None:
    least, most, average, samples = cli(server, "--latency", "-i", "0.1", "--csv").strip().split(",")
    assert int(least) <= float(average) <= int(most) and int(samples) > 0
    until(["redis-cli", "-p", str(server.port), "--latency-history", "-i", "0.2"], r"min: \d+.*avg: [\d.]+")
    until(["redis-cli", "-p", str(server.port), "--latency-dist", "-i", "0.2"], "milliseconds")


def test_pipe(server: Server) -> None:
    """Mass insertion: everything at once, and an ECHO to know the end."""
    stream = "".join(f"*3\r\n$3\r\nSET\r\n$8\r\nk{n:07}\r\n$1\r\nv\r\n" for n in range(20_000))
    assert "errors: 0, replies: 20000" in cli(server, "--pipe", stdin=stream)
    assert server.ask("DBSIZE") == 20_000


def test_eval(server: Server, tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text("redis.call('set', KEYS[1], ARGV[1])\nreturn {KEYS[1], redis.call('get', KEYS[1]), #ARGV}")
    assert cli(server, "--no-raw", "--eval", str(script), "k", ",", "v", "w") == '1) "k"\n2) "v"\n3) (integer) 2\n'


def test_monitor_and_subscribe(server: Server) -> None:
    port = str(server.port)
    stop = threading.Event()

    def traffic() -> None:
        while not stop.wait(0.01):
            subprocess.run(["redis-cli", "-p", port, "PUBLISH", "news", "hello"], capture_output=True, check=False)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        until(["redis-cli", "-p", port, "MONITOR"], r'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "PUBLISH" "news" "hello"')
        until(["redis-cli", "-p", port, "--no-raw", "SUBSCRIBE", "news"], r'"message"\r?\n2\) "news"\r?\n3\) "hello"')
        until(["redis-cli", "-3", "-p", port, "--no-raw", "PSUBSCRIBE", "n*"], r'"pmessage"\r?\n2\) "n\*"')
    finally:
        stop.set()
        thread.join()


class Terminal:
    """redis-cli as somebody at a terminal sees it."""

    def __init__(self, server: Server) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.process = subprocess.Popen(
            ["redis-cli", "-p", str(server.port)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm", "REDISCLI_HISTFILE": "/dev/null"},
            start_new_session=True,
        )
        os.close(slave)

    def type(self, text: str, wanted: str) -> str:
        """Type, and read until `wanted` (a pattern) is on the screen, and the next prompt if a line was sent.

        What is typed before there is a prompt would be lost. Returns what came, without control sequences.
        """
        os.write(self.master, text.encode())
        pattern = re.compile(wanted + (r".*> $" if text.endswith("\r") else ""), re.DOTALL)
        said = ""
        deadline = time.monotonic() + 30
        while not pattern.search(said):
            assert time.monotonic() < deadline, said
            if select.select([self.master], [], [], 0.5)[0]:
                said += re.sub(r"\x1b\[[0-9;]*\w", "", os.read(self.master, 65536).decode("utf-8", "replace"))
        return said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(server: Server) -> Iterator[Terminal]:
    one = Terminal(server)
    yield one
    one.close()


def test_help_and_hints_come_from_the_server(terminal: Terminal) -> None:
    """redis-cli 7 asks COMMAND DOCS when it starts, and completes, hints and explains with the answer."""
    terminal.type("", "> $")
    said = terminal.type("help getex\r", "group: string")
    assert "GETEX key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT" in said and "since: 6.2.0" in said
    terminal.type("help @sorted-set\r", "ZADD key .*ZUNIONSTORE")
    terminal.type("zcount board ", "min max")  # the hint for what is still to be typed
    terminal.type("\x15", "> ")  # the line is erased
    terminal.type("SRANDM\t", "SRANDMEMBER")  # completed
    terminal.type("\x15", "> ")
    terminal.type("multi\r", r"OK.*\(TX\)")
    terminal.type("set k v\r", "QUEUED")
    terminal.type("exec\r", r"1\) OK")


BENCHMARK = """
    PING_INLINE PING_MBULK SET GET INCR LPUSH RPUSH LPOP RPOP SADD HSET SPOP ZADD ZPOPMIN LPUSH LRANGE_100 LRANGE_300
    LRANGE_500 LRANGE_600 MSET
"""


@pytest.mark.program("redis-benchmark")
@pytest.mark.skipif(not shutil.which("redis-benchmark"), reason="redis-benchmark is not installed")
@pytest.mark.parametrize("options", [[], ["-3", "-P", "8", "-r", "1000"]], ids=["plain", "pipelined"])
def test_redis_benchmark(server: Server, options: list[str]) -> None:
    command = ["redis-benchmark", "-p", str(server.port), "-n", "400", "-c", "10", "--csv", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["test"].split()[0] for row in rows] == BENCHMARK.split()
    assert all(float(row["rps"]) > 0 for row in rows) and "WARNING" not in done.stdout + done.stderr
    assert server.ask("TYPE", "mylist") == "list" and server.ask("TYPE", "myzset") in ("zset", "none")
