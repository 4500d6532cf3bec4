"""The kinds of value a key can hold: how TYPE and OBJECT ENCODING name them.

One table from Python type to name. A string is `bytes`; a `bytearray` once it was changed in place, which is also how
OBJECT ENCODING knows to say `raw`. Every other data type is a class of its own in `structures/`, entered here.

**Embedded strings.** In Redis 8.2 a short string value is not an object of its own: key, value and TTL lie in one
allocation, `embstr`, as long as that fits into a cache line of 64 bytes. So the encoding of a string depends on the
length of its *key*, and on whether there is room for the 8 bytes of a TTL:

    16 header + 3 + key + 4 + value          <= 64     key and value: at most 41 bytes together
    16 header + 8 + 3 + key + 4 + value      <= 64     with a TTL: at most 33

What does not fit is `raw`, and never becomes `embstr` again by itself: not when the TTL goes, not under a shorter name.
We hold the same bytes for both, so the encoding is *computed* from key, value and TTL. Where these change and the value
does not (PERSIST, RENAME, COPY), `rebound` makes a raw string a `bytearray`, so that it stays raw.

One accident of the allocator is visible: a key of 32 bytes or more has a longer header; at 40 or 41 bytes together that
asks for an allocation of the next size (80), in which a TTL given later finds room. Such a string stays `embstr`, until
it is bound anew with its TTL in place (KEEPTTL, RENAME, COPY; INCRBYFLOAT too, of which we do not take care). All
verified against Redis 8.2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from mini_redis.structures.hash import Hash
from mini_redis.structures.quicklist import List
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet
from mini_redis.structures.stream import Stream
from mini_redis.structures.strings import Embstr, string_encoding
from mini_redis.structures.vector_set import VectorSet

Value: TypeAlias = object
Kind: TypeAlias = tuple[type, ...]

STRING: Kind = (bytes, bytearray, Embstr)
"""The `kind` of strings, for `Database.read` and `write`: the very classes, subclasses not implied."""

LIST: Kind = (List,)
HASH: Kind = (Hash,)
SET: Kind = (Set,)
ZSET: Kind = (SortedSet,)
STREAM: Kind = (Stream,)

VECTOR_SET: Kind = (VectorSet,)

EMBEDDED_ROOM = 41
"""Bytes of key and value together that are embedded."""
TTL_BYTES = 8


@dataclass(frozen=True, slots=True)
class DataType:
    """What the server tells about the values of one kind."""

    name: bytes
    """As TYPE answers."""
    number: int
    """As DEBUG DIGEST mixes it."""
    encoding: Callable[[bytes, Value, bool], bytes]
    """As OBJECT ENCODING answers: of a key, its value, and whether it has a TTL."""


def type_of(value: Value) -> DataType:
    """The data type of a value. O(1). A value of another class is our mistake."""
    cls = type(value)
    if cls not in DATA_TYPES:
        cls = next(base for base in cls.__mro__ if base in DATA_TYPES)
    return DATA_TYPES[cls]


def rebound(key: bytes, value: Value, expires: bool, new_key: bytes, will_expire: bool) -> Value:
    """The value as it is to be bound to `new_key`: itself, unless it is a string that is, or thereby becomes, raw."""
    if type(value) is not bytes and type(value) is not Embstr:
        return value
    size = len(value)
    will_fit = len(new_key) + size <= EMBEDDED_ROOM - TTL_BYTES * will_expire
    if will_fit and len(key) + size <= EMBEDDED_ROOM - TTL_BYTES * expires:
        return value
    if size > EMBEDDED_ROOM or string_encoding(value) == "int":
        return value  # so it is under any name
    return value if will_fit and _encoding_of_string(key, value, expires) == b"embstr" else bytearray(value)


def _encoding_of_string(key: bytes, value: Value, expires: bool) -> bytes:
    assert isinstance(value, (bytes, bytearray)), "a string is bytes or bytearray"
    encoding = string_encoding(value).encode()
    if encoding != b"embstr":
        return encoding
    together = len(key) + len(value)
    if together <= EMBEDDED_ROOM - TTL_BYTES * expires:
        return b"embstr"
    found_room_for_ttl = expires and len(key) >= 32 and together in (40, 41)
    return b"embstr" if found_room_for_ttl else b"raw"


STRING_TYPE = DataType(b"string", 0, _encoding_of_string)

def _encoding_kept(key: bytes, value: Any, expires: bool) -> bytes:
    """Of what knows its encoding itself, since conversions go one way."""
    encoding: bytes = value.encoding
    return encoding


LIST_TYPE = DataType(b"list", 1, _encoding_kept)
HASH_TYPE = DataType(b"hash", 4, _encoding_kept)
SET_TYPE = DataType(b"set", 2, _encoding_kept)
ZSET_TYPE = DataType(b"zset", 3, _encoding_kept)
VECTOR_SET_TYPE = DataType(b"vectorset", 5, _encoding_kept)
STREAM_TYPE = DataType(b"stream", 6, _encoding_kept)

DATA_TYPES: dict[type, DataType] = {
    bytes: STRING_TYPE,
    bytearray: STRING_TYPE,
    Embstr: STRING_TYPE,
    List: LIST_TYPE,
    Set: SET_TYPE,
    SortedSet: ZSET_TYPE,
    Hash: HASH_TYPE,
    VectorSet: VECTOR_SET_TYPE,
    Stream: STREAM_TYPE,
}
"""Python type -> what the server tells about it."""
