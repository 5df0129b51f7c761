"""The firewall: netyard's one table, as rules and elements. Pure: no kernel, no store.

Rules are constant. Networks and published ports are elements of sets and maps, so a packet's cost
and the cost of one more port do not grow with their number. Chains, in the order a packet meets
them:

``guard`` (before connection tracking), ``sent``, ``sent-unguarded`` and ``sent-forged``
    Drop what a container may not have sent: a source address that is not reached through its
    bridge, and packets for the host's loopback, which `route_localnet` would otherwise let in.
``loopback`` (after connection tracking)
    Replies that were sent round the loopback (see ``netdev`` below) must be replies.
``publish`` and ``publish-local``, by way of ``to-host``, ``by-address`` and ``by-port``
    Translate published ports, for packets that arrive and for packets of the host itself.
    Only destinations that are the host's own, so that routed traffic of others is not hijacked.
``forward``, by way of ``inward``, ``outward`` and ``router-guard``
    Who may reach whom. A drop here is final, whatever other tables accept; an accept here is not,
    if another table drops (`netyard.coexistence` sees to those).
``source`` and ``way-out``
    Source translation: for the way out, and where a reply would otherwise miss the host.

Priorities are the standard ones of ``nft`` (raw, mangle, dstnat, filter, srcnat).

A second table, of the ``bridge`` family, keeps containers apart on networks without icc (see
`apart_steps`), and from taking others' names (`netyard.spoofing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple

from netyard.options import bridge as bridge_options
from netyard.state.records import NetworkRecord, Publication, singly
from netyard.values.parse import Address

Step = tuple[Any, ...]
Statement = tuple[Any, ...]

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_LOOPBACK_INDEX = 1
_LOCALHOST6 = IPv6Address("::1")
_ANY6 = IPv6Address("::")


class SetSpec(NamedTuple):
    """A set or map, in ``nft``'s type names."""

    name: str
    key: Sequence[str]
    data: Sequence[str] | None = None


BRIDGES = SetSpec("bridges", ("ifname",))
SAME = SetSpec("same-network", ("ifname", "ifname"))
ICC = SetSpec("icc", ("ifname", "ifname"))
INTERNAL = SetSpec("internal", ("ifname",))
TRUSTED = SetSpec("trusted", ("ifname", "ifname"))
LOOPED6 = SetSpec("looped6", ("ipv6_addr",))


class FamilySets(NamedTuple):
    """The sets there are once for IPv4 and once for IPv6.

    Attributes:
        masqueraded: Bridges whose way out is behind an address of the host.
        sources: That address, where it is a fixed one.
        unguarded: Bridges the host has no route to, so that sources cannot be checked by it.
        isolated: Bridges through which nobody reaches the host.
        unprotected: Bridges whose containers anyone may reach who can route there.
        routed: Bridges whose containers answer ICMP from anywhere.
        opened: Container ports that are open to anyone.
        direct: Container ports that are open to trusted interfaces.
        published: Host ports on every address, and where they lead.
        published_at: Host ports on one address.
        hairpin: Containers that may ask their own published ports.
    """

    masqueraded: SetSpec
    sources: SetSpec
    unguarded: SetSpec
    isolated: SetSpec
    unprotected: SetSpec
    routed: SetSpec
    opened: SetSpec
    direct: SetSpec
    published: SetSpec
    published_at: SetSpec
    hairpin: SetSpec

    @classmethod
    def of(cls, version: int) -> FamilySets:
        """Those of a family."""
        address = f"ipv{version}_addr"
        device = ("ifname",)
        port, target = ("inet_proto", "inet_service"), (address, "inet_service")
        return cls(
            masqueraded=SetSpec(f"masqueraded{version}", device),
            sources=SetSpec(f"sources{version}", device, (address,)),
            unguarded=SetSpec(f"unguarded{version}", device),
            isolated=SetSpec(f"isolated{version}", device),
            unprotected=SetSpec(f"unprotected{version}", device),
            routed=SetSpec(f"routed{version}", device),
            opened=SetSpec(f"open{version}", (address, *port)),
            direct=SetSpec(f"direct{version}", (address, *port)),
            published=SetSpec(f"published{version}", port, target),
            published_at=SetSpec(f"published{version}-at", (address, *port), target),
            hairpin=SetSpec(f"hairpin{version}", (address, address)),
        )

    def all(self) -> list[SetSpec]:
        """All of them."""
        return list(self)


