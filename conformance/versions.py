"""Known drift between versions: what changed on purpose, as data (versions.toml).

A difference between Redis 8.2 and Redis 7.0 is not a bug of either. An entry names since which version of which product
something is as it is now, what the older and what the newer servers say (regular expressions on the reply as it is
shown, or, as `difference`, on every line in which the report says where the two part), and why it changed. It explains
a difference only where one server of the pair is older than that version and the other is not, and only if both replies
read as it says; so it can hardly cover up anything else.

An entry with `absent = true` says that the older servers do not know such a command line at all (an option that came
later). Such lines are left out for the pair, as commands are that one of the two does not have: what follows in the
stream then still means the same on both.

Valkey parted from Redis after 7.2: it has what Redis had by then, and nothing that Redis has added since unless the
entry says so (`since = { redis = "7.4", valkey = "8.1" }`).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from .divergences import Divergence
from .explain import explain
from .outcome import Compared, Outcome
from .wire import quote_command

FILE = Path(__file__).parent / "versions.toml"
FORK = (7, 2)
PRODUCTS = ("redis", "valkey")
Product: TypeAlias = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Drift:
    """One change. `command` is a pattern of fnmatch on the row's name, `line` a regular expression on all of it."""

    title: str
    reason: str
    since: dict[str, str] = field(hash=False)
    command: str = "*"
    line: str = ""
    stream: str = "*"
    protocol: int = 0
    old: str = ""
    new: str = ""
    difference: str = ""
    absent: bool = False

    def is_new(self, product: Product) -> bool:
        """Whether a server has the change. One that tells no version is taken to be new."""
        name, version = product
        wanted = self.since.get(name)
        if wanted is None and name == "valkey" and "redis" in self.since:
            return parse_version(self.since["redis"]) <= FORK
        return wanted is not None and (not version or version >= parse_version(wanted))

    def parts(self, oracle: Product, subject: Product) -> bool:
        """Whether the change lies between the two."""
        return self.is_new(oracle) != self.is_new(subject)

    def concerns(self, command: str, line: str, stream: str, protocol: int) -> bool:
        return (
            fnmatchcase(command, self.command)
            and fnmatchcase(stream, self.stream)
            and self.protocol in (0, protocol)
            and (not self.line or re.fullmatch(self.line, line, re.IGNORECASE | re.DOTALL) is not None)
        )

    def explains(self, older: Outcome, newer: Outcome, parting: list[str]) -> bool:
        """`parting`: where the two part, as explain.py says it. Every line of it must read as the entry says."""
        if self.difference and not (parting and all(re.match(self.difference, line) for line in parting)):
            return False
        return _reads(self.old, older) and _reads(self.new, newer)

    def as_divergence(self) -> Divergence:
        """For the report: the same as a known difference, saying since when."""
        versions = " and ".join(f"{name.capitalize()} {version}" for name, version in self.since.items())
        return Divergence(f"{self.title} (since {versions})", self.reason, self.command, line=self.line or "*")


def parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _reads(pattern: str, outcome: Outcome) -> bool:
    return not pattern or re.search(pattern, outcome.shown(), re.DOTALL) is not None


@cache
def load(path: Path = FILE) -> tuple[Drift, ...]:
    """Read the table. ValueError for an entry that lacks something, has a word too many or matches everything."""
    data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    entries: list[Drift] = []
    for number, entry in enumerate(data.get("drift", []), 1):
        missing = {"title", "reason", "since"} - entry.keys()
        unknown = entry.keys() - Drift.__dataclass_fields__.keys()
        if missing or unknown or not set(entry.get("since", {})) <= set(PRODUCTS):
            raise ValueError(f"{path.name}: entry {number}: {sorted(missing)} missing, {sorted(unknown)} unknown")
        drift = Drift(**entry)
        if not (drift.old or drift.new or drift.difference or drift.absent) or (drift.absent and not drift.line):
            raise ValueError(f"{path.name}: entry {number} ({drift.title}): what do old and new servers say?")
        for pattern in (drift.line, drift.old, drift.new):
            re.compile(pattern)
        entries.append(drift)
    return tuple(entries)


def absent_line(argv: tuple[bytes, ...], oracle: Product, subject: Product) -> Drift | None:
    """The entry that says that one of the two does not know such a line."""
    line = quote_command(argv)
    for drift in load():
        if drift.absent and drift.parts(oracle, subject) and re.fullmatch(drift.line, line, re.IGNORECASE | re.DOTALL):
            return drift
    return None


def explain_drift(
    products: tuple[Product, Product],
    one: Compared,
    command: str,
    line: str,
    stream: str,
    protocol: int,
) -> Divergence | None:
    """The known change that a difference comes from. Products: the oracle's, then the subject's."""
    for drift in load():
        if drift.absent or not drift.parts(*products) or not drift.concerns(command, line, stream, protocol):
            continue
        newer, older = (one.oracle, one.subject) if drift.is_new(products[0]) else (one.subject, one.oracle)
        parting = explain(one.rule, one.oracle, one.subject, one.inner) if drift.difference else []
        if drift.explains(older, newer, parting):
            return drift.as_divergence()
    return None
