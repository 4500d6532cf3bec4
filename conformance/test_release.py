"""Measuring deletions: every case runs on both servers, and the verdict follows from the turns."""

from __future__ import annotations

import pytest

from . import release
from .release import CASES, Release, table


def test_it_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(release, "LISTENING_SECONDS", 0.02)
    assert release.main(["--elements", "2000"]) == 0
    printed = capsys.readouterr().out.splitlines()
    rows = [line for line in printed if line.startswith("| ")][1:]
    assert [tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows] == list(CASES)
    assert "bar 20 ms: met" in printed[-1]


def test_what_a_server_does_not_tell_is_a_dash() -> None:
    silent = Release(1.0, 2.0, None, None)
    assert list(table(iter([("list", "DEL", silent, silent)])))[-1] == "| list | DEL | 1.0 | 2.0 | - | - | 1.0 | 2.0 |"
