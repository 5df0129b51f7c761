"""What the actions of a template do with values: fields, functions, how values are printed.

What a template may take is limited here as well: a few words can ask for more than a machine has,
by ranges within ranges, or by ``json`` of ``json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netyard.errors import Invalid

FIELD = "--format"
# In characters. All of a network with some thousand containers is less than one million; as many
# as this take about a third of a second.
_MOST = 12_000_000
# What doing anything costs, in characters that could be made meanwhile.
_STEP = 100


class Meter:
    """Counts what rendering one value takes.

    Raises:
        Invalid: from each method, if it is too much.
    """

    def __init__(self) -> None:
        self._left = _MOST

    def spend(self, characters: int) -> None:
        """So many characters are made."""
        self._left -= characters
        if self._left < 0:
            raise _complaint("the template makes more text than can be of use")

    def step(self, count: int = 1) -> None:
        """So many things are done, whatever they are."""
        self.spend(count * _STEP)


def _complaint(why: str) -> Invalid:
    return Invalid(f"{FIELD}: {why}", field=FIELD)


def walk(value: Any, path: Sequence[str]) -> Any:
    """A field of a field of a value."""
    for name in path:
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, Mapping) and _is_open(value):
            return None
        else:
            known = ", ".join(sorted(value)) if isinstance(value, Mapping) else "none"
            raise Invalid(
                f"{FIELD}: there is no field {name!r} here; there are {known}",
                field=FIELD,
                value=name,
            )
    return value


def _is_open(value: Mapping[str, Any]) -> bool:
    """Whether a map's keys are data, as labels are, and not the fields of a structure."""
    return not all(re.fullmatch(r"[A-Z]\w*", key) for key in value) or not value


def call_method(value: Any, *arguments: Any) -> Any:
    """A method of a value, such as ``.Label "key"``."""
    if not callable(value):
        raise _complaint("a field takes no argument")
    if len(arguments) != 1 or not isinstance(arguments[0], str):
        raise _complaint('a field that takes an argument takes one text, as in .Label "key"')
    return value(*arguments)


def call(meter: Meter, word: str, arguments: Sequence[Any]) -> Any:
    """What a function gives for arguments."""
    function, least, most = FUNCTIONS[word]
    if not least <= len(arguments) <= most:
        count = str(least) if least == most else f"{least} or more"
        raise _complaint(f"{word} takes {count} argument{'s' * (count != '1')}")
    try:
        return function(meter, *arguments)
    except (TypeError, LookupError, ValueError, RecursionError) as error:
        if isinstance(error, Invalid):
            raise
        raise _complaint(f"{word} cannot be used with what it is given here") from None


def show(meter: Meter, value: Any) -> str:
    """A value as Go prints it."""
    meter.step()
    if isinstance(value, Mapping):
        inner = " ".join(f"{key}:{show(meter, each)}" for key, each in sorted(_data(value).items()))
        return f"map[{inner}]"
    if isinstance(value, list | tuple):
        return "[" + " ".join([show(meter, each) for each in value]) + "]"
    if callable(value):
        raise _complaint('a field that takes an argument is without one, as in .Label "key"')
    if value is None:
        return "<no value>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    meter.spend(len(text))
    return text


def _data(value: Mapping[str, Any]) -> dict[str, Any]:
    """A map without its methods."""
    return {key: each for key, each in value.items() if not callable(each)}


def _json(meter: Meter, value: Any) -> str:
    found = json.dumps(_data(value) if isinstance(value, Mapping) else value, ensure_ascii=False)
    meter.spend(len(found))
    return found


def _index(_: Meter, value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(key, int) and key < 0:
            raise IndexError
        else:
            value = value[key]
    return value


def _length(_: Meter, value: Any) -> int:
    return len(value)


def _join(meter: Meter, values: Any, separator: Any) -> str:
    if not isinstance(values, list | tuple) or not isinstance(separator, str):
        raise TypeError
    meter.spend(len(values) * len(separator))
    return str(separator.join([show(meter, each) for each in values]))


def _upper(meter: Meter, value: Any) -> str:
    return show(meter, value).upper()


def _lower(meter: Meter, value: Any) -> str:
    return show(meter, value).lower()


def _println(meter: Meter, *values: Any) -> str:
    return " ".join([show(meter, each) for each in values]) + "\n"


def _eq(meter: Meter, first: Any, *others: Any) -> bool:
    meter.spend(len(first) * len(others) if isinstance(first, str) else 0)
    return first in others


def _ne(meter: Meter, first: Any, second: Any) -> bool:
    return not _eq(meter, first, second)


def _not(_: Meter, value: Any) -> bool:
    return not value


_MANY = 10**9
#: Each function, and how many arguments it takes at least and at most.
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "json": (_json, 1, 1),
    "index": (_index, 1, _MANY),
    "len": (_length, 1, 1),
    "join": (_join, 2, 2),
    "upper": (_upper, 1, 1),
    "lower": (_lower, 1, 1),
    "println": (_println, 0, _MANY),
    "eq": (_eq, 2, _MANY),
    "ne": (_ne, 2, 2),
    "not": (_not, 1, 1),
}
