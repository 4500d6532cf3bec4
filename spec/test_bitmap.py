"""Bitmaps: the functions against a text of zeros and ones, and what a command brings about beside its reply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observer import Consequences, Observer

from mini_redis.drivers.in_process import InProcess
from mini_redis.structures.bitmap import NOT, OPERATIONS, PIECE, Field, combine, count_ones, find_bit, get_bit, set_bit

# Runs of equal bytes, long ones among them, so that pieces begin, end and are skipped anywhere.
RUNS = st.tuples(
    st.sampled_from([0x00, 0xFF, 0x01, 0x80, 0x5A]), st.sampled_from([1, 2, 7, 100, PIECE - 1, PIECE, PIECE + 1])
).map(lambda run: bytes((run[0],)) * run[1])
VALUES = st.one_of(st.binary(max_size=20), st.lists(RUNS, max_size=4).map(b"".join))
FIELDS = st.tuples(st.booleans(), st.integers(1, 64)).map(lambda pair: Field(pair[0], min(pair[1], 63 + pair[0])))


def in_writing(value: bytes | bytearray) -> str:
    """The model: a text of zeros and ones, in which Python's own methods count and find."""
    return f"{int.from_bytes(value, 'big'):0{8 * len(value)}b}" if value else ""


@given(VALUES.filter(bool), st.data())
def test_counting_and_finding_are_those_of_a_text(value: bytes, data: st.DataObject) -> None:
    text = in_writing(value)
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first, min(len(text) - 1, first + data.draw(st.sampled_from([3, 50, 10**6])))))
    for given_as in (value, bytearray(value)):
        assert count_ones(given_as, first, last) == text.count("1", first, last + 1)
        for bit in (0, 1):
            found = text.find(str(bit), first, last + 1)
            assert find_bit(given_as, bit, first, last) == (None if found < 0 else found)


@given(st.binary(min_size=1, max_size=9), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 1)), max_size=30))
def test_a_list_is_the_model_of_single_bits(value: bytes, changes: list[tuple[int, int]]) -> None:
    buffer, model = bytearray(value), [int(digit) for digit in in_writing(value)]
    for offset, bit in changes:
        assert get_bit(buffer, offset) == (model[offset] if offset < len(model) else 0)
        if offset < len(model):
            assert set_bit(buffer, offset, bit) == model[offset]
            model[offset] = bit
    assert in_writing(buffer) == "".join(map(str, model))


MEANINGS: dict[bytes, Any] = {
    b"AND": all,
    b"OR": any,
    b"XOR": lambda bits: sum(bits) % 2 == 1,
    b"NOT": lambda bits: not bits[0],
    b"DIFF": lambda bits: bits[0] and not any(bits[1:]),
    b"DIFF1": lambda bits: not bits[0] and any(bits[1:]),
    b"ANDOR": lambda bits: bits[0] and any(bits[1:]),
    b"ONE": lambda bits: sum(bits) == 1,
}


@given(st.lists(st.binary(max_size=6), min_size=2, max_size=4), st.sampled_from([0, PIECE - 2, 2 * PIECE]))
def test_combining_is_done_bit_by_bit(values: list[bytes], offset: int) -> None:
    assert set(MEANINGS) == OPERATIONS
    moved = [bytes(offset) + value for value in values]  # so that the bits lie in two pieces, or in a later one
    for operation, meaning in MEANINGS.items():
        sources = moved[:1] if operation == NOT else moved
        length = max(map(len, sources))
        rows = [in_writing(source.ljust(length, b"\0"))[8 * offset :] for source in sources]
        columns = zip(*([digit == "1" for digit in row] for row in rows), strict=True)
        expected = "".join("1" if meaning(column) else "0" for column in columns)
        result = combine(operation, sources)
        assert len(result) == length and in_writing(result)[8 * offset :] == expected


