"""The shortest stream that still shows the difference.

Delta debugging over the steps: the failing step is kept last, what came after it goes, then ever smaller pieces of what
came before are left out while the servers still differ. The budget bounds the runs, so that a slow difference (a reply
that never comes) is reported long rather than late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from .runner import Compared, Duel, Verdict
from .streams import Step, Stream


def shrink(duel: Duel, verdict: Verdict, target: Compared, runs: int = 120, seconds: float = 20.0) -> Stream:
    """A stream of a subset of the steps in which the command of `target` still differs (state differences: any)."""
    stream = verdict.stream
    about_state = target.step.verb == "state" or bool(target.note)
    deadline = time.monotonic() + seconds
    budget = [runs]

    def still(steps: tuple[Step, ...]) -> bool:
        if budget[0] <= 0 or time.monotonic() > deadline:
            return False
        budget[0] -= 1
        again = duel.run(stream.with_steps(steps), verdict.protocol, check_state=about_state)
        if about_state:
            return any(one.note == target.note for one in again.differences)
        return any(one.step == target.step and alike(one, target) for one in again.differences)

    if about_state:
        return stream.with_steps(minimise(stream.steps, (), still))
    at = next((n for n, step in enumerate(stream.steps) if step == target.step), len(stream.steps) - 1)
    return stream.with_steps(minimise(stream.steps[:at], (target.step,), still))


def alike(one: Compared, other: Compared) -> bool:
    """The same kind of difference: the ends and the reply types match, whatever the values are."""

    def kinds(compared: Compared) -> object:
        return [(o.end, [(f.kind, f.value is None) for f in o.frames]) for o in (compared.oracle, compared.subject)]

    return kinds(one) == kinds(other)


def minimise(
    before: tuple[Step, ...], kept: tuple[Step, ...], still: Callable[[tuple[Step, ...]], bool]
) -> tuple[Step, ...]:
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


def renumbered(stream: Stream) -> Stream:
    """The steps numbered from one, as they would stand in a file of their own."""
    return stream.with_steps(tuple(replace(step, line=n) for n, step in enumerate(stream.steps, 1)))
