"""``--filter KEY=VALUE`` of ``network ls``, ``ps`` and ``prune``: Docker's rules (NL2, NP2).

The same key twice means either, different keys mean both; several ``label`` filters mean all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Generic, TypeVar

from netyard.errors import Invalid
from netyard.values.parse import parse_bool

_FIELD = "--filter"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:([0-9.]+)(ns|us|µs|ms|s|m|h))")

T = TypeVar("T")
#: Whether something fits one value of a filter.
Test = Callable[[T, str], bool]


class Filters(Generic[T]):
    """Filters as typed, and the tests their keys stand for.

    Raises:
        Invalid: for an unknown key, or a word without ``=``.
    """

    def __init__(self, words: Iterable[str], tests: Mapping[str, Test[T]]) -> None:
        self._tests = tests
        self._wanted: dict[str, list[str]] = {}
        for word in words:
            key, separator, value = word.partition("=")
            if key.endswith("!"):
                key = f"{key[:-1]}!="
            if not separator or key not in tests:
                known = ", ".join(sorted(tests))
                raise Invalid(
                    f"{_FIELD}: {word!r} must be KEY=VALUE with a key of {known}",
                    field=_FIELD,
                    value=word,
                )
            self._wanted.setdefault(key, []).append(value)

    def values(self, key: str) -> Sequence[str]:
        """What was given for a key."""
        return self._wanted.get(key, ())

    def match(self, item: T) -> bool:
        """Whether an item passes."""
        for key, values in self._wanted.items():
            among = all if key.startswith("label") else any
            if not among(self._tests[key](item, value) for value in values):
                return False
        return True


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """``KEY`` or ``KEY=VALUE``."""
    key, separator, value = wanted.partition("=")
    return key in labels and (not separator or labels[key] == value)


def matches(text: str, pattern: str) -> bool:
    """A regular expression anywhere in a text."""
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise Invalid(
            f"{_FIELD}: {pattern!r} is no regular expression: {error}", field=_FIELD
        ) from error


def boolean(value: str) -> bool:
    """A boolean of a filter."""
    return parse_bool(_FIELD, value)


def one_of(value: str, *known: str) -> str:
    """One of several words."""
    if value not in known:
        raise Invalid(f"{_FIELD}: {value!r} is none of {', '.join(known)}", field=_FIELD)
    return value


def parse_moment(field: str, text: str) -> int:
    """A time as nanoseconds since 1970: Unix seconds, RFC 3339, a date, or so long before now."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
    if text and not _DURATION.sub("", text):
        ago = sum(float(count) * _UNITS[unit] for count, unit in _DURATION.findall(text))
        return time.time_ns() - int(ago * 1e9)
    try:
        # Nanoseconds are more than datetime takes.
        moment = datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", _with_zone(text)))
    except ValueError:
        raise Invalid(
            f"{field}: {text!r} is no time such as 1700000000, 2026-11-25T10:00:00Z or 10m",
            field=field,
            value=text,
        ) from None
    if moment.tzinfo is None:
        moment = moment.astimezone()
    return int(moment.astimezone(timezone.utc).timestamp() * 1e9)


def _with_zone(text: str) -> str:
    return f"{text[:-1]}+00:00" if text.endswith("Z") else text
