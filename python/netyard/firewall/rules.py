"""The rules of netyard's one table. Pure: no kernel, no store.

Rules are constant. Networks and published ports are elements of sets and maps, so a packet's cost
and the cost of one more port do not grow with their number. Chains, in the order a packet meets
them:

``guard`` (before connection tracking), ``sent``, ``sent-unguarded`` and ``sent-forged``
    Drop what a container may not have sent: a source address that is not reached through its
    bridge, and packets for the host's loopback, which `route_localnet` would otherwise let in.
``loopback`` (after connection tracking)
    Replies that were sent round the loopback (see `netyard.firewall.loopback6`) must be replies.
``publish`` and ``publish-local``, by way of ``to-host``, ``by-address`` and ``by-port``
    Translate published ports, for packets that arrive and for packets of the host itself.
    Only destinations that are the host's own, so that routed traffic of others is not hijacked.
``forward``, by way of ``inward``, ``outward`` and ``router-guard``
    Who may reach whom. A drop here is final, whatever other tables accept; an accept here is not,
    if another table drops (`netyard.firewall.other_firewalls` sees to those).
``source`` and ``way-out``
    Source translation: for egress, and where a reply would otherwise miss the host.

Priorities are the standard ones of ``nft`` (raw, mangle, dstnat, filter, srcnat).

A second table, of the ``bridge`` family, keeps containers apart on networks without icc
(`netyard.firewall.isolation`), and from taking others' names (`netyard.firewall.anti_spoofing`).
"""

from __future__ import annotations

from collections.abc import Iterable
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
from netyard.firewall.statements import Statement, Step
from netyard.values.marks import PUBLISHED_MARK

_LOCALHOST6 = IPv6Address("::1")
_ANY6 = IPv6Address("::")
_WORDS = {4: "ip", 6: "ip6"}
_ICMP = {4: 1, 6: 58}

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
    steps += [("add set", each) for each in ALL_SETS]
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
    yield from _sent()
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
    yield from _published(binds_strictly=binds_strictly)


def _sent() -> Rules:
    """The same of the rules about what a container may have sent, before connection tracking."""
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


def _published(*, binds_strictly: bool) -> Rules:
    """The same of the rules that translate the destination of published ports (DNAT)."""
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
            [state, _SAME, ("set mark", PUBLISHED_MARK), ("accept",)],
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
        [("mark is", PUBLISHED_MARK, PUBLISHED_MARK), _TO_BRIDGE, ("translated",), ("masquerade",)],
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