FAMILIES = {version: FamilySets.of(version) for version in (4, 6)}
_WORDS = {4: "ip", 6: "ip6"}
_ICMP = {4: 1, 6: 58}
_SETS = (
    *(BRIDGES, SAME, ICC, INTERNAL, TRUSTED, LOOPED6),
    *FAMILIES[4].all(),
    *FAMILIES[6].all(),
)

_CHAINS = (
    ("guard", "filter", "prerouting", -300),
    ("loopback", "filter", "prerouting", -150),
    ("publish", "nat", "prerouting", -100),
    ("publish-local", "nat", "output", -100),
    ("forward", "filter", "forward", 0),
    ("source", "nat", "postrouting", 100),
)

# Only some packets go through these: which, the chains above say.
_REGULAR_CHAINS = (
    *("sent", "sent-unguarded", "sent-forged"),
    *("to-host", "by-address", "by-port"),
    *("inward", "outward", "router-guard", "way-out"),
)


def base_steps(
    *,
    guards_forwarding: bool,
    passing_mark: tuple[int, int] | None = None,
    binds_strictly: bool = False,
) -> list[Step]:
    """The table, its sets, chains and rules, without any element.

    Args:
        guards_forwarding: netyard turned forwarding on, so nothing but its own networks may use it
            (contract FW28).
        passing_mark: Firewall mark and mask of packets that may reach unpublished ports (FW33).
        binds_strictly: A port published on one address is asked through its interface only (FW26).
    """
    steps: list[Step] = [("add table",)]
    steps += [("add set", each) for each in _SETS]
    steps += [
        ("add chain", name, kind, hook, priority, None) for name, kind, hook, priority in _CHAINS
    ]
    steps += [("add regular chain", name) for name in _REGULAR_CHAINS]
    for chain, comment, statements in (
        *_arriving(binds_strictly=binds_strictly),
        *_forwarded(passing_mark),
        *_leaving(),
    ):
        steps.append(("add rule", chain, statements, comment))
    if guards_forwarding:
        steps += router_guard_steps()
    return steps


def router_guard_steps() -> list[Step]:
    """Forwarding is on for networks of containers only, not between the host's own interfaces.

    Bridges of others (another root, another engine, virtual machines) are left alone: with
    br_netfilter even frames within such a bridge pass here.
    """
    chain = "router-guard"
    statements = [("ifname is not", "iifkind", "bridge"), ("ifname is not", "oifkind", "bridge")]
    comment = "netyard turned forwarding on: not for a way from wire to wire"
    return [
        ("flush chain", chain),
        ("add rule", chain, [*statements, ("drop",)], comment),
    ]


_FROM_BRIDGE: Statement = ("in", ["iifname"], BRIDGES.name)
_TO_BRIDGE: Statement = ("in", ["oifname"], BRIDGES.name)
_SAME: Statement = ("in", ["iifname", "oifname"], SAME.name)
_ELSEWHERE: Statement = ("not in", ["iifname", "oifname"], SAME.name)
_LOCALNET = IPv4Address("127.0.0.0")
_LINK_LOCAL = IPv4Address("169.254.0.0")
Rules = Iterable[tuple[str, str, list[Statement]]]


