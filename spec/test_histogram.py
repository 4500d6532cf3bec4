"""Latency histograms: buckets, representatives and percentiles as Redis's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.histogram import bucket_end_ns, bucket_start_ns, percentiles_ns, representative_us

LONGEST = 1_002_438_655
durations_us = st.integers(0, 3_000_000) | st.integers(0, 2_000)


@pytest.mark.parametrize(
    ("value_ns", "end_ns"),
    [(0, 1), (1, 1), (255, 255), (256, 257), (6_000, 6_015), (45_000, 45_055), (10**9, LONGEST), (10**12, LONGEST)],
)
def test_a_bucket_ends_where_redis_says(value_ns: int, end_ns: int) -> None:
    assert bucket_end_ns(value_ns) == end_ns


@given(st.integers(1, 10**9))
def test_buckets_are_as_narrow_as_promised(value_ns: int) -> None:
    start, end = bucket_start_ns(value_ns), bucket_end_ns(value_ns)
    assert start <= value_ns <= end
    assert (end - start) * 128 <= value_ns
    assert bucket_start_ns(end) == bucket_start_ns(start) == start
    assert bucket_end_ns(start) == bucket_end_ns(end) == end


@given(durations_us)
def test_a_representative_is_of_the_same_bucket(duration_us: int) -> None:
    chosen = representative_us(duration_us)
    assert bucket_end_ns(chosen * 1000) == bucket_end_ns(duration_us * 1000)
    assert representative_us(chosen) == chosen


@given(st.lists(durations_us, min_size=1, max_size=60), st.lists(st.floats(0, 100), max_size=4))
def test_representatives_change_no_percentile(durations: list[int], percentiles: list[float]) -> None:
    exact: dict[int, int] = {}
    bounded: dict[int, int] = {}
    for duration in durations:
        exact[duration] = exact.get(duration, 0) + 1
        bounded[representative_us(duration)] = bounded.get(representative_us(duration), 0) + 1
    assert percentiles_ns(bounded, percentiles) == percentiles_ns(exact, percentiles)


def test_percentiles_of_a_hundred_durations() -> None:
    counts = dict.fromkeys(range(1, 101), 1)
    assert percentiles_ns(counts, (0, 50, 99, 99.9, 100)) == [1_000, 50_175, 99_327, 100_351, 100_351]


def test_there_are_few_representatives() -> None:
    assert len({representative_us(us) for us in range(1_000_001)}) < 2_500
