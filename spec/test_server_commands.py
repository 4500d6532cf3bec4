"""TIME, LOLWUT and SHUTDOWN."""

from __future__ import annotations

from random import Random

import pytest

from mini_redis.commands.lolwut import Canvas, flower, mountains, tiles
from mini_redis.drivers.in_process import InProcess, InProcessClient


@pytest.fixture
def node() -> InProcess:
    return InProcess("save ''", wall_us=1_700_000_000_000_042)


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


# --- TIME ------------------------------------------------------------------------------------------------------------


def test_time_is_two_strings(node: InProcess, a: InProcessClient) -> None:
    assert a.command("TIME") == b"*2\r\n$10\r\n1700000000\r\n$2\r\n42\r\n"
    node.advance(1.5)
    assert a.command("TIME") == b"*2\r\n$10\r\n1700000001\r\n$6\r\n500042\r\n"


# --- LOLWUT ----------------------------------------------------------------------------------------------------------


def picture(reply: bytes) -> list[str]:
    return reply.partition(b"\r\n")[2].decode().removesuffix("\r\n").splitlines()


@pytest.mark.parametrize("words", [(), ("VERSION", "5"), ("version", "6"), ("VERSION", "8"), ("x",), ("VERSION",)])
def test_there_is_something_to_see_and_the_version(a: InProcessClient, words: tuple[str, ...]) -> None:
    lines = picture(a.command("LOLWUT", *words))
    assert len(lines) > 15
    assert lines[-1].endswith(". Redis ver. 8.2.3")


@pytest.mark.parametrize("version", ["1", "7", "9", "-1"])
def test_other_versions_have_no_picture(a: InProcessClient, version: str) -> None:
    assert a.command("LOLWUT", "VERSION", version) == b"$17\r\nRedis ver. 8.2.3\n\r\n"


def test_pictures_have_the_size_that_is_asked_for(a: InProcessClient) -> None:
    lines = picture(a.command("LOLWUT", "VERSION", 6, 30, 7))
    assert [len(line) for line in lines[:7]] == [30] * 7
    assert lines[7] == ""
    lines = picture(a.command("LOLWUT", "VERSION", 5, 10, 2, 3))
    assert [len(line) for line in lines[:7]] == [10] * 7
    assert lines[7] == ""


@pytest.mark.parametrize("words", ["VERSION x", "VERSION 5 x", "VERSION 5 1 x", "VERSION 5 1 1 x", "VERSION 6 1 x"])
def test_sizes_are_integers(a: InProcessClient, words: str) -> None:
    assert a.command("LOLWUT", *words.split()) == b"-ERR value is not an integer or out of range\r\n"


def test_the_smallest_pictures_are_pictures() -> None:
    for seed in range(20):
        assert tiles(Random(seed), 1, 200, 1)
        assert tiles(Random(seed), 1, 1, 1)
        assert mountains(Random(seed), 1, 1)
        assert flower(Random(seed), 1, 1)


def test_equal_seeds_draw_equal_pictures() -> None:
    assert flower(Random(1)) == flower(Random(1)) != flower(Random(2))


def test_dots_are_where_they_were_put() -> None:
    canvas = Canvas(4, 8)
    canvas.line(0, 0, 3, 3)
    canvas.line(3, 4, 3, 7)
    canvas.dot(-1, 0)
    canvas.dot(4, 0)
    assert str(canvas) == "⠑⢄\n⠀⢸\n"


# --- SHUTDOWN --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["", "NOSAVE", "NOW", "nosave now force", "SAVE", "FORCE"])
def test_the_end_has_no_reply(node: InProcess, a: InProcessClient, words: str) -> None:
    b = node.connect()
    assert a.command("SHUTDOWN", *words.split()) == b""
    assert node.exit_code == 0
    assert a.closed
    assert b.closed


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("nosuch", b"-ERR syntax error\r\n"),
        ("SAVE NOSAVE", b"-ERR syntax error\r\n"),
        ("NOW nosuch", b"-ERR syntax error\r\n"),
        ("ABORT NOW", b"-ERR syntax error\r\n"),
        ("ABORT", b"-ERR No shutdown in progress.\r\n"),
        ("abort ABORT", b"-ERR No shutdown in progress.\r\n"),
    ],
)
def test_what_is_wrong_ends_nothing(node: InProcess, a: InProcessClient, words: str, error: bytes) -> None:
    assert a.command("SHUTDOWN", *words.split()) == error
    assert node.exit_code is None


def test_it_does_not_run_inside_a_transaction(node: InProcess, a: InProcessClient) -> None:
    assert a.talk(b"MULTI\r\nSHUTDOWN\r\nEXEC\r\n") == (
        b"+OK\r\n-ERR Command not allowed inside a transaction\r\n"
        b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    )
    assert node.exit_code is None


def test_replies_of_the_last_turn_are_sent_and_nothing_behind_it_runs(node: InProcess, a: InProcessClient) -> None:
    b = node.connect()
    assert a.talk(b"SET k 1\r\nSHUTDOWN\r\nINCR k\r\n") == b"+OK\r\n"
    node.server.receive(b.handle, b"INCR k\r\n")
    assert node.server.keyspace.databases[0].data[b"k"] == b"1"


def test_save_is_refused_while_there_is_something_to_lose(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v")
    assert a.command("SHUTDOWN", "SAVE") == b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"
    assert "cannot write an RDB file" in node.messages[-1]
    assert node.exit_code is None
    assert a.command("SHUTDOWN", "SAVE", "FORCE") == b""
    assert node.exit_code == 0


def test_configured_save_points_are_warned_about() -> None:
    for words, warned in (((), True), (("NOSAVE",), False)):
        node = InProcess("save 3600 1")
        a = node.connect()
        a.command("SET", "k", "v")
        assert a.command("SHUTDOWN", *words) == b""
        assert node.exit_code == 0
        assert any("cannot write an RDB file" in line for line in node.messages) == warned
