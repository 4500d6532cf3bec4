"""Sparse registers: how can a HyperLogLog of few elements take a hundred bytes instead of twelve thousand?

Of its 16,384 registers (see hyperloglog.py) most are 0 at first. So they are kept as runs, each an *opcode* of one or
two bytes, one after another from register 0 on:

    00nnnnnn              ZERO    n + 1 registers that are 0           1 to 64
    01nnnnnn nnnnnnnn     XZERO   likewise, a long run                 1 to 16384
    1vvvvvnn              VAL     n + 1 registers that are v + 1       1 to 4, of 1 to 32

No opcode tells where it stands; one walks. To set a register means to find the run that it is in, to cut that run into
two or three, and to look whether the new one can be merged with its neighbours. It is done exactly as Redis does it,
because the bytes are visible (GET, DUMP, replicas): merging is tried on five opcodes only, from the one before the
change, and runs of zeros are never joined, since no register ever becomes 0 again.

A register above 32, or a value longer than `hll-sparse-max-bytes`, asks for the dense encoding; that is the caller's
business (`TOO_LARGE`).

Bytes come from clients: SETRANGE can do anything to them. `expand` refuses runs that do not add up to all registers,
while `set_register` only refuses what it walks off; in between, arithmetic is the same as Redis's. Two of its habits
follow from C strings: an XZERO cut off by the end reads a zero byte there, and replacing it moves the end.

Functions work on a whole value, whose first 16 bytes are a header that is not looked at here. Walking is O(size): in
blocks, whose spans are looked up (`translate`) and added in C.
"""

from __future__ import annotations

from typing import Final, NamedTuple

REGISTERS: Final = 1 << 14
HEADER_SIZE: Final = 16
LARGEST: Final = 32
"""The largest register that an opcode can tell."""
EMPTY: Final = b"\x7f\xff"
"""All registers 0: one XZERO."""

UNCHANGED: Final = "unchanged"
CHANGED: Final = "changed"
TOO_LARGE: Final = "too large"

_ZERO_MOST: Final = 64
_VALUE_MOST: Final = 4
_VALUE_BIT: Final = 0x80
_MERGED: Final = 5
"""So many opcodes are looked at for merging."""
_BLOCK: Final = 128
_LONG: Final = 0xFF
"""Stands for an XZERO in the table of spans."""


def _span(opcode: int) -> int:
    if opcode & _VALUE_BIT:
        return (opcode & 3) + 1
    return _LONG if opcode & 0x40 else opcode + 1


_SPANS: Final = bytes(map(_span, range(256)))
"""How many registers an opcode covers."""


def value_of(opcode: int) -> int:
    """What the registers of a VAL are. O(1)."""
    return (opcode >> 2 & 0x1F) + 1


_EXPANDED: Final = tuple(
    bytes((value_of(opcode) if opcode & _VALUE_BIT else 0,)) * (span if span != _LONG else 0)
    for opcode, span in enumerate(_SPANS)
)
"""The registers of an opcode of one byte."""


class CorruptError(ValueError):
    """The bytes are no registers."""


# --- Reading ---------------------------------------------------------------------------------------------------------


def expand(hll: bytes | bytearray) -> bytes:
    """All registers, a byte each. CorruptError if the runs do not add up to them. O(registers)."""
    codes = bytes(hll[HEADER_SIZE:])
    spans = codes.translate(_SPANS)
    runs: list[bytes] = []
    left = REGISTERS
    at = 0
    while at < len(codes):
        long_run = spans.find(_LONG, at)
        stop = len(codes) if long_run < 0 else long_run
        if stop - at > left:
            break  # every opcode covers something
        run = b"".join(map(_EXPANDED.__getitem__, codes[at:stop]))
        runs.append(run)
        left -= len(run)
        at = stop
        if stop == long_run:
            zeros = _long_span(hll, HEADER_SIZE + at)
            runs.append(bytes(zeros))
            left -= zeros
            at += 2
        if left < 0:
            break
    if left or at < len(codes):
        raise CorruptError("the runs do not add up to all registers")
    return b"".join(runs)


def decode(hll: bytes | bytearray) -> bytes:
    """The opcodes in writing: `Z:1000 v:2,1 z:19`. O(size). PFDEBUG DECODE."""
    words: list[bytes] = []
    at = HEADER_SIZE
    while at < len(hll):
        opcode, span = hll[at], _SPANS[hll[at]]
        if opcode & _VALUE_BIT:
            words.append(b"v:%d,%d" % (value_of(opcode), span))
        elif span == _LONG:
            words.append(b"Z:%d" % _long_span(hll, at))
            at += 1
        else:
            words.append(b"z:%d" % span)
        at += 1
    return b" ".join(words)


