"""Endpoints: planned with a lease, attached, detached, and who carries the default routes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from netyard import _core
from netyard.drivers.base import EndpointPlan
from netyard.drivers.registry import driver
from netyard.errors import (
    AddressInUse,
    Conflict,
    Invalid,
    KernelError,
    NetyardError,
    raise_all,
)
from netyard.firewall import conntrack
from netyard.firewall import table as firewall
from netyard.ipam.allocate import check_wanted, lease, note_released
from netyard.ipc import agent, cluster
from netyard.options import common as common_options
from netyard.options import parent as parent_options
from netyard.options.endpoint import IFNAME, parse_endpoint_options, parse_link, parse_link_local
from netyard.resolver import names
from netyard.state.random_ids import new_host_ifname, new_id, new_mac
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values.ids import overlay_mac
from netyard.values.parse import Address, format_mac, parse_ipv4, parse_ipv6, parse_mac, parse_name
from netyard.values.spec import NetworkRequest

Action = Callable[[], object]


def plan(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    request: NetworkRequest,
    position: int,
    *,
    taken: Collection[str] = (),
    without_ipv6: bool = False,
    state: str = "down",
) -> EndpointRecord:
    """Give a container an endpoint on a network, in the store only; the caller's transaction.

    Args:
        taken: Names of interfaces that are in the container already.
        without_ipv6: The container has IPv6 turned off (contract RN22).
        state: ``attaching`` if the kernel is to follow at once: should we be killed, the endpoint
            was never promised and goes again.

    Raises:
        Invalid: if an address, MAC, alias or option is wrong, or not allowed on this network.
        Conflict: if the wanted interface name is taken.
        AddressInUse: if an address or MAC is taken.
        Exhausted: if the network has no address left.
        ClusterError: if the network spans hosts, and the cluster cannot be reached.
    """
    store = change.store
    options, link_local = check_request(network, request)
    endpoint_id = new_id()
    endpoint = EndpointRecord(
        id=endpoint_id,
        network_id=network.id,
        container_id=container.id,
        position=position,
        ifname=choose_ifname(network, options.get(IFNAME), taken),
        host_ifname=new_host_ifname(),
        mac=_choose_mac(store, network, request),
        ip4="",
        ip6="",
        aliases=tuple(request.aliases),
        state=state,
        gw_priority=request.gw_priority,
        link_local=link_local,
        options=options,
        links=tuple(parse_link("--link", word) for word in request.links),
    )
    store.add_endpoint(endpoint)
    found: dict[str, object] = {}
    wanted = _wanted_addresses(network, request, without_ipv6=without_ipv6)
    is_new = not (network.spans_hosts or link_local)
    if network.spans_hosts:
        found |= _claim(change, network, container, endpoint, wanted)
    else:
        for version, address in wanted.items():
            leased, may_be_known = lease(store, network, endpoint_id, address, version)
            found[f"ip{version}"] = str(leased)
            is_new = is_new and not may_be_known
    found["is_unheard_of"] = is_new
    store.update_endpoint(endpoint_id, **found)
    return endpoint._replace(**found)  # type: ignore[arg-type]


def _wanted_addresses(
    network: NetworkRecord, request: NetworkRequest, *, without_ipv6: bool
) -> dict[int, Address | None]:
    """The families an endpoint has an address of, and which one if one is asked for."""
    wanted: dict[int, Address | None] = {}
    has_addresses = network.ipam_driver != "null"
    if network.has_ipv4 and has_addresses and not network.leases_addresses:
        wanted[4] = parse_ipv4("--ip", request.ip) if request.ip else None
    if request.ip6 and without_ipv6:
        raise Invalid("--ip6: this container has IPv6 turned off by --sysctl", field="--ip6")
    if network.has_ipv6 and has_addresses and not without_ipv6:
        wanted[6] = parse_ipv6("--ip6", request.ip6) if request.ip6 else None
    return wanted


def _claim(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    endpoint: EndpointRecord,
    wanted: Mapping[int, Address | None],
) -> dict[str, object]:
    """Addresses of a network that spans hosts: the cluster gives them, the store notes them."""
    root, store = change.root, change.store
    for address in wanted.values():
        if address is not None:
            check_wanted(store, network, address)
    # It claims under the endpoint's id, and gives up what is claimed for none in the store.
    change.on_failure(lambda: agent.refresh(root.layout, [container.id], needed=False))
    claimed = cluster.claim(root, network, container, endpoint.id, wanted)
    for address in claimed:
        store.add_lease(network.id, address, endpoint.id)
    found: dict[str, object] = {f"ip{each.version}": str(each) for each in claimed}
    if not endpoint.mac:
        found["mac"] = format_mac(overlay_mac(network.id, str(claimed[0])))
    return found


def check_request(
    network: NetworkRecord, request: NetworkRequest
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Refuse what a network cannot give, all of it at once (contract CV6, RN14 to RN18).

    Returns:
        The endpoint's options and its link-local addresses.
    """
    errors: list[NetyardError] = []
    found: dict[str, Any] = {}
    checks: dict[str, Callable[[], object]] = {
        "default": lambda: _check_default(network, request),
        "families": lambda: _check_families(network, request),
        "aliases": lambda: [parse_name("--alias", alias) for alias in request.aliases],
        "link-local": lambda: tuple(str(parse_link_local(w)) for w in request.link_local_ips),
        "options": lambda: parse_endpoint_options(request.driver_opts),
        "links": lambda: [parse_link("--link", word) for word in request.links],
    }
    for name, check in checks.items():
        try:
            found[name] = check()
        except NetyardError as error:
            errors.append(error)
    raise_all(errors)
    return found["options"], found["link-local"]


