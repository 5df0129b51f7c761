"""Which host a call without ``host=`` is about; `netyard.api.host` says how it is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from netyard.state.layout import Layout
from netyard.state.root import Root

_lock = threading.Lock()
_opened: Root | None = None
_open: Callable[[], Root]


def open_by(opener: Callable[[], Root]) -> None:
    """Have the default host opened by this."""
    global _open
    _open = opener


def default_host() -> Root:
    """The host of ``NETYARD_ROOT`` or of the default root, opened once a process."""
    global _opened
    with _lock:
        if _opened is not None and _is_usable(_opened):
            _opened.settle()
        else:
            _opened = _open()
        return _opened


def _is_usable(root: Root) -> bool:
    """Whether it is of the present ``NETYARD_ROOT``, open, and this process's own: no fork's."""
    return root.layout.root == Layout.of(None).root and root.is_open and root.pid == os.getpid()
