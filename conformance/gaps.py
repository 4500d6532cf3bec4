"""What can this pair of servers be compared in at all?

A stream says nothing about a command that one of the two does not have, and everything after it would differ for no
reason. So such steps are left out on both sides, and reported as unsupported; the rest of the stream is compared. What
a server lacks is learned from its answers (unknown command, unknown subcommand, no permission), but only where its own
COMMAND table does not claim otherwise: a command that is listed and answers "unknown command" is a bug, not a gap.

Streams as a whole do not apply where the servers must be kept to one database or one slot (a cluster), or where nobody
can say whether a client is blocked.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .endpoints import SLOTS, Endpoint
from .normalise import command_name
from .outcome import Compared, Outcome
from .streams import Step, Stream, substitute
from .versions import absent_line
from .wire import Connection, encode_command

# Commands that go to another database, or to all of them, or tell how many there are.
BEYOND_ONE_DATABASE = frozenset(("SELECT", "MOVE", "SWAPDB", "FLUSHALL"))
TELLING_DATABASES = frozenset(("INFO KEYSPACE", "INFO ALL", "INFO EVERYTHING", "DEBUG DIGEST", "DEBUG FLUSHALL"))
_UNKNOWN = re.compile(rb"ERR unknown (sub)?command", re.IGNORECASE)
_ANY_ARITY = re.compile(rb"or wrong number of arguments", re.IGNORECASE)


@dataclass
class Gaps:
    """Which steps of a stream apply to both servers."""

    oracle: Endpoint
    subject: Endpoint
    missing: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    _asked: dict[str, bool] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[Endpoint, Endpoint]:
        return self.oracle, self.subject

    def lacks(self, side: int, argv: tuple[bytes, ...]) -> str:
        """The name under which this side is known to lack the command; empty if it is not."""
        names = (command_name(argv), command_name(argv, 2), _with_arity(argv))
        return next((name for name in names if name in self.missing[side]), "")

    # ---- a stream ----------------------------------------------------------------------------------------------

    def unfit(self, stream: Stream) -> str:
        """Why the whole stream does not apply; empty when it does."""
        if any(side.db is not None for side in self.sides) and (word := _other_database(stream)):
            return f"it goes to other databases than the one that was named ({word})"
        if any(side.cluster for side in self.sides):
            if word := _other_database(stream):
                return f"a cluster has one database ({word})"
            if reason := self._beyond_one_slot(stream):
                return reason
        waiting = any(step.verb == "until" for step in stream.steps)
        for number, side in enumerate(self.sides):
            if waiting and not self._tells_blocked(side):
                return f"{side.title} has no CLIENT LIST to tell whether a client is blocked"
            for step in stream.steps:
                if step.verb == "send" and not self._has(number, step.argv):
                    return f"{side.title} has no {command_name(step.argv)}"
        return ""

    def shared(self, stream: Stream) -> tuple[Stream, tuple[str, ...]]:
        """The stream without the steps that one of the two cannot take, and the names of what that leaves out."""
        kept: list[Step] = []
        names: dict[str, None] = {}
        for step in stream.steps:
            name = self._one_sided(step) if step.verb in ("call", "scan", "wait") else ""
            if name:
                names[name] = None
            else:
                kept.append(step)
        return (stream.with_steps(tuple(kept)) if names else stream), tuple(names)

    def _one_sided(self, step: Step) -> str:
        """What one side lacks and the other has. What both lack is worth comparing: they must say so alike."""
        lacking = [self.lacks(side, step.argv) for side in (0, 1)]
        if bool(lacking[0]) != bool(lacking[1]):
            return lacking[0] or lacking[1]
        drift = absent_line(step.argv, self.oracle.product, self.subject.product)
        return drift.title if drift is not None else ""

    # ---- learning ----------------------------------------------------------------------------------------------

    def learn(self, compared: Iterable[Compared]) -> bool:
        """Note what one server does not know. True if there was something new, so that the stream is to be repeated."""
        new = False
        for one in compared:
            if one.same or not one.step.argv or one.step.verb not in ("call", "scan", "wait"):
                continue
            refusals = [_refusal(outcome) for outcome in (one.oracle, one.subject)]
            for number in (0, 1):
                if refusals[number] and not refusals[1 - number] and not self.lacks(number, one.step.argv):
                    other = (one.oracle, one.subject)[1 - number]
                    both_refuse = any(frame.is_error for frame in other.frames)
                    name = self._name_of_gap(number, one.step.argv, refusals[number], both_refuse)
                    if name:
                        self.missing[number].add(name)
                        new = True
        return new

    def _name_of_gap(self, number: int, argv: tuple[bytes, ...], refusal: bytes, both_refuse: bool) -> str:
        """Under which name to remember the gap; empty if it is none."""
        name, full = command_name(argv), command_name(argv, 2)
        if refusal.startswith(b"NOPERM"):
            return "" if self.sides[number].owned else full if b"|" in refusal else name
        subcommand = b"subcommand" in refusal.lower()
        if self._listed(self.sides[number], full.replace(" ", "|") if subcommand else name):
            return ""
        if _ANY_ARITY.search(refusal):
            # Before 7.0 this is also how a wrong number of arguments is refused; where both refuse, that is all it is.
            return "" if both_refuse else _with_arity(argv)
        return full if subcommand else name

    def _listed(self, side: Endpoint, name: str) -> bool:
        connection = side.connect()
        try:
            entries = connection.call(b"COMMAND", b"INFO", name.lower().encode()).children
        finally:
            connection.close()
        return bool(entries and entries[0].children)

    def _has(self, number: int, argv: tuple[bytes, ...]) -> bool:
        """Whether the side has a command whose reply will not be awaited at once, so that it must be asked before."""
        name, side = command_name(argv), self.sides[number]
        key = f"{number} {name}"
        if key not in self._asked:
            known = self._listed(side, name)
            if not known:
                connection = side.connect()
                known = not _UNKNOWN.match(connection.call(argv[0]).text)
                connection.close()
            self._asked[key] = known
        return self._asked[key]

    def _tells_blocked(self, side: Endpoint) -> bool:
        key = f"{side.where} CLIENT LIST"
        if key not in self._asked:
            connection = side.connect()
            self._asked[key] = b"flags=" in connection.call(b"CLIENT", b"LIST").text
            connection.close()
        return self._asked[key]

    # ---- clusters ----------------------------------------------------------------------------------------------

    def _beyond_one_slot(self, stream: Stream) -> str:
        """A command or transaction with keys of several slots, or of slots that a node does not have."""
        owned = set(range(SLOTS))
        for side in self.sides:
            if side.cluster:
                owned &= slots_of(side)
        connection = self.oracle.connect()
        together: dict[str, set[int]] = {}
        try:
            for step in stream.steps:
                slots = {slot_of(key) for key in keys_of(connection, step)}
                name = command_name(step.argv)
                if len(slots) > 1:
                    return f"it needs keys of several slots in one command ({name}), which a cluster refuses"
                if not slots <= owned:
                    return "its keys are in slots that the node does not have"
                if name == "MULTI":
                    together[step.client] = set()
                elif name in ("EXEC", "DISCARD"):
                    together.pop(step.client, None)
                elif step.client in together:
                    together[step.client] |= slots
                    if len(together[step.client]) > 1:
                        return "it needs keys of several slots in one transaction, which a cluster refuses"
        finally:
            connection.close()
        return ""


def _refusal(outcome: Outcome) -> bytes:
    """The words in which a server says that it does not know a command or does not let us have it."""
    if len(outcome.frames) != 1 or not outcome.frames[0].is_error:
        return b""
    text = outcome.frames[0].text
    return text if _UNKNOWN.match(text) or text.startswith(b"NOPERM") else b""


def _with_arity(argv: tuple[bytes, ...]) -> str:
    return f"{command_name(argv, 2)} with {max(0, len(argv) - 2)} arguments"


def _other_database(stream: Stream) -> str:
    """The command by which a stream leaves its database; empty if it stays."""
    for step in stream.steps:
        name, full = command_name(step.argv), command_name(step.argv, 2)
        sections = [f"INFO {word}" for word in command_name(step.argv[1:], 9).split()] if name == "INFO" else []
        if name in BEYOND_ONE_DATABASE or TELLING_DATABASES & {full, *sections} or full == "INFO":
            return full
        if name == "COPY" and b"DB" in [word.upper() for word in step.argv[3:]]:
            return "COPY ... DB"
    return ""


def slot_of(key: bytes) -> int:
    """The hash slot of a key: CRC16 of what stands in the first braces, if anything does, else of all of it."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    if 0 <= start < end - 1:
        key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


def slots_of(endpoint: Endpoint) -> set[int]:
    """The slots that a cluster node serves itself, by CLUSTER NODES."""
    connection = endpoint.connect()
    try:
        text = connection.call(b"CLUSTER", b"NODES").text.decode("utf-8", "replace")
    finally:
        connection.close()
    slots: set[int] = set()
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) > 8 and "myself" in words[2].split(","):
            for part in words[8:]:
                first, _, last = part.partition("-")
                if first.isdigit():
                    slots |= set(range(int(first), int(last or first) + 1))
    return slots


def keys_of(connection: Connection, step: Step) -> list[bytes]:
    """The keys of a step, by the server's own COMMAND GETKEYS; none where it finds none."""
    if not step.argv or step.verb == "state":
        return []
    argv = [substitute(word, 0, {}) for word in step.argv]
    connection.send(encode_command([b"COMMAND", b"GETKEYS", *argv]))
    reply = connection.read_reply()
    return [child.text for child in reply.children]
