"""Cost by size and by structure: every call is a right one, the tables follow from the figures, both programs run.

Replies are received unread while time is taken, so that a call which is refused would be measured all the same: here
each is sent once and read.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from . import choices, growth
from .choices import EDGES, PROBLEMS, Cost, Problem, Way
from .endpoints import Endpoint
from .growth import FILLS, OPERATIONS, Growth, Operation, send_all, table

ROOT = Path(__file__).resolve().parent.parent
WAYS = [(problem, way) for problem in PROBLEMS for way in problem.ways]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_works_and_leaves_the_size(operation: Operation, oracle: Endpoint, subject: Endpoint) -> None:
    calls = [words for number in range(3) for words in operation.call(Random(number), 1000)]
    sizes = []
    for endpoint in (oracle, subject):
        send_all(endpoint, [(b"FLUSHALL",)])
        growth.fill(endpoint, operation.fill, 0, 1000)
        before = size_of(endpoint, operation.fill)
        send_all(endpoint, calls)
        assert before == 1000 and abs(size_of(endpoint, operation.fill) - before) <= 3
        sizes.append(size_of(endpoint, operation.fill))
    assert sizes[0] == sizes[1]


def size_of(endpoint: Endpoint, kind: str) -> int:
    counting = {"string": b"STRLEN", "list": b"LLEN", "set": b"SCARD", "hash": b"HLEN", "stream": b"XLEN"}
    connection = endpoint.connect()
    try:
        command = (b"DBSIZE",) if kind == "keys" else (counting.get(kind, b"ZCARD"), b"value")
        return int(connection.call(*command).text)
    finally:
        connection.close()


@pytest.mark.parametrize(("problem", "way"), WAYS, ids=[f"{problem.name}: {way.name}" for problem, way in WAYS])
def test_a_way_works(problem: Problem, way: Way, oracle: Endpoint, subject: Endpoint) -> None:
    calls = [words for call in way.operations.values() for words in call(Random(1), 20)]
    for endpoint in (oracle, subject):
        send_all(endpoint, [(b"FLUSHALL",), *way.fill(20), *calls])


def test_each_edge_is_one(oracle: Endpoint) -> None:
    """On both sides of a threshold the encodings differ."""
    found = list(choices.edges(oracle))
    assert len(found) == 2 * len(EDGES)
    for below, beyond in zip(found[::2], found[1::2], strict=True):
        assert below["encoding"] != beyond["encoding"], below


def test_growth_is_judged_by_what_is_documented() -> None:
    flat, tenfold = [1.0, 1.1, 1.2, 3.9], [1.0, 2.0, 5.0, 10.0]
    assert Growth("GET", "O(1)", "keys", flat, flat).within
    assert not Growth("GET", "O(1)", "keys", tenfold, flat).within
    assert not Growth("ZADD", "O(log N)", "zset", tenfold, flat).within
    assert Growth("LINDEX", "O(N)", "list", tenfold, flat).within
    shown = table([Growth("GET", "O(1)", "keys", tenfold, flat)])
    assert "| GET | O(1) | 1.0 | 2.0 | 5.0 | 10.0 | 1.0 | 3.9 | WORSE |" in shown


def test_both_programs_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = tmp_path / "growth.json"
    words = ["--largest", "1000", "--values", "zset", "--json", str(measured), "--plot", str(tmp_path / "plot.svg")]
    assert growth.main(words) == 0
    operations = json.loads(measured.read_text())["operations"]
    assert {each["operation"] for each in operations} == {each.name for each in OPERATIONS if each.fill == "zset"}
    assert all(len(each["subject"]) == len(each["oracle"]) == 1 for each in operations)
    assert "ZRANK" in capsys.readouterr().out and (tmp_path / "plot.svg").read_text().startswith("<svg")


def test_what_the_pages_show_is_what_is_measured() -> None:
    """The figures in the repository are those of the operations, ways and edges that there are."""
    grown = json.loads((ROOT / "docs" / "measured" / "growth.json").read_text())
    assert [(each["operation"], each["value"]) for each in grown["operations"]] == [
        (each.name, each.fill) for kind in FILLS for each in OPERATIONS if each.fill == kind
    ]
    assert all(Growth(**each).within for each in grown["operations"])
    chosen = json.loads((ROOT / "docs" / "measured" / "choices.json").read_text())
    assert [(each["problem"], each["way"]) for each in chosen["costs"]] == [(p.name, way.name) for p, way in WAYS]
    assert len(chosen["edges"]) == 2 * len(EDGES)
    assert choices.render([Cost(**each) for each in chosen["costs"]]).count("\n|") > len(WAYS)
