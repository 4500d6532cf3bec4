"""Scripts on this node: the cache, what a script may call, and what the others hear while one does not end.

A script runs inside the command that started it (EVAL, FCALL): time stands still, nobody else is served, and what its
calls propagate is one unit. Which is why a slow script is everybody's: after `busy-reply-threshold` ms the node looks
up, and from then on the driver lets the others in now and then (`meanwhile`). They are told BUSY whatever they ask,
except to kill the script; and that only until it has called a command that writes, for half a script must not have
happened.

Two interpreters exist, made when first needed: one for EVAL and one for functions, whose globals differ. Without lupa
there is none, and whoever wants to run a script is told what to install.

What scripts call is called by a client of their own, which nobody sees: it has the caller's database at first, speaks
RESP2 at first, and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mini_redis.commands.registry import DENYOOM, MAY_REPLICATE, NOSCRIPT, STALE, WRITE
from mini_redis.resp.encoder import encode
from mini_redis.resp.parser import RequestParser, split_quoted
from mini_redis.resp.reply import NO_REPLY, OUT_OF_MEMORY, Reply, ReplyError
from mini_redis.scripting.chance import Chance
from mini_redis.scripting.function_dump import codes_of, dump
from mini_redis.scripting.functions import LIBRARY_FLAGS, Function, Libraries, Library, load
from mini_redis.scripting.interpreter import FUNCTION, SCRIPT, Failure, Interpreter
from mini_redis.scripting.lua import LuaError
from mini_redis.server.client import Client
from mini_redis.server.context import Context
from mini_redis.server.debugger import Conversation, Debugger
from mini_redis.server.propagation import REPL_ALL
from mini_redis.server.version import REDIS_VERSION

if TYPE_CHECKING:
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.node import Server

UNKNOWN_COMMAND: Final = ReplyError(b"ERR Unknown Redis command called from script")
WRONG_NUMBER: Final = ReplyError(b"ERR Wrong number of args calling Redis command from script")
NOT_FROM_SCRIPTS: Final = ReplyError(b"ERR This Redis command is not allowed from script")
READ_ONLY: Final = ReplyError(b"ERR Write commands are not allowed from read-only scripts.")
MAY_WRITE: Final = ReplyError(b"ERR Can not execute a script with write flag using *_ro command.")
NO_ROOM: Final = ReplyError(
    b"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)
NOT_BUSY: Final = ReplyError(b"NOTBUSY No scripts in execution right now.")
UNKILLABLE: Final = ReplyError(
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script"
    b" termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
NO_SUCH_SCRIPT: Final = ReplyError(b"NOSCRIPT No matching script. Please use EVAL.")
INVALID_COMMAND: Final = ReplyError(b"ERR Invalid command passed to redis.acl_check_cmd()")
KILLED: Final = b"ERR Script killed by user with SCRIPT KILL..."  # a function, too
LOADS_TOO_LONG: Final = b"ERR FUNCTION LOAD timeout"

MOST_PASSING: Final = 500
"""Scripts that only EVAL has brought; beyond that the least recently used ones are forgotten. SCRIPT LOAD's stay."""
LONGEST_LOAD_NS: Final = 500_000_000
LOG_LEVELS: Final = ".-*#"


@dataclass(slots=True, eq=False)
class Script:
    """What EVAL runs. Its name is the SHA1 of its text."""

    source: ClassVar[bytes] = SCRIPT
    name: bytes
    text: bytes
    callback: Any
    flags: frozenset[bytes] | None
    """Of its first line, `#!lua flags=...`; None without one: then it may do anything, as before 7.0."""


