"""Decoding of entries from etcd: those that are invalid are logged and left out.

The format is `netyard.cluster.entries`. An invalid entry counts as absent, so that one host, or
another client of etcd, cannot stop all hosts.
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
    """Hosts, from entries of their keys."""
    return _readable(entries, HostEntry.from_json)


def endpoints(entries: Iterable[Entry]) -> Iterator[EndpointEntry]:
    """Endpoints, from entries of their keys."""
    return _readable(entries, EndpointEntry.from_json)


def networks(entries: Iterable[Entry]) -> Iterator[NetworkRecord]:
    """Networks, from entries of their keys."""
    return _readable(entries, network_from_json)


def _readable(entries: Iterable[Entry], read: Callable[[str], _Found]) -> Iterator[_Found]:
    for entry in entries:
        try:
            found = read(entry.value)
        except Unreadable as error:
            _LOG.error("passed over what is at %s in etcd: %s", entry.key, error)
            continue
        if not entry.key.endswith(f"/{found.id}"):
            # Its key says which endpoint or host it is about; the value must not say another.
            _LOG.error("passed over what is at %s in etcd: it is of %s", entry.key, found.id)
            continue
        yield found
