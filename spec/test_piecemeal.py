"""Taken apart in steps: all elements go, a step lets go of few, and nothing is left."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.deadlines import Deadlines
from mini_redis.structures.hash import Hash
from mini_redis.structures.piecemeal import STEP, piecemeal
from mini_redis.structures.quicklist import List
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet

COUNTS = st.sampled_from([0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP])


@given(st.integers(0, 5 * STEP), st.integers(1, 2 * STEP))
def test_steps_of_bounded_weight(count: int, weight: int) -> None:
    left = list(range(count))
    steps = list(piecemeal(count, left.pop, weight))
    assert not left and sum(steps) == count * weight
    assert all(0 < step <= max(STEP, weight) for step in steps)


@given(COUNTS, st.booleans())
def test_structures_go_as_a_whole(count: int, large: bool) -> None:
    names = [b"%d" % number for number in range(count)]
    fields, members, scores, deadlines = Hash(), Set(), SortedSet(), Deadlines()
    if large:
        fields.become_table()
        members.become_table()
    for number, name in enumerate(names):
        fields.set(name, name)
        members.add(name)
        scores.set(name, number)
        deadlines.set(name, number)
    # Each kind of bookkeeping of an element counts by itself, order twice: a sorted set has both.
    structures: list[tuple[Any, int]] = [(fields, 1), (members, 1), (scores, 3), (deadlines, 3)]
    for structure, times in structures:
        steps = list(structure.dismantle())
        table_itself = sum(steps) - times * count  # a table of no entries is let go of, too, in steps of their own
        assert table_itself >= 0 and table_itself % STEP == 0 and all(step <= STEP for step in steps)
        assert not len(structure)


@given(COUNTS)
def test_a_list_goes_node_by_node(count: int) -> None:
    elements = List()
    elements.become_quicklist(-2)
    for number in range(count):
        elements.push_tail(b"%d" % number)
    assert sum(elements.dismantle()) == count
    assert not elements.nodes
