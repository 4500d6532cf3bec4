"""The types that a configuration parameter can have: reading, showing and writing down a value.

Each kind answers three questions about its values: is this text one (`parse`, which raises `BadValue` with Redis's
words), what does CONFIG GET say (`show`), and which lines stand for it in redis.conf (`rewrite`). Values themselves are
plain Python: bool, int, bytes, tuples and dicts of those; nothing else in the server has to know how they are spelled.

The oddities are Redis's and on purpose, since each error text and each accepted value is compared with it: a plain
integer must be canonical (`01` is refused) but a memory size need not be (`01kb` is 1024, and `` and `kb` are 0);
memory sizes wrap at 64 bits; the times of `save` are cut to 32. Verified against Redis 8.2.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from mini_redis.keyspace.notifications import format_flags, parse_flags
from mini_redis.resp.parser import quoted
from mini_redis.structures.numbers import INT64_MAX, INT64_MIN, parse_double, parse_integer

T = TypeVar("T")

INT_MAX: Final = 2**31 - 1
UINT_MAX: Final = 2**32 - 1

Lines = list[tuple[bytes, bool]]
"""Lines of redis.conf, each with: must it be there even if the file does not mention the directive?"""


class BadValue(Exception):
    """Not a value of this kind; `reason` is the end of Redis's error message."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason.decode("utf-8", "replace"))
        self.reason = reason


class Kind(Generic[T]):
    """What all kinds share. With `many`, a directive has any number of arguments, else exactly one."""

    many = False

    def parse(self, arguments: Sequence[bytes], current: T) -> T:
        """The value that `arguments` stand for; `current` is what some kinds add to. Raises BadValue."""
        raise AssertionError("every kind has its own")

    def show(self, value: T) -> bytes:
        """The value as CONFIG GET answers it."""
        raise AssertionError("every kind has its own")

    def rewrite(self, name: bytes, value: T, default: T) -> Lines:
        """The value as lines of redis.conf."""
        return [(name + b" " + self.show(value), value != default)]


class YesNo(Kind[bool]):
    def parse(self, arguments: Sequence[bytes], current: bool) -> bool:
        word = arguments[0].lower()
        if word not in (b"yes", b"no"):
            raise BadValue(b"argument must be 'yes' or 'no'")
        return word == b"yes"

    def show(self, value: bool) -> bytes:
        return b"yes" if value else b"no"


class Integer(Kind[int]):
    """An integer with inclusive bounds. What an accepted number is then limited to is `clamp`."""

    refusal = b"argument couldn't be parsed into an integer"

    def __init__(self, low: int, high: int, *, unsigned: bool = False, clamp: tuple[int, int] | None = None) -> None:
        self.low, self.high, self.unsigned, self.clamp = low, high, unsigned, clamp

    def parse(self, arguments: Sequence[bytes], current: int) -> int:
        number = self.read(arguments[0])
        if number is None:
            raise BadValue(self.refusal)
        self.check(number)
        return min(max(number, self.clamp[0]), self.clamp[1]) if self.clamp else number

    def read(self, text: bytes) -> int | None:
        return parse_integer(text)

    def check(self, number: int) -> None:
        if self.unsigned and number < 0:
            raise BadValue(b"argument must be greater or equal to 0")
        if not self.low <= number <= self.high:
            bounds = self.spell(self.low), self.spell(self.high)
            raise BadValue(b"argument must be between %b and %b inclusive" % bounds)

    def spell(self, number: int) -> bytes:
        return b"%d" % number

    def show(self, value: int) -> bytes:
        return self.spell(value)


class Octal(Integer):
    """File permissions."""

    refusal = b"argument couldn't be parsed as an octal number"

    def read(self, text: bytes) -> int | None:
        found = re.fullmatch(rb"[ \t\n\v\f\r]*([+-]?[0-7]+)|", text)
        number = int(found[1] or b"0", 8) if found else None
        return number if number is not None and INT64_MIN <= number <= INT64_MAX else None

    def spell(self, number: int) -> bytes:
        return b"%o" % number


