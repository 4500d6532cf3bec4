"""Which byte strings are numbers, and how is a number written? Redis is much stricter than Python on both questions.

An integer is what `b"%d"` would have written for a signed 64 bit number, nothing else: no sign `+`, no leading zero, no
`-0`, no spaces. It also decides OBJECT ENCODING: a string is `int` exactly when it is canonical.

A double is what C's strtod() takes up to the last byte: decimal or hexadecimal, an exponent, `inf`, `infinity` in any
case and with a sign. Refused are NaN, anything with a space, overflow to infinity, and underflow to zero ("1e-400"; a
subnormal result is fine).

Doubles are written as integers up to 2**62 when they are integral, else with the digits of grisu.py in one of these
layouts, neither `repr()`'s nor printf's: a plain integer with fewer than seven zeros appended, a plain decimal
with up to six places or a small exponent, and else an exponent without padding: 1e+20, 1.5e-7.

Verified against Redis 8.2.3.
"""

from __future__ import annotations

import re
from math import inf, isinf

from mini_redis.structures.grisu import shortest_digits

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

_LONGEST_INTEGER = len(b"%d" % INT64_MIN)
_WRITTEN_AS_INTEGER = 2.0**62
_ZERO = ord("0")

_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_HEXADECIMAL = re.compile(rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?").fullmatch
_SURELY_FINITE = 300  # digits
_INFINITE = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE).fullmatch


def parse_integer(raw: bytes | bytearray) -> int | None:
    """Read a signed 64 bit integer in its only spelling; None for everything else. O(1).

    Source: `string2ll` of Redis 8.2.3.
    """
    if len(raw) > _LONGEST_INTEGER:
        return None
    if raw.isdigit():
        if raw < b"1":
            return 0 if len(raw) == 1 else None
        number = int(raw)
        return number if number <= INT64_MAX else None
    if raw[:1] == b"-" and raw[1:].isdigit() and raw[1] != _ZERO:
        number = int(raw)
        return number if number >= INT64_MIN else None
    return None


def is_canonical_integer(raw: bytes | bytearray) -> bool:
    """Tell whether `raw` is the spelling of a signed 64 bit integer, and so is stored as a number by Redis. O(1)."""
    return parse_integer(raw) is not None


def parse_double(raw: bytes | bytearray) -> float | None:
    """Read a double as strtod() does; None where Redis says "value is not a valid float". Never returns NaN.

    O(len(raw)). Source: `string2d` of Redis 8.2.3.
    """
    if raw.isdigit() and len(raw) < _SURELY_FINITE:  # most scores: nothing below can happen to them
        return float(raw)
    if _DECIMAL(raw):
        number = float(raw)
        significand = raw.lower().partition(b"e")[0] if number == 0.0 else b""
    elif _HEXADECIMAL(raw):
        try:
            number = float.fromhex(raw.decode())
        except OverflowError:
            return None
        significand = raw.lower().partition(b"x")[2].partition(b"p")[0] if number == 0.0 else b""
    elif infinite := _INFINITE(raw):
        return -inf if infinite[1] == b"-" else inf
    else:
        return None
    underflow = bool(significand.strip(b"+-0."))
    return None if isinf(number) or underflow else number


def format_double(number: float) -> bytes:
    """Write a double as Redis does in replies, in both protocols. O(1). Source: `d2string` of Redis 8.2.3."""
    if number and -_WRITTEN_AS_INTEGER <= number <= _WRITTEN_AS_INTEGER and number == int(number):
        return b"%d" % number
    return format_shortest(number)


def format_shortest(number: float) -> bytes:
    """Write a double in as few digits as tell it from all others. O(1). Source: `fpconv_dtoa` of Redis 8.2.3."""
    if number != number:
        return b"nan"
    if isinf(number):
        return b"inf" if number > 0 else b"-inf"
    if number == 0.0:
        return b"-0" if str(number)[0] == "-" else b"0"
    if number < 0:
        return b"-" + _lay_out(*shortest_digits(-number), longest=17).encode()
    return _lay_out(*shortest_digits(number), longest=18).encode()


def _lay_out(digits: str, exponent: int, longest: int) -> str:
    """Place digits * 10**exponent as a plain integer, a plain decimal, or in scientific notation."""
    count = len(digits)
    magnitude = abs(exponent + count - 1)
    if exponent >= 0 and magnitude < count + 7:
        return digits + "0" * exponent
    if exponent < 0 and (exponent > -7 or magnitude < 4):
        places = count + exponent
        if places <= 0:
            return "0." + "0" * -places + digits
        return digits[:places] + "." + digits[places:]
    kept = digits[:longest]
    fraction = "." + kept[1:] if len(kept) > 1 else ""
    sign = "-" if exponent + len(kept) - 1 < 0 else "+"
    return f"{kept[0]}{fraction}e{sign}{magnitude}"
