"""Random streams, drawn from what the oracle says about its own commands.

COMMAND DOCS is a grammar: every command's arguments as a tree of keys, integers, strings, tokens, one-of, blocks,
optional and repeated parts. Walking that tree with a seeded generator writes commands that are mostly right; small
shared pools (hints.toml) make keys collide, types clash and values meet their edges; a known share is broken on
purpose. One to three clients take turns, some of it inside WATCH, MULTI and EXEC.

A stream depends on the seed, its number, the hints and the oracle's documentation, and on nothing else, so that a seed
and a number replay it.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .endpoints import Endpoint, EndpointError
from .streams import Step, Stream, split_words
from .wire import Reply

SCANS = frozenset(("SCAN", "SSCAN", "HSCAN", "ZSCAN"))
COUNTED = frozenset(("key", "keys", "field", "id", "arg", "member", "data"))


@dataclass(frozen=True)
class Argument:
    """A node of a command's grammar. `path` names it within its command, for coverage."""

    name: str
    kind: str
    path: str
    token: bytes | None = None
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    children: tuple[Argument, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command or subcommand as documented: `words` is how it begins."""

    name: str
    words: tuple[bytes, ...]
    group: str
    arguments: tuple[Argument, ...]


@dataclass
class Tally:
    """What became of one command's generated uses."""

    sent: int = 0
    ok: int = 0
    hit: int = 0


@dataclass
class Hints:
    """hints.toml."""

    data: dict[str, Any]

    def share(self, name: str) -> float:
        return float(self.data["share"][name])

    def excluded(self, command: str) -> bool:
        table = self.data["excluded"]
        return command in table or command.split()[0] in table and " " in command and command.split()[0] != "COMMAND"

    def never_taken(self, command: str) -> set[bytes]:
        table = self.data["tokens"]
        return {token.encode() for token in [*table.get("*", []), *table.get(command, [])]}

    def rule(self, command: str, words: list[bytes]) -> str | None:
        """The comparison rule of a generated command, where it is not the usual one."""
        said = {word.upper() for word in words}
        table: dict[str, str] = self.data["rules"].get(command, {})
        return next((rule for token, rule in table.items() if not token or token.encode() in said), None)

    def pool(self, command: str, argument: Argument) -> dict[str, list[str]] | None:
        """The values for an argument: by command and name, by name, by type."""
        own: dict[str, list[str]] | None = self.data["command"].get(command, {}).get(argument.name)
        if own is not None:
            return own
        if argument.kind == "key":
            return None
        named: dict[str, list[str]] | None = self.data["name"].get(argument.name)
        if named is not None:
            return named
        typed: dict[str, list[str]] = self.data["type"].get(argument.kind, self.data["type"]["string"])
        return typed


@cache
def load_hints() -> Hints:
    return Hints(tomllib.loads((Path(__file__).parent / "hints.toml").read_text("utf-8")))


# ---- the grammar -------------------------------------------------------------------------------------------------


def read_grammar(oracle: Endpoint) -> dict[str, Command]:
    """Every documented command and subcommand by name. EndpointError when the oracle has no COMMAND DOCS."""
    connection = oracle.connect()
    try:
        reply = connection.call(b"COMMAND", b"DOCS")
    finally:
        connection.close()
    if reply.is_error:
        raise EndpointError(f"{oracle.title} has no COMMAND DOCS to generate from: {reply.text.decode()}")
    commands: dict[str, Command] = {}
    for name, entry in _items(reply):
        _add_command(commands, name.upper().decode(), entry)
    return commands


def _add_command(commands: dict[str, Command], name: str, entry: Reply) -> None:
    facts = dict(_items(entry))
    if b"subcommands" in facts:
        for full_name, sub in _items(facts[b"subcommands"]):
            _add_command(commands, full_name.upper().decode().replace("|", " "), sub)
        if name != "COMMAND":
            return
    arguments = tuple(_argument(child, "") for child in facts[b"arguments"].children) if b"arguments" in facts else ()
    group = facts[b"group"].text.decode()
    commands[name] = Command(name, tuple(name.encode().split()), group, arguments)


def _argument(reply: Reply, above: str) -> Argument:
    facts = dict(_items(reply))
    name = facts[b"name"].text.decode()
    path = f"{above}/{name}"
    flags = {flag.text for flag in facts[b"flags"].children} if b"flags" in facts else set()
    return Argument(
        name,
        facts[b"type"].text.decode(),
        path,
        facts[b"token"].text if b"token" in facts else None,
        b"optional" in flags,
        b"multiple" in flags,
        b"multiple_token" in flags,
        tuple(_argument(child, path) for child in facts[b"arguments"].children) if b"arguments" in facts else (),
    )


def _items(reply: Reply) -> Iterator[tuple[bytes, Reply]]:
    children = reply.children
    for key, value in zip(children[::2], children[1::2], strict=True):
        yield key.text, value


def choose_commands(grammar: dict[str, Command], wanted: list[str], known: frozenset[str]) -> list[Command]:
    """Those of the wanted groups or names ("string", "SET", "CLIENT LIST", "all") that the subject knows too."""
    hints = load_hints()
    names = {word.upper() for word in wanted}
    groups = {word.lower() for word in wanted}
    chosen = [
        command
        for name, command in sorted(grammar.items())
        if (name in names or command.group in groups or "all" in groups)
        and not hints.excluded(name)
        and (not known or name in known)
    ]
    if not chosen:
        raise EndpointError(f"no command to generate for {', '.join(wanted)}")
    return chosen


def branches_never_taken(commands: list[Command], taken: dict[str, set[str]]) -> list[str]:
    """`COMMAND /argument/path` for each branch of the grammar that no successful command took."""

    def paths(arguments: tuple[Argument, ...]) -> Iterator[str]:
        for argument in arguments:
            yield argument.path
            yield from paths(argument.children)

    return [
        f"{command.name} {path}"
        for command in commands
        for path in dict.fromkeys(paths(command.arguments))
        if path not in taken.get(command.name, set())
    ]


# ---- words -------------------------------------------------------------------------------------------------------


@dataclass
class Writer:
    """Writes one stream's commands. `groups` are those whose keys exist; `taken` the branches of the grammar used."""

    rng: random.Random
    commands: list[Command]
    hints: Hints = field(default_factory=load_hints)
    groups: tuple[str, ...] = ()
    taken: list[str] = field(default_factory=list)

    def command(self) -> tuple[Command, list[bytes]]:
        """A command of the chosen ones, by weight, and its words."""
        weights = [float(self.hints.data["weights"].get(command.name, 1)) for command in self.commands]
        command = self.rng.choices(self.commands, weights)[0]
        self.taken.clear()
        words = [self._case(word) for word in command.words] + self._sequence(command, command.arguments)
        if self._chance("broken"):
            self._break(words)
        return command, words

    def _chance(self, share: str) -> bool:
        return self.rng.random() < self.hints.share(share)

    def _case(self, token: bytes) -> bytes:
        return token.lower() if self._chance("lower_case") else token

    def _sequence(self, command: Command, arguments: tuple[Argument, ...]) -> list[bytes]:
        """The words of siblings. Runs of optional ones may change places; a count tells how many follow it."""
        parts: list[tuple[bool, list[bytes]]] = []
        never = self.hints.never_taken(command.name)
        count_at: int | None = None
        for argument in arguments:
            if argument.token in never or (argument.optional and not self._chance("optional")):
                continue
            if argument.name in ("numkeys", "numfields", "numids") and argument.token is None:
                count_at = len(parts)
            repeats = self.rng.choice((1, 1, 2, 3)) if argument.multiple else 1
            words = self._argument(command, argument, repeats)
            if count_at is not None and argument.multiple:
                told = repeats if self.rng.random() > 0.05 else repeats + self.rng.choice((-1, 1, -5))
                head = parts[count_at][1][:-1] if argument is not arguments[0] else []
                parts[count_at] = (parts[count_at][0], [*head, b"%d" % told])
                count_at = None
            parts.append((argument.optional, words))
        return [word for words in self._shuffled(parts) for word in words]

    def _shuffled(self, parts: list[tuple[bool, list[bytes]]]) -> list[list[bytes]]:
        optional = [n for n, (is_optional, _) in enumerate(parts) if is_optional]
        order = list(range(len(parts)))
        if len(optional) > 1 and optional == list(range(optional[0], optional[-1] + 1)) and self.rng.random() < 0.3:
            shuffled = optional[:]
            self.rng.shuffle(shuffled)
            order[optional[0] : optional[-1] + 1] = shuffled
        return [parts[n][1] for n in order]

    def _argument(self, command: Command, argument: Argument, repeats: int) -> list[bytes]:
        self.taken.append(argument.path)
        words: list[bytes] = []
        for n in range(repeats):
            if argument.token is not None and argument.kind != "pure-token" and (n == 0 or argument.multiple_token):
                words.append(self._case(argument.token))
            words += self._once(command, argument)
        return words

    def _once(self, command: Command, argument: Argument) -> list[bytes]:
        match argument.kind:
            case "pure-token":
                assert argument.token is not None
                return [self._case(argument.token)]
            case "oneof":
                never = self.hints.never_taken(command.name)
                choices = [child for child in argument.children if child.token not in never]
                return self._argument(command, self.rng.choice(choices), 1) if choices else []
            case "block":
                return self._sequence(command, argument.children)
            case _:
                return [self._value(command, argument)]

    def _value(self, command: Command, argument: Argument) -> bytes:
        pool = self.hints.pool(command.name, argument)
        if argument.kind == "key" and (pool is None or self._chance("wrong_type") or self._chance("missing_key")):
            return self._key(command)
        assert pool is not None
        edges = pool.get("edge")
        text = self.rng.choice(edges if edges and self._chance("edge") else pool["common"])
        if text == "@ttl":
            return b"%d" % (self.rng.randrange(100, 900_000) * 7)
        if text == "@pttl":
            return b"%d" % (self.rng.randrange(100_000, 900_000_000) * 7)
        return unescape(text)

    def _key(self, command: Command) -> bytes:
        pools: dict[str, list[str]] = self.hints.data["keys"]
        if self._chance("missing_key"):
            return self.rng.choice(pools["missing"]).encode()
        group = command.group if command.group in pools else self.rng.choice(self.groups)
        if self._chance("wrong_type"):
            group = self.rng.choice(self.groups)
        return self.rng.choice(pools[group]).encode()

    def _break(self, words: list[bytes]) -> None:
        """Wrong in one word: too few, too many, nonsense in its place, two in each other's place."""
        nonsense = [b"nonsense", b"", b"abc", b"-1", b"NX", b"99999999999999999999", b"\x00\xff"]
        at = self.rng.randrange(1, len(words)) if len(words) > 1 else 1
        match self.rng.randrange(5):
            case 0 if len(words) > 1:
                del words[at]
            case 1:
                words.insert(at, self.rng.choice(nonsense))
            case 2:
                words.append(self.rng.choice(words[1:] or nonsense))
            case 3 if len(words) > 2:
                other = self.rng.randrange(1, len(words))
                words[at], words[other] = words[other], words[at]
            case _ if len(words) > 1:
                words[at] = self.rng.choice(nonsense)
            case _:
                words.append(b"extra")


def unescape(text: str) -> bytes:
    r"""A hint's text with \x.., \r and \n read as in a stream."""
    if "\\" not in text:
        return text.encode()
    return split_words(b'"' + text.encode() + b'"')[0][0]


# ---- streams -----------------------------------------------------------------------------------------------------


@dataclass
class Generator:
    """Streams of `length` commands each, from one seed."""

    commands: list[Command]
    seed: str
    known: frozenset[str] = frozenset()
    length: int = 30
    hints: Hints = field(default_factory=load_hints)

    def stream(self, number: int) -> tuple[Stream, int, list[tuple[str, ...]]]:
        """The numbered stream, the protocol it is for, and per step the branches of the grammar that it took."""
        rng = random.Random(f"{self.seed}:{number}")
        steps, groups = self._setup(rng)
        writer = Writer(rng, self.commands, self.hints, groups)
        taken: list[tuple[str, ...]] = [()] * len(steps)
        clients = "abc"[: rng.choice((1, 1, 2, 3))]
        open_blocks: dict[str, int] = {}
        target = len(steps) + self.length
        while len(steps) < target or open_blocks:
            client = rng.choice(list(open_blocks) if len(steps) >= target else clients)
            if open_blocks.get(client) == 0:
                del open_blocks[client]
                ending = b"DISCARD" if rng.random() < 0.1 else b"EXEC"
                steps.append(Step("call", client, (ending,), line=len(steps) + 1))
                taken.append(())
                continue
            if client not in open_blocks and rng.random() < self.hints.share("transaction") / 3:
                self._open_block(rng, writer, client, steps)
                taken += [()] * (len(steps) - len(taken))
                open_blocks[client] = rng.randrange(1, 5)
                continue
            in_block = client in open_blocks
            if in_block:
                open_blocks[client] -= 1
            steps.append(self._step(writer, client, in_block, len(steps) + 1))
            taken.append(tuple(writer.taken))
        teaches = f"Generated: seed {self.seed}, number {number}."
        return Stream(f"generated/{self.seed}-{number}", tuple(steps), teaches), 2 + number % 2, taken

    def _step(self, writer: Writer, client: str, in_block: bool, line: int) -> Step:
        command, words = writer.command()
        at = 1 if command.name == "SCAN" else 2
        whole = command.name in SCANS and not in_block and len(words) > at and words[at] == b"0"
        rule = self.hints.rule(command.name, words)
        return Step("scan" if whole else "call", client, tuple(words), rule=rule, line=line)

    def _open_block(self, rng: random.Random, writer: Writer, client: str, steps: list[Step]) -> None:
        if rng.random() < 0.5:
            key = rng.choice(self.hints.data["keys"][rng.choice(("string", "string", "list", "hash", "missing"))])
            steps.append(Step("call", client, (b"WATCH", key.encode()), line=len(steps) + 1))
            if rng.random() < 0.4:
                steps.append(self._step(writer, rng.choice("abc"), False, len(steps) + 1))
        steps.append(Step("call", client, (b"MULTI",), line=len(steps) + 1))

    def _setup(self, rng: random.Random) -> tuple[list[Step], tuple[str, ...]]:
        """Keys of the chosen commands' groups always, of the others half the time: they are there to clash.

        The steps, and the groups that have keys (strings if none has).
        """
        steps: list[Step] = []
        groups: dict[str, None] = {}
        wanted = {command.group for command in self.commands}
        for group, lines in self.hints.data["setup"].items():
            for line in lines if rng.random() < 0.5 or group in wanted else ():
                words = tuple(word for word, _ in split_words(line.encode()))
                if not self.known or words[0].decode() in self.known:
                    steps.append(Step("call", "a", words, line=len(steps) + 1))
                    groups[group] = None
        return steps, tuple(groups) or ("string",)


def is_hit(reply: Reply) -> bool:
    """A reply that says something was there: neither an error, nor null, zero, minus two or empty."""
    if reply.is_error or reply.value is None or reply.value == ():
        return False
    return not (reply.kind == ":" and reply.text in (b"0", b"-2"))