@given(FIELDS, st.integers(0, 70), st.binary(min_size=18, max_size=18), st.integers(-(2**65), 2**65))
def test_a_field_is_a_part_of_the_text(field: Field, offset: int, value: bytes, number: int) -> None:
    text, end = in_writing(value), offset + field.width
    unsigned = int(text[offset:end], 2)
    expected = unsigned - (1 << field.width) if field.signed and text[offset] == "1" else unsigned
    assert field.get(value, offset) == expected
    assert field.get(value[: offset // 8], offset) == 0, "beyond the end are zeros"

    buffer = bytearray(value)
    field.set(buffer, offset, number)
    cut = f"{number % (1 << field.width):0{field.width}b}"
    assert in_writing(buffer) == text[:offset] + cut + text[end:]


@given(FIELDS, st.integers(-(2**65), 2**65))
def test_what_does_not_fit(field: Field, number: int) -> None:
    least, most = (-(2 ** (field.width - 1)), 2 ** (field.width - 1) - 1) if field.signed else (0, 2**field.width - 1)
    assert (field.least, field.most) == (least, most)
    assert field.fit(number, "fail") == (number if least <= number <= most else None)
    assert field.fit(number, "sat") == min(max(number, least), most)
    wrapped = field.fit(number, "wrap")
    assert wrapped is not None and least <= wrapped <= most and (wrapped - number) % 2**field.width == 0


# --- What one command brings about ------------------------------------------------------------------------------------

SETBIT, MISS = b"0:setbit k", b"0:keymiss k"
ZERO, ONE = b":0\r\n", b":1\r\n"
NEW, SET, DELETED = b"0:new k", b"0:set k", b"0:del k"

WITHOUT_KEY = {
    b"SETBIT k 1 0": Consequences(ZERO, [b"SETBIT k 1 0"], [NEW, SETBIT], 1),
    b"GETBIT k 1": Consequences(ZERO, [], [MISS]),
    b"BITCOUNT k": Consequences(ZERO, [], [MISS]),
    b"BITPOS k 1": Consequences(b":-1\r\n", [], [MISS]),
    b"BITFIELD k GET u8 0": Consequences(b"*1\r\n:0\r\n", [], [MISS]),
    b"BITFIELD k SET u8 0 0": Consequences(b"*1\r\n:0\r\n", [b"BITFIELD k SET u8 0 0"], [NEW, SETBIT], 1),
    b"BITFIELD k OVERFLOW FAIL SET u8 0 256": Consequences(b"*1\r\n$-1\r\n", [], [NEW]),
    b"BITFIELD_RO k GET u8 0": Consequences(b"*1\r\n:0\r\n", [], [MISS]),
    b"BITOP OR k k": Consequences(ZERO, [], [MISS]),
    b"BITOP OR l k": Consequences(ZERO, [], [MISS]),
}

WITH_A = {  # after SET k a EX 1000, which is 01100001
    b"SETBIT k 1 1": Consequences(ONE),
    b"SETBIT k 0 1": Consequences(ZERO, [b"SETBIT k 0 1"], [SETBIT], 1),
    b"SETBIT k 8 0": Consequences(ZERO, [b"SETBIT k 8 0"], [SETBIT], 1),
    b"BITFIELD k SET u8 0 97": Consequences(b"*1\r\n:97\r\n"),
    b"BITFIELD k INCRBY u8 0 0 GET u8 0": Consequences(b"*2\r\n:97\r\n:97\r\n"),
    b"BITFIELD k INCRBY u8 0 1 INCRBY u8 0 -1 INCRBY u8 0 0": Consequences(
        b"*3\r\n:98\r\n:97\r\n:97\r\n", [b"BITFIELD k INCRBY u8 0 1 INCRBY u8 0 -1 INCRBY u8 0 0"], [SETBIT], 2
    ),
    b"BITFIELD k SET u8 0 97 SET u8 8 0": Consequences(
        b"*2\r\n:97\r\n:0\r\n", [b"BITFIELD k SET u8 0 97 SET u8 8 0"], [SETBIT], 2
    ),  # it grew, so each write counts
    b"BITFIELD k OVERFLOW FAIL INCRBY u8 0 200": Consequences(b"*1\r\n$-1\r\n"),
    b"BITOP NOT l k": Consequences(ONE, [b"BITOP NOT l k"], [b"0:new l", b"0:set l"], 1),
    b"BITOP NOT k k": Consequences(ONE, [b"BITOP NOT k k"], [b"0:overwritten k", SET], 1),
    b"BITOP AND k l": Consequences(ZERO, [b"BITOP AND k l"], [b"0:keymiss l", DELETED], 1),
}


@pytest.mark.parametrize("line", WITHOUT_KEY)
def test_without_key(seen: Observer, line: bytes) -> None:
    assert seen(line) == WITHOUT_KEY[line]


@pytest.mark.parametrize("line", WITH_A)
def test_with_a_string_that_will_expire(seen: Observer, line: bytes) -> None:
    seen(b"SET k a EX 1000")
    assert seen(line) == WITH_A[line]


@pytest.mark.parametrize(
    "line",
    [
        b"SETBIT k -1 1", b"SETBIT k 4294967296 1", b"SETBIT k 1 2", b"SETBIT k x 1", b"BITCOUNT k 1", b"BITPOS k 2",
        b"BITFIELD k SET u8 0 1 SET u64 0 1", b"BITFIELD k SET u8 0 1 SET u8 x 1", b"BITFIELD k SET u8 0 1 FOO",
        b"BITFIELD k SET u8 0 1 OVERFLOW FOO", b"BITFIELD_RO k SET u8 0 1", b"BITOP NOT k a b", b"BITOP DIFF k a",
        b"BITOP NOR k a",
    ],
)  # fmt: skip
def test_a_mistake_changes_nothing(seen: Observer, line: bytes) -> None:
    seen(b"SET k a")
    found = seen(line)
    assert found == Consequences(found.reply)
    assert found.reply.startswith(b"-ERR ")
    assert seen.talk(b"GET k") == b"$1\r\na\r\n"


def test_a_ttl_stays_when_bits_change_and_goes_when_a_result_is_stored(seen: Observer) -> None:
    for line, kept in [(b"SETBIT k 0 1", True), (b"BITFIELD k SET u8 0 7", True), (b"BITOP NOT k k", False)]:
        seen(b"SET k a EX 100")
        seen(line)
        assert seen.talk(b"TTL k") == (b":100\r\n" if kept else b":-1\r\n"), line


def test_a_buffer_grows_in_place_and_what_was_read_before_stays() -> None:
    client = InProcess().connect()
    client.command("SETBIT", "k", 7, 1)
    client.command("MULTI")
    client.command("GET", "k")
    client.command("SETBIT", "k", 15, 1)
    assert client.command("EXEC") == b"*2\r\n$1\r\n\x01\r\n:0\r\n"
    assert client.command("GET", "k") == b"$2\r\n\x01\x01\r\n"


def test_offsets_end_with_the_longest_string() -> None:
    node = InProcess()
    node.server.config.proto_max_bulk_len = 1000
    client = node.connect()
    refused = b"-ERR bit offset is not an integer or out of range\r\n"
    assert client.command("SETBIT", "k", 7999, 1) == b":0\r\n"
    assert client.command("SETBIT", "k", 8000, 1) == refused
    assert client.command("BITFIELD", "k", "SET", "u8", "#1000", 1) == refused
    assert client.command("BITFIELD", "k", "SET", "u8", 7999, 255) == b"*1\r\n:128\r\n"
    assert client.command("STRLEN", "k") == b":1001\r\n"