def _check_default(network: NetworkRecord, request: NetworkRequest) -> None:
    if not network.is_builtin:
        return
    given = {"--ip": request.ip, "--ip6": request.ip6, "--alias": request.aliases}
    for flag, value in given.items():
        if value:
            raise Invalid(
                f"{flag}: the default network {network.name!r} has neither static addresses nor "
                "names",
                field=flag,
                hint="create a network of your own with 'netyard network create'",
            )


def _check_families(network: NetworkRecord, request: NetworkRequest) -> None:
    for word in request.link_local_ips:
        if ":" in word and not network.has_ipv6:
            raise Invalid(
                f"--link-local-ip: network {network.name!r} has no IPv6 for {word}",
                field="--link-local-ip",
                value=word,
            )
    if request.ip and network.leases_addresses:
        raise Invalid(
            f"--ip: addresses of network {network.name!r} are a DHCP server's: have it keep one "
            "for the container's --mac-address",
            field="--ip",
            value=request.ip,
        )
    for flag, wanted, has in (
        ("--ip", request.ip, network.has_ipv4),
        ("--ip6", request.ip6, network.has_ipv6),
    ):
        if wanted and has and not network.pools:
            raise Invalid(f"{flag}: network {network.name!r} has no subnet", field=flag)
        if wanted and not has:
            version = "IPv4" if flag == "--ip" else "IPv6"
            raise Invalid(
                f"{flag}: network {network.name!r} has no {version}", field=flag, value=wanted
            )


def choose_ifname(network: NetworkRecord, wanted: str | None, taken: Collection[str]) -> str:
    """The name of an interface in the container: as wanted, or the next free number (RN18)."""
    if wanted is not None:
        if wanted in taken:
            raise Conflict(f"--driver-opt: {IFNAME}={wanted} is an interface of this container")
        return wanted
    prefix = common_options.prefix_of(network.options)
    return next(name for number in count() if (name := f"{prefix}{number}") not in taken)


def _choose_mac(store: Store, network: NetworkRecord, request: NetworkRequest) -> str:
    on_parent = network.driver in parent_options.KINDS
    has_own_mac = not on_parent or parent_options.has_own_mac(network.driver, network.options)
    if not request.mac_address and network.spans_hosts:
        # It goes with the address, which is not known yet.
        return ""
    if not request.mac_address:
        return format_mac(new_mac()) if has_own_mac else ""
    if not has_own_mac:
        raise Invalid(
            f"--mac-address: containers on network {network.name!r} have the MAC address of its "
            f"parent interface {parent_options.parent_of(network.options)!r}",
            field="--mac-address",
            value=request.mac_address,
        )
    mac = format_mac(parse_mac("--mac-address", request.mac_address))
    holder = store.mac_holder(network.id, mac)
    if holder is not None:
        raise AddressInUse(
            f"--mac-address: {mac} on network {network.name!r} belongs to container {holder!r}",
            holder=holder,
        )
    return mac


def forget(root: Root, endpoint: EndpointRecord) -> None:
    """Remove an endpoint from the store and let its addresses be found again."""
    store = root.store
    network = store.network(endpoint.network_id)
    store.delete_endpoint(endpoint.id)
    if network is not None and not network.spans_hosts:
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
            if network is not None and network.route_via(endpoint, version) is not None:
                able.append((names.gateway_rank(endpoint, network), endpoint))
        if able:
            chosen[version] = min(able, key=lambda pair: pair[0])[1]
    return chosen


@contextmanager
def opened_namespace(root: Root, container: ContainerRecord) -> Iterator[int]:
    """An open descriptor of a container's network namespace."""
    owner = container.donor_id or container.id
    fd = os.open(f"{root.layout.namespaces}/{owner}", os.O_RDONLY | os.O_CLOEXEC)
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
            if carrier.id == endpoint.id
            and (gateway := network.route_via(endpoint, version)) is not None
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
    change: Change, plans: Sequence[EndpointPlan], *, meanwhile: Action
) -> list[EndpointRecord]:
    """Make endpoints in the kernel; `settle` records that they are up.

    Args:
        meanwhile: Called before the kernel is asked: what can go on beside it.

    Returns:
        The endpoints: one whose interface's name somebody else's has in the container has another.
    """
    store = change.store
    new = [plan.endpoint.id for plan in plans if plan.endpoint.state != "attaching"]
    if new:
        with store.transaction():
            store.set_endpoint_states(new, "attaching")
    change.on_failure(lambda: detach(change.root, [plan.endpoint for plan in plans]))
    meanwhile()
    firewall.guard(change.root, (plan.endpoint for plan in plans))
    conntrack.forget_before(change.root.layout, (plan.endpoint for plan in plans))
    by_driver: dict[str, list[EndpointPlan]] = {}
    for plan in plans:
        by_driver.setdefault(plan.network.driver, []).append(plan)
    made: list[EndpointRecord] = []
    for name, some in by_driver.items():
        try:
            driver(name).attach(some)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            some = _with_free_names(store, some)
            driver(name).attach(some)
        made += [plan.endpoint for plan in some]
    return made


