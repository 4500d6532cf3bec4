"""Modules: what is there beside the core. Redis 8 has one built in, the vector sets, and so have we.

Modules of others are shared objects that Redis loads into itself; a server in Python loads none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.commands.registry import ADMIN, LOADING, NOSCRIPT, STALE, command, container, help_reply
from mini_redis.resp.reply import Reply

if TYPE_CHECKING:
    from mini_redis.server.context import Context

MODULES: Final[dict[bytes, int]] = {b"vectorset": 1}
"""Name -> version of what is loaded."""

container("MODULE", "See which modules there are.", since="4.0.0", group="server")


@command(
    "MODULE LIST",
    flags=ADMIN | NOSCRIPT,
    since="4.0.0",
    complexity="O(N) where N is the number of loaded modules.",
    tips="nondeterministic_output_order",
    group="server",
)
def module_list(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell the modules, their versions and where they were loaded from (nowhere, if built in)."""
    return [loaded_module(name) for name in MODULES]


@command("MODULE HELP", flags=LOADING | STALE, since="5.0.0", complexity="O(1)", group="server")
def module_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply("MODULE", "LIST", "    Return a list of loaded modules.")


def loaded_module(name: bytes) -> dict[bytes, Reply]:
    """A module as MODULE LIST and HELLO tell of it."""
    return {b"name": name, b"ver": MODULES[name], b"path": b"", b"args": []}
