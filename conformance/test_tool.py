"""The tool itself: reading the wire, reading streams, the comparison rules, the refusals."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from . import divergences, streams
from .__main__ import main
from .compare import Comparison, compare_streams
from .divergences import Divergence
from .endpoints import RECIPES, Endpoint, EndpointError, Recipe, attach, find_program, start
from .explain import explain
from .normalise import doubtful, equal, load_rules
from .outcome import Outcome
from .report import render, replay_script
from .reports.result import from_runs, to_json
from .runner import Duel
from .shrink import minimise
from .streams import Step, StreamError, parse, split_words, substitute
from .wire import Connection, Reply, WireClosed, WireGarbage, WireTimeout, as_text, quote


def read(data: bytes, byte_by_byte: bool = False) -> Reply:
    """What a Connection makes of `data` and an end of stream."""
    ours, theirs = socket.socketpair()

    def feed() -> None:
        for piece in [data[n : n + 1] for n in range(len(data))] if byte_by_byte else [data]:
            theirs.sendall(piece)
        theirs.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    connection = Connection.of(ours, timeout=5.0)
    try:
        return connection.read_frame()
    finally:
        feeder.join()
        connection.close()


FRAMES = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":-5\r\n",
    b"$5\r\nhe\r\no\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.50\r\n",
    b"(123456789012345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR x\r\n",
    b"*2\r\n:1\r\n*1\r\n$0\r\n\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n:2\r\n",
    b">2\r\n+message\r\n+x\r\n",
    b"|1\r\n+ttl\r\n:5\r\n*1\r\n:1\r\n",
]


@pytest.mark.parametrize("byte_by_byte", (False, True))
@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_keeps_its_bytes(frame: bytes, byte_by_byte: bool) -> None:
    assert read(frame + b"+next\r\n", byte_by_byte).raw == frame


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_cut_anywhere_is_not_a_frame(frame: bytes) -> None:
    for cut in range(len(frame)):
        with pytest.raises(WireClosed):
            read(frame[:cut])


@pytest.mark.parametrize("data", (b"?\r\n", b"\r\n", b"$x\r\n", b"*1\r\n@\r\n", b"$2\r\nabcd\r\n"))
def test_what_is_not_resp_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(WireGarbage):
        read(data)


def test_a_timeout_loses_nothing() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection.of(ours, timeout=0.01)
    theirs.sendall(b"*2\r\n:1\r\n$3\r\nab")
    with pytest.raises(WireTimeout):
        connection.read_reply()
    theirs.sendall(b"c\r\n>1\r\n+push\r\n+next\r\n")
    assert connection.read_reply(5.0).raw == b"*2\r\n:1\r\n$3\r\nabc\r\n"
    assert connection.read_reply(5.0).raw == b"+next\r\n"
    assert [push.raw for push in connection.pushes] == [b">1\r\n+push\r\n"]
    connection.close()
    theirs.close()


@pytest.mark.parametrize("word", (b"", b"plain", b"a b", b'q"q', b"it's", b"\x00\xff\r\n", b"#=", b"back\\slash"))
def test_quoting_is_read_back(word: bytes) -> None:
    assert [got for got, _ in split_words(quote(word).encode())] == [word]


def test_replies_are_shown_as_redis_cli_does() -> None:
    assert as_text(read(b"*3\r\n$1\r\na\r\n:2\r\n$-1\r\n")) == '(array)\n  1) "a"\n  2) (integer) 2\n  3) (nil)'
    assert as_text(read(b"%1\r\n+k\r\n*0\r\n")) == "(map)\n  k => (empty array)"


# ---- streams -----------------------------------------------------------------------------------------------------


def test_every_kind_of_line() -> None:
    stream = parse(
        rb"""# What it teaches,
# in two lines.

