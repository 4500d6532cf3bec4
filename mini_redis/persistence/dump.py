"""The answer of DUMP: one value under a seal, which RESTORE breaks on another server or in another year.

    form (1)   value (forms.py)   RDB version (2)   CRC-64 of all before (8)

FUNCTION DUMP puts the same seal under all libraries (scripting/function_dump.py).

The version says what the reader must know; a newer one than ours is refused, any older one is read. The checksum finds
what the way has done to the bytes. It is no protection against who wants to deceive: whoever can change the bytes can
seal them again, and so the value is checked as if there were no seal.

RESTORE of Redis reads a value that is cut on into the seal (of ten zero bytes it makes an empty string). Here a value
ends where the seal begins. What is left between them is ignored by both.
"""

from __future__ import annotations

from typing import Final

from mini_redis.keyspace.types import Value
from mini_redis.persistence.forms import RDB_VERSION, pack_value, read_value
from mini_redis.persistence.strings import Damaged, Reader
from mini_redis.persistence.values import Thresholds
from mini_redis.resp.reply import ReplyError
from mini_redis.structures.crc64 import crc64

WRONG_SEAL = ReplyError(b"ERR DUMP payload version or checksum are wrong")
BAD_DATA = ReplyError(b"ERR Bad data format")

_VERSION_BYTES: Final = 2
_CHECKSUM_BYTES: Final = 8
_SEAL: Final = _VERSION_BYTES + _CHECKSUM_BYTES


def dump(value: Value, compressing: bool) -> bytes:
    """Put a value under a seal; `compressing` is `rdbcompression`. O(size)."""
    form, body = pack_value(value, compressing)
    return seal(bytes((form,)) + body)


def restore(payload: bytes, thresholds: Thresholds, *, checked: bool = True) -> Value:
    """The value under a seal. Raises ReplyError if the seal is broken or unknown, or the value is damaged. O(size)."""
    reader = Reader(unseal(payload, checked=checked))
    try:
        return read_value(reader.byte(), reader, thresholds)
    except Damaged:
        raise BAD_DATA from None


def seal(body: bytes) -> bytes:
    """The bytes with version and checksum behind them. O(size)."""
    sealed = body + RDB_VERSION.to_bytes(_VERSION_BYTES, "little")
    return sealed + crc64(sealed).to_bytes(_CHECKSUM_BYTES, "little")


def unseal(payload: bytes, *, checked: bool = True) -> bytes:
    """What stands before the seal. Raises WRONG_SEAL if that is of a version that is not known, or, if it is to be
    `checked`, broken. O(size)."""
    body, told = payload[:-_SEAL], payload[-_SEAL:]
    version = int.from_bytes(told[:_VERSION_BYTES], "little")
    checksum = int.from_bytes(told[_VERSION_BYTES:], "little")
    if len(payload) < _SEAL or version > RDB_VERSION:
        raise WRONG_SEAL
    if checked and crc64(payload[:-_CHECKSUM_BYTES]) != checksum:
        raise WRONG_SEAL
    return body
