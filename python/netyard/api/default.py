"""Which host a call without ``host=`` is about; `netyard.api.host` says how it is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable

from netyard.state.root import Root

_lock = threading.Lock()
_opened: Root | None = None
_open: Callable[[Root | None], Root]


def open_by(opener: Callable[[Root | None], Root]) -> None:
    """Have the default host opened by this, which is given the one there was before."""
    global _open
    _open = opener


def default_host() -> Root:
    """The host of ``NETYARD_ROOT`` or of the default root, opened once a process."""
    global _opened
    with _lock:
        _opened = _open(_opened)
        return _opened
