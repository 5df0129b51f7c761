"""The overlay driver: a Linux bridge and a VXLAN device per network and host.

The bridge has no address: the host is no part of the network. The VXLAN device sends to the hosts
it has been told of (`netyard.agent.remote_endpoints`), learns nothing and floods nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import netyard._core as _core
from netyard.drivers.base import EndpointPlan
from netyard.drivers.bridge.driver import BridgeDriver, BridgeSpec, endpoint_spec
from netyard.drivers.interface import speaks_ipv6
from netyard.errors import Conflict, NetyardError
from netyard.options import overlay as overlay_options
from netyard.options.common import check_mtu, mtu_of
from netyard.state.records import NetworkRecord
from netyard.state.root import Root
from netyard.values.ids import bridge_mac, vxlan_name
from netyard.values.parse import Address
from netyard.values.spec import NetworkSpec

if TYPE_CHECKING:
    from netyard.drivers.foundation import Foundation

# Outer Ethernet, IP, UDP and VXLAN headers (RFC 7348, 4).
_OVERHEAD = {4: 50, 6: 70}


class _VxlanSpec(NamedTuple):
    name: str
    bridge: str
    vni: int
    port: int
    local: Address
    link: str | None
    mtu: int


class OverlayDriver(BridgeDriver):
    """Networks that span hosts: endpoints are those of a bridge."""

    name = "overlay"
    is_creatable = True

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """See `Driver.normalise`."""
        return overlay_options.normalise(options)

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> Foundation:
        """See `Driver.plan`."""
        from netyard.drivers.overlay import plan

        return plan.find_foundation(root, spec, options, network_id)

    def warnings(self, network: NetworkRecord) -> list[str]:
        """See `Driver.warnings`."""
        from netyard.drivers.overlay import plan

        return plan.find_warnings(network)

    def check(self, root: Root, network: NetworkRecord) -> None:
        """See `Driver.check`."""
        check_mtu(network.options, has_ipv6=network.has_ipv6)
        self._check_subnets(network)

    def devices(self, network: NetworkRecord) -> list[str]:
        """See `Driver.devices`."""
        return [network.bridge, vxlan_name(network.id)]

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`."""
        for network in networks:
            link = _underlay_of(network)
            mtu = mtu_of(network.options) or link.mtu - _OVERHEAD[_local(network).version]
            _core.create_bridges([_bridge_spec(network, mtu)])
            try:
                _core.create_vxlan(_vxlan_spec(network, mtu, link.name))
            except NetyardError:
                self.remove([network])
                raise

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`."""
        names = [name for each in networks for name in (vxlan_name(each.id), each.bridge)]
        _core.delete_links(names)

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`."""
        links = {link.name: link.mtu for link in _core.list_links()}
        specs = [
            endpoint_spec(plan)._replace(mtu=links.get(plan.network.bridge), neighbours=())
            for plan in plans
        ]
        _core.attach(specs)

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.restore`."""
        present = {link.name for link in _core.list_links()}
        if not {network.bridge, vxlan_name(network.id)} <= present:
            self.remove([network])
            self.create([network])
        self._restore_ports(network, plans)


def _local(network: NetworkRecord) -> Address:
    return ip_address(network.underlay)


def _underlay_of(network: NetworkRecord) -> _core.Link:
    """The interface to the other hosts: its MTU is the way's (contract OV4)."""
    local = _local(network)
    links = {link.index: link for link in _core.list_links()}
    for index, address, _ in _core.list_addresses():
        if address == local:
            return links[index]
    raise Conflict(
        f"this host does not have {local}, the address it is known by to the other hosts",
        hint="leave the cluster and join it with the present one",
    )


def _bridge_spec(network: NetworkRecord, mtu: int) -> BridgeSpec:
    device = network.bridge
    sysctls = []
    if speaks_ipv6():
        sysctls = [
            (f"net.ipv6.conf.{device}.accept_ra", "0"),
            (f"net.ipv6.conf.{device}.disable_ipv6", "1"),
        ]
    return BridgeSpec(
        name=device, mac=bridge_mac(network.id), mtu=mtu, addresses=(), sysctls=sysctls
    )


def _vxlan_spec(network: NetworkRecord, mtu: int, link: str) -> _VxlanSpec:
    # With a link-local address the kernel sends and receives by this link only: the tunnel.
    return _VxlanSpec(
        name=vxlan_name(network.id),
        bridge=network.bridge,
        vni=network.vni,
        port=overlay_options.port_of(network.options),
        local=_local(network),
        link=link if network.is_encrypted else None,
        mtu=mtu,
    )