class Memory(Integer):
    """Bytes, with a unit if one likes: k is 1000, kb is 1024, likewise m, mb, g, gb."""

    refusal = b"argument must be a memory value"

    def read(self, text: bytes) -> int | None:
        size = parse_memory(text)
        return size - 2**64 if size is not None and size > INT64_MAX else size

    def rewrite(self, name: bytes, value: int, default: int) -> Lines:
        return [(name + b" " + format_memory(value), value != default)]


class MemoryOrPercent(Memory):
    """Bytes, or a share of maxmemory; a share of 5% is the value -5."""

    refusal = b"argument must be a memory or percent value"

    def read(self, text: bytes) -> int | None:
        if text.endswith(b"%"):
            percent = parse_integer(text[:-1])
            return -percent if percent is not None and percent >= 0 else None
        return super().read(text)

    def check(self, number: int) -> None:
        if number < self.low:
            raise BadValue(b"percentage argument must be less or equal to %d" % -self.low)
        super().check(max(number, 0))

    def show(self, value: int) -> bytes:
        return b"%d%%" % -value if value < 0 else b"%d" % value

    def rewrite(self, name: bytes, value: int, default: int) -> Lines:
        shown = self.show(value) if value < 0 else format_memory(value)
        return [(name + b" " + shown, value != default)]


class Choice(Kind[bytes]):
    """One of some words. `same` maps a word to another that means the same and is shown instead."""

    def __init__(self, words: str, same: dict[bytes, bytes] | None = None) -> None:
        self.words = tuple(words.encode().split())
        self.same = same or {}

    def parse(self, arguments: Sequence[bytes], current: bytes) -> bytes:
        word = arguments[0].lower() if len(arguments) == 1 else b""
        if word not in self.words:
            raise self.refusal()
        return self.same.get(word, word)

    def refusal(self) -> BadValue:
        return BadValue(b"argument(s) must be one of the following: " + b", ".join(self.words))

    def show(self, value: bytes) -> bytes:
        return value


class Options(Kind[tuple[bytes, ...]]):
    """Any combination of words, kept in the order of the declaration; the first word means none of them."""

    many = True

    def __init__(self, words: str, valid: Callable[[tuple[bytes, ...]], None]) -> None:
        self.choice = Choice(words)
        self.valid = valid

    def parse(self, arguments: Sequence[bytes], current: tuple[bytes, ...]) -> tuple[bytes, ...]:
        given = [word.lower() for word in arguments]
        words = self.choice.words
        if not given or not all(word in words for word in given):
            raise self.choice.refusal()
        value = tuple(word for word in words[1:] if word in given)
        self.valid(value)
        return value

    def show(self, value: tuple[bytes, ...]) -> bytes:
        return b" ".join(value) or self.choice.words[0]


class Text(Kind[bytes]):
    """A text that `valid` does not refuse. Without `keep_empty`, empty means absent: no line in redis.conf.

    Like C's, a text ends before its first zero byte, unless it is `binary`.
    """

    def __init__(
        self, valid: Callable[[bytes], None] | None = None, *, keep_empty: bool = False, binary: bool = False
    ) -> None:
        self.valid = valid
        self.keep_empty = keep_empty
        self.binary = binary

    def parse(self, arguments: Sequence[bytes], current: bytes) -> bytes:
        if self.valid:
            self.valid(arguments[0])
        return arguments[0] if self.binary else arguments[0].partition(b"\0")[0]

    def show(self, value: bytes) -> bytes:
        return value

    def rewrite(self, name: bytes, value: bytes, default: bytes) -> Lines:
        if not value and not self.keep_empty:
            return []
        return [(name + b" " + quoted(value), value != default)]


class Directory(Text):
    """`dir` is written down always, since a relative path elsewhere in the file would mean nothing without it."""

    def rewrite(self, name: bytes, value: bytes, default: bytes) -> Lines:
        return [(name + b" " + quoted(value), True)] if value else []


