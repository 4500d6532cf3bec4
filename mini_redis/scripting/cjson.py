"""The library `cjson` of scripts: JSON, as lua-cjson 2.1.0 writes and reads it.

JSON tells arrays from objects, Lua does not: a table is an array if all its keys are integers from 1 up (holes are
null, unless there are too many), else an object, and so is an empty one. Its null is `cjson.null`, since nil would be
no element at all. Numbers have 14 digits. Strings are bytes: what is not UTF-8 passes through.

Both ways are O(bytes). They follow the nesting of a script's making, hence `unroll`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from math import isfinite
from typing import Any, Final

from mini_redis.scripting.lua import (
    INT32_MAX,
    STACK,
    BadArgument,
    Function,
    Lua,
    LuaError,
    Value,
    integer_at,
    is_null,
    is_table,
    read_double,
    spell,
    text_at,
    type_name,
    unroll,
)

ESCAPES: Final = {
    **{code: b"\\u%04x" % code for code in (*range(32), 127)},
    8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 47: b"\\/", 92: b"\\\\",
}  # fmt: skip
UNESCAPED: Final = {
    b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
}  # fmt: skip
PUNCTUATION: Final = {
    ord("{"): "T_OBJ_BEGIN", ord("}"): "T_OBJ_END", ord("["): "T_ARR_BEGIN", ord("]"): "T_ARR_END",
    ord(","): "T_COMMA", ord(":"): "T_COLON",
}  # fmt: skip
MOST_DIGITS: Final = 14
WRITING, READING = 3, 1  # places on Lua's stack that a value needs, beside what the tables around it hold
IN_ARRAY, IN_OBJECT = 1, 2

_TO_ESCAPE: Final = re.compile(b'[\x00-\x1f"\\\\/\x7f]')
_SPACES: Final = re.compile(rb"[ \t\r\n]*")
_PLAIN: Final = re.compile(rb'[^"\\\x00]*')
_HEXADECIMAL: Final = re.compile(rb"\\u([0-9a-fA-F]{4})")
_NOT_JSON: Final = re.compile(rb"\+|-?(?:0[x0-9]|inf|nan)", re.IGNORECASE)
"""Numbers to C, but not to JSON."""

Walk = Generator[Any, Any, Any]


class Cjson:
    """A cjson with its settings, which last as long as it."""

    def __init__(self, lua: Lua) -> None:
        self._lua = lua
        self.null: Value = None
        self.as_library: Callable[[Cjson], Value] = lambda cjson: cjson.functions()
        self.sparse_to_object = False
        self.sparse_ratio, self.sparse_safe = 2, 10
        self.encode_depth = self.decode_depth = 1000
        self.precision = MOST_DIGITS
        self.keeps_buffer = True
        self.encodes_invalid: bool | bytes = False
        self.decodes_invalid = True

    def functions(self) -> dict[bytes, Function | bytes]:
        return {
            b"encode": self.encode,
            b"decode": self.decode,
            b"encode_sparse_array": self.encode_sparse_array,
            b"encode_max_depth": self.encode_max_depth,
            b"decode_max_depth": self.decode_max_depth,
            b"encode_number_precision": self.encode_number_precision,
            b"encode_keep_buffer": self.encode_keep_buffer,
            b"encode_invalid_numbers": self.encode_invalid_numbers,
            b"decode_invalid_numbers": self.decode_invalid_numbers,
            b"new": self.new,
            b"_NAME": b"cjson",
            b"_VERSION": b"2.1.0",
        }

    def new(self, *arguments: Value) -> Value:
        """cjson.new: a cjson with settings of its own."""
        other = Cjson(self._lua)
        other.null, other.as_library = self.null, self.as_library
        return self.as_library(other)

    # --- Settings ----------------------------------------------------------------------------------------------------

    def encode_sparse_array(self, *arguments: Value) -> tuple[bool, int, int]:
        given = _given(arguments, 3)
        self.sparse_to_object = _choice(given, self.sparse_to_object)
        self.sparse_ratio = _integer(given, 1, self.sparse_ratio, 0)
        self.sparse_safe = _integer(given, 2, self.sparse_safe, 0)
        return self.sparse_to_object, self.sparse_ratio, self.sparse_safe

    def encode_max_depth(self, *arguments: Value) -> int:
        self.encode_depth = _integer(_given(arguments, 1), 0, self.encode_depth, 1)
        return self.encode_depth

    def decode_max_depth(self, *arguments: Value) -> int:
        self.decode_depth = _integer(_given(arguments, 1), 0, self.decode_depth, 1)
        return self.decode_depth

    def encode_number_precision(self, *arguments: Value) -> int:
        self.precision = _integer(_given(arguments, 1), 0, self.precision, 1, MOST_DIGITS)
        return self.precision

    def encode_keep_buffer(self, *arguments: Value) -> bool:
        self.keeps_buffer = _choice(_given(arguments, 1), self.keeps_buffer)
        return self.keeps_buffer

    def encode_invalid_numbers(self, *arguments: Value) -> bool | bytes:
        self.encodes_invalid = _choice(_given(arguments, 1), self.encodes_invalid, b"null")
        return self.encodes_invalid

    def decode_invalid_numbers(self, *arguments: Value) -> bool:
        self.decodes_invalid = _choice(_given(arguments, 1), self.decodes_invalid)
        return self.decodes_invalid

    # --- Encode ------------------------------------------------------------------------------------------------------

    def encode(self, *arguments: Value) -> bytes:
        """cjson.encode: a value as JSON."""
        if len(arguments) != 1:
            raise BadArgument(1, b"expected 1 argument")
        pieces: list[bytes] = []
        unroll(self._write(arguments[0], pieces, 0, 1))
        return b"".join(pieces)

    def _write(self, value: Value, pieces: list[bytes], depth: int, stack: int) -> Walk:
        if not is_table(value):
            pieces.append(self._scalar(value))
            return
        depth += 1
        if depth > self.encode_depth or stack + WRITING > STACK:
            raise LuaError(b"Cannot serialise, excessive nesting (%d)" % depth)
        pairs = list(value.items())
        length = self._array_length(pairs)
        if length:
            present = dict(pairs)
            for at in range(1, length + 1):
                pieces.append(b"," if at > 1 else b"[")
                child = present.get(at)
                if is_table(child):
                    yield self._write(child, pieces, depth, stack + IN_ARRAY)
                else:
                    pieces.append(self._scalar(child))
            pieces.append(b"]")
            return
        pieces.append(b"{")
        for number, (name, child) in enumerate(pairs):
            pieces.append((b"," if number else b"") + self._name(name) + b":")
            yield self._write(child, pieces, depth, stack + IN_OBJECT)
        pieces.append(b"}")

    def _scalar(self, value: Value) -> bytes:
        if isinstance(value, bytes):
            return _quoted(value)
        if isinstance(value, bool):
            return b"true" if value else b"false"
        if isinstance(value, (int, float)):
            return self._number(value)
        if value is None or is_null(value):
            return b"null"
        raise LuaError(b"Cannot serialise %b: type not supported" % type_name(value))

    def _number(self, number: float) -> bytes:
        if isfinite(number):
            return spell(number, self.precision)
        if self.encodes_invalid is False:
            raise LuaError(b"Cannot serialise number: must not be NaN or Inf")
        if self.encodes_invalid == b"null":
            return b"null"
        return b"nan" if number != number else spell(number, self.precision)

    def _name(self, name: Value) -> bytes:
        if isinstance(name, bytes):
            return _quoted(name)
        if isinstance(name, (int, float)) and not isinstance(name, bool):
            return b'"%b"' % self._number(name)
        raise LuaError(b"Cannot serialise %b: table key must be a number or string" % type_name(name))

    def _array_length(self, pairs: list[tuple[Value, Value]]) -> int:
        """The highest index of an array; 0 for what is to be an object."""
        highest = 0
        for name, _ in pairs:
            if type(name) is not int or name < 1:
                return 0
            highest = max(highest, name)
        if self.sparse_ratio > 0 and highest > len(pairs) * self.sparse_ratio and highest > self.sparse_safe:
            if not self.sparse_to_object:
                raise LuaError(b"Cannot serialise table: excessively sparse array")
            return 0
        return highest

    # --- Decode ------------------------------------------------------------------------------------------------------

    def decode(self, *arguments: Value) -> Value:
        """cjson.decode: the value that a JSON text is."""
        if len(arguments) != 1:
            raise BadArgument(1, b"expected 1 argument")
        text = text_at(arguments, 0)
        if len(text) >= 2 and not (text[0] and text[1]):
            raise LuaError(b"JSON parser does not support UTF-16 or UTF-32")
        return Reader(text, self._lua, self).read()


def _given(arguments: tuple[Value, ...], most: int) -> tuple[Value, ...]:
    if len(arguments) > most:
        raise BadArgument(most + 1, b"found too many arguments")
    return (*arguments, None, None, None)[:most]


def _integer(given: tuple[Value, ...], at: int, present: int, low: int, high: int = INT32_MAX) -> int:
    if given[at] is None:
        return present
    wanted = integer_at(given, at)
    if not low <= wanted <= high:
        raise BadArgument(1, b"expected integer between %d and %d" % (low, high))
    return wanted


def _choice(given: tuple[Value, ...], present: Any, *more: bytes) -> Any:
    """A setting that is on or off, as boolean or word, or one of `more` words."""
    value = given[0]
    if value is None:
        return present
    if isinstance(value, bool):
        return value
    word = text_at(given, 0)
    if word not in (b"off", b"on", *more):
        raise BadArgument(1, b"invalid option '%b'" % word)
    return word if word in more else word == b"on"


def _quoted(text: bytes) -> bytes:
    return b'"%b"' % _TO_ESCAPE.sub(lambda found: ESCAPES[found[0][0]], text)


Token = tuple[str, Any, int]
"""Its kind, its value, where it begins. What is none has as its kind what is wrong."""


class Reader:
    """Reads one text, which a zero byte ends. Positions in errors count from 1."""

    def __init__(self, text: bytes, lua: Lua, settings: Cjson) -> None:
        self._text, self._at = text, 0
        self._table, self._null = lua.table_from, settings.null
        self._deepest, self._takes_invalid = settings.decode_depth, settings.decodes_invalid

    def read(self) -> Value:
        value = unroll(self._value(self._token(), 1, 1))
        kind, _, at = self._token()
        if kind != "T_END":
            raise self._expected("the end", kind, at)
        return value

    def _expected(self, what: str, found: str, at: int) -> LuaError:
        return LuaError(f"Expected {what} but found {found} at character {at + 1}".encode())

    # --- Structure ---------------------------------------------------------------------------------------------------

    def _value(self, token: Token, depth: int, stack: int) -> Walk:
        kind, value, at = token
        if kind in ("T_STRING", "T_NUMBER", "T_BOOLEAN", "T_NULL"):
            return value
        if kind not in ("T_ARR_BEGIN", "T_OBJ_BEGIN"):
            raise self._expected("value", kind, at)
        inside = stack + (IN_ARRAY if kind == "T_ARR_BEGIN" else IN_OBJECT)
        if depth > self._deepest or inside + READING > STACK:
            raise LuaError(b"Found too many nested data structures (%d) at character %d" % (depth, at + 1))
        return (yield (self._array if kind == "T_ARR_BEGIN" else self._object)(depth, inside))

    def _array(self, depth: int, stack: int) -> Walk:
        found: list[Value] = []
        token = self._token()
        if token[0] == "T_ARR_END":
            return self._table(())
        while True:
            found.append((yield self._value(token, depth + 1, stack)))
            kind, _, at = self._token()
            if kind == "T_ARR_END":
                return self._table(found)
            if kind != "T_COMMA":
                raise self._expected("comma or array end", kind, at)
            token = self._token()

    def _object(self, depth: int, stack: int) -> Walk:
        found: dict[bytes, Value] = {}
        kind, name, at = self._token()
        if kind == "T_OBJ_END":
            return self._table(())
        while True:
            if kind != "T_STRING":
                raise self._expected("object key string", kind, at)
            kind, _, at = self._token()
            if kind != "T_COLON":
                raise self._expected("colon", kind, at)
            found[name] = yield self._value(self._token(), depth + 1, stack)
            kind, _, at = self._token()
            if kind == "T_OBJ_END":
                return self._table(found)
            if kind != "T_COMMA":
                raise self._expected("comma or object end", kind, at)
            kind, name, at = self._token()

    # --- Tokens ------------------------------------------------------------------------------------------------------

    def _token(self) -> Token:
        text = self._text
        spaces = _SPACES.match(text, self._at)
        at = self._at = spaces.end() if spaces else self._at
        if at >= len(text) or not text[at]:
            return "T_END", None, at
        code = text[at]
        if code in PUNCTUATION:
            self._at += 1
            return PUNCTUATION[code], None, at
        if code == ord('"'):
            return self._string(at)
        if code == ord("-") or 48 <= code <= 57:
            if not self._takes_invalid and _NOT_JSON.match(text, at):
                return "invalid number", None, at
            return self._number(at)
        for word, value in ((b"true", True), (b"false", False), (b"null", self._null)):
            if text.startswith(word, at):
                self._at += len(word)
                return "T_NULL" if word == b"null" else "T_BOOLEAN", value, at
        if self._takes_invalid and code in b"+iInN" and _NOT_JSON.match(text, at):
            return self._number(at)
        return "invalid token", None, at

    def _number(self, at: int) -> Token:
        found = read_double(self._text, at)
        if found is None:
            return "invalid number", None, at
        number, self._at = found
        return "T_NUMBER", number, at

    def _string(self, start: int) -> Token:
        text, pieces, at = self._text, [], start + 1
        while True:
            plain = _PLAIN.match(text, at)
            assert plain is not None, "it matches nothing at all, too"
            pieces.append(plain[0])
            at = plain.end()
            if at >= len(text) or not text[at]:
                return "unexpected end of string", None, at
            if text[at] == ord('"'):
                self._at = at + 1
                return "T_STRING", b"".join(pieces), start
            escaped = text[at + 1 : at + 2]
            if escaped == b"u":
                decoded, size = _code_point(text, at)
                if not size:
                    return "invalid unicode escape code", None, at
                pieces.append(decoded)
                at += size
            elif escaped in UNESCAPED:
                pieces.append(UNESCAPED[escaped])
                at += 2
            else:
                return "invalid escape code", None, at


def _code_point(text: bytes, at: int) -> tuple[bytes, int]:
    """The UTF-8 of an escape and how many bytes it takes; a pair of surrogates is one. (b"", 0) if it is none."""
    first = _hexadecimal(text, at)
    if first is None or 0xDC00 <= first < 0xE000:
        return b"", 0
    if not 0xD800 <= first < 0xDC00:
        return chr(first).encode(), 6
    second = _hexadecimal(text, at + 6)
    if second is None or not 0xDC00 <= second < 0xE000:
        return b"", 0
    return chr(0x10000 + ((first & 0x3FF) << 10 | second & 0x3FF)).encode(), 12


def _hexadecimal(text: bytes, at: int) -> int | None:
    found = _HEXADECIMAL.match(text, at)
    return int(found[1], 16) if found else None
