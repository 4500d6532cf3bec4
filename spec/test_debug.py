"""DEBUG: what tests do to a server, and that nobody else may."""

from __future__ import annotations

import re

import pytest

from mini_redis.commands.debug import SUBCOMMANDS
from mini_redis.drivers.in_process import InProcess, InProcessClient


@pytest.fixture
def node() -> InProcess:
    return InProcess("enable-debug-command yes")


@pytest.fixture
def a(node: InProcess) -> InProcessClient:
    return node.connect()


def test_it_is_not_for_everybody() -> None:
    a = InProcess().connect()
    assert a.command("DEBUG", "SLEEP", "100").startswith(b"-ERR DEBUG command not allowed. If the enable-debug-command")
    assert a.command("TIME") == b"*2\r\n$10\r\n1700000000\r\n$1\r\n0\r\n", "it did not sleep"
    local = InProcess("enable-debug-command local").connect()
    assert local.command("DEBUG", "SLEEP", "0") == b"+OK\r\n"


def test_help_lists_what_exists(a: InProcessClient) -> None:
    told = re.findall(rb"\+([A-Z-]+)(?: |\r\n)", a.command("DEBUG", "HELP"))
    assert sorted(word.lower() for word in told if word != b"DEBUG") == sorted(SUBCOMMANDS)


@pytest.mark.parametrize("call", ["nosuch", "SLEEP", "SLEEP 1 2", "DIGEST x", "OBJECT", "POPULATE", "POPULATE 1 p 2 x"])
def test_wrong_words_and_wrong_numbers_of_words_get_one_answer(a: InProcessClient, call: str) -> None:
    name = call.split()[0].encode()
    text = b"-ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP.\r\n" % name
    assert a.command("DEBUG", *call.split()) == text


def test_sleep_lets_time_pass_for_everybody(node: InProcess, a: InProcessClient) -> None:
    naps = ((b"1.5", 1_500_000), (b" 0.25s", 250_000), (b"x", 0), (b"-1", 0), (b"1e400", 0), (b"inf", 0))
    for seconds, slept_us in naps:
        before = node.clock.wall_us()
        assert a.command("DEBUG", "SLEEP", seconds) == b"+OK\r\n"
        assert node.clock.wall_us() - before == slept_us


def test_expired_keys_can_be_made_to_stay(node: InProcess, a: InProcessClient) -> None:
    assert a.command("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"+OK\r\n"
    a.command("SET", "k", "v", "PX", "10")
    node.advance(5)
    assert a.command("DBSIZE") == b":1\r\n"
    # DEBUG looks at what is there; everybody else sees that its time is over.
    assert a.command("DEBUG", "OBJECT", "k").startswith(b"+Value at:0x")
    assert a.command("DEBUG", "DIGEST-VALUE", "k") != a.command("DEBUG", "DIGEST-VALUE", "nosuch")
    assert a.command("DBSIZE") == b":1\r\n"

    a.command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    node.advance(0.2)
    assert a.command("DBSIZE") == b":0\r\n"


def test_looking_leaves_no_trace(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "hello")
    node.advance(7)
    told = b"+Value at:0x0 refcount:1 encoding:embstr serializedlength:6 lru:%d lru_seconds_idle:7\r\n"
    for _ in range(2):
        assert a.command("DEBUG", "OBJECT", "k") == told % (1_700_000_000 % 2**24)
    a.command("DEBUG", "DIGEST-VALUE", "k", "nosuch")
    assert (node.server.keyspace.hits, node.server.keyspace.misses) == (0, 0)
    assert a.command("DEBUG", "OBJECT", "nosuch") == b"-ERR no such key\r\n"


def test_under_an_lfu_policy_the_clock_is_a_counter(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    a.command("SET", "k", "v")
    found = re.search(rb" lru:(\d+) ", a.command("DEBUG", "OBJECT", "k"))
    assert found is not None
    minutes, counter = divmod(int(found[1]), 256)
    assert counter == 5
    assert minutes == (1_700_000_000 // 60) % 2**16


def test_the_serialised_length_follows_rdbcompression(a: InProcessClient) -> None:
    a.command("SET", "k", "a" * 100)
    assert b" serializedlength:13 " in a.command("DEBUG", "OBJECT", "k")
    a.command("CONFIG", "SET", "rdbcompression", "no")
    assert b" serializedlength:102 " in a.command("DEBUG", "OBJECT", "k")


def test_populate_changes_nothing_that_is_counted(node: InProcess) -> None:
    node.server.propagation.active = True
    a, b = node.connect(), node.connect()
    a.command("SET", "p:1", "old")
    log, dirty = node.log, node.server.dirty
    b.command("WATCH", "p:2")
    assert a.command("DEBUG", "POPULATE", "4", "p", "9") == b"+OK\r\n"
    assert a.command("MGET", "p:0", "p:1", "p:3") == b"*3\r\n$9\r\nvalue:0\0\0\r\n$3\r\nold\r\n$9\r\nvalue:3\0\0\r\n"
    assert (node.log, node.server.dirty) == (log, dirty)
    assert b.talk(b"MULTI\r\nEXEC\r\n") == b"+OK\r\n*-1\r\n"


def test_an_error_of_ones_own_is_not_counted(node: InProcess, a: InProcessClient) -> None:
    assert a.command("DEBUG", "ERROR", "OOPS two\r\nlines") == b"-OOPS two  lines\r\n"
    assert node.server.stats.error_replies == 0


def test_log_writes_a_warning(node: InProcess, a: InProcessClient) -> None:
    assert a.command("DEBUG", "LOG", "caf\u00e9".encode()) == b"+OK\r\n"
    assert node.messages[-1] == "# DEBUG LOG: caf\u00e9"


@pytest.mark.parametrize(
    ("kind", "resp2", "resp3"),
    [
        ("bignum", b"$37\r\n1234567999999999999999999999999999999\r\n", b"(1234567999999999999999999999999999999\r\n"),
        ("map", b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
        ("set", b"*3\r\n:0\r\n:1\r\n:2\r\n", b"~3\r\n:0\r\n:1\r\n:2\r\n"),
        ("double", b"$5\r\n3.141\r\n", b",3.141\r\n"),
        ("null", b"$-1\r\n", b"_\r\n"),
        (
            "attrib",
            b"$39\r\nSome real reply following the attribute\r\n",
            b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
            b"$39\r\nSome real reply following the attribute\r\n",
        ),
        (
            "push",
            b"-ERR RESP2 is not supported by this command\r\n",
            b"$40\r\nSome real reply following the push reply\r\n>2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n",
        ),
    ],
)
def test_samples_of_reply_types(a: InProcessClient, kind: str, resp2: bytes, resp3: bytes) -> None:
    assert a.command("DEBUG", "PROTOCOL", kind) == resp2
    a.command("HELLO", 3)
    assert a.command("DEBUG", "PROTOCOL", kind.upper()) == resp3


def test_patterns_are_tested_and_equal_seeds_answer_alike() -> None:
    answers = []
    for _ in range(2):
        a = InProcess("enable-debug-command yes", seed=5).connect()
        a.command("SET", "k", "v")
        answers.append([a.command("DEBUG", *call.split()) for call in ("STRINGMATCH-TEST", "OBJECT k", "DIGEST")])
        answers[-1].append(a.command("LOLWUT"))
    assert answers[0] == answers[1]
    assert answers[0][0] == b"+Apparently Redis did not crash: test passed\r\n"
