"""Access clocks: when, or how often, a key was used. What OBJECT IDLETIME and OBJECT FREQ answer.

Redis keeps 24 bits in every object's header. Under an LFU policy they hold the minute of the last decay and an 8-bit
*logarithmic* counter; otherwise the second of the last access. We have no header, a string being bare bytes, so the
clocks are a dict beside the data:

    lru:  key -> unix ms of the last access; told in seconds, but the frozen time is there already, and shared
    lfu:  key -> (minutes of the last decay) << 8 | counter

The counter starts at 5, so that a new key is not evicted before it had a chance. An access raises it with
probability 1 / ((counter - 5) * lfu-log-factor + 1): about a million hits saturate it at factor 10. It loses one for
each `lfu-decay-time` minutes without access.

**The lie.** A clock costs more than a small string itself. Past `FEW` keys, when no eviction policy and no earlier
question asked for them, the clocks are dropped and a key is said to be idle since that moment or its own last access,
whichever we know. The first OBJECT IDLETIME or FREQ switches them on for good.
"""

from __future__ import annotations

from random import Random

FEW = 32_768
LFU_INIT = 5


class AccessClocks:
    """The clocks of one database. `touch` and the questions are O(1)."""

    __slots__ = ("clocks", "decay_minutes", "default", "lfu", "log_factor", "lru", "rng", "wanted")

    log_factor: int
    decay_minutes: int
    rng: Random

    def __init__(self, lfu: bool, *, log_factor: int = 10, decay_minutes: int = 1, seed: int = 0) -> None:
        self.lfu = lfu
        self.log_factor = log_factor
        self.decay_minutes = decay_minutes
        self.rng = Random(seed)
        self.clocks: dict[bytes, int] | None = {}
        self.lru = None if lfu else self.clocks  # where a lookup may note the time itself: the hot path
        self.default = 0  # the clock of a key that was not used since the clocks were dropped
        self.wanted = lfu

    def anew(self, lfu: bool) -> AccessClocks:
        """Clocks without a key, with these settings and chances."""
        clocks = AccessClocks(lfu, log_factor=self.log_factor, decay_minutes=self.decay_minutes)
        clocks.rng = self.rng
        clocks.wanted = self.wanted or lfu
        return clocks

    def touch(self, key: bytes, now_ms: int) -> None:
        """`key` is used at `now_ms`."""
        clocks = self.clocks
        if clocks is None:
            return
        if self.lfu:
            clocks[key] = self._accessed(clocks.get(key), now_ms // 60_000)
            return
        clocks[key] = now_ms

    def set(self, key: bytes, now_ms: int, *, idle_seconds: int | None, frequency: int | None) -> None:
        """RESTORE: the key has been idle, or was used so often, elsewhere. Only what the policy counts is kept.

        Redis's clock has 24 bits of seconds; a time before its beginning is half its range ago.
        """
        if self.lfu and frequency is not None:
            self._want()[key] = now_ms // 60_000 << 8 | frequency
        elif not self.lfu and idle_seconds is not None:
            seconds = now_ms // 1000
            self._want()[key] = 1000 * (seconds - (idle_seconds if idle_seconds <= seconds & 0xFFFFFF else 1 << 23))

    def want(self) -> None:
        """Somebody will ask: keep them from now on, however many there are."""
        self.wanted = True
        if self.clocks is None:
            self.clocks = {}
            self.lru = None if self.lfu else self.clocks

    def drop_unless_wanted(self, now_ms: int) -> None:
        """The cron asks: are these more clocks than it is worth to keep for a question that may never come?"""
        if self.clocks is not None and len(self.clocks) > FEW and not self.wanted:
            self.clocks = self.lru = None
            self.default = now_ms

    def forget(self, key: bytes) -> None:
        if self.clocks is not None:
            self.clocks.pop(key, None)

    def idle_seconds(self, key: bytes, now_ms: int) -> int:
        """Whole seconds since the last access."""
        return now_ms // 1000 - self._want().get(key, self.default or now_ms) // 1000

    def frequency(self, key: bytes, now_ms: int) -> int:
        """The logarithmic counter, decayed to `now_ms`: 0..255."""
        clock = self._want().get(key)
        return LFU_INIT if clock is None else self._decayed(clock, now_ms // 60_000)

    def word(self, key: bytes, now_ms: int) -> int:
        """The 24 bits that Redis keeps in the object's header, as DEBUG OBJECT shows them."""
        if not self.lfu:
            return now_ms // 1000 - self.idle_seconds(key, now_ms) & 0xFFFFFF
        clock = self._want().get(key, now_ms // 60_000 << 8 | LFU_INIT)
        return clock & 0xFFFFFF

    def _want(self) -> dict[bytes, int]:
        self.want()
        assert self.clocks is not None
        return self.clocks

    def _decayed(self, clock: int, minutes: int) -> int:
        counter, since = clock & 255, minutes - (clock >> 8)
        return max(0, counter - since // self.decay_minutes) if self.decay_minutes else counter

    def _accessed(self, clock: int | None, minutes: int) -> int:
        if clock is None:
            return minutes << 8 | LFU_INIT
        counter = self._decayed(clock, minutes)
        above = max(0, counter - LFU_INIT)
        if counter < 255 and self.rng.random() < 1.0 / (above * self.log_factor + 1):
            counter += 1
        return minutes << 8 | counter
