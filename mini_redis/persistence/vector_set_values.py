"""Vector sets as bytes: the type of a module, and a graph that we do not have and yet must tell.

A module's value begins with the number of its type (nine characters of six bits and a version of ten), and then is a
row of items that tell their own type, until a 0:

    2 a number      dimension, elements, kind and M, flags; the size before REDUCE, if there was one
    5 a string      the matrix of REDUCE
    then for each element, the newest first:
    5 5 5           its name, its attributes if any element has some, its quantised vector
    2 ...           how many numbers follow: id, level, and for each level how many links there are and may be, their
                    ids, and the worst link with its distance; at last the vector's length and range, two floats in one

**The graph.** Redis finds neighbours by walking along links between near elements (HNSW), and refuses a set whose links
do not go both ways. Ours looks at all elements, so what is read is only checked. But who reads ours will walk. So we
tell a graph that can be walked: the elements are sorted along `DIRECTIONS` directions, and in each such row everybody
is linked with the next two. Who is near stands near in most of them; each row alone connects all. All this is on one
level, and worse than Redis's own: of the ten nearest of 500 elements a Redis that has read it finds all, of 3,000 with
32 numbers of noise each 7. Adding elements there builds the upper levels.
"""

from __future__ import annotations

from random import Random
from struct import pack, unpack
from typing import Final

from mini_redis.persistence.strings import Damaged, Reader, Writer
from mini_redis.structures.vector_set import BIN, F32, INT8, Point, VectorSet, distance, projection

MODULE: Final = 7
MODULE_TYPE: Final = 0xBDE72DA2BB1EB400  # "vectorset", version 0
DIRECTIONS: Final = 8

_NUMBER: Final = 2
_STRING: Final = 5
_KINDS: Final = (F32, INT8, BIN)
_PROJECTED: Final = 1
_WITH_ATTRIBUTES: Final = 2
_LARGEST_DIM: Final = 32768
_GRAPH_VERSION: Final = 1 << 24
_MOST_LINKS: Final = 4096 * 4

Links = dict[int, list[int]]
"""Id -> ids."""


def write_vector_set(writer: Writer, value: object) -> int:
    """Returns the number of the form. O(n log n + n dim)."""
    assert isinstance(value, VectorSet)
    writer.length(MODULE_TYPE)
    _write_number(writer, value.dim)
    _write_number(writer, len(value))
    _write_number(writer, _KINDS.index(value.kind) | value.links << 8)
    _write_number(writer, bool(value.projected_from) * _PROJECTED | bool(value.attributes) * _WITH_ATTRIBUTES)
    if value.projected_from:
        _write_number(writer, value.projected_from)
        _write_text(writer, _matrix(value.dim, value.projected_from))

    points = list(value.points.items())
    links = graph([point for _, point in points], value.links * 2)
    for number in range(len(points), 0, -1):
        element, point = points[number - 1]
        _write_text(writer, element)
        if value.attributes:
            _write_text(writer, value.attributes.get(element, b""))
        stored = value.stored(element)
        assert stored is not None and isinstance(stored[1], bytes), "it is an element"
        _write_text(writer, stored[1])
        to = links[number]
        distances = [distance(point, points[other - 1][1], value.kind) for other in to]
        worst = max(range(len(to)), key=distances.__getitem__, default=0)
        numbers = [number, _GRAPH_VERSION, len(to), value.links * 2, *to]
        numbers.append(_bits(distances[worst] if to else 0.0) << 32 | worst)
        numbers.append(_bits(point.scale if value.kind == INT8 else 0.0) << 32 | _bits(point.length))
        _write_number(writer, len(numbers))
        for each in numbers:
            _write_number(writer, each)
    writer.length(0)
    return MODULE


