"""Endpoints: planned with a lease, attached, detached, and who carries the default routes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from netyard import _core, names
from netyard.drivers.base import EndpointPlan
from netyard.drivers.registry import driver
from netyard.errors import AddressInUse, Invalid
from netyard.host import Change, Host
from netyard.ipam.allocate import lease, note_released
from netyard.naming import new_host_ifname, new_id, new_mac
from netyard.options import Address, format_mac, parse_ipv4, parse_ipv6, parse_mac, parse_name
from netyard.spec import NetworkRequest
from netyard.store.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.store.store import Store


def plan(
    store: Store,
    network: NetworkRecord,
    container: ContainerRecord,
    request: NetworkRequest,
    ifname: str,
    position: int,
    *,
    state: str = "down",
) -> EndpointRecord:
    """Give a container an endpoint on a network, in the store only; the caller's transaction.

    Args:
        state: ``attaching`` if the kernel is to follow at once: should we be killed, the endpoint
            was never promised and goes again.

    Raises:
        Invalid: if an address, MAC or alias is wrong, or not allowed on this network.
        AddressInUse: if an address or MAC is taken.
        Exhausted: if the network has no address left.
    """
    check_request(network, request)
    endpoint_id = new_id()
    endpoint = EndpointRecord(
        id=endpoint_id,
        network_id=network.id,
        container_id=container.id,
        position=position,
        ifname=ifname,
        host_ifname=new_host_ifname(),
        mac=_choose_mac(store, network, request),
        ip4="",
        ip6="",
        aliases=tuple(request.aliases),
        state=state,
    )
    store.add_endpoint(endpoint)
    found: dict[str, object] = {}
    if network.has_ipv4:
        wanted = parse_ipv4("--ip", request.ip) if request.ip else None
        found["ip4"] = str(lease(store, network, endpoint_id, wanted, 4))
    if network.has_ipv6:
        wanted6 = parse_ipv6("--ip6", request.ip6) if request.ip6 else None
        found["ip6"] = str(lease(store, network, endpoint_id, wanted6, 6))
    if found:
        store.update_endpoint(endpoint_id, **found)
    return replace(endpoint, **found)  # type: ignore[arg-type]


def check_request(network: NetworkRecord, request: NetworkRequest) -> None:
    """Refuse what a network cannot give (contract RN14, RN16, RN17)."""
    if network.is_builtin:
        for flag, given in (
            ("--ip", request.ip),
            ("--ip6", request.ip6),
            ("--alias", request.aliases),
        ):
            if given:
                raise Invalid(
                    f"{flag}: the default network {network.name!r} has neither static addresses "
                    "nor names",
                    field=flag,
                    hint="create a network of your own with 'netyard network create'",
                )
    for flag, wanted, has in (
        ("--ip", request.ip, network.has_ipv4),
        ("--ip6", request.ip6, network.has_ipv6),
    ):
        if wanted and not has:
            version = "IPv4" if flag == "--ip" else "IPv6"
            raise Invalid(
                f"{flag}: network {network.name!r} has no {version}", field=flag, value=wanted
            )
    for alias in request.aliases:
        parse_name("--alias", alias)


def _choose_mac(store: Store, network: NetworkRecord, request: NetworkRequest) -> str:
    if not request.mac_address:
        return format_mac(new_mac())
    mac = format_mac(parse_mac("--mac-address", request.mac_address))
    holder = store.mac_holder(network.id, mac)
    if holder is not None:
        raise AddressInUse(
            f"--mac-address: {mac} on network {network.name!r} belongs to container {holder!r}",
            holder=holder,
        )
    return mac


def forget(store: Store, endpoint: EndpointRecord) -> None:
    """Remove an endpoint from the store and let its addresses be found again."""
    network = store.network(endpoint.network_id)
    store.delete_endpoint(endpoint.id)
    if network is not None:
        note_released(store, network, endpoint.addresses)


def gateway_endpoints(
    store: Store, endpoints: Iterable[EndpointRecord]
) -> dict[int, EndpointRecord]:
    """Which endpoint carries the default route of each family (contract RN8)."""
    chosen: dict[int, EndpointRecord] = {}
    for version in (4, 6):
        able = []
        for endpoint in endpoints:
            network = store.network(endpoint.network_id)
            if network is None or network.is_internal or network.gateway(version) is None:
                continue
            if endpoint.address(version) is not None:
                able.append((names.gateway_rank(network), endpoint))
        if able:
            chosen[version] = min(able, key=lambda pair: pair[0])[1]
    return chosen


@contextmanager
def opened_namespace(host: Host, container: ContainerRecord) -> Iterator[int]:
    """An open descriptor of a container's network namespace."""
    owner = container.donor_id or container.id
    fd = os.open(host.layout.namespace(owner), os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def plans_for(
    store: Store,
    endpoints: Sequence[EndpointRecord],
    namespace: int,
    *,
    carriers: Mapping[int, EndpointRecord],
    has_ports: bool,
) -> list[EndpointPlan]:
    """What the drivers are told about a container's endpoints.

    Args:
        carriers: Which of the container's endpoints carry its default routes.
    """
    plans = []
    for endpoint in endpoints:
        network = store.network(endpoint.network_id)
        if network is None:
            continue
        gateways = [
            gateway
            for version, carrier in carriers.items()
            if carrier.id == endpoint.id and (gateway := network.gateway(version)) is not None
        ]
        plans.append(
            EndpointPlan(
                endpoint=endpoint,
                network=network,
                namespace=namespace,
                gateways=gateways,
                has_ports=has_ports and bool(gateways),
            )
        )
    return plans


def attach(
    change: Change, plans: Sequence[EndpointPlan], *, meanwhile: Callable[[], object]
) -> None:
    """Make endpoints in the kernel, and record that they are up.

    Args:
        meanwhile: Called before the kernel is asked: what can go on beside it.
    """
    store = change.store
    ids = [plan.endpoint.id for plan in plans]
    with store.transaction():
        store.set_endpoint_states(ids, "attaching")
    change.on_failure(lambda: detach(change.host, [plan.endpoint for plan in plans]))
    meanwhile()
    by_driver: dict[str, list[EndpointPlan]] = {}
    for plan in plans:
        by_driver.setdefault(plan.network.driver, []).append(plan)
    for name, some in by_driver.items():
        driver(name).attach(some)
    with store.transaction():
        store.set_endpoint_states(ids, "up")


def detach(host: Host, endpoints: Sequence[EndpointRecord]) -> None:
    """Take endpoints out of the kernel, and record that they are down."""
    take_out(host, endpoints)
    set_down(host, endpoints)


def take_out(host: Host, endpoints: Sequence[EndpointRecord]) -> None:
    """Take endpoints out of the kernel; they stay recorded as being on their way out."""
    ids = [endpoint.id for endpoint in endpoints]
    with host.store.transaction():
        host.store.set_endpoint_states(ids, "detaching")
    by_driver: dict[str, list[EndpointRecord]] = {}
    for endpoint in endpoints:
        network = host.store.network(endpoint.network_id)
        if network is not None:
            by_driver.setdefault(network.driver, []).append(endpoint)
    for name, some in by_driver.items():
        driver(name).detach(some)


def set_down(host: Host, endpoints: Sequence[EndpointRecord]) -> None:
    """Record that endpoints are down, under a new name for the next time.

    For a namespace that has just died: the kernel takes the interfaces away in the background.
    """
    with host.store.transaction():
        for endpoint in endpoints:
            host.store.update_endpoint(endpoint.id, state="down", host_ifname=new_host_ifname())


def route_defaults(host: Host, container: ContainerRecord) -> None:
    """Make the default routes of a running container what its endpoints now make them."""
    endpoints = [each for each in host.store.endpoints_of(container.id) if each.state == "up"]
    gateways: list[tuple[str, Address]] = []
    for version, carrier in gateway_endpoints(host.store, endpoints).items():
        network = host.store.network(carrier.network_id)
        gateway = network.gateway(version) if network else None
        if gateway is not None:
            gateways.append((carrier.ifname, gateway))
    with opened_namespace(host, container) as namespace:
        _core.set_default_routes(namespace, gateways)


def next_ifname(host: Host, container: ContainerRecord, *, is_running: bool) -> str:
    """The next free ``ethN`` of a container."""
    taken = {endpoint.ifname for endpoint in host.store.endpoints_of(container.id)}
    # Only in an adopted or privileged namespace can there be interfaces that are not ours.
    if is_running and (container.kind == "adopted" or "privileged" in container.spec):
        with opened_namespace(host, container) as namespace:
            taken |= {link.name for link in _core.list_links(namespace)}
    number = 0
    while f"eth{number}" in taken:
        number += 1
    return f"eth{number}"


def flush_flows_of(endpoints: Iterable[EndpointRecord]) -> None:
    """Forget connections of addresses that are about to be somebody else's."""
    flows = [(address, None) for each in endpoints for address in each.addresses]
    if flows:
        _core.flush_flows(flows)
