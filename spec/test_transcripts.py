"""Every transcript holds, whole and byte by byte; and a transcript that does not hold says where and how."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transcript import (
    ANYTHING,
    NIL,
    NIL_ARRAY,
    Reply,
    TranscriptError,
    load,
    matches,
    parse,
    parse_reply,
    read_replies,
    run,
    shown,
    write_reply,
)

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("arrival", ["whole", "byte by byte"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, arrival: str) -> None:
    run(load(path), byte_by_byte=arrival == "byte by byte")


def test_there_are_transcripts() -> None:
    assert TRANSCRIPTS


# --- The notation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "notation"),
    [
        (b"+OK\r\n", "OK"),
        (b"$2\r\nOK\r\n", '"OK"'),
        (b"+string\r\n", "+string"),
        (b"-ERR no such key\r\n", "(error) ERR no such key"),
        (b":-7\r\n", "-7"),
        (b"$2\r\n-7\r\n", '"-7"'),
        (b"$5\r\nqueue\r\n", "queue"),
        (b"$0\r\n\r\n", '""'),
        (b"$3\r\na\x00\xff\r\n", r'"a\x00\xff"'),
        (b"$-1\r\n", "(nil)"),
        (b"_\r\n", "(nil)"),
        (b"*-1\r\n", "(nil array)"),
        (b"*0\r\n", "[]"),
        (b"*3\r\n$1\r\na\r\n:1\r\n*1\r\n$-1\r\n", "[a, 1, [(nil)]]"),
        (b"*2\r\n+OK\r\n-ERR a, b]\r\n", '[OK, (error) "ERR a, b]"]'),
        (b"%1\r\n$5\r\nproto\r\n:3\r\n", "{proto: 3}"),
        (b"~1\r\n+a b\r\n", '~[+"a b"]'),
        (b">1\r\n$1\r\na\r\n", "(push) [a]"),
        (b",1.5\r\n", "1.5"),
        (b",inf\r\n", "(double) inf"),
        (b"*1\r\n,3\r\n", "[(double) 3]"),
        (b"#t\r\n", "(true)"),
        (b"(1234567890123456789012\r\n", "(big) 1234567890123456789012"),
        (b"|1\r\n+ttl\r\n:9\r\n", "(attributes) {+ttl: 9}"),
        (b"=5\r\ntxt:\n\r\n", r'(text) "\n"'),
    ],
)
def test_each_type_of_reply_has_its_notation(wire: bytes, notation: str) -> None:
    assert [write_reply(reply) for reply in read_replies(wire)] == [notation]
    assert [parse_reply(notation)] == read_replies(wire)


def test_what_may_be_written_in_another_way() -> None:
    assert parse_reply("(integer) 7") == parse_reply("7")
    assert parse_reply('"queue"') == parse_reply("queue")
    assert parse_reply("[ a ,b ]") == parse_reply("[a, b]")


LEAVES = st.one_of(
    st.binary(max_size=8).map(lambda text: Reply("$", text)),
    st.sampled_from(["OK", "string", "Background saving started"]).map(lambda text: Reply("+", text.encode())),
    st.sampled_from(["ERR no", 'ERR "quoted" [1]']).map(lambda text: Reply("-", text.encode())),
    st.integers().map(lambda number: Reply(":", number)),
    st.booleans().map(lambda truth: Reply("#", truth)),
    st.sampled_from([b"1.5", b"inf", b"-nan", b"1e+300", b"3"]).map(lambda text: Reply(",", text)),
    st.binary(max_size=4).map(lambda text: Reply("=", b"txt:" + text)),
    st.sampled_from([NIL, NIL_ARRAY]),
)
REPLIES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda kind, elements: Reply(kind, tuple(elements if kind not in "%|" else elements[: len(elements) // 2 * 2])),
        st.sampled_from("*~>%|"),
        st.lists(inner, max_size=4),
    ),
    max_leaves=6,
)


@given(REPLIES)
def test_every_reply_can_be_written_and_read_back(reply: Reply) -> None:
    assert parse_reply(write_reply(reply)) == reply


def test_three_dots_stand_for_what_does_not_matter() -> None:
    assert matches(ANYTHING, parse_reply("[a, b]"))
    assert matches(parse_reply("[a, ...]"), parse_reply("[a, 1, 2]"))
    assert matches(parse_reply("[a, ...]"), parse_reply("[a]"))
    assert matches(parse_reply("[..., b]"), parse_reply("[a, b]"))
    assert matches(parse_reply("{a: ..., b: 2}"), parse_reply("{a: 1, b: 2}"))
    assert matches(parse_reply("{a: 1, ...}"), parse_reply("{a: 1, b: 2}"))
    assert not matches(parse_reply("[a, ...]"), parse_reply("[b, a]"))
    assert not matches(parse_reply("[..., b]"), parse_reply("[a, b, c]"))


# --- What a wrong transcript says ------------------------------------------------------------------------------------


def complaint(*lines: str) -> str:
    with pytest.raises(TranscriptError) as caught:
        run(parse("\n".join(lines), "t.txt"))
    return str(caught.value)


def test_another_reply() -> None:
    assert complaint("a> SET k v", "a< OK", "", "a> GET k", "a< w") == ("t.txt:5: expected w\n    got      v\n    a< w")


def test_no_reply() -> None:
    assert complaint("a> CLIENT REPLY OFF", "a< OK").startswith("t.txt:2: expected OK\n    got      (nothing)")
    assert complaint("a> CLIENT PAUSE 100", "a< OK", "b> PING", "b< PONG").startswith(
        "t.txt:4: expected PONG\n    got      (waiting)"
    )
    assert complaint("a> CLIENT PAUSE 100", "a< OK", "b> PING", "advance 100ms", "b< (waiting)").startswith(
        "t.txt:5: expected (waiting)\n    got      PONG"
    )


def test_a_reply_that_is_not_written_down() -> None:
    assert complaint("a> PING").startswith("t.txt:1: this reply is not written down:\n    a< PONG")
    assert complaint("> PING", "> PING").startswith("t.txt:2: a reply before this line is not written down: PONG")


def test_the_log() -> None:
    assert complaint("> SET k v", "OK", "log> SET k w").startswith(
        "t.txt:3: expected log> SET k w\n    got      log> SET k v"
    )
    assert complaint("> SET k v", "OK", "log> (nothing)").startswith("t.txt:3: expected log> (nothing)")
    assert complaint("> SET k v", "OK", "log> SET k v", "> DEL k", "1").startswith(
        "t.txt:5: this reached the log and is not written down:\n    log> DEL k"
    )
    run(parse("> SET k v\nOK\n> DEL k\n1", "silent about the log"))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('a> GET "k', "unbalanced quotes"),
        ("a>", "a command is missing"),
        ("advance 5 parsecs", "what does '5 parsecs' mean after the reply?"),
        ("a< [1, 2", "']' is missing"),
        ("a< [1 2]", "expected ',' or ']' at '2]'"),
        ("a< #!", "'#!' is no reply in this notation"),
        ("a>raw PING PING", "raw bytes are one string in quotes"),
    ],
)
def test_a_line_that_is_none(line: str, complaint: str) -> None:
    with pytest.raises(TranscriptError) as caught:
        parse("# first\n" + line, "t.txt")
    assert str(caught.value) == f"t.txt:2: {complaint}\n    {line}"


def test_show_fills_in_what_really_comes() -> None:
    written = "config maxclients 5\n> SET k v EX 1\nOK\nlog> SET k v PXAT 1700000001000\nadvance 2s\nlog> DEL k\n"
    assert shown(parse(written.replace("OK", "PONG").replace("DEL", "GET"), "t.txt")) == written


def test_one_client_with_raw_bytes() -> None:
    run(parse('> SET k v\nOK\n>raw "GET k\\r\\nPING\\r\\n"\n<raw "$1\\r\\nv\\r\\n+PONG\\r\\n"', "t.txt"))


def test_resp3_and_hanging_up() -> None:
    run(
        parse('resp3\na> GET k\na< (nil)\nb>raw "GET k\\r\\n"\nb<raw "_\\r\\n"\nclose a\na> PING\na< (closed)', "t.txt")
    )
