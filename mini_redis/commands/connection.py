"""The connection group: who the client is, how it speaks, which database it means. CLIENT has a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mini_redis.commands.generic import database_at
from mini_redis.commands.module import MODULES, loaded_module
from mini_redis.commands.registry import ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE, command
from mini_redis.resp.reply import (
    OK,
    PONG,
    RESET,
    SYNTAX_ERROR,
    WRONG_PASS,
    Reply,
    ReplyError,
    wrong_arity,
)
from mini_redis.server.version import REDIS_VERSION
from mini_redis.structures.numbers import parse_integer

if TYPE_CHECKING:
    from mini_redis.server.context import Context

NO_PASSWORD_SET = ReplyError(
    b"ERR AUTH <password> called without any password configured for the default user."
    b" Are you sure your configuration is correct?"
)
HELLO_NEEDS_AUTH = ReplyError(
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass>"
    b" option can be used to authenticate the client and select the RESP protocol version at the same time"
)


@command(
    "AUTH [username@6.0.0] password",
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    acl="connection",
    since="1.0.0",
    complexity="O(N) where N is the number of passwords defined for the user",
)
def auth(ctx: Context, argv: list[bytes]) -> Reply:
    """Say who you are: the default user's password, or a user name and a password."""
    if len(argv) > 3:
        raise SYNTAX_ERROR
    if len(argv) == 2:
        if ctx.server.access.users.default.no_password:
            raise NO_PASSWORD_SET
        username, password = b"default", argv[1]
    else:
        username, password = argv[1], argv[2]

    if not ctx.server.access.log_in(ctx.client, argv, username, password):
        raise WRONG_PASS
    return OK


@command(
    "HELLO [arguments:(protover [AUTH username password] [SETNAME clientname])]",
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    acl="connection",
    since="6.0.0",
    complexity="O(1)",
)
def hello(ctx: Context, argv: list[bytes]) -> Reply:
    """Choose the protocol, and optionally log in and name the connection; answers who the server is."""
    client = ctx.client
    protocol = client.resp
    if len(argv) > 1:
        version = parse_integer(argv[1])
        if version is None:
            raise ReplyError(b"ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise ReplyError(b"NOPROTO unsupported protocol version")
        protocol = version
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    at = 2
    while at < len(argv):
        option, more = argv[at].upper(), len(argv) - at - 1
        if option == b"AUTH" and more >= 2:
            credentials = argv[at + 1], argv[at + 2]
            at += 3
        elif option == b"SETNAME" and more >= 1:
            name = valid_name(argv[at + 1], CLIENT_NAMES)
            at += 2
        else:
            raise ReplyError(b"ERR Syntax error in HELLO option '%b'" % argv[at])

    if credentials and not ctx.server.access.log_in(client, argv, *credentials):
        raise WRONG_PASS
    if not client.authenticated:
        raise HELLO_NEEDS_AUTH

    if name is not None:
        client.name = name
    client.resp = protocol
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": protocol,
        b"id": client.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [loaded_module(name) for name in MODULES],
    }


@command(
    "PING [message]",
    flags=FAST,
    acl="connection",
    since="1.0.0",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:all_succeeded",
)
def ping(ctx: Context, argv: list[bytes]) -> Reply:
    """Answer PONG, or the message, to show that the server is alive and how long a round trip takes."""
    if len(argv) > 2:
        raise wrong_arity(b"ping")
    if ctx.client.subscriptions and ctx.client.resp == 2:  # what comes without being asked is an array there
        return [b"pong", *argv[1:]] if len(argv) > 1 else [b"pong", b""]
    return PONG if len(argv) == 1 else argv[1]


@command("ECHO message", flags=LOADING | STALE | FAST, acl="connection", since="1.0.0", complexity="O(1)")
def echo(ctx: Context, argv: list[bytes]) -> Reply:
    """Answer the message."""
    return argv[1]


@command("SELECT index", flags=LOADING | STALE | FAST, acl="connection", since="1.0.0", complexity="O(1)")
def select(ctx: Context, argv: list[bytes]) -> Reply:
    """Make another database this connection's current one."""
    ctx.db = database_at(ctx, argv[1])
    return OK


@command(
    "QUIT",
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    acl="connection",
    since="1.0.0",
    complexity="O(1)",
    arity=-1,
    deprecated_since="7.2.0",
    replaced_by="just closing the connection",
)
def quit_(ctx: Context, argv: list[bytes]) -> Reply:
    """Close the connection once everything has been answered."""
    ctx.server.close(ctx.client, flush=True)
    return OK


@command(
    "RESET",
    flags=NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
    acl="connection",
    since="6.2.0",
    complexity="O(1)",
)
def reset(ctx: Context, argv: list[bytes]) -> Reply:
    """Make the connection as good as new: no transaction, no name, RESP2, database 0, logged out."""
    client, server = ctx.client, ctx.server
    server.release_transaction(client)
    server.pubsub.forget(client)
    if client.monitoring:
        server.observation.end(client)
    server.tracking.end(client)
    ctx.db = server.keyspace.databases[0]
    client.resp = 2
    client.name = b""
    if client.reply_mode != SKIPS_THIS_REPLY:  # CLIENT REPLY SKIP just before skips RESET's reply as any other
        client.reply_mode = 0
    client.no_evict = client.no_touch = False
    client.settle()
    server.access.welcome(client)
    return RESET


CLIENT_NAMES = b"Client names"
SKIPS_THIS_REPLY = 3  # REPLY_SKIP of server/client.py


def up_to_nul(text: bytes) -> bytes:
    """What C sees of a text."""
    return text.partition(b"\0")[0]


def valid_name(name: bytes, what: bytes) -> bytes:
    """A name that can stand in a line of CLIENT LIST. Raises ReplyError otherwise.

    Redis checks it, and prints it there, up to the first zero byte; CLIENT GETNAME tells the whole of it.
    """
    if any(not 33 <= char <= 126 for char in up_to_nul(name)):
        raise ReplyError(b"ERR %b cannot contain spaces, newlines or special characters." % what)
    return name
