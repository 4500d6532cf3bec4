"""Promise D5, beside Redis: who waits for what is served in the same order, with the same elements, and told alike.

Six clients wait for three keys, with every blocking command of lists, sorted sets and streams, while a seventh binds,
changes, replaces and deletes these keys, alone and in transactions; waiters are unblocked, and leave. Which of them are
served by a step cannot be known beforehand, so no stream could be written for this: after each step each server is
asked which waiters have been answered. Then answers, logs and the data are compared.

The same histories on our node alone, against a model of the queue: spec/test_waiting.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from .endpoints import Endpoint, Wish, open_wish
from .journal import calls, tell_alike
from .wire import Connection, encode_command

KEYS = ("k1", "k2", "k3")
WAITERS = 6
STEPS, ROUNDS = 80, 12
STALL_MS = 60_000  # what a busy machine may do between the one server and the other

SERVED: dict[int, int] = {}
"""Seed -> how many waiters were answered in its history."""

Words = list[str]


def waiting_command(rng: Random) -> Words:
    """Any command that may wait, without end."""
    keys = rng.sample(KEYS, rng.randint(1, 3))
    key, other = rng.choice(KEYS), rng.choice(KEYS)
    count = ["COUNT", str(rng.randint(1, 3))]
    return rng.choice(
        [
            ["BLPOP", *keys, "0"],
            ["BRPOP", *keys, "0"],
            ["BLMOVE", key, other, rng.choice(["LEFT", "RIGHT"]), rng.choice(["LEFT", "RIGHT"]), "0"],
            ["BRPOPLPUSH", key, other, "0"],
            ["BLMPOP", "0", str(len(keys)), *keys, rng.choice(["LEFT", "RIGHT"]), *count],
            ["BZPOPMIN", *keys, "0"],
            ["BZPOPMAX", *keys, "0"],
            ["BZMPOP", "0", str(len(keys)), *keys, rng.choice(["MIN", "MAX"]), *count],
            ["XREAD", *count, "BLOCK", "0", "STREAMS", key, "$"],
            ["XREADGROUP", "GROUP", "group", "ana", *count, "BLOCK", "0", "STREAMS", key, ">"],
        ]
    )


def changing_command(rng: Random, moment: int) -> Words:
    """Something that may bring what they wait for, or take it away; `moment` makes the ids of entries."""
    key, other = rng.choice(KEYS), rng.choice(KEYS)
    elements = rng.choices("abcdef", k=rng.randint(1, 3))
    pairs = [word for element in elements for word in (str(rng.randint(0, 4)), element)]
    return rng.choice(
        [
            *[["RPUSH", key, *elements], ["LPUSH", key, *elements]] * 4,
            *[["ZADD", key, *pairs]] * 5,
            *[["XADD", key, f"{moment}-*", "field", "value"]] * 3,
            *[["XGROUP", "CREATE", key, "group", "$", "MKSTREAM"]] * 3,
            ["XGROUP", "DESTROY", key, "group"],
            *[["DEL", *KEYS]] * 6,
            ["RENAME", key, other],
            ["COPY", key, other, "REPLACE"],
            ["SET", key, "v"],
            ["SADD", key, "v"],
            ["SORT", key, "BY", "nosort", "STORE", other],
            ["ZUNIONSTORE", key, "1", other],
            ["ZRANGESTORE", key, other, "0", "-1"],
            ["LPOP", key],
            ["LMOVE", key, other, "LEFT", "RIGHT"],
            ["PEXPIREAT", key, "1"],
            ["MOVE", key, "1"],
            ["SWAPDB", "0", "1"],
        ]
    )


class Side:
    """One server, whoever changes, and those who wait."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.changer = endpoint.connect()
        self.waiters = [endpoint.connect() for _ in range(WAITERS)]
        self.ids = [self._id(waiter) for waiter in self.waiters]

    @staticmethod
    def _id(waiter: Connection) -> bytes:
        return waiter.call(b"CLIENT", b"ID").text

    def restart(self) -> None:
        """Nobody waits, and nothing is there."""
        for number in range(WAITERS):
            self.leave(number)
        self.change([["FLUSHALL"], ["DEBUG", "SET-ACTIVE-EXPIRE", "0"]])
        self.told()

    def leave(self, number: int) -> None:
        """A waiter hangs up, and another comes."""
        self.waiters[number].close()
        while self.ids[number] in self._listed():
            pass
        self.waiters[number] = self.endpoint.connect()
        self.ids[number] = self._id(self.waiters[number])

    def _listed(self) -> dict[bytes, bytes]:
        """Id -> flags of everybody who is connected."""
        lines = self.changer.call(b"CLIENT", b"LIST").text.splitlines()
        facts = [dict(word.partition(b"=")[::2] for word in line.split(b" ")) for line in lines]
        return {fact[b"id"]: fact[b"flags"] for fact in facts}

    def wait(self, number: int, words: Words) -> bytes | None:
        """Let a waiter send a command; the reply, if it did not have to wait."""
        waiter = self.waiters[number]
        waiter.send(encode_command([word.encode() for word in words]))
        while True:
            reply = waiter.early()
            if reply is not None:
                return reply.raw
            if b"b" in self._listed()[self.ids[number]]:
                return None

    def change(self, commands: list[Words]) -> list[bytes]:
        self.changer.send(b"".join(encode_command([word.encode() for word in words]) for words in commands))
        return [self.changer.read_reply().raw for _ in commands]

    def answered(self) -> dict[int, bytes]:
        """What has come to those who wait."""
        self.change([["PING"]])  # what was written in the turn before this one is here
        replies = {number: waiter.early() for number, waiter in enumerate(self.waiters)}
        return {number: reply.raw for number, reply in replies.items() if reply is not None}

    def told(self) -> list[tuple[bytes, ...]]:
        assert self.endpoint.journal is not None
        return calls(self.endpoint.journal.take())

    def digest(self) -> list[bytes]:
        return self.change([["DEBUG", "DIGEST"]])


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    oracle = open_wish(Wish("redis-8.2", log=True))
    subject = open_wish(Wish("mini_redis:manual", log=True))
    try:
        yield Side(oracle), Side(subject)
    finally:
        subject.stop()
        oracle.stop()


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_who_waits_is_served_as_by_redis(sides: tuple[Side, Side], seed: int) -> None:
    rng = Random(seed)
    waiting: set[int] = set()
    history: list[str] = []
    for side in sides:
        side.restart()

    def same(what: str, oracle: object, subject: object) -> None:
        told = "\n".join(history)
        assert oracle == subject, f"{what}: oracle {oracle}, subject {subject}, seed {seed}, after\n{told}"

    for moment in range(1, STEPS + 1):
        free = [number for number in range(WAITERS) if number not in waiting]
        chosen = rng.random()
        if chosen < 0.4 and free:
            number, words = rng.choice(free), waiting_command(rng)
            history.append(f"{number}> {' '.join(words)}")
            replies = [side.wait(number, words) for side in sides]
            same("reply", *replies)
            waiting |= {number} if replies[0] is None else set()
        elif chosen < 0.45 and waiting:
            number = rng.choice(sorted(waiting))
            history.append(f"close {number}")
            for side in sides:
                side.leave(number)
            waiting.remove(number)
        elif chosen < 0.5 and waiting:
            number, how = rng.choice(sorted(waiting)), rng.choice(["TIMEOUT", "ERROR"])
            history.append(f"CLIENT UNBLOCK {number} {how}")
            same("unblocked", *(side.change([["CLIENT", "UNBLOCK", side.ids[number].decode(), how]]) for side in sides))
        else:
            commands = [changing_command(rng, moment) for _ in range(rng.choice([1, 1, 1, 2, 3, 4]))]
            if len(commands) > 1:
                commands = [["MULTI"], *commands, ["EXEC"]]
            history.append(" | ".join(" ".join(words) for words in commands))
            same("replies", *(side.change(commands) for side in sides))

        answered = [side.answered() for side in sides]
        same("answered", *answered)
        waiting -= answered[0].keys()
        SERVED[seed] = SERVED.get(seed, 0) + len(answered[0])
        told = [side.told() for side in sides]
        if not tell_alike(told[0], told[1], STALL_MS, False):
            same("the logs", *told)
        same("data", *(side.digest() for side in sides))


def test_these_histories_serve() -> None:
    if len(SERVED) < ROUNDS:
        pytest.skip("only some of the histories ran")
    assert sum(SERVED.values()) > 5 * ROUNDS, "else the above compares those who wait for ever"
