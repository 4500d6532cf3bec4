r"""Transcripts: a conversation with the server that is a test and a page of documentation at once.

    # A TTL is told to the log as a date, whatever way it was said.
    a> SET k v EX 10
    a< OK
    log> SET k v PXAT 1700000010000
    advance 11s
    b> GET k
    b< (nil)
    log> DEL k

Every line is one of these:

    # ...                 a comment
    config DIRECTIVE ...  a line of redis.conf; before the first command
    resp3                 every client says HELLO 3 first, unseen; before the first command
    a> SET k "v\r\n"      client a sends a command, with redis-cli's quoting; connections open at first use
    a>raw "PING\r\n"      ... or these very bytes
    a< REPLY              the next thing that a receives
    a<raw "+PONG\r\n"     ... or these very bytes, up to the last one that has come
    log> DEL k            the next command that reaches the append-only file; `log> (nothing)`: there is none
    advance 5s            time passes (us, ms, s, m, h, d), the cron runs as often as it would have
    close a               a hangs up

With one client its name may be left out: `> GET k`, and the reply alone on the line below.

A reply is written as redis-cli would, in one line; each RESP type has its own notation, so that nothing is left open:

    OK  PONG  QUEUED  RESET  +string    simple string
    (error) ERR no such key             error; in quotes inside of an array, or if it ends with a space
    7                                   integer; (integer) 7 is the same
    v  1-0  "7"  "a\x00b"               bulk string; quoted where it could be taken for something else
    (nil)  (nil array)                  null; the second is RESP2's *-1
    [a, 7, (nil)]                       array
    1.5 or (double) inf   (true) (false)   {k: v, l: w}   ~[a, b]   (push) [a]   (text) "a\n"   (big) 12   (RESP3)
    (attributes) {k: v}                 stands before the reply that it belongs to
    ...                                 anything; at an aggregate's end, all the rest of it
    (waiting)                           not a reply: the client waits for one and cannot go on
    (nothing)                           not a reply: nothing has come
    (closed)                            not a reply: the server has hung up

All is written down: a reply that is not is an error, and so is a line of the log once a transcript speaks of the
log. Only the SELECT 0 with which every log begins goes without saying.

`python spec/transcript.py FILE...` runs transcripts; `--show` prints them with the replies that really came,
which is how they are best written; `--write` writes these into the files.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import encode_request, split_quoted

LOG = "log"
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
ACTIONS = ("send", "advance", "close")
STATUSES = (b"OK", b"PONG", b"QUEUED", b"RESET")

_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_]*|)(>raw|<raw|>|<)(?:\s+(.*))?$")
_ADVANCE = re.compile(r"advance\s+(\d+(?:\.\d+)?)(us|ms|s|m|h|d)$")


class TranscriptError(AssertionError):
    """A transcript is broken, or the server said something else. The message begins with file:line."""


# --- Replies: bytes -> tree <-> notation -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """A node of a reply. `kind` is RESP's type byte, `?` for anything; a null is `_` or `*` with the value None."""

    kind: str
    value: object = None


ANYTHING = Reply("?")
NIL, NIL_ARRAY = Reply("_"), Reply("*", None)


def read_reply(data: bytes, at: int = 0) -> tuple[Reply, int]:
    """The reply that begins at `at`, and where it ends. Raises ValueError unless it is whole and RESP."""
    line_end = data.index(b"\r\n", at)
    kind, head = chr(data[at]), data[at + 1 : line_end]
    at = line_end + 2
    if kind in "+-(,":
        return Reply(kind, head), at
    if kind == ":":
        return Reply(kind, int(head)), at
    if kind == "#":
        return Reply(kind, {b"t": True, b"f": False}[head]), at
    if kind == "_":
        return NIL, at
    size = int(head)
    if kind in "$=":
        if size < 0:
            return NIL, at
        if data[at + size : at + size + 2] != b"\r\n":
            raise ValueError("a bulk string of another length than it says")
        return Reply(kind, data[at : at + size]), at + size + 2
    if kind not in "*~>%|":
        raise ValueError(f"{kind!r} is no type of RESP")
    if size < 0:
        return NIL_ARRAY, at
    elements = []
    for _ in range(2 * size if kind in "%|" else size):
        element, at = read_reply(data, at)
        elements.append(element)
    return Reply(kind, tuple(elements)), at


