"""One oracle, every other server at hand: which command answers alike in which version?

    python -m conformance matrix --html matrix.html --json matrix.json
    python -m conformance matrix --servers redis-7.0 valkey-9.1 localhost:7000

Each server is run against the oracle in turn, all streams under both protocols. A server whose program is not installed
is left out, and named with what to install. The matrix informs: that an older version differs is no failure, so the
exit code is 0 unless nothing could be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from .compare import Comparison, compare_streams
from .endpoints import NAMES, Endpoint, EndpointError, open_endpoint
from .report import Finding, Run
from .reports.progress import open_progress
from .reports.result import Result, from_runs
from .runner import Duel
from .streams import Stream

ORACLE = "redis-8.2"


def compare_servers(
    streams: Sequence[Stream],
    names: Sequence[str] = (),
    oracle_name: str = ORACLE,
    protocols: tuple[int, ...] = (2, 3),
    timeout: float = 2.0,
    shrinks: int = 25,
    flush: bool = False,
) -> Result:
    """Every named server (all that can be started, if none is) against the oracle. EndpointError if none is here."""
    wanted = list(names) or [name for name in NAMES if name != oracle_name]
    runs: list[Run] = []
    missing: dict[str, str] = {}
    oracle = open_endpoint(oracle_name, flush)
    try:
        for name in wanted:
            try:
                subject = open_endpoint(name, flush)
            except EndpointError as error:
                missing[name] = str(error)
                continue
            try:
                runs.append(_compare(oracle, subject, streams, protocols, timeout, shrinks))
            finally:
                subject.stop()
    finally:
        oracle.stop()
    if not runs:
        raise EndpointError("; ".join(missing.values()) or "no server to compare with")
    return from_runs(runs, missing)


def _compare(
    oracle: Endpoint,
    subject: Endpoint,
    streams: Sequence[Stream],
    protocols: tuple[int, ...],
    timeout: float,
    shrinks: int,
) -> Run:
    comparison = Comparison(Duel(oracle, subject, timeout), shrinks=shrinks)
    total = sum(protocol in stream.protocols for stream in streams for protocol in protocols)
    progress = open_progress(total, subject.title)

    def told(stream: Stream, protocol: int, findings: list[Finding]) -> None:
        progress.step(f"{stream.name} RESP{protocol}", sum(one.known is None for one in findings))

    try:
        return compare_streams(comparison, streams, protocols, told)
    finally:
        progress.close()
