"""The commands: one module per group; importing this package declares them all.

`registry.py` is the declaration and the lookup, `syntax.py` the notation of arguments, `keyspecs.py` where keys are,
`docs.py` what COMMAND tells of it all. Every other module holds the handlers of the group whose name it bears.
"""

from __future__ import annotations

from mini_redis.commands import command, counter, expire, generic, string, substring
from mini_redis.commands import object as object_
from mini_redis.commands.registry import COMMANDS

__all__ = ["COMMANDS", "command", "counter", "expire", "generic", "object_", "string", "substring"]
