"""Ziplist and zipmap: what Redis kept small things in before there were listpacks. Only read, never written.

Question it answers: a dump from a server of ten years ago, what does it say? The forms that small hashes, lists and
sorted sets had in files up to Redis 6.2 (ziplist) and up to 2.4 (zipmap):

    ziplist   total bytes (4)   offset of the last entry (4)   number of entries (2)   entry ...   0xFF
              entry:  length of the previous entry (1, or 0xFE and 4)   encoding   data

              00LLLLLL             a string of up to 63 bytes     C0 D0 E0   16, 32, 64 bits, signed
              01LLLLLL LLLLLLLL    up to 16383                    F0 FE      24 bits, 8 bits
              80 LLLLLLLL(x4)      longer, most significant first F1..FD     the numbers 0 to 12, no data

    zipmap    number of pairs (1)   length  field   length  free (1)  value  free bytes ...   0xFF
              length: one byte below 254, else 0xFE and 4 bytes

**Why there is a successor.** An entry tells how long the one *before* it is, so that one can walk backwards. If an
entry grows beyond 253 bytes, that takes its neighbour four bytes more, which may push that one over 253, and so on to
the end: one write, and everything moves. A listpack's entry tells its own length, behind itself.

All numbers little-endian but where told. 65535 entries, or 254 pairs, stand for "count them".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_HEADER: Final = 10
_END: Final = 0xFF
_LONG: Final = 0xFE
_UNKNOWN_COUNT: Final = 0xFFFF
_UNKNOWN_PAIRS: Final = 254
_INTEGER_BYTES: Final = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def unpack(ziplist: bytes) -> list[bytes]:
    """The elements of a ziplist; ValueError if it is not one. O(size)."""
    if len(ziplist) <= _HEADER or int.from_bytes(ziplist[:4], "little") != len(ziplist) or ziplist[-1] != _END:
        raise ValueError("not a ziplist: its length or its end is wrong")
    last_at = int.from_bytes(ziplist[4:8], "little")
    elements: list[bytes] = []
    at, before, end = _HEADER, 0, len(ziplist) - 1
    previous_at = _HEADER
    while at < end:
        element, after, told_before = _entry(ziplist, at)
        if after > end or told_before != before:
            raise ValueError("not a ziplist: an entry is cut off, or the one before it is longer or shorter")
        elements.append(element)
        previous_at, at, before = at, after, after - at
    if last_at != previous_at:
        raise ValueError("not a ziplist: its last entry is elsewhere")
    count = int.from_bytes(ziplist[8:_HEADER], "little")
    if count not in (_UNKNOWN_COUNT, len(elements)):
        raise ValueError("not a ziplist: it tells another number of entries than it has")
    return elements


def _entry(ziplist: bytes, at: int) -> tuple[bytes, int, int]:
    """The element at a place, the place behind it, and how long it says the entry before it is."""
    before = ziplist[at]
    at += 1
    if before == _LONG:
        before = int.from_bytes(ziplist[at : at + 4], "little")
        at += 4
    elif before == _END:
        raise ValueError("not a ziplist: it ends too early")
    head = ziplist[at : at + 5] + bytes(5)  # whatever is cut off is found out by its end
    first = head[0]
    if first < 0x40:
        at, size = at + 1, first
    elif first < 0x80:
        at, size = at + 2, (first & 0x3F) << 8 | head[1]
    elif first == 0x80:
        at, size = at + 5, int.from_bytes(head[1:5], "big")
    elif first in _INTEGER_BYTES:
        size = _INTEGER_BYTES[first]
        number = int.from_bytes(ziplist[at + 1 : at + 1 + size], "little", signed=True)
        return b"%d" % number, at + 1 + size, before
    elif 0xF1 <= first <= 0xFD:
        return b"%d" % (first - 0xF1), at + 1, before
    else:
        raise ValueError("not a ziplist: an unknown encoding")
    return ziplist[at : at + size], at + size, before


def unpack_zipmap(zipmap: bytes) -> list[bytes]:
    """Fields and values of a zipmap, alternating; ValueError if it is not one. O(size)."""
    if len(zipmap) < 2 or zipmap[-1] != _END:
        raise ValueError("not a zipmap: its end is wrong")
    words = list(_zipmap_words(zipmap))
    if len(words) % 2 or (zipmap[0] < _UNKNOWN_PAIRS and zipmap[0] != len(words) // 2):
        raise ValueError("not a zipmap: it tells another number of pairs than it has")
    return words


def _zipmap_words(zipmap: bytes) -> Iterator[bytes]:
    at, end, is_value = 1, len(zipmap) - 1, False
    while at < end:
        size = zipmap[at]
        at += 1
        if size == _LONG:
            size = int.from_bytes(zipmap[at : at + 4], "little")
            at += 4
        elif size == _END:
            raise ValueError("not a zipmap: it ends too early")
        free = zipmap[at] if is_value and at < end else 0
        at += is_value
        if at + size + free > end:
            raise ValueError("not a zipmap: a word is cut off")
        yield zipmap[at : at + size]
        at += size + free
        is_value = not is_value
