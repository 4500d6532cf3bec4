"""How fast, how large, how patient: `python -m conformance.bench` measures our server beside real Redis.

Five questions, each with the bar that a plain Python server is held to:

    speed    redis-benchmark, 50 clients, at -P 1 and -P 16     geometric mean of GET SET INCR >= 0.70 and >= 0.25
    types    likewise, ten commands on the other data types     their geometric mean >= 0.65 and >= 0.25
    memory   a million small strings                            resident memory <= 2.6 times the oracle's
    idle     CPU time while nobody asks anything, and while     nothing beside the cron: at most 1 % of a core
             10,000 clients wait in BLPOP
    churn    three million keys inserted, deleted at random     no turn of the event loop above 20 ms

A machine is never quiet, so nothing is judged by one run: the two servers are measured in turns, A B B A A B ..., so
that a slow minute strikes both, and medians are compared. What cannot be averaged, the longest turn, comes with a
witness: the CPU time of the server's thread. A turn of 30 ms in which the thread ran for 2 was the machine's doing.

All facts about the servers are read from their own INFO, so both may as well be somebody else's (--subject, --oracle).
The exit code does not judge speed: 0 unless something could not be measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from statistics import median

from .endpoints import NAMES, Endpoint, EndpointError, measured_python, open_endpoint
from .load import Load, LoadError, deletions, drive, inserts, shuffled
from .wire import WireClosed, WireTimeout, encode_command

CLIENTS = 50
KEYS_OF_MSET = 10
SETTLED_AFTER = 2.0  # seconds in which both servers have looked at each of their new clients
RANDOM = "__rand_int__"  # redis-benchmark replaces it by a number below -r
RANDOM_RANGE = "100000"


@dataclass(frozen=True, slots=True)
class Tests:
    """What redis-benchmark is to send, command -> its words; `bars`: -P -> least geometric mean of the judged."""

    commands: dict[str, tuple[str, ...]]
    judged: tuple[str, ...]
    bars: dict[int, float]


SPEED = Tests(
    {
        "PING": ("-t", "ping_mbulk"),
        "SET": ("-t", "set"),
        "GET": ("-t", "get"),
        "INCR": ("-t", "incr"),
        "MSET": ("-t", "mset"),
    },
    ("GET", "SET", "INCR"),
    {1: 0.70, 16: 0.25},
)
TYPES = Tests(
    {  # in this order: what one leaves is what the next finds
        "LPUSH": ("LPUSH", "list", f"element:{RANDOM}"),
        "RPOP": ("RPOP", "list"),
        "LRANGE_100": ("LRANGE", "hundred", "0", "99"),
        "SADD": ("SADD", "set", f"element:{RANDOM}"),
        "SPOP": ("SPOP", "set"),
        "HSET": ("HSET", "hash", f"field:{RANDOM}", "value"),
        "ZADD": ("ZADD", "zset", RANDOM, f"element:{RANDOM}"),
        "ZRANGE": ("ZRANGE", "zset", "0", "9"),
        "XADD": ("XADD", "stream", "*", "field", "value"),
        "EVAL": ("EVAL", "return redis.call('GET', KEYS[1])", "1", "key"),
    },
    ("LPUSH", "RPOP", "LRANGE_100", "SADD", "SPOP", "HSET", "ZADD", "ZRANGE", "XADD", "EVAL"),
    {1: 0.65, 16: 0.25},
)
FIXTURES = (  # what the commands of TYPES read, and none of them makes
    (b"RPUSH", b"hundred", *(b"element:%012d" % number for number in range(100))),
    (b"SET", b"key", b"value"),
)
MEMORY_BAR = 2.6
IDLE_BAR_MS = 10.0  # a second: 1 % of a core
TURN_BAR_MS = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    requests: dict[int, int]  # -P -> requests of one run
    memory_keys: int
    idle_seconds: float
    idle_clients: int
    churn_keys: int


FULL = Scale(5, {1: 40_000, 16: 160_000}, 1_000_000, 4.0, 10_000, 3_000_000)
QUICK = Scale(1, {1: 20_000, 16: 80_000}, 200_000, 1.0, 1_000, 200_000)


@dataclass(slots=True)
class Samples:
    """One command on one server: an entry a round."""

    rps: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)  # of the server, per request


@dataclass(slots=True)
class Comparison:
    """One command at one pipeline depth, on both."""

    pipeline: int
    command: str
    subject: Samples = field(default_factory=Samples)
    oracle: Samples = field(default_factory=Samples)

    @property
    def ratio(self) -> float:
        """Of requests per second, each round by itself: its two runs are neighbours in time, and the machine varies."""
        return median(ours / theirs for ours, theirs in zip(self.subject.rps, self.oracle.rps, strict=True))


@dataclass(slots=True)
class Churn:
    """Inserting or deleting many keys. The turn's figures are None for a server that does not tell them."""

    keys_per_second: float
    worst_wait_ms: float
    worst_turn_ms: float | None
    worst_turn_cpu_ms: float | None


