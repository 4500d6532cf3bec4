"""How much of the oracle's surface was exercised, and how much of it worked?

Every command that went over the wire, whoever wrote it, is matched with its tree in COMMAND DOCS: the command was
exercised, and so was each branch that its words take (grammar.py lists what a branch is). What was answered without an
error succeeded. A command inside a transaction is judged by its element of EXEC's reply, not by QUEUED, and if EXEC
never ran it, it was not exercised.

Never exercised is what a report has to name: zero differences say nothing about it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .grammar import Command, match
from .hints import load_hints
from .runner import Verdict
from .streams import Step
from .wire import Reply

MOST_BRANCHES = 400


@dataclass
class Tally:
    """What became of one command's uses; `branches` that were sent, `worked` those of them answered without error.

    `hit`: the reply says that something was there (`is_hit`).
    """

    sent: int = 0
    ok: int = 0
    hit: int = 0
    branches: set[str] = field(default_factory=set)
    worked: set[str] = field(default_factory=set)


@dataclass
class Coverage:
    """Tallies by command over any number of verdicts."""

    grammar: dict[str, Command]
    tallies: dict[str, Tally] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Count the commands of a verdict, by the oracle's replies."""
        for step, reply in executed(verdict):
            self._count(step, reply)

    def _count(self, step: Step, reply: Reply | None) -> None:
        name = command_of(self.grammar, step.argv)
        if name is None:
            return
        tally = self.tallies.setdefault(name, Tally())
        tally.sent += 1
        command = self.grammar[name]
        taken = match(command, step.argv[len(command.words) :]) or frozenset()
        tally.branches |= taken
        if reply is None or reply.is_error:
            return
        tally.ok += 1
        tally.hit += is_hit(reply)
        tally.worked |= taken

    def total(self) -> Tally:
        """Sent, succeeded and hit, over all commands."""
        tallies = self.tallies.values()
        return Tally(*(sum(getattr(tally, name) for tally in tallies) for name in ("sent", "ok", "hit")))

    # ---- what is missing ------------------------------------------------------------------------------------------

    def never_sent(self) -> list[str]:
        return [name for name in sorted(self.grammar) if not self._tally(name).sent]

    def never_worked(self) -> list[str]:
        """Sent, and never answered without an error."""
        return [name for name in sorted(self.grammar) if self._tally(name).sent and not self._tally(name).ok]

    def branches_left(self) -> list[str]:
        """`COMMAND /branch` for each branch that never worked, of the commands that were sent at all."""
        return [
            f"{name} {branch}"
            for name in sorted(self.grammar)
            if self._tally(name).sent
            for branch in self.grammar[name].branches()
            if branch not in self._tally(name).worked
        ]

    def _tally(self, name: str) -> Tally:
        return self.tallies.get(name, Tally())

    # ---- for people -----------------------------------------------------------------------------------------------

    def render(self) -> str:
        """Per group: commands, branches and how many of them were exercised and worked; then what never was."""
        hints = load_hints()
        lines = [*self._table(), "", "never exercised:"]
        for name in self.never_sent():
            reason = hints.excluded(self.grammar[name])
            lines.append(f"  {name}" + (f"  (not generated: {reason})" if reason else ""))
        lines += ["", "exercised, never with success:", *(f"  {name}" for name in self.never_worked())]
        left = self.branches_left()
        lines += ["", "branches that never worked, of commands that were exercised:"]
        lines += [f"  {line}" for line in left[:MOST_BRANCHES]]
        if len(left) > MOST_BRANCHES:
            lines.append(f"  ... and {len(left) - MOST_BRANCHES} more (all of them are in the JSON)")
        return "\n".join(lines)

    def _table(self) -> Iterator[str]:
        title = f"{'group':<18}{'commands':>9}{'sent':>7}{'worked':>8}   {'branches':>8}{'sent':>7}{'worked':>8}"
        yield title
        yield "-" * len(title)
        groups: dict[str, list[int]] = {}
        for name, command in self.grammar.items():
            tally, branches = self._tally(name), command.branches()
            sent = sum(branch in tally.branches for branch in branches)
            worked = sum(branch in tally.worked for branch in branches)
            counts = (1, tally.sent > 0, tally.ok > 0, len(branches), sent, worked)
            groups[command.group] = [a + b for a, b in zip(groups.get(command.group, [0] * 6), counts, strict=True)]
        total = [sum(row[n] for row in groups.values()) for n in range(6)]
        for group, row in [*sorted(groups.items()), ("all", total)]:
            yield f"{group:<18}{row[0]:>9}{row[1]:>7}{row[2]:>8}   {row[3]:>8}{row[4]:>7}{row[5]:>8}"

    def render_hits(self) -> str:
        """Per command: how often it was sent, how many succeeded, how many found something."""
        lines = [f"{'command':<28}{'sent':>8}{'ok':>8}{'hit':>8}", "-" * 52]
        for name, tally in [*sorted(self.tallies.items()), ("all", self.total())]:
            sent = tally.sent or 1
            lines.append(f"{name:<28}{tally.sent:>8}{tally.ok / sent:>8.0%}{tally.hit / sent:>8.0%}")
        return "\n".join(lines)

    # ---- for programs ---------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        document: dict[str, Any] = {}
        for name, command in sorted(self.grammar.items()):
            tally = self._tally(name)
            document[name] = {
                "group": command.group,
                "sent": tally.sent,
                "ok": tally.ok,
                "hit": tally.hit,
                "not_generated": load_hints().excluded(command),
                "branches": {
                    branch: "worked" if branch in tally.worked else "sent" if branch in tally.branches else "never"
                    for branch in command.branches()
                },
            }
        return json.dumps({"commands": document}, indent=1) + "\n"

    def add_json(self, text: str) -> None:
        """Add what another run has written with `to_json`. Commands that this oracle does not have are left out."""
        for name, entry in json.loads(text)["commands"].items():
            if name not in self.grammar or not entry["sent"]:
                continue
            tally = self.tallies.setdefault(name, Tally())
            tally.sent += entry["sent"]
            tally.ok += entry["ok"]
            tally.hit += entry["hit"]
            tally.branches |= {branch for branch, state in entry["branches"].items() if state != "never"}
            tally.worked |= {branch for branch, state in entry["branches"].items() if state == "worked"}

    def save(self, path: Path) -> None:
        """Write the JSON; what the file already holds is added first, so that several runs make one coverage."""
        if path.exists():
            self.add_json(path.read_text("utf-8"))
        path.write_text(self.to_json(), "utf-8")


