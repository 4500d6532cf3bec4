"""How many bytes would a value take in an RDB file? DEBUG OBJECT's `serializedlength`.

A cheap way to see what a value costs on disk and on the way to a replica, and one number that shows whether two servers
would write the same file. It counts the value alone: neither key, type nor TTL.

A string is written in the shortest of three ways:

    as a number        spells an integer of at most 32 bits and 11 characters      2, 3 or 5 bytes
    packed             longer than 20 bytes, `rdbcompression yes`, LZF gains       1 + both lengths + packed bytes
    as it is           else                                                        its length + its bytes

A length takes 1 byte below 64, 2 below 16,384, 5 below 2**32, else 9. Verified against Redis 8.2.3.

Adding a data type means adding a line to `LENGTHS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mini_redis.keyspace.types import STRING_TYPE, Value, type_of
from mini_redis.structures.lzf import SHORTEST_WORTHWHILE, compress
from mini_redis.structures.numbers import parse_integer

_LONGEST_NUMBER: Final = 11


def serialized_length(value: Value, compressing: bool) -> int:
    """Return the length in bytes; `compressing` is `rdbcompression`. O(size), and slow where LZF is tried."""
    return LENGTHS[type_of(value).name](value, compressing)


def _length_of_string(value: Value, compressing: bool) -> int:
    assert isinstance(value, (bytes, bytearray)), "a string is bytes or bytearray"
    size = len(value)
    number = parse_integer(value) if size <= _LONGEST_NUMBER else None
    if number is not None and -(1 << 31) <= number < 1 << 31:
        return 2 if -128 <= number < 128 else 3 if -32768 <= number < 32768 else 5
    packed = compress(value, size - 4) if compressing and size >= SHORTEST_WORTHWHILE else None
    if packed is not None:
        return 1 + _length_of_length(len(packed)) + _length_of_length(size) + len(packed)
    return _length_of_length(size) + size


def _length_of_length(length: int) -> int:
    return 1 if length < 1 << 6 else 2 if length < 1 << 14 else 5 if length < 1 << 32 else 9


LENGTHS: dict[bytes, Callable[[Value, bool], int]] = {
    STRING_TYPE.name: _length_of_string,
}
"""Type name -> how its values are measured."""
