"""redis-commander: a server seen in a web page. Its HTTP interface always, the page itself where there is a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import node_programs
import pytest
from server import Server

from conformance.endpoints import free_port

pytestmark = [pytest.mark.program("redis-commander"), node_programs.needs("redis-commander")]
CHROMIUM = shutil.which("chromium")


class Commander:
    """The program, running, and its HTTP interface."""

    def __init__(self, server: Server, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.connection = f"R:{server.host}:{server.port}:0"

    def call(self, path: str, method: str = "GET", **form: str) -> Any:
        """Ask; `{}` in the path is the connection's name."""
        data = urlencode({name: value.format(self.connection) for name, value in form.items()}).encode()
        request = Request(self.url + path.format(self.connection), data or None, method=method)
        with urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text

    def key(self, name: str) -> Any:
        return self.call(f"/apiv2/key/{{}}/{quote(name)}")


@pytest.fixture
def commander(server: Server, tmp_path: Path) -> Iterator[Commander]:
    for words in (
        ("SET", "greeting", "hello"),
        ("RPUSH", "queue", "a", "b", "c"),
        ("HSET", "user:1", "name", "Ana", "age", "30"),
        ("SET", "user:1:visits", "7", "EX", 3600),
        ("SADD", "tags", "x", "y"),
        ("ZADD", "board", "1", "ana", "2.5", "bo"),
        ("XADD", "log", "1-1", "event", "began"),
    ):
        server.ask(*words)
    port = free_port()
    assert node_programs.NODE is not None
    process = subprocess.Popen(
        [node_programs.NODE, str(node_programs.FOLDER / "redis-commander" / "bin" / "redis-commander.js")]
        + ["--redis-host", server.host, "--redis-port", str(server.port), "--noload", "--nosave"]
        + ["--address", "127.0.0.1", "--port", str(port)],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        said = ""
        while "Redis Connection" not in said:  # it listens, and is connected
            line = process.stdout.readline()
            assert line, said
            said += line
        watchdog.cancel()
        yield Commander(server, port)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def test_over_http(commander: Commander, server: Server) -> None:
    assert "Redis Commander" in commander.call("/")
    (info,) = commander.call("/apiv2/server/info")["data"]
    facts = {fact["key"]: fact["value"] for fact in info["info"]}
    assert facts["Redis version"] == "8.2.3" and not info.get("disabled")

    tree = commander.call("/apiv2/keystree/{}")["data"]
    assert {node["text"]: node.get("rel") for node in tree} == {
        "board (2)": "zset",
        "greeting": "string",
        "log (1)": "stream",
        "queue (3)": "list",
        "tags (2)": "set",
        "user:* (2)": None,
    }
    assert commander.key("greeting") == {"ttl": -1, "key": "greeting", "type": "string", "value": "hello"}
    assert [item["value"] for item in commander.key("queue")["items"]] == ["a", "b", "c"]
    assert commander.key("user:1")["data"] == {"name": "Ana", "age": "30"}
    assert sorted(commander.key("tags")["members"]) == ["x", "y"]
    assert [(item["value"], item["score"]) for item in commander.key("board")["items"]] == [("bo", "2.5"), ("ana", "1")]
    assert commander.key("log")["items"][0]["value"] == "began"
    assert 0 < commander.key("user:1:visits")["ttl"] <= 3600
    assert commander.key("absent")["type"] == "none"
    assert "CLUSTER" in " ".join(commander.call("/apiv2/redisCommands")["data"])


def test_editing_over_http(commander: Commander, server: Server) -> None:
    form = {"connectionId": "{}"}
    commander.call("/apiv2/key/{}/greeting", "POST", stringValue="good evening")
    commander.call("/apiv2/list/value", "POST", key="queue", value="d", type="rpush", **form)
    commander.call("/apiv2/list/value", "PUT", key="queue", index="0", value="A", **form)
    commander.call("/apiv2/list/value", "DELETE", key="queue", index="1", **form)
    commander.call("/apiv2/set/member", "POST", key="tags", value="z", **form)
    commander.call("/apiv2/set/member", "PUT", key="tags", oldValue="x", value="w", **form)
    commander.call("/apiv2/zset/member", "POST", key="board", score="3", value="cy", **form)
    commander.call("/apiv2/hash/field", "POST", key="user:1", field="city", value="Oslo", **form)
    commander.call("/apiv2/hash/field", "DELETE", key="user:1", field="age", **form)
    commander.call("/apiv2/xset/member", "POST", key="log", timestamp="2-1", field="event", value="ended", **form)
    commander.call("/apiv2/key/{}/user:1:visits", "PATCH", key="visits")
    assert server.ask("GET", "greeting") == "good evening"
    assert server.ask("LRANGE", "queue", 0, -1) == ["A", "c", "d"]
    assert set(server.ask("SMEMBERS", "tags")) == {"w", "y", "z"}
    assert server.ask("ZSCORE", "board", "cy") == 3
    assert server.ask("HGETALL", "user:1") == {"name": "Ana", "city": "Oslo"}
    assert server.ask("XLEN", "log") == 2
    assert server.ask("GET", "visits") == "7"


def test_its_command_line_over_http(commander: Commander, server: Server) -> None:
    def cli(line: str) -> Any:
        return commander.call("/apiv2/exec/{}", "POST", cmd=line)["data"]

    assert cli("incrby counter 42") == 42
    assert cli('set "two words" "a b"') == "OK" and server.ask("GET", "two words") == "a b"
    assert cli("lrange queue 0 -1") == ["a", "b", "c"]
    assert cli("eval 'return redis.call(\"get\", KEYS[1])' 1 greeting") == "hello"
    assert "unknown command" in str(cli("nosuch"))
    exported = commander.call("/tools/export?connection={}&type=redis&keyPrefix=queue")
    assert "RPUSH" in exported.upper() or "LPUSH" in exported.upper()
    with pytest.raises(HTTPError):
        commander.call("/apiv2/nowhere")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: make browser")
@node_programs.needs("playwright-core")
def test_in_a_browser(commander: Commander, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CHROMIUM is not None
    monkeypatch.setenv("CHROMIUM", CHROMIUM)
    node_programs.run("redis-commander.cjs", commander.url, tmp_path, timeout=120)
    assert server.ask("GET", "greeting") == "good evening" and server.ask("GET", "counter") == "42"
    seen = {path.stem for path in tmp_path.glob("*.png")}
    assert seen == {"queue", "tags", "board", "log", "user", "greeting", "cli", "server"}
