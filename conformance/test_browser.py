"""Where no server can be started, a recording is the oracle: in the browser's Python, too.

The whole tool and our server run inside of Pyodide (WebAssembly), here under Node, without a socket or a process:
`mini_redis:manual` is a server inside of the tool, and what Redis answers comes from a golden trace.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import sortedcontainers

from .__main__ import main

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / ".venv" / "clients" / "node"
STREAMS = ("string/set", "transactions", "list/blocking", "hash/past_fields")
IN_PYODIDE = """
import { loadPyodide } from "pyodide";
const [repository, packages, recordings, ...words] = process.argv.slice(1);
const python = await loadPyodide();
for (const [name, root] of Object.entries({ repository, packages, recordings })) {
    python.FS.mkdir("/" + name);
    python.FS.mount(python.FS.filesystems.NODEFS, { root }, "/" + name);
}
python.globals.set("words", words);
process.exitCode = python.runPython(`
import sys
sys.dont_write_bytecode = True
sys.path[:0] = ["/repository", "/packages"]
from conformance.__main__ import main
main(words.to_py())
`);
"""


@pytest.mark.skipif(
    shutil.which("node") is None or not (PROGRAMS / "node_modules" / "pyodide").is_dir(),
    reason="there is no Pyodide: make node-clients",
)
def test_a_recording_is_the_oracle_in_the_browser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("run", "--subject", "mini_redis:manual", "--streams", *STREAMS)
    assert main([*run, "--oracle", "redis-8.2", "--record", str(tmp_path / "redis.trace")]) == 0
    here = capsys.readouterr().out.splitlines()[-1]

    shutil.copytree(Path(sortedcontainers.__file__).parent, tmp_path / "packages" / "sortedcontainers")
    folders = (str(ROOT), str(tmp_path / "packages"), str(tmp_path))
    there = subprocess.run(
        ["node", "--input-type=module", "-e", IN_PYODIDE, *folders, *run, "--oracle", "/recordings/redis.trace"],
        cwd=PROGRAMS, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert there.returncode == 0, (there.stdout + there.stderr)[-2000:]
    assert there.stdout.splitlines()[-1] == here
    assert " 0 differences" in here
