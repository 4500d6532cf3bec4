"""The real process around a node: its clock, its memory, its files, its garbage collector."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import resource
import struct
import sys
import tempfile
import time
from random import Random

from mini_redis.resp.reply import ReplyError
from mini_redis.server.environment import Environment


class SystemClock:
    """The machine's time."""

    monotonic_ns = staticmethod(time.perf_counter_ns)

    @staticmethod
    def wall_us() -> int:
        return time.time_ns() // 1000

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds)


class ProcessEnvironment(Environment):
    """This process, as INFO shows it."""

    def __init__(self, config_file: str = "") -> None:
        system = os.uname()
        self.os = f"{system.sysname} {system.release} {system.machine}"
        self.arch_bits = struct.calcsize("P") * 8
        self.monotonic_clock = time.get_clock_info("perf_counter").implementation
        self.python = platform.python_version()
        self.process_id = os.getpid()
        self.executable = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] else sys.executable
        self.config_file = config_file

    def secret_bytes(self, size: int, rng: Random) -> bytes:
        return os.urandom(size)

    def resident_bytes(self) -> int:
        try:
            with open("/proc/self/statm", "rb") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize()
        except OSError:  # no /proc: the peak is the best that is known
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak if sys.platform == "darwin" else peak * 1024

    def give_back_memory(self) -> None:
        try:
            trim = ctypes.CDLL(None).malloc_trim  # glibc's; Python's own arenas are returned as soon as they are empty
        except (OSError, AttributeError):
            return
        trim(0)

    def total_memory_bytes(self) -> int:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def has_huge_pages(self) -> bool:
        try:
            with open("/proc/self/smaps_rollup", "rb") as smaps:
                return any(int(line.split()[1]) > 0 for line in smaps if line.startswith(b"AnonHugePages:"))
        except OSError:  # not Linux, or an old one
            return False

    def cpu_seconds(self) -> tuple[float, float, float, float]:
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_stime, own.ru_utime, children.ru_stime, children.ru_utime

    def thread_cpu_seconds(self) -> tuple[float, float]:
        who = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
        usage = resource.getrusage(who)
        return usage.ru_stime, usage.ru_utime

    def read_file(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise ReplyError(b"ERR " + (error.strerror or str(error)).encode()) from None

    def write_file(self, path: str, data: bytes) -> None:
        directory = os.path.dirname(os.path.abspath(path))
        try:
            descriptor, temporary = tempfile.mkstemp(dir=directory)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if os.path.exists(path):
                    os.chmod(temporary, os.stat(path).st_mode & 0o777)
                os.replace(temporary, path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            raise ReplyError(b"ERR " + (error.strerror or str(error)).encode()) from error


class GarbageCollector:
    """Python's cyclic collector, kept off the commands' path.

    A full collection visits every container in the process and stops the world while it does; among millions of entries
    that is the longest pause there is. Reference counting alone frees nearly everything here, so the automatic
    collector is off, what exists at the start is set aside for good, and the young generations alone are collected
    from the cron, where a pause is a few hundred microseconds. Cycles older than that stay: the server makes
    none on purpose.
    """

    YOUNG = 20_000  # container objects made since the last time

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def tick(self) -> None:
        if gc.get_count()[0] > self.YOUNG:
            gc.collect(1)


def raise_open_files_limit(wanted: int) -> int:
    """Let the process have `wanted` descriptors if the system agrees; how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return wanted
    for limit in (wanted, hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(hard, limit) if hard >= 0 else hard))
            return limit
    return soft
