"""Promise D2: MULTI is atomic and serial, WATCH is compare-and-set, even against expiry and eviction; no roll-back.

Several clients send commands cut into pieces, so that their bytes arrive in any interleaving. There must be one order
of all commands and transactions, each whole, that explains every reply and the data in the end; and it must agree with
the order in which the commands were completed (strict serialisability). On one node that order is known: a command
happens when its last byte arrives, a transaction when the last byte of EXEC does. So a model that knows nothing of
bytes, queues of replies or turns, and only runs one thing after another, must give the same replies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st
from transcript import Reply, read_replies

from mini_redis.drivers.in_process import InProcess
from mini_redis.resp.parser import encode_request

KEYS = ("x", "y")
START_MS = 1_700_000_000_000

OK, QUEUED, NULL_ARRAY = Reply("+", b"OK"), Reply("+", b"QUEUED"), Reply("*", None)
NOT_AN_INTEGER = Reply("-", b"ERR value is not an integer or out of range")
ABORTED = Reply("-", b"EXECABORT Transaction discarded because of previous errors.")
BROKEN = Reply("-", b"ERR wrong number of arguments for 'incr' command")


@dataclass
class Caller:
    """What the model knows of a client."""

    queue: list[list[str]] | None = None
    spoiled: bool = False
    watched: dict[str, bool] = field(default_factory=dict)
    """Key -> whether it was there."""
    lost: bool = False


class Model:
    """Runs one thing after another: a dict, a clock, and for each client its queue and what it watches."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.ends: dict[str, int] = {}
        self.now_ms = START_MS
        self.callers: dict[int, Caller] = {}

    def there(self, key: str) -> bool:
        return key in self.values and self.ends.get(key, self.now_ms) >= self.now_ms

    def say(self, number: int, words: list[str]) -> Reply:
        caller = self.callers.setdefault(number, Caller())
        match words[0]:
            case "MULTI" if caller.queue is None:
                caller.queue = []
                return OK
            case "MULTI":
                return Reply("-", b"ERR MULTI calls can not be nested")
            case "EXEC" | "DISCARD" if caller.queue is None:
                return Reply("-", b"ERR %b without MULTI" % words[0].encode())
            case "DISCARD":
                self.callers[number] = Caller()
                return OK
            case "EXEC":
                self.callers[number] = Caller()
                return self._execute(caller)
            case "WATCH" if caller.queue is None:
                caller.watched.setdefault(words[1], self.there(words[1]))
                return OK
            case "WATCH":
                return Reply("-", b"ERR WATCH inside MULTI is not allowed")
            case "UNWATCH" if caller.queue is None:
                caller.watched, caller.lost = {}, False
                return OK
            case "INCR" if len(words) == 1:
                caller.spoiled = caller.queue is not None
                return BROKEN
        if caller.queue is not None:
            caller.queue.append(words)
            return QUEUED
        return self.run(words)

    def _execute(self, caller: Caller) -> Reply:
        assert caller.queue is not None
        if caller.spoiled:
            return ABORTED
        over = any(was_there and not self.there(key) for key, was_there in caller.watched.items())
        if caller.lost or over:
            return NULL_ARRAY
        return Reply("*", tuple(self.run(words) for words in caller.queue))

    def run(self, words: list[str]) -> Reply:
        match words:
            case ["GET", key]:
                return Reply("$", self.values[key].encode()) if self.there(key) else Reply("_")
            case ["SET", key, value]:
                self._bind(key, value)
                return OK
            case ["INCR", key]:
                before = self.values[key] if self.there(key) else "0"
                if not before.isdigit():
                    return NOT_AN_INTEGER
                end = self.ends.get(key) if self.there(key) else None
                self._bind(key, str(int(before) + 1))
                if end is not None:
                    self.ends[key] = end
                return Reply(":", int(before) + 1)
            case ["DEL", key]:
                if not self.there(key):
                    return Reply(":", 0)
                del self.values[key]
                self.ends.pop(key, None)
                self._changed(key)
                return Reply(":", 1)
            case ["PEXPIRE", key, ms]:
                if not self.there(key):
                    return Reply(":", 0)
                self.ends[key] = self.now_ms + int(ms)
                self._changed(key)
                return Reply(":", 1)
            case ["UNWATCH"]:  # inside of a transaction, whose watching is over anyway
                return OK
        raise AssertionError(words)

    def _bind(self, key: str, value: str) -> None:
        self.values[key] = value
        self.ends.pop(key, None)
        self._changed(key)

    def evict(self) -> None:
        """All there is, for want of memory. What was over already does not change by going."""
        for key in [key for key in self.values if self.there(key)]:
            del self.values[key]
            self._changed(key)
        self.values, self.ends = {}, {}

    def _changed(self, key: str) -> None:
        for caller in self.callers.values():
            caller.lost = caller.lost or key in caller.watched


COMMANDS = st.one_of(
    st.sampled_from([["MULTI"], ["EXEC"], ["MULTI"], ["EXEC"], ["DISCARD"], ["UNWATCH"], ["INCR"]]),
    st.tuples(st.sampled_from(["GET", "INCR", "INCR", "DEL", "WATCH", "WATCH"]), st.sampled_from(KEYS)).map(list),
    st.tuples(st.just("SET"), st.sampled_from(KEYS), st.sampled_from(["5", "text"])).map(list),
    st.tuples(st.just("PEXPIRE"), st.sampled_from(KEYS), st.sampled_from(["3", "8"])).map(list),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2), COMMANDS, st.integers(0, 12)),
        st.tuples(st.integers(0, 2), COMMANDS, st.integers(0, 12)),
        st.tuples(st.integers(0, 2), COMMANDS, st.integers(0, 12)),
        st.integers(1, 6),  # ms
        st.just("evict"),
    ),
    max_size=50,
)
Step = tuple[int, list[str], int] | int | str