def graph(points: list[Point], most: int) -> Links:
    """Links between points, numbered from 1, that all go both ways: at most `most` for each. O(n log n + n dim)."""
    links: dict[int, dict[int, None]] = {number: {} for number in range(1, len(points) + 1)}
    rng = Random(len(points))  # which directions does not matter, but the same set is told in the same way
    dim = len(points[0].numbers) if points else 0
    for _ in range(min(DIRECTIONS, max(1, most // 4))):
        direction = [rng.gauss(0, 1) for _ in range(dim)]
        along = [sum(map(float.__mul__, direction, map(float, point.numbers))) for point in points]
        row = sorted(links, key=lambda number: along[number - 1])
        for step in 1, 2:
            for one, other in zip(row, row[step:], strict=False):
                if step == 1 or max(len(links[one]), len(links[other])) < most - 2:
                    links[one][other] = links[other][one] = None
    return {number: list(others) for number, others in links.items()}


def read_vector_set(reader: Reader) -> VectorSet:
    """Read a module's value, which must be a vector set. Raises Damaged. O(size)."""
    if reader.length() != MODULE_TYPE:
        raise Damaged("the value of a module that is not here")
    dim, count, config, flags = (_read_number(reader) for _ in range(4))
    kind_number, links = config & 0xFF, config >> 8 & 0xFFFF
    if not 0 < dim <= _LARGEST_DIM or kind_number >= len(_KINDS):
        raise Damaged("a vector set of no such kind")
    projected_from = 0
    if flags & _PROJECTED:
        projected_from = _read_number(reader)
        if not dim <= projected_from <= _LARGEST_DIM or _read_text(reader) != _matrix(dim, projected_from):
            raise Damaged("vectors that were projected in another way")
    made = VectorSet(dim, _KINDS[kind_number], links or 16, projected_from)
    told: Links = {}
    elements: list[tuple[bytes, bytes, Point]] = []
    for _ in range(count):
        element = _read_text(reader)
        attributes = _read_text(reader) if flags & _WITH_ATTRIBUTES else b""
        vector = _read_text(reader)
        length, scale = _read_place(reader, told)
        elements.append((element, attributes, _point(made, vector, length, scale)))
    if reader.length() != 0 or len(told) != count or not all(other in told for to in told.values() for other in to):
        raise Damaged("a graph that links what is not there")
    for element, attributes, point in reversed(elements):
        if not made.put(element, point):
            raise Damaged("an element occurs twice")
        made.set_attributes(element, attributes)
    return made


def _read_place(reader: Reader, told: Links) -> tuple[float, float]:
    """Note the links of a node; the length and the range of its vector."""
    count = _read_number(reader)
    numbers = iter([_read_number(reader) for _ in range(count)])
    try:
        number, shape = next(numbers), next(numbers)
        to = told[number] = []
        for _ in range((shape & 0xFF) + 1):
            links, most = next(numbers), next(numbers)
            if links > most or most > _MOST_LINKS:
                raise Damaged("more links than there may be")
            to += [next(numbers) for _ in range(links)]
            if shape >> 24 and next(numbers) & 0xFFFFFFFF >= max(links, 1):
                raise Damaged("the worst link is none")
        both = next(numbers)
    except StopIteration:
        raise Damaged("a node of a graph that ends too early") from None
    return _float(both & 0xFFFFFFFF), _float(both >> 32)


def _point(made: VectorSet, vector: bytes, length: float, scale: float) -> Point:
    if len(vector) != made.bytes_per_vector:
        raise Damaged("a vector of another dimension")
    if made.kind == F32:
        return Point(unpack(f"<{made.dim}f", vector), 1.0, length)
    if made.kind == INT8:
        return Point(unpack(f"{made.dim}b", vector), scale, length)
    bits = int.from_bytes(vector, "little")
    return Point(tuple(1 if bits >> at & 1 else -1 for at in range(made.dim)), 1.0, length)


def _matrix(dim: int, size: int) -> bytes:
    return pack(f"<{dim * size}f", *projection(dim, size))


def _write_number(writer: Writer, number: int) -> None:
    writer.length(_NUMBER)
    writer.length(number)


def _write_text(writer: Writer, text: bytes) -> None:
    writer.length(_STRING)
    writer.string(text)


def _read_number(reader: Reader) -> int:
    if reader.length() != _NUMBER:
        raise Damaged("a number should be here")
    return reader.length()


def _read_text(reader: Reader) -> bytes:
    if reader.length() != _STRING:
        raise Damaged("a string should be here")
    return reader.string()


def _bits(number: float) -> int:
    """A float of 32 bits as a number."""
    return int.from_bytes(pack("<f", number), "little")


def _float(bits: int) -> float:
    (number,) = unpack("<f", bits.to_bytes(4, "little"))
    return float(number)
