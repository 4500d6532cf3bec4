"""What does a key cost in Redis? MEMORY USAGE, and the bytes that `maxmemory` limits.

Python does not tell what a value takes, and what it takes is nobody's question: whoever learns here wants to know what
the key will cost in production. So this module knows how Redis 8.2.3 lays out its values, and computes the bytes. Four
facts explain nearly everything:

**An allocator has sizes.** Asked for 33 bytes, jemalloc gives 40. Up to 64 the sizes are multiples of 8; above, there
are four between one power of two and the next (80, 96, 112, 128, 160, 192 ...). Half a size is lost on average: 10 %.

**A key is one object.** Header, TTL (if there is one), key and, if short, value lie in one allocation:

    16 header | 8 TTL? | 1 | 1..9 + key + 1 | 3 + value + 1         embedded: key and value of 41 bytes at most
    16 header | 8 TTL? | 1 | 1..9 + key + 1     1..9 + value + 1    raw: the value has an allocation of its own

and the hash table that finds it takes about 16 bytes more: 8 to 16 for the bucket, 16 if it shares it. A TTL costs a
second table of that kind. That is why a million small strings need 60 to 70 MB, whatever they say.

**Small containers are one allocation.** A listpack of ten fields costs two or three bytes an element (see
structures/listpack.py), an intset 2, 4 or 8.

**Large ones are pointers.** Of each element: an entry of 24 bytes, a bucket of 8 to 16, the string with its header.

    list         node: 40 + its listpack             hash        24 + 8..16 + field + value, 16 more if it has a TTL
    set          6 + 8..16 + member                  sorted set  16 + 8..16 + member + 24 + 16 a level (1.33 levels)
    vector set   360 + 18.7 links + numbers + name
    stream       2 nodes of a radix tree for each listpack of about 100 entries; 256 for each pending entry

**Two readings.** `usage` is exact where Redis is: it looks at so many elements as it is told, as MEMORY USAGE does.
`counted` is O(1), for the book-keeping of every write (ledger.py): it knows the number of elements and their bytes in
all, and takes each for the mean. It counts a number in a listpack, or a string that spells one, as text, and so rather
too much; and of a string and its key it knows the bytes of both together.

**What is not modelled**: the room to grow that APPEND and SETRANGE leave behind a string (up to as much again), the
second table while a hash table is being rehashed, the compressed nodes of `list-compress-depth`. Verified against Redis
8.2.3 by conformance/test_memory_usage.py, which also holds the tolerances.

Adding a data type means adding a line to `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

from mini_redis.keyspace.types import EMBEDDED_ROOM, STRING_TYPE, TTL_BYTES, Value, type_of
from mini_redis.structures.consumer_group import Group
from mini_redis.structures.hash import HASHTABLE, LISTPACK_EX, Hash
from mini_redis.structures.listpack import EMPTY_SIZE, packed_size
from mini_redis.structures.numbers import format_double
from mini_redis.structures.quicklist import QUICKLIST, List, Node
from mini_redis.structures.set import INTSET, Set
from mini_redis.structures.sorted_set import SKIPLIST, SortedSet
from mini_redis.structures.stream import Stream
from mini_redis.structures.strings import LONGEST_EMBEDDED
from mini_redis.structures.vector_set import VectorSet

OBJECT: Final = 16
ENTRY: Final = 24
DICT: Final = 56
POINTER: Final = 8
TABLE_SHARE: Final = 16
"""A key's part of the table it stands in: its share of the buckets, and of the entries where keys collide."""


class Container(Protocol):
    """A value that is not a string."""

    accounted: int
    """The bytes that the ledger has counted for it."""

    def __len__(self) -> int: ...

    def dismantle(self) -> Iterator[int]:
        """See structures/piecemeal.py."""
        ...


# --- Allocations -----------------------------------------------------------------------------------------------------


class Computed(dict[int, int]):
    """A function of one length as a table that fills as it is read: on the path of every write, one subscript."""

    MOST: Final = 8_192

    def __init__(self, compute: Callable[[int], int]) -> None:
        super().__init__()
        self.compute = compute

    def __missing__(self, length: int) -> int:
        result = self.compute(length)
        if length <= self.MOST:
            self[length] = result
        return result


