"""The language of VSIM's FILTER: `.year > 1980 and .genre in ["drama", "noir"]`, asked of an element's JSON attributes.

Question it answers: how does a search take a condition from a client, without running the client's code?

    value      5   -1.5   "text"   'text'   null   [1, "a"]   .name (the attribute of that name)
    operators  by rising rank:  or ||   and &&   == != > < >= <= in   + -   * / %   **   not !
    grouping   ( )

All binary operators group from the left, but for `**`. Nothing is evaluated early: every part has a value, and an
expression that names an attribute which is not there is false as a whole, whatever else it says.

The expression is compiled once, by operator precedence (the shunting yard), to postfix order, and run for each element:

    .x + 1 == 3     ->     .x 1 + 3 ==

**What is true**: numbers but 0, texts but the empty one, every list; null is not. **Numbers and texts** mix: a text
is the number that it begins with, or 0. `in` looks for an equal member of a list, or for a part of a text.

The reader of attributes is as tolerant as Redis's: it looks for the name among the fields of the outermost object and
stops there, so that what follows may be broken. Texts, numbers, true (1), false (0), null and lists of these have a
value; objects have none. Verified against Redis 8.2.3."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Value: TypeAlias = "float | str | list[Value] | None"


class FilterError(ValueError):
    """The expression is none; the argument is what stands where it fails."""


class _Missing(Exception):
    """There is no such attribute."""


@dataclass(frozen=True, slots=True)
class _Attribute:
    name: str


@dataclass(frozen=True, slots=True)
class _Operator:
    rank: int
    arity: int
    apply: Callable[..., Value]


def _number(value: Value) -> float:
    if isinstance(value, float):
        return value
    found = _NUMBER_AT_START(value) if isinstance(value, str) else None
    return float(found[0]) if found else 0.0


def _truth(value: Value) -> bool:
    return value != 0 if isinstance(value, float) else value != "" and value is not None


def _equal(a: Value, b: Value) -> bool:
    if a is None or b is None or isinstance(a, list) or isinstance(b, list):
        return a is None and b is None
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return _number(a) == _number(b)


def _within(needle: Value, place: Value) -> bool:
    if isinstance(place, list):
        return any(_equal(needle, member) for member in place)
    return isinstance(place, str) and isinstance(needle, str) and needle in place


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def _remainder(a: float, b: float) -> float:
    return math.fmod(a, b) if b and not math.isinf(a) else math.nan


def _on_numbers(compute: Callable[[float, float], float]) -> Callable[[Value, Value], Value]:
    return lambda a, b: float(compute(_number(a), _number(b)))


_OPERATORS: Final[dict[str, _Operator]] = {
    "or": _Operator(0, 2, lambda a, b: float(_truth(a) or _truth(b))),
    "and": _Operator(1, 2, lambda a, b: float(_truth(a) and _truth(b))),
    "==": _Operator(2, 2, lambda a, b: float(_equal(a, b))),
    "!=": _Operator(2, 2, lambda a, b: float(not _equal(a, b))),
    ">": _Operator(2, 2, _on_numbers(lambda a, b: a > b)),
    "<": _Operator(2, 2, _on_numbers(lambda a, b: a < b)),
    ">=": _Operator(2, 2, _on_numbers(lambda a, b: a >= b)),
    "<=": _Operator(2, 2, _on_numbers(lambda a, b: a <= b)),
    "in": _Operator(2, 2, lambda a, b: float(_within(a, b))),
    "+": _Operator(3, 2, _on_numbers(lambda a, b: a + b)),
    "-": _Operator(3, 2, _on_numbers(lambda a, b: a - b)),
    "*": _Operator(4, 2, _on_numbers(lambda a, b: a * b)),
    "/": _Operator(4, 2, _on_numbers(_divide)),
    "%": _Operator(4, 2, _on_numbers(_remainder)),
    "**": _Operator(5, 2, _on_numbers(_power)),
    "not": _Operator(6, 1, lambda a: float(not _truth(a))),
}
_OPERATORS.update({"||": _OPERATORS["or"], "&&": _OPERATORS["and"], "!": _OPERATORS["not"]})
_RIGHT_TO_LEFT: Final = _OPERATORS["**"]

_SPACE: Final = re.compile(r"\s*").match
_RUN: Final = re.compile(r"[A-Za-z+*%/!()<>=|&-]+").match
"""Operators may follow each other without a space; the longest that fits is taken."""
_LONGEST_OPERATOR: Final = max(map(len, _OPERATORS))
_NUMBER: Final = re.compile(r"-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?").match
_NUMBER_AT_START: Final = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").match
_ATTRIBUTE: Final = re.compile(r"\.[A-Za-z0-9_-]*").match
_TEXT: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL).match

_Token: TypeAlias = "_Operator | _Attribute | tuple[Value] | str"
"""An operator, an attribute, a value in a tuple of one, or a parenthesis."""


class Filter:
    """A compiled expression. Raises FilterError. O(length)."""

    def __init__(self, text: str) -> None:
        self._postfix = _postfix(text)

    def accepts(self, attributes: str) -> bool:
        """Whether the expression is true of these attributes. O(expression + attributes)."""
        stack: list[Value] = []
        try:
            for part in self._postfix:
                if isinstance(part, _Operator):
                    operands = stack[-part.arity :]
                    del stack[-part.arity :]
                    stack.append(part.apply(*operands))
                else:
                    stack.append(_attribute(attributes, part.name) if isinstance(part, _Attribute) else part[0])
        except _Missing:
            return False
        return _truth(stack[0])


def _postfix(text: str) -> list[_Operator | _Attribute | tuple[Value]]:
    output: list[_Operator | _Attribute | tuple[Value]] = []
    waiting: list[_Operator | str] = []
    depth = 0  # how many values stand on the stack once what is in `output` has run

    def emit(operator: _Operator | str) -> None:
        nonlocal depth
        if isinstance(operator, str) or depth < operator.arity:
            raise FilterError(text)
        depth += 1 - operator.arity
        output.append(operator)

    for token in _tokens(text):
        if token == "(":
            waiting.append("(")
        elif token == ")":
            while waiting and waiting[-1] != "(":
                emit(waiting.pop())
            if not waiting:
                raise FilterError(text)
            waiting.pop()
        elif isinstance(token, _Operator):
            while waiting and isinstance(top := waiting[-1], _Operator):
                if top.rank < token.rank or (top.rank == token.rank and token is _RIGHT_TO_LEFT):
                    break
                emit(top)
                waiting.pop()
            waiting.append(token)
        else:
            assert not isinstance(token, str)
            output.append(token)
            depth += 1
    while waiting:
        emit(waiting.pop())
    if depth != 1:
        raise FilterError(text)
    return output


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = _end(_SPACE(text, 0), 0)
    while at < len(text):
        token, at = _token(text, at, follows_value=bool(tokens) and _is_value(tokens[-1]))
        tokens.append(token)
        at = _end(_SPACE(text, at), at)
    return tokens


def _is_value(token: _Token) -> bool:
    return isinstance(token, (_Attribute, tuple)) or token == ")"


def _token(text: str, at: int, *, follows_value: bool) -> tuple[_Token, int]:
    """The token at `at` and where the next may begin."""
    character = text[at]
    if character in "()":
        return character, at + 1
    if character == "." and (found := _ATTRIBUTE(text, at)):
        return _Attribute(found[0][1:]), found.end()
    if character.isdecimal() or (character == "-" and not follows_value and text[at + 1 : at + 2].isdecimal()):
        return _literal(text, at)
    if character in "\"'[":
        return _literal(text, at)
    run = _RUN(text, at)
    if run is None:
        raise FilterError(text[at:])
    for size in range(min(len(run[0]), _LONGEST_OPERATOR), 0, -1):
        if (word := text[at : at + size]) in _OPERATORS:
            return _OPERATORS[word], at + size
    if run[0] == "null":
        return (None,), at + 4
    raise FilterError(text[run.end() :] or text)


def _literal(text: str, at: int) -> tuple[tuple[Value], int]:
    """A number, a text or a list of such."""
    if text[at : at + 1] == "[":
        return _list(text, at)
    if found := _NUMBER(text, at):
        try:
            return (float(found[0]),), found.end()
        except ValueError:
            raise FilterError(text[at:]) from None
    if found := _TEXT(text, at):
        return (found[1] if found[1] is not None else found[2],), found.end()
    if text.startswith("null", at):
        return (None,), at + 4
    raise FilterError(text[at:] or text)


def _list(text: str, start: int) -> tuple[tuple[Value], int]:
    members: list[Value] = []
    at = _end(_SPACE(text, start + 1), start + 1)
    if text[at : at + 1] == "]":
        return (members,), at + 1
    while True:
        if text.startswith(("\"", "'"), at) and not _TEXT(text, at):
            raise FilterError(text[start:])
        (member,), at = _literal(text, at)
        members.append(member)
        at = _end(_SPACE(text, at), at)
        following = text[at : at + 1]
        if following == "]":
            return (members,), at + 1
        if following != ",":
            raise FilterError(text[at:] or text)
        at = _end(_SPACE(text, at + 1), at + 1)


def _end(found: re.Match[str] | None, otherwise: int) -> int:
    return found.end() if found else otherwise


# --- Attributes ------------------------------------------------------------------------------------------------------

_decode = json.JSONDecoder().raw_decode
_JSON_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?").match


def _attribute(text: str, name: str) -> Value:
    """The value of the first field called `name`. Raises _Missing."""
    at = _end(_SPACE(text, 0), 0)
    if text[at : at + 1] != "{":
        raise _Missing
    at += 1
    while True:
        at = _end(_SPACE(text, at), at)
        key, at = _json(text, at)
        at = _end(_SPACE(text, at), at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            raise _Missing
        value, at = _json(text, _end(_SPACE(text, at + 1), at + 1))
        if key == name:
            return _value(value)
        at = _end(_SPACE(text, at), at)
        if text[at : at + 1] != ",":
            raise _Missing
        at += 1


def _json(text: str, at: int) -> tuple[object, int]:
    """The JSON value at `at`, and where it ends. Numbers are read as C reads them: 05 and +5 are numbers."""
    try:
        if found := _JSON_NUMBER(text, at):
            return float(found[0]), found.end()
        return _decode(text, at)
    except ValueError:
        raise _Missing from None


def _value(found: object) -> Value:
    if isinstance(found, (bool, int, float)):
        return float(found)
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, list):
        return [_value(member) for member in found]
    raise _Missing
