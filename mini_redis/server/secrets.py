"""Which words of a call must not be shown: MONITOR and the slow log write `(redacted)` in their place.

A monitor may be anybody's terminal and a slow log is kept, so passwords, and who has which rights, stay out of both.

Redis lets each handler hide its own words while it runs, so that a call that is refused early (HELLO with a wrong
version, AUTH with a word too many) shows its password. Here the table below is asked, whatever became of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mini_redis.server.config_table import BY_NAME, SENSITIVE

REDACTED: Final = b"(redacted)"
Places = Callable[[Sequence[bytes]], Iterable[int]]


def without_secrets(name: bytes, argv: Sequence[bytes]) -> Sequence[bytes]:
    """The call of the command called `name`, fit to be shown. O(1) for most commands, else O(argv)."""
    secrets = SECRETS.get(name)
    if secrets is None:
        return argv
    words = list(argv)
    for place in secrets(argv):
        if place < len(words):
            words[place] = REDACTED
    return words


def _all_from(first: int) -> Places:
    return lambda argv: range(first, len(argv))


def _credentials_of_hello(argv: Sequence[bytes]) -> list[int]:
    return [
        place for at, word in enumerate(argv) if at > 1 and word.upper() == b"AUTH" for place in (at + 1, at + 2)
    ]


def _credentials_of_migrate(argv: Sequence[bytes]) -> list[int]:
    how_many = {b"AUTH": 1, b"AUTH2": 2}
    return [
        at + number
        for at, word in enumerate(argv)
        if at > 5
        for number in range(1, 1 + how_many.get(word.upper(), 0))
    ]


def _sensitive_parameters(argv: Sequence[bytes]) -> list[int]:
    found = []
    for at in range(2, len(argv), 2):
        parameter = BY_NAME.get(argv[at].lower())
        if parameter is not None and parameter.flags & SENSITIVE:
            found.append(at + 1)
    return found


SECRETS: Final[dict[bytes, Places]] = {
    b"auth": _all_from(1),
    b"hello": _credentials_of_hello,
    b"config|set": _sensitive_parameters,
    b"migrate": _credentials_of_migrate,
    b"acl|setuser": _all_from(2),
    b"acl|getuser": _all_from(2),
    b"acl|deluser": _all_from(2),
}
"""Command name -> the places in a call that are hidden."""
