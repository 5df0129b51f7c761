"""``cell``: networks in a network namespace of their own, without any device on the host.

The namespace ``cell-…`` holds a Linux bridge and the other ends of the containers' interfaces.
Neither the host's addresses nor its firewall are in it: containers reach one another and nothing
else. ``ip netns exec cell-… tcpdump -i switch`` shows what they say.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import NetNS
from pyroute2.netlink.exceptions import NetlinkError

from netyard.drivers.kit import (
    COMMON_CHECKS,
    COMMON_SHORT_NAMES,
    Driver,
    EndpointPlan,
    EndpointRecord,
    Foundation,
    NetworkRecord,
    NetworkSpec,
    Root,
    addresses_of,
    check_mtu,
    create_namespace,
    make_mount_point,
    mtu_of,
    normalise,
    release_namespace,
    sysctls_of,
    write_sysctls,
)
from netyard.errors import Invalid, KernelError

NAMESPACES = Path("/run/netns")
BRIDGE = "switch"
FORWARDING = 3  # BR_STATE_FORWARDING
PATIENCE_SECONDS = 2.0
WITHOUT_DAD = 0x02  # IFA_F_NODAD: the address can be used at once


class CellDriver(Driver):
    """Networks in namespaces of their own."""

    name = "cell"
    is_creatable = True

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """The options that all drivers have, such as ``mtu``."""
        return normalise(options, COMMON_CHECKS, COMMON_SHORT_NAMES)

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> Foundation:
        """No device on the host, no way out, and so no gateway."""
        if spec.gateways:
            raise Invalid(
                "--gateway: a network of driver cell has no way out and so no gateway",
                field="--gateway",
            )
        found = super().plan(root, spec, options, network_id)
        return found._replace(bridge="", is_internal=True, without_gateway=(4, 6))

    def check(self, root: Root, network: NetworkRecord) -> None:
        """IPv6 asks for an MTU of 1280 bytes."""
        check_mtu(network.options, has_ipv6=network.has_ipv6)

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """A namespace and a bridge in it; all networks, or none."""
        try:
            for network in networks:
                _make(network)
        except Exception:
            self.remove(networks)
            raise

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """Take away what there is: it may be half of it, or nothing.

        A process may keep the namespace alive: what is in it goes first.
        """
        for network in networks:
            path = _path(network)
            if _has_bridge(network):
                with _opened(path) as cell:
                    for link in cell.get_links():
                        if link.get("ifname") != "lo":
                            _delete(cell, link.get("ifname"))
            release_namespace(str(path))

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """A veth pair from the bridge to each container; all of them, or none."""
        try:
            for plan in plans:
                _plug(plan)
                _configure(plan)
                _wait_for_port(plan)
                _announce(plan)
        except Exception:
            for plan in plans:
                _unplug(plan.network, [plan.endpoint])
            raise

    def detach(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """With the end in the cell, the kernel takes the end in the container."""
        _unplug(network, endpoints)

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """The same: no other container sends to a dying one from now on."""
        _unplug(network, endpoints)

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """Make what is missing, after a restart of the host or an accident."""
        if not _has_bridge(network):
            self.remove([network])
            self.create([network])
        with _opened(_path(network)) as cell:
            present = {link.get("ifname") for link in cell.get_links()}
        self.attach([plan for plan in plans if plan.endpoint.host_ifname not in present])


def _path(network: NetworkRecord) -> Path:
    """From the network's id: no record is needed to find it again."""
    return NAMESPACES / f"cell-{network.id[:12]}"


def _make(network: NetworkRecord) -> None:
    path = _path(network)
    NAMESPACES.mkdir(exist_ok=True)
    make_mount_point(str(NAMESPACES))
    create_namespace(str(path))
    with _opened(path) as cell, _explained("create bridge of network", network.name):
        cell.link("add", kind="bridge", ifname=BRIDGE, state="up", **_mtu(network))


def _has_bridge(network: NetworkRecord) -> bool:
    try:
        with _opened(_path(network)) as cell:
            return bool(cell.link_lookup(ifname=BRIDGE))
    except OSError:
        # There is no such file, or what was to become a namespace never did.
        return False


def _plug(plan: EndpointPlan) -> None:
    endpoint = plan.endpoint
    with _opened(_path(plan.network)) as cell, _explained("create interface", endpoint.ifname):
        # Born in the container, so that its name is in nobody's way on the host.
        peer = {
            "ifname": endpoint.ifname,
            "address": endpoint.mac,
            "net_ns_fd": plan.namespace,
            **_mtu(plan.network),
        }
        (bridge,) = cell.link_lookup(ifname=BRIDGE)
        cell.link(
            "add",
            kind="veth",
            ifname=endpoint.host_ifname,
            peer=peer,
            master=bridge,
            state="up",
            **_mtu(plan.network),
        )


def _configure(plan: EndpointPlan) -> None:
    endpoint = plan.endpoint
    write_sysctls(plan.namespace, sysctls_of(plan.network, endpoint))
    with _inside(plan) as inside, _explained("configure interface", endpoint.ifname):
        (index,) = inside.link_lookup(ifname=endpoint.ifname)
        for address, prefix in addresses_of(plan.network, endpoint):
            flags = {"flags": WITHOUT_DAD} if address.version == 6 else {}
            inside.addr("add", index=index, address=str(address), prefixlen=prefix, **flags)
        inside.link("set", index=index, state="up")


def _wait_for_port(plan: EndpointPlan) -> None:
    """The bridge takes up to a second to see that the other end is up; until then nothing passes."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with _opened(_path(plan.network)) as cell:
        (port,) = cell.link_lookup(ifname=plan.endpoint.host_ifname)
        while time.monotonic() < deadline:
            (link,) = cell.get_links(port)
            state = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_STATE")
            if state == FORWARDING:
                return
            time.sleep(0.01)


def _announce(plan: EndpointPlan) -> None:
    """Others may know the addresses at another MAC address: setting this one has the kernel tell.

    That it does is one of the settings in `sysctls_of`.
    """
    with _inside(plan) as inside, _explained("announce interface", plan.endpoint.ifname):
        (index,) = inside.link_lookup(ifname=plan.endpoint.ifname)
        inside.link("set", index=index, address=plan.endpoint.mac)


def _unplug(network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> None:
    if not _has_bridge(network):
        return
    with _opened(_path(network)) as cell:
        for endpoint in endpoints:
            _delete(cell, endpoint.host_ifname)


def _delete(cell: NetNS, ifname: str) -> None:
    for index in cell.link_lookup(ifname=ifname):
        with _explained("delete interface", ifname):
            cell.link("del", index=index)


def _mtu(network: NetworkRecord) -> dict[str, int]:
    mtu = mtu_of(network.options)
    return {} if mtu is None else {"mtu": mtu}


def _opened(path: Path) -> NetNS:
    """A netlink socket in a namespace that exists; `OSError` if it does not."""
    return NetNS(str(path), flags=0)


def _inside(plan: EndpointPlan) -> NetNS:
    """A netlink socket in a container's namespace."""
    return _opened(Path(f"/proc/{os.getpid()}/fd/{plan.namespace}"))


@contextmanager
def _explained(operation: str, subject: str) -> Iterator[None]:
    """The kernel's refusal as netyard tells it; after EEXIST it tries another ``ifname``."""
    try:
        yield
    except NetlinkError as error:
        raise KernelError(
            f"{operation} {subject!r}: {os.strerror(error.code)}",
            errno=error.code,
            operation=operation,
            subject=subject,
        ) from error
