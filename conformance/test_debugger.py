"""SCRIPT DEBUG: whole sessions, byte by byte, with the oracle and with us. Only addresses may differ."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .endpoints import Endpoint, open_endpoint
from .wire import Connection, WireClosed, encode_command

ADDRESS = re.compile(rb"@0x[0-9a-f]+")
CALLS = """\
redis.call('set', KEYS[1], 'v')
local r = redis.pcall('incr', KEYS[1])
local missing = redis.pcall('get')
local nothing = redis.pcall()
local barred = redis.pcall('subscribe', 'x')
local fine = redis.status_reply('FINE')
local wrong = redis.pcall('get', {})
local many = redis.call('mget', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', KEYS[1], 'l')
redis.call('rpush', 'l', 'one', 'two\\r\\n', '')
redis.call('lrange', 'l', 0, -1)
local own = redis.error_reply('MINE is wrong')
local short = redis.error_reply('wrong')
local odd = redis.error_reply()
return redis.sha1hex()
"""
VALUES = """\
local t = {1, 2, {x = 'y\\n"\\255', [3] = false}}
local gap = {1, 2, nil, 4}
local deep = {{{{{{{{{{{{{1}}}}}}}}}}}}}
local none = {}
local large, small, all = 1e15, -0.1, 1/0
local null, yes = cjson.null, true
local f = function(n) return n end
redis.debug('hi', t, nil, 1.5)
redis.debug()
return f(redis.breakpoint())

"""
DEPTH = """\
local function deep(n)
  if n == 0 then
    return 1
  end
  local below = deep(n - 1)
  return below
end
local top = deep(2)
for i = 1, 2 do
  local y = i
end
local co = coroutine.wrap(function(x)
  local inside = x
  return inside
end)
return co(7)
"""
RESP3 = """\
redis.setresp(3)
redis.call('hset', 'h', 'a', '1')
redis.call('sadd', 's', 'm')
redis.call('zadd', 'z', 1.5, 'q')
local m = redis.call('hgetall', 'h')
local s = redis.call('smembers', 's')
local z = redis.call('zscore', 'z', 'q')
return redis.call('get', 'nosuch')
"""
STEPS = ("s",) * 20
SESSIONS = {
    "calls": (CALLS, STEPS),
    "resp3": (RESP3, STEPS),
    "depth": (DEPTH, ("s", "s", "s", "p", "t", "p n", "p deep", "s", "s", "p", "t", "b 6 10 13", *("c", "p", "t") * 9)),
    "values": (
        VALUES,
        ("p", *STEPS[:7], "p", "p t", "p nosuch", "p KEYS", "p ARGV", "p a b", "s", "s", "s", "w", "t", "maxlen",
         "m 10", "p deep", "m 61", "e string.rep('x', 100)", "m x", "m -5", "m 0", "p", "e 1 + 1", "e t", "e x = = 3",
         "e error('boo')", "e return redis.call('get', 'k')", "e for i = 1, 2 do end", "e local x = 3 return x + 1",
         "e KEYS[1]", "e redis.debug('inside')", "e print", "r get k", "r nosuch", "r lrange k 0", "r", "REDIS set k v",
         "l", "l 2", "l 2 1", "l 0", "l -1", "l abc", "h", "Help", "zz", "break", "b 8", "b 8", "b 100", "b 3 0 x 2 3",
         "b", "b -3", "b -3", "e redis.breakpoint()", "c", "c"),
    ),
    "too many breakpoints": ("\n" * 80 + "return 1", (" ".join(["b", *map(str, range(1, 70))]), "b", "c", "c")),
    "abort": ("local a = 1\nreturn a", ("s", "abort")),
    "an error": ("local a = 1\nerror('bad')", STEPS),
    "a table as error": ("error({err = 'MINE'})", STEPS),
    "a command's error": ("return redis.call('nosuch')", STEPS),
    "caught and gone on": ("local ok = pcall(redis.call, 'nosuch')\nreturn ok", STEPS),
    "does not compile": ("local x =\n1 +", ()),
    "nothing": ("", ("w", "l", "s")),
    "flags": ("#!lua flags=no-writes\nreturn redis.pcall('set', 'k', 'v')", STEPS),
    "no end": ("while true do end", ("c", "a")),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Endpoint, Endpoint]]:
    endpoints = open_endpoint("redis-8.2"), open_endpoint("mini_redis")
    try:
        yield endpoints
    finally:
        for endpoint in endpoints:
            endpoint.stop()


def session(endpoint: Endpoint, mode: bytes, script: str, commands: tuple[str, ...]) -> list[bytes]:
    """What is said from EVAL to the end of the connection, an answer each."""
    connection = endpoint.connect()
    try:
        connection.call(b"FLUSHALL")
        connection.call(b"CONFIG", b"SET", b"busy-reply-threshold", b"50")
        connection.call(b"SCRIPT", b"DEBUG", mode)
        said = [connection.call(b"EVAL", script.encode("latin-1"), b"1", b"k", b"av").raw]
        for command in commands:
            if b"<endsession>" in said[-1]:
                break
            said.append(connection.call(*command.encode().split(b" ")).raw)
        said.append(connection.read_reply().raw)
        with pytest.raises(WireClosed):
            connection.read_reply()
    finally:
        connection.close()
    return [ADDRESS.sub(b"@", answer) for answer in said]


@pytest.mark.parametrize("mode", [b"SYNC", b"yes"])
@pytest.mark.parametrize("name", SESSIONS)
def test_a_session(pair: tuple[Endpoint, Endpoint], name: str, mode: bytes) -> None:
    script, commands = SESSIONS[name]
    theirs, ours = (session(endpoint, mode, script, commands) for endpoint in pair)
    assert b"<endsession>" in theirs[-2], "the session is told to its end"
    assert ours == theirs


@pytest.mark.parametrize("mode", [b"SYNC", b"YES"])
def test_what_is_left_behind(pair: tuple[Endpoint, Endpoint], mode: bytes) -> None:
    for endpoint in pair:
        session(endpoint, mode, "redis.call('set', KEYS[1], 'v')\nreturn 1", ("s", "s"))
        connection = endpoint.connect()
        assert connection.call(b"GET", b"k").text == (b"v" if mode == b"SYNC" else b"")
        connection.close()


BROKEN = [
    b"junk\r\n", b"*0\r\n", b"*1025\r\n", b"*x\r\n", b"*1\r\n$0\r\n\r\n", b"*1\r\n$2000\r\n", b"*1\r\nx",
    b"*1\r\n$1\r\nss\r\n", b"*1\r\n$1\r\npxx",
]  # fmt: skip
TOLERATED = [b"xx*1\r\n$1\r\ns\r\n", b"*1\r\n$1\r\np\r\n*1\r\n$1\r\nt\r\n", b"* 1x\r\n$1\r\np\r\n"]


@pytest.mark.parametrize("data", BROKEN + TOLERATED)
def test_what_is_no_request(pair: tuple[Endpoint, Endpoint], data: bytes) -> None:
    def said(endpoint: Endpoint) -> list[bytes]:
        connection = endpoint.connect()
        try:
            connection.call(b"SCRIPT", b"DEBUG", b"SYNC")
            connection.call(b"EVAL", b"local a = 1\nreturn a", b"0")
            connection.send(data)
            answers = [connection.read_reply().raw]
            if data in BROKEN:
                answers.append(connection.read_reply().raw)
            return answers
        finally:
            connection.close()

    theirs, ours = map(said, pair)
    assert ours == theirs


def test_inside_of_a_transaction_and_a_pipeline(pair: tuple[Endpoint, Endpoint]) -> None:
    def said(endpoint: Endpoint) -> list[bytes]:
        connection: Connection = endpoint.connect()
        try:
            connection.send(encode_command([b"PING"]) + encode_command([b"SCRIPT", b"DEBUG", b"YES"]))
            answers = [connection.read_reply(), connection.read_reply()]
            for words in (b"SCRIPT DEBUG SYNC", b"MULTI", b"EVAL 'return 5' 0", b"EXEC", b"c"):
                answers.append(connection.call(*[word.strip(b"'") for word in re.findall(rb"'[^']*'|\S+", words)]))
            answers.append(connection.read_reply())
            return [answer.raw for answer in answers]
        finally:
            connection.close()

    theirs, ours = map(said, pair)
    assert ours == theirs
