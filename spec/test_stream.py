"""Streams: ids, the structure against a plain list, nodes against a real listpack, the tree against its definition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sortedcontainers import SortedDict

from mini_redis.structures.consumer_group import Group, pending_range
from mini_redis.structures.listpack import unpack
from mini_redis.structures.radix_tree import EMPTY_NODES, KEY_BYTES, nodes_gained
from mini_redis.structures.stream import ACKED, DELREF, KEEPREF, Stream, Trim
from mini_redis.structures.stream_id import (
    MAX_ID,
    MAX_PART,
    MIN_ID,
    id_bytes,
    id_text,
    make_id,
    parse_bound,
    parse_id,
    parse_open_id,
)

PARTS = st.one_of(st.integers(0, 5), st.integers(0, MAX_PART), st.just(MAX_PART))


# --- Ids -------------------------------------------------------------------------------------------------------------


@given(PARTS, PARTS)
def test_an_id_is_one_number_and_one_text(ms: int, sequence: int) -> None:
    entry_id = make_id(ms, sequence)
    assert id_text(entry_id) == b"%d-%d" % (ms, sequence)
    assert parse_id(id_text(entry_id)) == parse_bound(id_text(entry_id), 7) == entry_id
    assert id_bytes(entry_id) == ms.to_bytes(8, "big") + sequence.to_bytes(8, "big")
    assert parse_id(b"%d" % ms, sequence) == entry_id


@given(st.tuples(PARTS, PARTS), st.tuples(PARTS, PARTS))
def test_ids_are_ordered_as_numbers_texts_and_bytes(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (one < other) == (make_id(*one) < make_id(*other))
    assert (one < other) == (id_bytes(make_id(*one)) < id_bytes(make_id(*other)))


def test_after_the_last_of_a_millisecond_comes_the_next_one() -> None:
    assert id_text(make_id(5, MAX_PART) + 1) == b"6-0"
    assert id_text(make_id(6, 0) - 1) == b"5-18446744073709551615"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"5", (5, 9)),
        (b"5-3", (5, 3)),
        (b" 5-+3", (5, 3)),
        (b"005-003", (5, 3)),
        (b"5\0-3", (5, 9)),
        (b"5--03", (5, MAX_PART - 2)),
        (b"5--3", None),
        (b"-5", None),
        (b"5-", None),
        (b"", None),
        (b"-", None),
        (b"+", None),
        (b"5-3-1", None),
        (b"5-3 ", None),
        (b"18446744073709551616", None),
        (b"1-" + b"0" * 126, None),
        (b"1-*", None),
    ],
)
def test_how_ids_are_spelled(raw: bytes, expected: tuple[int, int] | None) -> None:
    assert parse_id(raw, 9) == (None if expected is None else make_id(*expected))


def test_bounds_and_open_ids() -> None:
    assert parse_bound(b"-", 9) == MIN_ID and parse_bound(b"+", 9) == MAX_ID and parse_bound(b"(", 9) is None
    assert parse_open_id(b"5-*") == 5 and parse_open_id(b"5") is None and parse_open_id(b"*") is None
    assert parse_open_id(b"5-**") is None and parse_open_id(b"-*") is None


# --- The tree --------------------------------------------------------------------------------------------------------


def nodes_by_definition(keys: list[bytes], depth: int = 0) -> int:
    """A run of bytes that all keys share is a node, then their end or their parting is one; and so on from there."""
    if not keys:
        return EMPTY_NODES
    nodes, start = 0, depth
    while depth < KEY_BYTES and all(key[depth] == keys[0][depth] for key in keys):
        depth += 1
    nodes += depth > start
    if depth == KEY_BYTES:
        return nodes + 1
    ways = sorted({key[depth] for key in keys})
    return nodes + 1 + sum(nodes_by_definition([k for k in keys if k[depth] == way], depth + 1) for way in ways)


NEAR = st.tuples(st.sampled_from([0, 1, 255, 256, 70_000, 1 << 40]), st.integers(0, 2), st.sampled_from([0, 1, 2, 300]))


@given(st.lists(NEAR, max_size=40))
def test_the_size_of_the_tree_follows_its_keys(places: list[tuple[int, int, int]]) -> None:
    keys: SortedDict[int, None] = SortedDict()
    nodes = EMPTY_NODES
    for ms, more, sequence in places:
        key = make_id(ms + more, sequence)
        if key in keys:
            del keys[key]
            nodes -= nodes_gained(keys, key)
        else:
            nodes += nodes_gained(keys, key)
            keys[key] = None
        assert nodes == nodes_by_definition([id_bytes(each) for each in keys])


# --- The structure ---------------------------------------------------------------------------------------------------

IDS = st.builds(make_id, st.integers(0, 12), st.integers(0, 2))
WORDS = st.sampled_from([b"a", b"b", b"-5", b"1234567", b"", b"x" * 70, b"y" * 200])
BODIES = st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3).map(
    lambda pairs: [word for pair in pairs for word in pair]
)
POLICIES = st.sampled_from([KEEPREF, DELREF, ACKED])
GROUPS = st.sampled_from([b"g", b"h"])
ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 3), BODIES),
    st.tuples(st.just("add"), st.just(make_id(1, 0)), BODIES),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("trim"), st.integers(0, 8), st.booleans(), st.integers(0, 5), POLICIES),
    st.tuples(st.just("trim before"), IDS, st.booleans(), st.integers(0, 5), POLICIES),
    st.tuples(st.just("group"), GROUPS, IDS),
    st.tuples(st.just("read"), GROUPS, st.integers(1, 3)),
    st.tuples(st.just("acknowledge"), GROUPS, IDS),
    st.tuples(st.just("set last"), st.integers(0, 3)),
)
LIMITS = st.sampled_from([(4096, 100), (4096, 3), (0, 2), (120, 0), (0, 0), (60, 4)])


@given(LIMITS, st.lists(ACTIONS, max_size=40))
def test_a_plain_list_is_the_model(limits: tuple[int, int], actions: list[tuple[Any, ...]]) -> None:
    stream, model = Stream(), {}  # type: ignore[var-annotated]
    for verb, *arguments in actions:
        before = dict(model)
        _act(stream, model, limits, verb, arguments)
        stream.check()
        living = list(stream.range(MIN_ID))
        assert living == sorted(model.items()) and len(stream) == len(model)
        if verb == "trim" or verb == "trim before":
            assert set(model) <= set(before)
    _compare_ranges(stream, sorted(model.items()))
    twin = stream.copy()
    twin.check()
    assert list(twin.range(MIN_ID)) == list(stream.range(MIN_ID))
    twin.append(twin.last_id + 1, [b"only", b"here"], *limits)
    assert stream.get(twin.last_id) is None and list(stream.range(MIN_ID)) == sorted(model.items())


def _act(stream: Stream, model: dict[int, Any], limits: tuple[int, int], verb: str, arguments: list[Any]) -> None:
    match verb:
        case "add":
            distance, body = arguments
            entry_id = stream.last_id + distance
            stream.append(entry_id, list(body), *limits)
            model[entry_id] = tuple(body)
        case "delete":
            assert stream.delete(arguments[0]) == (model.pop(arguments[0], None) is not None)
        case "trim" | "trim before":
            _trim(stream, model, verb, *arguments)
        case "group":
            stream.add_group(*arguments)
        case "read" if arguments[0] in stream.groups:
            group = stream.groups[arguments[0]]
            consumer = group.consumers.get(b"c") or group.add_consumer(b"c", 0)
            for entry_id, _ in list(stream.range(group.last_id + 1))[: arguments[1]]:
                stream.advance(group, entry_id)
                group.deliver(entry_id, consumer, 0)
        case "acknowledge" if arguments[0] in stream.groups:
            stream.groups[arguments[0]].acknowledge(arguments[1])
        case "set last":
            stream.set_last_id(stream.last_living_id() + arguments[0])


def _trim(
    stream: Stream, model: dict[int, Any], verb: str, bound: int, approximate: bool, limit: int, policy: bytes
) -> None:
    """An exact trim is known beforehand; an approximate one removes a part of that, the oldest first."""
    limit = limit if approximate else 0
    ids = sorted(model)
    referenced = [entry_id for entry_id in ids if not stream.release(entry_id, ACKED)]
    spared = referenced if policy == ACKED else []
    excess = len(ids) - bound if verb == "trim" else sum(entry_id < bound for entry_id in ids)
    candidates = [entry_id for entry_id in ids if entry_id not in spared]
    if verb == "trim before":
        candidates = [entry_id for entry_id in candidates if entry_id < bound]
    expected = candidates[: max(0, excess)]
    rule = Trim(bound if verb == "trim" else None, bound if verb != "trim" else MIN_ID, approximate, limit, policy)

    deleted = stream.trim(rule)

    gone = [entry_id for entry_id in ids if stream.get(entry_id) is None]
    assert deleted == len(gone)
    if approximate:
        assert gone == expected[: len(gone)] and not (limit and deleted > limit)
        assert policy == KEEPREF or not gone
    else:
        assert gone == expected
        if policy == DELREF:
            assert not any(entry_id in group.pel for group in stream.groups.values() for entry_id in gone)
    for entry_id in gone:
        del model[entry_id]


def _compare_ranges(stream: Stream, entries: list[tuple[int, Any]]) -> None:
    assert list(stream.reverse_range()) == entries[::-1]
    assert stream.last_living_id() == (entries[-1][0] if entries else MIN_ID)
    for start in (MIN_ID, make_id(3, 1), make_id(8, 0)):
        for end in (make_id(2, 0), make_id(8, 1), MAX_ID):
            within = [entry for entry in entries if start <= entry[0] <= end]
            assert list(stream.range(start, end)) == within
            assert list(stream.reverse_range(start, end)) == within[::-1]
    for entry_id, body in entries:
        assert stream.get(entry_id) == body


NODE_OF_REDIS = bytes.fromhex(
    "3f000000180002010101010181660200010201000100018176020401030101"
    "01dfff02c3e802040100010101c12b02020181670281770281660280010801ff"
)
"""The listpack that DUMP of Redis 8.2.3 holds after XADD 7-1 f v, 8-0 f 1000, 8-300 g w f "" and XDEL 8-0."""


def test_a_node_is_the_listpack_that_redis_writes() -> None:
    stream = Stream()
    for ms, sequence, body in ((7, 1, [b"f", b"v"]), (8, 0, [b"f", b"1000"]), (8, 300, [b"g", b"w", b"f", b""])):
        stream.append(make_id(ms, sequence), body, 4096, 100)
    stream.delete(make_id(8, 0))
    (node,) = stream.nodes.values()
    assert unpack(node.listpack()) == [
        *[b"2", b"1", b"1", b"f", b"0"],
        *[b"2", b"0", b"0", b"v", b"4"],
        *[b"3", b"1", b"-1", b"1000", b"4"],
        *[b"0", b"1", b"299", b"2", b"g", b"w", b"f", b"", b"8"],
    ]
    assert node.listpack() == NODE_OF_REDIS
    assert node.listpack_size == len(NODE_OF_REDIS)


def test_nodes_fill_by_entries_dead_ones_included_and_by_bytes() -> None:
    by_entries, by_bytes = Stream(), Stream()
    for number in range(1, 8):
        by_entries.append(number, [b"f", b"v"], 4096, 3)
        by_entries.delete(number - 1)
        by_bytes.append(number, [b"f", b"x" * 30], 100, 0)
    assert [node.ids for node in by_entries.nodes.values()] == [[7]]
    assert [len(node.ids) for node in by_bytes.nodes.values()] == [2, 2, 2, 1]


def test_equal_names_are_kept_once() -> None:
    stream = Stream()
    for number in range(1, 3):
        stream.append(number, [b"na" + b"me", b"%d" % number], 4096, 100)
    (first, second) = stream.nodes.peekitem()[1].bodies
    assert first[0] is second[0]


# --- Groups ----------------------------------------------------------------------------------------------------------

CONSUMERS = st.sampled_from([b"ana", b"bo"])
DUTIES = st.one_of(
    st.tuples(st.just("deliver"), IDS, CONSUMERS),
    st.tuples(st.just("acknowledge"), IDS, st.none()),
    st.tuples(st.just("delete"), st.none(), CONSUMERS),
)


@given(st.lists(DUTIES, max_size=40), IDS, IDS)
def test_a_dict_is_the_model_of_what_is_pending(actions: list[tuple[str, Any, Any]], start: int, end: int) -> None:
    group, model = Group(MIN_ID), {}  # type: ignore[var-annotated]
    for now_ms, (verb, entry_id, name) in enumerate(actions):
        match verb:
            case "deliver":
                consumer = group.consumers.get(name) or group.add_consumer(name, now_ms)
                group.deliver(entry_id, consumer, now_ms)
                model[entry_id] = (name, now_ms)
            case "acknowledge":
                assert group.acknowledge(entry_id) == (model.pop(entry_id, None) is not None)
            case "delete" if name in group.consumers:
                mine = [each for each, (owner, _) in model.items() if owner == name]
                assert group.delete_consumer(name) == len(mine)
                for each in mine:
                    del model[each]
        group.check()
    for each in (group, group.copy()):
        each.check()
        found = {pending_id: (one.consumer.name, one.delivered_ms) for pending_id, one in each.pel.items()}
        assert found == model
    assert [each for each, _ in pending_range(group.pel, start, end)] == sorted(m for m in model if start <= m <= end)
