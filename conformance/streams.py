r"""The text of a stream: what is sent, by whom, and which order is inherent.

    # The first comment paragraph says what the stream teaches.
    @needs debug                   restrictions, at the head (table below)

    a> SET k v                     client a sends a command and its reply is awaited (clients open at first use)
    b> GET "k\x00"                 redis-cli quoting: "..." with \n \r \t \a \b \xHH \\ \" and '...' with \' only
    a> KEYS *            #= unordered      how this reply is compared when bytes need not be equal (normalise.py)
    a> CLIENT ID         #as id            remember the reply's text; ${id} puts it into later words
    a> EXPIREAT k ${now+100}       ${now}, ${now_ms}, each with + or - a number: one reading for both servers
    a> SET k ${70000*ab}           ab, 70,000 times
    a>raw "*1\r\n$4\r\nPING\r\n"   bytes as they stand; one reply awaited
    a>raw "PING\r\nPING\r\n" #replies 2    ... or so many (0: none is awaited), on any command
    a> SET k v           #frames 2         ... or so many in the order in which they come, out-of-band messages included
    a>raw "*x\r\n" #closed         whatever comes until the server closes the connection
    a>scan SCAN 0 COUNT 3          run the cursor to its end; the elements are compared as a set
    a>! BLPOP k 0                  sent, reply not awaited
    a<                             now it is (`a< 3`: three frames; out-of-band messages count when nothing is pending)
    a<*                            all messages that have come for a by now, however many
    @until a blocked               the barrier between the two: both servers say that a waits
    @wait 120ms until a> EXISTS k == 0     poll until the reply reads so (120 ms is what it should take)
    @close a                       a's connection is closed from our side

Restrictions: `@resp2 only`, `@resp3 only`, `@no handshake` (nothing is sent at connection; run once),
`@needs debug`, `@needs version 8.0` (of the oracle), `@needs command XADD` (of the oracle), `@needs processes` (the
servers go on by themselves while we do something else: not `mini_redis:manual`).

A word of its own that begins with `#=`, `#as`, `#replies`, `#frames` or `#closed` ends the command; quoted it is sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from .wire import quote, quote_command

STREAMS = Path(__file__).resolve().parent / "streams"
PROTOCOLS = (2, 3)

_LINE = re.compile(rb"^([A-Za-z][A-Za-z0-9_-]*)(>raw|>scan|>!|>|<\*|<)(?:\s+(.*))?$", re.DOTALL)
_WAIT = re.compile(rb"^@wait\s+(\d+)ms\s+until\s+(.+?)\s+==\s+(.+)$", re.DOTALL)
_UNTIL = re.compile(rb"^@until\s+([A-Za-z][A-Za-z0-9_-]*)\s+blocked$")
_CLOSE = re.compile(rb"^@close\s+([A-Za-z][A-Za-z0-9_-]*)$")
_PLACEHOLDER = re.compile(rb"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)([+-]\d+)?|(\d+)\*([^}]+))\}")
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("a"): 7, ord("b"): 8}
_DIRECTIVES = (b"#=", b"#as", b"#replies", b"#frames", b"#closed")


class StreamError(ValueError):
    """The text is not a stream; the message begins with file:line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a stream.

    verb: call, raw, scan, send (reply not awaited), await, heard, until (blocked), wait (poll until `expect`), close.
    """

    verb: str
    client: str
    argv: tuple[bytes, ...] = ()
    raw: bytes = b""
    replies: int | None = None
    frames: int | None = None
    closed: bool = False
    rule: str | None = None
    capture: str | None = None
    expect: bytes = b""
    wait_ms: int = 0
    line: int = 0

    @property
    def shown(self) -> str:
        """The step as the stream format writes it."""
        tail = f" #replies {self.replies}" if self.replies is not None and self.verb != "await" else ""
        tail += f" #frames {self.frames}" if self.frames is not None else ""
        tail += " #closed" if self.closed else ""
        tail += f" #= {self.rule}" if self.rule else ""
        tail += f" #as {self.capture}" if self.capture else ""
        match self.verb:
            case "call":
                return f"{self.client}> {quote_command(self.argv)}{tail}"
            case "send":
                return f"{self.client}>! {quote_command(self.argv)}{tail}"
            case "scan":
                return f"{self.client}>scan {quote_command(self.argv)}{tail}"
            case "raw":
                return f"{self.client}>raw {_always_quoted(self.raw)}{tail}"
            case "await":
                return f"{self.client}<" + (f" {self.replies}" if self.replies is not None else "") + tail
            case "heard":
                return f"{self.client}<*{tail}"
            case "until":
                return f"@until {self.client} blocked"
            case "close":
                return f"@close {self.client}"
            case _:
                return f"@wait {self.wait_ms}ms until {self.client}> {quote_command(self.argv)} == {quote(self.expect)}"


@dataclass(frozen=True, slots=True)
class Stream:
    """A parsed stream: `name` is group/file without suffix, `teaches` its first comment paragraph."""

    name: str
    steps: tuple[Step, ...]
    teaches: str = ""
    path: str = ""
    protocols: tuple[int, ...] = PROTOCOLS
    handshake: bool = True
    needs: tuple[tuple[str, str], ...] = field(default=())

    @property
    def group(self) -> str:
        return self.name.partition("/")[0]

    def with_steps(self, steps: tuple[Step, ...]) -> Stream:
        return replace(self, steps=steps)

    def to_text(self) -> str:
        """The stream as a file that parses back to it."""
        head = [f"# {line}" for line in self.teaches.splitlines()]
        if self.protocols == (2,) and not self.handshake:
            head.append("@no handshake")
        elif len(self.protocols) == 1:
            head.append(f"@resp{self.protocols[0]} only")
        head += [f"@needs {what} {detail}".rstrip() for what, detail in self.needs]
        return "\n".join([*head, "", *(step.shown for step in self.steps)]) + "\n"


def _always_quoted(data: bytes) -> str:
    shown = quote(data)
    return shown if shown.startswith('"') else f'"{shown}"'


def split_words(text: bytes) -> list[tuple[bytes, bool]]:
    """Words by redis-cli's quoting rules, each with whether any of it was quoted. ValueError for bad quotes."""
    words: list[tuple[bytes, bool]] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at : at + 1].isspace():
            at += 1
        if at >= end:
            return words
        word, quoted = bytearray(), False
        while at < end and not text[at : at + 1].isspace():
            mark = text[at]
            if mark in b"\"'":
                quoted = True
                at = _quoted_part(text, at + 1, mark, word)
            else:
                word.append(mark)
                at += 1
        words.append((bytes(word), quoted))


