"""A run: streams, protocols, two endpoints; differences explained, shrunk and collected.

This is what the command line, pytest and other programs call. Everything it finds is in the `Run` it returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .divergences import Divergence
from .divergences import load as load_divergences
from .endpoints import Endpoint, EndpointError
from .outcome import LOG
from .report import Finding, Run, row_name
from .runner import Duel, Verdict
from .shrink import kind_of, shrink
from .streams import Stream
from .versions import explain_drift
from .wire import Reply, quote_command

# How often a stream is repeated as long as nothing but a tick of the clock may be what differs.
DOUBTS = 3


@dataclass
class Comparison:
    """Collects verdicts into a Run. `shrinks` bounds how many findings are shrunk, the first of each kind."""

    duel: Duel
    divergences: list[Divergence] = field(default_factory=load_divergences)
    shrinks: int = 12
    run: Run = field(init=False)
    _exercised: set[int] = field(default_factory=set)
    _differed: set[int] = field(default_factory=set)
    _shrunk: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.run = Run(self.duel.oracle.title, self.duel.subject.title)
        self.run.oracle_commands = list_commands(self.duel.oracle)
        self.run.groups = list_groups(self.duel.oracle)
        listed = list_commands(self.duel.subject)
        if not any(" " in name for name in listed):
            listed |= {name for name in self.run.oracle_commands if " " in name and name.split()[0] in listed}
        self.run.subject_commands = listed & (self.run.oracle_commands or listed)

    def stream(self, stream: Stream, protocol: int) -> list[Finding]:
        """Run one stream under one protocol; its findings, known ones included."""
        began = time.monotonic()
        verdict = self.duel.run(stream, protocol)
        for _ in range(DOUBTS):
            if verdict.only_doubts:
                verdict = self.duel.run(stream, protocol)
        verdict.seconds = time.monotonic() - began
        self.run.verdicts.append(verdict)
        findings = self.explain(verdict)
        self.run.findings += findings
        for finding in findings:
            finding.kind = kind_of(finding.compared)
            if finding.known is None and finding.kind not in self._shrunk and len(self._shrunk) < self.shrinks:
                self._shrunk.add(finding.kind)
                finding.shortest = shrink(self.duel, verdict, finding.compared)
        return findings

    def finish(self) -> Run:
        """The run, with the known differences that no longer differ."""
        self.run.obsolete = [self.divergences[n] for n in sorted(self._exercised - self._differed)]
        for title, endpoint in (("oracle", self.duel.oracle), ("subject", self.duel.subject)):
            self.run.notes += [f"{title}: {note}" for note in endpoint.notes]
        return self.run

    def explain(self, verdict: Verdict) -> list[Finding]:
        """Every difference of a verdict as a finding, with the divergence that covers it, if one does."""
        findings: list[Finding] = []
        for one in verdict.compared:
            command, line = row_name(one.step), quote_command(one.step.argv)
            known: Divergence | None = None
            for number, entry in enumerate(self.divergences):
                names = (self.duel.subject.name, self.duel.oracle.name)
                if entry.covers(*names, command, verdict.stream.name, line, verdict.protocol, one.note == LOG):
                    self._exercised.add(number)
                    if not one.same:
                        self._differed.add(number)
                        known = known or entry
            if not one.same:
                known = known or explain_drift(
                    (self.duel.oracle.product, self.duel.subject.product),
                    one,
                    command,
                    line,
                    verdict.stream.name,
                    verdict.protocol,
                )
                findings.append(Finding(verdict, one, known=known))
        return findings


def compare_streams(
    comparison: Comparison,
    streams: Iterable[Stream],
    protocols: tuple[int, ...] = (2, 3),
    progress: Callable[[Stream, int, list[Finding]], None] | None = None,
) -> Run:
    """Run every stream under every protocol it is for, as long as both servers are there."""
    for stream in streams:
        for protocol in protocols:
            if protocol not in stream.protocols:
                continue
            try:
                findings = comparison.stream(stream, protocol)
            except EndpointError as error:
                comparison.run.aborted = f"{stream.name} under RESP{protocol}: {error}"
                return comparison.finish()
            if progress is not None:
                progress(stream, protocol, findings)
    return comparison.finish()


def list_commands(endpoint: Endpoint) -> frozenset[str]:
    """Commands and subcommands by COMMAND, in capitals, `CONFIG GET` for subcommands; empty if it cannot tell.

    Servers before 7.0 name no subcommands.
    """
    connection = endpoint.connect()
    try:
        reply = connection.call(b"COMMAND")
    finally:
        connection.close()
    return frozenset(_names(reply))


def list_groups(endpoint: Endpoint) -> dict[str, str]:
    """The group of every command by COMMAND DOCS (`ZADD`: `sorted-set`); empty before Redis 7.0."""
    connection = endpoint.connect()
    try:
        children = connection.call(b"COMMAND", b"DOCS").children
    finally:
        connection.close()
    groups: dict[str, str] = {}
    for name, entry in zip(children[::2], children[1::2], strict=False):
        facts = {key.text: value for key, value in zip(entry.children[::2], entry.children[1::2], strict=False)}
        if b"group" in facts:
            groups[name.text.decode("utf-8", "replace").upper()] = facts[b"group"].text.decode("utf-8", "replace")
    return groups


def _names(reply: Reply) -> Iterable[str]:
    for entry in reply.children:
        if not entry.children:
            continue
        yield entry.children[0].text.decode("utf-8", "replace").upper().replace("|", " ")
        if len(entry.children) > 9:
            yield from _names(entry.children[9])