def _arriving(*, binds_strictly: bool) -> Rules:
    """Chain, comment and statements of the rules before routing, in order."""
    yield ("guard", "what containers have sent", [_FROM_BRIDGE, ("jump", "sent")])
    yield (
        "sent",
        "nobody reaches the host's loopback through a container's bridge",
        [("ip within", "ip daddr", _LOCALNET, 8), ("drop",)],
    )
    for version, sets in FAMILIES.items():
        family: Statement = ("family is", _WORDS[version])
        yield (
            "sent",
            f"the host has no IPv{version} route to these, so none to judge sources by",
            [family, ("in", ["iifname"], sets.unguarded.name), ("jump", "sent-unguarded")],
        )
        yield (
            "sent-unguarded",
            f"isolated in IPv{version}: not even the host is reached",
            [family, ("in", ["iifname"], sets.isolated.name), ("destination is local",), ("drop",)],
        )
    yield ("sent-unguarded", "whoever else it is for judges it", [("accept",)])
    yield (
        "sent",
        "a container sends from its own network's addresses only",
        [("source is forged",), ("jump", "sent-forged")],
    )
    yield (
        "sent-forged",
        "duplicate address detection has no source yet",
        [("ip6 is", "ip6 saddr", _ANY6), ("return",)],
    )
    yield (
        "sent-forged",
        "link-local addresses have no route to judge them by",
        [("ip within", "ip saddr", _LINK_LOCAL, 16), ("return",)],
    )
    yield ("sent-forged", "all others are somebody else's", [("counter",), ("drop",)])
    yield (
        "loopback",
        "only replies may come round the loopback",
        [
            ("family is", "ip6"),
            ("ifname is", "iifname", "lo"),
            ("in", ["ip6 saddr"], LOOPED6.name),
            ("original direction",),
            ("drop",),
        ],
    )
    yield (
        "publish",
        "the host's loopback is not on the wire",
        [("ip within", "ip daddr", _LOCALNET, 8), ("return",)],
    )
    local: Statement = ("destination is local",)
    for chain in ("publish", "publish-local"):
        if binds_strictly and chain == "publish":
            here: Statement = ("destination is local here",)
            yield (chain, "for one of the host's addresses", [here, ("jump", "by-address")])
            yield (chain, "for any of the host's addresses", [local, ("jump", "by-port")])
        else:
            # One look at the routes for both.
            yield (chain, "for the host's addresses", [local, ("jump", "to-host")])
    yield ("to-host", "for one of them", [("jump", "by-address")])
    yield ("to-host", "for any of them", [("jump", "by-port")])
    for version, sets in FAMILIES.items():
        word = _WORDS[version]
        at = [f"{word} daddr", "l4proto", "dport"]
        yield (
            "by-address",
            f"ports published on one IPv{version} address",
            [("dnat map", word, at, sets.published_at.name)],
        )
    for version, sets in FAMILIES.items():
        yield (
            "by-port",
            f"ports published on every IPv{version} address",
            [("dnat map", _WORDS[version], ["l4proto", "dport"], sets.published.name)],
        )


def _forwarded(passing_mark: tuple[int, int] | None) -> Rules:
    """The same of the rules about who may reach whom.

    What most packets need comes early: connections that were let in before pass by few rules.
    """
    yield ("forward", "what goes to a container", [_TO_BRIDGE, ("jump", "inward")])
    yield ("forward", "what else comes from one", [_FROM_BRIDGE, ("jump", "outward")])
    # Empty on a host that was a router before netyard.
    yield ("forward", "what is nothing to netyard", [("jump", "router-guard")])
    yield from _to_containers(passing_mark)
    yield from _from_containers()


def _to_containers(passing_mark: tuple[int, int] | None) -> Rules:
    """Each packet is judged here, for good."""
    for direction, what in (("iifname", "nothing out"), ("oifname", "nothing in")):
        yield (
            "inward",
            f"internal networks: {what} but within themselves",
            [("in", [direction], INTERNAL.name), _ELSEWHERE, ("drop",)],
        )
    yield ("inward", "replies to what was allowed", [("established",), _ELSEWHERE, ("accept",)])
    yield ("inward", "within a network", [("in", ["iifname", "oifname"], ICC.name), ("accept",)])
    yield (
        "inward",
        "link-local addresses stay on their link",
        [("ip within", "ip saddr", _LINK_LOCAL, 16), _FROM_BRIDGE, _ELSEWHERE, ("drop",)],
    )
    allowed: tuple[tuple[str, Statement], ...] = (
        ("replies to what was allowed", ("established",)),
        ("published ports", ("translated",)),
    )
    for comment, state in allowed:
        yield (
            "inward",
            f"{comment}, for the bridge table to see",
            [state, _SAME, ("set mark", _MARK), ("accept",)],
        )
    yield ("inward", "published ports", [("translated",), ("accept",)])
    for version, sets in FAMILIES.items():
        yield from _opened(version, sets)
    if passing_mark is not None:
        yield ("inward", "marked packets pass", [("mark is", *passing_mark), ("accept",)])
    yield ("inward", "nothing else reaches a container", [("counter",), ("drop",)])


