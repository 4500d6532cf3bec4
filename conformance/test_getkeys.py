"""Where are the keys? Random calls of every command that both servers know, sensible and not, asked of both.

COMMAND GETKEYS and GETKEYSANDFLAGS make no call, so nonsense is as good as sense: counts that are none, options in the
wrong place, words that are missing. A failure prints the seed and the call.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from .endpoints import Endpoint
from .wire import Connection, encode_command

CALLS = int(os.environ.get("CONFORMANCE_GETKEYS", "4000"))
_VALUES = "a b c d * 0 1 2 3 -1 10 01 x y"
_OPTIONS = (
    "STORE STREAMS KEYS BY GET WEIGHTS AGGREGATE LIMIT COUNT EX LEFT RIGHT MIN MAX FIELDS MATCH"
    " STOREDIST ID BLOCK GROUP WITHSCORES AUTH AUTH2 streams Store NX AND DIFF"
)
WORDS = f"{_VALUES} {_OPTIONS}".split()  # noqa: SIM905


def names(connection: Connection) -> dict[str, bool]:
    """Full name -> whether it can have keys, of commands and subcommands."""
    found: dict[str, bool] = {}
    for entry in connection.call(b"COMMAND").children:
        subcommands = entry.children[9].children if len(entry.children) > 9 else ()
        for one in (entry, *subcommands):
            found[one.children[0].text.decode().lower()] = bool(one.children[8].children)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_keys_of_random_calls(oracle: Endpoint, subject: Endpoint, seed: int) -> None:
    theirs, ours = oracle.connect(), subject.connect()
    known = names(theirs)
    shared = [name for name in names(ours) if name in known]
    keyed = [name for name in shared if known[name]]
    rng = Random(seed)
    differences = []
    for _ in range(CALLS):
        name = rng.choice(keyed if rng.random() < 0.95 else shared)
        call = [*name.split("|"), *(rng.choice(WORDS) for _ in range(rng.randrange(10)))]
        argv = [b"COMMAND", rng.choice((b"GETKEYS", b"GETKEYSANDFLAGS")), *(word.encode() for word in call)]
        for connection in (theirs, ours):
            connection.send(encode_command(argv))
        expected, got = theirs.read_reply(), ours.read_reply()
        if expected.raw != got.raw:
            differences.append((call, expected.raw, got.raw))
    theirs.close()
    ours.close()
    assert not differences, f"seed {seed}: {len(differences)} differ, such as {differences[0]}"
