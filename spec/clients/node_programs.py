"""Programs from npm: where they are, and how a job of theirs is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "node"
FOLDER = Path(sys.prefix) / "clients" / "node" / "node_modules"
NODE = shutil.which("node")


def needs(package: str) -> pytest.MarkDecorator:
    """Skips where node or the package is not there, and says what to do."""
    reason = "node is not installed" if NODE is None else f"{package} is not installed: make node-clients"
    return pytest.mark.skipif(NODE is None or not (FOLDER / package).is_dir(), reason=reason)


def jobs(file: str) -> list[str]:
    """The names of the jobs in a file."""
    return re.findall(r"^  async (\w+)\(", (HERE / file).read_text(), re.MULTILINE)


def run(file: str, *arguments: str | int, timeout: float = 90) -> str:
    """Run a script of ours with the packages at hand; what it printed. AssertionError if it failed."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, str(HERE / file), *map(str, arguments)],
        env=os.environ | {"NODE_PATH": str(FOLDER)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout
