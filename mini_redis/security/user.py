"""A user: whether he may come in, with which passwords, and what he may do.

    enabled      `on`: he can log in. Who is logged in stays, also when it is taken away
    no_password  any password will do
    passwords    SHA-256 of each, in hexadecimal, in the order in which they were given
    sanitize     whether a payload for RESTORE is checked deeply before it is trusted
    selectors    sets of rules. The first is the root selector, which the plain rules are about; a call is permitted if
                 any one of them permits it: its command and its keys and its channels

A password is kept as its hash so that who reads the configuration cannot log in. It is a fast hash without salt: good
for generated passwords (ACL GENPASS), which cannot be guessed, and not for human ones.

Invariants:
1. `no_password` implies no `passwords`.
2. There is a root selector.
3. `unrestricted` is true exactly if one selector permits everything.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from mini_redis.commands.keyspecs import Positions
from mini_redis.commands.registry import Command
from mini_redis.resp.parser import split_quoted
from mini_redis.security.catalogue import Catalogue
from mini_redis.security.selector import Denial, RuleError, Selector

NO_SUCH_PASSWORD: Final = b"The password you are trying to remove from the user does not exist"
BAD_HASH: Final = b"The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"

_HASH: Final = re.compile(rb"[0-9a-f]{64}")


class User:
    """See the module. A new one is off, has no password and may do nothing."""

    __slots__ = ("_all_channels", "_catalogue", "enabled", "name", "no_password", "passwords", "sanitize", "selectors",
                 "unrestricted")  # fmt: skip

    def __init__(self, name: bytes, catalogue: Catalogue, *, all_channels: bool = False) -> None:
        """`all_channels` is `acl-pubsub-default`: what new selectors permit."""
        self.name = name
        self._catalogue = catalogue
        self._all_channels = all_channels
        self.enabled = False
        self.no_password = False
        self.sanitize = True
        self.passwords: dict[bytes, None] = {}
        self.selectors = [Selector(catalogue, all_channels=all_channels)]
        self.unrestricted = False

    def copy_from(self, other: User) -> None:
        """Become like `other`, except for the name."""
        self.enabled, self.no_password, self.sanitize = other.enabled, other.no_password, other.sanitize
        self.passwords = dict(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]
        self.unrestricted = other.unrestricted

    # --- Rules -------------------------------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Carry out one rule, or raise RuleError and change nothing. The empty one means nothing."""
        if not rule:
            return
        match rule.partition(b"\0")[0].lower():
            case b"on":
                self.enabled = True
            case b"off":
                self.enabled = False
            case b"nopass":
                self.no_password = True
                self.passwords.clear()
            case b"resetpass":
                self.no_password = False
                self.passwords.clear()
            case b"sanitize-payload":
                self.sanitize = True
            case b"skip-sanitize-payload":
                self.sanitize = False
            case b"clearselectors":
                del self.selectors[1:]
            case b"reset":
                self._reset()
            case _:
                self._apply_about_something(rule)
        self.unrestricted = any(selector.unrestricted for selector in self.selectors)

    def _apply_about_something(self, rule: bytes) -> None:
        match rule[:1]:
            case b">":
                self._add_password(hashed(rule[1:]))
            case b"#":
                self._add_password(_checked_hash(rule[1:]))
            case b"<":
                self._remove_password(hashed(rule[1:]))
            case b"!":
                self._remove_password(_checked_hash(rule[1:]))
            case b"(" if rule.endswith(b")"):
                self._add_selector(rule[1:-1])
            case _:
                self.selectors[0].apply(rule)

    def _reset(self) -> None:
        """As if created just now."""
        self.enabled = self.no_password = False
        self.sanitize = True
        self.passwords.clear()
        self.selectors = [Selector(self._catalogue, all_channels=self._all_channels)]

    def _add_password(self, digest: bytes) -> None:
        self.passwords[digest] = None
        self.no_password = False

    def _remove_password(self, digest: bytes) -> None:
        if digest not in self.passwords:
            raise RuleError(NO_SUCH_PASSWORD)
        del self.passwords[digest]

    def _add_selector(self, rules: bytes) -> None:
        selector = Selector(self._catalogue, all_channels=self._all_channels)
        for word in split_quoted(rules) or ():  # as in Redis, nothing is understood of one whose quotes do not balance
            selector.apply(word)
        self.selectors.append(selector)

    # --- Decide ------------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether everybody can be this user without saying anything: what the default user may be."""
        return self.enabled and self.no_password

    def accepts(self, password: bytes) -> bool:
        """Whether one may log in with this password. O(passwords), in a time that tells nothing about them."""
        if not self.enabled:
            return False
        digest = hashed(password)
        fits = [hmac.compare_digest(digest, known) for known in self.passwords]
        return self.no_password or any(fits)

    def denial(self, command: Command, argv: Sequence[bytes]) -> Denial | None:
        """Why a call is refused, or None if any selector permits it. Of several reasons the one that came nearest."""
        if self.unrestricted:
            return None
        found: Positions | None = None

        def keys() -> Positions:
            nonlocal found
            if found is None:
                found = command.key_positions(argv)
            return found

        denials = []
        for selector in self.selectors:
            denial = selector.denial(command, argv, keys)
            if denial is None:
                return None
            denials.append(denial)
        return max(denials)

    def may_read_all_keys(self, command: Command, argv: Sequence[bytes]) -> bool:
        """Whether a selector that permits this call also lets every key be read: what SORT's BY and GET need."""
        return any(
            selector.reads_every_key and selector.denial(command, argv, lambda: command.key_positions(argv)) is None
            for selector in self.selectors
        )

    # --- Tell --------------------------------------------------------------------------------------------------------

    @property
    def flags(self) -> list[bytes]:
        """As ACL GETUSER shows them."""
        shown = [b"on" if self.enabled else b"off"]
        if self.no_password:
            shown.append(b"nopass")
        shown.append(b"sanitize-payload" if self.sanitize else b"skip-sanitize-payload")
        return shown

    def describe(self) -> bytes:
        """Rules that make a new user into one like this."""
        root, *others = self.selectors
        parts = [*self.flags, *(b"#" + digest for digest in self.passwords), root.describe()]
        parts += [b"(" + selector.describe() + b")" for selector in others]
        return b" ".join(parts)

    def check(self) -> None:
        """Raise AssertionError if an invariant of the module does not hold."""
        assert not (self.no_password and self.passwords), "a password where none is needed"
        assert self.selectors, "no root selector"
        assert self.unrestricted == any(selector.unrestricted for selector in self.selectors), "not as restricted"
        for selector in self.selectors:
            selector.check()


def hashed(password: bytes) -> bytes:
    """As passwords are kept."""
    return sha256(password).hexdigest().encode()


def _checked_hash(digest: bytes) -> bytes:
    if not _HASH.fullmatch(digest):
        raise RuleError(BAD_HASH)
    return digest
