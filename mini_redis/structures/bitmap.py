"""Bitmaps: a string read as a row of bits. Counting them, finding one, combining whole rows, small integers among them.

Question it answers: who was here today, of a hundred million users? A set of their ids costs gigabytes. One bit for
each possible user costs 12 megabytes, and "how many", "who of both days", "the first who was not" are arithmetic on
whole words. There is no type for it: the bits of an ordinary string are numbered from the left,

    byte            0                  1                        bit n stands in byte n // 8,
    bit      0 1 2 3 4 5 6 7    8 9 10 11 12 13 14 15           and there counts 128 >> n % 8
             \\_ worth 128        \\_ worth 128

so that a bit field, which is some neighbouring bits read as an integer, is big-endian. Whatever lies beyond the end of
a string is zeros. Therefore a string that ends early, or does not exist, is a row like any other.

Everything here is a function of `bytes` or `bytearray`; those that change take a `bytearray` that is long enough. No
loop walks over the bits, or even bytes, of a whole value: a piece of it becomes one Python integer, on which `&`, `|`,
`bit_count` and `bit_length` are loops in C over 30 bits at a time. The pieces are small enough to stay in the cache
of the processor, and keep the integers from doubling the memory of a large value. A piece with nothing in it is
recognised by one comparison (`startswith`), forty times as fast as turning it into a number.

Redis does the same with machine words or vector instructions. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_, or_, xor
from typing import Final, Literal, NamedTuple, TypeAlias

from mini_redis.structures.numbers import INT64_MAX

Bits: TypeAlias = bytes | bytearray
Overflow: TypeAlias = Literal["wrap", "sat", "fail"]

PIECE: Final = 1 << 14
"""Bytes that are made one integer."""

_NOTHING: Final = (b"\xff" * PIECE, b"\x00" * PIECE)
"""A piece in which no zero is to be found, and one without a one."""
_INVERTED: Final = bytes(range(255, -1, -1))
_UINT64: Final = (1 << 64) - 1


# --- One bit ---------------------------------------------------------------------------------------------------------


def get_bit(value: Bits, offset: int) -> int:
    """The bit at `offset`, 0 beyond the end. O(1)."""
    at = offset >> 3
    return value[at] >> (7 - (offset & 7)) & 1 if at < len(value) else 0


def set_bit(buffer: bytearray, offset: int, bit: int) -> int:
    """Make the bit at `offset` 0 or 1; what it was. O(1)."""
    at, mask = offset >> 3, 128 >> (offset & 7)
    before = buffer[at]
    buffer[at] = before | mask if bit else before & ~mask
    return 1 if before & mask else 0


# --- Many bits -------------------------------------------------------------------------------------------------------


def count_ones(value: Bits, first: int, last: int) -> int:
    """How many bits from `first` to `last`, this one included, are 1; 0 <= first <= last < 8 * length. O(last - first).

    Whole bytes are counted, and the bits of the outermost ones that lie outside are taken off again.
    """
    start, stop = first >> 3, (last >> 3) + 1
    before = value[start] & ~(0xFF >> (first & 7))
    behind = value[stop - 1] & 0x7F >> (last & 7)
    total = -(before.bit_count() + behind.bit_count())
    for at in range(start, stop, PIECE):
        total += int.from_bytes(value[at : min(at + PIECE, stop)], "big").bit_count()
    return total


def find_bit(value: Bits, bit: int, first: int, last: int) -> int | None:
    """The first `bit` (0 or 1) from `first` to `last`, this one included, None if there is none. O(last - first).

    0 <= first <= last < 8 * length.
    """
    start, stop = first >> 3, (last >> 3) + 1
    for at in range(start, stop, PIECE):
        end = min(at + PIECE, stop)
        if end - at == PIECE and value.startswith(_NOTHING[bit], at):
            continue
        size = 8 * (end - at)
        wanted = int.from_bytes(value[at:end], "big")
        if not bit:
            wanted ^= (1 << size) - 1
        if at == start:
            wanted &= (1 << (size - (first & 7))) - 1
        if wanted:
            found = 8 * at + size - wanted.bit_length()
            return found if found <= last else None
    return None


# --- Whole rows ------------------------------------------------------------------------------------------------------


def _one_of(rows: list[int]) -> int:
    """The bits that are 1 in exactly one of the rows."""
    once = more = 0
    for row in rows:
        more |= once & row
        once |= row
    return once & ~more


_OPERATIONS: Final[dict[bytes, Callable[[list[int]], int]]] = {
    b"AND": lambda rows: reduce(and_, rows),
    b"OR": lambda rows: reduce(or_, rows),
    b"XOR": lambda rows: reduce(xor, rows),
    b"DIFF": lambda rows: rows[0] & ~reduce(or_, rows[1:]),
    b"DIFF1": lambda rows: ~rows[0] & reduce(or_, rows[1:]),
    b"ANDOR": lambda rows: rows[0] & reduce(or_, rows[1:]),
    b"ONE": _one_of,
}
"""What BITOP computes; X is the first row, Y any other.

    AND OR XOR   as everywhere; XOR: an odd number of the rows
    DIFF         in X, in no Y                       DIFF1   in some Y, not in X
    ANDOR        in X and in some Y                  ONE     in exactly one of all
