"""How each data type is written, in the form that its encoding asks for, and how such a form is read.

Which forms there are is told in forms.py. Each section below has the writer of a type, and the readers of its forms.
Where several forms hold the same things, members with scores, fields with values and times, they end in one function
that makes the value: there it is checked that nothing occurs twice and that something is there at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isnan
from typing import Final, Protocol, TypeVar

from mini_redis.keyspace.types import Value
from mini_redis.persistence.strings import Damaged, Reader, Writer
from mini_redis.structures import intset, listpack
from mini_redis.structures.hash import LISTPACK_EX, NEVER, Hash
from mini_redis.structures.listpack import packed_size
from mini_redis.structures.numbers import format_double, parse_double, parse_integer
from mini_redis.structures.quicklist import List, Node
from mini_redis.structures.set import INTSET, LISTPACK, Set
from mini_redis.structures.sorted_set import SortedSet

STRING: Final = 0
SET: Final = 2
HASH: Final = 4
SORTED_SET: Final = 5
SET_INTSET: Final = 11
HASH_LISTPACK: Final = 16
SORTED_SET_LISTPACK: Final = 17
QUICKLIST: Final = 18
SET_LISTPACK: Final = 20
HASH_WITH_TIMES: Final = 24
HASH_LISTPACK_EX: Final = 25

Content = TypeVar("Content")
Container = TypeVar("Container", Set, SortedSet, Hash)

_PLAIN: Final = 1
_LISTPACK: Final = 2
_LATEST: Final = (1 << 46) - 1  # of a field's time, in unix ms: what Redis has room for


class Thresholds(Protocol):
    """What is small: the part of the configuration that decides the encoding of what is read."""

    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    list_max_listpack_size: int
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    zset_max_listpack_entries: int
    zset_max_listpack_value: int


# --- Strings and lists -----------------------------------------------------------------------------------------------


def write_string(writer: Writer, value: Value) -> int:
    assert isinstance(value, (bytes, bytearray)), "a string is bytes or bytearray"
    writer.string(value)
    return STRING


def read_string(reader: Reader, thresholds: Thresholds) -> Value:
    return reader.string()


def write_list(writer: Writer, value: Value) -> int:
    assert isinstance(value, List)
    writer.length(len(value.nodes))
    for node in value.nodes:
        writer.length(_PLAIN if node.plain else _LISTPACK)
        writer.string(node.entries[0] if node.plain else listpack.pack(node.entries))
    return QUICKLIST


def read_quicklist(reader: Reader, thresholds: Thresholds) -> Value:
    nodes: list[Node] = []
    for _ in range(reader.length()):
        kind, data = reader.length(), reader.string()
        if kind not in (_PLAIN, _LISTPACK) or not data:
            raise Damaged("no such node of a list")
        nodes.append(Node([data], len(data), plain=True) if kind == _PLAIN else listpack_node(unpack_listpack(data)))
    return list_of_nodes(nodes, thresholds)


def listpack_node(entries: list[bytes]) -> Node:
    return Node(entries, packed_size(entries))


def list_of_nodes(nodes: Iterable[Node], thresholds: Thresholds) -> List:
    """A list of these nodes as they are, but for those without elements. Damaged if none is left. O(n)."""
    made = List()
    made.become_quicklist(thresholds.list_max_listpack_size)
    for node in nodes:
        if node.entries:
            made.nodes.append(node)
            made.count += len(node.entries)
            made.payload += sum(map(len, node.entries))
    if not made.count:
        raise Damaged("an empty list")
    made.settle(thresholds.list_max_listpack_size, shrunk=False)
    return made


# --- Sets ------------------------------------------------------------------------------------------------------------


def write_set(writer: Writer, value: Value) -> int:
    assert isinstance(value, Set)
    if value.encoding == INTSET:
        writer.string(intset.pack(value.numbers, value.width))
        return SET_INTSET
    if value.encoding == LISTPACK:
        writer.string(listpack.pack(value))
        return SET_LISTPACK
    writer.length(len(value))
    for member in value:
        writer.string(member)
    return SET


def read_set(reader: Reader, thresholds: Thresholds) -> Value:
    """Member by member, as if they were added."""
    count = reader.length()
    made = Set()
    if count > thresholds.set_max_intset_entries:
        made.become_table()
    for _ in range(count):
        member = reader.string()
        room = len(made) < thresholds.set_max_listpack_entries and len(member) <= thresholds.set_max_listpack_value
        if made.encoding == INTSET and parse_integer(member) is None:
            if room and _longest(made) <= thresholds.set_max_listpack_value:
                made.become_listpack()
            else:
                made.become_table()
        elif made.encoding == LISTPACK and not room:
            made.become_table()
        if not made.add(member):
            raise Damaged("a member occurs twice")
    return _not_empty(made)


def _longest(members: Set) -> int:
    return max(map(len, members), default=0)


def read_intset(reader: Reader, thresholds: Thresholds) -> Value:
    made = Set()
    made.numbers, made.width = unpacked(intset.unpack, reader.string())
    made.payload = sum(map(len, made))
    if len(made) > thresholds.set_max_intset_entries:
        made.become_table()
    return _not_empty(made)


def read_set_listpack(reader: Reader, thresholds: Thresholds) -> Value:
    made = Set()
    made.become_listpack()
    for member in unpack_listpack(reader.string()):
        if not made.add(member):
            raise Damaged("a member occurs twice")
    if len(made) > thresholds.set_max_listpack_entries:
        made.become_table()
    return _not_empty(made)


# --- Sorted sets -----------------------------------------------------------------------------------------------------


def write_sorted_set(writer: Writer, value: Value) -> int:
    assert isinstance(value, SortedSet)
    if value.encoding == LISTPACK:
        writer.string(listpack.pack(word for score, member in value for word in (member, format_double(score))))
        return SORTED_SET_LISTPACK
    writer.length(len(value))
    for score, member in value.slice(0, len(value), reverse=True):
        writer.string(member)
        writer.double(score)
    return SORTED_SET


def read_sorted_set(reader: Reader, thresholds: Thresholds) -> Value:
    return read_scores(reader, Reader.double, thresholds)


def read_scores(reader: Reader, read_score: Callable[[Reader], float], thresholds: Thresholds) -> SortedSet:
    """Members with scores, one after another."""
    count = reader.length()
    pairs: list[tuple[bytes, float]] = []
    for _ in range(count):
        member = reader.string()
        pairs.append((member, read_score(reader)))
    longest = max((len(member) for member, _ in pairs), default=0)
    small = count <= thresholds.zset_max_listpack_entries and longest <= thresholds.zset_max_listpack_value
    return _sorted_set(pairs, is_listpack=small)


def read_sorted_set_listpack(reader: Reader, thresholds: Thresholds) -> Value:
    return sorted_set_of(unpack_listpack(reader.string()), thresholds)


def sorted_set_of(words: list[bytes], thresholds: Thresholds) -> SortedSet:
    """Of members and the texts of their scores, alternating."""
    pairs: list[tuple[bytes, float]] = []
    for member, text in _in_pairs(words):
        score = parse_double(text)
        if score is None:
            raise Damaged("a score that is no number")
        pairs.append((member, score))
    return _sorted_set(pairs, is_listpack=len(pairs) <= thresholds.zset_max_listpack_entries)


def _sorted_set(pairs: list[tuple[bytes, float]], is_listpack: bool) -> SortedSet:
    made = SortedSet()
    if not is_listpack:
        made.become_skiplist()
    for member, score in pairs:
        if isnan(score) or made.set(member, score) is not None:
            raise Damaged("a member occurs twice, or its score is no number")
    return _not_empty(made)


# --- Hashes ----------------------------------------------------------------------------------------------------------


def write_hash(writer: Writer, value: Value) -> int:
    assert isinstance(value, Hash)
    words = (word for pair in value.fields.items() for word in pair)
    if value.encoding == LISTPACK:
        writer.string(listpack.pack(words))
        return HASH_LISTPACK
    soonest = None if value.deadlines is None else value.deadlines.soonest
    if value.encoding == LISTPACK_EX:
        writer.fixed(soonest or 0)
        times = ((*pair, b"%d" % (value.expire_at(pair[0]) or 0)) for pair in value.fields.items())
        writer.string(listpack.pack(word for triple in times for word in triple))
        return HASH_LISTPACK_EX
    if soonest is not None:
        writer.fixed(soonest)
    writer.length(len(value))
    for field, content in value.fields.items():
        if soonest is not None:
            at_ms = value.expire_at(field)
            writer.length(0 if at_ms is None else at_ms - soonest + 1)
        writer.string(field)
        writer.string(content)
    return HASH if soonest is None else HASH_WITH_TIMES


def read_hash(reader: Reader, thresholds: Thresholds) -> Value:
    return read_fields(reader, thresholds, times=lambda: 0)


def read_hash_with_times(reader: Reader, thresholds: Thresholds) -> Value:
    soonest = reader.fixed()

    def time() -> int:
        later = reader.length()
        return later + soonest - 1 if later else 0

    made = read_fields(reader, thresholds, times=time)
    made.make_room_for_times()
    return made


def read_fields(reader: Reader, thresholds: Thresholds, times: Callable[[], int]) -> Hash:
    """Fields and values one after another, with a time in front of each if `times` reads one."""
    count = reader.length()
    triples: list[tuple[bytes, bytes, int]] = []
    longest = 0
    for _ in range(count):
        at_ms = times()
        field, content = reader.string(), reader.string()
        triples.append((field, content, at_ms))
        longest = max(longest, len(field), len(content))
    small = count <= thresholds.hash_max_listpack_entries and longest <= thresholds.hash_max_listpack_value
    return _hash(triples, is_table=not small)


def read_hash_listpack(reader: Reader, thresholds: Thresholds) -> Value:
    return hash_of(unpack_listpack(reader.string()), thresholds)


def hash_of(words: list[bytes], thresholds: Thresholds) -> Hash:
    """Of fields and values, alternating."""
    triples = [(field, content, 0) for field, content in _in_pairs(words)]
    return _hash(triples, is_table=len(triples) > thresholds.hash_max_listpack_entries)


def read_hash_listpack_ex(reader: Reader, thresholds: Thresholds) -> Value:
    reader.fixed()  # the soonest time, which will be seen
    return read_hash_of_triples(reader, thresholds)


def read_hash_of_triples(reader: Reader, thresholds: Thresholds) -> Value:
    """One listpack of fields, values and times."""
    words = unpack_listpack(reader.string())
    if len(words) % 3:
        raise Damaged("a field without value or time")
    triples: list[tuple[bytes, bytes, int]] = []
    for field, content, text in zip(words[::3], words[1::3], words[2::3], strict=True):
        at_ms = parse_integer(text)
        if at_ms is None or at_ms < 0:
            raise Damaged("a time that is no number")
        triples.append((field, content, at_ms))
    triples.sort(key=lambda triple: triple[2] or NEVER)  # they are sorted, unless somebody else wrote this
    made = _hash(triples, is_table=len(triples) > thresholds.hash_max_listpack_entries, sorted_by_time=True)
    made.make_room_for_times()
    return made


def _hash(triples: list[tuple[bytes, bytes, int]], is_table: bool, sorted_by_time: bool = False) -> Hash:
    """A hash of fields, values and times in unix ms, 0 where a field has none.

    A small one keeps this order, and fields with times are put in front, unless they are in their order already.
    """
    made = Hash()
    if is_table:
        made.become_table()
    for field, content, at_ms in triples:
        if not made.set(field, content):
            raise Damaged("a field occurs twice")
        if at_ms > _LATEST:
            raise Damaged("a time that is too far off")
        if at_ms and sorted_by_time:
            made.make_room_for_times().set(field, at_ms)
        elif at_ms:
            made.set_expire_at(field, at_ms)
    return _not_empty(made)


# --- Shared by several ------------------------------------------------------------------------------------------------


def unpack_listpack(data: bytes) -> list[bytes]:
    """The elements of a listpack. Raises Damaged."""
    return unpacked(listpack.unpack, data)


def unpacked(unpack: Callable[[bytes], Content], data: bytes) -> Content:
    """What `unpack` finds in the data; its ValueError as Damaged."""
    try:
        return unpack(data)
    except ValueError as error:
        raise Damaged(str(error)) from None


def _in_pairs(words: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    if len(words) % 2:
        raise Damaged("half a pair")
    return zip(words[::2], words[1::2], strict=True)


def _not_empty(made: Container) -> Container:
    if not made:
        raise Damaged("nothing is in it")
    return made
