"""What INFO tells of the past: counters, rates and peaks that are sampled from them by the cron."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mini_redis.server.memory import used_memory

if TYPE_CHECKING:
    from mini_redis.server.node import Server

SAMPLES = 16  # instantaneous_* are averages over as many samples, taken ten times a second
SAMPLE_EVERY_MS = 100
MOST_ERROR_CODES = 128
TOO_MANY_CODES = b"ERRORSTATS_DISABLED"


class Rate:
    """How much one counter grows while another (time, in ms) grows by `per`: the average of the last samples."""

    __slots__ = ("_last_base", "_last_count", "_per", "_samples")

    def __init__(self, per: int = 1000) -> None:
        self._per = per
        self._last_count = 0
        self._last_base = 0
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def sample(self, count: int, base: int) -> None:
        """Both counters now. The first time gives no sample."""
        passed = base - self._last_base
        if self._last_base and passed > 0:
            self._samples.append((count - self._last_count) * self._per / passed)
        self._last_count, self._last_base = count, base

    @property
    def average(self) -> float:
        return sum(self._samples) / SAMPLES


class RecentBuffers:
    """The largest buffers that clients have had within the last seconds, as far as the cron has seen."""

    SECONDS = 8

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=self.SECONDS)  # (unix second, input, output)

    def see(self, input_bytes: int, output_bytes: int, now_ms: int) -> None:
        """The largest buffers of some clients now. O(1)."""
        second = now_ms // 1000
        if self._seconds and self._seconds[-1][0] == second:
            _, largest_input, largest_output = self._seconds.pop()
            input_bytes, output_bytes = max(input_bytes, largest_input), max(output_bytes, largest_output)
        self._seconds.append((second, input_bytes, output_bytes))

    def largest(self, now_ms: int) -> tuple[int, int]:
        """The largest input and output buffer."""
        recent = [seen for seen in self._seconds if seen[0] > now_ms // 1000 - self.SECONDS]
        return max((seen[1] for seen in recent), default=0), max((seen[2] for seen in recent), default=0)


class Peak:
    """The most memory that was ever used, as far as anybody has looked. CONFIG RESETSTAT leaves it."""

    __slots__ = ("at_ms", "bytes")

    def __init__(self, now_ms: int) -> None:
        self.bytes = 0
        self.at_ms = now_ms

    def measure(self, used: int, now_ms: int) -> int:
        """`used` bytes are in use now; returns them."""
        if used > self.bytes:
            self.bytes, self.at_ms = used, now_ms
        return used


@dataclass(slots=True)
class LastSave:
    """When the data was last in a form from which it can be loaded, and what the last loading has found.

    A server begins with data that is saved: it has none. CONFIG RESETSTAT leaves all this.
    """

    at_us: int
    loaded: int = 0  # keys
    expired: int = 0  # keys that were past their time when they would have been loaded

    def renew(self, at_us: int, loaded: int, expired: int) -> None:
        """All data was saved, and loaded again."""
        self.at_us, self.loaded, self.expired = at_us, loaded, expired


class Statistics:
    """All counters since the start, or since CONFIG RESETSTAT."""

    def __init__(self, now_us: int) -> None:
        self.started_us = now_us
        self.peak_memory = Peak(now_us // 1000)
        self.recent_buffers = RecentBuffers()
        self.last_save = LastSave(now_us)
        self.reset()

    def reset(self) -> None:
        self.connections = 0
        self.rejected_connections = 0
        self.net_input = 0
        self.net_output = 0
        self.reads = 0
        self.writes = 0
        self.error_replies = 0
        self.errors: dict[bytes, int] = {}  # code -> how many
        self.query_buffer_disconnections = 0
        self.output_buffer_disconnections = 0
        self.turns = 0
        self.turns_ns = 0
        self.worst_turn_ns = 0
        self.worst_turn_cpu_ns = 0
        self.requests = 0  # in this turn
        self.most_requests = 0
        self.cron_ns = 0
        self.operations = Rate()
        self.input_rate = Rate()
        self.output_rate = Rate()
        self.turn_rate = Rate()
        self.turn_duration = Rate(per=1)
        self._next_sample_ms = 0

    def count_error(self, code: bytes) -> list[bytes]:
        """An error reply is on its way.

        A flood of invented codes ends the counting by code, until the next reset; answers the codes that there were, if
        this one did that.
        """
        self.error_replies += 1
        if code in self.errors:
            self.errors[code] += 1
        elif len(self.errors) < MOST_ERROR_CODES:
            if TOO_MANY_CODES not in self.errors:
                self.errors[code] = 1
        else:
            given_up, self.errors = sorted(self.errors), {TOO_MANY_CODES: 1}
            return given_up
        return []

    def turn(self, duration_ns: int, cpu_ns: int) -> None:
        """The loop has come round: in so much time, while the thread ran for so much of it.

        What the machine gave to others in the middle of a turn is in the first number alone: a worst turn whose CPU
        time is small was not our doing.
        """
        self.turns += 1
        self.turns_ns += duration_ns
        if duration_ns > self.worst_turn_ns:
            self.worst_turn_ns = duration_ns
        if cpu_ns > self.worst_turn_cpu_ns:
            self.worst_turn_cpu_ns = cpu_ns
        if self.requests > self.most_requests:
            self.most_requests = self.requests
        self.requests = 0

    def sample(self, server: Server) -> None:
        """Called by the cron."""
        if server.now_ms < self._next_sample_ms:
            return
        self._next_sample_ms = server.now_ms + SAMPLE_EVERY_MS
        self.operations.sample(commands_processed(server), server.now_ms)
        self.input_rate.sample(self.net_input, server.now_ms)
        self.output_rate.sample(self.net_output, server.now_ms)
        self.turn_rate.sample(self.turns, server.now_ms)
        self.turn_duration.sample(self.turns_ns // 1000, self.turns)
        self.peak_memory.measure(used_memory(server), server.now_ms)


def commands_processed(server: Server) -> int:
    """How many commands have run. O(commands): the hot path counts once, per command."""
    return sum([live.calls for live in server.command_table])
