"""Modules of Python that click needs one function of, whose answers mostly need no module.

`inspect` takes apart Python programs, `platform` guesses at systems of all kinds: to import both
and what they import is a seventh of a short command's time. Whatever is asked of them besides, now
or later, is answered by the real ones, imported then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """What stands in for a module in those that are imported meanwhile."""

    def __init__(self, name: str, quick: Callable[..., str]) -> None:
        super().__init__(name)
        setattr(self, quick.__name__, quick)

    def __getattr__(self, name: str) -> Any:
        return getattr(_real(self.__name__), name)


def cleandoc(text: str) -> str:
    """As `inspect.cleandoc`, for the help of each option: of one line only the beginning."""
    if "\n" in text or "\t" in text:
        return str(_real("inspect").cleandoc(text))
    return text.lstrip()


def system() -> str:
    """As `platform.system`, which `uuid` asks once."""
    return os.uname().sysname


@contextmanager
def modules_deferred() -> Iterator[None]:
    """Give those that are imported inside this stand-ins, which import the real ones when used."""
    quick: dict[str, Callable[..., str]] = {"inspect": cleandoc, "platform": system}
    for name in quick:
        if name not in sys.modules:
            sys.modules[name] = _Deferred(name, quick[name])
    try:
        yield
    finally:
        for name in quick:
            _put_away(name)


def _real(name: str) -> ModuleType:
    _put_away(name)
    return import_module(name)


def _put_away(name: str) -> None:
    """Nobody else is to come upon it."""
    if isinstance(sys.modules.get(name), _Deferred):
        del sys.modules[name]
