"""The firewall: netyard's one table, as rules and elements. Pure: no kernel, no store.

Rules are constant. Networks and published ports are elements of sets and maps, so a packet's cost
and the cost of one more port do not grow with their number. Chains, in the order a packet meets
them:

``guard`` (before connection tracking)
    Drops what a container may not have sent: a source address that is not reached through its
    bridge, and packets for the host's loopback, which `route_localnet` would otherwise let in.
``loopback`` (after connection tracking)
    Replies that were sent round the loopback (see ``netdev`` below) must be replies.
``publish`` and ``publish-local``
    Translate published ports, for packets that arrive and for packets of the host itself.
    Only destinations that are the host's own, so that routed traffic of others is not hijacked.
``forward``
    Who may reach whom. A drop here is final, whatever other tables accept; an accept here is not,
    if another table drops.
``source``
    Source translation: for the way out, and where a reply would otherwise miss the host.

Priorities are the standard ones of ``nft`` (raw, mangle, dstnat, filter, srcnat).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from netyard.options import Address
from netyard.store.records import NetworkRecord, Publication

Step = tuple[Any, ...]
Statement = tuple[Any, ...]

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_LOOPBACK_INDEX = 1
_LOCALHOST6 = IPv6Address("::1")
_ANY6 = IPv6Address("::")


@dataclass(frozen=True, slots=True)
class SetSpec:
    """A set or map, in ``nft``'s type names."""

    name: str
    key: Sequence[str]
    data: Sequence[str] | None = None


BRIDGES = SetSpec("bridges", ("ifname",))
SAME = SetSpec("same-network", ("ifname", "ifname"))
INTERNAL = SetSpec("internal", ("ifname",))
MASQUERADED = SetSpec("masqueraded", ("ifname",))
PUBLISHED4 = SetSpec("published4", ("inet_proto", "inet_service"), ("ipv4_addr", "inet_service"))
PUBLISHED6 = SetSpec("published6", ("inet_proto", "inet_service"), ("ipv6_addr", "inet_service"))
PUBLISHED4_AT = SetSpec(
    "published4-at", ("ipv4_addr", "inet_proto", "inet_service"), ("ipv4_addr", "inet_service")
)
PUBLISHED6_AT = SetSpec(
    "published6-at", ("ipv6_addr", "inet_proto", "inet_service"), ("ipv6_addr", "inet_service")
)
HAIRPIN4 = SetSpec("hairpin4", ("ipv4_addr", "ipv4_addr"))
HAIRPIN6 = SetSpec("hairpin6", ("ipv6_addr", "ipv6_addr"))
LOOPED6 = SetSpec("looped6", ("ipv6_addr",))

_SETS = (
    BRIDGES,
    SAME,
    INTERNAL,
    MASQUERADED,
    PUBLISHED4,
    PUBLISHED6,
    PUBLISHED4_AT,
    PUBLISHED6_AT,
    HAIRPIN4,
    HAIRPIN6,
    LOOPED6,
)

_CHAINS = (
    ("guard", "filter", "prerouting", -300),
    ("loopback", "filter", "prerouting", -150),
    ("publish", "nat", "prerouting", -100),
    ("publish-local", "nat", "output", -100),
    ("forward", "filter", "forward", 0),
    ("source", "nat", "postrouting", 100),
)

# What a closed table forwards when netyard itself turned forwarding on.
ROUTER_GUARD_CHAIN = "router-guard"


def base_steps(*, guards_forwarding: bool) -> list[Step]:
    """The table, its sets, chains and rules, without any element.

    Args:
        guards_forwarding: netyard turned forwarding on, so nothing but its own networks may use it
            (contract FW28).
    """
    steps: list[Step] = [("add table",)]
    steps += [("add set", each) for each in _SETS]
    steps += [
        ("add chain", name, kind, hook, priority, None) for name, kind, hook, priority in _CHAINS
    ]
    for chain, comment, statements in _rules():
        steps.append(("add rule", chain, statements, comment))
    if guards_forwarding:
        steps += router_guard_steps()
    return steps


