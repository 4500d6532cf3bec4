"""Hashes and sets: the structures against Python's own, and what the log sees of chance."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.structures.hash import LISTPACK, Hash
from mini_redis.structures.set import HASHTABLE, INTSET, Set
from mini_redis.structures.set import LISTPACK as SET_LISTPACK

WORDS = st.sampled_from([b"", b"a", b"b", b"7", b"-12", b"long" * 20])
NUMBERS = st.integers(-5, 5).map(lambda number: b"%d" % number)


@given(st.lists(st.one_of(st.tuples(WORDS, WORDS), st.tuples(WORDS)), max_size=30), st.integers(0, 30))
def test_a_dict_is_the_model_of_a_hash(actions: list[tuple[bytes, ...]], table_after: int) -> None:
    fields, model = Hash(), {}  # type: ignore[var-annotated]
    for number, action in enumerate(actions):
        if number == table_after:
            fields.become_table()
        match action:
            case field, value:
                assert fields.set(field, value) == (field not in model)
                model[field] = value
            case (field,):
                assert fields.delete(field) == (model.pop(field, None) is not None)
        fields.check()
    assert dict(fields.fields.items()) == model
    if fields.encoding is LISTPACK:
        assert list(fields.fields) == list(model), "a listpack has an order"
    twin = fields.copy()
    twin.check()
    twin.set(b"new", b"1")
    assert b"new" not in fields.fields and len(twin) == len(model) + 1


@given(st.lists(st.tuples(st.booleans(), NUMBERS), max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_a_set_is_the_model_of_a_set(actions: list[tuple[bool, bytes]], listpack_after: int, table_after: int) -> None:
    members, model = Set(), {}  # type: ignore[var-annotated]
    for number, (adding, member) in enumerate(actions):
        if number == listpack_after and members.encoding is INTSET:
            members.become_listpack()
        if number == table_after:
            members.become_table()
        if adding:
            assert members.add(member) == (member not in model)
            model[member] = None
        else:
            assert members.discard(member) == (member in model)
            model.pop(member, None)
        members.check()
    assert sorted(members) == sorted(model) and len(members) == len(model)
    if members.encoding is INTSET:
        assert list(members) == sorted(model, key=int)
    if members.encoding is SET_LISTPACK and not listpack_after:
        assert list(members) == list(model), "a listpack has an order"
    for count in (0, 1, len(model), len(model) + 3):
        chosen = members.sample(Random(1), count)
        assert len(set(chosen)) == len(chosen) == min(count, len(model)) and set(chosen) <= set(model)
    twin = members.copy()
    twin.check()
    assert list(twin) == list(members) or members.encoding is HASHTABLE
    rng, left = Random(2), dict(model)
    while left:
        assert twin.random(rng) in left and all((member in twin) == (member in left) for member in model)
        del left[twin.pop_random(rng)]
        twin.check()
    assert not len(twin) and len(members) == len(model)


@given(st.sampled_from(["intset", "listpack", "hashtable"]), st.integers(1, 12))
def test_every_member_is_drawn_about_equally_often(encoding: str, size: int) -> None:
    members = Set()
    for number in range(size):
        members.add(b"%d" % number)
    if encoding == "listpack":
        members.become_listpack()
    elif encoding == "hashtable":
        members.become_table()
    rng = Random(3)
    drawn = [members.random(rng) for _ in range(200 * size)]
    assert all(120 < drawn.count(member) < 280 for member in members)


def logged(*lines: str) -> list[list[bytes]]:
    """What the log sees of these commands."""
    node = InProcess(logging=True)
    client = node.connect()
    for line in lines:
        client.command(*line.split())
    words: list[Any] = node.log.split(b"\r\n")
    calls: list[list[bytes]] = []
    at = 0
    while at < len(words) - 1:
        count = int(words[at][1:])
        calls.append(words[at + 2 : at + 2 + 2 * count : 2])
        at += 1 + 2 * count
    return calls[1:]


def test_the_log_sees_which_members_went() -> None:
    calls = logged("SADD s a b c d e", "SPOP s", "SPOP s 2", "SPOP s 9")
    assert [call[0] for call in calls] == [b"SADD", b"SREM", b"SREM", b"DEL"]
    assert len(calls[1]) == 3 and len(calls[2]) == 4
    assert not set(calls[1][2:]) & set(calls[2][2:])


def test_the_log_sees_the_sum_of_floats() -> None:
    seen = logged("HSET h f 1", "HINCRBYFLOAT h f 0.5")[1]
    assert seen == [b"HSETEX", b"h", b"KEEPTTL", b"FIELDS", b"1", b"f", b"1.5"]


def test_nothing_changed_is_not_logged() -> None:
    assert logged("SADD s a", "SADD s a", "SREM s b", "HDEL h f", "HSETNX h f v", "HSETNX h f w") == [
        [b"SADD", b"s", b"a"],
        [b"HSETNX", b"h", b"f", b"v"],
    ]
