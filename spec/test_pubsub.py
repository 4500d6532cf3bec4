"""Publish and subscribe: what the tables hold, and what a client hears of what it does itself."""

from __future__ import annotations

import hiredis
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.server.pubsub import CHANNELS, PATTERNS, PubSub

NAMES = st.sampled_from(["a", "b", "ab"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE"]), NAMES),
    st.tuples(st.sampled_from(["PSUBSCRIBE", "PUNSUBSCRIBE"]), st.sampled_from(["a*", "?", "b"])),
    st.tuples(st.sampled_from(["PUBLISH", "SPUBLISH", "RESET", "leave"]), NAMES),
)


def check(pubsub: PubSub) -> None:
    """A client is in a channel's subscribers exactly if the channel is in the client's own table."""
    pairs = set()
    for table, channels in enumerate(pubsub.tables):
        for name, clients in channels.items():
            assert clients, "no empty tables"
            pairs |= {(client.id, table, name) for client in clients}
    told = {
        (client.id, table, name)
        for client in pubsub.subscribers
        for table, names in enumerate(client.subscriptions)
        for name in names
    }
    assert pairs == told
    assert all(any(client.subscriptions) for client in pubsub.subscribers)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), STEPS), max_size=30))
def test_whoever_subscribed_is_told_and_nobody_else(steps: list[tuple[int, tuple[str, str]]]) -> None:
    node = InProcess()
    clients = [node.connect() for _ in range(3)]
    for client in clients:
        client.command("HELLO", 3)
    for at, (verb, name) in steps:
        client = clients[at]
        if verb == "leave":
            client.disconnect()
            clients[at] = node.connect()
            clients[at].command("HELLO", 3)
        elif verb == "RESET":
            client.command("RESET")
            client.command("HELLO", 3)
        elif verb in ("PUBLISH", "SPUBLISH"):
            for other in clients:
                other.received = b""
            answer = client.command(verb, name, "m")
            heard = answer + b"".join(other.take() for other in clients)
            assert b":%d\r\n" % heard.count(b"\r\n$1\r\nm\r\n") in answer
        else:
            client.command(verb, name)
        check(node.server.pubsub)


def test_a_message_to_oneself_comes_after_the_reply() -> None:
    node = InProcess()
    a = node.connect()
    a.command("HELLO", 3)
    a.command("SUBSCRIBE", "c")
    a.command("MULTI")
    a.command("PUBLISH", "c", "m")
    a.command("PING")
    assert a.command("EXEC") == b"*2\r\n:1\r\n+PONG\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"


def test_notifications_are_messages() -> None:
    node = InProcess("notify-keyspace-events KEA")
    a, b = node.connect(), node.connect()
    a.command("PSUBSCRIBE", "__key*__:*")
    b.command("RPUSH", "l", "1")
    a.received = b""
    b.command("LPOP", "l")
    heard = a.received.split(b"\r\n")
    assert [heard[at + 6 : at + 9 : 2] for at in range(0, len(heard) - 1, 9)] == [
        [b"__keyspace@0__:l", b"lpop"],
        [b"__keyevent@0__:lpop", b"l"],
        [b"__keyspace@0__:l", b"del"],
        [b"__keyevent@0__:del", b"l"],
    ]


def test_a_subscriber_who_leaves_is_forgotten() -> None:
    node = InProcess()
    a, b = node.connect(), node.connect()
    a.command("SUBSCRIBE", "c")
    a.command("PSUBSCRIBE", "*")
    a.disconnect()
    assert b.command("PUBLISH", "c", "m") == b":0\r\n"
    assert not node.server.pubsub.tables[CHANNELS] and not node.server.pubsub.tables[PATTERNS]


def test_who_reads_too_slowly_is_disconnected() -> None:
    node = InProcess("client-output-buffer-limit pubsub 64kb 0 0")
    a, b = node.connect(), node.connect()
    a.command("SUBSCRIBE", "c")
    a.reads = False
    for _ in range(70):
        b.command("PUBLISH", "c", "x" * 1024)
    node.advance(0.2)
    assert a.closed
    assert b.command("PUBLISH", "c", "m") == b":0\r\n"


