"""Listpack: the bytes and sizes of Redis 8.2.3, there and back; what is cut off is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.listpack import entry_size, pack, packed_size, unpack

BORDERS = [0, 1, 127, 128, -1, 4095, 4096, -4096, -4097, 32767, 32768, -32768, -32769, 2**23 - 1, 2**23, -(2**23)]
BORDERS += [-(2**23) - 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1]

elements = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(BORDERS).map(lambda number: b"%d" % number),
    st.sampled_from([0, 62, 63, 64, 125, 126, 4095, 4096, 16380, 16381]).map(lambda size: b"x" * size),
)


@given(st.lists(elements, max_size=30))
def test_there_and_back(values: list[bytes]) -> None:
    packed = pack(values)
    assert unpack(packed) == values
    assert len(packed) == packed_size(values)


def test_the_bytes_of_redis() -> None:
    assert pack([]) == b"\x07\0\0\0\0\0\xff"
    header, end = b"\x12\0\0\0\x04\0", b"\xff"
    assert pack([b"a", b"1", b"-1", b"1024"]) == header + b"\x81a\x02\x01\x01\xdf\xff\x02\xc4\0\x02" + end


@pytest.mark.parametrize(
    ("element", "size"),
    [(b"", 2), (b"1", 2), (b"01", 4), (b"128", 3), (b"4096", 4), (b"32768", 5), (b"8388608", 6), (b"2147483648", 10)],
)
def test_sizes(element: bytes, size: int) -> None:
    assert entry_size(element) == size


def test_a_count_that_does_not_fit_is_not_kept() -> None:
    packed = pack([b"1"] * 70_000)
    assert packed[4:6] == b"\xff\xff"
    assert len(unpack(packed)) == 70_000


@given(st.lists(elements, max_size=8), st.data())
def test_damage_is_noticed_or_gives_other_elements(values: list[bytes], data: st.DataObject) -> None:
    """A byte that differs: never anything but a ValueError, or as many elements as the listpack says."""
    packed = bytearray(pack(values))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack(bytes(packed))
    except ValueError as error:
        assert str(error).startswith("not a listpack")
    else:
        assert len(found) == int.from_bytes(packed[4:6], "little") or packed[4:6] == b"\xff\xff"
        assert packed_size(found) <= len(packed), "another spelling of the same elements is never shorter than ours"


@given(elements)
def test_an_entry_takes_what_was_said(value: bytes) -> None:
    assert len(pack([value])) == packed_size([]) + entry_size(value)


@given(st.lists(elements, max_size=5), st.data())
def test_a_cut_is_noticed(values: list[bytes], data: st.DataObject) -> None:
    packed = pack(values)
    with pytest.raises(ValueError, match="not a listpack"):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])
