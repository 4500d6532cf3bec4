"""All users of a node, and the file they are kept in.

Question it answers: how do rules change under connections that are using them? A user is one object, and who is logged
in under its name is judged by it at each call. So a change is made on a copy and taken over when every rule of it was
good: nobody ever sees a user half changed, and a mistake in the last rule changes nothing.

The default user is who everybody is before AUTH. It always exists, and unless it is given a password it is open.

An ACL file has a line for each user, `user NAME rules...`; empty lines are skipped, and there are no comments. It is
loaded whole or not at all, since half a file is a hole in the fence.

Invariants:
1. `default` is one of `by_name`, and its name is `default`.
2. A user's key in `by_name` is its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mini_redis.security.catalogue import catalogue
from mini_redis.security.selector import RuleError
from mini_redis.security.user import User

DEFAULT: Final = b"default"
NO_CHANGE: Final = b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
UNMATCHED: Final = b"Unmatched parenthesis in acl selector starting at '%b'."
_BLANKS: Final = b" \t\r\n"
_SPACES: Final = b" \t\n\v\f\r\0"


class RefusedRule(Exception):
    """A rule of several that cannot be carried out."""

    def __init__(self, index: int, rule: bytes, error: RuleError) -> None:
        super().__init__(rule, error.reason)
        self.index = index
        self.rule = rule
        self.reason = error.reason
        self.unknown_name = error.unknown_name


class Unmatched(Exception):
    """A selector that is opened by the word at `index` and never closed."""

    def __init__(self, index: int, word: bytes) -> None:
        super().__init__(index, word)
        self.index = index
        self.word = word


class AclFileError(Exception):
    """What is wrong with an ACL file: all of it, in one line."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class Users:
    """See the module. `all_channels` is `acl-pubsub-default`: what users who are created from now on start with."""

    def __init__(self, *, all_channels: bool = False) -> None:
        self.all_channels = all_channels
        self.catalogue = catalogue()
        self.default = open_default(self)
        self.by_name: dict[bytes, User] = {DEFAULT: self.default}

    def names(self) -> list[bytes]:
        """In the order of their bytes. O(users * log(users))."""
        return sorted(self.by_name)

    def lines(self) -> list[bytes]:
        """A line for each user as in an ACL file, by name."""
        return [b"user " + name + b" " + self.by_name[name].describe() for name in self.names()]

    @property
    def all_unrestricted(self) -> bool:
        """Whether nobody can be refused anything. O(users)."""
        return all(user.unrestricted for user in self.by_name.values())

    def new(self, name: bytes) -> User:
        """A user who may do nothing and is not one of these yet."""
        return User(name, self.catalogue, all_channels=self.all_channels)

    def changed(self, name: bytes, rules: Sequence[bytes]) -> User:
        """A copy of the user, or a new one, after `rules`. Raises RefusedRule. O(rules)."""
        changed = self.new(name)
        known = self.by_name.get(name)
        if known is not None:
            changed.copy_from(known)
        apply_all(changed, rules)
        return changed

    def take_over(self, changed: User) -> None:
        """Make the user of this name like `changed`."""
        known = self.by_name.get(changed.name)
        if known is None:
            self.by_name[changed.name] = changed
        else:
            known.copy_from(changed)

    def remove(self, name: bytes) -> bool:
        """Forget a user; False if there is none. The default user stays."""
        assert name != DEFAULT, "the default user cannot be removed"
        return self.by_name.pop(name, None) is not None

    def replace_all(self, others: Users) -> None:
        """Take over all users of `others`, and only them."""
        self.default.copy_from(others.default)
        self.by_name = {**others.by_name, DEFAULT: self.default}

    def check(self) -> None:
        """Raise AssertionError if an invariant of the module does not hold."""
        assert self.by_name.get(DEFAULT) is self.default, "the default user is not one of them"
        for name, user in self.by_name.items():
            assert user.name == name, "filed under another name"
            user.check()


def open_default(users: Users) -> User:
    """The default user of a server that was told nothing."""
    user = users.new(DEFAULT)
    for rule in (b"+@all", b"~*", b"&*", b"on", b"nopass"):
        user.apply(rule)
    return user


def apply_all(user: User, rules: Sequence[bytes]) -> None:
    """Carry out rules in order. Raises RefusedRule at the first that cannot be; those before it were."""
    for index, rule in enumerate(rules):
        try:
            user.apply(rule)
        except RuleError as error:
            raise RefusedRule(index, rule, error) from None


def valid_name(name: bytes) -> bool:
    """Whether it can stand in a line of an ACL file."""
    return not any(byte in _SPACES for byte in name)


def joined(words: Sequence[bytes]) -> list[bytes]:
    """The rules that are said by `words`: those of a selector in parentheses are one. Raises Unmatched. O(words)."""
    rules: list[bytes] = []
    opened: list[bytes] = []
    opened_at = 0
    for index, word in enumerate(words):
        if opened:
            opened.append(word.partition(b"\0")[0])  # C's strings end there
            if word.endswith(b")"):
                rules.append(b" ".join(opened))
                opened = []
        elif word.startswith(b"(") and not word.endswith(b")"):
            opened, opened_at = [word], index
        else:
            rules.append(word)
    if opened:
        raise Unmatched(opened_at, opened[0])
    return rules


def read_acl_file(path: bytes, text: bytes, *, all_channels: bool = False) -> Users:
    """The users that an ACL file describes. Raises AclFileError with all that is wrong in it. O(text).

    A file that does not speak of the default user means an open one. As in Redis, but for a selector that is not
    closed: 8.2.3 crashes there.
    """
    users = Users(all_channels=all_channels)
    named: dict[bytes, None] = {}
    errors = b""
    for number, raw in enumerate(text.split(b"\n"), start=1):
        line = raw.strip(_BLANKS)
        if not line:
            continue
        words = line.split(b" ")
        if words[0] != b"user" or len(words) < 2:
            errors += b"%b:%d should start with user keyword followed by the username. " % (path, number)
        elif not valid_name(words[1]):
            errors += b"'%b:%d: username '%b' contains invalid characters. " % (path, number, words[1])
        elif words[1] in named:
            errors += b"WARNING: Duplicate user '%b' found on line %d. " % (words[1], number)
        else:
            named[words[1]] = None
            errors += _read_user(users, words, b"%b:%d: " % (path, number))
    if errors:
        raise AclFileError(errors + NO_CHANGE)
    return users


def _read_user(users: Users, words: list[bytes], where: bytes) -> bytes:
    """Add the user of a line; what is wrong with the line. Of mistakes that are no unknown names the first is told."""
    user = users.new(words[1])
    try:
        rules = joined(words[2:])
    except Unmatched as unmatched:
        return where + UNMATCHED % unmatched.word + b" "
    errors = b""
    told = False
    for rule in rules:
        try:
            user.apply(rule.strip(b"\t\r\n"))
        except RuleError as error:
            if error.unknown_name:
                errors += where + b"Error in applying operation '%b': %b. " % (rule, error.reason)
            elif not told:
                told = True
                errors += where + error.reason + b". "
    users.take_over(user)
    return errors