# Another comment.
@needs debug
@resp3 only
a> SET k "a b" '\''    #= within 5 #as x
b>raw "PING\r\n" #replies 2
b>raw "x" #closed
a>! BLPOP k 0
@until a blocked
a<
a< 2
c>scan SSCAN k 0 COUNT 1
a> SET k v #frames 2
a< #frames 3
a<*
@wait 20ms until a> EXISTS k == 0
@close c
""",
        "name",
    )
    assert stream.teaches == "What it teaches,\nin two lines."
    assert stream.protocols == (3,)
    assert stream.needs == (("debug", ""),)
    assert [(step.verb, step.client) for step in stream.steps] == [
        ("call", "a"),
        ("raw", "b"),
        ("raw", "b"),
        ("send", "a"),
        ("until", "a"),
        ("await", "a"),
        ("await", "a"),
        ("scan", "c"),
        ("call", "a"),
        ("await", "a"),
        ("heard", "a"),
        ("wait", "a"),
        ("close", "c"),
    ]
    first = stream.steps[0]
    assert (first.argv, first.rule, first.capture, first.line) == ((b"SET", b"k", b"a b", b"'"), "within 5", "x", 7)
    assert stream.steps[1].raw == b"PING\r\n" and stream.steps[1].replies == 2
    assert stream.steps[2].closed
    assert stream.steps[6].replies == 2
    assert (stream.steps[8].frames, stream.steps[9].frames) == (2, 3)
    assert stream.steps[11].expect == b"0"


def test_every_stream_file_survives_being_written_and_read() -> None:
    for path in streams.find():
        stream = streams.load(path)
        again = parse(stream.to_text().encode(), stream.name)
        assert [step.shown for step in again.steps] == [step.shown for step in stream.steps], path
        assert (again.protocols, again.handshake, again.needs) == (stream.protocols, stream.handshake, stream.needs)


@pytest.mark.parametrize(
    "line",
    ("hello", "a>", "a> GET \"k", "a> GET \"k\"x", "a>raw PING two", "a> GET k #replies x", "@nosuch", "a< two")
    + ("a<* 2", "a> GET k #frames x"),
)
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(StreamError, match=r"^name:2: "):
        parse(f"# x\n{line}\n".encode(), "name")


def test_placeholders() -> None:
    assert substitute(b"${now+10}", 1_500, {}) == b"11"
    assert substitute(b"x${now_ms-500}y", 1_500, {}) == b"x1000y"
    assert substitute(b"${id}", 0, {b"id": b"7"}) == b"7"
    assert substitute(b"${3*ab}", 0, {}) == b"ababab"
    assert substitute(b"${unknown}", 0, {}) == b"${unknown}"


# ---- rules -------------------------------------------------------------------------------------------------------

def dumped(body: bytes, version: int = 12) -> bytes:
    """A reply to DUMP. The checksum is not looked at."""
    payload = body + version.to_bytes(2, "little") + bytes(8)
    return b"$%d\r\n%b\r\n" % (len(payload), payload)


SAME = [
    ("unordered", b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n"),
    ("pairs", b"*4\r\n+a\r\n:1\r\n+b\r\n:2\r\n", b"*4\r\n+b\r\n:2\r\n+a\r\n:1\r\n"),
    ("deep", b"*1\r\n*2\r\n:1\r\n:2\r\n", b"*1\r\n*2\r\n:2\r\n:1\r\n"),
    ("shape", b"*1\r\n$1\r\na\r\n", b"*1\r\n$2\r\nbc\r\n"),
    ("type", b"*1\r\n:1\r\n", b"*0\r\n"),
    ("within 2", b":100\r\n", b":98\r\n"),
    ("within 2", b"*2\r\n:100\r\n+x\r\n", b"*2\r\n:99\r\n+x\r\n"),
    ("cursor", b"*2\r\n$1\r\n5\r\n*2\r\n+a\r\n+b\r\n", b"*2\r\n$2\r\n77\r\n*2\r\n+b\r\n+a\r\n"),
    ("fields id", b"*4\r\n+id\r\n:1\r\n+n\r\n:2\r\n", b"*4\r\n+id\r\n:9\r\n+n\r\n:2\r\n"),
    ("info", b"$10\r\n# A\r\nx:1\r\n\r\n", b"$11\r\n# A\r\nx:22\r\n\r\n"),
    ("info values", b"$11\r\n# A\r\nos:a\r\n\r\n", b"$11\r\n# A\r\nos:b\r\n\r\n"),
    ("info values", b"$15\r\n# A\r\nx:usec=1\r\n\r\n", b"$15\r\n# A\r\nx:usec=2\r\n\r\n"),
    ("info values", b"$24\r\n# Commandstats\r\na:1\r\nb:1\r\n", b"$24\r\n# Commandstats\r\nb:1\r\na:1\r\n"),
    ("words at", b"+at:1 n:2\r\n", b"+at:3 n:2\r\n"),
    ("error", b"-ERR a\r\n", b"-ERR b\r\n"),
    ("dump", dumped(b"\x02\x02\x01a\x01b"), dumped(b"\x02\x02\x01b\x01a")),
    ("dump", dumped(b"\x18later"), dumped(b"\x18sooner")),
    ("ignore", b"+a\r\n", b":1\r\n"),
]
DIFFERENT = [
    ("exact", b"$1\r\n1\r\n", b":1\r\n"),
    ("exact", b"$-1\r\n", b"*-1\r\n"),
    ("unordered", b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
    ("unordered", b"*2\r\n:1\r\n:1\r\n", b"*1\r\n:1\r\n"),
    ("pairs", b"*2\r\n+a\r\n:1\r\n", b"*2\r\n+a\r\n:2\r\n"),
    ("shape", b"$1\r\na\r\n", b"$-1\r\n"),
    ("shape", b"*1\r\n:1\r\n", b"*1\r\n+1\r\n"),
    ("shape", b"*1\r\n:1\r\n", b"-ERR\r\n"),
    ("within 2", b":100\r\n", b":97\r\n"),
    ("within 2", b":-1\r\n", b":1\r\n"),
    ("within 2", b":-1\r\n", b":-2\r\n"),
    ("cursor", b"*2\r\n$1\r\n0\r\n*0\r\n", b"*2\r\n$1\r\n7\r\n*0\r\n"),
    ("fields id", b"*4\r\n+id\r\n:1\r\n+n\r\n:2\r\n", b"*4\r\n+id\r\n:1\r\n+n\r\n:3\r\n"),
    ("fields id", b"*4\r\n+id\r\n:1\r\n+n\r\n:2\r\n", b"*4\r\n+id\r\n+1\r\n+n\r\n:2\r\n"),
    ("info", b"$10\r\n# A\r\nx:1\r\n\r\n", b"$10\r\n# A\r\ny:1\r\n\r\n"),
    ("info values", b"$10\r\n# A\r\nx:1\r\n\r\n", b"$10\r\n# A\r\nx:2\r\n\r\n"),
    ("info values", b"$12\r\n# A\r\nx:a=1\r\n\r\n", b"$12\r\n# A\r\nx:a=2\r\n\r\n"),
    ("info values", b"$13\r\n# A\r\na:1\r\nb:1\r\n", b"$13\r\n# A\r\nb:1\r\na:1\r\n"),
    ("words at", b"+at:1 n:2\r\n", b"+at:1 n:3\r\n"),
    ("words at", b"+at:1 n:2\r\n", b"+at:1 m:2\r\n"),
    ("seconds", b":100\r\n", b":99\r\n"),
    ("milliseconds", b":100\r\n", b":99\r\n"),
    ("error", b"-ERR a\r\n", b"-WRONG a\r\n"),
    ("type", b"-ERR a\r\n", b"-ERR b\r\n"),
    ("dump", dumped(b"\x02\x01\x01a"), dumped(b"\x02\x01\x01b")),
    ("dump", dumped(b"\x12ab"), dumped(b"\x12ba")),
    ("dump", dumped(b"\x00\x01a"), dumped(b"\x00\x01a", version=11)),
    ("dump", dumped(b"\x00\x01a"), b"$-1\r\n"),
]


@pytest.mark.parametrize(("rule", "left", "right"), SAME)
def test_the_same_under_a_rule(rule: str, left: bytes, right: bytes) -> None:
    assert equal(rule, read(left), read(right))
    assert not equal("exact", read(left), read(right))


@pytest.mark.parametrize(("rule", "left", "right"), DIFFERENT)
def test_different_under_a_rule(rule: str, left: bytes, right: bytes) -> None:
    assert not equal(rule, read(left), read(right))
    assert not equal(rule, read(right), read(left))


def test_a_clock_is_doubted() -> None:
    later, sooner, gone = (read(b":%d\r\n" % n) for n in (1000, 998, -2))
    assert equal("milliseconds", later, sooner, slack_ms=2)
    assert not equal("milliseconds", later, sooner, slack_ms=1)
    assert doubtful("seconds", later, sooner)
    assert not doubtful("seconds", later, gone)
    assert not doubtful("exact", later, sooner)


def test_clients_are_compared_field_by_field() -> None:
    def lines(text: bytes) -> Reply:
        return read(b"$%d\r\n%b\r\n" % (len(text), text))

    assert equal("clients", lines(b"id=1 name=x age=0\n"), lines(b"id=12 name=x age=3\n"))
    assert not equal("clients", lines(b"id=1 name=x age=0\n"), lines(b"id=1 name=y age=0\n"))
    assert not equal("clients", lines(b"id=1 name=x\n"), lines(b"name=x id=1\n"))
    assert equal("clients", lines(b"redir=5\n"), lines(b"redir=17\n"))
    assert not equal("clients", lines(b"redir=5\n"), lines(b"redir=0\n"))


def test_every_rule_of_the_table_exists() -> None:
    reply, other = read(b"+a\r\n"), read(b"+b\r\n")
    for rule in load_rules().by_command.values():
        equal(rule, reply, other)
    with pytest.raises(ValueError, match="no such comparison rule"):
        equal("nosuch", reply, other)


def test_a_nested_difference_is_pointed_at() -> None:
    left, right = read(b"*2\r\n+a\r\n*2\r\n:1\r\n:2\r\n"), read(b"*2\r\n+a\r\n*2\r\n:1\r\n:3\r\n")
    assert explain("exact", Outcome((left,)), Outcome((right,))) == [
        "at [1][1]: oracle b':2\\r\\n', subject b':3\\r\\n'"
    ]
    assert explain("unordered", Outcome((left,)), Outcome((right,)))[0].startswith("only the oracle has: ")
    ours, theirs = read(b"$12\r\nid=1 cmd=get\r\n"), read(b"$12\r\nid=2 cmd=set\r\n")
    assert explain("clients", Outcome((ours,)), Outcome((theirs,))) == [
        "line 1, cmd: oracle b'get', subject b'set'"
    ]
    ours, theirs = read(b"$23\r\n# A\r\nx:1\r\nlru_clock:2\r\n\r\n"), read(b"$23\r\n# A\r\nx:2\r\nlru_clock:3\r\n\r\n")
    assert explain("info values", Outcome((ours,)), Outcome((theirs,))) == ["x: oracle b'1', subject b'2'"]
    ours, theirs = read(b"$13\r\n# A\r\n\xff:1\r\n# B\r\n"), read(b"$8\r\n# A\r\n\xff:2\r\n")
    assert explain("info values", Outcome((ours,)), Outcome((theirs,))) == [
        "only the oracle has: # B",
        "\ufffd: oracle b'1', subject b'2'",
    ]


def test_minimise_finds_what_matters() -> None:
    steps = tuple(Step("call", "a", (b"%d" % n,)) for n in range(40))
    needed = {steps[3], steps[17], steps[31]}
    assert set(minimise(steps, (), lambda some: needed <= set(some))) == needed
    assert minimise(steps[:-1], steps[-1:], lambda some: True) == steps[-1:]


# ---- runs --------------------------------------------------------------------------------------------------------


def test_a_stream_wrong_about_the_oracle_is_no_success(oracle: Endpoint, second_oracle: Endpoint) -> None:
    stream = parse(b"# x\na> PING #replies 2\na> PING\n", "wrong")
    verdict = Duel(oracle, second_oracle, timeout=0.2).run(stream, 2)
    assert [one.note for one in verdict.differences] == ["the stream expects otherwise of the oracle"]


def test_blocked_clients_and_messages(oracle: Endpoint, second_oracle: Endpoint) -> None:
    stream = parse(
        b"""# x
