"""HyperLogLog: how many different elements were there? Twelve kilobytes know it of any number, give or take 0.8 %.

Question it answers: counting visitors means recognising those who come again, and so remembering all of them. What if
an estimate is enough? Throw a coin until it shows heads: who reports a run of 20 tails has probably tried a million
times. A hash of an element is 64 such throws, and the same element always throws the same, so that repeating it
changes nothing. One run is a poor witness; therefore the first 14 bits of the hash choose one of 16,384 *registers*,
each keeps the longest run of the elements that fell to it, and the estimate is made of all of them.

    hash    ........ ....................... 0 0 1 | 14 bits      the register
            50 bits, from the right: zeros up to the first one, plus 1: the *rank*, 1 to 51

    value   "HYLL" | encoding | 3 unused | cardinality (8, little-endian) | registers
             dense:  0, and 6 bits for each register, 12,288 bytes: the first one in the lowest bits of the first byte
             sparse: 1, and runs of equal registers, see hyperloglog_sparse.py

A union is the larger of both registers, for each of them: exactly what adding all elements to one would have given.
That is what makes it mergeable, and also why nothing can be taken out again: what is smaller than a maximum is lost.

The value is an ordinary string, and the cardinality in it is a cache: the highest bit of its last byte says that
registers have changed since. So counting changes the value. And since clients can write into strings, everything here
raises CorruptError for what cannot be registers; `is_hyperloglog` looks at the header alone.

**The estimate** is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", 2017): it needs no more
than how many registers have which rank, and is good from 0 to 2**64 without the tables of corrections that the
original algorithm needs. Same formula, same order of additions: the same doubles as Redis's, and equal counts.

**Fast in Python.** Three bytes hold four registers, so the first of each three, the second and the third are taken as
three rows (`[0::3]`), on which tables (`translate`) and wide integers do the shifting for 4096 registers at once.
The larger of two registers, for all 16,384 at once, is one subtraction of integers whose bytes cannot borrow from each
other, since a register has six bits and a byte eight (`_larger`). The plain loops are kept: `PFDEBUG SIMD OFF` and
the self-test use them. Redis uses vector instructions for the same two things.

Invariants (`check`): the header is whole; a dense value has its length; a sparse one adds up to all registers.
Complexities: R registers, n bytes of a sparse value. The bytes are verified against Redis 8.2.3.
"""

from __future__ import annotations

from math import ceil, inf, sqrt
from random import Random
from struct import unpack_from
from typing import Final, TypeAlias

from mini_redis.structures import hyperloglog_sparse as sparse
from mini_redis.structures.hyperloglog_sparse import HEADER_SIZE, REGISTERS

Value: TypeAlias = bytes | bytearray

INDEX_BITS: Final = 14
RANK_BITS: Final = 64 - INDEX_BITS
"""Of the hash, among which the first one is looked for."""
REGISTER_BITS: Final = 6
MAGIC: Final = b"HYLL"
DENSE: Final = 0
SPARSE: Final = 1
DENSE_SIZE: Final = HEADER_SIZE + REGISTERS * REGISTER_BITS // 8
ENCODINGS: Final = {DENSE: b"dense", SPARSE: b"sparse"}
STANDARD_ERROR: Final = 1.04 / sqrt(REGISTERS)

_ENCODING_AT: Final = 4
_CARDINALITY: Final = slice(8, 16)
_STALE_AT: Final = 15
_STALE: Final = 0x80
_MASK: Final = (1 << REGISTER_BITS) - 1
_UINT64: Final = (1 << 64) - 1


def empty() -> bytearray:
    """A value without elements: sparse, and its cardinality known. O(1)."""
    return bytearray(MAGIC + bytes((SPARSE,)) + bytes(11) + sparse.EMPTY)


def is_hyperloglog(value: Value) -> bool:
    """Whether the header is that of one. Says nothing about the registers. O(1)."""
    if len(value) < HEADER_SIZE or not value.startswith(MAGIC) or value[_ENCODING_AT] not in ENCODINGS:
        return False
    return value[_ENCODING_AT] == SPARSE or len(value) == DENSE_SIZE


def encoding(hll: Value) -> bytes:
    """`sparse` or `dense`. O(1)."""
    return ENCODINGS[hll[_ENCODING_AT]]


