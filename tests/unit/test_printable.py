"""What others have written, on a terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from netyard.values.printable import printable, printable_json

# What moves a terminal's cursor or turns its text round: also of eight bits, and of Unicode.
OBEYED = "\x00\x07\x08\t\n\r\x1b\x7f\x85\x9b\u2028\u202e\u2067\ud800"


@given(st.text())
def test_all_of_a_printable_text_is_seen(text: str) -> None:
    """C4: on one line."""
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_what_is_seen_stays() -> None:
    """C4: every language's letters."""
    assert printable("nginx: größe 日本 'x'") == "nginx: größe 日本 'x'"
    assert printable("a\x1b[2J\nb\u202e") == "a\\x1b[2J\\nb\\u202e"


@given(st.text(alphabet=st.one_of(st.characters(codec=None), st.sampled_from(OBEYED))))
def test_json_means_the_same(text: str) -> None:
    """C4: whatever is written out in it."""
    shown = printable_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert not set(shown) & set(OBEYED)
