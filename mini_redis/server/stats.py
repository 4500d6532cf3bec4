"""The counters behind INFO's stats, clients and errorstats sections, and the rates that are sampled from them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mini_redis.server.node import Server

SAMPLES = 16  # instantaneous_* are averages over as many samples, taken ten times a second
SAMPLE_EVERY_MS = 100
MOST_ERROR_CODES = 128


class Rate:
    """A counter's growth per second, averaged over the last samples."""

    __slots__ = ("_last_count", "_last_ms", "_samples")

    def __init__(self) -> None:
        self._last_count = 0
        self._last_ms = 0
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def sample(self, count: int, now_ms: int) -> None:
        passed_ms = now_ms - self._last_ms
        if self._last_ms and passed_ms > 0:
            self._samples.append((count - self._last_count) * 1000 / passed_ms)
        self._last_count, self._last_ms = count, now_ms

    @property
    def per_second(self) -> float:
        return sum(self._samples) / SAMPLES


class Statistics:
    """All counters since the start, or since CONFIG RESETSTAT."""

    def __init__(self, now_us: int) -> None:
        self.started_us = now_us
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
        self.auth_denied = 0
        self.turns = 0
        self.turns_ns = 0
        self.operations = Rate()
        self.input_rate = Rate()
        self.output_rate = Rate()
        self._next_sample_ms = 0

    def count_error(self, code: bytes) -> None:
        """An error reply is on its way. A flood of invented codes does not grow the table."""
        self.error_replies += 1
        if code in self.errors or len(self.errors) < MOST_ERROR_CODES:
            self.errors[code] = self.errors.get(code, 0) + 1

    def turn(self, duration_ns: int) -> None:
        """The loop has come round."""
        self.turns += 1
        self.turns_ns += duration_ns

    def sample(self, server: Server) -> None:
        """Called by the cron."""
        if server.now_ms < self._next_sample_ms:
            return
        self._next_sample_ms = server.now_ms + SAMPLE_EVERY_MS
        self.operations.sample(commands_processed(server), server.now_ms)
        self.input_rate.sample(self.net_input, server.now_ms)
        self.output_rate.sample(self.net_output, server.now_ms)


def commands_processed(server: Server) -> int:
    """How many commands have run. O(commands): the hot path counts once, per command."""
    return sum(live.calls for live in server.command_table)
