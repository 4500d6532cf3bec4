"""The latency monitor: what made this server stand still, when, and for how long?

Question it answers: the slow log knows commands; but a thread also stands still for what nobody has called, such as
deleting what has expired. Each such thing is an *event*. Whenever one takes `latency-monitor-threshold` ms or more, a
sample is kept: per event the worst of each second, 160 of them, and the worst ever.

    command         a command that is not declared fast              fast-command    ... that is
    expire-cycle    a round of active expiry                         eviction-cycle  making room below `maxmemory`

Others (fork, fsync and what else belongs to files) come with what causes them: whoever does a thing that can take long
calls `note` with its event's name and duration. Off by default: then `note` compares once and keeps nothing.

Invariants: a series holds at most `KEPT` samples, no two of the same second, each at most `worst_ms`.

Redis also has `expire-del` and `eviction-del`, the deletion of one key within those cycles; here the cycle is measured
as a whole.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mini_redis.structures.sparkline import sparkline

KEPT: Final = 160
COLUMNS: Final = 80


class Series:
    """The samples of one event, (unix second, worst ms within it), the oldest first."""

    def __init__(self) -> None:
        self.samples: deque[tuple[int, int]] = deque(maxlen=KEPT)
        self.worst_ms = 0
        """Since the start or LATENCY RESET, also if its sample is no longer kept."""

    def add(self, at_s: int, duration_ms: int) -> None:
        """O(1)."""
        self.worst_ms = max(self.worst_ms, duration_ms)
        if self.samples and self.samples[-1][0] == at_s:
            duration_ms = max(duration_ms, self.samples.pop()[1])
        self.samples.append((at_s, duration_ms))

    def graph(self, event: str, now_s: int) -> str:
        """What LATENCY GRAPH draws: the samples' heights, and how long ago they were."""
        durations = [duration_ms for _, duration_ms in self.samples]
        title = f"{event} - high {max(durations)} ms, low {min(durations)} ms (all time high {self.worst_ms} ms)\n"
        drawn = sparkline([(duration_ms, ago(now_s - at_s)) for at_s, duration_ms in self.samples], COLUMNS)
        return title + "-" * COLUMNS + "\n" + drawn

    def summary(self, now_s: int) -> str:
        """How often and how bad, in LATENCY DOCTOR's words."""
        durations = [duration_ms for _, duration_ms in self.samples]
        count = len(durations)
        average = sum(durations) // count
        deviation = sum(abs(average - duration_ms) for duration_ms in durations) // count
        seconds = max(1, now_s - min(at_s for at_s, _ in self.samples))
        return (
            f"{count} latency spikes (average {average}ms, mean deviation {deviation}ms,"
            f" period {seconds / count:.2f} sec). Worst all time event {self.worst_ms}ms."
        )

    def check(self) -> None:
        """Assert the invariants."""
        seconds = [at_s for at_s, _ in self.samples]
        assert len(seconds) <= KEPT, "old samples make room"
        assert all(one != other for one, other in zip(seconds, seconds[1:], strict=False)), "one sample a second"
        assert all(duration_ms <= self.worst_ms for _, duration_ms in self.samples), "the worst is the worst"


