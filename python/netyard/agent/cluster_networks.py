"""The cluster's networks, copied from etcd to this host's store.

Their format in etcd is `netyard.cluster.entries`. Each change takes the root's lock, so code that
holds the lock must not wait for this.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence

from netyard.api.host import Host
from netyard.cluster import decode
from netyard.cluster.entries import NETWORKS
from netyard.cluster.etcd import Batch, Entry
from netyard.errors import NetyardError
from netyard.ipc import agent
from netyard.networks import devices
from netyard.state.layout import Layout
from netyard.state.records import NetworkRecord

_LOG = logging.getLogger("netyard.agent")


class ClusterNetworks:
    """See the module; a `netyard.cluster.watch.WatchHandler`.

    Args:
        underlay: This host's address on the network between the hosts.
        tunnel: Its address in the WireGuard tunnel.
    """

    def __init__(self, layout: Layout, underlay: str, tunnel: str) -> None:
        self._layout = layout
        self._underlay = underlay
        self._tunnel = tunnel
        self._is_current = threading.Event()

    def wait_until_current(self, seconds: float) -> bool:
        """Wait until the store has the networks of the first snapshot; whether it has in time."""
        return self._is_current.wait(seconds)

    def replace(self, entries: Iterable[Entry]) -> None:
        """See `WatchHandler.replace`."""
        self._record(list(decode.networks(entries)), gone=None)
        self._is_current.set()

    def resume(self) -> None:
        """See `WatchHandler.resume`: nothing to be done."""

    def change(self, batch: Batch) -> None:
        """See `WatchHandler.change`."""
        self._record(
            list(decode.networks(batch.puts)),
            gone={key.removeprefix(NETWORKS) for key in batch.deletes},
        )

    def _record(self, networks: Sequence[NetworkRecord], gone: set[str] | None) -> None:
        try:
            with Host(self._layout.root) as host, host.change():
                present = {each.id: each for each in host.store.networks() if each.spans_hosts}
                if gone is None:
                    gone = set(present) - {network.id for network in networks}
                for network in networks:
                    if network.id not in present:
                        self._add(host, network)
                for network_id in gone & set(present):
                    self._remove(host, present[network_id])
        except NetyardError as error:
            _LOG.error("networks of the cluster: %s", error)

    def _add(self, host: Host, network: NetworkRecord) -> None:
        if host.store.has_network_named(network.name):
            _LOG.error(
                "network %s of the cluster cannot be used here: this host has one of that name",
                network.name,
            )
            return
        with host.store.transaction():
            underlay = self._tunnel if network.is_encrypted else self._underlay
            host.store.add_network(network._replace(underlay=underlay))

    def _remove(self, host: Host, network: NetworkRecord) -> None:
        if host.store.endpoints_on(network.id):
            _LOG.error("network %s is gone from the cluster, and is in use here", network.name)
            return
        devices.forget(host, network)
        agent.forget_network(self._layout, network.id)
