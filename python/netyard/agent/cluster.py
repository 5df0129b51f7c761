"""This host's part in a cluster: its lease, what it owns there, and the networks it follows.

One thread talks to etcd, doing what commands ask and keeping the lease meanwhile. It never waits
for the root's lock, because commands that hold it wait for answers. What is followed has threads
of its own (`netyard.cluster.watch`). With etcd gone, what exists goes on; what has changed here
meanwhile is made known when it is back.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from netyard.agent.cluster_networks import ClusterNetworks
from netyard.agent.host_identity import HostIdentity
from netyard.agent.remote_endpoints import RemoteEndpoints
from netyard.agent.wireguard import WireguardTunnel
from netyard.agent.zones import Zones
from netyard.api.host import Host
from netyard.cluster import entries
from netyard.cluster.entries import EndpointEntry, HostEntry
from netyard.cluster.etcd import Etcd, LeaseLost
from netyard.cluster.registry import Registry
from netyard.cluster.watch import Watch
from netyard.errors import ClusterError, Conflict, NetyardError
from netyard.lifecycle.readdress import give_new_addresses
from netyard.resolver import names
from netyard.state import config
from netyard.state.layout import Layout
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import locked
from netyard.state.store import Store
from netyard.values import membership
from netyard.values.membership import Membership

_LOG = logging.getLogger("netyard.agent")
_AWAY_SECONDS = 1.0
_KEEP_SECONDS = 5.0
_SNAPSHOT_SECONDS = 5.0

Message = dict[str, Any]
Answer = Callable[[Message], None]


class Cluster:
    """See the module. `load`, `submit`, `look` and `forget` return at once."""

    def __init__(self, layout: Layout, store: Store, zones: Zones) -> None:
        self._layout = layout
        self._store = store
        self._zones = zones
        self._own = HostIdentity(layout.cluster)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._member: Membership | None = None
        self._registry: Registry | None = None
        self._tunnel: tuple[WireguardTunnel, Watch] | None = None
        self._networks: tuple[ClusterNetworks, Watch] | None = None
        self._followed: dict[str, tuple[RemoteEndpoints, Watch]] = {}
        self._mine: dict[str, EndpointEntry] = {}
        # Endpoints that were not yet in the store when they were last looked for.
        self._claimed: set[str] = set()
        self._is_behind = False
        self._why = ""

    @property
    def is_joined(self) -> bool:
        """Whether this host is in a cluster."""
        return self._member is not None

    def load(self) -> None:
        """Go on as a member, if this host is one."""
        try:
            self._member = config.load(self._layout.root).cluster
        except NetyardError as error:
            _LOG.error("%s", error)
        if self._member is not None:
            self._jobs.put(self._resume)
            self._start_thread()

    def stop(self) -> None:
        """End the thread; the lease stays, for the agent after this one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(_SNAPSHOT_SECONDS)

    def submit(self, message: Message, answer: Answer) -> None:
        """Do what a command asks, and answer it."""
        self._start_thread()
        self._jobs.put(lambda: answer(self._handled(message)))

    def look(self, container_id: str) -> None:
        """Make known what has changed of a container."""
        if self._member is not None:
            self._jobs.put(lambda: self._look(container_id))

    def forget(self, network_id: str) -> None:
        """A network is gone."""
        if self._member is not None:
            self._jobs.put(lambda: self._forget(network_id))

    # -- the thread -------------------------------------------------------------------------

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="cluster", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        due = time.monotonic()
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + self._keep()
                continue
            if job is None:
                return
            try:
                job()
            except Exception:
                _LOG.exception("cluster")
                self._is_behind = True
            if self._is_behind:
                due = min(due, time.monotonic() + _AWAY_SECONDS)

    def _resume(self) -> None:
        """Follow what was followed before, with etcd or without."""
        for network in self._used_networks():
            self._watch(network)

    def _keep(self) -> float:
        """Keep the lease and catch up; in how many seconds to do so again."""
        if self._member is None:
            return _SNAPSHOT_SECONDS
        try:
            registry = self._registry
            if registry is None or not registry.is_alive():
                self._enter(self._member)
            elif self._is_behind:
                self._catch_up()
            self._give_up_claims()
        except NetyardError as error:
            self._note(str(error))
            return _AWAY_SECONDS
        self._note("")
        for remotes, _ in self._followed.values():
            remotes.keep()
        return min(self._member.lease_seconds / 3, _KEEP_SECONDS)

    def _note(self, why: str) -> None:
        if why != self._why:
            _LOG.log(logging.WARNING if why else logging.INFO, "%s", why or "etcd is back")
        self._why = why

    def _enter(self, member: Membership) -> None:
        """Be there, with a lease, and have what is here."""
        host = self._registry.host if self._registry else self._describe(member)
        etcd = self._registry.etcd if self._registry else Etcd(member.access)
        lease = self._own.lease
        if not lease or not etcd.keep_alive(lease):
            lease = etcd.grant(member.lease_seconds)
        registry = Registry(etcd, host, lease)
        registry.register_host()
        self._own.keep(lease=lease)
        self._registry = registry
        if self._networks is None:
            own = str(entries.tunnel_address(self._own.id))
            networks = ClusterNetworks(self._layout, member.advertise, own)
            watch = Watch(lambda: Etcd(member.access), entries.NETWORKS, networks)
            self._networks = networks, watch
        self._catch_up()

    def _describe(self, member: Membership) -> HostEntry:
        return HostEntry(id=self._own.id, name=member.name, address=member.advertise)

    # -- what is asked ----------------------------------------------------------------------

    def _handled(self, message: Message) -> Message:
        try:
            try:
                return self._handle(message)
            except LeaseLost:
                # Nobody has noticed yet, and it is no reason to refuse.
                if self._member is not None:
                    self._enter(self._member)
                return self._handle(message)
        except NetyardError as error:
            return {
                "refused": type(error).__name__,
                "message": str(error),
                "hint": error.hint,
                "holder": getattr(error, "holder", ""),
            }
        except Exception as error:
            # Whoever asks must not wait for a thread that is no more.
            _LOG.exception("%s", message.get("what"))
            return {"error": repr(error)}

    def _handle(self, message: Message) -> Message:
        what = message["what"]
        if what == "join":
            return self._join(membership.parse(membership.KEY, message["settings"]))
        if what == "leave":
            return self._leave()
        if what == "repair":
            for remotes, _ in self._followed.values():
                remotes.repair()
            return {}
        if what == "endpoints":
            return {"endpoints": [each.to_json() for each in self._endpoints(message["network"])]}
        registry = self._present()
        match what:
            case "hosts":
                return {"hosts": [each.to_json() for each in registry.hosts().values()]}
            case "networks":
                known = registry.cluster().networks
                return {"networks": [entries.network_to_json(each) for each in known]}
            case "add":
                registry.add_network(entries.network_from_json(message["network"]))
                return {}
            case "remove":
                registry.remove_network(entries.network_from_json(message["network"]))
                return {}
            case "self":
                return {"host": registry.host.to_json()}
            case "prepare":
                self._prepare_tunnel(registry)
                return {}
            case "rotate-key":
                self._rotate_key(registry)
                return {}
            case "claim":
                return self._claim(registry, message)
            case "follow":
                self._follow(self._network(message["network"]))
                return {}
            case "publish":
                self._publish(registry, message["endpoints"])
                return {}
        return {"error": f"unknown request {what!r}"}

    def _present(self) -> Registry:
        if self._member is None:
            raise Conflict(
                "this host is in no cluster",
                hint="join one with 'netyard host join --etcd URL --advertise ADDRESS'",
            )
        if self._registry is None:
            self._enter(self._member)
        if self._registry is None:
            raise ClusterError(self._why)
        return self._registry

    def _join(self, member: Membership) -> Message:
        if self._member == member:
            # By the environment, which this agent was started with.
            self._present()
            return {}
        if self._member is not None:
            raise Conflict(f"this host is in a cluster already, as {self._member.name!r}")
        self._member = member
        try:
            self._enter(member)
        except BaseException:
            self._leave()
            raise
        if self._networks is not None:
            self._networks[0].wait_until_current(_SNAPSHOT_SECONDS)
        return {}

    def _leave(self) -> Message:
        registry, self._registry, self._member = self._registry, None, None
        for network_id in list(self._followed):
            self._unfollow(network_id)
        if self._networks is not None:
            self._networks[1].stop()
            self._networks = None
        self._close_tunnel()
        self._mine.clear()
        self._own.keep(lease=0)
        try:
            if registry is not None:
                registry.leave()
        except ClusterError as error:
            # The others learn of it when the lease ends.
            _LOG.warning("leaving: %s", error)
        return {}

    def _endpoints(self, network_id: str) -> list[EndpointEntry]:
        """All there are; with etcd gone, those known here."""
        try:
            return self._present().endpoints(network_id)
        except ClusterError:
            mine = [each for each in self._mine.values() if each.network == network_id]
            remotes, _ = self._followed.get(network_id, (None, None))
            return [*mine, *(remotes.known() if remotes else ())]

    def _claim(self, registry: Registry, message: Message) -> Message:
        network = self._network(message["network"])
        endpoint = EndpointEntry(
            **message["endpoint"],
            network=network.id,
            host=registry.host.id,
            host_name=registry.host.name,
            host_address=registry.host.address,
            via="",
            mac="",
            addresses=(),
            is_up=False,
        )
        wanted = {
            int(version): ip_address(text) if text else None
            for version, text in message["wanted"].items()
        }
        self._claimed.add(endpoint.id)
        try:
            found = [str(each) for each in registry.claim(network, endpoint, wanted)]
        except ClusterError:
            # It may have been heard all the same.
            self._is_behind = True
            raise
        self._mine[endpoint.id] = endpoint._replace(addresses=found)
        return {"addresses": found}

    def _network(self, network_id: str) -> NetworkRecord:
        found = self._store.network(network_id)
        if found is None:
            raise Conflict(f"there is no network {network_id[:12]!r} any more")
        return found

    # -- what is here -----------------------------------------------------------------------

    def _publish(self, registry: Registry, endpoint_ids: list[str]) -> None:
        for endpoint_id in endpoint_ids:
            endpoint = self._store.endpoint(endpoint_id)
            entry = self._entry(registry, endpoint) if endpoint else None
            if entry is not None:
                registry.publish(entry)
                self._mine[entry.id] = entry

    def _look(self, container_id: str) -> None:
        """Make known what has changed of a container."""
        registry = self._registry
        local = self._store.endpoints_of(container_id)
        present = {each.id for each in local}
        gone = [
            each
            for each in self._mine.values()
            if each.container == container_id and each.id not in present
        ]
        if registry is None:
            self._is_behind = True
            return
        try:
            self._release(registry, gone)
            for endpoint in local:
                self._refresh(registry, endpoint)
        except NetyardError as error:
            self._is_behind = True
            self._note(str(error))

    def _refresh(self, registry: Registry, endpoint: EndpointRecord) -> None:
        entry = self._entry(registry, endpoint)
        # One that is on its way is its maker's to make known.
        if entry is None or endpoint.state == "attaching" or self._mine.get(entry.id) == entry:
            return
        registry.publish(entry)
        self._mine[entry.id] = entry

    def _release(self, registry: Registry, gone: list[EndpointEntry]) -> None:
        registry.release(gone)
        for each in gone:
            self._mine.pop(each.id, None)
            self._claimed.discard(each.id)
            if not self._store.endpoints_on(each.network):
                self._unfollow(each.network)

    def _give_up_claims(self) -> None:
        """Give back what was claimed for endpoints that were never written, as their makers died.

        While somebody holds the lock of the root he may be about to write one; while nobody does,
        and this thread is the one that claims, nobody is.
        """
        if not self._claimed:
            return
        try:
            with locked(self._layout.lock, wait=False):
                orphans = {each for each in self._claimed if self._store.endpoint(each) is None}
        except OSError:
            # Held by somebody, or no descriptor to be had: another time will do.
            return
        abandoned = [each for each in self._mine.values() if each.id in orphans]
        self._release(self._present(), abandoned)
        self._claimed.clear()

    def _catch_up(self) -> None:
        """Make etcd have what is here, and nothing else of this host."""
        registry = self._present()
        local = {each.id: each for each in self._store.endpoints()}
        shared = [each for each in registry.own_endpoints() if each.id not in self._claimed]
        self._release(registry, [each for each in shared if each.id not in local])
        self._mine |= {each.id: each for each in shared if each.id in local}
        for network in self._used_networks():
            if network.is_encrypted:
                self._prepare_tunnel(registry)
        self._resume()
        for endpoint in local.values():
            self._restore(registry, endpoint)
        self._is_behind = False

    def _restore(self, registry: Registry, endpoint: EndpointRecord) -> None:
        entry = self._entry(registry, endpoint)
        if entry is None or endpoint.state == "attaching":
            return
        if registry.reclaim(entry):
            self._mine[entry.id] = entry
            return
        _LOG.warning("container %s has lost %s", entry.names[0], ", ".join(entry.addresses))
        # It asks for others, and is answered by this thread.
        threading.Thread(target=self._readdress, args=(entry,), daemon=True).start()

    def _readdress(self, entry: EndpointEntry) -> None:
        try:
            with Host(self._layout.root) as host:
                found = give_new_addresses(host, entry.id)
        except NetyardError as error:
            _LOG.error("container %s: %s", entry.names[0], error)
            self._is_behind = True
            return
        _LOG.info("container %s has %s now", entry.names[0], ", ".join(map(str, found)))

    def _entry(self, registry: Registry, endpoint: EndpointRecord) -> EndpointEntry | None:
        """An endpoint as the other hosts are to know it; ``None`` if it is not theirs to know."""
        network = self._store.network(endpoint.network_id)
        container = self._store.container(endpoint.container_id)
        if network is None or container is None or not network.spans_hosts:
            return None
        _, called, addresses = names.names_of(container, endpoint)
        return EndpointEntry(
            id=endpoint.id,
            network=network.id,
            host=registry.host.id,
            host_name=registry.host.name,
            host_address=registry.host.address,
            via=network.underlay,
            container=container.id,
            names=called,
            mac=endpoint.mac,
            addresses=[str(each) for each in addresses],
            is_up=endpoint.is_joined,
        )

    # -- what is followed -------------------------------------------------------------------

    def _follow(self, network: NetworkRecord) -> None:
        """Know the network's containers on other hosts, and have the kernel know them."""
        remotes, watch = self._watch(network)
        if not watch.wait_until_begun(_SNAPSHOT_SECONDS):
            raise ClusterError(self._why or "etcd does not answer in time")
        remotes.program()

    def _used_networks(self) -> list[NetworkRecord]:
        """The networks of the cluster that containers of this host are on."""
        return [
            network
            for network in self._store.networks()
            if network.spans_hosts and self._store.endpoints_on(network.id)
        ]

    def _watch(self, network: NetworkRecord) -> tuple[RemoteEndpoints, Watch]:
        member = self._member
        if network.id not in self._followed and member is not None:
            remotes = RemoteEndpoints(
                network,
                self._own.id,
                self._zones,
                tunnel=self._layout.tunnel if network.is_encrypted else None,
                memory=self._layout.remotes(network.id),
            )
            prefix = entries.endpoints_prefix(network.id)
            watch = Watch(lambda: Etcd(member.access), prefix, remotes)
            self._followed[network.id] = remotes, watch
        return self._followed[network.id]

    def _prepare_tunnel(self, registry: Registry) -> None:
        """Have the tunnel, with this host's key known to the others and theirs to it."""
        member = self._member
        if member is None:
            return
        tunnel, watch = self._tunnel or (
            WireguardTunnel(self._layout, self._own.id, member.advertise),
            None,
        )
        public_key = tunnel.ensure_device()
        if registry.host.public_key != public_key:
            self._announce_key(public_key)
        if watch is None:
            watch = Watch(lambda: Etcd(member.access), entries.HOSTS, tunnel)
            self._tunnel = tunnel, watch
        if not watch.wait_until_begun(_SNAPSHOT_SECONDS):
            raise ClusterError(self._why or "etcd does not answer in time")
        tunnel.program()

    def _close_tunnel(self) -> None:
        if self._tunnel is not None:
            self._tunnel[1].stop()
            self._tunnel[0].remove()
            self._tunnel = None

    def _forget(self, network_id: str) -> None:
        """A network is gone, and with the last encrypted one the tunnel."""
        self._unfollow(network_id)
        networks = self._store.networks()
        if not any(each.is_encrypted and each.state != "planned" for each in networks):
            self._close_tunnel()

    def _announce_key(self, public_key: str) -> None:
        registry = self._present()
        registry.host = registry.host._replace(public_key=public_key)
        registry.register_host()

    def _rotate_key(self, registry: Registry) -> None:
        if self._tunnel is None:
            raise Conflict(
                "this host has no part in the tunnel: no encrypted network is used on it"
            )
        before = registry.host
        try:
            self._tunnel[0].change_key(self._announce_key)
        except BaseException:
            registry.host = before
            raise

    def _unfollow(self, network_id: str) -> None:
        remotes, watch = self._followed.pop(network_id, (None, None))
        if remotes is not None and watch is not None:
            watch.stop()
            remotes.drop()
