"""Longest common subsequences: rows of bits against the textbook's table, which also says which of several is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.lcs import Match, lcs, lcs_length, lcs_matches

STRINGS = st.one_of(st.text("ab", max_size=30), st.text("abcd", max_size=30), st.text(max_size=20)).map(str.encode)


def by_table(a: bytes, b: bytes) -> tuple[bytes, list[Match]]:
    """Redis's algorithm, cell by cell."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if x == y else max(table[i - 1][j], table[i][j - 1])

    found, matches = b"", []
    i, j = len(a), len(b)
    start = None
    while i and j:
        if a[i - 1] == b[j - 1]:
            start = start or (i - 1, j - 1)
            found = a[i - 1 : i] + found
            i, j = i - 1, j - 1
            if i and j:
                continue
        if start:
            end_a, end_b = start
            first = (i, j)
            matches.append(Match(first[0], end_a, first[1], end_b))
            start = None
        if i and j:
            if table[i - 1][j] > table[i][j - 1]:
                i -= 1
            else:
                j -= 1
    return found, matches


@given(STRINGS, STRINGS)
def test_the_same_subsequence_as_the_table(a: bytes, b: bytes) -> None:
    found, matches = by_table(a, b)
    assert lcs(a, b) == found
    assert lcs_length(a, b) == len(found)
    assert lcs_matches(a, b) == matches


@given(STRINGS, STRINGS)
def test_runs_are_equal_ordered_and_apart(a: bytes, b: bytes) -> None:
    matches = lcs_matches(a, b)
    for match in matches:
        assert a[match.a_start : match.a_end + 1] == b[match.b_start : match.b_end + 1]
        assert match.length >= 1
    for later, earlier in zip(matches, matches[1:], strict=False):
        assert earlier.a_end < later.a_start
        assert earlier.b_end < later.b_start
        assert (earlier.a_end + 1, earlier.b_end + 1) != (later.a_start, later.b_start)


def test_examples() -> None:
    assert lcs(b"ohmytext", b"mynewtext") == b"mytext"
    assert lcs_matches(b"ohmytext", b"mynewtext") == [Match(4, 7, 5, 8), Match(2, 3, 0, 1)]
    assert lcs(b"", b"abc") == lcs(b"abc", b"") == lcs(b"abc", b"123") == b""
    assert lcs_length(b"a" * 5000, b"a" * 4000) == 4000


def test_the_largest_that_is_allowed_takes_no_time_to_speak_of() -> None:
    half = bytes(range(256)) * 23
    assert lcs_length(half + half[::-1], half[::-1] + half) >= len(half)
