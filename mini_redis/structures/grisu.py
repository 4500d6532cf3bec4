"""Which decimal digits stand for this double? Grisu2 (Loitsch 2010), as Redis writes scores and coordinates.

`repr()` gives the shortest digits that read back as the same double. Redis asks for the same thing, but of an
algorithm that works in 64 bits and so has to be careful: it accepts only digits that lie safely inside the interval of
numbers that read back, narrowed by the possible error of its own arithmetic. One double in a thousand therefore gets a
digit more than `repr()` writes (1.5471825031341819e-78 for 1.547182503134182e-78), and a reply that is compared byte
for byte has to have that digit too. So this is the same arithmetic, step by step.

The idea: scale the double by a power of ten taken from a table, so that its integer part fits in 32 bits. Write the
digits of the interval's upper end until what is left is less than the width of the interval: any continuation lies
inside now. Then lower the last digit as long as that comes closer to the double itself.

    |----------lower=====digits=====w==========upper---|
               <------------- delta ----------->
                                    <--- gap -->

Python integers do not wrap around at 64 bits; the one place where the C arithmetic may is masked by hand. Verified
against Redis 8.2.3 on random bit patterns.
"""

from __future__ import annotations

from math import frexp

_FRACTION_BITS = 53
_HIDDEN_BIT = 1 << (_FRACTION_BITS - 1)
_SMALLEST_EXPONENT = -1074
_WRAP = (1 << 64) - 1

_FIRST_POWER, _POWER_STEP, _POWER_COUNT = -348, 8, 87


def _power_of_ten(power: int) -> tuple[int, int]:
    """Round 10**power to a 64 bit fraction: (fraction, exponent) with fraction * 2**exponent nearest to it."""
    if power >= 0:
        exact = 10**power
        exponent = exact.bit_length() - 64
        if exponent <= 0:
            return exact << -exponent, exponent
        return (exact + (1 << (exponent - 1))) >> exponent, exponent
    divisor = 10**-power
    shift = divisor.bit_length() + 63
    if (1 << shift) // divisor >= 1 << 64:
        shift -= 1
    return ((1 << shift) + divisor // 2) // divisor, -shift


_POWERS = [_power_of_ten(_FIRST_POWER + _POWER_STEP * index) for index in range(_POWER_COUNT)]


def shortest_digits(number: float) -> tuple[str, int]:
    """Return digits and exponent, `int(digits) * 10**exponent` being what Redis writes for a finite `number` > 0.

    O(1).
    """
    fraction, exponent = _split(number)

    upper, upper_exponent = _normalised(2 * fraction + 1, exponent - 1)
    if fraction == _HIDDEN_BIT:
        lower, lower_exponent = 4 * fraction - 1, exponent - 2
    else:
        lower, lower_exponent = 2 * fraction - 1, exponent - 1
    lower <<= lower_exponent - upper_exponent
    middle, _ = _normalised(fraction, exponent)

    (power, power_exponent), decimal_power = _scaling_power(upper_exponent)
    upper = _multiply(upper, power) - 1
    lower = _multiply(lower, power) + 1
    middle = _multiply(middle, power)
    point = -(upper_exponent + power_exponent + 64)

    digits, dropped = _generate(upper, upper - lower, upper - middle, point)
    return digits, dropped - decimal_power


def _split(number: float) -> tuple[int, int]:
    mantissa, exponent = frexp(number)
    exponent -= _FRACTION_BITS
    if exponent < _SMALLEST_EXPONENT:
        return int(number * 2.0**537 * 2.0**537), _SMALLEST_EXPONENT
    return int(mantissa * 2.0**_FRACTION_BITS), exponent


def _normalised(fraction: int, exponent: int) -> tuple[int, int]:
    shift = 64 - fraction.bit_length()
    return fraction << shift, exponent - shift


def _multiply(a: int, b: int) -> int:
    """Multiply two 64 bit fractions and keep the upper 64 bits, rounded half up."""
    return (a * b + (1 << 63)) >> 64


def _scaling_power(exponent: int) -> tuple[tuple[int, int], int]:
    """Find the tabled power of ten that brings the binary exponent between -60 and -32."""
    estimate = int(-(exponent + _POWER_COUNT) * 0.30102999566398114)
    index = int((estimate - _FIRST_POWER) / _POWER_STEP)
    while True:
        scaled = exponent + _POWERS[index][1] + 64
        if scaled < -60:
            index += 1
        elif scaled > -32:
            index -= 1
        else:
            return _POWERS[index], _FIRST_POWER + _POWER_STEP * index


def _generate(upper: int, delta: int, gap: int, point: int) -> tuple[str, int]:
    """Write the digits of `upper`, a fixed-point number with `point` binary places, until within `delta` of it."""
    one = 1 << point
    whole, part = upper >> point, upper & (one - 1)

    head = str(whole)
    for length in range(1, len(head) + 1):
        dropped = len(head) - length
        unit = 10**dropped
        rest = upper - (int(head[:length]) * unit << point)
        if rest <= delta:
            return _approach(head[:length], delta, rest, unit << point, gap), dropped

    digits = "" if head == "0" else head
    dropped = 0
    scale = 1
    while True:
        part *= 10
        delta *= 10
        scale *= 10
        dropped -= 1
        digit = part >> point
        if digit or digits:
            digits += str(digit)
        part &= one - 1
        if part < delta:
            return _approach(digits, delta, part, one, gap * scale & _WRAP), dropped


def _approach(digits: str, delta: int, rest: int, unit: int, gap: int) -> str:
    """Lower the last digit while the number stays in the interval and comes closer to the double."""
    last = int(digits[-1])
    while rest < gap and delta - rest >= unit and (rest + unit < gap or gap - rest > rest + unit - gap):
        last -= 1
        rest += unit
    return digits[:-1] + str(last)
