"""Every curated stream, under each protocol, gives the same bytes and the same state on both servers."""

from __future__ import annotations

import pytest

from . import streams
from .compare import Comparison
from .report import show_finding

CASES = [
    (stream, protocol)
    for stream in (streams.load(path) for path in streams.find())
    for protocol in stream.protocols
]


@pytest.mark.parametrize(
    ("stream", "protocol"), CASES, ids=[f"{stream.name}-resp{protocol}" for stream, protocol in CASES]
)
def test_same_as_the_oracle(comparison: Comparison, stream: streams.Stream, protocol: int) -> None:
    findings = [finding for finding in comparison.stream(stream, protocol) if finding.known is None]
    if comparison.run.verdicts[-1].skipped:
        pytest.skip(comparison.run.verdicts[-1].skipped)
    assert comparison.run.verdicts[-1].left_out == ()
    shown = "\n\n".join(show_finding(finding, number) for number, finding in enumerate(findings[:8], 1))
    if findings:
        pytest.fail(f"{len(findings)} differences\n\n{shown}", pytrace=False)


def test_known_differences_still_differ(comparison: Comparison) -> None:
    """An entry of divergences.toml whose scope was compared above and showed no difference is a lie."""
    run = comparison.finish()
    if len(run.verdicts) < len(CASES):
        pytest.skip("only some of the streams ran")
    assert [divergence.title for divergence in run.obsolete] == []


def test_every_stream_says_what_it_teaches() -> None:
    assert [stream.name for stream, _ in CASES if not stream.teaches] == []
