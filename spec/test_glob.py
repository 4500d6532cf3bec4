"""Globs: what each element means, what odd patterns mean, and that two matchers agree on any pattern and any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_redis.structures.glob import MAX_STARS, _compile, _walk, glob_match, glob_matcher

ELEMENTS = [b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"A", b"Z", b"\0", b"\n", b"\x80", b"\xff"]
PATTERNS = st.lists(st.sampled_from(ELEMENTS), max_size=12).map(b"".join)
TEXTS = st.lists(st.sampled_from([b"a", b"b", b"A", b"]", b"\\", b"\n", b"\x80", b"\xff"]), max_size=8).map(b"".join)


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (b"", [b""], [b"a"]),
        (b"abc", [b"abc"], [b"", b"ab", b"abcd", b"ABC"]),
        (b"*", [b"a", b"abc", b"\n", b"\0\xff"], [b""]),
        (b"**", [b"a"], [b""]),
        (b"a*", [b"a", b"ab", b"a\n"], [b"", b"ba"]),
        (b"*a", [b"a", b"ba", b"aaa"], [b"", b"ab"]),
        (b"*ab*bc", [b"abbc", b"xxabxbc"], [b"abc"]),
        (b"a*b*c", [b"abc", b"axxbxxc", b"abbcc"], [b"acb", b"ab"]),
        (b"h?llo", [b"hello", b"h\nllo", b"h\xffllo"], [b"hllo", b"heello"]),
        (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo", b"hllo"]),
        (b"h[^e]llo", [b"hallo", b"h^llo"], [b"hello"]),
        (b"[a-c]", [b"a", b"b", b"c"], [b"d", b"-", b""]),
        (b"[c-a]", [b"a", b"b", b"c"], [b"d", b"-"]),
        (b"[a-cx-z]", [b"b", b"y"], [b"d", b"w"]),
        (b"[^^]", [b"a"], [b"^"]),
        (b"[a^]", [b"a", b"^"], [b"b"]),
        (b"\\*", [b"*"], [b"a", b"\\*"]),
        (b"[\\]]", [b"]"], [b"\\"]),
        (b"[\\a-c]", [b"a", b"-", b"c"], [b"b", b"\\"]),  # an escaped byte begins no range
        (b"[a-\\]", [b"a", b"\\", b"]", b"_"], [b"b", b"[", b"-"]),
    ],
)
def test_elements(pattern: bytes, matching: list[bytes], other: list[bytes]) -> None:
    assert [text for text in matching + other if glob_match(pattern, text)] == matching


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (b"[ab", [b"a", b"b"], [b"[", b"ab"]),  # a class that is never closed ends with the pattern
        (b"x[", [], [b"x", b"x["]),
        (b"x[^", [b"xa", b"x^"], [b"x"]),
        (b"[]", [], [b"[]", b"]", b""]),
        (b"[^]", [b"a"], [b""]),
        (b"[a-]", [b"a", b"]", b"_"], [b"-", b"b"]),  # from `a` down to the bracket, and so not closed
        (b"a\\", [b"a\\"], [b"a"]),
        (b"[\\", [b"\\"], [b"["]),
        (b"]", [b"]"], []),
        (b"[\x01-\xff]", [b"\x01", b"\0", b"\xff"], [b"\x02", b"\xfe"]),  # signed: from -1 to 1
        (b"[\x7f-\x80]", [b"a", b"\0", b"\xff"], []),
    ],
)
def test_odd_ends(pattern: bytes, matching: list[bytes], other: list[bytes]) -> None:
    assert [text for text in matching + other if glob_match(pattern, text)] == matching


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (b"HeLLo", [b"hello", b"HELLO"], [b"hallo"]),
        (b"[A-C]", [b"b", b"B"], [b"d"]),
        (b"\\A", [b"a", b"A"], []),
        (b"[\\A]", [b"A"], [b"a"]),  # the one place where case counts all the same
        (b"\xc4", [b"\xc4"], [b"\xe4"]),  # ASCII letters only
        (b"[\x80-a]", [], [b"\x80", b"a", b"Q", b"\0"]),  # ends are swapped, then lowered: from 128 to 97, nothing
    ],
)
def test_ignoring_case(pattern: bytes, matching: list[bytes], other: list[bytes]) -> None:
    assert [text for text in matching + other if glob_match(pattern, text, nocase=True)] == matching


def test_many_stars_match_nothing() -> None:
    for stars in (MAX_STARS, MAX_STARS + 1):
        text = b"a" * stars
        assert glob_match(b"a*" * stars, text)  # the last star ends the pattern and is not counted
        assert glob_match(b"a*" * stars + b"b", text + b"b") == (stars <= MAX_STARS)


def test_no_pattern_takes_exponential_time() -> None:
    pattern, text = b"a*" * 60 + b"b", b"a" * 2000
    assert not glob_match(pattern, text)
    assert not _walk(pattern, text, False)
    assert not glob_match(b"*a" * 120 + b"b", text)


def test_a_matcher_can_be_kept() -> None:
    matches = glob_matcher(b"user:*")
    assert [key for key in (b"user:1", b"item:1", b"user:") if matches(key)] == [b"user:1", b"user:"]
    long_one = glob_matcher(b"x" * 300 + b"*")
    assert long_one(b"x" * 301)
    assert not long_one(b"x" * 299)


@given(PATTERNS, TEXTS, st.booleans())
def test_the_compiled_pattern_is_the_walked_one(pattern: bytes, text: bytes, nocase: bool) -> None:
    assert bool(_compile(pattern, nocase)(text)) == _walk(pattern, text, nocase)


@given(TEXTS, st.integers(0, 8), st.integers(0, 8))
def test_a_text_matches_what_is_made_from_it(text: bytes, start: int, end: int) -> None:
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    escaped = [b"\\" + text[at : at + 1] for at in range(len(text))]
    pattern = b"".join([*escaped[:start], b"*", *escaped[end:]])
    assert glob_match(pattern, text) == bool(text)


@given(st.binary(min_size=1, max_size=1), st.binary(min_size=1, max_size=1), st.binary(min_size=1, max_size=1))
def test_a_range_has_its_ends_and_does_not_mind_their_order(one: bytes, other: bytes, text: bytes) -> None:
    special = b"^]\\-"
    if one in special or other in special:
        return
    assert glob_match(b"[%b-%b]" % (one, other), one)
    assert glob_match(b"[%b-%b]" % (one, other), text) == glob_match(b"[%b-%b]" % (other, one), text)
