"""From values to bytes: how each reply type looks under RESP2 and under RESP3.

One table a protocol, from Python type to a function that appends the encoded pieces to a list. A handler never
asks which protocol its client speaks; what RESP2 cannot say is said here in its older way: a map is a flat array, a
double is a bulk string, a boolean an integer, a push an array.

A type that is not in a table is looked up by its bases once and remembered. A type without any known base is our
mistake, and asserts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from mini_redis.resp.reply import (
    NO_REPLY,
    NULL_ARRAY,
    Annotated,
    BigNumber,
    BigText,
    Bulks,
    FlatMap,
    FormattedText,
    Frames,
    InProtocol,
    Pairs,
    Push,
    Reply,
    ReplyError,
    SetReply,
    SimpleString,
    Verbatim,
)
from mini_redis.structures.numbers import format_double

Write = Callable[[bytes], object]
Encoder = Callable[[Any, Write, "EncoderTable"], object]


FEW = 4  # elements: fewer are not worth asking what they are
ONLY_BULKS = {bytes}


class BulkHeads(dict[int, bytes]):
    """length -> what stands before a bulk string; those of the usual lengths are ready made."""

    def __missing__(self, length: int) -> bytes:
        return b"$%d\r\n" % length


BULK_HEADS = BulkHeads((length, b"$%d\r\n" % length) for length in range(1024))


class EncoderTable(dict[type, Encoder]):
    """type -> encoder; a subclass is encoded as its nearest base."""

    def __missing__(self, kind: type) -> Encoder:
        for base in kind.__mro__:
            if base in self:
                self[kind] = self[base]
                return self[base]
        raise AssertionError(f"{kind.__name__} is not a reply type")


def encode(value: Reply, protocol: int) -> bytes:
    """`value` as the bytes that a client of `protocol` (2 or 3) reads. O(size)."""
    if type(value) is Bulks:
        return _bulk_array(value)
    pieces: list[bytes] = []
    table = TABLES[protocol]
    try:
        table[type(value)](value, pieces.append, table)
    except RecursionError:
        pieces.clear()
        _encode_deep(value, pieces.append, table)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _encode_deep(value: Reply, write: Write, table: EncoderTable) -> None:
    """As encoding goes, but without calling itself: a script's arrays nest deeper than Python does."""
    stack: list[Iterator[Reply]] = [iter((value,))]
    while stack:
        for element in stack[-1]:
            if isinstance(element, list) and type(element) in NESTED_BY_SCRIPTS:
                write(_head(element, table))
                stack.append(iter(element))
                break
            table[type(element)](element, write, table)
        else:
            stack.pop()


NESTED_BY_SCRIPTS = (list, SetReply, FlatMap)


def _head(value: list[Reply], table: EncoderTable) -> bytes:
    """How an aggregate of so many elements begins."""
    pieces: list[bytes] = []
    table[type(value)](type(value)([0] * len(value)), pieces.append, table)
    return pieces[0]


def _bulk(value: bytes, write: Write, table: EncoderTable) -> None:
    write(b"$%d\r\n%b\r\n" % (len(value), value))


def _simple(value: SimpleString, write: Write, table: EncoderTable) -> None:
    write(b"+%b\r\n" % value)


def _error(value: ReplyError, write: Write, table: EncoderTable) -> None:
    write(b"-%b\r\n" % value.text.replace(b"\r", b" ").replace(b"\n", b" "))


def _integer(value: int, write: Write, table: EncoderTable) -> None:
    write(b":%d\r\n" % value)


def _frames(value: Frames, write: Write, table: EncoderTable) -> None:
    for element in value:
        table[type(element)](element, write, table)


def _in_protocol(value: InProtocol, write: Write, table: EncoderTable) -> None:
    table = TABLES[value.protocol]
    table[type(value.reply)](value.reply, write, table)


def _sequence(marker: bytes) -> Encoder:
    def encode_sequence(value: list[Reply], write: Write, table: EncoderTable) -> None:
        if len(value) >= FEW and {*map(type, value)} == ONLY_BULKS:
            write(b"%b%d\r\n%b" % (marker, len(value), _bulks(value)))  # type: ignore[arg-type]
            return
        write(b"%b%d\r\n" % (marker, len(value)))
        for element in value:
            table[type(element)](element, write, table)

    return encode_sequence


def _bulks(values: list[bytes]) -> bytes:
    """What most arrays hold, put together by loops that run in C; and most often all are of the same length.

    There must be one.
    """
    lengths = list(map(len, values))
    head = BULK_HEADS[lengths[0]]
    if lengths.count(lengths[0]) == len(lengths):
        return b"%b%b\r\n" % (head, (b"\r\n" + head).join(values))
    pieces = [b"\r\n"] * (3 * len(values))
    pieces[::3] = map(BULK_HEADS.__getitem__, lengths)
    pieces[1::3] = values
    return b"".join(pieces)


