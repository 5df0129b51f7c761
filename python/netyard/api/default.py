"""Which host a call without ``host=`` is about; `netyard.api.host` says how it is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable

from netyard.errors import Invalid, shown
from netyard.state.root import Root

_lock = threading.Lock()
_opened: Root | None = None
_open: Callable[[Root | None], Root]


def open_by(opener: Callable[[Root | None], Root]) -> None:
    """Have the default host opened by this, which is given the one there was before."""
    global _open
    _open = opener


def chosen(host: Root | None) -> Root:
    """The host that a caller has given, or the default one.

    Raises:
        Invalid: if what was given is no host, such as the path of one.
    """
    if host is None:
        return default_host()
    if not isinstance(host, Root):
        sentence = f"host: {shown(host)} must be a Host, as Host(root=...)"
        raise Invalid(sentence, field="host", value=host)
    return host


def default_host() -> Root:
    """The host of ``NETYARD_ROOT`` or of the default root, opened once a process."""
    global _opened
    with _lock:
        _opened = _open(_opened)
        return _opened
