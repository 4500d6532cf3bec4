"""What a run found, as plain data: the one model behind every report, and the JSON file itself.

    Result                one oracle, one or more subjects
      Server              a name ("redis-7.0") and the version it reported
      Subject             one server compared with the oracle
        Cell              one command under one protocol: how many replies were compared, how many differ, the state
        Played            one stream under one protocol
        Difference        one place where the two part: what was sent, both answers, where they part, how to see it
          Answer          what one server said

The file's `schema` is `conformance-result/1`; the number grows when a field changes its meaning or goes away, not when
one is added. Every field below is a field of the JSON, under the same name. Bytes stand as latin-1 text (one character
per byte) and are cut after 4,096; `size` tells the whole length.

A cell's state:

    same            compared, and nothing differs
    differs         at least one reply differs, and no known difference explains it
    known           replies differ, and divergences.toml says why that is right
    unsupported     the subject does not know the command
    not exercised   no stream sent it

A difference's `id` stays the same from run to run as long as the same line of the same stream goes wrong in the same
way. It is made from the stream's name, the protocol, the step as written, which of several equal steps it was, and the
kind of difference; not from line numbers, and not from values, which change. Differences in generated streams are
identified by their kind alone, so that they survive another seed. That is what a baseline (baseline.py) is built on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..explain import explain
from ..outcome import Outcome
from ..report import CONTAINERS, Finding, Run, replay_script, row_name
from ..runner import Compared
from ..shrink import kind_of
from ..streams import Stream
from ..wire import quote_command

SCHEMA = "conformance-result/1"
MOST_BYTES = 4096
MOST_STEPS = 30
STATES = ("same", "differs", "known", "unsupported", "not exercised")

_TITLE = re.compile(r"^(.*?)(?: \(([^()]*)\))?$")
_UNKNOWN_COMMAND = re.compile(rb"^ERR (?:unknown (?:sub)?command|Unknown subcommand)", re.IGNORECASE)


@dataclass(frozen=True)
class Server:
    """A server by the name it was asked for, and the version that it told."""

    name: str
    version: str = ""

    @property
    def title(self) -> str:
        """`redis 8.2.3`: the name without its own version, and the exact one."""
        if not self.version:
            return self.name
        return f"{re.sub(r'-[0-9.]+$', '', self.name)} {self.version}"


@dataclass(frozen=True)
class Answer:
    """What one server said: readable, raw, its length in bytes, and how it ended if not well (`closed`, ...)."""

    shown: str
    raw: str = ""
    size: int = 0
    end: str = ""


@dataclass
class Difference:
    """One place where two servers part.

    `compared_by` is the rule (normalise.py), `explained` says where two long replies part, `known` and `reason` name
    the entry of divergences.toml that covers it, `baseline` that a baseline holds it. `script` shows it again: for
    redis-cli where `paste_able`, else the stream itself. `shrunk`: the script is the shortest that still differs.
    """

    id: str
    kind: str
    command: str
    stream: str
    file: str
    line: int
    protocol: int
    sent: str
    oracle: Answer
    subject: Answer
    note: str = ""
    compared_by: str = "exact"
    explained: list[str] = field(default_factory=list)
    known: str = ""
    reason: str = ""
    unsupported: bool = False
    baseline: bool = False
    script: str = ""
    paste_able: bool = False
    shrunk: bool = False

    @property
    def place(self) -> str:
        return f"{self.stream}:{self.line}"

    @property
    def fails(self) -> bool:
        """It counts against the subject: neither explained nor tolerated."""
        return not self.known and not self.baseline


@dataclass
class Cell:
    """One command under one protocol."""

    compared: int = 0
    differing: int = 0
    known: int = 0
    state: str = "not exercised"


@dataclass
class Played:
    """One stream under one protocol; `skipped` says why it does not apply. `differences` are ids."""

    stream: str
    group: str
    teaches: str
    protocol: int
    compared: int = 0
    seconds: float = 0.0
    skipped: str = ""
    differences: list[str] = field(default_factory=list)


@dataclass
class Subject:
    """One server compared with the oracle: cells by command and protocol ("2", "3")."""

    server: Server
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    streams: list[Played] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    obsolete: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    aborted: str = ""

    @property
    def failing(self) -> list[Difference]:
        return [one for one in self.differences if one.fails]

    @property
    def compared(self) -> int:
        return sum(played.compared for played in self.streams)

    @property
    def commands(self) -> dict[str, int]:
        """How many of the oracle's commands and subcommands are in which state: the worst of their protocols."""
        order = ("differs", "unsupported", "known", "same", "not exercised")
        worst = [
            min((cell.state for cell in cells.values()), key=order.index)
            for name, cells in self.cells.items()
            if not name.startswith("(")
        ]
        return {state: worst.count(state) for state in STATES}

    @property
    def score(self) -> float:
        """Percent of the compared replies that are the same; known differences count for neither side."""
        known = sum(bool(one.known) for one in self.differences)
        judged = self.compared - known
        return 100.0 * (judged - (len(self.differences) - known)) / judged if judged else 0.0

    @property
    def exit_code(self) -> int:
        """0 the same, 1 different, 2 could not be compared."""
        return 2 if self.aborted else int(bool(self.failing or self.obsolete))


