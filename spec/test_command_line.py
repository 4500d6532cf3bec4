"""The command line's own words. That it serves, and what redis-server takes: test_event_loop, test_conf_file."""

from __future__ import annotations

import pytest

from mini_redis.cli import USAGE, main


@pytest.mark.parametrize("words", ["", "-h", "--help", "help", "serve --help", "serve -h"])
def test_help_starts_nothing(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr() == (USAGE, "")


@pytest.mark.parametrize("words", ["-v", "--version", "serve -v", "serve --version"])
def test_version(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 0
    assert capsys.readouterr().out == "mini_redis, speaking Redis 8.2.3\n"


def test_what_is_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["server", "--port", "7000"]) == 2
    assert capsys.readouterr() == ("", f"mini-redis: no such command: server --port 7000\n\n{USAGE}")