def _opened(version: int, sets: FamilySets) -> Rules:
    """What is open on networks that are not behind translation."""
    word = _WORDS[version]
    key = [f"{word} daddr", "l4proto", "dport"]
    yield (
        "inward",
        f"IPv{version} ports of routed networks",
        [("in", key, sets.opened.name), ("accept",)],
    )
    yield (
        "inward",
        f"IPv{version} ports of containers, from trusted interfaces",
        [("in", ["iifname", "oifname"], TRUSTED.name), ("in", key, sets.direct.name), ("accept",)],
    )
    yield (
        "inward",
        f"routed networks answer ICMP by IPv{version}",
        [("protocol is", _ICMP[version]), ("in", ["oifname"], sets.routed.name), ("accept",)],
    )
    yield (
        "inward",
        f"IPv{version} networks that are not protected",
        [("family is", word), ("in", ["oifname"], sets.unprotected.name), ("accept",)],
    )


def _from_containers() -> Rules:
    """What is not for a container."""
    yield (
        "outward",
        "internal networks: nothing out",
        [("in", ["iifname"], INTERNAL.name), ("drop",)],
    )
    yield ("outward", "replies to what was allowed", [("established",), ("accept",)])
    yield (
        "outward",
        "link-local addresses stay on their link",
        [("ip within", "ip saddr", _LINK_LOCAL, 16), ("drop",)],
    )
    for version, sets in FAMILIES.items():
        family: Statement = ("family is", _WORDS[version])
        yield (
            "outward",
            f"packets of no IPv{version} connection would leave untranslated",
            [("invalid",), family, ("in", ["iifname"], sets.masqueraded.name), ("drop",)],
        )
    yield ("outward", "containers may go out", [("accept",)])


def _leaving() -> Rules:
    """The same of the rules that change source addresses."""
    yield (
        "source",
        "a container that asks its own published port",
        [("in", ["ip saddr", "ip daddr"], FAMILIES[4].hairpin.name), ("masquerade",)],
    )
    yield (
        "source",
        "the same by IPv6",
        [("in", ["ip6 saddr", "ip6 daddr"], FAMILIES[6].hairpin.name), ("masquerade",)],
    )
    yield (
        "source",
        "a neighbour that asks by the host's address",
        [_SAME, ("translated",), ("masquerade",)],
    )
    # Where br_netfilter passes frames here, it does not say what they came in through.
    yield (
        "source",
        "the same where it would not be reached directly",
        [("mark is", _MARK, _MARK), _TO_BRIDGE, ("translated",), ("masquerade",)],
    )
    yield (
        "source",
        "the host asking by its loopback address",
        [("ip within", "ip saddr", _LOCALNET, 8), _TO_BRIDGE, ("masquerade",)],
    )
    yield (
        "source",
        "the same by ::1",
        [("ip6 is", "ip6 saddr", _LOCALHOST6), _TO_BRIDGE, ("masquerade",)],
    )
    yield ("source", "what leaves a network", [_FROM_BRIDGE, _ELSEWHERE, ("jump", "way-out")])
    for version, sets in FAMILIES.items():
        word = _WORDS[version]
        out: list[Statement] = [("in", ["iifname"], sets.masqueraded.name)]
        yield (
            "way-out",
            f"the way out by IPv{version}, from a fixed address",
            [*out, ("snat map", word, ["iifname"], sets.sources.name)],
        )
        yield (
            "way-out",
            f"the way out by IPv{version}",
            [*out, ("family is", word), ("masquerade",)],
        )


# Key, data, comment, and how many there are in a row.
Elements = dict[str, tuple[SetSpec, list[tuple[Any, Any, str | None, int]]]]