def _bulk_array(values: list[bytes]) -> bytes:
    return b"*%d\r\n%b" % (len(values), _bulks(values)) if values else b"*0\r\n"


def _map(header: Callable[[int], bytes]) -> Encoder:
    def encode_map(value: dict[Reply, Reply], write: Write, table: EncoderTable) -> None:
        write(header(len(value)))
        if len(value) >= FEW and {*map(type, value.values()), *map(type, value)} == ONLY_BULKS:
            write(_bulks(list(chain.from_iterable(value.items()))))  # type: ignore[arg-type]
            return
        for name, element in value.items():
            table[type(name)](name, write, table)
            table[type(element)](element, write, table)

    return encode_map


def _constant(encoded: bytes) -> Encoder:
    return lambda value, write, table: write(encoded)


def _resp2_double(value: float, write: Write, table: EncoderTable) -> None:
    _bulk(format_double(value), write, table)


def _resp2_bool(value: bool, write: Write, table: EncoderTable) -> None:
    write(b":1\r\n" if value else b":0\r\n")


def _resp2_big_number(value: BigNumber, write: Write, table: EncoderTable) -> None:
    _bulk(b"%d" % value, write, table)


def _resp2_formatted_text(value: FormattedText, write: Write, table: EncoderTable) -> None:
    _bulk(value.text, write, table)


def _resp2_annotated(value: Annotated, write: Write, table: EncoderTable) -> None:
    table[type(value.reply)](value.reply, write, table)


def _resp3_double(value: float, write: Write, table: EncoderTable) -> None:
    write(b",%b\r\n" % format_double(value))


def _resp3_bool(value: bool, write: Write, table: EncoderTable) -> None:
    write(b"#t\r\n" if value else b"#f\r\n")


def _resp3_verbatim(value: Verbatim, write: Write, table: EncoderTable) -> None:
    write(b"=%d\r\ntxt:%b\r\n" % (len(value) + 4, value))


def _resp3_formatted_text(value: FormattedText, write: Write, table: EncoderTable) -> None:
    write(b"=%d\r\n%b:%b\r\n" % (len(value.text) + 4, value.form, value.text))


def _resp3_flat_map(value: FlatMap, write: Write, table: EncoderTable) -> None:
    write(b"%%%d\r\n" % (len(value) // 2))
    for element in value:
        table[type(element)](element, write, table)


def _resp3_big_text(value: BigText, write: Write, table: EncoderTable) -> None:
    write(b"(%b\r\n" % value)


def _resp3_big_number(value: BigNumber, write: Write, table: EncoderTable) -> None:
    write(b"(%d\r\n" % value)


def _resp3_annotated(value: Annotated, write: Write, table: EncoderTable) -> None:
    _attributes(value.attributes, write, table)
    table[type(value.reply)](value.reply, write, table)


def _resp3_pairs(value: list[list[Reply]], write: Write, table: EncoderTable) -> None:
    write(b"%%%d\r\n" % len(value))
    for pair in value:
        for element in pair:
            table[type(element)](element, write, table)


_array = _sequence(b"*")
_attributes = _map(lambda pairs: b"|%d\r\n" % pairs)

COMMON: dict[type, Encoder] = {
    bytes: _bulk,
    bytearray: _bulk,
    SimpleString: _simple,
    ReplyError: _error,
    int: _integer,
    list: _array,
    tuple: _array,
    Bulks: lambda value, write, table: write(_bulk_array(value)),
    Frames: _frames,
    InProtocol: _in_protocol,
    type(NO_REPLY): lambda value, write, table: write(b"*-1\r\n" if value is NULL_ARRAY else b""),
}

RESP2 = EncoderTable(
    COMMON
    | {
        type(None): _constant(b"$-1\r\n"),
        float: _resp2_double,
        bool: _resp2_bool,
        dict: _map(lambda pairs: b"*%d\r\n" % (2 * pairs)),
        SetReply: _array,
        Pairs: _array,
        Push: _array,
        Verbatim: _bulk,
        BigNumber: _resp2_big_number,
        BigText: _bulk,
        FormattedText: _resp2_formatted_text,
        FlatMap: _array,
        Annotated: _resp2_annotated,
    }
)

RESP3 = EncoderTable(
    COMMON
    | {
        type(None): _constant(b"_\r\n"),
        type(NULL_ARRAY): lambda value, write, table: write(b"_\r\n" if value is NULL_ARRAY else b""),
        float: _resp3_double,
        bool: _resp3_bool,
        dict: _map(lambda pairs: b"%%%d\r\n" % pairs),
        SetReply: _sequence(b"~"),
        Pairs: _resp3_pairs,
        Push: _sequence(b">"),
        Verbatim: _resp3_verbatim,
        BigNumber: _resp3_big_number,
        BigText: _resp3_big_text,
        FormattedText: _resp3_formatted_text,
        FlatMap: _resp3_flat_map,
        Annotated: _resp3_annotated,
    }
)

TABLES = {2: RESP2, 3: RESP3}
