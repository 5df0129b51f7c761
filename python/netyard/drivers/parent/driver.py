"""The macvlan and ipvlan drivers: containers' interfaces are children of an interface of the host.

The child is born in its container; on the host there is only the parent, and with
``host_access`` one more child by which the host reaches the containers.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import netyard._core as _core
from netyard.drivers.base import EndpointPlan
from netyard.drivers.interface import (
    addresses_of,
    interface_sysctls,
    opened_namespaces,
    speaks_ipv6,
    sysctls_of,
)
from netyard.errors import Conflict, KernelError, NetyardError
from netyard.options import parent as parent_options
from netyard.options.common import mtu_of
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.ids import bridge_mac, host_access_name
from netyard.values.marks import CHILD_GROUP_DIGITS, CHILD_GROUP_MARK
from netyard.values.parse import Address
from netyard.values.spec import NetworkSpec

if TYPE_CHECKING:
    from netyard.drivers.foundation import Foundation

_HOST_BITS = {4: 32, 6: 128}


class _ChildSpec(NamedTuple):
    namespace: int | None
    parent: str
    ifname: str
    kind: str
    mode: str
    flag: str
    mac: bytes | None
    mtu: int | None
    group: int
    addresses: Sequence[tuple[Address, int]]
    gateways: Sequence[Address] = ()
    routes: Sequence[tuple[Address, int]] = ()
    sysctls: Sequence[tuple[str, str]] = ()


class ParentDriver:
    """What both drivers have in common; see `Driver`."""

    name = ""
    is_creatable = True

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """See `Driver.normalise`."""
        return parent_options.normalise(self.name, options)

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> "Foundation":
        """See `Driver.plan`."""
        from netyard.drivers.parent import plan

        return plan.find_foundation(root, spec, options, network_id)

    def check(self, root: Root, network: NetworkRecord) -> None:
        """See `Driver.check`: the parent was checked when it was chosen."""
        from netyard.drivers.parent import plan

        plan.check(root, network)

    def warnings(self, network: NetworkRecord) -> list[str]:
        """See `Driver.warnings`."""
        from netyard.drivers.parent import plan

        return plan.find_warnings(network)

    def devices(self, network: NetworkRecord) -> list[str]:
        """See `Driver.devices`."""
        own = [] if network.is_foreign else [parent_options.parent_of(network.options)]
        return [*own, host_access_name(network.id)]

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`: a parent that is missing, and the host's own interface."""
        made: list[str] = []
        try:
            for network in networks:
                if not network.is_foreign and _make_parent(network):
                    made.append(parent_options.parent_of(network.options))
                if _has_access(network):
                    _make_host_interface(network)
                    made.append(host_access_name(network.id))
        except NetyardError:
            _core.delete_links(made)
            raise

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`. A parent that was there before stays."""
        names = [host_access_name(network.id) for network in networks if _has_access(network)]
        names += [
            parent_options.parent_of(network.options)
            for network in networks
            if not network.is_foreign
        ]
        _core.delete_links(names)

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`."""
        try:
            _core.attach_children([_child_of(plan) for plan in plans])
        except KernelError as error:
            raise _explained(error, plans) from error
        try:
            for plan in plans:
                route_from_host(plan.network, (), plan.endpoint.addresses)
        except KernelError:
            _core.detach_children([(plan.namespace, group_of(plan.endpoint)) for plan in plans])
            raise

    def detach(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.detach`."""
        _end(network, endpoints, namespaces, _core.detach_children)

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.let_go`; the host's routes to them go, too."""
        _end(network, endpoints, namespaces, _core.silence_children)

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.restore`."""
        parent = parent_options.parent_of(network.options)
        present = {link.name for link in _core.list_links()}
        if parent not in present and network.is_foreign:
            raise Conflict(f"parent interface {parent!r}, which is not netyard's, is gone")
        if parent not in present:
            _make_parent(network)
        if _has_access(network) and host_access_name(network.id) not in present:
            _make_host_interface(network)
        for plan in plans:
            if _is_there(plan):
                route_from_host(network, (), plan.endpoint.addresses)
            else:
                self.attach([plan])


class MacvlanDriver(ParentDriver):
    """Networks whose containers have MAC addresses of their own on the parent's wire."""

    name = "macvlan"


class IpvlanDriver(ParentDriver):
    """Networks whose containers share their parent's MAC address."""

    name = "ipvlan"


def _end(
    network: NetworkRecord,
    endpoints: Sequence[EndpointRecord],
    namespaces: Path,
    end: Callable[[Sequence[tuple[int, int]]], None],
) -> None:
    """Take children out of use in a way, and the host's routes to them."""
    with opened_namespaces(endpoints, namespaces) as found:
        end(_groups(endpoints, found))
    name = host_access_name(network.id)
    if not _has_access(network) or name not in {link.name for link in _core.list_links()}:
        return
    for endpoint in endpoints:
        route_from_host(network, endpoint.addresses, ())


