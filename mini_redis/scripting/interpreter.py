"""One Lua 5.1, its sandbox and its libraries: it compiles, runs and interrupts scripts.

Question it answers: what is atomic about a script? Nothing but that nobody else runs meanwhile: `redis.call` calls the
command's handler as a client's request would, on the same thread, and the script goes on with the answer.

The real Lua does the work (lupa.lua51, an optional dependency). sandbox.lua decides what scripts see of it, api.py is
their `redis`, values.py translates replies.

A script that does not end is asked to: every so many instructions Lua calls `interrupted`, which may answer with the
error that ends it. Whatever the script catches, it is asked again at its next line.

Invariants:
1. No script holds an object of Python's other than functions that were given to it.
2. Whatever a script has changed that another could see is gone with it, or was refused: it is called with the same
   tables that the one before saw.
3. Each error knows its line in the script, as Redis tells it; but for the one case that sandbox.lua's `complain` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from traceback import format_exc
from typing import Any, Final, NamedTuple

from mini_redis.resp.parser import quoted
from mini_redis.resp.reply import Reply
from mini_redis.scripting.api import Api, Call, Debugger, Host
from mini_redis.scripting.bit import BIT
from mini_redis.scripting.chance import Chance
from mini_redis.scripting.cjson import Cjson
from mini_redis.scripting.cmsgpack import Cmsgpack
from mini_redis.scripting.lua import MISSING, Function, Lua, LuaError, Raised, Value, lua51, to_text
from mini_redis.scripting.struct import STRUCT
from mini_redis.scripting.values import OnError, c_string, to_reply, to_status

INSTRUCTIONS: Final = 100_000
"""After so many a running script asks whether it should go on: a millisecond or two."""
STATUS, ARRAY, FAILURE = b"status", b"array", b"failure"
"""What a script's end is, if sandbox.lua tells more than the value that was returned: a status, whose text follows; an
array of strings and integers, whose length and elements follow; an error, which follows as `_failure` takes it."""
MOST_ON_STACK: Final = 1000
"""Words of a call that are handed over one by one; more of them come in tables."""
SCRIPT: Final = b"@user_script"
FUNCTION: Final = b"@user_function"


class Failure(NamedTuple):
    """Why a script ended early: the text, and the line where that was, if it is known."""

    text: bytes
    source: bytes | None
    line: bytes | None
    counted: bool
    """The error is that of a command, and was counted when that failed."""


class Interpreter:
    """A Lua for scripts, or for the functions of all libraries (`source` says which)."""

    def __init__(self, host: Host, source: bytes, chance: Chance, on_error: OnError) -> None:
        if lua51 is None:
            raise MISSING
        self.source = source
        self._on_error = on_error
        self._fault: str | None = None  # our own mistake within the running script
        self.lua: Lua = lua51.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_no_attributes,
        )
        self.api = Api(host, self.lua)
        cjson = Cjson(self.lua)
        self.register: Function | None = None
        inside = self._sandboxed(
            api=self.api.functions(for_eval=source == SCRIPT),
            loading_api=self.api.loading_functions() | {b"register_function": self._register},
            libraries={
                b"cjson": cjson.functions(),
                b"cmsgpack": Cmsgpack(self.lua).functions(),
                b"struct": STRUCT,
                b"bit": BIT,
            },
            random=chance.random,
            randomseed=chance.randomseed,
            interrupted=host.interrupted,
            quoted=quoted,
        )
        cjson.null = inside[b"null"]
        cjson.as_library = lambda other: inside[b"cjson"](self.lua.table_from(self._exposed_all(other.functions())))
        self._where = inside[b"where"]
        self._run = inside[b"run" if source == SCRIPT else b"apply"]
        self._load, self._compile = inside[b"load"], inside[b"compile"]
        self._debug, self.api.described = inside[b"debug"], inside[b"described"]
        self.used_bytes: Callable[[], int] = inside[b"used_bytes"]

    def _sandboxed(
        self,
        api: dict[bytes, Any],
        loading_api: dict[bytes, Any],
        libraries: dict[bytes, dict[bytes, Any]],
        **functions: Function,
    ) -> Value:
        """Run sandbox.lua with these; what it returns to the host."""
        table = self.lua.table_from
        host = {
            b"api": table(self._exposed_all(api)),
            b"loading_api": table(self._exposed_all(loading_api)),
            b"libraries": table({name: table(self._exposed_all(library)) for name, library in libraries.items()}),
            b"revealed": self._revealed,
            b"instructions": INSTRUCTIONS,
            b"is_for_eval": self.source == SCRIPT,
        }
        host.update((name.encode(), self.exposed(function)) for name, function in functions.items())
        inside = self.lua.execute(b"return assert(loadstring(..., '=sandbox'))", sandbox())(table(host))
        self.lua.execute(b"debug, python, io, os, package, require, module, dofile, loadfile = nil")
        return inside

    # --- Errors ------------------------------------------------------------------------------------------------------

    def _exposed_all(self, functions: dict[bytes, Any]) -> dict[bytes, Any]:
        return {name: self.exposed(one) if callable(one) else one for name, one in functions.items()}

    def exposed(self, function: Function) -> Function:
        """A function that scripts may call: what it refuses is told with the line that called it."""

        def called(*arguments: Value) -> Value:
            try:
                return function(*arguments)
            except Raised as error:
                raised = Raised(error.text, reply=error.reply, counted=error.counted)
            except LuaError as error:
                place, name = self._where()
                raised = Raised(place + error.said_by(name))
            except Exception:
                # Our own mistake: the script must not go on with it.
                self._fault = self._fault or format_exc()
                raised = Raised(b"internal error")
            arguments = ()  # see `Raised`
            raise raised

        return called

    def _revealed(self, error: Value) -> tuple[Value, bool, bool]:
        """What one of our functions has raised: its value, whether that is to be a reply, and was counted."""
        if isinstance(error, Raised):
            return error.text, error.reply, error.counted
        if isinstance(error, MemoryError):
            return b"stack overflow", False, False  # more arguments or results than Lua's stack takes
        if isinstance(error, BaseException):
            self._fault = self._fault or repr(error)
            return b"internal error", False, False
        return error, False, False

    # --- Run ---------------------------------------------------------------------------------------------------------

    def compile(self, text: bytes) -> Value:
        """The function that a text is. Raises `LuaError` with the compiler's words."""
        found = self._compile(text, self.source)
        if isinstance(found, tuple):
            raise LuaError(found[1])
        return found

    def run(self, function: Value, count: int, words: Sequence[bytes]) -> Reply | Failure:
        """Run a script or a library's function, for which `count` of the words are keys.

        Answers what it returns as a reply, or why it failed.
        """
        self.api.resp = 2
        if len(words) <= MOST_ON_STACK:
            outcome = self._run(function, count, *words)
        else:
            table = self.lua.table_from
            outcome = self._run(function, table(words[:count]), table(words[count:]))
        if self._fault is not None:
            self._raise_fault()
        if type(outcome) is bytes:
            return outcome
        if type(outcome) is not tuple:
            return to_reply(outcome, self.api.resp, self._on_error)
        if outcome[0] == STATUS:
            return to_status(outcome[1])
        return list(outcome[2:]) if outcome[0] == ARRAY else _failure(*outcome[1:])

    def debug(
        self, function: Value, count: int, words: Sequence[bytes], debugger: Debugger, call: Call
    ) -> Reply | Failure:
        """As `run`, while somebody looks on. Commands are called by `call`."""
        api, run, usual_call = self.api, self._run, self.api.run_command
        self._run = partial(self._debug, self.exposed(debugger.reached), self.exposed(debugger.told))
        api.debugger, api.run_command = debugger, call
        try:
            return self.run(function, count, words)
        finally:
            self._run, api.debugger, api.run_command = run, None, usual_call

    def load(self, chunk: Value, register: Function) -> Failure | None:
        """Run a library's own code, which calls `register`; why it failed, if it did."""
        self.register = register
        try:
            outcome = self._load(chunk)
        finally:
            self.register = None
        self._raise_fault()
        is_failure = type(outcome) is tuple and outcome[0] == FAILURE
        return _failure(*outcome[1:]) if is_failure else None

    def _register(self, *arguments: Value) -> None:
        if self.register is None:  # a library has kept it
            told = b"ERR redis.register_function can only be called on FUNCTION LOAD command"
            raise Raised(told, reply=True)
        self.register(*arguments)

    def _raise_fault(self) -> None:
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise AssertionError(f"no function of a script fails but by what it raises for it:\n{fault}")


@cache
def sandbox() -> bytes:
    """The text of sandbox.lua, which is read once."""
    return files("mini_redis.scripting").joinpath("sandbox.lua").read_bytes()


def _failure(text: Value, source: Value = None, line: Value = None, counted: Value = None) -> Failure:
    told = to_text(text)
    if told is None:
        told = b"ERR unknown error"
    place = to_text(source)
    return Failure(c_string(told), place and c_string(place), to_text(line), counted is True)


def _no_attributes(target: object, name: object, setting: object) -> object:
    """Should a script get hold of an object of Python's, it can look at nothing in it."""
    raise AttributeError("no access")
