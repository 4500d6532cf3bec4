"""maxmemory: promise E1 under random load with all policies, who is chosen, and what everybody sees of it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mini_redis.commands import COMMANDS
from mini_redis.commands.registry import DENYOOM
from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.keyspace.database import Database, Keyspace
from mini_redis.keyspace.eviction import POLICIES, POOL_SIZE, Evictor
from mini_redis.server.eviction import time_limit_us
from mini_redis.server.memory import EMPTY_SERVER, used_memory

OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"

# --- E1: eviction only above maxmemory; volatile-* takes no key without TTL; noeviction refuses only what can grow ----

KEYS = st.integers(0, 30).map("k{}".format)
LINES = st.one_of(
    st.tuples(st.just("SET"), KEYS, st.integers(0, 900).map(lambda size: "x" * size)),
    st.tuples(
        st.just("SET"), KEYS, st.integers(0, 900).map(lambda size: "t" * size), st.just("EX"), st.integers(1, 500)
    ),
    st.tuples(st.just("APPEND"), KEYS, st.just("y" * 50)),
    st.tuples(st.just("GET"), KEYS),
    st.tuples(st.just("RPUSH"), KEYS, st.just("element"), st.just("z" * 300)),
    st.tuples(st.just("LPOP"), KEYS),
    st.tuples(st.just("HSET"), KEYS, st.integers(0, 99), st.just("v" * 20)),
    st.tuples(st.just("SADD"), KEYS, st.integers(0, 10**6), st.just("member")),
    st.tuples(st.just("ZADD"), KEYS, st.integers(0, 99), st.just("m" * 40)),
    st.tuples(st.just("DEL"), KEYS),
    st.tuples(st.just("EXPIRE"), KEYS, st.integers(1, 1000)),
    st.tuples(st.just("PERSIST"), KEYS),
    st.tuples(st.just("RENAME"), KEYS, KEYS),
    st.tuples(st.just("COPY"), KEYS, KEYS),
    st.tuples(st.just("advance"), st.integers(1, 100)),
    st.tuples(st.just("CONFIG"), st.just("SET"), st.just("maxmemory"), st.integers(648_000, 662_000)),
)


class Watched:
    """A node that is looked at before and after each command."""

    def __init__(self, policy: bytes) -> None:
        self.node = InProcess(f"maxmemory-policy {policy.decode()}", f"maxmemory {EMPTY_SERVER + 8_000}", seed=7)
        self.policy = POLICIES[policy]
        self.client = self.node.connect()
        self.server = self.node.server
        self.db = self.server.keyspace.databases[0]
        self.evicted: list[tuple[bytes, int]] = []  # with the memory that is used afterwards
        self.evictions = self.refusals = 0
        for number in range(12):
            self.client.command("SET", f"k{number}", "v" * 300, *("EX", 300 + number) * (number % 2))
        key_evicted = self.server.key_evicted

        def note(db: Database, key: bytes) -> None:
            self.evicted.append((key, used_memory(self.server)))
            key_evicted(db, key)

        self.server.key_evicted = note  # type: ignore[method-assign]

    def run(self, line: tuple[object, ...]) -> None:
        if line[0] == "advance":
            self.node.clock.advance(float(str(line[1])))
            return
        self.evicted.clear()
        used, limit = used_memory(self.server), self.server.config.maxmemory
        keys = {
            key: bytes(value) if isinstance(value, (bytes, bytearray)) else value for key, value in self.db.data.items()
        }
        expiring = set(self.db.expires)
        reply = self.client.command(*(str(word) for word in line))
        self.check(str(line[0]), reply, used, limit, expiring)
        for key, before in keys.items():
            if key not in (str(word).encode() for word in line) and key not in dict(self.evicted):
                value = self.db.data.get(key)
                assert value is None or value == before or value is before, "nobody else's key changes"

    def check(self, name: str, reply: bytes, used: int, limit: int, expiring: set[bytes]) -> None:
        exceeded = bool(limit) and used > limit
        self.evictions += len(self.evicted)
        self.refusals += reply == OOM
        if self.evicted:
            assert self.policy.evicts
            assert exceeded, "eviction only above maxmemory"
            assert all(left > limit for _, left in self.evicted[:-1]), "and not one key more than needed"
        if not self.policy.all_keys:
            assert {key for key, _ in self.evicted} <= expiring, "volatile-* takes only keys with a TTL"
        if reply == OOM:
            assert exceeded
            assert COMMANDS[name.lower().encode()].flags & DENYOOM, "only what can grow is refused"
            evictable = self.db.data if self.policy.all_keys else self.db.expires
            assert not self.policy.evicts or not len(evictable), "and only if there is nothing to evict"
        elif exceeded and COMMANDS[name.lower().encode()].flags & DENYOOM:
            assert self.evicted and self.evicted[-1][1] <= limit, "what can grow runs only when there is room"
        self.server.keyspace.ledger.check(self.db)


@pytest.mark.parametrize("policy", POLICIES, ids=bytes.decode)
def test_e1(policy: bytes) -> None:
    evictions = refusals = 0

    @given(lines=st.lists(LINES, min_size=10, max_size=60))
    @example(lines=[("CONFIG", "SET", "maxmemory", 648_000), ("SET", "k0", "x")])
    @settings(max_examples=60, deadline=None)
    def holds(lines: list[tuple[object, ...]]) -> None:
        nonlocal evictions, refusals
        watched = Watched(policy)
        for line in lines:
            watched.run(line)
        evictions += watched.evictions
        refusals += watched.refusals

    holds()
    assert refusals, "the load was heavy enough"
    assert evictions > 10 or not POLICIES[policy].evicts


def test_every_policy_is_one_that_can_be_configured() -> None:
    a = InProcess().connect()
    for policy in POLICIES:
        assert a.command("CONFIG", "SET", "maxmemory-policy", policy) == b"+OK\r\n"
    assert a.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lrm").startswith(b"-ERR"), "that came with 8.6"


# --- Who is chosen ----------------------------------------------------------------------------------------------------


def evictor(policy: bytes, samples: int = 64) -> Evictor:
    chosen = Evictor(Random(1))
    chosen.policy, chosen.samples = POLICIES[policy], samples
    return chosen


def keyspace_of(count: int, lfu: bool = False) -> Keyspace:
    """Keys 0, 1, ... each used a second after the one before; the even ones have a TTL, the later the sooner over."""
    keyspace = Keyspace(2)
    keyspace.use_lfu(lfu)
    for number in range(count):
        keyspace.now_ms = 1_000_000 + number * 1000
        db = keyspace.databases[number % 3 // 2]
        db.set(b"%d" % number, b"v")
        if number % 2 == 0:
            db.set_expire_at(b"%d" % number, 10**10 - number)
    return keyspace


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (b"allkeys-lru", list(range(20))),
        (b"volatile-lru", list(range(0, 20, 2))),
        (b"volatile-ttl", list(range(18, -1, -2))),
    ],
)
def test_with_samples_enough_the_choice_is_exact(policy: bytes, expected: list[int]) -> None:
    keyspace, chosen = keyspace_of(20), evictor(policy)
    order = []
    while (found := chosen.choose(keyspace.databases)) is not None:
        order.append(int(found[1]))
        found[0].delete(found[1])
        chosen.check()
    assert order == expected
    assert sum(map(len, keyspace.databases)) == 20 - len(expected)


def test_lfu_takes_what_is_used_least_and_forgets_old_fame() -> None:
    keyspace = keyspace_of(3, lfu=True)
    one, other = keyspace.databases
    for db in keyspace.databases:
        db.clocks.log_factor = 0  # each use counts
    for key, uses in ((b"0", 5), (b"1", 9)):
        for _ in range(uses):
            one.read(key)
    assert [evictor(b"allkeys-lfu").choose(keyspace.databases)] == [(other, b"2")]
    keyspace.now_ms += 8 * 60_000
    for _ in range(3):
        other.read(b"2")
    assert [one.frequency(b"0"), one.frequency(b"1"), other.frequency(b"2")] == [2, 6, 3]
    assert evictor(b"allkeys-lfu").choose(keyspace.databases) == (one, b"0")


@pytest.mark.parametrize("policy", [b"allkeys-random", b"volatile-random"])
def test_at_random_databases_take_turns(policy: bytes) -> None:
    keyspace, chosen = keyspace_of(60), evictor(policy)
    found = [chosen.choose(keyspace.databases) for _ in range(40)]
    assert {pair[0].id for pair in found[::2] if pair} == {1}
    assert {pair[0].id for pair in found[1::2] if pair} == {0}
    assert len({pair[1] for pair in found if pair}) > 10
    if policy == b"volatile-random":
        assert all(pair and pair[1] in pair[0].expires for pair in found)


def test_the_pool_remembers_good_candidates() -> None:
    """One sample a time, and yet the oldest of a thousand is evicted soon after it was seen."""
    keyspace, chosen = keyspace_of(1000), evictor(b"allkeys-lru", samples=1)
    evicted = []
    for _ in range(300):
        found = chosen.choose(keyspace.databases)
        assert found is not None
        evicted.append(int(found[1]))
        found[0].delete(found[1])
        chosen.check()
    without_pool = sum(range(1000)) / 1000
    assert sum(evicted) / len(evicted) < without_pool * 0.9


def test_who_is_gone_is_no_candidate() -> None:
    keyspace, chosen = keyspace_of(40), evictor(b"allkeys-lru", samples=40)
    first = chosen.choose(keyspace.databases)
    assert first is not None and first[1] == b"0"
    for number in range(POOL_SIZE + 4):
        for db in keyspace.databases:
            db.delete(b"%d" % number)
    assert chosen.choose(keyspace.databases) == (keyspace.databases[1], b"20"), "the ghosts in the pool are passed over"


def test_equal_seeds_evict_equal_keys() -> None:
    def evicted() -> bytes:
        node = InProcess(f"maxmemory {EMPTY_SERVER + 20_000}", "maxmemory-policy allkeys-lru", seed=5, logging=True)
        client = node.connect()
        for number in range(600):
            client.command("SET", f"key:{number}", "x" * (number % 50))
            client.command("GET", f"key:{number // 2}")
            node.clock.advance(0.3)
        return node.log

    assert evicted() == evicted()
    assert evicted().count(b"DEL") > 100


# --- What everybody sees ----------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> InProcess:
    return InProcess("notify-keyspace-events KEA", logging=True)


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


def stat(client: InProcessClient, name: str) -> int:
    lines = client.command("INFO", "stats").decode().split("\r\n")
    return int(next(line for line in lines if line.startswith(name + ":")).partition(":")[2])


def test_an_eviction_is_announced_propagated_and_seen_by_watchers(node: InProcess, a: InProcessClient) -> None:
    b, c = node.connect(), node.connect()
    c.command("PSUBSCRIBE", "__keyevent@*:evicted")
    a.command("SET", "k", "v")
    b.command("WATCH", "k")
    node.log = b""
    assert a.command("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "allkeys-lru") == b"+OK\r\n"
    node.advance(0.01)
    assert node.log == b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"
    assert c.take().endswith(b"$20\r\n__keyevent@0__:evicted\r\n$1\r\nk\r\n"[4:])
    assert stat(a, "evicted_keys") == 1
    b.talk(b"MULTI\r\n", b"PING\r\n")
    assert b.command("EXEC") == b"*-1\r\n"
    a.command("CONFIG", "RESETSTAT")
    assert stat(a, "evicted_keys") == 0


def test_deletions_are_no_transaction_with_the_command_that_paid_for_them(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    for number in range(3):
        a.command("SET", f"k{number}", "v" * 1000)
    node.server.config.maxmemory = used_memory(node.server) - 1500
    node.server.choose_gates()
    node.log = b""
    a.talk(b"MULTI\r\n", b"SET x 1\r\n", b"EXEC\r\n")
    assert node.log.count(b"DEL") == 2
    assert b"MULTI" not in node.log
    assert node.log.endswith(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n")


def test_a_transaction_is_judged_before_it_runs(node: InProcess, a: InProcessClient) -> None:
    a.talk(b"MULTI\r\n", b"CONFIG SET maxmemory 1\r\n", b"SET a 1\r\n")
    assert a.command("EXEC") == b"*2\r\n+OK\r\n+OK\r\n"
    a.talk(b"MULTI\r\n", b"GET a\r\n")
    assert a.command("EXEC") == b"*1\r\n$1\r\n1\r\n"
    assert a.talk(b"MULTI\r\n", b"SET a 2\r\n") == b"+OK\r\n" + OOM
    assert a.command("EXEC").startswith(b"-EXECABORT")

    a.command("CONFIG", "SET", "maxmemory", "0")
    a.talk(b"MULTI\r\n", b"SET a 2\r\n")
    node.connect().command("CONFIG", "SET", "maxmemory", "1")
    assert a.command("EXEC") == b"-EXECABORT Transaction discarded because of: " + OOM[1:]
    assert a.command("GET", "a") == b"$1\r\n1\r\n"


def test_a_script_may_ask(node: InProcess, a: InProcessClient) -> None:
    assert not node.server.is_out_of_memory()
    a.command("CONFIG", "SET", "maxmemory", "1")
    a.command("PING")
    assert node.server.is_out_of_memory()
    a.command("CONFIG", "SET", "maxmemory", "0")
    a.command("PING")
    assert not node.server.is_out_of_memory()


def test_while_paused_nothing_is_evicted_and_nothing_refused(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v")
    a.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    a.command("CLIENT", "PAUSE", 10_000, "WRITE")
    a.command("CONFIG", "SET", "maxmemory", "1")
    node.advance(1)
    assert a.command("GET", "k") == b"$1\r\nv\r\n"
    a.command("CLIENT", "UNPAUSE")
    assert a.command("GET", "k") == b"$-1\r\n"


def test_a_client_that_waited_is_refused_when_its_turn_comes(node: InProcess, a: InProcessClient) -> None:
    b = node.connect()
    a.command("RPUSH", "src", "x")
    b.command("BLMOVE", "q", "dst", "LEFT", "RIGHT", 0)
    a.command("CONFIG", "SET", "maxmemory", "1")
    a.command("RENAME", "src", "q")
    assert b.take() == OOM
    assert a.command("LLEN", "q") == b":1\r\n"


def test_setting_the_limit_below_use_is_warned_of(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "maxmemory", "1")
    assert node.messages[-1].startswith("# WARNING: the new maxmemory value set via CONFIG SET (1) is smaller than")
    before = len(node.messages)
    a.command("CONFIG", "SET", "maxmemory", "1gb")
    a.command("CONFIG", "SET", "maxmemory", "0")
    assert len(node.messages) == before


def test_how_long_memory_is_exceeded(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "maxmemory", "1")
    a.command("PING")
    node.advance(2)
    assert (stat(a, "current_eviction_exceeded_time"), stat(a, "total_eviction_exceeded_time")) == (2000, 2000)
    a.command("CONFIG", "SET", "maxmemory", "1gb")
    a.command("PING")
    node.advance(2)
    assert (stat(a, "current_eviction_exceeded_time"), stat(a, "total_eviction_exceeded_time")) == (0, 2000)


# --- Time that evicting may take --------------------------------------------------------------------------------------


def test_tenacity() -> None:
    assert [round(time_limit_us(tenacity)) for tenacity in (0, 5, 10, 20)] == [0, 250, 500, 2023]
    assert 2 * 60e6 < time_limit_us(99) < 3 * 60e6
    assert time_limit_us(100) == float("inf")


@pytest.mark.parametrize(("tenacity", "at_once"), [(0, 16), (10, 64), (100, 500)])
def test_what_is_not_evicted_in_time_goes_in_the_next_turns(tenacity: int, at_once: int) -> None:
    node = InProcess(f"maxmemory-eviction-tenacity {tenacity}", "maxmemory-policy allkeys-lru")
    a = node.connect()
    for number in range(500):
        a.command("SET", f"k{number}", "v" * 100)
    key_evicted = node.server.key_evicted

    def slowly(db: Database, key: bytes) -> None:
        node.clock.advance(8e-6)  # 16 keys: 128 us
        key_evicted(db, key)

    node.server.key_evicted = slowly  # type: ignore[method-assign]
    node.server.config.maxmemory = 1
    node.server.choose_gates()
    assert a.command("SET", "x", "1") == (OOM if at_once == 500 else b"+OK\r\n"), "as long as it goes on, it is enough"
    assert node.server.eviction.evicted_keys == at_once
    for _ in range(600):
        if not node.server.eviction.is_due:
            break
        node.server.tick()
        node.turn()
    assert len(node.server.keyspace.databases[0]) == 0
    assert a.command("SET", "x", "1") == OOM


def test_while_a_script_does_not_end_nothing_is_evicted(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v")
    a.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    node.server.scripting.busy = True
    node.server.config.maxmemory = 1
    node.server.choose_gates()
    node.server.eviction.is_due = True
    assert a.command("GET", "k").startswith(b"-BUSY")
    node.advance(0.2)
    assert len(node.server.keyspace.databases[0]) == 1
    node.server.scripting.busy = False
    node.server.choose_gates()
    assert a.command("GET", "k") == b"$-1\r\n"


def test_evicting_for_long_is_an_event_of_the_latency_monitor() -> None:
    node = InProcess("maxmemory-policy allkeys-lru", "latency-monitor-threshold 5", "maxmemory-eviction-tenacity 100")
    a = node.connect()
    for number in range(10):
        a.command("SET", f"k{number}", "v")
    key_evicted = node.server.key_evicted

    def slowly(db: Database, key: bytes) -> None:
        node.clock.advance(0.002)
        key_evicted(db, key)

    node.server.key_evicted = slowly  # type: ignore[method-assign]
    a.command("CONFIG", "SET", "maxmemory", "1")
    a.command("PING")
    assert b"eviction-cycle" in a.command("LATENCY", "LATEST")
