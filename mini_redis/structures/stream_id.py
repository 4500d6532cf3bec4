"""Stream ids: when an entry came, and which of that millisecond it is, as one number of 128 bits.

Question it answers: how do two numbers, written `ms-sequence`, become something that is compared and counted as one?

    1700000000000-3    =    1700000000000 << 64 | 3

The text has two parts, but an id is compared, and counted on, as a whole: after 5-18446744073709551615 comes 6-0.
As one number it needs no functions for that: `<`, `+ 1` and `- 1` are those of int, and sixteen bytes, most significant
first, are what Redis's radix tree is keyed by.

In requests either part may be left out or be special, and what that means hangs on the command:

    5         the sequence is the least one where a range begins, the greatest where it ends, else 0
    - and +   the least and the greatest id of all, where a range is asked for
    (5-1      a range without its end
    5-*       XADD: any sequence that is free in this millisecond

A part is read as C's strtoull does, so ` 5`, `+5` and `005` are 5, and a zero byte ends the text. Verified against
Redis 8.2.3.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

StreamId: TypeAlias = int

SEQUENCE_BITS: Final = 64
MAX_PART: Final = (1 << SEQUENCE_BITS) - 1
MIN_ID: Final[StreamId] = 0
MAX_ID: Final[StreamId] = (1 << 2 * SEQUENCE_BITS) - 1

_LONGEST: Final = 127
_LOOSE_NUMBER: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)").fullmatch


def make_id(ms: int, sequence: int) -> StreamId:
    """The id of a millisecond (unix time, usually) and a sequence number; both below 2**64. O(1)."""
    return ms << SEQUENCE_BITS | sequence


def id_text(entry_id: StreamId) -> bytes:
    """The id as it stands in replies: `ms-sequence`. O(1)."""
    return b"%d-%d" % (entry_id >> SEQUENCE_BITS, entry_id & MAX_PART)


def id_bytes(entry_id: StreamId) -> bytes:
    """The id as radix trees and files hold it. O(1)."""
    return entry_id.to_bytes(16, "big")


def parse_id(raw: bytes, missing_sequence: int = 0) -> StreamId | None:
    """Read `ms` or `ms-sequence`; None for everything else, `-` and `+` included. O(1)."""
    text = _c_text(raw)
    ms_text, dash, sequence_text = text.partition(b"-")
    ms = _parse_part(ms_text)
    sequence = _parse_part(sequence_text) if dash else missing_sequence
    if ms is None or sequence is None or len(raw) > _LONGEST:
        return None
    return ms << SEQUENCE_BITS | sequence


def parse_open_id(raw: bytes) -> int | None:
    """Read `ms-*`: the millisecond; None for everything else. O(1)."""
    text = _c_text(raw)
    return _parse_part(text[:-2]) if text.endswith(b"-*") and len(raw) <= _LONGEST else None


def parse_bound(raw: bytes, missing_sequence: int) -> StreamId | None:
    """As `parse_id`, but `-` and `+` are the least and the greatest id. O(1)."""
    text = _c_text(raw)
    if text == b"-":
        return MIN_ID
    return MAX_ID if text == b"+" else parse_id(raw, missing_sequence)


def _c_text(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0] if b"\0" in raw else raw


def _parse_part(text: bytes) -> int | None:
    if text.isdigit():
        number = int(text)
        return number if number <= MAX_PART else None
    found = _LOOSE_NUMBER(text)
    if found is None:
        return None
    number = int(found[2])
    if number > MAX_PART:
        return None
    if found[1] != b"-":
        return number
    # strtoull counts backwards from 2**64; but what is properly spelled as a negative number was refused before.
    proper = found[0][:1] == b"-" and found[2][:1] != b"0" and number <= 1 << 63
    return None if proper else -number & MAX_PART
