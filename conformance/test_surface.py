"""What the walks over the oracle's grammar promise: words and branches agree, coverage counts, Hypothesis shrinks."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import streams
from .artefacts import redis_cli_script, write_artefacts
from .compare import Comparison, compare_streams
from .coverage import Coverage
from .endpoints import Endpoint, attach
from .fuzz import fuzz_by_hypothesis
from .generate import Generator, Seeded, Writer
from .grammar import ABSENT, REPEATED, Command, match, read_grammar
from .hints import choose_commands, load_hints
from .liar import Liar
from .runner import Duel
from .strategies import command_words, hunt
from .strategies import streams as drawn_streams
from .wire import Reply


@pytest.fixture(scope="module")
def grammar(oracle: Endpoint) -> dict[str, Command]:
    return read_grammar(oracle)


@pytest.fixture(scope="module")
def chosen(grammar: dict[str, Command]) -> list[Command]:
    return choose_commands(grammar, ["all"], frozenset())


def took(command: Command, line: str) -> set[str]:
    words = tuple(word.encode() for word in line.split())
    branches = match(command, words)
    assert branches is not None, f"{command.name} {line} is no sentence of the grammar"
    return set(branches)


@pytest.mark.parametrize(
    ("name", "line", "branches"),
    [
        ("SET", "k v", {"/key", "/value", "/condition (absent)", "/get (absent)", "/expiration (absent)"}),
        ("SET", "k v get nx", {"/condition", "/condition/nx", "/get", "/expiration (absent)"}),
        ("DEL", "a b", {"/key", "/key (repeated)"}),
        ("XREAD", "COUNT 2 STREAMS a b 0 0", {"/count", "/streams/key (repeated)", "/streams/id (repeated)"}),
        ("XCLAIM", "x g c 0 1-1 2-0 IDLE 5 JUSTID", {"/id (repeated)", "/ms", "/justid", "/force (absent)"}),
        ("ZUNION", "2 a b WEIGHTS 1 2 WITHSCORES", {"/key (repeated)", "/weight (repeated)", "/withscores"}),
        ("HSETEX", "h FNX EX 5 FIELDS 2 a 1 b 2", {"/condition/fnx", "/expiration/seconds", "/fields/data (repeated)"}),
        ("BITFIELD", "k GET u8 0 OVERFLOW SAT INCRBY u8 0 1", {"/operation/write/overflow-block/sat"}),
    ],
)
def test_words_are_read_as_branches(grammar: dict[str, Command], name: str, line: str, branches: set[str]) -> None:
    assert branches <= took(grammar[name], line)


@pytest.mark.parametrize(("name", "line"), [("SET", "k"), ("SET", "k v NX XX"), ("GETRANGE", "k a b"), ("PING", "a b")])
def test_what_is_no_sentence_takes_no_branch(grammar: dict[str, Command], name: str, line: str) -> None:
    assert match(grammar[name], tuple(word.encode() for word in line.split())) is None


@settings(max_examples=150, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(data=st.data())
def test_words_written_by_hypothesis_take_the_branches_that_it_chose(
    chosen: list[Command], data: st.DataObject
) -> None:
    command = data.draw(st.sampled_from(chosen))
    words, taken, broken = data.draw(command_words(command))
    check_round_trip(command, words, taken, broken)


def test_words_written_by_a_seed_take_the_branches_that_it_chose(chosen: list[Command]) -> None:
    writer = Writer(Seeded("round trip"), chosen)
    read = 0
    for _ in range(3000):
        command, words = writer.command()
        read += check_round_trip(command, words, writer.taken, writer.broken)
    assert read > 2000


def check_round_trip(command: Command, words: list[bytes], taken: list[str], broken: bool) -> bool:
    """What `match` reads is what was chosen, where the words are a sentence at all (edge values may not be)."""
    branches = None if broken else match(command, tuple(words[len(command.words) :]))
    if branches is None:
        return False
    assert {path for path in branches if not path.endswith((ABSENT, REPEATED))} == set(taken), words
    return True


# ---- coverage ----------------------------------------------------------------------------------------------------


def test_coverage_counts_what_was_executed(
    oracle: Endpoint, second_oracle: Endpoint, grammar: dict[str, Command], tmp_path: Path
) -> None:
    stream = streams.parse(
        b"# What counts.\na> SET k v NX\na> MULTI\na> GET k\na> INCR k\na> EXEC\n"
        b"a> MULTI\na> STRLEN k\na> DISCARD\na>! BLPOP l 0\n@until a blocked\nb> RPUSH l x\na<\n",
        "coverage",
    )
    comparison = Comparison(Duel(oracle, second_oracle), divergences=[])
    run = compare_streams(comparison, [stream], (2,))
    coverage = Coverage(grammar)
    for verdict in run.verdicts:
        coverage.add(verdict)
    counts = {name: (tally.sent, tally.ok, tally.hit) for name, tally in coverage.tallies.items()}
    assert counts["GET"] == counts["SET"] == counts["BLPOP"] == (1, 1, 1)
    assert counts["INCR"] == (1, 0, 0) and "STRLEN" not in counts, "queued is not executed"
    assert "/condition/nx" in coverage.tallies["SET"].worked
    assert "SET /condition/xx" in coverage.branches_left() and "STRLEN" in coverage.never_sent()
    assert coverage.never_worked() == ["INCR"]
    path = tmp_path / "coverage.json"
    coverage.save(path)
    again = Coverage(grammar)
    again.save(path)
    assert again.tallies["SET"].sent == 1 and json.loads(path.read_text())["commands"]["SET"]["sent"] == 1
    assert re.search(r"^string +\d+ +3 +2 ", coverage.render(), re.MULTILINE)


def test_every_command_is_generated_or_has_a_reason(grammar: dict[str, Command], chosen: list[Command]) -> None:
    names = {command.name for command in chosen}
    assert all(load_hints().excluded(command) for name, command in grammar.items() if name not in names)


def test_hints_name_what_the_oracle_has(grammar: dict[str, Command]) -> None:
    """A misspelt name in hints.toml would be without effect."""
    data = load_hints().data
    containers = {name.split()[0] for name in grammar}
    for table in ("excluded", "weights", "command", "forms", "rules"):
        assert not [name for name in data[table] if name not in grammar and name not in containers], table
    for name, forms in data["forms"].items():
        known = {part for branch in grammar[name].branches() for part in branch.split("/")}
        said = {word for form in forms for key in ("always", "never", "once") for word in form.get(key, [])}
        said |= {word for form in forms for word in form.get("pools", {})}
        assert said <= known, f"{name}: {said - known}"
    for name, pools in data["command"].items():
        known = {part for branch in grammar[name].branches() for part in branch.split("/")}
        assert set(pools) <= known, f"{name}: {set(pools) - known}"


# ---- Hypothesis --------------------------------------------------------------------------------------------------


def test_hypothesis_shrinks_to_the_plainest_stream(grammar: dict[str, Command]) -> None:
    """No server needed: a stream "differs" when some SETRANGE has an offset of a hundred."""
    commands = choose_commands(grammar, ["SETRANGE", "APPEND", "GET"], frozenset())

    def differs(stream: streams.Stream) -> bool:
        return any(step.argv[0].upper() == b"SETRANGE" and b"100" in step.argv for step in stream.steps)

    shortest = hunt(drawn_streams(commands), differs, 300, "plain", shrink_seconds=10.0)
    assert shortest is not None
    steps = [step for step in shortest.steps if step.argv[0].upper() == b"SETRANGE"]
    created = sum(len(lines) for lines in load_hints().data["setup"].values())
    assert len(steps) == 1 and len(shortest.steps) <= created + 1
    assert {step.client for step in shortest.steps} == {"a"}


def append_too_short(argv: list[bytes], reply: Reply) -> bytes:
    if argv[0].upper() == b"APPEND" and reply.kind == ":" and int(reply.text) > 12:
        return b":%d\r\n" % (int(reply.text) - 1)
    return reply.raw


def test_a_lie_is_found_by_hypothesis_and_kept_as_files(
    oracle: Endpoint, second_oracle: Endpoint, grammar: dict[str, Command], tmp_path: Path
) -> None:
    with Liar(second_oracle.address, append_too_short) as liar:
        comparison = Comparison(Duel(oracle, attach(*liar.address, flush=True)), divergences=[])
        generator = Generator(choose_commands(grammar, ["APPEND", "SET", "GET"], frozenset()), "lie")
        result = fuzz_by_hypothesis(comparison, generator, Coverage(grammar), "", count=6000, most=1)
    assert len(result.findings) == 1
    shortest = result.findings[0].shortest
    assert shortest is not None
    assert len(shortest.steps) <= 2, shortest.to_text()
    files = write_artefacts(result.findings, tmp_path, "liar", "oracle")
    assert [path.name for path in files] == ["01-append.stream", "01-append.sh", "01-append.diff"]
    assert streams.load(files[0]).steps[-1].argv == shortest.steps[-1].argv
    diff = files[2].read_text()
    assert re.search(r"^- 000000  3a .*:\d\d\.\.$", diff, re.MULTILINE), diff
    assert re.search(r"^\+ 000000  3a .*:\d\d\.\.$", diff, re.MULTILINE), diff


TWO_CLIENTS = streams.parse(
    b"""# Two clients, quotes and a clock.
