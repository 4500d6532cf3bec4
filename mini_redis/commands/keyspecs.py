"""Where are the keys in a command? Three locators answer for nearly every command, so that nobody has to run it.

ACL rules, cluster redirection, COMMAND GETKEYS and client libraries ask this before a command is executed. A
declaration says it with key specifications, each in two steps. First, where the search begins:

    at an index             SET key ...                     key_at(1, ...), key_range(1, -1, ...), counted_keys(1, ...)
    after a word            XREAD ... STREAMS key ...       key_after("STREAMS", 1, ...)
    not to be said          SORT ... STORE key              unknown_keys(...)

then, which words from there on are keys: a range (`last` counts from the first key if it is not negative, else from the
end of the call; `step` skips values; with `limit` 2 only the first half), or as many as a count standing there tells
(`counted_keys`).

Each specification also tells what happens to its keys. One of `RO RW OW RM` (read only, read-write, overwrite, remove)
speaks of the value's bookkeeping, `access update insert delete` of the user's data: whether it is revealed, changed,
added to, removed. `not_key` marks words that look like keys to the cluster only (SPUBLISH's channel), `incomplete` that
some keys are missed, and `variable_flags` that the flags depend on the call; for the last two a function of the call
decides, such as `keys_of_set`.

Only `locate` interprets specifications; a call they do not fit (a count larger than the call) has no keys, and COMMAND
GETKEYS calls it invalid. As in Redis 8.2.3: any one specification that does not fit spoils all of them, an absent word
does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

RO: Final = 1 << 0
RW: Final = 1 << 1
OW: Final = 1 << 2
RM: Final = 1 << 3
ACCESS: Final = 1 << 4
UPDATE: Final = 1 << 5
INSERT: Final = 1 << 6
DELETE: Final = 1 << 7
NOT_KEY: Final = 1 << 8
INCOMPLETE: Final = 1 << 9
VARIABLE_FLAGS: Final = 1 << 10

NAME_OF_KEY_FLAG: Final[dict[int, str]] = {
    RO: "RO",
    RW: "RW",
    OW: "OW",
    RM: "RM",
    ACCESS: "access",
    UPDATE: "update",
    INSERT: "insert",
    DELETE: "delete",
    NOT_KEY: "not_key",
    INCOMPLETE: "incomplete",
    VARIABLE_FLAGS: "variable_flags",
}
"""Each flag's name, in the order in which they are sent."""

_KEY_FLAG_OF_NAME: Final = {name: flag for flag, name in NAME_OF_KEY_FLAG.items()}

Positions: TypeAlias = list[tuple[int, int]]
"""(index into argv, key flags) of each key, in the order of the specifications."""

GetKeys: TypeAlias = Callable[[Sequence[bytes]], Positions]


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key specification; made by the functions below."""

    flags: int
    begin: int | str | None
    """An index, a word to look for, or None if unknown."""
    start: int = 0
    """Where the search for the word starts; negative: from the end, backwards."""
    counted: bool = False
    """Whether a count stands where the search began, and the keys after it."""
    last: int = 0
    step: int = 1
    limit: int = 0
    notes: str = ""

    @property
    def movable(self) -> bool:
        """Whether first, last and step of the old COMMAND reply cannot describe it."""
        return self.counted or not isinstance(self.begin, int)


def key_at(index: int, flags: str, *, notes: str = "") -> KeySpec:
    """One key at a fixed place."""
    return KeySpec(key_flags(flags), index, notes=notes)


def key_range(index: int, last: int, flags: str, *, step: int = 1, notes: str = "") -> KeySpec:
    """Keys from `index` on; `last` counts from the first key, or from the call's end if negative."""
    return KeySpec(key_flags(flags), index, last=last, step=step, notes=notes)


def counted_keys(index: int, flags: str, *, notes: str = "") -> KeySpec:
    """A count at `index`, and so many keys after it."""
    return KeySpec(key_flags(flags), index, counted=True, notes=notes)


def key_after(
    word: str, start: int, flags: str, *, last: int = 0, step: int = 1, limit: int = 0, notes: str = ""
) -> KeySpec:
    """Keys after `word`, which is looked for from `start` on (if negative, from the end backwards)."""
    return KeySpec(key_flags(flags), word, start=start, last=last, step=step, limit=limit, notes=notes)


def unknown_keys(flags: str, *, notes: str = "") -> KeySpec:
    """Keys that no rule finds; the declaration needs `getkeys` if they matter."""
    return KeySpec(key_flags(flags), None, notes=notes)


