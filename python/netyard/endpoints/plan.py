"""Endpoints planned: checked, named and given addresses, in the store only.

Nothing is made in the kernel here: see `netyard.endpoints.attach`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

import netyard._core as _core
from netyard.endpoints.namespace import opened_namespace
from netyard.errors import AddressInUse, Conflict, Invalid, NetyardError, raise_all
from netyard.ipam.allocate import check_wanted, lease, note_released
from netyard.ipc import agent, cluster
from netyard.options import common as common_options
from netyard.options import parent as parent_options
from netyard.options.endpoint import IFNAME, parse_endpoint_options, parse_link, parse_link_local
from netyard.state.random_ids import new_host_ifname, new_id, new_mac
from netyard.state.records import (
    ContainerRecord,
    EndpointRecord,
    EndpointState,
    NetworkRecord,
    address_update,
)
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values.ids import overlay_mac
from netyard.values.parse import Address, format_mac, parse_ipv4, parse_ipv6, parse_mac, parse_name
from netyard.values.spec import JoinRequest

if TYPE_CHECKING:
    from netyard.state.records import EndpointUpdate


def plan_endpoint(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    request: JoinRequest,
    position: int,
    *,
    taken: Collection[str] = (),
    without_ipv6: bool = False,
    state: EndpointState = "down",
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
    wanted = _wanted_addresses(network, request, without_ipv6=without_ipv6)
    is_new = not (network.spans_hosts or link_local)
    if network.spans_hosts:
        found = _claim(change, network, container, endpoint, wanted)
    else:
        given = [lease(store, network, endpoint_id, ip, version) for version, ip in wanted.items()]
        found = address_update(leased for leased, _ in given)
        is_new = is_new and not any(may_be_known for _, may_be_known in given)
    found["is_unheard_of"] = is_new
    store.update_endpoint(endpoint_id, **found)
    return endpoint._replace(**found)


def plan_again(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    endpoint: EndpointRecord,
    state: EndpointState,
) -> EndpointRecord:
    """Give a container an endpoint again that it had, in the store only; the caller's transaction.

    Raises:
        StoreError: if somebody else has one of its addresses meanwhile.
        ClusterError: if the network spans hosts, and the cluster cannot be reached.
    """
    planned = endpoint._replace(state=state, host_ifname=new_host_ifname(), is_unheard_of=False)
    if network.leases_addresses:
        planned = planned._replace(ip4="", lease=None)
    change.store.add_endpoint(planned)
    change.on_failure(lambda: forget_endpoint(change.root, planned))
    addresses = planned.addresses
    if network.spans_hosts:
        wanted: dict[int, Address | None] = {each.version: each for each in addresses}
        _claim(change, network, container, planned, wanted)
    else:
        for address in addresses:
            change.store.add_lease(network.id, address, planned.id)
    return planned


def _wanted_addresses(
    network: NetworkRecord, request: JoinRequest, *, without_ipv6: bool
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
) -> EndpointUpdate:
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
    found = address_update(claimed)
    if not endpoint.mac:
        found["mac"] = format_mac(overlay_mac(network.id, str(claimed[0])))
    return found


def check_request(
    network: NetworkRecord, request: JoinRequest
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


def _check_default(network: NetworkRecord, request: JoinRequest) -> None:
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


def _check_families(network: NetworkRecord, request: JoinRequest) -> None:
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


def _choose_mac(store: Store, network: NetworkRecord, request: JoinRequest) -> str:
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


def forget_endpoint(root: Root, endpoint: EndpointRecord) -> None:
    """Remove an endpoint from the store and let its addresses be found again."""
    store = root.store
    network = store.network(endpoint.network_id)
    store.delete_endpoint(endpoint.id)
    if network is not None and not network.spans_hosts:
        note_released(store, network, endpoint.addresses)


def taken_ifnames(
    root: Root, container: ContainerRecord, present: Iterable[EndpointRecord], *, looks: bool
) -> set[str]:
    """The names a container's next interface cannot have.

    Args:
        present: Its endpoints.
        looks: There may be interfaces that are not ours, and the name cannot be changed later.
    """
    taken = {endpoint.ifname for endpoint in present}
    if looks:
        with opened_namespace(root, container) as namespace:
            taken |= {link.name for link in _core.list_links(namespace)}
    return taken
