"""What a key costs, where memory goes, and who is closed for taking too much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.keyspace.ledger import counted
from mini_redis.keyspace.memory import ALLOCATED, KEY_BYTES, STRING_BYTES, buckets, usage
from mini_redis.server.environment import Environment
from mini_redis.server.limits import LEAST_CLIENTS_MEMORY
from mini_redis.server.memory import EMPTY_SERVER, used_memory
from mini_redis.structures.hash import Hash
from mini_redis.structures.quicklist import of
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet

# --- The layout ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "given_size"),
    [(0, 8), (1, 8), (8, 8), (9, 16), (33, 40), (64, 64), (65, 80), (81, 96), (128, 128), (129, 160), (257, 320),
     (8193, 10240), (20_000, 20_480), (1_000_000, 1_048_576)],
)  # fmt: skip
def test_sizes_of_the_allocator(size: int, given_size: int) -> None:
    assert ALLOCATED[size] == given_size


@given(st.integers(1, 1 << 40))
def test_an_allocation_is_large_enough_and_wastes_a_fifth_at_most(size: int) -> None:
    assert size <= ALLOCATED[size] <= max(8, size * 1.25 + 8)
    assert ALLOCATED[ALLOCATED[size]] == ALLOCATED[size]
    assert ALLOCATED[size] <= ALLOCATED[size + 1]


@pytest.mark.parametrize(("entries", "expected"), [(0, 0), (1, 4), (4, 4), (5, 8), (1024, 1024), (1025, 2048)])
def test_buckets(entries: int, expected: int) -> None:
    assert buckets(entries) == expected


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_longer_strings_never_count_less(length: int, more: int) -> None:
    assert STRING_BYTES[length] <= STRING_BYTES[length + more]


def a_hash(pairs: dict[bytes, bytes], table: bool = False) -> Hash:
    value = Hash()
    if table:
        value.become_table()
    for field, content in pairs.items():
        value.set(field, content)
    return value


def a_set(members: list[bytes], table: bool = False) -> Set:
    value = Set()
    if table:
        value.become_table()
    else:
        value.become_listpack()
    for member in members:
        value.add(member)
    return value


def a_sorted_set(pairs: dict[bytes, float], skiplist: bool = False) -> SortedSet:
    value = SortedSet()
    if skiplist:
        value.become_skiplist()
    for member, score in pairs.items():
        value.set(member, score)
    return value


NAMES = [b"m%05d" % number for number in range(1024)]


@pytest.mark.parametrize(
    ("value", "bytes_in_redis"),
    [  # as MEMORY USAGE k SAMPLES 0 of Redis 8.2.3 tells them
        (b"v", 32),
        (b"v" * 41, 72),
        (b"v" * 1000, 1048),
        (b"v" * 100_000, 114_712),
        (b"12345", 24),
        (of(NAMES[:100], -2), 920),
        (of([b"m%05d" % number for number in range(2000)], -2), 16_528),
        (a_set(NAMES[:128]), 1304),
        (a_set(NAMES[:1024], table=True), 41_040),
        (a_hash({b"f%05d" % n: b"v%05d" % n for n in range(10)}), 216),
        (a_hash({b"f%05d" % n: b"v%05d" % n for n in range(1024)}, table=True), 49_232),
        (a_sorted_set({NAMES[n]: n for n in range(100)}), 1048),
    ],
)
def test_usage_is_that_of_redis(value: object, bytes_in_redis: int) -> None:
    assert usage(b"k", value, False, 0) == bytes_in_redis


def test_a_skip_list_is_reckoned_with_its_average_levels() -> None:
    value = a_sorted_set({NAMES[n]: n for n in range(1024)}, skiplist=True)
    assert abs(usage(b"k", value, False, 0) - 80_752) < 800


TEXTS = st.binary(min_size=1, max_size=40).filter(lambda text: not text.isdigit())


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=60), st.booleans())
def test_what_is_counted_in_o1_is_near_what_is_measured(pairs: dict[bytes, bytes], table: bool) -> None:
    for value in (
        a_hash(pairs, table),
        of([*pairs, *pairs.values()], -2),
        a_sorted_set({member: float(len(text)) for member, text in pairs.items()}, table),
    ):
        near = counted(b"key", value) - KEY_BYTES[3] + 24
        exact = usage(b"key", value, False, 0)
        assert exact / 1.3 <= near <= exact * 1.3 + 16


def test_samples_stand_for_the_rest() -> None:
    sizes = {b"a%d" % number: b"" for number in range(600)} | {b"b%d" % number: b"x" * 500 for number in range(600)}
    value = a_hash(sizes, table=True)
    first_five, all_of_them = usage(b"k", value, False, 5), usage(b"k", value, False, 0)
    assert first_five * 4 < all_of_them, "the first five are small"


# --- Where memory goes -----------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> InProcess:
    return InProcess()


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


def stats(client: InProcessClient) -> dict[str, float]:
    """MEMORY STATS over RESP2, without the maps of databases."""
    words = client.command("MEMORY", "STATS").split(b"\r\n")
    found: dict[str, float] = {}
    for at, word in enumerate(words):
        if word.startswith(b"$") and not words[at + 1][:1].isdigit():
            value = words[at + 3] if words[at + 2].startswith(b"$") else words[at + 2][1:]
            if not value.startswith(b"overhead"):
                found[words[at + 1].decode()] = float(value)
    return found


def test_stats_add_up(node: InProcess, a: InProcessClient) -> None:
    assert stats(a)["keys.count"] == stats(a)["dataset.bytes"] == 0
    for number in range(100):
        a.command("SET", f"key:{number}", "v" * 100, "EX", 1000)
    a.command("SELECT", 7)
    a.command("RPUSH", "list", "x" * 10_000)
    node.advance(1)  # the cron looks at clients
    told = stats(a)
    assert told["total.allocated"] == used_memory(node.server) == told["overhead.total"] + told["dataset.bytes"]
    assert told["startup.allocated"] == EMPTY_SERVER
    assert told["keys.count"] == 101
    assert told["keys.bytes-per-key"] == (told["total.allocated"] - EMPTY_SERVER) // 101
    assert told["clients.normal"] == a.handle.memory == 1920
    assert 20_000 < told["dataset.bytes"] < 30_000
    assert told["overhead.db.hashtable.lut"] == 8 * (128 + 128 + 4)


def test_databases_have_maps_of_their_own(a: InProcessClient) -> None:
    a.command("SET", "k", "v", "EX", 10)
    a.command("HELLO", 3)
    reply = a.command("MEMORY", "STATS")
    inner = b"$4\r\ndb.0\r\n%2\r\n$23\r\noverhead.hashtable.main\r\n:64\r\n$26\r\noverhead.hashtable.expires\r\n:48\r\n"
    assert inner in reply
    assert b"db.1" not in reply


def test_the_doctor(node: InProcess, a: InProcessClient) -> None:
    def diagnosis() -> bytes:
        return a.command("MEMORY", "DOCTOR")

    assert b"empty or is using very little memory" in diagnosis()
    for number in range(6):
        a.command("SET", f"k{number}", bytes(1_000_000))
    assert b"I can't find any memory issue" in diagnosis()
    for number in range(4):
        a.command("SET", f"more{number}", bytes(1_000_000))
    node.advance(0.2)
    a.command("DEL", *(f"more{number}" for number in range(4)))
    assert b"* Peak:" in diagnosis()
    assert b"* Large clients:" not in diagnosis()
    slow = node.connect()
    slow.send(b"*2\r\n$3\r\nGET\r\n$900000\r\n" + bytes(800_000))
    node.advance(2)
    assert b"* Large clients:" in diagnosis()


def test_purge_asks_the_process(node: InProcess, a: InProcessClient) -> None:
    asked = []

    class Process(Environment):
        def give_back_memory(self) -> None:
            asked.append(True)

    node.server.environment = Process()
    assert a.command("MEMORY", "PURGE") == b"+OK\r\n"
    assert asked == [True]


def test_deleting_everything_leaves_nothing(node: InProcess, a: InProcessClient) -> None:
    before = node.server.keyspace.used_bytes
    a.command("SET", "s", "v", "EX", 100)
    a.command("APPEND", "s", "w" * 1000)
    a.command("HSET", "h", "f", "v")
    a.command("HEXPIRE", "h", 1, "FIELDS", 1, "f")
    a.command("ZADD", "z", 1, "m")
    a.command("SELECT", 1)
    a.command("SADD", "t", *range(1000))
    a.command("SWAPDB", 0, 1)
    assert node.server.keyspace.used_bytes > before + 20_000
    node.advance(2)
    a.command("DEL", "s", "z")
    a.command("FLUSHDB")
    a.command("SELECT", 0)
    a.command("SPOP", "t", 1000)
    assert node.server.keyspace.used_bytes == before == 0


# --- Clients ---------------------------------------------------------------------------------------------------------


def half_a_request(client: InProcessClient, size: int) -> None:
    client.send(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % size + bytes(size))


def evicted(client: InProcessClient) -> int:
    lines = client.command("INFO", "stats").decode().split("\r\n")
    return int(next(line for line in lines if line.startswith("evicted_clients:")).partition(":")[2])


def test_the_largest_clients_are_closed_until_it_is_enough(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "maxmemory-clients", "500kb")
    small, large, larger = (node.connect() for _ in range(3))
    half_a_request(small, 100_000)
    half_a_request(large, 150_000)
    half_a_request(larger, 200_000)
    assert not larger.closed
    half_a_request(node.connect(), 180_000)
    assert (small.closed, large.closed, larger.closed) == (False, False, True)
    assert evicted(a) == 1
    assert node.messages[-1].startswith(f"* Evicting client: id={larger.handle.id} addr=127.0.0.1:")
    half_a_request(node.connect(), 700_000)
    assert (small.closed, large.closed, node.connections[-1].closed) == (False, False, True), "the last was largest"
    assert evicted(a) == 2
    a.command("CONFIG", "RESETSTAT")
    assert evicted(a) == 0


def test_replies_that_nobody_reads_count(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "big", bytes(300_000))
    a.command("CONFIG", "SET", "maxmemory-clients", "500kb")
    lazy = node.connect()
    lazy.reads = False
    lazy.command("GET", "big")
    assert not lazy.closed
    lazy.command("GET", "big")
    assert a.command("PING") == b"+PONG\r\n"
    assert lazy.closed


def test_replies_that_leave_within_their_turn_do_not_count(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "big", bytes(300_000))
    a.command("CONFIG", "SET", "maxmemory-clients", "200kb")
    node.clock.advance(0.2)
    node.server.receive(a.handle, b"GET big\r\n")
    node.server.tick()  # the cron is due in the same turn
    node.turn()
    assert len(a.take()) > 300_000
    assert not a.closed


def test_no_evict_protects_one_at_the_cost_of_the_others(node: InProcess, a: InProcessClient) -> None:
    b, c = node.connect(), node.connect()
    for client in (a, b):
        client.command("CLIENT", "NO-EVICT", "ON")
    a.command("CONFIG", "SET", "maxmemory-clients", "200kb")
    half_a_request(b, 300_000)
    node.advance(0.2)
    assert (b.closed, c.closed) == (False, True)
    assert a.command("PING") == b"+PONG\r\n"


@pytest.mark.parametrize(
    ("maxmemory", "clients", "limit"),
    [
        ("0", "0", None),
        ("0", "10%", None),
        ("10mb", "10%", 1_048_576),
        ("0", "1", LEAST_CLIENTS_MEMORY),
        ("0", "1mb", 1 << 20),
    ],
)
def test_the_limit_may_be_a_share_and_has_a_least_value(maxmemory: str, clients: str, limit: int | None) -> None:
    node = InProcess(f"maxmemory {maxmemory}", f"maxmemory-clients {clients}")
    below, above = (limit - 4000, limit + 1000) if limit else (10 << 20, 20 << 20)
    one = node.connect()
    half_a_request(one, below)
    node.advance(0.2)
    assert not one.closed
    other = node.connect()
    half_a_request(other, above)
    node.advance(0.2)
    assert other.closed == (limit is not None)
    assert not one.closed


def test_without_a_limit_the_cron_counts_once_a_second(node: InProcess, a: InProcessClient) -> None:
    def told() -> int:
        lines = a.command("INFO", "memory").decode().split("\r\n")
        return int(next(line for line in lines if line.startswith("mem_clients_normal:")).partition(":")[2])

    half_a_request(node.connect(), 100_000)
    node.advance(1.5)
    assert 100_000 < told() < 110_000
    node.connections[-1].disconnect()
    assert told() < 10_000


def test_who_does_nothing_is_not_looked_at(
    node: InProcess, a: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, half, waiting = node.connect(), node.connect(), node.connect()
    waiting.send(b"BLPOP k 0\r\n")
    limits, looked_at = node.server.limits, []
    measure = limits.measure
    monkeypatch.setattr(limits, "measure", lambda client: (looked_at.append(client), measure(client)))
    node.advance(2)
    assert {idle.handle, half.handle, waiting.handle} <= {*looked_at}
    half.send(b"PI")
    looked_at.clear()
    node.advance(5)
    assert {*looked_at} == {half.handle}, "somebody whose request is not whole costs memory"
    assert half.talk(b"NG\r\n") == b"+PONG\r\n"
    node.advance(2)
    looked_at.clear()
    node.advance(5)
    assert not looked_at

    assert a.command("CONFIG", "SET", "timeout", 30) == b"+OK\r\n"
    node.advance(40)
    assert idle.closed and half.closed and not waiting.closed, "but with a timeout, who sleeps is seen"


def test_what_a_client_takes_is_in_its_line(node: InProcess, a: InProcessClient) -> None:
    b = node.connect()
    b.command("MULTI")
    b.command("SET", "k", "v" * 1000)
    b.command("GET", "k")
    line = a.command("CLIENT", "LIST", "ID", b.handle.id).decode()
    told = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
    assert int(told["tot-mem"]) == b.handle.memory > 2900


def test_the_prefixes_that_a_client_listens_to_are_its_memory(node: InProcess, a: InProcessClient) -> None:
    before = a.handle.memory
    prefixes = [word for number in range(1000) for word in ("PREFIX", f"a{number:09}")]
    assert a.command("CLIENT", "TRACKING", "ON", "BCAST", *prefixes) == b"+OK\r\n"
    assert 30_000 < a.handle.memory - before < 50_000


def test_an_unfinished_request_is_memory_though_its_arguments_have_been_read(node: InProcess) -> None:
    client = node.connect()
    client.send(b"*9\r\n$4\r\nMSET\r\n")
    before = client.handle.memory
    client.send(b"$1\r\nk\r\n$5000\r\n" + bytes(5000) + b"\r\n")
    assert client.handle.memory - before == 5001
    client.send(b"$60000\r\n")
    assert 0 <= client.handle.memory - before - 5001 - 60_000 < 10, "and an argument from its announcement on"
    line = node.connect().command("CLIENT", "LIST", "ID", client.handle.id)
    assert b" qbuf=0 " in line and b" argv-mem=5005 " in line
