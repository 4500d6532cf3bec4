"""Between Python and Lua: what the two call each other's values, and how errors cross.

Lua's numbers, strings (bytes), booleans and nil arrive as int or float, bytes, bool and None; a number that is whole
arrives as an int, so that the sign of -0 is lost. Tables stay in Lua: Python holds a reference and asks.

A function that scripts call raises `LuaError` with the text of its complaint, or `BadArgument`, to which
`Interpreter.exposed` adds the line of the script, as C functions do. Or it raises `Raised`, which crosses over as it
is. sandbox.lua makes of it what the script catches.

Nothing that follows a nesting which a script has made may call itself: Lua nests deeper than Python. `unroll` runs such
functions, written as generators, on a list instead of Python's stack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from math import copysign
from typing import Any, Final, Protocol, TypeAlias

from mini_redis.resp.reply import ReplyError
from mini_redis.structures.numbers import format_double

try:
    from lupa import lua51
except ImportError:  # pragma: no cover - whoever runs the tests has it
    lua51 = None

__all__ = ["lua51"]

MISSING: Final = ReplyError(b"ERR This server has no Lua: pip install 'mini-redis-reference[scripting]'")
STACK: Final = 8000
"""Places on the stack of Redis's Lua, each of which holds a value on its way between C and Lua. Nesting of a script's
making, and results, end there, with the words of whoever needed one place more."""
INT32_MAX: Final = (1 << 31) - 1

Value: TypeAlias = Any
"""A value of Lua: bytes, int, float, bool, None, or a reference to what stays there."""
Function = Callable[..., Value]


class Lua(Protocol):
    """What is used of lupa's runtime."""

    def execute(self, text: bytes, /, *arguments: Value) -> Value: ...

    def table_from(self, content: Iterable[Value], /) -> Value: ...


class LuaError(Exception):
    """What a function refuses, in the words that the script gets behind its place."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text

    def said_by(self, function: bytes) -> bytes:
        """The text, where the script has called the function by this name."""
        return self.text


class BadArgument(LuaError):
    """An argument is wrong; `number` counts from 1."""

    def __init__(self, number: int, why: bytes) -> None:
        super().__init__(why)
        self.number = number

    def said_by(self, function: bytes) -> bytes:
        return b"bad argument #%d to '%b' (%b)" % (self.number, function, self.text)


class Raised(Exception):
    """On its way through Lua: a text, or if it is a `reply`, a table with the field `err`.

    It keeps nothing of Lua alive, neither itself nor in its traceback: lupa remembers it beyond the end of a coroutine
    in which it was raised, and whatever comes from there dies with it.
    """

    def __init__(self, text: bytes, *, reply: bool = False, counted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.reply = reply
        self.counted = counted


def unroll(first: Generator[Generator[Any, Any, Any], Any, Any]) -> Any:
    """Run a generator that yields others, each to be run and to be answered with what it returns."""
    stack = [first]
    answer = None
    while stack:
        try:
            called = stack[-1].send(answer)
        except StopIteration as done:
            stack.pop()
            answer = done.value
        else:
            stack.append(called)
            answer = None
    return answer


# --- What is it? -----------------------------------------------------------------------------------------------------


def type_name(value: Value) -> bytes:
    """What Lua calls the type of a value."""
    if value is None:
        return b"nil"
    if isinstance(value, bool):
        return b"boolean"
    if isinstance(value, (int, float)):
        return b"number"
    if isinstance(value, bytes):
        return b"string"
    kind = lua51.lua_type(value)
    return b"function" if kind is None else str(kind).encode()  # one of ours comes back as it is


def is_table(value: Value) -> bool:
    return type(value) not in _PLAIN and lua51.lua_type(value) == "table"


def is_null(value: Value) -> bool:
    """Whether it is cjson.null: there is no other userdata in reach of a script."""
    return type(value) not in _PLAIN and lua51.lua_type(value) == "userdata"


_PLAIN: Final = frozenset((bytes, int, float, bool, type(None)))


# --- Arguments, as C functions take them ------------------------------------------------------------------------------


def number_at(arguments: tuple[Value, ...], at: int) -> float:
    """An argument as a number; strings that spell one count, as everywhere in Lua. `at` counts from 0."""
    value = arguments[at] if at < len(arguments) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        found = spelled_number(value)
        if found is not None:
            return found
    raise BadArgument(at + 1, b"number expected, got " + _got(arguments, at))


def integer_at(arguments: tuple[Value, ...], at: int) -> int:
    """An argument as an int of C: 32 bits of it."""
    number = to_int64(number_at(arguments, at)) & 0xFFFFFFFF
    return number - (1 << 32) if number > INT32_MAX else number


def text_at(arguments: tuple[Value, ...], at: int) -> bytes:
    """An argument as a string; numbers are spelled as Lua does."""
    value = arguments[at] if at < len(arguments) else None
    text = to_text(value)
    if text is None:
        raise BadArgument(at + 1, b"string expected, got " + _got(arguments, at))
    return text


def _got(arguments: tuple[Value, ...], at: int) -> bytes:
    return type_name(arguments[at]) if at < len(arguments) else b"no value"


def to_text(value: Value) -> bytes | None:
    """A string, as which a number passes; None for what does not."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return spell(value, 14)
    return None


def spell(number: float, digits: int) -> bytes:
    """`%.14g` as C spells it."""
    if number != number:
        return b"-nan" if copysign(1, number) < 0 else b"nan"
    return b"%.*g" % (digits, number)


_DOUBLE: Final = re.compile(
    rb"[+-]?(?:(0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?)|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
    rb"|inf(?:inity)?|nan(?:\(\w*\))?)",
    re.IGNORECASE,
)


def read_double(text: bytes, at: int = 0) -> tuple[float, int] | None:
    """The number that C's strtod() finds at a position, without spaces before it, and where it ends; or None."""
    found = _DOUBLE.match(text, at)
    if found is None:
        return None
    if not found[1]:
        return float(found[0].partition(b"(")[0]), found.end()
    try:
        return float.fromhex(found[0].decode()), found.end()
    except OverflowError:
        return float("-inf" if found[0].startswith(b"-") else "inf"), found.end()


def spelled_number(text: bytes) -> float | None:
    """The number that Lua reads from a string, or None. Spaces may be around it; a zero byte ends it."""
    word = text.partition(b"\0")[0].strip()
    found = read_double(word)
    return found[0] if found is not None and found[1] == len(word) else None


def to_int64(number: float) -> int:
    """As a processor converts a double to 64 bits; what does not fit is the smallest integer."""
    if number != number or not -(2.0**63) <= number < 2.0**63:
        return -(1 << 63)
    return int(number)


def to_uint64(number: float) -> int:
    """Likewise for 64 bits without sign; what is too large is 0."""
    if number >= 0:
        return int(number) if number < 2.0**64 else 0
    return to_int64(number) & 0xFFFFFFFFFFFFFFFF


def argument_of_command(value: Value) -> bytes | None:
    """What redis.call makes of an argument; None if it cannot be one."""
    if type(value) is bytes:
        return value
    if type(value) is int and -(1 << 62) <= value <= 1 << 62:
        return b"%d" % value
    if type(value) in (int, float):
        return format_double(value) if value == value else spell(value, 17)
    return None
