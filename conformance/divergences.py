"""Known differences: each has a reason and a scope, and dies when it is no longer true.

The list is data (divergences.toml). It is not a place to put bugs to rest: an entry says why the difference is right,
in words that a Redis author would accept.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "divergences.toml"


@dataclass(frozen=True)
class Divergence:
    """One entry. The patterns are those of fnmatch; an empty protocol means both."""

    title: str
    reason: str
    command: str
    subject: str = "*"
    oracle: str = "*"
    stream: str = "*"
    line: str = "*"
    protocol: int = 0
    log: bool = False
    """It is about what reaches the log, and not about replies."""

    def covers(
        self, subject: str, oracle: str, command: str, stream: str, line: str, protocol: int, log: bool = False
    ) -> bool:
        """Whether a comparison lies in this entry's scope, whatever came of it."""
        return (
            log == self.log
            and fnmatchcase(subject, self.subject)
            and fnmatchcase(oracle, self.oracle)
            and fnmatchcase(command, self.command)
            and fnmatchcase(stream, self.stream)
            and fnmatchcase(line, self.line)
            and self.protocol in (0, protocol)
        )


def load(path: Path = FILE) -> list[Divergence]:
    """Read the list. ValueError for an entry without title, reason or command, or with a word nobody knows."""
    data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    entries: list[Divergence] = []
    for number, entry in enumerate(data.get("divergence", []), 1):
        missing = {"title", "reason", "command"} - entry.keys()
        unknown = entry.keys() - Divergence.__dataclass_fields__.keys()
        if missing or unknown:
            raise ValueError(f"{path.name}: entry {number}: {sorted(missing)} missing, {sorted(unknown)} unknown")
        entries.append(Divergence(**entry))
    return entries
