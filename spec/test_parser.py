"""The request parser: every input whole, byte by byte, and through the fast path, always with the same outcome."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_redis.resp.parser import MAX_INLINE, RequestParser, encode_request, split_quoted
from mini_redis.resp.reply import ProtocolError

Outcome = tuple[list[list[bytes]], bytes | None]


def run(chunks: list[bytes], *, fast: bool = False, authenticated: bool = True) -> Outcome:
    """All requests in the chunks, and the error that ended the stream if one did."""
    parser = RequestParser(1024 * 1024, fast=fast, authenticated=authenticated)
    requests: list[list[bytes]] = []
    try:
        for chunk in chunks:
            if fast and (batch := parser.single(chunk)):
                requests += batch
                continue
            parser.feed(chunk)
            while batch := parser.next_batch():
                requests += batch
    except ProtocolError as error:
        return requests, error.text
    return requests, None


def every_way(data: bytes) -> Outcome:
    """The outcome, after checking that it does not depend on how the bytes arrive or who parses them."""
    outcome = run([data])
    single = [data[i : i + 1] for i in range(len(data))]
    assert run(single) == outcome, "byte by byte"
    assert run([data], fast=True) == outcome, "fast path"
    assert run(single, fast=True) == outcome, "fast path, byte by byte"
    return outcome


SET = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"


@pytest.mark.parametrize(
    ("data", "requests", "error"),
    [
        (GET, [[b"GET", b"k"]], None),
        (GET * 3, [[b"GET", b"k"]] * 3, None),
        (GET + GET[:-1], [[b"GET", b"k"]], None),
        (b"*1\r\n$0\r\n\r\n", [[b""]], None),
        (b"*0\r\n*-1\r\n" + GET, [[b"GET", b"k"]], None),
        (b"*1\r\n$4\r\nPINGxx" + GET, [[b"PING"], [b"GET", b"k"]], None),
        (b"*2\r\n$1\r\n\r\r\n$2\r\n\r\n\r\n", [[b"\r", b"\r\n"]], None),
        (b"PING\r\nGET k\n", [[b"PING"], [b"GET", b"k"]], None),
        (b"\r\n\n  \r\nPING\r\n", [[b"PING"]], None),
        (b'SET "a b" \'c\\\'d\' "\\x41\\n\\q"\r\n', [[b"SET", b"a b", b"c'd", b"A\nq"]], None),
        (b'SET "a\r\n', [], b"ERR Protocol error: unbalanced quotes in request"),
        (b'SET "a"b\r\n', [], b"ERR Protocol error: unbalanced quotes in request"),
        (GET + b"*x\r\n", [[b"GET", b"k"]], b"ERR Protocol error: invalid multibulk length"),
        (b"*2147483648\r\n", [], b"ERR Protocol error: invalid multibulk length"),
        (b"*01\r\n", [], b"ERR Protocol error: invalid multibulk length"),
        (b"*1\r\n+PING\r\n", [], b"ERR Protocol error: expected '$', got '+'"),
        (b"*1\r\n:5\r\n", [], b"ERR Protocol error: expected '$', got ':'"),
        (b"*1\r\n*1\r\n$4\r\nPING\r\n", [], b"ERR Protocol error: expected '$', got '*'"),
        (b"*1\r\n=8\r\ntxt:PING\r\n", [], b"ERR Protocol error: expected '$', got '='"),
        (b"*1\r\n$-1\r\n", [], b"ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$x\r\n", [], b"ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$1048577\r\n", [], b"ERR Protocol error: invalid bulk length"),
        (GET + b">1\r\n*1\r\n$1\r\nk\r\n" + GET, [[b"GET", b"k"], [b">1"], [b"k"], [b"GET", b"k"]], None),
        (GET + b">1\r\n$1\r\nk\r\n" + GET, [[b"GET", b"k"], [b">1"], [b"$1"], [b"k"], [b"GET", b"k"]], None),
        (GET + b"~1\r\n$1\r\nk\r\n" + GET, [[b"GET", b"k"], [b"~1"], [b"$1"], [b"k"], [b"GET", b"k"]], None),
        (GET + b"%0\r\n" + GET, [[b"GET", b"k"], [b"%0"], [b"GET", b"k"]], None),
        (GET + b"$0\r\n\r\n" + GET, [[b"GET", b"k"], [b"$0"], [b"GET", b"k"]], None),
        (GET + b"%1\r\n*0\r\n*0\r\n" + GET, [[b"GET", b"k"], [b"%1"], [b"GET", b"k"]], None),
        (GET + b":0\r\n*0\r\n" + GET, [[b"GET", b"k"], [b":0"], [b"GET", b"k"]], None),
        (GET + b"*0\r\n*2\r\n*2\r\n", [[b"GET", b"k"]], b"ERR Protocol error: expected '$', got '*'"),
        (b"*1\r\n$1\r\n(((" + GET, [[b"("], [b"GET", b"k"]], None),
    ],
)
def test_requests(data: bytes, requests: list[list[bytes]], error: bytes | None) -> None:
    assert every_way(data) == (requests, error)


def test_lines_without_end() -> None:
    assert run([b"x" * MAX_INLINE]) == ([], None)
    assert run([b"x" * (MAX_INLINE + 1)])[1] == b"ERR Protocol error: too big inline request"
    assert run([b"*" + b"1" * MAX_INLINE])[1] == b"ERR Protocol error: too big mbulk count string"
    assert run([b"*1\r\n$" + b"1" * MAX_INLINE])[1] == b"ERR Protocol error: too big bulk count string"


def test_strangers_are_limited_until_they_authenticate() -> None:
    assert run([b"*11\r\n"], authenticated=False)[1] == b"ERR Protocol error: unauthenticated multibulk length"
    assert run([b"*1\r\n$16385\r\n"], authenticated=False)[1] == b"ERR Protocol error: unauthenticated bulk length"
    parser = RequestParser(authenticated=False)
    parser.feed(GET + b"*11\r\n" + b"$1\r\na\r\n" * 11)
    assert parser.next_batch() == [[b"GET", b"k"]]
    parser.authenticated = True
    assert parser.next_batch() == [[b"a"] * 11]


def test_a_large_argument_arrives_in_pieces_without_being_copied_each_time() -> None:
    parser = RequestParser()
    parser.feed(b"*2\r\n$4\r\nECHO\r\n$900000\r\n")
    assert parser.next_batch() == []
    assert parser.needed - parser.size == 900_002
    for _ in range(900):
        parser.feed(b"x" * 1000)
        assert parser.next_batch() == []
    assert parser.needed - parser.size == 2
    parser.feed(b"\r\n" + GET)
    assert parser.next_batch() == [[b"ECHO", b"x" * 900_000], [b"GET", b"k"]]


@pytest.mark.parametrize("tail", [b"", b"*1\r\n$4\r\nPINGxx", b"*1\r\n+PING\r\n", b"*0\r\n*x\r\n"])
@pytest.mark.parametrize("chunk_size", [6_000, 16 * 1024])
def test_no_place_to_cut_a_pipeline_is_expensive(chunk_size: int, tail: bytes) -> None:
    """A chunk is looked at a few times at most, not once for each of its requests."""
    request = b"*2\r\n$4\r\nECHO\r\n$5\r\na+b=c\r\n"
    stream = request * 5_000 + tail
    for shift in range(len(request)):
        parser = RequestParser()
        count = calls = 0
        cuts = [0, *range(shift + chunk_size, len(stream), chunk_size), len(stream)]
        try:
            for start, end in pairwise(cuts):
                parser.feed(stream[start:end])
                while batch := parser.next_batch():
                    count += len(batch)
                    calls += 1
        except ProtocolError:
            assert tail
        assert count == 5_000 + (b"xx" in tail)
        assert calls <= 4 * len(cuts), f"shifted by {shift}"


@pytest.mark.parametrize("aggregate", [b"*", b">", b"~", b"|", b"*1\r\n*", b"*1\r\n>"])
def test_a_giant_length_costs_nothing(aggregate: bytes) -> None:
    """hiredis makes a list of the announced length: two thousand millions of places take seconds to give back."""
    for first in (b"", GET):
        tracemalloc.start()
        every_way(first + aggregate + b"2147483647\r\n")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1024 * 1024


def test_unread_requests_come_again_before_what_follows() -> None:
    parser = RequestParser()
    parser.feed(GET * 2 + b"PING\r\n")
    first = parser.next_batch()
    parser.unread(first)
    again: list[list[bytes]] = []
    while batch := parser.next_batch():
        again += batch
    assert again == [[b"GET", b"k"], [b"GET", b"k"], [b"PING"]]


def test_unread_requests_come_before_the_unfinished_one() -> None:
    for fast in (False, True):
        parser = RequestParser(fast=fast)
        parser.feed(GET + b"*1\r\n$4\r\nPINGxx" + GET + b"*2\r\n$4\r\nECHO\r\n$2\r\n")
        first = parser.next_batch()
        parser.unread(first[1:])
        parser.feed(b"hi\r\n")
        again = first[:1]
        while batch := parser.next_batch():
            again += batch
        assert again == [[b"GET", b"k"], [b"PING"], [b"GET", b"k"], [b"ECHO", b"hi"]]


@pytest.mark.parametrize("cut", range(1, len(SET)))
@pytest.mark.parametrize("fast", [False, True])
def test_unread_requests_come_before_one_that_has_only_begun(cut: int, fast: bool) -> None:
    parser = RequestParser(fast=fast)
    parser.feed(GET + GET + SET[:cut])
    batch = parser.next_batch()
    while len(batch) < 2:
        batch += parser.next_batch()
    parser.unread(batch[1:])
    parser.feed(SET[cut:])
    again: list[list[bytes]] = []
    while batch := parser.next_batch():
        again += batch
    assert again == [[b"GET", b"k"], [b"SET", b"k", b"v"]]


# --- Properties -------------------------------------------------------------------------------------------------------

fragments = st.sampled_from(
    [
        b"*",
        b"$",
        b"+",
        b":",
        b"-",
        b"(",
        b"=",
        b"#f",
        b"_",
        b",",
        b"%",
        b"~",
        b">",
        b"|",
        b"\r\n",
        b"\r",
        b"\n",
        b"0",
        b"1",
        b"2",
        b"3",
        b"-1",
        b"txt:",
        b"GET",
        b"k",
        b"'",
        b'"',
        b" ",
        b"\\x4",
        b"\0",
        b"*1\r\n$4\r\nPING\r\n",
        b"*0\r\n",
        b"*1\r\n",
        b"$1\r\n",
        b"$2\r\n",
        b"x\r\n",
        b"PING\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        b"$0\r\n\r\n",
        b"*1\r\n(1\r\n",
        b"*1\r\n$1\r\n(((",
        b">1\r\n$1\r\n>\r\n",
        b"~1\r\n$1\r\nx\r\n",
    ]
)
noise = st.lists(fragments | st.binary(max_size=3), max_size=14).map(b"".join)
arguments = st.lists(
    st.binary(max_size=30) | st.sampled_from([b"+", b"=", b"\r\n$1", b"*0\r\n"]), min_size=1, max_size=6
)


@given(noise)
@settings(max_examples=1500)
def test_any_bytes_mean_the_same_however_they_come(data: bytes) -> None:
    every_way(data)


@given(st.lists(arguments, max_size=8), st.data())
@settings(max_examples=400)
def test_encoded_requests_come_back_from_any_chunks(requests: list[list[bytes]], data: st.DataObject) -> None:
    stream = b"".join(map(encode_request, requests))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for fast in (False, True):
        assert run(chunks, fast=fast) == (requests, None)


@given(st.lists(st.binary(max_size=10), max_size=6))
def test_quoting_can_carry_anything(words: list[bytes]) -> None:
    line = b" ".join(b'"' + b"".join(b"\\x%02x" % char for char in word) + b'"' for word in words)
    assert split_quoted(line) == words