def _allocated(size: int) -> int:
    if size <= 64:
        return max(8, (size + 7) & ~7)
    spacing = 1 << (size - 1).bit_length() - 3
    return -(-size // spacing) * spacing


def _text_size(length: int) -> int:
    """An sds string: header, bytes, a zero."""
    header = 1 if length < 32 else 3 if length < 256 else 5 if length < 65536 else 9
    return header + length + 1


def _string_bytes(together: int) -> int:
    if together <= EMBEDDED_ROOM:
        return _allocated(OBJECT + 1 + 2 + 4 + together) + TABLE_SHARE
    return KEY_BYTES[TYPICAL_KEY] + TEXT_BYTES[together - TYPICAL_KEY]


TYPICAL_KEY: Final = 24
ALLOCATED: Final = Computed(_allocated)
"""What jemalloc gives to whoever asks for so many bytes."""
TEXT_BYTES: Final = Computed(lambda length: _allocated(_text_size(length)))
"""A string of its own, by its length."""
KEY_BYTES: Final = Computed(lambda length: _allocated(OBJECT + 1 + _text_size(length)) + TABLE_SHARE)
"""A key of this length with its place in the table, but without value and TTL."""
STRING_BYTES: Final = Computed(_string_bytes)
"""A key with a string, without TTL, by the bytes of both together."""
TTL_SHARE: Final = TTL_BYTES + TABLE_SHARE
"""What a TTL adds to a key."""


def buckets(entries: int) -> int:
    """How many buckets a hash table of so many entries has. O(1)."""
    return max(4, 1 << (entries - 1).bit_length()) if entries else 0


# --- A key, as MEMORY USAGE tells it ---------------------------------------------------------------------------------


def usage(key: bytes, value: Value, expires: bool, samples: int) -> int:
    """The bytes of a key with its value; of many elements, `samples` are measured (0: all) and taken for the rest.

    As in Redis without the key's share of the database's tables. O(samples), O(n) where the value is one piece.
    """
    size = OBJECT + TTL_BYTES * expires + 1 + _text_size(len(key))
    if type_of(value) is not STRING_TYPE:
        return ALLOCATED[size] + LAYOUTS[type(value)].sampled(value, samples)
    assert isinstance(value, (bytes, bytearray)), "a string is bytes or bytearray"
    match STRING_TYPE.encoding(key, value, expires):
        case b"int":
            return ALLOCATED[size]
        case b"embstr":
            return ALLOCATED[size + 4 + len(value)]
        case _:
            return ALLOCATED[size] + TEXT_BYTES[len(value)]


def _mean_of(texts: Iterable[bytes], samples: int) -> float:
    """The mean bytes of the first `samples` strings, 0: of all."""
    sizes = [TEXT_BYTES[len(text)] for text in islice(texts, samples or None)]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _list_bytes(value: List, samples: int) -> int:
    if value.encoding != QUICKLIST:
        return ALLOCATED[value.nodes[0].size]
    nodes = list(islice(value.nodes, samples or None))
    elements = sum(len(node.entries) for node in nodes)
    return QUICKLIST_HEAD + int(sum(map(_node_bytes, nodes)) / elements * value.count)


QUICKLIST_HEAD: Final = 40
QUICKLIST_NODE: Final = 40


def _node_bytes(node: Node) -> int:
    return QUICKLIST_NODE + ALLOCATED[node.size]


def _set_bytes(value: Set, samples: int) -> int:
    if isinstance(value.members, dict):
        return _intset_bytes(value) if value.encoding == INTSET else ALLOCATED[packed_size(value)]
    return _table_bytes(len(value), ENTRY + _mean_of(value, samples))


def _intset_bytes(value: Set) -> int:
    numbers = value.numbers
    width = max(_width(numbers[0]), _width(numbers[-1])) if numbers else 2
    return ALLOCATED[8 + width * len(numbers)]


def _width(number: int) -> int:
    return 2 if -(1 << 15) <= number < 1 << 15 else 4 if -(1 << 31) <= number < 1 << 31 else 8


def _table_bytes(entries: int, each: float) -> int:
    """A hash table with so many entries, each of so many bytes beside its bucket."""
    return DICT + POINTER * buckets(entries) + int(entries * each)


LISTPACK_EX_HEAD: Final = 24
FIELD_EXPIRY: Final = 16


def _hash_bytes(value: Hash, samples: int) -> int:
    if isinstance(value.fields, dict):
        words = (word for pair in value.fields.items() for word in pair)
        if value.encoding != LISTPACK_EX:
            return ALLOCATED[packed_size(words)]
        triples = (word for pair in value.fields.items() for word in (*pair, b"%d" % (value.expire_at(pair[0]) or 0)))
        return LISTPACK_EX_HEAD + ALLOCATED[packed_size(triples)]
    sampled = list(islice(value.fields.items(), samples or None))
    sizes = [_field_bytes(len(field), value.expire_at(field) is not None) for field, _ in sampled]
    return _table_bytes(len(value), ENTRY + sum(sizes) / len(sizes) + _mean_of((content for _, content in sampled), 0))


def _field_bytes(length: int, expires: bool) -> int:
    return ALLOCATED[FIELD_EXPIRY + 4 + length] if expires else TEXT_BYTES[length]


SORTED_SET_HEAD: Final = 688
"""Two small structures, and the first node, which has all 32 levels."""
SORTED_SET_ENTRY: Final = 16
SORTED_SET_NODE: Final = 45.8
"""A node has one level more with a probability of 1/4."""


def _sorted_set_bytes(value: SortedSet, samples: int) -> int:
    if value.encoding != SKIPLIST:
        words = (word for score, member in value for word in (member, format_double(score)))
        return ALLOCATED[packed_size(words)]
    members = (member for _, member in value)
    return _skiplist_bytes(len(value), _mean_of(members, samples))


def _skiplist_bytes(members: int, each: float) -> int:
    return SORTED_SET_HEAD + _table_bytes(members, SORTED_SET_ENTRY + SORTED_SET_NODE + each)


VECTOR_SET_HEAD: Final = 1783
VECTOR_NODE: Final = 360
VECTOR_LINK: Final = 56 / 3
"""A node has twice `links` neighbours, and in each layer above, of which there is a third on average, `links`."""


def _vector_set_bytes(value: VectorSet, samples: int) -> int:
    names = [_object_bytes(len(name)) for name in islice(value.points, samples or None)]
    attributes = sum(_object_bytes(len(text)) for text in value.attributes.values())
    return _graph_bytes(value, sum(names) / max(1, len(names))) + attributes


def _object_bytes(length: int) -> int:
    """A string with the header of an object, in one allocation if it is short."""
    return ALLOCATED[OBJECT + 4 + length] if length <= LONGEST_EMBEDDED else OBJECT + TEXT_BYTES[length]


def _graph_bytes(value: VectorSet, name: float) -> int:
    projection = 4 * value.dim * value.projected_from
    each = VECTOR_NODE + VECTOR_LINK * value.links + value.bytes_per_vector + name
    return VECTOR_SET_HEAD + projection + int(len(value) * each)


STREAM_HEAD: Final = 112
STREAM_PREALLOCATED: Final = 4096
"""The last listpack has room for what is to come."""
RADIX_KEY: Final = 16
RADIX_NODE: Final = 244
"""What MEMORY USAGE takes a node for. It is a guess of Redis's own, ten times too large..."""
TRUE_RADIX_NODE: Final = 24
TRUE_PENDING: Final = 256
"""...so the ledger counts what 100,000 of them really took: three trees know of each pending entry."""
GROUP: Final = 40
CONSUMER: Final = 32
PENDING: Final = 32


def _stream_bytes(value: Stream, samples: int) -> int:
    nodes = islice(value.nodes.values(), samples or None)
    sizes = [ALLOCATED[node.listpack_size] for node in nodes if node is not value.tail]
    each = sum(sizes) / len(sizes) if sizes else 0.0
    tree = RADIX_KEY * len(value.nodes) + RADIX_NODE * value.radix_nodes
    return _log_bytes(value, each) + tree + sum(map(_group_bytes, value.groups.values()))


def _log_bytes(value: Stream, each: float) -> int:
    """The listpacks of a stream, so many bytes each, but for the last."""
    nodes = len(value.nodes)
    size = STREAM_HEAD
    if value.tail is not None:
        size += int(each * (nodes - 1)) + max(STREAM_PREALLOCATED, ALLOCATED[value.tail.listpack_size])
    return size


def _group_bytes(group: Group) -> int:
    size = GROUP + _pending_bytes(len(group.pel)) + PENDING * len(group.pel)
    for consumer in group.consumers.values():
        size += CONSUMER + len(consumer.name) + _pending_bytes(len(consumer.pel))
    return size


def _pending_bytes(entries: int) -> int:
    """A tree of ids that are pending. Two nodes each: where it ends, and the way to there."""
    return RADIX_KEY * entries + RADIX_NODE * max(1, 2 * entries)


# --- A container, as the ledger counts it ----------------------------------------------------------------------------

BUCKET: Final = 12
"""The mean of 8 and 16."""
COLLISION: Final = 6
"""A member's share of the entries of a set, which has some only where members collide. MEMORY USAGE reckons a whole one
for each member, in Redis and so here too."""
LONGEST_SCORE: Final = 20


def _list_counted(value: List) -> int:
    """The nodes at the ends as they are, those between them like the second."""
    nodes = value.nodes
    if value.encoding != QUICKLIST:
        return ALLOCATED[nodes[0].size]
    count = len(nodes)
    if count <= 2:
        return QUICKLIST_HEAD + sum(map(_node_bytes, nodes))
    ends = ALLOCATED[nodes[0].size] + ALLOCATED[nodes[-1].size]
    return QUICKLIST_HEAD + QUICKLIST_NODE * count + ends + (count - 2) * ALLOCATED[nodes[1].size]


def _set_counted(value: Set) -> int:
    if value.encoding == INTSET:
        return _intset_bytes(value)
    members = len(value.members)
    if value.encoding != HASHTABLE:
        return ALLOCATED[EMPTY_SIZE + value.payload + 2 * members]
    return DICT + members * (BUCKET + COLLISION + TEXT_BYTES[value.payload // members]) if members else DICT


def _hash_counted(value: Hash) -> int:
    fields = len(value.fields)
    times = 0 if value.deadlines is None else len(value.deadlines)
    if value.encoding != HASHTABLE:
        size = ALLOCATED[EMPTY_SIZE + value.payload + 4 * fields]
        return size + LISTPACK_EX_HEAD + 8 * times + 2 * fields if value.encoding == LISTPACK_EX else size
    if not fields:
        return DICT
    return DICT + fields * (BUCKET + ENTRY + 2 * TEXT_BYTES[value.payload // fields // 2]) + FIELD_EXPIRY * times


def _sorted_set_counted(value: SortedSet) -> int:
    members = len(value.order)
    if not members:
        return 0
    if value.encoding != SKIPLIST:
        score = _score_bytes(value.highest)  # the highest, for all of them
        return ALLOCATED[EMPTY_SIZE + value.payload + (2 + score) * members]
    each = BUCKET + SORTED_SET_ENTRY + 46 + TEXT_BYTES[value.payload // members]
    return SORTED_SET_HEAD + DICT + members * each


def _score_bytes(score: float) -> int:
    """A score in a listpack: a number, or a text of many digits."""
    return 2 + (int(score).bit_length() + 7) // 8 if abs(score) < 2**53 and score.is_integer() else LONGEST_SCORE


def _vector_set_counted(value: VectorSet) -> int:
    texts = value.payload - len(value) * value.bytes_per_vector
    return _graph_bytes(value, OBJECT + 8) + texts + (OBJECT + 8) * len(value.attributes)


SAMPLED_GROUPS: Final = 5


def _stream_counted(value: Stream) -> int:
    """The groups by some of them."""
    size = _log_bytes(value, ALLOCATED[value.payload // len(value.nodes)] if value.nodes else 0)
    size += TRUE_RADIX_NODE * value.radix_nodes
    if not value.groups:
        return size
    sizes = [_group_counted(group) for group in islice(value.groups.values(), SAMPLED_GROUPS)]
    return size + sum(sizes) * len(value.groups) // len(sizes)


def _group_counted(group: Group) -> int:
    return GROUP + TRUE_PENDING * len(group.pel) + (CONSUMER + TRUE_RADIX_NODE) * len(group.consumers)


def _entries_and_pending(value: Stream) -> int:
    return len(value) + 2 * sum(len(group.pel) for group in value.groups.values())


# --- The table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layout:
    """How the values of one class are measured."""

    counted: Callable[[Any], int]
    """The bytes of the value in O(1)."""
    sampled: Callable[[Any, int], int]
    """The bytes of the value, by so many samples (0: all)."""
    parts: Callable[[Any], int]
    """How many elements must be let go to release it here: what takes time."""
    effort: Callable[[Any], int]
    """How many allocations Redis would have to release; by this it decides whether that is worth another thread."""


LAYOUTS: dict[type, Layout] = {
    List: Layout(_list_counted, _list_bytes, len, lambda value: len(value.nodes) if value.encoding == QUICKLIST else 1),
    Set: Layout(_set_counted, _set_bytes, len, lambda value: 1 if isinstance(value.members, dict) else len(value)),
    Hash: Layout(_hash_counted, _hash_bytes, len, lambda value: 1 if isinstance(value.fields, dict) else len(value)),
    SortedSet: Layout(
        _sorted_set_counted, _sorted_set_bytes, len, lambda value: len(value) if value.encoding == SKIPLIST else 1
    ),
    Stream: Layout(
        _stream_counted, _stream_bytes, _entries_and_pending, lambda value: value.radix_nodes + 3 * len(value.groups)
    ),
    VectorSet: Layout(
        _vector_set_counted, _vector_set_bytes, lambda value: len(value) * (1 + value.dim // 8), lambda value: 1
    ),
}
"""Class -> how its values are measured. Strings are measured by their lengths alone."""
