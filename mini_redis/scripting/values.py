"""From replies to values of Lua and back: what redis.call returns, and what becomes of what a script returns.

Redis to Lua (and in brackets what differs after `redis.setresp(3)`):

    integer          number                    null        false (nil)          boolean     number (boolean)
    string           string                    array       table                map, set    table ({map=...}, {set=...})
    status           {ok=...}                  error       {err=...}            double      string ({double=...})

and back: a number loses its fraction, `true` is 1 and `false` null (booleans after setresp(3)), a table is the array of
what stands from 1 up to its first nil, unless it has a field of one of the names above. So a null inside of an array
that a script passes on is kept (it is false there), while nil ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from mini_redis.resp.reply import (
    NULL_ARRAY,
    OK,
    Annotated,
    BigNumber,
    BigText,
    Bulks,
    FlatMap,
    FormattedText,
    Frames,
    Pairs,
    Reply,
    ReplyError,
    SetReply,
    SimpleString,
    Verbatim,
)
from mini_redis.scripting.lua import STACK, Lua, Value, is_table, to_int64, unroll
from mini_redis.structures.numbers import format_double

DEEPEST: Final = STACK - 5
"""Tables inside of each other that a reply can have."""
TOO_DEEP: Final = ReplyError(b"ERR reached lua stack limit")

_THE_SAME: Final = frozenset((bytes, int))
"""Types of replies that are values of Lua as they are."""

OnError = Callable[[ReplyError, bool], None]
Conversion = Generator[Any, Any, Reply]


def to_lua(lua: Lua, reply: Reply, resp: int) -> Value:
    """A command's reply as a script that speaks protocol `resp` sees it. O(size)."""
    kind = type(reply)
    if kind is bytes or kind is int:
        return reply
    if reply is None or reply is NULL_ARRAY:
        return False if resp == 2 else None
    if kind is list or kind is tuple or kind is Bulks:
        if not _THE_SAME.issuperset(map(type, reply)):  # type: ignore[call-overload]
            reply = [to_lua(lua, child, resp) for child in reply]  # type: ignore[attr-defined]
        return lua.table_from(reply)  # type: ignore[arg-type]
    if kind is SimpleString:
        return lua.table_from({b"ok": reply})
    return _rarely_to_lua(lua, reply, resp)


def _rarely_to_lua(lua: Lua, reply: Any, resp: int) -> Value:
    def table(**fields: Value) -> Value:
        return lua.table_from({name.encode(): value for name, value in fields.items()})

    def new(child: Reply) -> Value:
        return to_lua(lua, child, resp)

    match reply:
        case bool():
            return reply if resp == 3 else int(reply)
        case Verbatim():
            text = bytes(reply)
            return table(verbatim_string=table(string=text, format=b"txt")) if resp == 3 else text
        case ReplyError():
            return table(err=reply.text)
        case float():
            return table(double=reply) if resp == 3 else format_double(reply)
        case BigNumber():
            return table(big_number=b"%d" % reply) if resp == 3 else b"%d" % reply
        case SetReply():
            if resp == 3:
                return table(set=lua.table_from({new(child): True for child in reply}))
            return lua.table_from([new(child) for child in reply])
        case Frames():
            return None  # what is pushed is nobody's reply
        case dict():
            if resp == 3:
                return table(map=lua.table_from({new(name): new(value) for name, value in reply.items()}))
            return lua.table_from([new(part) for pair in reply.items() for part in pair])
        case Pairs() if resp == 3:
            return table(map=lua.table_from(dict(map(new, pair) for pair in reply)))  # type: ignore[call-overload]
        case list() | tuple():
            return lua.table_from([new(child) for child in reply])
        case Annotated():
            return new(reply.reply)
    assert isinstance(reply, (bytes, bytearray)), f"{type(reply).__name__} has no form in Lua"
    return bytes(reply)


def to_reply(value: Value, resp: int, on_error: OnError) -> Reply:
    """What a script returns, as a reply; `on_error` is told of each error in it, and whether it is counted. O(size)."""
    kind = type(value)
    if kind is bytes or kind is int:
        return value
    if is_table(value):
        return unroll(_table_to_reply(value, resp, on_error, 1))
    return _scalar_to_reply(value, resp)


def _scalar_to_reply(value: Value, resp: int) -> Reply:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        if resp == 3:
            return value
        return 1 if value else None
    if isinstance(value, (int, float)):
        return to_int64(value)
    return None


def _table_to_reply(table: Value, resp: int, on_error: OnError, depth: int) -> Conversion:
    fields: dict[Value, Value] = dict(table.items())
    special = _special_to_reply(fields, on_error)
    if special is not None:
        return special

    def converted(child: Value) -> Conversion:
        if depth == DEEPEST:
            on_error(TOO_DEEP, False)
            return TOO_DEEP
        if is_table(child):
            return (yield _table_to_reply(child, resp, on_error, depth + 1))
        return _scalar_to_reply(child, resp)

    for name in (b"map", b"set"):
        inside: Value = fields.get(name)
        if is_table(inside):
            found: list[Reply] = []
            for key, child in inside.items():
                found.append((yield from converted(key)))
                if name == b"map":
                    found.append((yield from converted(child)))
            return FlatMap(found) if name == b"map" else SetReply(found)
    elements: list[Reply] = []
    while (child := fields.get(len(elements) + 1)) is not None:
        elements.append((yield from converted(child)))
    return elements


def _special_to_reply(fields: dict[Value, Value], on_error: OnError) -> Reply:
    """The reply that a field's name asks for, or None."""
    error = fields.get(b"err")
    if isinstance(error, bytes):
        reply = ReplyError(c_string(error).rstrip(b"\r\n"))
        on_error(reply, fields.get(b"ignore_error_stats_update") is True)
        return reply
    status = fields.get(b"ok")
    if isinstance(status, bytes):
        return to_status(status)
    double = fields.get(b"double")
    if isinstance(double, (int, float)) and not isinstance(double, bool):
        return float(double)
    big = fields.get(b"big_number")
    if isinstance(big, bytes):
        return BigText(_one_line(big))
    verbatim: Value = fields.get(b"verbatim_string")
    if is_table(verbatim):
        inside = dict(verbatim.items())
        text, form = inside.get(b"string"), inside.get(b"format")
        if isinstance(text, bytes) and isinstance(form, bytes):
            return FormattedText(text, form)
    return None


def to_status(text: bytes) -> SimpleString:
    """The status reply of this text."""
    return OK if text == OK else SimpleString(_one_line(c_string(text)))


def c_string(text: bytes) -> bytes:
    """What is left of a text where it passes through C: it ends at a zero byte."""
    return text.partition(b"\0")[0]


def _one_line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")
