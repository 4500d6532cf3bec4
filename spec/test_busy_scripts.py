"""Scripts that do not end: who is served meanwhile, who can end them, and what the world looks like then.

The clock moves by a millisecond whenever it is asked, so a script is busy after a few looks at it; `meanwhile` is the
driver's turn in the middle of the script. The same with sockets at the end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest

import mini_redis.testing
from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import encode_request
from mini_redis.server.effects import Append, Close, Exit, Log, Write

BUSY = b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"
ENDLESS = "while true do end"
KILLED = b"-ERR Script killed by user with SCRIPT KILL... script: "


class Stage:
    """A node with two clients. What `b` does in the middle of a script of `a` is a list of functions, one each time."""

    def __init__(self) -> None:
        self.node = InProcess("busy-reply-threshold 5", "enable-debug-command yes", logging=True)
        self.a, self.b = self.node.connect(), self.node.connect()
        ticks = count(step=1_000_000)
        self.node.server.monotonic_ns = lambda: next(ticks)
        self.acts: list[Callable[[], None]] = []
        self.node.server.scripting.meanwhile = self._meanwhile
        self.told: list[bytes] = []

    def _meanwhile(self) -> None:
        if self.acts:
            self.acts.pop(0)()

    def says(self, *words: str, by: InProcessClient | None = None) -> None:
        """Next time, the other client says this; what it is told at once is in `told`."""

        def say() -> None:
            client = by or self.b
            self.node.server.receive(client.handle, encode_request([word.encode() for word in words]))
            for effect in self.node.server.take_effects_between():
                match effect:
                    case Write(replies):
                        for who, data in replies:
                            assert who is client.handle, "nobody else is told anything"
                            self.told += [data] if data else []
                    case Close(who, _):
                        who.connection.closed = True  # type: ignore[attr-defined]
                    case Append() | Exit():
                        self.told.append(repr(effect).encode())
                    case Log():
                        pass

        self.acts.append(say)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_others_are_told_so_until_somebody_ends_it(stage: Stage) -> None:
    for words in (["GET", "k"], ["PING"], ["FUNCTION", "KILL"], ["SCRIPT", "KILL"]):
        stage.says(*words)
    assert stage.a.command("EVAL", ENDLESS, 0).startswith(KILLED)
    assert stage.told == [BUSY, BUSY, BUSY, b"+OK\r\n"]
    assert stage.b.command("PING") == b"+PONG\r\n"
    assert stage.b.command("SCRIPT", "KILL") == b"-NOTBUSY No scripts in execution right now.\r\n"


@pytest.mark.parametrize(
    "script",
    [
        "while true do pcall(function() while true do end end) end",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "local function f() return pcall(f) end while true do f() end",
        "while true do redis.pcall('nosuch') end",
        "while true do for _ in pairs({1, 2}) do end end",
        "string.gsub('x', 'x', function() while true do end end)",
        "setmetatable({}, {__index = function() while true do end end}).x = nil while true do end",
    ],
)
def test_whatever_it_catches_and_wherever_it_is(stage: Stage, script: str) -> None:
    stage.says("SCRIPT", "KILL")
    assert stage.a.command("EVAL", script, 0).startswith(KILLED)
    assert stage.a.command("EVAL", "return 'next'", 0) == b"$4\r\nnext\r\n"


def test_a_function_is_ended_by_its_own_command(stage: Stage) -> None:
    code = "#!lua name=l\nredis.register_function('spin', function() while true do end end)"
    stage.a.command("FUNCTION", "LOAD", code)
    for words in (["SCRIPT", "KILL"], ["FUNCTION", "STATS"], ["FUNCTION", "KILL"]):
        stage.says(*words)
    assert b"script: spin, on @user_function:2." in stage.a.command("FCALL", "spin", 0)
    busy, stats, ok = stage.told
    assert busy == BUSY.replace(b"SCRIPT KILL", b"FUNCTION KILL")
    assert stats.startswith(b"*4\r\n$14\r\nrunning_script\r\n*6\r\n$4\r\nname\r\n$4\r\nspin\r\n$7\r\ncommand\r\n*3\r\n")
    assert ok == b"+OK\r\n"


def test_who_has_written_cannot_be_ended_but_with_the_server(stage: Stage) -> None:
    script = "redis.call('SET', 'k', 'half') while true do end"
    stage.says("SCRIPT", "KILL")
    stage.says("SHUTDOWN")
    stage.says("SHUTDOWN", "NOSAVE")
    assert stage.a.command("EVAL", script, 0) == b"", "nobody waits for this reply any more"
    unkillable, busy, ended = stage.told
    assert unkillable.startswith(b"-UNKILLABLE ")
    assert busy == BUSY
    assert ended == b"Exit(code=0)"
    assert stage.node.log == b"", "half a script did not happen"


def test_nothing_of_the_others_reaches_into_the_script(stage: Stage) -> None:
    """Not the time, not what it has changed so far, not who waits for it."""
    waiter = stage.node.connect()
    waiter.send(b"BLPOP queue 0\r\n")
    stage.acts.append(lambda: stage.node.clock.advance(100))
    stage.says("WATCH", "queue")
    stage.says("AUTH", "x")
    stage.says("MULTI")
    script = """
        redis.call('RPUSH', 'queue', 'first')
        local before = redis.call('TIME')
        for i = 1, 3000000 do end
        redis.call('LPUSH', 'queue', 'second')
        return {before[1] == redis.call('TIME')[1], redis.call('LLEN', 'queue')}
    """
    assert stage.a.command("EVAL", script, 0) == b"*2\r\n:1\r\n:2\r\n"
    assert not stage.acts, "all of them have had their say"
    assert [reply[:4] for reply in stage.told] == [b"+OK\r", b"-ERR", b"+OK\r"]
    assert waiter.take() == b"*2\r\n$5\r\nqueue\r\n$6\r\nsecond\r\n"
    expected = [["MULTI"], ["RPUSH", "queue", "first"], ["LPUSH", "queue", "second"], ["EXEC"], ["LPOP", "queue"]]
    select = encode_request([b"SELECT", b"0"])
    assert stage.node.log.replace(select, b"") == b"".join(
        encode_request([word.encode() for word in words]) for words in expected
    )


def test_the_caller_is_not_heard_before_it_is_over(stage: Stage) -> None:
    stage.says("PING", by=stage.a)
    stage.says("SCRIPT", "KILL")
    killed, pong = stage.a.command("EVAL", ENDLESS, 0), b"+PONG\r\n"
    assert killed.startswith(KILLED) and killed.endswith(pong)
    assert stage.told == [b"+OK\r\n"]


def test_a_threshold_of_zero_lets_it_run(stage: Stage) -> None:
    stage.a.command("CONFIG", "SET", "busy-reply-threshold", 0)
    stage.acts.append(lambda: pytest.fail("nobody is let in"))
    assert stage.a.command("EVAL", "for i = 1, 3000000 do end return 'done'", 0) == b"$4\r\ndone\r\n"


def test_a_library_has_half_a_second_to_load(stage: Stage) -> None:
    reply = stage.a.command("FUNCTION", "LOAD", "#!lua name=l\nwhile true do end")
    assert reply == b"-ERR Error registering functions: ERR FUNCTION LOAD timeout\r\n"
    assert stage.a.command("FUNCTION", "LIST") == b"*0\r\n"


# --- With sockets ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[mini_redis.testing.RunningServer]:
    with mini_redis.testing.run(busy_reply_threshold=1) as server:
        yield server


class Connection:
    def __init__(self, server: mini_redis.testing.RunningServer) -> None:
        self._socket = socket.create_connection((server.host, server.port), timeout=30)
        self._file = self._socket.makefile("rb")

    def send(self, *words: str) -> None:
        self._socket.sendall(encode_request([word.encode() for word in words]))

    def read(self) -> bytes:
        return self._file.readline()

    def talk(self, *words: str) -> bytes:
        self.send(*words)
        return self.read()


def kill(other: Connection) -> None:
    """It may not have begun, or not long enough ago, when we ask for the first time."""
    while (reply := other.talk("SCRIPT", "KILL")).startswith(b"-NOTBUSY"):
        pass
    assert reply == b"+OK\r\n"


def test_a_script_is_ended_from_another_connection(server: mini_redis.testing.RunningServer) -> None:
    caller, other = Connection(server), Connection(server)
    caller.send("EVAL", ENDLESS, "0")
    caller.send("PING")
    kill(other)
    assert caller.read().startswith(KILLED)
    assert caller.read() == b"+PONG\r\n"
    assert other.talk("PING") == b"+PONG\r\n"


def test_what_was_read_together_with_the_script_is_answered_first(server: mini_redis.testing.RunningServer) -> None:
    """Requests that arrive together are read before the first of them is run."""
    caller, other = Connection(server), Connection(server)
    go, held = threading.Event(), threading.Event()
    holder = threading.Thread(target=server.inspect, args=(lambda node: held.set() or go.wait(),))
    holder.start()
    held.wait()
    caller.send("EVAL", ENDLESS, "0")
    other.send("GET", "k")
    go.set()
    holder.join()
    assert other.read() == BUSY
    kill(other)
    assert caller.read().startswith(KILLED)


def test_somebody_new_can_come_and_somebody_can_go(server: mini_redis.testing.RunningServer) -> None:
    caller, other = Connection(server), Connection(server)
    caller.send("EVAL", ENDLESS, "0")
    while (reply := other.talk("FUNCTION", "KILL")).startswith(b"-NOTBUSY"):
        pass
    assert reply == BUSY
    late = Connection(server)
    assert late.talk("PING") == BUSY
    assert other.talk("QUIT") == b"+OK\r\n"
    assert other.read() == b""
    kill(late)
    assert caller.read().startswith(KILLED)
    assert late.talk("CLIENT", "LIST").startswith(b"$")


def test_a_caller_that_has_gone_is_found_out_when_it_is_over(server: mini_redis.testing.RunningServer) -> None:
    caller, other = Connection(server), Connection(server)
    caller.send("EVAL", ENDLESS, "0")
    while other.talk("FUNCTION", "KILL").startswith(b"-NOTBUSY"):
        pass
    caller._file.close()
    caller._socket.close()
    assert other.talk("PING") == BUSY
    kill(other)
    assert other.talk("PING") == b"+PONG\r\n"
    while server.inspect(lambda node: len(node.clients)) > 1:
        assert other.talk("PING") == b"+PONG\r\n"
