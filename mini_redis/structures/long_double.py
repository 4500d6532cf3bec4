"""What is 0.1 + 0.2 on a Redis server? The 80 bit long double of x86, in exact integer arithmetic.

INCRBYFLOAT and HINCRBYFLOAT add in C's `long double`. On x86 this is the x87 extended format: a sign, a significand of
64 bits, an exponent of 15. Eleven bits more than a double is why 0.1 + 0.2 is 0.3 there and not 0.30000000000000004,
and why 3 + 0.0000000000000001 is not 3. Python has no such type, and other processors have another one (Redis on ARM
computes in 128 bits and differs in the last places); the arithmetic below is that of x86 everywhere.

Three operations are all there is, each exact first and rounded once at the end, to nearest and ties to even:

    parse   text -> long double      what strtold() takes to the last byte, decimal or hexadecimal
    add     long double + long double
    format  long double -> text      "%.17Lf" and then without trailing zeros: "3.1", never an exponent

A finite value is `significand * 2**exponent` with at most 64 bits in the significand and an exponent of -16445, where
the subnormals end, or more. Infinity, which a client may send and no result may be, has an exponent that nothing finite
has. Zero has no sign here: none is ever printed.

Refused, as by Redis: NaN, anything beginning with a space, overflow, underflow to zero, and texts of 5120 bytes or
more. Verified against Redis 8.2.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SIGNIFICAND_BITS = 64
SMALLEST_EXPONENT = -16445
LARGEST_MAGNITUDE = 16384
"""Finite values are smaller than 2**LARGEST_MAGNITUDE."""

_PLACES = 17
_LONGEST_TEXT = 5 * 1024 - 1
_LARGEST_DECIMAL = 5000
"""Beyond 10**±this everything overflows or vanishes: no need to compute a power that a client chose."""
_LARGEST_BINARY = 17000

_DIGITS_AT_ONCE = 4000
"""Python refuses to convert more than 4300 digits between int and str in one piece."""

_DECIMAL = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?").fullmatch
_HEXADECIMAL = re.compile(
    rb"([+-]?)0[xX](?=\.?[0-9a-fA-F])([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]+))?"
).fullmatch
_INFINITE = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE).fullmatch


@dataclass(frozen=True, slots=True)
class LongDouble:
    """A value of the x87 extended format. Immutable."""

    significand: int
    exponent: int

    @property
    def is_finite(self) -> bool:
        """Whether it is a number and no infinity. O(1)."""
        return self.exponent != LARGEST_MAGNITUDE

    def __add__(self, other: LongDouble) -> LongDouble:
        """Add and round once. The sum is infinite when it overflows, or when an operand already was."""
        if not (self.is_finite and other.is_finite):
            return INFINITY
        exponent = min(self.exponent, other.exponent)
        total = (self.significand << self.exponent - exponent) + (other.significand << other.exponent - exponent)
        return _rounded(total, exponent)

    def __bytes__(self) -> bytes:
        """Write as Redis does for humans: at most 17 places, no trailing zeros, no exponent. Finite values only."""
        assert self.is_finite, "no command answers with infinity"
        scaled = abs(self.significand) * 10**_PLACES
        hundred_quadrillionths = scaled << self.exponent if self.exponent >= 0 else _halve(scaled, -self.exponent)
        digits = _to_decimal(hundred_quadrillionths).rjust(_PLACES + 1, "0")
        text = f"{digits[:-_PLACES]}.{digits[-_PLACES:]}".rstrip("0").rstrip(".")
        return f"-{text}".encode() if self.significand < 0 and text != "0" else text.encode()


INFINITY = LongDouble(1, LARGEST_MAGNITUDE)
ZERO = LongDouble(0, 0)


def parse_long_double(raw: bytes | bytearray) -> LongDouble | None:
    """Read what strtold() reads; None where Redis says "value is not a valid float". May be infinite, never NaN.

    O(len(raw)). Source: `string2ld` of Redis 8.2.3.
    """
    if len(raw) > _LONGEST_TEXT:
        return None
    if found := _DECIMAL(raw):
        sign, whole, fraction, power = found.groups(b"")
        return _from_digits(sign, _from_decimal(whole + fraction), len(fraction), power, decimal=True)
    if found := _HEXADECIMAL(raw):
        sign, whole, fraction, power = found.groups(b"")
        return _from_digits(sign, int(whole + fraction, 16), 4 * len(fraction), power, decimal=False)
    return INFINITY if _INFINITE(raw) else None


def _from_digits(sign: bytes, number: int, places: int, power: bytes, *, decimal: bool) -> LongDouble | None:
    """Round `number` * base**(power - places), the base being ten or two; None if it overflows or underflows."""
    if not number:
        return ZERO
    bound = (_LARGEST_DECIMAL if decimal else _LARGEST_BINARY) + _LONGEST_TEXT * 4
    exponent = _clamp(power, bound) - places
    if sign == b"-":
        number = -number
    if not decimal:
        value = _rounded(number, exponent)
    elif exponent >= 0:
        value = _rounded(number * 10**exponent, 0)
    else:
        value = _rounded_quotient(number, 10**-exponent)
    return value if value.is_finite and value.significand else None


def _clamp(power: bytes, bound: int) -> int:
    """Read an exponent of any length; one outside of +-bound has the same effect as the bound."""
    digits = power.lstrip(b"+-").lstrip(b"0")
    magnitude = bound if len(digits) > 9 else min(int(digits or b"0"), bound)
    return -magnitude if power[:1] == b"-" else magnitude


def _rounded(number: int, exponent: int) -> LongDouble:
    """Round `number * 2**exponent` to the format."""
    excess = max(abs(number).bit_length() - SIGNIFICAND_BITS, SMALLEST_EXPONENT - exponent, 0)
    significand = _halve(abs(number), excess)
    return _bounded(-significand if number < 0 else significand, exponent + excess)


def _rounded_quotient(numerator: int, denominator: int) -> LongDouble:
    """Round `numerator / denominator` to the format, keeping a sticky bit so that it is rounded once only."""
    guard_bits = 2
    shift = max(denominator.bit_length() - abs(numerator).bit_length() + SIGNIFICAND_BITS + guard_bits, 0)
    quotient, rest = divmod(abs(numerator) << shift, denominator)
    sticky = quotient << 1 | bool(rest)
    return _rounded(-sticky if numerator < 0 else sticky, -shift - 1)


def _halve(number: int, times: int) -> int:
    """Return number / 2**times, rounded to nearest, ties to even."""
    if not times:
        return number
    quotient = number >> times
    rest = number - (quotient << times)
    half = 1 << times - 1
    return quotient + (rest > half or (rest == half and quotient & 1 == 1))


def _bounded(significand: int, exponent: int) -> LongDouble:
    if significand and abs(significand).bit_length() + exponent > LARGEST_MAGNITUDE:
        return INFINITY
    return LongDouble(significand, exponent) if significand else ZERO


def _from_decimal(digits: bytes) -> int:
    number = 0
    for start in range(0, len(digits), _DIGITS_AT_ONCE):
        piece = digits[start : start + _DIGITS_AT_ONCE]
        number = number * 10 ** len(piece) + int(piece)
    return number


def _to_decimal(number: int) -> str:
    upper, lower = divmod(number, 10**_DIGITS_AT_ONCE)
    return str(upper) + str(lower).rjust(_DIGITS_AT_ONCE, "0") if upper else str(lower)