# --- Elements --------------------------------------------------------------------------------------------------------

_SEED: Final = 0xADC83B19
_MULTIPLIER: Final = 0xC6A4A7935BD1E995
_SHIFT: Final = 47


def murmur64(data: bytes, seed: int = _SEED) -> int:
    """MurmurHash64A, little-endian on all machines: 64 bits, well mixed. O(len(data))."""
    size = len(data)
    words = size >> 3
    mixed = seed ^ size * _MULTIPLIER & _UINT64
    for word in unpack_from(f"<{words}Q", data):
        word = word * _MULTIPLIER & _UINT64
        word = (word ^ word >> _SHIFT) * _MULTIPLIER & _UINT64
        mixed = (mixed ^ word) * _MULTIPLIER & _UINT64
    if size & 7:
        mixed = (mixed ^ int.from_bytes(data[words << 3 :], "little")) * _MULTIPLIER & _UINT64
    mixed = (mixed ^ mixed >> _SHIFT) * _MULTIPLIER & _UINT64
    return mixed ^ mixed >> _SHIFT


def register_of(element: bytes) -> tuple[int, int]:
    """The register of an element, and its rank, 1 to 51. O(len(element))."""
    hashed = murmur64(element)
    run = hashed >> INDEX_BITS | 1 << RANK_BITS
    return hashed & REGISTERS - 1, (run & -run).bit_length()


def add(hll: bytearray, element: bytes, sparse_most_bytes: int) -> bool:
    """Add an element; whether a register changed. O(1) if dense, else O(n). May raise CorruptError."""
    index, rank = register_of(element)
    return set_register(hll, index, rank, sparse_most_bytes)


def set_register(hll: bytearray, index: int, rank: int, sparse_most_bytes: int) -> bool:
    """Raise a register to `rank` if it is lower; whether it was. May become dense. O(1) if dense, else O(n)."""
    if hll[_ENCODING_AT] == DENSE:
        return _set_dense(hll, index, rank)
    outcome, _ = sparse.set_register(hll, index, rank, sparse_most_bytes)
    return _settle(hll, index, rank, outcome)


def _settle(hll: bytearray, index: int, rank: int, outcome: str) -> bool:
    """Finish what was tried on sparse registers."""
    if outcome is sparse.TOO_LARGE:
        to_dense(hll)
        return _set_dense(hll, index, rank)
    if outcome is sparse.CHANGED:
        forget_cardinality(hll)
    return outcome is sparse.CHANGED


def _set_dense(hll: bytearray, index: int, rank: int) -> bool:
    at, shift = HEADER_SIZE + (index * REGISTER_BITS >> 3), index * REGISTER_BITS & 7
    size = 2 if shift > 2 else 1  # does the register end in the next byte?
    bits = int.from_bytes(hll[at : at + size], "little")
    if rank <= bits >> shift & _MASK:
        return False
    bits = bits & ~(_MASK << shift) | rank << shift
    hll[at : at + size] = bits.to_bytes(size, "little")
    return True


# --- Registers as a whole --------------------------------------------------------------------------------------------


def registers(hll: Value) -> bytes:
    """All registers, a byte each. CorruptError. O(R)."""
    if hll[_ENCODING_AT] == SPARSE:
        return sparse.expand(hll)
    return unpack(hll[HEADER_SIZE:])


def _table(shift: int) -> bytes:
    """For `translate`: a byte shifted to the left, or, if negative, to the right; cut to six bits."""
    return bytes((byte << shift if shift > 0 else byte >> -shift) & _MASK for byte in range(256))


def _wide_table(shift: int) -> bytes:
    """Likewise, cut to eight bits."""
    return bytes((byte << shift if shift > 0 else byte >> -shift) & 0xFF for byte in range(256))


_KEPT, _DOWN_6, _UP_2, _DOWN_4, _UP_4, _DOWN_2 = map(_table, (0, -6, 2, -4, 4, -2))
_PACK_UP_6, _PACK_DOWN_2, _PACK_UP_4, _PACK_DOWN_4, _PACK_UP_2 = map(_wide_table, (6, -2, 4, -4, 2))