def _quoted_part(text: bytes, at: int, mark: int, word: bytearray) -> int:
    """Append the quoted part that begins at `at`; the position after its closing quote."""
    while at < len(text):
        byte = text[at]
        if byte == mark:
            if at + 1 < len(text) and not text[at + 1 : at + 2].isspace():
                raise ValueError("a closing quote must be followed by a space")
            return at + 1
        if byte == 0x5C and at + 1 < len(text):
            follower = text[at + 1]
            if mark == 0x27:
                if follower == 0x27:
                    word.append(0x27)
                    at += 2
                    continue
            elif follower == ord("x") and re.fullmatch(rb"[0-9a-fA-F]{2}", text[at + 2 : at + 4]):
                word.append(int(text[at + 2 : at + 4], 16))
                at += 4
                continue
            else:
                word.append(_ESCAPES.get(follower, follower))
                at += 2
                continue
        word.append(byte)
        at += 1
    raise ValueError("unbalanced quotes")


def parse(text: bytes, name: str, path: str = "") -> Stream:
    """Parse a stream's text; StreamError names the line that is wrong."""
    steps: list[Step] = []
    teaches: list[str] = []
    teaching = True
    protocols: tuple[int, ...] = PROTOCOLS
    handshake = True
    needs: list[tuple[str, str]] = []
    for number, raw_line in enumerate(text.split(b"\n"), 1):
        line = raw_line.strip()
        if not line or line.startswith(b"#"):
            teaching = teaching and (bool(line) or not teaches)
            if teaching and line:
                teaches.append(line.lstrip(b"# ").decode("utf-8"))
            continue
        teaching = False
        try:
            if (step := _parse_step(line, number)) is not None:
                steps.append(step)
                continue
            words = line.decode("utf-8").split()
            match words:
                case ["@resp2", "only"]:
                    protocols = (2,)
                case ["@resp3", "only"]:
                    protocols = (3,)
                case ["@no", "handshake"]:
                    protocols, handshake = (2,), False
                case ["@needs", ("debug" | "processes") as what]:
                    needs.append((what, ""))
                case ["@needs", ("version" | "command") as what, detail]:
                    needs.append((what, detail))
                case _:
                    raise ValueError(f"not a line of a stream: {line.decode('utf-8', 'replace')}")
        except ValueError as error:
            raise StreamError(f"{path or name}:{number}: {error}") from None
    return Stream(name, tuple(steps), "\n".join(teaches), path, protocols, handshake, tuple(needs))


