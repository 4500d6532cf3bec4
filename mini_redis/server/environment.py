"""What a node may ask of the process it lives in, beside time: facts for INFO, and the one file it writes at once.

The defaults describe no process in particular, so that a node inside a test or a simulation answers the same bytes on
every machine; the event loop's driver passes the real ones.
"""

from __future__ import annotations

from random import Random

from mini_redis.resp.reply import ReplyError


class Environment:
    """Facts about the process. All values are as INFO shows them."""

    os = "simulated"
    arch_bits = 64
    monotonic_clock = "simulated"
    multiplexing_api = "none"
    python = ""
    process_id = 0
    executable = "mini-redis"
    config_file = ""
    tcp_port = 0
    """The port that is listened on, if it is not the configured one: the system chose, or nobody listens."""

    def secret_bytes(self, size: int, rng: Random) -> bytes:
        """Bytes that nobody can guess. Without a system behind it they are the node's own chance, which repeats."""
        return rng.randbytes(size)

    def resident_bytes(self) -> int:
        """Resident memory of the process."""
        return 0

    def give_back_memory(self) -> None:
        """Let the allocator return what it does not need to the system, as far as it can."""

    def total_memory_bytes(self) -> int:
        """Memory of the machine."""
        return 0

    def has_huge_pages(self) -> bool:
        """Whether any of the process's memory is in transparent huge pages."""
        return False

    def cpu_seconds(self) -> tuple[float, float, float, float]:
        """System and user time of the process, then of its children."""
        return 0.0, 0.0, 0.0, 0.0

    def thread_cpu_seconds(self) -> tuple[float, float]:
        """System and user time of the thread that runs the node."""
        return 0.0, 0.0

    def read_file(self, path: str) -> bytes:
        """What a file says. Raises ReplyError with the system's reason."""
        raise ReplyError(b"ERR there is no file system here")

    def write_file(self, path: str, data: bytes) -> None:
        """Replace a file as one step. Raises ReplyError with the system's reason."""
        raise ReplyError(b"ERR there is no file system here")
