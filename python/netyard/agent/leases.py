"""DHCP leases of containers: held and renewed by the agent, and applied when they change.

The protocol is in `rust/dhcp`, what is configured in `netyard.endpoints.dhcp`. The first address of
an endpoint is configured by the command that attaches it, which holds the root's lock meanwhile.
Later changes are applied here, on a thread that waits for the lock, so that the agent need not.
"""

from __future__ import annotations

import logging
import os
import threading
from ipaddress import IPv4Address
from typing import Any

import netyard._core as _core
from netyard.api.host import Host
from netyard.drivers.parent.driver import group_of
from netyard.endpoints import dhcp
from netyard.errors import NetyardError
from netyard.ipc import agent
from netyard.lifecycle.etc_files import refresh_etc_hosts
from netyard.state.layout import Layout
from netyard.state.records import EndpointRecord, Lease
from netyard.state.store import Store
from netyard.values.ids import short

_LOG = logging.getLogger("netyard.agent")
_Granted = tuple[IPv4Address, Lease]


class Leases:
    """The leases this agent holds, by endpoint."""

    def __init__(self, layout: Layout, store: Store) -> None:
        self._layout = layout
        self._store = store
        self._clients = _core.DhcpClients()
        self._granted: dict[str, _Granted | None] = {}
        self._why: dict[str, str] = {}

    @property
    def is_idle(self) -> bool:
        """Whether there is no lease."""
        return self._clients.count() == 0

    def fileno(self) -> int:
        """Readable when something has happened to a lease."""
        return self._clients.fileno()

    def load(self) -> None:
        """Go on holding the leases of the agent before."""
        for endpoint in self._store.endpoints():
            network = self._store.network(endpoint.network_id)
            if endpoint.state == "up" and network is not None and network.leases_addresses:
                try:
                    self.hold(endpoint.id)
                except (NetyardError, OSError) as error:
                    _LOG.error("lease of %s: %s", endpoint.id, error)

    def hold(self, endpoint_id: str) -> None:
        """Acquire and keep a lease for an endpoint whose interface is in its container.

        The DHCP server is asked for the address that the endpoint had, if it had one.
        """
        endpoint = self._store.endpoint(endpoint_id)
        container = self._store.container(endpoint.container_id) if endpoint else None
        if endpoint is None or container is None:
            return
        hostname = container.hostname
        if container.kind == "adopted" or hostname == short(container.id):
            hostname = container.name
        address = endpoint.address(4)
        last = None
        if endpoint.lease is not None and address is not None:
            server = IPv4Address(endpoint.lease.server)
            last = (address, server, endpoint.lease.seconds)
        path = self._layout.namespace(container.id)
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._granted[endpoint_id] = None
            self._clients.hold(endpoint_id, namespace, group_of(endpoint), hostname, last)
        finally:
            os.close(namespace)

    def answer(self, endpoint_id: str) -> dict[str, Any]:
        """The lease of an endpoint, or why there is none yet, as an answer to a command."""
        self.follow()
        granted = self._granted.get(endpoint_id)
        if granted is None:
            return {"why": self._why.get(endpoint_id, "")}
        return {"address": str(granted[0]), "lease": granted[1].to_json()}

    def release(self, endpoint_ids: list[str]) -> None:
        """Give leases back."""
        for endpoint_id in endpoint_ids:
            self._granted.pop(endpoint_id, None)
            self._why.pop(endpoint_id, None)
            self._clients.release(endpoint_id)

    def follow(self) -> None:
        """Read the clients' events, and apply changes to containers that are up."""
        for endpoint_id, found, why in self._clients.take_events():
            if endpoint_id not in self._granted:
                continue
            if why:
                self._why[endpoint_id] = why
                _LOG.warning("lease of %s: %s", endpoint_id, why)
                continue
            self._granted[endpoint_id] = granted = _granted(found) if found else None
            endpoint = self._store.endpoint(endpoint_id)
            if endpoint is not None and not _has(endpoint, granted):
                self._take_effect(endpoint)

    def _take_effect(self, endpoint: EndpointRecord) -> None:
        # A first lease is applied by the command that waits for it; it has the lock until then, and
        # this thread will find nothing to do.
        thread = threading.Thread(target=self._readdress, args=(endpoint.id,), daemon=True)
        thread.start()

    def _readdress(self, endpoint_id: str) -> None:
        try:
            with Host(self._layout.root) as host, host.change():
                self._readdress_locked(host, endpoint_id)
        except (NetyardError, OSError) as error:
            _LOG.error("lease of %s: %s", endpoint_id, error)

    def _readdress_locked(self, host: Host, endpoint_id: str) -> None:
        before = host.store.endpoint(endpoint_id)
        container = host.store.container(before.container_id) if before else None
        granted = self._granted.get(endpoint_id)
        address, lease = granted or (None, None)
        if before is None or container is None or before.state != "up" or _has(before, granted):
            return
        after = dhcp.apply(host, container, before, address, lease)
        left = host.store.attachment(before)
        joined = left._replace(endpoint=after)
        refresh_etc_hosts(host, container, removed=[left], added=[joined])
        agent.rename(host.layout, container.id)
        _LOG.info("container %s: address %s by DHCP", container.name, address or "lost")


def _has(endpoint: EndpointRecord, granted: _Granted | None) -> bool:
    """Whether an endpoint has what was granted to it."""
    address, lease = granted or ("", None)
    return (endpoint.ip4, endpoint.lease) == (str(address), lease)


def _granted(found: tuple[Any, int, Any, Any, int]) -> _Granted:
    address, prefix, gateway, server, seconds = found
    lease = Lease(prefix=prefix, gateway=str(gateway or ""), server=str(server), seconds=seconds)
    return address, lease