def read_replies(data: bytes) -> list[Reply]:
    """All replies in `data`; ValueError if it does not end with one."""
    replies, at = [], 0
    while at < len(data):
        reply, at = read_reply(data, at)
        replies.append(reply)
    return replies


def matches(expected: Reply, reply: Reply) -> bool:
    """Whether a reply is what was written down."""
    if expected == ANYTHING:
        return True
    if expected.kind != reply.kind or not isinstance(expected.value, tuple) or not isinstance(reply.value, tuple):
        return expected == reply
    wanted, got = expected.value, reply.value
    if wanted and wanted[-1] == ANYTHING and (len(wanted) != len(got)):
        wanted = wanted[:-1]
        got = got[: len(wanted)]
    return len(wanted) == len(got) and all(map(matches, wanted, got))


def quote(text: bytes) -> str:
    """In double quotes, as redis-cli does."""
    named = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return (
        '"' + "".join(named.get(byte) or (chr(byte) if 32 <= byte <= 126 else f"\\x{byte:02x}") for byte in text) + '"'
    )


def write_word(word: bytes) -> str:
    """An argument of a command."""
    return word.decode() if re.fullmatch(rb"[!#-&(-\[\]-~]+", word) else quote(word)


def write_reply(reply: Reply, inside: bool = False) -> str:
    """A reply in the notation above; `inside` of an aggregate. `parse_reply` reads it back."""
    value = reply.value
    if isinstance(value, tuple):
        parts = [write_reply(element, inside=True) for element in value]
        if reply.kind in "%|":
            pairs = ", ".join(f"{name}: {what}" for name, what in zip(parts[::2], parts[1::2], strict=False))
            rest = (", " if pairs else "") + "..." if len(parts) % 2 else ""
            return ("" if reply.kind == "%" else "(attributes) ") + "{" + pairs + rest + "}"
        return {"*": "", "~": "~", ">": "(push) "}[reply.kind] + "[" + ", ".join(parts) + "]"
    if isinstance(value, bytes):
        match reply.kind:
            case "+" if value in STATUSES:
                return value.decode()
            case "+":
                return "+" + (value.decode() if _BARE.fullmatch(value) else quote(value))
            case "-":
                plain = not inside and value == value.strip() and not value.startswith(b'"') and value.isascii()
                return "(error) " + (value.decode() if plain else quote(value))
            case ",":
                return value.decode() if re.fullmatch(rb"-?\d+\.\d+", value) else f"(double) {value.decode()}"
            case "=":
                return f"(text) {quote(value[4:])}"
            case "(":
                return f"(big) {value.decode()}"
            case _:
                return value.decode() if _BARE.fullmatch(value) and value not in STATUSES else quote(value)
    if isinstance(value, bool):
        return "(true)" if value else "(false)"
    if isinstance(value, int):
        return str(value)
    return {"?": "...", "_": "(nil)", "*": "(nil array)"}[reply.kind]


_BARE = re.compile(rb"[A-Za-z_/:][\w./:@-]*(?<!:)|\d+-\d+")
_TOKEN = re.compile(
    r"""\s*(?P<open>~\[|\(push\)\s*\[|\[|\{|\(attributes\)\s*\{)
      | \s*(?P<quoted>(?:\+|\(text\)\s*|\(error\)\s*)?"(?:[^"\\]|\\.)*")
      | \s*(?P<named>\((?:nil|nil\ array|true|false)\))
      | \s*(?:\(integer\)\s*)?(?P<integer>-?\d+)(?![\w.-])
      | \s*\(big\)\s*(?P<big>-?\d+)
      | \s*(?P<double>-?\d+\.\d+|\(double\)\s*\S+?)(?=[\s,:\]}]|$)
      | \s*(?P<rest>\.\.\.)
      | \s*(?P<word>\+?(?:[A-Za-z_/:][\w./:@-]*(?<!:)|\d+-\d+))
    """,
    re.VERBOSE,
)
_AGGREGATES = {"[": "*", "~": "~", "{": "%", "(push)": ">", "(attributes)": "|"}
_NAMED = {"(nil)": NIL, "(nil array)": NIL_ARRAY, "(true)": Reply("#", True), "(false)": Reply("#", False)}


