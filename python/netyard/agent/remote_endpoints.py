"""Endpoints of a network on other hosts: FDB and neighbour entries, and names, as etcd has them.

A file has them as well, for an agent that is started while etcd is unreachable. This host's own are
`local_endpoints`; which entries differ is `netyard.drivers.overlay.fdb_diff`.

Called from the thread of the watch of the network's endpoints, and from the one that talks to etcd.
Takes no lock of the root, so a command that waits for it may hold that.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import netyard._core as _core
from netyard.agent.zones import Zones
from netyard.cluster import decode
from netyard.cluster.entries import EndpointEntry, Unreadable, endpoints_prefix
from netyard.cluster.etcd import Batch, Entry
from netyard.drivers.overlay.fdb_diff import Remote, difference
from netyard.errors import KernelError
from netyard.state.records import NetworkRecord
from netyard.values.ids import vxlan_name
from netyard.values.parse import Address

_LOG = logging.getLogger("netyard.agent")
# In the file, before the id of an endpoint that has gone.
_GONE = "-"
_FEW = 1000


class RemoteEndpoints:
    """See the module; a `netyard.cluster.watch.WatchHandler`.

    Args:
        host_id: This host's id; its own endpoints are left out.
        tunnel: The device through which the other hosts must be reached; ``None`` for the routes'.
        memory: The file with what is known.
    """

    def __init__(
        self,
        network: NetworkRecord,
        host_id: str,
        zones: Zones,
        *,
        tunnel: str | None,
        memory: Path,
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
        self._memory = memory
        self._unsaved: list[str] = []
        self._saved = 0
        self._is_dropped = False
        self._recall()

    def replace(self, entries: Iterable[Entry]) -> None:
        """See `WatchHandler.replace`."""
        present = list(decode.endpoints(entries))
        with self._lock:
            ids = {each.id for each in present}
            self._apply([each for each in self._known if each not in ids], present)
            self._repair()

    def change(self, batch: Batch) -> None:
        """See `WatchHandler.change`."""
        with self._lock:
            # An entry that is overwritten with an unreadable value counts as deleted.
            keys = (*batch.deletes, *(entry.key for entry in batch.puts))
            gone = [key[self._prefix_length :] for key in keys]
            self._apply(gone, list(decode.endpoints(batch.puts)))

    def resume(self) -> None:
        """See `WatchHandler.resume`."""
        self.repair()

    def repair(self) -> None:
        """Compare the kernel's entries with what is known, and set them right."""
        with self._lock:
            self._repair()

    def program(self) -> None:
        """Write all entries to the device, if it has been made since they were last written."""
        with self._lock:
            if _index_of(self._device) != self._index:
                self._tell_kernel([], self._known.values())

    def known(self) -> list[EndpointEntry]:
        """The endpoints on other hosts."""
        with self._lock:
            return list(self._known.values())

    def drop(self) -> None:
        """Remove names, entries and the file: no container of this host is on the network now."""
        with self._lock:
            self._zones.change(self._network.id, list(self._known), [])
            self._tell_kernel(self._known.values(), [])
            self._known.clear()
            # The watch's thread may be about to bring one more change.
            self._is_dropped = True
            self._memory.unlink(missing_ok=True)
            self._unsaved.clear()
            self._saved = 0

    def save(self) -> None:
        """Append changes to the file; write it anew when half of its lines are out of date."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, []
            if not unsaved:
                return
            if self._saved + len(unsaved) <= 2 * len(self._known) + _FEW:
                with self._memory.open("a") as stream:
                    stream.writelines(unsaved)
                self._saved += len(unsaved)
                return
            draft = self._memory.with_suffix(".new")
            draft.write_text("".join(f"{each.to_json()}\n" for each in self._known.values()))
            draft.rename(self._memory)
            self._saved = len(self._known)

    def _recall(self) -> None:
        try:
            lines = self._memory.read_text(errors="replace").split("\n")
        except FileNotFoundError:
            return
        except OSError as error:
            # What is in it comes from etcd as well, only later.
            _LOG.error("%s: %s", self._memory, error.strerror)
            return
        self._saved = len(lines)
        # The last is empty, or incomplete if an agent was killed while it wrote.
        for line in lines[:-1]:
            if line.startswith(_GONE):
                self._known.pop(line.removeprefix(_GONE), None)
                continue
            try:
                endpoint = EndpointEntry.from_json(line)
            except Unreadable as error:
                _LOG.error("passed over a line of %s: %s", self._memory, error)
            else:
                self._known[endpoint.id] = endpoint
        self._tell_kernel([], self._known.values())
        self._tell_names([], self._known.values())

    def _repair(self) -> None:
        if not _index_of(self._device):
            return
        try:
            present = _core.list_remotes(self._device)
            removed, added = difference(_remotes(self._known.values()), *present)
            if removed or added:
                _core.change_remotes(self._device, self._tunnel, removed, added)
                what = len({mac for mac, _, _ in (*removed, *added)})
                _LOG.info("network %s: %d entries repaired", self._network.name, what)
        except KernelError as error:
            _LOG.error("network %s: %s", self._network.name, error)

    def _apply(self, gone: Iterable[str], present: Iterable[EndpointEntry]) -> None:
        if self._is_dropped:
            return
        found = {each.id: each for each in present}
        remote = {
            each.id: each for each in found.values() if each.is_up and each.host != self._host_id
        }
        before = {each: self._known.pop(each) for each in (*gone, *found) if each in self._known}
        self._known |= remote
        removed = [each for each in before.values() if remote.get(each.id) != each]
        added = [each for each in remote.values() if before.get(each.id) != each]
        if removed or added:
            self._unsaved += [f"{_GONE}{each.id}\n" for each in removed if each.id not in remote]
            self._unsaved += [f"{each.to_json()}\n" for each in added]
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
            # A device that has been made meanwhile has no entries yet.
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


def _index_of(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0


def _addresses(endpoint: EndpointEntry) -> list[Address]:
    return [ip_address(text) for text in endpoint.addresses]


def _remotes(endpoints: Iterable[EndpointEntry]) -> list[Remote]:
    return [
        (bytes.fromhex(each.mac.replace(":", "")), ip_address(each.via), _addresses(each))
        for each in endpoints
    ]
