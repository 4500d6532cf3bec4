"""Redis's own test suite, unit by unit, with another server in the place of redis-server.

The suite is written in Tcl, belongs to Redis and is no part of this repository: `--source` is a folder with the source
of Redis 8.0 or later. Nothing changes there. Each run has a folder of its own, in which all is a link into the source
but `tests`, which is a copy because the suite writes into it, and `src/redis-server`, a line of shell that starts the
server under test with the same arguments.

Much of the suite asks for what one node without a disk does not have, or looks into the insides of C. Which units are
run, without which tags, and which tests are left out for what reason, stands in redis_suite.toml. Whatever fails then
is a finding. A test that fails can leave a server behind in which the next ones fail too, so those that are bound to
are not run at all, but for a few upon which later ones build. `--excused` runs them all, to see which pass by now. All
this is about mini_redis; no other server is excused from anything.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .endpoints import NAMES, EndpointError, program_of

EXPECTATIONS = Path(__file__).with_name("redis_suite.toml")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"\[(ok|err|skip|ignore|exception|TIMEOUT)\]: (.*)")
MILLISECONDS = re.compile(r" \(\d+ ms\)$")
TEST = re.compile(r"(.*) in tests/\S+\.tcl")


@dataclass
class Unit:
    """What became of the tests of one file."""

    name: str
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """The test's name, and in the lines below it what the suite said."""
    broken: list[str] = field(default_factory=list)
    """What went wrong outside of any test, so that some were not run."""
    left_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Expectations:
    """Which units are run, and without which tests."""

    units: tuple[str, ...]
    tags: tuple[str, ...] = ()
    """Tests with one of these tags are left out."""
    excused: dict[str, str] = field(default_factory=dict)
    """And these, `unit: test`, with the reason."""
    needed: frozenset[str] = frozenset()
    """Those of them that are run all the same, since later ones build upon them."""
    cut: dict[str, str] = field(default_factory=dict)
    """Units that break off before their end, with the reason."""

    def not_run(self, unit: str) -> list[str]:
        """The names of a unit's tests that are not to be run."""
        names = [name for name in self.excused if name.startswith(f"{unit}: ") and name not in self.needed]
        return [name.removeprefix(f"{unit}: ") for name in names]


def load_expectations(path: Path = EXPECTATIONS) -> Expectations:
    data = tomllib.loads(path.read_text("utf-8"))
    excused = {test: each["why"] for each in data["excused"] for test in each["tests"]}
    needed = frozenset(test for each in data["excused"] if each.get("needed") for test in each["tests"])
    return Expectations(tuple(data["units"]), tuple(data["without_tags"]), excused, needed, data["cut"])


def read_results(unit: Unit, lines: Iterable[str]) -> None:
    """Sort what the suite prints into `unit`. Lines after a failure belong to it, up to the next that begins with [."""
    failure: list[str] | None = None  # the list whose last element goes on in the next line
    for coloured in lines:
        line = COLOURS.sub("", coloured.rstrip("\n"))
        result = RESULT.match(line)
        if result is None:
            if line.startswith("["):
                failure = None
            elif failure is not None:
                failure[-1] += f"\n{line}"
            continue
        status, text = result.groups()
        failure = None
        match status:
            case "ok":
                unit.passed.append(MILLISECONDS.sub("", text))
            case "skip" | "ignore":
                unit.left_out += 1
            case "err" if test := TEST.fullmatch(text):
                failure = unit.failed
                failure.append(test[1])
            case _:
                failure = unit.broken
                failure.append(text)


