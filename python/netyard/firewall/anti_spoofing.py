"""Anti-spoofing on networks with ``spoof_check``: source addresses at bridge ports. Pure.

A container with the capability NET_RAW can send frames with others' source addresses on its own
bridge, as with Docker; `netyard.firewall.rules` only checks what goes through the host. With
``spoof_check`` each port of the bridge accepts the container's own MAC and IP addresses only, in
Ethernet, ARP, IP and neighbour discovery alike; no router advertisements or redirects, and no
protocols but IP and ARP (spanning tree, tagged frames).

Elements are added before the interface and removed after it, so it is never unchecked.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from netyard.firewall.elements import Elements, add_element
from netyard.firewall.statements import (
    Accept,
    Counter,
    Drop,
    EtherTypeIs,
    EtherTypeIsNot,
    Field,
    FrameTypeIs,
    IcmpTypeIs,
    NotIn,
    ProtocolIs,
)
from netyard.firewall.steps import (
    AddChain,
    AddRule,
    AddSet,
    AddTable,
    FlushChain,
    SetSpec,
    Statement,
    Step,
)
from netyard.values.parse import Address

_PORTS = SetSpec("guarded", ("ifname",))
_MACS = SetSpec("macs", ("ifname", "ether_addr"))
_ADDRESSES = {
    4: SetSpec("addresses4", ("ifname", "ipv4_addr")),
    6: SetSpec("addresses6", ("ifname", "ipv6_addr")),
}
_CHAIN = "spoofing"
# Before br_netfilter shows the frame to the inet table.
_FIRST = -300
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_TAGS = (0x8100, 0x88A8)
_ICMPV6 = 58
_ROUTER_ADVERTISEMENT, _NEIGHBOUR_ADVERTISEMENT, _REDIRECT = 134, 136, 137
# The source of duplicate address detection, sent before there is an address (RFC 5227, RFC 4862).
_UNSPECIFIED: tuple[Address, ...] = (IPv4Address("0.0.0.0"), IPv6Address("::"))


def table_steps() -> list[Step]:
    """The chain and its sets, in the bridge family's table."""
    sets = (_PORTS, _MACS, *_ADDRESSES.values())
    return [
        AddTable(),
        *(AddSet(each) for each in sets),
        AddChain(_CHAIN, "filter", "prerouting", _FIRST, None),
        FlushChain(_CHAIN),
        *(AddRule(_CHAIN, statements, comment) for statements, comment in _rules()),
    ]


def _rules() -> Iterable[tuple[list[Statement], str | None]]:
    drop: tuple[Statement, ...] = (Counter(), Drop())

    def unless(field: Field, where: SetSpec, *first: Statement) -> list[Statement]:
        return [*first, NotIn(["iifname", field], where.name), *drop]

    is_ipv4, is_arp = EtherTypeIs(_IPV4), EtherTypeIs(_ARP)
    is_icmpv6 = ProtocolIs(_ICMPV6)
    yield [NotIn(["iifname"], _PORTS.name), Accept()], None
    yield unless("ether saddr", _MACS), "forged source MAC address"
    for tag in _TAGS:
        # The kernel has removed the tag: the ethertype is that of the frame in it.
        yield [FrameTypeIs(tag), *drop], "VLAN tag"
    yield unless("ip saddr", _ADDRESSES[4], is_ipv4), "forged source address"
    yield [is_ipv4, Accept()], None
    yield unless("arp saddr ether", _MACS, is_arp), "forged sender MAC address in ARP"
    yield unless("arp saddr ip", _ADDRESSES[4], is_arp), "forged sender IP address in ARP"
    yield [is_arp, Accept()], None
    yield [EtherTypeIsNot(_IPV6), *drop], "neither IP nor ARP"
    yield unless("ip6 saddr", _ADDRESSES[6]), "forged source address"
    unwanted = ((_ROUTER_ADVERTISEMENT, "router advertisement"), (_REDIRECT, "ICMPv6 redirect"))
    for number, what in unwanted:
        yield [is_icmpv6, IcmpTypeIs(number), *drop], what
    advertised = (is_icmpv6, IcmpTypeIs(_NEIGHBOUR_ADVERTISEMENT))
    yield unless("nd target", _ADDRESSES[6], *advertised), "forged neighbour advertisement"


def elements(ports: Iterable[tuple[str, str, Iterable[Address]]]) -> Elements:
    """The addresses that bridge ports may send from.

    Args:
        ports: Interface on the host, MAC address and addresses of the container on it.
    """
    found: Elements = {}
    for ifname, mac, addresses in ports:
        octets = bytes.fromhex(mac.replace(":", ""))
        own = {*addresses, *_UNSPECIFIED}
        if any(address.version == 6 for address in addresses):
            own.add(_link_local(octets))
        add_element(found, _PORTS, [ifname], None, None)
        add_element(found, _MACS, [ifname, octets], None, None)
        for address in own:
            add_element(found, _ADDRESSES[address.version], [ifname, address], None, None)
    return found


def _link_local(mac: bytes) -> IPv6Address:
    """The link-local address that the kernel gives an interface (RFC 4291 appendix A)."""
    identifier = bytes([mac[0] ^ 0x02]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)
