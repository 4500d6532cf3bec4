"""What changed in which version, as COMMAND DOCS tells it: facts of the protocol, kept apart to keep declarations
short.

Name of the command -> (version, what changed), oldest first. `registry.build` reads it.
"""

from __future__ import annotations

from typing import Final

HISTORY: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "auth": (
        ("6.0.0", "Added ACL style (username and password)."),
    ),
    "client|kill": (
        ("2.8.12", "Added new filter format."),
        ("2.8.12", "`ID` option."),
        ("3.2.0", "Added `master` type in for `TYPE` option."),
        ("5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."),
        ("6.2.0", "`LADDR` option."),
        ("7.4.0", "`MAXAGE` option."),
    ),
    "client|list": (
        ("2.8.12", "Added unique client `id` field."),
        ("5.0.0", "Added optional `TYPE` filter."),
        ("6.0.0", "Added `user` field."),
        ("6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."),
        ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
        ("7.0.3", "Added `ssub` field."),
        ("7.2.0", "Added `lib-name` and `lib-ver` fields."),
        ("7.4.0", "Added `watch` field."),
        ("8.0.0", "Added `io-thread` field."),
    ),
    "client|pause": (
        ("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."),
    ),
    "command|info": (
        ("7.0.0", "Allowed to be called with no argument to get info on all commands."),
    ),
    "config|get": (
        ("7.0.0", "Added the ability to pass multiple pattern parameters in one call"),
    ),
    "config|set": (
        ("7.0.0", "Added the ability to set multiple parameters in one call."),
    ),
    "exists": (
        ("3.0.3", "Accepts multiple `key` arguments."),
    ),
    "expire": (
        ("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."),
    ),
    "expireat": (
        ("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."),
    ),
    "flushall": (
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ),
    "flushdb": (
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ),
    "hello": (
        (
            "6.2.0",
            "`protover` made optional; when called without arguments the command reports the current "
            "connection's context.",
        ),
    ),
    "info": (
        ("7.0.0", "Added support for taking multiple section arguments."),
    ),
    "pexpire": (
        ("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."),
    ),
    "pexpireat": (
        ("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."),
    ),
    "pttl": (
        ("2.8.0", "Added the -2 reply."),
    ),
    "renamenx": (
        ("3.2.0", "The command no longer returns an error when source and destination names are the same."),
    ),
    "scan": (
        ("6.0.0", "Added the `TYPE` subcommand."),
    ),
    "set": (
        ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
        ("6.0.0", "Added the `KEEPTTL` option."),
        ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
        ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
    ),
    "shutdown": (
        ("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers."),
    ),
    "ttl": (
        ("2.8.0", "Added the -2 reply."),
    ),
}
