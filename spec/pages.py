"""The code on the pages: found, run, and compared with what the page says that it prints.

A page is Markdown. Of its fenced blocks these are run, from top to bottom, with one namespace for the whole page:

    ```transcript                          a conversation: see transcript.py
    ```{ .python .run }                    Python; what it prints is the next block, if that is an output
    ```{ .text .output }                   ... to the letter,
    ```{ .text .output .measured }         ... or but for the numbers, which are those of some machine
    ```{ .python .pytest }                 a test module, given to pytest

In README.md, which others render, these are plain `python` and the `text` below it.

A line such as `KEYS = 100_000  # in the tests: 2_000` means what it says.

`python spec/pages.py docs/resp.md` runs a page's code in full size and prints what it prints: that is the command
behind every measured figure. `--update` writes it into the page.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import textwrap
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(r"([ ]*)(`{3,}|~{3,})[ ]*(.*)$")
_SMALLER = re.compile(r"(= )[\d_]+(  # in the tests: )([\d_]+)")
_NUMBER = re.compile(r"\d[\d_,.]*")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `line` is that of its first line of code, `classes` its language and what else is said."""

    page: Path
    line: int
    indent: str
    classes: frozenset[str]
    code: str

    @property
    def name(self) -> str:
        path = self.page.resolve()
        return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(self.page)

    @property
    def where(self) -> str:
        return f"{self.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found: list[Block] = []
    opened: tuple[str, str, str, int] | None = None
    code: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence is not None:
                opened, code = (fence[1], fence[2], fence[3], number + 1), []
            continue
        indent, mark, info, first = opened
        if fence is not None and fence[2].startswith(mark) and not fence[3]:
            classes = frozenset(re.findall(r"\.([\w-]+)", info) if info.startswith("{") else info.split()[:1])
            if page.name == "README.md":
                classes |= {"python": {"run"}, "text": {"output"}}.get(info, set())
            found.append(
                Block(page, first, indent, classes, "".join(line.removeprefix(indent) + "\n" for line in code))
            )
            opened = None
        else:
            code.append(line)
    if opened is not None:
        raise ValueError(f"{page}:{opened[3] - 1}: this block has no end")
    return found


@dataclass(frozen=True, slots=True)
class Example:
    """A Python block that is run, and the output that the page shows for it."""

    block: Block
    output: Block | None

    def run(self, namespace: dict[str, Any], *, small: bool) -> str:
        """Run the code in `namespace`; what it prints."""
        code = _SMALLER.sub(r"\1\3\2\3", self.block.code) if small else self.block.code
        printed = io.StringIO()
        # So that a traceback names the page and its line.
        compiled = compile("\n" * (self.block.line - 1) + code, str(self.block.page), "exec", dont_inherit=True)
        with redirect_stdout(printed):
            exec(compiled, namespace)
        return printed.getvalue()

    def expects(self, printed: str) -> bool:
        """Whether the page shows what was printed."""
        if self.output is None:
            return not printed
        expected = self.output.code
        if "measured" in self.output.classes:
            printed, expected = (" ".join(_NUMBER.sub("#", text).split()) for text in (printed, expected))
        return printed == expected


def examples(page: Path) -> list[Example]:
    """The Python blocks that are run."""
    return [
        Example(block, following if following is not None and "output" in following.classes else None)
        for block, following in pairwise([*blocks(page), None])
        if block is not None and {"python", "run"} <= block.classes
    ]


def run_pytest(block: Block, directory: Path) -> str:
    """Give a block to pytest, as a file of its own; the report, empty if all passed."""
    path = directory / f"test_line_{block.line}.py"
    path.write_text(block.code)
    plugin = ["-p", "no:cacheprovider", "-p", "mini_redis.testing.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "--rootdir", str(directory), str(path)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # quicker, and the plugin is named above
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Run the Python code of pages, in full size, and print what it prints."
    )
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--update", action="store_true", help="write it into the page")
    parser.add_argument("--small", action="store_true", help="in the size of the tests")
    options = parser.parse_args(arguments)
    for page in options.pages:
        namespace: dict[str, Any] = {"__name__": "page"}
        outputs: list[tuple[Block, str]] = []
        for example in examples(page):
            print(f"--- {example.block.where}", flush=True)
            printed = example.run(namespace, small=options.small)
            print(printed, end="", flush=True)
            if example.output is not None:
                outputs.append((example.output, printed))
        if options.update:
            _write_outputs(page, outputs)


def _write_outputs(page: Path, outputs: list[tuple[Block, str]]) -> None:
    lines = page.read_text().splitlines(keepends=True)
    for block, printed in reversed(outputs):  # from the end, so that line numbers stay true
        first = block.line - 1
        lines[first : first + block.code.count("\n")] = [textwrap.indent(printed, block.indent)]
    page.write_text("".join(lines))


if __name__ == "__main__":
    main()
