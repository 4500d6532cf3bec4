"""What the oracle says about its own commands, as trees to walk.

COMMAND DOCS is a grammar: every command's arguments as a tree of keys, integers, strings, tokens, one-of, blocks,
optional and repeated parts. Two walks are made over it. generate.py walks down and writes commands; `match` here goes
the other way and says which branches a command vector took, whoever wrote it, so that curated and generated streams
are measured by the same rule.

A branch is one of

    /condition/nx           this argument, token or alternative was there
    /condition (absent)     this optional argument was left out
    /key (repeated)         this repeatable argument was there more than once
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .endpoints import Endpoint, EndpointError
from .wire import Reply

ABSENT, REPEATED = " (absent)", " (repeated)"
COUNTS = ("numkeys", "numfields", "numids")
# How many nodes `match` visits before it gives up on a vector that fits nothing.
PATIENCE = 20_000

_INTEGER = re.compile(rb"[+-]?\d+$")


@dataclass(frozen=True)
class Argument:
    """A node of a command's grammar. `path` names it within its command, for coverage."""

    name: str
    kind: str
    path: str
    token: bytes | None = None
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    children: tuple[Argument, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command or subcommand as documented: `words` is how it begins."""

    name: str
    words: tuple[bytes, ...]
    group: str
    arguments: tuple[Argument, ...]

    def branches(self) -> list[str]:
        """Every branch of the tree, in the order of the documentation."""

        def walk(arguments: tuple[Argument, ...]) -> Iterator[str]:
            for argument in arguments:
                yield argument.path
                if argument.optional:
                    yield argument.path + ABSENT
                if argument.multiple:
                    yield argument.path + REPEATED
                yield from walk(argument.children)

        return list(dict.fromkeys(walk(self.arguments)))


def read_grammar(oracle: Endpoint) -> dict[str, Command]:
    """Every documented command and subcommand by name. EndpointError when the oracle has no COMMAND DOCS."""
    connection = oracle.connect()
    try:
        reply = connection.call(b"COMMAND", b"DOCS")
    finally:
        connection.close()
    if reply.is_error:
        raise EndpointError(f"{oracle.title} has no COMMAND DOCS to generate from: {reply.text.decode()}")
    commands: dict[str, Command] = {}
    for name, entry in _items(reply):
        _add_command(commands, name.upper().decode(), entry)
    return commands


def _add_command(commands: dict[str, Command], name: str, entry: Reply) -> None:
    facts = dict(_items(entry))
    if b"subcommands" in facts:
        for full_name, sub in _items(facts[b"subcommands"]):
            _add_command(commands, full_name.upper().decode().replace("|", " "), sub)
        if name != "COMMAND":
            return
    arguments = tuple(_argument(child, "") for child in facts[b"arguments"].children) if b"arguments" in facts else ()
    group = facts[b"group"].text.decode()
    commands[name] = Command(name, tuple(name.encode().split()), group, arguments)


def _argument(reply: Reply, above: str) -> Argument:
    facts = dict(_items(reply))
    name = facts[b"name"].text.decode()
    path = f"{above}/{name}"
    flags = {flag.text for flag in facts[b"flags"].children} if b"flags" in facts else set()
    return Argument(
        name,
        facts[b"type"].text.decode(),
        path,
        facts[b"token"].text if b"token" in facts else None,
        b"optional" in flags,
        b"multiple" in flags,
        b"multiple_token" in flags,
        tuple(_argument(child, path) for child in facts[b"arguments"].children) if b"arguments" in facts else (),
    )


def _items(reply: Reply) -> Iterator[tuple[bytes, Reply]]:
    children = reply.children
    for key, value in zip(children[::2], children[1::2], strict=True):
        yield key.text, value


# ---- from words back to branches ---------------------------------------------------------------------------------


def match(command: Command, words: tuple[bytes, ...]) -> frozenset[str] | None:
    """The branches that the words behind the command's name take; None when they are not a sentence of the grammar.

    Optional arguments that stand side by side may come in any order, as servers take them. Where several readings
    are possible the one that reads a word as a token rather than as a value wins.
    """
    matcher = _Matcher(words)
    for end, taken in matcher.siblings(command.arguments, 0, None):
        if end == len(words):
            return frozenset(taken)
        if matcher.visits > PATIENCE:
            break
    return None


Taken = tuple[str, ...]


@dataclass
class _Matcher:
    """Backtracking over the tree. `told`: the value of the last numkeys (numfields, numids), for what follows it."""

    words: tuple[bytes, ...]
    visits: int = 0

    def siblings(self, arguments: tuple[Argument, ...], at: int, told: int | None) -> Iterator[tuple[int, Taken]]:
        self.visits += 1
        if self.visits > PATIENCE:
            return
        if not arguments:
            yield at, ()
            return
        run = 0
        while run < len(arguments) and arguments[run].optional:
            run += 1
        # A run of optional arguments: any of them may be next, then the others.
        for n in range(run):
            others = (*arguments[:n], *arguments[n + 1 :])
            for end, taken, _ in self._present(arguments[n], at, told):
                if end > at:
                    for last, rest in self.siblings(others, end, told):
                        yield last, taken + rest
        if run:
            absent = tuple(argument.path + ABSENT for argument in arguments[:run])
            for end, taken in self.siblings(arguments[run:], at, told):
                yield end, absent + taken
            return
        first = arguments[0]
        for end, taken, repeats in self._present(first, at, told):
            counted = told
            if first.name in COUNTS and first.token is None:
                word = self.words[end - 1]
                if b"${" in word:  # a moment where a number of keys belongs: whatever that is, it is not so many
                    continue
                counted = int(word)
            elif first.multiple:
                # Streams, then as many ids; but arguments after counted keys are free.
                counted = repeats if told is None else None
            for last, rest in self.siblings(arguments[1:], end, counted):
                yield last, taken + rest

    def _present(self, argument: Argument, at: int, told: int | None) -> Iterator[tuple[int, Taken, int]]:
        """The argument once, or as often as it may be, shortest readings first: what can be a token is none of it."""
        if argument.token is not None and argument.kind != "pure-token":
            if not self._is(at, argument.token):
                return
            at += 1
        if not argument.multiple:
            for end, taken in self._once(argument, at):
                yield end, (argument.path, *taken), 1
            return
        exactly = told if told is not None and argument.token is None else None
        for repeats, end, taken in self._many(argument, at, exactly):
            if exactly is None or repeats == exactly:
                again = (argument.path + REPEATED,) if repeats > 1 else ()
                yield end, (argument.path, *again, *taken), repeats

    def _many(self, argument: Argument, at: int, most: int | None) -> Iterator[tuple[int, int, Taken]]:
        if most is not None and most <= 0:
            return
        for end, taken in self._once(argument, at):
            yield 1, end, taken
            onward = end
            if argument.multiple_token and argument.token is not None:
                onward = end + 1 if self._is(end, argument.token) else -1
            if onward >= 0 and end > at and self.visits < PATIENCE:
                for repeats, last, rest in self._many(argument, onward, None if most is None else most - 1):
                    yield repeats + 1, last, taken + rest

    def _once(self, argument: Argument, at: int) -> Iterator[tuple[int, Taken]]:
        self.visits += 1
        match argument.kind:
            case "pure-token":
                if argument.token is not None and self._is(at, argument.token):
                    yield at + 1, ()
            case "oneof":
                tokens_first = sorted(argument.children, key=lambda child: child.token is None)
                for child in tokens_first:
                    for end, taken, _ in self._present(child, at, None):
                        yield end, taken
            case "block":
                yield from self.siblings(argument.children, at, None)
            case kind:
                if at < len(self.words) and _fits(kind, self.words[at]):
                    yield at + 1, ()

    def _is(self, at: int, token: bytes) -> bool:
        return at < len(self.words) and self.words[at].upper() == token.upper()


def _fits(kind: str, word: bytes) -> bool:
    if kind in ("integer", "unix-time"):
        return bool(_INTEGER.match(word)) or word.startswith(b"${")
    if kind == "double":
        try:
            float(word)
        except ValueError:
            return False
    return True
