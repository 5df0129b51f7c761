"""The bridge driver: a Linux bridge per network, a veth pair per endpoint."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from netyard import _core
from netyard.bridgeopts import announces, has_bridge_address, mode_of, mtu_of
from netyard.drivers.base import EndpointPlan
from netyard.endpointopts import SYSCTLS, parse_interface_sysctls
from netyard.errors import Conflict, Invalid
from netyard.firewall import APART_GROUP, is_apart
from netyard.naming import bridge_mac
from netyard.options import Address
from netyard.store.records import EndpointRecord, NetworkRecord

# "NY": the link group of all host ends, so that they can be told from other interfaces.
_GROUP = 0x4E59
_LINK_LOCAL_PREFIXES = {4: 16, 6: 64}


@dataclass(frozen=True, slots=True)
class _BridgeSpec:
    name: str
    mac: bytes
    mtu: int | None
    addresses: Sequence[tuple[Address, int]]
    sysctls: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _EndpointSpec:
    namespace: int
    bridge: str
    host_ifname: str
    ifname: str
    mac: bytes
    mtu: int | None
    group: int
    addresses: Sequence[tuple[Address, int]]
    neighbours: Sequence[Address]
    gateways: Sequence[Address]
    hairpin: bool
    sysctls: Sequence[tuple[str, str]]


class BridgeDriver:
    """Networks as Linux bridges of this host."""

    name = "bridge"
    is_creatable = True
    has_bridge = True

    def check(self, network: NetworkRecord) -> None:
        """See `Driver.check`."""
        for version in (4, 6):
            if sum(pool.version == version for pool in network.pools) > 1:
                raise Invalid(
                    f"--subnet: a bridge network has one IPv{version} subnet, not several",
                    field="--subnet",
                )

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`."""
        _core.create_bridges([_bridge_spec(each) for each in networks if not each.is_foreign])
        for network in networks:
            if network.is_foreign:
                _core.write_sysctls(None, [_route_localnet(network, "1")])

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`. A bridge that was there before stays."""
        _core.delete_links([each.bridge for each in networks if not each.is_foreign])
        present = {link.name for link in _core.list_links()}
        for network in networks:
            if network.is_foreign and network.bridge in present:
                _core.write_sysctls(None, [_route_localnet(network, "0")])

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`."""
        _core.attach([_endpoint_spec(plan) for plan in plans])

    def detach(self, endpoints: Sequence[EndpointRecord]) -> None:
        """See `Driver.detach`."""
        _core.delete_links([endpoint.host_ifname for endpoint in endpoints])

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.restore`."""
        present = {link.name: link for link in _core.list_links()}
        bridge = present.get(network.bridge)
        if bridge is None and network.is_foreign:
            raise Conflict(f"bridge {network.bridge!r}, which is not netyard's, is gone")
        if bridge is None:
            self.create([network])
        stray = [
            (plan.endpoint.host_ifname, network.bridge, plan.has_ports)
            for plan in plans
            if (link := present.get(plan.endpoint.host_ifname))
            and (bridge is None or link.master != bridge.index or not link.is_up)
        ]
        _core.restore_ports(stray)
        missing = [plan for plan in plans if plan.endpoint.host_ifname not in present]
        self.attach(missing)


@functools.cache
def _has_ipv6() -> bool:
    """Whether this kernel speaks IPv6 at all."""
    return Path("/proc/sys/net/ipv6").exists()


def _bridge_spec(network: NetworkRecord) -> _BridgeSpec:
    device = network.bridge.replace(".", "/")
    sysctls = [_route_localnet(network, "1")]
    if _has_ipv6():
        has_ipv6 = network.has_ipv6 and mode_of(network.options, 6) != "isolated"
        sysctls += [
            (f"net.ipv6.conf.{device}.accept_ra", "0"),
            (f"net.ipv6.conf.{device}.disable_ipv6", "0" if has_ipv6 else "1"),
        ]
    return _BridgeSpec(
        name=network.bridge,
        mac=bridge_mac(network.id),
        mtu=mtu_of(network.options),
        addresses=[
            (pool.gateway, pool.subnet.prefixlen)
            for pool in network.pools
            if pool.gateway and has_bridge_address(network.options, pool.version)
        ],
        sysctls=sysctls,
    )


def _route_localnet(network: NetworkRecord, value: str) -> tuple[str, str]:
    """Needed for the host's own 127.0.0.1 to be translated; the guard chain keeps others out."""
    device = network.bridge.replace(".", "/")
    return f"net.ipv4.conf.{device}.route_localnet", value


@functools.lru_cache(maxsize=64)
def _endpoint_sysctls(ifname: str, has_ipv6: bool, announces: bool) -> list[tuple[str, str]]:
    # Announces the addresses (see `attach` of links.rs), for peers that knew them elsewhere.
    notify = "1" if announces else "0"
    sysctls = [(f"net.ipv4.conf.{ifname}.arp_notify", notify)]
    if not _has_ipv6():
        return sysctls
    if not has_ipv6:
        # Not even a link-local address: IPv6 must not lead around IPv4 rules (contract SH7).
        return [*sysctls, (f"net.ipv6.conf.{ifname}.disable_ipv6", "1")]
    return [
        *sysctls,
        (f"net.ipv6.conf.{ifname}.disable_ipv6", "0"),
        (f"net.ipv6.conf.{ifname}.ndisc_notify", notify),
        (f"net.ipv6.conf.{ifname}.accept_ra", "0"),
    ]


def _endpoint_spec(plan: EndpointPlan) -> _EndpointSpec:
    endpoint, network = plan.endpoint, plan.network
    prefixes = {pool.version: pool.subnet.prefixlen for pool in network.pools}
    link_local = [ip_address(text) for text in endpoint.link_local]
    has_ipv6 = network.has_ipv6 and (bool(endpoint.ip6) or not network.pools)
    sysctls = list(_endpoint_sysctls(endpoint.ifname, has_ipv6, announces(network.options)))
    if SYSCTLS in endpoint.options:
        sysctls += parse_interface_sysctls(endpoint.options[SYSCTLS], endpoint.ifname)
    return _EndpointSpec(
        namespace=plan.namespace,
        bridge=network.bridge,
        host_ifname=endpoint.host_ifname,
        ifname=endpoint.ifname,
        mac=bytes.fromhex(endpoint.mac.replace(":", "")),
        mtu=mtu_of(network.options),
        group=APART_GROUP if is_apart(network) else _GROUP,
        addresses=[
            *((address, prefixes[address.version]) for address in endpoint.addresses),
            *((address, _LINK_LOCAL_PREFIXES[address.version]) for address in link_local),
        ],
        neighbours=[
            address
            for address in endpoint.addresses
            if has_bridge_address(network.options, address.version)
        ],
        gateways=plan.gateways,
        hairpin=plan.has_ports,
        sysctls=sysctls,
    )
