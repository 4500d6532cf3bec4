"""The measurement of what watching costs: it runs, and says how many times as much."""

from __future__ import annotations

import pytest

from .watched import CASES, main, table


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--requests", "400", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [name for name, _, _ in CASES]


def test_ratios_are_to_what_it_costs_unwatched() -> None:
    found = [[4.0, 1.0], [5.0, 1.5], [8.0, 2.0], [12.0, 3.0], [20.0, 5.0]]
    assert table(["ours", "theirs"], found).splitlines()[4] == "| 1 MONITOR | 8.00 us | x 2.0 | 2.00 us | x 2.0 |"
