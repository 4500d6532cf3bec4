"""The library `struct` of scripts: numbers and strings as the bytes of a C struct (Roberto Ierusalimschy's 0.2).

A format is a row of letters:

    > <  byte order    !n  alignment     b B h H l L T  integers, signed if small     in In  integers of n bytes
    f d  float, double    s  string up to a zero byte     cn  n bytes; c0 as many as the number before tells     x  zero

Numbers are doubles in Lua, so integers beyond 2**53 lose their last digits. All functions are O(bytes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, Literal

from mini_redis.scripting.lua import (
    STACK,
    BadArgument,
    LuaError,
    Value,
    number_at,
    spelled_number,
    text_at,
    to_int64,
    to_uint64,
)

SIZES: Final = {"b": 1, "B": 1, "h": 2, "H": 2, "l": 8, "L": 8, "T": 8, "f": 4, "d": 8, "x": 1}
INTEGERS: Final = "bBhHlLTiI"
MOST_BYTES: Final = 32
ALIGNMENT: Final = 8
SHORT_DATA: Final = b"data string too short"
_INT_MAX: Final = (1 << 31) - 1
_UINT64: Final = (1 << 64) - 1


class Layout:
    """Walks over a format and keeps byte order and alignment on the way."""

    def __init__(self, form: bytes) -> None:
        self._form = form.partition(b"\0")[0].decode("latin-1")
        self._at = 0
        self._align = 1
        self.order: Literal["little", "big"] = "little"

    def options(self) -> Iterator[tuple[str, int, int]]:
        """Of each option: its letter, its size in bytes, and on a multiple of what it lies (see `padding`).

        What only controls (order, alignment, spaces) is obeyed, and is what is wrong with a letter when it is not
        known: the caller says so with `control`, for some know more letters than others.
        """
        while self._at < len(self._form):
            letter = self._form[self._at]
            self._at += 1
            size = self._size(letter)
            yield letter, size, 1 if letter == "c" else min(size, self._align) or 1

    def _size(self, letter: str) -> int:
        if letter in "iI":
            size = self._count(4)
            if size > MOST_BYTES:
                raise LuaError(b"integral size %d is larger than limit of %d" % (size, MOST_BYTES))
            return size
        return self._count(1) if letter == "c" else SIZES.get(letter, 0)

    def _count(self, default: int) -> int:
        begin = self._at
        while self._at < len(self._form) and self._form[self._at] in "0123456789":
            self._at += 1
        if self._at == begin:
            return default
        count = int(self._form[begin : self._at])
        if count > _INT_MAX:
            raise LuaError(b"integral size overflow")
        return count

    def control(self, letter: str) -> None:
        """Obey a letter that is no item. Raises LuaError if it is not that either."""
        match letter:
            case " ":
                return
            case "<":
                self.order = "little"
            case ">":
                self.order = "big"
            case "!":
                align = self._count(ALIGNMENT)
                if align < 1 or align & (align - 1):
                    raise LuaError(b"alignment %d is not a power of 2" % align)
                self._align = align
            case _:
                raise BadArgument(1, f"invalid format option '{letter}'".encode("latin-1"))

    def floating(self, letter: str) -> str:
        return (">" if self.order == "big" else "<") + letter


def padding(at: int, align: int) -> int:
    """How many zeros go before an option at this position. It makes sense for powers of 2; so it is for others."""
    return (align - (at & (align - 1))) & (align - 1)


def pack(*arguments: Value) -> bytes:
    """struct.pack: the values after the format, as it says."""
    layout = Layout(text_at(arguments, 0))
    values = (*arguments, None)  # what is missing is nil
    made = bytearray()
    at = 1
    for letter, size, align in layout.options():
        made += bytes(padding(len(made), align))
        if letter in INTEGERS:
            made += _integer_bytes(number_at(values, at), size, layout)
        elif letter in "fd":
            made += _float_bytes(number_at(values, at), layout.floating(letter))
        elif letter in "cs":
            text = text_at(values, at)
            size = size or len(text)
            if len(text) < size:
                raise BadArgument(at + 2, b"string too short")  # counted so since the beginning
            made += text[:size] + (b"\0" if letter == "s" else b"")
        elif letter == "x":
            made.append(0)
            continue
        else:
            layout.control(letter)
            continue
        at += 1
    return bytes(made)


def _integer_bytes(number: float, size: int, layout: Layout) -> bytes:
    """The low bytes of an integer of 64 bits; beyond these there are zeros, whatever its sign."""
    kept = to_uint64(number).to_bytes(8, "little")[:size].ljust(size, b"\0")
    return kept if layout.order == "little" else kept[::-1]


def _float_bytes(number: float, form: str) -> bytes:
    try:
        return struct.pack(form, number)
    except OverflowError:  # too large for a float of 32 bits
        return struct.pack(form, float("inf") if number > 0 else float("-inf"))


def unpack(*arguments: Value) -> tuple[Value, ...]:
    """struct.unpack: the values in a string, from a position on, and the position after them."""
    layout = Layout(text_at(arguments, 0))
    data = text_at(arguments, 1)
    start = to_int64(number_at(arguments, 2)) if len(arguments) > 2 and arguments[2] is not None else 1
    if start == 0:
        raise BadArgument(3, b"offset must be 1 or greater")
    at = (start - 1) & _UINT64
    found: list[Value] = []
    for letter, size, align in layout.options():
        at += padding(at, align)
        if at + size > len(data):
            raise BadArgument(2, SHORT_DATA)
        if len(found) > STACK - 4:
            raise LuaError(b"stack overflow (too many results)")
        if letter in INTEGERS:
            found.append(_read_integer(data[at : at + size], letter.islower(), layout))
        elif letter in "fd":
            found.append(struct.unpack_from(layout.floating(letter), data, at)[0])
        elif letter == "c":
            if not size:
                size = _size_before(found)
                if at + size > len(data):
                    raise BadArgument(2, SHORT_DATA)
            found.append(data[at : at + size])
        elif letter == "s":
            end = data.find(b"\0", at)
            if end < 0:
                raise LuaError(b"unfinished string in data")
            found.append(data[at:end])
            size = end - at + 1
        elif letter != "x":
            layout.control(letter)
        at += size
    return (*found, at + 1)


def _size_before(found: list[Value]) -> int:
    """How many bytes c0 takes: the number that came before, which it replaces."""
    size = found.pop() if found else None
    if isinstance(size, bytes):
        size = spelled_number(size)
    if size is None:
        raise LuaError(b"format 'c0' needs a previous size")
    return to_uint64(size)


def _read_integer(kept: bytes, signed: bool, layout: Layout) -> float:
    """As pack left it. Of more than eight bytes the last are taken; their sign is where a processor's shift puts it."""
    value = int.from_bytes(kept, layout.order) & _UINT64
    if not signed:
        return value if value < 1 << 63 else float(value)
    mask = (_UINT64 << ((8 * len(kept) - 1) % 64)) & _UINT64
    if value & mask:
        value |= mask
    return value - (1 << 64) if value >> 63 else value


def size(*arguments: Value) -> int:
    """struct.size: the bytes that a format without strings takes."""
    layout = Layout(text_at(arguments, 0))
    at = 0
    for letter, count, align in layout.options():
        at += padding(at, align)
        if letter == "s" or (letter == "c" and not count):
            told = b"option '%b' has no fixed size" % (b"s" if letter == "s" else b"c0")
            raise BadArgument(1, told)
        if not letter.isalnum() or not letter.isascii():
            layout.control(letter)
        at += count
    return at


STRUCT: Final = {b"pack": pack, b"unpack": unpack, b"size": size}
