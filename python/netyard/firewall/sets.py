"""The sets and maps of netyard's inet table: names, types of keys and data. Pure.

Their elements are `netyard.firewall.elements`, the rules that look them up
`netyard.firewall.rules`.
"""

from netyard.firewall.steps import SetSpec
from netyard.values.named import NamedTuple

BRIDGES = SetSpec("bridges", ("ifname",))
SAME = SetSpec("same-network", ("ifname", "ifname"))
ICC = SetSpec("icc", ("ifname", "ifname"))
INTERNAL = SetSpec("internal", ("ifname",))
TRUSTED = SetSpec("trusted", ("ifname", "ifname"))
LOOPED6 = SetSpec("looped6", ("ipv6_addr",))


class FamilySets(NamedTuple):
    """The sets that exist once for IPv4 and once for IPv6.

    Attributes:
        masqueraded: Bridges whose egress gets a source address of the host.
        sources: Map to that address, where it is a fixed one.
        unguarded: Bridges without a route of the host, by which sources could be checked.
        isolated: Bridges from which the host cannot be reached.
        unprotected: Bridges whose containers can be reached from everywhere, by routes to them.
        routed: Bridges whose containers answer ICMP from everywhere.
        opened: Container ports that are open to all.
        direct: Container ports that are open to trusted interfaces.
        published: Map of host ports on every address to container addresses and ports.
        published_at: The same of host ports on one address.
        hairpin: Containers that may connect to their own published ports.
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
    def of(cls, version: int) -> "FamilySets":
        """The sets of IP version 4 or 6."""
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
ALL_SETS = (
    *(BRIDGES, SAME, ICC, INTERNAL, TRUSTED, LOOPED6),
    *FAMILIES[4].all(),
    *FAMILIES[6].all(),
)
