"""Every command is declared once, above its handler; everything the server knows about it follows from there.

    @command("GETSET key value", flags=WRITE | DENYOOM | FAST, acl="string", since="1.0.0", complexity="O(1)",
             keys=key_at(1, "RW access update"), deprecated_since="6.2.0", replaced_by="`SET` with the `!GET` argument")
    def getset(ctx, argv):
        '''Set a string and return what was there before.'''

The syntax line (see `syntax.py`) gives name, arity and argument tree; the flags drive the gates and most ACL
categories; the key specifications (see `keyspecs.py`) tell where the keys are; the docstring's first sentence is the
summary. Nothing is said twice, and a test compares COMMAND INFO and COMMAND DOCS of every declaration with a real
server's.

A command whose second word selects what is done is a *container*: `container("CLIENT", ...)` first, then
`@command("CLIENT KILL ...")` registers under its `subcommands`. On the wire and here the full name is `client|kill`.

`COMMANDS` is filled by importing `mini_redis.commands`. It is constant afterwards; a server builds its own table from
it.

Invariants: keys of COMMANDS are lower-case; a container's subcommands are in its `subcommands` and never in COMMANDS; a
command without handler is a container, and its arity refuses a call without subcommand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from mini_redis.commands.history import HISTORY
from mini_redis.commands.keyspecs import NOT_KEY, GetKeys, KeySpec, Positions, keys_of_sloppy_count, locate
from mini_redis.commands.syntax import Argument, parse
from mini_redis.resp.reply import Reply, ReplyError, SimpleString

if TYPE_CHECKING:
    from mini_redis.server.context import Context

Handler: TypeAlias = "Callable[[Context, list[bytes]], Reply]"

# -- flags: plain ints, for `&` on an enum costs fifty times as much on the hot path -----------------------------------

WRITE: Final = 1 << 0
READONLY: Final = 1 << 1
DENYOOM: Final = 1 << 2
MODULE: Final = 1 << 3
ADMIN: Final = 1 << 4
PUBSUB: Final = 1 << 5
NOSCRIPT: Final = 1 << 6
BLOCKING: Final = 1 << 7
LOADING: Final = 1 << 8
STALE: Final = 1 << 9
SKIP_MONITOR: Final = 1 << 10
SKIP_SLOWLOG: Final = 1 << 11
ASKING: Final = 1 << 12
FAST: Final = 1 << 13
NO_AUTH: Final = 1 << 14
NO_ASYNC_LOADING: Final = 1 << 15
NO_MULTI: Final = 1 << 16
NO_MANDATORY_KEYS: Final = 1 << 17
ALLOW_BUSY: Final = 1 << 18
MOVABLE_KEYS: Final = 1 << 19
MAY_REPLICATE: Final = 1 << 20
"""Not a write, but replicas may hear of it (PUBLISH, EVAL): CLIENT PAUSE WRITE holds it too. Never sent."""

FLAG_NAMES: Final[dict[int, str]] = {
    WRITE: "write",
    READONLY: "readonly",
    DENYOOM: "denyoom",
    MODULE: "module",
    ADMIN: "admin",
    PUBSUB: "pubsub",
    NOSCRIPT: "noscript",
    BLOCKING: "blocking",
    LOADING: "loading",
    STALE: "stale",
    SKIP_MONITOR: "skip_monitor",
    SKIP_SLOWLOG: "skip_slowlog",
    ASKING: "asking",
    FAST: "fast",
    NO_AUTH: "no_auth",
    NO_ASYNC_LOADING: "no_async_loading",
    NO_MULTI: "no_multi",
    NO_MANDATORY_KEYS: "no_mandatory_keys",
    ALLOW_BUSY: "allow_busy",
    MOVABLE_KEYS: "movablekeys",
}
"""Each flag's name in COMMAND INFO, in the order in which they are sent."""

_CATEGORIES: Final = """
    keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking
    dangerous connection transaction scripting
"""
ACL_CATEGORIES: Final = tuple(_CATEGORIES.split())
"""In the order in which they are sent."""

GROUP_OF_MODULE: Final[dict[str, str]] = {
    "acl": "server",
    "bitmap": "bitmap",
    "cluster": "cluster",
    "command": "server",
    "debug": "server",
    "dump": "generic",
    "config": "server",
    "client": "connection",
    "client_tracking": "connection",
    "connection": "connection",
    "function": "scripting",
    "generic": "generic",
    "geo": "geo",
    "hash": "hash",
    "hash_expire": "hash",
    "hyperloglog": "hyperloglog",
    "latency": "server",
    "list": "list",
    "memory": "server",
    "monitor": "server",
    "pubsub": "pubsub",
    "scripting": "scripting",
    "sentinel": "sentinel",
    "server": "server",
    "set": "set",
    "slowlog": "server",
    "sort": "generic",
    "sorted_set": "sorted-set",
    "sorted_set_algebra": "sorted-set",
    "sorted_set_range": "sorted-set",
    "stream": "stream",
    "stream_group": "stream",
    "stream_info": "stream",
    "stream_pending": "stream",
    "stream_read": "stream",
    "string": "string",
    "transaction": "transactions",
    "vector_set": "module",
}
"""The group in COMMAND DOCS of the commands that a module of this package declares."""


