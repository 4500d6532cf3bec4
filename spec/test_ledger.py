"""The ledger knows at any moment what the keys take, whatever was done to them: every command of every stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.streams import Step, find, load, substitute
from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.keyspace.digest import CONTENTS
from mini_redis.keyspace.memory import LAYOUTS, Container
from mini_redis.keyspace.types import DATA_TYPES, STRING_TYPE

SLOW = ("scripting/busy", "protocol/", "server/command", "server/config", "server/lolwut")  # they are not about keys


def check(node: InProcess) -> None:
    for db in node.server.keyspace.databases:
        node.server.keyspace.ledger.check(db)


@pytest.mark.parametrize(
    "path", [path for path in find() if not any(part in str(path) for part in SLOW)], ids=lambda path: path.stem
)
def test_it_agrees_with_a_recount_after_every_command(path: Path) -> None:
    node = InProcess("save ''", "enable-debug-command yes")
    clients: dict[str, InProcessClient] = {}
    for step in load(path).steps:
        run(node, clients, step)
        if step.verb != "wait" and b"POPULATE" not in step.argv:
            check(node)


def run(node: InProcess, clients: dict[str, InProcessClient], step: Step) -> None:
    """Do what the step says, whatever is answered; a wait is one second."""
    if step.verb == "wait":
        node.advance(1)
        return
    if step.client not in clients:
        clients[step.client] = node.connect()
    client = clients[step.client]
    now_ms = node.clock.wall_us() // 1000
    if step.verb == "raw":
        client.talk(step.raw)
    elif step.verb == "close":
        client.disconnect()
    elif step.argv:
        client.command(*(substitute(word, now_ms, {}) for word in step.argv))


def test_every_container_can_be_counted_and_dismantled() -> None:
    """Whoever adds a data type: `accounted`, `dismantle` (structures/piecemeal.py), and a line of LAYOUTS."""
    containers = {cls for cls, kind in DATA_TYPES.items() if kind is not STRING_TYPE}
    assert containers == set(LAYOUTS)
    assert {DATA_TYPES[cls].name for cls in containers} | {STRING_TYPE.name} == set(CONTENTS)
    for cls in containers:
        assert "accounted" in getattr(cls, "__slots__", ()), f"{cls.__name__}.accounted is the ledger's"
        assert callable(vars(cls).get("dismantle")), f"{cls.__name__}.dismantle releases it step by step"
    assert Container.__annotations__ == {"accounted": "int"}
