"""This host as a member of a cluster: joining, the lease, catching up after a time without etcd.

`local_endpoints` keeps what the host has in etcd, `cluster_watches` what it reads there; the
transactions are `netyard.cluster.registry`. With etcd unreachable, what exists goes on working;
what has changed here meanwhile is written when etcd is back.

Called from the thread that talks to etcd, but for `settings`, which any thread may read.
"""

from __future__ import annotations

import logging

from netyard.agent.cluster_watches import ClusterWatches
from netyard.agent.etcd_status import EtcdStatus
from netyard.agent.host_identity import HostIdentity
from netyard.agent.local_endpoints import LocalEndpoints
from netyard.agent.zones import Zones
from netyard.cluster.entries import EndpointEntry, HostEntry
from netyard.cluster.etcd import Etcd
from netyard.cluster.registry import Registry
from netyard.errors import ClusterError, Conflict, NetyardError
from netyard.state.layout import Layout
from netyard.state.store import Store
from netyard.values.membership import Membership

_LOG = logging.getLogger("netyard.agent")
#: How soon to try again after a failure.
RETRY_SECONDS = 1.0
_KEEP_SECONDS = 5.0


class ClusterMember:
    """See the module.

    Attributes:
        settings: How this host takes part; ``None`` if it is in no cluster.
        registry: etcd with this host's lease; ``None`` before the first connection.
        local: This host's endpoints in etcd.
        watches: What it follows there.
    """

    def __init__(self, layout: Layout, store: Store, zones: Zones) -> None:
        self._identity = HostIdentity(layout.cluster)
        self._status = EtcdStatus()
        self.watches = ClusterWatches(layout, store, zones, self._identity.id, self._status)
        self.local = LocalEndpoints(layout, store, self.watches)
        self.settings: Membership | None = None
        self.registry: Registry | None = None

    def resume(self) -> None:
        """Go on as the member that an agent before was, with etcd or without."""
        if self.settings is not None:
            self.watches.resume(self.settings)

    def join(self, settings: Membership) -> None:
        """Become a member; the cluster's networks are in the store then.

        Raises:
            Conflict: if this host is in another cluster.
            NetyardError: if it cannot become one.
        """
        if self.settings == settings:
            # By the environment, which this agent was started with.
            self.present()
            return
        if self.settings is not None:
            raise Conflict(f"this host is in a cluster already, as {self.settings.name!r}")
        self.settings = settings
        try:
            self.enter(settings)
        except BaseException:
            self.leave()
            raise
        self.watches.wait_for_networks()

    def leave(self) -> None:
        """Be a member no longer; without etcd, the others learn of it when the lease ends."""
        registry, self.registry, self.settings = self.registry, None, None
        self.watches.stop()
        self.local.clear()
        self._identity.keep(lease=0)
        try:
            if registry is not None:
                registry.leave()
        except ClusterError as error:
            _LOG.warning("leaving: %s", error)

    def membership(self) -> Membership:
        """How this host takes part.

        Raises:
            Conflict: if it is in no cluster.
        """
        if self.settings is None:
            raise Conflict(
                "this host is in no cluster",
                hint="join one with 'netyard host join --etcd URL --advertise ADDRESS'",
            )
        return self.settings

    def present(self) -> Registry:
        """etcd with this host in it.

        Raises:
            Conflict: if this host is in no cluster.
            ClusterError: if etcd cannot be used.
        """
        settings = self.membership()
        return self.enter(settings) if self.registry is None else self.registry

    def enter(self, settings: Membership) -> Registry:
        """Have a lease, be registered with it, and bring etcd up to date with the store.

        Raises:
            NetyardError: if that fails.
        """
        self.registry = registry = self._register(settings)
        self.watches.watch_networks(settings)
        self.local.catch_up(settings, registry)
        return registry

    def _register(self, settings: Membership) -> Registry:
        if self.registry is not None:
            host, etcd = self.registry.host, self.registry.etcd
        else:
            host = HostEntry(self._identity.id, settings.name, settings.advertise)
            etcd = Etcd(settings.access)
        lease = self._identity.lease
        if not lease or not etcd.keep_alive(lease):
            lease = etcd.grant(settings.lease_seconds)
        registry = Registry(etcd, host, lease)
        registry.register_host()
        self._identity.keep(lease=lease)
        return registry

    def keep(self) -> float | None:
        """Keep the lease and catch up.

        Returns:
            In how many seconds to do so again; ``None`` if this host is in no cluster.
        """
        settings, registry = self.settings, self.registry
        if settings is None:
            return None
        try:
            if registry is None or not registry.is_alive():
                registry = self.enter(settings)
            elif self.local.is_behind:
                self.local.catch_up(settings, registry)
            self.local.give_up_claims(registry)
        except NetyardError as error:
            self._status.note(str(error))
            return RETRY_SECONDS
        self._status.note("")
        self.watches.save_remotes()
        return min(settings.lease_seconds / 3, _KEEP_SECONDS)

    def update(self, container_id: str) -> None:
        """Bring a container's changed endpoints to etcd, now or when it can be used again."""
        local, gone = self.local.changed_of(container_id)
        if self.registry is None:
            self.local.is_behind = True
            return
        try:
            self.local.update(self.registry, local, gone)
        except NetyardError as error:
            self.local.is_behind = True
            self._status.note(str(error))

    def endpoints_on(self, network_id: str) -> list[EndpointEntry]:
        """A network's endpoints on all hosts; without etcd, those that are known here.

        Raises:
            Conflict: if this host is in no cluster.
        """
        try:
            return self.present().endpoints(network_id)
        except ClusterError:
            return [*self.local.known_on(network_id), *self.watches.remotes_of(network_id)]
