"""DUMP and RESTORE: what comes out is what went in, whoever wrote it; and what is damaged makes no key.

`dumps.txt` holds what real servers answered when they were told what `TOLD` says, one of each version that wrote other
forms. `python -m pytest conformance/test_dump.py` asks servers that are running.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observer import Observer

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.persistence.dump import dump, restore
from mini_redis.persistence.forms import READERS, pack_value, read_value
from mini_redis.persistence.strings import Damaged, Reader, Writer
from mini_redis.persistence.vector_set_values import graph
from mini_redis.resp.reply import ReplyError
from mini_redis.server.config import Config
from mini_redis.structures.crc64 import crc64
from mini_redis.structures.hash import Hash
from mini_redis.structures.quicklist import List
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import make_id
from mini_redis.structures.vector_set import INT8, VectorSet, quantise

DUMPS = [
    tuple(line.split(" | "))
    for line in (Path(__file__).parent / "dumps.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
UNORDERED = {2, 4, 24}
CONFIG = Config()


def sealed(body: bytes, version: int = 12) -> bytes:
    payload = body + version.to_bytes(2, "little")
    return payload + crc64(payload).to_bytes(8, "little")


def contents(value: Any) -> Any:
    """A value in plain Python."""
    match value:
        case bytes() | bytearray():
            return bytes(value)
        case List():
            return list(value)
        case Set():
            return set(value)
        case SortedSet():
            return {member: score for score, member in value}
        case Hash():
            return {field: (content, value.expire_at(field)) for field, content in value.fields.items()}
        case Stream():
            groups = {name: (one.last_id, list(one.pel), list(one.consumers)) for name, one in value.groups.items()}
            return list(value.range(0)), value.last_id, value.entries_added, groups
        case VectorSet():
            return {element: (value.vector(element), value.attributes.get(element)) for element in value.points}
    raise AssertionError(f"no such value: {value!r}")


LOG = (
    [(make_id(1, 1), (b"f", b"v")), (make_id(5, 0), (b"f", b"x"))],
    make_id(5, 0),
    3,
    {b"g": (make_id(1, 1), [make_id(1, 1)], [b"ana"]), b"h": (make_id(5, 0), [], [])},
)
TOLD: dict[str, Any] = {
    "int": b"12345",
    "long text": b"the quick brown fox " * 20,
    "binary": bytes(range(256)),
    "list": [b"a", b"1", b"-5000", b"x" * 70],
    "nodes": [b"%d" % number for number in range(8)],
    "large element": [b"y" * 9000, b"z"],
    "numbers": {b"1", b"2", b"70000"},
    "words": {b"one", b"two", b"3"},
    "table": {b"m%d" % number for number in range(10)} | {b"q" * 70},
    "scores": {b"a": 1.0, b"b": 1.5, b"c": inf, b"d": -1e20},
    "skips": {b"a": 1.0, b"b" * 70: 2.5, b"c": -inf},
    "fields": {b"f": (b"v", None), b"g": (b"7", None)},
    "large fields": {b"f": (b"w" * 70, None), b"g": (b"v", None)},
    "times": {b"a": (b"1", None), b"b": (b"2", 9999999999999), b"c": (b"3", 8888888888888)},
    "large times": {b"a": (b"1", None), b"b": (b"w" * 70, 9999999999999)},
    "log": LOG,
}


@pytest.mark.parametrize(("server", "key", "payload"), DUMPS, ids=[f"{server} {key}" for server, key, _ in DUMPS])
def test_what_a_real_server_dumped_is_read(server: str, key: str, payload: str) -> None:
    data = bytes.fromhex(payload)
    value: Any = restore(data, CONFIG)
    if hasattr(value, "check"):
        value.check()
    if key in TOLD:
        told = contents(value)
        if server.startswith("6") and key == "log":  # it did not count what was deleted
            assert told == (LOG[0], LOG[1], 2, LOG[3])
        else:
            assert told == TOLD[key]
    again = dump(value, compressing=True)
    if server == "8.2.3" and data[0] not in UNORDERED and not isinstance(value, VectorSet):
        assert again == data, "written as it was read"
    assert contents(restore(again, CONFIG)) == contents(value)


def test_the_vectors_of_a_real_server() -> None:
    dumped = {key: restore(bytes.fromhex(payload), CONFIG) for _, key, payload in DUMPS}
    vectors, few, bits = (dumped[key] for key in ("vectors", "few numbers", "bits"))
    assert isinstance(vectors, VectorSet) and isinstance(few, VectorSet) and isinstance(bits, VectorSet)
    assert vectors.attributes == {b"two": b'{"a":1}'} and vectors.kind == INT8
    assert vectors.vector(b"one") == pytest.approx([1, 2, 3], abs=0.02)
    assert (few.dim, few.projected_from) == (2, 3)
    assert bits.vector(b"one") == [1.0, -1.0, 1.0]


# --- Out and in again -------------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(["a", "b", "c", "0", "1", "-1", "300", "70000", "-5000000000", "x" * 70, "ab" * 40, "1.5"]),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.text("abc", max_size=8),
)
COMMANDS = st.one_of(
    st.tuples(st.sampled_from(["SET s", "APPEND s", "RPUSH l", "LPUSH l", "SADD t", "PFADD p"]), WORDS),
    st.tuples(st.sampled_from(["SREM t", "LREM l 0", "HDEL h", "ZREM z"]), WORDS),
    st.tuples(st.sampled_from(["HSET h", "HSETNX h", "LINSERT l BEFORE a"]), WORDS, WORDS),
    st.tuples(st.just("ZADD z"), st.sampled_from(["1", "-0", "inf", "1.5", "1e-7", "1e20"]), WORDS),
    st.tuples(st.just("HPEXPIREAT h"), st.integers(10**13, 10**13 + 3).map(str), st.just("FIELDS 1"), WORDS),
    st.tuples(st.just("XADD x *"), WORDS, WORDS),
    st.sampled_from([("XDEL x", "1700000000000-0"), ("XTRIM x MAXLEN", "2"), ("XSETID x", "1900000000000-5")]),
    st.tuples(st.sampled_from(["XGROUP CREATE x", "XGROUP CREATECONSUMER x g"]), st.sampled_from("gh"), st.just("0")),
    st.tuples(st.just("XREADGROUP GROUP g"), st.sampled_from(["c", "d"]), st.just("COUNT 2 STREAMS x >")),
    st.tuples(st.just("VADD v VALUES 3"), *[st.sampled_from(["1", "0.5", "-2"])] * 3, st.sampled_from("abcdef")),
)
SMALL = [
    *("list-max-listpack-size 3", "hash-max-listpack-entries 3", "set-max-intset-entries 3"),
    *("set-max-listpack-entries 4", "zset-max-listpack-entries 3", "stream-node-max-entries 2"),
]


def run(client: InProcessClient, words: tuple[str, ...]) -> None:
    line = " ".join(words[:-1]).split() + words[-1].split(" ")
    client.command(*line)


@settings(max_examples=120, deadline=None)
@given(st.lists(COMMANDS, min_size=10, max_size=60), st.booleans(), st.booleans())
def test_what_comes_out_goes_in(commands: list[tuple[str, ...]], small: bool, compressing: bool) -> None:
    node = InProcess(*(SMALL if small else ()))
    client = node.connect()
    for words in commands:
        run(client, words)
    for value in node.server.keyspace.databases[0].data.values():
        payload = dump(value, compressing)
        twin: Any = restore(payload, node.config)
        if hasattr(twin, "check"):
            twin.check()
            assert twin.encoding == value.encoding  # type: ignore[attr-defined]
        assert contents(twin) == contents(value)
        if not isinstance(value, VectorSet):  # its elements come newest first
            assert dump(twin, compressing) == payload


@given(st.integers(0, 2**64 - 1))
def test_a_length_is_what_it_was_and_as_short_as_it_can_be(number: int) -> None:
    writer = Writer(compressing=False)
    writer.length(number)
    assert Reader(bytes(writer.out)).length() == number
    sizes = [(1 << 6, 1), (1 << 14, 2), (1 << 32, 5), (1 << 64, 9)]
    assert len(writer.out) == next(size for bound, size in sizes if number < bound)


@given(st.one_of(st.binary(max_size=100), st.integers(-(2**33), 2**33).map(lambda n: b"%d" % n)), st.booleans())
def test_a_string_is_what_it_was(text: bytes, compressing: bool) -> None:
    writer = Writer(compressing)
    writer.string(text)
    reader = Reader(bytes(writer.out))
    assert reader.string() == text and not reader.left


def test_the_checksum_is_redis_own() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"6789", crc64(b"12345")) == crc64(b"123456789")


# --- Damage -----------------------------------------------------------------------------------------------------------

SAMPLES = {
    f"{server} {key}": bytes.fromhex(payload)
    for server, key, payload in DUMPS
    if len(payload) < 600 or key == "vectors"
}


def damaged(payload: bytes) -> Iterator[bytes]:
    """Cut at every byte, and each byte flipped in two ways."""
    for at in range(len(payload)):
        yield payload[:at]
        for flip in (0x01, 0xFF):
            yield payload[:at] + bytes((payload[at] ^ flip,)) + payload[at + 1 :]


@pytest.mark.parametrize("payload", SAMPLES.values(), ids=SAMPLES)
def test_damage_under_the_seal_is_found_by_the_seal(payload: bytes) -> None:
    client = InProcess().connect()
    client.command("SET", "k", "untouched")
    for wrong in damaged(payload):
        answer = client.command("RESTORE", "k", "0", wrong, "REPLACE")
        assert answer == b"-ERR DUMP payload version or checksum are wrong\r\n"
    assert client.command("GET", "k") == b"$9\r\nuntouched\r\n"


@pytest.mark.parametrize("payload", SAMPLES.values(), ids=SAMPLES)
def test_damage_that_was_sealed_again_makes_a_whole_value_or_none(payload: bytes) -> None:
    """Never half a key, never another error: what is read can be written and read again."""
    refused = 0
    for wrong in damaged(payload[:-10]):
        try:
            value: Any = restore(sealed(wrong), CONFIG)
        except ReplyError as error:
            assert error.text == b"ERR Bad data format"
            refused += 1
            continue
        if hasattr(value, "check"):
            value.check()
        again = restore(dump(value, compressing=True), CONFIG)
        assert contents(again) == contents(value) or b"nan" in repr(contents(value)).encode()
    assert refused > len(payload[:-10]) / 2, "most of it was found"


@settings(max_examples=500)
@given(st.sampled_from(sorted(READERS)), st.binary(max_size=60))
def test_whatever_the_bytes_there_is_no_other_error(form: int, noise: bytes) -> None:
    try:
        value = read_value(form, Reader(noise), CONFIG)
    except Damaged:
        return
    pack_value(value, compressing=True)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\x08\x01a", b"\x06\x01a", b"\x1a\x00", b"\xff", b"\x00", b"\x00\x05hell", b"\x00\xc3\x03\x14abc"),
        *(b"\x02\x00", b"\x04\x00", b"\x05\x00", b"\x12\x00", b"\x01\x00", b"\x02\x02\x01a\x01a", b"\x07\x00"),
        b"\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a",
    ],
)
def test_what_is_no_value_is_refused(body: bytes) -> None:
    with pytest.raises(ReplyError, match="Bad data format"):
        restore(sealed(body), CONFIG)


def test_a_version_to_come_is_refused_and_any_older_one_is_not() -> None:
    assert restore(sealed(b"\x00\x01a", 0), CONFIG) == b"a"
    assert restore(sealed(b"\x00\x01a", 12), CONFIG) == b"a"
    with pytest.raises(ReplyError, match="version or checksum"):
        restore(sealed(b"\x00\x01a", 13), CONFIG)


# --- The commands -----------------------------------------------------------------------------------------------------

HELLO = sealed(b"\x00\x05hello")


def test_what_replicas_are_told() -> None:
    """A TTL as a date; and where the date is past, that the key is gone."""
    node = InProcess(logging=True)
    client = node.connect()
    now_ms = node.clock.wall_us() // 1000

    def logged(*words: bytes | str) -> bytes:
        before = len(node.log)
        assert client.command(*words) == b"+OK\r\n"
        return node.log[before:]

    assert logged("RESTORE", "k", "0", HELLO).endswith(b"$1\r\n0\r\n$%d\r\n%b\r\n" % (len(HELLO), HELLO))
    date = b"%d" % (now_ms + 500)
    told = logged("RESTORE", "k", "500", HELLO, "REPLACE")
    assert told.endswith(b"$%d\r\n%b\r\n$%d\r\n%b\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n" % (13, date, len(HELLO), HELLO))
    assert logged("RESTORE", "k", "1", HELLO, "REPLACE", "ABSTTL") == b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"
    assert logged("RESTORE", "k", "1", HELLO, "ABSTTL") == b""


def test_dump_reads_and_restore_writes() -> None:
    seen = Observer()
    assert seen(b"DUMP nope").events == [b"0:keymiss nope"]
    seen(b"SET k hello")
    assert seen(b"DUMP k").reply == b"$%d\r\n%b\r\n" % (len(HELLO), HELLO)
    assert seen(b"RESTORE k 0 x").reply == b"-BUSYKEY Target key name already exists.\r\n"
    assert seen(b"RESTORE k 0 x REPLACE").dirty == 0


def test_fields_have_their_times_in_a_hash_that_was_restored() -> None:
    node = InProcess()
    client = node.connect()
    client.command("HSET", "h", "f", "1", "g", "2")
    client.command("HPEXPIRE", "h", "1000", "FIELDS", "1", "f")
    payload = dump(node.server.keyspace.databases[0].data[b"h"], compressing=True)
    client.command("DEL", "h")
    client.command("RESTORE", "h", "0", payload)
    node.advance(1.2)
    assert len(node.server.keyspace.databases[0].data[b"h"]) == 1, "the active cycle knows of it"  # type: ignore[arg-type]


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(2, 16), st.randoms(use_true_random=False))
def test_a_graph_goes_both_ways_and_everywhere(count: int, most: int, random: Any) -> None:
    points = [quantise([random.gauss(0, 1) for _ in range(4)], INT8) for _ in range(count)]
    links = graph(points, most * 2)
    assert list(links) == list(range(1, count + 1))
    for one, others in links.items():
        assert len(others) == len(set(others)) <= most * 2 and one not in others
        assert all(one in links[other] for other in others)
    reached = {1} if count else set()
    waiting = list(reached)
    while waiting:
        new = set(links[waiting.pop()]) - reached
        reached |= new
        waiting += new
    assert len(reached) == count
