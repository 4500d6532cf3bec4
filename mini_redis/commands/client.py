"""CLIENT: what the server knows of its connections, and what can be done to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mini_redis.commands.arguments import integer
from mini_redis.commands.blocking import blocking_timeout_ms
from mini_redis.commands.connection import CLIENT_NAMES, up_to_nul, valid_name
from mini_redis.commands.registry import (
    ADMIN,
    LOADING,
    NOSCRIPT,
    STALE,
    command,
    container,
    help_reply,
    wrong_subcommand,
)
from mini_redis.resp.parser import encode_request
from mini_redis.resp.reply import NO_REPLY, OK, SYNTAX_ERROR, Reply, ReplyError, Verbatim
from mini_redis.structures.numbers import parse_integer

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.context import Context

Condition: TypeAlias = "Callable[[Client], bool]"

NO_SUCH_CLIENT = ReplyError(b"ERR No such client")
BAD_REASON = ReplyError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
UNBLOCKED = ReplyError(b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
INVALID_CLIENT_ID = ReplyError(b"ERR Invalid client ID")
KINDS = {word: word for word in (b"normal", b"replica", b"pubsub", b"master")} | {b"slave": b"replica"}
REPLY_MODES = {b"ON": 0, b"OFF": 1, b"SKIP": 2}  # REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT of server/client.py

container("CLIENT", "Look at the server's connections, and steer this one.", since="2.4.0", group="connection")


# --- About this connection --------------------------------------------------------------------------------------------


@command("CLIENT ID", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="5.0.0", complexity="O(1)",
         group="connection")  # fmt: skip
def client_id(ctx: Context, argv: list[bytes]) -> Reply:
    """The connection's number: unique, and growing with each connection."""
    return ctx.client.id


@command("CLIENT GETNAME", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="2.6.9", complexity="O(1)",
         group="connection")  # fmt: skip
def client_getname(ctx: Context, argv: list[bytes]) -> Reply:
    """The name given by SETNAME, or null."""
    return ctx.client.name or None


@command(
    "CLIENT SETNAME connection-name",
    flags=NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="2.6.9",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:all_succeeded",
    group="connection",
)
def client_setname(ctx: Context, argv: list[bytes]) -> Reply:
    """Name the connection, for those who read CLIENT LIST; an empty name removes it."""
    ctx.client.name = valid_name(argv[2], CLIENT_NAMES)
    return OK


@command(
    "CLIENT SETINFO attr:(LIB-NAME libname | LIB-VER libver)",
    flags=NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="7.2.0",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:all_succeeded",
    group="connection",
)
def client_setinfo(ctx: Context, argv: list[bytes]) -> Reply:
    """Tell which client library speaks, and its version."""
    attribute = up_to_nul(argv[2])
    match attribute.upper():
        case b"LIB-NAME":
            ctx.client.lib_name = valid_name(argv[3], attribute)
        case b"LIB-VER":
            ctx.client.lib_ver = valid_name(argv[3], attribute)
        case _:
            raise ReplyError(b"ERR Unrecognized option '%b'" % attribute)
    return OK


@command(
    "CLIENT INFO",
    flags=NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="6.2.0",
    complexity="O(1)",
    tips="nondeterministic_output",
    group="connection",
)
def client_info(ctx: Context, argv: list[bytes]) -> Reply:
    """This connection's line of CLIENT LIST."""
    return Verbatim(line_of(ctx, ctx.client, argv))


@command("CLIENT REPLY action:(ON | OFF | SKIP)", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="3.2.0",
         complexity="O(1)", group="connection")  # fmt: skip
def client_reply(ctx: Context, argv: list[bytes]) -> Reply:
    """Answer everything, nothing, or everything but the next command."""
    mode = REPLY_MODES.get(argv[2].upper())
    if mode is None:
        raise SYNTAX_ERROR
    client = ctx.client
    if mode == REPLY_MODES[b"SKIP"] and client.reply_mode == REPLY_MODES[b"OFF"]:
        return NO_REPLY
    client.reply_mode = mode
    return OK


@command("CLIENT NO-EVICT enabled:(ON | OFF)", flags=ADMIN | NOSCRIPT | LOADING | STALE, acl="connection",
         since="7.0.0", complexity="O(1)", group="connection")  # fmt: skip
def client_no_evict(ctx: Context, argv: list[bytes]) -> Reply:
    """Spare this connection when clients are evicted for memory."""
    ctx.client.no_evict = on_or_off(argv[2])
    return OK


@command("CLIENT NO-TOUCH enabled:(ON | OFF)", flags=NOSCRIPT | LOADING | STALE, acl="connection", since="7.2.0",
         complexity="O(1)", group="connection")  # fmt: skip
def client_no_touch(ctx: Context, argv: list[bytes]) -> Reply:
    """Let this connection's commands leave no trace in the access clocks."""
    ctx.client.no_touch = on_or_off(argv[2])
    ctx.client.settle()
    return OK


def on_or_off(word: bytes) -> bool:
    match word.upper():
        case b"ON":
            return True
        case b"OFF":
            return False
    raise SYNTAX_ERROR


