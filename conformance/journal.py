"""What reached a server's log: do two servers that answer alike also *tell* alike?

A replica, and whoever loads an append-only file, knows a server only by what it wrote there. A reply says nothing about
that: INCRBYFLOAT may answer rightly and be told as a sum that another machine adds up differently, BLPOP may serve its
client and never be told at all. So after each step the commands that have reached both logs meanwhile are compared,
word by word, SELECT, MULTI and EXEC included. Two licences:

- a word that is a moment (unix time in ms from today on, alone or as the id of a stream's entry) may differ as two
  clocks do;
- where a command's reply is left to chance (SPOP), so are the words that tell of it; only their number is compared.

- what is over in the same millisecond, or is evicted in one go, goes in any order: neighbouring HDELs of one key, and
  neighbouring deletions of keys, are compared as sets.

The active expiry cycle is off meanwhile, for when it comes across a dead key is chance as well.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import Protocol, TypeAlias

from .outcome import Outcome
from .wire import parse_reply, quote_command

Call: TypeAlias = tuple[bytes, ...]
_NUMBER = re.compile(r"\.(\d+)\.incr\.aof$")
_MOMENT = re.compile(rb"(\d{13,19})(-\d+)?")


class Journal(Protocol):
    """Where a server's commands go."""

    def take(self) -> bytes:
        """What has arrived since the last time, as RESP requests."""
        ...


class AppendOnlyFile:
    """The incremental files of a server that keeps its append-only files in `directory`; it may begin new ones."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}

    def take(self) -> bytes:
        taken = b""
        for path in sorted(self._directory.glob("*.incr.aof"), key=_number):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                taken += file.read()
                self._read[path] = file.tell()
        return taken


def _number(path: Path) -> int:
    found = _NUMBER.search(path.name)
    return int(found[1]) if found else 0


def calls(data: bytes) -> list[Call]:
    """The requests in a piece of a log."""
    found: list[Call] = []
    at = 0
    while at < len(data):
        if data.startswith(b"#", at):  # an annotation: aof-timestamp-enabled
            at = data.index(b"\n", at) + 1
            continue
        request = parse_reply(data[at:])
        found.append(tuple(word.text for word in request.children))
        at += len(request.raw)
    return found


def tell_alike(oracle: list[Call], subject: list[Call], slack_ms: int, by_chance: bool) -> bool:
    """Whether two logs say the same; `by_chance`: but for the words that chance has chosen."""
    if len(oracle) != len(subject):
        return False
    for one, other in zip(_settled(oracle), _settled(subject), strict=True):
        if len(one) != len(other):
            return False
        if by_chance and one[0].upper() == other[0].upper():
            continue
        if not all(a == b or _near(a, b, slack_ms) for a, b in zip(one, other, strict=True)):
            return False
    return True


def _settled(told: list[Call]) -> list[Call]:
    """With runs of HDELs of one key in the order of their fields, and runs of deletions in that of their keys."""
    settled: list[Call] = []
    for kind, run in groupby(told, _unordered):
        neighbours = list(run)
        settled += sorted(neighbours) if kind else neighbours
    return settled


def _unordered(call: Call) -> Call:
    """What the calls of such a run have in common; nothing for any other call."""
    if call[0] == b"HDEL" and len(call) == 3:
        return call[:2]
    return call[:1] if call[0] in (b"DEL", b"UNLINK") and len(call) == 2 else ()


def _near(one: bytes, other: bytes, slack_ms: int) -> bool:
    a, b = _MOMENT.fullmatch(one), _MOMENT.fullmatch(other)
    return a is not None and b is not None and a[2] == b[2] and abs(int(a[1]) - int(b[1])) <= slack_ms


def as_outcome(told: list[Call]) -> Outcome:
    return Outcome(detail="\n".join(map(quote_command, told)))
