"""Random streams, drawn from what the oracle says about its own commands.

Walking a command's tree of arguments (grammar.py) writes commands that are mostly right; small shared pools
(hints.toml) make keys collide, types clash and values meet their edges; a known share is broken on purpose. One to
three clients take turns, some of it inside WATCH, MULTI and EXEC.

There is one walk, and two who decide at its forks (`Choices`). The seeded chooser is for bulk: it writes a stream in
well under a millisecond and has no memory, so that hundreds of thousands of commands go by, and a seed and a number
replay one. Hypothesis is the other (strategies.py): it remembers every decision, so that it can take decisions back,
and shrinks values as well as steps, but pays for this with ten times the time. Bulk runs hand what they find to the
delta debugging of shrink.py; both end in a stream of the same kind.

A seeded stream depends on the seed, its number, the hints and the oracle's documentation, and on nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from .grammar import COUNTS, Argument, Command
from .hints import FREE, Form, Hints, load_hints
from .streams import Step, Stream, split_words

SCANS = frozenset(("SCAN", "SSCAN", "HSCAN", "ZSCAN"))
CLIENTS = "abc"
T = TypeVar("T")


class Choices(Protocol):
    """Who decides. The first of several, and no, are the simplest answers: a shrinking chooser tends towards them."""

    def chance(self, share: float) -> bool: ...
    def pick(self, options: Sequence[T]) -> T: ...
    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T: ...
    def number(self, low: int, high: int) -> int: ...
    def order(self, options: list[T]) -> list[T]: ...


class Seeded:
    """Decides by a seed."""

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        return self._rng.random() < share

    def pick(self, options: Sequence[T]) -> T:
        return self._rng.choice(options)

    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T:
        return self._rng.choices(options, weights)[0]

    def number(self, low: int, high: int) -> int:
        """Both included."""
        return self._rng.randint(low, high)

    def order(self, options: list[T]) -> list[T]:
        return self._rng.sample(options, len(options))


# ---- words -------------------------------------------------------------------------------------------------------


@dataclass
class Writer:
    """Writes one stream's commands. `groups` are those whose keys exist; `taken` the branches of the grammar used.

    `avoided` names commands and tokens that this stream does without.
    """

    choices: Choices
    commands: list[Command]
    hints: Hints = field(default_factory=load_hints)
    groups: tuple[str, ...] = ("string",)
    avoided: set[bytes] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    broken: bool = False
    _form: Form = FREE
    _next_id: int = 100
    _weights: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commands = [one for one in self.commands if one.name.encode() not in self.avoided] or self.commands
        self._weights = [self.hints.weight(command) for command in self.commands]

    def command(self) -> tuple[Command, list[bytes]]:
        """A command of the chosen ones, by weight, and its words."""
        command = self.choices.weighted(self.commands, self._weights)
        return command, self.words(command)

    def words(self, command: Command) -> list[bytes]:
        """Words for `command`. `taken` and `broken` tell how they came about."""
        self.taken.clear()
        strict, forms = self.hints.strict(command.name), self.hints.forms(command.name)
        self._form = FREE
        if forms and (strict or not self._chance("free")):
            self._form = self.choices.pick(forms)
        words = [self._case(word) for word in command.words] + self._sequence(command, command.arguments)
        self.broken = not strict and self._chance("broken")
        if self.broken:
            self._break(words)
        return words

    def _chance(self, share: str) -> bool:
        return self.choices.chance(self.hints.share(share))

    def _case(self, token: bytes) -> bytes:
        return token.lower() if self._chance("lower_case") else token

    def _takes(self, command: Command, argument: Argument) -> bool:
        if argument.name in self._form.never or argument.token in self.hints.never_taken(command.name) | self.avoided:
            return False
        return not argument.optional or argument.name in self._form.always or self._chance("optional")

    def _sequence(self, command: Command, arguments: tuple[Argument, ...]) -> list[bytes]:
        """The words of siblings. Runs of optional ones may change places; a count tells how many follow it.

        Siblings that repeat do so equally often: keys and their weights, streams and their ids.
        """
        parts: list[tuple[bool, list[bytes]]] = []
        count_at: int | None = None
        repeats = self.choices.pick((1, 1, 2, 3)) if any(argument.multiple for argument in arguments) else 1
        for argument in arguments:
            if not self._takes(command, argument):
                continue
            if argument.name in COUNTS and argument.token is None:
                count_at = len(parts)
            times = repeats if argument.multiple and argument.name not in self._form.once else 1
            words = self._argument(command, argument, times)
            if count_at is not None and argument.multiple:
                told = times + (self.choices.pick((-1, 1, -5)) if self._chance("miscounted") else 0)
                parts[count_at] = (parts[count_at][0], [*parts[count_at][1][:-1], b"%d" % told])
                count_at = None
            parts.append((argument.optional, words))
        return [word for words in self._shuffled(parts) for word in words]

    def _shuffled(self, parts: list[tuple[bool, list[bytes]]]) -> list[list[bytes]]:
        optional = [n for n, (is_optional, _) in enumerate(parts) if is_optional]
        order = list(range(len(parts)))
        if len(optional) > 1 and optional == list(range(optional[0], optional[-1] + 1)) and self._chance("shuffled"):
            order[optional[0] : optional[-1] + 1] = self.choices.order(optional)
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
                wanted = [child for child in argument.children if child.name in self._form.always]
                choices = [child for child in wanted or argument.children if self._takes(command, child)]
                return self._argument(command, self.choices.pick(choices), 1) if choices else []
            case "block":
                return self._sequence(command, argument.children)
            case _:
                return [self._value(command, argument)]

    def _value(self, command: Command, argument: Argument) -> bytes:
        common = self._form.pools.get(argument.name)
        if common is None:
            pool = self.hints.pool(command, argument)
            if argument.kind == "key" and (pool is None or self._chance("wrong_type") or self._chance("missing_key")):
                return self._key(command)
            assert pool is not None
            edges = pool.get("edge")
            common = edges if edges and self._chance("edge") else pool["common"]
        text = self.choices.pick(common)
        match text:
            case "@ttl":
                return b"%d" % (self.choices.number(100, 900_000) * 7)
            case "@pttl":
                return b"%d" % (self.choices.number(100_000, 900_000_000) * 7)
            case "@next":
                self._next_id += 1
                return b"%d-%d" % (self._next_id, self.choices.number(0, 3))
            case _:
                return unescape(text)

    def _key(self, command: Command) -> bytes:
        pools: dict[str, list[str]] = self.hints.data["keys"]
        if self._chance("missing_key"):
            return self.choices.pick(pools["missing"]).encode()
        group = command.group if command.group in pools else self.choices.pick(self.groups)
        if self._chance("wrong_type"):
            group = self.choices.pick(self.groups)
        return self.choices.pick(pools[group]).encode()

    def _break(self, words: list[bytes]) -> None:
        """Wrong in one word: too few, too many, nonsense in its place, two in each other's place."""
        nonsense = [b"nonsense", b"", b"abc", b"-1", b"NX", b"99999999999999999999", b"\x00\xff"]
        at = self.choices.number(1, len(words) - 1) if len(words) > 1 else 1
        match self.choices.number(0, 4):
            case 0 if len(words) > 1:
                del words[at]
            case 1:
                words.insert(at, self.choices.pick(nonsense))
            case 2:
                words.append(self.choices.pick(words[1:] or nonsense))
            case 3 if len(words) > 2:
                other = self.choices.number(1, len(words) - 1)
                words[at], words[other] = words[other], words[at]
            case _ if len(words) > 1:
                words[at] = self.choices.pick(nonsense)
            case _:
                words.append(b"extra")