"""
NOT: Final = b"NOT"
OPERATIONS: Final = frozenset((NOT, *_OPERATIONS))
WITH_TWO_SOURCES: Final = frozenset((b"DIFF", b"DIFF1", b"ANDOR"))
"""Those that mean nothing without a Y."""


def combine(operation: bytes, values: Sequence[Bits]) -> bytearray:
    """The bits of several values combined, as long as the longest of them. O(number of values * longest)."""
    if operation == NOT:
        [value] = values
        return bytearray(value.translate(_INVERTED))
    compute = _OPERATIONS[operation]
    length = max(map(len, values))
    result = bytearray()
    for at in range(0, length, PIECE):
        # Little-endian, for so a value that ends early is filled up with zeros at the right end.
        rows = [int.from_bytes(value[at : at + PIECE], "little") for value in values]
        result += compute(rows).to_bytes(min(PIECE, length - at), "little")
    return result


# --- Bit fields ------------------------------------------------------------------------------------------------------


class Field(NamedTuple):
    """A type of integer: `i5` is five bits, signed."""

    signed: bool
    width: int
    """In bits: 1 to 64, unsigned to 63, for the protocol has no larger integers."""

    @property
    def least(self) -> int:
        """The smallest number that it holds. O(1)."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def most(self) -> int:
        """The largest number that it holds. O(1)."""
        return (1 << (self.width - self.signed)) - 1

    def get(self, value: Bits, offset: int) -> int:
        """The number whose first bit is at `offset`. O(1)."""
        start, stop = offset >> 3, (offset + self.width + 7) >> 3
        part = value[start:stop]
        bits = int.from_bytes(part, "big") << 8 * (stop - start - len(part))
        return self._wrapped(bits >> (8 * stop - offset - self.width))

    def set(self, buffer: bytearray, offset: int, number: int) -> None:
        """Write a number, which is cut to the width of the field. O(1)."""
        start, stop = offset >> 3, (offset + self.width + 7) >> 3
        shift = 8 * stop - offset - self.width
        mask = ((1 << self.width) - 1) << shift
        bits = int.from_bytes(buffer[start:stop], "big") & ~mask | number << shift & mask
        buffer[start:stop] = bits.to_bytes(stop - start, "big")

    def fit(self, number: int, overflow: Overflow) -> int | None:
        """A sum as the field can hold it; None if it cannot and overflow is "fail". O(1).

        "wrap" keeps the lowest bits, "sat" takes the nearest number.
        """
        if self.least <= number <= self.most:
            return number
        if overflow == "fail":
            return None
        if overflow == "wrap":
            return self._wrapped(number)
        return self.most if number > self.most else self.least

    def fit_given(self, number: int, overflow: Overflow) -> int | None:
        """As `fit`, of a signed 64 bit integer that a client wants to be in the field. O(1).

        Two accidents of Redis's arithmetic in 64 bits are kept: an unsigned field takes a negative number for a huge
        one, and a signed one takes for too large what is so far below that the distance overflows.
        """
        if not self.signed:
            number &= _UINT64
        elif overflow == "sat" and self.width < 64 and self.most - number > INT64_MAX:
            return self.most
        return self.fit(number, overflow)

    def _wrapped(self, number: int) -> int:
        """The number that the lowest bits mean."""
        number &= (1 << self.width) - 1
        return number - (1 << self.width) if self.signed and number >> (self.width - 1) else number
