"""hints.toml: what a grammar cannot tell.

COMMAND DOCS says that an argument is a string; that it is the id of a stream's entry, or a bound of a range of scores,
is data here, and so is what is never generated and why.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .endpoints import EndpointError
from .grammar import Argument, Command


@dataclass(frozen=True)
class Form:
    """One sensible way to use a command: arguments taken, left out, given once, and values that fit together.

    `always`, `never` and `once` are names of arguments; `pools` has values by name of argument.
    """

    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    once: frozenset[str] = frozenset()
    pools: dict[str, list[str]] = field(default_factory=dict)


FREE = Form()


@dataclass
class Hints:
    """The file's tables."""

    data: dict[str, Any]

    def share(self, name: str) -> float:
        return float(self.data["share"][name])

    def weight(self, command: Command) -> float:
        return float(self.data["weights"].get(command.name, 1))

    def excluded(self, command: Command) -> str:
        """Why the command is never generated; empty if it is. A container's reason is its subcommands'."""
        table: dict[str, str] = self.data["excluded"]
        container = command.words[0].decode()
        reason = table.get(command.name, "")
        if not reason and len(command.words) > 1 and container != "COMMAND":
            reason = table.get(container, "")
        groups: dict[str, str] = self.data["excluded_groups"]
        return reason or groups.get(command.group, "")

    def never_taken(self, command: str) -> set[bytes]:
        table = self.data["tokens"]
        return {token.encode() for token in [*table.get("*", []), *table.get(command, [])]}

    def unsteady(self, directives: list[str]) -> set[bytes]:
        """Commands and tokens whose replies would hang on chance once these directives are set."""
        table: dict[str, list[str]] = self.data["unsteady"]
        return {word.encode() for name in directives for word in table.get(name, ())}

    def forms(self, command: str) -> list[Form]:
        return _forms(command)

    def strict(self, command: str) -> bool:
        """Whether the command is sent only as its forms say, and never broken on purpose."""
        return command in self.data["strict"]

    def rule(self, command: str, words: list[bytes]) -> str | None:
        """The comparison rule of a generated command, where it is not the usual one."""
        said = {word.upper() for word in words}
        table: dict[str, str] = self.data["rules"].get(command, {})
        return next((rule for token, rule in table.items() if not token or token.encode() in said), None)

    def pool(self, command: Command, argument: Argument) -> dict[str, list[str]] | None:
        """The values for an argument: by command and name, by group and name, by name, by type."""
        own: dict[str, list[str]] | None = self.data["command"].get(command.name, {}).get(argument.name)
        if own is not None or argument.kind == "key":
            return own
        for table in (self.data["group"].get(command.group, {}), self.data["name"]):
            named: dict[str, list[str]] | None = table.get(argument.name)
            if named is not None:
                return named
        typed: dict[str, list[str]] = self.data["type"].get(argument.kind, self.data["type"]["string"])
        return typed


@cache
def load_hints() -> Hints:
    return Hints(tomllib.loads((Path(__file__).parent / "hints.toml").read_text("utf-8")))


@cache
def _forms(command: str) -> list[Form]:
    return [
        Form(
            frozenset(entry.get("always", ())),
            frozenset(entry.get("never", ())),
            frozenset(entry.get("once", ())),
            entry.get("pools", {}),
        )
        for entry in load_hints().data["forms"].get(command, [])
    ]


def choose_commands(grammar: dict[str, Command], wanted: list[str], known: frozenset[str]) -> list[Command]:
    """Those of the wanted groups or names ("string", "SET", "CLIENT LIST", "all") that the subject knows too."""
    hints = load_hints()
    names = {word.upper() for word in wanted}
    groups = {word.lower() for word in wanted}
    chosen = [
        command
        for name, command in sorted(grammar.items())
        if (name in names or command.group in groups or "all" in groups)
        and not hints.excluded(command)
        and (not known or name in known)
    ]
    if not chosen:
        raise EndpointError(f"no command to generate for {', '.join(wanted)}")
    return chosen
