"""Functions: code that the database keeps.

Question it answers: why functions when there are scripts? A script belongs to the application, which sends its text
whenever the server has forgotten it. A library of functions belongs to the data: it is loaded once, saved and
replicated with the keys, and called by name.

A library's first line tells its engine and its name, `#!lua name=mylib`; its code runs once when it is loaded, and
registers functions. What it keeps in locals lasts as long as the library.

Invariants: function names are unique over all libraries, and case does not matter in them (not in one library either,
where Redis 8.2.3 forgets to look, and stops when the library is deleted); a library has at least one function.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from mini_redis.resp.parser import split_quoted
from mini_redis.resp.reply import Reply, ReplyError, SetReply, SimpleString
from mini_redis.scripting.interpreter import FUNCTION, Interpreter
from mini_redis.scripting.lua import LuaError, Raised, Value, is_table, to_text, type_name

LIBRARY_FLAGS: Final = (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")

MISSING_METADATA: Final = ReplyError(b"ERR Missing library metadata")
INVALID_METADATA: Final = ReplyError(b"ERR Invalid library metadata")
NAME_MISSING: Final = ReplyError(b"ERR Library name was not given")
NAME_TWICE: Final = ReplyError(b"ERR Invalid metadata value, name argument was given multiple times")
BAD_NAME_TEXT: Final = (
    b"Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
)
NO_FUNCTIONS: Final = ReplyError(b"ERR No functions registered")

_NAME: Final = re.compile(rb"[A-Za-z0-9_]+")


@dataclass(slots=True, eq=False)
class Function:
    """What FCALL calls."""

    source: ClassVar[bytes] = FUNCTION
    name: bytes
    callback: Value
    flags: frozenset[bytes]
    description: bytes | None
    library: Library


@dataclass(slots=True, eq=False)
class Library:
    name: bytes
    code: bytes
    functions: dict[bytes, Function] = field(default_factory=dict)
    """By name in lower case."""

    def described(self, with_code: bool) -> Reply:
        """What FUNCTION LIST tells of it."""
        functions = [
            {
                b"name": function.name,
                b"description": function.description,
                b"flags": SetReply(SimpleString(flag) for flag in LIBRARY_FLAGS if flag in function.flags),
            }
            for function in self.functions.values()
        ]
        told: dict[Reply, Reply] = {b"library_name": self.name, b"engine": b"LUA", b"functions": functions}
        if with_code:
            told[b"library_code"] = self.code
        return told


class Libraries:
    """All libraries of a node, by name, and their functions, by name in lower case."""

    def __init__(self) -> None:
        self.by_name: dict[bytes, Library] = {}
        self.functions: dict[bytes, Function] = {}

    def add(self, library: Library, *, replace: bool = False) -> None:
        """Raises ReplyError where a name is taken; then nothing has changed. O(functions)."""
        old = self.by_name.get(library.name)
        if old is not None and not replace:
            raise ReplyError(b"ERR Library %b already exists" % library.name)
        for function in library.functions.values():
            taken = self.find(function.name)
            if taken is not None and taken.library is not old:
                raise ReplyError(b"ERR Function %b already exists" % function.name)
        if old is not None:
            self.remove(old.name)
        self.by_name[library.name] = library
        self.functions.update(library.functions)

    def find(self, name: bytes) -> Function | None:
        """The function of this name, in any case. O(1)."""
        return self.functions.get(name) or self.functions.get(name.lower())

    def joined(self, others: Libraries, *, replace: bool) -> Libraries:
        """These and `others`; those win what is in both if they `replace`. Raises ReplyError. O(functions)."""
        joined = Libraries()
        for library in self.by_name.values():
            if not (replace and library.name in others.by_name):
                joined.add(library)
        for library in others.by_name.values():
            joined.add(library)
        return joined

    def remove(self, name: bytes) -> bool:
        """Whether there was such a library."""
        library = self.by_name.pop(name, None)
        if library is None:
            return False
        for function in library.functions.values():
            del self.functions[function.name.lower()]
        return True


def read_name(code: bytes) -> tuple[bytes, bytes]:
    """The library's name, told in the first line, and what is to be compiled. Raises what is wrong with that line."""
    if not code.startswith(b"#!"):
        raise MISSING_METADATA
    line, end, body = code.partition(b"\n")
    words = split_quoted(line) if end else None
    if words is None:
        raise INVALID_METADATA
    name = None
    for word in words[1:]:
        if word[:5].lower() != b"name=":
            raise ReplyError(b"ERR Invalid metadata value given: " + word)
        if name is not None:
            raise NAME_TWICE
        name = word[5:]
    if name is None:
        raise NAME_MISSING
    if not _NAME.fullmatch(name):
        raise ReplyError(b"ERR " + BAD_NAME_TEXT)
    engine = words[0].removeprefix(b"#!")
    if engine.lower() != b"lua":
        raise ReplyError(b"ERR Engine '%b' not found" % engine)
    return name, b"\n" + body


