"""Intset: sorted integers in one run of bytes. How Redis keeps, and writes, a small set of numbers.

Question it answers: what does a set of user ids cost if nothing but the ids is stored? Each takes as many bytes as the
one that needs most of them, and to look one up is to bisect:

    bytes a number (4): 2, 4 or 8    how many (4)    number   number   ...       all little-endian, ascending

One number that needs more widens all of them, for good. In memory ours is a sorted list (set.py); these are the bytes
that stand in RDB files and in the answers of DUMP. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from struct import pack as packed
from struct import unpack as unpacked
from typing import Final

NARROWEST: Final = 2
_FORMATS: Final = {2: "h", 4: "i", 8: "q"}
_HEADER: Final = 8


def pack(numbers: list[int], width: int) -> bytes:
    """The intset of these numbers, which ascend, in so many bytes each. O(n)."""
    return packed(f"<II{len(numbers)}{_FORMATS[width]}", width, len(numbers), *numbers)


def unpack(data: bytes) -> tuple[list[int], int]:
    """The numbers of an intset, and its width; ValueError if it is not one, or not ascending. O(n)."""
    if len(data) < _HEADER:
        raise ValueError("not an intset: no header")
    width, count = unpacked("<II", data[:_HEADER])
    if width not in _FORMATS or len(data) != _HEADER + width * count:
        raise ValueError("not an intset: its width or its length is wrong")
    numbers = list(unpacked(f"<{count}{_FORMATS[width]}", data[_HEADER:]))
    if any(one >= other for one, other in zip(numbers, numbers[1:], strict=False)):
        raise ValueError("not an intset: its numbers do not ascend")
    return numbers, width


def width_of(number: int) -> int:
    """How many bytes a number needs: 2, 4 or 8. O(1)."""
    return NARROWEST if -(1 << 15) <= number < 1 << 15 else 4 if -(1 << 31) <= number < 1 << 31 else 8
