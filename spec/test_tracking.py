"""Client-side caching: a cache that obeys its invalidations is never wrong, and the bytes by which it is told.

The model is a client library in ten lines: it answers from its own memory if it can, remembers what it had to ask for,
and forgets what it is told to forget. Whatever else happens on the server, what it then still remembers must be true.
"""

from __future__ import annotations

from typing import Any

import hiredis
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess, InProcessClient

KEYS = ["a", "b", "ab", "c"]


class CachingClient:
    """A client library with a cache in `mode`: the words after CLIENT TRACKING ON, or None without."""

    def __init__(self, node: InProcess, mode: str | None) -> None:
        self.node = node
        self.mode = mode or ""
        self.cache: dict[str, Any] = {}
        self.connection: InProcessClient = node.connect()
        self.reader = hiredis.Reader(notEnoughData=Ellipsis)
        self.call("HELLO", 3)
        if mode is not None:
            self.call("CLIENT", "TRACKING", "ON", *mode.split())

    def call(self, *words: str | int) -> Any:
        """The reply; what came before and after it is obeyed."""
        return self.listen(self.connection.command(*words))[-1]

    def listen(self, received: bytes) -> list[Any]:
        """The replies among what was received. Invalidations forget keys, null all of them."""
        self.reader.feed(received)
        replies: list[Any] = []
        while (frame := self.reader.gets()) is not Ellipsis:
            if not isinstance(frame, hiredis.PushNotification):
                replies.append(frame)
            elif frame[0] == b"invalidate":
                for key in frame[1] if frame[1] is not None else list(self.cache):
                    self.cache.pop(key if isinstance(key, str) else key.decode(), None)
        return replies

    def hear(self) -> None:
        """Obey what has come meanwhile."""
        self.listen(self.connection.take())

    def get(self, key: str) -> Any:
        self.hear()
        if key not in self.cache:
            if "OPTIN" in self.mode:
                self.call("CLIENT", "CACHING", "YES")
            self.cache[key] = None  # before asking: if it is told to forget while the answer is under way, it does
            value = self.call("GET", key)
            if key in self.cache:
                self.cache[key] = value
            return value
        return self.cache[key]

    def write(self, *words: str | int) -> None:
        """What it writes itself, NOLOOP does not tell it."""
        if "NOLOOP" in self.mode:
            for key in KEYS:
                self.cache.pop(key, None)
        self.call(*words)


def truth(node: InProcess, key: str) -> Any:
    return node.server.keyspace.databases[0].peek(key.encode())


MODES = ["", "NOLOOP", "OPTIN", "OPTOUT", "BCAST", "BCAST NOLOOP", "BCAST PREFIX a PREFIX b PREFIX c"]
LINES = [
    *("SET {key} {new}", "SET {key} {new} PX 50", "MSET a {new} {key} {new}", "APPEND {key} x", "INCR {key}"),
    *("PEXPIRE {key} 50", "EXPIRE {key} 0", "PERSIST {key}", "DEL {key}", "GETDEL {key}", "MOVE {key} 3"),
    *("RENAME {key} b", "COPY {key} c REPLACE", "FLUSHALL", "FLUSHDB"),
    *("WATCH {key}", "UNWATCH"),
]
WRITES = st.builds(str.replace, st.sampled_from(LINES), st.just("{key}"), st.sampled_from(KEYS))
STEPS = st.one_of(
    *[st.tuples(st.just("get"), st.sampled_from(KEYS))] * 3,
    *[st.tuples(st.just("write"), WRITES)] * 2,
    st.tuples(st.just("transaction"), st.lists(WRITES, max_size=3)),
    st.tuples(st.just("advance"), st.sampled_from([0.001, 0.06, 0.2])),
    st.tuples(st.just("leave"), st.just("")),
)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(*[st.sampled_from(MODES)] * 3),
    st.lists(st.tuples(st.integers(0, 2), STEPS), min_size=15, max_size=50),
    st.sampled_from([0, 0, 1, 2]),
)
def test_what_a_cache_still_holds_is_true(modes: tuple[str, ...], steps: list[Any], most_keys: int) -> None:
    node = InProcess(f"tracking-table-max-keys {most_keys}")
    clients = [CachingClient(node, safe(mode, most_keys)) for mode in modes]
    for number, (at, (verb, what)) in enumerate(steps):
        client = clients[at]

        def words(line: str, new: int = number) -> list[str]:
            return line.format(new=new).split()

        match verb:
            case "get":
                assert client.get(what) == truth(node, what)
            case "write":
                client.write(*words(what))
            case "transaction":
                client.write("MULTI")
                for line in what:
                    client.call(*words(line))
                client.call("EXEC")
            case "advance":
                node.advance(what)
            case "leave":
                client.connection.disconnect()
                clients[at] = CachingClient(node, client.mode)
        node.server.tracking.check()
        truths = {key: truth(node, key) for key in KEYS}  # who looks removes what has expired, and caches hear of that
        node.turn()
        for each in clients:
            each.hear()
            for key, value in each.cache.items():
                assert value == truths[key], f"{each.mode} holds {key}"


