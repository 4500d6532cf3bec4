"""One set of rules: which commands, on which keys, on which channels. A user has one, and may have more.

Question it answers: how does a server decide in microseconds whether a call is permitted, when the rules were written
as a story (`+@all -@dangerous +info`)? The story is not kept for deciding. Each rule is carried out at once on plain
sets, in the order in which it was said, so that the last word wins; deciding is then one look into a set, and a pattern
match for each key.

    allowed        the names of the commands that may be called
    first_words    command -> words; a command that is not allowed may be called with one of these as its argument
                   (`+select|0`: for commands that have no subcommands)
    keys           pattern -> READ | WRITE; all_keys stands for `~*`
    channels       pattern -> what matches it (for keys that is kept beside); all_channels stands for `&*`
    rules          the story, as ACL LIST tells it: rule -> allowed or not

The story is kept short. What comes later about the same command replaces what was said before, about its subcommands
too; `+@all` and `-@all` begin a new story. A category does not replace what was said of the commands in it, for a
reader who sees `-get +@read` knows what was meant, and a newer version may have more commands in it.

Invariants:
1. `all_keys` implies no `keys`, `all_channels` no `channels`.
2. Carrying out `+@all` or `-@all` (as `future` says) and then `rules` in order gives `allowed` and `first_words` again.
3. `first_words` has no empty entries. (It may speak of a command that is allowed by itself.)

Redis keeps a bitmap with a bit for each command, the last of which stands for all commands of the future; here it is a
frozenset of names and a bool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mini_redis.commands.keyspecs import ACCESS, DELETE, INSERT, UPDATE, Positions
from mini_redis.commands.registry import NO_AUTH, Command
from mini_redis.security.catalogue import NOTHING, Catalogue, Names, meant_by
from mini_redis.structures.glob import glob_matcher

READ: Final = 1
WRITE: Final = 2

# Why a call is refused. Of several selectors the largest is told, as in Redis.
COMMAND_DENIED: Final = 1
KEY_DENIED: Final = 2
AUTH_DENIED: Final = 3
CHANNEL_DENIED: Final = 4

Denial = tuple[int, int]
"""Why, and the index of the word that is to blame (0: the command)."""

SYNTAX: Final = b"Syntax error"
UNKNOWN_COMMAND: Final = b"Unknown command or category name in ACL"
FIRST_WORD_OF_SUBCOMMAND: Final = b"Allowing first-arg of a subcommand is not supported"
AFTER_ALL: Final = (
    b"Adding a pattern after the * pattern (or the '%b' flag) is not valid and does not have any effect. Try '%b' to"
    b" start with an empty list of %b"
)
AFTER_ALL_KEYS: Final = AFTER_ALL % (b"allkeys", b"resetkeys", b"patterns")
AFTER_ALL_CHANNELS: Final = AFTER_ALL % (b"allchannels", b"resetchannels", b"channels")

_SPACES: Final = b" \t\n\v\f\r\0"

_CHANNELS_OF: Final[dict[bytes, tuple[int | None, bool]]] = {
    b"subscribe": (None, False),
    b"psubscribe": (None, True),
    b"ssubscribe": (None, False),
    b"publish": (2, False),
    b"spublish": (2, False),
}
"""Command -> (end of its words that are channels, whether these are patterns). They begin behind the name."""


Matcher = Callable[[bytes], object]


class RuleError(Exception):
    """A rule that cannot be carried out. `unknown_name` if it speaks of a command that does not exist."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def unknown_name(self) -> bool:
        return self.reason is UNKNOWN_COMMAND


