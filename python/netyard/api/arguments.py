"""What a caller's keywords mean, as plain values: one rule for each kind of parameter.

- Several words: one string is one word, and never read letter by letter; any other iterable of
  strings is as many words. A mapping, bytes or a number is refused.
- Addresses and subnets: a string, or an object of `ipaddress`.
- Paths: a string, or an object such as `pathlib.Path`.
- Options: values may be strings, whole numbers, ``True`` or ``False``.
- Strings are text: without NUL characters, and nothing that UTF-8 cannot encode. Paths and words of
  a command may be what Python makes of names of files in other encodings.
- Whole numbers are of at most 64 bits.

What a value must look like beyond its type is checked by those that use it. Each complaint names
the parameter, the value and what would be right.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeVar

from netyard.errors import Invalid, shown

_ADDRESSES = (IPv4Address, IPv6Address)
_SUBNETS = (IPv4Network, IPv6Network)
_TYPES = (*_ADDRESSES, *_SUBNETS)
# Thirty years: what is longer is without end, and more than clocks and polls take.
_SECONDS_MAX = 1e9

T = TypeVar("T")


def refuse(name: str, value: object, right: str) -> Invalid:
    """The complaint about a value of a wrong type."""
    sentence = f"{name}: {shown(value)} must be {right}, not {type(value).__name__}"
    return Invalid(sentence, field=_field(name), value=value)


def _field(name: str) -> str:
    """The parameter of a value within it, such as ``labels: tier``."""
    return name.partition(":")[0]


def text(name: str, value: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise refuse(name, value, "a string")
    _refuse_nul(name, value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Invalid(
            f"{name}: {value!r} must be text, which UTF-8 can encode",
            field=_field(name),
            value=value,
        ) from None
    return value


def file_text(name: str, value: str) -> str:
    """A string that the kernel is given: text, or a name of a file in whatever encoding."""
    _refuse_nul(name, value)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise Invalid(
            f"{name}: {value!r} must be text, or what os.fsdecode() makes of bytes",
            field=_field(name),
            value=value,
        ) from None
    return value


def _refuse_nul(name: str, value: str) -> None:
    if "\0" in value:
        raise Invalid(
            f"{name}: {value!r} must not hold a NUL character", field=_field(name), value=value
        )


def optional_text(name: str, value: str | None) -> str | None:
    """A string, or nothing."""
    return None if value is None else text(name, value)


def optional_word(name: str, value: str | None) -> str | None:
    """A string that says something, or nothing."""
    if value == "":
        sentence = f"{name}: '' must be None, or left out, if none is wanted"
        raise Invalid(sentence, field=_field(name), value=value)
    return optional_text(name, value)


def flag(name: str, value: bool) -> bool:
    """A boolean, and nothing that only counts as one: ``"false"`` would be true."""
    if not isinstance(value, bool):
        raise refuse(name, value, "True or False")
    return value


def optional_flag(name: str, value: bool | None) -> bool | None:
    """A boolean, or nothing."""
    return None if value is None else flag(name, value)


def whole(name: str, value: int, least: int | None = None) -> int:
    """A whole number, of at least so much."""
    right = "a whole number" if least is None else f"a whole number from {least} on"
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(name, value, right)
    if not -(2**63) <= value < 2**63:
        sentence = f"{name}: {shown(value)} must be {right}, of at most 64 bits"
        raise Invalid(sentence, field=_field(name), value=value)
    if least is not None and value < least:
        raise Invalid(f"{name}: {value} must be {right}", field=_field(name), value=value)
    return value


def word_or_number(name: str, value: str | float) -> str | float:
    """A size or another quantity: a string with its unit, or a number."""
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, int):
        return whole(name, value)
    if not isinstance(value, float):
        raise refuse(name, value, "a string or a number")
    return value


def seconds(name: str, value: float) -> float:
    """A length of time; a very long one is without end."""
    right = "a number of seconds, 0 or more"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refuse(name, value, right)
    if not 0 <= value < math.inf:
        raise Invalid(f"{name}: {shown(value)} must be {right}", field=name, value=value)
    return min(value, _SECONDS_MAX)


def address(name: str, value: str | IPv4Address | IPv6Address | None) -> str | None:
    """An IP address as a string, or nothing."""
    return str(value) if isinstance(value, _ADDRESSES) else optional_word(name, value)


def path(name: str, value: str | os.PathLike[str]) -> str:
    """A path as a string."""
    found = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(found, str):
        raise refuse(name, value, "a string or a path")
    return file_text(name, found)


def user(value: str | int, rootfs: str) -> str:
    """A user by name or number, of the container's own files, as the shim takes it."""
    found = str(whole("user", value, 0)) if isinstance(value, int) else text("user", value)
    if not found:
        return ""
    from netyard.runtime.users import parse_user

    return parse_user(found, rootfs)


