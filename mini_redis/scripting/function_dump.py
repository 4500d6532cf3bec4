"""FUNCTION DUMP and RESTORE: all libraries as one payload, in the form that RDB files have for them.

    245  code  245  code ...   the seal of DUMP (persistence/dump.py)

A code is a string of RDB (persistence/strings.py).

Nothing of a payload is believed before its checksum is right, and no length afterwards: whoever can compute a CRC can
write what he likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mini_redis.persistence.dump import seal, unseal
from mini_redis.persistence.strings import Damaged, Reader, Writer
from mini_redis.resp.reply import ReplyError

FUNCTION: Final = 0xF5
FUNCTION_BEFORE_7: Final = 0xF6

NOT_LIBRARIES: Final = ReplyError(b"ERR given type is not a function")
TOO_OLD: Final = ReplyError(b"ERR Pre-GA function format not supported")
DAMAGED: Final = ReplyError(b"ERR Failed loading library payload")


def dump(codes: Iterable[bytes], compressing: bool) -> bytes:
    """The libraries of these codes as one payload. O(bytes), a microsecond each if `compressing`."""
    writer = Writer(compressing)
    for code in codes:
        writer.out.append(FUNCTION)
        writer.string(code)
    return seal(bytes(writer.out))


def codes_of(payload: bytes, *, checked: bool = True) -> Iterator[bytes]:
    """The codes in a payload. Raises WRONG_SEAL before the first, others where they are wrong. O(bytes)."""
    reader = Reader(unseal(payload, checked=checked))
    while reader.left:
        opcode = reader.byte()
        if opcode == FUNCTION_BEFORE_7:
            raise TOO_OLD
        if opcode != FUNCTION:
            raise NOT_LIBRARIES
        try:
            code = reader.string()
        except Damaged:
            raise DAMAGED from None
        yield code
