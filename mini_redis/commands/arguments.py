"""What a client wrote, as numbers: the parsing that commands of several groups share, with the errors they share.

Every function takes a word of a request, or some, and returns what they say or raises the `ReplyError` that Redis would
send.
"""

from __future__ import annotations

from mini_redis.resp.reply import (
    COUNT_OUT_OF_RANGE,
    NOT_AN_INTEGER,
    NUMKEYS_NOT_POSITIVE,
    OUT_OF_RANGE,
    SYNTAX_ERROR,
    ReplyError,
)
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN, parse_integer

BAD_COUNT = ReplyError(b"ERR count should be greater than 0")
NEGATIVE_LIMIT = ReplyError(b"ERR LIMIT can't be negative")

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


def at_least(least: int, raw: bytes, error: ReplyError) -> int:
    """Read a signed 64 bit integer that is not below `least`, or raise `error`."""
    number = integer(raw, error)
    if number < least:
        raise error
    return number


def one_of(word: bytes, meanings: dict[bytes, bool]) -> bool:
    """What one of two words means, in any case. Raises SYNTAX_ERROR if it is neither."""
    meaning = meanings.get(word.upper())
    if meaning is None:
        raise SYNTAX_ERROR
    return meaning


def mpop_words(words: list[bytes], ends: dict[bytes, bool]) -> tuple[list[bytes], bool, int]:
    """`numkeys key ... end [COUNT count]` of LMPOP, ZMPOP and their like: the keys, what `ends` says of the end, the
    count. Raises NUMKEYS_NOT_POSITIVE, SYNTAX_ERROR, BAD_COUNT."""
    numkeys = at_least(1, words[0], NUMKEYS_NOT_POSITIVE)
    if numkeys + 1 >= len(words):
        raise SYNTAX_ERROR
    end = one_of(words[numkeys + 1], ends)
    options, count = words[numkeys + 2 :], 1
    if options:
        if len(options) < 2 or options[0].upper() != b"COUNT":
            raise SYNTAX_ERROR
        count = at_least(1, options[1], BAD_COUNT)
        if len(options) > 2:
            raise SYNTAX_ERROR
    return words[1 : numkeys + 1], end, count


def limit_of(options: list[bytes]) -> int:
    """`[LIMIT limit]` of SINTERCARD and ZINTERCARD; 0 without. Raises SYNTAX_ERROR, NEGATIVE_LIMIT."""
    limit = 0
    for at in range(0, len(options), 2):
        if options[at].upper() != b"LIMIT" or at + 1 == len(options):
            raise SYNTAX_ERROR
        limit = at_least(0, options[at + 1], NEGATIVE_LIMIT)
    return limit


def count_of_drawn(words: list[bytes], with_what: bytes = b"") -> tuple[int, bool]:
    """`count [WITHSCORES]` of ZRANDMEMBER and its like: the count, and whether `with_what` is said.

    Raises SYNTAX_ERROR; NOT_AN_INTEGER; COUNT_OUT_OF_RANGE or OUT_OF_RANGE where Redis could not compute with it.
    """
    count = integer(words[0])
    if count == INT64_MIN:
        raise COUNT_OUT_OF_RANGE
    if len(words) == 1:
        return count, False
    if len(words) > 2 or words[1].upper() != with_what:
        raise SYNTAX_ERROR
    if not -(INT64_MAX // 2) <= count <= INT64_MAX // 2:
        raise OUT_OF_RANGE
    return count, True


def expiry(raw: bytes, unit: bytes, now_ms: int, command: bytes) -> int:
    """Read the argument of EX, PX, EXAT or PXAT as a date in unix ms; the date may be past."""
    number = integer(raw)
    unit_ms, counts_from_now = EXPIRY_UNITS[unit]
    at_ms = number * unit_ms + (now_ms if counts_from_now else 0)
    if number <= 0 or at_ms > INT64_MAX:
        raise invalid_expire_time(command)
    return at_ms