class Selector:
    """See the module. Made by `Selector(...)` it permits nothing, except, if so configured, all channels."""

    __slots__ = ("_key_matchers", "all_channels", "all_keys", "allowed", "catalogue", "channels", "first_words",
                 "future", "keys", "rules")  # fmt: skip

    def __init__(self, catalogue: Catalogue, *, all_channels: bool = False) -> None:
        self.catalogue = catalogue
        self.allowed: Names = NOTHING
        self.future = False
        self.first_words: dict[bytes, tuple[bytes, ...]] = {}
        self.rules: dict[bytes, bool] = {}
        self.all_keys = False
        self.keys: dict[bytes, int] = {}
        self._key_matchers: dict[bytes, Matcher] = {}
        self.all_channels = all_channels
        self.channels: dict[bytes, Matcher] = {}

    def copy(self) -> Selector:
        """O(rules)."""
        twin = Selector(self.catalogue, all_channels=self.all_channels)
        twin.allowed, twin.future, twin.all_keys = self.allowed, self.future, self.all_keys
        twin.first_words = dict(self.first_words)
        twin.rules = dict(self.rules)
        twin.keys = dict(self.keys)
        twin._key_matchers = dict(self._key_matchers)
        twin.channels = dict(self.channels)
        return twin

    # --- Rules -------------------------------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Carry out one rule, or raise RuleError and change nothing. Words are known in any case."""
        words = rule.partition(b"\0")[0]
        whole = _WHOLE_RULES.get(words.lower())
        if whole is not None:
            whole(self)
            return
        match rule[:1]:
            case b"~" | b"%":
                self._add_keys(rule)
            case b"&":
                self._add_channel(rule[1:])
            case b"+" | b"-" if words[1:2] == b"@":
                self._apply_category(words[1:], allow=rule[:1] == b"+")
            case b"+":
                self._allow(words[1:])
            case b"-":
                self._forbid(words[1:])
            case _:
                raise RuleError(SYNTAX)

    def _all_commands(self) -> None:
        self.allowed, self.future = self.catalogue.everything, True
        self.first_words.clear()
        self.rules.clear()

    def _no_commands(self) -> None:
        self.allowed, self.future = NOTHING, False
        self.first_words.clear()
        self.rules.clear()

    def _set_all_keys(self) -> None:
        self._reset_keys()
        self.all_keys = True

    def _reset_keys(self) -> None:
        self.all_keys = False
        self.keys.clear()
        self._key_matchers.clear()

    def _set_all_channels(self) -> None:
        self.all_channels = True
        self.channels.clear()

    def _reset_channels(self) -> None:
        self.all_channels = False
        self.channels.clear()

    def _add_keys(self, rule: bytes) -> None:
        """`~pattern`, `%R~pattern`, `%W~pattern`, `%RW~pattern`. What is said twice adds up.

        As in Redis `%R` alone is taken for the empty pattern.
        """
        if self.all_keys:
            raise RuleError(AFTER_ALL_KEYS)
        letters, _, pattern = rule.partition(b"~")
        permissions = _PERMISSIONS.get(letters.upper())
        if permissions is None or _has_spaces(pattern):
            raise RuleError(SYNTAX)
        self.keys[pattern] = self.keys.get(pattern, 0) | permissions
        self._key_matchers[pattern] = glob_matcher(pattern)

    def _add_channel(self, pattern: bytes) -> None:
        if self.all_channels:
            raise RuleError(AFTER_ALL_CHANNELS)
        if _has_spaces(pattern):
            raise RuleError(SYNTAX)
        self.channels[pattern] = glob_matcher(pattern)

    def _apply_category(self, category: bytes, *, allow: bool) -> None:
        names = self.catalogue.members(category[1:])
        if names is None:
            raise RuleError(UNKNOWN_COMMAND)
        self._say(category, allow)
        self._decide(names, allow)

    def _allow(self, name: bytes) -> None:
        """`+command`, `+container|subcommand`, `+command|first-word`."""
        first, bar, last = name.rpartition(b"|")
        if not bar:
            self._decide_command(name, allow=True)
            return
        command = self.catalogue.find(first)
        if command is None:
            raise RuleError(UNKNOWN_COMMAND)
        if command.container is not None:
            raise RuleError(FIRST_WORD_OF_SUBCOMMAND)
        if not last:
            raise RuleError(SYNTAX)
        if command.subcommands:
            self._decide_command(name, allow=True)
            return
        words = self.first_words.get(command.name, ())
        if last.lower() not in words:
            self.first_words[command.name] = (*words, last.lower())
        self._say(name, allow=True)

    def _forbid(self, name: bytes) -> None:
        self._decide_command(name, allow=False)

    def _decide_command(self, name: bytes, *, allow: bool) -> None:
        command = self.catalogue.find(name)
        if command is None:
            raise RuleError(UNKNOWN_COMMAND)
        self._say(command.name, allow)
        self._decide(meant_by(command), allow)

    def _decide(self, names: Names, allow: bool) -> None:
        self.allowed = self.allowed | names if allow else self.allowed - names
        for command in [command for command in self.first_words if command in names]:
            del self.first_words[command]

    def _say(self, what: bytes, allow: bool) -> None:
        """Add to the story, in place of what it said of the same. O(rules)."""
        what = what.lower()
        for rule in [rule for rule in self.rules if rule == what or rule.startswith(what + b"|")]:
            del self.rules[rule]
        self.rules[what] = allow

    # --- Tell --------------------------------------------------------------------------------------------------------

    def describe_commands(self) -> bytes:
        """`-@all +get`."""
        said = [b"+@all" if self.future else b"-@all"]
        said += [(b"+" if allow else b"-") + rule for rule, allow in self.rules.items()]
        return b" ".join(said)

    def describe_keys(self) -> bytes:
        """`~cache:* %R~user:*`."""
        if self.all_keys:
            return b"~*"
        return b" ".join(_SPELLED[permissions] + pattern for pattern, permissions in self.keys.items())

    def describe_channels(self) -> bytes:
        """`&news &chat:*`."""
        return b"&*" if self.all_channels else b" ".join(b"&" + pattern for pattern in self.channels)

    def describe(self) -> bytes:
        """Rules that make another selector into one like this, whatever it was before: a part of ACL LIST's line."""
        keys, channels = self.describe_keys(), self.describe_channels()
        if not self.all_channels:
            channels = b"resetchannels " + channels
        return b" ".join(part.rstrip() for part in (keys, channels, self.describe_commands()) if part)

    @property
    def unrestricted(self) -> bool:
        """Whether it permits whatever can be asked."""
        return self.all_keys and self.all_channels and self.allowed == self.catalogue.everything

    # --- Decide ------------------------------------------------------------------------------------------------------

    def denial(self, command: Command, argv: Sequence[bytes], keys: Callable[[], Positions]) -> Denial | None:
        """Why a call is refused, or None. `keys` finds its keys, and is asked only if it matters.

        O(1), and O(keys * patterns) unless all keys are permitted.
        """
        name = command.name
        if name not in self.allowed and not command.flags & NO_AUTH:
            words = self.first_words.get(name)
            if words is None or len(argv) < 2 or argv[1].lower() not in words:
                return COMMAND_DENIED, 0
        if not self.all_keys and (command.key_specs or command.getkeys is not None):
            for index, flags in keys():
                if index < len(argv) and not self.permits_key(argv[index], flags):
                    return KEY_DENIED, index
        if not self.all_channels and name in _CHANNELS_OF:
            end, are_patterns = _CHANNELS_OF[name]
            for index in range(1, len(argv) if end is None else min(end, len(argv))):
                if not permits_channel(self.channels, argv[index], is_pattern=are_patterns):
                    return CHANNEL_DENIED, index
        return None

    def permits_key(self, key: bytes, flags: int) -> bool:
        """Whether a pattern fits the key and permits what is done to it; `flags` are those of key specifications."""
        needed = (READ if flags & ACCESS else 0) | (WRITE if flags & (INSERT | DELETE | UPDATE) else 0)
        for pattern, permissions in self.keys.items():
            if permissions & needed == needed and self._key_matchers[pattern](key):
                return True
        return False

    @property
    def reads_every_key(self) -> bool:
        """Whether no key can be named that it does not let be read."""
        return self.all_keys or bool(self.keys.get(b"*", 0) & READ)

    def check(self) -> None:
        """Raise AssertionError if an invariant of the module does not hold."""
        assert not (self.all_keys and self.keys), "all keys, and a pattern beside"
        assert not (self.all_channels and self.channels), "all channels, and a pattern beside"
        assert list(self.keys) == list(self._key_matchers), "a pattern that cannot be matched"
        assert all(self.first_words.values()), "a command with an empty list of first words"
        retold = Selector(self.catalogue)
        for rule in self.describe_commands().split():
            retold.apply(rule)
        assert retold.allowed == self.allowed, "the story is another one"
        for command in {**retold.first_words, **self.first_words}:
            words, others = self.first_words.get(command, ()), retold.first_words.get(command, ())
            assert sorted(words) == sorted(others), "the story is another one"