def parse_reply(text: str) -> Reply:
    """Read the notation. Raises ValueError, saying where it stops making sense."""
    text = text.strip()
    if text.startswith("(error) ") and not text.startswith('(error) "'):
        return Reply("-", text.removeprefix("(error) ").encode())
    reply, end = _parse_node(text, 0)
    if text[end:].strip():
        raise ValueError(f"what does {text[end:].strip()!r} mean after the reply?")
    return reply


def _parse_node(text: str, at: int) -> tuple[Reply, int]:
    token = _TOKEN.match(text, at)
    if token is None:
        raise ValueError(f"{text[at:]!r} is no reply in this notation")
    end, what = token.end(), token[token.lastgroup or ""]
    match token.lastgroup:
        case "open":
            return _parse_aggregate(text, end, what)
        case "quoted":
            words = split_quoted(what[what.index('"') :].encode())
            assert words is not None and len(words) == 1, "the pattern lets whole quotes through only"
            mark = what[: what.index('"')].strip()
            prefix = b"txt:" if mark == "(text)" else b""
            return Reply({"": "$", "+": "+", "(error)": "-", "(text)": "="}[mark], prefix + words[0]), end
        case "named":
            return _NAMED[what], end
        case "integer":
            return Reply(":", int(what)), end
        case "big":
            return Reply("(", what.encode()), end
        case "double":
            return Reply(",", what.removeprefix("(double)").strip().encode()), end
        case "rest":
            return ANYTHING, end
    if what.startswith("+"):
        return Reply("+", what[1:].encode()), end
    return Reply("+" if what.encode() in STATUSES else "$", what.encode()), end


def _parse_aggregate(text: str, at: int, opening: str) -> tuple[Reply, int]:
    kind = next(kind for mark, kind in _AGGREGATES.items() if opening.startswith(mark))
    closing = "}" if kind in "%|" else "]"
    elements: list[Reply] = []
    while True:
        rest = text[at:].lstrip()
        at = len(text) - len(rest)
        if rest.startswith(closing):
            return Reply(kind, tuple(elements)), at + 1
        if not rest:
            raise ValueError(f"{closing!r} is missing")
        if elements:
            if not rest.startswith(","):
                raise ValueError(f"expected ',' or {closing!r} at {rest!r}")
            at += 1
        element, at = _parse_node(text, at)
        elements.append(element)
        if kind in "%|" and element != ANYTHING:
            if not text[at:].startswith(":"):
                raise ValueError(f"expected ':' at {text[at:]!r}")
            element, at = _parse_node(text, at + 1)
            elements.append(element)


# --- The text --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One line. `verb`: send, expect, expect raw, waiting, nothing, closed, log, log nothing, advance, close."""

    verb: str
    line: int
    client: str = ""
    data: bytes = b""
    argv: tuple[bytes, ...] = ()
    reply: Reply = ANYTHING
    seconds: float = 0.0


@dataclass
class Transcript:
    """A parsed transcript. `name` and `first_line` say in messages where it stands."""

    name: str
    text: str
    first_line: int = 1
    config: list[str] = field(default_factory=list)
    resp3: bool = False
    steps: list[Step] = field(default_factory=list)

    def fail(self, line: int, message: str) -> TranscriptError:
        shown = self.text.splitlines()[line - self.first_line].strip()
        return TranscriptError(f"{self.name}:{line}: {message}\n    {shown}")

    @property
    def speaks_of_the_log(self) -> bool:
        return any(step.verb.startswith(LOG) for step in self.steps)


def parse(text: str, name: str, first_line: int = 1) -> Transcript:
    """Read a transcript. Raises TranscriptError for a line that is none."""
    transcript = Transcript(name, text, first_line)
    for number, raw_line in enumerate(text.splitlines(), first_line):
        line = raw_line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if not transcript.steps and line.startswith("config "):
                transcript.config.append(line.removeprefix("config ").strip())
            elif not transcript.steps and line == "resp3":
                transcript.resp3 = True
            else:
                transcript.steps.append(_parse_step(line, number))
        except ValueError as error:
            raise transcript.fail(number, str(error)) from None
    return transcript


