"""How does Redis hold this string: as an integer, embedded beside its key's object, or as a buffer of its own?

The value of a string key is plain `bytes` here, because a million plain `bytes` in a dict cost nothing to Python's
garbage collector. What Redis would say of it (OBJECT ENCODING) follows from the Python type and the content:

    bytes       as SET leaves it: `int` when it spells a signed 64 bit integer, else `embstr` up to 44 bytes, else `raw`
    Embstr      a result that Redis never tries to store as an integer: `embstr` up to 44 bytes, else `raw`
    bytearray   modified in place by APPEND, SETRANGE, SETBIT: `raw`, whatever it spells

INCRBYFLOAT is the reason for `Embstr`: its "10" is embedded where the "10" of SET is an integer. The difference is
visible in OBJECT ENCODING alone; reading and writing treat the three alike. Verified against Redis 8.2.3.
"""

from __future__ import annotations

from mini_redis.structures.numbers import is_canonical_integer

LONGEST_EMBEDDED = 44


class Embstr(bytes):
    """A string that is never taken for an integer by OBJECT ENCODING."""

    __slots__ = ()


def string_encoding(value: bytes | bytearray) -> str:
    """Return what OBJECT ENCODING says: "int", "embstr" or "raw". O(1)."""
    if isinstance(value, bytearray) or len(value) > LONGEST_EMBEDDED:
        return "raw"
    if not isinstance(value, Embstr) and is_canonical_integer(value):
        return "int"
    return "embstr"