def _has_access(network: NetworkRecord) -> bool:
    return parent_options.has_host_access(network.options)


def _groups(
    endpoints: Sequence[EndpointRecord], found: Sequence[int | None]
) -> list[tuple[int, int]]:
    pairs = zip(found, endpoints, strict=True)
    return [(fd, group_of(endpoint)) for fd, endpoint in pairs if fd is not None]


def group_of(endpoint: EndpointRecord) -> int:
    """The link group of an endpoint's child, by which it is found whatever it is called."""
    return int(f"{CHILD_GROUP_MARK}{endpoint.id[:CHILD_GROUP_DIGITS]}", 16)


def is_child(link: _core.Link) -> bool:
    """Whether an interface in a container's namespace is a child of ours, without the store."""
    return (
        link.kind in parent_options.KINDS
        and link.group >> 4 * CHILD_GROUP_DIGITS == CHILD_GROUP_MARK
    )


def route_from_host(
    network: NetworkRecord, removed: Sequence[Address], added: Sequence[Address]
) -> None:
    """Have the host reach containers by other addresses, where it reaches them at all."""
    if not _has_access(network):
        return
    for addresses, present in ((removed, False), (added, True)):
        if addresses:
            _core.set_host_routes(host_access_name(network.id), list(addresses), present)


def _is_there(plan: EndpointPlan) -> bool:
    group = group_of(plan.endpoint)
    return any(link.group == group for link in _core.list_links(plan.namespace))


def _make_parent(network: NetworkRecord) -> bool:
    """Make the VLAN subinterface or dummy of a network, if it is missing; whether it was."""
    name = parent_options.parent_of(network.options)
    if name in {link.name for link in _core.list_links()}:
        return False
    # The wire is the containers' and not the host's: it has no address there, of either family.
    device = name.replace(".", "/")
    sysctls = [(f"net.ipv6.conf.{device}.disable_ipv6", "1")] if speaks_ipv6() else []
    vlan = parent_options.parse_vlan(name)
    if vlan is None:
        _core.create_dummy(name, sysctls)
    else:
        _make_vlan(name, *vlan, sysctls)
    return True


def _make_vlan(name: str, base: str, number: int, sysctls: Sequence[tuple[str, str]]) -> None:
    try:
        _core.create_vlan(name, base, number, sysctls)
    except KernelError as error:
        if error.errno != errno.EEXIST:
            raise
        raise Conflict(
            f"--opt parent: VLAN {number} of {base!r} has an interface that is not called {name!r}",
            hint="use that as the parent",
        ) from error


def _make_host_interface(network: NetworkRecord) -> None:
    name = host_access_name(network.id)
    addresses = [
        (pool.host_address, _HOST_BITS[pool.version])
        for pool in network.pools
        if pool.host_address is not None
    ]
    child = _child(network, name, addresses)
    mac = bridge_mac(network.id) if child.kind == "macvlan" else None
    has_ipv6 = any(address.version == 6 for address, _ in addresses)
    _core.create_shim(child._replace(mac=mac, sysctls=interface_sysctls(name, has_ipv6, True)))


def _child(
    network: NetworkRecord, ifname: str, addresses: Sequence[tuple[Address, int]]
) -> _ChildSpec:
    return _ChildSpec(
        namespace=None,
        parent=parent_options.parent_of(network.options),
        ifname=ifname,
        kind=network.driver,
        mode=parent_options.mode_of(network.driver, network.options),
        flag=parent_options.flag_of(network.options),
        mac=None,
        mtu=mtu_of(network.options),
        group=0,
        addresses=addresses,
    )


def _child_of(plan: EndpointPlan) -> _ChildSpec:
    endpoint, network = plan.endpoint, plan.network
    routes = [
        (pool.subnet.network_address, pool.subnet.prefixlen)
        for pool in network.pools
        if parent_options.routes_by_device(network.options)
        and endpoint.address(pool.version) is not None
        and endpoint.address(pool.version) not in pool.subnet
    ]
    return _child(network, endpoint.ifname, addresses_of(network, endpoint))._replace(
        namespace=plan.namespace,
        mac=bytes.fromhex(endpoint.mac.replace(":", "")) or None,
        group=group_of(endpoint),
        gateways=plan.gateways,
        routes=routes,
        sysctls=sysctls_of(network, endpoint),
    )


def _explained(error: KernelError, plans: Sequence[EndpointPlan]) -> NetyardError:
    """The kernel's refusal in words, where it is about a parent interface."""
    network = plans[0].network
    parent = parent_options.parent_of(network.options)
    modes = {parent_options.mode_of(each.network.driver, each.network.options) for each in plans}
    if error.errno == errno.ENODEV:
        return Conflict(f"parent interface {parent!r} of network {network.name!r} is gone")
    if error.errno == errno.EBUSY or (error.errno == errno.EINVAL and "passthru" in modes):
        return Conflict(
            f"parent interface {parent!r} has interfaces of another kind or mode on it, so that "
            f"network {network.name!r} cannot have any"
        )
    return error
