"""What moves while a run runs: a bar with counts where a person watches, plain lines where a log is written.

On a terminal with rich installed (`pip install 'mini-redis-reference[conformance]'`) it is a bar with the stream at
hand and the time left; on a terminal without it, one line that rewrites itself; otherwise a line for each stream that
differs and one for each tenth of the way, so that a CI log says where it is without being long. All of it goes to
standard error.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """Told of every stream that was run; `differing` of its replies differ without explanation."""

    def step(self, what: str, differing: int) -> None: ...

    def close(self) -> None: ...


class Lines:
    """For logs."""

    def __init__(self, total: int, out: TextIO) -> None:
        self.total, self.out, self.done, self.tenth = total, out, 0, 0

    def step(self, what: str, differing: int) -> None:
        self.done += 1
        if differing:
            print(f"{what}: {differing} differ", file=self.out, flush=True)
        tenth = self.done * 10 // max(1, self.total)
        if tenth > self.tenth:
            self.tenth = tenth
            print(f"{self.done} of {self.total} ({tenth * 10} %)", file=self.out, flush=True)

    def close(self) -> None:
        """Nothing is left standing."""


class OneLine:
    """For a terminal without rich."""

    def __init__(self, total: int, out: TextIO) -> None:
        self.total, self.out, self.done, self.found = total, out, 0, 0

    def step(self, what: str, differing: int) -> None:
        self.done += 1
        self.found += differing
        text = f"{self.done}/{self.total}  {self.found} differ  {what}"[:100]
        print(f"\r\x1b[K{text}", end="", file=self.out, flush=True)

    def close(self) -> None:
        print("\r\x1b[K", end="", file=self.out, flush=True)


class Rich:
    """For a terminal with rich."""

    def __init__(self, total: int, out: TextIO, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.console = Console(file=out)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[red]{task.fields[found]} differ[/]"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[what]}[/]"),
        )
        self.bars: Any = Bars(*columns, console=self.console, transient=True)
        self.task = self.bars.add_task(title, total=total, found=0, what="")
        self.found = 0
        self.bars.start()

    def step(self, what: str, differing: int) -> None:
        self.found += differing
        if differing:
            self.console.print(f"[red]≠[/] {what}: {differing} differ", highlight=False)
        self.bars.update(self.task, advance=1, found=self.found, what=what)

    def close(self) -> None:
        self.bars.stop()


def open_progress(total: int, title: str = "streams", out: TextIO | None = None, fancy: bool | None = None) -> Progress:
    """The best that `out` (standard error) can show; `fancy` overrules whether rich is used."""
    out = out or sys.stderr
    if not out.isatty():
        return Lines(total, out)
    if fancy is None:
        fancy = importlib.util.find_spec("rich") is not None
    return Rich(total, out, title) if fancy else OneLine(total, out)
