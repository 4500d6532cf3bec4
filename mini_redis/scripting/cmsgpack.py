"""The library `cmsgpack` of scripts: MessagePack, as lua-cmsgpack 0.4.0 writes and reads it.

A table whose keys are 1..n is an array, an empty one too, any other a map; a number is the shortest integer that holds
it, else a float if that is exact, else a double. What has no form (functions, tables deeper than 16) is nil. Bytes that
follow a value are the next one: `unpack` returns all of them.

Both ways are O(bytes). They follow the nesting of a script's making, hence `unroll`.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any, Final

from mini_redis.scripting.lua import (
    STACK,
    BadArgument,
    Function,
    Lua,
    LuaError,
    Raised,
    Value,
    integer_at,
    is_table,
    text_at,
    unroll,
)

DEEPEST_PACKED: Final = 16
DEEPEST_UNPACKED: Final = STACK // 2 - 1
"""Redis's Lua stack ends there: an array or a map holds two places on it."""
TOO_MANY: Final = b"stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)"
NUMBERS: Final = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
    0xD3: ">q",
}  # fmt: skip
"""The largest unsigned integers come out negative, as they do in Redis."""
STRINGS: Final = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
ARRAYS: Final = {0xDC: ">H", 0xDD: ">I"}
MAPS: Final = {0xDE: ">H", 0xDF: ">I"}
NIL, FALSE, TRUE = 0xC0, 0xC2, 0xC3
INTEGERS: Final = (
    (0, 0xFF, ">BB", 0xCC), (0, 0xFFFF, ">BH", 0xCD), (0, 0xFFFFFFFF, ">BI", 0xCE), (0, (1 << 64) - 1, ">BQ", 0xCF),
    (-(1 << 7), -1, ">Bb", 0xD0), (-(1 << 15), -1, ">Bh", 0xD1), (-(1 << 31), -1, ">Bi", 0xD2),
    (-(1 << 63), -1, ">Bq", 0xD3),
)  # fmt: skip

Walk = Generator[Any, Any, Any]


class Cmsgpack:
    """The functions that read; they need Lua to make tables."""

    def __init__(self, lua: Lua) -> None:
        self._lua = lua

    def functions(self) -> dict[bytes, Function | bytes]:
        return {
            b"pack": pack,
            b"unpack": self.unpack,
            b"unpack_one": self.unpack_one,
            b"unpack_limit": self.unpack_limit,
            b"_NAME": b"cmsgpack",
            b"_VERSION": b"lua-cmsgpack 0.4.0",
            b"_COPYRIGHT": b"Copyright (C) 2012, Salvatore Sanfilippo",
            b"_DESCRIPTION": b"MessagePack C implementation for Lua",
        }

    def unpack(self, *arguments: Value) -> tuple[Value, ...]:
        """All values."""
        return self._unpacked(arguments, 0, 0)

    def unpack_one(self, *arguments: Value) -> tuple[Value, ...]:
        """Where the next value begins, or -1, and the one at an offset."""
        offset = integer_at(arguments, 1) if len(arguments) > 1 and arguments[1] is not None else 0
        return self._unpacked(arguments, 1, offset)

    def unpack_limit(self, *arguments: Value) -> tuple[Value, ...]:
        """Where the next value begins, or -1, and up to so many from an offset on."""
        limit = integer_at(arguments, 1)
        offset = integer_at(arguments, 2) if len(arguments) > 2 and arguments[2] is not None else 0
        return self._unpacked(arguments, limit, offset)

    def _unpacked(self, arguments: tuple[Value, ...], limit: int, offset: int) -> tuple[Value, ...]:
        data = text_at(arguments, 0)
        if offset < 0 or limit < 0:
            told = b"Invalid request to unpack with offset of %d and limit of %d."
            raise LuaError(told % (offset, len(data)))
        if offset > len(data):
            raise LuaError(b"Start offset %d greater than input length %d." % (offset, len(data)))
        whole = not limit and not offset
        reader = Reader(self._lua, data, offset)
        found: list[Value] = []
        while reader.at < len(data) and (whole or len(found) < limit):
            if len(found) == STACK - 1:
                raise LuaError(TOO_MANY)
            found.append(unroll(reader.value(0)))
        return tuple(found) if whole else (-1 if reader.at == len(data) else reader.at, *found)


