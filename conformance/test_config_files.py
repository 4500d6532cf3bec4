"""redis.conf and the command line: a mistake ends in the oracle's message, and CONFIG REWRITE writes the oracle's file.

Ours is asked without starting a process, since reading a configuration is pure. Every configuration given to the oracle
in the first half has a mistake in it, so that it never comes to listen.
"""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from mini_redis.server.clock import ManualClock
from mini_redis.server.conf_file import SIGNATURE, ConfigError
from mini_redis.server.config import Config, Files
from mini_redis.server.config_kinds import Choice, Integer
from mini_redis.server.config_table import IMMUTABLE, PARAMETERS, PROTECTED, Parameter
from mini_redis.server.node import Server

from .endpoints import RECIPES, find_program, free_port
from .wire import Connection

STOP = b"\nhz never\n"


def said_by_oracle(directory: Path, files: dict[str, bytes], words: list[str], stdin: bytes) -> bytes:
    for name, text in files.items():
        (directory / name).write_bytes(text)
    command = [find_program(RECIPES["redis-8.2"]), *words]
    ended = subprocess.run(command, cwd=directory, input=stdin, capture_output=True, timeout=10, check=False)
    assert ended.returncode == 1
    return ended.stderr


def said_by_us(files: dict[str, bytes], words: list[str], stdin: bytes) -> bytes:
    config = Config()
    try:
        config.load_command_line([word.encode() for word in words], readable(files, stdin))
    except ConfigError as error:
        return error.text
    return b"no mistake found"


def readable(files: dict[str, bytes], stdin: bytes = b"") -> Files:
    def glob(pattern: bytes) -> list[bytes]:
        return [name.encode() for name in sorted(files) if fnmatch(name, pattern.decode())]

    return Files(read=lambda path: files[path.decode()], glob=glob, stdin=lambda: stdin, absolute=lambda path: path)


