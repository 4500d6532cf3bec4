"""A difference as files: for a bug report, for CI to keep, for the desk of whoever fixes it.

Three files for each finding, named by its number and command:

    01-getrange.stream   replays it: python -m conformance run --streams 01-getrange.stream --subject ...
    01-getrange.sh       replays it with redis-cli alone, against any port: bash 01-getrange.sh 6379
    01-getrange.diff     what each server said, byte by byte
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from .explain import explain
from .outcome import Outcome
from .report import Finding, row_name
from .streams import Step, Stream
from .wire import quote_command

PER_ROW = 16
PLACE = re.compile(r"\$\{(now_ms|now)([+-]\d+)?\}")


def write_artefacts(findings: Iterable[Finding], folder: Path, subject: str, oracle: str) -> list[Path]:
    """Write the unexplained findings that have a shortest stream, the first of each kind; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    kinds: set[str] = set()
    number = 0
    for finding in findings:
        stream, kind = finding.shortest, finding.kind or str(id(finding))
        if finding.known is not None or stream is None or kind in kinds:
            continue
        kinds.add(kind)
        number += 1
        name = re.sub(r"[^a-z0-9]+", "-", row_name(finding.compared.step).lower()).strip("-") or "state"
        protocol = finding.verdict.protocol
        files = {
            ".stream": _pinned(stream, protocol).to_text(),
            ".sh": redis_cli_script(stream, protocol),
            ".diff": byte_diff(finding, subject, oracle),
        }
        for suffix, text in files.items():
            path = folder / f"{number:02}-{name}{suffix}"
            path.write_text(text, "utf-8")
            written.append(path)
    return written


def _pinned(stream: Stream, protocol: int) -> Stream:
    """The stream for the protocol under which it differed."""
    teaches = stream.teaches or "Shrunk from a longer stream."
    return Stream(stream.name, stream.steps, teaches, protocols=(protocol,), handshake=stream.handshake)


# ---- redis-cli ---------------------------------------------------------------------------------------------------


def redis_cli_script(stream: Stream, protocol: int) -> str:
    """A script for bash that plays the stream with redis-cli: one process per client, in the stream's order.

    With one client it is a here-document, to be pasted. With several, each is fed through a pipe of its own, and the
    next line waits until the reply to the last one has begun. Steps that redis-cli cannot play stand as comments.
    """
    option = " -3" if protocol == 3 else ""
    clients = list(dict.fromkeys(step.client for step in stream.steps if step.client))
    head = ["#!/bin/bash", *(f"# {line}" for line in stream.teaches.splitlines()), "PORT=${1:-6379}"]
    if any(PLACE.search(quote_command(step.argv)) for step in stream.steps):
        head.append("NOW=$(date +%s)")
    if len(clients) <= 1 and all(step.verb in ("call", "scan") for step in stream.steps):
        return "\n".join([*head, f'redis-cli{option} --no-raw -p "$PORT" <<EOF', *_here(stream.steps), "EOF", ""])
    pipes = [
        "PIPES=$(mktemp -d) && trap 'rm -rf \"$PIPES\"' EXIT",
        "say() {  # say FD FD LINE: send, show the first line of the reply, then what else is there",
        "    printf '%s\\n' \"$3\" >&\"$1\"; echo \"> $3\"",
        '    IFS= read -r answer <&"$2"; echo "$answer"',
        '    while IFS= read -r -t 0.1 answer <&"$2"; do echo "$answer"; done',
        "}",
    ]
    for number, client in enumerate(clients):
        into, out = 10 + 2 * number, 11 + 2 * number
        pipes += [
            f'mkfifo "$PIPES/{client}-in" "$PIPES/{client}-out"',
            f'redis-cli{option} --no-raw -p "$PORT" <"$PIPES/{client}-in" >"$PIPES/{client}-out" 2>&1 &',
            f'exec {into}>"$PIPES/{client}-in" {out}<"$PIPES/{client}-out"',
        ]
    return "\n".join([*head, *pipes, *(_said(step, clients) for step in stream.steps), ""])


def _here(steps: Iterable[Step]) -> Iterator[str]:
    """Lines of a here-document in which the shell sees to the clock and to nothing else."""
    for step in steps:
        line = re.sub(r"[\\$`]", r"\\\g<0>", _clock_mark(quote_command(step.argv)))
        yield _clock_value(line)


def _clock_mark(line: str) -> str:
    """${now+5} as a mark that escaping leaves alone."""
    return PLACE.sub(lambda found: f"\x00{found[1]}{found[2] or ''}\x00", line.replace("\\x24{", "${"))


def _clock_value(line: str) -> str:
    def value(found: re.Match[str]) -> str:
        thousands = "*1000" if found[1] == "now_ms" else ""
        return f"$((NOW{thousands}{found[2] or ''}))"

    return re.sub("\x00(now_ms|now)([+-]\\d+)?\x00", value, line)


def _said(step: Step, clients: list[str]) -> str:
    if step.verb not in ("call", "scan"):
        return f"# {step.shown}"
    number = clients.index(step.client)
    parts = re.split("(\x00[^\x00]*\x00)", _clock_mark(quote_command(step.argv)))
    clock = [f'"{_clock_value(part)}"' if part.startswith("\x00") else "" for part in parts]
    line = "".join(value or (shlex.quote(part) if part else "") for part, value in zip(parts, clock, strict=True))
    return f"say {10 + 2 * number} {11 + 2 * number} {line}  # {step.client}"


# ---- bytes -------------------------------------------------------------------------------------------------------


def byte_diff(finding: Finding, subject: str, oracle: str) -> str:
    """Both replies as rows of bytes, `-` the oracle's and `+` the subject's, rows that are equal once."""
    one = finding.compared
    head = [
        f"# {one.step.shown if one.step.argv else one.step.verb}" + (f"  ({one.note})" if one.note else ""),
        f"# RESP{finding.verdict.protocol}, compared by: {one.rule}",
        *(f"# {line}" for line in explain(one.rule, one.oracle, one.subject, one.inner)),
        f"--- oracle  {oracle}",
        f"+++ subject {subject}",
    ]
    left, right = _rows(one.oracle), _rows(one.subject)
    rows: list[str] = []
    for n in range(max(len(left), len(right))):
        here, there = left[n : n + 1], right[n : n + 1]
        rows += [f"  {here[0]}"] if here == there else [*(f"- {row}" for row in here), *(f"+ {row}" for row in there)]
    return "\n".join([*head, *rows, ""])


def _rows(outcome: Outcome) -> list[str]:
    """Offset, bytes in hexadecimal and as text, one row for each line of the protocol (or sixteen bytes of it)."""
    rows: list[str] = []
    at = 0
    for line in outcome.raw.splitlines(keepends=True):
        for start in range(0, len(line), PER_ROW):
            piece = line[start : start + PER_ROW]
            shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
            rows.append(f"{at:06x}  {piece.hex(' '):<{3 * PER_ROW}} {shown}")
            at += len(piece)
    if outcome.end or outcome.detail:
        rows.append(f"({' '.join(part for part in (outcome.end, outcome.detail) if part)})")
    return rows or ["(nothing)"]
