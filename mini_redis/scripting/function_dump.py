"""FUNCTION DUMP and RESTORE: all libraries as one payload, in the form that RDB files have for them.

    245  code  245  code ...   RDB version (2 bytes, little-endian)   CRC-64 of all before (8 bytes, little-endian)

A code is a string of RDB: its length in one, two, five or nine bytes, then its bytes; or compressed (LZF), with both
lengths; or, as any short number could be, an integer of 1, 2 or 4 bytes.

Nothing of a payload is believed before its checksum is right, and no length afterwards: whoever can compute a CRC can
write what he likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mini_redis.resp.reply import ReplyError
from mini_redis.structures.crc64 import crc64
from mini_redis.structures.lzf import SHORTEST_WORTHWHILE, compress, decompress

RDB_VERSION: Final = 12
FUNCTION: Final = 0xF5
FUNCTION_BEFORE_7: Final = 0xF6
FOOTER: Final = 10
MOST_BYTES: Final = 512 * 1024 * 1024

_FOUR_BYTES, _EIGHT_BYTES = 0x80, 0x81
_INTEGERS: Final = {0xC0: 1, 0xC1: 2, 0xC2: 4}
_COMPRESSED: Final = 0xC3

WRONG_PAYLOAD: Final = ReplyError(b"ERR DUMP payload version or checksum are wrong")
NOT_LIBRARIES: Final = ReplyError(b"ERR given type is not a function")
TOO_OLD: Final = ReplyError(b"ERR Pre-GA function format not supported")
DAMAGED: Final = ReplyError(b"ERR Failed loading library payload")


def dump(codes: Iterable[bytes], compressing: bool) -> bytes:
    """The libraries of these codes as one payload. O(bytes), a microsecond each if `compressing`."""
    body = b"".join(bytes((FUNCTION,)) + _string(code, compressing) for code in codes)
    body += RDB_VERSION.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def codes_of(payload: bytes) -> Iterator[bytes]:
    """The codes in a payload. Raises WRONG_PAYLOAD before the first, others where they are wrong. O(bytes)."""
    body = payload[:-8]
    version = int.from_bytes(body[-2:], "little")
    if len(payload) < FOOTER or version > RDB_VERSION or crc64(body) != int.from_bytes(payload[-8:], "little"):
        raise WRONG_PAYLOAD
    reader = _Reader(body[:-2])
    while reader.left:
        opcode = reader.byte()
        if opcode == FUNCTION_BEFORE_7:
            raise TOO_OLD
        if opcode != FUNCTION:
            raise NOT_LIBRARIES
        yield reader.string()


def _length(size: int) -> bytes:
    if size < 1 << 6:
        return bytes((size,))
    return (0x4000 | size).to_bytes(2, "big") if size < 1 << 14 else bytes((_FOUR_BYTES,)) + size.to_bytes(4, "big")


def _string(text: bytes, compressing: bool) -> bytes:
    packed = compress(text, len(text) - 4) if compressing and len(text) >= SHORTEST_WORTHWHILE else None
    if packed is None:
        return _length(len(text)) + text
    return bytes((_COMPRESSED,)) + _length(len(packed)) + _length(len(text)) + packed


class _Reader:
    """A position in bytes of a stranger's. Raises DAMAGED where they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def byte(self) -> int:
        return self._take(1)[0]

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise DAMAGED
        self._at += size
        return self._data[self._at - size : self._at]

    def _length(self, first: int) -> int:
        if first < 1 << 6:
            return first
        if first < _FOUR_BYTES:
            return (first & 0x3F) << 8 | self.byte()
        if first in (_FOUR_BYTES, _EIGHT_BYTES):
            return int.from_bytes(self._take(4 if first == _FOUR_BYTES else 8), "big")
        raise DAMAGED

    def string(self) -> bytes:
        first = self.byte()
        if first in _INTEGERS:
            return b"%d" % int.from_bytes(self._take(_INTEGERS[first]), "little", signed=True)
        if first != _COMPRESSED:
            return self._take(self._length(first))
        packed, size = self._length(self.byte()), self._length(self.byte())
        if size > MOST_BYTES:
            raise DAMAGED
        try:
            return decompress(self._take(packed), size)
        except ValueError:
            raise DAMAGED from None