class Place(NamedTuple):
    """An opcode, found by walking."""

    at: int
    """Where it stands."""
    first: int
    """The first register that it covers."""
    before: int
    """Where the opcode before it stands; itself if it is the first one that was walked over."""
    before_first: int


def find(hll: bytes | bytearray, index: int, at: int = HEADER_SIZE, first: int = 0) -> Place:
    """The opcode that covers a register, walking from the opcode at `at`, whose first register is `first`. O(size).

    CorruptError if there is none.
    """
    before, before_first = at, first
    end = len(hll)
    while at < end:
        spans = hll[at : at + _BLOCK].translate(_SPANS)
        short = spans.find(_LONG)
        if short == 0:
            span = _long_span(hll, at)
            if index < first + span:
                return Place(at, first, before, before_first)
            before, before_first = at, first
            at += 2
            first += span
            continue
        if short > 0:
            spans = spans[:short]
        covered = sum(spans)
        if index >= first + covered:
            at += len(spans)
            first += covered
            before, before_first = at - 1, first - spans[-1]
            continue
        for span in spans:
            if index < first + span:
                return Place(at, first, before, before_first)
            before, before_first = at, first
            at += 1
            first += span
    raise CorruptError("no run covers the register")


def _long_span(hll: bytes | bytearray, at: int) -> int:
    low = hll[at + 1] if at + 1 < len(hll) else 0
    return ((hll[at] & 0x3F) << 8 | low) + 1


# --- Writing ---------------------------------------------------------------------------------------------------------


def set_register(
    hll: bytearray, index: int, value: int, most_bytes: int, near: Place | None = None
) -> tuple[str, Place | None]:
    """Raise a register to `value` if it is lower: CHANGED, UNCHANGED, or TOO_LARGE and then nothing is done.

    Beside the outcome comes where it happened: given back as `near` of a larger index, it saves the walk, so that
    setting all registers in ascending order is O(size + registers); without it, O(size). CorruptError if no run covers
    the register.
    """
    if value > LARGEST:
        return TOO_LARGE, None
    place = find(hll, index) if near is None else find(hll, index, near.before, near.before_first)
    if near is not None and place.at == near.before != HEADER_SIZE:
        place = find(hll, index)  # what is before it was not walked over
    at, first = place.at, place.first
    opcode = hll[at]
    span = _SPANS[opcode]
    if opcode & _VALUE_BIT and value_of(opcode) >= value:
        return UNCHANGED, place

    if span == 1:
        hll[at] = _value_run(value, 1)
    else:
        size = 2 if span == _LONG else 1
        last = first + (_long_span(hll, at) if span == _LONG else span) - 1
        runs = _cut(opcode, index - first, value, last - index)
        length = len(hll) + len(runs) - size
        if len(runs) > size and length > most_bytes:
            return TOO_LARGE, None
        hll[at : at + size] = runs
        del hll[length:]  # the XZERO may have been cut off by the end
    _merge(hll, place.before)
    return CHANGED, place


def _cut(opcode: int, left: int, value: int, right: int) -> bytes:
    """A run with one register of it raised, and so many left as they were on both sides."""
    return _run_like(opcode, left) + bytes((_value_run(value, 1),)) + _run_like(opcode, right)


def _run_like(opcode: int, length: int) -> bytes:
    if not length:
        return b""
    if opcode & _VALUE_BIT:
        return bytes((_value_run(value_of(opcode), length),))
    if length <= _ZERO_MOST:
        return bytes((length - 1,))
    return bytes((0x40 | length - 1 >> 8, length - 1 & 0xFF))


def _value_run(value: int, length: int) -> int:
    return _VALUE_BIT | value - 1 << 2 | length - 1


def _merge(hll: bytearray, at: int) -> None:
    """Join neighbouring VALs of the same value while they are short enough, looking at a few opcodes. O(size)."""
    for _ in range(_MERGED):
        if at >= len(hll):
            return
        opcode = hll[at]
        if not opcode & _VALUE_BIT:
            at += 2 if opcode & 0x40 else 1
            continue
        following = hll[at + 1] if at + 1 < len(hll) else 0
        if following & _VALUE_BIT and following >> 2 == opcode >> 2:
            length = _SPANS[opcode] + _SPANS[following]
            if length <= _VALUE_MOST:
                hll[at] = _value_run(value_of(opcode), length)
                del hll[at + 1]
                continue  # the joined run may go together with the next one as well
        at += 1
