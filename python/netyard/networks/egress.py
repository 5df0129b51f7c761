"""Egress of containers on overlay networks: a bridge network of each host, beside them.

An overlay has no host on it, so no way out and no published ports. A container that has no other
network with a gateway gets an interface on ``netyard_gwbridge`` as well (Docker's docker_gwbridge),
which carries its default route and its ports, and nothing else: no names, and containers do not
reach one another by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from netyard.drivers.interface import speaks_ipv6
from netyard.options import bridge as bridge_options
from netyard.state import config
from netyard.state.random_ids import new_id
from netyard.state.records import EGRESS_NETWORK, Attachment, EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values import clock
from netyard.values.ids import bridge_name
from netyard.values.pool import Pool, address_from
from netyard.values.subnet_pools import choose_subnet

_OPTIONS = {bridge_options.ICC: "false"}


def is_needed(attached: Sequence[Attachment]) -> bool:
    """Whether a container attached so, leaving out egress itself, has no way out."""
    others = without(attached)
    has_overlay = any(each.network.spans_hosts and not each.network.is_internal for each in others)
    return has_overlay and not any(
        each.route_via(version) is not None for each in others for version in (4, 6)
    )


def without(attached: Sequence[Attachment]) -> list[Attachment]:
    """Those that the user has connected the container to: all but the egress endpoint."""
    return [each for each in attached if not each.network.is_egress]


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
    from netyard.ipam.host_subnets import subnets_in_use

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