def unpack(packed: Value) -> bytes:
    """12,288 bytes of dense registers as 16,384 bytes of one register each. O(R).

    Of three bytes, the registers are: 111111, 22|1111 and so on, lowest bits first.
    """
    low, middle, high = packed[0::3], packed[1::3], packed[2::3]
    spread = bytearray(REGISTERS)
    spread[0::4] = low.translate(_KEPT)
    spread[1::4] = _either(low.translate(_DOWN_6), middle.translate(_UP_2))
    spread[2::4] = _either(middle.translate(_DOWN_4), high.translate(_UP_4))
    spread[3::4] = high.translate(_DOWN_2)
    return bytes(spread)


def pack(spread: bytes) -> bytes:
    """The inverse of `unpack`. O(R)."""
    first, second, third, fourth = (spread[at::4] for at in range(4))
    packed = bytearray(DENSE_SIZE - HEADER_SIZE)
    packed[0::3] = _either(first, second.translate(_PACK_UP_6))
    packed[1::3] = _either(second.translate(_PACK_DOWN_2), third.translate(_PACK_UP_4))
    packed[2::3] = _either(third.translate(_PACK_DOWN_4), fourth.translate(_PACK_UP_2))
    return bytes(packed)


def _either(one: Value, other: Value) -> bytes:
    """Two rows of bytes, ored."""
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")


def to_dense(hll: bytearray) -> bool:
    """Make it dense, keeping its header; whether it was sparse. CorruptError. O(R)."""
    if hll[_ENCODING_AT] == DENSE:
        return False
    hll[HEADER_SIZE:] = pack(sparse.expand(hll))
    hll[_ENCODING_AT] = DENSE
    return True


# --- Union -----------------------------------------------------------------------------------------------------------

NO_REGISTERS: Final = bytes(REGISTERS)
"""Those of nothing, from which a union starts."""
_HIGH_BITS: Final = int.from_bytes(b"\x80" * REGISTERS, "little")


def merge(largest: bytes, hll: Value, *, wide: bool = True) -> bytes:
    """The larger of some registers, a byte each, and those of `hll`. CorruptError. O(R).

    `wide`: all registers at once; otherwise one after another, which gives the same.
    """
    others = registers(hll)
    return _larger(largest, others) if wide else bytes(map(max, largest, others))


def _larger(one: bytes, other: bytes) -> bytes:
    """The larger of each two registers.

    With the high bit of each byte set beforehand, a - b leaves it set where a >= b, and no byte borrows from the next.
    These bits, moved down and multiplied by 255, are a mask of the bytes in which to take a.
    """
    a, b = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    at_least = (((a | _HIGH_BITS) - b) & _HIGH_BITS) >> 7
    return (b ^ ((a ^ b) & at_least * 0xFF)).to_bytes(REGISTERS, "little")


def raise_to(hll: bytearray, largest: bytes, *, dense: bool, sparse_most_bytes: int) -> None:
    """Raise the registers of `hll` to those of a union in which it took part; `dense`: and it becomes dense.

    CorruptError. O(R + n), for a sparse value's registers are set in ascending order.
    """
    if dense:
        to_dense(hll)
        hll[HEADER_SIZE:] = pack(largest)
    else:
        near: sparse.Place | None = None
        for index, rank in enumerate(largest):
            if not rank:
                continue
            if hll[_ENCODING_AT] == DENSE:
                _set_dense(hll, index, rank)
                continue
            outcome, near = sparse.set_register(hll, index, rank, sparse_most_bytes, near)
            _settle(hll, index, rank, outcome)
    forget_cardinality(hll)


# --- The estimate ----------------------------------------------------------------------------------------------------


def forget_cardinality(hll: bytearray) -> None:
    """The registers have changed, or might have. O(1)."""
    hll[_STALE_AT] |= _STALE


def known_cardinality(hll: Value) -> int | None:
    """The cardinality that was counted since the last change, if it was. O(1)."""
    return None if hll[_STALE_AT] & _STALE else int.from_bytes(hll[_CARDINALITY], "little")


def count(hll: bytearray) -> int:
    """Estimate how many different elements were added, and keep the answer in the value. CorruptError. O(R)."""
    cardinality = estimate(registers(hll))
    hll[_CARDINALITY] = cardinality.to_bytes(8, "little", signed=cardinality < 0)
    return cardinality


