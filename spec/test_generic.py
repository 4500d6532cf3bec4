"""The generic commands: replies, what the log sees, events and the count of changes, as observed at Redis 8.2.3."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import Consequences, Observer

from mini_redis.commands.scan import INVALID_CURSOR, parse_cursor
from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.reply import ReplyError

OK = b"+OK\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"


# --- Delete ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"DEL", b"UNLINK"])
def test_deleting_counts_each_key_once(seen: Observer, name: bytes) -> None:
    seen(b"MSET a 1 b 2")
    line = name + b" a b c a"
    assert seen(line) == Consequences(b":2\r\n", [line], [b"0:del a", b"0:del b"], dirty=2)
    assert seen(name + b" a") == Consequences(ZERO)


def test_deleting_an_expired_key_is_the_expirys_doing(seen: Observer) -> None:
    seen.stand_still()
    seen(b"SET a 1 PX 10")
    seen(b"SET b 1 PX 10")
    seen.advance(0.011)
    assert seen(b"DEL b a") == Consequences(
        ZERO, [b"MULTI", b"DEL b", b"DEL a", b"EXEC"], [b"0:expired b", b"0:expired a"]
    )


# --- Questions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"EXISTS %b", b"TYPE %b", b"TTL %b", b"PTTL %b", b"EXPIRETIME %b", b"TOUCH %b"])
def test_questions_count_hits_and_misses(seen: Observer, line: bytes) -> None:
    seen(b"SET here 1")
    keyspace = seen.nodes[0].server.keyspace
    before = (keyspace.hits, keyspace.misses)
    assert seen(line % b"here").events == []
    assert seen(line % b"gone").events == [b"0:keymiss gone"]
    assert (keyspace.hits - before[0], keyspace.misses - before[1]) == (1, 1)


@pytest.mark.parametrize("word", [b"ENCODING", b"REFCOUNT", b"IDLETIME", b"FREQ"])
def test_object_counts_but_does_not_announce_a_miss(seen: Observer, word: bytes) -> None:
    keyspace = seen.nodes[0].server.keyspace
    before = keyspace.misses
    assert seen(b"OBJECT %b gone" % word) == Consequences(b"$-1\r\n")
    assert keyspace.misses == before + 1


@pytest.mark.parametrize("line", [b"DEL gone", b"RENAME gone k", b"MOVE gone 1", b"EXPIRE gone 1", b"PERSIST gone"])
def test_lookups_of_writers_are_not_counted(seen: Observer, line: bytes) -> None:
    keyspace = seen.nodes[0].server.keyspace
    assert seen(line).events == []
    assert (keyspace.hits, keyspace.misses) == (0, 0)


def test_only_uses_turn_the_access_clock(seen: Observer) -> None:
    seen(b"SET k v")
    seen.advance(10)
    for line in (b"EXISTS k", b"TYPE k", b"TTL k", b"OBJECT ENCODING k", b"OBJECT IDLETIME k", b"SCAN 0", b"KEYS *"):
        seen(line)
    assert seen.talk(b"OBJECT IDLETIME k") == b":10\r\n"
    for line in (b"TOUCH k", b"EXPIRE k 100", b"PERSIST k", b"COPY k l"):
        seen(line)
        assert seen.talk(b"OBJECT IDLETIME k") == ZERO, line
        seen.advance(10)


# --- Rename, copy, move ----------------------------------------------------------------------------------------------


def test_rename(seen: Observer) -> None:
    seen(b"SET a 1")
    assert seen(b"RENAME a b") == Consequences(
        OK, [b"RENAME a b"], [b"0:new b", b"0:rename_from a", b"0:rename_to b"], dirty=1
    )
    assert seen(b"RENAME b b") == Consequences(OK)
    assert seen(b"RENAME a b") == Consequences(b"-ERR no such key\r\n")


def test_rename_over_a_key_says_overwritten_last(seen: Observer) -> None:
    seen(b"MSET a 1 b 2")
    assert seen(b"RENAME a b").events == [b"0:new b", b"0:rename_from a", b"0:rename_to b", b"0:overwritten b"]


def test_renamenx(seen: Observer) -> None:
    seen(b"MSET a 1 b 2")
    assert seen(b"RENAMENX a b") == Consequences(ZERO)
    assert seen(b"RENAMENX a c") == Consequences(
        ONE, [b"RENAMENX a c"], [b"0:new c", b"0:rename_from a", b"0:rename_to c"], dirty=1
    )


def test_rename_onto_an_expired_key_tells_replicas_of_both(seen: Observer) -> None:
    seen.stand_still()
    seen(b"SET b 1 PX 10")
    seen(b"SET a 1")
    seen.advance(0.011)
    assert seen(b"RENAME a b").log == [b"MULTI", b"DEL b", b"RENAME a b", b"EXEC"]


def test_copy(seen: Observer) -> None:
    seen(b"SET a 1")
    assert seen(b"COPY a b") == Consequences(ONE, [b"COPY a b"], [b"0:new b", b"0:copy_to b"], dirty=1)
    assert seen(b"COPY a b") == Consequences(ZERO)
    assert seen(b"COPY a b REPLACE") == Consequences(
        ONE, [b"COPY a b REPLACE"], [b"0:new b", b"0:copy_to b", b"0:overwritten b"], dirty=1
    )
    assert seen(b"COPY a a DB 3") == Consequences(ONE, [b"COPY a a DB 3"], [b"3:new a", b"3:copy_to a"], dirty=1)
    assert seen(b"COPY gone b") == Consequences(ZERO, events=[b"0:keymiss gone"])


def test_move(seen: Observer) -> None:
    seen(b"SET a 1")
    assert seen(b"MOVE a 2") == Consequences(
        ONE, [b"MOVE a 2"], [b"2:new a", b"0:move_from a", b"2:move_to a"], dirty=1
    )
    seen(b"SET a 1")
    assert seen(b"MOVE a 2") == Consequences(ZERO)
    assert seen.talk(b"EXISTS a") == ONE


def test_the_client_stays_in_its_database(seen: Observer) -> None:
    seen(b"SET a 1")
    seen(b"COPY a a DB 3")
    seen(b"MOVE a 2")
    assert seen.talk(b"DBSIZE") == ZERO


# --- Whole databases -------------------------------------------------------------------------------------------------


def test_flushing_is_told_even_if_there_was_nothing(seen: Observer) -> None:
    seen(b"MSET a 1 b 2")
    assert seen(b"FLUSHDB") == Consequences(OK, [b"FLUSHDB"], dirty=2)
    assert seen(b"FLUSHDB async") == Consequences(OK, [b"FLUSHDB async"])
    seen(b"SET a 1")
    seen(b"COPY a a DB 5")
    assert seen(b"FLUSHALL") == Consequences(OK, [b"FLUSHALL"], dirty=2)
    assert seen(b"FLUSHALL NOW") == Consequences(b"-ERR syntax error\r\n")


def test_swapdb(seen: Observer) -> None:
    assert seen(b"SWAPDB 0 0") == Consequences(OK, [b"SWAPDB 0 0"], dirty=1)
    seen(b"SET a 1")
    assert seen(b"SWAPDB 0 1") == Consequences(OK, [b"SWAPDB 0 1"], dirty=1)
    assert seen.talk(b"DBSIZE") == ZERO


# --- Lists of keys ---------------------------------------------------------------------------------------------------


def test_keys_leaves_expired_keys_alone_and_scan_deletes_them(seen: Observer) -> None:
    seen.stand_still()
    seen(b"SET a 1 PX 10")
    seen(b"SET b 1 PX 10")
    seen.advance(0.011)
    assert seen(b"KEYS *") == Consequences(b"*0\r\n")
    assert seen.talk(b"DBSIZE") == b":2\r\n"
    deleted = seen(b"SCAN 0 MATCH nothing")
    assert deleted.reply == b"*2\r\n$1\r\n0\r\n*0\r\n"
    assert sorted(deleted.events) == [b"0:expired a", b"0:expired b"]
    # Neither key has to do with the other: no transaction around them.
    assert sorted(deleted.log) == [b"DEL a", b"DEL b"]


def test_randomkey_deletes_the_expired_keys_it_draws(seen: Observer) -> None:
    seen.stand_still()
    for number in range(5):
        seen(b"SET dead:%d 1 PX 10" % number)
    seen.advance(0.011)
    assert seen.talk(b"RANDOMKEY") == b"$-1\r\n"
    assert seen.talk(b"DBSIZE") == ZERO


def test_randomkey_gives_up_where_expired_keys_are_only_masked(seen: Observer) -> None:
    seen.stand_still()
    seen(b"SET dead 1 PX 10")
    for node in seen.nodes:
        node.server.keyspace.masks_only = True
    seen.advance(0.011)
    assert seen.talk(b"RANDOMKEY") == b"$4\r\ndead\r\n"
    assert seen.talk(b"DBSIZE") == ONE


def test_randomkey_is_uniform() -> None:
    client = InProcess(seed=1).connect()
    client.command("MSET", *[word for n in range(10) for word in (f"k{n}", n)])
    drawn = [client.command("RANDOMKEY") for _ in range(2000)]
    assert min(drawn.count(b"$2\r\nk%d\r\n" % n) for n in range(10)) > 140


@pytest.mark.parametrize(
    ("raw", "cursor"),
    [
        (b"0", 0),
        (b"18446744073709551615", 2**64 - 1),
        (b"9223372036854775808", 2**63),
        (b"00", 0),
        (b"-0", 0),
        (b"+5", 5),
        (b" \t\n\v\f\r7", 7),
        (b"-01", 2**64 - 1),
        (b"-18446744073709551615", 1),
        (b"0" * 50 + b"7", 7),
        (b"3\0x", 3),
    ],
)
def test_cursors_are_spelled_in_many_ways(raw: bytes, cursor: int) -> None:
    assert parse_cursor(raw) == cursor


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"-1", b"-9223372036854775808", b"1 ", b"1.0", b"0x1", b"+", b"-", b"- 1", b"--1", b"\0", b"\xb2"]
    + [b"18446744073709551616", b"-18446744073709551616", b"9" * 5000],
)
def test_what_is_no_cursor(raw: bytes) -> None:
    with pytest.raises(ReplyError) as caught:
        parse_cursor(raw)
    assert caught.value is INVALID_CURSOR


@given(
    stays=st.sets(st.integers(0, 300), max_size=120),
    count=st.integers(1, 40),
    changes=st.lists(st.lists(st.tuples(st.booleans(), st.integers(301, 400)), max_size=30), max_size=30),
)
@settings(max_examples=60)
def test_scan_lists_whatever_stays(stays: set[int], count: int, changes: list[list[tuple[bool, int]]]) -> None:
    """Keys come and go between the calls; those that were there all the time are all listed."""
    client = InProcess().connect()
    for number in sorted(stays):
        client.command("SET", number, "v")
    listed: set[int] = set()
    cursor, pending = b"0", iter(changes)
    for _ in range(1000):
        reply = client.command("SCAN", cursor, "COUNT", count)
        head, *names = re.findall(rb"\$\d+\r\n([^\r]*)\r\n", reply)
        listed |= {int(name) for name in names}
        cursor = head
        if cursor == b"0":
            break
        for add, number in next(pending, []):
            client.command(*(("SET", number, "v") if add else ("DEL", number)))
    assert cursor == b"0", "the walk ends"
    assert stays <= listed


# --- Encodings -------------------------------------------------------------------------------------------------------


def test_what_is_raw_stays_raw(seen: Observer) -> None:
    """Key and value together: 41 bytes are embedded, 33 with a TTL. All of `encoding.stream`, in short."""
    value = b"v" * 35

    def encoding(key: bytes) -> bytes:
        return seen.talk(b"OBJECT ENCODING " + key).split(b"\r\n")[1]

    seen(b"SET k " + value)
    assert encoding(b"k") == b"embstr"
    seen(b"EXPIRE k 100")
    assert encoding(b"k") == b"raw"
    seen(b"PERSIST k")
    assert encoding(b"k") == b"raw"
    seen(b"SET k " + value)
    assert encoding(b"k") == b"embstr"
    seen(b"RENAME k quite_long")
    assert encoding(b"quite_long") == b"raw"
    seen(b"COPY quite_long k")
    assert encoding(b"k") == b"raw"
    assert seen.talk(b"GET k") == b"$35\r\n%b\r\n" % value
    seen(b"SET k 5")
    seen(b"RENAME k a_name_of_more_than_fifty_bytes_which_makes_no_difference")
    assert encoding(b"a_name_of_more_than_fifty_bytes_which_makes_no_difference") == b"int"


def test_a_copy_shares_nothing(seen: Observer) -> None:
    seen(b"APPEND a x")
    seen(b"APPEND a y")
    seen(b"COPY a b")
    seen(b"APPEND a z")
    assert seen.talk(b"MGET a b") == b"*2\r\n$3\r\nxyz\r\n$2\r\nxy\r\n"