@dataclass
class Result:
    """Everything. `groups` are the commands' groups by the oracle's COMMAND DOCS; `missing` names absent servers."""

    oracle: Server
    subjects: list[Subject] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    created: str = ""
    schema: str = SCHEMA

    @property
    def exit_code(self) -> int:
        return max((subject.exit_code for subject in self.subjects), default=2)


def percent(score: float) -> str:
    """Cut, never rounded up: 100 % means that nothing differs."""
    return f"{int(score * 10) / 10:.1f} %"


# ---- from a run --------------------------------------------------------------------------------------------------


def from_runs(runs: Iterable[Run], missing: dict[str, str] | None = None) -> Result:
    """The model of runs that had the same oracle."""
    runs = list(runs)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    groups = {name: group for run in runs for name, group in run.groups.items()}
    return Result(_server(runs[0].oracle), [_subject(run) for run in runs], groups, missing or {}, created)


def _server(title: str) -> Server:
    found = _TITLE.match(title)
    assert found is not None
    return Server(found[1], found[2] or "")


def _subject(run: Run) -> Subject:
    subject = Subject(_server(run.subject), aborted=run.aborted)
    subject.obsolete = [entry.title for entry in run.obsolete]
    subject.unsupported = run.unsupported
    findings = {id(finding.compared): finding for finding in run.findings}
    for verdict in run.verdicts:
        stream = verdict.stream
        played = Played(stream.name, stream.group, stream.teaches, verdict.protocol, skipped=verdict.skipped)
        played.compared, played.seconds = len(verdict.compared), round(verdict.seconds, 3)
        subject.streams.append(played)
        seen: dict[str, int] = {}
        for one in verdict.compared:
            command = row_name(one.step, run.oracle_commands)
            cells = subject.cells.setdefault(command, {"2": Cell(), "3": Cell()})
            cell = cells[str(verdict.protocol)]
            cell.compared += 1
            text = quote_command(one.step.argv) if one.step.verb == "state" else one.step.shown
            seen[text] = seen.get(text, 0) + 1
            if one.same or (finding := findings.get(id(one))) is None:
                continue
            difference = _difference(finding, command, text, seen[text], run)
            subject.differences.append(difference)
            played.differences.append(difference.id)
            cell.differing += not difference.known
            cell.known += bool(difference.known)
    lonely = [finding for finding in run.findings if not any(finding.verdict is one for one in run.verdicts)]
    for finding in lonely:  # a shrunk finding of a generated stream, run once more on its own
        step = finding.compared.step
        text = quote_command(step.argv) if step.verb == "state" else step.shown
        difference = _difference(finding, row_name(step, run.oracle_commands), text, 1, run)
        subject.differences.append(difference)
        cells = subject.cells.setdefault(difference.command, {"2": Cell(), "3": Cell()})
        cells[str(difference.protocol)].differing += not difference.known
    for name in sorted(run.oracle_commands):
        if name not in CONTAINERS or not any(other.startswith(name + " ") for other in run.oracle_commands):
            subject.cells.setdefault(name, {"2": Cell(), "3": Cell()})
    subject.cells = dict(sorted(subject.cells.items()))
    _judge(subject, run)
    return subject


def _judge(subject: Subject, run: Run) -> None:
    """Give every cell its state."""
    missing = run.oracle_commands - run.subject_commands if run.subject_commands else frozenset()
    exercised = {name for name, cells in subject.cells.items() if any(cell.compared for cell in cells.values())}
    missing |= {name.partition(" with ")[0] for name in run.left_out} - exercised
    refused: dict[tuple[str, str], int] = {}
    for one in subject.differences:
        key = one.command, str(one.protocol)
        refused[key] = refused.get(key, 0) + one.unsupported
    for command, cells in subject.cells.items():
        for protocol, cell in cells.items():
            refusals = refused.get((command, protocol), 0)
            if command in missing or (cell.differing and refusals == cell.differing == cell.compared):
                cell.state = "unsupported"
            elif cell.differing:
                cell.state = "differs"
            elif cell.known:
                cell.state = "known"
            elif cell.compared:
                cell.state = "same"
    for one in subject.differences:  # 6.2 says "unknown subcommand or wrong number of arguments" for either
        one.unsupported = subject.cells[one.command][str(one.protocol)].state == "unsupported"