a>! BLPOP k 0
@until a blocked
b> CLIENT LIST
b> RPUSH k v
a<
c> SUBSCRIBE one two
b> PUBLISH one hello
c<
b> PUBLISH two hello
c> UNSUBSCRIBE one two #replies 3
""",
        "blocking",
    )
    for protocol in (2, 3):
        assert not Duel(oracle, second_oracle).run(stream, protocol).differences


def test_frames_are_awaited_in_their_order(oracle: Endpoint, second_oracle: Endpoint) -> None:
    """A reply and the messages around it: which came first, and whatever has been heard."""
    stream = parse(
        b"""# x
@resp3 only
a> SUBSCRIBE c
a> PUBLISH c mine #frames 2
b> PUBLISH c first
b> PUBLISH c second
a<*
a<*
a>! BLPOP k 0
@until a blocked
b> PUBLISH c third
b> RPUSH k v
a< #frames 2
""",
        "order",
    )
    verdict = Duel(oracle, second_oracle).run(stream, 3)
    assert not verdict.differences
    shown = [[frame.kind for frame in one.oracle.frames] for one in verdict.compared if one.step.frames is not None]
    assert shown == [[":", ">"], [">", "*"]]
    heard = [len(one.oracle.frames) for one in verdict.compared if one.step.verb == "heard"]
    assert heard == [2, 0]


def test_configuration_is_put_back(oracle: Endpoint, second_oracle: Endpoint) -> None:
    connection = second_oracle.connect()
    before = connection.call(b"CONFIG", b"GET", b"hz").raw
    Duel(oracle, second_oracle).run(parse(b"# x\na> CONFIG SET hz 77\n", "hz"), 2)
    assert connection.call(b"CONFIG", b"GET", b"hz").raw == before
    connection.close()


def test_a_known_difference_passes_and_an_obsolete_one_fails(oracle: Endpoint, second_oracle: Endpoint) -> None:
    stream = parse(b"# x\na> TIME #= exact\na> PING\n", "known")
    known = Divergence("time flies", "two clocks", "TIME", line="TIME*")
    lie = Divergence("never true", "it is not", "PING")
    comparison = Comparison(Duel(oracle, second_oracle), divergences=[known, lie], shrinks=0)
    run = compare_streams(comparison, [stream], protocols=(2,))
    assert [finding.known for finding in run.findings] == [known]
    assert run.obsolete == [lie]
    assert run.exit_code == 1
    assert json.loads(to_json(from_runs([run])))["subjects"][0]["obsolete"] == ["never true"]
    assert "never true" in render(run)


def test_the_list_of_known_differences_is_well_formed() -> None:
    for entry in divergences.load():
        assert len(entry.reason) > 20, entry.title


def test_a_server_that_holds_something_is_not_touched(oracle: Endpoint, second_oracle: Endpoint) -> None:
    connection = second_oracle.connect()
    connection.call(b"SET", b"precious", b"1")
    with pytest.raises(EndpointError, match="holds 1 keys"):
        attach(*second_oracle.address)
    assert main(["run", "--oracle", oracle.where, "--flush", "--subject", "nosuch"]) == 2
    assert connection.call(b"EXISTS", b"precious").raw == b":1\r\n"
    assert attach(*second_oracle.address, flush=True).address == second_oracle.address
    connection.call(b"FLUSHALL")
    connection.close()


def test_exit_codes(oracle: Endpoint, second_oracle: Endpoint, tmp_path: Path) -> None:
    same, other = tmp_path / "same.stream", tmp_path / "other.stream"
    same.write_text("# x\na> SET k v\na> GET k\n")
    other.write_text("# x\na> CLIENT ID #= exact\na> CLIENT ID #= ignore\na> INFO server #= exact\n")
    servers = ["--oracle", oracle.where, "--subject", second_oracle.where, "--flush"]
    report = tmp_path / "run.json"
    assert main(["run", *servers, "--streams", str(same), "--json", str(report)]) == 0
    cells = json.loads(report.read_text())["subjects"][0]["cells"]["GET"]
    assert [cells[protocol]["compared"] for protocol in ("2", "3")] == [1, 1]
    assert main(["run", *servers, "--streams", str(other)]) == 1
    assert main(["run", *servers, "--streams", str(tmp_path / "none.stream")]) == 2


def test_a_missing_program_says_what_to_install() -> None:
    recipe = Recipe("redis-0.1", "0.1", ("no_such_wheel", "bin/x"), "pip install no-such-wheel", program="no-such")
    with pytest.raises(EndpointError, match="pip install no-such-wheel"):
        find_program(recipe)
    assert all(recipe.install for recipe in RECIPES.values())


def test_a_server_of_ours_that_died_is_started_again(oracle: Endpoint) -> None:
    victim = start(oracle.name)
    try:
        verdict = Duel(oracle, victim).run(parse(b"# x\na> PING\n", "alive"), 2)
        assert not verdict.differences
        assert victim.process is not None
        victim.process.kill()
        victim.process.wait()
        assert not Duel(oracle, victim).run(parse(b"# x\na> PING\n", "alive again"), 2).differences
    finally:
        victim.stop()


def test_a_replay_of_several_clients_is_a_stream() -> None:
    stream = parse(b"# x\na> SET k v\nb> GET k\n", "two")
    assert parse(replay_script(stream, 2).encode(), "again").steps[1].client == "b"
    assert replay_script(parse(b"# x\na> GET \"a b\"\n", "one"), 3) == "redis-cli -3 -p PORT <<'EOF'\nGET \"a b\"\nEOF"
