"""What reaches the log is what reaches Redis's append-only file, for every line of every curated stream.

The replies of these streams are compared elsewhere (test_streams.py); here both servers keep a log, and after each step
what has arrived there is compared word by word (journal.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini_redis.commands import COMMANDS
from mini_redis.commands.registry import WRITE

from . import streams
from .compare import Comparison
from .endpoints import Wish, open_wish
from .journal import calls, tell_alike
from .normalise import command_name
from .outcome import LOG
from .report import show_finding
from .runner import Duel
from .wire import encode_command

NOT_COMPARED = {
    "generic/active-expire": "it waits for the active cycle, which is off while logs are compared",
    "connection/pause": "likewise",
    "scripting/busy": "it needs servers that go on by themselves; ours is in this process",
    "memory/policies": "which key goes first, and in which database, is chance",
}
CASES = [
    stream
    for stream in (streams.load(path) for path in streams.find())
    if 2 in stream.protocols and stream.name not in NOT_COMPARED
]
NEVER_TOLD = {
    "SPUBLISH": "messages are not data",
}


@pytest.fixture(scope="module")
def logging_pair() -> Iterator[Comparison]:
    """Both servers, each with a log: Redis writes its append-only file, our node keeps its log in this process."""
    oracle = open_wish(Wish("redis-8.2", log=True))
    subject = open_wish(Wish("mini_redis:manual", log=True))
    try:
        yield Comparison(Duel(oracle, subject))
    finally:
        subject.stop()
        oracle.stop()


@pytest.mark.parametrize("stream", CASES, ids=[stream.name for stream in CASES])
def test_the_same_reaches_the_log(logging_pair: Comparison, stream: streams.Stream) -> None:
    findings = [
        finding
        for finding in logging_pair.stream(stream, 2)
        if finding.compared.note == LOG and finding.known is None
    ]
    if findings:
        shown = "\n\n".join(show_finding(finding, number) for number, finding in enumerate(findings[:8], 1))
        pytest.fail(f"{len(findings)} differences\n\n{shown}", pytrace=False)


def test_every_command_that_writes_was_told(logging_pair: Comparison) -> None:
    if len(logging_pair.run.verdicts) < len(CASES):
        pytest.skip("only some of the streams ran")
    told = {
        command_name(one.step.argv)
        for verdict in logging_pair.run.verdicts
        for one in verdict.compared
        if one.note == LOG
    }
    writing = {command.name.decode().upper() for command in COMMANDS.values() if command.flags & WRITE}
    assert writing - told - NEVER_TOLD.keys() == set()
    assert NEVER_TOLD.keys() & told == set()


def test_known_differences_of_the_log_still_differ(logging_pair: Comparison) -> None:
    run = logging_pair.finish()
    if len(run.verdicts) < len(CASES):
        pytest.skip("only some of the streams ran")
    assert [divergence.title for divergence in run.obsolete if divergence.log] == []


# --- The comparison itself -------------------------------------------------------------------------------------------


def told(*lines: str) -> list[tuple[bytes, ...]]:
    return calls(b"".join(encode_command(line.encode().split()) for line in lines))


def test_a_log_is_read_with_its_annotations() -> None:
    assert calls(b"#TS:1700000000\r\n" + encode_command([b"SET", b"k", b""])) == [(b"SET", b"k", b"")]


def test_moments_may_differ_as_clocks_do_and_nothing_else_may() -> None:
    at = told("SET k v PXAT 1700000000000")
    assert tell_alike(at, told("SET k v PXAT 1700000000900"), 1000, False)
    assert not tell_alike(at, told("SET k v PXAT 1700000001001"), 1000, False)
    assert not tell_alike(at, told("SET k v PX 1700000000000"), 1000, False)
    assert not tell_alike(told("INCRBY k 5"), told("INCRBY k 6"), 1000, False)
    assert not tell_alike(at, [], 1000, False) and not tell_alike([], at, 1000, False)
    assert tell_alike(told("XADD s 1700000000000-1 f v"), told("XADD s 1700000000003-1 f v"), 10, False)
    assert not tell_alike(told("XADD s 1700000000000-1 f v"), told("XADD s 1700000000003-2 f v"), 10, False)


def test_chance_and_order_are_given_way_to_where_they_belong() -> None:
    assert tell_alike(told("SREM s a"), told("SREM s b"), 0, True)
    assert not tell_alike(told("SREM s a"), told("SREM s b"), 0, False)
    assert not tell_alike(told("SREM s a"), told("SREM s a b"), 0, True)
    assert not tell_alike(told("SREM s a"), told("DEL s b"), 0, True)
    assert tell_alike(told("HDEL h a", "HDEL h b"), told("HDEL h b", "HDEL h a"), 0, False)
    assert tell_alike(told("DEL a", "DEL b"), told("DEL b", "DEL a"), 0, False)
    assert not tell_alike(told("SET a 1", "SET b 2"), told("SET b 2", "SET a 1"), 0, False)
    assert not tell_alike(told("DEL a", "SET b 2"), told("SET b 2", "DEL a"), 0, False)
    assert not tell_alike(told("HDEL h a", "HDEL g b"), told("HDEL g b", "HDEL h a"), 0, False)