# --- About the others -------------------------------------------------------------------------------------------------


@command(
    "CLIENT LIST [TYPE client-type:(NORMAL | MASTER | REPLICA | PUBSUB)@5.0.0] [ID client-id@6.2.0 ...]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    tips="nondeterministic_output",
    group="connection",
)
def client_list(ctx: Context, argv: list[bytes]) -> Reply:
    """One line for each connection, or for those of a type or with these ids."""
    clients = list(ctx.server.clients.values())
    if len(argv) > 2:
        option = argv[2].upper()
        if option == b"TYPE" and len(argv) == 4:
            kind = client_kind(argv[3])
            clients = [client for client in clients if client.kind == kind]
        elif option == b"ID" and len(argv) > 3:
            numbers = [parse_integer(raw) for raw in argv[3:]]
            if None in numbers:
                raise INVALID_CLIENT_ID
            clients = [ctx.server.clients[number] for number in numbers if number in ctx.server.clients]
        else:
            raise SYNTAX_ERROR
    return Verbatim(b"".join(line_of(ctx, client, argv) for client in clients))


@command(
    "CLIENT KILL filter:(old-format:ip:port@..2.8.12 | new-format:([ID client-id@2.8.12] | "
    "[TYPE client-type:(NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB)@2.8.12] | [USER username] | "
    "[ADDR addr:ip:port] | [LADDR laddr:ip:port@6.2.0] | [SKIPME (YES | NO)] | [MAXAGE maxage@7.4.0]) ...)",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    group="connection",
)
def client_kill(ctx: Context, argv: list[bytes]) -> Reply:
    """End connections: the one at an address (old form), or all that meet every condition (new form)."""
    old_form = len(argv) == 3
    skip_me = not old_form
    conditions: list[Condition] = []
    if old_form:
        conditions.append(has_address(argv[2]))
    else:
        skip_me, conditions = parse_kill_conditions(ctx, argv[2:])

    victims = [
        client
        for client in list(ctx.server.clients.values())
        if not (skip_me and client is ctx.client) and all(meets(client) for meets in conditions)
    ]
    if old_form and not victims:
        raise NO_SUCH_CLIENT

    for client in victims:
        ctx.server.close(client, flush=client is ctx.client)
    return OK if old_form else len(victims)


def parse_kill_conditions(ctx: Context, words: list[bytes]) -> tuple[bool, list[Condition]]:
    """SKIPME, and the conditions of CLIENT KILL's new form; of an option that is there twice, the last. ReplyError."""
    if len(words) % 2:
        raise SYNTAX_ERROR
    skip_me = True
    conditions: dict[bytes, Condition] = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        option = option.upper()
        match option:
            case b"ID":
                conditions[option] = has_id(positive(value, b"client-id"))
            case b"TYPE":
                conditions[option] = is_of_kind(client_kind(value))
            case b"USER":
                if value not in ctx.server.access.users.by_name:
                    raise ReplyError(b"ERR No such user '%b'" % value)
                conditions[option] = has_user(value)
            case b"ADDR":
                conditions[option] = has_address(value)
            case b"LADDR":
                conditions[option] = has_local_address(value)
            case b"MAXAGE":
                conditions[option] = is_older_than(positive(value, b"maxage"), ctx.now_ms)
            case b"SKIPME" if value.lower() in (b"yes", b"no"):
                skip_me = value.lower() == b"yes"
            case _:
                raise SYNTAX_ERROR
    return skip_me, list(conditions.values())


def positive(raw: bytes, what: bytes) -> int:
    """An integer above 0. Raises ReplyError, with Redis's different words for an id and an age."""
    number = parse_integer(raw)
    if number is None and what != b"client-id":
        raise ReplyError(b"ERR %b is not an integer or out of range" % what)
    if number is None or number <= 0:
        raise ReplyError(b"ERR %b should be greater than 0" % what)
    return number


def client_kind(word: bytes) -> bytes:
    name = up_to_nul(word)
    kind = KINDS.get(name.lower())
    if kind is None:
        raise ReplyError(b"ERR Unknown client type '%b'" % name)
    return kind


def has_id(number: int) -> Condition:
    return lambda client: client.id == number


def is_of_kind(kind: bytes) -> Condition:
    return lambda client: client.kind == kind


def has_user(name: bytes) -> Condition:
    return lambda client: client.user == name


def has_address(address: bytes) -> Condition:
    return lambda client: client.address.encode() == address


def has_local_address(address: bytes) -> Condition:
    return lambda client: client.local_address.encode() == address


def is_older_than(seconds: int, now_ms: int) -> Condition:
    return lambda client: (now_ms - client.created_ms) // 1000 >= seconds


@command("CLIENT PAUSE timeout [mode:(WRITE | ALL)@6.2.0]", flags=ADMIN | NOSCRIPT | LOADING | STALE, acl="connection",
         since="3.0.0", complexity="O(1)", group="connection")  # fmt: skip
