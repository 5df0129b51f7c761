"""The bridge driver: a Linux bridge per network, a veth pair per endpoint."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import netyard._core as _core
from netyard.drivers.base import EndpointPlan
from netyard.drivers.interface import addresses_of, opened_namespaces, speaks_ipv6, sysctls_of
from netyard.errors import Conflict, Exhausted, Invalid, KernelError
from netyard.options.bridge import allows_icc, has_bridge_address, mode_of, normalise
from netyard.options.common import mtu_of
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.ids import bridge_mac
from netyard.values.marks import APART_GROUP, PORT_GROUP
from netyard.values.parse import Address
from netyard.values.spec import NetworkSpec

if TYPE_CHECKING:
    from netyard.drivers.foundation import Foundation

# So many are taken out of use faster than the kernel deletes them, for which it waits once for all.
_FEW = 16


class BridgeSpec(NamedTuple):
    """A bridge to be made, as `_core` takes it."""

    name: str
    mac: bytes
    mtu: int | None
    addresses: Sequence[tuple[Address, int]]
    sysctls: Sequence[tuple[str, str]]


class EndpointSpec(NamedTuple):
    """An endpoint to be made, as `_core` takes it."""

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
    announces: bool
    hairpin: bool
    sysctls: Sequence[tuple[str, str]]


class BridgeDriver:
    """Networks as Linux bridges of this host."""

    name = "bridge"
    is_creatable = True

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """See `Driver.normalise`."""
        return normalise(options)

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> "Foundation":
        """See `Driver.plan`."""
        from netyard.drivers.bridge import plan

        return plan.find_foundation(root, spec, options, network_id)

    def check(self, root: Root, network: NetworkRecord) -> None:
        """See `Driver.check`."""
        from netyard.drivers.bridge import plan

        plan.check(network)
        self._check_subnets(network)

    def _check_subnets(self, network: NetworkRecord) -> None:
        for version in (4, 6):
            if sum(pool.version == version for pool in network.pools) > 1:
                raise Invalid(
                    f"--subnet: a network of driver {self.name} has one IPv{version} subnet, not "
                    "several",
                    field="--subnet",
                )

    def warnings(self, network: NetworkRecord) -> list[str]:
        """See `Driver.warnings`."""
        from netyard.drivers.bridge import plan

        return plan.find_warnings(network)

    def devices(self, network: NetworkRecord) -> list[str]:
        """See `Driver.devices`."""
        return [] if network.is_foreign else [network.bridge]

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`."""
        _core.create_bridges([_bridge_spec(each) for each in networks if not each.is_foreign])
        for network in networks:
            if network.is_foreign:
                _core.write_sysctls(None, [_route_localnet(network, "1")])

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`. A bridge that was there before stays."""
        _core.retire_links([each.bridge for each in networks if not each.is_foreign])
        present = {link.name for link in _core.list_links()}
        for network in networks:
            if network.is_foreign and network.bridge in present:
                _core.write_sysctls(None, [_route_localnet(network, "0")])

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`.

        Raises:
            Exhausted: if the bridge has as many ports as the kernel gives it, which are 1023.
        """
        try:
            _core.attach([endpoint_spec(plan) for plan in plans])
        except KernelError as error:
            if error.errno != errno.EXFULL:
                raise
            names = ", ".join(sorted({repr(plan.network.name) for plan in plans}))
            raise Exhausted(
                f"network {names} is full: a bridge takes 1023 ports",
                hint="put the next containers on another network",
            ) from error

    def detach(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.detach`."""
        names = [each.host_ifname for each in endpoints]
        if len(names) > _FEW:
            _core.delete_links(names)
            return
        with opened_namespaces(endpoints, namespaces) as found:
            _core.retire_pairs(list(zip(names, found, strict=True)))

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.let_go`: the kernel takes both ends of a pair, but not at once."""
        _core.retire_pairs([(each.host_ifname, None) for each in endpoints])

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.restore`."""
        present = {link.name: link for link in _core.list_links()}
        bridge = present.get(network.bridge)
        if bridge is None and network.is_foreign:
            raise Conflict(f"bridge {network.bridge!r}, which is not netyard's, is gone")
        if bridge is None:
            self.create([network])
        self._restore_ports(network, plans)

    def _restore_ports(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """Put host ends back into the bridge, and make those that are gone."""
        present = {link.name: link for link in _core.list_links()}
        bridge = present[network.bridge]
        stray = [
            (name, network.bridge, plan.has_ports)
            for plan in plans
            if (link := present.get(name := plan.endpoint.host_ifname))
            and (link.master != bridge.index or not link.is_up)
        ]
        _core.restore_ports(stray)
        self.attach([plan for plan in plans if plan.endpoint.host_ifname not in present])


def _bridge_spec(network: NetworkRecord) -> BridgeSpec:
    device = network.bridge.replace(".", "/")
    sysctls = [_route_localnet(network, "1")]
    if speaks_ipv6():
        has_ipv6 = network.has_ipv6 and mode_of(network.options, 6) != "isolated"
        sysctls += [
            (f"net.ipv6.conf.{device}.accept_ra", "0"),
            (f"net.ipv6.conf.{device}.disable_ipv6", "0" if has_ipv6 else "1"),
        ]
    return BridgeSpec(
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


def endpoint_spec(plan: EndpointPlan) -> EndpointSpec:
    """An endpoint whose host end is a port of a bridge."""
    endpoint, network = plan.endpoint, plan.network
    return EndpointSpec(
        namespace=plan.namespace,
        bridge=network.bridge,
        host_ifname=endpoint.host_ifname,
        ifname=endpoint.ifname,
        mac=bytes.fromhex(endpoint.mac.replace(":", "")),
        mtu=mtu_of(network.options),
        group=APART_GROUP if not allows_icc(network.options) else PORT_GROUP,
        addresses=addresses_of(network, endpoint),
        neighbours=[
            address
            for address in endpoint.addresses
            if has_bridge_address(network.options, address.version)
        ],
        gateways=plan.gateways,
        # On a bridge that is not ours anybody may have had any address.
        announces=network.is_foreign or not endpoint.is_unheard_of,
        hairpin=plan.has_ports,
        sysctls=sysctls_of(network, endpoint),
    )
