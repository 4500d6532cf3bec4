"""The forms that values had in older versions of Redis, to be read and turned into what they are now.

    up to 2.4   1 list    elements          3 sorted set   members, scores as texts          9 hash   a zipmap
    up to 6.2  10 list    a ziplist        12 sorted set   a ziplist       14 quicklist   13 hash   ziplists
    before 7.4 was out   22 hash with dates, 23 listpackex without the first of its times

Old streams are in stream_values.py. A text of a score has a length of one byte, of which 253, 254 and 255 are no
number, infinity, and infinity with a minus.
"""

from __future__ import annotations

from math import inf, nan
from typing import Final

from mini_redis.keyspace.types import Value
from mini_redis.persistence.strings import Damaged, Reader
from mini_redis.persistence.values import (
    Thresholds,
    hash_of,
    list_of_nodes,
    listpack_node,
    read_fields,
    read_scores,
    sorted_set_of,
    unpacked,
)
from mini_redis.structures import quicklist
from mini_redis.structures.numbers import parse_double
from mini_redis.structures.ziplist import unpack, unpack_zipmap

LIST: Final = 1
SORTED_SET_OF_TEXTS: Final = 3
HASH_ZIPMAP: Final = 9
LIST_ZIPLIST: Final = 10
SORTED_SET_ZIPLIST: Final = 12
HASH_ZIPLIST: Final = 13
QUICKLIST_OF_ZIPLISTS: Final = 14
HASH_WITH_DATES: Final = 22
HASH_OF_TRIPLES: Final = 23

_SPECIAL_SCORES: Final = {253: nan, 254: inf, 255: -inf}


def read_list(reader: Reader, thresholds: Thresholds) -> Value:
    elements = [reader.string() for _ in range(reader.length())]
    if not elements:
        raise Damaged("an empty list")
    return quicklist.of(elements, thresholds.list_max_listpack_size)


def _read_text_score(reader: Reader) -> float:
    size = reader.byte()
    if size in _SPECIAL_SCORES:
        return _SPECIAL_SCORES[size]
    score = parse_double(reader.take(size))
    if score is None:
        raise Damaged("a score that is no number")
    return score


def read_sorted_set_of_texts(reader: Reader, thresholds: Thresholds) -> Value:
    return read_scores(reader, _read_text_score, thresholds)


def read_hash_zipmap(reader: Reader, thresholds: Thresholds) -> Value:
    words = unpacked(unpack_zipmap, reader.string())
    made = hash_of(words, thresholds)
    if max(map(len, words)) > thresholds.hash_max_listpack_value:
        made.become_table()
    return made


def read_list_ziplist(reader: Reader, thresholds: Thresholds) -> Value:
    return list_of_nodes([listpack_node(unpacked(unpack, reader.string()))], thresholds)


def read_quicklist_of_ziplists(reader: Reader, thresholds: Thresholds) -> Value:
    nodes = [listpack_node(unpacked(unpack, reader.string())) for _ in range(reader.length())]
    return list_of_nodes(nodes, thresholds)


def read_sorted_set_ziplist(reader: Reader, thresholds: Thresholds) -> Value:
    return sorted_set_of(unpacked(unpack, reader.string()), thresholds)


def read_hash_ziplist(reader: Reader, thresholds: Thresholds) -> Value:
    return hash_of(unpacked(unpack, reader.string()), thresholds)


def read_hash_with_dates(reader: Reader, thresholds: Thresholds) -> Value:
    made = read_fields(reader, thresholds, times=reader.length)
    made.make_room_for_times()
    return made
