"""Which letters do two strings share, in order? The longest common subsequence, and the very one that Redis finds.

The textbook fills a table whose cell L(i, j) is the length of the answer for the first i bytes of `a` and the first j
of `b`, and then walks back from the last corner:

    equal bytes               take the byte, go to (i-1, j-1)
    L(i-1, j) > L(i, j-1)     go up, to (i-1, j)
    otherwise                 go left, to (i, j-1)

Often several subsequences are equally long; this order of preference decides which is found, and LCS IDX shows it.
Redis really fills the table: four bytes a cell, half a gigabyte at its limit. A loop over 134 million cells takes
minutes in Python, so here a row is one big integer (Crochemore et al. 2001, Hyyroe 2004). Going right along a row, L
stays or grows by one; bit j-1 of row i is *clear* where it grows at (i, j). One row follows from the one above by an
addition, a subtraction and two masks, over the whole width at once:

    hits = row & matches[byte]            the first hit of each run of set bits is where L starts to grow earlier
    row  = (row + hits) | (row - hits)    carries do the search, a machine word at a time

Why the bits are enough to walk back: where the bytes differ, L(i, j) is the greater of its two neighbours. If L grows
at (i, j) the left neighbour is smaller, so the upper one equals L(i, j): go up. If it does not, the left one equals
L(i, j) and nothing is greater: go left. And steps to the left need not be taken singly: the next stop is the nearer of
the last equal byte and the last growth.

Time O(n * m / 64) in machine operations, memory n * m / 8 bytes, where Redis takes n * m and 4 * n * m. Strings of
11,500 bytes, at its limit, take some hundredths of a second. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Match(NamedTuple):
    """A run of bytes that both strings share: first and last position in each, counted from 0, ends included."""

    a_start: int
    a_end: int
    b_start: int
    b_end: int

    @property
    def length(self) -> int:
        """How many bytes it is. O(1)."""
        return self.a_end - self.a_start + 1


def lcs_length(a: bytes, b: bytes) -> int:
    """Return the length of the longest common subsequence. O(len(a) * len(b) / 64), memory O(len(b))."""
    row = _all_ones(b)
    for row in _rows(a, b):  # noqa: B007 - only the last one counts
        pass
    return len(b) - row.bit_count()


def lcs_matches(a: bytes, b: bytes) -> list[Match]:
    """Return the runs that make up Redis's choice of a longest common subsequence, the last run first.

    O(len(a) * len(b) / 64), with len(a) * len(b) / 8 bytes of memory meanwhile.
    """
    rows = list(_rows(a, b))
    matches: list[Match] = []
    i, j = len(a), len(b)
    while i and j:
        last_equal = b.rfind(a[i - 1], 0, j) + 1
        last_growth = (~rows[i - 1] & ((1 << j) - 1)).bit_length()
        j = max(last_equal, last_growth)
        i -= 1
        if j and last_equal == j:
            j -= 1
            if matches and matches[-1].a_start == i + 1 and matches[-1].b_start == j + 1:
                matches[-1] = matches[-1]._replace(a_start=i, b_start=j)
            else:
                matches.append(Match(i, i, j, j))
    return matches


def lcs(a: bytes, b: bytes) -> bytes:
    """Return the longest common subsequence itself. O(len(a) * len(b) / 64), as `lcs_matches`."""
    return b"".join(a[match.a_start : match.a_end + 1] for match in reversed(lcs_matches(a, b)))


def _rows(a: bytes, b: bytes) -> Iterator[int]:
    """Yield the row of each byte of `a`, the empty row above them left out."""
    row = ones = _all_ones(b)
    matches = {byte: _positions(byte, b) for byte in dict.fromkeys(a)}
    for byte in a:
        hits = row & matches[byte]
        if hits:
            row = (row + hits | row - hits) & ones
        yield row


def _all_ones(b: bytes) -> int:
    return (1 << len(b)) - 1


def _positions(byte: int, b: bytes) -> int:
    """Return the number whose bit j is set where b[j] is `byte`."""
    ones_and_zeros = bytearray(b"0" * 256)
    ones_and_zeros[byte] = ord("1")
    return int(b[::-1].translate(ones_and_zeros) or b"0", 2)
