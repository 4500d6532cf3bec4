"""The library `bit` of scripts: Lua BitOp 1.0.2, for numbers of 32 bits.

Lua has doubles only. An argument is rounded to an integer of which the low 32 bits count; how that is done decides
about odd arguments, so it is done as BitOp does: add 2**52 + 2**51 and take the low half of the double's own bits.
Results are signed. O(1) each.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from mini_redis.scripting.lua import Function, Value, number_at

_TO_LOW_BITS: Final = 6755399441055744.0
_MASK: Final = 0xFFFFFFFF


def _bits(arguments: tuple[Value, ...], at: int) -> int:
    low: int = struct.unpack_from("<I", struct.pack("<d", number_at(arguments, at) + _TO_LOW_BITS))[0]
    return low


def _signed(number: int) -> int:
    number &= _MASK
    return number - (1 << 32) if number >> 31 else number


def _folded(fold: Callable[[int, int], int]) -> Function:
    """Of any number of arguments."""

    def function(*arguments: Value) -> int:
        found = _bits(arguments, 0)
        for at in range(len(arguments) - 1, 0, -1):  # from the last, as its complaint tells
            found = fold(found, _bits(arguments, at))
        return _signed(found)

    return function


def _of_one(change: Callable[[int], int]) -> Function:
    return lambda *arguments: _signed(change(_bits(arguments, 0)))


def _shifted(shift: Callable[[int, int], int]) -> Function:
    return lambda *arguments: _signed(shift(_bits(arguments, 0), _bits(arguments, 1) & 31))


def _to_hexadecimal(*arguments: Value) -> bytes:
    """The low digits, eight or as many as told; in upper case for a negative number of them."""
    number = _bits(arguments, 0)
    count = _signed(_bits(arguments, 1)) if len(arguments) > 1 else 8
    text = b"%08x" % number if count >= 0 else b"%08X" % number
    return text[8 - min(abs(count), 8) :]


def _rotated(number: int, by: int) -> int:
    return number << by | number >> (32 - by)


BIT: Final[dict[bytes, Function]] = {
    b"tobit": _of_one(lambda number: number),
    b"bnot": _of_one(lambda number: ~number),
    b"bswap": _of_one(lambda number: int.from_bytes(number.to_bytes(4, "little"), "big")),
    b"band": _folded(lambda one, other: one & other),
    b"bor": _folded(lambda one, other: one | other),
    b"bxor": _folded(lambda one, other: one ^ other),
    b"lshift": _shifted(lambda number, by: number << by),
    b"rshift": _shifted(lambda number, by: number >> by),
    b"arshift": _shifted(lambda number, by: _signed(number) >> by),
    b"rol": _shifted(_rotated),
    b"ror": _shifted(lambda number, by: _rotated(number, -by & 31)),
    b"tohex": _to_hexadecimal,
}