class Scripting:
    """The scripts and functions of one node."""

    version = REDIS_VERSION.encode()
    _client: Client
    """Who calls what scripts call; made with the first interpreter, for whatever runs was compiled by one."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.scripts: dict[bytes, Script] = {}  # by SHA1
        self._by_text: dict[bytes, Script] = {}  # the same ones: EVAL would spend most of its time on SHA1
        self._passing: dict[bytes, None] = {}  # those that may be forgotten, in the order of their use
        self.evicted = 0
        self.may_call_all = False  # DEBUG SET-DISABLE-DENY-SCRIPTS
        self.libraries = Libraries()
        self._interpreters: dict[bytes, Interpreter] = {}
        self._chance = Chance()

        self.running: Script | Function | None = None
        self.caller: Client | None = None  # who runs it, while it is `busy`
        self.argv: Sequence[bytes] = ()  # the call that started what is running
        self.busy = False
        self.meanwhile: Callable[[], None] = lambda: None  # the driver lets others in
        self._barred = NOSCRIPT  # a command with one of these flags is looked at before the script may call it
        self._has_written = False
        self._has_failed = False
        self._killed = False
        self._started_ns = 0
        self._load_until_ns: int | None = None

        self.fork: Callable[[Client], bool] = _cannot_fork
        """The driver forks for a client's session, who is then the child's alone; whether this is the child."""
        self.converse: Callable[[Client], Conversation] = _cannot_converse
        self._refusal: ReplyError | None = None  # why the last call of a script was not even tried
        self._debugger: Debugger | None = None

    # --- The cache ---------------------------------------------------------------------------------------------------

    def load(self, text: bytes) -> Script:
        """SCRIPT LOAD: the script of this text, which stays. Raises the compiler's error."""
        script = self._known(text)
        self._passing.pop(script.name, None)
        return script

    def use(self, text: bytes) -> Script:
        """EVAL: the script of this text, compiled if it is new; one more may mean that another is forgotten."""
        script = self._by_text.get(text)
        if script is not None:
            if script.name in self._passing:
                del self._passing[script.name]
                self._passing[script.name] = None
            return script
        script = self._known(text)
        if len(self._passing) >= MOST_PASSING:
            oldest = self.scripts.pop(next(iter(self._passing)))
            del self._passing[oldest.name], self._by_text[oldest.text]
            self.evicted += 1
        self._passing[script.name] = None
        return script

    def find(self, sha: bytes) -> Script:
        """EVALSHA: the cached script. Raises NO_SUCH_SCRIPT."""
        script = self.scripts.get(sha) or self.scripts.get(sha.lower())
        if script is None:
            raise NO_SUCH_SCRIPT
        if script.name in self._passing:
            del self._passing[script.name]
            self._passing[script.name] = None
        return script

    def _known(self, text: bytes) -> Script:
        script = self._by_text.get(text)
        if script is None:
            flags, body = read_shebang(text)
            try:
                function = self._interpreter(SCRIPT).compile(body)
            except LuaError as error:
                raise ReplyError(b"ERR Error compiling script (new function): " + error.text) from None
            script = Script(sha1(text).hexdigest().encode(), text, function, flags)
            self.scripts[script.name] = self._by_text[text] = script
        return script

    def flush(self) -> None:
        """SCRIPT FLUSH. The Lua that ran them goes too."""
        self.scripts.clear()
        self._by_text.clear()
        self._passing.clear()
        self._interpreters.pop(SCRIPT, None)

    # --- Libraries ---------------------------------------------------------------------------------------------------

    def load_library(self, code: bytes, *, replace: bool) -> Library:
        """FUNCTION LOAD. Raises what is wrong with it; then nothing has changed."""
        library = self.read_library(code, None if replace else self.libraries)
        self.libraries.add(library, replace=replace)
        return library

    def read_library(self, code: bytes, others: Libraries | None) -> Library:
        """The library of this code, which is run and not added; its name must not be taken among `others`."""
        self._load_until_ns = self._server.monotonic_ns() + LONGEST_LOAD_NS
        try:
            return load(self._interpreter(FUNCTION), code, others)
        finally:
            self._load_until_ns = None

    def dump_libraries(self) -> bytes:
        """FUNCTION DUMP."""
        codes = (library.code for library in self.libraries.by_name.values())
        return dump(codes, self._server.config.rdbcompression)

    def restore_libraries(self, payload: bytes, policy: bytes) -> None:
        """FUNCTION RESTORE; `policy` is flush, append or replace. Raises what is wrong; then nothing has changed."""
        restored = Libraries()
        for code in codes_of(payload, checked=self._server.checks_seals):
            restored.add(self.read_library(code, restored))
        if policy == b"flush":
            self.libraries = restored
        else:
            self.libraries = self.libraries.joined(restored, replace=policy == b"replace")

    def forget_libraries(self) -> None:
        """FUNCTION FLUSH. The Lua that ran them goes too."""
        self.libraries = Libraries()
        self._interpreters.pop(FUNCTION, None)

    def used_bytes(self, source: bytes) -> int:
        """The memory of one interpreter's Lua."""
        interpreter = self._interpreters.get(source)
        return interpreter.used_bytes() if interpreter is not None else 0

    # --- Run ---------------------------------------------------------------------------------------------------------

    def run(self, ctx: Context, argv: list[bytes], what: Script | Function, keys: int, *, ro: bool) -> Reply:
        """What EVAL or FCALL answers; `keys` of the words after the third are keys."""
        self._prepare(ctx, argv, what, ro)
        server = self._server
        try:
            interpreter = self._interpreters[what.source]
            if self._debugger is None:
                outcome = interpreter.run(what.callback, keys, argv[3:])
            else:
                outcome = interpreter.debug(what.callback, keys, argv[3:], self._debugger, self._call_shown)
        finally:
            self.running = self.caller = None
            server.propagation.targets = REPL_ALL
            if self.busy:
                self.busy = False
                server.choose_gates()
        server.propagation.suppress()  # each of its calls already was seen
        if self._has_failed or server.shutting_down or isinstance(outcome, Failure):
            return self._ended_badly(what.name, outcome)
        return outcome

    def debug(self, ctx: Context, argv: list[bytes], run: Callable[[], Reply]) -> Reply:
        """EVAL of a client that debugs; `run` does what EVAL does. The connection ends with the session."""
        server, client = self._server, ctx.client
        is_child = False
        if client.debugs == b"yes":
            is_child = self.fork(client)
            if not is_child:
                server.log("*", "Redis forked for debugging eval")
                server.close(client, flush=False)
                return NO_REPLY
        else:
            server.log("*", "Redis synchronous debugging eval session started")
        conversation = self.converse(client)
        patience_ms = server.config.busy_reply_threshold
        debugger = self._debugger = Debugger(argv[1], conversation, self._monotonic_ms, patience_ms)
        reply: Reply = NO_REPLY
        try:
            reply = run()
        except ReplyError as error:
            reply = error
            raise
        finally:
            self._debugger = None
            debugger.end(encode(reply, client.resp) if is_child else b"")
            server.log("*", "Redis synchronous debugging eval session ended")
            server.close(client, flush=True)
        return reply

    def _monotonic_ms(self) -> int:
        return self._server.monotonic_ns() // 1_000_000

    def _prepare(self, ctx: Context, argv: list[bytes], what: Script | Function, ro: bool) -> None:
        """Begin to run it. Raises why it may not."""
        server, client, caller, flags = self._server, self._client, ctx.client, what.flags
        reads_only, wants_room = ro, server.is_out_of_memory()
        if flags is not None:
            reads_only = b"no-writes" in flags
            wants_room = wants_room and b"allow-oom" not in flags
            if ro and not reads_only:
                raise MAY_WRITE
            if wants_room and not reads_only:
                raise NO_ROOM
        self._barred = NOSCRIPT | (WRITE | MAY_REPLICATE if reads_only else 0) | (DENYOOM if wants_room else 0)
        client.context.db = ctx.db
        client.resp = 2
        client.user = caller.user
        if caller.special or client.special:
            client.no_touch, client.tracking = caller.no_touch, caller.tracking
            client.settle()
        self.running, self.caller, self.argv = what, caller, argv
        self._killed = self._has_written = self._has_failed = False
        self._started_ns = server.monotonic_ns()

    def _ended_badly(self, name: bytes, outcome: Reply | Failure) -> Reply:
        """What is answered if the script has failed, has an error within its reply, or nobody will hear it."""
        server = self._server
        if server.shutting_down:
            server.propagation.forget()
            return NO_REPLY
        if not isinstance(outcome, Failure):
            server.command_table.resolve(list(self.argv)).failed_calls += 1
            return outcome
        text = outcome.text
        if outcome.source is not None and outcome.line is not None:
            text += b" script: %b, on %b:%b." % (name, outcome.source, outcome.line)
        error = ReplyError(text)
        if not outcome.counted:
            raise error
        server.command_table.resolve(list(self.argv)).failed_calls += 1
        return error

    def _error_in_reply(self, error: ReplyError, counted: bool) -> None:
        """There is an error in what the script answers; `counted` if it is that of a command."""
        self._has_failed = True
        if not counted:
            self._server.count_error(error.code)

    def _interpreter(self, source: bytes) -> Interpreter:
        if source not in self._interpreters:
            if not hasattr(self, "_client"):
                self._client = _make_client(self._server)
            self._interpreters[source] = Interpreter(self, source, self._chance, self._error_in_reply)
        return self._interpreters[source]

    # --- What a script may call: the Host of scripting/api.py --------------------------------------------------------

    def call(self, argv: list[bytes]) -> Reply:
        """`redis.call`."""
        server = self._server
        command = server.commands.get(argv[0])
        if command is None or command.subcommands:
            try:
                command = server.command_table.resolve(argv)
            except ReplyError:
                server.count_error(UNKNOWN_COMMAND.code)
                self._refusal = UNKNOWN_COMMAND
                return UNKNOWN_COMMAND
        flags = command.command.flags
        if (
            not command.min_words <= len(argv) <= command.max_words or flags & self._barred or server.access.restricts
        ) and (error := self._objection(command, argv)):
            command.rejected_calls += 1
            server.count_error(error.code)
            self._refusal = error
            return error
        if flags & WRITE:
            self._has_written = True
        return server.call(self._client, command, argv)

    def _call_shown(self, argv: list[bytes]) -> Reply:
        """`redis.call` of a script that somebody debugs."""
        debugger = self._debugger
        if debugger is None or not debugger.stepping:
            return self.call(argv)
        debugger.called(argv)
        self._refusal = None
        reply = self.call(argv)
        if self._refusal is not None:
            debugger.refused(self._refusal.text)
        else:
            debugger.answered(reply, self._client.resp)
        return reply

    def _objection(self, command: LiveCommand, argv: list[bytes]) -> ReplyError | None:
        """Why the script may not make this call, if it may not."""
        access, flags = self._server.access, command.command.flags
        if not command.min_words <= len(argv) <= command.max_words:
            return WRONG_NUMBER
        if flags & NOSCRIPT and not self.may_call_all:
            return NOT_FROM_SCRIPTS
        if access.restricts and (refusal := access.refusal_in_script(self._client, command.command, argv)):
            return refusal
        barred = flags & self._barred
        if barred & (WRITE | MAY_REPLICATE):
            return READ_ONLY
        return OUT_OF_MEMORY if barred & DENYOOM and not self._has_written else None

    def may_call(self, argv: list[bytes]) -> bool:
        """`redis.acl_check_cmd`: whether the caller of the script may."""
        try:
            return self._server.acl_allows(self._client, argv)
        except ReplyError:
            raise INVALID_COMMAND from None

    def speak(self, resp: int) -> None:
        """`redis.setresp`."""
        self._client.resp = resp

    def replicate_to(self, targets: int) -> None:
        """`redis.set_repl`."""
        self._server.propagation.targets = targets

    def log(self, level: int, text: bytes) -> None:
        """`redis.log`."""
        self._server.log(LOG_LEVELS[level], text.decode("latin-1"))

    # --- A script that does not end ----------------------------------------------------------------------------------

    def interrupted(self) -> bytes | None:
        """Lua asks this now and then: the error that ends what runs, or None."""
        server = self._server
        now_ns = server.monotonic_ns()
        if self._load_until_ns is not None:
            return LOADS_TOO_LONG if now_ns > self._load_until_ns else None
        if self.running is None:
            return None
        if not self.busy:
            threshold_ms = server.config.busy_reply_threshold
            if threshold_ms <= 0 or self.running_ms() < threshold_ms:
                return None
            server.log(
                "#",
                f"Slow script detected: still in execution after {self.running_ms()} milliseconds. You can try killing"
                f" the script using the {self.killer.decode()} KILL command.",
            )
            self.busy = True
            server.choose_gates()
        server.between_times(self.meanwhile)
        if server.shutting_down:
            return KILLED  # and nobody will hear it
        if self._killed:
            server.log("*", f"Lua script killed by user with {self.killer.decode()} KILL.")
            return KILLED
        return None

    def kill(self, killer: bytes) -> None:
        """SCRIPT KILL or FUNCTION KILL, as `killer` says. Raises why that cannot be."""
        if self.running is None:
            raise NOT_BUSY
        if self._has_written:
            raise UNKILLABLE
        if killer != self.killer:
            raise self.busy_error()
        self._killed = True

    @property
    def killer(self) -> bytes:
        """The container whose KILL ends what is running."""
        return b"FUNCTION" if isinstance(self.running, Function) else b"SCRIPT"

    def busy_error(self) -> ReplyError:
        """What everybody hears while a script does not end."""
        told = b"BUSY Redis is busy running a script. You can only call %b KILL or SHUTDOWN NOSAVE."
        return ReplyError(told % self.killer)

    def running_ms(self) -> int:
        return (self._server.monotonic_ns() - self._started_ns) // 1_000_000

    # --- For the gates -----------------------------------------------------------------------------------------------

    def flags_of_call(self, name: bytes, flags: int, argv: Sequence[bytes]) -> int:
        """The `flags` of a command; of a call of a script that declares its own, those that follow from them."""
        declared = self._declared_flags(name, argv)
        if declared is None:
            return flags
        flags &= ~(STALE | DENYOOM | WRITE | MAY_REPLICATE)
        if b"no-writes" not in declared:
            flags |= WRITE if b"allow-oom" in declared else WRITE | DENYOOM
        return flags | STALE if b"allow-stale" in declared else flags

    def _declared_flags(self, name: bytes, argv: Sequence[bytes]) -> frozenset[bytes] | None:
        match name:
            case b"eval" | b"eval_ro":
                try:
                    return read_shebang(argv[1])[0]
                except ReplyError:
                    return None
            case b"evalsha" | b"evalsha_ro":
                script = self.scripts.get(argv[1].lower())
                return script.flags if script is not None else None
            case b"fcall" | b"fcall_ro":
                function = self.libraries.find(argv[1])
                return function.flags if function is not None else None
        return None


