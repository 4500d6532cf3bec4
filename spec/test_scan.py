"""Promise D1: SCAN, SSCAN, HSCAN and ZSCAN return what is there throughout, and nothing that never was.

A scan keeps no state in the server; between its calls names come, go, expire, are renamed, and encodings change. What
is there from the first call to the last is returned at least once. What was not there at any time in between is not
returned. What came or went meanwhile may be. (The structure alone: test_indexed_dict.py.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transcript import Reply, read_reply

from mini_redis.drivers.in_process import InProcess, InProcessClient
from mini_redis.structures.indexed_dict import IndexedDict

NAMES = [f"{letter}{number}" for letter in "abc" for number in range(9)]
SMALL = ("hash-max-listpack-entries 6", "set-max-listpack-entries 6", "set-max-intset-entries 3",
         "zset-max-listpack-entries 6", "hz 1")  # fmt: skip


@dataclass(frozen=True)
class Scanned:
    """How names are brought into one kind of collection, and taken out."""

    command: str
    add: str
    remove: str
    expire: str
    """Let the name be over in a millisecond."""
    scan: str
    by_two: bool = False
    empties: tuple[str, ...] = ("DEL key",)
    """What takes all names away at once: commands, each with `;` behind it but the last."""


KINDS = (
    Scanned("SCAN", "SET {} v", "DEL {}", "PEXPIRE {} 1", "SCAN {}",
            empties=("FLUSHDB", "SWAPDB 0 1; SELECT 1; FLUSHDB; SELECT 0")),
    Scanned("SSCAN", "SADD key {}", "SREM key {}", "SREM key {}", "SSCAN key {}"),
    Scanned("HSCAN", "HSET key {} v", "HDEL key {}", "HPEXPIRE key 1 FIELDS 1 {}", "HSCAN key {}", by_two=True),
    Scanned("ZSCAN", "ZADD key 1 {}", "ZREM key {}", "ZREM key {}", "ZSCAN key {}", by_two=True),
)  # fmt: skip

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("scan"), st.integers(1, 4)),
        st.tuples(st.just("scan"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["add", "add", "remove", "expire"]), st.sampled_from(NAMES)),
        st.tuples(st.just("empty"), st.integers(0, 1)),
    ),
    max_size=60,
)


@dataclass
class Scan:
    """One scan under way beside a model of what is there."""

    client: InProcessClient
    kind: Scanned
    pattern: str
    there: set[str] = field(default_factory=set)
    throughout: set[str] = field(default_factory=set)
    at_any_time: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    cursor: str | None = None

    def do(self, line: str) -> Reply:
        return read_reply(self.client.command(*line.split()))[0]

    def add(self, name: str) -> None:
        self.do(self.kind.add.format(name))
        self.there.add(name)
        self.at_any_time.add(name)

    def gone(self, names: set[str]) -> None:
        self.there -= names
        self.throughout -= names

    def step(self, count: int) -> None:
        """Begin a scan or go on with it; at its end, what was promised."""
        if self.cursor is None:
            self.cursor, self.returned = "0", set()
            self.throughout, self.at_any_time = set(self.there), set(self.there)
        options = f" COUNT {count}" + (f" MATCH {self.pattern}" if self.pattern else "")
        reply = self.do(self.kind.scan.format(self.cursor) + options).value
        assert isinstance(reply, tuple)
        cursor, names = reply[0].value, reply[1].value
        assert isinstance(cursor, bytes) and isinstance(names, tuple)
        self.returned |= {str(name.value, "ascii") for name in names[:: 1 + self.kind.by_two]}
        self.cursor = cursor.decode()
        if self.cursor == "0":
            self.cursor = None
            wanted = {name for name in self.throughout if name.startswith(self.pattern.rstrip("*"))}
            assert wanted <= self.returned <= self.at_any_time


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.command)
@settings(max_examples=150)
@given(st.integers(0, len(NAMES)), st.sampled_from(["", "b*"]), ACTIONS)
@example(20, "", [("scan", 2), *(("remove", name) for name in NAMES[:10]), ("scan", 3), *[("add", "c8")] * 3])
def test_what_is_there_throughout_is_returned(
    kind: Scanned, first: int, pattern: str, actions: list[tuple[str, object]]
) -> None:
    with patch.object(IndexedDict, "SPLIT_AT", 12):
        node = InProcess(*SMALL)
        scan = Scan(node.connect(), kind, pattern)
        scan.do("DEBUG SET-ACTIVE-EXPIRE 0")
        for name in NAMES[:first]:
            scan.add(name)
        for action, argument in actions:
            match action:
                case "scan":
                    assert isinstance(argument, int)
                    scan.step(argument)
                case "add":
                    scan.add(str(argument))
                case "remove":
                    scan.do(kind.remove.format(argument))
                    scan.gone({str(argument)})
                case "expire":
                    scan.do(kind.expire.format(argument))
                    node.clock.advance(0.002)
                    scan.gone({str(argument)})
                case "empty":
                    assert isinstance(argument, int)
                    for line in kind.empties[argument % len(kind.empties)].split("; "):
                        scan.do(line)
                    scan.gone(set(scan.there))
        scan.step(3)
        steps = 0
        while scan.cursor is not None:
            scan.step(3)
            steps += 1
            assert steps < 100, "a scan ends when the collection no longer grows"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(1, 4)), max_size=30))
def test_a_key_renamed_is_another_key(moves: list[tuple[str, str, int]]) -> None:
    with patch.object(IndexedDict, "SPLIT_AT", 12):
        scan = Scan(InProcess(*SMALL).connect(), KINDS[0], "")
        for name in NAMES[:18]:
            scan.add(name)
        for source, target, count in moves:
            scan.step(count)
            if source in scan.there and source != target:
                scan.do(f"RENAME {source} {target}")
                scan.gone({source, target})
                scan.there.add(target)
                scan.at_any_time.add(target)
        scan.step(4)