@dataclass(slots=True)
class Idle:
    """What nothing costs: CPU ms and turns of the loop, per second. `waiting`: the clients wait in BLPOP."""

    clients: int
    waiting: bool
    cpu_ms: float
    turns: float


@dataclass(slots=True)
class Results:
    """All that was measured, `subject` first in each pair. A section that was not asked for is empty."""

    subject: str
    oracle: str
    scale: Scale
    speed: list[Comparison] = field(default_factory=list)
    types: list[Comparison] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)  # resident bytes
    idle: list[list[Idle]] = field(default_factory=list)
    churn: list[dict[str, Churn]] = field(default_factory=list)


# --- Measuring -------------------------------------------------------------------------------------------------------


class Bench:
    """Opens the servers, a fresh pair for each section, and measures. `say` is told what is going on."""

    def __init__(self, options: argparse.Namespace, scale: Scale, say: Callable[[str], None]) -> None:
        self.names = (options.subject, options.oracle)
        self.flush = options.flush
        self.scale = scale
        self.say = say
        self.results = Results(*self.names, scale)

    @contextmanager
    def servers(self) -> Iterator[tuple[Endpoint, Endpoint]]:
        """Subject and oracle, empty, and both gone, or at least empty again, afterwards."""
        with opened(*self.names, self.flush) as pair, ExitStack() as stack:
            for endpoint in pair:
                ask(endpoint, b"FLUSHALL")
                stack.callback(ask, endpoint, b"FLUSHALL")
            self.results.subject, self.results.oracle = (describe(endpoint) for endpoint in pair)
            yield pair

    def speed(self) -> None:
        """redis-benchmark on strings."""
        self.results.speed = self._in_turns(SPEED)

    def types(self) -> None:
        """redis-benchmark on the other data types, and a script."""
        self.results.types = self._in_turns(TYPES)

    def _in_turns(self, tests: Tests) -> list[Comparison]:
        program = shutil.which("redis-benchmark")
        if program is None:
            raise EndpointError("redis-benchmark is not here: apt-get install redis-tools")
        rows = [Comparison(pipeline, command) for pipeline in self.scale.requests for command in tests.commands]
        with self.servers() as (subject, oracle):
            for endpoint in (subject, oracle):
                run_benchmark(program, endpoint, 1, SPEED.commands["PING"], 2000)  # nobody is measured cold
                for argv in FIXTURES:
                    ask(endpoint, *argv)
            for number in range(self.scale.rounds):
                for row in rows:
                    self.say(f"speed: round {number + 1} of {self.scale.rounds}, -P {row.pipeline} {row.command}")
                    words, requests = tests.commands[row.command], self.scale.requests[row.pipeline]
                    turns = [(subject, row.subject), (oracle, row.oracle)]
                    for endpoint, samples in turns[:: -1 if number % 2 else 1]:
                        measure_speed(program, endpoint, row, words, requests, samples)
        return rows

    def memory(self) -> None:
        """Resident memory, once the keys are in and the number stands still."""
        with self.servers() as pair:
            for endpoint in pair:
                self.say(f"memory: {self.scale.memory_keys:,} strings into {endpoint.name}")
                drive(endpoint.address, inserts(range(self.scale.memory_keys)), clients=4, pipeline=500)
                self.results.memory.append(resident_bytes(endpoint))

    def idle(self) -> None:
        """CPU time of a server that nobody talks to: alone, with connections, with clients that wait for a key."""
        count = self.scale.idle_clients
        with self.servers() as pair:
            for endpoint in pair:
                self.say(f"idle: {endpoint.name}")
                ask(endpoint, b"CONFIG", b"SET", b"maxclients", b"%d" % (count + 100))
                found = [self._idle(endpoint, 0, False)]
                with ExitStack() as stack:
                    clients = [
                        stack.enter_context(socket.create_connection(endpoint.address)) for _ in range(count)
                    ]
                    found.append(self._idle(endpoint, count, False))
                    for number, client in enumerate(clients):
                        client.sendall(encode_command([b"BLPOP", b"queue:%d" % (number % 100), b"0"]))
                    while int(info(endpoint)["blocked_clients"]) < count:
                        time.sleep(0.05)
                    found.append(self._idle(endpoint, count, True))
                self.results.idle.append(found)

    def _idle(self, endpoint: Endpoint, clients: int, waiting: bool) -> Idle:
        time.sleep(SETTLED_AFTER)  # no event to await, twice: that nothing happens is what is measured
        before, started = info(endpoint), time.perf_counter()
        time.sleep(self.scale.idle_seconds)
        after, seconds = info(endpoint), time.perf_counter() - started
        turns = int(after["eventloop_cycles"]) - int(before["eventloop_cycles"])
        return Idle(clients, waiting, (cpu_seconds(after) - cpu_seconds(before)) * 1000 / seconds, turns / seconds)

    def churn(self) -> None:
        """Insert keys in order, delete them in another, 50 clients at -P 16: who had to wait for how long?"""
        count = self.scale.churn_keys
        with self.servers() as pair:
            for endpoint in pair:
                self.say(f"churn: inserting {count:,} keys into {endpoint.name}")
                phases = {"insert": churn_phase(endpoint, inserts(range(count)), count)}
                self.say(f"churn: deleting {count:,} keys from {endpoint.name}")
                phases["delete"] = churn_phase(endpoint, deletions(shuffled(count)), count)
                self.results.churn.append(phases)