def _cannot_fork(client: Client) -> bool:
    raise ReplyError(b"ERR Fork() failed: can't run EVAL in debugging mode: Function not implemented")


def _cannot_converse(client: Client) -> Conversation:
    raise AssertionError("a driver that lets clients debug can talk to one alone")


def _make_client(server: Server) -> Client:
    """Who calls the commands that scripts call."""
    client = Client(0, RequestParser(), "", "", -1, server.now_ms)
    client.context = Context(server, client)
    client.in_script = True
    return client


def read_shebang(text: bytes) -> tuple[frozenset[bytes] | None, bytes]:
    """The flags of the first line and what is to be compiled, with an empty line in its place. Raises ReplyError."""
    if not text.startswith(b"#!"):
        return None, text
    line, end, body = text.partition(b"\n")
    if not end:
        raise ReplyError(b"ERR Invalid script shebang")
    words = split_quoted(line)
    if not words:
        raise ReplyError(b"ERR Invalid engine in script shebang")
    if words[0] != b"#!lua":
        raise ReplyError(b"ERR Unexpected engine in script shebang: " + words[0])
    flags: frozenset[bytes] = frozenset()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise ReplyError(b"ERR Unknown lua shebang option: " + word)
        wanted = word.removeprefix(b"flags=")
        for flag in wanted.split(b",") if wanted else ():
            if flag not in LIBRARY_FLAGS:
                raise ReplyError(b"ERR Unexpected flag in script shebang: " + flag)
            flags |= {flag}
    return flags, b"\n" + body
