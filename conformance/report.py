"""What a person reads: the table of commands, and each difference with the shortest way to see it again.

Plain text on purpose. A run's data (`Run`) is complete, so that other faces (JSON, JUnit, HTML, a badge: reports/) are
drawn from it without running anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from .divergences import Divergence
from .explain import explain
from .normalise import command_name
from .runner import Compared, Verdict
from .streams import Step, Stream, substitute
from .wire import quote_command

SHOWN_TEXT, SHOWN_RAW, SHOWN_LINES = 1000, 400, 16
# Commands that have subcommands are counted by their first two words.
CONTAINERS = frozenset(
    ("ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT")
    + ("PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO")
)


@dataclass
class Finding:
    """One difference and, once shrunk, the stream that shows it.

    `known` is the divergence that explains it; findings of one `kind` (shrink.py) are shown once.
    """

    verdict: Verdict
    compared: Compared
    shortest: Stream | None = None
    known: Divergence | None = None
    kind: str = ""


@dataclass
class Run:
    """Everything that a run found out. `whole` says that every stream took part, so that gaps are worth naming.

    `notes`: what a server cannot do, and what was done instead.
    """

    oracle: str
    subject: str
    verdicts: list[Verdict] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    obsolete: list[Divergence] = field(default_factory=list)
    oracle_commands: frozenset[str] = frozenset()
    subject_commands: frozenset[str] = frozenset()
    groups: dict[str, str] = field(default_factory=dict)
    whole: bool = False
    aborted: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> dict[str, int]:
        """What only one of the two servers has, and from how many streams it was left out."""
        counts: dict[str, int] = {}
        for verdict in self.verdicts:
            for name in verdict.left_out:
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))

    @property
    def unexplained(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.known is None]

    @property
    def unsupported(self) -> list[str]:
        """What the oracle has and the subject has not; a command that is missing whole stands for its subcommands."""
        missing = self.oracle_commands - self.subject_commands
        return sorted(name for name in missing if " " not in name or name.split()[0] not in missing)

    @property
    def exit_code(self) -> int:
        if self.aborted:
            return 2
        return 1 if self.unexplained or self.obsolete else 0


def row_name(step: Step, commands: frozenset[str] = frozenset()) -> str:
    """The row a step belongs to: the command, or command and subcommand; `(unknown)` if not one of `commands`."""
    if step.verb == "state":
        return "(state)"
    if not step.argv:
        return f"({step.verb})"
    name = command_name(step.argv)
    if commands and name not in commands:
        return "(unknown)"
    if name not in CONTAINERS or len(step.argv) < 2:
        return name
    full = command_name(step.argv, 2)
    return full if not commands or full in commands else f"{name} (other)"


@dataclass
class Row:
    """One command's counts, by protocol."""

    compared: dict[int, int] = field(default_factory=lambda: {2: 0, 3: 0})
    differing: dict[int, int] = field(default_factory=lambda: {2: 0, 3: 0})
    known: int = 0


def rows(run: Run) -> dict[str, Row]:
    """Counts per command, in the order of names. Words that the oracle does not know are one row, `(unknown)`."""
    table: dict[str, Row] = {}
    explained = {id(finding.compared) for finding in run.findings if finding.known is not None}
    for verdict in run.verdicts:
        for one in verdict.compared:
            row = table.setdefault(row_name(one.step, run.oracle_commands), Row())
            row.compared[verdict.protocol] += 1
            if not one.same:
                if id(one) in explained:
                    row.known += 1
                else:
                    row.differing[verdict.protocol] += 1
    return dict(sorted(table.items()))


def render(run: Run, verbose: bool = True, limit: int = 40) -> str:
    """The whole report."""
    findings = _findings(run, limit) if verbose else ()
    parts = [*findings, _table(run), *_not_exercised(run), *_obsolete(run), _summary(run)]
    return "\n\n".join(part for part in parts if part)


def _table(run: Run) -> str:
    lines = [f"{'command':<34}{'RESP2':>8}{'RESP3':>8}{'differ':>9}{'known':>8}"]
    lines.append("-" * len(lines[0]))
    for name, row in rows(run).items():
        differing = sum(row.differing.values())
        mark = f"{differing or '.':>9}{row.known or '.':>8}"
        shown = name if len(name) <= 33 else name[:30] + "..."
        lines.append(f"{shown:<34}{row.compared[2]:>8}{row.compared[3]:>8}{mark}")
    return "\n".join(lines)


