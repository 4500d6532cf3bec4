"""CRC-64 as Redis computes it over snapshots and dumped values (the "Jones" polynomial, reflected, starting at 0).

Question it answers: how does a server know that a file it wrote last year is still what it wrote? It divides the bytes,
taken as one huge polynomial over two elements, by a fixed one and keeps the remainder. Any burst of errors up to 64
bits changes it for certain, anything else with a chance of 1 to 2**64 of going unnoticed.

A table of 256 remainders does eight divisions at once. Redis uses eight such tables and so takes eight bytes at once;
here each byte costs a step of the interpreter, about 0.1 us, which is enough for values but not for whole files.

A checksum protects from accidents. Who wants to deceive computes another one: that is what signatures are for.
"""

from __future__ import annotations

from typing import Final

POLYNOMIAL: Final = 0x95AC9329AC4BC9B5
"""0xAD93D23594C935A9 with its bits in reverse order."""


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ POLYNOMIAL if byte & 1 else byte >> 1
    return byte


_TABLE: Final = [_remainder(byte) for byte in range(256)]


def crc64(data: bytes, start: int = 0) -> int:
    """The checksum of `data`; `start` is that of what came before. O(n). crc64(b"123456789") is 0xE9C6D914C4B8D9CA."""
    crc = start
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc
