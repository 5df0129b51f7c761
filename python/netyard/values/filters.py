"""``--filter KEY=VALUE`` of ``network ls``, ``ps`` and ``prune``: Docker's rules (NL2, NP2).

The same key twice means either, different keys mean both; several ``label`` filters mean all.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Generic, TypeVar

from netyard.errors import Invalid, shown
from netyard.values.parse import parse_bool

_FIELD = "--filter"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_TIME = re.compile(r"(.*?)(?:\.([0-9]+))?(Z|[+-][0-9]{2}:?[0-9]{2}|)", re.DOTALL)
# Longer than any time is written; what is read in it takes the square of its length.
_TIME_MAX = 100
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
_END = 253_402_300_800 * 1_000_000_000

T = TypeVar("T")
#: Whether something fits one value of a filter.
Test = Callable[[T, str], bool]
#: A point in time as users give it: see `parse_moment`.
Moment = str | int | float | datetime


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
    """A regular expression anywhere in a text; see `netyard.values.pattern`."""
    # Loaded here, because most commands have no filter.
    from netyard.values.pattern import Wrong, search

    try:
        return search(pattern, text)
    except Wrong as error:
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


def parse_moment(field: str, given: Moment) -> int:
    """A time as nanoseconds since 1970.

    Args:
        field: What to call it in the complaint.
        given: Unix seconds, RFC 3339, a date, how long ago (``10m``, ``1h30m``), or a `datetime`;
            without a time zone it is local time.

    Raises:
        Invalid: if it is none of these, or out of the years 1970 to 9999.
    """
    found = _nanoseconds(given)
    if found is None or not 0 <= found < _END:
        raise Invalid(
            f"{field}: {shown(given)} is no time such as 1700000000, 2026-11-25T10:00:00Z or 10m",
            field=field,
            value=given,
        )
    return found


def _nanoseconds(given: Moment) -> int | None:
    if isinstance(given, datetime):
        return _since_1970(given)
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return None
    if isinstance(given, int):
        return given * 1_000_000_000
    if not isinstance(given, str):
        return None if math.isnan(given) else int(min(max(given, -1), 1e12) * 1_000_000_000)
    if len(given) > _TIME_MAX:
        return None
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", given):
        seconds, _, fraction = given.partition(".")
        return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
    if given and not _DURATION.sub("", given):
        ago = sum(float(count) * _UNITS[unit] for count, unit in _DURATION.findall(given))
        return max(0, time.time_ns() - int(min(ago, 1e11) * 1e9))
    # Nanoseconds are more than datetime takes, and fewer digits more than that of Python 3.10.
    parts = _TIME.fullmatch(given)
    if parts is None:
        return None
    whole, fraction, zone = parts.groups()
    try:
        found = _since_1970(datetime.fromisoformat(f"{whole}{'+00:00' if zone == 'Z' else zone}"))
    except ValueError:
        return None
    return None if found is None else found + int((fraction or "").ljust(9, "0")[:9])


def _since_1970(moment: datetime) -> int | None:
    try:
        return (moment.astimezone(timezone.utc) - _BEGINNING) // timedelta(microseconds=1) * 1000
    except (OverflowError, ValueError):
        # Local time before the first year, or behind the last.
        return None