def client_pause(ctx: Context, argv: list[bytes]) -> Reply:
    """Let all commands, or those that write, wait for some milliseconds."""
    writes_only = False
    if len(argv) > 4:
        raise wrong_subcommand(argv)
    if len(argv) == 4:
        match argv[3].upper():
            case b"WRITE":
                writes_only = True
            case b"ALL":
                pass
            case _:
                raise ReplyError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
    until_ms = blocking_timeout_ms(ctx, argv[2])
    ctx.server.pause(ctx.now_ms if until_ms is None else until_ms, writes_only=writes_only)
    return OK


@command(
    "CLIENT UNPAUSE",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="6.2.0",
    complexity="O(N) Where N is the number of paused clients",
    group="connection",
)
def client_unpause(ctx: Context, argv: list[bytes]) -> Reply:
    """End a pause; what waited runs in the order in which it came."""
    ctx.server.unpause()
    return OK


@command(
    "CLIENT UNBLOCK client-id/integer [unblock-type:(TIMEOUT | ERROR)]",
    flags=ADMIN | NOSCRIPT | LOADING | STALE,
    acl="connection",
    since="5.0.0",
    complexity="O(log N) where N is the number of client connections",
    group="connection",
)
def client_unblock(ctx: Context, argv: list[bytes]) -> Reply:
    """End a client's waiting: as if its time were over, or with an error. 1, or 0 if it does not wait.

    Errors: an id that is not an integer; a reason that is none.
    """
    if len(argv) > 4:
        raise wrong_subcommand(argv)
    reason = argv[3].upper() if len(argv) > 3 else b"TIMEOUT"
    if reason not in (b"TIMEOUT", b"ERROR"):
        raise BAD_REASON
    client = ctx.server.clients.get(integer(argv[2]))
    if client is None or client.waiting is None:
        return 0
    ctx.server.waiting.give_up(client, UNBLOCKED if reason == b"ERROR" else None)
    return 1


QUEUED_WORD = 8  # bytes of a queued word beside its text, as Redis counts them


def line_of(ctx: Context, client: Client, argv: Sequence[bytes]) -> bytes:
    """A line of CLIENT LIST, which is being called as `argv`.

    What differs from Redis follows from how requests and replies are kept. `qbuf` is what has not been run, and of who
    asks also this very call, but not what came together with it. Replies of a turn are a list of pieces
    (`oll`, with what the socket has not taken yet; together `omem`), without a fixed buffer in front of it: `rbs`,
    `rbp` and `obl` are 0.
    """
    now_ms = ctx.now_ms
    output, queue = client.output_buffer, client.queue
    buffered, held_bytes, memory = client.parser.size, client.parser.arguments_size, client.memory
    if client is ctx.client:
        held = argv if queue is None else [b"EXEC"]  # with a queue this can only be a call of it
        buffered += len(encode_request(list(held)))
        held_bytes += sum(map(len, held))
        memory += buffered + held_bytes
    elif client.waiting is not None:
        held_bytes += client.waiting.size
    queued_bytes = client.queued_bytes + QUEUED_WORD * sum(len(words) for _, words in queue or ())
    fields: dict[str, object] = {
        "id": client.id,
        "addr": client.address,
        "laddr": client.local_address,
        "fd": client.fd,
        "name": up_to_nul(client.name).decode("ascii"),
        "age": (now_ms - client.created_ms) // 1000,
        "idle": (now_ms - client.last_interaction_ms) // 1000,
        "flags": client.flags.decode("ascii"),
        "db": client.db.id,
        **dict(zip(("sub", "psub", "ssub"), map(len, client.subscriptions or ((), (), ())), strict=True)),
        "multi": -1 if queue is None else len(queue),
        "watch": 0 if client.dirty_cas else len(client.watching),
        "qbuf": buffered,
        "qbuf-free": 0,
        "argv-mem": held_bytes,
        "multi-mem": queued_bytes,
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": len(client.out) + (client.unsent > 0),
        "omem": output,
        "tot-mem": memory,
        "events": "rw" if client.unsent else "r",
        "cmd": client.last_command.decode("latin-1"),
        "user": client.user.decode("latin-1"),
        "redir": -1 if client.tracking is None else client.tracking.redirect,
        "resp": client.resp,
        "lib-name": up_to_nul(client.lib_name).decode("ascii"),
        "lib-ver": up_to_nul(client.lib_ver).decode("ascii"),
        "io-thread": 0,
        "tot-net-in": client.net_input,
        "tot-net-out": client.net_output,
        "tot-cmds": client.commands_run,
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()).encode("latin-1") + b"\n"


@command("CLIENT HELP", flags=LOADING | STALE, acl="connection", since="5.0.0", complexity="O(1)",
         group="connection")  # fmt: skip
def client_help(ctx: Context, argv: list[bytes]) -> Reply:
    """What CLIENT can do here."""
    return help_reply(
        "CLIENT",
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * ID <client-id>",
        "      Kill connections by client id.",
        "    * MAXAGE <maxage>",
        "      Kill connections older than the specified age.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
    )
