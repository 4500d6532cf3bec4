"""Golden traces: the same verdicts as with the oracle itself, planted differences found, stale streams named."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from . import streams, trace
from .__main__ import main
from .compare import Comparison, compare_streams
from .endpoints import Endpoint, EndpointError, Wish, attach, open_wish
from .liar import Liar
from .report import Run, place, render
from .streams import Stream, parse
from .wire import Reply

MIXED = parse(
    rb"""# Times, ids, big values, binary keys, a client that blocks, a script of transactions.
a> SET k ${300*ab} EX 1000
a> TTL k
a> EXPIREAT k ${now+500}
a> EXPIRETIME k
a> PEXPIRETIME k
a> SET "\x00\xff" ${now_ms+5}
a> GET "\x00\xff"
a> CLIENT ID #as id
b> CLIENT KILL ID ${id} #= exact
c>! BLPOP q 0
@until c blocked
b> RPUSH q v
c<
b> MULTI
b> TTL k
b> EXEC
b> HSET h f v
b> GET k
""",
    "mixed",
)


def recorded(oracle: Endpoint, path: Path, given: list[Stream]) -> Endpoint:
    trace.save(path, trace.record(oracle, given, (2, 3), 5.0))
    return trace.load(path)


def compared(oracle: Endpoint, subject: Endpoint, given: list[Stream]) -> Run:
    return compare_streams(Comparison(trace.duel(oracle, subject, 2.0), divergences=[], shrinks=0), given)


@pytest.mark.parametrize("name", ("golden.trace", "golden.trace.gz"))
def test_a_trace_stands_in_for_the_oracle(oracle: Endpoint, second_oracle: Endpoint, tmp_path: Path, name: str) -> None:
    given = [MIXED, *(streams.load(path) for path in streams.find([Path("string"), Path("connection")]))]
    endpoint = recorded(oracle, tmp_path / name, given)
    run = compared(endpoint, second_oracle, given)
    assert not run.findings, render(run)
    assert not [verdict for verdict in run.verdicts if verdict.skipped]
    assert (endpoint.name, endpoint.title) == (oracle.name, f"{oracle.title}, recorded")
    assert run.oracle_commands == compared(oracle, second_oracle, []).oracle_commands


def lie(argv: list[bytes], reply: Reply) -> bytes:
    return re.sub(rb"not an integer", b"no integer", reply.raw) if argv[0] == b"INCR" else reply.raw


def test_neither_sockets_nor_sleep(oracle: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording beside our own node with a turned clock: what is left is Python alone, as in a browser."""
    given = [streams.load(path) for path in streams.find([Path("string"), Path("generic")])]
    endpoint = recorded(oracle, tmp_path / "golden.trace", given)

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("there is no such thing in a browser")

    for module, name in ((socket, "socket"), (subprocess, "Popen"), (threading.Thread, "start"), (time, "sleep")):
        monkeypatch.setattr(module, name, refuse)
    run = compared(endpoint, open_wish(Wish("mini_redis:manual")), given)
    assert not run.findings and len(run.verdicts) > 40, render(run)


def test_a_lie_is_found_in_the_same_places(oracle: Endpoint, second_oracle: Endpoint, tmp_path: Path) -> None:
    given = [streams.load(path) for path in streams.find([Path("string/incr")])]
    endpoint = recorded(oracle, tmp_path / "a.trace", given)
    with Liar(second_oracle.address, lie) as liar:
        subject = attach(*liar.address, flush=True)
        by_trace, live = compared(endpoint, subject, given), compared(oracle, subject, given)
    assert [place(one) for one in by_trace.findings] == [place(one) for one in live.findings] != []


