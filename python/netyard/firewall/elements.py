"""Networks and published ports as elements of the table's sets and maps. Pure.

The sets are `netyard.firewall.sets`, the rules that look elements up `netyard.firewall.rules`;
which elements are added and removed, and when, is `netyard.firewall.table`.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from netyard.firewall.sets import (
    BRIDGES,
    FAMILIES,
    ICC,
    INTERNAL,
    LOOPED6,
    SAME,
    TRUSTED,
    FamilySets,
)
from netyard.firewall.steps import AddElements, DeleteElements, Element, SetSpec, Step
from netyard.options import bridge as bridge_options
from netyard.state.records import NetworkRecord, PortAccess, Publication, singly

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}


# By the name of the set.
Elements = dict[str, tuple[SetSpec, list[Element]]]


def add_element(
    elements: Elements, where: SetSpec, key: Any, data: Any, comment: str | None, count: int = 1
) -> None:
    """Add an element, or ``count`` with consecutive ports at the end of key and data."""
    elements.setdefault(where.name, (where, []))[1].append((key, data, comment, count))


def network_elements(networks: Iterable[NetworkRecord]) -> Elements:
    """The elements of networks."""
    elements: Elements = {}
    for network in networks:
        if not network.bridge:
            continue
        device, comment = network.bridge, network.name
        add_element(elements, BRIDGES, [device], None, comment)
        add_element(elements, SAME, [device, device], None, comment)
        if bridge_options.allows_icc(network.options):
            add_element(elements, ICC, [device, device], None, comment)
        if network.is_internal or network.spans_hosts:
            add_element(elements, INTERNAL, [device], None, comment)
        for interface in bridge_options.trusted_of(network.options):
            add_element(elements, TRUSTED, [interface, device], None, comment)
        for version, sets in FAMILIES.items():
            _add_family(elements, network, version, sets)
    return elements


def _add_family(elements: Elements, network: NetworkRecord, version: int, sets: FamilySets) -> None:
    device, comment, options = network.bridge, network.name, network.options
    if network.spans_hosts:
        # The host is not on it: it has no address there, and no route.
        add_element(elements, sets.isolated, [device], None, comment)
        add_element(elements, sets.unguarded, [device], None, comment)
        return
    mode = bridge_options.mode_of(options, version)
    source = bridge_options.source_of(options, version)
    if bridge_options.masquerades(options, version) and not network.is_internal:
        add_element(elements, sets.masqueraded, [device], None, comment)
        if source is not None:
            add_element(elements, sets.sources, [device], [source], comment)
    by_mode: dict[bridge_options.GatewayMode, SetSpec] = {
        "isolated": sets.isolated,
        "nat-unprotected": sets.unprotected,
        "routed": sets.routed,
    }
    if mode in by_mode:
        add_element(elements, by_mode[mode], [device], None, comment)
    if not bridge_options.has_bridge_address(options, version):
        add_element(elements, sets.unguarded, [device], None, comment)


def publication_elements(publications: Iterable[Publication]) -> Elements:
    """The elements of published ports."""
    elements: Elements = {}
    seen: set[object] = set()
    for each in publications:
        sets = FAMILIES[each.family]
        protocol, address = PROTOCOLS[each.protocol], ip_address(each.address)
        comment = each.container_id[:12]
        by_access: dict[PortAccess, SetSpec] = {
            "routed": sets.opened,
            "direct": sets.opened,
            "trusted": sets.direct,
        }
        opening = by_access.get(each.access)
        # One by one: several host ports may lead to the same container port.
        for one in singly([each]) if opening is not None else ():
            inside = (address, protocol, one.container_port)
            if opening is not None and inside not in seen:
                seen.add(inside)
                add_element(elements, opening, list(inside), None, comment)
        if each.access == "routed":
            continue
        target = [address, each.container_port]
        if each.host_ip:
            key = [ip_address(each.host_ip), protocol, each.host_port]
            add_element(elements, sets.published_at, key, target, comment, each.length)
        else:
            key = [protocol, each.host_port]
            add_element(elements, sets.published, key, target, comment, each.length)
        if each.address in seen:
            continue
        seen.add(each.address)
        add_element(elements, sets.hairpin, [address] * 2, None, comment)
        if each.family == 6:
            add_element(elements, LOOPED6, [address], None, comment)
    return elements


def elements_without(elements: Elements, kept: Elements) -> Elements:
    """Those of ``elements`` that are not in ``kept``."""
    left: Elements = {}
    for name, (where, entries) in elements.items():
        stay = {tuple(key) for key, *_ in kept[name][1]} if name in kept else set()
        going = [entry for entry in entries if tuple(entry[0]) not in stay]
        if going:
            left[name] = (where, going)
    return left


def steps_to_add(elements: Elements) -> list[Step]:
    """Steps that add elements."""
    return [AddElements(where, entries) for where, entries in elements.values()]


def steps_to_delete(elements: Elements) -> list[Step]:
    """Steps that delete elements."""
    return [DeleteElements(where, entries) for where, entries in elements.values()]