def router_guard_steps() -> list[Step]:
    """Forwarding is on for networks of containers only, not between the host's own interfaces.

    Bridges of others (another root, another engine, virtual machines) are left alone: with
    br_netfilter even frames within such a bridge pass here.
    """
    statements = [("ifname is not", "iifkind", "bridge"), ("ifname is not", "oifkind", "bridge")]
    comment = "netyard turned forwarding on: not for a way from wire to wire"
    return [
        ("add chain", ROUTER_GUARD_CHAIN, "filter", "forward", 0, None),
        ("add rule", ROUTER_GUARD_CHAIN, [*statements, ("drop",)], comment),
    ]


def _rules() -> Iterable[tuple[str, str, list[Statement]]]:
    """Chain, comment and statements of every rule, in order."""
    from_bridge = ("in", ["iifname"], BRIDGES.name)
    to_bridge = ("in", ["oifname"], BRIDGES.name)
    same = ("in", ["iifname", "oifname"], SAME.name)
    localnet = IPv4Address("127.0.0.0")
    yield (
        "guard",
        "nobody reaches the host's loopback through a container's bridge",
        [from_bridge, ("ip within", "ip daddr", localnet, 8), ("drop",)],
    )
    yield (
        "guard",
        "duplicate address detection has no source yet",
        [from_bridge, ("ip6 is", "ip6 saddr", _ANY6), ("return",)],
    )
    yield (
        "guard",
        "a container sends from its own network's addresses only",
        [from_bridge, ("source is forged",), ("counter",), ("drop",)],
    )
    yield (
        "loopback",
        "only replies may come round the loopback",
        [
            ("ifname is", "iifname", "lo"),
            ("in", ["ip6 saddr"], LOOPED6.name),
            ("original direction",),
            ("drop",),
        ],
    )
    yield (
        "publish",
        "the host's loopback is not on the wire",
        [("ip within", "ip daddr", localnet, 8), ("return",)],
    )
    for chain in ("publish", "publish-local"):
        for family in ("ip", "ip6"):
            number = 4 if family == "ip" else 6
            local = ("destination is local",)
            at = [f"{family} daddr", "l4proto", "dport"]
            yield (
                chain,
                f"ports published on one IPv{number} address",
                [local, ("dnat map", family, at, f"published{number}-at")],
            )
            yield (
                chain,
                f"ports published on every IPv{number} address",
                [local, ("dnat map", family, at[1:], f"published{number}")],
            )
    yield (
        "forward",
        "internal networks: nothing in but from themselves",
        [
            ("in", ["iifname"], INTERNAL.name),
            ("not in", ["iifname", "oifname"], SAME.name),
            ("drop",),
        ],
    )
    yield (
        "forward",
        "internal networks: nothing out but to themselves",
        [
            ("in", ["oifname"], INTERNAL.name),
            ("not in", ["iifname", "oifname"], SAME.name),
            ("drop",),
        ],
    )
    yield ("forward", "within a network", [same, ("accept",)])
    yield ("forward", "replies to what was allowed", [to_bridge, ("established",), ("accept",)])
    yield ("forward", "published ports", [to_bridge, ("translated",), ("accept",)])
    yield (
        "forward",
        "nothing else reaches a container",
        [to_bridge, ("counter",), ("drop",)],
    )
    yield ("forward", "containers may go out", [from_bridge, ("accept",)])
    yield (
        "source",
        "a container that asks its own published port",
        [("in", ["ip saddr", "ip daddr"], HAIRPIN4.name), ("masquerade",)],
    )
    yield (
        "source",
        "the same by IPv6",
        [("in", ["ip6 saddr", "ip6 daddr"], HAIRPIN6.name), ("masquerade",)],
    )
    yield (
        "source",
        "a neighbour that asks by the host's address",
        [same, ("translated",), ("masquerade",)],
    )
    yield (
        "source",
        "the host asking by its loopback address",
        [("ip within", "ip saddr", localnet, 8), to_bridge, ("masquerade",)],
    )
    yield (
        "source",
        "the same by ::1",
        [("ip6 is", "ip6 saddr", _LOCALHOST6), to_bridge, ("masquerade",)],
    )
    yield (
        "source",
        "the way out",
        [
            ("in", ["iifname"], MASQUERADED.name),
            ("not in", ["iifname", "oifname"], SAME.name),
            ("masquerade",),
        ],
    )


