"""The table `redis` of scripts: commands, replies of their own, the log, the protocol, what is replicated.

`Host` is what the server offers for it; the functions here turn Lua's arguments into the server's words and its replies
into tables. What fails is a table with the field `err`: redis.call raises it, redis.pcall returns it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha1
from typing import Any, Final, Protocol

from mini_redis.resp.reply import Reply, ReplyError
from mini_redis.scripting.lua import (
    Function,
    Lua,
    Raised,
    Value,
    argument_of_command,
    spelled_number,
    to_int64,
    to_text,
)
from mini_redis.scripting.values import c_string, to_lua

NO_ARGUMENTS: Final = b"ERR Please specify at least one argument for this redis lib call"
BAD_ARGUMENTS: Final = b"ERR Lua redis lib command arguments must be strings or integers"
ONE_FIELD: Final = b"ERR wrong number or type of arguments"
LOG_LEVELS: Final = (b"LOG_DEBUG", b"LOG_VERBOSE", b"LOG_NOTICE", b"LOG_WARNING")
REPL_NONE, REPL_AOF, REPL_REPLICA, REPL_ALL = range(4)


Call = Callable[[list[bytes]], Reply]
"""Runs a command. Its errors are its reply."""


class Host(Protocol):
    """What the server does for scripts."""

    version: bytes

    def call(self, argv: list[bytes]) -> Reply:
        """Run a command. Its errors are its reply, and so is why a script may not call it; all have been counted."""
        ...

    def interrupted(self) -> bytes | None:
        """Asked while a script runs: the error that ends it, or None."""
        ...

    def log(self, level: int, text: bytes) -> None: ...

    def may_call(self, argv: list[bytes]) -> bool:
        """Whether the user may run this command. Raises ReplyError if there is no such command."""
        ...

    def speak(self, resp: int) -> None:
        """Let commands answer as to a client of this protocol, 2 or 3, from now on."""
        ...

    def replicate_to(self, targets: int) -> None:
        """From now on the script's commands go to these: REPL_NONE, REPL_AOF, REPL_REPLICA or both."""
        ...


class Debugger(Protocol):
    """Who debugs the running script; see server/debugger.py."""

    stops_next: bool

    def reached(self, line: int, timed: bool) -> Any:
        """The script is about to run a line: what is to be looked up there, or None."""
        ...

    def told(self, wish: bytes, *found: Value) -> Any:
        """What was looked up: what next, or None."""
        ...

    def shown(self, values: bytes) -> None:
        """redis.debug."""
        ...

    def refused(self, text: bytes) -> None:
        """One of the functions here has refused what it was asked for."""
        ...


