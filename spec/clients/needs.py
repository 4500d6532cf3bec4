"""What each program sends to a server: the second table of docs/clients.md, read, checked and added to."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
VERSION_ROW = re.compile(r"^\| ([\w-]+) \| (\d[\d.]*) \| [^|]+ \|$", re.MULTILINE)
SENT_ROW = re.compile(r"^\| ([\w-]+) \| (`[^|]+`) \|$", re.MULTILINE)


def versions() -> dict[str, str]:
    """Program -> the version that the page speaks of."""
    return dict(VERSION_ROW.findall(PAGE.read_text()))


def sent() -> dict[str, set[str]]:
    """Program -> the commands in its row, as INFO commandstats names them."""
    rows = SENT_ROW.findall(PAGE.read_text())
    return {
        program: {name.lower().replace(" ", "|") for name in re.findall("`([^`]+)`", names)} for program, names in rows
    }


class Needs:
    """What the tests of one run see."""

    def __init__(self, update: bool) -> None:
        self.update = update
        self.seen: dict[str, set[str]] = {}

    def note(self, program: str, commands: set[str]) -> None:
        """A test has seen a program send these. AssertionError for one that is not in its row."""
        if self.update:
            self.seen.setdefault(program, set()).update(commands)
            return
        unknown = commands - sent()[program]
        assert not unknown, f"{program} also sends {sorted(unknown)}: CLIENTS_UPDATE=1 puts it into docs/clients.md"

    def finish(self) -> None:
        """At the end of an updating run: add to the rows. What is never seen must be taken out by hand."""
        known = sent()

        def with_more(row: re.Match[str]) -> str:
            program = row[1]
            names = sorted(known[program] | self.seen.get(program, set()))
            written = " ".join(f"`{name.upper()}`" for name in names).replace("|", " ")
            return f"| {program} | {written} |"

        if self.seen:
            PAGE.write_text(SENT_ROW.sub(with_more, PAGE.read_text()))
