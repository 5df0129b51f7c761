"""The sets and maps of netyard's table. Pure: no kernel, no store.

Networks and published ports are elements of them (`netyard.firewall.elements`), which the rules
look up (`netyard.firewall.rules`).
"""

from __future__ import annotations

from typing import NamedTuple

from netyard.firewall.statements import SetSpec

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
ALL_SETS = (
    *(BRIDGES, SAME, ICC, INTERNAL, TRUSTED, LOOPED6),
    *FAMILIES[4].all(),
    *FAMILIES[6].all(),
)
