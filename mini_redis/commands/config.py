"""CONFIG: reading and changing the configuration of a running server.

The handlers only translate; what can be configured and which values are right is said by the table in
`mini_redis/server/config_table.py`, and the rules of setting several at once by `Config.set_many`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mini_redis.commands.registry import ADMIN, LOADING, NOSCRIPT, STALE, command, container, help_reply
from mini_redis.resp.reply import OK, Reply, ReplyError

if TYPE_CHECKING:
    from mini_redis.server.context import Context
    from mini_redis.server.node import Server

_THIS_MACHINE: Final = ("127.", "[::1]:", "/")

container("CONFIG", "Read and change the configuration of the running server.", since="2.0.0", group="server")


@command(
    "CONFIG GET parameter ...",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
)
def config_get(ctx: Context, argv: list[bytes]) -> Reply:
    """Answer the parameters whose names match any of the patterns, with their values.

    A map of texts; O(patterns * parameters). Hidden parameters answer to their exact name alone.
    """
    return ctx.server.config.get(argv[2:])


@command(
    "CONFIG SET data:(parameter value) ...",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(N) when N is the number of configuration parameters provided",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def config_set(ctx: Context, argv: list[bytes]) -> Reply:
    """Change parameters: all of them, or none and an error that names the first that cannot be."""
    ctx.server.config.set_many(argv[2:], local=ctx.client.address.startswith(_THIS_MACHINE))
    return OK


def rewrite_config_file(server: Server, everything: bool = False) -> None:
    """Write the configuration into the file that there was. Raises ReplyError, `ERR` and what the system says."""
    text = server.config.rewritten_file(server.access.users.lines(), everything)
    server.write_file(server.config.path.decode("utf-8", "surrogateescape"), text)


@command(
    "CONFIG REWRITE",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.8.0",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def config_rewrite(ctx: Context, argv: list[bytes]) -> Reply:
    """Write the present configuration into the file the server was started with.

    Comments and order stay; what is not in the file and not at its default is appended. An error without a file.
    """
    server = ctx.server
    if not server.config.path:
        raise ReplyError(b"ERR The server is running without a config file")
    try:
        rewrite_config_file(server)
    except ReplyError as failure:
        reason = failure.text.removeprefix(b"ERR ")
        server.log("#", f"CONFIG REWRITE failed: {reason.decode('utf-8', 'replace')}")
        raise ReplyError(b"ERR Rewriting config file: " + reason) from failure
    server.log("*", "CONFIG REWRITE executed with success.")
    return OK


@command(
    "CONFIG RESETSTAT",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.0.0",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def config_resetstat(ctx: Context, argv: list[bytes]) -> Reply:
    """Set the statistics that INFO shows back to zero."""
    server = ctx.server
    server.stats.reset()
    server.active_expire.reset_statistics()
    server.eviction.reset_statistics()
    server.scripting.evicted = 0
    server.keyspace.graveyard.freed = 0
    server.limits.evicted_clients = 0
    server.keyspace.hits = server.keyspace.misses = server.keyspace.expired_keys = 0
    server.keyspace.expired_fields = 0
    for live in server.command_table:
        live.reset_statistics()
    return OK


@command("CONFIG HELP", flags=LOADING | STALE, since="5.0.0", complexity="O(1)")
def config_help(ctx: Context, argv: list[bytes]) -> Reply:
    """List the subcommands."""
    return help_reply(
        "CONFIG",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    )
