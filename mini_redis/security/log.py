"""ACL LOG: what was refused, to whom, and how often.

Question it answers: who is knocking at which door? A client that is misconfigured asks the same thing a thousand times
a minute, and would push everything else out of a log of 128 entries. So a refusal like a recent one (same reason,
place, object and user, within a minute) only counts it up and brings it to the front.

Each reason has a counter too, which INFO shows and nothing resets.

Invariants: the newest entry is first; there are at most as many as were last allowed; ids grow and never repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mini_redis.security.selector import AUTH_DENIED, CHANNEL_DENIED, COMMAND_DENIED, KEY_DENIED

REASONS: Final = {COMMAND_DENIED: b"command", KEY_DENIED: b"key", CHANNEL_DENIED: b"channel", AUTH_DENIED: b"auth"}
SAME_WITHIN_MS: Final = 60_000
COMPARED: Final = 10


@dataclass(slots=True, eq=False)
class Refusal:
    """One entry. Times are unix times in ms."""

    reason: int
    context: bytes
    """Where it was called: toplevel, multi, lua, module."""
    object: bytes
    """The command, key or channel; for a failed login the command that asked for it."""
    user: bytes
    client: bytes
    """The client's line of CLIENT LIST, when it last happened."""
    created_ms: int
    id: int = 0
    updated_ms: int = 0
    count: int = 1

    @property
    def reason_name(self) -> bytes:
        return REASONS[self.reason]

    @property
    def kind(self) -> tuple[int, bytes, bytes, bytes]:
        return self.reason, self.context, self.object, self.user


class AccessLog:
    """The refusals, newest first, and how many there were for each reason."""

    def __init__(self) -> None:
        self.entries: list[Refusal] = []
        self.counts = dict.fromkeys(REASONS, 0)
        self._next_id = 0

    def add(self, refusal: Refusal, most: int) -> None:
        """Log it, and keep at most so many entries. O(entries)."""
        self.counts[refusal.reason] += 1
        refusal.updated_ms = refusal.created_ms
        for at, known in enumerate(self.entries[:COMPARED]):
            if known.kind == refusal.kind and refusal.created_ms - known.updated_ms <= SAME_WITHIN_MS:
                known.count += 1
                known.client, known.updated_ms = refusal.client, refusal.created_ms
                self.entries.insert(0, self.entries.pop(at))
                return
        refusal.id = self._next_id
        self._next_id += 1
        self.entries.insert(0, refusal)
        del self.entries[max(most, 0) :]

    def clear(self) -> None:
        """ACL LOG RESET. Counters and ids go on."""
        self.entries.clear()