def _parse_step(line: bytes, number: int) -> Step | None:
    """The step on `line`; None when it is none (a restriction); ValueError when it is a broken one."""
    if found := _UNTIL.match(line):
        return Step("until", found[1].decode(), line=number)
    if found := _CLOSE.match(line):
        return Step("close", found[1].decode(), line=number)
    if found := _WAIT.match(line):
        inner = _parse_step(found[2], number)
        if inner is None or inner.verb != "call":
            raise ValueError("@wait ... until takes `client> COMMAND == reply`")
        expected = split_words(found[3])
        return replace(inner, verb="wait", wait_ms=int(found[1]), expect=b" ".join(word for word, _ in expected))
    if not (found := _LINE.match(line)):
        return None
    client, mark = found[1].decode(), found[2].decode()
    words = split_words(found[3] or b"")
    split_at = next((n for n, (word, quoted) in enumerate(words) if not quoted and word in _DIRECTIVES), len(words))
    argv = tuple(word for word, _ in words[:split_at])
    options = _parse_options([word.decode("utf-8") for word, _ in words[split_at:]])
    verb = {">": "call", ">raw": "raw", ">scan": "scan", ">!": "send", "<": "await", "<*": "heard"}[mark]
    if verb == "await":
        if len(argv) > 1 or (argv and not argv[0].isdigit()):
            raise ValueError("`client<` takes at most a number of frames")
        return replace(options, verb=verb, client=client, line=number, replies=int(argv[0]) if argv else None)
    if verb == "heard":
        if argv:
            raise ValueError("`client<*` takes no number: it is all that there is")
        return replace(options, verb=verb, client=client, line=number)
    if verb == "raw":
        if len(argv) != 1:
            raise ValueError("`client>raw` takes one quoted string of bytes")
        return replace(options, verb=verb, client=client, line=number, raw=argv[0])
    if not argv:
        raise ValueError("a command is missing")
    return replace(options, verb=verb, client=client, line=number, argv=argv)


def _parse_options(words: list[str]) -> Step:
    """What stands after the command: `#= rule...`, `#as name`, `#replies N`, `#frames N`, `#closed`."""
    options = Step("call", "")
    at = 0
    while at < len(words):
        head = words[at]
        stop = next((n for n in range(at + 1, len(words)) if words[n].encode() in _DIRECTIVES), len(words))
        rest = words[at + 1 : stop]
        if head == "#=" and rest:
            options = replace(options, rule=" ".join(rest))
        elif head == "#as" and len(rest) == 1:
            options = replace(options, capture=rest[0])
        elif head == "#replies" and len(rest) == 1 and rest[0].isdigit():
            options = replace(options, replies=int(rest[0]))
        elif head == "#frames" and len(rest) == 1 and rest[0].isdigit():
            options = replace(options, frames=int(rest[0]))
        elif head == "#closed" and not rest:
            options = replace(options, closed=True)
        else:
            raise ValueError(f"what does {' '.join(words[at:stop])!r} mean?")
        at = stop
    return options


def substitute(word: bytes, now_ms: int, captured: dict[bytes, bytes]) -> bytes:
    """`${name}`, `${now+10}`, `${now_ms-5}`, `${1000*ab}` replaced; anything unknown stays as it stands."""

    def value(found: re.Match[bytes]) -> bytes:
        if found[3] is not None:
            return found[4] * int(found[3])
        name, offset = found[1], int(found[2] or 0)
        if name == b"now_ms":
            return b"%d" % (now_ms + offset)
        if name == b"now":
            return b"%d" % (now_ms // 1000 + offset)
        return captured.get(name, found[0])

    return _PLACEHOLDER.sub(value, word) if b"${" in word else word


def load(path: Path) -> Stream:
    """Read one stream file."""
    resolved = path.resolve()
    try:
        name = str(resolved.relative_to(STREAMS).with_suffix(""))
    except ValueError:
        name = path.stem
    try:
        shown = str(resolved.relative_to(Path.cwd()))
    except ValueError:
        shown = str(path)
    return parse(resolved.read_bytes(), name, shown)


def find(paths: list[Path] | None = None) -> list[Path]:
    """Stream files under `paths` (files or folders; default all of ours), sorted."""
    found: list[Path] = []
    for path in paths or [STREAMS]:
        if path.is_dir():
            found += sorted(path.rglob("*.stream"))
        elif path.is_file():
            found.append(path)
        elif (STREAMS / path).is_dir():
            found += sorted((STREAMS / path).rglob("*.stream"))
        elif (STREAMS / path).with_suffix(".stream").is_file():
            found.append((STREAMS / path).with_suffix(".stream"))
        else:
            raise StreamError(f"{path}: no such stream file or folder")
    return found
