"""The generator against two servers: the main finder of bugs.

Every generated stream is run until the first command that differs; differences of a kind already seen are counted, not
shown again; a new one is run again, shrunk and printed with the line that replays it. One that does not show again when
the stream is repeated is reported as seen once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .compare import Comparison
from .generate import Generator, Tally, is_hit
from .report import Finding, Run, row_name, show_finding
from .runner import Verdict
from .shrink import kind_of, shrink


@dataclass
class FuzzRun:
    """What a fuzz run found: distinct findings, how often each kind was seen, and how the commands fared."""

    run: Run
    findings: list[Finding] = field(default_factory=list)
    unrepeated: list[Finding] = field(default_factory=list)
    replays: dict[int, str] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    branches: dict[str, set[str]] = field(default_factory=dict)
    commands: int = 0
    streams: int = 0

    @property
    def exit_code(self) -> int:
        return 1 if any(finding.known is None for finding in self.findings) else 0


def fuzz(
    comparison: Comparison,
    generator: Generator,
    replay: str,
    count: int,
    only: int | None = None,
    most: int = 12,
    progress: Callable[[FuzzRun], None] | None = None,
) -> FuzzRun:
    """Run generated streams until `count` commands are compared or `most` distinct differences are found.

    `replay` is the command line that, with ` --only N` added, runs stream N again.
    """
    result = FuzzRun(comparison.run)
    number = 0 if only is None else only
    while result.commands < count and len(result.findings) < most:
        stream, protocol, taken = generator.stream(number)
        verdict = comparison.duel.run(stream, protocol)
        comparison.run.verdicts.append(verdict)
        result.streams += 1
        _tally(result, verdict, [branches for branches, step in zip(taken, stream.steps, strict=True)])
        first = next((one for one in comparison.explain(verdict) if one.known is None), None)
        if first is not None:
            _add(result, comparison, verdict, first, f"{replay} --only {number}")
        if progress is not None:
            progress(result)
        if only is not None:
            break
        number += 1
    return result


def _add(result: FuzzRun, comparison: Comparison, verdict: Verdict, finding: Finding, replay: str) -> None:
    kind = kind_of(finding.compared)
    result.kinds[kind] = result.kinds.get(kind, 0) + 1
    if result.kinds[kind] > 1:
        return
    finding.shortest = shrink(comparison.duel, verdict, finding.compared)
    if finding.shortest is None:
        result.unrepeated.append(finding)
        del result.kinds[kind]
        return
    again = comparison.duel.run(finding.shortest, verdict.protocol)
    if again.differences:
        finding.verdict, finding.compared = again, again.differences[0]
    result.replays[id(finding)] = replay
    result.findings.append(finding)


def _tally(result: FuzzRun, verdict: Verdict, taken: list[tuple[str, ...]]) -> None:
    for one in verdict.compared:
        if not one.step.argv or one.step.verb == "state" or one.note:
            continue
        result.commands += 1
        name = row_name(one.step, result.run.oracle_commands)
        tally = result.tallies.setdefault(name, Tally())
        tally.sent += 1
        if not one.oracle.frames or one.oracle.frames[0].is_error:
            continue
        tally.ok += 1
        tally.hit += is_hit(one.oracle.frames[0])
        if 0 < one.step.line <= len(taken):
            result.branches.setdefault(name, set()).update(taken[one.step.line - 1])


def render_fuzz(result: FuzzRun) -> str:
    """Findings, then how the commands fared."""
    parts: list[str] = []
    for number, finding in enumerate(result.findings, 1):
        seen = result.kinds.get(kind_of(finding.compared), 1)
        parts.append(show_finding(finding, number))
        parts.append(f"    seen {seen} times; the whole stream: {result.replays[id(finding)]}")
    for finding in result.unrepeated:
        parts.append("seen once, not again when repeated:\n" + show_finding(finding, 0))
    lines = [f"{'command':<28}{'sent':>8}{'ok':>8}{'hit':>8}", "-" * 52]
    for name, tally in sorted(result.tallies.items()):
        shown = name if len(name) < 28 else name[:24] + "..."
        lines.append(f"{shown:<28}{tally.sent:>8}{tally.ok / tally.sent:>8.0%}{tally.hit / tally.sent:>8.0%}")
    sent = sum(tally.sent for tally in result.tallies.values()) or 1
    ok = sum(tally.ok for tally in result.tallies.values())
    hit = sum(tally.hit for tally in result.tallies.values())
    lines.append(f"{'all':<28}{sent:>8}{ok / sent:>8.0%}{hit / sent:>8.0%}")
    parts.append("\n".join(lines))
    parts.append(
        f"subject {result.run.subject}, oracle {result.run.oracle}\n{result.streams} generated streams, "
        f"{result.commands} commands: {len(result.findings)} kinds of difference"
    )
    return "\n\n".join(parts)
