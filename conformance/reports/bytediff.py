r"""Two replies, line by line as RESP writes them: what is common, what only one of them sent.

    *2\r\n
    -:5\r\n
    +:6\r\n

Lines end at CRLF. Where one line stands against another, the part that differs is told from the beginning and the end
that they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

CONTEXT = 2
MOST_LINES = 40
_ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}


@dataclass(frozen=True)
class Line:
    """One line of the diff: sign " ", "-" (the oracle's), "+" (the subject's) or "~" (left out), in three pieces."""

    sign: str
    before: str
    differs: str = ""
    after: str = ""


def escaped(raw: str) -> str:
    """Bytes (as latin-1 text) as they are written in Python: printable ASCII stays, the rest is escaped."""
    return "".join(_ESCAPES.get(ord(c)) or (c if " " <= c <= "~" else f"\\x{ord(c):02x}") for c in raw)


def first_difference(oracle: str, subject: str) -> int:
    """The offset of the first byte that differs."""
    shared = min(len(oracle), len(subject))
    return next((n for n in range(shared) if oracle[n] != subject[n]), shared)


def diff(oracle: str, subject: str, most: int = MOST_LINES) -> list[Line]:
    """The lines that differ, with a little of what surrounds them."""
    lines = list(_diff(_lines(oracle), _lines(subject)))
    more = len(lines) - most
    return [*lines[:most], Line("~", f"{more} more lines")] if more > 0 else lines


def _lines(raw: str) -> list[str]:
    pieces = raw.split("\r\n")
    return [piece + "\r\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def _diff(left: list[str], right: list[str]) -> Iterator[Line]:
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    for number, (tag, a, b, c, d) in enumerate(blocks):
        if tag == "equal":
            yield from _common(left[a:b], first=number == 0, last=number == len(blocks) - 1)
            continue
        pairs = min(b - a, d - c)
        for one, other in zip(left[a : a + pairs], right[c : c + pairs], strict=True):
            yield from _against(one, other)
        yield from (Line("-", "", escaped(line)) for line in left[a + pairs : b])
        yield from (Line("+", "", escaped(line)) for line in right[c + pairs : d])


def _common(lines: list[str], first: bool, last: bool) -> Iterator[Line]:
    head, tail = 0 if first else CONTEXT, 0 if last else CONTEXT
    if len(lines) <= head + tail + 1:
        yield from (Line(" ", escaped(line)) for line in lines)
        return
    yield from (Line(" ", escaped(line)) for line in lines[:head])
    yield Line("~", f"{len(lines) - head - tail} lines alike")
    yield from (Line(" ", escaped(line)) for line in lines[len(lines) - tail :])


def _against(one: str, other: str) -> Iterator[Line]:
    start = first_difference(one, other)
    shortest = min(len(one), len(other)) - start
    end = next((n for n in range(shortest) if one[-1 - n] != other[-1 - n]), shortest)
    for sign, line in (("-", one), ("+", other)):
        stop = len(line) - end
        yield Line(sign, escaped(line[:start]), escaped(line[start:stop]), escaped(line[stop:]))
