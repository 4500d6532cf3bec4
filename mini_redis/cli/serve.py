"""`mini-redis serve`: read the configuration, open the sockets, run the loop until told to stop."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from mini_redis.drivers.event_loop import EventLoop
from mini_redis.drivers.process import GarbageCollector, ProcessEnvironment
from mini_redis.server.conf_file import ConfigError
from mini_redis.server.config import Config, Files
from mini_redis.server.config_kinds import BadValue
from mini_redis.server.version import REDIS_VERSION

# Test suites written for Redis look for "PID: <number>" here, and for "Server initialized" in the log after it.
BANNER: Final = """\

   mini_redis   a Redis to read          speaks Redis {version}, port {port}, PID: {pid}

   try        redis-cli -p {port}
              > SET greeting hello EX 10
              > GET greeting
              > COMMAND DOCS SET
   read       mini_redis/server/node.py, then execute.py: the life of a command
   compare    make conformance
   stop       Ctrl-C, or SHUTDOWN
"""


def serve(words: list[str]) -> int:
    """Serve until a signal or SHUTDOWN; the process's exit code. `words` are what redis-server would be given."""
    config = Config()
    config.resolve["dir"] = enter_directory
    collector = GarbageCollector()
    try:
        config.load_command_line([os.fsencode(word) for word in words], system_files())
        loop = EventLoop(config, environment=ProcessEnvironment(os.fsdecode(config.path)), on_tick=collector.tick)
    except ConfigError as error:
        sys.stderr.write(str(error))
        return 1

    node = loop.server
    for warning in config.warnings:
        node.log("#", f"WARNING {warning}")
    try:
        loop.listen()
    except OSError as error:
        node.log("#", f"Failed listening on port {config.port}, aborting: {error.strerror}")
        loop.perform_effects()
        return 1

    loop.stop_on_signals()
    if not config.logfile or config.always_show_logo:
        print(BANNER.format(version=REDIS_VERSION, port=config.port, pid=os.getpid()), flush=True)
    node.log("*", f"Running in standalone mode, port {config.port}, speaking Redis {REDIS_VERSION}")
    node.log("*", "Server initialized")
    node.log("*", "Ready to accept connections tcp")
    with pid_file(os.fsdecode(config.pidfile)):
        return loop.run()


@contextmanager
def pid_file(path: str) -> Iterator[None]:
    """`pidfile`: there while the server runs."""
    if path:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    try:
        yield
    finally:
        if path:
            with suppress(OSError):
                os.unlink(path)


def system_files() -> Files:
    """How this process reads configuration files."""
    return Files(
        read=read,
        glob=lambda pattern: sorted(glob.glob(pattern)),
        stdin=sys.stdin.buffer.read,
        absolute=os.path.abspath,
    )


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def enter_directory(path: bytes) -> bytes:
    """Make `dir` the working directory; its absolute name. Raises BadValue with the system's reason."""
    try:
        os.chdir(path or b".")
    except OSError as error:
        raise BadValue((error.strerror or str(error)).encode()) from None
    return os.getcwdb()