def _parse_step(line: str, number: int) -> Step:
    if found := _ADVANCE.match(line):
        return Step("advance", number, seconds=float(found[1]) * UNITS[found[2]])
    if line.startswith("close "):
        return Step("close", number, line.removeprefix("close ").strip())
    found = _LINE.match(line)
    if found is None:
        return _parse_expectation("", line, number)
    client, mark, rest = found[1], found[2], (found[3] or "").strip()
    if client == LOG and mark == ">":
        if rest == "(nothing)":
            return Step("log nothing", number)
        return Step("log", number, argv=_words(rest))
    if mark == "<":
        return _parse_expectation(client, rest, number)
    words = _words(rest)
    if mark == ">":
        return Step("send", number, client, encode_request(list(words)), words)
    if len(words) != 1:
        raise ValueError("raw bytes are one string in quotes")
    return Step("send" if mark == ">raw" else "expect raw", number, client, words[0])


def _parse_expectation(client: str, text: str, number: int) -> Step:
    if text in ("(waiting)", "(nothing)", "(closed)"):
        return Step(text.strip("()"), number, client)
    return Step("expect", number, client, reply=parse_reply(text))


def _words(text: str) -> tuple[bytes, ...]:
    words = split_quoted(text.encode())
    if words is None:
        raise ValueError("unbalanced quotes")
    if not words:
        raise ValueError("a command is missing")
    return tuple(words)


# --- Running one -----------------------------------------------------------------------------------------------------


class _Stage:
    """A node, its clients, and what they have received and nobody has looked at."""

    def __init__(self, transcript: Transcript, byte_by_byte: bool) -> None:
        self.node = InProcess(*transcript.config, logging=True)
        self.resp3 = transcript.resp3
        self.byte_by_byte = byte_by_byte
        self.clients: dict[str, InProcessClient] = {}
        self.log_read = 0

    def client(self, name: str) -> InProcessClient:
        if name not in self.clients:
            self.clients[name] = client = self.node.connect()
            if self.resp3:
                client.command("HELLO", "3")
        return self.clients[name]

    def send(self, name: str, data: bytes) -> None:
        client = self.client(name)
        for piece in [data[i : i + 1] for i in range(len(data))] if self.byte_by_byte else [data]:
            client.send(piece)

    def waits(self, name: str) -> bool:
        client = self.client(name)
        return client.handle.held and not client.closed

    def take_reply(self, name: str) -> Reply | None:
        client = self.client(name)
        if not client.received:
            return None
        reply, end = read_reply(client.received)
        client.received = client.received[end:]
        return reply

    def take_logged(self) -> tuple[bytes, ...] | None:
        """The next command of the log."""
        while self.log_read < len(self.node.log):
            reply, self.log_read = read_reply(self.node.log, self.log_read)
            assert isinstance(reply.value, tuple), "the log holds requests"
            words = tuple(word.value for word in reply.value if isinstance(word.value, bytes))
            if words != (b"SELECT", b"0") or self.log_read > len(encode_request([b"SELECT", b"0"])):
                return words
        return None


def run(transcript: Transcript, *, byte_by_byte: bool = False) -> None:
    """Play a transcript on a new node. Raises TranscriptError at the first line that is not so."""
    stage = _Stage(transcript, byte_by_byte)
    for step in transcript.steps:
        _play(stage, step, transcript)
    for name in stage.clients:
        if (reply := stage.take_reply(name)) is not None:
            last = transcript.steps[-1].line
            raise transcript.fail(last, f"this reply is not written down:\n    {name}< {write_reply(reply)}")
    if transcript.speaks_of_the_log and (words := stage.take_logged()) is not None:
        raise transcript.fail(
            transcript.steps[-1].line, f"this reached the log and is not written down:\n    {_logged(words)}"
        )