@settings(max_examples=400)
@given(STEPS)
@example([(0, ["SET", "x", "5"], 0), (0, ["PEXPIRE", "x", "3"], 0), (0, ["WATCH", "x"], 0), 4,
          (0, ["MULTI"], 0), (0, ["GET", "x"], 0), (0, ["EXEC"], 0)])  # fmt: skip
@example([(0, ["WATCH", "x"], 0), (1, ["DEL", "x"], 0), (0, ["MULTI"], 0), (0, ["EXEC"], 0)])
@example([(0, ["SET", "x", "5"], 0), (0, ["WATCH", "x"], 0), "evict", (0, ["MULTI"], 0), (0, ["EXEC"], 0)])
@example([(0, ["SET", "x", "5"], 0), (0, ["PEXPIRE", "x", "3"], 0), 4, (0, ["WATCH", "x"], 0), "evict",
          (0, ["MULTI"], 0), (0, ["EXEC"], 0)])  # fmt: skip
@example([(0, ["SET", "x", "5"], 0), (0, ["PEXPIRE", "x", "3"], 0), 4, (0, ["WATCH", "x"], 0), (1, ["GET", "x"], 0),
          (0, ["MULTI"], 0), (0, ["EXEC"], 0)])  # fmt: skip
def test_one_order_explains_every_reply(steps: list[Step]) -> None:
    node, model = InProcess("hz 1", wall_us=START_MS * 1000), Model()
    clients, operator = [node.connect() for _ in range(3)], node.connect()
    operator.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    expected: list[list[Reply]] = [[], [], []]
    under_way: dict[int, tuple[list[str], bytes]] = {}  # client -> its last command, and what is unsent of it

    def complete(number: int) -> bytes:
        """The rest of what this client has begun to say: with it, the command happens."""
        words, tail = under_way.pop(number, ([], b""))
        if words:
            expected[number].append(model.say(number, words))
        return tail

    for step in steps:
        if step == "evict":
            operator.command("CONFIG", "SET", "maxmemory", "1")
            operator.command("CONFIG", "SET", "maxmemory", "0")
            model.evict()
            continue
        assert not isinstance(step, str)
        if isinstance(step, int):
            node.clock.advance(step / 1000)
            model.now_ms += step
            continue
        number, words, keep = step
        tail, request = complete(number), encode_request([word.encode() for word in words])
        clients[number].send(tail + request[: len(request) - keep])
        under_way[number] = words, request[len(request) - keep :]
        if not keep:
            complete(number)
    for number, client in enumerate(clients):
        client.send(complete(number))
        assert read_replies(client.take()) == expected[number]
    reader = node.connect()
    for key in KEYS:
        assert read_replies(reader.command("GET", key)) == [model.run(["GET", key])]


# --- What it is good for ---------------------------------------------------------------------------------------------

TURNS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=80)


@settings(max_examples=200)
@given(TURNS)
def test_a_counter_kept_by_watch_loses_no_update(turns: list[tuple[int, int]]) -> None:
    """Read, add, write if nobody was faster: the sum of what was written by those who were told so is the value."""
    node = InProcess()
    clients = [node.connect() for _ in range(4)]
    at = [0, 0, 0, 0]
    read = [0, 0, 0, 0]
    added, total = [0, 0, 0, 0], 0
    for number, amount in turns:
        client = clients[number]
        match at[number]:
            case 0:
                client.command("WATCH", "total")
            case 1:
                value = client.command("GET", "total").split(b"\r\n")
                read[number] = int(value[1]) if len(value) > 2 else 0
            case 2:
                added[number] = amount
                client.command("MULTI")
                client.command("SET", "total", read[number] + amount)
            case 3:
                total += added[number] if client.command("EXEC") == b"*1\r\n+OK\r\n" else 0
        at[number] = (at[number] + 1) % 4
    final = clients[0].command("DISCARD") and node.connect().command("GET", "total")
    assert final == (b"$%d\r\n%d\r\n" % (len(str(total)), total) if total else b"$-1\r\n")


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 50)), min_size=1, max_size=60))
def test_nobody_sees_half_a_transaction(pieces: list[tuple[int, int]]) -> None:
    """Two clients move money to and fro in transactions, a third one looks: the sum is always the same."""
    node = InProcess()
    movers, looker = [node.connect(), node.connect()], node.connect()
    looker.command("MSET", "a", "100", "b", "100")
    requests = [
        b"".join(encode_request(words.encode().split()) for words in ("MULTI", *transfer, "EXEC"))
        for transfer in (("DECRBY a 7", "INCRBY b 7"), ("INCRBY a 3", "DECRBY b 3"))
    ]
    left = [b"", b""]
    for number, size in pieces:
        if number == 2:
            a, b = (int(word) for word in looker.command("MGET", "a", "b").split(b"\r\n")[2:5:2])
            assert a + b == 200
            continue
        left[number] = left[number] or requests[number]
        movers[number].send(left[number][:size])
        left[number] = left[number][size:]