def words(name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    """One word or several."""
    return several(name, value, text)


def joined(name: str, value: str | Iterable[str] | Mapping[str, str]) -> tuple[str, ...]:
    """The same, or a mapping of what is before the ``:`` of a word to what is behind it."""
    if not isinstance(value, Mapping):
        return words(name, value)
    found = _mapped(name, value, text)
    return tuple(f"{key}:{each}" if each else key for key, each in found.items())


def addresses(
    name: str,
    value: str
    | IPv4Address
    | IPv6Address
    | IPv4Network
    | IPv6Network
    | Iterable[str | IPv4Address | IPv6Address | IPv4Network | IPv6Network],
) -> tuple[str, ...]:
    """One address or subnet, or several, as strings."""
    if isinstance(value, _TYPES):
        return (str(value),)

    def written(name: str, each: object) -> str:
        return str(each) if isinstance(each, _TYPES) else text(name, each)  # type: ignore[arg-type]

    return several(name, value, written)


def several(name: str, value: str | Iterable[T], check: Callable[[str, T], str]) -> tuple[str, ...]:
    """One word, or several of what a check makes words of."""
    if isinstance(value, str):
        return (text(name, value),)
    # First what it nearly always is: to ask whether something is a mapping takes longer.
    if isinstance(value, tuple | list):
        return tuple(check(name, each) for each in value) if value else ()
    if isinstance(value, Mapping | bytes | bytearray) or not isinstance(value, Iterable):
        raise refuse(name, value, "a string or several strings")
    return tuple(check(name, each) for each in value)


def command(given: tuple[str | os.PathLike[str], ...]) -> tuple[str, ...]:
    """A program and its arguments."""
    found = []
    for number, each in enumerate(given, start=1):
        word = os.fspath(each) if isinstance(each, os.PathLike) else each
        if isinstance(word, list | tuple):
            raise Invalid(
                f"command: {shown(word)} is a {type(word).__name__}: give its words one by one, "
                "as in ('ping', '-c1', 'web')",
                field="command",
                value=each,
            )
        if not isinstance(word, str):
            raise refuse(f"command: word {number}", each, "a string or a path")
        found.append(file_text(f"command: word {number}", word))
    return tuple(found)


def pairs(name: str, value: Mapping[str, str] | None) -> dict[str, str]:
    """Names and strings."""
    return _mapped(name, value, text)


def options(
    name: str, value: Mapping[str, str | int | bool] | None, *, true: str = "true"
) -> dict[str, str]:
    """Names and settings; how ``True`` is written says how ``False`` is."""
    false = {"true": "false", "1": "0"}[true]

    def written(name: str, each: str | int | bool) -> str:
        if isinstance(each, bool):
            return true if each else false
        if isinstance(each, int):
            return str(whole(name, each))
        if not isinstance(each, str):
            raise refuse(name, each, "a string, a whole number, True or False")
        return text(name, each)

    return _mapped(name, value, written)


def addresses_by_name(
    name: str, value: Mapping[str, str | IPv4Address | IPv6Address] | None
) -> dict[str, str]:
    """Names and addresses."""
    return _mapped(name, value, lambda name, each: address(name, each) or "")


def environment(
    name: str, value: Mapping[str, str | int | os.PathLike[str]] | None
) -> tuple[str, ...]:
    """Variables, as ``NAME=VALUE`` words."""

    def written(name: str, each: str | int | os.PathLike[str]) -> str:
        if isinstance(each, bool):
            # "true", "True", "1" and "yes": each is what some program wants.
            raise Invalid(
                f"{name}: {each} must be the word that the program wants, such as '1' or 'true'",
                field=_field(name),
                value=each,
            )
        found = os.fspath(each) if isinstance(each, os.PathLike) else each
        if not isinstance(found, str | int):
            raise refuse(name, each, "a string, a whole number or a path")
        return file_text(name, str(found if isinstance(found, str) else whole(name, found)))

    found = _mapped(name, value, written, of_key=_file_word)
    for each in found:
        if not each or "=" in each:
            raise Invalid(
                f"{name}: {each!r} must be the name of a variable, without '='",
                field=name,
                value=each,
            )
    return tuple(f"{key}={each}" for key, each in found.items())


def _file_word(name: str, value: str) -> str:
    return file_text(name, value) if isinstance(value, str) else text(name, value)


def _mapped(
    name: str,
    value: Mapping[str, T] | None,
    check: Callable[[str, T], str],
    *,
    of_key: Callable[[str, str], str] = text,
) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise refuse(name, value, "a mapping such as {'name': 'value'}")
    return {of_key(name, key): check(f"{name}: {key}", each) for key, each in value.items()}
