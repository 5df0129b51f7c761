"""Which host a call without ``host=`` is about; `netyard.api.host` says how it is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol

import netyard
from netyard.errors import Invalid, shown
from netyard.state.root import Root


class _OfHost(Protocol):
    """A network or a container."""

    host: netyard.Host


_lock = threading.Lock()
_opened: netyard.Host | None = None
_open: Callable[[netyard.Host | None], netyard.Host]


def open_by(opener: Callable[[netyard.Host | None], netyard.Host]) -> None:
    """Have the default host opened by this, which is given the one there was before."""
    global _open
    _open = opener


def chosen(host: netyard.Host | None) -> netyard.Host:
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


def check_host(name: str, host: netyard.Host, given: _OfHost) -> None:
    """Refuse what is of another host.

    Raises:
        Invalid: naming both.
    """
    own, other = host.layout.root, given.host.layout.root
    if own != other:
        raise Invalid(
            f"{name}: {given!r} is of the host {other}, and not of {own}", field=name, value=given
        )


def default_host() -> netyard.Host:
    """The host of ``NETYARD_ROOT`` or of the default root, opened once a process."""
    global _opened
    with _lock:
        _opened = _open(_opened)
        return _opened


def _unlock_in_child() -> None:
    """Another thread of the parent may have been opening it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_unlock_in_child)
