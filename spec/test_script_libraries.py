"""The libraries of scripts against Python's own: JSON, MessagePack, structs, bits, and what is written comes back.

Values go through a real script each time, so Lua's tables and numbers are part of what is tested.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.reply import ReplyError
from mini_redis.scripting.chance import Chance
from mini_redis.scripting.function_dump import codes_of, dump
from mini_redis.structures.crc64 import crc64

CLIENT = InProcess().connect()


def run(script: str, *arguments: bytes | str | int) -> Any:
    """What a script returns: bytes, an int, None or a list of these. Raises AssertionError for an error."""
    return read(iter(CLIENT.command("EVAL", script, 0, *arguments).splitlines(keepends=True)))


def read(lines: Iterator[bytes]) -> Any:
    line = next(lines)
    head, rest = line[:1], line[1:-2]
    assert head in b":$*", line
    if head == b":":
        return int(rest)
    if head == b"*":
        return [read(lines) for _ in range(int(rest))]
    if rest == b"-1":
        return None
    text = b""
    while len(text) < int(rest) + 2:
        text += next(lines)
    return text[:-2]


# --- JSON ------------------------------------------------------------------------------------------------------------

# Fourteen digits is what cjson writes. An empty array comes back as an object, and an object whose keys count as an
# array would: nothing can tell them apart.
NUMBERS = st.one_of(
    st.integers(-(10**13), 10**13),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: float(f"{number:.12g}")),
).filter(lambda number: not (number == 0 and math.copysign(1, number) < 0))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(st.characters(codec="utf-8"), max_size=8))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4),
        st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_json_comes_back(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert json.loads(run("return cjson.encode(cjson.decode(ARGV[1]))", text)) == value


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 10))
def test_json_of_any_nesting_comes_back(arrays: list[bool], times: int) -> None:
    value: Any = "inside"
    for is_array in arrays * times:
        value = [value] if is_array else {"key": value}
    text = json.dumps(value).encode()
    assert json.loads(run("return cjson.encode(cjson.decode(ARGV[1]))", text)) == value


@given(st.binary(max_size=12))
def test_decoding_anything_answers_or_complains(text: bytes) -> None:
    outcome = run("local ok, told = pcall(cjson.decode, ARGV[1]) return {tostring(ok), type(told)}", text)
    assert outcome[0] == b"true" or outcome[1] == b"string"


# --- MessagePack -----------------------------------------------------------------------------------------------------

PACKED_NUMBERS = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_nan=False).filter(lambda number: number != 0 or str(number) == "0.0")
)
PACKED = st.recursive(
    st.one_of(st.booleans(), PACKED_NUMBERS, st.binary(max_size=40)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.dictionaries(st.binary(min_size=1, max_size=4), inner, min_size=1, max_size=20)
    ),
    max_leaves=30,
)


@given(PACKED)
def test_messagepack_comes_back(value: Any) -> None:
    packed = msgpack.packb(value, use_bin_type=False)
    again = run("return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))", packed)
    assert msgpack.unpackb(again, raw=True) == value


@given(st.lists(PACKED, min_size=1, max_size=5))
def test_messagepack_in_a_row(values: list[Any]) -> None:
    stream = b"".join(msgpack.packb(value, use_bin_type=False) for value in values)
    script = """
        local found, at = {}, 0
        repeat
            local value
            at, value = cmsgpack.unpack_one(ARGV[1], at)
            found[#found + 1] = cmsgpack.pack(value)
        until at < 0
        return {#found, select('#', cmsgpack.unpack(ARGV[1])), table.concat(found)}
    """
    count, at_once, again = run(script, stream)
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(again)
    assert (count, at_once, list(unpacker)) == (len(values), len(values), values)


@given(st.binary(max_size=20))
def test_unpacking_anything_answers_or_complains(data: bytes) -> None:
    script = "local told = {pcall(cmsgpack.unpack, ARGV[1])} return {tostring(told[1]), type(told[2])}"
    ok, kind = run(script, data)
    assert ok == b"true" or kind == b"string"


# --- Structs and bits ------------------------------------------------------------------------------------------------

FIELDS = {
    "b": st.integers(-128, 127), "B": st.integers(0, 255), "h": st.integers(-(2**15), 2**15 - 1),
    "H": st.integers(0, 2**16 - 1), "i": st.integers(-(2**31), 2**31 - 1), "I": st.integers(0, 2**32 - 1),
    "l": st.integers(-(2**53), 2**53), "L": st.integers(0, 2**53), "d": st.integers(-(2**53), 2**53),
}  # fmt: skip
PYTHON_LETTER = {"l": "q", "L": "Q"}
ONE = st.sampled_from(sorted(FIELDS)).flatmap(lambda letter: st.tuples(st.just(letter), FIELDS[letter]))


@given(st.sampled_from("<>"), st.lists(ONE, min_size=1, max_size=8))
def test_structs_are_pythons(order: str, fields: list[tuple[str, int]]) -> None:
    form = order + "".join(letter for letter, _ in fields)
    values = [value for _, value in fields]
    expected = struct.pack(order + "".join(PYTHON_LETTER.get(letter, letter) for letter, _ in fields), *values)
    script = """
        local values = {}
        for at = 3, #ARGV do values[at - 2] = tonumber(ARGV[at]) end
        local unpacked = {struct.unpack(ARGV[1], ARGV[2])}
        for at = 1, #unpacked do unpacked[at] = string.format('%.0f', unpacked[at]) end
        return {struct.pack(ARGV[1], unpack(values)), struct.size(ARGV[1]), unpacked}
    """
    packed, size, unpacked = run(script, form, expected, *values)
    assert (packed, size) == (expected, len(expected))
    assert [int(text) for text in unpacked] == [*values, len(expected) + 1]


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40), st.integers(0, 63))
def test_bits_are_those_of_32(one: int, other: int, by: int) -> None:
    script = """
        local a, b, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        return {bit.tobit(a), bit.bnot(a), bit.band(a, b), bit.bor(a, b), bit.bxor(a, b), bit.lshift(a, n),
                bit.rshift(a, n), bit.arshift(a, n), bit.rol(a, n), bit.ror(a, n), bit.bswap(a), bit.tohex(a)}
    """
    a, b, n = one & 0xFFFFFFFF, other & 0xFFFFFFFF, by & 31

    def signed(number: int) -> int:
        number &= 0xFFFFFFFF
        return number - (1 << 32) if number >> 31 else number

    assert run(script, one, other, by) == [
        signed(a), signed(~a), signed(a & b), signed(a | b), signed(a ^ b), signed(a << n), signed(a >> n),
        signed(a) >> n, signed(a << n | a >> (32 - n)), signed(a >> n | a << (32 - n)),
        signed(int.from_bytes(a.to_bytes(4, "little"), "big")), b"%08x" % a,
    ]  # fmt: skip


def test_chance_is_posix() -> None:
    """The first numbers of drand48, from its own first state and from seeds."""
    chance = Chance()
    assert f"{chance.random():.12f}" == "0.396464773638"
    chance.randomseed(10)
    first = chance.random()
    chance.randomseed(b"10")
    assert chance.random() == first
    assert all(1 <= chance.random(6) <= 6 for _ in range(100))
    assert {chance.random(-1, 1) for _ in range(100)} == {-1, 0, 1}


# --- Dumps of functions ----------------------------------------------------------------------------------------------


CODES = st.lists(st.binary(max_size=100) | st.binary(max_size=20).map(lambda piece: piece * 40), max_size=4)


@given(CODES, st.booleans())
def test_a_dump_tells_all_codes(codes: list[bytes], compressing: bool) -> None:
    assert list(codes_of(dump(codes, compressing))) == codes


def test_a_damaged_dump_is_refused_wherever_it_is_damaged() -> None:
    payload = dump([b"#!lua name=lib\n" + b"code" * 20, b"another"], compressing=True)
    for at in range(len(payload)):
        with pytest.raises(ReplyError, match="version or checksum"):
            list(codes_of(payload[:at]))
        with pytest.raises(ReplyError, match="version or checksum"):
            list(codes_of(payload[:at] + bytes((payload[at] ^ 1,)) + payload[at + 1 :]))


@given(st.binary(max_size=30).map(lambda body: b"\xf5" + body))
def test_a_forged_dump_is_read_or_refused(body: bytes) -> None:
    body += b"\x0c\x00"
    try:
        codes = list(codes_of(body + crc64(body).to_bytes(8, "little")))
    except ReplyError:
        return
    assert codes


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_checksum_goes_on_where_it_stopped(one: bytes, other: bytes) -> None:
    assert crc64(other, crc64(one)) == crc64(one + other)


def test_the_checksum_is_that_of_redis() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
