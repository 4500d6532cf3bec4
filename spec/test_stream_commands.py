"""Stream commands: promise D4 as a state machine, what the log sees, who waits, what the clock may do.

D4: ids strictly increase; a delivered entry is acknowledged, pending or deleted, and never lost from the PEL.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import RequestParser
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import id_text, parse_id

KEY = b"s"


def stream_of(node: InProcess, key: bytes = KEY) -> Stream:
    value = node.server.keyspace.databases[0].data.get(key)
    assert isinstance(value, Stream)
    return value


def ids_in(reply: bytes) -> list[bytes]:
    """The ids that stand in a reply, in order: bulk strings that are digits, a dash and digits."""
    words = reply.split(b"\r\n")
    return [word for word in words if word.count(b"-") == 1 and word.replace(b"-", b"").isdigit() and word[:1] != b"-"]


def number(entry_id: bytes) -> int:
    found = parse_id(entry_id)
    assert found is not None
    return found


def in_order(ids: Iterable[bytes]) -> list[bytes]:
    return sorted(ids, key=number)


# --- D4 --------------------------------------------------------------------------------------------------------------

CONSUMERS = st.sampled_from(["ana", "bo", "cy"])
GROUPS = st.sampled_from(["g", "h"])
COUNTS = st.integers(1, 4)
POLICIES = st.sampled_from(["KEEPREF", "DELREF", "ACKED"])


class PendingIsConserved(RuleBasedStateMachine):
    """Two groups on one stream. The model knows of each entry in each group where it must be.

    `delivered`: group -> id -> the consumer it is pending for, or None once it is acknowledged (or claimed after it was
    deleted). Nothing ever leaves `delivered`, so a pending entry that is lost is a difference.
    """

    def __init__(self) -> None:
        super().__init__()
        self.node = InProcess("stream-node-max-entries 3", logging=True)
        self.client = self.node.connect()
        self.delivered: dict[str, dict[bytes, str | None]] = {"g": {}, "h": {}}
        self.last_id = -1
        for group in self.delivered:
            self.ask("XGROUP", "CREATE", KEY, group, "0", "MKSTREAM")

    def ask(self, *words: bytes | str | int) -> bytes:
        reply = self.client.command(*words)
        assert not reply.startswith(b"-"), reply
        return reply

    def pending(self, group: str) -> dict[bytes, str]:
        return {each: owner for each, owner in self.delivered[group].items() if owner is not None}

    def some_id(self, data: st.DataObject) -> bytes:
        known = sorted({each for group in self.delivered.values() for each in group})
        return data.draw(st.sampled_from([*known, b"77-77"]))

    @rule(jump_ms=st.integers(-5, 5), wanted=st.sampled_from(["*", "*", "1700000000003-*"]))
    def add(self, jump_ms: int, wanted: str) -> None:
        """Whatever the clock does, ids strictly increase."""
        self.node.clock.step(jump_ms / 1000)
        reply = self.client.command("XADD", KEY, wanted, "f", "v")
        if reply.startswith(b"-"):
            assert wanted != "*" and b"equal or smaller" in reply
            return
        entry_id = parse_id(ids_in(reply)[0])
        assert entry_id is not None and entry_id > self.last_id
        self.last_id = entry_id

    @rule(group=GROUPS, consumer=CONSUMERS, count=COUNTS)
    def read(self, group: str, consumer: str, count: int) -> None:
        reply = self.ask("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", KEY, ">")
        for each in ids_in(reply):
            assert each not in self.delivered[group], "an entry is new once, unless the group is set back"
            self.delivered[group][each] = consumer

    @rule(group=GROUPS, consumer=CONSUMERS)
    def read_again(self, group: str, consumer: str) -> None:
        mine = [each for each, owner in self.pending(group).items() if owner == consumer]
        reply = self.ask("XREADGROUP", "GROUP", group, consumer, "STREAMS", KEY, "0")
        assert ids_in(reply) == in_order(mine)

    @rule(group=GROUPS, consumer=CONSUMERS)
    def set_back(self, group: str, consumer: str) -> None:
        """What is delivered once more is pending again, for whoever got it."""
        self.ask("XGROUP", "SETID", KEY, group, "0")
        for each in ids_in(self.ask("XREADGROUP", "GROUP", group, consumer, "STREAMS", KEY, ">")):
            self.delivered[group][each] = consumer

    @rule(group=GROUPS, data=st.data())
    def acknowledge(self, group: str, data: st.DataObject) -> None:
        entry_id = self.some_id(data)
        reply = self.ask("XACK", KEY, group, entry_id)
        assert reply == b":%d\r\n" % (entry_id in self.pending(group))
        if entry_id in self.delivered[group]:
            self.delivered[group][entry_id] = None

    @rule(group=GROUPS, data=st.data(), policy=POLICIES)
    def acknowledge_and_delete(self, group: str, data: st.DataObject, policy: str) -> None:
        entry_id = self.some_id(data)
        was_pending = entry_id in self.pending(group)
        reply = self.ask("XACKDEL", KEY, group, policy, "IDS", 1, entry_id)
        if was_pending:
            self.delivered[group][entry_id] = None
        assert (reply == b"*1\r\n:-1\r\n") != was_pending
        if was_pending and policy == "DELREF":
            self.forget_everywhere(entry_id)

    @rule(group=GROUPS, consumer=CONSUMERS, data=st.data())
    def claim(self, group: str, consumer: str, data: st.DataObject) -> None:
        entry_id = self.some_id(data)
        exists = self.exists(entry_id)
        reply = self.ask("XCLAIM", KEY, group, consumer, 0, entry_id)
        if entry_id in self.pending(group):
            assert (ids_in(reply) == [entry_id]) == exists
            self.delivered[group][entry_id] = consumer if exists else None
        else:
            assert reply == b"*0\r\n"

    @rule(group=GROUPS, consumer=CONSUMERS, count=COUNTS, data=st.data())
    def claim_from(self, group: str, consumer: str, count: int, data: st.DataObject) -> None:
        start = self.some_id(data)
        upcoming = [each for each in in_order(self.pending(group)) if number(each) >= number(start)]
        reply = self.ask("XAUTOCLAIM", KEY, group, consumer, 0, start, "COUNT", count, "JUSTID")
        following, *touched = ids_in(reply)
        assert sorted(touched) == sorted(upcoming[:count])
        assert following == (upcoming[count] if len(upcoming) > count else b"0-0")
        for each in touched:
            self.delivered[group][each] = consumer if self.exists(each) else None

    @rule(data=st.data(), policy=st.one_of(st.none(), POLICIES))
    def delete(self, data: st.DataObject, policy: str | None) -> None:
        entry_id = self.some_id(data)
        existed = self.exists(entry_id)
        if policy == "DELREF" and not existed:
            return  # see test_references_to_what_is_gone_are_dropped_in_silence
        words = [entry_id] if policy is None else [policy, "IDS", 1, entry_id]
        self.ask("XDEL" if policy is None else "XDELEX", KEY, *words)
        if policy == "DELREF":
            self.forget_everywhere(entry_id)
        if policy == "ACKED" and existed and not self.exists(entry_id):
            assert not any(entry_id in self.pending(group) for group in self.delivered)

    @rule(maxlen=st.integers(0, 6), sign=st.sampled_from(["~", "="]), policy=POLICIES)
    def trim(self, maxlen: int, sign: str, policy: str) -> None:
        before = [id_text(entry_id) for entry_id, _ in stream_of(self.node).range(0)]
        self.ask("XTRIM", KEY, "MAXLEN", sign, maxlen, policy)
        for each in before:
            if not self.exists(each):
                if policy == "DELREF":
                    self.forget_everywhere(each)
                assert policy != "ACKED" or not any(each in self.pending(group) for group in self.delivered)

    def forget_everywhere(self, entry_id: bytes) -> None:
        for group in self.delivered.values():
            if entry_id in group:
                group[entry_id] = None

    def exists(self, entry_id: bytes) -> bool:
        return stream_of(self.node).get(number(entry_id)) is not None

    @invariant()
    def nothing_pending_is_lost(self) -> None:
        stream = stream_of(self.node)
        stream.check()
        for name in self.delivered:
            pel = stream.groups[name.encode()].pel
            found = {id_text(each): pending.consumer.name.decode() for each, pending in pel.items()}
            assert found == self.pending(name)

    @precondition(lambda self: self.last_id > 0)
    @rule()
    def a_replay_of_the_log_has_the_same_pending(self) -> None:
        """Effects suffice: whoever replays them needs no clock, and no nodes of the same size."""
        other = replayed(self.node.log)
        assert state(other) == state(self.node)


def replayed(log: bytes) -> InProcess:
    """A node that was told what a log says, with nodes of another size, by somebody who replays."""
    other = InProcess("stream-node-max-entries 5", wall_us=1)
    client = other.connect()
    client.handle.replays = True
    parser = RequestParser()
    parser.feed(log)
    while batch := parser.next_batch():
        for argv in batch:
            reply = client.command(*argv)
            assert not reply.startswith(b"-"), (argv, reply)
    return other


def state(node: InProcess) -> list[Any]:
    """What must be equal on a replica. Deliveries that change nothing but their count are not told, as in Redis."""
    stream = stream_of(node)
    return [
        list(stream.range(0)),
        stream.first_id,
        stream.last_id,
        stream.entries_added,
        stream.max_deleted_id,
        [
            (name, group.last_id, group.entries_read, [(each, p.consumer.name) for each, p in group.pel.items()])
            for name, group in stream.groups.items()
        ],
    ]


TestPendingIsConserved = PendingIsConserved.TestCase
TestPendingIsConserved.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# --- What the log sees -----------------------------------------------------------------------------------------------


@pytest.fixture
def node() -> InProcess:
    return InProcess("stream-node-max-entries 3", logging=True)


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


def logged(node: InProcess) -> list[str]:
    """The commands that reached the log since the last time, without SELECT."""
    parser, calls = RequestParser(), []
    parser.feed(node.log)
    node.log = b""
    while batch := parser.next_batch():
        calls += [b" ".join(argv).decode() for argv in batch if argv[0] != b"SELECT"]
    return calls


def test_ids_by_the_clock_are_told_and_approximate_trims_are_told_exactly(node: InProcess, a: InProcessClient) -> None:
    a.command("XADD", "s", "*", "f", "v")
    a.command("XADD", "s", "1700000000000-*", "f", "v")
    a.command("XADD", "s", "MAXLEN", "5", "1700000000007", "f", "v")
    assert logged(node) == [
        "XADD s 1700000000000-0 f v",
        "XADD s 1700000000000-1 f v",
        "XADD s MAXLEN 5 1700000000007 f v",
    ]
    a.command("XADD", "s", "MAXLEN", "~", "2", "LIMIT", "9", "*", "f", "v")
    a.command("XADD", "s", "MINID", "~", "1700000000007", "*", "f", "v")
    a.command("XTRIM", "s", "MAXLEN", "~", "2")
    a.command("XTRIM", "s", "MINID", "~", "1700000000008", "LIMIT", "1")
    assert logged(node) == [
        "XADD s MAXLEN = 4 LIMIT 9 1700000000007-1 f v",
        "XADD s MINID = 1700000000000-0 1700000000007-2 f v",
        "XTRIM s MAXLEN = 2",
    ]
    a.command("XTRIM", "s", "MINID", "~", "1700000000008")
    assert logged(node) == ["XTRIM s MINID = 18446744073709551615-18446744073709551615"]


def test_who_replays_is_not_limited_again(node: InProcess, a: InProcessClient) -> None:
    """The limit stands in the log beside the outcome; a client may not say both."""
    for _ in range(4):
        a.command("XADD", "s", "*", "f", "v")
    words = ("XTRIM", "s", "MAXLEN", "=", "1", "LIMIT", "1")
    assert a.command(*words).startswith(b"-ERR syntax error, LIMIT")
    a.handle.replays = True
    assert a.command(*words) == b":3\r\n"


def test_reading_in_a_group_is_told_as_what_it_did(node: InProcess, a: InProcessClient) -> None:
    a.command("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    for number in (1, 2, 3):
        a.command("XADD", "s", number, "f", "v")
    logged(node)
    a.command("XREADGROUP", "GROUP", "g", "ana", "COUNT", "2", "STREAMS", "s", ">")
    assert logged(node) == [
        "MULTI",
        "XCLAIM s g ana 0 1-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0",
        "XCLAIM s g ana 0 2-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-0",
        "XGROUP SETID s g 2-0 ENTRIESREAD 2",
        "EXEC",
    ]
    a.command("XREADGROUP", "GROUP", "g", "bo", "NOACK", "STREAMS", "s", ">")
    assert logged(node) == ["MULTI", "XGROUP CREATECONSUMER s g bo", "XGROUP SETID s g 3-0 ENTRIESREAD 3", "EXEC"]
    a.command("XREADGROUP", "GROUP", "g", "cy", "STREAMS", "s", "0")
    a.command("XREADGROUP", "GROUP", "g", "ana", "STREAMS", "s", "0")
    a.command("XAUTOCLAIM", "s", "g", "dee", "60000", "0")
    assert logged(node) == []
    node.advance(1)
    a.command("XCLAIM", "s", "g", "bo", "0", "1", "9")
    a.command("XCLAIM", "s", "g", "bo", "0", "9", "LASTID", "8")
    a.command("XDEL", "s", "2")
    a.command("XAUTOCLAIM", "s", "g", "bo", "0", "2", "JUSTID")
    assert logged(node) == [
        "XCLAIM s g bo 0 1 TIME 1700000001000 RETRYCOUNT 3 FORCE JUSTID LASTID 3-0",
        "XGROUP SETID s g 8-0 ENTRIESREAD 3",
        "XDEL s 2",
        "XCLAIM s g ana 0 2-0 TIME 1700000000000 RETRYCOUNT 2 FORCE JUSTID LASTID 8-0",
    ]
    a.command("XACK", "s", "g", "1", "2")
    a.command("XACK", "s", "g", "1", "2")
    assert logged(node) == ["XACK s g 1 2"]


def test_the_log_sees_no_waiting(node: InProcess, a: InProcessClient) -> None:
    b, c = node.connect(), node.connect()
    a.command("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    b.command("XREADGROUP", "GROUP", "g", "bo", "BLOCK", "0", "STREAMS", "s", ">")
    c.command("XREADGROUP", "GROUP", "g", "cy", "NOACK", "BLOCK", "0", "STREAMS", "s", ">")
    assert logged(node) == ["XGROUP CREATE s g 0 MKSTREAM", "XGROUP CREATECONSUMER s g cy"]
    a.command("XADD", "s", "1", "f", "v")
    a.command("XADD", "s", "2", "f", "v")
    assert logged(node) == [
        "XADD s 1 f v",
        "MULTI",
        "XCLAIM s g bo 0 1-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0",
        "XGROUP SETID s g 1-0 ENTRIESREAD 1",
        "EXEC",
        "XADD s 2 f v",
        "XGROUP SETID s g 2-0 ENTRIESREAD 2",
    ]
    assert b"1-0" in b.take() and b"2-0" in c.take()


def test_references_to_what_is_gone_are_dropped_in_silence(node: InProcess, a: InProcessClient) -> None:
    """Redis 8.2.3 does not count this as a change: replicas keep them as pending. So do ours."""
    a.talk(b"XADD s 1 f v\r\nXGROUP CREATE s g 0\r\nXREADGROUP GROUP g ana STREAMS s >\r\nXDEL s 1\r\n")
    logged(node)
    assert a.command("XDELEX", "s", "DELREF", "IDS", "1", "1") == b"*1\r\n:-1\r\n"
    assert logged(node) == [] and not stream_of(node).groups[b"g"].pel


# --- Who waits -------------------------------------------------------------------------------------------------------


def test_one_entry_serves_all_readers_and_one_consumer(node: InProcess, a: InProcessClient) -> None:
    a.command("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    readers = [node.connect() for _ in range(100)]
    consumers = [node.connect() for _ in range(3)]
    for reader in readers:
        reader.command("XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    for place, consumer in enumerate(consumers):
        consumer.command("XREADGROUP", "GROUP", "g", f"c{place}", "BLOCK", "0", "STREAMS", "s", ">")
    a.command("XADD", "s", "1", "f", "v")
    entry = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert all(reader.take() == entry for reader in readers)
    assert [consumer.take() for consumer in consumers] == [entry, b"", b""]
    a.command("XADD", "s", "2", "f", "v")
    assert [bool(consumer.take()) for consumer in consumers] == [False, True, False]
    a.command("XGROUP", "DESTROY", "s", "g")
    assert consumers[2].take().startswith(b"-NOGROUP")
    assert not node.server.waiting.clients


def test_a_deadline_stays_when_another_was_quicker(node: InProcess, a: InProcessClient) -> None:
    b = node.connect()
    a.command("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    b.command("XREADGROUP", "GROUP", "g", "bo", "BLOCK", "1000", "STREAMS", "s", ">")
    node.advance(0.6)
    a.talk(b"MULTI\r\nXADD s 1 f v\r\nXREADGROUP GROUP g ana STREAMS s >\r\nEXEC\r\n")
    assert b.take() == b""
    node.advance(0.399)
    assert b.take() == b""
    node.advance(0.001)
    assert b.take() == b"*-1\r\n"


def test_the_same_stream_twice_is_a_map_with_a_name_twice(node: InProcess, a: InProcessClient) -> None:
    a.command("XADD", "s", "1", "f", "v")
    a.command("HELLO", "3")
    entries = b"$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert a.command("XREAD", "STREAMS", "s", "s", "0", "0") == b"%2\r\n" + entries + entries


# --- Costs -----------------------------------------------------------------------------------------------------------


def test_ids_are_found_by_bisection_and_not_by_walking() -> None:
    """Counted, not timed: how many nodes and entries are looked at, as the stream grows a hundredfold."""
    looked_at = {}
    for size in (1_000, 100_000):
        stream = Stream()
        for number in range(1, size + 1):
            stream.append(number, [b"f", b"v"], 4096, 100)
        nodes = CountedNodes(stream)
        for number in range(1, size, size // 50):
            stream.get(number)
            next(stream.range(number))
            stream.delete(number)
        stream.last_living_id()
        looked_at[size] = nodes.looked_at
    assert looked_at[100_000] == looked_at[1_000]


class CountedNodes:
    """Counts how often a stream takes a node in its hands."""

    def __init__(self, stream: Stream) -> None:
        self.looked_at = 0
        self._nodes = stream.nodes
        stream.nodes = self  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, key: int) -> Any:
        self.looked_at += 1
        return self._nodes[key]

    def peekitem(self, index: int = -1) -> Any:
        self.looked_at += 1
        return self._nodes.peekitem(index)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._nodes, name)
