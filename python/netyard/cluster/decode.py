"""What is read of what others have written to etcd: all that is readable.

An entry that is not counts as absent, and is said so in the log: one host must not be able to keep
all others from working together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from netyard.cluster.entries import EndpointEntry, HostEntry, Unreadable, network_from_json
from netyard.cluster.etcd import Entry
from netyard.state.records import NetworkRecord

_LOG = logging.getLogger("netyard.cluster")
_Found = TypeVar("_Found", HostEntry, EndpointEntry, NetworkRecord)


def hosts(entries: Iterable[Entry]) -> Iterator[HostEntry]:
    """Hosts, each under its own id."""
    return _readable(entries, HostEntry.from_json)


def endpoints(entries: Iterable[Entry]) -> Iterator[EndpointEntry]:
    """Endpoints, each under its own id."""
    return _readable(entries, EndpointEntry.from_json)


def networks(entries: Iterable[Entry]) -> Iterator[NetworkRecord]:
    """Networks, each under its own id."""
    return _readable(entries, network_from_json)


def _readable(entries: Iterable[Entry], read: Callable[[str], _Found]) -> Iterator[_Found]:
    for entry in entries:
        try:
            found = read(entry.value)
        except Unreadable as error:
            _LOG.error("passed over what is at %s in etcd: %s", entry.key, error)
            continue
        if not entry.key.endswith(f"/{found.id}"):
            # Whoever has written it may not be the one whose it is.
            _LOG.error("passed over what is at %s in etcd: it is of %s", entry.key, found.id)
            continue
        yield found
