"""Conntrack entries of addresses that are out of use: deleted before an address is given again.

The kernel finds them only by a search of its whole table, which takes 5 ms however few there are.
No command waits for that: it notes the addresses in files, and the agent deletes their entries
later. An endpoint that gets an address before that deletes them itself.

The notes are files under /run because conntrack entries do not outlive the host's kernel either.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from ipaddress import ip_address

import netyard._core as _core
from netyard.state.flock import locked
from netyard.state.layout import Layout
from netyard.state.records import EndpointRecord


def leave(layout: Layout, endpoints: Iterable[EndpointRecord]) -> None:
    """Note that entries of these endpoints' addresses are to be deleted.

    Where there is no room for notes they are deleted at once: what goes must be able to go.
    """
    addresses = [address for each in endpoints for address in each.addresses]
    try:
        if addresses:
            layout.stale_flows.mkdir(mode=0o700, exist_ok=True)
        for address in addresses:
            (layout.stale_flows / str(address)).touch()
    except OSError:
        _core.flush_flows([(address, None) for address in addresses])


def forget_before(layout: Layout, endpoints: Iterable[EndpointRecord]) -> None:
    """Delete entries now if addresses of these endpoints are noted: they are in use again."""
    notes = (layout.stale_flows / str(address) for each in endpoints for address in each.addresses)
    if any(note.exists() for note in notes):
        forget(layout)


def forget(layout: Layout) -> None:
    """Delete the entries of all addresses that are noted.

    Raises:
        KernelError: if the kernel refuses; the notes stay.
    """
    if not layout.stale_flows.exists():
        return
    # Held until the end: `forget_before` must not return while entries are being deleted.
    with _locked(layout):
        notes = list(layout.stale_flows.iterdir())
        if notes:
            _core.flush_flows([(ip_address(note.name), None) for note in notes])
        for note in notes:
            note.unlink()


def _locked(layout: Layout) -> AbstractContextManager[None]:
    return locked(layout.stale_flows, flags=os.O_RDONLY | os.O_DIRECTORY)