a> SET k "it's $HOME `x` \\"q\\" \\x00"
a> MULTI
b> SET other 5
a> INCR other
a> EXPIREAT k ${now+1000}
a> EXEC
b> GET k
""",
    "two",
)


@pytest.mark.parametrize("one_client", [False, True])
def test_a_script_plays_the_stream_with_redis_cli(oracle: Endpoint, tmp_path: Path, one_client: bool) -> None:
    stream = TWO_CLIENTS
    if one_client:
        steps = (step for step in stream.steps if step.argv[0] not in (b"MULTI", b"EXEC"))
        stream = stream.with_steps(tuple(streams.Step("call", "a", step.argv) for step in steps))
    connection = oracle.connect()
    connection.call(b"FLUSHALL")
    script = tmp_path / "again.sh"
    script.write_text(redis_cli_script(stream, 2))
    port = str(oracle.address[1])
    played = subprocess.run(["bash", str(script), port], capture_output=True, text=True, timeout=30, check=False)
    assert played.returncode == 0, played.stderr
    assert connection.call(b"GET", b"other").text == b"6", played.stdout
    assert connection.call(b"GET", b"k").text == b"it's $HOME `x` \"q\" \x00", played.stdout
    assert 900 < int(connection.call(b"TTL", b"k").text) <= 1000, played.stdout
    connection.close()
