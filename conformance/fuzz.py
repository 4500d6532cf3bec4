"""The generator against two servers: the main finder of bugs.

Every generated stream is run until the first command that differs; differences of a kind already seen are counted, not
shown again; a new one is run again, shrunk and printed with the line that replays it. One that does not show again when
the stream is repeated is reported as seen once.

Streams come from a seed (`fuzz`: fast, for bulk) or from Hypothesis (`fuzz_by_hypothesis`: slower, simplifies values
too); generate.py says what the two share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .compare import Comparison
from .coverage import Coverage
from .endpoints import EndpointError
from .generate import Generator
from .report import Finding, Run, show_finding
from .runner import Verdict
from .shrink import kind_of, shrink
from .streams import Stream


@dataclass
class FuzzRun:
    """What a fuzz run found: distinct findings, how often each kind was seen, and how the commands fared."""

    run: Run
    coverage: Coverage
    findings: list[Finding] = field(default_factory=list)
    unrepeated: list[Finding] = field(default_factory=list)
    replays: dict[int, str] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    commands: int = 0
    streams: int = 0

    @property
    def exit_code(self) -> int:
        return 1 if any(finding.known is None for finding in self.findings) else 0


Progress = Callable[[FuzzRun], None]


def fuzz(
    comparison: Comparison,
    generator: Generator,
    coverage: Coverage,
    replay: str,
    count: int,
    only: int | None = None,
    most: int = 12,
    progress: Progress | None = None,
) -> FuzzRun:
    """Run generated streams until `count` commands are compared or `most` distinct differences are found.

    `replay` is the command line that, with ` --only N` added, runs stream N again. `coverage` is added to.
    """
    result = FuzzRun(comparison.run, coverage)
    number = 0 if only is None else only
    while result.commands < count and len(result.findings) < most:
        stream, protocol = generator.stream(number)
        verdict, first = _run(result, comparison, stream, protocol)
        if first is not None:
            _add(result, comparison, verdict, first, f"{replay} --only {number}")
        if progress is not None:
            progress(result)
        if only is not None:
            break
        number += 1
    return result


def fuzz_by_hypothesis(
    comparison: Comparison,
    generator: Generator,
    coverage: Coverage,
    replay: str,
    count: int,
    most: int = 12,
    progress: Progress | None = None,
) -> FuzzRun:
    """The same with streams drawn and shrunk by Hypothesis, after which words are left out as in `fuzz`."""
    try:
        from . import strategies
    except ImportError as error:
        raise EndpointError("--hypothesis needs the package: pip install hypothesis") from error
    result = FuzzRun(comparison.run, coverage)
    strategy = strategies.streams(generator.commands, generator.known, generator.length)
    number, protocol = 0, 2

    def differs(stream: Stream) -> bool:
        """By a kind of difference that is new."""
        _, first = _run(result, comparison, stream, protocol)
        if progress is not None:
            progress(result)
        return first is not None and kind_of(first.compared) not in result.kinds

    while result.commands < count and len(result.findings) < most:
        protocol = 2 + number % 2
        examples = max(1, min(200, (count - result.commands) // generator.length))
        stream = strategies.hunt(strategy, differs, examples, f"{generator.seed}:{number}")
        number += 1
        if stream is None:
            continue
        verdict, first = _run(result, comparison, stream, protocol)
        if first is not None:
            _add(result, comparison, verdict, first, replay)
    return result


def _run(result: FuzzRun, comparison: Comparison, stream: Stream, protocol: int) -> tuple[Verdict, Finding | None]:
    """Run and count one stream; its verdict and its first difference that is not a known one."""
    verdict = comparison.duel.run(stream, protocol)
    comparison.run.verdicts.append(verdict)
    result.streams += 1
    result.commands += sum(bool(one.step.argv) and not one.note for one in verdict.compared)
    result.coverage.add(verdict)
    return verdict, next((one for one in comparison.explain(verdict) if one.known is None), None)


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
    finding.kind = kind
    result.replays[id(finding)] = replay
    result.findings.append(finding)


def render_fuzz(result: FuzzRun) -> str:
    """Findings, then how the commands fared."""
    parts: list[str] = []
    for number, finding in enumerate(result.findings, 1):
        parts.append(show_finding(finding, number))
        parts.append(f"    seen {result.kinds[finding.kind]} times; the whole stream: {result.replays[id(finding)]}")
    for finding in result.unrepeated:
        parts.append("seen once, not again when repeated:\n" + show_finding(finding, 0))
    parts.append(result.coverage.render_hits())
    parts.append(
        f"subject {result.run.subject}, oracle {result.run.oracle}\n{result.streams} generated streams, "
        f"{result.commands} commands: {len(result.findings)} kinds of difference"
    )
    return "\n\n".join(parts)