class KeyspaceEvents(Kind[int]):
    def parse(self, arguments: Sequence[bytes], current: int) -> int:
        try:
            return parse_flags(arguments[0])
        except ValueError as error:
            raise BadValue(str(error).encode()) from None

    def show(self, value: int) -> bytes:
        return format_flags(value)

    def rewrite(self, name: bytes, value: int, default: int) -> Lines:
        return [(name + b" " + quoted(self.show(value)), value != default)]


class Bind(Kind[tuple[bytes, ...]]):
    """Addresses to listen on; `-` before one means that it may be missing."""

    many = True

    def parse(self, arguments: Sequence[bytes], current: tuple[bytes, ...]) -> tuple[bytes, ...]:
        if len(arguments) > 16:
            raise BadValue(b"Too many bind addresses specified.")
        return () if list(arguments) == [b""] else tuple(arguments)

    def show(self, value: tuple[bytes, ...]) -> bytes:
        return b" ".join(value)

    def rewrite(self, name: bytes, value: tuple[bytes, ...], default: tuple[bytes, ...]) -> Lines:
        if value == default:
            return []
        return [(name + b" " + (self.show(value) or b'""'), True)]


class SavePoint(NamedTuple):
    """Save when `changes` have happened and `seconds` have passed."""

    seconds: int
    changes: int


class SavePoints(Kind[tuple[SavePoint, ...]]):
    """Pairs of seconds and changes, added to those that there are; a single empty argument removes all."""

    many = True

    def parse(self, arguments: Sequence[bytes], current: tuple[SavePoint, ...]) -> tuple[SavePoint, ...]:
        if list(arguments) == [b""]:
            return ()
        numbers = [_strtoll(argument) for argument in arguments]
        points = list(zip(numbers[::2], numbers[1::2], strict=False))
        good = [SavePoint(a, _as_c_int(b)) for a, b in points if a is not None and b is not None and a >= 1 and b >= 0]
        if len(good) * 2 != len(numbers):
            raise BadValue(b"Invalid save parameters")
        return (*current, *good)

    def show(self, value: tuple[SavePoint, ...]) -> bytes:
        return b" ".join(b"%d %d" % point for point in value)

    def rewrite(self, name: bytes, value: tuple[SavePoint, ...], default: tuple[SavePoint, ...]) -> Lines:
        return [(name + b" %d %d" % point, True) for point in value] or [(name + b' ""', True)]


class OutputLimit(NamedTuple):
    """A client is closed above `hard` bytes of unsent replies, or above `soft` for `seconds`; 0 is no limit."""

    hard: int
    soft: int
    seconds: int


