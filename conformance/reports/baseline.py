"""The ratchet: a list of differences that are tolerated today, so that only new ones fail.

    python -m conformance run ... --baseline known.json --update-baseline      write down what there is
    python -m conformance run ... --baseline known.json                        fail for what is not written there

The file is sorted JSON with one difference a line, so that a diff of it reads well in review. A difference of the
baseline that no longer shows is *gone*: it is named, and `--update-baseline` takes it out. Only what was run can
be gone: a run of some streams, or under one protocol, says nothing about the others and leaves them in the file.

Unlike divergences.toml it gives no reasons. The one says "this is right", the other "not worse than yesterday".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .result import Result, Subject

SCHEMA = "conformance-baseline/1"


@dataclass(frozen=True)
class Tolerated:
    """One line of the file. All but the id is for people, and to know whether a run could have shown it."""

    id: str
    stream: str
    protocol: int
    sent: str


@dataclass
class Baseline:
    """The file's content, by id."""

    tolerated: dict[str, Tolerated] = field(default_factory=dict)


def load(path: Path) -> Baseline:
    """Read a baseline. ValueError when the file is something else, OSError when there is none."""
    data = json.loads(path.read_text("utf-8"))
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a {SCHEMA} file")
    entries = (Tolerated(**one) for one in data["differences"])
    return Baseline({one.id: one for one in entries})


def apply(baseline: Baseline, subject: Subject) -> None:
    """Mark what the baseline tolerates, and name what is gone."""
    for one in subject.differences:
        one.baseline = one.id in baseline.tolerated
    shown = {one.id for one in subject.differences if not one.known}
    subject.gone = [one.id for one in baseline.tolerated.values() if one.id not in shown and _was_run(one, subject)]


def update(baseline: Baseline, subject: Subject) -> Baseline:
    """What the file should say after this run: its differences, and the entries that it could not judge."""
    entries = {key: one for key, one in baseline.tolerated.items() if not _was_run(one, subject)}
    for one in subject.differences:
        if not one.known:
            entries[one.id] = Tolerated(one.id, one.stream, one.protocol, one.sent[:200])
    return Baseline(entries)


def _was_run(one: Tolerated, subject: Subject) -> bool:
    return any(
        (played.stream, played.protocol) == (one.stream, one.protocol) and not played.skipped
        for played in subject.streams
    )


def to_text(baseline: Baseline) -> str:
    """The file: one difference a line, in the order of streams."""
    entries = sorted(baseline.tolerated.values(), key=lambda one: (one.stream, one.protocol, one.sent, one.id))
    lines = [json.dumps(vars(one)) for one in entries]
    body = ",\n".join(f"  {line}" for line in lines)
    return f'{{\n "schema": "{SCHEMA}",\n "differences": [\n{body}\n ]\n}}\n'


def ratchet(result: Result, path: Path, rewrite: bool) -> str:
    """Apply the file at `path` to a result's one subject, rewrite it if asked, and say in words what came of it."""
    subject = result.subjects[0]
    if not path.exists() and not rewrite:
        raise ValueError(f"there is no baseline {path}: --update-baseline writes one")
    baseline = load(path) if path.exists() else Baseline()
    apply(baseline, subject)
    new = len(subject.failing)
    held = sum(one.baseline for one in subject.differences)
    lines = [f"baseline {path}: {new} new, {held} as before, {len(subject.gone)} gone"]
    lines += [f"  new   {one.id}  {one.place} RESP{one.protocol}  {one.sent[:100]}" for one in subject.failing[:20]]
    lines += [f"  gone  {key}  {baseline.tolerated[key].stream}  {baseline.tolerated[key].sent[:100]}"
              for key in subject.gone[:20]]  # fmt: skip
    if rewrite:
        path.write_text(to_text(update(baseline, subject)), "utf-8")
        apply(load(path), subject)
        lines.append(f"  {path} now says so")
    elif subject.gone:
        lines.append("  take them out with --update-baseline")
    return "\n".join(lines)
