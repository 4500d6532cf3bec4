"""Integers and doubles: which texts are numbers, and how doubles are written. Values were read from Redis 8.2.3."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.grisu import shortest_digits
from mini_redis.structures.numbers import (
    INT64_MAX,
    INT64_MIN,
    format_double,
    is_canonical_integer,
    parse_double,
    parse_integer,
)
from mini_redis.structures.strings import Embstr, string_encoding


@given(st.integers(INT64_MIN, INT64_MAX))
def test_an_integer_is_read_as_it_is_written(number: int) -> None:
    assert parse_integer(b"%d" % number) == number
    assert parse_integer(bytearray(b"%d" % number)) == number


@given(st.text("0123456789+- _\0ax.", max_size=21).map(str.encode))
def test_an_integer_has_one_spelling(raw: bytes) -> None:
    number = parse_integer(raw)
    assert is_canonical_integer(raw) == (number is not None)
    assert number is None or b"%d" % number == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"-",
        b"+1",
        b"01",
        b"-0",
        b"-01",
        b" 1",
        b"1 ",
        b"1\n",
        b"1.0",
        b"1e3",
        b"0x1",
        b"1_0",
        b"--1",
        b"\xb2",
        b"1\0",
    ]
    + [b"%d" % (INT64_MAX + 1), b"%d" % (INT64_MIN - 1), b"9" * 20, b"9" * 5000],
)
def test_what_is_no_integer(raw: bytes) -> None:
    assert parse_integer(raw) is None


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (b"0", 0.0), (b"-1.5", -1.5), (b"+1", 1.0), (b".5", 0.5), (b"5.", 5.0), (b"007", 7.0), (b"1e5", 1e5),
        (b"1E-5", 1e-5),
        (b"0x10", 16.0), (b"0X1P-3", 0.125), (b"+0x.8", 0.5), (b"0x1.p1", 2.0), (b"inf", inf), (b"-INF", -inf),
        (b"+Infinity", inf),
        (b"4.9e-324", 5e-324), (b"0e99999999999999999999", 0.0), (b"-0", 0.0), (b"0x0p-9999", 0.0),
    ],
)  # fmt: skip
def test_what_is_a_double(raw: bytes, number: float) -> None:
    assert parse_double(raw) == number


@pytest.mark.parametrize(
    "raw",
    [b"", b".", b"-", b"+-1", b" 1", b"1 ", b"\t1", b"1\n", b"1\0", b"\0", b"1e", b"e5", b"1_0", b"1,5", b"1.2.3",
     b"0x", b"0x.",
     b"1p3", b"0b1", b"nan", b"-nan", b"nan(1)", b"infi", b"1f", b"1e400", b"-1e400", b"1e-400", b"2e-324", b"0x1p1024",
     b"0x1p-1080", b"\xd9\xa1"],
)  # fmt: skip
def test_what_is_no_double(raw: bytes) -> None:
    assert parse_double(raw) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, b"0"), (-0.0, b"-0"), (inf, b"inf"), (-inf, b"-inf"), (nan, b"nan"),
        (3.0, b"3"), (-100000.0, b"-100000"), (1e18, b"1000000000000000000"), (2.0**62, b"4611686018427387904"),
        (4611686018427388928.0, b"4611686018427389000"), (4.7e18, b"4.7e+18"), (1e19, b"1e+19"), (1e22, b"1e+22"),
        (1e23, b"99999999999999990000000"), (123456789012345680000.0, b"123456789012345680000"), (1.5e300, b"1.5e+300"),
        (0.1, b"0.1"), (3.14, b"3.14"), (1234567.891, b"1234567.891"), (0.001, b"0.001"), (1e-5, b"0.00001"),
        (1e-6, b"0.000001"),
        (1e-7, b"1e-7"), (3e-5, b"0.00003"), (0.00012345, b"1.2345e-4"), (5e-324, b"5e-324"), (-1e-10, b"-1e-10"),
        (259400.00181999695, b"2.5940000181999695e+5"), (38160.31589880297, b"3.816031589880297e+4"),
    ],
)  # fmt: skip
def test_how_a_double_is_written(number: float, text: bytes) -> None:
    assert format_double(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(-1.547182503134182e-78, b"-1.5471825031341819e-78"), (-1.651484200947297e116, b"-1.6514842009472968e+116")],
)
def test_now_and_then_a_digit_more_than_necessary(number: float, text: bytes) -> None:
    assert format_double(number) == text
    assert float(text) == number


@given(st.floats(allow_nan=False))
def test_what_is_written_reads_back(number: float) -> None:
    assert parse_double(format_double(number)) == number


@given(st.floats(min_value=5e-324, allow_infinity=False))
def test_digits_are_few_and_exact(number: float) -> None:
    digits, exponent = shortest_digits(number)
    assert float(f"{digits}e{exponent}") == number
    assert 1 <= len(digits) <= 17
    assert digits[0] != "0"


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b"12", "int"), (b"-9223372036854775808", "int"), (b"9223372036854775808", "embstr"), (b"+1", "embstr"),
        (b"", "embstr"),
        (b"x" * 44, "embstr"), (b"x" * 45, "raw"), (bytearray(b"12"), "raw"), (Embstr(b"12"), "embstr"),
        (Embstr(b"1" * 45), "raw"),
    ],
)  # fmt: skip
def test_what_object_encoding_says_of_a_string(value: bytes | bytearray, encoding: str) -> None:
    assert string_encoding(value) == encoding