def add_element(
    elements: Elements, where: SetSpec, key: Any, data: Any, comment: str | None, count: int = 1
) -> None:
    """One more, or so many whose last numbers follow one another."""
    elements.setdefault(where.name, (where, []))[1].append((key, data, comment, count))


def network_elements(networks: Iterable[NetworkRecord]) -> Elements:
    """What makes networks known to the rules."""
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
        # The host is no part of it: it has no address there, and no route.
        add_element(elements, sets.isolated, [device], None, comment)
        add_element(elements, sets.unguarded, [device], None, comment)
        return
    mode = bridge_options.mode_of(options, version)
    source = bridge_options.source_of(options, version)
    if bridge_options.masquerades(options, version) and not network.is_internal:
        add_element(elements, sets.masqueraded, [device], None, comment)
        if source is not None:
            add_element(elements, sets.sources, [device], [source], comment)
    by_mode = {
        "isolated": sets.isolated,
        "nat-unprotected": sets.unprotected,
        "routed": sets.routed,
    }
    if mode in by_mode:
        add_element(elements, by_mode[mode], [device], None, comment)
    if not bridge_options.has_bridge_address(options, version):
        add_element(elements, sets.unguarded, [device], None, comment)


def publication_elements(publications: Iterable[Publication]) -> Elements:
    """What makes published ports reachable."""
    elements: Elements = {}
    seen: set[object] = set()
    for each in publications:
        sets = FAMILIES[each.family]
        protocol, address = PROTOCOLS[each.protocol], ip_address(each.address)
        comment = each.container_id[:12]
        by_access = {"routed": sets.opened, "direct": sets.opened, "trusted": sets.direct}
        opening = by_access.get(each.access)
        # One by one: several ports of the host may lead to the same.
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


def without(elements: Elements, kept: Elements) -> Elements:
    """Elements that are in one and not in the other: what may go while the others stay."""
    left: Elements = {}
    for name, (where, entries) in elements.items():
        stay = {tuple(key) for key, *_ in kept[name][1]} if name in kept else set()
        going = [entry for entry in entries if tuple(entry[0]) not in stay]
        if going:
            left[name] = (where, going)
    return left


def add_steps(elements: Elements) -> list[Step]:
    """Put elements in."""
    return [("add elements", where, entries) for where, entries in elements.values()]


def delete_steps(elements: Elements) -> list[Step]:
    """Take elements out."""
    return [("delete elements", where, entries) for where, entries in elements.values()]


# -- networks without icc ----------------------------------------------------------------------
#
# Containers of such a network must not reach each other, not even by ARP, but must reach one
# another's published ports by the host's address. Port isolation of the bridge cannot tell the two
# apart where br_netfilter translates bridged frames: it then sends them from port to port. So
# frames between ports are dropped in the bridge family unless the inet table, which sees them
# first if br_netfilter is on, has marked them. The mark ends with the frame's way into the
# container's namespace.

_MARK = 0x4E590000
#: The link group of host interfaces of such networks: "NZ", beside the drivers' "NY".
APART_GROUP = 0x4E5A
_AFTER_BR_NETFILTER = 10


def apart_steps() -> list[Step]:
    """The bridge family's table."""
    chain = "apart"
    statements: list[Statement] = [
        ("group is", "iifgroup", APART_GROUP),
        ("group is", "oifgroup", APART_GROUP),
        ("mark is not", _MARK, _MARK),
    ]
    return [
        ("add table",),
        ("add chain", chain, "filter", "forward", _AFTER_BR_NETFILTER, None),
        ("flush chain", chain),
        ("add rule", chain, [*statements, ("counter",), ("drop",)], "only what inet has allowed"),
    ]


def is_apart(network: NetworkRecord) -> bool:
    """Whether containers of a network are kept apart (contract BO2)."""
    return not bridge_options.allows_icc(network.options)


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
    ports = {(each.address, each.protocol, each.container_port) for each in singly(publications)}
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
    return (
        publication.family == 6
        and publication.access != "routed"
        and publication.host_ip in ("", "::1")
    )
