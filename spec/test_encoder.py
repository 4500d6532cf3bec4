"""How each reply type looks under both protocols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.resp.encoder import encode
from mini_redis.resp.reply import (
    NO_REPLY,
    NULL_ARRAY,
    OK,
    BigNumber,
    BigText,
    Bulks,
    FlatMap,
    FormattedText,
    Pairs,
    Push,
    Reply,
    ReplyError,
    SetReply,
    Verbatim,
)


@pytest.mark.parametrize(
    ("value", "resp2", "resp3"),
    [
        (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
        (bytearray(b"x"), b"$1\r\nx\r\n", b"$1\r\nx\r\n"),
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (ReplyError(b"ERR two\r\nlines"), b"-ERR two  lines\r\n", b"-ERR two  lines\r\n"),
        (-7, b":-7\r\n", b":-7\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (NO_REPLY, b"", b""),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (float("inf"), b"$3\r\ninf\r\n", b",inf\r\n"),
        ([b"a", [1, None]], b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n", b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n"),
        ((), b"*0\r\n", b"*0\r\n"),
        ({b"k": 1}, b"*2\r\n$1\r\nk\r\n:1\r\n", b"%1\r\n$1\r\nk\r\n:1\r\n"),
        (Bulks([]), b"*0\r\n", b"*0\r\n"),
        (Bulks([b"ab", b"cd"]), b"*2\r\n$2\r\nab\r\n$2\r\ncd\r\n", b"*2\r\n$2\r\nab\r\n$2\r\ncd\r\n"),
        ([Bulks([b"", b"c"])], b"*1\r\n*2\r\n$0\r\n\r\n$1\r\nc\r\n", b"*1\r\n*2\r\n$0\r\n\r\n$1\r\nc\r\n"),
        (SetReply([1]), b"*1\r\n:1\r\n", b"~1\r\n:1\r\n"),
        (Pairs([[b"k", 1], [b"k", 2]]), b"*2\r\n*2\r\n$1\r\nk\r\n:1\r\n*2\r\n$1\r\nk\r\n:2\r\n",
         b"%2\r\n$1\r\nk\r\n:1\r\n$1\r\nk\r\n:2\r\n"),
        (Push([b"m"]), b"*1\r\n$1\r\nm\r\n", b">1\r\n$1\r\nm\r\n"),
        (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
        (FormattedText(b"hi", b"markdown"), b"$2\r\nhi\r\n", b"=6\r\nmar:hi\r\n"),
        (FormattedText(b"hi", b"m"), b"$2\r\nhi\r\n", b"=6\r\nm  :hi\r\n"),
        (BigNumber(10**20), b"$21\r\n100000000000000000000\r\n", b"(100000000000000000000\r\n"),
        (BigText(b"any"), b"$3\r\nany\r\n", b"(any\r\n"),
        (FlatMap([[b"k"], 1]), b"*2\r\n*1\r\n$1\r\nk\r\n:1\r\n", b"%1\r\n*1\r\n$1\r\nk\r\n:1\r\n"),
    ],
)
def test_types(value: Reply, resp2: bytes, resp3: bytes) -> None:
    assert encode(value, 2) == resp2
    assert encode(value, 3) == resp3


ANY = st.one_of(st.binary(max_size=3), st.binary(min_size=1020, max_size=1030), st.integers(), st.none(), st.just(OK))


@given(st.one_of(st.lists(st.binary(max_size=9)), st.lists(ANY)), st.sampled_from([2, 3]))
def test_an_array_is_its_elements_one_after_the_other(values: list[Reply], protocol: int) -> None:
    elements = b"".join(encode(value, protocol) for value in values)
    assert encode(values, protocol) == b"*%d\r\n%b" % (len(values), elements)


@given(st.dictionaries(st.binary(max_size=9), st.one_of(st.binary(max_size=9), ANY)), st.sampled_from([2, 3]))
def test_a_map_is_its_names_and_values(values: dict[Reply, Reply], protocol: int) -> None:
    elements = b"".join(encode(name, protocol) + encode(value, protocol) for name, value in values.items())
    head = b"*%d\r\n" % (2 * len(values)) if protocol == 2 else b"%%%d\r\n" % len(values)
    assert encode(values, protocol) == head + elements


@pytest.mark.parametrize("protocol", [2, 3])
def test_nesting_deeper_than_pythons_stack(protocol: int) -> None:
    value: Reply = b"x"
    expected = encode(value, protocol)
    for _ in range(1000):
        value = [SetReply([FlatMap([b"k", value])])]
        heads = [encode(kind, protocol).partition(b"\r\n")[0] for kind in ([0], SetReply([0]), FlatMap([0, 0]))]
        expected = b"\r\n".join([*heads, encode(b"k", protocol) + expected])
    assert encode(value, protocol) == expected


def test_a_subclass_looks_like_its_base() -> None:
    class Special(bytes):
        pass

    assert encode(Special(b"x"), 2) == b"$1\r\nx\r\n"


def test_what_is_no_reply_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="complex is not a reply type"):
        encode(1j, 2)
