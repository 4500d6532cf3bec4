"""Vector sets: the structure against a model, the filter language against Python's own, the propagation."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.structures.filter_expression import Filter, FilterError
from mini_redis.structures.vector_set import BIN, F32, INT8, VectorSet, distance, project, quantise, single

NUMBERS = st.floats(-100, 100, width=32)
VECTORS = st.lists(NUMBERS, min_size=4, max_size=4)
ELEMENTS = st.sampled_from([b"a", b"b", b"c", b"d"])
ACTIONS = st.one_of(
    st.tuples(st.just("add"), ELEMENTS, VECTORS),
    st.tuples(st.just("remove"), ELEMENTS),
    st.tuples(st.just("attributes"), ELEMENTS, st.sampled_from([b"", b"{}", b'{"x": 1}'])),
)


@given(st.sampled_from([F32, INT8, BIN]), st.lists(ACTIONS, max_size=30))
def test_a_dict_is_the_model(kind: bytes, actions: list[tuple[Any, ...]]) -> None:
    vectors, model, attributes = VectorSet(4, kind, 16), {}, {}  # type: ignore[var-annotated]
    for action in actions:
        match action:
            case "add", element, vector:
                assert vectors.add(element, vector) == (element not in model)
                model[element] = vector
            case "remove", element:
                assert vectors.remove(element) == (model.pop(element, None) is not None)
                attributes.pop(element, None)
            case "attributes", element, text:
                if element in model:
                    vectors.set_attributes(element, text)
                    attributes[element] = text
        vectors.check()
    assert set(vectors.points) == set(model)
    assert vectors.attributes == {element: text for element, text in attributes.items() if text}
    for element, vector in model.items():
        kept = vectors.vector(element)
        assert kept is not None
        error = {F32: 1e-5, INT8: 1 / 254 + 1e-5, BIN: 100.0}[kind]
        length = math.hypot(*vector)
        assert kind == BIN or all(abs(a - b) <= error * length + 1e-6 for a, b in zip(vector, kept, strict=True))


@given(VECTORS, VECTORS)
def test_distance_is_that_of_the_cosine(a: list[float], b: list[float]) -> None:
    lengths = math.hypot(*a) * math.hypot(*b)
    if lengths < 1e-3:
        return
    cosine = sum(x * y for x, y in zip(a, b, strict=True)) / lengths
    assert distance(quantise(a, F32), quantise(b, F32), F32) == pytest.approx(1 - cosine, abs=1e-5)
    assert distance(quantise(a, INT8), quantise(b, INT8), INT8) == pytest.approx(1 - cosine, abs=0.03)
    for kind in (F32, INT8, BIN):
        p, q = quantise(a, kind), quantise(b, kind)
        assert distance(p, q, kind) == distance(q, p, kind)


@given(st.lists(NUMBERS, min_size=8, max_size=8))
def test_a_whole_projection_keeps_lengths(vector: list[float]) -> None:
    """A Hadamard matrix only turns: projected to as many numbers, a vector is as long as before."""
    assert math.hypot(*project(vector, 8)) == pytest.approx(math.hypot(*vector), rel=1e-4, abs=1e-4)


def expressions() -> st.SearchStrategy[tuple[str, str]]:
    """An expression in our language and in Python's."""
    names = st.sampled_from(["x", "y"]).map(lambda name: (f".{name}", name))
    numbers = st.integers(0, 20).map(lambda number: (str(number), f"{number}.0"))

    def combined(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
        arithmetic = st.tuples(inner, st.sampled_from("+-*"), inner)
        compared = st.tuples(inner, st.sampled_from(["==", "!=", "<", ">", "<=", ">="]), inner)
        joined = st.tuples(inner, st.sampled_from(["and", "or"]), inner)
        return st.one_of(
            arithmetic.map(lambda it: (f"({it[0][0]} {it[1]} {it[2][0]})", f"({it[0][1]} {it[1]} {it[2][1]})")),
            compared.map(lambda it: (f"({it[0][0]}{it[1]} {it[2][0]})", f"float({it[0][1]} {it[1]} {it[2][1]})")),
            joined.map(
                lambda it: (f"({it[0][0]} {it[1]} {it[2][0]})", f"float(bool({it[0][1]}) {it[1]} bool({it[2][1]}))")
            ),
            inner.map(lambda it: (f"not ({it[0]})", f"float(not {it[1]})")),
        )

    return st.recursive(st.one_of(names, numbers), combined, max_leaves=8)


@given(expressions(), st.integers(-5, 25), st.integers(-5, 25))
def test_filters_mean_what_python_means(both: tuple[str, str], x: int, y: int) -> None:
    ours, theirs = both
    expected = bool(eval(theirs, {"x": float(x), "y": float(y), "float": float, "bool": bool}))
    assert Filter(ours).accepts(json.dumps({"x": x, "y": y})) == expected


@given(st.text(".x1 \"'()[],=!<>andornotin+-*/%{}", max_size=20), st.text("{}\":,x1 []+-e.nul", max_size=20))
def test_nonsense_is_refused_or_has_an_answer(expression: str, attributes: str) -> None:
    try:
        filter_ = Filter(expression)
    except FilterError:
        return
    assert filter_.accepts(attributes) in (True, False)


def test_single_rounds_to_32_bits() -> None:
    assert single(0.1) == 0.10000000149011612
    assert single(1e40) == math.inf and single(-1e40) == -math.inf


def test_changes_are_propagated_as_they_were_said() -> None:
    node = InProcess(logging=True)
    client = node.connect()
    lines = ("VADD v VALUES 2 1 2 a", "VSETATTR v a x", "VSETATTR v nobody x", "VSIM v ELE a", "VREM v a", "VREM v a")
    for line in lines:
        client.command(*line.split())
    assert [node.log.count(name) for name in (b"VADD", b"VSETATTR", b"VSIM", b"VREM")] == [1, 1, 0, 1]


def test_a_step_beyond_floats_is_no_step() -> None:
    assert quantise([0.0, 0.0, 5.074171804243379e-40], INT8).numbers == (0, 0, 0)
