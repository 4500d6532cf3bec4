"""A vector set: elements with a point each, and "which elements point in the direction of this one?"

Question it answers: what does a vector index do, before it does it fast? An element is a vector of `dim` numbers.
Only its direction counts: the vector is divided by its length (which is kept, so that VEMB can give the vector back),
and two directions are as similar as the cosine of the angle between them,

    distance = 1 - a . b         0 the same direction, 1 at a right angle, 2 opposite
    score    = 1 - distance / 2  1, 0.5, 0: what VSIM WITHSCORES tells

**Quantisation** trades precision for memory; a set has one kind:

    f32    four bytes a number
    int8   one byte: the number by the largest of its vector, in 127ths (the default)
    bin    one bit: its sign. The distance is the share of signs that differ, times two

**REDUCE** projects a vector of many numbers to few before anything else: each new number is the sum of all old ones,
half of them with the sign turned, as a Hadamard matrix has it: sign(i, j) = parity of the common bits of i and j.
Such sums keep distances, roughly, and both servers compute the same.

**What real Redis does differently.** There, elements are nodes of a navigable graph (HNSW) and a search walks it,
looking at few hundred of a million; it may miss a neighbour. Here every search looks at every element: O(N dim), and
exact, as Redis's own `VSIM ... TRUTH`. So EF, CAS, NOTHREAD and FILTER-EF change nothing, `VLINKS` tells the nearest
elements in one layer, and `max-level` is 0.

Numbers are 32 bit floats wherever Redis has them so: `single` rounds. Sums of many products may differ in the last
place, as they do between Redis on different processors.

Invariants (`check`): every element has a quantised vector of `dim` numbers; `attributes` has only elements, and no
empty text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, isnan, sqrt
from random import Random
from struct import Struct, pack, unpack
from typing import Final

from mini_redis.structures.indexed_dict import IndexedDict
from mini_redis.structures.piecemeal import dismantle, piecemeal

F32: Final = b"f32"
INT8: Final = b"int8"
BIN: Final = b"bin"
STEPS: Final = 127
NUMBERS_PER_ELEMENT: Final = 8
"""How many numbers of a vector are released in the time that an element of another type takes."""
_SINGLE: Final = Struct("<f")


def single(number: float) -> float:
    """Round to a 32 bit float; what does not fit is infinite. O(1)."""
    try:
        (rounded,) = _SINGLE.unpack(_SINGLE.pack(number))
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
    return float(rounded)


@dataclass(frozen=True, slots=True)
class Point:
    """A direction, quantised, and how long the vector was."""

    numbers: tuple[float, ...] | tuple[int, ...]
    """f32: numbers; int8: -127 .. 127; bin: -1 or 1."""
    scale: float
    """int8: the number that 127 stands for. Else 1."""
    length: float


def quantise(vector: list[float], kind: bytes) -> Point:
    """The point of a vector. A vector of nothing but zeros has no direction and is at a right angle to all. O(dim)."""
    squares = 0.0
    for number in vector:
        squares = single(squares + single(number * number))
    length = single(sqrt(squares)) or 1.0
    unit = [single(number / length) for number in vector]
    if kind == F32:
        return Point(tuple(unit), 1.0, length)
    if kind == BIN:
        return Point(tuple(1 if number > 0 else -1 for number in unit), 1.0, length)
    scale = max((abs(number) for number in unit if not isnan(number)), default=0.0)
    return Point(tuple(_step(number, scale) for number in unit), scale, length)


def _step(number: float, scale: float) -> int:
    steps = single(number * single(STEPS / scale)) if scale else 0.0
    if not isfinite(steps):  # 127 / scale is beyond a float, or the number was: C's conversion gives 0
        return 0
    rounded = int(abs(steps) + 0.5)  # half away from zero, as C's roundf
    return max(-STEPS, min(STEPS, rounded if steps > 0 else -rounded))


def distance(a: Point, b: Point, kind: bytes) -> float:
    """Between two points of the same kind, 0 .. 2. O(dim)."""
    if kind == BIN:
        return single(sum(x != y for x, y in zip(a.numbers, b.numbers, strict=True)) * 2 / len(a.numbers))
    if kind == INT8 and not (a.scale and b.scale):
        return 1.0
    dot: float = sum(x * y for x, y in zip(a.numbers, b.numbers, strict=True))
    if kind == INT8:
        dot *= single(single(a.scale / STEPS) * single(b.scale / STEPS))
    return max(0.0, min(2.0, single(1 - single(dot))))


def project(vector: list[float], dim: int) -> list[float]:
    """REDUCE: `dim` sums of all numbers with signs. O(dim * len(vector))."""
    scale = single(1 / sqrt(len(vector)))
    return [
        single(scale * sum(-number if (i & j).bit_count() % 2 else number for j, number in enumerate(vector)))
        for i in range(dim)
    ]


def projection(dim: int, size: int) -> list[float]:
    """What `project` multiplies with, as the matrix that files hold: `dim` rows of `size`. O(dim * size)."""
    scale = single(1 / sqrt(size))
    return [-scale if (i & j).bit_count() % 2 else scale for i in range(dim) for j in range(size)]


class VectorSet:
    """Elements with vectors and attributes. `kind` is f32, int8 or bin; `links` is HNSW's M, kept to be told."""

    __slots__ = ("accounted", "attributes", "created", "dim", "encoding", "kind", "links", "number", "payload",
                 "points", "projected_from")  # fmt: skip

    def __init__(self, dim: int, kind: bytes, links: int, projected_from: int = 0, number: int = 0) -> None:
        self.dim = dim
        self.kind = kind
        self.links = links
        self.projected_from = projected_from
        """How many numbers a vector had before REDUCE; 0 without."""
        self.number = number
        self.points: IndexedDict[Point] = IndexedDict()
        self.attributes: dict[bytes, bytes] = {}
        self.created = 0
        """How many points were ever put in, for VINFO."""
        self.encoding = b"raw"
        self.payload = 0
        self.accounted = 0

    def __len__(self) -> int:
        return len(self.points)

    def add(self, element: bytes, vector: list[float]) -> bool:
        """Give an element its vector, projected already; whether it is new. O(dim)."""
        return self.put(element, quantise(vector, self.kind))

    def put(self, element: bytes, point: Point) -> bool:
        """Give an element its point; whether it is new. O(1)."""
        is_new = element not in self.points
        self.points[element] = point
        self.created += 1
        if is_new:
            self.payload += len(element) + self.bytes_per_vector
        return is_new

    def remove(self, element: bytes) -> bool:
        """Whether it was there. O(1)."""
        if element not in self.points:
            return False
        del self.points[element]
        self.payload -= len(element) + self.bytes_per_vector
        self.set_attributes(element, b"")
        return True

    def set_attributes(self, element: bytes, text: bytes) -> None:
        """Attach a JSON text to an element; the empty text takes it away. O(1)."""
        self.payload += len(text) - len(self.attributes.pop(element, b""))
        if text:
            self.attributes[element] = text

    @property
    def bytes_per_vector(self) -> int:
        """What Redis keeps of a vector, quantised. O(1)."""
        return {F32: 4 * self.dim, INT8: self.dim, BIN: -(-self.dim // 64) * 8}[self.kind]

    def vector(self, element: bytes) -> list[float] | None:
        """The vector as it was given, as far as quantisation has kept it. O(dim)."""
        point = self.points.get(element)
        if point is None:
            return None
        if self.kind == BIN:
            return [float(number) for number in point.numbers]
        units: list[float] = list(point.numbers)
        if self.kind == INT8:
            units = [single(single(number * point.scale) / STEPS) for number in point.numbers]
        return [single(number * point.length) for number in units]

    def stored(self, element: bytes) -> list[object] | None:
        """VEMB RAW: the kind, the quantised bytes, the length, and for int8 the number that 127 stands for. O(dim)."""
        point = self.points.get(element)
        if point is None:
            return None
        if self.kind == BIN:
            bits = sum(1 << at for at, number in enumerate(point.numbers) if number > 0)
            return [BIN, bits.to_bytes(self.bytes_per_vector, "little"), point.length]
        if self.kind == INT8:
            return [INT8, pack(f"{self.dim}b", *point.numbers), point.length, point.scale]
        return [F32, pack(f"<{self.dim}f", *point.numbers), point.length]

    def distances(self, to: Point) -> Iterator[tuple[float, bytes]]:
        """How far each element is. O(N dim) for all."""
        for element, point in self.points.items():
            yield distance(to, point, self.kind), element

    def random(self, rng: Random) -> bytes:
        """Any element, all equally likely. O(1)."""
        return self.points.random_key(rng)

    def dismantle(self) -> Iterator[int]:
        """Let go of all elements, step by step. O(N dim)."""
        for points in self.points.drain():
            yield from piecemeal(len(points), points.pop, weight=1 + self.dim // NUMBERS_PER_ELEMENT)
        yield from dismantle(self.attributes)

    def check(self) -> None:
        """Assert the invariants. O(N dim)."""
        assert all(len(point.numbers) == self.dim for point in self.points.values()), "a vector has `dim` numbers"
        assert all(text and element in self.points for element, text in self.attributes.items())
        vectors = len(self.points) * self.bytes_per_vector
        names = sum(map(len, self.points)) + sum(map(len, self.attributes.values()))
        assert self.payload == vectors + names, "payload follows the elements"


def parse_f32(blob: bytes) -> list[float] | None:
    """The numbers of FP32 bytes, little-endian; None if their length is none of whole numbers. O(n)."""
    return list(unpack(f"<{len(blob) // 4}f", blob)) if blob and len(blob) % 4 == 0 else None
