"""Ziplist, zipmap and intset: read what an independent writer wrote, and refuse everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures import intset
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN, parse_integer
from mini_redis.structures.set import Set
from mini_redis.structures.ziplist import unpack, unpack_zipmap

ELEMENTS = st.one_of(
    st.binary(max_size=80),
    st.binary(min_size=250, max_size=300),
    st.integers(INT64_MIN, INT64_MAX).map(lambda number: b"%d" % number),
    st.integers(-200, 200).map(lambda number: b"%d" % number),
)


def packed(element: bytes) -> bytes:
    """Encoding and data of an entry, as Redis up to 6.2 wrote it."""
    number = parse_integer(element) if len(element) < 32 else None
    if number is not None:
        if 0 <= number <= 12:
            return bytes((0xF1 + number,))
        for marker, size in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
            if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
                return bytes((marker,)) + number.to_bytes(size, "little", signed=True)
    size = len(element)
    if size < 64:
        return bytes((size,)) + element
    if size < 1 << 14:
        return (0x4000 | size).to_bytes(2, "big") + element
    return b"\x80" + size.to_bytes(4, "big") + element


def ziplist(elements: list[bytes]) -> bytes:
    body, before, last = b"", 0, 10
    for element in elements:
        last = 10 + len(body)
        head = bytes((before,)) if before < 254 else b"\xfe" + before.to_bytes(4, "little")
        entry = head + packed(element)
        body, before = body + entry, len(entry)
    header = (len(body) + 11).to_bytes(4, "little") + last.to_bytes(4, "little") + len(elements).to_bytes(2, "little")
    return header + body + b"\xff"


@given(st.lists(ELEMENTS, max_size=20))
def test_a_ziplist_says_what_was_put_in(elements: list[bytes]) -> None:
    assert unpack(ziplist(elements)) == elements


@given(st.lists(ELEMENTS, max_size=5), st.data())
def test_a_ziplist_that_is_cut_or_flipped_is_refused_or_another_one(elements: list[bytes], data: st.DataObject) -> None:
    whole = ziplist(elements)
    at = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match="not a ziplist"):
        unpack(whole[:at])
    flipped = bytearray(whole)
    flipped[at] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack(bytes(flipped))
    except ValueError:
        return
    assert len(found) == len(elements)


@given(st.binary(max_size=60))
def test_whatever_the_bytes_there_is_no_other_error(noise: bytes) -> None:
    for read in (unpack, unpack_zipmap, intset.unpack):
        try:
            read(noise)
        except ValueError as error:
            assert str(error).startswith("not a")


def test_a_zipmap_says_what_was_put_in() -> None:
    long = b"x" * 300
    zipmap = b"\x03\x01f\x01\x00v\x02gg\x03\x02w10--\x01h\xfe" + (300).to_bytes(4, "little") + b"\x00" + long + b"\xff"
    assert unpack_zipmap(zipmap) == [b"f", b"v", b"gg", b"w10", b"h", long]
    for at in range(len(zipmap)):
        with pytest.raises(ValueError, match="not a zipmap"):
            unpack_zipmap(zipmap[:at])
    with pytest.raises(ValueError, match="another number of pairs"):
        unpack_zipmap(b"\x04" + zipmap[1:])
    assert unpack_zipmap(b"\xfe" + zipmap[1:]) == unpack_zipmap(zipmap), "254 stands for: count them"


@given(st.sets(st.integers(INT64_MIN, INT64_MAX)))
def test_an_intset_says_what_was_put_in(numbers: set[int]) -> None:
    ascending = sorted(numbers)
    width = max(map(intset.width_of, ascending), default=intset.NARROWEST)
    data = intset.pack(ascending, width)
    assert len(data) == 8 + width * len(ascending)
    assert intset.unpack(data) == (ascending, width)


def test_an_intset_must_ascend() -> None:
    for numbers in ([2, 1], [1, 1]):
        with pytest.raises(ValueError, match="do not ascend"):
            intset.unpack(intset.pack(numbers, 2))


def test_a_set_of_numbers_stays_as_wide_as_it_ever_was() -> None:
    members = Set()
    for member, width in ((b"1", 2), (b"70000", 4), (b"-5000000000", 8), (b"2", 8)):
        members.add(member)
        assert members.width == width
    members.discard(b"-5000000000")
    assert members.width == 8 and members.copy().width == 8
    members.check()
