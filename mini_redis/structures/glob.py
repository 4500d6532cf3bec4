"""Does this name match this pattern? The glob dialect of KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL patterns.

    *        any run of bytes, also none
    ?        one byte
    [abc]    one byte of a class; ranges (`a-z`, also written `z-a`), `^` first negates
    \\x       the byte x itself, inside a class too
    other    itself

A pattern never fails to parse. The odd ends are part of the protocol, since clients rely on them knowingly or not:

- a class that is never closed ends with the pattern: `[ab` is `[ab]`; `[` alone matches nothing and `[^` any byte;
- `[a-]` is the range from `a` to `]`, and so an unclosed class; `[]` is a class without members;
- a backslash at the very end stands for itself;
- bytes compare as signed characters in ranges, so `[\\x01-\\xff]` means from -1 to 1 (and when the case is ignored
  they pass through tolower(), which makes most of them positive again);
- ignoring the case lowers ASCII letters only, and not an escaped byte inside a class;
- nothing but an empty pattern matches the empty text, not even `*`. KEYS, SCAN and others treat the pattern `*` as "no
  pattern" before they come here;
- a pattern with more than a thousand separate stars (a last one not counted) matches nothing: Redis's protection
  against deep recursion.

Stars are what makes glob matching dangerous: tried naively, `a*a*a*a*b` takes time exponential in the number of stars.
Only the last star met ever has to be moved, because a longer match for an earlier one leaves less text to everything
that follows. So the time is at most len(pattern) * len(text).

There are two matchers, equal by property (spec/test_glob.py). `_walk` is the definition. Patterns that are not long are
instead translated once into a regular expression whose atomic groups `(?>...)` say "only the last star moves"; that
matches a million keys some twenty times faster. Verified against Redis 8.2.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_STAR, _QUESTION, _OPEN, _CLOSE, _CARET, _DASH, _BACKSLASH = b"*?[]^-\\"

MAX_STARS = 1000
_MAX_COMPILED_LENGTH = 256
"""A longer pattern is walked: compiling one costs some microseconds a byte, and a client may send megabytes."""

_EVERY_BYTE = frozenset(range(256))
_EXACTLY = [frozenset((byte,)) for byte in range(256)]
_IN_EITHER_CASE = [frozenset(bytes((byte,)).lower() + bytes((byte,)).upper()) for byte in range(256)]


def glob_match(pattern: bytes, text: bytes, nocase: bool = False) -> bool:
    """Tell whether the whole of `text` matches `pattern`; `nocase` ignores the case of ASCII letters.

    O(len(pattern) * len(text)) at worst. To match many texts take `glob_matcher` once. Source: `stringmatchlen` of
    Redis 8.2.3.
    """
    return bool(glob_matcher(pattern, nocase)(text))


def glob_matcher(pattern: bytes, nocase: bool = False) -> Callable[[bytes], object]:
    """Return a function that is truthy for the texts that match; for loops over many texts. Never raises.

    O(len(pattern)); the function itself costs what `glob_match` does.
    """
    if len(pattern) <= _MAX_COMPILED_LENGTH:
        return _compile(bytes(pattern), nocase)
    return lambda text: _walk(pattern, text, nocase)


def _walk(pattern: bytes, text: bytes, nocase: bool) -> bool:
    """Match by walking both once, with a single place to return to: behind the last star."""
    at, here = 0, 0
    behind_star, star_reaches = -1, 0
    stars = 0
    while here < len(text):
        if at < len(pattern):
            if pattern[at] == _STAR:
                at = _skip_stars(pattern, at)
                stars += 1
                if at == len(pattern):
                    return True
                if stars > MAX_STARS:
                    return False
                behind_star, star_reaches = at, here
                continue
            accepted, after = _read_one(pattern, at, nocase)
            if text[here] in accepted:
                at, here = after, here + 1
                continue
        if behind_star < 0:
            return False
        star_reaches += 1
        at, here = behind_star, star_reaches
    return at == len(pattern) if not text else _skip_stars(pattern, at) == len(pattern)


@lru_cache(maxsize=512)
def _compile(pattern: bytes, nocase: bool) -> Callable[[bytes], object]:
    """Translate to a regular expression: between two stars an atomic group that takes the earliest match."""
    segments: list[bytes] = []
    segment = b""
    at = 0
    while at < len(pattern):
        if pattern[at] == _STAR:
            segments.append(segment)
            segment = b""
            at = _skip_stars(pattern, at)
        else:
            accepted, at = _read_one(pattern, at, nocase)
            segment += _as_regex(accepted)
    segments.append(segment)

    match segments:
        case [only]:
            source = only
        case [b"", b""]:
            source = b".+"
        case [first, *middle, last]:
            source = first + b"".join(b"(?>.*?%b)" % part for part in middle) + b".*?" + last
    return re.compile(source, re.DOTALL).fullmatch


def _as_regex(accepted: frozenset[int]) -> bytes:
    if len(accepted) == 1:
        return re.escape(bytes(accepted))
    if len(accepted) == 256:
        return b"."
    if not accepted:
        return b"(?!)"
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in range(256) if byte in accepted)


def _skip_stars(pattern: bytes, at: int) -> int:
    while at < len(pattern) and pattern[at] == _STAR:
        at += 1
    return at


def _read_one(pattern: bytes, at: int, nocase: bool) -> tuple[frozenset[int], int]:
    """Read the element at `at` (not a star), which stands for one byte: what it accepts, and where the next begins."""
    byte = pattern[at]
    if byte == _QUESTION:
        return _EVERY_BYTE, at + 1
    if byte == _OPEN:
        return _read_class(pattern, at + 1, nocase)
    if byte == _BACKSLASH and at + 1 < len(pattern):
        at += 1
        byte = pattern[at]
    return (_IN_EITHER_CASE if nocase else _EXACTLY)[byte], at + 1


def _read_class(pattern: bytes, at: int, nocase: bool) -> tuple[frozenset[int], int]:
    """Read a class from behind its bracket."""
    negated = pattern[at : at + 1] == b"^"
    if negated:
        at += 1
    members: set[int] = set()
    end = len(pattern)
    while at < end and pattern[at] != _CLOSE:
        if pattern[at] == _BACKSLASH and at + 1 < end:
            members.add(pattern[at + 1])
            at += 2
        elif at + 2 < end and pattern[at + 1] == _DASH:
            members.update(_range_members(pattern[at], pattern[at + 2], nocase))
            at += 3
        else:
            members.update((_IN_EITHER_CASE if nocase else _EXACTLY)[pattern[at]])
            at += 1
    return (_EVERY_BYTE - members if negated else frozenset(members)), min(at + 1, end)


def _range_members(first: int, last: int, nocase: bool) -> list[int]:
    low, high = sorted((_as_signed(first), _as_signed(last)))
    if nocase:
        low, high = _lower(low), _lower(high)
        return [byte for byte in range(256) if low <= _lower(_as_signed(byte)) <= high]
    return [byte for byte in range(256) if low <= _as_signed(byte) <= high]


def _as_signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _lower(char: int) -> int:
    """C's tolower() on a signed character: negative ones come back positive, except -1, which means end of file."""
    if char < -1:
        return char + 256
    return char + 32 if 65 <= char <= 90 else char
