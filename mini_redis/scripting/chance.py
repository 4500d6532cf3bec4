"""math.random as scripts have it: everybody's chance is the same.

POSIX's drand48, 31 bits out of a state of 48, from its fixed first state: two servers that run the same scripts in the
same order draw the same numbers. The state belongs to the server and outlives a script.
"""

from __future__ import annotations

from math import floor
from typing import Final

from mini_redis.scripting.lua import BadArgument, LuaError, Value, integer_at

_FIRST_STATE: Final = 0x1234ABCD330E
_LAST_BITS: Final = 0x330E
_MULTIPLIER: Final = 0x5DEECE66D
_MODULUS: Final = 1 << 48
_INT_SIGN: Final = 1 << 31
_MOST: Final = _INT_SIGN - 1


class Chance:
    """The generator of one server."""

    def __init__(self) -> None:
        self._state = _FIRST_STATE

    def random(self, *arguments: Value) -> float:
        """math.random: a fraction below 1, an integer from 1 up to `arguments[0]`, or one of a range."""
        self._state = (self._state * _MULTIPLIER + 0xB) % _MODULUS
        fraction = (self._state >> 17) % _MOST / _MOST
        match len(arguments):
            case 0:
                return fraction
            case 1:
                low, high = 1, integer_at(arguments, 0)
            case 2:
                low, high = integer_at(arguments, 0), integer_at(arguments, 1)
            case _:
                raise LuaError(b"wrong number of arguments")
        if low > high:
            raise BadArgument(len(arguments), b"interval is empty")
        span = (high - low + 1 + _INT_SIGN) % (2 * _INT_SIGN) - _INT_SIGN  # an int of C
        return floor(fraction * span) + low

    def randomseed(self, *arguments: Value) -> None:
        """math.randomseed: begin the series of this number."""
        self._state = (integer_at(arguments, 0) & 0xFFFFFFFF) << 16 | _LAST_BITS
