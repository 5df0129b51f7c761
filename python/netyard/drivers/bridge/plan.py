"""The foundation of a bridge network: a new bridge, or one that exists already (contract BO1).

Looks at the store and at the host's interfaces; makes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import ip_interface

import netyard._core as _core
from netyard.drivers.foundation import Foundation
from netyard.errors import Conflict, Forbidden, Invalid
from netyard.options import bridge as bridge_options
from netyard.state.records import NetworkRecord
from netyard.state.root import Root
from netyard.values.ids import bridge_name
from netyard.values.parse import Address, Subnet, parse_address, parse_subnet
from netyard.values.spec import NetworkSpec


def find_foundation(
    root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
) -> Foundation:
    """The bridge of a new network.

    Raises:
        Forbidden: if another network has it.
        Conflict: if an interface of its name is no bridge.
    """
    if spec.ipam_driver == "dhcp":
        raise Invalid(
            f"--ipam-driver: there is no DHCP server on a {spec.driver} network: use macvlan",
            field="--ipam-driver",
        )
    device = options.get(bridge_options.NAME) or bridge_name(network_id)
    _check_is_free(root, device)
    exists = _exists(device)
    subnets, gateways = _addressing(spec, options, device if exists else "")
    return Foundation(
        options=options,
        bridge=device,
        is_foreign=exists,
        is_internal=spec.is_internal,
        subnets=subnets,
        gateways=gateways,
        # Nobody routes by one there, and the host has no address for one (contract BO8, BO9).
        without_gateway=[
            version
            for version in (4, 6)
            if spec.is_internal and not bridge_options.has_bridge_address(options, version)
        ],
    )


def check(record: NetworkRecord) -> None:
    """What options, families and an existing bridge ask of one another."""
    bridge_options.check_together(
        record.options, has_ipv6=record.has_ipv6, is_internal=record.is_internal
    )
    if record.is_foreign and record.ipam_driver != "null":
        _check_address(record)


def _check_is_free(root: Root, device: str) -> None:
    holder = root.store.holder_of_bridge(device)
    if holder is not None:
        raise Forbidden(f"--opt: bridge {device!r} belongs to network {holder!r}")


def _exists(device: str) -> bool:
    try:
        # Without a list of all: nearly always there is none of that name, nor of that alternative.
        socket.if_nametoindex(device)
    except OSError:
        return False
    for link in _core.list_links():
        if link.name == device:
            if link.kind != "bridge":
                raise Conflict(f"--opt: interface {device!r} exists and is no bridge")
            return True
    return False


def _addresses_of(device: str) -> list[tuple[Address, int]]:
    index = next((link.index for link in _core.list_links() if link.name == device), 0)
    return [
        (address, prefix)
        for owner, address, prefix in _core.list_addresses()
        if owner == index and not address.is_link_local
    ]


def _addressing(
    spec: NetworkSpec, options: Mapping[str, str], existing: str
) -> tuple[list[Subnet], list[Address]]:
    """Subnets and gateways: as given, else what an existing bridge has."""
    subnets = [parse_subnet("--subnet", word) for word in spec.subnets]
    gateways = [parse_address("--gateway", word) for word in spec.gateways]
    if not existing or spec.ipam_driver == "null":
        return subnets, gateways
    given = {subnet.version for subnet in subnets}
    for address, prefix in _addresses_of(existing):
        wanted = spec.ipv6 is not False if address.version == 6 else spec.ipv4 is not False
        has_address = bridge_options.has_bridge_address(options, address.version)
        if address.version not in given and wanted and has_address:
            given.add(address.version)
            subnets.append(ip_interface(f"{address}/{prefix}").network)
            gateways.append(address)
    return subnets, gateways


def _check_address(record: NetworkRecord) -> None:
    present = [address for address, _ in _addresses_of(record.bridge)]
    for pool in record.pools:
        if not bridge_options.has_bridge_address(record.options, pool.version):
            continue
        if pool.gateway not in present:
            shown = ", ".join(map(str, present)) or "none"
            raise Conflict(
                f"--opt: the addresses of bridge {record.bridge!r} ({shown}) do not have the "
                f"gateway {pool.gateway} of {pool.subnet} among them"
            )


def find_warnings(record: NetworkRecord) -> list[str]:
    """What is allowed and will not work as its maker may think (contract IP5, BO11)."""
    found: list[str] = []
    own = [
        (address, index)
        for index, address, _ in _core.list_addresses()
        if not address.is_loopback and not address.is_link_local
    ]
    ours = {link.index for link in _core.list_links() if link.name == record.bridge}
    routers = [
        route.gateway
        for route in _core.list_routes()
        if route.gateway is not None and route.destination is None
    ]
    for pool in record.pools:
        for address, index in own:
            if index not in ours and address in pool.subnet:
                found.append(f"{pool.subnet} covers {address}, an address of this host")
        for router in routers:
            if router in pool.subnet:
                found.append(f"{pool.subnet} covers {router}, this host's default gateway")
    for version in (4, 6):
        source = bridge_options.source_of(record.options, version)
        if source is not None and source not in [address for address, _ in own]:
            found.append(f"{source} is no address of this host: replies to it will not come back")
    return found
