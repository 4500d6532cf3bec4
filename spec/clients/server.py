"""A server under a program: where it is, and what the program has sent to it."""

from __future__ import annotations

from collections import Counter

import redis

from conformance.endpoints import Endpoint


class Server:
    """A server for programs. What the tests themselves `ask` is not counted as the program's."""

    host = "127.0.0.1"

    def __init__(self, endpoint: Endpoint) -> None:
        self.name = endpoint.name
        self.port = endpoint.target.port
        self.url = f"redis://{self.host}:{self.port}/0"
        self._own: Counter[str] = Counter()
        self._connection = redis.Redis(port=self.port, protocol=2, decode_responses=True)

    def ask(self, *words: str | int) -> object:
        """A command of the test's own."""
        name = str(words[0]).lower()
        self._own[f"{name}|{words[1]}".lower() if name == "config" else name] += 1
        return self._connection.execute_command(*words)

    def begin(self) -> None:
        """Empty it, hang up on whoever an earlier test left behind, and count from here."""
        for kind in ("normal", "pubsub"):
            self._connection.client_kill_filter(_type=kind, skipme=True)
        self._connection.flushall()
        self._connection.config_resetstat()
        self._own = Counter({"config|resetstat": 1})

    def sent(self) -> set[str]:
        """The commands that came since `begin` from anybody but the test."""
        stats = self._connection.info("commandstats")
        calls = Counter({name.removeprefix("cmdstat_"): fact["calls"] for name, fact in stats.items()})
        return {name for name, count in (calls - self._own).items() if count}

    def calls(self, command: str) -> int:
        """How often a command was called since `begin`."""
        return int(self._connection.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])
