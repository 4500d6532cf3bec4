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
    unmentioned = {b"set-disable-deny-scripts"}  # nor by Redis
    assert {word.lower() for word in told if word != b"DEBUG"} == set(SUBCOMMANDS) - unmentioned


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


def test_reload_keeps_the_clocks_of_keys_only_where_a_file_would(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v")
    for policy, idle in (("noeviction", 0), ("allkeys-lru", 7), ("volatile-random", 0)):
        a.command("CONFIG", "SET", "maxmemory-policy", policy)
        a.command("GET", "k")
        node.advance(7)
        assert a.command("DEBUG", "RELOAD") == b"+OK\r\n"
        assert a.command("OBJECT", "IDLETIME", "k") == b":%d\r\n" % idle


def test_reload_counts_the_memory_of_the_new_values(node: InProcess, a: InProcessClient) -> None:
    a.command("RPUSH", "l", *range(1000))
    a.command("SADD", "s", *range(600))
    a.command("SREM", "s", *range(5, 600))
    a.command("HSET", "h", "f", "v")
    a.command("HPEXPIRE", "h", 5000, "FIELDS", 1, "f")
    keyspace = node.server.keyspace
    before = keyspace.used_bytes
    a.command("DEBUG", "RELOAD")
    assert keyspace.used_bytes < before, "the set is small, and so is what holds it now"
    node.advance(6)
    assert a.command("EXISTS", "h", "s", "l") == b":2\r\n", "the times of fields are still known to the active cycle"
    a.command("FLUSHALL")
    assert keyspace.used_bytes == 0


def test_reload_has_no_file(a: InProcessClient) -> None:
    for option in ("NOSAVE", "noflush", "MERGE"):
        assert a.command("DEBUG", "RELOAD", option).endswith(b" need a file, and this server writes none\r\n")


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


# --- Looks into structures -------------------------------------------------------------------------------------------


def test_a_listpack_is_told_element_by_element(node: InProcess, a: InProcessClient) -> None:
    a.command("ZADD", "z", 1, "a", 2.5, "b")
    assert a.command("DEBUG", "LISTPACK", "z") == b"+Listpack structure printed on stdout\r\n"
    assert node.messages == [
        "* DEBUG LISTPACK: 4 elements in 20 bytes",
        "*   0: 3 bytes, b'a'",
        "*   1: 2 bytes, b'1'",
        "*   2: 3 bytes, b'b'",
        "*   3: 5 bytes, b'2.5'",
    ]
    a.command("SET", "k", "v")
    assert a.command("DEBUG", "LISTPACK", "k") == b"-ERR Not a listpack encoded object.\r\n"


def test_a_quicklist_is_told_node_by_node(node: InProcess, a: InProcessClient) -> None:
    a.command("CONFIG", "SET", "list-max-listpack-size", 2)
    a.command("RPUSH", "l", "a", "b", "c", "x" * 9000)
    assert a.command("DEBUG", "QUICKLIST", "l") == b"+Quicklist structure printed on stdout\r\n"
    assert node.messages == [
        "* DEBUG QUICKLIST: 4 elements in 3 nodes, fill 2",
        "*   0: packed, 2 elements in 13 bytes",
        "*   1: packed, 1 elements in 10 bytes",
        "*   2: plain, 1 elements in 9000 bytes",
    ]
    a.command("DEBUG", "QUICKLIST", "l", 1)
    assert "*     b'c'" in node.messages


def test_tables_tell_their_slots(a: InProcessClient) -> None:
    for number in range(8):
        a.command("SET", f"k{number}", "v")
    a.command("EXPIRE", "k1", 100)
    a.command("DEL", "k0", "k2")
    told = a.command("DEBUG", "HTSTATS", 0, "full").decode()
    sizes = [int(size) for size in re.findall(r" table size: (\d+)\n", told)]
    counts = [int(count) for count in re.findall(r" number of elements: (\d+)\n", told)]
    assert counts == [6, 1] and 6 <= sizes[0] <= 8 and sizes[1] == 1
    assert a.command("DEBUG", "HTSTATS", 9) == b"$29\r\n[Dictionary HT]\n[Expires HT]\n\r\n"

    a.command("CONFIG", "SET", "set-max-intset-entries", 2, "set-max-listpack-entries", 2)
    a.command("SADD", "s", "a", "b", "c")
    told = a.command("DEBUG", "HTSTATS-KEY", "s").decode()
    assert "Hash table 0 stats (main hash table):\n table size: 3\n number of elements: 3\n" in told


def test_sdslen(a: InProcessClient) -> None:
    a.command("SET", "key", "hello")
    told = b"+key_sds_len:3, key_sds_avail:0, key_zmalloc: 36, val_sds_len:5, val_sds_avail:0, val_zmalloc: 38\r\n"
    assert a.command("DEBUG", "SDSLEN", "key") == told


# --- Switches and crashes --------------------------------------------------------------------------------------------


def test_the_cron_can_be_stopped(node: InProcess, a: InProcessClient) -> None:
    a.command("SET", "k", "v", "PX", 10)
    a.command("DEBUG", "PAUSE-CRON", 1)
    node.advance(1)
    assert a.command("DBSIZE") == b":1\r\n"
    a.send(b"BLPOP q 1\r\n")
    node.advance(1.1)
    assert a.take() == b"*-1\r\n", "who waits has his time-out all the same"
    a.command("DEBUG", "PAUSE-CRON", 0)
    node.advance(0.2)
    assert a.command("DBSIZE") == b":0\r\n"


def test_switches_that_move_nothing_say_so(node: InProcess, a: InProcessClient) -> None:
    assert a.command("DEBUG", "DICT-RESIZING", 0) == b"+OK\r\n"
    assert node.messages[-1] == "# DEBUG DICT-RESIZING has no effect: a table grows and shrinks with each key"


def test_replicas_can_be_lied_to() -> None:
    node = InProcess("enable-debug-command yes", logging=True)
    a = node.connect()
    a.command("DEBUG", "REPLICATE", "all", "SET", "k", "v")
    assert node.log.endswith(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert a.command("EXISTS", "k") == b":0\r\n"


def test_another_history_has_another_id(node: InProcess, a: InProcessClient) -> None:
    before = node.server.replid
    a.command("DEBUG", "CHANGE-REPL-ID")
    assert node.server.replid != before and len(node.server.replid) == 40


def test_a_failed_assertion_ends_one_connection(node: InProcess, a: InProcessClient) -> None:
    b = node.connect()
    assert a.command("DEBUG", "ASSERT") == b""
    assert a.closed and not b.closed
    assert "AssertionError: DEBUG ASSERT" in node.messages[-1]
    assert b.command("PING") == b"+PONG\r\n"


@pytest.mark.parametrize(("name", "code"), [("SEGFAULT", 139), ("PANIC", 134), ("OOM", 134)])
def test_a_crash_on_purpose_ends_the_process(node: InProcess, a: InProcessClient, name: str, code: int) -> None:
    assert a.talk(b"DEBUG %b\r\nSET k v\r\n" % name.encode()) == b""
    assert node.exit_code == code
    assert not node.server.keyspace.databases[0].data