def _summary(run: Run) -> str:
    compared = sum(len(verdict.compared) for verdict in run.verdicts)
    skipped = [verdict for verdict in run.verdicts if verdict.skipped]
    lines = [
        f"subject {run.subject}, oracle {run.oracle}",
        f"{len(run.verdicts) - len(skipped)} streams run, {len(skipped)} skipped; "
        f"{compared} replies and states compared: "
        f"{len(run.unexplained)} differences, {len(run.findings) - len(run.unexplained)} known",
    ]
    reasons: dict[str, int] = {}
    for verdict in skipped:
        reasons[verdict.skipped] = reasons.get(verdict.skipped, 0) + 1
    lines += [f"  skipped {count}: {reason}" for reason, count in reasons.items()]
    if run.left_out:
        lines.append("  unsupported, left out of the streams: " + ", ".join(run.left_out))
    lines += [f"  {note}" for note in run.notes]
    if run.aborted:
        lines.append(f"could not go on: {run.aborted}")
    return "\n".join(lines)


def _not_exercised(run: Run) -> Iterator[str]:
    if not run.whole:
        return
    seen = set(rows(run))
    missing = sorted(name for name in run.subject_commands if name not in seen)
    missing = [name for name in missing if not any(other.startswith(name + " ") for other in run.subject_commands)]
    if missing:
        yield _wrapped("not exercised (the subject has them):", missing)
    if run.unsupported:
        yield f"unsupported: {len(run.unsupported)} commands and subcommands that the oracle has (listed by --json)"


def _wrapped(title: str, names: list[str]) -> str:
    lines, line = [title], " "
    for name in names:
        if len(line) + len(name) > 110:
            lines.append(line)
            line = " "
        line += f" {name},"
    return "\n".join([*lines, line.rstrip(",")])


def _obsolete(run: Run) -> Iterator[str]:
    for divergence in run.obsolete:
        yield f"known difference no longer differs, take it out of divergences.toml: {divergence.title}"


def _findings(run: Run, limit: int) -> Iterator[str]:
    alike: dict[str, list[Finding]] = {}
    for number, finding in enumerate(run.unexplained):
        alike.setdefault(finding.kind or str(number), []).append(finding)
    for number, (first, *others) in enumerate(list(alike.values())[:limit], 1):
        places = [f"{place(other)} RESP{other.verdict.protocol}" for other in others]
        more = f", and {len(places) - 8} more" if len(places) > 8 else ""
        yield show_finding(first, number) + (f"\n    likewise: {', '.join(places[:8])}{more}" if places else "")
    if len(alike) > limit:
        yield f"... and {len(alike) - limit} more kinds of difference"


def place(finding: Finding) -> str:
    """file:line of a finding."""
    stream = finding.verdict.stream
    return f"{stream.path or stream.name}:{finding.compared.step.line}"


def show_finding(finding: Finding, number: int = 1) -> str:
    """One difference: where, what, both replies, and how to see it again."""
    verdict, one = finding.verdict, finding.compared
    where = place(finding)
    what = quote_command(one.step.argv) if one.step.verb == "state" else one.step.shown
    lines = [f"[{number}] {where}  RESP{verdict.protocol}" + (f"  ({one.note})" if one.note else ""), f"    {what}"]
    for title, outcome in (("oracle ", one.oracle), ("subject", one.subject)):
        lines += _labelled(f"    {title}: ", outcome.shown())
        if outcome.frames:
            lines.append(f"             {_cut(repr(outcome.raw), SHOWN_RAW)}")
    lines += [f"    difference: {line}" for line in explain(one.rule, one.oracle, one.subject, one.inner)]
    if one.rule != "exact":
        lines.append(f"    compared by: {one.rule}")
    if finding.shortest is not None:
        lines.append("    again:")
        lines += [f"        {line}" for line in replay_script(finding.shortest, verdict.protocol).splitlines()]
    return "\n".join(lines)


def _labelled(label: str, text: str) -> Iterator[str]:
    first, *rest = text.split("\n")
    yield label + _cut(first)
    for line in rest[:SHOWN_LINES]:
        yield " " * len(label) + _cut(line)
    if len(rest) > SHOWN_LINES:
        yield " " * len(label) + f"... ({len(rest) - SHOWN_LINES} more lines)"


def _cut(text: str, limit: int = SHOWN_TEXT) -> str:
    return text if len(text) <= limit else f"{text[: limit - 80]} ... ({len(text)} characters) ... {text[-60:]}"


def replay_script(stream: Stream, protocol: int) -> str:
    """One client and plain commands: lines for redis-cli. Otherwise the stream's own format, which run takes."""
    clients = {step.client for step in stream.steps}
    if len(clients) <= 1 and all(step.verb == "call" for step in stream.steps):
        option = " -3" if protocol == 3 else ""
        moment = time.time_ns() // 1_000_000
        lines = [quote_command([substitute(word, moment, {}) for word in step.argv]) for step in stream.steps]
        body = "\n".join(lines)
        return f"redis-cli{option} -p PORT <<'EOF'\n{body}\nEOF"
    return stream.to_text().strip()
