"""What a rule can speak of: every command by its full name, and every category as a set of them.

A container and its subcommands are commands of their own, so that a user may have `config|get` without `config|set`.
Who names a container means all that is in it; and a category that has the container has all of it too (`+@slow` allows
ACL, which does nothing but choose, and so also ACL SETUSER). That surprises, and it is what Redis does.

Names are those of the declarations: `rename-command` changes how a command is called, not what rules call it.

Invariants:
1. A category is closed: with a container it holds all its subcommands.
2. Nothing here changes after it was built; sets of names are compared and combined, never iterated.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from mini_redis.commands import COMMANDS
from mini_redis.commands.registry import ACL_CATEGORIES, Command, lookup

Names = frozenset[bytes]
NOTHING: Final[Names] = frozenset()


class Catalogue:
    """The commands of a table, as rules see them."""

    def __init__(self, table: Mapping[bytes, Command]) -> None:
        """O(commands * categories)."""
        self._table = table
        everything: list[bytes] = []
        members: dict[bytes, list[bytes]] = {category.encode(): [] for category in ACL_CATEGORIES}
        self._listed: dict[bytes, list[bytes]] = {category: [] for category in members}
        for top in table.values():
            for each in (top, *top.subcommands.values()):
                everything.append(each.name)
                for category in each.categories:
                    members[category.encode()] += _with_subcommands(each)
                    self._listed[category.encode()].append(each.name)
        self.everything: Names = frozenset(everything)
        self._members = {category: frozenset(names) for category, names in members.items()}

    def find(self, name: bytes) -> Command | None:
        """The command that a rule names, in any case, or None. O(1)."""
        return lookup(name, self._table) if name.count(b"|") < 2 else None

    def members(self, category: bytes) -> Names | None:
        """What `+@category` is about, or None if there is no such category. O(1)."""
        return self._members.get(category.lower())

    def categories(self) -> list[bytes]:
        """In Redis's order."""
        return list(self._members)

    def listed(self, category: bytes) -> list[bytes] | None:
        """The commands that say of themselves that they belong to a category: what ACL CAT answers."""
        return self._listed.get(category.lower())


def _with_subcommands(command: Command) -> list[bytes]:
    return [command.name, *(each.name for each in command.subcommands.values())]


def meant_by(command: Command) -> Names:
    """What `+command` is about: itself, and of a container everything in it."""
    return frozenset(_with_subcommands(command))


@cache
def catalogue() -> Catalogue:
    """That of the declared commands, built when first asked for."""
    return Catalogue(COMMANDS)
