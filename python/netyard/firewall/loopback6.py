"""Ports published at ``[::1]``: their replies are redirected to the loopback device. Pure.

The kernel drops a reply to ::1 that arrives through a bridge: it checks for loopback addresses
before translation, and has no IPv6 counterpart of route_localnet. It accepts one that arrives
through the loopback device. So replies of published ports are redirected at ingress of the
container's host interface, before the bridge: they get the loopback's MAC address (all zero) and
are forwarded to that device, where conntrack translates them. Tried on 6.1 and 6.18.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from netyard.firewall.elements import PROTOCOLS
from netyard.firewall.steps import AddChain, AddRule, AddTable, Statement, Step
from netyard.state.records import Publication, singly
from netyard.values.parse import Address

_LOOPBACK_INDEX = 1


def loop_steps(
    host_ifname: str, gateway: Address, publications: Iterable[Publication]
) -> list[Step]:
    """Steps that redirect replies of these ports to the host, in the netdev family's table.

    Args:
        gateway: The bridge's address, from which the host asks containers.
    """
    # Of ports published by IPv6 only.
    from netyard.firewall.statements import ForwardToLoopback, Ip6Is, PortIs, ProtocolIs

    steps: list[Step] = [
        AddTable(),
        AddChain(host_ifname, "filter", "ingress", -300, host_ifname),
    ]
    ports = {(each.address, each.protocol, each.container_port) for each in singly(publications)}
    for address, protocol, port in sorted(ports):
        statements: list[Statement] = [
            Ip6Is("ip6 saddr", ip_address(address)),
            Ip6Is("ip6 daddr", gateway),
            ProtocolIs(PROTOCOLS[protocol]),
            PortIs("sport", port),
            ForwardToLoopback(_LOOPBACK_INDEX),
        ]
        steps.append(AddRule(host_ifname, statements, "replies to ::1, to the loopback device"))
    return steps


def is_looped(publication: Publication) -> bool:
    """Whether a published port can be asked at ``[::1]``."""
    return (
        publication.family == 6
        and publication.access != "routed"
        and publication.host_ip in ("", "::1")
    )
