"""Egress of containers on overlay networks: a bridge network of each host, beside them.

An overlay has no host on it, so no way out and no published ports. A container that has no other
network with a gateway gets an interface on ``netyard_gwbridge`` as well (Docker's docker_gwbridge),
which carries its default route and its ports, and nothing else: no names, and containers do not
reach one another by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from netyard.drivers.interface import speaks_ipv6
from netyard.ipam.host_subnets import subnets_in_use
from netyard.options import bridge as bridge_options
from netyard.state import config
from netyard.state.random_ids import new_id
from netyard.state.records import EGRESS_NETWORK, EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values import clock
from netyard.values.ids import bridge_name
from netyard.values.pool import Pool, address_from
from netyard.values.subnet_pools import choose_subnet

_OPTIONS = {bridge_options.ICC: "false"}


def is_needed(store: Store, endpoints: Sequence[EndpointRecord]) -> bool:
    """Whether a container with these endpoints, leaving out egress itself, has no way out."""
    pairs = [(each, found) for each in endpoints if (found := store.network(each.network_id))]
    has_overlay = any(network.spans_hosts and not network.is_internal for _, network in pairs)
    return has_overlay and not any(
        network.route_via(each, version) is not None
        for each, network in pairs
        if not network.is_egress
        for version in (4, 6)
    )


def without(store: Store, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
    """Endpoints without the egress one: those that the user has connected the container to."""
    return [each for each in endpoints if not is_egress(store, each)]


def is_egress(store: Store, endpoint: EndpointRecord) -> bool:
    """Whether an endpoint is a container's egress endpoint."""
    network = store.network(endpoint.network_id)
    return network is not None and network.is_egress


def has_ipv6(endpoints: Sequence[EndpointRecord]) -> bool:
    """Whether egress beside these endpoints is to have IPv6: as they have themselves."""
    return any(each.ip6 for each in endpoints)


def ensure_network(root: Root) -> NetworkRecord:
    """The network, recorded when it is first needed; the caller holds the lock."""
    for known in root.store.networks():
        if known.is_egress:
            return known
    network_id = new_id()
    record = NetworkRecord(
        id=network_id,
        name=EGRESS_NETWORK,
        driver="bridge",
        created=clock.now(),
        is_builtin=True,
        has_ipv6=speaks_ipv6(),
        options=_OPTIONS,
        bridge=bridge_name(network_id),
        state="planned",
        pools=_pools(root),
    )
    with root.store.transaction():
        root.store.add_network(record)
    return record


def _pools(root: Root) -> tuple[Pool, ...]:
    settings = config.load(root.layout.root)
    taken = [pool.subnet for network in root.store.networks() for pool in network.pools]
    avoid = [*taken, *subnets_in_use()]
    subnets = [
        choose_subnet(version, avoid, sources=settings.pools)
        for version in (4, 6)
        if version == 4 or speaks_ipv6()
    ]
    return tuple(
        Pool(each, gateway=address_from(int(each.network_address) + 1, each.version))
        for each in subnets
    )