def measure_speed(
    program: str, endpoint: Endpoint, row: Comparison, words: tuple[str, ...], requests: int, samples: Samples
) -> None:
    """One run, one entry in each list of `samples`."""
    if row.command == "MSET":
        requests //= KEYS_OF_MSET // 2
    before = cpu_seconds(info(endpoint))
    rps, p99_ms = run_benchmark(program, endpoint, row.pipeline, words, requests)
    cpu = cpu_seconds(info(endpoint)) - before
    samples.rps.append(rps)
    samples.p99_ms.append(p99_ms)
    samples.cpu_us.append(cpu * 1_000_000 / requests)


def run_benchmark(
    program: str, endpoint: Endpoint, pipeline: int, words: tuple[str, ...], requests: int
) -> tuple[float, float]:
    """Requests per second and the 99th percentile of latency, in ms. Raises EndpointError."""
    host, port = endpoint.address
    load = [program, "-h", host, "-p", str(port), "-c", str(CLIENTS), "-P", str(pipeline), "-n", str(requests)]
    if any(RANDOM in word for word in words):
        load += ["-r", RANDOM_RANGE]
    done = subprocess.run([*load, "--csv", *words], capture_output=True, text=True, check=False)
    table = list(csv.DictReader(done.stdout.splitlines()))
    if done.returncode or len(table) != 1:
        raise EndpointError(f"redis-benchmark failed: {(done.stderr or done.stdout).strip()[:500]}")
    return float(table[0]["rps"]), float(table[0]["p99_latency_ms"])


def churn_phase(endpoint: Endpoint, load: Load, count: int) -> Churn:
    ask(endpoint, b"CONFIG", b"RESETSTAT")
    started = time.perf_counter()
    wait_seconds = drive(endpoint.address, load, CLIENTS)
    seconds = time.perf_counter() - started
    facts = info(endpoint)

    def milliseconds(name: str) -> float | None:
        return int(facts[name]) / 1000 if name in facts else None

    turn, turn_cpu = milliseconds("mini_redis_worst_turn_usec"), milliseconds("mini_redis_worst_turn_cpu_usec")
    return Churn(count / seconds, wait_seconds * 1000, turn, turn_cpu)


# --- What servers say of themselves ----------------------------------------------------------------------------------


def ask(endpoint: Endpoint, *argv: bytes) -> str:
    connection = endpoint.connect(timeout=60.0)
    try:
        return connection.call(*argv).text.decode("utf-8", "replace")
    finally:
        connection.close()


def info(endpoint: Endpoint) -> dict[str, str]:
    return dict(line.split(":", 1) for line in ask(endpoint, b"INFO").splitlines() if ":" in line)


def cpu_seconds(facts: dict[str, str]) -> float:
    return float(facts["used_cpu_sys"]) + float(facts["used_cpu_user"])


