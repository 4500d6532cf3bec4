"""Random stories of ACL rules, told to both servers: they must accept the same, describe it alike and decide alike.

Each story is said in pieces, so that what came before matters; after each piece both are asked what the user is now
(GETUSER, LIST), and of random calls whether it might make them (DRYRUN, which runs nothing). A failure prints the seed
and the story.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from mini_redis.commands.registry import ACL_CATEGORIES

from .endpoints import Endpoint, start
from .wire import Connection, Reply, encode_command

STORIES = int(os.environ.get("CONFORMANCE_ACL", "300"))
_FAVOURITES = """
    get set mget del config config|get config|set client client|list client|kill select debug object object|freq acl
    acl|setuser publish subscribe psubscribe ping sort eval
"""
FAVOURITES = _FAVOURITES.split()
PATTERNS = ("*", "a", "a*", "b?", "[ab]*", "k:*", "", "a b", "k\0", "\\*", "x" * 300)
PASSWORDS = ("", "p", "long password", "\0")
HASHES = ("a" * 64, "0123456789abcdef" * 4, "A" * 64, "b" * 63, "")
_WHOLE = """
    on off nopass resetpass allkeys resetkeys allchannels resetchannels allcommands nocommands +@all -@all ~* &* reset
    clearselectors sanitize-payload skip-sanitize-payload ON AllKeys
"""
WHOLE = _WHOLE.split()
NONSENSE = (
    "", "foo", "+", "-", "+@", "+nothing", "-get|x", "+config|nothing", "+client|list|x", "+get|", "%~a", "%RX~a",
    "%RR~a", "%R", "%wr", "%", "(", ")", "(on)", "(+get", "((+get))", "( )", "()", "on ", "+get\0x",
)  # fmt: skip
WORDS = ("a", "b1", "ab", "k:1", "c", "1", "0", "10", "*", "LIMIT", "GET", "BY", "STORE", "STREAMS", "x", "get", "list")


def names(connection: Connection) -> list[str]:
    """The full names of a server's commands and subcommands."""
    found = []
    for entry in connection.call(b"COMMAND").children:
        subcommands = entry.children[9].children if len(entry.children) > 9 else ()
        found += [one.children[0].text.decode().lower() for one in (entry, *subcommands)]
    return found


class Narrator:
    """Makes rules and calls."""

    def __init__(self, seed: int, commands: Sequence[str]) -> None:
        self.rng = Random(seed)
        self.commands = commands
        self.favourites = [name for name in FAVOURITES if name in commands]

    def command(self) -> str:
        return self.rng.choice(self.favourites if self.rng.random() < 0.6 else self.commands)

    def rule_about_something(self) -> str:
        rng = self.rng
        match rng.randrange(8):
            case 0 | 1 | 2:
                return rng.choice("+-") + self.in_some_case(self.command())
            case 3 | 4:
                return rng.choice("+-") + self.in_some_case("@" + rng.choice(ACL_CATEGORIES))
            case 5:
                return f"+{rng.choice(('select', 'get', 'debug', 'SET'))}|{rng.choice(('0', '1', 'Sleep', 'a'))}"
            case 6:
                return rng.choice(("~", "%R~", "%W~", "%RW~", "%wr~", "%r~")) + rng.choice(PATTERNS)
            case _:
                return "&" + rng.choice(PATTERNS)

    def in_some_case(self, word: str) -> str:
        return word.upper() if self.rng.random() < 0.1 else word

    def rule(self) -> str:
        rng = self.rng
        chance = rng.random()
        if chance < 0.02:
            return rng.choice(NONSENSE)
        if chance < 0.16:
            return rng.choice(WHOLE)
        if chance < 0.22:
            return rng.choice("><") + rng.choice(PASSWORDS)
        if chance < 0.25:
            return rng.choice("#!") + rng.choice(HASHES)
        if chance < 0.32:
            inside = [self.rule_about_something() for _ in range(rng.randrange(4))]
            return "(" + " ".join(inside) + ")"
        return self.rule_about_something()

    def call(self) -> list[str]:
        name = self.command()
        return [*name.split("|"), *self.rng.choices(WORDS, k=self.rng.choice((0, 1, 1, 2, 2, 3, 4, 5)))]