def _difference(finding: Finding, command: str, sent: str, occurrence: int, run: Run) -> Difference:
    verdict, one = finding.verdict, finding.compared
    stream = verdict.stream
    shown = finding.shortest or _up_to(stream, one)
    script = replay_script(shown, verdict.protocol)
    generated = not stream.path
    known = finding.known
    return Difference(
        id=identify(command, "" if generated else stream.name, verdict.protocol, sent, occurrence, one, generated),
        kind=finding.kind or kind_of(one),
        command=command,
        stream=stream.name,
        file=stream.path,
        line=one.step.line,
        protocol=verdict.protocol,
        sent=_cut(sent, 600),
        oracle=_answer(one.oracle),
        subject=_answer(one.subject),
        note=one.note,
        compared_by=one.rule,
        explained=explain(one.rule, one.oracle, one.subject, one.inner),
        known=known.title if known else "",
        reason=known.reason if known else "",
        unsupported=_refused(one.subject) and not _refused(one.oracle),
        script=script if len(script) < 20_000 else "",
        paste_able=script.startswith("redis-cli"),
        shrunk=finding.shortest is not None,
    )


def identify(
    command: str, stream: str, protocol: int, sent: str, occurrence: int, one: Compared, generated: bool
) -> str:
    """The difference's stable name: the command, for people, and 40 bits of what it is."""
    facts = [kind_of(one)] if generated else [stream, str(protocol), sent, str(occurrence), kind_of(one)]
    digest = hashlib.sha256("\0".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    slug = re.sub(r"[^a-z0-9]+", "-", command.lower()).strip("-")
    return f"{slug or 'other'}-{digest}"


def _refused(outcome: Outcome) -> bool:
    return any(frame.is_error and _UNKNOWN_COMMAND.match(frame.text) for frame in outcome.frames[:1])


def _up_to(stream: Stream, one: Compared) -> Stream:
    """The stream's steps up to the one that differs, the last of them where they are many."""
    ends = next((n for n, step in enumerate(stream.steps) if step is one.step), len(stream.steps) - 1) + 1
    return stream.with_steps(stream.steps[max(0, ends - MOST_STEPS) : ends])


def _answer(outcome: Outcome) -> Answer:
    raw = outcome.raw
    return Answer(_cut(outcome.shown(), MOST_BYTES), raw[:MOST_BYTES].decode("latin-1"), len(raw), outcome.end)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} ... ({len(text)} characters)"


# ---- JSON --------------------------------------------------------------------------------------------------------


def to_json(result: Result) -> str:
    """The file. `summary` repeats what can be counted, for those who read it with jq."""
    document = {"schema": result.schema, "created": result.created, **asdict(result)}
    document["exit_code"] = result.exit_code
    for subject, data in zip(result.subjects, document["subjects"], strict=True):
        data["summary"] = summary(subject)
    return json.dumps(document, indent=1) + "\n"


def summary(subject: Subject) -> dict[str, Any]:
    """What one subject comes to."""
    return {
        "score": int(subject.score * 10) / 10,
        "compared": subject.compared,
        "differing": len(subject.differences),
        "failing": len(subject.failing),
        "kinds": len({one.kind for one in subject.failing}),
        "known": sum(bool(one.known) for one in subject.differences),
        "in_baseline": sum(one.baseline for one in subject.differences),
        "commands": subject.commands,
        "exit_code": subject.exit_code,
    }


def from_json(text: str) -> Result:
    """Read the file back. ValueError when it is not one, or of a schema that this version does not know."""
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"not a {SCHEMA} file")
    subjects = []
    for one in data["subjects"]:
        subject = Subject(Server(**one["server"]), aborted=one["aborted"], obsolete=one["obsolete"])
        subject.unsupported, subject.gone = one["unsupported"], one["gone"]
        subject.cells = {
            command: {protocol: Cell(**cell) for protocol, cell in cells.items()}
            for command, cells in one["cells"].items()
        }
        subject.streams = [Played(**played) for played in one["streams"]]
        subject.differences = [
            Difference(**(each | {"oracle": Answer(**each["oracle"]), "subject": Answer(**each["subject"])}))
            for each in one["differences"]
        ]
        subjects.append(subject)
    oracle = Server(**data["oracle"])
    return Result(oracle, subjects, data["groups"], data["missing"], data["created"])
