"""Promise D5: who waits is served first come, first served, key by key; one element serves one; EXEC serves at its end.

A model of the queues alone: each key has a list, each client waits for some keys since some moment. After a command, or
after EXEC, every key that was made (in the order in which that happened) serves those who wait for it, the longest
waiting first, as long as it has elements; an element that is moved on may make another key. The node must answer the
same clients with the same elements, and its log must be the commands and the plain pops that were done.

Beside Redis, with every command that waits: conformance/test_waiting.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st
from observer import requests
from transcript import read_replies

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.resp.parser import encode_request

KEYS = ("x", "y", "z")
CLIENTS = 5
PATIENCE_MS = 10


@dataclass
class Wait:
    """What a client waits for. `target`: where the element is moved to, instead of being answered."""

    keys: list[str]
    from_head: bool
    target: str = ""
    end_ms: int = 0


@dataclass
class Model:
    """Lists, and who waits for them in which order."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    waits: dict[int, Wait] = field(default_factory=dict)
    answers: dict[int, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    ready: dict[str, None] = field(default_factory=dict)
    now_ms: int = 0

    def change(self, words: list[str]) -> None:
        """One command of the client that does not wait."""
        name, key = words[0], words[1]
        match name:
            case "RPUSH":
                self._push(key, words[2:])
            case "DEL" | "LPOP" if key not in self.lists:
                return
            case "DEL":
                del self.lists[key]
            case "LPOP":
                self._pop(key, True)
        self.log.append(" ".join(words))

    def _push(self, key: str, elements: list[str]) -> None:
        if key not in self.lists:
            self.ready[key] = None
        self.lists.setdefault(key, []).extend(elements)

    def _pop(self, key: str, from_head: bool) -> str:
        element = self.lists[key].pop(0 if from_head else -1)
        if not self.lists[key]:
            del self.lists[key]
        return element

    def wait(self, number: int, wait: Wait) -> None:
        """A client asks for an element: it gets one at once, or begins to wait, behind those who do."""
        if not any(key in self.lists for key in wait.keys):
            self.waits[number] = wait
        else:
            self._give(number, wait)
            self.serve()

    def _give(self, number: int, wait: Wait) -> None:
        """From the first of the client's keys that has something, whichever of them made it its turn."""
        key = next(key for key in wait.keys if key in self.lists)
        element = self._pop(key, wait.from_head)
        if wait.target:
            self._push(wait.target, [element])
            self.answers[number] = element
            self.log.append(f"LMOVE {key} {wait.target} {'LEFT' if wait.from_head else 'RIGHT'} RIGHT")
        else:
            self.answers[number] = f"{key} {element}"
            self.log.append(f"{'LPOP' if wait.from_head else 'RPOP'} {key}")

    def serve(self) -> None:
        """A command or a transaction is over."""
        while self.ready:
            ready, self.ready = self.ready, {}
            for key in ready:
                for number in [number for number, wait in self.waits.items() if key in wait.keys]:
                    if key in self.lists:
                        self._give(number, self.waits.pop(number))

    def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        due = [(wait.end_ms, number) for number, wait in self.waits.items() if 0 < wait.end_ms <= self.now_ms]
        for _, number in sorted(due):
            del self.waits[number]
            self.answers[number] = "nothing"


def read(client: InProcessClient) -> str | None:
    """What a waiter was answered: key and element, the element that was moved, or that its time was up."""
    replies = read_replies(client.take())
    if not replies:
        return None
    (reply,) = replies
    match reply.value:
        case None:
            return "nothing"
        case bytes(element):
            return element.decode()
        case (key, element):
            return f"{key.value.decode()} {element.value.decode()}"
    raise AssertionError(reply)


def begin(client: InProcessClient, wait: Wait) -> None:
    """Let a client ask for an element."""
    side, timeout = "LEFT" if wait.from_head else "RIGHT", str(wait.end_ms / 1000)
    words = ["BLPOP" if wait.from_head else "BRPOP", *wait.keys, timeout]
    if wait.target:
        words = ["BLMOVE", wait.keys[0], wait.target, side, "RIGHT", timeout]
    client.send(encode_request([word.encode() for word in words]))


CHANGES = st.one_of(
    st.tuples(st.sampled_from(KEYS), st.lists(st.sampled_from("abc"), min_size=1, max_size=3)).map(
        lambda drawn: ["RPUSH", drawn[0], *drawn[1]]
    ),
    st.tuples(st.sampled_from(["DEL", "LPOP"]), st.sampled_from(KEYS)).map(list),
)
WAITS = st.builds(
    Wait,
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True),
    st.booleans(),
    st.sampled_from(["", "", *KEYS]),
    st.sampled_from([0, 0, PATIENCE_MS, 2 * PATIENCE_MS]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, CLIENTS - 1), WAITS),
        st.tuples(st.just("do"), CHANGES),
        st.tuples(st.just("transaction"), st.lists(CHANGES, min_size=1, max_size=4)),
        st.tuples(st.just("leave"), st.integers(0, CLIENTS - 1)),
        st.tuples(st.just("pass"), st.integers(1, 15)),
    ),
    max_size=40,
)


@settings(max_examples=400)
@given(STEPS)
@example([("wait", 0, Wait(["x"], True)), ("wait", 1, Wait(["x"], True)), ("do", ["RPUSH", "x", "a"])])
@example([("wait", 0, Wait(["x"], True)), ("transaction", [["RPUSH", "x", "a"], ["LPOP", "x"]])])
@example([("wait", 0, Wait(["x"], True, "y")), ("wait", 1, Wait(["y"], True)), ("do", ["RPUSH", "x", "a", "b"])])
def test_first_come_first_served(steps: list[tuple[object, ...]]) -> None:
    node, model = InProcess("hz 1000", logging=True), Model()
    clients, changer = [node.connect() for _ in range(CLIENTS)], node.connect()
    for step in steps:
        match step:
            case ("wait", int(number), Wait() as wait) if number not in model.waits:
                begin(clients[number], wait)
                keys = wait.keys[:1] if wait.target else wait.keys
                model.wait(number, replace(wait, keys=keys, end_ms=wait.end_ms and model.now_ms + wait.end_ms))
            case ("do", list(words)):
                changer.command(*words)
                model.change(words)
                model.serve()
            case ("transaction", list(commands)):
                before = len(model.log)
                changer.command("MULTI")
                for words in commands:
                    changer.command(*words)
                    model.change(words)
                assert not any(client.received for client in clients), "nobody is served before EXEC"
                changer.command("EXEC")
                if len(model.log) > before + 1:
                    model.log[before:] = ["MULTI", *model.log[before:], "EXEC"]
                model.serve()
            case ("leave", int(number)):
                clients[number].disconnect()
                clients[number] = node.connect()
                model.waits.pop(number, None)
            case ("pass", int(ms)):
                node.advance(ms / 1000)
                model.pass_time(ms)
        answered = {number: read(client) for number, client in enumerate(clients) if client.received}
        assert answered == model.answers
        model.answers.clear()
    assert [line.decode() for line in requests(node.log)] == model.log
    for key in KEYS:
        (elements,) = read_replies(changer.command("LRANGE", key, "0", "-1"))
        assert isinstance(elements.value, tuple)
        assert [element.value for element in elements.value] == [each.encode() for each in model.lists.get(key, [])]