def resident_bytes(endpoint: Endpoint) -> int:
    """The process's resident memory, once it moves by less than a thousandth: Redis samples it in its cron."""
    size, before = int(info(endpoint)["used_memory_rss"]), 0
    while abs(size - before) > size // 1000:
        time.sleep(0.25)
        size, before = int(info(endpoint)["used_memory_rss"]), size
    return size


def add_pair(parser: argparse.ArgumentParser) -> None:
    """The arguments of a program that measures two servers: --subject, --oracle, --flush."""
    names = ", ".join(NAMES)
    parser.add_argument("--subject", default="mini_redis", help=f"HOST:PORT or one of {names} (default mini_redis)")
    parser.add_argument("--oracle", default="redis-8.2", help=f"HOST:PORT or one of {names} (default redis-8.2)")
    parser.add_argument("--flush", action="store_true", help="a server given by address may be emptied")


@contextmanager
def opened(subject: str, oracle: str, flush: bool) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Two servers, stopped afterwards if they were started. Raises EndpointError."""
    with ExitStack() as stack:
        endpoints = []
        for text in (subject, oracle):
            endpoints.append(open_endpoint(text, flush))
            stack.callback(endpoints[-1].stop)
        yield endpoints[0], endpoints[1]


def describe(endpoint: Endpoint) -> str:
    """What is measured, and the interpreter with it."""
    python = endpoint.facts.get("python_version")
    where = f", {os.path.realpath(measured_python())}" if python and endpoint.process else ""
    return endpoint.title + (f", Python {python}{where}" if python else "")


# --- Telling ---------------------------------------------------------------------------------------------------------


def geometric_mean(rows: list[Comparison], pipeline: int, judged: tuple[str, ...]) -> float:
    """Of the judged commands' ratios."""
    ratios = [row.ratio for row in rows if row.pipeline == pipeline and row.command in judged]
    return float(prod(ratios) ** (1 / len(ratios)))


def verdict(met: bool, bar: str) -> str:
    return f"bar {bar}: {'met' if met else 'NOT MET'}"


def render(results: Results) -> str:
    """The report that a person reads."""
    head = f"{results.subject} beside {results.oracle}, on {os.cpu_count()} cores"
    parts = [head, *_speed_tables(results), _memory_table(results), _idle_table(results), _churn_table(results)]
    return "\n\n".join(part for part in parts if part)


def _speed_tables(results: Results) -> Iterator[str]:
    for rows, tests in ((results.speed, SPEED), (results.types, TYPES)):
        for pipeline in tests.bars if rows else ():
            yield "\n".join(_speed_table(rows, tests, pipeline, results.scale.rounds))


def _speed_table(rows: list[Comparison], tests: Tests, pipeline: int, rounds: int) -> Iterator[str]:
    yield f"Speed, {CLIENTS} clients, -P {pipeline}: medians of {rounds}, ours then the oracle's"
    yield f"{'':<10}{'requests/s':>20}{'ratio':>9}{'p99 latency, ms':>20}{'server CPU, us/request':>26}"
    for row in rows:
        if row.pipeline == pipeline:
            ours, theirs = row.subject, row.oracle
            yield (
                f"{row.command:<10}{median(ours.rps):>11,.0f}{median(theirs.rps):>11,.0f}{row.ratio:>7.2f}"
                f"{median(ours.p99_ms):>11.2f}{median(theirs.p99_ms):>9.2f}"
                f"{median(ours.cpu_us):>15.2f}{median(theirs.cpu_us):>11.2f}"
            )
    mean, bar = geometric_mean(rows, pipeline, tests.judged), tests.bars[pipeline]
    yield f"geometric mean over {' '.join(tests.judged)}: {mean:.2f}, {verdict(mean >= bar, f'{bar:.2f}')}"


def _memory_table(results: Results) -> str:
    if not results.memory:
        return ""
    keys = results.scale.memory_keys
    ours, theirs = results.memory
    judged = verdict(ours <= MEMORY_BAR * theirs, str(MEMORY_BAR)) if keys >= FULL.memory_keys else "too few to judge"
    return "\n".join(
        (
            f"Memory, {keys:,} strings of 8 bytes under keys of 16, resident",
            f"{ours / 1e6:>11.1f} MB {theirs / 1e6:>8.1f} MB   ratio {ours / theirs:.2f}, {judged}",
        )
    )


