"""Golden traces: a recorded oracle stands in where none can be installed.

`run --record FILE` writes down what the oracle answered to every stream under every protocol; `--oracle FILE` plays it
back. A trace is JSON lines, to be read and diffed: a header (what the oracle was, its commands), then for each stream
one line that names it, one line per step, one for what was left over and one for the state at the end. Bytes stand as
latin-1 text; where something is repeated often it is folded (`[900, "a"]`). A name that ends in .gz is compressed.

    {"trace": "conformance-trace/1", "oracle": "redis-8.2", "facts": {...}, "commands": {"GET": "string", ...}}
    {"stream": "string/set", "protocol": 2, "hash": "9f0c1e...", "now_ms": 1795390000000}
    {"line": 4, "sent": "a> SET k v", "frames": ["+OK\\r\\n"]}
    {"left over": {"a": ["+PONG\\r\\n"]}}
    {"state": [[0, "k", {"type": "string", ...}]], "digest": "$40\\r\\n..."}

What a trace cannot do, it says: a stream whose text has changed since is skipped (`hash`), steps that the subject does
not know end the stream there, differences are not shrunk, and nothing is generated.

Time: a stream that says ${now} was recorded at `now_ms`. Integers in the recording that lie within a month of that
moment, in seconds or milliseconds, are moved by the time that has passed since; and a clock's reading may be off by two
seconds, as the two servers were not asked at the same moment of a second.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from .dial import Target
from .endpoints import Endpoint, EndpointError
from .outcome import Outcome
from .runner import Duel, Session, Side, Verdict, frames_awaited
from .state import NO_DIGEST, Keyspace, Snapshot
from .streams import Step, Stream
from .wire import Connection, Reply, parse_reply

FORMAT = "conformance-trace/1"
SUFFIXES = (".trace", ".trace.gz")
MONTH_S = 30 * 86_400
# How far apart a recorded and a present reading of a clock may be.
SLACK_MS = 2000
LONG_RUN = 64
Folded: TypeAlias = str | list[str | list[int | str]]
_RUN = re.compile(rf"(.{{1,10}}?)\1{{{LONG_RUN - 1},}}", re.DOTALL)
_DIGITS = re.compile(rb"\d{10,13}")


def is_trace(text: str) -> bool:
    """Whether an endpoint's text names a trace: FILE.trace or FILE.trace.gz."""
    return text.endswith(SUFFIXES)


def hash_of(stream: Stream) -> str:
    """Of what is sent and how it is compared, not of comments."""
    text = repr((stream.protocols, stream.handshake, stream.needs, [step.shown for step in stream.steps]))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- recording ---------------------------------------------------------------------------------------------------


def record(endpoint: Endpoint, streams: list[Stream], protocols: tuple[int, ...], timeout: float) -> Iterator[str]:
    """The lines of a trace, as the endpoint answers."""
    yield _line(
        {
            "trace": FORMAT,
            "oracle": endpoint.name,
            "facts": {name: endpoint.facts[name] for name in sorted(endpoint.facts) if name.endswith("_version")},
            "commands": _commands(endpoint),
        }
    )
    fit = Duel(endpoint, endpoint, timeout)
    for stream in streams:
        for protocol in protocols:
            if protocol not in stream.protocols:
                continue
            if reason := fit.unfit(stream, protocol):
                yield _line({**_head(stream, protocol, 0), "skipped": reason})
            else:
                yield from record_stream(endpoint, stream, protocol, timeout)


def record_stream(endpoint: Endpoint, stream: Stream, protocol: int, timeout: float) -> Iterator[str]:
    """One stream under one protocol. EndpointError when the stream itself expects otherwise of this oracle."""
    now_ms = time.time_ns() // 1_000_000
    if not endpoint.alive():
        endpoint.restart()
    session = Session(endpoint, protocol, stream.handshake, now_ms, timeout)
    lines = [_line(_head(stream, protocol, now_ms))]
    try:
        session.prepare(stream)
        for step in stream.steps:
            bad = session.begin(step)
            outcome = Outcome(end=bad) if bad else session.finish(step, frames_awaited(step))
            lines.append(_line({"line": step.line, "sent": step.shown[:200], **_as_json(outcome)}))
        lines.append(_line({"left over": {name: _as_json(one) for name, one in session.leftovers().items()}}))
        snapshot = session.snapshot()
        places = sorted(snapshot.with_values().items())
        state = [
            # Without dumps: what they hold of clocks could not be moved.
            [
                number,
                fold(key.decode("latin-1")),
                {name: fold(text) for name, text in facts.items() if not name.startswith("dump")},
            ]
            for (number, key), facts in places
        ]
        lines.append(_line({"state": state}))
    finally:
        if not session.leave():
            endpoint.restart()
    yield from lines


def save(path: Path, lines: Iterator[str]) -> int:
    """Write a trace; how many streams it holds."""
    text = list(lines)
    data = ("\n".join(text) + "\n").encode("ascii")
    path.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
    return sum(line.startswith('{"stream"') for line in text)


