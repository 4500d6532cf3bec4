"""The configuration: what redis.conf, the command line and CONFIG SET said, checked, and told to those who act on it.

`config_table.py` says what can be configured; a `Config` holds one server's values, as plain attributes:
`config.maxclients` is an int that costs one attribute lookup (see `config_values.py` for all of them).

    config = Config()
    config.load_command_line([b"redis.conf", b"--port", b"7000"], files)    or    config.load(["port 7000"])
    for warning in config.warnings: ...                                       what the user should know
    config.on_change["notify_keyspace_events"] = node.choose_events           called after CONFIG SET changed it

Three rules keep a server usable while it is reconfigured:

1. CONFIG SET is all or nothing. First every name is looked up, then every value is parsed and set, then the hooks of
   what changed are called, each once; whatever fails, all old values return and those hooks run again.
2. A wrong value in a file stops the start with Redis's message (`ConfigError`); the same mistake in CONFIG SET is an
   error reply with the same reason.
3. A directive that is unknown is kept with a warning, where real Redis refuses to start: a redis.conf that was written
   for another server should load. One that is known but that nothing acts on is validated, kept and warned about.

No file is opened here: reading, globbing and the current directory come in as `Files` and `resolve`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mini_redis.commands import COMMANDS
from mini_redis.resp.reply import SYNTAX_ERROR, ReplyError
from mini_redis.security.users import RefusedRule, Unmatched, Users, apply_all, joined
from mini_redis.server.conf_file import (
    ConfigError,
    Directive,
    Rewriter,
    fatal_error,
    parse_command_line,
    read_directives,
)
from mini_redis.server.config_kinds import BadValue
from mini_redis.server.config_table import (
    BY_NAME,
    HIDDEN,
    IMMUTABLE,
    NO_LONGER_USED,
    PARAMETERS,
    PROTECTED,
    Parameter,
)
from mini_redis.server.config_values import Values
from mini_redis.structures.glob import glob_matcher

DEEPEST_INCLUDE: Final = 16


@dataclass(frozen=True, slots=True)
class Files:
    """How a configuration is read from the outside world. `read` and `stdin` raise OSError."""

    read: Callable[[bytes], bytes]
    glob: Callable[[bytes], list[bytes]]
    stdin: Callable[[], bytes]
    absolute: Callable[[bytes], bytes]


class Config(Values):
    """The values of one server, and what is said about them.

    on_change   hook by attribute name, called without arguments after CONFIG SET changed that value; it may refuse
                with BadValue, and then must have left things as they were. Hooks shared by several names are called
                once.
    resolve     by attribute name: turns a text from the user into the value that is kept, asking the outside world
                (`dir` is entered and made absolute); it may refuse with BadValue
    path        of the configuration file, b"" without one
    """

    def __init__(self) -> None:
        for parameter in PARAMETERS:
            setattr(self, parameter.attribute, parameter.default)
        self.on_change: dict[str, Callable[[], None]] = {}
        self.resolve: dict[str, Callable[[bytes], bytes]] = {}
        self.path = b""
        self.warnings: list[str] = []
        self.renamed_commands: list[tuple[bytes, bytes]] = []
        self.users: list[list[bytes]] = []
        self.unknown: list[Directive] = []
        self._files: Files | None = None
        self._mentioned: dict[bytes, None] = {}

    # --- Starting -----------------------------------------------------------------------------------------------------

    def load(self, lines: Iterable[str | bytes], files: Files | None = None) -> None:
        """Take over lines of redis.conf. Raises ConfigError; adds to `warnings`."""
        self._files = files or self._files
        encoded = [line.encode() if isinstance(line, str) else line for line in lines]
        self._load_text(b"\n".join(encoded), depth=0)
        if not self.dir and "dir" in self.resolve:
            self.dir = self.resolve["dir"](b".")
        self._check_together()
        self._warn_of_idle()

    def load_command_line(self, words: Sequence[bytes], files: Files) -> None:
        """Take over what redis-server's arguments say: [file] [-] [--directive value ...]. Raises ConfigError."""
        self._files = files
        said = parse_command_line(words)
        text = b""
        if said.path is not None:
            self.path = files.absolute(said.path)
            text += b"\n".join(_read(files, path) for path in self._matching(self.path))
        if said.from_stdin:
            text += files.stdin()
        if said.options:
            text += b"\n" + said.options
        self.load([text])

    def _load_text(self, text: bytes, depth: int) -> None:
        for directive in read_directives(text):
            try:
                self._take(directive, depth)
            except BadValue as bad:
                raise directive.error(bad.reason) from None

    def _take(self, directive: Directive, depth: int) -> None:
        name, arguments = directive.name, directive.arguments
        parameter = BY_NAME.get(name)
        if parameter is not None:
            self._take_parameter(parameter, arguments)
        elif name in NO_LONGER_USED and len(arguments) == 1:
            pass
        elif name == b"include" and len(arguments) == 1:
            self._include(arguments[0], depth)
        elif name == b"rename-command" and len(arguments) == 2:
            self._rename_command(arguments[0], arguments[1])
        elif name == b"user" and arguments:
            self._keep_user(arguments)
        elif name == b"sentinel" and arguments:
            raise BadValue(b"sentinel directive while not in sentinel mode")
        elif not arguments or name in (b"include", b"rename-command"):
            raise BadValue(b"Bad directive or wrong number of arguments")
        else:
            self.unknown.append(directive)
            self._warn(f"{_text(name)} is not a directive that is known here; it is kept, and has no effect")

    def _take_parameter(self, parameter: Parameter, arguments: list[bytes]) -> None:
        if not parameter.kind.many and len(arguments) != 1:
            raise BadValue(b"wrong number of arguments")
        if parameter.kind.many and len(arguments) == 1 and arguments[0]:
            arguments = arguments[0].split(b" ")
        # `save` lines add up, beginning with the first, which replaces the default.
        first = parameter.name == b"save" and parameter.name not in self._mentioned
        current = () if first else getattr(self, parameter.attribute)
        self._mentioned[parameter.name] = None
        setattr(self, parameter.attribute, self._parse(parameter, arguments, current))

    def _parse(self, parameter: Parameter, arguments: Sequence[bytes], current: Any) -> Any:
        value = parameter.kind.parse(arguments, current)
        resolve = self.resolve.get(parameter.attribute)
        return resolve(value) if resolve else value

    def _include(self, pattern: bytes, depth: int) -> None:
        if depth == DEEPEST_INCLUDE:
            raise BadValue(b"Files include each other")
        for path in self._matching(pattern):
            self._load_text(_read(self._files, path), depth + 1)

    def _matching(self, pattern: bytes) -> list[bytes]:
        """The files that a name stands for; a pattern may match none."""
        if self._files is not None and any(special in pattern for special in (b"*", b"?", b"[")):
            return self._files.glob(pattern)
        return [pattern]

    def _rename_command(self, old: bytes, new: bytes) -> None:
        """Note that a command is to have another name, or with an empty one none."""
        names = set(COMMANDS)
        gone = set()
        for before, after in self.renamed_commands:
            names.discard(before.lower())
            gone.add(before.lower())
            if after:
                names.add(after.lower())
                gone.discard(after.lower())
        if old.lower() in gone:
            raise BadValue(b"No such command in rename-command")
        if new and new.lower() in names:
            raise BadValue(b"Target command name already exists")
        self.renamed_commands.append((old, new))
        self._warn(
            "rename-command is obeyed, but superseded by ACLs: a name that is hidden protects only while it is secret,"
            " and clients and tools that rely on it break. 'ACL SETUSER default -flushall -flushdb' forbids a command"
            " to one user and keeps it for another."
        )
        if old.lower() not in names:
            self._warn(f"rename-command {_text(old)}: there is no such command here yet")

    def _keep_user(self, arguments: list[bytes]) -> None:
        name = arguments[0]
        if any(user[0] == name for user in self.users):
            reason = b"Duplicate user found. A user can only be defined once in config files"
            raise BadValue(b"Error in user declaration '%b': %b" % (name, reason))
        self.users.append([name, *checked_rules(arguments)])

    def _check_together(self) -> None:
        if self.cluster_enabled and self.replicaof:
            raise fatal_error(b"replicaof directive not allowed in cluster mode")

    def _warn_of_idle(self) -> None:
        """Warn of directives that were given, ask for something else than the default, and do nothing."""
        for name in self._mentioned:
            parameter = BY_NAME[name]
            value = getattr(self, parameter.attribute)
            if not value or value == parameter.default:
                continue  # switching off what is not there needs no warning
            if parameter.moot:
                self._warn(f"{_text(name)} is accepted and kept, but has no effect: {parameter.moot}")
            elif parameter.needs:
                self._warn(f"{_text(name)} is accepted and kept, but has no effect yet: it needs {parameter.needs}")

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    # --- CONFIG GET, SET, REWRITE -------------------------------------------------------------------------------------

    def get(self, patterns: Iterable[bytes]) -> dict[bytes, bytes]:
        """Names that match any of `patterns`, each with its value as text. Exact names answer as they were written.

        O(patterns * parameters). A hidden parameter answers to its exact name alone.
        """
        found: dict[bytes, bytes] = {}
        seen: set[bytes] = set()
        for pattern in patterns:
            if any(special in pattern for special in (b"*", b"?", b"[")):
                matches = glob_matcher(pattern, nocase=True)
                names = [name for name, each in BY_NAME.items() if not each.flags & HIDDEN and matches(name)]
            else:
                names = [pattern] if pattern.lower() in BY_NAME else []
            for name in names:
                if name.lower() not in seen:
                    seen.add(name.lower())
                    found[name] = self.show(BY_NAME[name.lower()])
        return found

    def show(self, parameter: Parameter) -> bytes:
        """A parameter's value as CONFIG GET answers it."""
        return parameter.kind.show(getattr(self, parameter.attribute))

    def set_many(self, words: Sequence[bytes], *, local: bool = False) -> None:
        """Do what CONFIG SET name value [name value ...] says: all of it, or nothing and a ReplyError.

        `local`: does the client connect from this machine? That is what `enable-protected-configs local` asks.
        """
        if len(words) % 2:
            raise SYNTAX_ERROR
        wanted = self._look_up(words[::2], local)
        before = {parameter: getattr(self, parameter.attribute) for parameter, _ in wanted}
        hooks: dict[Callable[[], None], None] = {}
        guilty = b""
        try:
            for (parameter, name), value in zip(wanted, words[1::2], strict=True):
                guilty = name
                self._set(parameter, value)
            for parameter, name in wanted:
                hook = self.on_change.get(parameter.attribute)
                if hook is not None and hook not in hooks and getattr(self, parameter.attribute) != before[parameter]:
                    guilty = name
                    hook()
                    hooks[hook] = None
        except BadValue as bad:
            for parameter, old in before.items():
                setattr(self, parameter.attribute, old)
            for hook in hooks:
                with suppress(BadValue):  # what worked before may not work now; the client hears of the first failure
                    hook()
            raise _set_failed(guilty, bad.reason) from None

    def _look_up(self, names: Sequence[bytes], local: bool) -> list[tuple[Parameter, bytes]]:
        """Each named parameter with the name it was asked by; ReplyError for the first that cannot be set."""
        wanted: list[tuple[Parameter, bytes]] = []
        seen: set[bytes] = set()
        for name in names:
            parameter = BY_NAME.get(name.lower())
            if parameter is None:
                raise ReplyError(b"ERR Unknown option or number of arguments for CONFIG SET - '%b'" % _c_string(name))
            if parameter.flags & IMMUTABLE:
                raise _set_failed(name, b"can't set immutable config")
            if parameter.flags & PROTECTED and not self._unprotected(local):
                raise _set_failed(name, b"can't set protected config")
            if name.lower() in seen:
                raise _set_failed(name, b"duplicate parameter")
            seen.add(name.lower())
            wanted.append((parameter, name.lower()))
        return wanted

    def _unprotected(self, local: bool) -> bool:
        """Whether CONFIG SET may touch what decides which files are written."""
        allowed = self.enable_protected_configs
        return allowed == b"yes" or (allowed == b"local" and local)

    def _set(self, parameter: Parameter, text: bytes) -> None:
        arguments = [text]
        if parameter.kind.many:
            arguments = text.split(b" ") if text else []
        current = () if parameter.name == b"save" else getattr(self, parameter.attribute)
        setattr(self, parameter.attribute, self._parse(parameter, arguments, current))

    def rewritten_file(self, users: Sequence[bytes] = (), everything: bool = False) -> bytes:
        """What the configuration file has to say so that the server would start as it is now: its old text, edited.

        `users` are its lines about users; with an ACL file there must not be any. What is at its default and was not in
        the file is added only if it is to have `everything`. There must have been a file; one that is gone is written
        anew. Raises ReplyError with what the system says when the old one cannot be read.
        """
        assert self._files is not None, "there was a file"
        try:
            old = self._files.read(self.path)
        except FileNotFoundError:
            old = b""
        except OSError as error:
            raise ReplyError(b"ERR " + _reason(error)) from None
        rewriter = Rewriter(old, _primary_name)
        for parameter in PARAMETERS:
            value = getattr(self, parameter.attribute)
            for line, force in parameter.kind.rewrite(parameter.name, value, parameter.default):
                rewriter.put(parameter.name, line, force or everything)
            rewriter.done(parameter.name)
        for line in () if self.aclfile else users:
            rewriter.put(b"user", line, force=True)
        rewriter.done(b"user")
        return rewriter.text()


