"""Connections of addresses whose endpoint has gone, to be forgotten before anybody has them again.

The kernel finds them only by looking through its whole table, 5 ms however few there are. Nobody
waits for that: what has gone is noted, and the agent forgets it beside its other work. An endpoint
that takes an address before the agent has come to it does so itself.

The notes are files because they are about the kernel's state, and go with it when the host ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from netyard import _core
from netyard.state.layout import Layout
from netyard.state.records import EndpointRecord


def leave(layout: Layout, endpoints: Iterable[EndpointRecord]) -> None:
    """Note that connections of these endpoints' addresses are to be forgotten."""
    addresses = [address for each in endpoints for address in each.addresses]
    if addresses:
        layout.stale_flows.mkdir(mode=0o700, exist_ok=True)
    for address in addresses:
        (layout.stale_flows / str(address)).touch()


def forget_before(layout: Layout, endpoints: Iterable[EndpointRecord]) -> None:
    """See to it that none of these endpoints inherits connections with its address."""
    notes = (layout.stale_flows / str(address) for each in endpoints for address in each.addresses)
    if any(note.exists() for note in notes):
        forget(layout)


def forget(layout: Layout) -> None:
    """Forget the connections of every address that is noted.

    Raises:
        KernelError: if the kernel refuses; the notes stay.
    """
    if not layout.stale_flows.exists():
        return
    # Held for the whole of it: nobody gets an address whose flows are being deleted.
    with _locked(layout):
        notes = list(layout.stale_flows.iterdir())
        if notes:
            _core.flush_flows([(ip_address(note.name), None) for note in notes])
        for note in notes:
            note.unlink()


@contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    fd = os.open(layout.stale_flows, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
