"""The one-line notation in which a command's arguments are declared.

`COMMAND DOCS` describes each command as a tree: which arguments are keys or integers, which are words spelled out,
what is optional, what excludes what. Client libraries generate code from this tree. Written out as data it is ten
times as long as the sentence everybody knows, `SET key value [NX | XX]`, and nobody reads it; so here the sentence is
the source and the tree follows from it. `parse` turns a line into the name and the tree; the arity follows from the
tree.

    SET key value [condition:(NX | XX)@2.6.12] [GET@6.2.0] [expiration:(EX seconds | PX milliseconds | KEEPTTL)]

- A lower-case word is an argument. Its type follows from `TYPE_OF_WORD` (`seconds` is an integer, `key` a key, whatever
  is not listed a string) or is written out: `min/double`. `storekey:key` is named storekey and shown as key.
- An UPPER-CASE word is a token, sent as it stands. A token directly before an argument or a group belongs to it
  (`EX seconds`, `AGGREGATE (SUM | MIN | MAX)`); otherwise it is an argument of its own, named after itself or as told:
  `change:CH`. Punctuation counts as upper case (`equal:=`); anything may be quoted (`empty-string:""`).
- `[...]` is optional. `(a | b)` is one of several and carries a name, `condition:(NX | XX)`, unless a token before it
  lends its own.
- `data:(field value)` is a block. Without a name, its leading token is the block's token and lends the name: `[LIMIT
  offset count]`.
- `key ...` repeats. `(GET pattern) ...` repeats together with its token.
- `@6.2.0` tells since when an argument exists, `@..2.8.12` since when it is deprecated.
- Key arguments refer to the command's key specifications in order: the first to 0, the next to 1; `key2#0` says
  otherwise, and makes an argument of another type refer to one too (SORT's patterns).

A line is parsed once, at import. A mistake in it is ours, hence an assertion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

TYPES: Final = ("string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof", "block")

_WORDS_OF_TYPE: Final = {
    "key": "key key1 key2 newkey source destination destkey sourcekey src dst",
    "integer": """
        seconds milliseconds ms timeout ttl count cursor offset index index1 index2 len limit db destination-db
        numkeys numfields numids numlocal numreplicas num-matches decrement increment start end stop rank weight bit
        bits port cluster-bus-port protover version client-id slot start-slot end-slot config-epoch frequency maxage
        entries-added entries-read min-match-len
    """,
    "double": "score radius width height longitude latitude",
    "unix-time": "unix-time-seconds unix-time-milliseconds",
    "pattern": "pattern",
}
TYPE_OF_WORD: Final[dict[str, str]] = {word: kind for kind, words in _WORDS_OF_TYPE.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class Argument:
    """One node of the argument tree, as COMMAND DOCS shows it.

    `shown` is the display text and empty for groups; `token` is None where there is none (an empty token exists:
    MIGRATE's `""`); `key_spec` is the index of the key specification that a key argument belongs to.
    """

    name: str
    type: str
    shown: str = ""
    token: str | None = None
    since: str = ""
    deprecated_since: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    key_spec: int | None = None
    arguments: tuple[Argument, ...] = ()


class Syntax(NamedTuple):
    """What a syntax line says: the words of the command's name, its argument tree, and the arity that follows."""

    words: tuple[str, ...]
    arguments: tuple[Argument, ...]
    arity: int


def parse(line: str, *, name_words: int = 1) -> Syntax:
    """Parse a syntax line whose first `name_words` words (two for a subcommand) are the command's name."""
    lexemes = _lex(line)
    words = tuple(lexemes[:name_words])
    assert len(words) == name_words and all(_is_token(word) for word in words), f"no command name in: {line}"
    parser = _Parser(line, lexemes[name_words:])
    arguments = _number_keys(parser.sequence())
    assert parser.peek() == "", f"unbalanced at {parser.peek()!r}: {line}"
    return Syntax(words, arguments, arity_of(arguments, name_words))


def arity_of(arguments: tuple[Argument, ...], name_words: int = 1) -> int:
    """The number of words a call must have, its name included; negative if it may have more."""
    least = name_words + sum(_least_words(argument) for argument in arguments)
    return -least if any(_is_elastic(argument) for argument in arguments) else least


def _least_words(argument: Argument) -> int:
    if argument.optional:
        return 0
    own = 0 if argument.token is None or argument.type == "pure-token" else 1
    match argument.type:
        case "oneof":
            # A choice may be marked optional (CLIENT KILL's filters), but choosing nothing is no choice.
            return own + max(1, min(_least_words(choice) for choice in argument.arguments))
        case "block":
            return own + sum(_least_words(part) for part in argument.arguments)
        case _:
            return own + 1


def _is_elastic(argument: Argument) -> bool:
    if argument.optional or argument.multiple or any(_is_elastic(part) for part in argument.arguments):
        return True
    return argument.type == "oneof" and len({_least_words(choice) for choice in argument.arguments}) > 1


def _number_keys(arguments: tuple[Argument, ...], start: int = 0) -> tuple[Argument, ...]:
    """Give each key argument, in reading order, the index of its key specification where the line does not tell it."""
    following = start

    def walk(argument: Argument) -> Argument:
        nonlocal following
        if argument.type == "key" or argument.key_spec is not None:
            index = following if argument.key_spec is None else argument.key_spec
            following = index + 1
            return replace(argument, key_spec=index)
        if argument.arguments:
            return replace(argument, arguments=tuple(walk(part) for part in argument.arguments))
        return argument

    return tuple(walk(argument) for argument in arguments)


# -- lexemes ---------------------------------------------------------------------------------------------------------
# A name (`condition:`) is its own lexeme, and so is each mark; a word may hold further colons (`addr:ip:port`).

_LEXEME: Final = re.compile(
    r"""\s*( \.\.\. | @(?:\.\.)?\d[\d.]* | \#\d+ | /[a-z-]+ | [()\[\]|]  # marks and brackets
          | "[^"]*" | [a-z][a-z0-9-]*: | [^\s()\[\]|@\#/"]+ )            # quoted; a name; a word
    """,
    re.VERBOSE,
)


def _lex(line: str) -> list[str]:
    lexemes: list[str] = []
    position, end = 0, len(line.rstrip())
    while position < end:
        match = _LEXEME.match(line, position)
        assert match, f"cannot read {line[position:]!r}: {line}"
        lexeme, position = match[1], match.end()
        # Only the first colon names: in `addr:ip:port` the shown text is `ip:port`.
        if lexemes and lexeme.endswith(":") and lexemes[-1].endswith(":") and not match[0][0].isspace():
            rest = re.compile(r"[^\s()\[\]|@#/]+").match(line, match.start(1))
            assert rest
            lexeme, position = rest[0], rest.end()
        lexemes.append(lexeme)
    return lexemes


def _is_name(lexeme: str) -> bool:
    return lexeme.endswith(":") and len(lexeme) > 1 and lexeme[0] != '"'


def _is_mark(lexeme: str) -> bool:
    return lexeme == "..." or lexeme[:1] in ("@", "#", "/")


def _is_token(lexeme: str) -> bool:
    """Tokens are spelled without lower-case letters, or quoted."""
    if lexeme == "" or lexeme in "()[]|" or _is_mark(lexeme) or _is_name(lexeme):
        return False
    return lexeme[0] == '"' or lexeme == lexeme.upper()


def _is_word(lexeme: str) -> bool:
    """Whether this is a plain argument, not a token."""
    return lexeme[:1].isalpha() and not _is_name(lexeme) and not _is_token(lexeme)


# -- the recursive descent -------------------------------------------------------------------------------------------


class _Parser:
    """Reads lexemes from the left; one method per rule of the notation."""

    def __init__(self, line: str, lexemes: list[str]) -> None:
        self.line = line
        self.lexemes = lexemes
        self.position = 0

    def peek(self, ahead: int = 0) -> str:
        index = self.position + ahead
        return self.lexemes[index] if index < len(self.lexemes) else ""

    def take(self, expected: str = "") -> str:
        lexeme = self.peek()
        assert lexeme and (not expected or lexeme == expected), f"expected {expected!r}, found {lexeme!r}: {self.line}"
        self.position += 1
        return lexeme

    def sequence(self) -> tuple[Argument, ...]:
        items: list[Argument] = []
        while self.peek() not in ("", "|", ")", "]"):
            items.append(self.item())
        return tuple(items)

    def item(self) -> Argument:
        token: str | None = None
        if _is_token(self.peek()):
            token = self.take().strip('"')
            if not (_is_word(self.peek()) or self.peek() == "(" or self.names_an_argument()):
                return self.marks(Argument(token.lower(), "pure-token", token.lower(), token))
        name = self.take()[:-1] if _is_name(self.peek()) else ""
        if self.peek() in ("(", "["):
            return self.marks(self.group(name, token), parenthesised=token is None and not name)
        shown = self.take()
        if _is_token(shown):
            assert token is None, f"a token before a token: {self.line}"
            return self.marks(Argument(name, "pure-token", name, shown.strip('"')))
        assert _is_word(shown), f"expected an argument, found {shown!r}: {self.line}"
        return self.marks(Argument(name or shown, TYPE_OF_WORD.get(shown, "string"), shown, token))

    def names_an_argument(self) -> bool:
        """Whether a name follows that belongs to an argument or a group, which a token goes with."""
        return _is_name(self.peek()) and (_is_word(self.peek(1)) or self.peek(1) == "(")

    def group(self, name: str, token: str | None) -> Argument:
        opening = self.take()
        choices = [self.sequence()]
        while self.peek() == "|":
            self.take("|")
            choices.append(self.sequence())
        self.take(")" if opening == "(" else "]")
        name = name or (token or "").lower()
        if len(choices) > 1:
            assert name, f"a choice needs a name: {self.line}"
            inner = Argument(name, "oneof", "", token, arguments=tuple(self.one(choice) for choice in choices))
        elif name:
            inner = Argument(name, "block", "", token, arguments=choices[0])
        else:
            inner = self.one(choices[0])
        return replace(inner, optional=True) if opening == "[" else inner

    def one(self, items: tuple[Argument, ...]) -> Argument:
        """An unnamed sequence as one argument: itself if there is one, else the block that its leading token names."""
        assert items, f"an empty group: {self.line}"
        first, *others = items
        if not others:
            return first
        named_by_token = first.token is not None and first.type != "pure-token"
        assert first.token is not None and named_by_token, f"a block needs a name: {self.line}"
        return Argument(
            first.token.lower(), "block", "", first.token, arguments=(replace(first, token=None), *others)
        )

    def marks(self, argument: Argument, *, parenthesised: bool = False) -> Argument:
        while _is_mark(self.peek()):
            mark = self.take()
            if mark == "...":
                with_token = parenthesised and argument.token is not None
                argument = replace(argument, multiple=True, multiple_token=with_token)
            elif mark.startswith("@.."):
                argument = replace(argument, deprecated_since=mark[3:])
            elif mark[0] == "@":
                argument = replace(argument, since=mark[1:])
            elif mark[0] == "#":
                argument = replace(argument, key_spec=int(mark[1:]))
            else:
                assert mark[1:] in TYPES, f"no such type {mark}: {self.line}"
                argument = replace(argument, type=mark[1:])
        return argument