def estimate(spread: bytes) -> int:
    """The cardinality that registers, a byte each, speak of. O(R).

    Beyond what 64 bits can tell, which no elements bring about but written bytes can, it is -2**63, as in Redis.
    """
    shares = _histogram(spread)
    total = REGISTERS * _tau((REGISTERS - shares[RANK_BITS + 1]) / REGISTERS)
    for rank in range(RANK_BITS, 0, -1):
        total = (total + shares[rank]) * 0.5
    total += REGISTERS * _sigma(shares[0] / REGISTERS)
    if total == 0.0:
        return -(1 << 63)
    estimated = _ALPHA * REGISTERS * REGISTERS / total
    whole = int(estimated)
    return whole + (estimated - whole >= 0.5) if estimated < 2.0**63 else -(1 << 63)


_ALPHA: Final = 0.721347520444481703680
"""1 / (2 ln 2)"""


def _histogram(spread: bytes) -> list[int]:
    """How many registers have which value. Each pass leaves fewer bytes to the next one."""
    shares = [0] * (_MASK + 1)
    for value in range(_MASK + 1):
        if not spread:
            break
        others = spread.translate(None, bytes((value,)))
        shares[value] = len(spread) - len(others)
        spread = others
    return shares


def _sigma(x: float) -> float:
    """What the registers that are 0 contribute."""
    if x == 1.0:
        return inf
    total, before, power = x, -1.0, 1.0
    while total != before:
        x *= x
        before = total
        total += x * power
        power += power
    return total


def _tau(x: float) -> float:
    """What the registers that are full contribute."""
    if x in (0.0, 1.0):
        return 0.0
    total, before, power = 1.0 - x, -1.0, 1.0
    while total != before:
        x = sqrt(x)
        before = total
        power *= 0.5
        total -= (1.0 - x) * (1.0 - x) * power
    return total / 3.0


# --- Checks ----------------------------------------------------------------------------------------------------------


def check(hll: Value) -> None:
    """Assert the invariants. O(R)."""
    assert is_hyperloglog(hll), "the header is whole, and a dense value has its length"
    assert len(registers(hll)) == REGISTERS, "a sparse value adds up to all registers"


def self_test(rng: Random, most: int = 100_000) -> str:
    """What is wrong with this module on this machine; empty if nothing is. O(most). PFSELFTEST.

    Dense registers are set at random and read back, in bulk and against the plain loops; then elements are added to a
    dense and to a sparse value, which have to agree, and whose estimates must be within six standard errors.
    """
    expected = bytearray(rng.randrange(_MASK + 1) for _ in range(REGISTERS))
    hll = empty()
    to_dense(hll)
    for index, rank in enumerate(expected):
        set_register(hll, index, rank, 0)
    found = registers(hll)
    if found != expected:
        index = next(at for at in range(REGISTERS) if found[at] != expected[at])
        return f"Register {index} should be {expected[index]} but is {found[index]}"
    if pack(found) != hll[HEADER_SIZE:]:
        return "Registers packed again are others"
    other = bytes(rng.randrange(_MASK + 1) for _ in range(REGISTERS))
    if _larger(found, other) != bytes(map(max, found, other)):
        return "The larger registers are not found all at once"

    dense, few = empty(), empty()
    to_dense(dense)
    salt = rng.getrandbits(64).to_bytes(8, "little")
    checkpoint = 1
    for number in range(1, most + 1):
        element = number.to_bytes(8, "little") + salt
        add(dense, element, 0)
        add(few, element, 3000)
        if number != checkpoint:
            continue
        if number == 100 and few[_ENCODING_AT] != SPARSE:
            return "Sparse encoding is not used"
        found = registers(dense)
        if registers(few) != found:
            return "Dense and sparse registers disagree"
        counted = estimate(found)
        # At 10 elements the error is 0, but for a collision, which comes along once in many tests.
        allowed = 1 if number == 10 else ceil(6 * STANDARD_ERROR * number)
        if abs(counted - number) > allowed:
            return f"Too big error: {counted} instead of {number}"
        checkpoint *= 10
    return ""
