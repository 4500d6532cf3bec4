"""The run of Redis's own tests: what is read from its output, and what is left out. The suite itself is not here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .__main__ import main
from .redis_suite import Expectations, Unit, load_expectations, read_results

PRINTED = """\
Starting test server at port 21079
[ready]: 4711
Testing unit/x
[\x1b[0;32mok\x1b[0m]: It works (12 ms)
[\x1b[0;31merr\x1b[0m]: It counts (to 3) in tests/unit/x.tcl
Expected '2' to be equal to '3'
[ignore]: large: large memory flag not provided
[\x1b[0;31merr\x1b[0m]: It ends in tests/unit/x.tcl
wrong
    while executing
"r quit"
[1/1 \x1b[0;33mdone\x1b[0m]: unit/x (1 seconds)

                   The End
*** [\x1b[0;31merr\x1b[0m]: It ends in tests/unit/x.tcl
wrong
"""


def test_what_the_suite_prints() -> None:
    unit = Unit("unit/x")
    read_results(unit, PRINTED.splitlines(keepends=True))
    assert unit.passed == ["It works"]
    assert unit.failed == [
        "It counts (to 3)\nExpected '2' to be equal to '3'",
        'It ends\nwrong\n    while executing\n"r quit"',
    ]
    assert (unit.left_out, unit.broken) == (1, [])
    read_results(unit, ["[err]: no file\n", "over there\n", "[exception]: Executing test client: no server.\n"])
    assert unit.broken == ["no file\nover there", "Executing test client: no server."]


def test_who_is_excused() -> None:
    excused = {"unit/x: It counts": "one", "unit/x: It ends": "two", "unit/xy: It counts": "three"}
    expected = Expectations(("unit/x", "unit/xy"), (), excused, frozenset({"unit/x: It ends"}), {})
    assert expected.not_run("unit/x") == ["It counts"]


def test_every_excuse_has_a_reason_and_is_for_a_unit_that_is_run() -> None:
    expected = load_expectations()
    assert {name.partition(": ")[0] for name in (*expected.excused, *expected.cut)} <= set(expected.units)
    assert all(expected.excused.values())
    assert all(expected.cut.values())


SUITE = """\
set unit [lindex $argv 1]
set version [exec src/redis-server --version]
puts "\\[ok\\]: $version (1 ms)"
puts "\\[err\\]: It fails in tests/$unit.tcl"
puts "as it must"
if {$unit eq {unit/slow}} { flush stdout; vwait forever }
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("tclsh", "redis-cli", "redis-benchmark"))), reason="needs tclsh and Redis's tools"
)
def test_a_suite_runs_with_this_server_in_the_place_of_redis(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "tests" / "test_helper.tcl").write_text(SUITE)
    words = ["redis-suite", "--source", str(tmp_path), "--limit", "2", "--units"]
    assert main([*words, "unit/x", "unit/slow"]) == 1
    told = capsys.readouterr().out
    assert "unit/x: It fails\nas it must" in told
    assert "unit/slow: It fails\nas it must" in told
    assert "unit/slow, outside of any test: not over after 2 seconds" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src", "tests"], "nothing was left in the source"
    assert list((tmp_path / "src").iterdir()) == []


def test_what_is_no_source_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redis-suite", "--source", str(tmp_path)]) == 2
    assert f"could not run: {tmp_path} is not the source of Redis" in capsys.readouterr().err
