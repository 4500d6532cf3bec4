"""A sparkline: how a few numbers are drawn with characters, as LATENCY GRAPH does.

Question it answers: how does a terminal show in four lines whether things get worse? Every sample is a column. A column
has `rows` cells and each cell three levels, so a sample's height is one of 3 * rows steps between the least and the
greatest; what is below its top is filled. Under the columns, written downwards, stands each sample's label.

       #        the greatest
       |        below a top
    __#|        `_` `o` `#`: the three levels of a top
    4310        the labels: 4s, 3s, 1s, 0s ago
    ssss

Invariants: (1) each line of a band is as long as the band has samples; (2) the least sample is `_` in the bottom row
and the greatest `#` in the top row, unless all are equal: then all are least.

The same characters as Redis draws. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

LEVELS: Final = "_o#"
BELOW: Final = "|"


def sparkline(samples: Sequence[tuple[int, str]], columns: int = 80, rows: int = 4) -> str:
    """Draw (value, label) pairs, in bands of at most `columns` with an empty line between them.

    Each line ends with a newline. No samples give an empty text. O(samples * (rows + longest label)).
    """
    if not samples:
        return ""
    least = min(value for value, _ in samples)
    span = max(value for value, _ in samples) - least or 1
    steps = len(LEVELS) * rows
    heights = [min((value - least) * steps // span, steps - 1) for value, _ in samples]
    bands = []
    for at in range(0, len(samples), columns):
        labels = [label for _, label in samples[at : at + columns]]
        bands.append("".join(f"{line}\n" for line in _band(heights[at : at + columns], labels, rows)))
    return "\n".join(bands)


def _band(heights: Sequence[int], labels: Sequence[str], rows: int) -> Iterator[str]:
    for row in reversed(range(rows)):
        yield "".join(_cell(height - row * len(LEVELS)) for height in heights)
    yield " " * len(heights)
    for place in range(max(map(len, labels))):
        yield "".join(label[place : place + 1] or " " for label in labels)


def _cell(height: int) -> str:
    """What a cell shows of a column whose top is `height` levels above the cell's bottom."""
    if height < 0:
        return " "
    return LEVELS[height] if height < len(LEVELS) else BELOW
