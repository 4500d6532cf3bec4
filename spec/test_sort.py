"""SORT against Python's own sorting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.commands.sort import keys_of_sort
from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.parser import encode_request

NUMBERS = st.lists(st.integers(-99, 99), min_size=1, max_size=12)


def elements(reply: bytes) -> list[bytes]:
    return reply.split(b"\r\n")[2:-1:2]


@given(NUMBERS, st.booleans(), st.booleans(), st.integers(-1, 13), st.integers(-1, 13))
def test_it_sorts_as_python_does(numbers: list[int], down: bool, as_text: bool, start: int, count: int) -> None:
    a = InProcess().connect()
    a.command("RPUSH", "l", *numbers)
    options = [*(["DESC"] if down else []), *(["ALPHA"] if as_text else [])]
    expected = sorted(map(str, numbers), key=None if as_text else int, reverse=down)
    wanted = expected[max(start, 0) :][: None if count < 0 else count]
    assert elements(a.command("SORT", "l", "LIMIT", start, count, *options)) == [n.encode() for n in wanted]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-9, 9)), max_size=6, unique_by=lambda pair: pair[0]))
def test_weights_may_be_elsewhere_and_missing_ones_are_zero(pairs: list[tuple[str, int]]) -> None:
    a = InProcess().connect()
    weights = dict(pairs)
    a.command("SADD", "s", *"abcdef")
    for name, weight in pairs:
        a.command("SET", f"w_{name}", weight)
        a.command("HSET", f"h_{name}", "w", weight)
    expected = sorted("abcdef", key=lambda name: (weights.get(name, 0), name))
    for pattern in ("w_*", "h_*->w"):
        assert elements(a.command("SORT", "s", "BY", pattern)) == [name.encode() for name in expected]


def test_what_is_stored_from_a_set_has_one_order_on_all_replicas() -> None:
    node = InProcess(logging=True)
    a = node.connect()
    a.command("SADD", "s", *"cab")
    node.log = b""
    a.command("SORT", "s", "BY", "nosort", "STORE", "l")
    assert elements(a.command("LRANGE", "l", 0, -1)) == [b"a", b"b", b"c"]
    assert node.log.endswith(encode_request([b"SORT", b"s", b"BY", b"nosort", b"STORE", b"l"]))


def test_words_that_only_look_like_store() -> None:
    assert [at for at, _ in keys_of_sort(b"SORT k BY STORE d GET STORE x LIMIT STORE 5".split())] == [1]
    assert [at for at, _ in keys_of_sort(b"SORT k STORE a STORE b".split())] == [1, 5]
