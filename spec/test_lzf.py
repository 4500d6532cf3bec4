"""LZF: what is packed unpacks to the same, damage is noticed, and the bytes are those of a real server."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mini_redis.structures.lzf import compress, decompress

wordy = st.lists(st.sampled_from([b"ab", b"abc", b"-", b"hello ", bytes(40), b"x" * 300]), max_size=200).map(b"".join)
anything = wordy | st.binary(max_size=2000)


@given(anything)
@example(b"a" * 20_000)
@example(bytes(range(256)) * 70)  # repetitions from as far away as they may be
def test_what_is_packed_unpacks_to_the_same(data: bytes) -> None:
    packed = compress(data, len(data) * 2 + 100)
    if packed is not None:
        assert decompress(packed, len(data)) == data


@given(anything)
def test_the_limit_is_kept(data: bytes) -> None:
    packed = compress(data, len(data) - 4)
    assert packed is None or len(packed) <= len(data) - 4


@pytest.mark.parametrize(
    ("data", "packed"),
    [  # as DUMP of Redis 8.2.3 shows them
        (b"a" * 21, "016161e00a00"),
        (b"ab" * 32, "02616261e03201016162"),
        (b"hello hello hello hello", "0668656c6c6f2068e00505016c6f"),
    ],
)
def test_the_bytes_are_those_of_redis(data: bytes, packed: str) -> None:
    found = compress(data, len(data) - 4)
    assert found is not None
    assert found.hex() == packed
    assert decompress(found, len(data)) == data


def test_what_does_not_shrink_is_left_alone() -> None:
    assert compress(bytes(range(64)), 60) is None
    assert compress(b"", 0) is None
    assert compress(b"aaaa", 0) is None


@given(wordy.filter(lambda data: len(data) > 40), st.data())
def test_damage_never_passes_as_another_length(data: bytes, draw: st.DataObject) -> None:
    packed = compress(data, len(data) * 2) or b"\x00a"
    cut = draw.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ValueError):
        decompress(packed[:cut], len(data))
    with pytest.raises(ValueError):
        decompress(packed, len(data) + 1)


@pytest.mark.parametrize("packed", [b"\x05ab", b"\x20\x00", b"\xe0", b"\xe0\x01", b"\x40", b"\x00a\x20\x01"])
def test_damage_is_named(packed: bytes) -> None:
    with pytest.raises(ValueError, match="LZF"):
        decompress(packed, 1000)
