"""Lists: the structure against Python's own list, what the log sees, and who is served when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.structures.quicklist import LISTPACK, List, of

ELEMENTS = st.sampled_from([b"", b"1", b"a", b"bb", b"12345", b"x" * 70, b"y" * 5000, b"z" * 9000])
INDEXES = st.integers(-12, 12)
FILLS = st.sampled_from([-1, -2, 1, 2, 5])
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["push_head", "push_tail"]), ELEMENTS),
    st.tuples(st.sampled_from(["pop_head", "pop_tail"])),
    st.tuples(st.just("replace"), INDEXES, ELEMENTS),
    st.tuples(st.just("insert"), ELEMENTS, ELEMENTS, st.booleans()),
    st.tuples(st.just("remove"), ELEMENTS, st.integers(1, 3), st.booleans()),
    st.tuples(st.just("delete_range"), st.integers(0, 8), st.integers(0, 8)),
)


@given(FILLS, st.lists(ACTIONS, max_size=40))
def test_a_python_list_is_the_model(fill: int, actions: list[tuple[Any, ...]]) -> None:
    values, model = List(), []  # type: ignore[var-annotated]
    for name, *arguments in actions:
        match name:
            case "push_head" | "push_tail":
                values.reserve(arguments, fill)
                getattr(values, name)(*arguments)
                model.insert(0 if name == "push_head" else len(model), arguments[0])
            case "pop_head" | "pop_tail" if model:
                assert getattr(values, name)() == model.pop(0 if name == "pop_head" else -1)
            case "replace":
                at, element = arguments
                values.reserve([element], fill)
                assert values.replace(at, element) == (-len(model) <= at < len(model))
                if -len(model) <= at < len(model):
                    model[at] = element
            case "insert":
                pivot, element, after = arguments
                values.reserve([element], fill)
                assert values.insert(pivot, element, after) == (pivot in model)
                if pivot in model:
                    model.insert(model.index(pivot) + after, element)
            case "remove":
                element, most, from_tail = arguments
                expected = min(most, model.count(element))
                assert values.remove(element, most, from_tail) == expected
                for _ in range(expected):
                    del model[len(model) - 1 - model[::-1].index(element) if from_tail else model.index(element)]
            case "delete_range":
                start, stop = (min(at, len(model)) for at in arguments)
                values.delete_range(start, max(start, stop))
                del model[start : max(start, stop)]
        values.settle(fill)
        values.check()
        if not model and values.encoding is not LISTPACK:
            values = List()  # a list that is empty is a key that is gone
    assert list(values) == model and list(reversed(values)) == model[::-1]
    assert list(values.copy()) == model
    for at in range(-len(model) - 1, len(model) + 1):
        assert values.index(at) == (model[at] if -len(model) <= at < len(model) else None)
    for start in range(len(model) + 1):
        assert values.range(start, len(model)) == model[start:]


@given(FILLS, st.lists(ELEMENTS, min_size=1, max_size=30))
def test_positions_are_those_of_a_search(fill: int, elements: list[bytes]) -> None:
    values = of(elements, fill)
    values.check()
    for element in set(elements):
        forward = [at for at, each in enumerate(elements) if each == element]
        assert list(values.positions(element, len(elements))) == forward
        assert list(values.positions(element, len(elements), from_tail=True)) == forward[::-1]


@pytest.fixture
def node() -> InProcess:
    return InProcess(logging=True)


def logged(node: InProcess) -> list[str]:
    """The commands in the log, without SELECT."""
    words = [word.decode() for word in node.log.split(b"\r\n") if word and word[:1] not in b"*$"]
    return [line for line in " ".join(words).replace("SELECT 0 ", "").split(" | ") if line]


def test_the_log_sees_the_pop_and_not_the_waiting(node: InProcess) -> None:
    waiter, pusher = node.connect(), node.connect()
    waiter.command("BLPOP", "q", "0")
    assert node.log == b""
    pusher.command("RPUSH", "q", "one", "two")
    assert waiter.take() == b"*2\r\n$1\r\nq\r\n$3\r\none\r\n"
    assert logged(node) == ["RPUSH q one two LPOP q"]


def test_first_come_first_served_and_deadlines(node: InProcess) -> None:
    waiters = [node.connect() for _ in range(3)]
    for number, waiter in enumerate(waiters):
        waiter.command("BRPOP", "q", str(10 * (number + 1)))
    node.advance(10)
    assert waiters[0].take() == b"*-1\r\n"
    pusher = node.connect()
    pusher.command("LPUSH", "q", "x")
    assert waiters[1].take() and not waiters[2].take()
    node.advance(19)
    assert not waiters[2].take()
    node.advance(1)
    assert waiters[2].take() == b"*-1\r\n"


def test_what_a_waiting_client_sends_is_run_afterwards(node: InProcess) -> None:
    waiter, pusher = node.connect(), node.connect()
    waiter.send(b"BLPOP q 0\r\nPING\r\nBLPOP q 0\r\nPING\r\n")
    assert waiter.take() == b""
    pusher.command("RPUSH", "q", "a")
    assert waiter.take() == b"*2\r\n$1\r\nq\r\n$1\r\na\r\n+PONG\r\n"
    pusher.command("RPUSH", "q", "b")
    assert waiter.take() == b"*2\r\n$1\r\nq\r\n$1\r\nb\r\n+PONG\r\n"


def test_who_leaves_does_not_wait(node: InProcess) -> None:
    waiter, other, pusher = node.connect(), node.connect(), node.connect()
    waiter.command("BLPOP", "q", "r", "5")
    other.command("BLPOP", "r", "0")
    assert waiters_of(node) == {b"q": 1, b"r": 2}
    waiter.disconnect()
    assert waiters_of(node) == {b"r": 1} and not node.server.waiting.deadlines
    pusher.command("RPUSH", "r", "x")
    assert other.take().endswith(b"x\r\n")
    assert waiters_of(node) == {}


def waiters_of(node: InProcess) -> dict[bytes, int]:
    return {key: len(waiters) for key, waiters in node.server.keyspace.databases[0].blocked.items()}


def test_waiting_is_counted_once_and_shown(node: InProcess) -> None:
    waiter, other = node.connect(), node.connect()
    waiter.command("BLPOP", "q", "0")
    info = other.command("INFO", "clients")
    assert b"blocked_clients:1" in info and b"total_blocking_keys:1" in info
    assert b"cmdstat_blpop" not in other.command("INFO", "commandstats")
    other.command("RPUSH", "q", "x")
    assert b"cmdstat_blpop:calls=1" in other.command("INFO", "commandstats")


def test_ten_thousand_waiters_cost_no_ticks(node: InProcess) -> None:
    """Nothing looks at those who wait: a tick is as short as without them."""
    waiters: list[InProcessClient] = [node.connect() for _ in range(1_000)]
    for number, waiter in enumerate(waiters):
        waiter.command("BLPOP", f"q{number}", "0")
    assert not node.server.waiting.deadlines and not node.server.waiting.ready
    pusher = node.connect()
    pusher.command("RPUSH", "q500", "x")
    assert [number for number, waiter in enumerate(waiters) if waiter.received] == [500]