@dataclass(slots=True, eq=False)
class Command:
    """One command, subcommand or container. Constant once its module is imported."""

    name: bytes
    """The full name, lower-case: `client|kill`."""
    handler: Handler | None
    arity: int
    """How many words a call has, name included; negative: at least so many."""
    flags: int
    categories: tuple[str, ...]
    """ACL categories without `@`, those that follow from the flags included."""
    group: str
    summary: str
    since: str
    complexity: str = ""
    arguments: tuple[Argument, ...] = ()
    key_specs: tuple[KeySpec, ...] = ()
    getkeys: GetKeys | None = None
    tips: tuple[str, ...] = ()
    doc_flags: tuple[str, ...] = ()
    deprecated_since: str = ""
    replaced_by: str = ""
    module: str = ""
    """The module that brings it; it is then shown under its name as it was declared, and without documentation."""
    history: tuple[tuple[str, str], ...] = ()
    container: Command | None = None
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    """By the second word, lower-case."""

    def accepts(self, argc: int) -> bool:
        """Whether a call of `argc` words, the name included, fits the arity."""
        return argc == self.arity if self.arity > 0 else argc >= -self.arity

    @property
    def has_keys(self) -> bool:
        """Whether any word of a call can be a key."""
        return self.getkeys is not None or any(not spec.flags & NOT_KEY for spec in self.key_specs)

    def key_positions(self, argv: Sequence[bytes]) -> Positions:
        """Where the keys of a call are and what happens to them; empty also if the call is malformed. O(len(argv))."""
        positions = locate(self.key_specs, argv) if self.key_specs else None
        if positions is not None:
            return positions
        return self.getkeys(argv) if self.getkeys is not None else keys_of_sloppy_count(self.key_specs, argv)

    @property
    def legacy_range(self) -> tuple[int, int, int]:
        """First key, last key, step, as COMMAND told before key specifications: ranges that join."""
        first, last, step = 0, 0, 0
        ranges = [spec for spec in self.key_specs if not spec.movable]
        for spec in ranges:
            assert isinstance(spec.begin, int)
            # A negative end is the call's end: nothing can follow it.
            if first and (last < 0 or spec.begin != last + 1 or spec.step != step):
                continue
            first, step = first or spec.begin, spec.step
            last = spec.begin + spec.last if spec.last >= 0 else spec.last
        return first, last, step


COMMANDS: dict[bytes, Command] = {}
"""All commands by lower-case name, in order of declaration; subcommands are inside their containers."""


def command(
    line: str,
    *,
    since: str,
    flags: int = 0,
    acl: str = "",
    complexity: str = "",
    keys: KeySpec | tuple[KeySpec, ...] = (),
    getkeys: GetKeys | None = None,
    tips: str = "",
    arity: int | None = None,
    group: str = "",
    doc_flags: str = "",
    deprecated_since: str = "",
    replaced_by: str = "",
) -> Callable[[Handler], Handler]:
    """Declare the decorated handler as a command.

    `acl` names the categories that do not follow from the flags, `tips` and `doc_flags` are words too. `getkeys` finds
    the keys where the specifications cannot. `arity` is for the few that accept other calls than their documented
    syntax. `group` follows from the module unless told.
    """

    def declare(handler: Handler) -> Handler:
        assert handler.__doc__, f"{line}: a command is documented"
        register(
            build(
                line,
                handler=handler,
                summary=handler.__doc__.strip().splitlines()[0],
                since=since,
                flags=flags,
                acl=acl,
                complexity=complexity,
                keys=keys,
                getkeys=getkeys,
                tips=tips,
                arity=arity,
                group=group or GROUP_OF_MODULE[handler.__module__.rpartition(".")[2]],
                doc_flags=doc_flags,
                deprecated_since=deprecated_since,
                replaced_by=replaced_by,
            )
        )
        return handler

    return declare


def container(name: str, summary: str, *, since: str, group: str) -> None:
    """Declare a command that does nothing but choose among its subcommands; they are declared after it."""
    register(
        build(
            name,
            handler=None,
            summary=summary,
            since=since,
            group=group,
            complexity="Depends on subcommand.",
            arity=-2,
        )
    )


