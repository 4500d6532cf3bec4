"""Lengths and strings: of these two everything in an RDB file is made. Here is how they are written and read.

Question it answers: how short can a length be, and a string? A length takes as few bytes as it can, told by the first
two bits; and the fourth of their four values says that what follows is a string in disguise:

    00LLLLLL                      below 64              11000000 N             the number N as a string, 8 bits
    01LLLLLL LLLLLLLL             below 16,384          11000001 N N           16 bits
    10000000 L(x4)                below 2**32           11000010 N(x4)         32 bits
    10000001 L(x8)                below 2**64           11000011 packed size, size, packed bytes     LZF, see lzf.py

Lengths have their most significant byte first; everything else, numbers, times and doubles, its least. A string is
written as a number if it spells one, else packed if it is longer than 20 bytes and packing gains at least four, else as
it stands behind its length.

A reader trusts nothing: each step asks whether the bytes are there, and whatever is wrong is `Damaged`. Verified
against Redis 8.2.3.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from mini_redis.structures.lzf import SHORTEST_WORTHWHILE, compress, decompress
from mini_redis.structures.numbers import parse_integer

_LONGEST_NUMBER: Final = 11
_NUMBER_BYTES: Final = {0: 1, 1: 2, 2: 4}
_PACKED: Final = 3
_GAIN: Final = 4
_DOUBLE: Final = Struct("<d")
_SINGLE: Final = Struct("<f")


class Damaged(ValueError):
    """These bytes are not what they should be; the text says what is wrong, for whoever debugs."""


class Writer:
    """Collects the bytes of values in `out`. `compressing` is `rdbcompression`."""

    __slots__ = ("compressing", "out")

    def __init__(self, compressing: bool) -> None:
        self.out = bytearray()
        self.compressing = compressing

    def length(self, number: int) -> None:
        """A length, or any number of 0 to 2**64 - 1. O(1)."""
        if number < 1 << 6:
            self.out.append(number)
        elif number < 1 << 14:
            self.out += (0x4000 | number).to_bytes(2, "big")
        elif number < 1 << 32:
            self.out.append(0x80)
            self.out += number.to_bytes(4, "big")
        else:
            self.out.append(0x81)
            self.out += number.to_bytes(8, "big")

    def string(self, text: bytes | bytearray) -> None:
        """A string in the shortest of its three ways. O(n)."""
        size = len(text)
        number = parse_integer(text) if size <= _LONGEST_NUMBER else None
        if number is not None and -(1 << 31) <= number < 1 << 31:
            code = 0 if -128 <= number < 128 else 1 if -32768 <= number < 32768 else 2
            self.out.append(0xC0 | code)
            self.out += number.to_bytes(_NUMBER_BYTES[code], "little", signed=True)
            return
        packed = compress(text, size - _GAIN) if self.compressing and size >= SHORTEST_WORTHWHILE else None
        if packed is not None:
            self.out.append(0xC0 | _PACKED)
            self.length(len(packed))
            self.length(size)
            self.out += packed
            return
        self.length(size)
        self.out += text

    def fixed(self, number: int) -> None:
        """A signed number in 8 bytes: a time in unix ms. O(1)."""
        self.out += number.to_bytes(8, "little", signed=True)

    def double(self, number: float) -> None:
        self.out += _DOUBLE.pack(number)

    def single(self, number: float) -> None:
        self.out += _SINGLE.pack(number)


class Reader:
    """Reads what a Writer wrote. Every method raises Damaged if it is not there."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """So many bytes as they stand. O(size)."""
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise Damaged("it ends too early")
        return self._data[start : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def length(self) -> int:
        number, disguised = self._length()
        if disguised:
            raise Damaged("a string where a length should be")
        return number

    def _length(self) -> tuple[int, bool]:
        """A length; or the code of a string in disguise, and True."""
        first = self.byte()
        match first >> 6:
            case 0:
                return first, False
            case 1:
                return (first & 0x3F) << 8 | self.byte(), False
            case 2 if first in (0x80, 0x81):
                return int.from_bytes(self.take(4 if first == 0x80 else 8), "big"), False
            case 3:
                return first & 0x3F, True
        raise Damaged("no such length")

    def string(self) -> bytes:
        """O(n)."""
        number, disguised = self._length()
        if not disguised:
            return self.take(number)
        if number in _NUMBER_BYTES:
            return b"%d" % int.from_bytes(self.take(_NUMBER_BYTES[number]), "little", signed=True)
        if number != _PACKED:
            raise Damaged("no such string")
        packed_size, size = self.length(), self.length()
        try:
            return decompress(self.take(packed_size), size)
        except ValueError as error:
            raise Damaged(str(error)) from None

    def fixed(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)

    def double(self) -> float:
        (number,) = _DOUBLE.unpack(self.take(8))
        return float(number)

    def single(self) -> float:
        (number,) = _SINGLE.unpack(self.take(4))
        return float(number)
