"""What replicas and the log are told: effects, never decisions.

A command that changed something is propagated as the client sent it, unless the handler named a replacement
(`ctx.propagate_as`): a relative TTL becomes a date, SPOP becomes SREM. Whoever replays the stream never reads a clock
and never draws a random number.

Everything that one execution unit (a command, a transaction, a script) propagates is collected and handed over at
its end; if that is more than one command, MULTI and EXEC go around them, so that it stays one unit for whoever replays
it. A SELECT goes in front whenever the database is another than the last time.
"""

from __future__ import annotations

from collections.abc import Callable

from mini_redis.resp.parser import encode_request

REPL_NONE, REPL_AOF, REPL_REPLICA, REPL_ALL = range(4)


class Propagation:
    """Collects one unit's calls; `emit` receives their encoded bytes.

    `active` is false while nobody listens (no log, no replica), and then nothing here costs anything.
    """

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self.active = False
        self.targets = REPL_ALL  # a script may want its commands to reach fewer: redis.set_repl
        self._emit = emit
        self._selected = -1
        self._unit: list[tuple[int, list[bytes]]] = []
        self._replacement: list[tuple[int, list[bytes]]] | None = None

    def replace(self, db: int, argv: list[bytes]) -> None:
        """The running command is seen as this call (too, if said before)."""
        if self._replacement is None:
            self._replacement = []
        self._replacement.append((db, argv))

    def suppress(self) -> None:
        """The running command is not seen at all."""
        if self.active:
            self._replacement = []

    def command_done(self, db: int, argv: list[bytes], dirty: bool) -> None:
        """The running command ended; `dirty` if it changed anything. Replacements are seen either way."""
        replacement, self._replacement = self._replacement, None
        if not self.active or not self.targets & REPL_AOF:  # there is only the log so far
            return
        if replacement is not None:
            self._unit += replacement
        elif dirty:
            self._unit.append((db, argv))

    def also(self, db: int, argv: list[bytes]) -> None:
        """Something that happened beside the running command, such as the DEL of an expired key."""
        if self.active:
            self._unit.append((db, argv))

    def forget(self) -> None:
        """The unit ends without anybody hearing of it: the server stops in the middle of a script."""
        self._unit.clear()

    def set_aside(self) -> list[tuple[int, list[bytes]]]:
        """Begin another unit in the middle of this one, which `take_back` goes on with."""
        unit, self._unit = self._unit, []
        return unit

    def take_back(self, unit: list[tuple[int, list[bytes]]]) -> None:
        assert not self._unit, "the unit in between has ended"
        self._unit = unit

    def end_unit(self, *, transaction: bool = True) -> None:
        """Hand over what was collected; `transaction` false where the calls have nothing to do with each other."""
        if not self._unit:
            return
        unit, self._unit = self._unit, []
        pieces: list[bytes] = []
        wrap = transaction and len(unit) > 1
        if wrap:
            pieces.append(encode_request([b"MULTI"]))
        for db, argv in unit:
            self._select(db, pieces)
            pieces.append(encode_request(argv))
        if wrap:
            pieces.append(encode_request([b"EXEC"]))
        self._emit(b"".join(pieces))

    def _select(self, db: int, pieces: list[bytes]) -> None:
        if db != self._selected:
            self._selected = db
            pieces.append(encode_request([b"SELECT", b"%d" % db]))
