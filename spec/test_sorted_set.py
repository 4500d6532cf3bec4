"""Sorted sets: the structure against a sorted list of pairs, and what the log sees of a pop."""

from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.structures.sorted_set import SortedSet

MEMBERS = st.sampled_from([b"", b"a", b"b", b"c", b"dd"])
SCORES = st.sampled_from([-inf, -1.5, -0.0, 0.0, 5e-324, 1.0, 2.0, inf]) | st.floats(allow_nan=False)
ACTIONS = st.one_of(
    st.tuples(st.just("set"), MEMBERS, SCORES),
    st.tuples(st.just("delete"), MEMBERS),
    st.tuples(st.just("delete_slice"), st.integers(0, 5), st.integers(0, 5)),
    st.tuples(st.just("become_skiplist")),
)


@given(st.lists(ACTIONS, max_size=40), SCORES, MEMBERS)
def test_a_sorted_list_of_pairs_is_the_model(actions: list[tuple[Any, ...]], bound: float, text: bytes) -> None:
    pairs, model = SortedSet(), {}  # type: ignore[var-annotated]
    for name, *arguments in actions:
        match name:
            case "set":
                member, score = arguments
                assert pairs.set(member, score) == model.get(member)
                model[member] = score
            case "delete":
                assert pairs.delete(*arguments) == (model.pop(arguments[0], None) is not None)
            case "delete_slice":
                start, stop = sorted(arguments)
                ranked = sorted((score, member) for member, score in model.items())
                assert pairs.delete_slice(start, stop) == len(ranked[start:stop])
                for _, member in ranked[start:stop]:
                    del model[member]
            case "become_skiplist":
                pairs.become_skiplist()
        pairs.check()
    ranked = sorted((score, member) for member, score in model.items())
    assert list(pairs) == ranked and list(pairs.copy()) == ranked
    assert list(pairs.slice(1, 3)) == ranked[1:3] and list(pairs.slice(1, 3, reverse=True)) == ranked[1:3][::-1]
    assert pairs.members(1, 3) == [member for _, member in ranked[1:3]]
    assert not ranked or pairs.highest == ranked[-1][0]
    assert pairs.has_one_score() == (len({score for score, _ in ranked}) < 2)
    assert [pairs.rank(member) for _, member in ranked] == list(range(len(ranked)))
    assert pairs.rank_of_score(bound, after=False) == sum(score < bound for score, _ in ranked)
    assert pairs.rank_of_score(bound, after=True) == sum(score <= bound for score, _ in ranked)
    for member in list(model):
        pairs.set(member, 0.0)
    assert pairs.rank_of_text(text, after=False) == sum(member < text for member in model)
    assert pairs.rank_of_text(text, after=True) == sum(member <= text for member in model)


def test_the_log_sees_the_pop_that_was_done() -> None:
    node = InProcess(logging=True)
    waiter, other = node.connect(), node.connect()
    waiter.command("BZPOPMAX", "z", "0")
    other.command("ZADD", "z", "1", "a", "2", "b", "3", "c")
    assert waiter.take().endswith(b"$1\r\nc\r\n$1\r\n3\r\n")
    other.command("ZMPOP", "1", "z", "MIN", "COUNT", "9")
    assert b"ZPOPMAX\r\n$1\r\nz\r\n" in node.log
    assert b"ZPOPMIN\r\n$1\r\nz\r\n$1\r\n2\r\n" in node.log
    assert b"BZPOPMAX" not in node.log and b"ZMPOP" not in node.log
