"""The state of a server in twenty bytes: Redis's DEBUG DIGEST, so that two servers compare in one reply.

Question it answers: do these two servers hold the same data? Dumping and comparing both is slow, and useless where
order is not defined: two equal sets are seldom iterated alike. So the digest is built from two operations on twenty
bytes, one for each kind of collection:

    mix(d, data)      d = sha1(d ^ sha1(data))    depends on the order: a key and then its value, a list's elements
    fold(d, data)     d = d ^ sha1(data)          does not: exclusive or commutes

A key's digest mixes what has an order (key, type, then what the type says) and the whole is the exclusive or of the
keys' digests, salted by the number of each database that is not empty:

    whole = 0
    for each database with keys:   mix(whole, number as 4 bytes, big-endian)
        for each key:              d = mix(mix(0, key), type number as 4 bytes, big-endian)
                                   d = what CONTENTS says for this type
                                   if it expires:  fold(d, "!!expire!!")
                                   fold(whole, d)

What the digest cannot see, by this definition: the encoding, the access clocks, and *when* a key expires (only that it
does), which is why it survives being compared between machines whose clocks differ.

One oddity is part of the algorithm: `fold(whole, d)` hashes d once more, since fold hashes whatever it is given. An
exclusive or cancels equals; so a key with the same digest in two databases would cancel out, were it not for the mix
with the number between them, which hashes all that came before. Verified against Redis 8.2.3 (spec/test_digest.py).

Adding a data type means adding a line to `CONTENTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha1
from typing import TYPE_CHECKING

from mini_redis.keyspace.types import (
    HASH_TYPE,
    LIST_TYPE,
    SET_TYPE,
    STREAM_TYPE,
    STRING_TYPE,
    VECTOR_SET_TYPE,
    ZSET_TYPE,
    type_of,
)
from mini_redis.structures.hash import Hash
from mini_redis.structures.numbers import format_shortest
from mini_redis.structures.quicklist import List
from mini_redis.structures.set import Set
from mini_redis.structures.sorted_set import SortedSet
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import MIN_ID, id_text
from mini_redis.structures.vector_set import VectorSet

if TYPE_CHECKING:
    from mini_redis.keyspace.database import Database

SIZE = 20
EMPTY = bytes(SIZE)
_EXPIRES = b"!!expire!!"
_FIELD_EXPIRES = b"!!hexpire!!"


def mix(digest: bytes, data: bytes | bytearray) -> bytes:
    """Add `data` to `digest` so that the order of additions matters."""
    return sha1(fold(digest, data)).digest()


def fold(digest: bytes, data: bytes | bytearray) -> bytes:
    """Add `data` to `digest` so that the order of additions does not matter. Adding twice is adding nothing."""
    both = int.from_bytes(digest, "big") ^ int.from_bytes(sha1(data).digest(), "big")
    return both.to_bytes(SIZE, "big")


def dataset_digest(databases: Iterable[Database]) -> bytes:
    """Return the digest of all databases, 20 bytes; `EMPTY` if there is no key at all. O(size of the data)."""
    whole = EMPTY
    for db in databases:
        if not len(db.data):
            continue
        whole = mix(whole, db.id.to_bytes(4, "big"))
        for key, value in db.data.items():
            whole = fold(whole, value_digest(value, expires=key in db.expires, start=mix(EMPTY, key)))
    return whole


def value_digest(value: object, expires: bool, start: bytes = EMPTY) -> bytes:
    """Return the digest of one value without its key, 20 bytes: DEBUG DIGEST-VALUE. O(size of the value).

    `start` is the digest so far: DEBUG DIGEST has mixed the key into it.
    """
    kind = type_of(value)
    digest = mix(start, kind.number.to_bytes(4, "big"))
    digest = CONTENTS[kind.name](digest, value)
    return fold(digest, _EXPIRES) if expires else digest


def _mix_string(digest: bytes, value: object) -> bytes:
    assert isinstance(value, (bytes, bytearray)), "a string is bytes or bytearray"
    return mix(digest, value)


def _mix_elements(digest: bytes, value: object) -> bytes:
    assert isinstance(value, List)
    for element in value:
        digest = mix(digest, element)
    return digest


def _fold_fields(digest: bytes, value: object) -> bytes:
    assert isinstance(value, Hash)
    for field, content in value.fields.items():
        pair = mix(mix(EMPTY, field), content)
        digest = fold(digest, pair if value.expire_at(field) is None else fold(pair, _FIELD_EXPIRES))
    return digest


def _fold_members(digest: bytes, value: object) -> bytes:
    assert isinstance(value, Set)
    for member in value:
        digest = fold(digest, member)
    return digest


def _fold_pairs(digest: bytes, value: object) -> bytes:
    assert isinstance(value, SortedSet)
    for score, member in value:
        digest = fold(digest, mix(mix(EMPTY, member), format_shortest(score)))
    return digest


def _mix_entries(digest: bytes, value: object) -> bytes:
    """Ids are spelled with a dot, here only; groups are not part of it."""
    assert isinstance(value, Stream)
    for entry_id, body in value.range(MIN_ID):
        digest = mix(digest, id_text(entry_id).replace(b"-", b"."))
        for word in body:
            digest = mix(digest, word)
    return digest


def _fold_vectors(digest: bytes, value: object) -> bytes:
    """Not Redis's: a module digests its type as it likes. Equal sets have equal digests, here."""
    assert isinstance(value, VectorSet)
    for element, point in value.points.items():
        attributes = value.attributes.get(element, b"")
        digest = fold(digest, mix(mix(EMPTY, element), repr((point, attributes)).encode()))
    return digest


CONTENTS: dict[bytes, Callable[[bytes, object], bytes]] = {
    STRING_TYPE.name: _mix_string,
    LIST_TYPE.name: _mix_elements,
    SET_TYPE.name: _fold_members,
    ZSET_TYPE.name: _fold_pairs,
    HASH_TYPE.name: _fold_fields,
    VECTOR_SET_TYPE.name: _fold_vectors,
    STREAM_TYPE.name: _mix_entries,
}
"""Type name -> what it adds to a digest: elements with an order are mixed, pairs and members without one are folded."""