class LatencyMonitor:
    """The events of one node, in the order of their first appearance."""

    def __init__(self) -> None:
        self.threshold_ms = 0
        """0: off."""
        self.events: dict[bytes, Series] = {}

    def note(self, event: bytes, duration_ns: int, at_s: int) -> None:
        """Something took so long; keep it if that is too long. O(1)."""
        if 0 < self.threshold_ms <= duration_ns // 1_000_000:
            self.events.setdefault(event, Series()).add(at_s, duration_ns // 1_000_000)

    def reset(self, events: list[bytes]) -> int:
        """Forget these events, in any case, all of them if none is named; how many that were. O(events)."""
        wanted = {name.partition(b"\0")[0].lower() for name in events}
        names = [name for name in self.events if not events or name in wanted]
        for name in names:
            del self.events[name]
        return len(names)


def ago(seconds: int) -> str:
    """A label of the graph: 5s, 3m, 2h, 1d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


# --- LATENCY DOCTOR --------------------------------------------------------------------------------------------------


def diagnosis(monitor: LatencyMonitor, now_s: int, *, slower_than_us: int, hz: int, huge_pages: bool) -> str:
    """The report of LATENCY DOCTOR. The words are Redis's own, and so is its sense of humour."""
    if not monitor.events and monitor.threshold_ms == 0:
        return DISABLED
    wanted: set[str] = set()
    for event in monitor.events:
        wanted |= ADVICE_FOR.get(event, frozenset())
    if b"command" in monitor.events:
        if slower_than_us < 0:
            wanted.add("enable slow log")
        elif slower_than_us // 1000 > monitor.threshold_ms:
            wanted.add("tune slow log")
    if huge_pages:
        wanted.add("huge pages")

    report = SPIKES if monitor.events else ""
    for number, (event, series) in enumerate(monitor.events.items(), 1):
        report += f"{number}. {event.decode('latin-1')}: {series.summary(now_s)}\n"
    if not wanted:
        return report + (AT_A_LOSS if monitor.events else NOTHING)
    report += "\nI have a few advices for you:\n\n"
    for name, text in ADVICE.items():
        if name in wanted and (name != "hz" or hz < 100):
            report += text.format(threshold_us=monitor.threshold_ms * 1000)
    return report


DISABLED: Final = (
    "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET"
    ' latency-monitor-threshold <milliseconds>." in order to enable it. If we weren\'t in a deep space mission I\'d'
    " suggest to take a look at"
    " https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor.\n"
)
NOTHING: Final = (
    "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest bit. I"
    " honestly think you ought to sit down calmly, take a stress pill, and think things over.\n"
)
SPIKES: Final = (
    "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, do you Dave?\n\n"
)
AT_A_LOSS: Final = (
    "\nWhile there are latency events logged, I'm not able to suggest any easy fix. Please use the Redis community to"
    " get some help, providing this report in your help request.\n"
)
ADVICE: Final[dict[str, str]] = {
    "enable slow log": (
        "- There are latency issues with potentially slow commands you are using. Try to enable the Slow Log Redis"
        " feature using the command 'CONFIG SET slowlog-log-slower-than {threshold_us}'. If the Slow log is disabled"
        " Redis is not able to log slow commands execution for you.\n"
    ),
    "tune slow log": (
        "- Your current Slow Log configuration only logs events that are slower than your configured latency monitor"
        " threshold. Please use 'CONFIG SET slowlog-log-slower-than {threshold_us}'.\n"
    ),
    "read slow log": (
        "- Check your Slow Log to understand what are the commands you are running which are too slow to execute."
        " Please check https://redis.io/commands/slowlog for more information.\n"
    ),
    "scheduler": (
        "- The system is slow to execute Redis code paths not containing system calls. This usually means the system"
        " does not provide Redis CPU time to run for long periods. You should try to:\n"
        "  1) Lower the system load.\n"
        "  2) Use a computer / VM just for Redis if you are running other software in the same system.\n"
        '  3) Check if you have a "noisy neighbour" problem.\n'
        "  4) Check with 'redis-cli --intrinsic-latency 100' what is the intrinsic latency in your system.\n"
        "  5) Check if the problem is allocator-related by recompiling Redis with MALLOC=libc, if you are using"
        " Jemalloc. However this may create fragmentation problems.\n"
    ),
    "hz": (
        "- In order to make the Redis keys expiring process more incremental, try to set the 'hz' configuration"
        " parameter to 100 using 'CONFIG SET hz 100'.\n"
    ),
    "large objects": (
        "- Deleting, expiring or evicting (because of maxmemory policy) large objects is a blocking operation. If you"
        " have very large objects that are often deleted, expired, or evicted, try to fragment those objects into"
        " multiple smaller objects.\n"
    ),
    "mass eviction": (
        "- Sudden changes to the 'maxmemory' setting via 'CONFIG SET', or allocation of large objects via sets or"
        " sorted sets intersections, STORE option of SORT, Redis Cluster large keys migrations (RESTORE command), may"
        " create sudden memory pressure forcing the server to block trying to evict keys. \n"
    ),
    "huge pages": (
        "- I detected a non zero amount of anonymous huge pages used by your process. This creates very serious latency"
        " events in different conditions, especially when Redis is persisting on disk. To disable THP support use the"
        " command 'echo never > /sys/kernel/mm/transparent_hugepage/enabled', make sure to also add it into"
        " /etc/rc.local so that the command will be executed again after a reboot. Note that even if you have already"
        " disabled THP, you still need to restart the Redis process to get rid of the huge pages already created.\n"
    ),
}
"""In the order in which they are given."""
ADVICE_FOR: Final[dict[bytes, frozenset[str]]] = {
    b"command": frozenset(("read slow log", "large objects")),
    b"fast-command": frozenset(("scheduler",)),
    b"expire-cycle": frozenset(("hz", "large objects")),
    b"eviction-cycle": frozenset(("mass eviction",)),
    b"eviction-del": frozenset(("large objects",)),
}