def build(
    line: str,
    *,
    handler: Handler | None,
    summary: str,
    since: str,
    group: str,
    flags: int = 0,
    acl: str = "",
    complexity: str = "",
    keys: KeySpec | tuple[KeySpec, ...] = (),
    getkeys: GetKeys | None = None,
    tips: str = "",
    arity: int | None = None,
    doc_flags: str = "",
    deprecated_since: str = "",
    replaced_by: str = "",
    table: Mapping[bytes, Command] = COMMANDS,
) -> Command:
    """Make a command from its declaration without registering it; `table` tells which first words are containers."""
    first_word = line.split(maxsplit=1)[0].lower().encode()
    parent = table.get(first_word)
    syntax = parse(line, name_words=1 if parent is None else 2)
    specs = (keys,) if isinstance(keys, KeySpec) else keys
    if any(spec.movable for spec in specs):
        flags |= MOVABLE_KEYS
    name = "|".join(syntax.words).lower()
    return Command(
        name=name.encode(),
        handler=handler,
        arity=syntax.arity if arity is None else arity,
        flags=flags,
        categories=_categories(flags, acl),
        group=group,
        summary=summary,
        since=since,
        complexity=complexity,
        arguments=syntax.arguments,
        key_specs=specs,
        getkeys=getkeys,
        tips=tuple(tips.split()),
        doc_flags=("deprecated",) if deprecated_since else tuple(doc_flags.split()),
        deprecated_since=deprecated_since,
        replaced_by=replaced_by,
        history=HISTORY.get(name, ()),
        container=parent,
    )


def register(declared: Command) -> None:
    """Add a command to `COMMANDS`, or to the subcommands of its container."""
    siblings = COMMANDS if declared.container is None else declared.container.subcommands
    last_word = declared.name.rpartition(b"|")[2].lower()
    assert last_word not in siblings, f"{declared.name!r} is declared twice"
    siblings[last_word] = declared


def _categories(flags: int, acl: str) -> tuple[str, ...]:
    """The told categories and those that follow from the flags, in protocol order."""
    categories = set(acl.split())
    assert categories <= set(ACL_CATEGORIES), f"no such categories: {acl}"
    if flags & WRITE:
        categories.add("write")
    if flags & READONLY and "scripting" not in categories:
        categories.add("read")
    if flags & ADMIN:
        categories |= {"admin", "dangerous"}
    if flags & PUBSUB:
        categories.add("pubsub")
    if flags & BLOCKING:
        categories.add("blocking")
    categories.add("fast" if flags & FAST else "slow")
    return tuple(category for category in ACL_CATEGORIES if category in categories)


# -- lookup, and the errors when it fails ------------------------------------------------------------------------------


def lookup(name: bytes, table: Mapping[bytes, Command] = COMMANDS) -> Command | None:
    """Find a command by its full name in any case; `client|kill` finds a subcommand."""
    first, bar, second = name.lower().partition(b"|")
    found = table.get(first)
    return found.subcommands.get(second) if found is not None and bar else found


def resolve(argv: Sequence[bytes], table: Mapping[bytes, Command] = COMMANDS) -> Command | None:
    """Find the command that a call means; of a container with a second word, that subcommand or nothing."""
    found = table.get(argv[0].lower())
    if found is None or not found.subcommands or len(argv) == 1:
        return found
    return found.subcommands.get(argv[1].lower())


class MayContain(Protocol):
    """A `Command`, or a server's own record of one."""

    @property
    def subcommands(self) -> Mapping[bytes, object]: ...


def not_found(argv: Sequence[bytes], table: Mapping[bytes, MayContain] = COMMANDS) -> ReplyError:
    """The error for a call that `resolve` finds no command for. `table` is by lower-case name, as is `COMMANDS`."""
    found = table.get(argv[0].lower())
    if found is not None and found.subcommands:
        return unknown_subcommand(argv[0], argv[1])
    quoted = b""
    for word in argv[1:]:
        if len(quoted) >= _ECHOED:
            break
        quoted += b"'%b' " % _echo(word, _ECHOED - len(quoted))
    return ReplyError(b"ERR unknown command '%b', with args beginning with: %b" % (_echo(argv[0]), quoted))


def unknown_subcommand(name: bytes, word: bytes) -> ReplyError:
    """The error for a second word that the container called `name` (which may be a renamed one) does not know."""
    return ReplyError(b"ERR unknown subcommand '%b'. Try %b HELP." % (_echo(word), name.upper()))


def wrong_subcommand(argv: Sequence[bytes]) -> ReplyError:
    """The error of containers that count the words of some subcommands themselves."""
    told = (_echo(argv[1]), argv[0].upper())
    return ReplyError(b"ERR unknown subcommand or wrong number of arguments for '%b'. Try %b HELP." % told)


_ECHOED: Final = 128


def _echo(word: bytes, at_most: int = _ECHOED) -> bytes:
    """A client's word inside an error line: cut, and ended by a zero byte as C strings are."""
    return word[:at_most].partition(b"\0")[0]


def help_reply(name: str, *lines: str) -> Reply:
    """The array that `CLIENT HELP` and its like answer: a heading, each subcommand with its indented text, HELP itself.

    `lines` are sent as they stand; texts come with their indentation.
    """
    heading = f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    return [SimpleString(text.encode()) for text in (heading, *lines, "HELP", "    Print this help.")]