def key_flags(names: str) -> int:
    """`"RW access update"` as an int."""
    flags = 0
    for name in names.split():
        flags |= _KEY_FLAG_OF_NAME[name]
    return flags


def key_flag_names(flags: int) -> list[str]:
    """The names of the flags, in protocol order."""
    return [name for flag, name in NAME_OF_KEY_FLAG.items() if flags & flag]


def locate(specs: Sequence[KeySpec], argv: Sequence[bytes]) -> Positions | None:
    """Find the keys of a call; None where a specification does not fit it or cannot tell. O(len(argv))."""
    positions: Positions = []
    for spec in specs:
        if spec.flags & NOT_KEY:
            continue
        if spec.begin is None or spec.flags & (INCOMPLETE | VARIABLE_FLAGS):
            return None
        first = spec.begin if isinstance(spec.begin, int) else _index_after_word(spec.begin, spec.start, argv)
        if first is None:
            continue
        found = _counted(first, argv) if spec.counted else _range(spec, first, len(argv))
        if not found:
            return None
        positions += [(index, spec.flags) for index in found]
    return positions


def _index_after_word(word: str, start: int, argv: Sequence[bytes]) -> int | None:
    wanted = word.lower().encode()
    argc = len(argv)
    # Searching backwards stops before the command's name and never looks at index 1, as in Redis.
    indices = range(start, argc - 1) if start > 0 else range(argc + start, 1, -1)
    for index in indices:
        if argv[index].lower() == wanted:
            return index + 1
    return None


def _range(spec: KeySpec, first: int, argc: int) -> range:
    """The indices of a range of keys, empty if it leaves the call."""
    if spec.last >= 0:
        last = first + spec.last
    elif spec.limit:
        last = first + (argc - first) // spec.limit + spec.last
    else:
        last = argc + spec.last
    if not first <= last < argc:
        return range(0)
    return range(first, last + 1, spec.step)


def _counted(at: int, argv: Sequence[bytes]) -> range:
    """The indices of the keys that the count at `at` announces, empty if it is no count or leaves the call."""
    return _following(at, argv, _COUNT)


def keys_of_sloppy_count(specs: Sequence[KeySpec], argv: Sequence[bytes]) -> Positions:
    """Find the keys of a counted call whose count is spelled in no proper way (`01`, `2x`): Redis's second try.

    It reads the count as C's atoi does, tells no flags, and names the key that is written to last.
    """
    counted = [spec for spec in specs if spec.counted]
    if not counted or not isinstance(counted[0].begin, int):
        return []
    found = _following(counted[0].begin, argv, _LEADING_COUNT)
    fixed = [spec.begin for spec in specs if not spec.counted and isinstance(spec.begin, int)]
    return [(index, 0) for index in (*found, *fixed)] if found else []


_COUNT: Final = re.compile(rb"[1-9][0-9]{0,17}\Z")
_LEADING_COUNT: Final = re.compile(rb"\s*\+?[0-9]{1,18}")


def _following(at: int, argv: Sequence[bytes], notation: re.Pattern[bytes]) -> range:
    number = notation.match(argv[at]) if at < len(argv) else None
    count = int(number[0]) if number else 0
    return range(at + 1, at + 1 + count) if at + count < len(argv) else range(0)


def keys_of_set(argv: Sequence[bytes]) -> Positions:
    """SET reveals the old value only with GET."""
    if any(word.lower() == b"get" for word in argv[3:]):
        return [(1, RW | ACCESS | UPDATE)]
    return [(1, OW | UPDATE)]


def keys_of_bitfield(argv: Sequence[bytes]) -> Positions:
    """BITFIELD only reads if all its operations are GETs; one that cannot be told is taken for a write."""
    at = 2
    while at < len(argv):
        word, left = argv[at].lower(), len(argv) - at - 1
        if word == b"get" and left >= 2:
            at += 3
        elif word == b"overflow" and left >= 1:
            at += 2
        else:
            return [(1, RW | ACCESS | UPDATE)]
    return [(1, RO | ACCESS)]


def keys_of_xread(argv: Sequence[bytes]) -> Positions:
    """XREAD and XREADGROUP where a group or a consumer is itself called STREAMS: options read in order, no flags."""
    at = 1
    while at < len(argv) and (step := _OPTIONS_OF_XREAD.get(argv[at].lower())):
        at += step
    left = len(argv) - at - 1
    if at >= len(argv) or argv[at].lower() != b"streams" or left % 2:
        return []
    return [(index, 0) for index in range(at + 1, at + 1 + left // 2)]


_OPTIONS_OF_XREAD: Final = {b"block": 2, b"count": 2, b"group": 3, b"noack": 1}
"""Option -> how many words it is."""
