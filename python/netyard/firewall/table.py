"""netyard's tables in the kernel: changed in transactions, rebuilt from the store, removed.

Their content is computed by the pure files of this room: `rules`, `sets`, `elements`, `isolation`,
`loopback6`, `anti_spoofing`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address

import netyard._core as _core
from netyard.errors import KernelError, Unsupported
from netyard.firewall.elements import (
    Elements,
    network_elements,
    publication_elements,
    steps_to_add,
    steps_to_delete,
)
from netyard.firewall.loopback6 import is_looped, loop_steps
from netyard.firewall.steps import AddTable, DeleteTable, Step
from netyard.options import bridge as bridge_options
from netyard.state import config
from netyard.state.records import Attachment, NetworkRecord
from netyard.state.root import Root


def forwarding_key(version: int) -> str:
    """The name in the store's metadata that says that netyard turned forwarding on."""
    return f"forwarding{version}-was-off"


def change_elements(
    root: Root, *, add: Elements | None = None, delete: Elements | None = None
) -> None:
    """Change elements of the table in one transaction; rebuild the table if it is missing.

    The store must have the new state already, because a missing table is rebuilt from it.
    """
    steps = [*steps_to_delete(delete or {}), *steps_to_add(add or {})]
    if steps:
        apply(root, [("inet", root.layout.table, steps)])


def apply(root: Root, tables: Sequence[tuple[str, str, Sequence[Step]]]) -> None:
    """Apply steps; if a table is missing, rebuild all from the store instead."""
    try:
        _core.apply_nft(tables)
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        rebuild_table(root)


def admit(root: Root, network: NetworkRecord) -> None:
    """Add a network's elements, and what it needs of the bridge family's table."""
    change_elements(root, add=network_elements([network]))
    steps = _bridge_steps([network])
    if steps:
        _core.apply_nft([("bridge", root.layout.table, steps)])


def expel(root: Root, network: NetworkRecord) -> None:
    """Remove a network's elements, and the bridge family's table with the last that needs it."""
    change_elements(root, delete=network_elements([network]))
    if not _bridge_steps([network]):
        return
    others = [each for each in _networks(root) if each.id != network.id]
    if not _bridge_steps(others):
        _core.apply_nft([("bridge", root.layout.table, [AddTable(), DeleteTable()])])


def _bridge_steps(networks: Sequence[NetworkRecord]) -> list[Step]:
    """Steps for the bridge family's table, as far as these networks need it."""
    steps: list[Step] = []
    # Few networks need either, and every command would pay for the imports.
    if not all(bridge_options.allows_icc(each.options) for each in networks):
        from netyard.firewall.isolation import apart_steps

        steps += apart_steps()
    if any(bridge_options.checks_sources(each.options) for each in networks):
        from netyard.firewall import anti_spoofing

        steps += anti_spoofing.table_steps()
    return steps


def guard(root: Root, attached: Iterable[Attachment]) -> None:
    """Check the source addresses of endpoints from now on, if their network has ``spoof_check``."""
    elements = _guarding(attached)
    if elements:
        apply(root, [("bridge", root.layout.table, steps_to_add(elements))])


def release(root: Root, attached: Iterable[Attachment]) -> None:
    """Remove the elements of `guard`, once the interfaces are gone."""
    elements = _guarding(attached)
    if elements:
        apply(root, [("bridge", root.layout.table, steps_to_delete(elements))])


def _guarding(attached: Iterable[Attachment]) -> Elements:
    ports = []
    for endpoint, network in attached:
        if bridge_options.checks_sources(network.options):
            addresses = [*endpoint.addresses, *map(ip_address, endpoint.link_local)]
            ports.append((endpoint.host_ifname, endpoint.mac, addresses))
    if not ports:
        return {}
    from netyard.firewall import anti_spoofing

    return anti_spoofing.elements(ports)


def _networks(root: Root) -> list[NetworkRecord]:
    """The networks that have a device, or are getting one."""
    return [each for each in root.store.networks() if each.is_in_kernel]


def rebuild_table(root: Root) -> None:
    """Make all tables anew from the store, in one transaction."""
    # Seldom needed, and slow to import.
    from netyard.firewall.rules import base_steps

    networks = _networks(root)
    settings = config.load(root.layout.root)
    bridge = _bridge_steps(networks)
    if bridge:
        joined = [each for each in root.store.endpoints() if each.is_joined]
        bridge = [
            AddTable(),
            DeleteTable(),
            *bridge,
            *steps_to_add(_guarding(map(root.store.attachment, joined))),
        ]
    publications = [each for each in root.store.publications() if not each.is_ending]
    guards = any(root.store.read_meta(forwarding_key(version)) for version in (4, 6))
    steps: list[Step] = [
        AddTable(),
        DeleteTable(),
        *base_steps(
            guards_forwarding=guards,
            passing_mark=settings.passing_mark,
            binds_strictly=settings.binds_strictly,
        ),
        *steps_to_add(network_elements(networks)),
        *steps_to_add(publication_elements(publications)),
    ]
    _core.apply_nft(
        [
            ("inet", root.layout.table, steps),
            ("netdev", root.layout.table, _all_loops(root)),
            *([("bridge", root.layout.table, bridge)] if bridge else []),
        ]
    )


def _all_loops(root: Root) -> list[Step]:
    """Steps for the netdev family's table: the chains of all endpoints with ports at ``[::1]``."""
    steps: list[Step] = [AddTable(), DeleteTable(), AddTable()]
    present = {link.name for link in _core.list_links()}
    for endpoint in root.store.endpoints():
        if endpoint.is_joined and endpoint.host_ifname in present:
            mine = [
                each
                for each in root.store.publications(endpoint.container_id)
                if each.endpoint_id == endpoint.id and is_looped(each) and not each.is_ending
            ]
            gateway = root.store.attachment(endpoint).network.gateway(6)
            if mine and gateway:
                steps += loop_steps(endpoint.host_ifname, gateway, mine)
    return steps


def remove_table(root: Root) -> None:
    """Remove all tables; missing ones are no error."""
    for family in ("inet", "netdev", "bridge"):
        # A kernel without this family, or without nf_tables, has no such table.
        with suppress(Unsupported):
            _core.apply_nft([(family, root.layout.table, [AddTable(), DeleteTable()])])
