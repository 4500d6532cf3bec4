"""The node without sockets: for tests, notebooks and whoever wants every byte and every millisecond in hand.

    node = InProcess()
    a = node.connect()
    assert a.talk(b"SET k v PX 100\\r\\n") == b"+OK\\r\\n"
    node.advance(0.101)
    assert a.talk(b"GET k\\r\\n") == b"$-1\\r\\n"

Time stands still unless `advance` moves it, and then the cron runs as often as it would have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mini_redis.resp.parser import encode_request
from mini_redis.server.client import Client
from mini_redis.server.clock import ManualClock
from mini_redis.server.config import Config
from mini_redis.server.effects import Append, Close, Exit, Log, Write
from mini_redis.server.node import Server


class InProcessClient:
    """A connection. `received` grows with what the server says; `closed` tells when it has hung up."""

    def __init__(self, driver: InProcess) -> None:
        self._driver = driver
        self.received = b""
        self.closed = False
        self.reads = True  # set to False: a client that never reads
        self.backlog = b""
        self.in_session: list[bytes] = []  # what it will say when a script stops for SCRIPT DEBUG SYNC
        number = len(driver.connections) + 1
        self.handle = driver.server.connected(f"127.0.0.1:{50_000 + number}", "127.0.0.1:6379", 8 + number, self)
        driver.connections.append(self)
        driver.turn()

    def send(self, data: bytes) -> None:
        """Give bytes to the server, and let it take its turn."""
        if not self.closed:
            self._driver.server.receive(self.handle, data)
            self._driver.turn()

    def take(self) -> bytes:
        """What was received since the last time."""
        received, self.received = self.received, b""
        return received

    def talk(self, *pieces: bytes) -> bytes:
        """Send the pieces, each in a turn of its own, and return all that comes back."""
        for piece in pieces:
            self.send(piece)
        return self.take()

    def command(self, *words: bytes | str | int) -> bytes:
        """Send one command as an array of bulk strings and return the raw reply."""
        return self.talk(encode_request([w if isinstance(w, bytes) else str(w).encode() for w in words]))

    def disconnect(self) -> None:
        if not self.closed:
            self.closed = True
            self._driver.server.disconnected(self.handle)
            self._driver.turn()


class InProcessConversation:
    """A session of SCRIPT DEBUG SYNC: what is said is received at once, and answered from `in_session`."""

    def __init__(self, client: Client) -> None:
        assert isinstance(client.connection, InProcessClient)
        self._connection = client.connection

    def send(self, data: bytes) -> None:
        self._connection.received += data

    def receive(self) -> bytes:
        said = self._connection.in_session
        return said.pop(0) if said else b""

    def end(self) -> None:
        pass


class InProcess:
    """Runs one node. `log` collects the bytes that would reach the append-only file, `messages` the log's lines."""

    def __init__(
        self, *directives: str, seed: int = 0, wall_us: int = 1_700_000_000_000_000, logging: bool = False
    ) -> None:
        self.clock = ManualClock(wall_us)
        self.config = Config()
        self.config.load(directives)
        self.connections: list[InProcessClient] = []
        self.log = b""
        self.messages: list[str] = []
        self.exit_code: int | None = None
        self.server = Server(self.config, self.clock, seed)
        self.server.propagation.active = logging
        self.server.scripting.converse = InProcessConversation

    def connect(self) -> InProcessClient:
        return InProcessClient(self)

    def turn(self) -> None:
        """Carry out the effects of a turn, in their order."""
        for effect in self.server.take_effects():
            match effect:
                case Append(data):
                    self.log += data
                case Write(replies):
                    for client, data in replies:
                        self._deliver(client, data)
                case Close(client, _):
                    client.connection.closed = True  # type: ignore[attr-defined]
                case Log(level, text):
                    self.messages.append(f"{level} {text}")
                case Exit(code):
                    self.exit_code = code
                    for connection in self.connections:
                        connection.closed = True

    def advance(self, seconds: float) -> None:
        """Turn the clock, running the cron whenever it is due on the way."""
        turn_clock(self.server, self.clock, seconds, self.turn)

    def _deliver(self, client: Client, data: bytes) -> None:
        connection = client.connection
        assert isinstance(connection, InProcessClient)
        if connection.reads:
            connection.received += data
        else:
            connection.backlog += data
        if client.unsent != len(connection.backlog):
            self.server.unsent(client, len(connection.backlog))


def turn_clock(server: Server, clock: ManualClock, seconds: float, turn: Callable[[], None]) -> None:
    """Let `seconds` pass on a node's clock, its cron running whenever it is due; `turn` carries out the effects."""
    until_ms = clock.wall_us() // 1000 + round(seconds * 1000)
    while True:
        now_ms = clock.wall_us() // 1000
        if server.is_due(now_ms):
            server.tick()
            turn()
        if now_ms >= until_ms:
            return
        clock.advance((min(until_ms, max(server.next_tick_ms, now_ms + 1)) - now_ms) / 1000)


def replay(driver: InProcess, inputs: Iterable[tuple[float, int, bytes]]) -> bytes:
    """Feed a recording (seconds to wait, client number, bytes) to a fresh driver; everything that it answers."""
    output = b""
    for seconds, number, data in inputs:
        driver.advance(seconds)
        while len(driver.connections) <= number:
            driver.connect()
        client = driver.connections[number]
        client.send(data)
        output += b"".join(b"%d>%b" % (i, c.take()) for i, c in enumerate(driver.connections) if c.received)
    return output + driver.log
