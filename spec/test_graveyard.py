"""Lazy freeing: what is large goes little by little, nothing that lives is taken apart, and all of it is counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.keyspace.graveyard import A_TURN, LARGE, Graveyard
from mini_redis.keyspace.memory import Container
from mini_redis.structures.hash import Hash
from mini_redis.structures.piecemeal import STEP
from mini_redis.structures.quicklist import of
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet
from mini_redis.structures.vector_set import F32, VectorSet

MANY = 3 * A_TURN


def large_list(count: int) -> Container:
    return of((b"%d" % number for number in range(count)), -2)


def large_set(count: int) -> Container:
    values = Set()
    values.become_table()
    for number in range(count):
        values.add(b"%d" % number)
    return values


def large_intset(count: int) -> Container:
    values = Set()
    values.numbers = list(range(count))
    return values


def large_hash(count: int) -> Container:
    values = Hash()
    values.become_table()
    for number in range(count):
        values.set(b"%d" % number, b"v")
        if number % 2:
            values.set_expire_at(b"%d" % number, number)
    return values


def large_sorted_set(count: int) -> Container:
    values = SortedSet()
    values.become_skiplist()
    for number in range(count):
        values.set(b"%d" % number, number)
    return values


def large_vector_set(count: int) -> Container:
    values = VectorSet(8, F32, 16)
    for number in range(count // 4):
        values.add(b"%d" % number, [float(number)] * 8)
        values.set_attributes(b"%d" % number, b"{}")
    return values


KINDS: list[Callable[[int], Container]] = [
    large_list, large_set, large_intset, large_hash, large_sorted_set, large_vector_set,
]  # fmt: skip


@pytest.mark.parametrize("make", KINDS)
def test_a_structure_goes_in_steps_and_entirely(make: Callable[[int], Container]) -> None:
    value = make(MANY)
    steps = list(value.dismantle())
    assert sum(steps) >= MANY // 8, "each element is in some step"
    assert max(steps) <= 4 * STEP, "no step is large"


@pytest.mark.parametrize("make", KINDS)
def test_one_turn_does_its_share(make: Callable[[int], Container]) -> None:
    graveyard = Graveyard()
    graveyard.take(make(MANY), lazily=True)
    if not graveyard.pending:
        pytest.skip("too small for this type")
    turns = 0
    while graveyard.remains:
        graveyard.work()
        turns += 1
    assert turns >= 3
    assert (graveyard.pending, graveyard.freed) == (0, 1)


@pytest.fixture
def node() -> InProcess:
    return InProcess(logging=True)


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


def fill(client: InProcessClient, key: str = "big", elements: int = MANY) -> None:
    for start in range(0, elements, 1000):
        client.command("SADD", key, *(f"m{number}" for number in range(start, min(elements, start + 1000))))


def lazy(client: InProcessClient) -> tuple[int, int]:
    lines = client.command("INFO", "memory").decode().split("\r\n")
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(told["lazyfree_pending_objects"]), int(told["lazyfreed_objects"])


@pytest.mark.parametrize(
    "line", ["DEL big", "UNLINK big", "SET big x", "FLUSHALL", "FLUSHDB ASYNC", "EXPIRE big -1", "RENAME small big",
             "SUNIONSTORE big small"],
)  # fmt: skip
def test_whatever_deletes_it_a_large_value_takes_several_turns(
    node: InProcess, a: InProcessClient, line: str
) -> None:
    fill(a)
    a.command("SADD", "small", "1")
    before = node.server.keyspace.used_bytes
    a.command(*line.split())
    assert node.server.keyspace.used_bytes < before / 100, "it does not count any more"
    pending = node.server.keyspace.graveyard.pending
    assert pending in (1, 2)
    assert node.server.next_tick_ms <= node.server.now_ms, "the loop goes on turning"
    node.advance(1)
    assert node.server.keyspace.graveyard.pending == 0
    assert lazy(a) == (0, 2 if "FLUSH" in line else 1)
    assert node.server.next_tick_ms > node.server.now_ms, "and then it sleeps again"


@pytest.mark.parametrize("line", ["RENAME big other", "MOVE big 1"])
def test_what_only_moves_is_not_touched(node: InProcess, a: InProcessClient, line: str) -> None:
    fill(a)
    a.command(*line.split())
    node.advance(1)
    assert lazy(a) == (0, 0)
    a.command("SELECT", "1" if "MOVE" in line else "0")
    key = "big" if "MOVE" in line else "other"
    assert a.command("SCARD", key) == b":%d\r\n" % MANY
    assert a.command("SISMEMBER", key, "m0") == b":1\r\n"


@pytest.mark.parametrize(
    ("setting", "line", "counted"),
    [
        ("", "UNLINK middle", 1),
        ("", "DEL middle", 0),
        ("lazyfree-lazy-user-del", "DEL middle", 1),
        ("", "RENAME other middle", 0),
        ("lazyfree-lazy-server-del", "RENAME other middle", 1),
        ("lazyfree-lazy-server-del", "SET middle x", 1),
        ("lazyfree-lazy-server-del", "DEL middle", 0),
        ("", "PEXPIRE middle 1", 0),
        ("lazyfree-lazy-expire", "PEXPIRE middle 1", 1),
        ("", "UNLINK small", 0),
        ("", "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1", 0),
        ("lazyfree-lazy-eviction", "CONFIG SET maxmemory-policy allkeys-lru maxmemory 1", 1),
    ],
)
def test_values_of_middle_size_are_freed_lazily_where_redis_does(
    node: InProcess, a: InProcessClient, setting: str, line: str, counted: int
) -> None:
    """Above 64 elements in a table; below, another thread would cost more than it saves."""
    if setting:
        a.command("CONFIG", "SET", setting, "yes")
    fill(a, "middle", 1000)
    fill(a, "small", 60)
    a.command("SET", "other", "1")
    a.command(*line.split())
    node.advance(1)
    assert lazy(a) == (0, counted)


def test_the_log_tells_unlink_where_the_server_frees_lazily(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "lazyfree-lazy-eviction", "yes")
    a.command("SET", "k", "v")
    a.command("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "allkeys-random")
    node.advance(1)
    assert node.log.endswith(b"*2\r\n$6\r\nUNLINK\r\n$1\r\nk\r\n")


def test_resetstat_forgets_what_was_freed(node: InProcess, a: InProcessClient) -> None:
    fill(a)
    a.command("DEL", "big")
    node.advance(1)
    assert lazy(a) == (0, 1)
    a.command("CONFIG", "RESETSTAT")
    assert lazy(a) == (0, 0)


def test_a_reply_of_a_transaction_outlives_its_value(node: InProcess, a: InProcessClient) -> None:
    """HGETALL answers the fields themselves; DEL buries them within the same EXEC."""
    elements = LARGE + 1
    for start in range(0, elements, 1000):
        a.command("HSET", "h", *(w for n in range(start, min(elements, start + 1000)) for w in (f"f{n}", "v")))
    expected = a.command("HGETALL", "h")
    for line in ("MULTI", "HGETALL h", "DEL h"):
        a.command(*line.split())
    assert a.command("EXEC") == b"*2\r\n" + expected + b":1\r\n"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["large", "middle", "string", "del", "flush", "turn"]), max_size=12))
def test_pending_is_what_is_buried(actions: list[str]) -> None:
    node = InProcess()
    client, keyspace = node.connect(), node.server.keyspace
    for number, action in enumerate(actions):
        match action:
            case "large":
                fill(client, f"k{number}", LARGE + 10)
            case "middle":
                fill(client, f"k{number}", 500)
            case "string":
                client.command("SET", f"k{number}", "v")
            case "del":
                client.command("UNLINK", "none", *(f"k{before}" for before in range(number)))
            case "flush":
                client.command("FLUSHALL")
            case _:
                node.turn()
        assert keyspace.graveyard.pending >= 0
        assert bool(keyspace.graveyard.remains) or keyspace.graveyard.pending == 0
        keyspace.ledger.check(keyspace.databases[0])
    node.advance(1)
    assert (keyspace.graveyard.pending, len(keyspace.graveyard.remains)) == (0, 0)
