"""The commands: one module per group; importing this package declares them all.

`registry.py` is the declaration and the lookup, `syntax.py` the notation of arguments, `keyspecs.py` where keys are,
`docs.py` what COMMAND tells of it all. Every other module holds the handlers of the group whose name it bears.
"""

from __future__ import annotations

from mini_redis.commands import (  # importing a module declares its commands
    acl,
    bitmap,
    client,
    client_tracking,
    command,
    config,
    connection,
    counter,
    debug,
    dump,
    expire,
    function,
    generic,
    geo,
    hash,
    hash_expire,
    hyperloglog,
    latency,
    list,
    list_queue,
    lolwut,
    memory,
    module,
    monitor,
    object,
    pubsub,
    scan,
    scripting,
    server,
    set,
    slowlog,
    sort,
    sorted_set,
    sorted_set_algebra,
    sorted_set_range,
    stream,
    stream_group,
    stream_info,
    stream_pending,
    stream_read,
    string,
    substring,
    transaction,
    vector_set,
)
from mini_redis.commands.registry import COMMANDS

__all__ = ["COMMANDS"]