def _play(stage: _Stage, step: Step, transcript: Transcript) -> None:
    match step.verb:
        case "send":
            if (reply := stage.take_reply(step.client)) is not None:
                raise transcript.fail(step.line, f"a reply before this line is not written down: {write_reply(reply)}")
            stage.send(step.client, step.data)
        case "advance":
            stage.node.advance(step.seconds)
        case "close":
            stage.client(step.client).disconnect()
        case "log" | "log nothing":
            words = stage.take_logged()
            if words != (step.argv or None):
                raise transcript.fail(step.line, f"expected {_logged(step.argv)}\n    got      {_logged(words or ())}")
        case "expect raw":
            got = stage.client(step.client).take()
            if got != step.data:
                raise transcript.fail(step.line, f"expected {quote(step.data)}\n    got      {quote(got)}")
        case _:
            expected, got_text = _expectation(stage, step)
            if got_text is not None:
                raise transcript.fail(step.line, f"expected {expected}\n    got      {got_text}")


def _expectation(stage: _Stage, step: Step) -> tuple[str, str | None]:
    """What was expected, and what came instead (None: just that)."""
    if step.verb == "expect":
        expected = write_reply(step.reply)
        reply = stage.take_reply(step.client)
        if reply is not None:
            return expected, None if matches(step.reply, reply) else write_reply(reply)
        return expected, _silence(stage, step.client)
    received = stage.client(step.client).received
    if received:
        return f"({step.verb})", write_reply(read_reply(received)[0])
    silence = _silence(stage, step.client)
    return f"({step.verb})", None if silence == f"({step.verb})" else silence


def _silence(stage: _Stage, name: str) -> str:
    if stage.client(name).closed:
        return "(closed)"
    return "(waiting)" if stage.waits(name) else "(nothing)"


def _logged(words: tuple[bytes, ...]) -> str:
    return "log> " + (" ".join(map(write_word, words)) or "(nothing)")


# --- Writing one -----------------------------------------------------------------------------------------------------


def shown(transcript: Transcript) -> str:
    """The transcript with the replies, and if it speaks of the log the log, that a node really gives.

    An expectation that holds stays as it is written, be it `...` or raw bytes.
    """
    stage = _Stage(transcript, byte_by_byte=False)
    steps = {step.line: step for step in transcript.steps}
    lines: list[str] = []
    for number, line in enumerate(transcript.text.splitlines(), transcript.first_line):
        step = steps.get(number)
        if step is None:
            lines.append(line)
        elif step.verb in ACTIONS:
            lines.append(line)
            _play(stage, step, transcript)
            lines += _consequences(stage, step, transcript)
    return "\n".join(lines) + "\n"


def _consequences(stage: _Stage, action: Step, transcript: Transcript) -> Iterator[str]:
    """The lines to write below an action."""
    following = transcript.steps[transcript.steps.index(action) + 1 :]
    written = list(takewhile(lambda step: step.verb not in ACTIONS, following))
    for name, client in stage.clients.items():
        expected = [step for step in written if step.client == name and not step.verb.startswith(LOG)]
        if any(step.verb == "expect raw" for step in expected):
            yield f"{name}<raw {quote(client.take())}"
            expected.clear()
        while (reply := stage.take_reply(name)) is not None:
            pattern = expected.pop(0).reply if expected else reply
            yield _said(name, write_reply(pattern if matches(pattern, reply) and pattern != ANYTHING else reply))
        if expected and expected[0].verb != "expect" or name == action.client and client.closed or stage.waits(name):
            yield _said(name, _silence(stage, name))
    while transcript.speaks_of_the_log and (words := stage.take_logged()) is not None:
        yield _logged(words)
    if any(step.verb == "log nothing" for step in written):
        yield _logged(())


def _said(name: str, text: str) -> str:
    return f"{name}< {text}" if name else text


def load(path: Path) -> Transcript:
    return parse(path.read_text(), str(path))


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description="Run transcripts.")
    options.add_argument("files", nargs="+", type=Path)
    options.add_argument("--show", action="store_true", help="print them with the replies that really came")
    options.add_argument("--write", action="store_true", help="... and write that into the files")
    given = options.parse_args(arguments)
    failed = 0
    for path in given.files:
        try:
            transcript = load(path)
            if given.show:
                print(shown(transcript), end="")
            elif given.write:
                path.write_text(shown(transcript))
            else:
                run(transcript)
                run(transcript, byte_by_byte=True)
                print(f"{path}: as written")
        except TranscriptError as error:
            failed = 1
            print(error, file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
