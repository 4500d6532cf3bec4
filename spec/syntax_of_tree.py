"""The way back from a COMMAND DOCS tree to the syntax line, to prove that the notation can express every command.

Not used by the server: `parse(write_line(tree)) == tree` over all of a real server's commands is what shows that
`commands/syntax.py` lacks nothing.
"""

from __future__ import annotations

import re

from mini_redis.commands.syntax import TYPE_OF_WORD, Argument


def write_line(name: str, arguments: tuple[Argument, ...]) -> str:
    """Write the declaration of a command: `name` is as on the wire (`client|kill`)."""
    following = [0]
    return " ".join([*name.upper().split("|"), *(_write(argument, following) for argument in arguments)])


def _write(argument: Argument, following: list[int]) -> str:
    return f"[{_write_required(argument, following)}]" if argument.optional else _write_required(argument, following)


def _write_required(argument: Argument, following: list[int]) -> str:
    token = _write_token(argument.token) if argument.token is not None else ""
    marks = f"@{argument.since}" if argument.since else ""
    marks += f"@..{argument.deprecated_since}" if argument.deprecated_since else ""
    if argument.type in ("oneof", "block"):
        body = _write_group(argument, token, marks, following)
    elif argument.type == "pure-token":
        assert argument.token is not None and argument.shown == argument.name
        body = (token if argument.token.lower() == argument.name else f"{argument.name}:{token}") + marks
    else:
        body = _write_word(argument, token, marks, following)
    if argument.multiple_token:
        body = f"({body})"
    return body + " ..." if argument.multiple else body


def _write_word(argument: Argument, token: str, marks: str, following: list[int]) -> str:
    body = argument.shown if argument.shown == argument.name else f"{argument.name}:{argument.shown}"
    if TYPE_OF_WORD.get(argument.shown, "string") != argument.type:
        body += f"/{argument.type}"
    if argument.key_spec is not None:
        if argument.type != "key" or argument.key_spec != following[0]:
            body += f"#{argument.key_spec}"
        following[0] = argument.key_spec + 1
    return " ".join(filter(None, [token, body])) + marks


def _write_group(argument: Argument, token: str, marks: str, following: list[int]) -> str:
    parts = [_write(part, following) for part in argument.arguments]
    if argument.type == "oneof":
        # Bars separate already: `(FROMMEMBER member | FROMLONLAT longitude latitude)`.
        parts = [part[1:-1] if part[0] == "(" and part[-1] == ")" else part for part in parts]
    inside = (" | " if argument.type == "oneof" else " ").join(parts)
    token_names_it = argument.token is not None and argument.token.lower() == argument.name
    first = argument.arguments[0]
    leading_word = first.token is None and not first.optional and first.type not in ("oneof", "block")
    if argument.type == "block" and token_names_it and leading_word and len(parts) > 1 and not marks:
        # `[LIMIT offset count]`: the brackets of an optional block stand around it already.
        return f"{token} {inside}" if argument.optional and not argument.multiple else f"({token} {inside})"
    name = "" if token_names_it else f"{argument.name}:"
    return " ".join(filter(None, [token, f"{name}({inside})"])) + marks


def _write_token(token: str) -> str:
    return token if token and token == token.upper() and not re.search(r'[\s()\[\]|@#/":.]', token) else f'"{token}"'


def tree_of_docs(fields: list[object]) -> Argument:
    """The tree of one argument in a RESP2 COMMAND DOCS reply (field, value, field, value, ...; text decoded)."""
    facts = dict(zip(fields[::2], fields[1::2], strict=True))
    flags = facts.get("flags", [])
    return Argument(
        name=facts["name"],
        type=facts["type"],
        shown=facts.get("display_text", ""),
        token=facts.get("token"),
        since=facts.get("since", ""),
        deprecated_since=facts.get("deprecated_since", ""),
        optional="optional" in flags,
        multiple="multiple" in flags,
        multiple_token="multiple_token" in flags,
        key_spec=facts.get("key_spec_index"),
        arguments=tuple(tree_of_docs(part) for part in facts.get("arguments", [])),
    )
