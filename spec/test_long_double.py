"""INCRBYFLOAT's arithmetic against the definition, exact rationals rounded once. Texts were read from Redis 8.2.3."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.long_double import (
    INFINITY,
    LARGEST_MAGNITUDE,
    SIGNIFICAND_BITS,
    SMALLEST_EXPONENT,
    ZERO,
    LongDouble,
    parse_long_double,
)

LARGEST = Fraction((1 << SIGNIFICAND_BITS) - 1) * 2 ** (LARGEST_MAGNITUDE - SIGNIFICAND_BITS)
SMALLEST = Fraction(1, 2**-SMALLEST_EXPONENT)


def exact(value: LongDouble) -> Fraction:
    assert value.is_finite
    return value.significand * Fraction(2) ** value.exponent


def nearest_distance(value: Fraction) -> Fraction:
    """Half the distance of the format's numbers around `value`: the most that rounding may move it."""
    magnitude = abs(value).numerator.bit_length() - abs(value).denominator.bit_length() + 1
    return Fraction(2) ** max(magnitude - SIGNIFICAND_BITS, SMALLEST_EXPONENT) / 2


def parse(text: str) -> LongDouble:
    value = parse_long_double(text.encode())
    assert value is not None, text
    return value


DECIMALS = st.builds(
    lambda sign, digits, places, power: f"{sign}{digits // 10**places}.{digits % 10**places:0{places}}e{power}",
    st.sampled_from(["", "-", "+"]), st.integers(0, 10**25), st.integers(1, 20), st.integers(-60, 60),
)  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        ("0.1", "0.2", "0.3"), ("3.0", "1.1", "4.1"), ("5.0e3", "2.0e2", "5200"), ("10.50", "0.1", "10.6"),
        ("0.3", "-0.3", "0"),
        ("1", "0.00000000000000001", "1.00000000000000001"), ("3", "0.0000000000000001", "3.0000000000000001"),
        ("18446744073709551615", "1", "18446744073709551616"), ("18446744073709551616", "1", "18446744073709551616"),
        ("1e60", "0", "999999999999999999999373423426722168652130621984886772203520"),
        ("0x1.8p1", "0X10", "19"), ("-0x.8P+3", "0", "-4"), ("0", "-0", "0"), ("-1e-18", "0", "0"),
    ],
)  # fmt: skip
def test_sums(a: str, b: str, total: str) -> None:
    assert bytes(parse(a) + parse(b)) == total.encode()


@pytest.mark.parametrize(
    "raw",
    [b"", b".", b" 1", b"1 ", b"1\0", b"nan", b"1e", b"0x", b"0x.p1", b"1p3", b"1_0", b"infi", b"1e4933", b"-1e4933",
     b"1e-4952",
     b"1e99999999999999999999", b"1e-99999999999999999999", b"0x1p16384", b"0x1p-16446", b"0" * 5120],
)  # fmt: skip
def test_what_is_no_number(raw: bytes) -> None:
    assert parse_long_double(raw) is None


def test_the_ends_of_the_format() -> None:
    assert exact(parse("0x0.ffffffffffffffffp16384")) == LARGEST
    assert exact(parse("3.6451995318824746025e-4951")) == SMALLEST
    assert exact(parse("0x1p-16445")) == SMALLEST
    assert exact(parse("0x1.8p-16446")) == SMALLEST  # rounded up to the smallest
    assert parse("0" * 5119) == parse("0e-99999999999") == ZERO
    assert len(bytes(parse("1e4932") + parse("1"))) == 4933
    assert parse("0x1p16383") + parse("0x1p16383") == INFINITY
    assert parse("-inf") + parse("1") == INFINITY


@given(DECIMALS)
def test_reading_rounds_to_the_nearest(text: str) -> None:
    value = Fraction(text)
    assert abs(exact(parse(text)) - value) <= nearest_distance(value)


@given(DECIMALS, DECIMALS)
def test_a_sum_is_rounded_once(a: str, b: str) -> None:
    left, right = parse(a), parse(b)
    total = exact(left) + exact(right)
    assert abs(exact(left + right) - total) <= nearest_distance(total)
    assert left + right == right + left
    assert (left + right).significand.bit_length() <= SIGNIFICAND_BITS


@given(st.integers(0, 2**70), st.integers(-80, 20))
def test_ties_go_to_even(significand: int, exponent: int) -> None:
    text = f"{hex(significand)}p{exponent}"
    excess = max(significand.bit_length() - SIGNIFICAND_BITS, 0)
    expected = round(Fraction(significand, 2**excess)) * Fraction(2) ** (exponent + excess)
    assert exact(parse(text)) == expected


@given(DECIMALS)
def test_writing_is_exact_to_seventeen_places(text: str) -> None:
    value = parse(text)
    written = bytes(value).decode()
    assert Fraction(written) == round(exact(value) * 10**17) / Fraction(10**17)
    assert "e" not in written
    assert written != "-0"
    assert "." not in written or written[-1] not in "0."