def command_of(grammar: dict[str, Command], argv: tuple[bytes, ...]) -> str | None:
    """The name under which a vector stands in the grammar: two words for a subcommand. None if it does not."""
    words = [word.upper().decode("utf-8", "replace") for word in argv[:2]]
    if len(words) > 1 and " ".join(words) in grammar:
        return " ".join(words)
    return words[0] if words and words[0] in grammar else None


def executed(verdict: Verdict) -> Iterator[tuple[Step, Reply | None]]:
    """Each command that the oracle executed, with its reply (None when none came).

    What was queued comes when EXEC's reply does; what was discarded, or dropped by WATCH, does not come.
    """
    queued: dict[str, list[Step]] = {}
    waiting: dict[str, list[Step]] = {}
    for step in verdict.stream.steps:
        if step.verb == "send":
            waiting.setdefault(step.client, []).append(step)
    for one in verdict.compared:
        step, frames = one.step, one.oracle.frames
        if one.note:
            continue
        if step.verb == "await" and waiting.get(step.client):
            step = waiting[step.client].pop(0)
        elif not step.argv or step.verb not in ("call", "scan", "wait"):
            continue
        reply = frames[0] if frames else None
        name = step.argv[0].upper()
        if reply is not None and reply.kind == "+" and reply.text == b"QUEUED":
            queued.setdefault(step.client, []).append(step)
            continue
        yield step, reply
        if name in (b"EXEC", b"DISCARD", b"RESET"):
            block = queued.pop(step.client, [])
            if name == b"EXEC" and reply is not None and len(reply.children) == len(block):
                yield from zip(block, reply.children, strict=True)


def is_hit(reply: Reply) -> bool:
    """A reply that says something was there: neither an error, nor null, zero, minus two or empty."""
    if reply.is_error or reply.value is None or reply.value == ():
        return False
    return not (reply.kind == ":" and reply.text in (b"0", b"-2"))
