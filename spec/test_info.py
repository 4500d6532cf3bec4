"""INFO: which sections come, and that their values are true."""

from __future__ import annotations

import re
from itertools import count

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import mini_redis.testing
from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.keyspace.digest import CONTENTS
from mini_redis.keyspace.types import DATA_TYPES
from mini_redis.persistence.forms import WRITERS
from mini_redis.server.environment import Environment
from mini_redis.server.info import HIDDEN, LONG, SECTIONS
from mini_redis.server.keysizes import AT_ONCE, PER_TURN, WALKS_ON_MS
from mini_redis.server.stats import MOST_ERROR_CODES, Rate, RecentBuffers, Statistics


@pytest.fixture
def node() -> InProcess:
    return InProcess("enable-debug-command yes")


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


def text(client: InProcessClient, *words: str | bytes) -> str:
    header, _, body = client.command("INFO", *words).partition(b"\r\n")
    assert header == b"$%d" % (len(body) - 2)
    return body[:-2].decode()


def facts(client: InProcessClient, *words: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text(client, *words).split("\r\n") if line and line[0] != "#")
    return {name: value for name, _, value in lines}


def titles(client: InProcessClient, *words: str | bytes) -> list[str]:
    return [title.lower() for title in re.findall(r"^# (\w+)\r$", text(client, *words), re.MULTILINE)]


# --- Sections --------------------------------------------------------------------------------------------------------

ALL = [name for name in SECTIONS if name not in HIDDEN]
DEFAULT = [name for name in ALL if name not in LONG]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), DEFAULT),
        (("default",), DEFAULT),
        (("DEFAULT", "commandstats"), [name for name in ALL if name != "latencystats"]),
        (("all",), ALL),
        (("Everything", "server"), ALL),
        (("nosuch",), []),
        (("",), []),
        (("cpu", "Server", "cpu", "nosuch"), ["server", "cpu"]),
        ((b"server\0nosuch",), ["server"]),
        (("keysizes", "keyspace"), ["keyspace", "keysizes"]),
        (("debug", "cpu"), ["cpu", "debug"]),
    ],
)
def test_sections_by_name(a: InProcessClient, words: tuple[str, ...], expected: list[str]) -> None:
    assert titles(a, *words) == expected


def test_sections_are_lines_and_an_empty_line_stands_between_them(a: InProcessClient) -> None:
    assert text(a, "cluster", "keyspace") == "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"
    assert text(a, "nosuch") == ""


def test_it_is_verbatim_text_to_resp3_clients(a: InProcessClient) -> None:
    a.command("HELLO", 3)
    assert a.command("INFO", "cluster") == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


def test_every_line_is_a_name_and_a_value(a: InProcessClient) -> None:
    a.command("SET", "k", "v")
    for line in text(a, "everything", "keysizes").split("\r\n"):
        assert re.fullmatch(r"(# \w+)?|[a-z0-9_|.-]+:.*", line), line


def test_every_data_type_can_be_written_and_compared() -> None:
    names = {data_type.name for data_type in DATA_TYPES.values()}
    assert names == set(WRITERS) == set(CONTENTS)


# --- Server, clients, memory -----------------------------------------------------------------------------------------


def test_time_passes(node: InProcess, a: InProcessClient) -> None:
    node.clock.advance(86_400 * 2)  # without living through the cron's two million turns
    node.advance(5)
    told = facts(a, "server")
    assert told["uptime_in_seconds"] == "172805"
    assert told["uptime_in_days"] == "2"
    assert told["server_time_usec"] == str(1_700_172_805_000_000)
    assert told["lru_clock"] == str(1_700_172_805 % 2**24)


def test_clients_are_counted_as_they_are(node: InProcess, a: InProcessClient) -> None:
    b, c = node.connect(), node.connect()
    b.command("WATCH", "x", "y")
    c.command("WATCH", "x")
    told = facts(a, "clients")
    assert (told["connected_clients"], told["watching_clients"], told["total_watched_keys"]) == ("3", "2", "2")

    a.command("SET", "x", "1")  # both watches have fired: y is not watched by anybody who still hopes
    told = facts(a, "clients")
    assert (told["watching_clients"], told["total_watched_keys"]) == ("0", "0")

    a.command("CLIENT", "PAUSE", 1000, "WRITE")
    b.command("SET", "x", "2")
    assert facts(a, "clients")["blocked_clients"] == "1"
    a.command("CLIENT", "UNPAUSE")
    assert facts(a, "clients")["blocked_clients"] == "0"

    c.disconnect()
    assert facts(a, "clients")["connected_clients"] == "2"


