"""docs/clients.md says which programs were run, in which versions, and what each needs: is it so?"""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

from needs import sent, versions

from mini_redis.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"redis": "node-redis", "channels-redis": "channels_redis"}
FROM_THE_SYSTEM = {"redis-cli", "redis-benchmark"}  # whatever Debian has; redis-py is the test suite's own


def test_the_versions_are_those_that_are_installed() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["clients"]
    pinned = dict(line.split("==") for line in extra)
    pinned |= json.loads((ROOT / "spec/clients/node/package.json").read_text())["dependencies"]
    for tool in ("playwright-core", "pyodide"):  # these drive and fill a browser, they are no clients
        pinned.pop(tool, None)
    pinned |= re.findall(r"(arq)==([\d.]+)", (ROOT / "Makefile").read_text())
    pinned = {NAMES.get(name, name): version for name, version in pinned.items()}
    told = versions()
    assert {name: told.get(name) for name in pinned} == pinned
    assert set(told) == set(pinned) | FROM_THE_SYSTEM | {"redis-py"}
    assert told["redis-py"].split(".")[0] == metadata.version("redis").split(".")[0]


def test_there_is_a_row_for_each_program() -> None:
    assert list(sent()) == list(versions())


def test_there_is_every_command_that_a_program_needs() -> None:
    for program, commands in sent().items():
        for name in commands:
            first, _, second = name.partition("|")
            command = COMMANDS[first.encode()]
            assert not second or second.encode() in command.subcommands, f"{program} needs {name}"
            assert second or command.handler is not None, f"{program} needs {name}"
