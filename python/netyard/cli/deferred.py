"""`inspect` for click, which needs one function of it, and that for text of several lines.

It takes apart Python programs, for which it imports what else does: a tenth of the time of a short
command. Whatever click asks of it besides is answered by the real one, imported then.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "inspect"


class _Deferred(ModuleType):
    """What stands in for `inspect` in the modules that are imported meanwhile."""

    def cleandoc(self, text: str) -> str:
        """As `inspect.cleandoc`: of one line there is only the beginning to clean."""
        if "\n" in text or "\t" in text:
            return str(_real().cleandoc(text))
        return text.lstrip()

    def __getattr__(self, name: str) -> Any:
        return getattr(_real(), name)


@contextmanager
def without_inspect() -> Iterator[None]:
    """Give modules that are imported inside this an `inspect` that is imported when it is used."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = _Deferred(_NAME)
    try:
        yield
    finally:
        _put_away()


def _real() -> ModuleType:
    _put_away()
    return import_module(_NAME)


def _put_away() -> None:
    """Nobody else is to come upon it."""
    if isinstance(sys.modules.get(_NAME), _Deferred):
        del sys.modules[_NAME]
