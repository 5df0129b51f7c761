"""The bridge driver: a Linux bridge per network, a veth pair per endpoint."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netyard import _core, firewall
from netyard.drivers.base import EndpointPlan
from netyard.errors import Invalid
from netyard.naming import bridge_mac
from netyard.options import Address, parse_bool
from netyard.store.records import EndpointRecord, NetworkRecord

MTU = "com.docker.network.driver.mtu"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
NAME = "com.docker.network.bridge.name"
SHORT_NAMES = {"mtu": MTU, "icc": ICC, "masquerade": MASQUERADE, "name": NAME}

_MTU_MIN = 68
_MTU_MIN_IPV6 = 1280
_MTU_MAX = 65535
_IFNAME_MAX = 15
# "NY": the link group of all host ends, so that they can be told from other interfaces.
_GROUP = 0x4E59


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
    gateways: Sequence[Address]
    isolated: bool
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
        for key, value in network.options.items():
            _check_option(network, key, value)

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`."""
        _core.create_bridges([_bridge_spec(network) for network in networks])

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`."""
        _core.delete_links([network.bridge for network in networks])

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
        if bridge is None:
            self.create([network])
        isolated = not firewall.allows_icc(network)
        stray = [
            (plan.endpoint.host_ifname, network.bridge, isolated, plan.has_ports)
            for plan in plans
            if (link := present.get(plan.endpoint.host_ifname))
            and (bridge is None or link.master != bridge.index or not link.is_up)
        ]
        _core.restore_ports(stray)
        missing = [plan for plan in plans if plan.endpoint.host_ifname not in present]
        self.attach(missing)


def _check_option(network: NetworkRecord, key: str, value: str) -> None:
    if key == MTU:
        smallest = _MTU_MIN_IPV6 if network.has_ipv6 else _MTU_MIN
        if not value.isdigit() or not smallest <= int(value) <= _MTU_MAX:
            raise Invalid(
                f"--opt: {key}={value!r} must be a number from {smallest} to {_MTU_MAX}",
                field="--opt",
                value=value,
            )
    elif key in (ICC, MASQUERADE):
        parse_bool(f"--opt {key}", value)
    elif key == NAME and (not 0 < len(value) <= _IFNAME_MAX or "/" in value or " " in value):
        raise Invalid(
            f"--opt: {key}={value!r} must be an interface name of at most {_IFNAME_MAX} characters",
            field="--opt",
            value=value,
        )


def _mtu(network: NetworkRecord) -> int | None:
    value = network.options.get(MTU)
    return int(value) if value else None


@functools.cache
def _has_ipv6() -> bool:
    """Whether this kernel speaks IPv6 at all."""
    return Path("/proc/sys/net/ipv6").exists()


def _bridge_spec(network: NetworkRecord) -> _BridgeSpec:
    device = network.bridge.replace(".", "/")
    # Needed for the host's own 127.0.0.1 to be translated; the guard chain keeps others out.
    sysctls = [(f"net.ipv4.conf.{device}.route_localnet", "1")]
    if _has_ipv6():
        sysctls += [
            (f"net.ipv6.conf.{device}.accept_ra", "0"),
            (f"net.ipv6.conf.{device}.disable_ipv6", "0" if network.has_ipv6 else "1"),
        ]
    return _BridgeSpec(
        name=network.bridge,
        mac=bridge_mac(network.id),
        mtu=_mtu(network),
        addresses=[(pool.gateway, pool.subnet.prefixlen) for pool in network.pools if pool.gateway],
        sysctls=sysctls,
    )


@functools.lru_cache(maxsize=64)
def _endpoint_sysctls(ifname: str, has_ipv6: bool) -> list[tuple[str, str]]:
    # Announces the address when the interface comes up, for peers that knew it elsewhere.
    sysctls = [(f"net.ipv4.conf.{ifname}.arp_notify", "1")]
    if not _has_ipv6():
        return sysctls
    if not has_ipv6:
        # Not even a link-local address: IPv6 must not lead around IPv4 rules (contract SH7).
        return [*sysctls, (f"net.ipv6.conf.{ifname}.disable_ipv6", "1")]
    return [
        *sysctls,
        (f"net.ipv6.conf.{ifname}.disable_ipv6", "0"),
        (f"net.ipv6.conf.{ifname}.ndisc_notify", "1"),
        (f"net.ipv6.conf.{ifname}.accept_ra", "0"),
    ]


def _endpoint_spec(plan: EndpointPlan) -> _EndpointSpec:
    endpoint, network = plan.endpoint, plan.network
    prefixes = {pool.version: pool.subnet.prefixlen for pool in network.pools}
    return _EndpointSpec(
        namespace=plan.namespace,
        bridge=network.bridge,
        host_ifname=endpoint.host_ifname,
        ifname=endpoint.ifname,
        mac=bytes.fromhex(endpoint.mac.replace(":", "")),
        mtu=_mtu(network),
        group=_GROUP,
        addresses=[(address, prefixes[address.version]) for address in endpoint.addresses],
        gateways=plan.gateways,
        isolated=not firewall.allows_icc(network),
        hairpin=plan.has_ports,
        sysctls=_endpoint_sysctls(endpoint.ifname, network.has_ipv6),
    )
