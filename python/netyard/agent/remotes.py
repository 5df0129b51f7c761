"""A network's containers on other hosts: kept reachable and resolvable as etcd has them.

Called from the thread that follows the network's endpoints; needs no lock of the root, so a
command that waits for it may hold that.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from netyard import _core
from netyard.agent.zones import Zones
from netyard.cluster.entries import EndpointEntry, endpoints_prefix
from netyard.cluster.etcd import Batch, Entry
from netyard.errors import KernelError
from netyard.naming import vxlan_name
from netyard.options import Address
from netyard.store.records import NetworkRecord

_LOG = logging.getLogger("netyard.agent")


class Remotes:
    """See the module; a `netyard.cluster.follow.Reader`.

    Args:
        host_id: Whose containers are not remote.
        tunnel: The device that leads to the other hosts, if it is not just any.
    """

    def __init__(
        self, network: NetworkRecord, host_id: str, zones: Zones, tunnel: str | None
    ) -> None:
        self._network = network
        self._host_id = host_id
        self._zones = zones
        self._tunnel = tunnel
        self._device = vxlan_name(network.id)
        self._known: dict[str, EndpointEntry] = {}
        self._lock = threading.Lock()
        self._index = 0
        self._prefix_length = len(endpoints_prefix(network.id))

    def replace(self, entries: Sequence[Entry]) -> None:
        """See `Reader.replace`."""
        present = {entry.key[self._prefix_length :] for entry in entries}
        with self._lock:
            gone = [each for each in self._known if each not in present]
            self._apply(gone, entries)

    def change(self, batch: Batch) -> None:
        """See `Reader.change`."""
        with self._lock:
            self._apply([key[self._prefix_length :] for key in batch.deletes], batch.puts)

    def program(self) -> None:
        """See to it that the device, which may have been made just now, knows everything."""
        with self._lock:
            if _index_of(self._device) != self._index:
                self._tell_kernel([], self._known.values())

    def known(self) -> list[EndpointEntry]:
        """The containers on other hosts."""
        with self._lock:
            return list(self._known.values())

    def drop(self) -> None:
        """Forget the names: no container of this host is on the network any more."""
        with self._lock:
            self._zones.change(self._network.id, list(self._known), [])
            self._tell_kernel(self._known.values(), [])
            self._known.clear()

    def _apply(self, gone: Iterable[str], entries: Iterable[Entry]) -> None:
        found = {each.id: each for each in map(_endpoint, entries)}
        remote = {
            each.id: each for each in found.values() if each.is_up and each.host != self._host_id
        }
        before = {each: self._known.pop(each) for each in (*gone, *found) if each in self._known}
        self._known |= remote
        removed = [each for each in before.values() if remote.get(each.id) != each]
        added = [each for each in remote.values() if before.get(each.id) != each]
        if removed or added:
            self._tell_kernel(removed, added)
            self._tell_names(removed, added)

    def _tell_kernel(
        self, removed: Iterable[EndpointEntry], added: Iterable[EndpointEntry]
    ) -> None:
        index = _index_of(self._device)
        if not index:
            self._index = 0
            return
        if index != self._index:
            # Another device than the one told before knows nothing yet.
            added = self._known.values()
        try:
            _core.change_remotes(self._device, self._tunnel, _remotes(removed), _remotes(added))
            self._index = index
        except KernelError as error:
            self._index = 0
            _LOG.error("network %s: %s", self._network.name, error)

    def _tell_names(self, removed: Iterable[EndpointEntry], added: Iterable[EndpointEntry]) -> None:
        self._zones.add(self._network)
        self._zones.change(
            self._network.id,
            [each.id for each in removed],
            [(each.id, list(each.names), _addresses(each)) for each in added],
        )


def _endpoint(entry: Entry) -> EndpointEntry:
    return EndpointEntry.from_json(entry.value)


def _index_of(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0


def _addresses(endpoint: EndpointEntry) -> list[Address]:
    return [ip_address(text) for text in endpoint.addresses]


def _remotes(
    endpoints: Iterable[EndpointEntry],
) -> list[tuple[bytes, Address, Sequence[Address]]]:
    return [
        (bytes.fromhex(each.mac.replace(":", "")), ip_address(each.via), _addresses(each))
        for each in endpoints
    ]