def _idle_table(results: Results) -> str:
    if not results.idle:
        return ""
    lines = [f"Idle, over {results.scale.idle_seconds:g} s, ours then the oracle's"]
    lines.append(f"{'':<20}{'CPU, ms a second':>24}{'turns a second':>22}")
    for ours, theirs in zip(*results.idle, strict=True):
        name = f"{ours.clients:,} {'waiting in BLPOP' if ours.waiting else 'connections'}"
        lines.append(f"{name:<24}{ours.cpu_ms:>10.2f}{theirs.cpu_ms:>10.2f}{ours.turns:>12.1f}{theirs.turns:>10.1f}")
    worst = max(each.cpu_ms for each in results.idle[0])
    lines.append(f"at most {worst:.2f} ms a second, {verdict(worst <= IDLE_BAR_MS, f'{IDLE_BAR_MS:g} ms')}")
    return "\n".join(lines)


def _churn_table(results: Results) -> str:
    if not results.churn:
        return ""
    ours, theirs = results.churn
    lines = [f"Churn, {results.scale.churn_keys:,} keys, {CLIENTS} clients, -P 16, ours then the oracle's"]
    lines.append(f"{'':<8}{'keys/s':>20}{'longest wait, ms':>22}{'our longest turn, ms':>24}{'of CPU time':>14}")
    for phase in ours:
        own, other = ours[phase], theirs[phase]
        lines.append(
            f"{phase:<8}{own.keys_per_second:>11,.0f}{other.keys_per_second:>9,.0f}"
            f"{own.worst_wait_ms:>13.1f}{other.worst_wait_ms:>9.1f}"
            f"{_or_dash(own.worst_turn_ms):>24}{_or_dash(own.worst_turn_cpu_ms):>14}"
        )
    turns = [phase.worst_turn_ms for phase in ours.values() if phase.worst_turn_ms is not None]
    cpu = [phase.worst_turn_cpu_ms for phase in ours.values() if phase.worst_turn_cpu_ms is not None]
    if turns and cpu:
        bar = f"{TURN_BAR_MS:g} ms"
        lines.append(f"by the clock {max(turns):.1f} ms, {verdict(max(turns) <= TURN_BAR_MS, bar)}")
        lines.append(f"by CPU time {max(cpu):.1f} ms, {verdict(max(cpu) <= TURN_BAR_MS, bar)}")
    return "\n".join(lines)


def _or_dash(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f}"


def as_json(results: Results) -> str:
    tree = asdict(results)
    for name, rows, tests in (("speed", results.speed, SPEED), ("types", results.types, TYPES)):
        for entry, row in zip(tree[name], rows, strict=True):
            entry["ratio"] = row.ratio
        if rows:
            tree[f"{name}_geometric_mean"] = {
                str(pipeline): geometric_mean(rows, pipeline, tests.judged) for pipeline in tests.bars
            }
    return json.dumps(tree, indent=2) + "\n"


# --- The command line ------------------------------------------------------------------------------------------------

SECTIONS: dict[str, Callable[[Bench], None]] = {
    "speed": Bench.speed,
    "types": Bench.types,
    "memory": Bench.memory,
    "idle": Bench.idle,
    "churn": Bench.churn,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.bench", description="Speed, memory and pauses.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of {', '.join(SECTIONS)} (default all)")
    add_pair(parser)
    parser.add_argument("--quick", action="store_true", help="less of everything: under a minute, and rough")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns of the speed section (default {FULL.rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, every round's included")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.sections if name not in SECTIONS]:
        parser.error(f"no such section: {', '.join(unknown)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be positive")
    return bench(options)


def bench(options: argparse.Namespace) -> int:
    """Measure, print, write; the exit code."""
    scale = scaled(QUICK if options.quick else FULL, options.rounds)
    bench = Bench(options, scale, show_progress)
    try:
        for name, section in SECTIONS.items():
            if not options.sections or name in options.sections:
                section(bench)
    except (EndpointError, LoadError, OSError, WireClosed, WireTimeout) as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 2
    show_progress("")
    print(render(bench.results))
    if options.json is not None:
        options.json.write_text(as_json(bench.results), "utf-8")
    return 0


def scaled(scale: Scale, rounds: int | None) -> Scale:
    """The scale with as many rounds as were asked for, and no more connections than this process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = scale.idle_clients + 100
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    clients = min(scale.idle_clients, soft - 100)
    return Scale(**{**asdict(scale), "rounds": rounds or scale.rounds, "idle_clients": clients})


def show_progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
