"""The checksum of snapshots and dumps."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.crc64 import POLYNOMIAL, crc64


def divided(remainder: int, byte: int) -> int:
    """One byte more, bit by bit, as it is defined."""
    remainder ^= byte
    for _ in range(8):
        remainder = remainder >> 1 ^ (POLYNOMIAL if remainder & 1 else 0)
    return remainder


def test_the_check_value_of_its_catalogue() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA


@given(st.binary(max_size=200))
def test_it_is_the_remainder_of_a_division(data: bytes) -> None:
    assert crc64(data) == reduce(divided, data, 0)


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_it_can_be_continued(head: bytes, tail: bytes) -> None:
    assert crc64(tail, crc64(head)) == crc64(head + tail)


@given(st.binary(min_size=1, max_size=50), st.data())
def test_no_burst_of_64_bits_goes_unnoticed(data: bytes, draw: st.DataObject) -> None:
    burst = draw.draw(st.binary(min_size=1, max_size=min(8, len(data))).filter(any))
    at = draw.draw(st.integers(0, len(data) - len(burst)))
    damaged = bytearray(data)
    for offset, flips in enumerate(burst, at):
        damaged[offset] ^= flips
    assert crc64(bytes(damaged)) != crc64(data)
