"""A node whose every consequence is seen: what a command answers, and beside that what it says to whom.

    seen = Observer()
    assert seen(b"SET k v EX 10") == Consequences(b"+OK\\r\\n", log=[...], events=[...], dirty=1)

Each command is sent whole, and once more byte by byte to a second node that lives through the same: both must do the
same (`talk` alone is what most cases need).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import encode_request

EVERYTHING = "KEAmnoc"


@dataclass
class Consequences:
    """Of one command. `log`: what replicas and the append-only file are told, SELECT left out."""

    reply: bytes
    log: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    dirty: int = 0


def words(line: bytes) -> list[bytes]:
    """Split at spaces; `""` is the empty word."""
    return [b"" if word == b'""' else word for word in line.split(b" ")]


def requests(log: bytes) -> list[bytes]:
    """Each request of a log as one line, without SELECT."""
    lines: list[bytes] = []
    while log:
        header, _, log = log.partition(b"\r\n")
        argv: list[bytes] = []
        for _ in range(int(header[1:])):
            size, _, log = log.partition(b"\r\n")
            argv.append(log[: int(size[1:])])
            log = log[int(size[1:]) + 2 :]
        if argv[0] != b"SELECT":
            lines.append(b" ".join(argv))
    return lines


class Observer:
    """Calls send a line as client a. `events` are `db:event key`."""

    def __init__(self, flags: str = EVERYTHING) -> None:
        directive = f"notify-keyspace-events {flags}"
        self.nodes = [InProcess(directive, logging=True), InProcess(directive, logging=True)]
        self.events: list[list[bytes]] = []
        for node in self.nodes:
            heard: list[bytes] = []
            self.events.append(heard)
            node.server.listeners.append(_listener(heard))
        self.clients: dict[str, list[InProcessClient]] = {}

    def __call__(self, line: bytes, client: str = "a") -> Consequences:
        """What a command brings about."""
        found = []
        for number, (node, connection) in enumerate(zip(self.nodes, self._client(client), strict=True)):
            logged, dirty = len(node.log), node.server.dirty
            self.events[number].clear()
            data = encode_request(words(line))
            pieces = [data] if number == 0 else [data[at : at + 1] for at in range(len(data))]
            reply = connection.talk(*pieces)
            events = list(self.events[number])
            found.append(Consequences(reply, requests(node.log[logged:]), events, node.server.dirty - dirty))
        assert found[0] == found[1], f"{line!r} whole and byte by byte"
        return found[0]

    def talk(self, line: bytes, client: str = "a") -> bytes:
        """The reply alone."""
        return self(line, client).reply

    def advance(self, seconds: float) -> None:
        for node in self.nodes:
            node.advance(seconds)

    def stand_still(self) -> None:
        """DEBUG SET-ACTIVE-EXPIRE 0: only lookups expire keys."""
        for node in self.nodes:
            node.server.active_expire_enabled = False

    @property
    def now_ms(self) -> int:
        return self.nodes[0].clock.wall_us() // 1000

    def _client(self, name: str) -> list[InProcessClient]:
        if name not in self.clients:
            self.clients[name] = [node.connect() for node in self.nodes]
        return self.clients[name]


def _listener(heard: list[bytes]) -> Callable[[bytes, bytes], None]:
    def listen(channel: bytes, message: bytes) -> None:
        if channel.startswith(b"__keyevent@"):
            db, _, event = channel.removeprefix(b"__keyevent@").partition(b"__:")
            heard.append(b"%b:%b %b" % (db, event, message))

    return listen
