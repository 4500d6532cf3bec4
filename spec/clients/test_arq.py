"""arq: a sorted set as the queue, WATCH and MULTI around every claim, no scripts.

arq asks for a redis-py that is older than everybody else's, so it lives in a folder of its own, and its jobs in
processes of their own: arq_jobs.py.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from server import Server

pytestmark = pytest.mark.program("arq")
JOBS = Path(__file__).with_name("arq_jobs.py")
LIBRARY = Path(sys.prefix) / "clients" / "arq"
NAMES = [
    node.name
    for node in ast.parse(JOBS.read_text()).body
    if isinstance(node, ast.AsyncFunctionDef) and [argument.arg for argument in node.args.args] == ["pool"]
]


@pytest.mark.skipif(not LIBRARY.is_dir(), reason="arq is not installed: make install-clients")
@pytest.mark.parametrize("name", NAMES)
def test_arq(server: Server, name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(JOBS), server.url, name],
        env=os.environ | {"PYTHONPATH": str(LIBRARY)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