def unescape(text: str) -> bytes:
    r"""A hint's text with \x.., \r and \n read as in a stream."""
    if "\\" not in text:
        return text.encode()
    return split_words(b'"' + text.encode() + b'"')[0][0]


# ---- streams -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """One client's next command, and what begins with it: a transaction of `opens` commands, if not none.

    `watched` is watched before; `between` is another client's command that comes between WATCH and MULTI.
    """

    client: str
    command: str
    words: tuple[bytes, ...]
    rule: str | None = None
    opens: int = 0
    ending: bytes = b"EXEC"
    watched: bytes = b""
    between: Turn | None = None


def draw_turn(writer: Writer, clients: str, alone: bool = False) -> Turn:
    """A turn of one of `clients`; `alone`: without a transaction around it."""
    choices, hints = writer.choices, writer.hints
    client = choices.pick(clients)
    command, words = writer.command()
    rule = hints.rule(command.name, words)
    if alone or not choices.chance(hints.share("transaction") / 3):
        return Turn(client, command.name, tuple(words), rule)
    watched, between = b"", None
    if choices.chance(0.5):
        keys = hints.data["keys"]
        watched = choices.pick(keys[choices.pick(("string", "string", "list", "hash", "missing"))]).encode()
        between = draw_turn(writer, CLIENTS, alone=True) if choices.chance(0.4) else None
    ending = b"DISCARD" if choices.chance(0.1) else b"EXEC"
    return Turn(client, command.name, tuple(words), rule, choices.number(1, 4), ending, watched, between)


def draw_setup(choices: Choices, commands: list[Command], known: frozenset[str], hints: Hints) -> dict[str, list[Step]]:
    """Steps that create keys, by group: of the chosen commands' groups always, of the others half the time, to clash.

    What `known` (the subject's commands; empty if it does not matter) lacks is left out.
    """
    setup: dict[str, list[Step]] = {}
    wanted = {command.group for command in commands}
    for group, lines in hints.data["setup"].items():
        if group not in wanted and not choices.chance(0.5):
            continue
        for line in lines:
            words = tuple(word for word, _ in split_words(line.encode()))
            if not known or words[0].decode() in known:
                setup.setdefault(group, []).append(Step("call", "a", words))
    return setup


def draw_limits(choices: Choices, known: frozenset[str], hints: Hints) -> dict[str, Step]:
    """Directive -> CONFIG SET, for some streams: encodings change where a stream of thirty commands comes to see it."""
    if known and "CONFIG SET" not in known or not choices.chance(hints.share("tight")):
        return {}
    drawn = {name: choices.pick(("", *values)) for name, values in hints.data["tight"].items()}
    return {
        name: Step("call", "a", (b"CONFIG", b"SET", name.encode(), value.encode()))
        for name, value in drawn.items()
        if value
    }


def assemble(limits: dict[str, Step], setup: dict[str, list[Step]], turns: Sequence[Turn]) -> tuple[Step, ...]:
    """The steps of a stream: transactions opened, filled by their clients' next turns, and ended."""
    steps = [*limits.values()] + [step for group in setup.values() for step in group]
    left: dict[str, int] = {}
    endings: dict[str, bytes] = {}
    for turn in turns:
        if turn.opens and turn.client not in left:
            if turn.watched:
                steps.append(Step("call", turn.client, (b"WATCH", turn.watched)))
                if turn.between is not None:
                    steps.append(_step(turn.between, turn.between.client in left))
            steps.append(Step("call", turn.client, (b"MULTI",)))
            left[turn.client], endings[turn.client] = turn.opens, turn.ending
        steps.append(_step(turn, turn.client in left))
        if turn.client in left:
            left[turn.client] -= 1
            if left[turn.client] <= 0:
                del left[turn.client]
                steps.append(Step("call", turn.client, (endings[turn.client],)))
    steps += [Step("call", client, (endings[client],)) for client in left]
    return tuple(
        Step(step.verb, step.client, step.argv, rule=step.rule, line=number) for number, step in enumerate(steps, 1)
    )


def _step(turn: Turn, in_block: bool) -> Step:
    at = 1 if turn.command == "SCAN" else 2
    whole = turn.command in SCANS and not in_block and len(turn.words) > at and turn.words[at] == b"0"
    return Step("scan" if whole else "call", turn.client, turn.words, rule=turn.rule)


LISTENING = (
    b"HELLO 3",
    b"CONFIG SET notify-keyspace-events EAmnoc",
    b"PSUBSCRIBE __keyevent*",
)
WEIGHS_IN_ANY_ORDER = frozenset((b"SORT", b"SORT_RO"))


def is_listened_to(choices: Choices, known: frozenset[str], hints: Hints) -> bool:
    """Whether a client more is to hear of every event and of every key that is modified: some of the streams."""
    needed = {"CONFIG SET", "PSUBSCRIBE", "CLIENT TRACKING"}
    return (not known or needed <= known) and choices.chance(hints.share("events"))


def overheard(steps: tuple[Step, ...], cached: tuple[bytes, ...]) -> tuple[Step, ...]:
    """The same steps, and after each of them what another client has heard of it.

    It tracks the keys `cached` one by one, which it reads before each step, or all keys if there are none.
    """
    tracking = b"CLIENT TRACKING ON" if cached else b"CLIENT TRACKING ON BCAST"
    heard = [Step("call", "z", tuple(line.split()), frames=1) for line in (*LISTENING, tracking)]
    weighed = False  # in a transaction, it may be
    for step in steps:
        name = step.argv[0].upper()
        weighed = weighed or name in WEIGHS_IN_ANY_ORDER
        rule = "shape" if name in WEIGHS_IN_ANY_ORDER or (weighed and name == b"EXEC") else None
        if cached:
            heard += (Step("call", "z", (b"TOUCH", *cached), rule="ignore"), Step("heard", "z", rule="ignore"))
        heard += (step, Step("heard", "z", rule=rule, line=step.line))
    return tuple(heard)


@dataclass
class Generator:
    """Streams of about `length` commands each, from one seed."""

    commands: list[Command]
    seed: str
    known: frozenset[str] = frozenset()
    length: int = 30
    hints: Hints = field(default_factory=load_hints)

    def stream(self, number: int) -> tuple[Stream, int]:
        """The numbered stream and the protocol it is for."""
        choices = Seeded(f"{self.seed}:{number}")
        limits = draw_limits(choices, self.known, self.hints)
        setup = draw_setup(choices, self.commands, self.known, self.hints)
        avoided = self.hints.unsteady([*limits])
        writer = Writer(choices, self.commands, self.hints, tuple(setup) or ("string",), avoided)
        clients = CLIENTS[: choices.pick((1, 1, 2, 3))]
        turns = [draw_turn(writer, clients) for _ in range(self.length)]
        teaches = f"Generated: seed {self.seed}, number {number}."
        steps = assemble(limits, setup, turns)
        if is_listened_to(choices, self.known, self.hints):
            pools: dict[str, list[str]] = self.hints.data["keys"]
            cached = tuple(key.encode() for pool in pools.values() for key in pool)
            steps = overheard(steps, cached if choices.chance(0.5) else ())
        return Stream(f"generated/{self.seed}-{number}", steps, teaches), 2 + number % 2