Elements = dict[str, tuple[SetSpec, list[tuple[Any, Any, str | None]]]]


def _add(elements: Elements, where: SetSpec, key: Any, data: Any, comment: str | None) -> None:
    elements.setdefault(where.name, (where, []))[1].append((key, data, comment))


def network_elements(networks: Iterable[NetworkRecord]) -> Elements:
    """What makes networks known to the rules."""
    elements: Elements = {}
    for network in networks:
        if not network.bridge:
            continue
        device = network.bridge
        _add(elements, BRIDGES, [device], None, network.name)
        if allows_icc(network):
            _add(elements, SAME, [device, device], None, network.name)
        if network.is_internal:
            _add(elements, INTERNAL, [device], None, network.name)
        elif masquerades(network):
            _add(elements, MASQUERADED, [device], None, network.name)
    return elements


def allows_icc(network: NetworkRecord) -> bool:
    """Whether containers of a network may reach each other directly (contract BO2)."""
    return network.options.get("com.docker.network.bridge.enable_icc", "true") == "true"


def masquerades(network: NetworkRecord) -> bool:
    """Whether a network's way out is behind the host's address (contract BO3)."""
    key = "com.docker.network.bridge.enable_ip_masquerade"
    return network.options.get(key, "true") == "true"


def publication_elements(publications: Iterable[Publication]) -> Elements:
    """What makes published ports reachable."""
    elements: Elements = {}
    seen: set[str] = set()
    for each in publications:
        protocol, address = PROTOCOLS[each.protocol], ip_address(each.address)
        target = [address, each.container_port]
        comment = each.container_id[:12]
        if each.host_ip:
            where = PUBLISHED4_AT if each.family == 4 else PUBLISHED6_AT
            key = [ip_address(each.host_ip), protocol, each.host_port]
        else:
            where = PUBLISHED4 if each.family == 4 else PUBLISHED6
            key = [protocol, each.host_port]
        _add(elements, where, key, target, comment)
        if each.address in seen:
            continue
        seen.add(each.address)
        _add(elements, HAIRPIN4 if each.family == 4 else HAIRPIN6, [address] * 2, None, comment)
        if each.family == 6:
            _add(elements, LOOPED6, [address], None, comment)
    return elements


def add_steps(elements: Elements) -> list[Step]:
    """Put elements in."""
    return [("add elements", where, entries) for where, entries in elements.values()]


def delete_steps(elements: Elements) -> list[Step]:
    """Take elements out."""
    return [("delete elements", where, entries) for where, entries in elements.values()]


# -- [::1] ------------------------------------------------------------------------------------
#
# The kernel cannot route a reply to ::1 that comes in through a bridge: it checks for loopback
# addresses before translation, and has no IPv6 counterpart of route_localnet. But a reply that
# comes in through the loopback device is fine. So replies of published ports are turned round at
# the container's host interface, before the bridge sees them: given the loopback's (all zero) MAC
# address and forwarded to it, where connection tracking finds them. Tried on 6.1 and 6.18.


def loop_steps(
    host_ifname: str, gateway: Address, publications: Iterable[Publication]
) -> list[Step]:
    """Turn round replies of these ports that go to the host itself."""
    steps: list[Step] = [
        ("add table",),
        ("add chain", host_ifname, "filter", "ingress", -300, host_ifname),
    ]
    ports = {(each.address, each.protocol, each.container_port) for each in publications}
    for address, protocol, port in sorted(ports):
        statements = [
            ("ip6 is", "ip6 saddr", ip_address(address)),
            ("ip6 is", "ip6 daddr", gateway),
            ("protocol is", PROTOCOLS[protocol]),
            ("port is", "sport", port),
            ("forward to loopback", _LOOPBACK_INDEX),
        ]
        steps.append(("add rule", host_ifname, statements, "replies to [::1]"))
    return steps


def is_looped(publication: Publication) -> bool:
    """Whether a published port can be asked at ``[::1]``."""
    return publication.family == 6 and publication.host_ip in ("", "::1")
