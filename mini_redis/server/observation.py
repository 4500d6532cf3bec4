"""What is told of a command that has run: MONITOR's line, the slow log's entry, the latency monitor's sample.

Question it answers: what does it cost to be observable? While nobody monitors and nothing is slow, one comparison per
command: its duration with `server.remarkable_ns`, the smallest duration that anybody wants to hear of. A monitor makes
that 0, so every command comes here; the slow log and the latency monitor make it their thresholds.

    execute.call --- duration >= remarkable_ns ---> command_ran ---> latency, slow log, monitors

**MONITOR.** Each command is shown when it has run, so the line of EXEC follows those of its queue; a script's call is
shown before what the script calls (EVAL has `skip_monitor` and says so itself: `script_begins`). What an administrator
does is not shown, what is refused neither: it never ran. A command that waits (BLPOP) is shown when it begins to wait,
and enters the slow log when it was answered, with the time that was spent on it, without the time that it waited.

**Who watches, may not touch.** A monitor counts as a kind of replica, so gates.py keeps it from the keyspace; and its
connection is neither paused nor ended for being idle. What it does not read is limited as for any client.

A monitor that is shown its own command reads its reply first. In a transaction of its own Redis writes these lines in
the middle of EXEC's array, which no client can read; here they follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mini_redis.commands.blocking import Block
from mini_redis.commands.registry import ADMIN, FAST, SKIP_MONITOR, SKIP_SLOWLOG
from mini_redis.resp.parser import quoted
from mini_redis.resp.reply import Reply, SimpleString
from mini_redis.server.client import REPLY_ON, REPLY_SKIP_NEXT
from mini_redis.server.latency import LatencyMonitor, diagnosis
from mini_redis.server.secrets import without_secrets
from mini_redis.server.slowlog import SlowLog

if TYPE_CHECKING:
    from mini_redis.server.client import Client
    from mini_redis.server.command_table import LiveCommand
    from mini_redis.server.node import Server

NEVER_NS: Final = 1 << 63


class Observation:
    """What one node lets itself be asked about its past commands, and who listens to its present ones."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.slowlog = SlowLog()
        self.latency = LatencyMonitor()
        self.monitors: dict[Client, None] = {}

    def configure(self) -> None:
        """Obey the configuration, and say from which duration on a command is remarkable."""
        config = self._server.config
        self.slowlog.slower_than_us = config.slowlog_log_slower_than
        self.slowlog.max_len = config.slowlog_max_len
        self.latency.threshold_ms = config.latency_monitor_threshold
        thresholds_ns = [NEVER_NS]
        if self.monitors:
            thresholds_ns.append(0)
        if self.slowlog.slower_than_us >= 0 and self.slowlog.max_len:
            thresholds_ns.append(self.slowlog.slower_than_us * 1000)
        if self.latency.threshold_ms:
            thresholds_ns.append(self.latency.threshold_ms * 1_000_000)
        self._server.remarkable_ns = min(thresholds_ns)

    @property
    def now_s(self) -> int:
        """Unix time as it is, not as it was frozen when the command began."""
        return self._server.clock.wall_us() // 1_000_000

    def command_ran(
        self, client: Client, command: LiveCommand, argv: Sequence[bytes], duration_ns: int, reply: Reply
    ) -> None:
        """A command took at least `remarkable_ns`."""
        flags, retried = command.command.flags, self._server.waiting.retried
        again = retried is not None and retried.client is client
        if retried is not None and again:
            argv = retried.asked
        if self.latency.threshold_ms:
            self.latency.note(b"fast-command" if flags & FAST else b"command", duration_ns, self.now_s)
        if type(reply) is not Block or client.cannot_wait:
            self.command_answered(client, command, argv, duration_ns)
        if self.monitors and not flags & (SKIP_MONITOR | ADMIN) and not again:
            self.show(client, command.name, argv)

    def command_answered(self, client: Client, command: LiveCommand, argv: Sequence[bytes], duration_ns: int) -> None:
        """A command is through: the slow log's turn."""
        if command.command.flags & SKIP_SLOWLOG or not 0 <= self.slowlog.slower_than_us * 1000 <= duration_ns:
            return
        shown = without_secrets(command.name, argv)
        self.slowlog.note(duration_ns // 1000, self.now_s, shown, client.address.encode(), client.name)

    def report(self) -> bytes:
        """What LATENCY DOCTOR says."""
        return diagnosis(
            self.latency,
            self.now_s,
            slower_than_us=self.slowlog.slower_than_us,
            hz=self._server.config.hz,
            huge_pages=self._server.environment.has_huge_pages(),
        ).encode("latin-1")

    # --- MONITOR -----------------------------------------------------------------------------------------------------

    def begin(self, client: Client) -> None:
        """The client becomes a monitor."""
        client.monitoring = True
        self.monitors[client] = None
        self._monitors_changed(len(self.monitors) == 1)

    def end(self, client: Client) -> None:
        """The client is none any more: RESET, or it has gone."""
        client.monitoring = False
        del self.monitors[client]
        self._monitors_changed(not self.monitors)

    def _monitors_changed(self, first_or_last: bool) -> None:
        if first_or_last:
            self.configure()
            self._server.choose_gates()

    def script_begins(self, client: Client, argv: Sequence[bytes]) -> None:
        """EVAL or FCALL, whatever becomes of it: it is shown before what it calls."""
        if self.monitors:
            self.show(client, b"eval", argv)

    def show(self, client: Client, name: bytes, argv: Sequence[bytes]) -> None:
        """Tell the monitors of a call of the command called `name`. O(monitors + size of the call)."""
        seconds, microseconds = divmod(self._server.clock.wall_us(), 1_000_000)
        words = b" ".join(map(quoted, without_secrets(name, argv)))
        line = SimpleString(b"%d.%06d [%d %b] %b" % (seconds, microseconds, client.db.id, _origin(client), words))
        for monitor in self.monitors:
            if monitor.reply_mode in (REPLY_ON, REPLY_SKIP_NEXT):  # SKIP's own reply is not the skipped one
                self._server.pubsub.push(monitor, line)


def _origin(client: Client) -> bytes:
    """Who calls: an address, a Unix socket's path, or a script."""
    if not client.address:
        return b"lua"
    if client.address.startswith("/"):
        return b"unix:" + client.address.removesuffix(":0").encode()
    return client.address.encode()
