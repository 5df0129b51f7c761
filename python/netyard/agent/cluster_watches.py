"""The parts of etcd that this host watches: shared networks, remote endpoints, WireGuard peers.

Says which watches there are and when each begins and ends. What is done with the entries is in
`cluster_networks`, `remote_endpoints` and `wireguard`; each watch has a thread and a connection of
its own (`netyard.cluster.watch`). Called from the thread that talks to etcd.
"""

from __future__ import annotations

from netyard.agent.cluster_networks import ClusterNetworks
from netyard.agent.etcd_status import EtcdStatus
from netyard.agent.remote_endpoints import RemoteEndpoints
from netyard.agent.wireguard import WireguardTunnel
from netyard.agent.zones import Zones
from netyard.cluster import entries
from netyard.cluster.entries import EndpointEntry
from netyard.cluster.etcd import Etcd
from netyard.cluster.registry import Registry
from netyard.cluster.watch import Watch
from netyard.errors import Conflict
from netyard.state.layout import Layout
from netyard.state.records import NetworkRecord
from netyard.state.store import Store
from netyard.values.membership import Membership

_SNAPSHOT_SECONDS = 5.0


class ClusterWatches:
    """See the module.

    Args:
        host_id: This host's id in the cluster.
    """

    def __init__(
        self, layout: Layout, store: Store, zones: Zones, host_id: str, status: EtcdStatus
    ) -> None:
        self._layout = layout
        self._store = store
        self._zones = zones
        self._host_id = host_id
        self._status = status
        self._networks: tuple[ClusterNetworks, Watch] | None = None
        self._tunnel: tuple[WireguardTunnel, Watch] | None = None
        self._remotes: dict[str, tuple[RemoteEndpoints, Watch]] = {}

    # -- the list of networks ---------------------------------------------------------------

    def watch_networks(self, member: Membership) -> None:
        """Keep the store's list of shared networks up to date from now on."""
        if self._networks is None:
            tunnel = str(entries.tunnel_address(self._host_id))
            networks = ClusterNetworks(self._layout, member.advertise, tunnel)
            watch = Watch(lambda: Etcd(member.access), entries.NETWORKS, networks)
            self._networks = networks, watch

    def wait_for_networks(self) -> None:
        """Wait, not without end, until the store has the networks there are."""
        if self._networks is not None:
            self._networks[0].wait_until_current(_SNAPSHOT_SECONDS)

    # -- endpoints of a network on other hosts ----------------------------------------------

    def resume(self, member: Membership) -> None:
        """Watch the endpoints of all networks in use here; works without etcd, from files."""
        for network in self._used_networks():
            self._watch_remotes(member, network)

    def watch_remotes(self, member: Membership, network: NetworkRecord) -> None:
        """Program a network's device with its endpoints on other hosts, now and from now on.

        Raises:
            ClusterError: if etcd does not send them in time.
        """
        remotes, watch = self._watch_remotes(member, network)
        if not watch.wait_until_begun(_SNAPSHOT_SECONDS):
            raise self._status.timeout()
        remotes.program()

    def remotes_of(self, network_id: str) -> list[EndpointEntry]:
        """A network's endpoints on other hosts, as far as they are known here."""
        remotes, _ = self._remotes.get(network_id, (None, None))
        return remotes.known() if remotes else []

    def repair_remotes(self) -> None:
        """Set the kernel's entries for remote endpoints right, whatever was done to them."""
        for remotes, _ in self._remotes.values():
            remotes.repair()

    def save_remotes(self) -> None:
        """Write to files what is known of remote endpoints, for an agent started without etcd."""
        for remotes, _ in self._remotes.values():
            remotes.save()

    def end_unused(self, network_id: str) -> None:
        """End the watch of a network that no container of this host is on."""
        if not self._store.endpoints_on(network_id):
            self._end_remotes(network_id)

    def _used_networks(self) -> list[NetworkRecord]:
        """The cluster's networks that containers of this host are on."""
        return [
            network
            for network in self._store.networks()
            if network.spans_hosts and self._store.endpoints_on(network.id)
        ]

    def _watch_remotes(
        self, member: Membership, network: NetworkRecord
    ) -> tuple[RemoteEndpoints, Watch]:
        if network.id not in self._remotes:
            remotes = RemoteEndpoints(
                network,
                self._host_id,
                self._zones,
                tunnel=self._layout.tunnel if network.is_encrypted else None,
                memory=self._layout.remotes(network.id),
            )
            prefix = entries.endpoints_prefix(network.id)
            watch = Watch(lambda: Etcd(member.access), prefix, remotes)
            self._remotes[network.id] = remotes, watch
        return self._remotes[network.id]

    def _end_remotes(self, network_id: str) -> None:
        remotes, watch = self._remotes.pop(network_id, (None, None))
        if remotes is not None and watch is not None:
            watch.stop()
            remotes.drop()

    # -- the tunnel and its peers -----------------------------------------------------------

    def resume_tunnel(self, member: Membership, registry: Registry) -> None:
        """Have the tunnel, if an encrypted network is in use here."""
        if any(network.is_encrypted for network in self._used_networks()):
            self.prepare_tunnel(member, registry)

    def prepare_tunnel(self, member: Membership, registry: Registry) -> None:
        """Have the tunnel, with this host's public key in etcd and all other hosts as its peers.

        Raises:
            Unsupported: if the kernel has no WireGuard, or no IPv6.
            ClusterError: if etcd does not send the peers in time.
        """
        tunnel, watch = self._tunnel or (
            WireguardTunnel(self._layout, self._host_id, member.advertise),
            None,
        )
        public_key = tunnel.ensure_device()
        if registry.host.public_key != public_key:
            registry.announce_key(public_key)
        if watch is None:
            watch = Watch(lambda: Etcd(member.access), entries.HOSTS, tunnel)
            self._tunnel = tunnel, watch
        if not watch.wait_until_begun(_SNAPSHOT_SECONDS):
            raise self._status.timeout()
        tunnel.program()

    def rotate_key(self, registry: Registry) -> None:
        """Give the tunnel a new key.

        Raises:
            Conflict: if this host has no tunnel.
        """
        if self._tunnel is None:
            raise Conflict(
                "this host has no part in the tunnel: no encrypted network is used on it"
            )
        self._tunnel[0].change_key(registry.announce_key)

    def _close_tunnel(self) -> None:
        if self._tunnel is not None:
            self._tunnel[1].stop()
            self._tunnel[0].remove()
            self._tunnel = None

    # -- the end ----------------------------------------------------------------------------

    def forget(self, network_id: str) -> None:
        """A network has been removed; with the last encrypted one, the tunnel is as well."""
        self._end_remotes(network_id)
        networks = self._store.networks()
        if not any(each.is_encrypted and each.state != "planned" for each in networks):
            self._close_tunnel()

    def stop(self) -> None:
        """End all watches, and remove what was made of them."""
        for network_id in list(self._remotes):
            self._end_remotes(network_id)
        if self._networks is not None:
            self._networks[1].stop()
            self._networks = None
        self._close_tunnel()
