"""What scripts return, encode, decode and raise agrees with the oracle on thousands of random Lua expressions.

The curated streams say what each function is for; here values of all shapes pass through them: out of a script as a
reply in both protocols, through cjson, cmsgpack, struct and bit, there and back, and broken on the way. Both servers
run the same texts, so even the SHA1 in an error is the same. A failure prints the scripts that differ.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

import pytest

from .endpoints import Endpoint
from .test_arithmetic import ask, made_of
from .wire import Reply

COUNT = 1500

# --- Lua expressions -------------------------------------------------------------------------------------------------

PIECES = (
    b"a", b"bc", b"\\0", b"\\n", b"\\r", b"\\255", b"\\195\\169", b"/", b"\\34", b"\\\\", b" ", b"ERR ", b"1",
    b"0x1f", b"-5.5",
)  # fmt: skip
NUMBERS = (
    "0", "1", "-1", "7", "127", "128", "-128", "-129", "255", "256", "65535", "65536", "2147483647", "2147483648",
    "-2147483649", "4294967295", "4294967296", "2^53", "2^62", "-2^63", "2^63", "2^64", "1e15", "123456789012345678",
    "0.5", "-2.75", "0.1", "1/3", "1e300", "-1e-300", "1/0", "-1/0", "0/0", "1e14", "99999999999999",
)  # fmt: skip
SPECIAL = ("err", "ok", "double", "map", "set", "big_number", "verbatim_string", "format", "string", "x", "y")


def text(rng: Random) -> str:
    return f'"{made_of(rng, PIECES, 5).decode()}"'


def scalar(rng: Random) -> str:
    return rng.choice(
        (
            lambda: rng.choice(NUMBERS),
            lambda: str(rng.randint(-1000, 1000)),
            lambda: text(rng),
            lambda: text(rng),
            lambda: rng.choice(("true", "false", "nil", "cjson.null")),
        )
    )()


def value(rng: Random, depth: int = 0) -> str:
    """An expression: a scalar, an array with or without holes, a table with fields that mean something in replies."""
    if depth > 3 or rng.random() < 0.4:
        return scalar(rng)
    parts: list[str] = []
    for _ in range(rng.randrange(5)):
        inner = value(rng, depth + 1)
        kind = rng.random()
        if kind < 0.6:
            parts.append(inner)
        elif kind < 0.9:
            parts.append(f"{rng.choice(SPECIAL)} = {inner}")
        else:
            parts.append(f"[{rng.choice(('1', '3', '12', '1.5', '-1', text(rng)))}] = {inner}")
    return "{" + ", ".join(parts) + "}"


def literal(data: bytes) -> str:
    """Any bytes as a string of Lua."""
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


# --- Scripts ---------------------------------------------------------------------------------------------------------


def returned(rng: Random) -> str:
    before = rng.choice(("", "redis.setresp(3) "))
    return f"{before}return {value(rng)}"


def encoded_as_json(rng: Random) -> str:
    return f"return cjson.encode({value(rng)})"


JSON_PIECES = (
    *([b"["] * 4), *([b"]"] * 4), *([b"{"] * 3), *([b"}"] * 3), *([b","] * 6), *([b'"a":'] * 4), b":", b'"x"', b'"',
    b"1", b"-2.5", b"1e3", b"0x1F", b"01", b".5", b"-", b"+1", b"true", b"false", b"null", b"nan", b"-inf", b"tru",
    b"\\u00e9", b'"\\ud83d\\ude00"', b'"\\ud83d"', b"\\", b" ", b"\n", b"\0", b"\xff", b"/",
)  # fmt: skip


def decoded_from_json(rng: Random) -> str:
    return f"return cjson.encode(cjson.decode({literal(made_of(rng, JSON_PIECES, 12))}))"


def through_json(rng: Random) -> str:
    return f"return cjson.encode(cjson.decode(cjson.encode({value(rng)})))"


def packed(rng: Random) -> str:
    return f"return cmsgpack.pack({value(rng)}, {scalar(rng)})"


def through_messagepack(rng: Random) -> str:
    return f"return cjson.encode(cmsgpack.unpack(cmsgpack.pack({value(rng)})))"


def unpacked(rng: Random) -> str:
    codes = [bytes((rng.choice((rng.randrange(256), rng.randrange(0x80, 0xE0))),)) for _ in range(12)]
    data = literal(made_of(rng, [*codes, b"\0", b"\1", b"\2", b"a", b"\xa1a"], 10))
    call = rng.choice((f"unpack({data})", f"unpack_one({data}, {rng.randrange(4)})", f"unpack_limit({data}, 2, 1)"))
    return f"return cjson.encode({{cmsgpack.{call}}})"


FORMATS = ("b", "B", "h", "H", "l", "L", "T", "i", "I", "i3", "I5", "i8", "i9", "f", "d", "s", "c3", "c0", "x", " ")
CONTROLS = ("<", ">", "!", "!2", "!4", "!3", "z", "i33")


def packed_as_struct(rng: Random) -> str:
    form = "".join(rng.choice(CONTROLS) if rng.random() < 0.2 else rng.choice(FORMATS) for _ in range(rng.randrange(5)))
    values = ", ".join(rng.choice((rng.choice(NUMBERS), text(rng), text(rng))) for _ in range(rng.randrange(1, 5)))
    return f"return {{struct.pack('{form}', {values}), pcall(struct.size, '{form}')}}"


def unpacked_from_struct(rng: Random) -> str:
    form = "".join(rng.choice(CONTROLS) if rng.random() < 0.2 else rng.choice(FORMATS) for _ in range(rng.randrange(5)))
    data = literal(made_of(rng, [b"\0", b"\1", b"\3", b"\xff", b"\x80", b"a", struct.pack("<d", 1.5)], 12))
    offset = rng.choice(("", f", {rng.randrange(4)}"))
    return f"local t = {{struct.unpack('{form}', {data}{offset})}} for i = 1, #t do t[i] = tostring(t[i]) end return t"


BITS = ("tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "bswap", "tohex")


def of_bits(rng: Random) -> str:
    arguments = ", ".join(rng.choice((rng.choice(NUMBERS), str(rng.randint(-40, 40)))) for _ in range(rng.randrange(4)))
    return f"return bit.{rng.choice(BITS)}({arguments})"


ACTIONS = (
    "redis.call('set', 'k', {0})", "redis.call('lpush', 's', {0})", "redis.pcall('lpush', 's', {0})",
    "redis.call({0})", "redis.call('nosuch', {0})", "redis.call('get')", "error({0})", "error({0}, 2)",
    "error({{err = {0}}})", "x = {0}", "return x", "redis.error_reply({0})", "redis.status_reply({0})",
    "redis.sha1hex({0})", "redis.setresp({0})", "redis.set_repl({0})", "cjson.encode({0}, 1)", "cjson.decode({0})",
    "cmsgpack.unpack({0})", "struct.pack({0})", "bit.band({0})", "local x = setmetatable({0}, nil)",
    "redis.acl_check_cmd({0})", "tonumber({0})", "local a = {0} return a.b", "local a = {0} return a.b.c",
    "local a = {0} return a()", "local a = {0} return #a", "local a = {0} return a .. a",
    "local a = {0} return a + a", "local a = {0} return a < 1", "math.random({0})", "string.rep({0})",
    "table.concat({0})",
)  # fmt: skip
FRAMES = (
    "{0}", "return {0}", "local function f() {0} end f()", "local function f() {0} end return {{pcall(f)}}",
    "return {{pcall(function() {0} end)}}", "return {{xpcall(function() {0} end, function(e) return type(e) end)}}",
    "local ok, e = xpcall(function() {0} end, __redis__err__handler) return e",
    "return {{coroutine.resume(coroutine.create(function() {0} end))}}", "coroutine.wrap(function() {0} end)()",
    "\n\n{0}", "loadstring([[{0}]])()", "string.gsub('x', 'x', function() {0} end)",
    "local t = {{1, 2}} table.sort(t, function() {0} end)",
)  # fmt: skip


def raised(rng: Random) -> str:
    action = rng.choice(ACTIONS).format(value(rng, 2).replace("\\r", ""))  # a line end would end the error
    frame = rng.choice(FRAMES)
    if frame == "return {0}" and action.startswith(("return", "local", "x =", "error")):
        frame = "{0}"
    return frame.format(action)


SCRIPTS = (
    returned, encoded_as_json, decoded_from_json, through_json, packed, through_messagepack, unpacked, packed_as_struct,
    unpacked_from_struct, of_bits, raised,
)  # fmt: skip


def normal(reply: Reply) -> bytes:
    """The bytes; line ends inside of an error that was raised are spaces, as they are in all other errors.

    Redis sends those as they stand, and whoever reads them finds another reply behind the error.
    """
    if reply.kind != "-":
        return reply.raw
    return reply.raw[:-2].replace(b"\r", b" ").replace(b"\n", b" ")


@pytest.mark.parametrize("protocol", [b"2", b"3"])
@pytest.mark.parametrize("make", SCRIPTS, ids=lambda make: make.__name__)
def test_scripts_agree(
    oracle: Endpoint, subject: Endpoint, make: Callable[[Random], str], protocol: bytes
) -> None:
    rng = Random(f"{make.__name__} {protocol!r}")
    scripts = [make(rng).encode("latin-1") for _ in range(COUNT)]
    requests: list[Sequence[bytes]] = [(b"EVAL", script, b"0") for script in scripts]
    replies = []
    for endpoint in (oracle, subject):
        connection = endpoint.connect()
        connection.call(b"FLUSHALL")
        connection.call(b"SET", b"s", b"string")
        connection.call(b"HELLO", protocol)
        replies.append(ask(connection, requests))
        connection.call(b"FLUSHALL")
        connection.close()
    different = [
        f"{script!r}\n    theirs {theirs!r}\n    ours   {ours!r}"
        for script, theirs, ours in zip(scripts, *(map(normal, each) for each in replies), strict=True)
        if theirs != ours
    ]
    assert not different, f"{len(different)} differ:\n" + "\n".join(different[:10])