class Api:
    """`redis` for one interpreter."""

    described: Function  # values as a debugger shows them

    def __init__(self, host: Host, lua: Lua) -> None:
        self._host = host
        self._lua = lua
        self.resp = 2
        """The protocol in which the running script sees replies."""
        self.debugger: Debugger | None = None
        self.run_command: Call = host.call

    def functions(self, *, for_eval: bool) -> dict[bytes, Any]:
        """What scripts (`for_eval`) or the functions of libraries find in `redis`."""
        found = {
            b"call": self.call,
            b"pcall": self.pcall,
            b"error_reply": self.error_reply,
            b"status_reply": self.status_reply,
            b"sha1hex": self.sha1hex,
            b"setresp": self.setresp,
            b"set_repl": self.set_repl,
            b"acl_check_cmd": self.acl_check_cmd,
            b"REPL_NONE": REPL_NONE,
            b"REPL_AOF": REPL_AOF,
            b"REPL_SLAVE": REPL_REPLICA,
            b"REPL_REPLICA": REPL_REPLICA,
            b"REPL_ALL": REPL_ALL,
        }
        if for_eval:
            found |= {
                b"replicate_commands": lambda *_: True,  # the only way, since 7.0
                b"breakpoint": self.breakpoint,
                b"debug": self.debug,
            }
        return found | self.loading_functions()

    def loading_functions(self) -> dict[bytes, Any]:
        """What is in `redis` already while a library is loaded."""
        major, minor, patch = map(int, self._host.version.split(b"."))
        return {
            b"log": self.log,
            **{name: level for level, name in enumerate(LOG_LEVELS)},
            b"REDIS_VERSION": self._host.version,
            b"REDIS_VERSION_NUM": major << 16 | minor << 8 | patch,
        }

    # --- Commands ----------------------------------------------------------------------------------------------------

    def call(self, *words: Value) -> Value:
        """redis.call: run a command and return its reply; an error is raised."""
        try:
            reply = self.run_command(_argv(words))
        except BadCall as error:
            raise self._refusal(error.text) from None
        if type(reply) is bytes or type(reply) is int:
            return reply
        if isinstance(reply, ReplyError):
            raise Raised(reply.text, reply=True, counted=True)
        return to_lua(self._lua, reply, self.resp)

    def pcall(self, *words: Value) -> Value:
        """redis.pcall: the same, but an error is returned."""
        try:
            return self.call(*words)
        except Raised as raised:
            return self._error(raised.text, counted=raised.counted)

    def _refusal(self, text: bytes) -> Raised:
        self._note(text)
        return Raised(text, reply=True)

    def _note(self, error: bytes) -> None:
        if self.debugger is not None:
            self.debugger.refused(error)

    def _error(self, text: bytes, *, counted: bool = False) -> Value:
        fields: dict[bytes, Value] = {b"err": text}
        if counted:
            fields[b"ignore_error_stats_update"] = True
        return self._lua.table_from(fields)

    def acl_check_cmd(self, *words: Value) -> bool:
        """redis.acl_check_cmd: whether the user may run this command."""
        try:
            return self._host.may_call(_argv(words))
        except (ReplyError, BadCall) as error:
            raise self._refusal(error.text) from None

    # --- Replies of a script's own -----------------------------------------------------------------------------------

    def error_reply(self, *words: Value) -> Value:
        """redis.error_reply: a table that is an error reply; a text without a code gets the general one."""
        if len(words) != 1 or not isinstance(words[0], bytes):
            self._note(ONE_FIELD)
            return self._error(ONE_FIELD)
        text = c_string(words[0]).removeprefix(b"-")
        self._note(b"-" + text)
        code, space, told = text.partition(b" ")
        if not space:
            code, told = b"ERR", code
        return self._error(code + b" " + told.strip(b"\r\n"))

    def status_reply(self, *words: Value) -> Value:
        """redis.status_reply: a table that is a status reply."""
        if len(words) != 1 or not isinstance(words[0], bytes):
            self._note(ONE_FIELD)
            return self._error(ONE_FIELD)
        return self._lua.table_from({b"ok": words[0]})

    def sha1hex(self, *words: Value) -> bytes:
        """redis.sha1hex: the SHA1 of a text in hexadecimal."""
        if len(words) != 1:
            raise self._refusal(b"ERR wrong number of arguments")
        return sha1(to_text(words[0]) or b"").hexdigest().encode()

    # --- For who debugs it -------------------------------------------------------------------------------------------

    def breakpoint(self, *_: Value) -> bool:
        """redis.breakpoint: stop at the next line; whether anybody debugs."""
        if self.debugger is None:
            return False
        self.debugger.stops_next = True
        return True

    def debug(self, *values: Value) -> None:
        """redis.debug: show values to who debugs."""
        if self.debugger is not None:
            self.debugger.shown(self.described(*values))

    # --- About the running script ------------------------------------------------------------------------------------

    def log(self, *words: Value) -> None:
        """redis.log: a line for the server's log."""
        if len(words) < 2:
            raise self._refusal(b"ERR redis.log() requires two arguments or more.")
        level = _as_number(words[0])
        if level is None:
            raise self._refusal(b"ERR First argument must be a number (log level).")
        if not 0 <= level < len(LOG_LEVELS):
            raise self._refusal(b"ERR Invalid log level.")
        texts = (to_text(word) for word in words[1:])
        self._host.log(level, b" ".join(text for text in texts if text is not None))

    def setresp(self, *words: Value) -> None:
        """redis.setresp: which protocol's replies the script sees."""
        if len(words) != 1:
            raise self._refusal(b"ERR redis.setresp() requires one argument.")
        wanted = _as_number(words[0])
        if wanted not in (2, 3):
            raise self._refusal(b"ERR RESP version must be 2 or 3.")
        self.resp = wanted
        self._host.speak(wanted)

    def set_repl(self, *words: Value) -> None:
        """redis.set_repl: who hears of the commands that follow."""
        if len(words) != 1:
            raise self._refusal(b"ERR redis.set_repl() requires one argument.")
        targets = _as_number(words[0]) or 0
        if targets & ~REPL_ALL:
            told = b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
            raise self._refusal(told)
        self._host.replicate_to(targets)


class BadCall(Exception):
    """What was given to redis.call is no command line."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


def _argv(words: tuple[Value, ...]) -> list[bytes]:
    if not words:
        raise BadCall(NO_ARGUMENTS)
    for word in words:
        if type(word) is not bytes:
            return [word if type(word) is bytes else _argument(word) for word in words]
    return list(words)


def _argument(word: Value) -> bytes:
    text = argument_of_command(word)
    if text is None:
        raise BadCall(BAD_ARGUMENTS)
    return text


def _as_number(value: Value) -> int | None:
    """A number or a string that spells one, without its fraction."""
    if isinstance(value, bytes):
        value = spelled_number(value)
    return None if value is None or not isinstance(value, (int, float)) else to_int64(value)