def ask(connection: Connection, requests: Sequence[Sequence[str]]) -> list[Reply]:
    connection.send(b"".join(encode_command([word.encode() for word in request]) for request in requests))
    return [connection.read_reply() for _ in requests]


def requests_of_piece(narrator: Narrator) -> list[list[str]]:
    told = [narrator.rule() for _ in range(narrator.rng.choice((1, 1, 2, 3, 5)))]
    if narrator.rng.random() < 0.1:  # a selector may come in several words
        told = [word for rule in told for word in rule.split(" ")]
    calls = [narrator.call() for _ in range(12)]
    return [
        ["ACL", "SETUSER", "u", *told],
        ["ACL", "GETUSER", "u"],
        ["ACL", "LIST"],
        *(["ACL", "DRYRUN", "u", *call] for call in calls),
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_random_stories(oracle: Endpoint, subject: Endpoint, seed: int) -> None:
    theirs, ours = oracle.connect(), subject.connect()
    known = names(theirs)
    narrator = Narrator(seed, [name for name in names(ours) if name in known])
    try:
        for number in range(STORIES):
            story: list[list[str]] = []
            requests = [["ACL", "DELUSER", "u"], *(r for _ in range(5) for r in requests_of_piece(narrator))]
            for request, expected, got in zip(requests, ask(theirs, requests), ask(ours, requests), strict=True):
                if request[1] == "SETUSER":
                    story.append(request[3:])
                assert expected.raw == got.raw, f"seed {seed}, story {number}: {request} after {story}"
    finally:
        theirs.close()
        ours.close()


FILES = {
    "good": b"user a on nopass ~* +@all\n\n  user b off +get (+set ~x) &c \r\nuser default on nopass ~* &* +@all\n",
    "no default user": b"user a on",
    "empty": b"",
    "a comment": b"# users\nuser a on",
    "twice": b"user a on\nuser a off\nuser a foo",
    "no user": b"usr a on\nuser\nUSER a on",
    "unknown names": b"user a +foo -@bar (+baz) +get|x|y",
    "mistakes": b"user a foo bar +baz #x\nuser b ~* ~a",
    "spaces": b"user  a  on\nuser a\tb on\nuser b ~a\tb\nuser c on\t",
    "quotes": b'user "a" on\nuser b "on"',
}


@pytest.fixture(scope="module")
def servers_with_a_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Endpoint]]]:
    """A file and two servers, ours the second, that take turns with it."""
    path = tmp_path_factory.mktemp("acl") / "users.acl"
    path.write_bytes(b"")
    both = [start(name, ("--aclfile", str(path))) for name in ("redis-8.2", "mini_redis")]
    yield path, both
    for endpoint in both:
        endpoint.stop()


@pytest.mark.parametrize("case", FILES)
def test_files(servers_with_a_file: tuple[Path, list[Endpoint]], case: str) -> None:
    """ACL LOAD and ACL SAVE of the same file: equal replies, equal users, equal files."""
    path, both = servers_with_a_file
    told: list[list[bytes]] = []
    for endpoint in both:
        connection = endpoint.connect()
        path.write_bytes(b"user default on nopass ~* &* +@all\nuser old off")
        assert connection.call(b"ACL", b"LOAD").text == b"OK"
        path.write_bytes(FILES[case])
        replies = [connection.call(b"ACL", word).raw for word in (b"LOAD", b"LIST", b"SAVE")]
        connection.close()
        told.append([*replies, path.read_bytes()])
    assert told[0] == told[1]


def test_categories(oracle: Endpoint, subject: Endpoint) -> None:
    """ACL CAT: the same categories, in the same order; in each the same commands, of those that both know."""
    theirs, ours = oracle.connect(), subject.connect()
    known, offered = names(theirs), names(ours)
    assert theirs.call(b"ACL", b"CAT").raw == ours.call(b"ACL", b"CAT").raw
    for category in ACL_CATEGORIES:
        expected, got = (
            sorted(child.text.decode() for child in connection.call(b"ACL", b"CAT", category.encode()).children)
            for connection in (theirs, ours)
        )
        assert [name for name in expected if name in offered] == [name for name in got if name in known], category
    theirs.close()
    ours.close()