def _with_free_names(store: Store, plans: Sequence[EndpointPlan]) -> list[EndpointPlan]:
    """Have interfaces called as nothing in their containers is, where there is a choice."""
    renamed = []
    planned = {(plan.namespace, plan.endpoint.ifname) for plan in plans}
    for plan in plans:
        endpoint = plan.endpoint
        present = {link.name for link in _core.list_links(plan.namespace)}
        if endpoint.ifname in present and IFNAME not in endpoint.options:
            taken = present | {name for namespace, name in planned if namespace == plan.namespace}
            endpoint = endpoint._replace(ifname=choose_ifname(plan.network, None, taken))
            planned.add((plan.namespace, endpoint.ifname))
            with store.transaction():
                store.update_endpoint(endpoint.id, ifname=endpoint.ifname)
        renamed.append(plan._replace(endpoint=endpoint))
    return renamed


def settle(store: Store, endpoints: Iterable[EndpointRecord]) -> None:
    """Record that endpoints are up, with all that follows from them: no kill undoes them now."""
    with store.transaction():
        store.set_endpoint_states([endpoint.id for endpoint in endpoints], "up")


def detach(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    """Take endpoints out of the kernel, and record that they are down."""
    take_out(root, endpoints)
    _record_down(root, endpoints)


def take_out(
    root: Root, endpoints: Sequence[EndpointRecord], *, meanwhile: Action = lambda: None
) -> None:
    """Take endpoints out of the kernel; they stay recorded as being on their way out.

    Args:
        meanwhile: Called once that is recorded: what can go on beside the kernel's work.
    """
    ids = [endpoint.id for endpoint in endpoints]
    with root.store.transaction():
        root.store.set_endpoint_states(ids, "detaching")
    meanwhile()
    _give_back_leases(root, endpoints)
    for network, some in _by_network(root, endpoints):
        driver(network.driver).detach(network, some, root.layout.namespaces)
    firewall.release(root, endpoints)
    _leave_to_tidy(root, endpoints)


def set_down(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    """Record that endpoints are down, under a new name for the next time.

    For a namespace that has just died: the kernel takes the interfaces away in the background.
    """
    _give_back_leases(root, endpoints)
    for network, some in _by_network(root, endpoints):
        driver(network.driver).let_go(network, some, root.layout.namespaces)
    firewall.release(root, endpoints)
    _leave_to_tidy(root, endpoints)
    _record_down(root, endpoints)


def _by_network(
    root: Root, endpoints: Sequence[EndpointRecord]
) -> Iterator[tuple[NetworkRecord, list[EndpointRecord]]]:
    found: dict[str, list[EndpointRecord]] = {}
    for endpoint in endpoints:
        found.setdefault(endpoint.network_id, []).append(endpoint)
    for network_id, some in found.items():
        network = root.store.network(network_id)
        if network is not None:
            yield network, some


def _leave_to_tidy(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    conntrack.leave(root.layout, endpoints)
    agent.tidy(root.layout)


def _give_back_leases(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    """Have the agent release what a DHCP server granted, while the interface is there for it."""
    leased = [
        endpoint.id
        for endpoint in endpoints
        if (network := root.store.network(endpoint.network_id)) and network.leases_addresses
    ]
    if leased:
        agent.release_leases(root.layout, leased)
        with root.store.transaction():
            for endpoint_id in leased:
                root.store.update_endpoint(endpoint_id, ip4="", lease="")


def _record_down(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    with root.store.transaction():
        for endpoint in endpoints:
            root.store.update_endpoint(endpoint.id, state="down", host_ifname=new_host_ifname())


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


def taken_ifnames(root: Root, container: ContainerRecord, *, looks: bool) -> set[str]:
    """The names a container's next interface cannot have.

    Args:
        looks: There may be interfaces that are not ours, and the name cannot be changed later.
    """
    taken = {endpoint.ifname for endpoint in root.store.endpoints_of(container.id)}
    if looks:
        with opened_namespace(root, container) as namespace:
            taken |= {link.name for link in _core.list_links(namespace)}
    return taken


def flush_flows_of(endpoints: Iterable[EndpointRecord]) -> None:
    """Forget connections of addresses that a running container has no longer, at once."""
    found = [(address, None) for each in endpoints for address in each.addresses]
    if found:
        _core.flush_flows(found)