def test_time_passes_between_recording_and_replay(
    oracle: Endpoint, second_oracle: Endpoint, tmp_path: Path
) -> None:
    """A week later: moments move, and one that is wrong by ten seconds is found."""
    path, week_ms = tmp_path / "old.trace", 7 * 86_400_000
    trace.save(path, trace.record(oracle, [MIXED], (2, 3), 5.0))
    text = path.read_text("ascii")
    then = json.loads(text.splitlines()[1])["now_ms"]

    def earlier(found: re.Match[str]) -> str:
        number = int(found[0])
        return str(number - (week_ms if number > 10**12 else week_ms // 1000))

    path.write_text(re.sub(r"(?<!\d)1[78]\d{8}(?:\d{3})?(?!\d)", earlier, text), "ascii")
    endpoint = trace.load(path)
    assert endpoint.recorded["mixed", 2].now_ms == then - week_ms
    run = compared(endpoint, second_oracle, [MIXED])
    assert not run.findings, render(run)
    moved = [replace(s, argv=(*s.argv[:2], b"${now+510}")) if s.argv[:1] == (b"EXPIREAT",) else s for s in MIXED.steps]
    wrong = MIXED.with_steps(tuple(moved))
    for recording in endpoint.recorded.values():
        recording.hash = trace.hash_of(wrong)
    commands = {one.compared.step.argv[0] for one in compared(endpoint, second_oracle, [wrong]).findings}
    assert commands == {b"EXPIRETIME", b"PEXPIRETIME", b"EXEC"}


def test_what_has_changed_is_not_compared(oracle: Endpoint, second_oracle: Endpoint, tmp_path: Path) -> None:
    endpoint = recorded(oracle, tmp_path / "a.trace", [parse(b"# x\na> SET k v\n", "one")])
    changed, absent = parse(b"# x\na> SET k w\n", "one"), parse(b"# x\na> PING\n", "two")
    commented = parse(b"# x\na> SET k v\n# and a comment\n", "one")
    run = compared(endpoint, second_oracle, [changed, absent, commented])
    assert [verdict.skipped for verdict in run.verdicts if verdict.protocol == 2] == [
        "the stream has changed since the trace was recorded: record it again",
        "the trace does not have it",
        "",
    ]


def test_a_subject_that_lacks_a_command(oracle: Endpoint, second_oracle: Endpoint, tmp_path: Path) -> None:
    """The recording cannot leave a step out, so the stream is compared up to it."""
    given = [parse(b"# x\na> SET k v\na> OBJECT FREQ k x\na> LCS k k\na> GET k\n", "lacking")]
    endpoint = recorded(oracle, tmp_path / "a.trace", given)

    def without(argv: list[bytes], reply: Reply) -> bytes:
        if argv[0] == b"LCS":
            return b"-ERR unknown command 'LCS'\r\n"
        return b"*1\r\n*-1\r\n" if argv[:3] == [b"COMMAND", b"INFO", b"lcs"] else reply.raw

    with Liar(second_oracle.address, without) as liar:
        run = compared(endpoint, attach(*liar.address, flush=True), given)
    assert not run.findings, render(run)
    assert list(run.left_out) == ["LCS"]
    assert [len(verdict.compared) for verdict in run.verdicts] == [2, 2]


def test_folding() -> None:
    for text in ("", "short", "x" * 1000, "a" + "bc" * 500 + "\r\n", "\r\n" * 40, "ab" * 31, repr(b"\xff" * 3000)):
        folded = trace.fold(text)
        assert trace.unfold(folded) == text
        assert len(json.dumps(folded)) < 200


def test_the_command_line(oracle: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream, path = tmp_path / "x.stream", tmp_path / "x.trace"
    stream.write_text("# x\na> SET k v\na> GET k\n")
    given = ["--streams", str(stream)]
    assert main(["run", "--oracle", oracle.where, "--flush", "--record", str(path), *given]) == 0
    assert "wrote" in capsys.readouterr().out
    assert main(["run", "--oracle", str(path), "--subject", oracle.where, "--flush", *given]) == 0
    assert "recorded" in capsys.readouterr().out
    for wrong, sentence in (
        (["run", "--oracle", str(tmp_path / "none.trace"), "--subject", oracle.where], "there is no such trace"),
        (["fuzz", "--oracle", str(path), "--subject", oracle.where], "is a recording"),
        (["run", "--oracle", str(path), "--record", str(path)], "not another recording"),
        (["run", "--oracle", oracle.where, "--record", "x.json"], "call it FILE.trace"),
    ):
        assert main(wrong) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("text", ("", "{}", '{"trace": "other/9"}', "not json", '{"trace": "conformance-trace/1"}'))
def test_what_is_no_trace(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.trace"
    path.write_text(text)
    with pytest.raises(EndpointError, match="bad.trace"):
        trace.load(path)
