"""Import of click without two modules of Python that it needs one function each of.

While click is imported, `sys.modules` has proxies for `inspect` and `platform`. Click, and `uuid`
below it, keep these. A proxy answers the one function; anything else is taken from the real module,
which is imported then. Afterwards the proxies are out of `sys.modules`: code that imports these
modules later gets the real ones.

To replace standard modules needs a reason. It is 26 million instructions: user and system time of
``netyard version`` are 10 % more without it, of ``netyard network ls`` 6 %, of ``run --help`` 3 %
(Python 3.11, click 8.5; counted by callgrind, and medians of 80 runs in turn). What was tried
instead:

- `importlib.util.LazyLoader`: 11 %, 7 % and 5 % more. An ``import`` statement reads the module's
  ``__spec__``, which already loads it. If it did not, click would, which calls `inspect.cleandoc`
  for each option's help, and `uuid`, which calls `platform.system` when it is imported.
- Options of our own that do not call `cleandoc`, with a lazy `inspect`: 12 %, 8 % and 4 % more, for
  the same reason.
- A proxy for `inspect` only: 2 % more for ``network ls``, which is `platform` alone.
- A lazy module that stays in `sys.modules` and runs in place: needs the same two functions
  beforehand, and would be there for all other code as well, in the agent's threads too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _Proxy(ModuleType):
    """A module with one function; its other attributes are those of the real module."""

    def __init__(self, name: str, quick: Callable[..., str]) -> None:
        super().__init__(name)
        setattr(self, quick.__name__, quick)

    def __getattr__(self, name: str) -> Any:
        return getattr(_real(self.__name__), name)


def cleandoc(text: str) -> str:
    """As `inspect.cleandoc`; without it for a single line, where only the beginning is cleaned."""
    if "\n" in text or "\t" in text:
        return str(_real("inspect").cleandoc(text))
    return text.lstrip()


def system() -> str:
    """As `platform.system`."""
    return os.uname().sysname


@contextmanager
def modules_deferred() -> Iterator[None]:
    """Have what is imported inside get proxies of `inspect` and `platform`."""
    quick: dict[str, Callable[..., str]] = {"inspect": cleandoc, "platform": system}
    for name in quick:
        if name not in sys.modules:
            sys.modules[name] = _Proxy(name, quick[name])
    try:
        yield
    finally:
        for name in quick:
            _remove(name)


def _real(name: str) -> ModuleType:
    _remove(name)
    return import_module(name)


def _remove(name: str) -> None:
    """Take a proxy out of `sys.modules`, so that the next import finds the real module."""
    if isinstance(sys.modules.get(name), _Proxy):
        del sys.modules[name]
