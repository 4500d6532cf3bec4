"""Is the judge any good? Two equal servers must be found equal, and every planted lie must be found.

A comparison that never complains proves nothing, and one that complains about chance is switched off by its users.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import pytest

from . import streams
from .compare import Comparison, compare_streams
from .coverage import Coverage
from .endpoints import Endpoint, attach
from .fuzz import fuzz, render_fuzz
from .generate import Generator
from .grammar import read_grammar
from .hints import choose_commands
from .liar import EarlyLie, Liar, Lie, honest, in_turn
from .report import Finding, render, row_name
from .runner import Duel
from .wire import Reply

ALL_STREAMS = [streams.load(path) for path in streams.find()]
QUICK = 4000
COUNT = int(os.environ.get("CONFORMANCE_COUNT", QUICK))  # make conformance-calibrate: 20,000
STREAM = streams.parse(
    b"""# Something of everything that a server can get wrong.
a> SET noise 1
a> INCR noise
a> RPUSH list one two three
a> LRANGE list 0 -1
a> SADD set x y z
a> SMEMBERS set
a> SET k 10
a> INCR k
a> INCRBYFLOAT k 0.5
b> GET k
b> INCR list
a> EXPIRE k 1000
b> TTL k
a> MULTI
b> SET other 1
a> EXISTS k
a> EXEC
b> EXISTS k other
a> GET nosuchkey
b> GET k
""",
    "calibration",
)


def test_the_oracle_equals_itself_on_every_stream(oracle: Endpoint, second_oracle: Endpoint) -> None:
    comparison = Comparison(Duel(oracle, second_oracle), divergences=[])
    run = compare_streams(comparison, ALL_STREAMS)
    assert not run.findings, render(run)


def test_the_oracle_equals_itself_on_generated_commands(oracle: Endpoint, second_oracle: Endpoint) -> None:
    comparison = Comparison(Duel(oracle, second_oracle), divergences=[])
    known = comparison.run.subject_commands
    grammar = read_grammar(oracle)
    generator = Generator(choose_commands(grammar, ["all"], known), "calibration", known)
    result = fuzz(comparison, generator, Coverage(grammar), "", count=COUNT)
    if COUNT != QUICK:
        print(render_fuzz(result), result.coverage.render(), sep="\n\n")
    assert not result.findings, render_fuzz(result)
    total = result.coverage.total()
    assert total.ok > 0.85 * total.sent, "most generated commands should succeed"
    assert total.hit > 0.65 * total.sent, "most should find something"


def test_a_seed_and_a_number_give_one_stream(oracle: Endpoint) -> None:
    grammar = read_grammar(oracle)
    once, again = (Generator(choose_commands(grammar, ["string"], frozenset()), "s").stream(7) for _ in range(2))
    assert once == again
    reparsed = streams.parse(once[0].to_text().encode(), "again")
    assert [step.shown for step in reparsed.steps] == [step.shown for step in once[0].steps]


# ---- lies --------------------------------------------------------------------------------------------------------


def on(name: bytes, change: bytes | None = None, to: bytes = b"") -> Lie:
    """A lie about one command: `change` in its reply becomes `to`."""

    def lie(argv: list[bytes], reply: Reply) -> bytes:
        if argv[0].upper() != name or change is None:
            return reply.raw
        return re.sub(change, to, reply.raw, count=1)

    return lie


def silence_get(argv: list[bytes], reply: Reply) -> bytes:
    return b"" if argv == [b"GET", b"k"] and reply.kind == "$" and reply.text else reply.raw


def answer_twice(argv: list[bytes], reply: Reply) -> bytes:
    return reply.raw * 2 if argv[0] == b"EXISTS" and reply.kind == ":" else reply.raw


def hang_up(argv: list[bytes], reply: Reply) -> bytes:
    return b"*1\r\n" if argv[0] == b"EXISTS" and reply.kind == ":" else reply.raw


def another_aggregate(argv: list[bytes], reply: Reply) -> bytes:
    other = {"*": b"~", "~": b"*"}.get(reply.kind, b"")
    return other + reply.raw[1:] if argv[0] == b"SMEMBERS" and other else reply.raw


def push_something(argv: list[bytes], reply: Reply) -> bytes:
    return reply.raw + b">2\r\n+invalidate\r\n_\r\n" if argv[0] == b"TTL" else reply.raw


def off_by_one_second(argv: list[bytes], reply: Reply) -> bytes:
    return b":%d\r\n" % (int(reply.text) - 1) if argv[0] == b"TTL" and reply.text.isdigit() else reply.raw


def wrong_encoding(argv: list[bytes], reply: Reply) -> bytes:
    return b"$3\r\nraw\r\n" if argv[:2] == [b"OBJECT", b"ENCODING"] and reply.text == b"embstr" else reply.raw


def forget_expiry(argv: list[bytes], reply: Reply) -> bytes:
    return b":-1\r\n" if argv[0] in (b"PTTL", b"PEXPIRETIME") else reply.raw


LIES: dict[str, tuple[Lie, str]] = {
    "bulk instead of integer": (on(b"INCR", rb":11\r\n", b"$2\r\n11\r\n"), "INCR"),
    "integer one too large": (on(b"INCR", rb":11", b":12"), "INCR"),
    "error text altered": (on(b"INCR", rb"against a key", b"against the key"), "INCR"),
    "error instead of a value": (on(b"INCRBYFLOAT", rb"\$4\r\n11.5", b"-ERR no"), "INCRBYFLOAT"),
    "list in another order": (
        on(b"LRANGE", rb"\$3\r\none\r\n\$3\r\ntwo\r\n", b"$3\r\ntwo\r\n$3\r\none\r\n"),
        "LRANGE",
    ),
    "a member missing": (on(b"SMEMBERS", rb"(.)3\r\n\$1\r\n.\r\n", rb"\g<1>2\r\n"), "SMEMBERS"),
    "set as array, array as set": (another_aggregate, "SMEMBERS"),
    "another null": (on(b"GET", rb"(\$-1|_)\r\n", b"*-1\r\n"), "GET"),
    "time to live one less": (off_by_one_second, "TTL"),
    "time to live far off": (on(b"TTL", rb":\d+", b":900"), "TTL"),
    "wrong inside EXEC": (on(b"EXEC", rb"\d\r\n$", b"7\r\n"), "EXEC"),
    "extra digits of a float": (on(b"INCRBYFLOAT", rb"\$4\r\n11\.5", b"$5\r\n11.50"), "INCRBYFLOAT"),
    "reply twice": (answer_twice, "GET"),
    "reply missing": (silence_get, "GET"),
    "reply cut off": (hang_up, "EXISTS"),
    "encoding": (wrong_encoding, "(state)"),
    "expiry forgotten": (forget_expiry, "(state)"),
}


SLOW = ("reply missing", "reply cut off")  # each run of the shrinking waits for what never comes: once is enough
CASES = [(name, protocol) for name in LIES for protocol in (2, 3) if protocol == 2 or name not in SLOW]


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_a_lie_is_found_and_shrunk(oracle: Endpoint, second_oracle: Endpoint, name: str, protocol: int) -> None:
    lie, row = LIES[name]
    with Liar(second_oracle.address, lie) as liar:
        subject = attach(*liar.address, flush=True)
        comparison = Comparison(Duel(oracle, subject, timeout=0.7), divergences=[])
        findings = comparison.stream(STREAM, protocol)
    assert liar.told
    assert findings, "the lie was not noticed"
    assert row_name(findings[0].compared.step) == row or findings[0].compared.note
    shortest = findings[0].shortest
    assert shortest is not None, "the difference did not show again"
    assert commands_in(shortest) <= 3, shortest.to_text()


def test_an_unasked_push_is_found(oracle: Endpoint, second_oracle: Endpoint) -> None:
    with Liar(second_oracle.address, push_something) as liar:
        subject = attach(*liar.address, flush=True)
        findings = Comparison(Duel(oracle, subject), divergences=[], shrinks=0).stream(STREAM, 3)
    assert [finding.compared.note for finding in findings] == ["left over at the end"]


def test_a_lie_is_found_by_generated_streams(oracle: Endpoint, second_oracle: Endpoint) -> None:
    """A rare one: APPEND tells one less, but only beyond twelve bytes."""

    def lie(argv: list[bytes], reply: Reply) -> bytes:
        if argv[0].upper() == b"APPEND" and reply.kind == ":" and int(reply.text) > 12:
            return b":%d\r\n" % (int(reply.text) - 1)
        return reply.raw

    with Liar(second_oracle.address, lie) as liar:
        subject = attach(*liar.address, flush=True)
        comparison = Comparison(Duel(oracle, subject), divergences=[])
        known = comparison.run.subject_commands
        grammar = read_grammar(oracle)
        generator = Generator(choose_commands(grammar, ["string"], known), "lie", known)
        result = fuzz(comparison, generator, Coverage(grammar), "", count=4000, most=1)
    assert len(result.findings) == 1
    shortest = result.findings[0].shortest
    assert shortest is not None and len(shortest.steps) <= 3


# ---- lies that take several clients ------------------------------------------------------------------------------

QUEUE = streams.parse(
    b"""# One waits, one pushes, one listens.
