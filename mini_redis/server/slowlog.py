"""The slow log: which commands took longest, lately?

Question it answers: a server was slow for a second, an hour ago; what was it doing? Every command that ran for at least
`slowlog-log-slower-than` microseconds left an entry here, the last `slowlog-max-len` of them are kept, in memory. What
is measured is the handler alone: neither the client's waiting for its turn, nor the reply's way over the network. So an
empty slow log and a slow client mean that the time went elsewhere.

An entry must stay small, since it is kept: at most 32 arguments of at most 128 bytes each, and what was left out is
said in its place.

Invariants: ids grow by one with each entry and never begin anew; there are never more than `max_len` entries after one
was added (a smaller `slowlog-max-len` takes effect then, as in Redis).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

MOST_ARGUMENTS: Final = 32
MOST_BYTES: Final = 128


class Entry(NamedTuple):
    """One slow command."""

    id: int
    at_s: int
    """Unix time."""
    duration_us: int
    argv: list[bytes]
    """What was called, shortened."""
    address: bytes
    """Of the client; empty for what a script called."""
    name: bytes
    """That the client gave itself."""


class SlowLog:
    """The entries of one node, the latest first."""

    def __init__(self) -> None:
        self.slower_than_us = -1
        """Durations from here on are kept; negative: none."""
        self.max_len = 0
        self.entries: deque[Entry] = deque()
        self._next_id = 0

    def note(self, duration_us: int, at_s: int, argv: Sequence[bytes], address: bytes, name: bytes) -> None:
        """Keep a call, if it was slow. O(1), and O(argv) to shorten it."""
        if not 0 <= self.slower_than_us <= duration_us or self.max_len == 0:
            return
        self.entries.appendleft(Entry(self._next_id, at_s, duration_us, shortened(argv), address, name))
        self._next_id += 1
        while len(self.entries) > self.max_len:
            self.entries.pop()

    def check(self) -> None:
        """Assert the invariants."""
        ids = [entry.id for entry in self.entries]
        assert ids == list(range(self._next_id - 1, self._next_id - 1 - len(ids), -1)), "ids are consecutive"
        for entry in self.entries:
            assert len(entry.argv) <= MOST_ARGUMENTS, "arguments beyond the limit are counted, not kept"


def shortened(argv: Sequence[bytes]) -> list[bytes]:
    """A call as it is kept. Of too many arguments the last one that fits tells how many it stands for."""
    kept = argv if len(argv) <= MOST_ARGUMENTS else argv[: MOST_ARGUMENTS - 1]
    words = [
        word if len(word) <= MOST_BYTES else b"%b... (%d more bytes)" % (word[:MOST_BYTES], len(word) - MOST_BYTES)
        for word in kept
    ]
    if len(kept) < len(argv):
        words.append(b"... (%d more arguments)" % (len(argv) - len(kept)))
    return words