@contextmanager
def stage(source: Path, program: list[str]) -> Iterator[Path]:
    """A folder in which the suite runs with `program` as its redis-server."""
    if not (source / "tests" / "test_helper.tcl").is_file():
        raise EndpointError(f"{source} is not the source of Redis: it has no tests/test_helper.tcl")
    tools = {name: shutil.which(name) for name in ("redis-cli", "redis-benchmark")}
    missing = [name for name, path in tools.items() if path is None]
    if missing:
        raise EndpointError(f"the suite needs {' and '.join(missing)}: apt-get install redis-tools")
    with tempfile.TemporaryDirectory(prefix="redis-suite-") as name:
        folder = Path(name)
        for entry in source.iterdir():
            if entry.name not in ("tests", "src"):
                (folder / entry.name).symlink_to(entry.resolve())
        shutil.copytree(source / "tests", folder / "tests", ignore=shutil.ignore_patterns("tmp"))
        (folder / "tests" / "tmp").mkdir()
        (folder / "src").mkdir()
        for entry in (source / "src").iterdir():
            if entry.name not in (*tools, "redis-server"):
                (folder / "src" / entry.name).symlink_to(entry.resolve())
        for tool, path in tools.items():
            (folder / "src" / tool).symlink_to(str(path))
        server = folder / "src" / "redis-server"
        server.write_text(f'#!/bin/sh\nexec {shlex.join(program)} "$@"\n', "utf-8")
        server.chmod(0o755)
        yield folder


def run_unit(folder: Path, name: str, limit: float, expected: Expectations, excused: bool) -> Unit:
    """Run one file of tests; one that is not over after `limit` seconds is ended, with the servers it has started."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        raise EndpointError("the suite is written in Tcl: apt-get install tcl")
    port = random.randrange(15_000, 30_000)  # the suite looks for free ones from there on
    options = f"--single {name} --clients 1 --durable --baseport {port} --portcount 200 --timeout {int(limit)}".split()
    options += ["--tags", " ".join(f"-{tag}" for tag in expected.tags)]
    if not excused:
        options += [word for test in expected.not_run(name) for word in ("--skiptest", test)]
    unit, began = Unit(name), time.monotonic()
    with subprocess.Popen(
        [tclsh, "tests/test_helper.tcl", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="latin-1",
        start_new_session=True,
    ) as process:

        def end() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(limit, end)
        timer.start()
        assert process.stdout is not None
        try:
            read_results(unit, process.stdout)
        finally:
            if not timer.is_alive():
                unit.broken.append(f"not over after {limit:.0f} seconds")
            timer.cancel()
            end()
    unit.seconds = time.monotonic() - began
    return unit


def add_redis_suite(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    suite = actions.add_parser("redis-suite", help="run Redis's own tests (Tcl) against a server")
    suite.add_argument("--source", type=Path, required=True, metavar="DIR", help="the source of Redis 8.0 or later")
    suite.add_argument("--subject", default="mini_redis", choices=NAMES)
    suite.add_argument("--program", metavar="COMMAND", help="instead: what takes a redis.conf as redis-server does")
    suite.add_argument("--units", nargs="+", metavar="UNIT", help="unit/type/list, ... (default: redis_suite.toml's)")
    suite.add_argument("--limit", type=float, default=900.0, metavar="SECONDS", help="for a unit (default 900)")
    suite.add_argument("--excused", action="store_true", help="run those tests too that are known to fail")
    suite.set_defaults(action=run_suite)


def run_suite(options: argparse.Namespace) -> int:
    """0 when nothing failed but what is excused, else 1."""
    expected = load_expectations()
    if options.program or options.subject != "mini_redis":
        expected = Expectations(expected.units)
    program = shlex.split(options.program) if options.program else program_of(options.subject)
    findings: list[str] = []
    better: list[str] = []
    print(f"{'unit':34}{'passed':>8}{'failed':>8}{'left out':>10}{'seconds':>9}")
    with stage(options.source, program) as folder:
        for name in options.units or expected.units:
            unit = run_unit(folder, name, options.limit, expected, options.excused)
            failed = [said for said in unit.failed if f"{name}: {said.splitlines()[0]}" not in expected.excused]
            left_out = unit.left_out + len(unit.failed) - len(failed)
            counts = f"{len(unit.passed):>8}{len(failed):>8}{left_out:>10}{unit.seconds:>9.0f}"
            print(f"{name:34}{counts}", flush=True)
            findings += [f"{name}: {said}" for said in failed]
            better += [test for test in (f"{name}: {test}" for test in unit.passed) if test in expected.excused]
            if name not in expected.cut:
                findings += [f"{name}, outside of any test: {failure}" for failure in unit.broken]
    for title, lines in (("excused, but passed", better), ("failed", findings)):
        if lines:
            print(f"\n{title}:\n\n" + "\n".join(lines))
    return 1 if findings else 0
