"""What a client wrote, as numbers: the parsing that commands of several groups share, with the errors they share.

Every function takes one word of a request and returns its value or raises the `ReplyError` that Redis would send.
"""

from __future__ import annotations

from mini_redis.resp.reply import NOT_AN_INTEGER, ReplyError
from mini_redis.structures.numbers import INT64_MAX, parse_integer

EXPIRY_UNITS: dict[bytes, tuple[int, bool]] = {
    b"EX": (1000, True),
    b"PX": (1, True),
    b"EXAT": (1000, False),
    b"PXAT": (1, False),
}
"""Option -> milliseconds in its unit, and whether it counts from now."""


def invalid_expire_time(command: bytes) -> ReplyError:
    """A TTL or date that is not positive, or not representable in 64 bits of milliseconds. `command` in lower case."""
    return ReplyError(b"ERR invalid expire time in '%b' command" % command)


def integer(raw: bytes, error: ReplyError = NOT_AN_INTEGER) -> int:
    """Read a signed 64 bit integer, or raise `error`."""
    number = parse_integer(raw)
    if number is None:
        raise error
    return number


def expiry(raw: bytes, unit: bytes, now_ms: int, command: bytes) -> int:
    """Read the argument of EX, PX, EXAT or PXAT as a date in unix ms; the date may be past."""
    number = integer(raw)
    unit_ms, counts_from_now = EXPIRY_UNITS[unit]
    at_ms = number * unit_ms + (now_ms if counts_from_now else 0)
    if number <= 0 or at_ms > INT64_MAX:
        raise invalid_expire_time(command)
    return at_ms
