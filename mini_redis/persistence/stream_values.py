"""Streams as bytes: the nodes as they are, what the stream knows of itself, and its groups.

    nodes            count;  for each the id of its first entry (a string of 16 bytes) and its listpack
    counters         entries, last id, then since Redis 7.0: first id, greatest deleted id, entries ever added
    groups           count;  for each name, last id, since 7.0 entries read (2**64 - 1: unknown),
       pending       count;  for each its id (16 bytes as they stand), when it was delivered (8), how often
       consumers     count;  for each name, when it last asked (8), since 7.2 when it last was given something (8),
          pending    count;  their ids alone: the rest was told above

An id stands as two lengths, but for the 16 bytes above, most significant first. Three forms, one reader. What an older
form does not tell is worked out from what it tells, as the server does that meets an older stream.
"""

from __future__ import annotations

from typing import Final

from mini_redis.persistence.strings import Damaged, Reader, Writer
from mini_redis.structures import listpack
from mini_redis.structures.consumer_group import Consumer, Group
from mini_redis.structures.stream import Node, Stream
from mini_redis.structures.stream_id import MAX_PART, SEQUENCE_BITS, StreamId, make_id

STREAM: Final = 21
STREAM_7_0: Final = 19
STREAM_5_0: Final = 15
_ID_BYTES: Final = 16
_UNKNOWN: Final = (1 << 64) - 1


def write_stream(writer: Writer, value: object) -> int:
    """Returns the number of the form. O(size)."""
    assert isinstance(value, Stream)
    writer.length(len(value.nodes))
    for key, node in value.nodes.items():
        writer.string(key.to_bytes(_ID_BYTES, "big"))
        writer.string(node.listpack())
    writer.length(value.length)
    for entry_id in (value.last_id, value.first_id, value.max_deleted_id):
        _write_id(writer, entry_id)
    writer.length(value.entries_added)
    writer.length(len(value.groups))
    for name, group in value.groups.items():
        writer.string(name)
        _write_id(writer, group.last_id)
        writer.length(_UNKNOWN if group.entries_read is None else group.entries_read)
        _write_pending(writer, group)
    return STREAM


def _write_pending(writer: Writer, group: Group) -> None:
    writer.length(len(group.pel))
    for entry_id, pending in group.pel.items():
        writer.out += entry_id.to_bytes(_ID_BYTES, "big")
        writer.fixed(pending.delivered_ms)
        writer.length(pending.deliveries)
    writer.length(len(group.consumers))
    for consumer in group.consumers.values():
        writer.string(consumer.name)
        writer.fixed(consumer.seen_ms)
        writer.fixed(consumer.active_ms)
        writer.length(len(consumer.pel))
        for entry_id in consumer.pel:
            writer.out += entry_id.to_bytes(_ID_BYTES, "big")


def _write_id(writer: Writer, entry_id: StreamId) -> None:
    writer.length(entry_id >> SEQUENCE_BITS)
    writer.length(entry_id & MAX_PART)


def read_stream(reader: Reader, form: int) -> Stream:
    """Read a stream in one of the three forms. Raises Damaged. O(size)."""
    made = Stream()
    _read_nodes(reader, made)
    entries, made.last_id = reader.length(), _read_id(reader)
    if form >= STREAM_7_0:
        first_id, made.max_deleted_id = _read_id(reader), _read_id(reader)
        made.entries_added = reader.length()
    else:
        first_id, made.entries_added = made.first_id, entries
    ids_are_wrong = first_id != made.first_id or (made.nodes and made.last_id < made.nodes.peekitem()[1].ids[-1])
    if entries != made.length or ids_are_wrong:
        raise Damaged("a stream that says of itself what is not so")
    for _ in range(reader.length()):
        name, last_id = reader.string(), _read_id(reader)
        read = reader.length() if form >= STREAM_7_0 else made.entries_up_to(last_id)
        if not made.add_group(name, last_id, None if read == _UNKNOWN else read):
            raise Damaged("two groups of one name")
        _read_pending(reader, made.groups[name], form)
    return made


def _read_nodes(reader: Reader, made: Stream) -> None:
    for _ in range(reader.length()):
        key = reader.string()
        if len(key) != _ID_BYTES:
            raise Damaged("the id of a node has another length")
        try:
            node = Node.of_listpack(int.from_bytes(key, "big"), listpack.unpack(reader.string()))
            made.adopt(node)
        except ValueError as error:
            raise Damaged(str(error)) from None


def _read_pending(reader: Reader, group: Group, form: int) -> None:
    deliveries: dict[StreamId, tuple[int, int]] = {}
    count = reader.length()
    for _ in range(count):
        entry_id = int.from_bytes(reader.take(_ID_BYTES), "big")
        deliveries[entry_id] = reader.fixed(), reader.length()
    if len(deliveries) != count:
        raise Damaged("an entry is pending twice")
    for _ in range(reader.length()):
        name, seen_ms = reader.string(), reader.fixed()
        if name in group.consumers:
            raise Damaged("two consumers of one name")
        active_ms = reader.fixed() if form >= STREAM else seen_ms
        consumer = group.consumers[name] = Consumer(name, seen_ms, active_ms)
        for _ in range(reader.length()):
            entry_id = int.from_bytes(reader.take(_ID_BYTES), "big")
            if entry_id not in deliveries:
                raise Damaged("a consumer has pending what its group has not, or another one has")
            group.add(entry_id, consumer, *deliveries.pop(entry_id))
    if deliveries:
        raise Damaged("something is pending for nobody")


def _read_id(reader: Reader) -> StreamId:
    return make_id(reader.length(), reader.length())
