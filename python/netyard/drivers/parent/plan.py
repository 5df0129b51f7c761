"""The foundation of macvlan and ipvlan networks: a parent interface, found or to be made.

Looks at the store and at the host's interfaces; makes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count

import netyard._core as _core
from netyard.drivers.foundation import Foundation
from netyard.errors import Conflict, Invalid, NotFound, SubnetOverlap, Unsupported
from netyard.options import parent as parent_options
from netyard.options.common import check_mtu, mtu_of
from netyard.state.records import NetworkRecord
from netyard.state.root import Root
from netyard.values.ids import dummy_name
from netyard.values.parse import Address, Subnet, parse_address, parse_subnet
from netyard.values.pool import address_from
from netyard.values.spec import NetworkSpec

_CHILDREN = ("macvlan", "macvtap", "ipvlan", "ipvtap")
# Masters that receive their ports' packets themselves; a VRF, which is a master too, does not.
_TAKERS = ("bridge", "bond", "team", "openvswitch")
_MODULES = {"macvlan": "macvlan", "ipvlan": "ipvlan", "vlan": "8021q", "dummy": "dummy"}
_ROUTER = "router"
Options = Mapping[str, str]


def find_foundation(root: Root, spec: NetworkSpec, options: Options, network_id: str) -> Foundation:
    """The parent interface of a new network (contract MV1, IV1).

    As given; else a dummy if the network is internal, else the interface of the default route,
    else a dummy as well.

    Raises:
        Invalid, NotFound: if the parent is none.
        Conflict: if another network or a bridge has it.
        Unsupported: if the kernel lacks the driver.
    """
    kind = spec.driver
    _check_leasing(kind, spec)
    _check_modes(kind, spec, options)
    links = {link.name: link for link in _core.list_links()}
    wanted = parent_options.parent_of(options)
    parent = wanted or ("" if spec.is_internal else _default_interface(links))
    is_dummy = not parent
    if is_dummy:
        parent = dummy_name(kind, network_id)
    made = "dummy" if is_dummy else _check_parent(parent, links)
    for needed in (kind, made):
        _check_kernel(needed)
    if parent in links and (mtu_of(options) or 0) > links[parent].mtu:
        raise Invalid(
            f"--opt: an MTU of {mtu_of(options)} is more than the {links[parent].mtu} of parent "
            f"{parent!r}",
            field="--opt",
        )
    sharing = _sharing(root, kind, parent, options)
    _check_other_kind(kind, parent, links)
    subnets = [parse_subnet("--subnet", word) for word in spec.subnets]
    return Foundation(
        options={**options, parent_options.PARENT: parent},
        # One that netyard made for another network goes with the last of them.
        is_foreign=not made and all(other.is_foreign for other in sharing),
        is_internal=spec.is_internal or is_dummy,
        subnets=subnets,
        gateways=[parse_address("--gateway", word) for word in spec.gateways],
        reserved=[] if spec.ipam_driver == "dhcp" else _reserved(spec, subnets, links),
        without_gateway=(4, 6),
        gets_host_address=parent_options.has_host_access(options),
    )


def check(root: Root, record: NetworkRecord) -> None:
    """What options, families and addresses given away already ask of one another (IP6)."""
    check_mtu(record.options, has_ipv6=record.has_ipv6)
    for pool in record.pools:
        for other in root.store.networks():
            first, last = pool.dynamic.network_address, int(pool.dynamic.broadcast_address)
            leased = next(root.store.leased_from(other.id, first), None)
            if leased is not None and leased <= last:
                address = address_from(leased, pool.version)
                raise SubnetOverlap(
                    f"--ip-range: {address} of {pool.dynamic} belongs to a container of network "
                    f"{other.name!r}",
                    holder=other.name,
                )


def _check_leasing(kind: str, spec: NetworkSpec) -> None:
    """What a network whose addresses come by DHCP cannot be told (contract IV4)."""
    if spec.ipam_driver != "dhcp":
        return
    if kind == "ipvlan":
        raise Invalid(
            "--ipam-driver: a DHCP server knows containers by MAC address, and those of ipvlan "
            "networks have their parent's: use macvlan",
            field="--ipam-driver",
        )
    if spec.ipv4 is False:
        raise Invalid("--ipam-driver: dhcp gives IPv4 addresses only", field="--ipam-driver")
    given = {"--gateway": spec.gateways, "--ip-range": spec.ip_ranges}
    given["--aux-address"] = list(spec.auxiliary.values())
    for flag, words in given.items():
        for word in words:
            if ":" not in word:
                raise Invalid(
                    f"{flag}: {word!r} is for the DHCP server to say on a network with "
                    "--ipam-driver dhcp",
                    field=flag,
                    value=word,
                )


def _check_modes(kind: str, spec: NetworkSpec, options: Options) -> None:
    if spec.gateways and parent_options.routes_by_device(options):
        mode = parent_options.mode_of(kind, options)
        raise Invalid(
            f"--gateway: an ipvlan network in mode {mode} routes by its interfaces and has no "
            "gateway",
            field="--gateway",
        )
    if parent_options.FLAG in options and parent_options.flag_of(options) != "bridge":
        flag = parent_options.flag_of(options)
        if parent_options.has_host_access(options):
            raise Invalid(
                f"--opt host_access: an ipvlan network with flag {flag} keeps the host's interface "
                "apart as well",
                field="--opt",
            )
    if parent_options.has_host_access(options) and kind == "macvlan":
        mode = parent_options.mode_of(kind, options)
        if mode in ("private", "passthru"):
            raise Invalid(
                f"--opt host_access: a macvlan network in mode {mode} lets no second interface "
                "reach its containers",
                field="--opt",
            )


def _default_interface(links: Mapping[str, _core.Link]) -> str:
    """The interface of the default route; ``""`` without one."""
    names = {link.index: name for name, link in links.items()}
    for route in _core.list_routes():
        if route.destination is None and route.prefix == 0 and route.output in names:
            return names[route.output]
    return ""


def _check_parent(parent: str, links: Mapping[str, _core.Link]) -> str:
    """Refuse what cannot be a parent; what has to be made for it: ``vlan`` or nothing."""
    link = links.get(parent)
    if link is not None:
        _check_is_no_child(parent, link)
        _check_has_packets(parent, link, links)
        return ""
    vlan = parent_options.parse_vlan(parent)
    base = vlan[0] if vlan else parent
    if base not in links:
        shown = f"{base!r}, the base of {parent!r}" if vlan else repr(parent)
        raise NotFound(f"--opt parent: there is no interface {shown}")
    _check_is_no_child(base, links[base])
    if not links[base].is_up:
        raise Conflict(f"--opt parent: interface {base!r}, the base of {parent!r}, is down")
    return "vlan"


def _check_is_no_child(name: str, link: _core.Link) -> None:
    if name == "lo":
        raise Invalid("--opt parent: 'lo' is the loopback: no wire is behind it", field="--opt")
    if link.kind in _CHILDREN:
        raise Invalid(
            f"--opt parent: {name!r} is itself a {link.kind} interface: use the one it stands on",
            field="--opt",
            value=name,
        )


def _check_has_packets(name: str, link: _core.Link, links: Mapping[str, _core.Link]) -> None:
    for master, other in links.items():
        if other.index == link.master and other.kind in _TAKERS:
            raise Conflict(
                f"--opt parent: {name!r} is a port of {master!r}, which takes its packets: use "
                f"{master!r} itself as the parent"
            )


def _check_kernel(kind: str) -> None:
    if kind and not _core.knows_link_kind(kind):
        raise Unsupported(
            f"this kernel has no {kind} interfaces: it lacks the module {_MODULES[kind]!r}"
        )


def sharers(root: Root, network: NetworkRecord) -> list[NetworkRecord]:
    """Other networks on the same parent interface."""
    parent = parent_options.parent_of(network.options)
    return [other for other in _on(root, parent) if other.id != network.id]


def _on(root: Root, parent: str) -> list[NetworkRecord]:
    return [
        other
        for other in root.store.networks()
        if other.driver in parent_options.KINDS
        and parent_options.parent_of(other.options) == parent
    ]


def _sharing(root: Root, kind: str, parent: str, options: Options) -> list[NetworkRecord]:
    """Networks that the new one shares its parent with, if it may (contract MV2, IV1)."""
    others = _on(root, parent)
    for other in others:
        if other.driver != kind:
            raise Conflict(
                f"--opt parent: {parent!r} is the parent of {other.driver} network "
                f"{other.name!r}, and cannot have {kind} interfaces beside",
                holder=other.name,
            )
        if kind == "ipvlan":
            raise Conflict(
                f"--opt parent: {parent!r} is the parent of ipvlan network {other.name!r}, and "
                "can be of one only",
                holder=other.name,
            )
        modes = {parent_options.mode_of(kind, each) for each in (options, other.options)}
        if "passthru" in modes:
            raise Conflict(
                f"--opt parent: {parent!r} is the parent of macvlan network {other.name!r}, and "
                "in mode passthru a network has its parent to itself",
                holder=other.name,
            )
    return others


def _check_other_kind(kind: str, parent: str, links: Mapping[str, _core.Link]) -> None:
    """Interfaces that are not netyard's, as far as they are in the host's own namespace."""
    index = links[parent].index if parent in links else None
    for name, link in links.items():
        is_other = link.kind in _CHILDREN and not str(link.kind).startswith(kind[:3])
        if index is not None and link.parent == index and is_other:
            raise Conflict(
                f"--opt parent: {parent!r} is the parent of {link.kind} interface {name!r}, and "
                f"cannot have {kind} interfaces beside"
            )


def _reserved(
    spec: NetworkSpec, subnets: Sequence[Subnet], links: Mapping[str, _core.Link]
) -> list[tuple[str, Address]]:
    """The host's own addresses on the network's subnets, and the router's."""
    known = {*spec.auxiliary.values(), *spec.gateways}
    names = {link.index: name for name, link in links.items()}
    seen = [(names.get(index, "host"), address) for index, address, _ in _core.list_addresses()]
    seen += [(_ROUTER, address) for address in _routers()]
    found: dict[str, Address] = {}
    for name, address in seen:
        inside = any(address in subnet for subnet in subnets)
        if inside and not address.is_loopback and str(address) not in known:
            known.add(str(address))
            numbered = (f"{name}-{number}" for number in count(2))
            free = (n for n in chain([name], numbered) if n not in {*found, *spec.auxiliary})
            found[next(free)] = address
    return list(found.items())


