"""Run a stream: one endpoint at a time (Session), two in lockstep (Duel), and the state they end in.

A step is sent to both servers before either reply is read, so that both see it at nearly the same time; the next step
waits until both have answered. This is what makes a comparison of several clients deterministic: there is never more
than one command under way, except for those that the stream itself leaves pending (`a>! BLPOP k 0`) and whose blocking
it awaits (`@until a blocked`).

Between streams a server is brought back to where it was: emptied, statistics reset, changed configuration restored,
clients of the last stream gone. A server of ours that died is started again; that it died is a difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from .dial import Control
from .endpoints import Endpoint, EndpointError, count_keys
from .gaps import Gaps
from .journal import as_outcome, calls, tell_alike
from .normalise import CLOCK_DOUBT, CONTROL_NAME, Rules, command_name, doubtful, equal, load_rules
from .outcome import GONE as GONE
from .outcome import LEFT_OVER as LEFT_OVER
from .outcome import LOG as LOG
from .outcome import STATE as STATE
from .outcome import Compared as Compared
from .outcome import Outcome, plain_text
from .state import Snapshot, all_keys, compare_state, take
from .streams import Step, Stream, substitute
from .wire import Connection, Reply, WireClosed, WireGarbage, WireTimeout, encode_command

POLL_SECONDS = 0.005
CHOPPED_BYTES = 2000
MARK = b"heard all of it?"
WITHOUT = {
    "FLUSHALL": "FLUSHALL is refused: each database is emptied by FLUSHDB or DEL",
    "DEBUG DIGEST": "no DEBUG DIGEST: at the end of a stream every value is read and compared",
    "OBJECT ENCODING": "no OBJECT ENCODING: encodings are not compared at the end of a stream",
}
RESETTING = tuple(
    line.encode()
    for line in (
        "CLIENT UNPAUSE",
        "FLUSHALL",
        "CONFIG RESETSTAT",
        "SCRIPT FLUSH",
        "FUNCTION FLUSH",
        "SLOWLOG RESET",
        "LATENCY RESET",
        "DEBUG SET-ACTIVE-EXPIRE 1",
    )
)


@dataclass
class Verdict:
    """What came of one stream under one protocol.

    `left_out`: what one of the two servers does not have; `stream` is what remains of it without those steps.
    `slack_ms`: twice the longest that a step took on both servers together, so that two times that both servers noted
    may be this far apart.
    """

    stream: Stream
    protocol: int
    compared: list[Compared] = field(default_factory=list)
    skipped: str = ""
    slack_ms: int = 2
    seconds: float = 0.0
    left_out: tuple[str, ...] = ()

    @property
    def only_doubts(self) -> bool:
        """There are differences, and a tick of the clock may explain every one of them."""
        return bool(self.differences) and all(one.doubtful for one in self.differences)

    @property
    def differences(self) -> list[Compared]:
        return [one for one in self.compared if not one.same]


# ---- one endpoint ------------------------------------------------------------------------------------------------


class Session:
    """A stream's clients on one endpoint. `numbered`: each asks for its id first, so that it can be told blocked."""

    def __init__(
        self,
        endpoint: Endpoint,
        protocol: int,
        handshake: bool,
        now_ms: int,
        timeout: float,
        chopped: bool = False,
        numbered: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.protocol = protocol
        self.handshake = handshake
        self.timeout = timeout
        self.chopped = chopped
        self.numbered = numbered
        self.clients: dict[str, Connection] = {}
        self.pending: dict[str, int] = {}
        self.captured: dict[bytes, bytes] = {}
        self.now_ms = now_ms
        self.numbers: dict[str, bytes] = {}
        self.control = endpoint.control(timeout)
        self.control.call(b"CLIENT", b"SETNAME", CONTROL_NAME)  # who is seen in CLIENT LIST asks as often as it must
        self.clients_before = count_clients(self.control)
        self._put_back: Callable[[], None] = lambda: None

    def prepare(self, stream: Stream) -> None:
        """Empty the server and remember what the stream is going to configure."""
        reset(self.control, self.endpoint)
        if (clock := self.endpoint.clock) is not None:
            clock.turn(time.time_ns() // 1_000_000 - clock.now_ms())
        self._put_back = remember_configuration(self.control, stream)
        if self.endpoint.journal is not None:
            self.control.call(b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0")
            self.endpoint.journal.take()

    def close(self) -> None:
        """Restore the configuration and hang up."""
        try:
            self._put_back()
        finally:
            for connection in self.clients.values():
                connection.close()
            self.control.close()

    def leave(self) -> bool:
        """Restore the configuration, close the clients and wait until the server has noticed. False if it is gone."""
        for connection in self.clients.values():
            connection.close()
        try:
            self._put_back()
            deadline = time.monotonic() + 2.0
            while time.monotonic() < deadline:
                if count_clients(self.control) <= self.clients_before:
                    break
                time.sleep(POLL_SECONDS)
            return True
        except (OSError, WireClosed, WireTimeout, WireGarbage):
            return False
        finally:
            self.control.close()

    def snapshot(self) -> Snapshot:
        """What the server holds now."""
        taken = take(self.control, self.endpoint.db)
        for what in taken.lacks:
            self.endpoint.note(WITHOUT[what])
        return taken

    def client(self, name: str) -> Connection:
        """The named client's connection, opened (and greeted with HELLO 3 under RESP3) at first use."""
        connection = self.clients.get(name)
        if connection is None:
            connection = self.clients[name] = self.endpoint.connect(self.timeout)
            if self.numbered and self.handshake:
                # With a unix socket or a proxy in between, our address says nothing about who we are.
                self.numbers[name] = connection.call(b"CLIENT", b"ID").text
            if self.protocol == 3 and self.handshake:
                connection.call(b"HELLO", b"3")
        return connection

    def send(self, name: str, data: bytes) -> None:
        """Send a request, its first bytes one by one if the session is chopped."""
        connection = self.client(name)
        chopped = min(len(data), CHOPPED_BYTES) if self.chopped else 0
        for at in range(chopped):
            connection.send(data[at : at + 1])
        if chopped < len(data):
            connection.send(data[chopped:])

    def substitute(self, word: bytes) -> bytes:
        return substitute(word, self.now_ms, self.captured)

    def begin(self, step: Step) -> str:
        """Send what the step sends. Returns how that failed, or an empty string."""
        if (clock := self.endpoint.clock) is not None:  # the other server's clock does not stand
            clock.turn(max(0, time.time_ns() // 1_000_000 - clock.now_ms()))
        try:
            match step.verb:
                case "call" | "send":
                    words = [self.substitute(word) for word in step.argv]
                    self.send(step.client, encode_command(words))
                    if step.verb == "send":
                        self.pending[step.client] = self.pending.get(step.client, 0) + 1
                case "raw":
                    self.send(step.client, self.substitute(step.raw))
        except WireTimeout:
            return "timeout"
        except (OSError, WireClosed):
            return "closed"
        except WireGarbage:
            return "garbage"
        return ""

    def finish(self, step: Step, frames: int) -> Outcome:
        """Await what the step awaits (`frames` replies where it does not say)."""
        match step.verb:
            case "send":
                return Outcome()
            case "close":
                self.client(step.client).close()  # which a shortened stream may not have opened
                del self.clients[step.client]
                return Outcome()
            case "scan":
                return self._guarded(lambda got: self._scan(step, got))
            case "wait":
                return self._guarded(lambda got: self._wait(step, got))
            case "until":
                outcome = self._guarded(lambda got: self._until_blocked(step.client))
                early = None if outcome.end else self.client(step.client).early()
                return outcome if early is None else Outcome((early,), "early")
            case "await":
                return self._guarded(lambda got: self._await(step, got))
            case "heard":
                return self._guarded(lambda got: self._heard(step.client, got))
            case _:
                outcome = self._guarded(lambda got: self._replies(step, frames, got))
        if step.capture and outcome.frames:
            self.captured[step.capture.encode()] = plain_text(outcome.frames[0])
        return outcome

    def leftovers(self) -> dict[str, Outcome]:
        """Per client with nothing pending: the answer to a last PING, and every push that came before it.

        This is what finds one reply too many, or a push that nobody asked about.
        """
        found: dict[str, Outcome] = {}
        for name, connection in self.clients.items():
            if self.pending.get(name):
                continue

            def settle(got: list[Reply], connection: Connection = connection) -> None:
                connection.send(encode_command([b"PING"]))
                last = connection.read_reply(min(self.timeout, 1.0))
                got += connection.pushes
                got.append(last)
                connection.pushes.clear()

            found[name] = self._guarded(settle)
        return found

    # ---- awaiting -----------------------------------------------------------------------------------------------

    def _guarded(self, read: Callable[[list[Reply]], None]) -> Outcome:
        got: list[Reply] = []
        try:
            read(got)
        except WireTimeout as error:
            return Outcome(tuple(got), "timeout", _partial(error))
        except (OSError, WireClosed) as error:
            ended = "closed" if self.endpoint.alive() else "died"
            return Outcome(tuple(got), ended, _partial(error) if isinstance(error, WireClosed) else "")
        except WireGarbage as error:
            return Outcome(tuple(got), "garbage", _partial(error))
        return Outcome(tuple(got))

    def _replies(self, step: Step, frames: int, got: list[Reply]) -> None:
        connection = self.client(step.client)
        if step.closed:
            while True:
                got.append(connection.read_frame(self.timeout))
        in_order = step.frames is not None or (
            self.protocol == 3 and command_name(step.argv) in load_rules().reply_per_argument
        )
        for _ in range(frames):
            got.append(connection.read_frame(self.timeout) if in_order else connection.read_reply(self.timeout))

    def _await(self, step: Step, got: list[Reply]) -> None:
        connection = self.client(step.client)
        for _ in range(step.frames or 0):
            got.append(connection.read_frame(self.timeout))
            if got[-1].kind != ">" and self.pending.get(step.client):
                self.pending[step.client] -= 1
        for _ in range(0 if step.frames is not None else 1 if step.replies is None else step.replies):
            if self.pending.get(step.client):
                got.append(connection.read_reply(self.timeout))
                self.pending[step.client] -= 1
            else:
                got.append(connection.read_frame(self.timeout))

    def _heard(self, name: str, got: list[Reply]) -> None:
        """What came before the answer to a PING; RESP2 subscribers are answered by an array."""
        connection = self.client(name)
        connection.send(encode_command([b"PING", MARK]))
        while True:
            frame = connection.read_frame(self.timeout)
            if frame.kind != ">" and MARK in (frame.text, *(child.text for child in frame.children[-1:])):
                return
            got.append(frame)

    def _scan(self, step: Step, got: list[Reply]) -> None:
        """Drive the cursor to its end; the elements (pairs where the command gives pairs) as a sorted set."""
        connection = self.client(step.client)
        argv = [self.substitute(word) for word in step.argv]
        name = command_name(step.argv)
        at = 1 if name == "SCAN" else 2
        by_two = name == "ZSCAN" or (name == "HSCAN" and b"NOVALUES" not in [word.upper() for word in argv])
        elements: set[tuple[Reply, ...]] = set()
        for _ in range(100_000):
            reply = connection.call(*argv)
            if len(reply.children) != 2:
                got.append(reply)
                return
            cursor, items = reply.children
            flat = items.children
            elements |= set(zip(flat[::2], flat[1::2], strict=True)) if by_two else {(item,) for item in flat}
            argv[at] = cursor.text
            if cursor.text == b"0":
                break
        flattened = tuple(item for group in sorted(elements, key=repr) for item in group)
        raw = b"*%d\r\n" % len(flattened) + b"".join(item.raw for item in flattened)
        got.append(Reply("*", flattened, raw))

    def _wait(self, step: Step, got: list[Reply]) -> None:
        connection = self.client(step.client)
        argv = [self.substitute(word) for word in step.argv]
        deadline = time.monotonic() + self.timeout
        clock = self.endpoint.clock
        if clock is not None:
            clock.turn(step.wait_ms)
        while True:
            reply = connection.call(*argv)
            if plain_text(reply) == step.expect:
                got.append(reply)
                return
            if time.monotonic() > deadline:
                got.append(reply)
                raise WireTimeout(b"the reply never became " + step.expect)
            if clock is not None:
                clock.turn(round(POLL_SECONDS * 1000))
            else:
                time.sleep(POLL_SECONDS)

    def _until_blocked(self, name: str) -> None:
        address = self.client(name).local_address.encode()
        number = self.numbers.get(name)
        deadline = time.monotonic() + self.timeout
        while True:
            for line in self.control.call(b"CLIENT", b"LIST").text.splitlines():
                fields = dict(word.partition(b"=")[::2] for word in line.split(b" "))
                ours = fields.get(b"id") == number if number else fields.get(b"addr") == address
                if ours and b"b" in fields.get(b"flags", b""):
                    return
            if time.monotonic() > deadline:
                raise WireTimeout(b"the client was never blocked")
            time.sleep(POLL_SECONDS)


def _partial(error: Exception) -> str:
    data = error.args[0] if error.args else b""
    return repr(data) if isinstance(data, bytes) and data else ""


class Side(Protocol):
    """What a Duel asks of a server: a Session, or a recorded one (trace.py)."""

    endpoint: Endpoint

    def prepare(self, stream: Stream) -> None: ...

    def begin(self, step: Step) -> str: ...

    def finish(self, step: Step, frames: int) -> Outcome: ...

    def leftovers(self) -> dict[str, Outcome]: ...

    def snapshot(self) -> Snapshot: ...

    def leave(self) -> bool: ...


# ---- two endpoints -----------------------------------------------------------------------------------------------


@dataclass
class Duel:
    """Streams against an oracle and a subject; `chopped`: the subject gets its requests byte by byte."""

    oracle: Endpoint
    subject: Endpoint
    timeout: float = 10.0
    chopped: bool = False
    rules: Rules = field(default_factory=load_rules)
    least_slack_ms: int = 2
    log_slack_ms: int = 5000
    gaps: Gaps = field(init=False)
    _abilities: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gaps = Gaps(self.oracle, self.subject)

    def run(self, stream: Stream, protocol: int, check_state: bool = True) -> Verdict:
        """Run one stream under one protocol from empty state. EndpointError when a server cannot be used.

        Steps with commands that one of the two servers does not have are left out. That is mostly learned from what the
        server says to them; then the stream is run again without.
        """
        for _ in range(len(stream.steps) + 1):
            verdict = self._run(stream, protocol, check_state)
            if not self.gaps.learn(verdict.compared):
                break
        return verdict

    def _run(self, stream: Stream, protocol: int, check_state: bool, whole: Stream | None = None) -> Verdict:
        """Once. `whole` is the stream as it was written, where `stream` is only its beginning."""
        verdict = Verdict(stream, protocol, slack_ms=self.least_slack_ms)
        if reason := self.unfit(whole or stream, protocol) or self.gaps.unfit(stream):
            verdict.skipped = reason
            return verdict
        stream, verdict.left_out = self.gaps.shared(stream)
        verdict.stream = stream
        now_ms = time.time_ns() // 1_000_000
        sides: list[Side] = []
        try:
            for endpoint in (self.oracle, self.subject):
                if not endpoint.alive():
                    endpoint.restart()
                try:
                    sides.append(self.side(endpoint, stream, protocol, now_ms))
                    sides[-1].prepare(stream)
                except (OSError, WireClosed, WireTimeout, WireGarbage) as error:
                    raise EndpointError(f"{endpoint.title} at {endpoint.where} does not answer: {error!r}") from error
            self._steps(stream, sides[0], sides[1], verdict)
            if check_state and all(one.same for one in verdict.compared):
                self._leftovers(sides[0], sides[1], verdict)
                self._state(stream, sides[0], sides[1], verdict)
        finally:
            healthy = [side.leave() for side in sides]
        if not all(healthy):
            said = [Outcome() if well else Outcome(end="timeout") for well in healthy]
            step = Step("call", "control", (b"PING",), line=_last_line(verdict))
            verdict.compared.append(Compared(step, said[0], said[1], "exact", False, GONE))
            for side, well in zip(sides, healthy, strict=True):
                if not well:
                    side.endpoint.restart()
        return verdict

    def side(self, endpoint: Endpoint, stream: Stream, protocol: int, now_ms: int) -> Side:
        """The stream's clients on one of the two."""
        # Both or none ask for their ids: what is sent must be the same, since servers count it.
        numbered = not (self.oracle.tells_addresses and self.subject.tells_addresses)
        chopped = self.chopped and endpoint is self.subject
        return Session(endpoint, protocol, stream.handshake, now_ms, self.timeout, chopped, numbered)

    def unfit(self, stream: Stream, protocol: int) -> str:
        """Why the stream does not apply to this pair; empty when it does."""
        if self.lacks_process(stream):
            return "a server within the tool's own process does nothing while another client is served"
        for what, detail in stream.needs:
            if what == "processes":
                continue
            if what == "version":
                wanted = tuple(int(part) for part in detail.split("."))
                if self.oracle.version[: len(wanted)] < wanted:
                    return f"the oracle is older than {detail}"
            elif not self._able(what, detail):
                return f"the oracle has no {detail or 'DEBUG'}"
        return ""

    def lacks_process(self, stream: Stream) -> bool:
        """Whether the stream needs servers that go on by themselves, and one of the two does not."""
        within = any(side.target.opened is not None for side in (self.oracle, self.subject))
        return within and ("processes", "") in stream.needs

    def _able(self, what: str, detail: str) -> bool:
        key = (what, detail)
        if key not in self._abilities:
            connection = self.oracle.connect()
            if what == "debug":
                self._abilities[key] = not connection.call(b"DEBUG", b"DIGEST").is_error
            else:
                children = connection.call(b"COMMAND", b"INFO", detail.encode()).children
                self._abilities[key] = bool(children and children[0].children)
            connection.close()
        return self._abilities[key]

    def _steps(self, stream: Stream, oracle: Side, subject: Side, verdict: Verdict) -> None:
        queued: dict[str, list[str]] = {}
        for step in stream.steps:
            began = time.monotonic()
            failed = [side.begin(step) for side in (oracle, subject)]
            frames = frames_awaited(step)
            outcomes = [
                Outcome(end=bad) if bad else side.finish(step, frames)
                for side, bad in zip((oracle, subject), failed, strict=True)
            ]
            if step.verb not in ("wait", "until", "await", "heard"):
                verdict.slack_ms = max(verdict.slack_ms, int((time.monotonic() - began) * 2000) + 2)
            one = self.judge(step, outcomes[0], outcomes[1], queued.get(step.client), verdict.slack_ms)
            if step.verb not in ("send", "close", "until") or not one.same:
                verdict.compared.append(one)
            if step.verb not in ("send", "close"):
                verdict.compared += self._logged(one)
            follow_transaction(step, outcomes[0], one.rule, queued)
            if not one.same and (one.note or outcomes[0].end or outcomes[1].end):
                break

    def _logged(self, one: Compared) -> Iterator[Compared]:
        """What the step brought into the logs, if both servers keep one and anything reached either."""
        if self.oracle.journal is None or self.subject.journal is None:
            return
        told = [calls(journal.take()) for journal in (self.oracle.journal, self.subject.journal)]
        if any(told):
            by_chance = "shape" in (one.rule, *one.inner)
            same = tell_alike(told[0], told[1], self.log_slack_ms, by_chance)
            yield Compared(one.step, as_outcome(told[0]), as_outcome(told[1]), "log", same, LOG)

    def rule_for(self, step: Step) -> str:
        """How the step's replies are compared."""
        return step.rule or self.rules.for_command(step.argv)

    def judge(
        self, step: Step, oracle: Outcome, subject: Outcome, queue: list[str] | None = None, slack_ms: int = 0
    ) -> Compared:
        """Compare two outcomes. `queue` holds the rules of the commands that an EXEC is about to answer."""
        rule = self.rule_for(step)
        same = oracle.end == subject.end and len(oracle.frames) == len(subject.frames)
        doubt = same
        if same and step.verb == "scan":
            same = oracle.raw == subject.raw
        elif same and queue is not None and command_name(step.argv) == "EXEC" and step.rule is None:
            frames = zip(oracle.frames, subject.frames, strict=True)
            same = all(_same_exec(queue, a, b, slack_ms) for a, b in frames)
            doubt = doubt and any(one in CLOCK_DOUBT for one in queue)
        elif same:
            same = all(equal(rule, a, b, slack_ms) for a, b in zip(oracle.frames, subject.frames, strict=True))
            doubt = all(doubtful(rule, a, b) for a, b in zip(oracle.frames, subject.frames, strict=True))
        note = ""
        if oracle.end and not (oracle.end == "closed" and step.closed):
            same, note = False, "the stream expects otherwise of the oracle"
        inner = tuple(queue) if queue is not None and command_name(step.argv) == "EXEC" else ()
        return Compared(step, oracle, subject, rule, same, note, doubt and not same and not note, inner)

    def _leftovers(self, oracle: Side, subject: Side, verdict: Verdict) -> None:
        left, right = oracle.leftovers(), subject.leftovers()
        for name, outcome in left.items():
            other = right.get(name, Outcome())
            same = (outcome.end, outcome.raw) == (other.end, other.raw)
            if not same:
                step = Step("call", name, (b"PING",), line=_last_line(verdict))
                verdict.compared.append(Compared(step, outcome, other, "exact", False, LEFT_OVER))

    def _state(self, stream: Stream, oracle: Side, subject: Side, verdict: Verdict) -> None:
        differences = list(compare_state(oracle.snapshot(), subject.snapshot(), verdict.slack_ms))
        for text_oracle, text_subject, what, doubt in differences or [(Outcome(), Outcome(), (), False)]:
            step = Step("state", "", what, line=_last_line(verdict))
            note = STATE if differences else ""
            one = Compared(step, text_oracle, text_subject, "exact", not differences, note, doubt)
            verdict.compared.append(one)


def play(endpoint: Endpoint, stream: Stream, protocol: int, timeout: float = 10.0) -> Iterator[tuple[Step, Outcome]]:
    """A stream on one server alone: each step with what came of it. For reading, and for golden traces."""
    if protocol not in stream.protocols:
        protocol = stream.protocols[0]
    session = Session(endpoint, protocol, stream.handshake, time.time_ns() // 1_000_000, timeout)
    session.prepare(stream)
    try:
        for step in stream.steps:
            bad = session.begin(step)
            outcome = Outcome(end=bad) if bad else session.finish(step, frames_awaited(step))
            yield step, outcome
    finally:
        session.close()


def frames_awaited(step: Step) -> int:
    """How many frames answer a step."""
    if step.frames is not None:
        return step.frames
    if step.replies is not None:
        return step.replies
    if command_name(step.argv) in load_rules().reply_per_argument:
        return max(1, len(step.argv) - 1)
    return 1


def follow_transaction(step: Step, oracle: Outcome, rule: str, queued: dict[str, list[str]]) -> None:
    """Keep, per client inside MULTI, the rules of what was queued, so that EXEC's elements are compared by them."""
    name = command_name(step.argv)
    if step.verb != "call" or not oracle.frames:
        return
    text = oracle.frames[0].text
    if name == "MULTI" and text == b"OK":
        queued[step.client] = []
    elif text == b"QUEUED" and step.client in queued:
        queued[step.client].append(rule)
    elif name in ("EXEC", "DISCARD", "RESET"):
        queued.pop(step.client, None)


def _same_exec(queue: list[str], oracle: Reply, subject: Reply, slack_ms: int) -> bool:
    if oracle.kind != subject.kind or len(oracle.children) != len(subject.children):
        return False
    if len(oracle.children) != len(queue):
        return oracle.raw == subject.raw
    elements = zip(queue, oracle.children, subject.children, strict=True)
    return all(equal(rule, a, b, slack_ms) for rule, a, b in elements)


def _last_line(verdict: Verdict) -> int:
    return verdict.stream.steps[-1].line if verdict.stream.steps else 0


def count_clients(control: Connection) -> int:
    """How many clients the server says it has; 0 if it cannot tell."""
    return control.call(b"CLIENT", b"LIST").text.count(b"\n")


def reset(control: Control, endpoint: Endpoint) -> None:
    """Bring a server back to empty; what it does not know it may refuse. EndpointError if keys remain."""
    commands = [line.split() for line in RESETTING]
    if endpoint.db is not None:
        commands = [[b"FLUSHDB"] if argv == [b"FLUSHALL"] else argv for argv in commands]
    replies = control.pipeline([tuple(argv) for argv in commands])
    emptied = replies[next(n for n, argv in enumerate(commands) if argv[0].startswith(b"FLUSH"))]
    if emptied.is_error:
        endpoint.note(WITHOUT["FLUSHALL"])
        empty_by_hand(control, endpoint)


def empty_by_hand(control: Connection, endpoint: Endpoint) -> None:
    """FLUSHDB in each database that holds keys; DEL where that is refused too."""
    for number in count_keys(control, endpoint.db):
        control.call(b"SELECT", b"%d" % number)
        if control.call(b"FLUSHDB").is_error:
            for key in all_keys(control):
                control.call(b"DEL", key)
    control.call(b"SELECT", b"%d" % (endpoint.db or 0))
    if left := sum(count_keys(control, endpoint.db).values()):
        raise EndpointError(f"{endpoint.title} cannot be emptied: {left} keys survive FLUSHALL, FLUSHDB and DEL")


def remember_configuration(control: Connection, stream: Stream) -> Callable[[], None]:
    """Read every directive that the stream will CONFIG SET; the result puts them back."""
    names: dict[bytes, None] = {}
    for step in stream.steps:
        if len(step.argv) >= 3 and command_name(step.argv, 2) == "CONFIG SET":
            names |= dict.fromkeys(word.lower() for word in step.argv[2::2])
    before: dict[bytes, bytes] = {}
    for name in names:
        children = control.call(b"CONFIG", b"GET", name).children  # none where CONFIG is refused
        before |= {key.text: value.text for key, value in zip(children[::2], children[1::2], strict=False)}

    def put_back() -> None:
        for name, value in before.items():
            control.call(b"CONFIG", b"SET", name, value)

    return put_back

