"""Text of others on a terminal: nothing in it moves the cursor, starts a line or says a command."""

import re

# JSON escapes what is below; these are as dangerous to a terminal, and rare in names. Not compiled:
# this module is on the way of each command.
_IN_JSON = "[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str) -> str:
    r"""A text with everything that is not to be seen written out, as in ``\x1b`` and ``\n``."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def printable_json(text: str) -> str:
    """JSON with what a terminal obeys written out; it means the same."""
    return re.sub(_IN_JSON, lambda found: f"\\u{ord(found[0]):04x}", text)
