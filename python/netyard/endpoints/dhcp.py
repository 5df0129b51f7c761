"""Leases of networks whose addresses come by DHCP: taken when a container comes up, followed.

The agent holds them (`netyard.agent.leases`); here is what they change in the store and in the
container. They are given back by `netyard.endpoints.detach`, with the interface.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, ip_interface

import netyard._core as _core
from netyard.endpoints.detach import flush_flows_of
from netyard.endpoints.gateways import route_defaults
from netyard.endpoints.namespace import opened_namespace
from netyard.errors import Conflict, Exhausted
from netyard.ipc import agent
from netyard.options.parent import parent_of
from netyard.state.records import ContainerRecord, EndpointRecord, Lease, NetworkRecord
from netyard.state.root import Change, Root

# A second request goes out after 3 to 5 seconds (RFC 2131 4.1), a third after 7 to 9 more.
_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.02


def acquire(change: Change, container: ContainerRecord, attached: Sequence[EndpointRecord]) -> None:
    """Wait until those of these endpoints that have addresses by DHCP have one.

    Raises:
        Exhausted: if no server grants one in time.
        Conflict: if the lease is not of the network's subnet.
    """
    store, layout = change.store, change.root.layout
    found = map(store.attachment, attached)
    wanted = [each for each in found if each.network.leases_addresses]
    agent.ensure(layout)
    ids = [each.id for each, _ in wanted]
    change.on_failure(lambda: agent.release_leases(layout, ids))
    for endpoint_id in ids:
        agent.begin_lease(layout, endpoint_id)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for each, network in wanted:
        address, lease = _wait(change.root, each, network, deadline)
        _check(network, address, lease)
        apply(change.root, container, each, address, lease)
    agent.rename(layout, container.id)


def _wait(
    root: Root, endpoint: EndpointRecord, network: NetworkRecord, deadline: float
) -> tuple[IPv4Address, Lease]:
    while True:
        found, why = agent.lease_of(root.layout, endpoint.id)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise Exhausted(
                f"no DHCP server on the wire of {parent_of(network.options)!r} has granted a "
                f"lease for network {network.name!r} within {_PATIENCE_SECONDS:.0f} s"
                + (f": {why}" if why else "")
            )
        time.sleep(_PAUSE_SECONDS)


def _check(network: NetworkRecord, address: IPv4Address, lease: Lease) -> None:
    granted = ip_interface(f"{address}/{lease.prefix}").network
    for pool in network.pools:
        if pool.version == 4 and pool.subnet != granted:
            raise Conflict(
                f"--subnet: the DHCP server gave {address} of {granted}, which is not the subnet "
                f"{pool.subnet} of network {network.name!r}"
            )


def apply(
    root: Root,
    container: ContainerRecord,
    before: EndpointRecord,
    address: IPv4Address | None,
    lease: Lease | None,
) -> EndpointRecord:
    """Give a container's interface the address of a lease, in place of what it had by DHCP.

    Args:
        address: ``None`` if the lease was lost: then it has none, and no way out by it.
    """
    after = before._replace(ip4=str(address or ""), lease=lease)
    network = root.store.attachment(before).network
    removed, added = _changed(network, before, after), _changed(network, after, before)
    with opened_namespace(root, container) as namespace:
        mac = bytes.fromhex(before.mac.replace(":", "")) or None
        _core.change_addresses(namespace, before.ifname, removed, added, mac)
    from netyard.drivers.parent.driver import route_from_host

    route_from_host(network, [each for each, _ in removed], [each for each, _ in added])
    with root.store.transaction():
        root.store.update_endpoint(before.id, ip4=after.ip4, lease=lease)
    flush_flows_of([before._replace(ip6="")] if removed else [])
    route_defaults(root, container)
    return after


def _changed(
    network: NetworkRecord, one: EndpointRecord, other: EndpointRecord
) -> list[tuple[IPv4Address, int]]:
    """The leased address of one that the other does not have."""
    address = one.address(4)
    if not isinstance(address, IPv4Address):
        return []
    here, there = network.prefix_of(one, 4), network.prefix_of(other, 4)
    return [] if (address, here) == (other.address(4), there) else [(address, here)]