def fold(text: str) -> Folded:
    """The text, or its parts where something short is repeated often: `["$900\r\n", [900, "a"], "\r\n"]`."""
    if len(text) < LONG_RUN:
        return text
    parts: list[str | list[int | str]] = []
    at = 0
    for found in _RUN.finditer(text):
        parts += [text[at : found.start()], [len(found[0]) // len(found[1]), found[1]]]
        at = found.end()
    return [*parts, text[at:]] if parts else text


def unfold(folded: Folded) -> str:
    """What `fold` was given."""
    if isinstance(folded, str):
        return folded
    return "".join(part if isinstance(part, str) else str(part[1]) * int(part[0]) for part in folded)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, separators=(", ", ": "))


def _head(stream: Stream, protocol: int, now_ms: int) -> dict[str, Any]:
    return {"stream": stream.name, "protocol": protocol, "hash": hash_of(stream), "now_ms": now_ms}


def _as_json(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {"frames": [fold(frame.raw.decode("latin-1")) for frame in outcome.frames]}
    if outcome.end:
        entry |= {"end": outcome.end, "detail": outcome.detail}
    return entry


def _commands(endpoint: Endpoint) -> dict[str, str]:
    """Every command and subcommand of COMMAND, with its group by COMMAND DOCS."""
    connection = endpoint.connect()
    try:
        table, docs = connection.call(b"COMMAND"), connection.call(b"COMMAND", b"DOCS")
    finally:
        connection.close()
    groups: dict[str, str] = {}
    for name, entry in zip(docs.children[::2], docs.children[1::2], strict=False):
        facts = {key.text: value.text for key, value in zip(entry.children[::2], entry.children[1::2], strict=False)}
        groups[name.text.decode()] = facts.get(b"group", b"").decode()
    found: dict[str, str] = {}
    for entry in table.children:
        name_of = entry.children[0].text.decode("latin-1")
        found[name_of] = groups.get(name_of, "")
        for inner in entry.children[9].children if len(entry.children) > 9 else ():
            found[inner.children[0].text.decode("latin-1")] = ""
    return dict(sorted(found.items()))


# ---- playing it back ---------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    """One stream under one protocol, as the oracle answered it."""

    hash: str
    now_ms: int
    steps: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    left_over: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: list[tuple[int, Folded, dict[str, Folded]]] = field(default_factory=list)
    skipped: str = ""
    whole: bool = False


@dataclass
class TraceEndpoint(Endpoint):
    """An oracle that only remembers. It tells its commands; everything else it knows is in its streams."""

    recorded: dict[tuple[str, int], Recorded] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    path: Path = Path()

    @property
    def owned(self) -> bool:
        return True

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def title(self) -> str:
        return f"{super().title}, recorded"

    def connect(self, timeout: float = 10.0) -> Connection:
        return _Memory(self.commands)

    def restart(self) -> None:
        raise EndpointError(f"{self.path} is a trace: there is nothing to start")

    def unfit(self, stream: Stream, protocol: int) -> str:
        """Why this stream cannot be played back; empty when it can."""
        found = self.recorded.get((stream.name, protocol))
        if found is None:
            return "the trace does not have it"
        if found.hash != hash_of(stream):
            return "the stream has changed since the trace was recorded: record it again"
        return found.skipped or "" if found.whole or found.skipped else "the trace ends in the middle of it"


class _Memory(Connection):
    """Answers COMMAND and COMMAND DOCS from the header, everything else with an error."""

    def __init__(self, commands: dict[str, str]) -> None:
        self._commands = commands

    def close(self) -> None:
        pass

    def call(self, *argv: bytes) -> Reply:
        words = [word.upper() for word in argv[:2]]
        names = [(name, Reply("$", name.encode("latin-1"), b"")) for name in self._commands]
        if words == [b"COMMAND"]:
            return Reply("*", tuple(Reply("*", (reply,), b"") for _, reply in names), b"")
        if words == [b"CLIENT", b"LIST"]:
            return Reply("$", b"flags=N", b"")  # whom the stream awaits was blocked when it was recorded
        if words == [b"COMMAND", b"DOCS"]:
            label = Reply("$", b"group", b"")
            flat = ((r, Reply("*", (label, Reply("$", self._commands[n].encode(), b"")), b"")) for n, r in names)
            return Reply("*", tuple(one for pair in flat for one in pair), b"")
        if words[:2] == [b"COMMAND", b"INFO"]:
            known = argv[2].decode("latin-1").lower() in self._commands
            return Reply("*", (Reply("*", (Reply("$", argv[2], b""),) if known else None, b""),), b"")
        text = b"ERR a trace answers nothing but its streams"
        return Reply("-", text, b"-%b\r\n" % text)


class TraceDuel(Duel):
    """A live subject against a recorded oracle."""

    def unfit(self, stream: Stream, protocol: int) -> str:
        assert isinstance(self.oracle, TraceEndpoint)
        if self.lacks_process(stream):
            return super().unfit(stream, protocol)
        return self.oracle.unfit(stream, protocol)

    def side(self, endpoint: Endpoint, stream: Stream, protocol: int, now_ms: int) -> Side:
        if isinstance(endpoint, TraceEndpoint):
            return TraceSession(endpoint, endpoint.recorded[stream.name, protocol], now_ms)
        return super().side(endpoint, stream, protocol, now_ms)

    def run(self, stream: Stream, protocol: int, check_state: bool = True) -> Verdict:
        """Like Duel.run; the recording cannot leave a step out, so a stream ends before the first that would be."""
        while True:
            shared, left_out = self.gaps.shared(stream)
            steps = shared.steps
            if left_out:
                kept = (n for n, step in enumerate(stream.steps) if n >= len(steps) or step is not steps[n])
                steps = stream.steps[: next(kept)]
            verdict = self._run(stream.with_steps(steps), protocol, check_state and not left_out, stream)
            verdict.left_out = left_out
            if not self.gaps.learn(verdict.compared):
                return verdict

    def rule_for(self, step: Step) -> str:
        rule = super().rule_for(step)
        return f"within {SLACK_MS // 1000}" if rule == "seconds" else rule


def duel(oracle: Endpoint, subject: Endpoint, timeout: float = 10.0, chopped: bool = False) -> Duel:
    """The Duel that fits the oracle."""
    if isinstance(oracle, TraceEndpoint):
        return TraceDuel(oracle, subject, timeout, chopped, least_slack_ms=SLACK_MS)
    return Duel(oracle, subject, timeout, chopped)


class TraceSession:
    """Stands where a Session stands, for an oracle that was recorded."""

    def __init__(self, endpoint: TraceEndpoint, recorded: Recorded, now_ms: int) -> None:
        self.endpoint: Endpoint = endpoint
        self.recorded = recorded
        self.now_ms = now_ms
        self._position = 0

    def prepare(self, stream: Stream) -> None:
        self._position = 0

    def begin(self, step: Step) -> str:
        return ""

    def finish(self, step: Step, frames: int) -> Outcome:
        """What was recorded for the next step, which must be this one."""
        line, entry = self.recorded.steps[self._position]
        self._position += 1
        if line != step.line:
            raise EndpointError(f"{self.endpoint.where}: line {line} was recorded where line {step.line} is played")
        return self._outcome(entry)

    def leftovers(self) -> dict[str, Outcome]:
        return {name: self._outcome(entry) for name, entry in self.recorded.left_over.items()}

    def leave(self) -> bool:
        return True

    def snapshot(self) -> Snapshot:
        keyspace: Keyspace = {}
        for number, key, facts in self.recorded.state:
            moved = {name: unfold(text) for name, text in facts.items()}
            if moved.get("expires at ms", "").isdigit():
                moved["expires at ms"] = str(int(moved["expires at ms"]) + self.now_ms - self.recorded.now_ms)
            if "value" in moved:
                moved["value"] = self._move(moved["value"].encode("latin-1")).decode("latin-1")
            keyspace[number, unfold(key).encode("latin-1")] = moved
        # No digest: values that hold the time are others today.
        return Snapshot(keyspace, NO_DIGEST, lambda _: None)

    def _outcome(self, entry: dict[str, Any]) -> Outcome:
        frames = tuple(parse_reply(self._move(unfold(folded).encode("latin-1"))) for folded in entry["frames"])
        return Outcome(frames, entry.get("end", ""), entry.get("detail", ""))

    def _move(self, raw: bytes) -> bytes:
        """Moments near the recording's, as they would be today."""
        then = self.recorded.now_ms

        def moved(found: re.Match[bytes]) -> bytes:
            number = int(found[0])
            if abs(number - then) < MONTH_S * 1000:
                number += self.now_ms - then
            elif abs(number - then // 1000) < MONTH_S:
                number += self.now_ms // 1000 - then // 1000
            text = b"%d" % number
            return text if len(text) == len(found[0]) else found[0]

        return re.sub(rb"(?<!\d)\d{10,13}(?!\d)", moved, raw) if _DIGITS.search(raw) else raw


def load(path: Path) -> TraceEndpoint:
    """Read a trace. EndpointError when it is none, or of a format that this version does not read."""
    try:
        data = path.read_bytes()
        lines = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("ascii").splitlines()
        header, *entries = [json.loads(line) for line in lines]
        if header.get("trace") != FORMAT:
            raise EndpointError(f"{path}: a trace of format {header.get('trace')!r}; this tool reads {FORMAT}")
        endpoint = TraceEndpoint(header["oracle"], Target(), facts=header["facts"], commands=header["commands"])
        endpoint.path = path
        current = Recorded("", 0)
        for entry in entries:
            if "stream" in entry:
                current = Recorded(entry["hash"], entry["now_ms"], skipped=entry.get("skipped", ""))
                endpoint.recorded[entry["stream"], entry["protocol"]] = current
            elif "line" in entry:
                current.steps.append((entry["line"], entry))
            elif "left over" in entry:
                current.left_over = entry["left over"]
            else:
                current.state, current.whole = entry["state"], True
    except FileNotFoundError:
        message = f"{path}: there is no such trace; `redis-conformance run --record {path}` makes one"
        raise EndpointError(message) from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise EndpointError(f"{path} is no trace: {error!r}") from error
    return endpoint