def _routers() -> list[Address]:
    return [
        route.gateway
        for route in _core.list_routes()
        if route.gateway is not None and route.destination is None and route.prefix == 0
    ]


def find_warnings(record: NetworkRecord) -> list[str]:
    """What is allowed and will not work as its maker may think (contract MV3, MV4)."""
    name = parent_options.parent_of(record.options)
    link = next((each for each in _core.list_links() if each.name == name), None)
    if link is None or not record.is_foreign:
        return []
    own = [
        (address, prefix)
        for index, address, prefix in _core.list_addresses()
        if index == link.index and not address.is_link_local
    ]
    return list(_warnings(record, link, own))


def _warnings(
    record: NetworkRecord, parent: _core.Link, addresses: Sequence[tuple[Address, int]]
) -> Iterator[str]:
    name = parent.name
    if not parent.is_up:
        yield f"parent interface {name} is down: containers on it reach nothing until it is up"
    if record.is_internal:
        yield f"nothing routes out of the network, but it is on the wire of {name} all the same"
    for pool in record.pools:
        there = [pair for pair in addresses if pair[0].version == pool.version]
        if not there:
            continue
        if not any(address in pool.subnet for address, _ in there):
            shown = ", ".join(f"{address}/{prefix}" for address, prefix in there)
            yield f"{pool.subnet} is not the subnet of {name} ({shown}): others need a route to it"
        elif pool.version == 4 and pool.ip_range is None and not record.leases_addresses:
            yield (
                f"without --ip-range, addresses are taken from all of {pool.subnet}: see to it "
                "that its DHCP server hands out none of them"
            )