def safe(mode: str, most_keys: int) -> str:
    """Where the table may throw out keys, NOLOOP is not: see below."""
    return mode if not most_keys or "BCAST" in mode else mode.replace("NOLOOP", "")


def test_without_tracking_a_cache_is_soon_wrong() -> None:
    """The model can fail: that is why the property above means something."""
    node = InProcess()
    careless, writer = CachingClient(node, None), CachingClient(node, None)
    assert careless.get("a") is None
    writer.write("SET", "a", 1)
    assert careless.get("a") is None and truth(node, "a") == b"1"


def test_noloop_is_not_told_what_its_own_next_command_throws_out() -> None:
    """As in Redis 8.2.3: the table is limited before a command, and NOLOOP hides what this client brings about."""
    node = InProcess("tracking-table-max-keys 1")
    client, writer = CachingClient(node, "NOLOOP"), CachingClient(node, None)
    for key in KEYS:
        client.get(key)
    client.call("PING")
    for key in KEYS:
        writer.write("SET", key, "new")
    stale = [key for key in KEYS if client.get(key) != truth(node, key)]
    assert len(stale) == len(KEYS) - 1, "all but the one that was still in the table"


def test_swapdb_tells_nobody() -> None:
    """As in Redis 8.2.3."""
    node = InProcess()
    client, writer = CachingClient(node, ""), CachingClient(node, None)
    writer.write("SET", "a", 1)
    assert client.get("a") == b"1"
    writer.write("SWAPDB", 0, 1)
    assert client.get("a") == b"1" and truth(node, "a") is None


# --- Bytes -----------------------------------------------------------------------------------------------------------


def three(node: InProcess) -> InProcessClient:
    client = node.connect()
    client.command("HELLO", 3)
    return client


def told(*keys: bytes) -> bytes:
    body = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n%b" % (len(keys), body)


def test_a_message_comes_once_and_after_the_reply_of_ones_own_command() -> None:
    node = InProcess()
    a, b = three(node), three(node)
    a.command("CLIENT", "TRACKING", "ON")
    a.command("GET", "k")
    assert b.command("SET", "k", "1") == b"+OK\r\n"
    assert a.take() == told(b"k")
    b.command("SET", "k", "2")
    assert a.take() == b""
    a.command("GET", "k")
    assert a.command("SET", "k", "3") == b"+OK\r\n" + told(b"k")


def test_in_a_transaction_messages_come_after_execs_reply_and_after_other_pushes() -> None:
    node = InProcess()
    a = three(node)
    a.command("CLIENT", "TRACKING", "ON")
    a.command("SUBSCRIBE", "c")
    a.command("MULTI")
    for words in ("GET k", "SET k 1", "PUBLISH c m", "GET k"):
        a.command(*words.split())
    message = b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
    assert a.command("EXEC") == b"*4\r\n_\r\n+OK\r\n:1\r\n$1\r\n1\r\n" + message + told(b"k")
    assert node.server.tracking.items == 1, "the second GET is remembered"


def test_who_waited_is_answered_first() -> None:
    node = InProcess()
    a, b = three(node), node.connect()
    a.command("CLIENT", "TRACKING", "ON")
    a.command("EXISTS", "from", "to")
    assert a.command("BLMOVE", "from", "to", "LEFT", "LEFT", "0") == b""
    b.command("RPUSH", "from", "x")
    assert a.take() == told(b"from") + b"$1\r\nx\r\n" + told(b"to")