class OutputLimits(Kind[dict[bytes, OutputLimit]]):
    """One limit for each class of clients: normal, slave, pubsub. Classes that are not mentioned keep theirs."""

    many = True
    classes: Final = {b"normal": b"normal", b"slave": b"slave", b"replica": b"slave", b"pubsub": b"pubsub"}

    def parse(self, arguments: Sequence[bytes], current: dict[bytes, OutputLimit]) -> dict[bytes, OutputLimit]:
        if len(arguments) % 4:
            raise BadValue(b"Wrong number of arguments in buffer limit configuration.")
        value = dict(current)
        for at in range(0, len(arguments), 4):
            limited = self.classes.get(arguments[at].lower())
            if limited is None:
                raise BadValue(b"Invalid client class specified in buffer limit configuration.")
            hard, soft = parse_memory(arguments[at + 1]), parse_memory(arguments[at + 2])
            seconds = _strtoll(arguments[at + 3])
            if hard is None or soft is None or seconds is None or seconds < 0:
                raise BadValue(b"Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            value[limited] = OutputLimit(hard, soft, _as_c_int(seconds))
        return value

    def show(self, value: dict[bytes, OutputLimit]) -> bytes:
        return b" ".join(b"%b %d %d %d" % (limited, *limit) for limited, limit in value.items())

    def rewrite(self, name: bytes, value: dict[bytes, OutputLimit], default: dict[bytes, OutputLimit]) -> Lines:
        lines: Lines = []
        for limited, limit in value.items():
            spelled = b"replica" if limited == b"slave" else limited
            sizes = format_memory(limit.hard), format_memory(limit.soft)
            line = b"%b %b %b %b %d" % (name, spelled, *sizes, limit.seconds)
            lines.append((line, limit != default[limited]))
        return lines


class OomScores(Kind[tuple[int, ...]]):
    """What a master, a replica and a child add to their chance to be killed when memory runs out."""

    many = True

    def parse(self, arguments: Sequence[bytes], current: tuple[int, ...]) -> tuple[int, ...]:
        if len(arguments) != 3:
            raise BadValue(b"wrong number of arguments")
        scores = [_strtoll(argument) for argument in arguments]
        good = tuple(score for score in scores if score is not None and -2000 <= score <= 2000)
        if len(good) != 3:
            raise BadValue(b"Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        return good

    def show(self, value: tuple[int, ...]) -> bytes:
        return b" ".join(b"%d" % score for score in value)


class Percentiles(Kind[tuple[float, ...]]):
    many = True

    def parse(self, arguments: Sequence[bytes], current: tuple[float, ...]) -> tuple[float, ...]:
        if list(arguments) == [b""]:
            return ()
        value = []
        for argument in arguments:
            percentile = parse_double(argument)
            if percentile is None:
                raise BadValue(b"Invalid latency-tracking-info-percentiles parameters")
            if not 0.0 <= percentile <= 100.0:
                raise BadValue(b"latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
            value.append(percentile)
        return tuple(value)

    def show(self, value: tuple[float, ...]) -> bytes:
        return b" ".join((b"%f" % percentile).rstrip(b"0").rstrip(b".") for percentile in value)

    def rewrite(self, name: bytes, value: tuple[float, ...], default: tuple[float, ...]) -> Lines:
        # Real Redis never recognises its own default here and writes the line each time; so do we.
        return [(name + b" " + (self.show(value) or b'""'), True)]


class Address(NamedTuple):
    host: bytes
    port: int


class ReplicaOf(Kind[Address | None]):
    many = True

    def parse(self, arguments: Sequence[bytes], current: Address | None) -> Address | None:
        if len(arguments) != 2:
            raise BadValue(b"wrong number of arguments")
        if arguments[0].lower() == b"no" and arguments[1].lower() == b"one":
            return None
        port = _strtoll(arguments[1])
        if port is None or not 0 <= port <= 65535:
            raise BadValue(b"Invalid master port")
        return Address(arguments[0], port)

    def show(self, value: Address | None) -> bytes:
        return b"%b %d" % value if value else b""

    def rewrite(self, name: bytes, value: Address | None, default: Address | None) -> Lines:
        return [(name + b" " + self.show(value), True)] if value else []


AnyKind = Kind[Any]

_MULTIPLIERS: Final = {
    b"": 1, b"b": 1, b"k": 1000, b"kb": 2**10, b"m": 1000**2, b"mb": 2**20, b"g": 1000**3, b"gb": 2**30,
}  # fmt: skip
_MEMORY = re.compile(rb"([0-9]{0,127})([a-z]*)", re.IGNORECASE).fullmatch
_C_INTEGER = re.compile(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)|").fullmatch


def parse_memory(text: bytes) -> int | None:
    """Read a size in bytes with an optional unit; None if it is none. Unsigned, and like C's it wraps at 64 bits."""
    found = _MEMORY(text)
    multiplier = _MULTIPLIERS.get(found[2].lower()) if found else None
    if found is None or multiplier is None:
        return None
    return min(int(found[1] or b"0"), 2**64 - 1) * multiplier % 2**64


def format_memory(size: int) -> bytes:
    """Write a size with the largest unit that divides it, as CONFIG REWRITE does."""
    for unit, multiplier in (b"gb", 2**30), (b"mb", 2**20), (b"kb", 2**10):
        if size and size % multiplier == 0:
            return b"%d%b" % (size // multiplier, unit)
    return b"%d" % size


def _strtoll(text: bytes) -> int | None:
    """C's strtoll() with the whole text demanded: leading space and a plus are fine, too big becomes the biggest."""
    found = _C_INTEGER(text)
    return min(max(int(found[1] or b"0"), INT64_MIN), INT64_MAX) if found else None


def _as_c_int(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31
