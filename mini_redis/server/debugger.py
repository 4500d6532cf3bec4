"""The debugger of scripts: what `redis-cli --ldb` talks to after SCRIPT DEBUG.

Question it answers: how does one look into a script in a server with one thread? The script stops in the middle of
EVAL, and from there the server talks with that one client alone: it is sent what is to be seen, and asked what next.
With `SYNC` everybody else waits until it is over, and what the script has written stays. With `YES` the process forks:
the child, which has all the data, goes through the session and ends; the server itself goes on and has lost a client.

    -> * Stopped at 2, stop reason = step over
       -> 2   local v = redis.call('get', 'k')
    <- step
    -> <redis> get k
       <reply> "v"
       ...

Each answer is an array of status replies, one for each line. A session ends with the line `<endsession>`, EVAL's reply
and the connection.

Lua calls `reached` before each line of the script. What it answers, and what `told` answers after it, is a wish: what
sandbox.lua is to look up, since only there the script's variables can be seen; or None to go on.

Verified against Redis 8.2.3. One difference: there `eval` of code that raises a command's error ends the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from mini_redis.resp.encoder import encode
from mini_redis.resp.parser import quoted
from mini_redis.resp.reply import ProtocolError, Reply, ReplyError
from mini_redis.scripting.lua import Value
from mini_redis.structures.numbers import parse_integer

MOST_BREAKPOINTS: Final = 64
MOST_WORDS: Final = 1024
LONGEST_WORD: Final = 1024
MOST_UNREAD: Final = 1024 * 1024
USUAL_LENGTH: Final = 256
LEAST_LENGTH: Final = 60
WORDS_SHOWN: Final = 10
USUAL_PATIENCE_MS: Final = 5000

NO_REQUEST: Final = ProtocolError(b"protocol error")
TOO_MUCH: Final = ProtocolError(b"max client buffer reached")
ABORTED: Final = b"script aborted for user request"
GONE: Final = b"timeout during Lua debugging with client closing connection"
UNKNOWN: Final = b"<error> Unknown Redis Lua debugger command or wrong number of arguments."
TRIMMED: Final = b"<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming."

HELP: Final = (
    "Redis Lua debugger help:",
    "[h]elp               Show this help.",
    "[s]tep               Run current line and stop again.",
    "[n]ext               Alias for step.",
    "[c]ontinue           Run till next breakpoint.",
    "[l]ist               List source code around current line.",
    "[l]ist [line]        List source code around [line].",
    "                     line = 0 means: current position.",
    "[l]ist [line] [ctx]  In this form [ctx] specifies how many lines",
    "                     to show before/after [line].",
    "[w]hole              List all source code. Alias for 'list 1 1000000'.",
    "[p]rint              Show all the local variables.",
    "[p]rint <var>        Show the value of the specified variable.",
    "                     Can also show global vars KEYS and ARGV.",
    "[b]reak              Show all breakpoints.",
    "[b]reak <line>       Add a breakpoint to the specified line.",
    "[b]reak -<line>      Remove breakpoint from the specified line.",
    "[b]reak 0            Remove all breakpoints.",
    "[t]race              Show a backtrace.",
    "[e]val <code>        Execute some Lua code (in a different callframe).",
    "[r]edis <cmd>        Execute a Redis command.",
    "[m]axlen [len]       Trim logged Redis replies and Lua var dumps to len.",
    "                     Specifying zero as <len> means unlimited.",
    "[a]bort              Stop the execution of the script. In sync",
    "                     mode dataset changes will be retained.",
    "",
    "Debugger functions you can call from Lua scripts:",
    "redis.debug()        Produce logs in the debugger console.",
    "redis.breakpoint()   Stop execution like if there was a breakpoint in the",
    "                     next line of code.",
)

Wish = tuple[Any, ...] | None


class Conversation(Protocol):
    """The one connection that is heard while a script stands still: offered by the driver."""

    def send(self, data: bytes) -> None:
        """Say it, and wait until it is on its way; if nobody is there any more, nothing happens."""
        ...

    def receive(self) -> bytes:
        """Wait for some bytes; none if the client has gone."""
        ...

    def end(self) -> None:
        """The session is over. A process that was forked for it ends here."""
        ...


class Debugger:
    """One session: the breakpoints, where the script stands, and what is still to be said."""

    def __init__(self, script: bytes, conversation: Conversation, now_ms: Callable[[], int], patience_ms: int) -> None:
        text = script.rstrip(b"\r\n")
        self._source = text.split(b"\n") if text else []
        self._conversation = conversation
        self._now_ms = now_ms
        self._patience_ms = patience_ms or USUAL_PATIENCE_MS
        self._going_since_ms = now_ms()
        self._unread = b""
        self._lines: list[bytes] = []  # to be said
        self._line = 0  # where the script stands
        self._breakpoints: list[int] = []
        self._most = USUAL_LENGTH
        self._has_hinted = False
        self.stepping = True  # the next line stops, and what is called until then is shown
        self.stops_next = False  # redis.breakpoint() was called

    # --- Say ---------------------------------------------------------------------------------------------------------

    def say(self, line: bytes) -> None:
        """One more line of the next answer."""
        self._lines.append(line)

    def _say_some(self, line: bytes) -> None:
        """A line that may be long, and is cut."""
        if not self._most or len(line) <= self._most:
            self.say(line)
            return
        self.say(line[: self._most] + b" ...")
        if not self._has_hinted:
            self._has_hinted = True
            self.say(TRIMMED)

    def _say_source(self, number: int) -> None:
        mark = b"->" if number == self._line else b"  "
        mark += b"#" if number in self._breakpoints else b" "
        known = 0 < number <= len(self._source)
        text = self._source[number - 1] if known else b"<out of range source code line>"
        self.say(b"%b%-3d %b" % (mark, number, text))

    def _say_around(self, number: int, context: int) -> None:
        for each in range(1, len(self._source) + 1):
            if abs(each - number) <= context:
                self._say_source(each)

    def send(self) -> None:
        """The answer is complete."""
        lines = (b"+%b\r\n" % re.sub(rb"[\r\n]", b" ", line) for line in self._lines)
        self._conversation.send(b"*%d\r\n%b" % (len(self._lines), b"".join(lines)))
        self._lines = []

    def end(self, last_words: bytes = b"") -> None:
        """The script is over. `last_words` follow, for who will not be heard any more."""
        self.say(b"<endsession>")
        self.send()
        if last_words:
            self._conversation.send(last_words)
        self._conversation.end()

    # --- The script's side -------------------------------------------------------------------------------------------

    def reached(self, line: int, timed: bool) -> Wish:
        """The script is about to run a line, or is `timed`: has been on its way for some time."""
        self._line = line
        is_breakpoint = line in self._breakpoints or self.stops_next
        is_late = timed and not self.stepping and not is_breakpoint
        if is_late and self._now_ms() - self._going_since_ms < self._patience_ms:
            return None
        if not (self.stepping or is_breakpoint or is_late):
            return None
        reason = b"timeout reached, infinite loop?" if is_late else b"step over"
        if is_breakpoint:
            reason = b"redis.breakpoint() called" if self.stops_next else b"break point"
        self.stepping = self.stops_next = False
        self.say(b"* Stopped at %d, stop reason = %b" % (line, reason))
        self._say_source(line)
        self.send()
        return self._next_wish(is_late)

    def told(self, wish: bytes, *found: Value) -> Wish:
        """What was wished for."""
        match wish:
            case b"locals":
                for name, value in _pairs(found):
                    self._say_some(b"<value> %b = %b" % (name, value))
                if not found:
                    self.say(b"No local variables in the current context.")
            case b"variable":
                self._say_some(b"<value> " + found[0]) if found else self.say(b"No such variable.")
            case b"trace":
                for number, (name, line) in enumerate(_pairs(found)):
                    self.say(b"%b %b:" % (b"From" if number else b"In", name or b"top level"))
                    self._say_source(line)
            case b"eval":
                works, value = found
                self._say_some(b"<retval> " + value) if works else self.say(b"<error> " + value)
            case b"redis":
                self.stepping = False
        self.send()
        return self._next_wish()

    def shown(self, values: bytes) -> None:
        """redis.debug."""
        self.say(b"<debug> line %d: %b" % (self._line, values))

    def called(self, argv: list[bytes]) -> None:
        """The script calls a command, or is about to be refused."""
        words = b" ".join(argv[:WORDS_SHOWN])
        more = len(argv) - WORDS_SHOWN - 1
        self.say(b"<redis> " + words + (b" ... (%d more)" % more if more >= 0 else b""))

    def refused(self, text: bytes) -> None:
        """Something that the script has done is an error."""
        if self.stepping:
            self.say(b"<error> " + text.removeprefix(b"ERR "))

    def answered(self, reply: Reply, protocol: int) -> None:
        """What the command has answered."""
        if isinstance(reply, ReplyError):
            self.say(b"<error> -" + reply.text)
        self._say_some(b"<reply> " + b"".join(_readable(iter(encode(reply, protocol).split(b"\r\n")))))

    # --- The user's side ---------------------------------------------------------------------------------------------

    def _next_wish(self, is_late: bool = False) -> Wish:
        """Obey what the user says, until it takes Lua to do so or the script is to go on."""
        while True:
            try:
                words = self._listen()
            except ProtocolError as error:
                return b"abort", error.text
            if words is None:
                self._breakpoints.clear()  # nobody is there: it shall run to its end, unless it has none
                return (b"abort", GONE) if is_late else None
            match [words[0].lower(), *words[1:]]:
                case [b"s" | b"step" | b"n" | b"next" | b"c" | b"continue" as word, *_]:
                    self.stepping = word not in (b"c", b"continue")
                    self._going_since_ms = self._now_ms()
                    return None
                case [b"a" | b"abort", *_]:
                    return b"abort", ABORTED
                case [b"p" | b"print", name]:
                    return b"variable", name
                case [b"p" | b"print", *_]:
                    return (b"locals",)
                case [b"t" | b"trace", *_]:
                    return (b"trace",)
                case [b"e" | b"eval", *code]:
                    return b"eval", b" ".join(code)
                case [b"r" | b"redis", _, *_]:
                    self.stepping = True  # so that the call is shown
                    return b"redis", *words[1:]
                case [b"h" | b"help", *_]:
                    self._lines += [line.encode() for line in HELP]
                case [b"m" | b"maxlen", *rest]:
                    self._limit(rest)
                case [b"b" | b"break", *rest]:
                    self._break(rest)
                case [b"l" | b"list", *rest]:
                    around = _number(rest[0]) if rest else 0
                    self._say_around(around if around > 0 else self._line, _number(rest[1]) if len(rest) > 1 else 5)
                case [b"w" | b"whole", *_]:
                    self._say_around(1, len(self._source))
                case _:
                    self.say(UNKNOWN)
            self.send()

    def _listen(self) -> list[bytes] | None:
        """The next words; None if the client has gone. Raises ProtocolError."""
        while True:
            words = _words(self._unread) if self._unread else None
            if words is not None:
                self._unread = b""  # whatever came behind them, as in Redis
                return words
            received = self._conversation.receive()
            if not received:
                return None
            self._unread += received
            if len(self._unread) > MOST_UNREAD:
                raise TOO_MUCH.with_traceback(None)

    def _limit(self, words: list[bytes]) -> None:
        if len(words) == 1:
            most = _number(words[0])
            self._has_hinted = True  # who sets it knows
            self._most = max(LEAST_LENGTH, most) if most else 0
        if self._most:
            self.say(b"<value> replies are truncated at %d bytes." % self._most)
        else:
            self.say(b"<value> replies are unlimited.")

    def _break(self, words: list[bytes]) -> None:
        breakpoints = self._breakpoints
        if not words and breakpoints:
            self.say(b"%d breakpoints set:" % len(breakpoints))
            for line in breakpoints:
                self._say_source(line)
        elif not words:
            self.say(b"No breakpoints set. Use 'b <line>' to add one.")
        for word in words:
            number = parse_integer(word)
            if number is None:
                self.say(b"Invalid argument:'%b'" % word)
            elif number == 0:
                breakpoints.clear()
                self.say(b"All breakpoints removed.")
            elif number < 0 and -number in breakpoints:
                breakpoints.remove(-number)
                self.say(b"Breakpoint removed.")
            elif number < 0:
                self.say(b"No breakpoint in the specified line.")
            elif len(breakpoints) == MOST_BREAKPOINTS:
                self.say(b"Too many breakpoints set.")
            elif number > len(self._source) or number in breakpoints:
                self.say(b"Wrong line number.")
            else:
                breakpoints.append(number)
                self._say_around(number, 1)


def _pairs(values: Sequence[Value]) -> Iterator[tuple[Value, Value]]:
    return zip(values[::2], values[1::2], strict=True)


_NUMBER: Final = re.compile(rb"\s*([+-]?[0-9]+)").match


def _number(word: bytes) -> int:
    """As C's atoi reads it: 0 if it is none."""
    found = _NUMBER(word)
    return int(found[1]) if found else 0


