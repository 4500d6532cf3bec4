"""The commands: one module per group; importing this package declares them all.

`registry.py` is the declaration and the lookup, `syntax.py` the notation of arguments, `keyspecs.py` where keys are,
`docs.py` what COMMAND tells of it all. Every other module holds the handlers of the group whose name it bears.
"""

from __future__ import annotations

from mini_redis.commands import (  # importing a module declares its commands
    client,
    command,
    config,
    connection,
    counter,
    debug,
    expire,
    generic,
    lolwut,
    object,
    server,
    string,
    substring,
    transaction,
)
from mini_redis.commands.registry import COMMANDS

__all__ = ["COMMANDS"]
