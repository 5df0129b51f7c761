"""The rules of netyard's inet table: chains, order, verdicts. Pure.

Rules are constant. Networks and published ports are elements of sets and maps
(`netyard.firewall.elements`), so neither the cost of a packet nor that of a further port grows with
their number. Chains, in the order in which a packet passes them:

``guard`` (before connection tracking), ``sent``, ``sent-unguarded`` and ``sent-forged``
    Anti-spoofing: drop packets from a container whose source address is not routed to its bridge,
    and packets to the host's loopback, which `route_localnet` would otherwise let in.
``loopback`` (after connection tracking)
    Packets that were redirected to the loopback (`netyard.firewall.loopback6`) must be replies.
``publish`` and ``publish-local``, by way of ``to-host``, ``by-address`` and ``by-port``
    DNAT of published ports, for packets that arrive and for packets of the host itself. Only
    destinations that are the host's own, so that traffic that it routes for others is not hijacked.
``forward``, by way of ``inward``, ``outward`` and ``router-guard``
    Filtering of forwarded packets. A drop here is final, whatever other tables accept; an accept is
    not, if another table drops (see `netyard.firewall.other_firewalls`).
``source`` and ``way-out``
    SNAT: for egress, and where a reply would otherwise not come back through the host.

Priorities are the standard ones of ``nft`` (raw, mangle, dstnat, filter, srcnat).

A second table, of the ``bridge`` family, isolates containers on networks without icc
(`netyard.firewall.isolation`) and checks their sources on the bridge
(`netyard.firewall.anti_spoofing`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

from netyard.firewall.sets import (
    ALL_SETS,
    BRIDGES,
    FAMILIES,
    ICC,
    INTERNAL,
    LOOPED6,
    SAME,
    TRUSTED,
    FamilySets,
)
from netyard.firewall.statements import (
    Accept,
    Counter,
    DestinationIsLocal,
    DestinationIsLocalHere,
    DnatMap,
    Drop,
    Established,
    Family,
    FamilyIs,
    Field,
    IfNameIs,
    IfNameIsNot,
    In,
    InvalidState,
    Ip6Is,
    IpWithin,
    Jump,
    MarkIs,
    Masquerade,
    NotIn,
    OriginalDirection,
    ProtocolIs,
    Return,
    SetMark,
    SnatMap,
    SourceIsForged,
    Translated,
)
from netyard.firewall.steps import (
    AddChain,
    AddRegularChain,
    AddRule,
    AddSet,
    AddTable,
    ChainType,
    FlushChain,
    Hook,
    Statement,
    Step,
)
from netyard.values.marks import PUBLISHED_MARK

_LOCALHOST6 = IPv6Address("::1")
_ANY6 = IPv6Address("::")
_WORDS: dict[int, Family] = {4: "ip", 6: "ip6"}
_DESTINATION: dict[int, Field] = {4: "ip daddr", 6: "ip6 daddr"}
_ICMP = {4: 1, 6: 58}

_CHAINS: tuple[tuple[str, ChainType, Hook, int], ...] = (
    ("guard", "filter", "prerouting", -300),
    ("loopback", "filter", "prerouting", -150),
    ("publish", "nat", "prerouting", -100),
    ("publish-local", "nat", "output", -100),
    ("forward", "filter", "forward", 0),
    ("source", "nat", "postrouting", 100),
)

# Chains without a hook: packets come to them by jumps.
_REGULAR_CHAINS = (
    *("sent", "sent-unguarded", "sent-forged"),
    *("to-host", "by-address", "by-port"),
    *("inward", "outward", "router-guard", "way-out"),
)


@functools.lru_cache(maxsize=4)
def base_steps(
    *,
    guards_forwarding: bool,
    passing_mark: tuple[int, int] | None = None,
    binds_strictly: bool = False,
) -> Sequence[Step]:
    """The table, its sets, chains and rules, without any element; the same for the same settings.

    Args:
        guards_forwarding: netyard turned forwarding on, so only its own networks may use it
            (contract FW28).
        passing_mark: Firewall mark and mask of packets that may reach unpublished ports (FW33).
        binds_strictly: A port published on one address is reached through the interface with this
            address only (FW26).
    """
    steps: list[Step] = [AddTable()]
    steps += [AddSet(each) for each in ALL_SETS]
    steps += [AddChain(name, kind, hook, priority, None) for name, kind, hook, priority in _CHAINS]
    steps += [AddRegularChain(name) for name in _REGULAR_CHAINS]
    for chain, comment, statements in (
        *_arriving(binds_strictly=binds_strictly),
        *_forwarded(passing_mark),
        *_leaving(),
    ):
        steps.append(AddRule(chain, statements, comment))
    if guards_forwarding:
        steps += router_guard_steps()
    return tuple(steps)


def router_guard_steps() -> list[Step]:
    """Rules that drop packets between interfaces of the host that are not bridges.

    Bridges of others (another root, another engine, virtual machines) are left out: with
    br_netfilter even frames within such a bridge pass here.
    """
    chain = "router-guard"
    statements = [IfNameIsNot("iifkind", "bridge"), IfNameIsNot("oifkind", "bridge")]
    comment = "no forwarding between other interfaces: netyard turned it on"
    return [
        FlushChain(chain),
        AddRule(chain, [*statements, Drop()], comment),
    ]


_FROM_BRIDGE: Statement = In(["iifname"], BRIDGES.name)
_TO_BRIDGE: Statement = In(["oifname"], BRIDGES.name)
_SAME: Statement = In(["iifname", "oifname"], SAME.name)
_ELSEWHERE: Statement = NotIn(["iifname", "oifname"], SAME.name)
_LOCALNET = IPv4Address("127.0.0.0")
_LINK_LOCAL = IPv4Address("169.254.0.0")
Rules = Iterable[tuple[str, str, list[Statement]]]


def _arriving(*, binds_strictly: bool) -> Rules:
    """Chain, comment and statements of the rules before routing, in order."""
    yield from _sent()
    yield (
        "loopback",
        "redirected to the loopback device: only replies",
        [
            FamilyIs("ip6"),
            IfNameIs("iifname", "lo"),
            In(["ip6 saddr"], LOOPED6.name),
            OriginalDirection(),
            Drop(),
        ],
    )
    yield from _published(binds_strictly=binds_strictly)


def _sent() -> Rules:
    """The same of the rules that check packets from containers, before connection tracking."""
    yield ("guard", "packets from containers", [_FROM_BRIDGE, Jump("sent")])
    yield (
        "sent",
        "no packets from containers to 127.0.0.0/8 of the host",
        [IpWithin("ip daddr", _LOCALNET, 8), Drop()],
    )
    for version, sets in FAMILIES.items():
        family: Statement = FamilyIs(_WORDS[version])
        yield (
            "sent",
            f"the host has no IPv{version} route to these bridges to check sources by",
            [family, In(["iifname"], sets.unguarded.name), Jump("sent-unguarded")],
        )
        yield (
            "sent-unguarded",
            f"gateway mode isolated, IPv{version}: no packets to the host",
            [family, In(["iifname"], sets.isolated.name), DestinationIsLocal(), Drop()],
        )
    yield ("sent-unguarded", "no source check here; later chains filter", [Accept()])
    yield (
        "sent",
        "source address without a route to this bridge",
        [SourceIsForged(), Jump("sent-forged")],
    )
    yield (
        "sent-forged",
        "unspecified source address: duplicate address detection",
        [Ip6Is("ip6 saddr", _ANY6), Return()],
    )
    yield (
        "sent-forged",
        "link-local source address: has no route to check it by",
        [IpWithin("ip saddr", _LINK_LOCAL, 16), Return()],
    )
    yield ("sent-forged", "forged source address", [Counter(), Drop()])


def _published(*, binds_strictly: bool) -> Rules:
    """The same of the rules that translate the destination of published ports (DNAT)."""
    yield (
        "publish",
        "no published ports at 127.0.0.0/8 from outside",
        [IpWithin("ip daddr", _LOCALNET, 8), Return()],
    )
    local: Statement = DestinationIsLocal()
    for chain in ("publish", "publish-local"):
        if binds_strictly and chain == "publish":
            here: Statement = DestinationIsLocalHere()
            yield (chain, "to an address of the incoming interface", [here, Jump("by-address")])
            yield (chain, "to an address of the host", [local, Jump("by-port")])
        else:
            # One lookup in the routes for both maps.
            yield (chain, "to an address of the host", [local, Jump("to-host")])
    yield ("to-host", "ports published on one address", [Jump("by-address")])
    yield ("to-host", "ports published on every address", [Jump("by-port")])
    for version, sets in FAMILIES.items():
        at: list[Field] = [_DESTINATION[version], "l4proto", "dport"]
        yield (
            "by-address",
            f"ports published on one IPv{version} address",
            [DnatMap(_WORDS[version], at, sets.published_at.name)],
        )
    for version, sets in FAMILIES.items():
        yield (
            "by-port",
            f"ports published on every IPv{version} address",
            [DnatMap(_WORDS[version], ["l4proto", "dport"], sets.published.name)],
        )


def _forwarded(passing_mark: tuple[int, int] | None) -> Rules:
    """The same of the rules that filter forwarded packets.

    What most packets need comes first: those of established connections pass few rules.
    """
    yield ("forward", "packets to containers", [_TO_BRIDGE, Jump("inward")])
    yield (
        "forward",
        "packets from containers to other destinations",
        [_FROM_BRIDGE, Jump("outward")],
    )
    # Empty on a host that was a router before netyard.
    yield ("forward", "packets between other interfaces", [Jump("router-guard")])
    yield from _to_containers(passing_mark)
    yield from _from_containers()


def _to_containers(passing_mark: tuple[int, int] | None) -> Rules:
    """Rules for packets to a container: each gets a final verdict here."""
    directions: tuple[tuple[Field, str], ...] = (
        ("iifname", "no packets out"),
        ("oifname", "no packets in"),
    )
    for direction, what in directions:
        yield (
            "inward",
            f"internal networks: {what}, except within the network",
            [In([direction], INTERNAL.name), _ELSEWHERE, Drop()],
        )
    yield ("inward", "established connections", [Established(), _ELSEWHERE, Accept()])
    yield (
        "inward",
        "between containers of one network",
        [In(["iifname", "oifname"], ICC.name), Accept()],
    )
    yield (
        "inward",
        "link-local source addresses are not forwarded",
        [IpWithin("ip saddr", _LINK_LOCAL, 16), _FROM_BRIDGE, _ELSEWHERE, Drop()],
    )
    allowed: tuple[tuple[str, Statement], ...] = (
        ("established connections", Established()),
        ("published ports", Translated()),
    )
    for comment, state in allowed:
        yield (
            "inward",
            f"{comment} within a bridge, marked for the bridge table",
            [state, _SAME, SetMark(PUBLISHED_MARK), Accept()],
        )
    yield ("inward", "published ports", [Translated(), Accept()])
    for version, sets in FAMILIES.items():
        yield from _opened(version, sets)
    if passing_mark is not None:
        yield (
            "inward",
            "packets with the mark of bridge-accept-fwmark",
            [MarkIs(*passing_mark), Accept()],
        )
    yield ("inward", "all other packets to containers", [Counter(), Drop()])


def _opened(version: int, sets: FamilySets) -> Rules:
    """Rules for networks that are reached without translation: routed, unprotected, direct."""
    word = _WORDS[version]
    key: list[Field] = [_DESTINATION[version], "l4proto", "dport"]
    yield (
        "inward",
        f"IPv{version} ports of routed networks",
        [In(key, sets.opened.name), Accept()],
    )
    yield (
        "inward",
        f"published IPv{version} container ports, from trusted interfaces",
        [In(["iifname", "oifname"], TRUSTED.name), In(key, sets.direct.name), Accept()],
    )
    yield (
        "inward",
        f"ICMP to routed networks, IPv{version}",
        [ProtocolIs(_ICMP[version]), In(["oifname"], sets.routed.name), Accept()],
    )
    yield (
        "inward",
        f"gateway mode nat-unprotected, IPv{version}",
        [FamilyIs(word), In(["oifname"], sets.unprotected.name), Accept()],
    )


def _from_containers() -> Rules:
    """Rules for packets from a container to anywhere but a container."""
    yield (
        "outward",
        "internal networks: no packets out",
        [In(["iifname"], INTERNAL.name), Drop()],
    )
    yield ("outward", "established connections", [Established(), Accept()])
    yield (
        "outward",
        "link-local source addresses are not forwarded",
        [IpWithin("ip saddr", _LINK_LOCAL, 16), Drop()],
    )
    for version, sets in FAMILIES.items():
        family: Statement = FamilyIs(_WORDS[version])
        yield (
            "outward",
            f"no IPv{version} connection: would leave without source translation",
            [InvalidState(), family, In(["iifname"], sets.masqueraded.name), Drop()],
        )
    yield ("outward", "packets from containers to outside", [Accept()])


def _leaving() -> Rules:
    """The same of the rules that change source addresses (SNAT, masquerade)."""
    yield (
        "source",
        "container to its own published port, IPv4",
        [In(["ip saddr", "ip daddr"], FAMILIES[4].hairpin.name), Masquerade()],
    )
    yield (
        "source",
        "container to its own published port, IPv6",
        [In(["ip6 saddr", "ip6 daddr"], FAMILIES[6].hairpin.name), Masquerade()],
    )
    yield (
        "source",
        "container to a published port of its own network",
        [_SAME, Translated(), Masquerade()],
    )
    # For frames that br_netfilter passes here, the incoming interface is not known.
    yield (
        "source",
        "the same for bridged packets (br_netfilter)",
        [MarkIs(PUBLISHED_MARK, PUBLISHED_MARK), _TO_BRIDGE, Translated(), Masquerade()],
    )
    yield (
        "source",
        "host to a published port at 127.0.0.0/8",
        [IpWithin("ip saddr", _LOCALNET, 8), _TO_BRIDGE, Masquerade()],
    )
    yield (
        "source",
        "host to a published port at ::1",
        [Ip6Is("ip6 saddr", _LOCALHOST6), _TO_BRIDGE, Masquerade()],
    )
    yield ("source", "packets that leave a network", [_FROM_BRIDGE, _ELSEWHERE, Jump("way-out")])
    for version, sets in FAMILIES.items():
        word = _WORDS[version]
        out: list[Statement] = [In(["iifname"], sets.masqueraded.name)]
        yield (
            "way-out",
            f"egress by IPv{version}, from a fixed source address",
            [*out, SnatMap(word, ["iifname"], sets.sources.name)],
        )
        yield (
            "way-out",
            f"egress by IPv{version}, from the host's address",
            [*out, FamilyIs(word), Masquerade()],
        )
