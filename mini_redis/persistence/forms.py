"""Values as bytes: the forms in which values stand in an RDB file and in the answer of DUMP, by number.

Question it answers: how does a value travel? As a number that names its *form*, and the bytes of that form. The form
follows from the value's encoding, so what is small travels in the one piece in which it is kept:

     0 string          a string                              5 sorted set    members from the last to the first,
     2 set             members                                               each with its score in 8 bytes
     4 hash            fields and values                    11 intset        one string: intset.py
    18 quicklist       nodes: how kept (1 plain, 2          20 set, 16 hash, 17 sorted set: one string, a listpack
                       listpack), a string                  24 hash with times        the first of them in 8 bytes; of
    21 stream          stream_values.py                                               each field how much later, + 1
     7 module          vector_set_values.py                 25 listpackex             that, then one listpack

Counts stand before what they count; lengths and strings are as in strings.py. The other numbers are what these forms
were in older versions, which is read and never written: old_values.py.

**Faithful.** The bytes are those of Redis 8.2.3 after the same history, but for tables (2, 4, 24), whose order is each
server's own, and for vector sets, whose graph is. That is how the structures prove that they have Redis's layout. Of a
listpackex Redis tells the time under which it looks for the hash, which may be some seconds off, or that of a field
that has lost its own meanwhile; ours is the first that there is, and nobody reads it. Nodes that `list-compress-depth`
keeps packed are packed when they are written, which is the same unless `rdbcompression` is off.

**Read into what the configuration says now.** A listpack of more elements than `*-max-listpack-entries` becomes a
table, a list of one small node a listpack. As in Redis elements are counted, but in a listpack nobody looks at how long
they are. Everything is checked before there is a value (as Redis does with `sanitize-dump-payload yes`; here always):
what is cut, or has a member twice, or holds nothing, is `Damaged`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mini_redis.keyspace.types import (
    HASH_TYPE,
    LIST_TYPE,
    SET_TYPE,
    STREAM_TYPE,
    STRING_TYPE,
    VECTOR_SET_TYPE,
    ZSET_TYPE,
    Value,
    type_of,
)
from mini_redis.persistence import old_values as old
from mini_redis.persistence import stream_values as streams
from mini_redis.persistence import values
from mini_redis.persistence import vector_set_values as vectors
from mini_redis.persistence.strings import Damaged, Reader, Writer
from mini_redis.persistence.values import Thresholds

RDB_VERSION: Final = 12
"""Of these forms together, as a file or a dump says it; whoever knows it knows all earlier ones."""

WRITERS: Final[dict[bytes, Callable[[Writer, Value], int]]] = {
    STRING_TYPE.name: values.write_string,
    LIST_TYPE.name: values.write_list,
    SET_TYPE.name: values.write_set,
    ZSET_TYPE.name: values.write_sorted_set,
    HASH_TYPE.name: values.write_hash,
    STREAM_TYPE.name: streams.write_stream,
    VECTOR_SET_TYPE.name: vectors.write_vector_set,
}
"""Type name -> what writes such a value and returns the number of the form that it took."""

READERS: Final[dict[int, Callable[[Reader, Thresholds], Value]]] = {
    values.STRING: values.read_string,
    old.LIST: old.read_list,
    values.SET: values.read_set,
    old.SORTED_SET_OF_TEXTS: old.read_sorted_set_of_texts,
    values.HASH: values.read_hash,
    values.SORTED_SET: values.read_sorted_set,
    vectors.MODULE: lambda reader, thresholds: vectors.read_vector_set(reader),
    old.HASH_ZIPMAP: old.read_hash_zipmap,
    old.LIST_ZIPLIST: old.read_list_ziplist,
    values.SET_INTSET: values.read_intset,
    old.SORTED_SET_ZIPLIST: old.read_sorted_set_ziplist,
    old.HASH_ZIPLIST: old.read_hash_ziplist,
    old.QUICKLIST_OF_ZIPLISTS: old.read_quicklist_of_ziplists,
    streams.STREAM_5_0: lambda reader, thresholds: streams.read_stream(reader, streams.STREAM_5_0),
    values.HASH_LISTPACK: values.read_hash_listpack,
    values.SORTED_SET_LISTPACK: values.read_sorted_set_listpack,
    values.QUICKLIST: values.read_quicklist,
    streams.STREAM_7_0: lambda reader, thresholds: streams.read_stream(reader, streams.STREAM_7_0),
    values.SET_LISTPACK: values.read_set_listpack,
    streams.STREAM: lambda reader, thresholds: streams.read_stream(reader, streams.STREAM),
    old.HASH_WITH_DATES: old.read_hash_with_dates,
    old.HASH_OF_TRIPLES: values.read_hash_of_triples,
    values.HASH_WITH_TIMES: values.read_hash_with_times,
    values.HASH_LISTPACK_EX: values.read_hash_listpack_ex,
}
"""The number of a form -> what reads it."""


def pack_value(value: Value, compressing: bool) -> tuple[int, bytes]:
    """The number of the value's form, and its bytes; `compressing` is `rdbcompression`. O(size), slow where LZF is."""
    writer = Writer(compressing)
    form = WRITERS[type_of(value).name](writer, value)
    return form, bytes(writer.out)


def serialized_length(value: Value, compressing: bool) -> int:
    """What DEBUG OBJECT tells of a value: its bytes in a file, but for the time of a hash's first field. O(size).

    Redis forgets these 8 when it adds up.
    """
    form, packed = pack_value(value, compressing)
    return len(packed) - (8 if form in (values.HASH_WITH_TIMES, values.HASH_LISTPACK_EX) else 0)


def read_value(form: int, reader: Reader, thresholds: Thresholds) -> Value:
    """Read a value of this form. Raises Damaged. O(size)."""
    read = READERS.get(form)
    if read is None:
        raise Damaged("no such form of a value")
    return read(reader, thresholds)