def checked_rules(arguments: list[bytes]) -> list[bytes]:
    """The rules of a `user` directive. Raises BadValue; unknown commands are for the start to complain about.

    As in Redis, the word that the message tells is the one two places before the guilty rule.
    """
    words = [b"user", *arguments]
    try:
        rules = joined(arguments[1:])
        apply_all(Users().new(arguments[0]), rules)
    except Unmatched as unmatched:
        raise BadValue(b"Error in user declaration '%b': Wrong format" % words[unmatched.index]) from None
    except RefusedRule as refused:
        if not refused.unknown_name:
            raise BadValue(b"Error in user declaration '%b': %b" % (words[refused.index], refused.reason)) from None
    return rules


def _primary_name(name: bytes) -> bytes:
    parameter = BY_NAME.get(name)
    return parameter.name if parameter else name


def _read(files: Files | None, path: bytes) -> bytes:
    try:
        if files is None:
            raise FileNotFoundError(2, "No such file or directory")
        return files.read(path)
    except OSError as error:
        raise ConfigError(b"Fatal error, can't open config file '%b': %b\n" % (path, _reason(error))) from None


def _reason(error: OSError) -> bytes:
    return (error.strerror or str(error)).encode()


def _set_failed(name: bytes, reason: bytes) -> ReplyError:
    return ReplyError(b"ERR CONFIG SET failed (possibly related to argument '%b') - %b" % (_c_string(name), reason))


def _c_string(name: bytes) -> bytes:
    return name.partition(b"\0")[0]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
