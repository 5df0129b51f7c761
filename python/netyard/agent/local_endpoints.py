"""This host's endpoints in etcd: claimed, published, kept equal to the store, released.

The counterpart is `remote_endpoints`. Which transactions these are in etcd is in
`netyard.cluster.registry`. Called from the thread that talks to etcd, which never waits for the
root's lock: commands that hold it wait for this thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from netyard.agent.cluster_watches import ClusterWatches
from netyard.api.host import Host
from netyard.cluster.entries import EndpointEntry
from netyard.cluster.registry import Registry
from netyard.errors import ClusterError, NetyardError
from netyard.lifecycle.readdress import give_new_addresses
from netyard.resolver import names
from netyard.state.flock import locked
from netyard.state.layout import Layout
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.store import Store
from netyard.values.membership import Membership
from netyard.values.parse import Address

_LOG = logging.getLogger("netyard.agent")


class LocalEndpoints:
    """See the module.

    Attributes:
        is_behind: Whether etcd may lack something, so that `catch_up` is due.
    """

    def __init__(self, layout: Layout, store: Store, watches: ClusterWatches) -> None:
        self._layout = layout
        self._store = store
        self._watches = watches
        self._published: dict[str, EndpointEntry] = {}
        # Endpoints that were not yet in the store when they were last looked for.
        self._claimed: set[str] = set()
        self.is_behind = False

    def known_on(self, network_id: str) -> list[EndpointEntry]:
        """This host's endpoints on a network, as they were last written to etcd."""
        return [each for each in self._published.values() if each.network == network_id]

    def clear(self) -> None:
        """The host leaves the cluster: nothing of it is in etcd any more."""
        self._published.clear()

    def claim(
        self,
        registry: Registry,
        network: NetworkRecord,
        endpoint: EndpointEntry,
        wanted: Mapping[int, Address | None],
    ) -> list[str]:
        """Take addresses for an endpoint that is being planned.

        Args:
            wanted: By IP version, the address that is asked for; ``None`` for any free one.

        Raises:
            NetyardError: as `Registry.claim`.
        """
        self._claimed.add(endpoint.id)
        try:
            found = [str(each) for each in registry.claim(network, endpoint, wanted)]
        except ClusterError:
            # etcd may have got the request all the same.
            self.is_behind = True
            raise
        self._published[endpoint.id] = endpoint._replace(addresses=found)
        return found

    def give_up_claims(self, registry: Registry) -> None:
        """Release what was claimed for endpoints that were never written: the command was killed.

        While the root's lock is held, its holder may be about to write one. While it is free, no
        command is, and none can claim meanwhile, because this thread does that.
        """
        if not self._claimed:
            return
        try:
            with locked(self._layout.lock, wait=False):
                orphans = {each for each in self._claimed if self._store.endpoint(each) is None}
        except OSError:
            # The lock is held, or there is no free descriptor: it is tried again.
            return
        abandoned = [each for each in self._published.values() if each.id in orphans]
        self._release(registry, abandoned)
        self._claimed.clear()

    def publish(self, registry: Registry, endpoint_ids: Sequence[str]) -> None:
        """Make known that endpoints can be reached.

        Raises:
            Conflict: if one has lost its addresses to another host.
        """
        for endpoint_id in endpoint_ids:
            endpoint = self._store.endpoint(endpoint_id)
            entry = self._entry(registry, endpoint) if endpoint else None
            if entry is not None:
                self._publish(registry, entry)

    def changed_of(self, container_id: str) -> tuple[list[EndpointRecord], list[EndpointEntry]]:
        """A container's endpoints in the store, and its entries in etcd that are without one."""
        local = self._store.endpoints_of(container_id)
        present = {each.id for each in local}
        gone = [
            each
            for each in self._published.values()
            if each.container == container_id and each.id not in present
        ]
        return local, gone

    def update(
        self, registry: Registry, local: Sequence[EndpointRecord], gone: Sequence[EndpointEntry]
    ) -> None:
        """Bring to etcd what `changed_of` has found.

        Raises:
            NetyardError: as `Registry.publish` and `Registry.release`.
        """
        self._release(registry, gone)
        for endpoint in local:
            entry = self._entry(registry, endpoint)
            # One that is being attached is published by the command that attaches it.
            if entry is None or endpoint.state == "attaching":
                continue
            if self._published.get(entry.id) != entry:
                self._publish(registry, entry)

    def catch_up(self, member: Membership, registry: Registry) -> None:
        """Make etcd have the endpoints of the store, and no others of this host.

        Raises:
            NetyardError: if etcd cannot be used, or the tunnel cannot be made.
        """
        local = {each.id: each for each in self._store.endpoints()}
        shared = [each for each in registry.own_endpoints() if each.id not in self._claimed]
        self._release(registry, [each for each in shared if each.id not in local])
        self._published |= {each.id: each for each in shared if each.id in local}
        self._watches.resume_tunnel(member, registry)
        self._watches.resume(member)
        for endpoint in local.values():
            self._restore(registry, endpoint)
        self.is_behind = False

    def _publish(self, registry: Registry, entry: EndpointEntry) -> None:
        registry.publish(entry)
        self._published[entry.id] = entry

    def _release(self, registry: Registry, gone: Sequence[EndpointEntry]) -> None:
        registry.release(gone)
        for each in gone:
            self._published.pop(each.id, None)
            self._claimed.discard(each.id)
            self._watches.end_unused(each.network)

    def _restore(self, registry: Registry, endpoint: EndpointRecord) -> None:
        entry = self._entry(registry, endpoint)
        if entry is None or endpoint.state == "attaching":
            return
        if registry.reclaim(entry):
            self._published[entry.id] = entry
            return
        _LOG.warning("container %s has lost %s", entry.names[0], ", ".join(entry.addresses))
        # New addresses are claimed from this thread, so it must not wait for them.
        threading.Thread(target=self._readdress, args=(entry,), daemon=True).start()

    def _readdress(self, entry: EndpointEntry) -> None:
        try:
            with Host(self._layout.root) as host:
                found = give_new_addresses(host, entry.id)
        except NetyardError as error:
            _LOG.error("container %s: %s", entry.names[0], error)
            self.is_behind = True
            return
        _LOG.info("container %s has %s now", entry.names[0], ", ".join(map(str, found)))

    def _entry(self, registry: Registry, endpoint: EndpointRecord) -> EndpointEntry | None:
        """An endpoint's entry in etcd; ``None`` if its network is this host's only."""
        network = self._store.network(endpoint.network_id)
        container = self._store.container(endpoint.container_id)
        if network is None or container is None or not network.spans_hosts:
            return None
        _, called, _ = names.names_of(container, endpoint)
        return EndpointEntry.of(registry.host, network, endpoint, called)
