"""MONITOR, SLOWLOG, LATENCY: what is told of commands, and that it costs nothing while nobody asks."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import RequestParser, quoted
from mini_redis.server.latency import KEPT, LatencyMonitor, Series, ago, diagnosis
from mini_redis.server.observation import NEVER_NS
from mini_redis.server.secrets import without_secrets
from mini_redis.server.slowlog import MOST_ARGUMENTS, MOST_BYTES, SlowLog, shortened
from mini_redis.structures.histogram import cumulated_by_doubling
from mini_redis.structures.sparkline import sparkline


@pytest.fixture
def node() -> InProcess:
    return InProcess("enable-debug-command yes", "slowlog-log-slower-than -1")


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


@pytest.fixture
def m(node: InProcess) -> InProcessClient:
    monitor = node.connect()
    assert monitor.command("MONITOR") == b"+OK\r\n"
    return monitor


# --- What it costs ---------------------------------------------------------------------------------------------------


def test_nothing_is_remarkable_while_nobody_asks(node: InProcess, a: InProcessClient) -> None:
    assert node.server.remarkable_ns == NEVER_NS
    a.command("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
    assert node.server.remarkable_ns == 10_000_000
    a.command("CONFIG", "SET", "latency-monitor-threshold", 3)
    assert node.server.remarkable_ns == 3_000_000
    m = node.connect()
    m.command("MONITOR")
    assert node.server.remarkable_ns == 0
    m.disconnect()
    a.command("CONFIG", "SET", "latency-monitor-threshold", 0, "slowlog-max-len", 0)
    assert node.server.remarkable_ns == NEVER_NS


def test_reading_passes_no_gate_when_the_last_monitor_has_gone(node: InProcess, a: InProcessClient) -> None:
    get = node.server.commands[b"get"]
    assert get.gates == ()
    first, second = node.connect(), node.connect()
    first.command("MONITOR")
    second.command("MONITOR")
    assert len(get.gates) == 1
    first.command("RESET")
    assert len(get.gates) == 1
    second.command("QUIT")
    assert get.gates == ()


# --- MONITOR ---------------------------------------------------------------------------------------------------------


def test_a_line_has_time_database_client_and_words(node: InProcess, a: InProcessClient, m: InProcessClient) -> None:
    node.clock.advance(0.000123)
    a.command("SET", "k", b'v\r\n\x00"\\\xff')
    assert m.take() == b'+1700000000.000123 [0 127.0.0.1:50001] "SET" "k" "v\\r\\n\\x00\\"\\\\\\xff"\r\n'
    a.command("SELECT", 9)
    assert m.take() == b'+1700000000.000123 [9 127.0.0.1:50001] "SELECT" "9"\r\n'


@given(st.binary(max_size=40))
def test_a_quoted_word_can_be_read_back(word: bytes) -> None:
    parser = RequestParser()
    parser.feed(quoted(word) + b"\r\n")
    assert parser.next_batch() == [[word]]


def shown(client: InProcessClient) -> list[bytes]:
    return re.findall(rb'\] "(.*)"\r\n', client.take())


def test_exec_follows_what_it_runs_and_refusals_are_not_shown(a: InProcessClient, m: InProcessClient) -> None:
    a.talk(b"MULTI\r\nINCR k\r\nGET\r\nnosuch\r\n")
    assert shown(m) == [b"MULTI"]
    a.talk(b"DISCARD\r\nMULTI\r\nINCR k\r\nINCR k\r\nEXEC\r\n")
    assert shown(m) == [b"DISCARD", b"MULTI", b'INCR" "k', b'INCR" "k', b"EXEC"]


def test_administration_is_not_shown(a: InProcessClient, m: InProcessClient) -> None:
    a.talk(b"CONFIG GET hz\r\nCLIENT LIST\r\nSLOWLOG LEN\r\nPING\r\n")
    assert shown(m) == [b"PING"]


def test_who_waits_is_shown_once(node: InProcess, a: InProcessClient, m: InProcessClient) -> None:
    b = node.connect()
    a.command("BLPOP", "q", 0)
    b.command("RPUSH", "q", "x")
    assert a.take() == b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"
    assert shown(m) == [b'BLPOP" "q" "0', b'RPUSH" "q" "x']


def test_a_socket_and_a_script_have_names_of_their_own(node: InProcess, a: InProcessClient, m: InProcessClient) -> None:
    a.handle.address = "/run/redis.sock:0"
    a.command("PING")
    assert m.take() == b'+1700000000.000000 [0 unix:/run/redis.sock] "PING"\r\n'
    a.handle.address = ""  # as the client by which a script calls
    node.server.call(a.handle, node.server.commands[b"ping"], [b"PING"])
    node.turn()
    assert m.take() == b'+1700000000.000000 [0 lua] "PING"\r\n'


def test_a_monitors_own_reply_comes_first(m: InProcessClient) -> None:
    reply, line = m.command("PING").split(b"\r\n", 1)
    assert (reply, line.endswith(b'"PING"\r\n')) == (b"+PONG", True)
    told = m.talk(b"MULTI\r\nPING a\r\nPING b\r\nEXEC\r\n")
    assert b"*2\r\n$1\r\na\r\n$1\r\nb\r\n+1700000000.000000" in told, "the array is not torn apart"


def test_a_monitor_may_not_touch_data(node: InProcess, a: InProcessClient, m: InProcessClient) -> None:
    for line in (b"GET k\r\n", b"SET k v\r\n", b"BLPOP q 0\r\n", b"PUBLISH c x\r\n"):
        assert m.talk(line) == b"-ERR Replica can't interact with the keyspace\r\n"
    assert b"flags=O " in m.command("CLIENT", "INFO")
    assert m.command("RESET") == b"+RESET\r\n"
    assert m.command("SET", "k", "v") == b"+OK\r\n"
    a.command("PING")
    assert m.take() == b""


def test_a_monitor_may_idle_and_is_not_paused(node: InProcess, a: InProcessClient, m: InProcessClient) -> None:
    a.command("CONFIG", "SET", "timeout", 5)
    b = node.connect()
    a.command("CLIENT", "PAUSE", 100_000)
    assert m.command("PING").startswith(b"+PONG")
    node.advance(99)
    a.command("CLIENT", "UNPAUSE")  # waits itself
    node.advance(20)
    assert (a.closed, b.closed, m.closed) == (True, True, False)


def test_a_monitor_that_does_not_read_is_limited_as_any_client(
    node: InProcess, a: InProcessClient, m: InProcessClient
) -> None:
    a.command("CONFIG", "SET", "client-output-buffer-limit", "normal 2000 0 0")
    m.reads = False
    for _ in range(100):
        a.command("PING", "x" * 20)
    assert m.closed and not a.closed
    assert node.server.remarkable_ns == NEVER_NS


# --- Secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "call", "told"),
    [
        ("auth", "AUTH pw", "AUTH (redacted)"),
        ("auth", "AUTH a b c", "AUTH (redacted) (redacted) (redacted)"),
        ("hello", "HELLO 3 auth u p SETNAME n", "HELLO 3 auth (redacted) (redacted) SETNAME n"),
        ("hello", "HELLO 3 AUTH u", "HELLO 3 AUTH (redacted)"),
        ("config|set", "CONFIG SET hz 10 RequirePass pw", "CONFIG SET hz 10 RequirePass (redacted)"),
        ("config|set", "CONFIG SET requirepass", "CONFIG SET requirepass"),
        ("migrate", "MIGRATE h 1 k 0 9 AUTH2 u p", "MIGRATE h 1 k 0 9 AUTH2 (redacted) (redacted)"),
        ("migrate", "MIGRATE h 1 k 0 9 COPY AUTH p", "MIGRATE h 1 k 0 9 COPY AUTH (redacted)"),
        ("acl|setuser", "ACL SETUSER ana on >pw", "ACL SETUSER (redacted) (redacted) (redacted)"),
        ("set", "SET auth pw", "SET auth pw"),
    ],
)
def test_secrets_are_hidden(name: str, call: str, told: str) -> None:
    assert without_secrets(name.encode(), call.encode().split()) == told.encode().split()


# --- SLOWLOG ---------------------------------------------------------------------------------------------------------


def test_slow_commands_are_kept(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
    a.command("CLIENT", "SETNAME", "ana")
    a.command("DEBUG", "SLEEP", "0.0099")
    a.command("DEBUG", "SLEEP", "0.01")
    told = b"*1\r\n*6\r\n:0\r\n:1700000000\r\n:10000\r\n*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$4\r\n0.01\r\n"
    assert a.command("SLOWLOG", "GET") == told + b"$15\r\n127.0.0.1:50001\r\n$3\r\nana\r\n"
    assert a.command("SLOWLOG", "RESET") == b"+OK\r\n"
    assert a.command("SLOWLOG", "LEN") == b":0\r\n"


def test_what_waited_tells_what_was_spent_on_it(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
    a.command("SLOWLOG", "RESET")
    b = node.connect()
    a.command("BLPOP", "q", 100)
    assert [entry.argv[0] for entry in node.server.observation.slowlog.entries] == [b"SLOWLOG"]
    node.advance(50)
    b.command("RPUSH", "q", "x")
    entry = node.server.observation.slowlog.entries[0]
    assert (entry.argv, entry.duration_us, entry.at_s) == ([b"BLPOP", b"q", b"100"], 0, 1_700_000_050)
    latencies = node.server.commands[b"blpop"].latencies
    assert sum(latencies.values()) == 1, "it counts once"
    a.command("BLPOP", "q", 1)
    node.advance(1.1)
    assert node.server.observation.slowlog.entries[0].argv == [b"BLPOP", b"q", b"1"]
    assert sum(latencies.values()) == 2


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=80))
def test_a_shortened_call_is_small_and_says_what_is_missing(argv: list[bytes]) -> None:
    words = shortened(argv)
    assert len(words) == min(len(argv), MOST_ARGUMENTS)
    for word, original in zip(words, argv[: MOST_ARGUMENTS - 1], strict=False):
        kept, dots, missing = word.partition(b"... (")
        if len(original) > MOST_BYTES:
            assert word.startswith(original[:MOST_BYTES])
            assert word.endswith(b"... (%d more bytes)" % (len(original) - MOST_BYTES))
        else:
            assert word == original
    if len(argv) > MOST_ARGUMENTS:
        assert words[-1] == b"... (%d more arguments)" % (len(argv) - MOST_ARGUMENTS + 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=40))
def test_the_log_keeps_the_latest(history: list[tuple[int, int, bool]]) -> None:
    log, expected, number = SlowLog(), [], 0
    log.slower_than_us = 2
    for duration_us, max_len, reset in history:
        log.max_len = max_len
        log.note(duration_us, 0, [b"%d" % number], b"", b"")
        if duration_us >= 2 and max_len:
            expected = [number, *expected][:max_len]
            number += 1
        if reset:
            log.entries.clear()
            expected = []
        log.check()
        assert [entry.id for entry in log.entries] == expected


# --- LATENCY ---------------------------------------------------------------------------------------------------------


def test_events_are_sampled_by_the_second(node: InProcess, a: InProcessClient) -> None:
    assert a.command("LATENCY", "LATEST") == b"*0\r\n"
    a.command("CONFIG", "SET", "latency-monitor-threshold", 10)
    for seconds in ("0.009", "0.02", "0.03", "0.015"):
        a.command("DEBUG", "SLEEP", seconds)
    node.advance(2)
    a.command("DEBUG", "SLEEP", "0.012")
    samples = b"*2\r\n:1700000000\r\n:30\r\n*2\r\n:1700000002\r\n:12\r\n"
    assert a.command("LATENCY", "HISTORY", "command") == b"*2\r\n" + samples
    assert a.command("LATENCY", "LATEST") == b"*1\r\n*4\r\n$7\r\ncommand\r\n:1700000002\r\n:12\r\n:30\r\n"
    assert a.command("LATENCY", "RESET", "COMMAND", "nosuch") == b":1\r\n"
    assert a.command("LATENCY", "HISTORY", "command") == b"*0\r\n"
    error = b"-ERR No samples available for event 'command'\r\n"
    assert a.command("LATENCY", "GRAPH", "command") == error


def test_a_long_round_of_expiry_is_an_event(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "latency-monitor-threshold", 1)
    node.server.active_expire.on_cycle(2_000_000)
    assert a.command("LATENCY", "LATEST") == b"*1\r\n*4\r\n$12\r\nexpire-cycle\r\n:1700000000\r\n:2\r\n:2\r\n"
    assert b"set the 'hz' configuration parameter to 100" in a.command("LATENCY", "DOCTOR")
    a.command("CONFIG", "SET", "hz", 100)
    assert b"set the 'hz' configuration parameter to 100" not in a.command("LATENCY", "DOCTOR")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), max_size=300))
def test_a_series_is_the_worst_of_each_second(steps: list[tuple[int, int]]) -> None:
    series, worst, now_s = Series(), {}, 0
    for passed_s, duration_ms in steps:
        now_s += passed_s
        series.add(now_s, duration_ms)
        worst[now_s] = max(worst.get(now_s, 0), duration_ms)
        series.check()
    assert list(series.samples) == list(worst.items())[-KEPT:]
    assert series.worst_ms == max(worst.values(), default=0)


def test_the_doctor_has_three_ways_to_have_nothing_to_say() -> None:
    monitor = LatencyMonitor()

    def report() -> str:
        return diagnosis(monitor, 100, slower_than_us=10_000, hz=10, huge_pages=False)

    assert report().startswith("I'm sorry, Dave")
    monitor.threshold_ms = 100
    assert report().startswith("Dave, no latency spike was observed")
    monitor.note(b"something", 200_000_000, 90)
    assert "1. something: 1 latency spikes (average 200ms, mean deviation 0ms, period 10.00 sec)" in report()
    assert "I'm not able to suggest any easy fix" in report()


@pytest.mark.parametrize(
    ("seconds", "label"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86_399, "23h"), (86_400, "1d")],
)
def test_labels_are_times_ago(seconds: int, label: str) -> None:
    assert ago(seconds) == label


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.integers(1, 12), st.integers(1, 5))
def test_a_sparkline_has_the_right_shape(values: list[int], columns: int, rows: int) -> None:
    bands = [band.split("\n") for band in sparkline([(value, "7s") for value in values], columns, rows).split("\n\n")]
    assert all(len(band) == rows + 3 + (band[-1] == "") for band in bands)
    drawn = ["".join(lines) for lines in zip(*(band[: rows + 3] for band in bands), strict=True)]
    assert all(len(line) == len(values) for line in drawn)
    assert drawn[rows] == " " * len(values) and drawn[rows + 1] == "7" * len(values)
    heights = [sum(drawn[row][at] != " " for row in range(rows)) for at in range(len(values))]
    assert all(1 <= height <= rows for height in heights)
    for at, value in enumerate(values):
        top = drawn[rows - heights[at]][at]
        assert top in "_o#" and all(drawn[row][at] == "|" for row in range(rows - heights[at] + 1, rows))
        if value == min(values):
            assert (heights[at], top) == (1, "_")
        elif value == max(values):
            assert (heights[at], top) == (rows, "#")


# --- LATENCY HISTOGRAM -----------------------------------------------------------------------------------------------


def test_the_histogram_counts_by_doubling(a: InProcessClient) -> None:
    for seconds in ("0.000001", "0.0001", "0.00025", "0.0003", "2"):
        a.command("DEBUG", "SLEEP", seconds)
    told = b"*2\r\n$5\r\ndebug\r\n*4\r\n$5\r\ncalls\r\n:5\r\n$14\r\nhistogram_usec\r\n*10\r\n"
    steps = b":1\r\n:1\r\n:132\r\n:2\r\n:264\r\n:3\r\n:528\r\n:4\r\n:1073741\r\n:5\r\n"
    assert a.command("LATENCY", "HISTOGRAM", "debug") == told + steps


@given(st.lists(st.integers(0, 3_000_000), max_size=50))
def test_every_duration_is_in_its_step(durations_us: list[int]) -> None:
    steps = cumulated_by_doubling(Counter(durations_us))
    assert [count for _, count in steps] == sorted({count for _, count in steps})
    assert not durations_us or steps[-1][1] == len(durations_us)
    for limit_us, count in steps:
        at_most = sum(min(duration, 1_000_000) <= limit_us for duration in durations_us)
        # A limit is told in whole microseconds, rounded down.
        assert at_most <= count <= sum(min(duration, 1_000_000) <= limit_us + 1 for duration in durations_us)