def _words(data: bytes) -> list[bytes] | None:
    """The words of a request, None while they are not all there. Raises ProtocolError.

    It is more tolerant than what requests are read with elsewhere (what stands before the star is passed over), and
    less so: there are no empty words.
    """
    found = _length(data, data.find(b"*"), b"*", MOST_WORDS)
    if found is None:
        return None
    count, at = found
    words: list[bytes] = []
    while len(words) < count and at < len(data):
        found = _length(data, at, b"$", LONGEST_WORD)
        if found is None:
            return None
        length, start = found
        at = start + length + 2
        if at > len(data):
            return None
        if data[at - 2 : at] != b"\r\n":
            raise NO_REQUEST.with_traceback(None)
        words.append(data[start : at - 2])
    return words if len(words) == count else None


def _length(data: bytes, at: int, mark: bytes, most: int) -> tuple[int, int] | None:
    """The length in a line that begins with this mark, and where the next line does; None while it has no end."""
    if data[at : at + 1] != mark:
        raise NO_REQUEST.with_traceback(None)
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    length = _number(data[at + 1 : end])
    if not 0 < length <= most:
        raise NO_REQUEST.with_traceback(None)
    return length, end + 2


def _readable(parts: Iterator[bytes]) -> Iterator[bytes]:
    """An encoded reply for a person: strings in quotes, arrays in brackets. `parts` are what stands between line ends.

    A string that has line ends of its own comes in several parts.
    """
    head = next(parts)
    kind, rest = head[:1], head[1:]
    match kind:
        case b"$" if rest == b"-1":
            yield b"NULL"
        case b"$":
            text = next(parts)
            while len(text) < int(rest):
                text += b"\r\n" + next(parts)
            yield quoted(text)
        case b"+" | b"-":
            yield quoted(head)
        case b"*" if rest == b"-1":
            yield b"NULL"
        case b"*":
            yield from _between(b"[", b",", b"]", int(rest), parts)
        case b"~":
            yield from _between(b"~(", b",", b")", int(rest), parts)
        case b"%":
            yield b"{"
            for number in range(int(rest)):
                yield b"," if number else b""
                yield from _between(b"", b" => ", b"", 2, parts)
            yield b"}"
        case b"_":
            yield b"(null)"
        case b"#":
            yield b"#true" if rest == b"t" else b"#false"
        case b",":
            yield b"(double) " + rest
        case b":":
            yield rest


def _between(begin: bytes, separator: bytes, end: bytes, count: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield begin
    for number in range(count):
        if number:
            yield separator
        yield from _readable(parts)
    yield end
