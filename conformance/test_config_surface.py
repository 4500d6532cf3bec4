"""The whole configuration surface is the oracle's: names, defaults, and what CONFIG SET says to right and wrong values.

Each parameter of our table is set on both servers to values around its bounds, to words of other kinds and to garbage;
replies must be equal byte for byte, and what CONFIG GET shows afterwards too. Values that would make either server do
something (listen elsewhere, write files, disconnect us) or that crash this build of the oracle are never sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import pytest

from mini_redis.server.config_kinds import BadValue, Choice, Integer, Options
from mini_redis.server.config_table import BY_NAME, HIDDEN, IMMUTABLE, PARAMETERS, Parameter

from .endpoints import start
from .wire import Connection

Pair: TypeAlias = tuple[Connection, Connection]

GIVEN_AT_START = {b"port", b"bind", b"dir", b"save", b"enable-debug-command", b"unixsocket", b"pidfile", b"logfile"}
ACTS_OUTSIDE = {b"port", b"bind", b"dir", b"oom-score-adj", b"oom-score-adj-values", b"watchdog-period", b"requirepass"}
WITHOUT_TLS = b"tls-"  # the oracle was built without, and ends when one of these takes a value
CRASHES_THE_ORACLE = {b"tls-port"}  # even with a wrong one
MOST_CLIENTS = 5000  # above, the answer depends on the machine's limits
HARMLESS = [
    b"", b"abc", b"a b", b"-1", b"01", b"+1", b" 7", b"1.5", b"5%%", b"-5%", b"101%", b"7tb", b"0x7", b"\xff", b"a/b",
    b"maybe", b"yes no", b"save nosave", b"now  force", b"900", b"900 x", b"0 1", b"normal 1", b"nobody 1 2 3",
    b"normal x 1 1", b"50 x", b"50 100.1", b"KE?", b"99999999999999999999", b"9223372036854775808", b"-99999999999999",
]  # fmt: skip
"""Wrong for nearly every parameter, and without consequence where it is right."""
RIGHT = {
    b"save": [b"900 1", b"900 1 300 10", b"\t60 5", b"60 99999999999"],
    b"client-output-buffer-limit": [b"normal 1gb 512mb 60", b"REPLICA 1mb 1k 5 pubsub 32mb 8mb 60", b""],
    b"notify-keyspace-events": [b"KEA", b"AKEmn", b"g$lshzxet", b"g$lshzxetd", b"Ex", b"ndEK"],
    b"latency-tracking-info-percentiles": [b"", b"50.0 99.99", b"0x10 1e1 -0", b"99.123456789"],
    b"shutdown-on-sigint": [b"nosave force now", b"default now", b"NOW"],
    b"maxmemory": [b"100mb", b"2GB", b"1000000k", b"1000000000000gb"],
    b"maxmemory-clients": [b"5%", b"100%", b"0%", b"1gb", b"18446744073709551614"],
    b"hz": [b"0", b"500", b"501"],
    b"proc-title-template": [b"{title} x", b"{nope}", b"{title", b"}"],
    b"locale-collate": [b"C", b"POSIX"],
    b"masterauth": [b"x\0y"],
    b"masteruser": [b"x\0y"],
    b"cluster-announce-hostname": [b"a.b-c", b"x" * 255, b"x" * 256, b"a_b"],
    b"cluster-announce-human-nodename": [b"a_b c", b"a:b", b"a\0b"],
    b"dbfilename": [b"x.rdb"],
}


@pytest.fixture(scope="module", params=[2, 3], ids=["RESP2", "RESP3"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A connection to the subject and one to the oracle, each in a process that nobody else uses."""
    servers = [start("mini_redis"), start("redis-8.2")]
    subject, oracle = (server.connect() for server in servers)
    try:
        for connection in (subject, oracle):
            connection.call(b"HELLO", b"%d" % request.param)
        yield subject, oracle
    finally:
        for connection in (subject, oracle):
            connection.close()
        for server in servers:
            server.stop()


def test_names_and_defaults(pair: Pair) -> None:
    ours, theirs = (shown(connection, b"*") for connection in pair)
    assert sorted(ours) == sorted(theirs)
    assert {n: v for n, v in ours.items() if n not in GIVEN_AT_START} == {
        n: v for n, v in theirs.items() if n not in GIVEN_AT_START
    }