def pack(*arguments: Value) -> bytes:
    """The arguments, one after another."""
    if not arguments:
        raise BadArgument(0, b"MessagePack pack needs input.")
    return b"".join(_packed(value, 0) for value in arguments)


def _packed(value: Value, depth: int) -> bytes:
    if isinstance(value, bool):
        return bytes((TRUE if value else FALSE,))
    if isinstance(value, int):
        return _packed_integer(value)
    if isinstance(value, float):
        single = _as_single(value)
        return b"\xca" + single if single else b"\xcb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return _head(len(value), 0xA0, 32, STRINGS) + value
    if not is_table(value) or depth == DEEPEST_PACKED:
        return bytes((NIL,))
    pairs = list(value.items())
    if all(type(name) is int and 1 <= name <= len(pairs) for name, _ in pairs):
        present = dict(pairs)
        elements = [_packed(present[at], depth + 1) for at in range(1, len(pairs) + 1)]
        return _head(len(pairs), 0x90, 16, ARRAYS) + b"".join(elements)
    inside = b"".join(_packed(name, depth + 1) + _packed(one, depth + 1) for name, one in pairs)
    return _head(len(pairs), 0x80, 16, MAPS) + inside


def _packed_integer(number: int) -> bytes:
    if -32 <= number < 128:
        return bytes((number & 0xFF,))
    for low, high, form, code in INTEGERS:
        if low <= number <= high:
            return struct.pack(form, code, number)
    raise AssertionError("Lua's integers have 64 bits")


def _as_single(number: float) -> bytes | None:
    """The float of 32 bits that is exactly this number."""
    try:
        packed = struct.pack(">f", number)
    except OverflowError:
        return None
    return packed if struct.unpack(">f", packed)[0] == number else None


def _head(size: int, short: int, limit: int, forms: dict[int, str]) -> bytes:
    """Kind and length of what follows, as short as can be."""
    if size < limit:
        return bytes((short | size,))
    for code, form in forms.items():
        if size < 1 << 8 * struct.calcsize(form):
            return bytes((code,)) + struct.pack(form, size)
    raise AssertionError("more than 4 GB")


class Reader:
    """A position in packed bytes."""

    def __init__(self, lua: Lua, data: bytes, at: int) -> None:
        self._lua, self._data, self.at = lua, data, at

    def value(self, depth: int) -> Walk:
        """The next value. Raises LuaError."""
        code = self._take(1)[0]
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 256
        if code >= 0xA0 and code < NIL:
            return self._take(code & 0x1F)
        if code < 0xA0:
            return (yield (self._array if code & 0x10 else self._map)(code & 0xF, depth))
        if code in NUMBERS:
            return self._number(NUMBERS[code])
        if code in STRINGS:
            return self._take(self._number(STRINGS[code]))
        if code in ARRAYS:
            return (yield self._array(self._number(ARRAYS[code]), depth))
        if code in MAPS:
            return (yield self._map(self._number(MAPS[code]), depth))
        if code in (NIL, FALSE, TRUE):
            return {NIL: None, FALSE: False, TRUE: True}[code]
        raise LuaError(b"Bad data format in input.")

    def _take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise LuaError(b"Missing bytes in input.")
        self.at += size
        return self._data[self.at - size : self.at]

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _array(self, size: int, depth: int) -> Walk:
        if depth >= DEEPEST_UNPACKED:
            raise LuaError(b"stack overflow (in function mp_decode_to_lua_array)")
        elements = []
        for _ in range(size):
            elements.append((yield self.value(depth + 1)))
        return self._lua.table_from(elements)

    def _map(self, size: int, depth: int) -> Walk:
        if depth >= DEEPEST_UNPACKED:
            raise LuaError(TOO_MANY)
        pairs: dict[Value, Value] = {}
        for _ in range(size):
            name = yield self.value(depth + 1)
            pairs[name] = yield self.value(depth + 1)
            if name is None or name != name:
                raise Raised(b"table index is nil" if name is None else b"table index is NaN")
        return self._lua.table_from(pairs)
