"""Regular expressions of filters: what `re` says, and in time that no pattern can make long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netyard import errors
from netyard.values import filters, pattern

PIECES = [
    *"aab01.^$|",
    "(",
    ")",
    "(?:",
    "[ab]",
    "[^a]",
    "[a-c]",
    "\\d",
    "\\w",
    "\\.",
    "{2}",
    "{1,2}",
    *"*+?",
]


@settings(max_examples=2000, deadline=None)
@given(
    written=st.lists(st.sampled_from(PIECES), max_size=10).map("".join),
    text=st.text(alphabet="ab01.-", max_size=8),
)
def test_same_as_re(written: str, text: str) -> None:
    """NL2: found where `re` finds it, and a pattern where that takes it for one."""
    try:
        expected = re.search(written, text) is not None
    except re.error:
        with pytest.raises(pattern.Wrong):
            pattern.search(written, text)
        return
    try:
        assert pattern.search(written, text) == expected
    except pattern.Wrong:
        # Of two repetitions of one thing, `re` takes some.
        assert re.search(r"[*+?}][*+?{]", written)


@pytest.mark.parametrize(
    "written",
    [
        *(
            "(a+)+$",
            "(a|a)*b",
            "(.*)*x",
            "(a*)*(a*)*b",
            ".*" * 60 + "x",
            "(((a?){20}){20})b",
            "(" * 5000,
        ),
        *(
            "()*" * 100,
            "((((){1000}){1000}){1000}){1000}",
            "a{1000}{1000}",
            "[" * 5000,
            "a|" * 50_000,
        ),
        *(
            "\\",
            "(?=a)",
            "(?P<x>a)",
            "a{2,1}",
            "\\1",
            "[z-a]",
            "[",
            "(?i)a",
            "(",
            "|" * 300,
            "[[a]",
            "[a--b]",
            "\udcff.*",
        ),
    ],
    ids=lambda written: written[:20].encode("ascii", "backslashreplace").decode(),
)
def test_no_pattern_takes_long(written: str) -> None:
    """A match, none, or one sentence, soon."""
    begun = time.process_time()
    try:
        filters.matches("a" * 128, written)
    except errors.Invalid as error:
        assert "is no regular expression: " in str(error)
    assert time.process_time() - begun < 0.5
