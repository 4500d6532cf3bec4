"""Known drift: real servers of different versions agree but for what versions.toml explains, and it hides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import streams, versions
from .compare import Comparison, compare_streams
from .conftest import started
from .endpoints import Endpoint
from .outcome import Compared, Outcome
from .report import Run
from .runner import Duel
from .streams import Step, parse
from .versions import Drift, explain_drift
from .wire import parse_reply

REDIS_7, REDIS_8, VALKEY = ("redis", (7, 0, 15)), ("redis", (8, 2, 3)), ("valkey", (9, 1, 2))


@pytest.fixture(scope="module", params=("redis-7.0", "redis-6.2", "valkey-9.1"))
def other(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """A real server that is not the oracle."""
    yield from started(request.param)


def run(oracle: Endpoint, subject: Endpoint, *names: str) -> Run:
    comparison = Comparison(Duel(oracle, subject, timeout=2.0), divergences=[], shrinks=0)
    return compare_streams(comparison, [streams.load(path) for path in streams.find([Path(name) for name in names])])


def test_what_a_version_changed_is_known(oracle: Endpoint, other: Endpoint) -> None:
    found = run(oracle, other, "string", "generic/expire", "generic/keys", "generic/rename", "protocol/unknown")
    known = [one for one in found.findings if one.known is not None]
    assert len(found.unexplained) <= len(known) / 4, [one.compared.step.shown for one in found.unexplained]
    assert all("(since " in one.known.title for one in known if one.known is not None)


def test_commands_that_came_later_are_left_out(oracle: Endpoint, other: Endpoint) -> None:
    found = run(oracle, other, "string/lcs")
    if other.name == "redis-6.2":
        assert "LCS" in found.left_out
    else:
        assert found.left_out == {}
    assert not [one for one in found.unexplained if one.compared.step.argv[:1] == (b"LCS",)]


def test_what_both_lack_is_compared(oracle: Endpoint, second_oracle: Endpoint) -> None:
    verdict = Duel(oracle, second_oracle).run(parse(b"# x\na> NOSUCH k\na> GET k\n", "both"), 2)
    assert (verdict.left_out, len(verdict.compared)) == ((), 3)


def compared(oracle: bytes, subject: bytes, rule: str = "exact") -> Compared:
    outcomes = [Outcome((parse_reply(raw),)) for raw in (oracle, subject)]
    return Compared(Step("call", "a", (b"SET",)), outcomes[0], outcomes[1], rule, False)


OLD, NEW = b"-ERR invalid expire time in set\r\n", b"-ERR invalid expire time in 'set' command\r\n"


def test_drift_is_known_between_its_versions_alone() -> None:
    redis_6 = ("redis", (6, 2, 14))
    one = compared(NEW, OLD)
    place = ("SET", "SET k v EX 0", "s", 2)
    assert explain_drift((REDIS_8, redis_6), one, *place) is not None
    assert explain_drift((redis_6, REDIS_8), compared(OLD, NEW), *place) is not None
    assert explain_drift((REDIS_8, redis_6), compared(OLD, NEW), *place) is None  # the wrong way round
    assert explain_drift((REDIS_8, REDIS_7), one, *place) is None  # 7.0 has it already: a bug
    assert explain_drift((REDIS_8, redis_6), compared(NEW, b"-ERR invalid expire\r\n"), *place) is None


def test_valkey_parted_after_7_2() -> None:
    def drift(**since: str) -> Drift:
        return Drift("t", "r", since, old="x")

    assert drift(redis="7.0").is_new(VALKEY)
    assert not drift(redis="7.4").is_new(VALKEY)
    assert drift(redis="7.4", valkey="8.1").is_new(VALKEY)
    assert drift(valkey="9.0").is_new(VALKEY) and not drift(valkey="9.0").is_new(REDIS_8)


def test_the_table_is_well_formed(tmp_path: Path) -> None:
    assert len(versions.load()) > 20
    assert all(len(drift.reason) > 20 for drift in versions.load())
    wide = tmp_path / "wide.toml"
    wide.write_text('[[drift]]\ntitle = "t"\nreason = "r"\nsince = { redis = "8.0" }\n')
    with pytest.raises(ValueError, match="what do old and new servers say"):
        versions.load(wide)
