"""Scripts: one command, told byte for byte; what is kept of them; and that nothing of theirs can hurt the server."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha1
from pathlib import Path

import pytest

from mini_redis.commands.registry import DENYOOM, MAY_REPLICATE, STALE, WRITE
from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import encode_request
from mini_redis.server.scripting import MOST_PASSING

ROOT = Path(__file__).parent.parent


@pytest.fixture
def client() -> InProcessClient:
    return InProcess("enable-debug-command yes").connect()


def sha(script: str) -> str:
    return sha1(script.encode()).hexdigest()


def info(client: InProcessClient, field: str) -> int:
    text = client.command("INFO", "everything").decode()
    return int(text.partition(f"\r\n{field}:")[2].partition("\r\n")[0])


# --- The words on the wire -------------------------------------------------------------------------------------------

EXCHANGES = [
    (["EVAL", "return 1", "0"], b":1\r\n"),
    (["EVAL", "return {KEYS[1], ARGV[1]}", "1", "k", "v"], b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n"),
    (["EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "k", "v"], b"+OK\r\n"),
    (["EVAL", "return redis.call('GET', KEYS[1])", "1", "k"], b"$1\r\nv\r\n"),
    (["EVAL", "return redis.call('GET', 'no')", "0"], b"$-1\r\n"),
    (["EVAL", "return 3.99", "0"], b":3\r\n"),
    (["EVAL", "return {err = 'CODE text'}", "0"], b"-CODE text\r\n"),
    (["EVALSHA", "0" * 40, "0"], b"-NOSCRIPT No matching script. Please use EVAL.\r\n"),
    (["SCRIPT", "EXISTS", sha("return 1"), sha("return 2")], b"*2\r\n:1\r\n:0\r\n"),
    (["FCALL", "f", "0"], b"-ERR Function not found\r\n"),
]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
def test_words_on_the_wire(client: InProcessClient, whole: bool) -> None:
    for words, reply in EXCHANGES:
        data = encode_request([word.encode() for word in words])
        pieces = [data] if whole else [data[at : at + 1] for at in range(len(data))]
        assert client.talk(*pieces) == reply, words


def test_very_many_arguments(client: InProcessClient) -> None:
    keys = [f"k{number}" for number in range(3000)]
    words = [f"v{number}" for number in range(9000)]
    script = "return {#KEYS, #ARGV, KEYS[3000], ARGV[9000], redis.call('MSET', unpack(ARGV, 1, 7000)).ok}"
    assert client.command("EVAL", script, 3000, *keys, *words) == (
        b"*5\r\n:3000\r\n:9000\r\n$5\r\nk2999\r\n$5\r\nv8999\r\n$2\r\nOK\r\n"
    )


def test_arrays_that_nest_deeper_than_python(client: InProcessClient) -> None:
    script = "local t = {} for _ = 2, tonumber(ARGV[1]) do t = {t} end return t"
    assert client.command("EVAL", script, 0, 7995) == b"*1\r\n" * 7994 + b"*0\r\n"
    assert client.command("EVAL", script, 0, 7996) == b"*1\r\n" * 7995 + b"-ERR reached lua stack limit\r\n"
    endless = "local a = {} local b = {a} a[1] = b return a"
    assert client.command("EVAL", endless, 0).endswith(b"*1\r\n-ERR reached lua stack limit\r\n")
    assert client.command("PING") == b"+PONG\r\n"


# --- What is kept ----------------------------------------------------------------------------------------------------


def test_a_script_that_only_eval_has_brought_is_forgotten_after_many_others(client: InProcessClient) -> None:
    for number in range(MOST_PASSING):
        client.command("EVAL", f"return {number}", 0)
    client.command("EVAL", "return 0", 0)
    client.command("EVALSHA", sha("return 1"), 0)
    client.command("EVAL", "return 'one more'", 0)

    assert client.command("EVALSHA", sha("return 0"), 0) == b":0\r\n"
    assert client.command("EVALSHA", sha("return 1"), 0) == b":1\r\n"
    assert client.command("EVALSHA", sha("return 2"), 0).startswith(b"-NOSCRIPT")
    assert (info(client, "evicted_scripts"), info(client, "number_of_cached_scripts")) == (1, MOST_PASSING)
    client.command("CONFIG", "RESETSTAT")
    assert info(client, "evicted_scripts") == 0


def test_a_loaded_script_stays(client: InProcessClient) -> None:
    client.command("EVAL", "return 'evaluated first'", 0)
    client.command("SCRIPT", "LOAD", "return 'evaluated first'")
    client.command("SCRIPT", "LOAD", "return 'loaded'")
    client.command("EVAL", "return 'loaded'", 0)
    for number in range(MOST_PASSING + 10):
        client.command("EVAL", f"return {number}", 0)
    for text in ("return 'evaluated first'", "return 'loaded'"):
        assert client.command("SCRIPT", "EXISTS", sha(text)) == b"*1\r\n:1\r\n"
    assert info(client, "number_of_cached_scripts") == MOST_PASSING + 2
    client.command("SCRIPT", "FLUSH")
    assert info(client, "number_of_cached_scripts") == info(client, "used_memory_vm_eval") == 0


def test_functions_are_counted(client: InProcessClient) -> None:
    code = "#!lua name=lib\nredis.register_function('f', function() end) redis.register_function('g', function() end)"
    client.command("FUNCTION", "LOAD", code)
    assert (info(client, "number_of_libraries"), info(client, "number_of_functions")) == (1, 2)
    assert info(client, "used_memory_vm_functions") > 10_000
    client.command("FLUSHALL")
    assert info(client, "number_of_libraries") == 1, "functions are no keys"
    client.command("FUNCTION", "FLUSH")
    assert info(client, "number_of_functions") == info(client, "used_memory_vm_functions") == 0


def test_one_library_cannot_have_a_function_twice_in_another_case(client: InProcessClient) -> None:
    """Redis 8.2.3 takes it, and its process ends when the library is deleted."""
    twice = "#!lua name=lib\nredis.register_function('f', function() end) redis.register_function('F', function() end)"
    refused = b"-ERR Error registering functions: ERR Function already exists in the library\r\n"
    assert client.command("FUNCTION", "LOAD", twice) == refused


# --- What a script is for the gates ----------------------------------------------------------------------------------


def test_a_script_that_declares_its_flags_is_judged_by_them(client: InProcessClient) -> None:
    scripting = client.handle.context.server.scripting
    asked = WRITE | DENYOOM | STALE | MAY_REPLICATE

    def flags(*words: str) -> int:
        argv = [word.encode() for word in words]
        command = scripting._server.command_table.resolve(argv)
        return scripting.flags_of_call(command.name, command.command.flags, argv) & asked

    client.command("SCRIPT", "LOAD", "#!lua flags=no-writes\nreturn 1")
    code = "redis.register_function{function_name = 'f', callback = function() end, flags = {'allow-oom'}}"
    client.command("FUNCTION", "LOAD", "#!lua name=lib\n" + code)

    assert flags("EVAL", "return 1", "0") == MAY_REPLICATE | STALE
    assert flags("EVAL", "#!lua\nreturn 1", "0") == WRITE | DENYOOM
    assert flags("EVAL", "#!lua flags=no-writes\nreturn 1", "0") == 0
    assert flags("EVAL", "#!lua flags=no-writes,allow-stale\nreturn 1", "0") == STALE
    assert flags("EVAL", "#!lua flags=nosuch\nreturn 1", "0") == MAY_REPLICATE | STALE
    assert flags("EVALSHA", sha("#!lua flags=no-writes\nreturn 1").upper(), "0") == 0
    assert flags("EVALSHA", "0" * 40, "0") == MAY_REPLICATE | STALE
    assert flags("FCALL", "F", "0") == WRITE
    assert flags("FCALL", "nosuch", "0") == MAY_REPLICATE | STALE


# --- What a script cannot do -----------------------------------------------------------------------------------------


def test_what_a_script_catches_is_never_an_object_of_the_server(client: InProcessClient) -> None:
    """Every way of catching, of every error that our functions raise."""
    script = """
        local seen = {}
        local function see(value)
            seen[#seen + 1] = type(value)
        end
        local failures = {
            function() redis.call('nosuch') end, function() redis.call({}) end, function() cjson.encode() end,
            function() cjson.decode('{') end, function() cmsgpack.unpack('\\193') end, function() struct.pack('z') end,
            function() bit.band() end, function() math.random(0) end, function() redis.sha1hex() end,
            function() redis.log() end, function() redis.setresp(9) end, function() cmsgpack.unpack(ARGV[1]) end,
            function() redis.call('del', unpack(KEYS)) end, function() return cjson.null() end,
            function() return cjson.null.x end, function() cjson.null.x = 1 end, function() return #cjson.null end,
        }
        for _, fail in ipairs(failures) do
            see(select(2, pcall(fail)))
            xpcall(fail, see)
            see(select(2, coroutine.resume(coroutine.create(fail))))
            see(select(2, pcall(coroutine.wrap(fail))))
            see(select(2, load(fail)))
            see(select(2, pcall(string.gsub, 'x', 'x', fail)))
            see(select(2, pcall(table.sort, {1, 2}, fail)))
            see(select(2, pcall(function() return setmetatable({}, {__index = fail}).x end)))
        end
        local kinds = {}
        for _, kind in ipairs(seen) do
            kinds[kind] = true
        end
        return {#failures, tostring(kinds.userdata), tostring(kinds.string), tostring(kinds.table)}
    """
    reply = client.command("EVAL", script, 1, "k", b"\1" * 9000)
    assert reply == b"*4\r\n:17\r\n$3\r\nnil\r\n$4\r\ntrue\r\n$4\r\ntrue\r\n"


def test_errors_inside_of_coroutines_leave_nothing_behind_that_belongs_to_them(client: InProcessClient) -> None:
    """Whatever was made in a coroutine dies with it: were it kept, the process would end."""
    script = """
        for i = 1, 300 do
            coroutine.wrap(function() pcall(redis.call, 'nosuch', {}) pcall(cjson.encode, {function() end}) end)()
            coroutine.resume(coroutine.create(function() redis.call('incr', 'word') end))
        end
        collectgarbage()
        return 'alive'
    """
    client.command("SET", "word", "x")
    for _ in range(5):
        assert client.command("EVAL", script, 0) == b"$5\r\nalive\r\n"


@pytest.mark.parametrize(
    "leave",
    [
        "string.x = 1", "local s = string s.rep = 1", "rawset(string, 'x', 1)", "table.insert(string, 1)",
        "getmetatable('').__index.x = 1", "getmetatable('').__index = {x = 1}", "_G.x = 1", "KEYS.x = 1",
        "local _, t = pairs(string) t.x = 1", "local _, t = ipairs(string) t.x = 1", "setmetatable(string, {})",
        "for k, v in pairs(_G) do if type(v) == 'table' then v.x = 1 end end", "loadstring('x = 1')()",
        "local mt = getmetatable(_G) mt.__index = function() return 1 end", "table.setn(string, 1)",
        "coroutine.wrap(function() string.x = 1 end)()", "table.sort(string, function() end)", "ARGV.x = 1",
        "xpcall(function() string.x = 1 end, function(e) string.x = 1 end)", "collectgarbage('collect')",
        "unpack({}, -2147483648, 2147483647)", "collectgarbage('stop')", "collectgarbage('setpause', 1000000)",
    ],
)  # fmt: skip
def test_the_next_script_finds_the_world_as_it_was(client: InProcessClient, leave: str) -> None:
    look = """
        local r = {}
        for k, v in pairs(_G) do
            r[#r + 1] = k .. type(v)
            if type(v) == 'table' and k ~= '_G' then
                for n, w in pairs(v) do r[#r + 1] = k .. n .. type(w) end
            end
        end
        table.sort(r)
        return table.concat(r, ' ') .. tostring(('x').x) .. ('ab'):rep(2) .. #string
    """
    before = client.command("EVAL", look, 0)
    client.command("EVAL", leave, 0)
    assert client.command("EVAL", look, 0) == before


def test_a_mistake_of_ours_ends_the_connection_and_not_the_script_alone(client: InProcessClient) -> None:
    def fail(argv: list[bytes]) -> None:
        raise ZeroDivisionError

    client.handle.context.server.scripting.call = fail  # type: ignore[method-assign, assignment]
    assert client.command("EVAL", "return {pcall(redis.call, 'get', 'k'), 'went on'}", 0) == b""
    assert client.closed
    assert any("ZeroDivisionError" in message for message in client._driver.messages)


# --- Without Lua -----------------------------------------------------------------------------------------------------

WITHOUT_LUPA = """
import sys
sys.modules["lupa"] = None
from mini_redis.drivers.in_process import InProcess
client = InProcess().connect()
for words in (["EVAL", "return 1", "0"], ["SCRIPT", "LOAD", "return 1"], ["FUNCTION", "LOAD", "#!lua name=l\\nx"]):
    print(client.command(*words).decode().strip())
print(client.command("SET", "k", "v"), client.command("FUNCTION", "LIST"), client.command("SCRIPT", "EXISTS", "x"))
print("number_of_cached_scripts:0" in client.command("INFO", "memory").decode())
"""


def test_without_lupa_all_else_works_and_scripts_are_refused() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_LUPA], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines() == [
        "-ERR This server has no Lua: pip install 'mini-redis-reference[scripting]'",
        "-ERR This server has no Lua: pip install 'mini-redis-reference[scripting]'",
        "-ERR This server has no Lua: pip install 'mini-redis-reference[scripting]'",
        "b'+OK\\r\\n' b'*0\\r\\n' b'*1\\r\\n:0\\r\\n'",
        "True",
    ]