@pytest.mark.parametrize(
    "text",
    [
        b"port abc",
        b"\n# fine\n\n  port\tabc \r\n",
        b'port "abc',
        b"port 'abc",
        b'port "0"x',
        b'"port" x',
        b"port",
        b"port 1 2",
        b"port 0 # no comment",
        b'hz "a\\nb"',
        b"HZ x",
        b"include",
        b"user",
        b'""',
        b"sentinel monitor x",
        b"rename-command GET SET",
        b'rename-command GET ""\nrename-command GET x',
        b"rename-command GET x\nrename-command SET x",
        b"user a on\nuser a off",
        b"user a foo",
        b"user a +get (+set",
        b"user a (+get",
        b"user a <x",
        b"user a on allkeys ~x",
        b"user a on >p #x",
        b'user a "+get" \'~a b\'',
        b"user a +foo (+bar) -foo|x" + STOP,
        b'user "a b" on' + STOP,
        b"maxmemory 1tb",
        b"save 1",
        b"save 1 x",
        b'save "" 1',
        b'save "900 1 300"',
        b'save ""\nsave 900 1' + STOP,
        b"save" + STOP,
        b"bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
        b"replicaof a 99999",
        b"replicaof a",
        b'replicaof "a 5"' + STOP,
        b"replicaof no one" + STOP,
        b"cluster-enabled yes\nreplicaof a 1",
        b"notify-keyspace-events K E",
        b"shutdown-on-sigint now bad",
        b"shutdown-on-sigint",
        b'latency-tracking-info-percentiles ""' + STOP,
        b"latency-tracking-info-percentiles 50 x",
        b"latency-tracking-info-percentiles" + STOP,
        b'client-output-buffer-limit ""',
        b"client-output-buffer-limit" + STOP,
        b"client-output-buffer-limit normal 1 2",
        b"oom-score-adj-values 1 2",
        b"oom-score-adj-values 1 2 x",
        b'unixsocketperm " 7"' + STOP,
        b"list-max-ziplist-entries 5\nio-threads-do-reads yes" + STOP,
        b"slaveof a 1\nmin-slaves-to-write 3\nhash-max-ziplist-entries 9" + STOP,
        b"include other.conf",
        b"include oth*.conf",
        b"include nothing*.conf" + STOP,
    ],
    ids=lambda text: text.decode("ascii", "backslashreplace").strip().replace("\n", ";"),
)
def test_a_mistake_in_the_file(tmp_path: Path, text: bytes) -> None:
    files = {"c.conf": text, "other.conf": b"timeout 1\n\ntimeout -1"}
    assert said_by_us(files, ["c.conf"], b"") == said_by_oracle(tmp_path, files, ["c.conf"], b"")


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "abc"],
        ["--PORT", "abc"],
        ["--port=0"],
        ["--port 0 --hz x"],
        ["--hz 5", "--timeout", "x"],
        ["--port", "0", "x"],
        ["--hz"],
        ["--hz", ""],
        ["--hz", "--port"],
        ["--requirepass", "--hz", "--hz", "x"],
        ["--save", "--hz", "x"],
        ["--hz", "x", "--save"],
        ["--save", "900", "1", "300", "10", "--hz", "x"],
        ["--save", "", "--hz", "x"],
        ["--masterauth", "a b\n\"", "--hz", "x"],
        ["--shutdown-on-sigint", "nosave force", "--hz", "x"],
        ["--rename-command", "FLUSHALL", "", "--hz", "x"],
        ["--", "5"],
        ["-x"],
        ["-"],
        ["-", "--port", "0"],
        ["--port", "0", "-"],
        ["--port", "0", "-", "--hz", "5"],
        ["c.conf", "--hz", "x"],
        ["c.conf", "hz", "x"],
        ["c.conf", "other"],
        ["c.conf", "-"],
        ["c.conf", "--hz", "3", "-"],
        ["c.conf", "-", "--hz", "3"],
        ["c*.conf", "--hz", "x"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line(tmp_path: Path, words: list[str]) -> None:
    files = {"c.conf": b"port 0"}
    stdin = b"hz 9\ntimeout x"
    assert said_by_us(files, words, stdin) == said_by_oracle(tmp_path, files, words, stdin)


@pytest.mark.parametrize(
    "parameter",
    [parameter for parameter in PARAMETERS if parameter.flags & (IMMUTABLE | PROTECTED) and parameter.name != b"dir"],
    ids=lambda parameter: parameter.name.decode(),
)
def test_values_that_only_a_file_can_set(tmp_path: Path, parameter: Parameter) -> None:
    """What CONFIG SET cannot reach is judged by starting with it."""
    kind = parameter.kind
    values = [b"abc", b'""', b"-1", b"7", b"yes", b"1kb", b"a/b", b"a b", b""]
    if isinstance(kind, Integer):
        values += [kind.spell(bound) for bound in (kind.low, kind.high, kind.high + 1)]
    if isinstance(kind, Choice):
        values += [word.upper() for word in kind.words]
    for value in values:
        files = {"c.conf": parameter.name + b" " + value + STOP}
        if parameter.name == b"logfile" and b"/" in value:
            continue  # would be opened
        assert said_by_us(files, ["c.conf"], b"") == said_by_oracle(tmp_path, files, ["c.conf"], b""), value


REWRITES: dict[str, tuple[bytes, list[list[bytes]], bytes | None]] = {
    "an empty file": (b"", [], None),
    "comments and order stay": (
        b"# hello\n\n\n\n  timeout   5  \n# t\ntimeout 6\n\nrename-command FLUSHALL \"\"\nSave 900 1\nsave 300 10\n"
        b"slave-priority 50\n\n\n# end",
        [[b"timeout", b"9"], [b"maxmemory", b"1gb"], [b"save", b"1 2 3 4 5 6"], [b"hz", b"77"]],
        None,
    ),
    "every kind of value": (
        b"unixsocketperm 700\nmaxmemory 2gb\nmaxmemory 3kb\nclient-query-buffer-limit 1048577\nloglevel verbose\n",
        [
            [b"requirepass", b'a b"c\\'],
            [b"masterauth", b"\x00\xff\n\t\a"],
            [b"notify-keyspace-events", b"KEA"],
            [b"client-output-buffer-limit", b"normal 1gb 1mb 3 replica 1 2 3"],
            [b"latency-tracking-info-percentiles", b"50 99.5"],
            [b"shutdown-on-sigint", b"now save"],
            [b"maxmemory-clients", b"5%"],
            [b"proc-title-template", b"{title} x"],
            [b"maxmemory-policy", b"allkeys-lfu"],
            [b"repl-backlog-size", b"3mb"],
            [b"cluster-announce-ip", b"1.1.1.1"],
            [b"lazyfree-lazy-expire", b"yes"],
            [b"save", b""],
            [b"min-slaves-max-lag", b"11"],
        ],
        None,
    ),
    "the file was edited meanwhile": (
        b"hz 10\nhz 11\n",
        [[b"hz", b"10"]],
        b'broken "x\nhz 10\nhz 11\nmaxmemory 1kb\nloglevel notice\nsave 900 1\n save 1 1\n'
        b"client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit pubsub 0 0 0\n"
        b"client-output-buffer-limit pubsub 1 1 1\n"
        b"latency-tracking-info-percentiles 1\nunixsocketperm 700\nreplicaof a 1\nslaveof b 2\n"
        b'shutdown-on-sigint now\n"timeout" 6\n\n\n\nrequirepass ""\nlogfile ""\nwatchdog-period 4\n'
        b"list-max-listpack-size 5\nlist-max-ziplist-size 6\n# Generated by CONFIG REWRITE\n#a\n  # b\n\t\nhz 3\n",
    ),
    "again": (b"timeout 1\n# Generated by CONFIG REWRITE\nhz 12", [[b"hz", b"13"], [b"timeout", b"0"]], None),
    "users": (
        b"user b on +get\nuser default on >x ~* +@all\n# mine\nuser a (+set ~x) +select|0\nrequirepass y",
        [],
        None,
    ),
    "a password": (b"requirepass x", [[b"requirepass", b"y"]], None),
    "a password less": (b"requirepass x\nuser a on", [[b"requirepass", b""]], None),
    "the other line ends": (b"save 5 5\r\ntimeout 1\r\n# x\r\n", [[b"save", b""]], None),
}


@pytest.mark.parametrize("everything", [False, True], ids=["changed", "all"])
@pytest.mark.parametrize("case", REWRITES)
def test_config_rewrite(tmp_path: Path, case: str, everything: bool) -> None:
    """The part that the user wrote is equal; what is appended is equal as a set, for Redis's order there is random.

    And so it is when DEBUG CONFIG-REWRITE-FORCE-ALL writes everything.
    """
    text, changes, edited = REWRITES[case]
    path = tmp_path / "c.conf"
    path.write_bytes(text)
    port = free_port()
    words = [str(path), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    words += ["--enable-debug-command", "yes"]
    ask = (b"DEBUG", b"CONFIG-REWRITE-FORCE-ALL") if everything else (b"CONFIG", b"REWRITE")

    ours = Config()
    ours.load_command_line([word.encode() for word in words], on_disk(tmp_path))
    node = Server(ours, ManualClock())
    with subprocess.Popen([find_program(RECIPES["redis-8.2"]), *words], stdout=subprocess.PIPE) as oracle:
        try:
            assert oracle.stdout is not None
            assert any(b"Ready to accept connections" in line for line in oracle.stdout)
            connection = Connection(("127.0.0.1", port))
            for password in (b"x", b"y"):  # of the cases that have one
                connection.call(b"AUTH", b"default", password)
            for change in changes:
                assert connection.call(b"CONFIG", b"SET", *change).text == b"OK"
                ours.set_many(change)
            if edited is not None:
                path.write_bytes(edited)
            written = ours.rewritten_file(node.access.users.lines(), everything)
            assert connection.call(*ask).text == b"OK"
            connection.close()
        finally:
            oracle.kill()

    expected = path.read_bytes()
    assert written.partition(SIGNATURE)[0] == expected.partition(SIGNATURE)[0]
    assert sorted(written.splitlines()) == sorted(expected.splitlines())


def on_disk(directory: Path) -> Files:
    return Files(
        read=lambda path: Path(path.decode()).read_bytes(),
        glob=lambda pattern: [],
        stdin=lambda: b"",
        absolute=lambda path: str(directory / path.decode()).encode(),
    )
