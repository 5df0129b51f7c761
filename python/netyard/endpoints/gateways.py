"""Which endpoint carries the default route of a container, and the routes themselves."""

from __future__ import annotations

from collections.abc import Iterable

from netyard import _core
from netyard.endpoints.namespace import opened_namespace
from netyard.state.records import ContainerRecord, EndpointRecord
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values.parse import Address


def gateway_endpoints(
    store: Store, endpoints: Iterable[EndpointRecord]
) -> dict[int, EndpointRecord]:
    """Which endpoint carries the default route of each family (contract RN8)."""
    chosen: dict[int, EndpointRecord] = {}
    for version in (4, 6):
        able = []
        for endpoint in endpoints:
            network = store.network(endpoint.network_id)
            if network is not None and network.route_via(endpoint, version) is not None:
                able.append((network.gateway_rank(endpoint), endpoint))
        if able:
            chosen[version] = min(able, key=lambda pair: pair[0])[1]
    return chosen


def route_defaults(root: Root, container: ContainerRecord) -> None:
    """Make the default routes of a running container what its endpoints now make them.

    If they make none, those are back that an adopted namespace had before.
    """
    endpoints = [each for each in root.store.endpoints_of(container.id) if each.is_joined]
    gateways: list[tuple[str, Address]] = []
    for version, carrier in gateway_endpoints(root.store, endpoints).items():
        network = root.store.network(carrier.network_id)
        gateway = network.route_via(carrier, version) if network else None
        if gateway is not None:
            gateways.append((carrier.ifname, gateway))
    with opened_namespace(root, container) as namespace:
        _core.set_default_routes(namespace, gateways)