a> SET noise 1
a>! BLPOP queue 0
@until a blocked
b> SET noise 2
b> RPUSH queue one
a<
b> GET noise
""",
    "queue",
)
NEWS = streams.parse(
    b"""# A push comes to whoever subscribed.
@resp3 only
a> SUBSCRIBE news
b> SET noise 2
b> PUBLISH news hello
a<
""",
    "news",
)
PIPELINE = streams.parse(
    rb"""# Two requests in one piece: the replies come in their order.
a> SET noise 1
a> SET k 10
a>raw "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$5\r\nnoise\r\n" #replies 2
a> GET noise
""",
    "pipeline",
)


def too_soon(argv: list[bytes]) -> bytes:
    """What BLPOP will say, said before anybody has pushed: right, and before its turn."""
    return b"*2\r\n$5\r\nqueue\r\n$3\r\none\r\n" if argv[0] == b"BLPOP" else b""


def drop_push(argv: list[bytes], reply: Reply) -> bytes:
    return b"" if argv == [b">"] else reply.raw


class SwapsReplies:
    """Keeps the reply to `GET k` back until the next one has gone out."""

    def __init__(self) -> None:
        self.kept = b""

    def __call__(self, argv: list[bytes], reply: Reply) -> bytes:
        if argv == [b"GET", b"k"]:
            self.kept = reply.raw
            return b""
        kept, self.kept = self.kept, b""
        return reply.raw + kept


def test_a_dropped_push_is_found(oracle: Endpoint, second_oracle: Endpoint) -> None:
    finding = found(oracle, second_oracle, NEWS, 3, Lies(drop_push))
    assert finding.compared.step.verb == "await" and finding.compared.subject.end == "timeout"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_reply_before_its_turn_is_found(oracle: Endpoint, second_oracle: Endpoint, protocol: int) -> None:
    finding = found(oracle, second_oracle, QUEUE, protocol, Lies(early=too_soon))
    assert finding.compared.step.verb == "until" and finding.compared.subject.end == "early"


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_in_another_order_are_found(oracle: Endpoint, second_oracle: Endpoint, protocol: int) -> None:
    finding = found(oracle, second_oracle, PIPELINE, protocol, Lies(SwapsReplies()))
    assert finding.compared.step.verb == "raw"


def test_an_honest_proxy_differs_in_nothing(oracle: Endpoint, second_oracle: Endpoint) -> None:
    """So that it is the lies that are found, and not the proxy."""
    with Liar(second_oracle.address) as liar:
        comparison = Comparison(Duel(oracle, attach(*liar.address, flush=True)), divergences=[])
        for stream, protocols in ((QUEUE, (2, 3)), (NEWS, (3,)), (PIPELINE, (2, 3)), (STREAM, (2, 3))):
            for protocol in protocols:
                assert not comparison.stream(stream, protocol)


@dataclass(frozen=True)
class Lies:
    lie: Lie = honest
    early: EarlyLie = in_turn


def found(oracle: Endpoint, second_oracle: Endpoint, stream: streams.Stream, protocol: int, lies: Lies) -> Finding:
    """The first finding, which must have been shrunk to at most three commands."""
    with Liar(second_oracle.address, lies.lie, lies.early) as liar:
        subject = attach(*liar.address, flush=True)
        findings = Comparison(Duel(oracle, subject, timeout=0.4), divergences=[]).stream(stream, protocol)
    assert liar.told and findings, "the lie was not noticed"
    shortest = findings[0].shortest
    assert shortest is not None, "the difference did not show again"
    assert commands_in(shortest) <= 3, shortest.to_text()
    return findings[0]


def commands_in(stream: streams.Stream) -> int:
    """What is sent; a barrier and an awaited reply are no commands."""
    return sum(step.verb in ("call", "send", "raw", "scan") for step in stream.steps)
