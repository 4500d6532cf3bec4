"""Times to live: replies, what the log sees, events and the count of changes, as observed at Redis 8.2.3."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import Consequences, Observer

from mini_redis.commands.expire import GT, LT, NX, XX, condition_holds
from mini_redis.drivers.in_process import InProcess

OK = b"+OK\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"


def test_whatever_was_said_the_log_sees_a_date_in_milliseconds(seen: Observer) -> None:
    seen(b"SET k v")
    now_ms = seen.now_ms
    for line, logged in {
        b"EXPIRE k 100": b"PEXPIREAT k %d" % (now_ms + 100_000),
        b"PEXPIRE k 100000": b"PEXPIREAT k %d" % (now_ms + 100_000),
        b"EXPIREAT k %d" % (now_ms // 1000 + 7): b"PEXPIREAT k %d" % (now_ms // 1000 * 1000 + 7000),
        b"PEXPIREAT k %d" % (now_ms + 7): b"PEXPIREAT k %d" % (now_ms + 7),
        b"EXPIRE k 300 xx Gt": b"PEXPIREAT k %d xx Gt" % (now_ms + 300_000),
    }.items():
        assert seen(line) == Consequences(ONE, [logged], [b"0:expire k"], dirty=1), line


def test_nothing_happens_without_key_or_if_the_condition_does_not_hold(seen: Observer) -> None:
    seen(b"SET k v")
    for line in (b"EXPIRE gone 100", b"EXPIRE k 100 XX", b"EXPIRE k 100 GT", b"EXPIRE k -1 GT", b"PERSIST k"):
        assert seen(line) == Consequences(ZERO), line


@pytest.mark.parametrize("line", [b"EXPIRE k 0", b"EXPIRE k -1", b"PEXPIRE k -1", b"EXPIREAT k 1", b"PEXPIREAT k -5"])
def test_a_date_that_is_past_deletes(seen: Observer, line: bytes) -> None:
    seen(b"SET k v")
    assert seen(line) == Consequences(ONE, [b"DEL k"], [b"0:del k"], dirty=1)
    assert seen.nodes[0].server.keyspace.expired_keys == 0, "it was deleted, not expired"
    for node in seen.nodes:
        node.config.lazyfree_lazy_expire = True
    seen(b"SET k v EX 100")
    assert seen(line) == Consequences(ONE, [b"UNLINK k"], [b"0:del k"], dirty=1)


def test_a_replica_takes_a_past_date_as_it_stands(seen: Observer) -> None:
    seen(b"SET k v")
    for node in seen.nodes:
        node.server.keyspace.masks_only = True
    assert seen(b"PEXPIREAT k 1").log == [b"PEXPIREAT k 1"]
    assert seen.talk(b"GET k") == b"$-1\r\n", "masked"
    assert seen.talk(b"DBSIZE") == ONE


def test_persist(seen: Observer) -> None:
    seen(b"SET k v EX 100")
    assert seen(b"PERSIST k") == Consequences(ONE, [b"PERSIST k"], [b"0:persist k"], dirty=1)
    assert seen(b"PERSIST k") == Consequences(ZERO)


def test_at_the_very_millisecond_a_key_is_still_there(seen: Observer) -> None:
    seen.stand_still()
    seen(b"SET k v PX 100")
    seen.advance(0.1)
    assert seen.talk(b"PTTL k") == ZERO
    assert seen.talk(b"TTL k") == ZERO
    seen.advance(0.001)
    assert seen(b"PTTL k") == Consequences(b":-2\r\n", [b"DEL k"], [b"0:expired k", b"0:keymiss k"])


def test_seconds_are_rounded_to_the_nearest(seen: Observer) -> None:
    seen(b"SET k v")
    for left_ms, told in ((1499, 1), (1500, 2), (499, 0), (500, 1)):
        seen(b"PEXPIRE k %d" % left_ms)
        assert seen.talk(b"TTL k") == b":%d\r\n" % told
    seen(b"PEXPIREAT k 9000000000500")
    assert seen.talk(b"EXPIRETIME k") == b":9000000001\r\n"


def test_the_active_cycle_deletes_tells_and_counts(seen: Observer) -> None:
    seen(b"MSET a 1 b 2 c 3")
    seen(b"PEXPIRE a 50")
    seen(b"PEXPIRE b 50")
    logged = len(seen.nodes[0].log)
    seen.events[0].clear()
    seen.advance(0.3)
    node = seen.nodes[0]
    assert len(node.server.keyspace.databases[0].data) == 1
    assert node.server.keyspace.expired_keys == 2
    assert sorted(seen.events[0]) == [b"0:expired a", b"0:expired b"]
    # One after the other, each for itself: nobody asked for them together.
    assert node.log[logged:].count(b"DEL") == 2
    assert b"MULTI" not in node.log[logged:]


def test_expiring_is_not_a_change_that_makes_the_reader_propagate(seen: Observer) -> None:
    seen.stand_still()
    seen(b"SET k v PX 10")
    seen.advance(0.011)
    assert seen(b"GET k") == Consequences(b"$-1\r\n", [b"DEL k"], [b"0:expired k", b"0:keymiss k"])


@given(
    condition=st.sampled_from([0, NX, XX, GT, LT, XX | GT, XX | LT]),
    before=st.none() | st.integers(0, 5),
    after=st.integers(0, 5),
)
def test_conditions_compare_as_if_no_ttl_were_the_longest(condition: int, before: int | None, after: int) -> None:
    longest = float("inf")
    old = longest if before is None else before
    expected = (
        (not condition & NX or before is None)
        and (not condition & XX or before is not None)
        and (not condition & GT or after > old)
        and (not condition & LT or after < old)
    )
    assert condition_holds(condition, before, after) == expected


COMMANDS = st.sampled_from(["SET", "SETEX", "EXPIRE", "PEXPIRE", "PERSIST", "DEL", "RENAME", "COPY", "wait"])


@given(st.lists(st.tuples(COMMANDS, st.integers(0, 3), st.integers(0, 3), st.integers(-5, 60)), max_size=60))
@settings(max_examples=80)
def test_a_model_with_dates(steps: list[tuple[str, int, int, int]]) -> None:
    """Keys with the date at which they go, beside the node: after each step both have the same keys and TTLs."""
    node = InProcess()
    client = node.connect()
    model: dict[int, int | None] = {}
    for name, key, other, number in steps:
        now_ms = node.clock.wall_us() // 1000
        model = {k: at for k, at in model.items() if at is None or at >= now_ms}
        match name:
            case "SET":
                client.command("SET", key, "v")
                model[key] = None
            case "SETEX":
                client.command("SET", key, "v", "PX", abs(number) + 1)
                model[key] = now_ms + abs(number) + 1
            case "EXPIRE" | "PEXPIRE":
                client.command(name, key, number)
                at_ms = now_ms + number * (1000 if name == "EXPIRE" else 1)
                if key in model and at_ms <= now_ms:
                    del model[key]
                elif key in model:
                    model[key] = at_ms
            case "PERSIST":
                client.command(name, key)
                model |= {key: None} if key in model else {}
            case "DEL":
                client.command(name, key)
                model.pop(key, None)
            case "RENAME" if key in model and key != other:
                client.command(name, key, other)
                model[other] = model.pop(key)
            case "COPY" if key in model and key != other:
                client.command(name, key, other, "REPLACE")
                model[other] = model[key]
            case "wait":
                node.advance(abs(number) / 1000)
        now_ms = node.clock.wall_us() // 1000
        for each in range(4):
            at = model.get(each, 0)
            alive = each in model and (at is None or at >= now_ms)
            expected = (-1 if at is None else at - now_ms) if alive else -2
            assert client.command("PTTL", each) == b":%d\r\n" % expected
