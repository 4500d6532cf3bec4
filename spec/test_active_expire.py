"""The active expire cycle under a clock that moves only when a key is deleted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.keyspace.active_expire import ActiveExpire
from mini_redis.keyspace.database import Database, Keyspace

NOW_MS = 1_000_000


class World:
    """A keyspace, a cycle, and a clock: each expired key costs `us_per_key`, everything else is free."""

    def __init__(self, us_per_key: int = 0) -> None:
        self.now_us = 0
        self.expired: list[tuple[int, bytes]] = []
        self.keyspace = Keyspace()
        self.keyspace.now_ms = NOW_MS

        def on_expired(db: Database, key: bytes) -> None:
            self.expired.append((db.id, key))
            self.now_us += us_per_key

        self.keyspace.on_expired = on_expired
        self.cycle = ActiveExpire(lambda: self.now_us * 1000)

    def fill(self, db: int, dead: int = 0, alive: int = 0, eternal: int = 0) -> None:
        """Keys that should have expired a second ago, will in an hour, and never; dead and alive in turns."""
        database = self.keyspace.databases[db]
        for number in range(max(dead, alive, eternal)):
            for kind, count, at_ms in (
                (b"dead", dead, NOW_MS - 1000),
                (b"alive", alive, NOW_MS + 3_600_000),
                (b"eternal", eternal, None),
            ):
                if number < count:
                    key = b"%b:%d" % (kind, number)
                    database.set(key, b"v")
                    if at_ms is not None:
                        database.set_expire_at(key, at_ms)

    def slow(self, effort: int = 1, hz: int = 10) -> int:
        before = len(self.expired)
        self.cycle.slow(self.keyspace.databases, NOW_MS, hz, effort)
        return len(self.expired) - before

    def fast(self, effort: int = 1) -> int:
        before = len(self.expired)
        self.cycle.fast(self.keyspace.databases, NOW_MS, effort)
        return len(self.expired) - before


def test_when_everything_died_at_once_one_cycle_clears_it() -> None:
    world = World()
    world.fill(0, dead=5000, eternal=100)
    assert world.slow() == 5000
    assert len(world.keyspace.databases[0]) == 100
    assert world.keyspace.expired_keys == 5000


def test_only_keys_whose_time_is_before_now_go() -> None:
    world = World()
    db = world.keyspace.databases[0]
    for offset in (-1, 0, 1):
        db.set(b"%d" % offset, b"v")
        db.set_expire_at(b"%d" % offset, NOW_MS + offset)
    world.slow()
    assert world.expired == [(0, b"-1")]


def every(nth: int, of: int) -> World:
    """A database of `of` keys with a TTL; each nth is dead."""
    world = World()
    db = world.keyspace.databases[0]
    for number in range(1, of + 1):
        key = b"%d" % number
        db.set(key, b"v")
        db.set_expire_at(key, NOW_MS - 1 if number % nth == 0 else NOW_MS + 1000)
    return world


def test_few_dead_keys_cost_one_look() -> None:
    """5 % are dead: a cycle sees twenty keys, finds less than ten percent dead, and leaves it at that."""
    world = every(20, of=1000)
    assert [world.slow() for _ in range(5)] == [1, 1, 1, 1, 1]


def test_it_goes_on_until_at_most_ten_percent_of_a_look_was_dead() -> None:
    """Half of the keys are dead, in turns: every look finds half of its twenty dead, so the walk goes all round."""
    world = World()
    world.fill(0, dead=1000, alive=1000)
    assert world.slow() == 1000


def test_the_cursor_goes_round_so_that_the_last_dead_key_is_found() -> None:
    world = World()
    world.fill(0, alive=1000)
    db = world.keyspace.databases[0]
    for victim in (b"alive:0", b"alive:999", b"alive:500"):
        db.set_expire_at(victim, NOW_MS - 1)
    cycles = 0
    while len(db.expires) > 997:
        world.slow()
        cycles += 1
        assert cycles <= 1000 // 20 + 1, "a whole walk, twenty keys each"


def test_a_database_without_ttls_costs_nothing_and_does_not_count_as_worked_on() -> None:
    world = World()
    world.fill(3, eternal=10)
    world.fill(15, dead=1)
    assert world.slow() == 1


def test_when_time_is_up_the_next_database_comes_first() -> None:
    world = World(us_per_key=1000)  # 320 keys between two readings of the clock: 320 ms of the 25 ms allowed
    world.fill(0, dead=1000)
    world.fill(1, dead=1000)
    assert world.slow() == 320
    assert {db for db, _ in world.expired} == {0}
    assert world.cycle.time_cap_reached == 1
    assert world.slow() == 320
    assert {db for db, _ in world.expired[320:]} == {1}
    assert world.cycle.time_used_us == 640_000


def test_the_time_limit_is_a_share_of_the_cron_period() -> None:
    """25 % of 100 ms at 50 us a key: 500 keys, rounded up to the next reading of the clock (each 320 keys)."""
    world = World(us_per_key=50)
    world.fill(0, dead=5000)
    assert world.slow() == 640
    world = World(us_per_key=50)
    world.fill(0, dead=5000)
    assert world.slow(hz=100) == 320, "2.5 ms are 50 keys"
    world = World(us_per_key=50)
    world.fill(0, dead=20_000)
    assert world.slow(effort=10) == 1040, "43 ms are 860 keys; 16 looks of 65 are 1040"


def test_the_fast_cycle_runs_only_when_work_was_left_behind() -> None:
    world = World(us_per_key=10)
    world.fill(0, dead=100)
    assert world.fast() == 0
    world.fill(0, dead=10_000)
    assert world.slow() > 0
    assert world.cycle.time_cap_reached == 1
    assert world.fast() == 320, "1 ms are 100 keys; the clock is read after 320"


def test_a_fast_cycle_waits_for_twice_its_length() -> None:
    world = World(us_per_key=10)
    world.fill(0, dead=20_000)
    world.slow()
    begun_us = world.now_us
    assert world.fast() == 320
    world.now_us = begun_us + 1999
    assert world.fast() == 0
    world.now_us = begun_us + 2000
    assert world.fast() == 320


def test_the_fast_cycle_also_runs_while_many_are_estimated_dead() -> None:
    world = World()
    world.fill(0, dead=1000)
    world.slow()
    assert world.cycle.stale_percent == 5.0, "all seen were dead: the average moves by 5 % of 100"
    world.fill(0, dead=1000)
    assert world.fast() == 0
    for _ in range(2):
        world.fill(0, dead=1000)
        world.slow()
    assert world.cycle.stale_percent > 10
    world.fill(0, dead=10)
    assert world.fast() == 10


def test_effort_widens_the_look_and_lowers_the_bound() -> None:
    """Each tenth is dead: 10 % of 20 keys are acceptable at effort 1; 3 of 25, 12 %, are not at effort 2."""
    assert every(10, of=100).slow(effort=1) == 2
    assert every(10, of=100).slow(effort=2) > 3


def test_the_average_ttl_follows_what_is_seen() -> None:
    world = World()
    world.fill(0, alive=10)
    db = world.keyspace.databases[0]
    world.slow()
    assert db.average_ttl_ms == 3_600_000
    for number in range(10):
        db.set_expire_at(b"alive:%d" % number, NOW_MS + 1_600_000)
    world.slow()
    assert db.average_ttl_ms == 3_560_000, "2 % of the way"
    for number in range(10):
        db.persist(b"alive:%d" % number)
    world.slow()
    assert db.average_ttl_ms == 0


def test_statistics_can_be_reset() -> None:
    world = World(us_per_key=1000)
    world.fill(0, dead=1000)
    world.slow()
    world.cycle.reset_statistics()
    assert (world.cycle.stale_percent, world.cycle.time_cap_reached, world.cycle.time_used_us) == (0.0, 0, 0)


@given(
    keys=st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 200)), st.none() | st.integers(-50, 50), max_size=150
    ),
    effort=st.integers(1, 10),
    us_per_key=st.sampled_from([0, 10, 10_000]),
    fast=st.lists(st.booleans(), max_size=20),
)
@settings(max_examples=150)
def test_exactly_the_dead_go_in_the_end_whatever_the_pace(
    keys: dict[tuple[int, int], int | None], effort: int, us_per_key: int, fast: list[bool]
) -> None:
    world = World(us_per_key)
    for (db, number), offset in keys.items():
        database = world.keyspace.databases[db]
        database.set(b"%d" % number, b"v")
        if offset is not None:
            database.set_expire_at(b"%d" % number, NOW_MS + offset)
    for choice in fast:
        if choice:
            world.fast(effort)
        else:
            world.slow(effort)
    for _ in range(60):
        world.slow(effort)
    dead = {(db, b"%d" % number) for (db, number), offset in keys.items() if offset is not None and offset < 0}
    assert sorted(world.expired) == sorted(dead)
    for database in world.keyspace.databases:
        database.expires.check()
        living = {(db, b"%d" % number) for db, number in keys if db == database.id} - dead
        assert len(database) == len(living)


@given(st.lists(st.integers(-20, 20), max_size=120), st.integers(1, 10))
@settings(max_examples=50)
def test_the_same_input_expires_the_same_keys_in_the_same_order(offsets: list[int], effort: int) -> None:
    orders = []
    for _ in range(2):
        world = World(us_per_key=100)
        for number, offset in enumerate(offsets):
            world.keyspace.databases[0].set(b"%d" % number, b"v")
            world.keyspace.databases[0].set_expire_at(b"%d" % number, NOW_MS + offset)
        for _ in range(5):
            world.slow(effort)
        orders.append(world.expired)
    assert orders[0] == orders[1]


def test_a_date_that_goes_back_does_not_stop_the_cron() -> None:
    node = InProcess()
    a = node.connect()
    node.advance(1)
    node.clock.step(-3600)
    a.command("SET", "k", "v", "PX", "10")
    a.command("BLPOP", "q", "0.2")
    node.advance(0.3)
    assert a.take() == b"*-1\r\n"
    assert not node.server.keyspace.databases[0].data
