"""What netyard sets up once on the host: its table, and forwarding.

Both are made when first needed and made again when they are found missing.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from netyard import _core, firewall, spoofing
from netyard.drivers.interface import addresses_of
from netyard.errors import KernelError, Unsupported
from netyard.options import bridge as bridge_options
from netyard.state import config
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root

_FORWARDING = {
    4: ("net.ipv4.ip_forward", Path("/proc/sys/net/ipv4/ip_forward")),
    6: ("net.ipv6.conf.all.forwarding", Path("/proc/sys/net/ipv6/conf/all/forwarding")),
}
_IPV6_DEVICES = Path("/proc/sys/net/ipv6/conf")


def _meta_key(version: int) -> str:
    return f"forwarding{version}-was-off"


def change_elements(
    root: Root, *, add: firewall.Elements | None = None, delete: firewall.Elements | None = None
) -> None:
    """Change elements of the table in one transaction; make the whole table if it is missing.

    The store must already say what is to be: a missing table is made from it.
    """
    steps = [*firewall.delete_steps(delete or {}), *firewall.add_steps(add or {})]
    if steps:
        apply(root, [("inet", root.layout.table, steps)])


def apply(root: Root, tables: Sequence[tuple[str, str, Sequence[firewall.Step]]]) -> None:
    """Apply steps; if the table is not there, make it as the store wants it instead."""
    try:
        _core.apply_nft(tables)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        rebuild_table(root)


def admit(root: Root, network: NetworkRecord) -> None:
    """Make a network known to the rules."""
    change_elements(root, add=firewall.network_elements([network]))
    steps = _bridge_steps([network])
    if steps:
        _core.apply_nft([("bridge", root.layout.table, steps)])


def expel(root: Root, network: NetworkRecord) -> None:
    """Take a network out of the rules."""
    change_elements(root, delete=firewall.network_elements([network]))
    if not _bridge_steps([network]):
        return
    others = [each for each in _networks(root) if each.id != network.id]
    if not _bridge_steps(others):
        _core.apply_nft([("bridge", root.layout.table, [("add table",), ("delete table",)])])


def _bridge_steps(networks: Sequence[NetworkRecord]) -> list[firewall.Step]:
    """The table of the bridge family, as far as these networks need it."""
    steps = firewall.apart_steps() if any(map(firewall.is_apart, networks)) else []
    if any(bridge_options.checks_sources(each.options) for each in networks):
        steps += spoofing.table_steps()
    return steps


def guard(root: Root, endpoints: Iterable[EndpointRecord]) -> None:
    """Hold containers to their own addresses, where their network asks for it."""
    elements = _guarding(root, endpoints)
    if elements:
        apply(root, [("bridge", root.layout.table, firewall.add_steps(elements))])


def release(root: Root, endpoints: Iterable[EndpointRecord]) -> None:
    """Forget what interfaces were held to, once they are gone."""
    elements = _guarding(root, endpoints)
    if elements:
        apply(root, [("bridge", root.layout.table, firewall.delete_steps(elements))])


def _guarding(root: Root, endpoints: Iterable[EndpointRecord]) -> firewall.Elements:
    ports = []
    for endpoint in endpoints:
        network = root.store.network(endpoint.network_id)
        if network is not None and bridge_options.checks_sources(network.options):
            addresses = [address for address, _ in addresses_of(network, endpoint)]
            ports.append((endpoint.host_ifname, endpoint.mac, addresses))
    return spoofing.elements(ports)


def _networks(root: Root) -> list[NetworkRecord]:
    """The networks that have a device, or are about to."""
    return [each for each in root.store.networks() if each.state in ("making", "ready")]


def rebuild_table(root: Root) -> None:
    """Make the table anew, with everything the store knows of, in one transaction."""
    networks = _networks(root)
    settings = config.load(root.layout.root)
    bridge = _bridge_steps(networks)
    if bridge:
        joined = [each for each in root.store.endpoints() if each.is_joined]
        bridge = [
            ("add table",),
            ("delete table",),
            *bridge,
            *firewall.add_steps(_guarding(root, joined)),
        ]
    publications = [each for each in root.store.publications() if not each.is_ending]
    guards = any(root.store.read_meta(_meta_key(version)) for version in (4, 6))
    steps: list[firewall.Step] = [
        ("add table",),
        ("delete table",),
        *firewall.base_steps(
            guards_forwarding=guards,
            passing_mark=settings.passing_mark,
            binds_strictly=settings.binds_strictly,
        ),
        *firewall.add_steps(firewall.network_elements(networks)),
        *firewall.add_steps(firewall.publication_elements(publications)),
    ]
    _core.apply_nft(
        [
            ("inet", root.layout.table, steps),
            ("netdev", root.layout.table, _all_loops(root)),
            *([("bridge", root.layout.table, bridge)] if bridge else []),
        ]
    )


def _all_loops(root: Root) -> list[firewall.Step]:
    """The chains that turn replies to ``[::1]`` round, of every endpoint that has any."""
    steps: list[firewall.Step] = [("add table",), ("delete table",), ("add table",)]
    present = {link.name for link in _core.list_links()}
    for endpoint in root.store.endpoints():
        if endpoint.is_joined and endpoint.host_ifname in present:
            mine = [
                each
                for each in root.store.publications(endpoint.container_id)
                if each.endpoint_id == endpoint.id
                and firewall.is_looped(each)
                and not each.is_ending
            ]
            network = root.store.network(endpoint.network_id)
            gateway = network.gateway(6) if network else None
            if mine and gateway:
                steps += firewall.loop_steps(endpoint.host_ifname, gateway, mine)
    return steps


def remove_table(root: Root) -> None:
    """Take the tables away; missing ones are no error."""
    for family in ("inet", "netdev"):
        _core.apply_nft([(family, root.layout.table, [("add table",), ("delete table",)])])
    # A kernel without the bridge family has no table in it.
    with suppress(Unsupported):
        _core.apply_nft([("bridge", root.layout.table, [("add table",), ("delete table",)])])


def ensure_forwarding(root: Root, network: NetworkRecord) -> None:
    """Turn forwarding on where a network needs it and it is off (contract FW28).

    For netyard's networks only: nothing else may pass.
    """
    has_way_out = network.bridge and not network.is_internal and not network.spans_hosts
    if not has_way_out or not config.load(root.layout.root).forwards:
        return
    for version, has in ((4, network.has_ipv4), (6, network.has_ipv6)):
        if not has:
            continue
        name, path = _FORWARDING[version]
        try:
            is_off = path.read_text().strip() == "0"
        except OSError:
            continue
        if not is_off:
            continue
        root.store.write_meta(_meta_key(version), "1")
        _guard_router(root)
        if version == 6:
            _keep_router_advertisements()
        _core.write_sysctls(None, [(name, "1")])


def _guard_router(root: Root) -> None:
    """Close forwarding to everybody else before it is turned on."""
    apply(root, [("inet", root.layout.table, firewall.router_guard_steps())])


def _keep_router_advertisements() -> None:
    """A host that learns its IPv6 routes must go on doing so when it forwards.

    With forwarding on, the kernel ignores router advertisements unless ``accept_ra`` is 2
    (`Documentation/networking/ip-sysctl.rst`).
    """
    for device in _IPV6_DEVICES.iterdir():
        setting = device / "accept_ra"
        if device.name in ("all", "lo") or not setting.exists():
            continue
        if setting.read_text().strip() == "1":
            setting.write_text("2")


def restore_forwarding(root: Root) -> None:
    """Turn forwarding off again where netyard turned it on, when the last network is gone.

    Not where others have come to need it: another engine, root or hypervisor has a bridge.
    """
    is_needed = any(link.kind == "bridge" for link in _core.list_links())
    for version, (name, path) in _FORWARDING.items():
        if root.store.read_meta(_meta_key(version)) and path.exists():
            if not is_needed:
                _core.write_sysctls(None, [(name, "0")])
            root.store.write_meta(_meta_key(version), None)
