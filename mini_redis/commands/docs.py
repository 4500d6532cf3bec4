"""What COMMAND tells about a command, made from its declaration.

Two descriptions exist because clients grew up with the first. COMMAND INFO is positional: ten elements whose meaning is
their place, older clients read the first six. COMMAND DOCS is a map with the argument tree. Unordered things are sets
for RESP3 clients and arrays for others; the encoder sees to that.

Nothing is kept: a reply is built when somebody asks, since redis-cli asks once per session and others never.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mini_redis.commands.keyspecs import KeySpec, key_flag_names
from mini_redis.commands.registry import FLAG_NAMES, Command
from mini_redis.commands.syntax import Argument
from mini_redis.resp.reply import Reply, SetReply, SimpleString


def describe_info(command: Command) -> list[Reply]:
    """The ten elements of COMMAND INFO, subcommands nested in the last."""
    subcommands: list[Reply] = [describe_info(subcommand) for subcommand in command.subcommands.values()]
    return [
        command.name,
        command.arity,
        _words(name for flag, name in FLAG_NAMES.items() if command.flags & flag),
        *command.legacy_range,
        _words("@" + category for category in command.categories),
        SetReply(tip.encode() for tip in command.tips),
        SetReply(_key_spec(spec) for spec in command.key_specs),
        # An oddity of Redis: an array, but the empty one is an empty set.
        subcommands or SetReply(),
    ]


def describe_docs(command: Command) -> dict[bytes, Reply]:
    """The map of COMMAND DOCS, subcommands nested; what a command does not have is left out."""
    if command.module:
        return {b"group": command.group.encode(), b"module": command.module.encode()}
    docs: dict[bytes, Reply] = {
        b"summary": command.summary.encode(),
        b"since": command.since.encode(),
        b"group": command.group.encode(),
    }
    if command.complexity:
        docs[b"complexity"] = command.complexity.encode()
    if command.doc_flags:
        docs[b"doc_flags"] = _words(command.doc_flags)
    if command.deprecated_since:
        docs[b"deprecated_since"] = command.deprecated_since.encode()
        docs[b"replaced_by"] = command.replaced_by.encode()
    if command.history:
        docs[b"history"] = SetReply([version.encode(), change.encode()] for version, change in command.history)
    if command.arguments:
        docs[b"arguments"] = [_argument(argument) for argument in command.arguments]
    if command.subcommands:
        docs[b"subcommands"] = describe_all(command.subcommands.values())
    return docs


def describe_all(commands: Iterable[Command]) -> dict[bytes, Reply]:
    """COMMAND DOCS of several commands, by full name; one that is asked for twice is there twice."""
    return {RepeatableName(command.name): describe_docs(command) for command in commands}


class RepeatableName(bytes):
    """A map's key that equals no other: `COMMAND DOCS get get` answers a map with a repeated key."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def key_flag_words(flags: int) -> SetReply:
    """Key flags as COMMAND GETKEYSANDFLAGS and the key specifications show them."""
    return _words(key_flag_names(flags))


def _argument(argument: Argument) -> dict[bytes, Reply]:
    docs: dict[bytes, Reply] = {b"name": argument.name.encode(), b"type": argument.type.encode()}
    if argument.shown:
        docs[b"display_text"] = argument.shown.encode()
    if argument.key_spec is not None:
        docs[b"key_spec_index"] = argument.key_spec
    if argument.token is not None:
        docs[b"token"] = argument.token.encode()
    if argument.since:
        docs[b"since"] = argument.since.encode()
    if argument.deprecated_since:
        docs[b"deprecated_since"] = argument.deprecated_since.encode()
    named_flags = {
        "optional": argument.optional,
        "multiple": argument.multiple,
        "multiple_token": argument.multiple_token,
    }
    if any(named_flags.values()):
        docs[b"flags"] = _words(name for name, holds in named_flags.items() if holds)
    if argument.arguments:
        docs[b"arguments"] = [_argument(part) for part in argument.arguments]
    return docs


def _key_spec(spec: KeySpec) -> dict[bytes, Reply]:
    docs: dict[bytes, Reply] = {b"notes": spec.notes.encode()} if spec.notes else {}
    docs[b"flags"] = key_flag_words(spec.flags)
    match spec.begin:
        case None:
            begin = _step(b"unknown", {})
        case int():
            begin = _step(b"index", {b"index": spec.begin})
        case word:
            begin = _step(b"keyword", {b"keyword": word.encode(), b"startfrom": spec.start})
    if spec.begin is None:
        find = _step(b"unknown", {})
    elif spec.counted:
        find = _step(b"keynum", {b"keynumidx": 0, b"firstkey": 1, b"keystep": spec.step})
    else:
        find = _step(b"range", {b"lastkey": spec.last, b"keystep": spec.step, b"limit": spec.limit})
    docs[b"begin_search"] = begin
    docs[b"find_keys"] = find
    return docs


def _step(kind: bytes, spec: Mapping[bytes, Reply]) -> dict[bytes, Reply]:
    return {b"type": kind, b"spec": dict(spec)}


def _words(words: Iterable[str]) -> SetReply:
    """A set of status words."""
    return SetReply(SimpleString(word.encode()) for word in words)
