"""Listpack: many short strings in one run of bytes. How Redis keeps, and writes, everything small.

Question it answers: what does a list, hash or set of ten short elements cost? As objects with pointers, several times
its data. As a listpack, two or three bytes an element: they stand one after another in a single allocation,

    total bytes (4, little-endian)   number of elements (2)   entry   entry   ...   0xFF
                                                              |
                                     encoding and data (1..)   backlen (1..5)

and are found by walking. The backlen is the length of encoding and data, seven bits a byte and written to be read from
its end, so that one can walk backwards too. What is spelled like a signed 64 bit integer is kept as a number:

    0xxxxxxx                    0..127                      10LLLLLL             a string of up to 63 bytes
    110xxxxx xxxxxxxx           13 bits, signed             1110LLLL LLLLLLLL    up to 4095
    F1 F2 F3 F4                 16, 24, 32, 64 bits         F0 LLLLLLLL(x4)      longer

The price: looking something up is O(n), and so is every change, which copies the rest of the bytes. That is why there
are thresholds (`*-max-listpack-*`), and why a quicklist is a list of many small listpacks.

Here values live in Python's own lists and dicts. What is real is this format's *size*, by which the thresholds count,
and its bytes, which stand in RDB files and in the answers of DUMP. With 65535 elements or more the number is not kept,
and 65535 stands for "count them". Verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mini_redis.structures.numbers import parse_integer

HEADER_SIZE: Final = 6
EMPTY_SIZE: Final = HEADER_SIZE + 1
END: Final = 0xFF

_LONGEST_NUMBER: Final = 20
BEHIND_DIGITS: Final = b":"
"""No number is spelled like anything that is not less."""
_UNKNOWN_COUNT: Final = 0xFFFF
_INTEGER_BYTES: Final = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}


def entry_size(element: bytes | bytearray) -> int:
    """How many bytes an element takes in a listpack, backlen included. O(1)."""
    size = len(element)
    if element < BEHIND_DIGITS and (number := parse_integer(element)) is not None:
        return _number_size(number) + 1
    if size < 64:
        return size + 2
    size += 2 if size < 4096 else 5
    return size + _backlen_size(size)


def entries_size(elements: Iterable[bytes]) -> int:
    """How many bytes these elements take in a listpack. O(n)."""
    size = 0
    for element in elements:
        if len(element) < 64 and element >= BEHIND_DIGITS:  # as `entry_size`, without the call
            size += len(element) + 2
        else:
            size += entry_size(element)
    return size


def number_size(number: int) -> int:
    """How many bytes a signed 64 bit number takes in a listpack, backlen included. O(1)."""
    if 0 <= number < 128:
        return 2
    return 3 if -4096 <= number < 4096 else _number_size(number) + 1


def packed_size(elements: Iterable[bytes]) -> int:
    """How many bytes a listpack of these elements has. O(n)."""
    return EMPTY_SIZE + entries_size(elements)


def pack(elements: Iterable[bytes]) -> bytes:
    """The listpack of these elements. O(size)."""
    body = bytearray()
    count = 0
    for element in elements:
        start = len(body)
        number = parse_integer(element) if 0 < len(element) <= _LONGEST_NUMBER else None
        if number is not None:
            body += _encoded_number(number)
        else:
            body += _string_header(len(element))
            body += element
        body += _backlen(len(body) - start)
        count += 1
    total = len(body) + EMPTY_SIZE
    return total.to_bytes(4, "little") + min(count, _UNKNOWN_COUNT).to_bytes(2, "little") + body + b"\xff"


def unpack(listpack: bytes) -> list[bytes]:
    """The elements of a listpack; ValueError if it is not one. O(size)."""
    if len(listpack) < EMPTY_SIZE or int.from_bytes(listpack[:4], "little") != len(listpack) or listpack[-1] != END:
        raise ValueError("not a listpack: its length or its end is wrong")
    elements = list(_entries(listpack))
    count = int.from_bytes(listpack[4:6], "little")
    if count not in (_UNKNOWN_COUNT, len(elements)):
        raise ValueError("not a listpack: it tells another number of elements than it has")
    return elements


def _entries(listpack: bytes) -> Iterator[bytes]:
    at, end = HEADER_SIZE, len(listpack) - 1
    while at < end:
        first = listpack[at]
        if first < 0x80:
            element, size = b"%d" % first, 1
        elif first < 0xC0:
            size = 1 + (first & 0x3F)
            element = listpack[at + 1 : at + size]
        elif first < 0xE0:
            number = (first & 0x1F) << 8 | listpack[at + 1]
            element, size = b"%d" % (number - (1 << 13) if number >= 1 << 12 else number), 2
        elif first < 0xF0:
            size = 2 + ((first & 0x0F) << 8 | listpack[at + 1])
            element = listpack[at + 2 : at + size]
        elif first == 0xF0:
            size = 5 + int.from_bytes(listpack[at + 1 : at + 5], "little")
            element = listpack[at + 5 : at + size]
        elif first in _INTEGER_BYTES:
            size = 1 + _INTEGER_BYTES[first]
            element = b"%d" % int.from_bytes(listpack[at + 1 : at + size], "little", signed=True)
        else:
            raise ValueError("not a listpack: an unknown encoding")
        at += size + _backlen_size(size)
        if at > end or listpack[at - _backlen_size(size) : at] != _backlen(size):
            raise ValueError("not a listpack: an entry is cut off or its backlen is wrong")
        yield element


def _number_size(number: int) -> int:
    if 0 <= number < 128:
        return 1
    if -4096 <= number < 4096:
        return 2
    if -32768 <= number < 32768:
        return 3
    if -(1 << 23) <= number < 1 << 23:
        return 4
    return 5 if -(1 << 31) <= number < 1 << 31 else 9


def _encoded_number(number: int) -> bytes:
    size = _number_size(number)
    if size == 1:
        return bytes((number,))
    if size == 2:
        return (0xC000 | number & 0x1FFF).to_bytes(2, "big")
    marker = {3: 0xF1, 4: 0xF2, 5: 0xF3, 9: 0xF4}[size]
    return bytes((marker,)) + number.to_bytes(size - 1, "little", signed=True)


def _string_header(size: int) -> bytes:
    if size < 64:
        return bytes((0x80 | size,))
    if size < 4096:
        return (0xE000 | size).to_bytes(2, "big")
    return b"\xf0" + size.to_bytes(4, "little")


def _backlen_size(size: int) -> int:
    if size <= 127:
        return 1
    if size < 16383:
        return 2
    if size < 2097151:
        return 3
    return 4 if size < 268435455 else 5


def _backlen(size: int) -> bytes:
    """Seven bits a byte, the highest first; all but the first byte are marked, so that a walk backwards finds it."""
    count = _backlen_size(size)
    return bytes((size >> 7 * (count - 1 - at) & 0x7F) | (0x80 if at else 0) for at in range(count))