def permits_channel(permitted: Mapping[bytes, Matcher], channel: bytes, *, is_pattern: bool) -> bool:
    """Whether a channel may be used. A pattern may be subscribed to only if it is permitted literally. O(permitted)."""
    if is_pattern:
        return channel in permitted
    return any(matches(channel) for matches in permitted.values())


def _has_spaces(pattern: bytes) -> bool:
    return any(byte in _SPACES for byte in pattern)


_PERMISSIONS: Final = {
    b"": READ | WRITE,
    b"%R": READ,
    b"%W": WRITE,
    b"%RW": READ | WRITE,
    b"%WR": READ | WRITE,
}
_SPELLED: Final = {READ: b"%R~", WRITE: b"%W~", READ | WRITE: b"~"}

_WHOLE_RULES: Final[dict[bytes, Callable[[Selector], None]]] = {
    b"allkeys": Selector._set_all_keys,
    b"~*": Selector._set_all_keys,
    b"resetkeys": Selector._reset_keys,
    b"allchannels": Selector._set_all_channels,
    b"&*": Selector._set_all_channels,
    b"resetchannels": Selector._reset_channels,
    b"allcommands": Selector._all_commands,
    b"+@all": Selector._all_commands,
    b"nocommands": Selector._no_commands,
    b"-@all": Selector._no_commands,
}
"""Rules that are always the same words."""