# --- The promise: at most once, in order per connection ---------------------------------------------------------------

CHANNEL_NAMES = ["a", "b"]
EVENTS = st.one_of(
    st.tuples(st.just("publish"), st.integers(0, 3), st.sampled_from(CHANNEL_NAMES)),
    st.tuples(st.just("publish"), st.integers(0, 3), st.sampled_from(CHANNEL_NAMES)),
    st.tuples(st.just("transaction"), st.integers(0, 3), st.sampled_from(CHANNEL_NAMES)),
    st.tuples(st.just("SUBSCRIBE"), st.integers(0, 3), st.sampled_from(CHANNEL_NAMES)),
    st.tuples(st.just("UNSUBSCRIBE"), st.integers(0, 3), st.sampled_from(CHANNEL_NAMES)),
    st.tuples(st.sampled_from(["PSUBSCRIBE", "PUNSUBSCRIBE"]), st.integers(0, 3), st.sampled_from(["a*", "*"])),
    st.tuples(st.sampled_from(["stop reading", "read again", "disconnect", "RESET"]), st.integers(0, 3), st.just("")),
)


class Listener:
    """One connection, and what it has been sent while it was there."""

    def __init__(self, node: InProcess) -> None:
        self.client = node.connect()
        self.client.command("HELLO", 3)
        self.reader = hiredis.Reader(notEnoughData=Ellipsis)
        self.direct: list[int] = []
        self.matched: dict[bytes, list[int]] = {}

    def hear(self) -> None:
        self.reader.feed(self.client.take())
        while (frame := self.reader.gets()) is not Ellipsis:
            if isinstance(frame, hiredis.PushNotification) and frame[0] == b"message":
                self.direct.append(int(frame[2]))
            elif isinstance(frame, hiredis.PushNotification) and frame[0] == b"pmessage":
                self.matched.setdefault(frame[1], []).append(int(frame[3]))


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, min_size=10, max_size=60))
def test_what_is_delivered_is_a_subsequence_of_what_was_published(events: list[tuple[str, int, str]]) -> None:
    """Promise D3. Also: who is there, reads, and stays below its limit misses nothing."""
    node = InProcess("client-output-buffer-limit pubsub 200 0 0")
    listeners = [Listener(node) for _ in range(4)]
    everybody = list(listeners)
    published = 0
    for verb, at, name in events:
        listener = listeners[at]
        client = listener.client
        match verb:
            case "publish" | "transaction":
                alert = [one for one in listeners if one.client.reads and not one.client.closed]
                expected = [one for one in alert if name.encode() in (one.client.handle.subscriptions or ({},))[0]]
                numbers = [published + offset for offset in range(1 if verb == "publish" else 3)]
                published += len(numbers)
                if verb == "transaction":
                    client.send(b"MULTI\r\n")
                for number in numbers:
                    client.send(b"PUBLISH %b %d\r\n" % (name.encode(), number))
                if verb == "transaction":
                    client.send(b"EXEC\r\n")
                for one in alert:
                    one.hear()
                if not client.closed and client.reads:
                    assert all(one.direct[-len(numbers) :] == numbers for one in expected if not one.client.closed)
            case "stop reading":
                client.reads = False
            case "read again":
                client.reads = True
                client.received += client.backlog
                client.backlog = b""
                if not client.closed:
                    node.server.unsent(client.handle, 0)
            case "disconnect":
                client.disconnect()
            case "RESET":
                client.send(b"RESET\r\nHELLO 3\r\n")
            case _:
                client.send(f"{verb} {name}\r\n".encode())
        listener.hear()
        if client.closed:
            listeners[at] = Listener(node)
            everybody.append(listeners[at])
    for one in everybody:
        one.hear()
        for heard in (one.direct, *one.matched.values()):
            assert heard == sorted(set(heard)), "in the order of publishing, none twice"
            assert set(heard) <= set(range(published)), "nothing that nobody has published"