def test_broadcasts_of_a_turn_come_sorted_and_behind_its_replies() -> None:
    node = InProcess()
    a = three(node)
    a.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "x", "PREFIX", "k")
    said = b"SET k2 v\r\nSET x1 v\r\nSET k1 v\r\nSET other v\r\nPING\r\n"
    assert a.talk(said) == b"+OK\r\n" * 4 + b"+PONG\r\n" + told(b"k1", b"k2") + told(b"x1")


def test_replies_may_be_off_but_a_push_is_no_reply() -> None:
    node = InProcess()
    a, b = three(node), node.connect()
    a.command("CLIENT", "TRACKING", "ON")
    a.command("GET", "k")
    assert a.command("CLIENT", "REPLY", "OFF") == b""
    b.command("SET", "k", "1")
    assert a.take() == told(b"k")


def test_expiry_tells_whoever_had_read_the_key() -> None:
    node = InProcess()
    a, b = three(node), node.connect()
    b.command("SET", "k", "1", "PX", "10")
    a.command("CLIENT", "TRACKING", "ON", "NOLOOP")
    a.command("GET", "k")
    node.advance(0.2)
    assert a.take() == told(b"k")


def test_what_is_thrown_out_of_the_table_is_told_before_the_next_reply() -> None:
    node = InProcess("tracking-table-max-keys 1", seed=3)
    a = three(node)
    a.command("CLIENT", "TRACKING", "ON")
    a.command("MGET", "k1", "k2")
    answer = a.command("PING")
    assert answer in (told(b"k1") + b"+PONG\r\n", told(b"k2") + b"+PONG\r\n")
    assert len(node.server.tracking.table) == 1


def test_the_table_is_limited_by_the_cron_too_and_by_a_bounded_step() -> None:
    node = InProcess("tracking-table-max-keys 10")
    a = three(node)
    a.command("CLIENT", "TRACKING", "ON")
    a.command("MGET", *(f"k{n}" for n in range(1000)))
    tracking = node.server.tracking
    left = []
    for _ in range(3):
        tracking.limit()
        left.append(len(tracking.table))
    assert left == [900, 700, 400], "100, 200, 300... keys at a time"
    node.advance(0.2)
    assert len(tracking.table) == 10
    assert a.take().count(b"invalidate") == 990


def test_who_leaves_stays_in_the_table_until_the_key_is_modified() -> None:
    node = InProcess()
    a, b = three(node), three(node)
    a.command("CLIENT", "TRACKING", "ON")
    b.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "x")
    a.command("MGET", "k", "l")
    a.disconnect()
    b.disconnect()
    tracking = node.server.tracking
    assert (tracking.items, len(tracking.clients), len(tracking.prefixes)) == (2, 0, 0)
    tracking.check()
    c = three(node)
    c.command("CLIENT", "TRACKING", "ON")
    c.command("SET", "k", "1")
    assert tracking.items == 1


def test_who_does_not_track_pays_nothing() -> None:
    node = InProcess()
    a, db = three(node), node.server.keyspace.databases[0]
    get = node.server.commands[b"GET"]
    assert not db.observed and not a.handle.special and not get.gates
    a.command("CLIENT", "TRACKING", "ON")
    assert db.observed and a.handle.special and get.gates
    a.command("WATCH", "k")
    a.command("RESET")
    assert not db.observed and not a.handle.special and not get.gates


def test_resp2_is_told_over_another_connection() -> None:
    node = InProcess()
    a, b, c = node.connect(), node.connect(), node.connect()
    a.command("CLIENT", "TRACKING", "ON", "REDIRECT", b.handle.id)
    a.command("GET", "k")
    c.command("SET", "k", "1")
    assert b.take() == b"", "it has not subscribed to anything"
    b.command("SUBSCRIBE", "whatever")
    a.command("GET", "k")
    c.command("SET", "k", "1")
    assert b.take() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n"
    c.command("FLUSHALL")
    assert b.take() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"


def test_a_broken_redirection_is_told_with_each_message() -> None:
    node = InProcess()
    a, b, c = three(node), node.connect(), node.connect()
    a.command("CLIENT", "TRACKING", "ON", "REDIRECT", b.handle.id)
    a.command("MGET", "k", "l")
    b.disconnect()
    broken = b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % b.handle.id
    c.command("SET", "k", "1")
    assert a.take() == broken
    assert a.command("SET", "l", "1") == b"+OK\r\n" + broken
    assert b"broken_redirect" in a.command("CLIENT", "TRACKINGINFO")
