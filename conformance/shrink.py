"""The shortest stream that still shows the difference.

Delta debugging over the steps: what came after the step that differs goes, then ever smaller pieces of what came before
are left out while the servers still differ in the same way; then all clients become one, and single words of the
remaining commands are left out. The budget bounds the runs, so that a slow difference (a reply that never comes) is
reported long rather than late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from .outcome import Outcome
from .report import row_name
from .runner import Compared, Duel, Verdict
from .streams import Step, Stream
from .wire import Reply

Steps = tuple[Step, ...]
# Seconds to wait for a reply while shrinking, where it may be that none comes in each of many runs.
PATIENCE = 2.0


def shrink(duel: Duel, verdict: Verdict, target: Compared, runs: int = 150, seconds: float = 20.0) -> Stream | None:
    """A stream of fewer and shorter steps that ends in the same kind of difference; None if it never shows again."""
    stream = verdict.stream
    at_end = target.at_end
    deadline = time.monotonic() + seconds
    left = runs

    def still(steps: Steps) -> bool:
        nonlocal left
        left -= 1
        if left < 0 or time.monotonic() > deadline:
            return False
        again = duel.run(stream.with_steps(steps), verdict.protocol, check_state=at_end)
        if at_end:
            return any(one.note == target.note and one.step.argv == target.step.argv for one in again.differences)
        last = [one for one in again.differences if one.step is steps[-1] and one.note == target.note]
        return any(alike(one, target) for one in last)

    whole = stream.steps
    if not at_end:
        whole = whole[: next(n for n, step in enumerate(whole) if step == target.step) + 1]
    patience, duel.timeout = duel.timeout, min(duel.timeout, PATIENCE)
    try:
        if not still(whole) and not still(whole):
            return None
        fixed = 0 if at_end else 1
        steps = minimise(whole[: len(whole) - fixed], whole[len(whole) - fixed :], still)
        steps = one_client(steps, still)
        steps = fewer_words(steps, still)
    finally:
        duel.timeout = patience
    return stream.with_steps(steps)


def alike(one: Compared, other: Compared) -> bool:
    """The same kind of difference: ends, reply types and the beginnings of error texts match, values may not."""
    return essence(one.oracle) == essence(other.oracle) and essence(one.subject) == essence(other.subject)


def essence(outcome: Outcome) -> object:
    """What stays the same of an outcome when the values in a stream change: of a log, the commands' names."""
    if outcome.detail and not outcome.frames and not outcome.end:
        return [line.partition(" ")[0].upper() for line in outcome.detail.split("\n")]
    frames = [
        (f.kind, f.value is None, f.text.split()[:4] if f.is_error else _event(f) if f.kind == ">" else None)
        for f in outcome.frames
    ]
    return outcome.end, frames


def _event(push: Reply) -> list[bytes]:
    """Of what kind a message is, and of which event it tells; of which key does not matter."""
    kind, *rest = (child.text for child in push.children)
    return [kind, *(text for text in rest if text.startswith(b"__keyevent@"))]


def kind_of(one: Compared) -> str:
    """Differences of one kind are most likely one bug: command, reply types and beginnings of error texts match.

    The two protocols' types for the same thing count as one.
    """
    folded = str.maketrans({"=": "$", ",": "$", "%": "*", "~": "*", "_": "$", "#": ":"})
    said = repr((essence(one.oracle), essence(one.subject))).translate(folded)
    return f"{row_name(one.step)} {one.note} {said}"


def minimise(before: Steps, kept: Steps, still: Callable[[Steps], bool]) -> Steps:
    """ddmin: leave out pieces of `before`, halving their size down to single steps, as long as `still` holds."""
    if kept and still(kept):
        return kept
    size = max(1, len(before) // 2)
    while before:
        at, smaller = 0, False
        while at < len(before):
            candidate = before[:at] + before[at + size :]
            if (candidate or kept) and still(candidate + kept):
                before, smaller = candidate, True
            else:
                at += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return before + kept


def one_client(steps: Steps, still: Callable[[Steps], bool]) -> Steps:
    """Let one client send everything, if that shows it too."""
    if len({step.client for step in steps}) < 2:
        return steps
    merged = tuple(replace(step, client="a") if step.client else step for step in steps)
    return merged if still(merged) else steps


def fewer_words(steps: Steps, still: Callable[[Steps], bool]) -> Steps:
    """Leave single words out of commands, last ones first."""
    for index in range(len(steps) - 1, -1, -1):
        if steps[index].verb not in ("call", "scan"):
            continue
        position = len(steps[index].argv) - 1
        while position > 0:
            step = steps[index]
            shorter = replace(step, argv=step.argv[:position] + step.argv[position + 1 :])
            candidate = (*steps[:index], shorter, *steps[index + 1 :])
            if still(candidate):
                steps = candidate
            position -= 1
    return steps
