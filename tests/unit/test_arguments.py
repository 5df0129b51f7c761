"""What a caller may give for each kind of parameter, and what is refused, by name and in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from netyard.api import arguments
from netyard.errors import Invalid, shown
from netyard.runtime.process import signal_number
from netyard.values.filters import parse_moment

#: What takes texts, each by a function of one text.
TEXTS: dict[str, Callable[[str], object]] = {
    "text": partial(arguments.text, "p"),
    "optional text": partial(arguments.optional_text, "p"),
    "optional word": partial(arguments.optional_word, "p"),
    "address": partial(arguments.address, "p"),
    "path": partial(arguments.path, "p"),
    "user": partial(arguments.user, rootfs=""),
    "one word": partial(arguments.words, "p"),
    "words": lambda text: arguments.words("p", ["a", text]),
    "addresses": lambda text: arguments.addresses("p", [ip_address("::1"), text]),
    "command": lambda text: arguments.command(("a", text)),
    "path in a command": lambda text: arguments.command((Path("a"), Path(text))),
    "value": lambda text: arguments.pairs("p", {"a": text}),
    "name": lambda text: arguments.pairs("p", {text: "a"}),
    "option": lambda text: arguments.options("p", {"a": text}),
    "name of an option": lambda text: arguments.options("p", {text: 1}),
    "address by name": lambda text: arguments.addresses_by_name("p", {"a": text}),
    "variable": lambda text: arguments.environment("p", {"a": text}),
    "name of a variable": lambda text: arguments.environment("p", {text: "a"}),
}
OF_BYTES = {"path", "command", "path in a command", "variable", "name of a variable"}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("bad", ["a\0b", "\0", "\ud800", "a\udfff"], ids=ascii)
def test_no_text(kind: str, bad: str) -> None:
    """A NUL character would end it in the kernel; half of a surrogate pair cannot be written."""
    with pytest.raises(Invalid, match="must") as caught:
        TEXTS[kind](bad)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()
    assert caught.value.field in ("p", "command", "user", "--user")


@pytest.mark.parametrize("kind", TEXTS)
def test_names_of_files_in_other_encodings(kind: str) -> None:
    """What Python makes of bytes goes where the kernel takes bytes, and only there."""
    given = os.fsdecode(b"caf\xe9")
    if kind in OF_BYTES:
        TEXTS[kind](given)
    else:
        with pytest.raises(Invalid):
            TEXTS[kind](given)


#: What takes numbers, each by a function of one number.
NUMBERS: dict[str, Callable[[Any], object]] = {
    "whole": partial(arguments.whole, "p"),
    "least": lambda number: arguments.whole("p", number, 0),
    "user": partial(arguments.user, rootfs=""),
    "option": lambda number: arguments.options("p", {"a": number}),
    "variable": lambda number: arguments.environment("p", {"a": number}),
    "signal": partial(signal_number, "p"),
    "moment": partial(parse_moment, "p"),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("bad", [2**63, 10**30, -(10**30), 10**5000, -(10**5000)], ids=shown)
def test_numbers_that_are_too_large(kind: str, bad: int) -> None:
    """For the store, the kernel, or for Python to write."""
    with pytest.raises(Invalid, match=r"must be|is no|user") as caught:
        NUMBERS[kind](bad)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", ["whole", "option", "variable"])
@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_numbers_of_64_bits(kind: str, number: int) -> None:
    """All of them."""
    assert NUMBERS[kind](number) in (number, {"a": str(number)}, (f"a={number}",))


def test_lengths_of_time() -> None:
    """A very long one is without end, as far as clocks go; one that is none is refused."""
    assert [arguments.seconds("p", each) for each in (0, 0.5, 7)] == [0, 0.5, 7]
    for longest in (1e300, 10**30, 10**5000):
        assert arguments.seconds("p", longest) == 1e9
    for bad in (-1, float("nan"), float("inf"), -(10**5000)):
        with pytest.raises(Invalid, match=r"p: .* must be a number of seconds, 0 or more"):
            arguments.seconds("p", bad)


class Odd:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Odd(), "<Odd>"),
        ([Odd()], "<list>"),
        (10**5000, "a number of 16610 bits"),
        ({1: 10**5000}, "<dict>"),
        (7, "7"),
        ("a", "'a'"),
    ],
    ids=["object", "list", "number", "mapping", "small", "text"],
)
def test_anything_can_be_refused(value: object, words: str) -> None:
    """Whatever it is, the sentence about it can be made."""
    assert shown(value) == words
    with pytest.raises(Invalid) as caught:
        arguments.flag("p", value)  # type: ignore[arg-type]
    assert str(caught.value) == f"p: {words} must be True or False, not {type(value).__name__}"


@pytest.mark.parametrize("kind", ["optional word", "address", "address by name"])
def test_nothing_is_none(kind: str) -> None:
    """An empty string is no address: left out or None means that none is wanted."""
    with pytest.raises(Invalid, match="'' must be None, or left out, if none is wanted"):
        TEXTS[kind]("")
    assert arguments.address("p", None) is None
    assert arguments.addresses("p", ip_network("10.0.0.0/8")) == ("10.0.0.0/8",)
