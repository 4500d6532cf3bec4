"""A server's own command table: the declarations, plus what this server knows of each.

Declarations are constants shared by all servers of a process. Statistics, renamed commands (`rename-command`) and the
gates that stand open or shut belong to one server, so each builds its table of `LiveCommand`s.

`table` holds every name in lower and upper case: how clients write them, and one dict hit on the hot path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mini_redis.commands import COMMANDS
from mini_redis.commands.registry import Command, Handler, not_found
from mini_redis.resp.reply import Reply
from mini_redis.structures.histogram import representative_us

if TYPE_CHECKING:
    from mini_redis.server.context import Context
    from mini_redis.server.gates import Gate

EXACT_US = 1024  # latencies below are counted exactly, above in the buckets of latencystats
RUNS_INSIDE_MULTI = frozenset((b"exec", b"discard", b"multi", b"watch", b"quit", b"reset"))


class LiveCommand:
    """One command of one server. The statistics are those of INFO commandstats and latencystats."""

    __slots__ = (
        "calls", "command", "duration_ns", "failed_calls", "gates", "handler", "latencies", "max_words", "min_words",
        "name", "rejected_calls", "runs_inside_multi", "subcommands",
    )  # fmt: skip

    def __init__(self, command: Command) -> None:
        self.command = command
        self.name = command.name
        self.handler: Handler = command.handler or _has_none
        self.min_words = abs(command.arity)
        self.max_words = command.arity if command.arity > 0 else 1 << 40
        self.subcommands = {word: LiveCommand(sub) for word, sub in command.subcommands.items()}
        self.runs_inside_multi = command.name in RUNS_INSIDE_MULTI
        self.gates: tuple[Gate, ...] = ()
        self.reset_statistics()

    def reset_statistics(self) -> None:
        self.calls = 0
        self.duration_ns = 0
        self.failed_calls = 0
        self.rejected_calls = 0
        self.latencies: dict[int, int] = defaultdict(int)  # microseconds -> calls

    def count_latency(self, duration_ns: int) -> None:
        """What `execute.call` counts in line, for calls that end elsewhere."""
        self.latencies[latency_bucket(duration_ns)] += 1

    def forget_latency(self, duration_ns: int) -> None:
        """The call was counted and is not over."""
        bucket = latency_bucket(duration_ns)
        if self.latencies.get(bucket, 0) > 1:
            self.latencies[bucket] -= 1
        else:
            self.latencies.pop(bucket, None)


def _has_none(ctx: Context, argv: list[bytes]) -> Reply:
    raise AssertionError("a container passed the arity check")


def latency_bucket(duration_ns: int) -> int:
    """The microseconds under which a duration is counted."""
    micros = duration_ns // 1000
    return micros if micros <= EXACT_US else representative_us(micros)


class CommandTable:
    """Lookup by name; `resolve` is O(1)."""

    def __init__(self) -> None:
        self.table: dict[bytes, LiveCommand] = {}
        self._every: list[LiveCommand] = []
        """What `__iter__` gives: the cron goes over all commands ten times a second."""
        for name, command in COMMANDS.items():
            self._bind(name, LiveCommand(command))
        self._list_every()

    def _bind(self, name: bytes, live: LiveCommand) -> None:
        self.table[name.lower()] = live
        self.table[name.upper()] = live

    def rename(self, old: bytes, new: bytes) -> bool:
        """`rename-command`: give a command another name, or none; False if `old` is unknown or `new` taken."""
        live = self.table.get(old.lower())
        if live is None or (new and new.lower() in self.table):
            return False
        del self.table[old.lower()]
        self.table.pop(old.upper(), None)
        if new:
            self._bind(new, live)
        self._list_every()
        return True

    def _list_every(self) -> None:
        named = dict.fromkeys(self.table.values())
        self._every = [one for live in named for one in (live, *live.subcommands.values())]

    def resolve(self, argv: list[bytes]) -> LiveCommand:
        """The command a call means, a subcommand included. Raises ReplyError if there is none."""
        live = self.table.get(argv[0]) or self.table.get(argv[0].lower())
        if live is not None and live.subcommands and len(argv) > 1:
            live = live.subcommands.get(argv[1].lower())
        if live is None:
            raise not_found(argv, self.table)
        return live

    def named(self, name: bytes) -> list[LiveCommand]:
        """What a full name in any case means: a command and its subcommands, one of these (`client|kill`), nothing."""
        first, bar, second = name.lower().partition(b"|")
        live = self.table.get(first)
        if live is not None and bar:
            live = live.subcommands.get(second)
        return [] if live is None else [live, *live.subcommands.values()]

    def __iter__(self) -> Iterator[LiveCommand]:
        """Every command and subcommand once, containers included."""
        return iter(self._every)

    def set_gates(self, choose: Callable[[Command], tuple[Gate, ...]]) -> None:
        """Let `choose` say which gates each command must pass from now on. O(commands)."""
        for live in self:
            live.gates = choose(live.command)