def test_hidden_parameters_answer_to_their_exact_name_alone(pair: Pair) -> None:
    for parameter in PARAMETERS:
        if parameter.flags & HIDDEN:
            for pattern in (parameter.name, parameter.name.upper(), parameter.name + b"*"):
                ours, theirs = (connection.call(b"CONFIG", b"GET", pattern).raw for connection in pair)
                assert ours == theirs, pattern


@pytest.mark.parametrize("name", BY_NAME, ids=lambda name: name.decode())
def test_config_set(pair: Pair, name: bytes) -> None:
    """Every attempt gets the same reply, and leaves the same value."""
    if name in CRASHES_THE_ORACLE:
        pytest.skip("this build of the oracle does not survive it")
    before = shown(pair[1], name)[name]
    for value in attempts(name, BY_NAME[name]):
        ours, theirs = (connection.call(b"CONFIG", b"SET", name, value) for connection in pair)
        assert ours.raw == theirs.raw, (name, value)
        if ours.text == b"OK":
            ours, theirs = (connection.call(b"CONFIG", b"GET", name) for connection in pair)
            assert ours.raw == theirs.raw, (name, value)
            for connection in pair:
                assert connection.call(b"CONFIG", b"SET", name, before).text == b"OK"


@pytest.mark.parametrize(
    "words",
    [
        [b"timeout", b"1", b"TIMEOUT", b"2"],
        [b"timeout", b"1", b"TIMEOUT", b"2", b"databases", b"1"],
        [b"slave-priority", b"5", b"replica-priority", b"6"],
        [b"timeout", b"1", b"hz"],
        [b"nope", b"1", b"databases", b"1"],
        [b"DATABASES", b"1", b"nope", b"1"],
        [b"no\r\npe", b"1"],
        [b"no\0pe", b"1"],
        [b"timeout", b"7", b"HZ", b"x"],
        [b"timeout", b"7", b"hz", b"20", b"maxmemory-samples", b"0"],
        [b"dbfilename", b"x", b"timeout", b"x"],
    ],
    ids=lambda words: b" ".join(words).decode("ascii", "backslashreplace"),
)
def test_several_at_once_are_all_set_or_none(pair: Pair, words: list[bytes]) -> None:
    watched = [b"timeout", b"hz", b"replica-priority", b"maxmemory-samples", b"dbfilename"]
    ours, theirs = (connection.call(b"CONFIG", b"SET", *words) for connection in pair)
    assert ours.raw == theirs.raw
    ours_after, theirs_after = ({name: shown(connection, name) for name in watched} for connection in pair)
    assert ours_after == theirs_after


def attempts(name: bytes, parameter: Parameter) -> list[bytes]:
    """Values to try: its own words and bounds, and what is wrong in one of many ways."""
    kind = parameter.kind
    values = HARMLESS + RIGHT.get(parameter.name, [])
    if isinstance(kind, (Choice, Options)):
        words = kind.words if isinstance(kind, Choice) else kind.choice.words
        values = values + [word.upper() for word in words]
    elif isinstance(kind, Integer):
        bounds = {kind.low - 1, kind.low, kind.low + 1, kind.high - 1, kind.high, kind.high + 1}
        values = values + [b"%d" % bound for bound in sorted(bounds)]
    elif name != b"appendonly":
        values = [*values, b"YES", b"no"]
    if parameter.flags & IMMUTABLE:
        values = values[:2]  # refused without a look at the value
    if parameter.name == b"maxclients":
        values = [value for value in values if not value.isdigit() or int(value) < MOST_CLIENTS]
    if parameter.name == b"maxmemory-clients":
        values = [value for value in values if value not in (b"1", b"99", b"01")]  # so little that we are evicted
    if name in ACTS_OUTSIDE or name.startswith(WITHOUT_TLS):
        values = [value for value in values if is_refused(parameter, value)]
    return values


def is_refused(parameter: Parameter, value: bytes) -> bool:
    """Whether the table alone says no."""
    try:
        parameter.kind.parse(value.split(b" ") if parameter.kind.many else [value], parameter.default)
    except BadValue:
        return True
    return False


def shown(connection: Connection, pattern: bytes) -> dict[bytes, bytes]:
    """CONFIG GET, under either protocol."""
    texts = [child.text for child in connection.call(b"CONFIG", b"GET", pattern).children]
    return dict(zip(texts[::2], texts[1::2], strict=True))
