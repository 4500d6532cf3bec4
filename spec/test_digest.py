"""DEBUG DIGEST. The twenty-byte values were read from Redis 8.2.3; conformance compares them after every stream."""

from __future__ import annotations

from random import Random

from mini_redis.keyspace.database import Keyspace
from mini_redis.keyspace.digest import EMPTY, dataset_digest, fold, mix, value_digest
from mini_redis.structures.stream import Stream
from mini_redis.structures.stream_id import make_id
from mini_redis.structures.strings import Embstr


def keyspace(contents: dict[int, dict[bytes, tuple[object, bool]]]) -> Keyspace:
    """{database: {key: (value, has a TTL)}}"""
    made = Keyspace()
    for number, pairs in contents.items():
        for key, (value, expires) in pairs.items():
            made.databases[number].set(key, value)
            if expires:
                made.databases[number].set_expire_at(key, 10**15)
    return made


def test_no_key_at_all_is_zero() -> None:
    assert dataset_digest(Keyspace().databases) == EMPTY == bytes(20)


def test_databases_keys_and_ttls_as_redis_digests_them() -> None:
    made = keyspace(
        {
            0: {b"a": (b"1", False), b"b": (b"x" * 1000, True), b"": (b"", False)},
            3: {b"a": (b"1", False)},
            15: {b"q": (b"-7", True)},
        }
    )
    assert dataset_digest(made.databases).hex() == "1a387b3ece0a17565524d2ed5f9be71553e88a3c"


def test_one_value_as_redis_digests_it() -> None:
    assert value_digest(b"x" * 1000, expires=True).hex() == "c7ee69bb65a334fe1e1f76edcf5b4178ba4a3505"


def test_a_stream_is_its_living_entries_in_order() -> None:
    """Its last id, what was deleted and its groups do not matter; that it is empty is a digest, too."""
    stream, empty = Stream(), Stream()
    for entry_id, body in ((make_id(1, 1), [b"f", b"v", b"g", b"w"]), (make_id(2, 0), [b"h", b""])):
        stream.append(entry_id, body, 4096, 100)
    stream.append(make_id(3, 0), [b"x", b"y"], 4096, 100)
    stream.delete(make_id(3, 0))
    stream.add_group(b"g", 0)
    assert value_digest(stream, expires=False).hex() == "ad78a09f646916db3f7088d08279d635ded6143b"
    assert value_digest(empty, expires=False).hex() == "06bd01623de1d087bbd377851096317b1af476a2"


def test_neither_the_order_nor_the_layout_of_keys_matters() -> None:
    keys = [b"key:%d" % number for number in range(300)]
    made = []
    for seed in (1, 2):
        one = Keyspace()
        order = keys.copy()
        Random(seed).shuffle(order)
        for key in [*order, *order[:50]]:
            one.databases[0].set(key, key * 2)
        for key in order[50:60]:
            one.databases[0].delete(key)
            one.databases[0].set(key, key * 2)
        made.append(dataset_digest(one.databases))
    assert made[0] == made[1]


def test_how_a_string_is_held_does_not_matter() -> None:
    digests = {value_digest(value, expires=False) for value in (b"10", bytearray(b"10"), Embstr(b"10"))}
    assert len(digests) == 1


def test_what_matters() -> None:
    """Key, value, that it expires (not when), and the database."""
    variants: list[dict[int, dict[bytes, tuple[object, bool]]]] = [
        {0: {b"k": (b"v", False)}},
        {0: {b"k": (b"w", False)}},
        {0: {b"l": (b"v", False)}},
        {0: {b"k": (b"v", True)}},
        {1: {b"k": (b"v", False)}},
        {0: {b"k": (b"v", False)}, 1: {b"k": (b"v", False)}},
    ]
    assert len({dataset_digest(keyspace(variant).databases) for variant in variants}) == len(variants)


def test_mixing_keeps_order_and_folding_does_not() -> None:
    assert mix(mix(EMPTY, b"a"), b"b") != mix(mix(EMPTY, b"b"), b"a")
    assert fold(fold(EMPTY, b"a"), b"b") == fold(fold(EMPTY, b"b"), b"a")
    assert fold(fold(EMPTY, b"a"), b"a") == EMPTY