def test_the_largest_buffer_is_remembered_for_a_while(node: InProcess, a: InProcessClient) -> None:
    b = node.connect()
    b.send(b"*2\r\n$4\r\nECHO\r\n$5000\r\n" + bytes(4000))
    node.advance(1)
    b.send(bytes(1000) + b"\r\n")
    assert int(facts(a, "clients")["client_recent_max_input_buffer"]) >= 4000
    node.advance(20)
    assert int(facts(a, "clients")["client_recent_max_input_buffer"]) < 4000


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 99)), max_size=30))
def test_recent_buffers_forget_what_is_older_than_they_say(seen: list[tuple[int, int]]) -> None:
    buffers, now_ms, history = RecentBuffers(), 0, []
    for passed_ms, size in seen:
        now_ms += passed_ms
        buffers.see(size, 0, now_ms)
        history.append((now_ms // 1000, size))
    oldest = now_ms // 1000 - RecentBuffers.SECONDS
    assert buffers.largest(now_ms) == (max((size for second, size in history if second > oldest), default=0), 0)


class Breathing(Environment):
    """A process whose memory is what the test says."""

    used = 1_000_000

    def resident_bytes(self) -> int:
        return self.used

    def total_memory_bytes(self) -> int:
        return 8_000_000


def test_memory_and_its_peak(node: InProcess, a: InProcessClient) -> None:
    process = node.server.environment = Breathing()
    empty = int(facts(a, "memory")["used_memory"])
    a.command("SET", "k", bytes(1_000_000))
    node.advance(1)  # nobody asks, but the cron sees it
    a.command("SET", "k", bytes(100_000))
    process.used = 2_000_000
    told = facts(a, "memory")
    used, peak = int(told["used_memory"]), int(told["used_memory_peak"])
    assert 100_000 < used - empty < 125_000
    assert 1_000_000 < peak - empty < 1_250_000
    assert told["used_memory_peak_time"] == str(node.server.now_ms // 1000 - 1), "when the cron saw it first"
    assert told["used_memory_peak_perc"] == f"{used * 100 / peak:.2f}%"
    assert told["used_memory_rss"] == "2000000"
    assert told["used_memory_rss_human"] == "1.91M"
    assert told["mem_fragmentation_ratio"] == f"{2_000_000 / used:.2f}"
    assert told["mem_fragmentation_bytes"] == str(2_000_000 - used)
    assert told["total_system_memory_human"] == "7.63M"
    startup, overhead, dataset = (int(told[f"used_memory_{name}"]) for name in ("startup", "overhead", "dataset"))
    assert used == overhead + dataset
    assert dataset > 100_000
    assert told["used_memory_dataset_perc"] == f"{dataset * 100 / (used - startup):.2f}%"

    a.command("CONFIG", "RESETSTAT")
    assert facts(a, "memory")["used_memory_peak"] == str(peak)


def test_what_is_configured_is_told(a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru", "hz", "25")
    told = facts(a)
    assert (told["maxmemory"], told["maxmemory_human"]) == ("104857600", "100.00M")
    assert (told["maxmemory_policy"], told["hz"], told["configured_hz"]) == ("allkeys-lru", "25", "25")


# --- Statistics ------------------------------------------------------------------------------------------------------


def test_lookups_changes_and_errors(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v")
    a.command("MGET", "k", "k", "nosuch")
    a.command("nosuch")
    a.command("INCR", "k")
    told = facts(a, "stats", "persistence", "errorstats")
    assert (told["keyspace_hits"], told["keyspace_misses"]) == ("2", "1")
    assert (told["total_commands_processed"], told["total_error_replies"]) == ("3", "2")
    assert told["rdb_changes_since_last_save"] == "1"
    assert told["errorstat_ERR"] == "count=2"

    a.command("CONFIG", "RESETSTAT")
    told = facts(a, "stats", "persistence", "errorstats")
    assert (told["keyspace_hits"], told["total_commands_processed"], told["total_error_replies"]) == ("0", "1", "0")
    assert told["rdb_changes_since_last_save"] == "1", "not a statistic"
    assert "errorstat_ERR" not in told


def test_expired_keys_and_their_average_ttl(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v", "PX", 100_000)
    assert facts(a, "keyspace") == {"db0": "keys=1,expires=1,avg_ttl=0,subexpiry=0"}, "nobody has looked yet"
    node.advance(0.1)
    assert re.search(r"avg_ttl=99[89]\d\d,", text(a, "keyspace"))
    node.advance(100)
    assert text(a, "keyspace") == "# Keyspace\r\n"
    assert facts(a, "stats")["expired_keys"] == "1"


def test_commandstats_tell_run_failed_and_rejected_apart(a: InProcessClient) -> None:
    for line in ("SET k v", "INCR k", "GET", "CONFIG", "CONFIG GET hz", "MULTI", "SHUTDOWN", "EXEC"):
        a.command(*line.split())
    told = facts(a, "commandstats")
    zero = "usec=0,usec_per_call=0.00"
    assert told == {
        "cmdstat_set": f"calls=1,{zero},rejected_calls=0,failed_calls=0",
        "cmdstat_incr": f"calls=1,{zero},rejected_calls=0,failed_calls=1",
        "cmdstat_get": f"calls=0,{zero},rejected_calls=1,failed_calls=0",
        "cmdstat_config": f"calls=0,{zero},rejected_calls=1,failed_calls=0",
        "cmdstat_config|get": f"calls=1,{zero},rejected_calls=0,failed_calls=0",
        "cmdstat_multi": f"calls=1,{zero},rejected_calls=0,failed_calls=0",
        "cmdstat_shutdown": f"calls=0,{zero},rejected_calls=1,failed_calls=0",
        "cmdstat_exec": f"calls=1,{zero},rejected_calls=0,failed_calls=1",
    }


def test_a_wait_counts_once_it_is_answered_with_all_that_it_took(node: InProcess, a: InProcessClient) -> None:
    ticks = count(step=1_000_000)
    node.server.monotonic_ns = lambda: next(ticks)  # a call of a handler takes a millisecond
    served, late, gone = (node.connect() for _ in range(3))
    served.command("BLPOP", "l", 0)
    late.command("BRPOP", "l", 1)
    gone.command("BLMPOP", 0, 1, "l", "LEFT")
    assert not facts(a, "commandstats").keys() & {"cmdstat_blpop", "cmdstat_brpop", "cmdstat_blmpop"}
    gone.disconnect()
    a.command("RPUSH", "l", "1")
    node.advance(1.1)
    told = facts(a, "commandstats")
    assert told["cmdstat_blpop"] == "calls=1,usec=2000,usec_per_call=2000.00,rejected_calls=0,failed_calls=0"
    assert told["cmdstat_brpop"] == "calls=1,usec=1000,usec_per_call=1000.00,rejected_calls=0,failed_calls=0"
    assert "cmdstat_blmpop" not in told


def test_durations_and_their_percentiles(a: InProcessClient) -> None:
    for seconds in ("0.012", "0.012", "0.5", "2"):
        a.command("DEBUG", "SLEEP", seconds)
    told = facts(a, "commandstats", "latencystats")
    assert told["cmdstat_debug"] == "calls=4,usec=2524000,usec_per_call=631000.00,rejected_calls=0,failed_calls=0"
    assert told["latency_percentiles_usec_debug"] == "p50=12058.623,p99=1002438.655,p99.9=1002438.655"

    a.command("CONFIG", "SET", "latency-tracking-info-percentiles", "0 12.5 75 100")
    told = facts(a, "latencystats")
    assert told["latency_percentiles_usec_debug"] == "p0=11993.088,p12.5=12058.623,p75=501219.327,p100=1002438.655"

    a.command("CONFIG", "SET", "latency-tracking", "no")
    assert text(a, "latencystats") == "# Latencystats\r\n"


def test_a_flood_of_error_codes_ends_their_counting() -> None:
    stats = Statistics(0)
    codes = sorted(b"E%d" % number for number in range(MOST_ERROR_CODES))
    assert not any(map(stats.count_error, codes))
    stats.count_error(b"E0")
    assert len(stats.errors) == MOST_ERROR_CODES
    assert stats.errors[b"E0"] == 2
    assert [stats.count_error(code) for code in (b"ONE", b"MORE", b"E0")] == [codes, [], []]
    assert stats.errors == {b"ERRORSTATS_DISABLED": 1}
    assert stats.error_replies == MOST_ERROR_CODES + 4
    stats.reset()
    stats.count_error(b"ERR")
    assert stats.errors == {b"ERR": 1}


def test_the_log_says_so_and_names_the_codes(node: InProcess, a: InProcessClient) -> None:
    for number in range(MOST_ERROR_CODES + 5):
        a.command("EVAL", "return redis.error_reply(ARGV[1] .. ' x')", 0, f"E{number:03}")
    told = [message for message in node.messages if "rror" in message]
    assert [message[:30] for message in told] == ["# Errorstats stopped adding ne", "# Current errors code list: E0"]
    assert told[1].endswith(", E126, E127")


def test_the_section_for_who_asks_by_name(node: InProcess, a: InProcessClient) -> None:
    assert "eventloop_duration_cron_sum" not in text(a, "everything")
    a.talk(*[b"PING\r\n"] * 5)
    node.advance(1)
    told = facts(a, "debug")
    assert list(told)[:4] == [
        "eventloop_duration_aof_sum",
        "eventloop_duration_cron_sum",
        "eventloop_duration_max",
        "eventloop_cmd_per_cycle_max",
    ]
    assert told["allocator_allocated_lua"] == facts(a, "memory")["used_memory_vm_total"]


def test_rates_are_averages_of_the_last_samples(node: InProcess, a: InProcessClient) -> None:
    for _ in range(20):
        a.talk(*[b"PING\r\n"] * 5)
        node.advance(0.1)
    told = facts(a, "stats")
    assert told["instantaneous_ops_per_sec"] == "50"
    assert told["instantaneous_input_kbps"] == f"{300 / 1024:.2f}"
    node.advance(1.6)
    assert facts(a, "stats")["instantaneous_ops_per_sec"] == "0"


def test_a_rate_needs_two_readings() -> None:
    rate = Rate(per=1)
    rate.sample(100, 10)
    assert rate.average == 0
    rate.sample(132, 12)
    assert rate.average == 16 / 16
    rate.sample(999, 12)
    assert rate.average == 1, "no time has passed"


# --- Data ------------------------------------------------------------------------------------------------------------


def test_databases_that_hold_something(a: InProcessClient) -> None:
    a.command("SET", "a", "1", "EX", 10)
    a.command("SELECT", 9)
    a.command("MSET", "b", "1", "c", "2")
    assert facts(a, "keyspace") == {
        "db0": "keys=1,expires=1,avg_ttl=0,subexpiry=0",
        "db9": "keys=2,expires=0,avg_ttl=0,subexpiry=0",
    }


def test_sizes_of_values_by_powers_of_two(a: InProcessClient) -> None:
    for number, size in enumerate((0, 1, 2, 3, 4, 7, 8, 1023, 1024, 2047, 2048, 1_048_575, 1_048_576)):
        a.command("SET", f"k{number}", bytes(size))
    assert facts(a, "keysizes") == {
        "db0_distrib_strings_sizes": "0=1,1=1,2=2,4=2,8=1,512=1,1K=2,2K=1,512K=1,1M=1",
    }


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), min_size=3, max_size=3), st.integers(0, 2**32))
def test_the_sizes_of_many_keys_are_those_of_the_last_round(batches: list[int], seed: int) -> None:
    node = InProcess("databases 3", seed=seed)
    a = node.connect()
    expected: dict[str, int] = {}
    for number, batch in enumerate(batches):
        db = node.server.keyspace.databases[number]
        for key in range(batch * 3_000):
            db.set(b"%d" % key, bytes(key % 3))
        if batch:
            expected[f"db{number}_distrib_strings_sizes"] = batch * 1_000
    first = facts(a, "keysizes")
    assert set(first) == {name for name, each in expected.items() if 3 * each <= AT_ONCE}
    node.advance(0.1 * (sum(batches) * 3_000 // PER_TURN + 5))
    assert facts(a, "keysizes") == {name: f"0={each},1={each},2={each}" for name, each in expected.items()}


def test_nobody_counts_when_nobody_asks(node: InProcess, a: InProcessClient) -> None:
    db = node.server.keyspace.databases[0]
    for key in range(AT_ONCE + 1):
        db.set(b"%d" % key, b"v")
    sizes = node.server.keysizes
    node.advance(1)
    assert not sizes._rounds
    text(a, "keysizes")
    node.advance(1)
    assert sizes._rounds
    node.clock.advance(WALKS_ON_MS / 1000)
    node.advance(0.2)
    assert not sizes._rounds


# --- In a real process -----------------------------------------------------------------------------------------------


def test_a_client_library_reads_it() -> None:
    with mini_redis.testing.run() as server, redis.Redis(port=server.port) as client:
        client.set("k", "v", ex=100)
        told = client.info("everything")
        assert told["redis_version"] == "8.2.3"
        assert told["tcp_port"] == server.port
        assert told["listener0"] == {"name": "tcp", "bind": "127.0.0.1", "port": server.port}
        assert told["used_memory_rss"] > 5_000_000 > told["used_memory"]
        assert told["used_cpu_user"] > 0
        assert told["db0"]["keys"] == 1
        assert told["cmdstat_set"]["calls"] == 1
        assert told["io_thread_0"]["clients"] == 1
        assert told["mem_allocator"] == "python"