def load(lua: Interpreter, code: bytes, others: Libraries | None) -> Library:
    """Run a library's code, which registers its functions. Raises what is wrong with it.

    Its name must not be taken among `others`.
    """
    name, body = read_name(code)
    if others is not None and name in others.by_name:
        raise ReplyError(b"ERR Library '%b' already exists" % name)
    library = Library(name, code)
    try:
        chunk = lua.compile(body)
    except LuaError as error:
        raise ReplyError(b"ERR Error compiling function: " + error.text) from None

    def register(*arguments: Value) -> None:
        try:
            function = _declared(library, arguments)
        except LuaError as error:
            raise Raised(b"ERR " + error.text, reply=True) from None
        library.functions[function.name.lower()] = function

    failure = lua.load(chunk, register)
    if failure is not None:
        raise ReplyError(b"ERR Error registering functions: " + failure.text)
    if not library.functions:
        raise NO_FUNCTIONS
    return library


def _declared(library: Library, arguments: tuple[Value, ...]) -> Function:
    """What a call of redis.register_function declares: by position, or in one table by name."""
    called = b"redis.register_function"
    if not 1 <= len(arguments) <= 2:
        raise LuaError(b"wrong number of arguments to " + called)
    if len(arguments) == 2:
        name, callback = arguments
        flags: frozenset[bytes] = frozenset()
        description = None
        if to_text(name) is None:
            raise LuaError(b"first argument to %b must be a string" % called)
        if type_name(callback) != b"function":
            raise LuaError(b"second argument to %b must be a function" % called)
    elif is_table(arguments[0]):
        name, callback, flags, description = _named(dict(arguments[0].items()), called)
    else:
        told = b"calling %b with a single argument is only applicable to Lua table (representing named arguments)."
        raise LuaError(told % called)
    text = to_text(name)
    if text is None or not _NAME.fullmatch(text):
        raise LuaError(BAD_NAME_TEXT)
    if text.lower() in library.functions:
        raise LuaError(b"Function already exists in the library")
    return Function(text, callback, flags, description, library)


def _named(given: dict[Value, Value], called: bytes) -> tuple[Value, Value, frozenset[bytes], bytes | None]:
    flags: frozenset[bytes] = frozenset()
    for key, value in given.items():
        if key in (b"function_name", b"description"):
            if to_text(value) is None:
                raise LuaError(b"%b argument given to %b must be a string" % (key, called))
        elif key == b"callback":
            if type_name(value) != b"function":
                raise LuaError(b"callback argument given to %b must be a function" % called)
        elif key == b"flags":
            if not is_table(value):
                raise LuaError(b"flags argument to %b must be a table representing function flags" % called)
            present = dict(value.items())
            words: list[Value] = []
            while (word := present.get(len(words) + 1)) is not None:
                words.append(word)
            if any(word not in LIBRARY_FLAGS for word in words):
                raise LuaError(b"unknown flag given")
            flags = frozenset(words)
        else:
            raise LuaError(b"unknown argument given to " + called)
    if b"function_name" not in given:
        raise LuaError(b"%b must get a function name argument" % called)
    if b"callback" not in given:
        raise LuaError(b"%b must get a callback argument" % called)
    return given[b"function_name"], given[b"callback"], flags, to_text(given.get(b"description"))
