"""What a rule of nf_tables asks of a packet and does with it: a value type a statement.

Steps of transactions, and what both are, are in `netyard.firewall.steps`. Words are those of
``nft``.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Literal

from netyard.firewall.steps import Statement
from netyard.values.parse import Address

Family = Literal["ip", "ip6"]
Field = Literal[
    "iifname",
    "oifname",
    "iifkind",
    "oifkind",
    "iifgroup",
    "oifgroup",
    "ether saddr",
    "arp saddr ether",
    "arp saddr ip",
    "nd target",
    "ip saddr",
    "ip daddr",
    "ip6 saddr",
    "ip6 daddr",
    "l4proto",
    "sport",
    "dport",
]


class In(Statement):
    """These fields of the packet are an element of a set."""

    __slots__ = ()

    def __new__(cls, fields: Sequence[Field], set: str) -> In:
        return tuple.__new__(cls, ("in", fields, set))


class NotIn(Statement):
    """They are not."""

    __slots__ = ()

    def __new__(cls, fields: Sequence[Field], set: str) -> NotIn:
        return tuple.__new__(cls, ("not in", fields, set))


class IfNameIs(Statement):
    """An interface's name, or its kind, is this."""

    __slots__ = ()

    def __new__(cls, field: Field, name: str) -> IfNameIs:
        return tuple.__new__(cls, ("ifname is", field, name))


class IfNameIsNot(Statement):
    """It is not."""

    __slots__ = ()

    def __new__(cls, field: Field, name: str) -> IfNameIsNot:
        return tuple.__new__(cls, ("ifname is not", field, name))


class FamilyIs(Statement):
    """It is a packet of this family."""

    __slots__ = ()

    def __new__(cls, family: Family) -> FamilyIs:
        return tuple.__new__(cls, ("family is", family))


class EtherTypeIs(Statement):
    """The protocol of the frame, behind a VLAN tag that the kernel has taken off."""

    __slots__ = ()

    def __new__(cls, number: int) -> EtherTypeIs:
        return tuple.__new__(cls, ("ethertype is", number))


class EtherTypeIsNot(Statement):
    """It is not this one."""

    __slots__ = ()

    def __new__(cls, number: int) -> EtherTypeIsNot:
        return tuple.__new__(cls, ("ethertype is not", number))


class FrameTypeIs(Statement):
    """The type in the frame's own header."""

    __slots__ = ()

    def __new__(cls, number: int) -> FrameTypeIs:
        return tuple.__new__(cls, ("frame type is", number))


class IcmpTypeIs(Statement):
    """The type of an ICMP message of either family."""

    __slots__ = ()

    def __new__(cls, number: int) -> IcmpTypeIs:
        return tuple.__new__(cls, ("icmp type is", number))


class GroupIs(Statement):
    """An interface's link group is this."""

    __slots__ = ()

    def __new__(cls, field: Field, group: int) -> GroupIs:
        return tuple.__new__(cls, ("group is", field, group))


class MarkIs(Statement):
    """The packet's mark, under a mask, is this."""

    __slots__ = ()

    def __new__(cls, mark: int, mask: int) -> MarkIs:
        return tuple.__new__(cls, ("mark is", mark, mask))


class MarkIsNot(Statement):
    """It is not."""

    __slots__ = ()

    def __new__(cls, mark: int, mask: int) -> MarkIsNot:
        return tuple.__new__(cls, ("mark is not", mark, mask))


class SetMark(Statement):
    """Mark the packet."""

    __slots__ = ()

    def __new__(cls, mark: int) -> SetMark:
        return tuple.__new__(cls, ("set mark", mark))


class ProtocolIs(Statement):
    """The transport protocol is this."""

    __slots__ = ()

    def __new__(cls, number: int) -> ProtocolIs:
        return tuple.__new__(cls, ("protocol is", number))


class PortIs(Statement):
    """A port is this."""

    __slots__ = ()

    def __new__(cls, field: Field, port: int) -> PortIs:
        return tuple.__new__(cls, ("port is", field, port))


class IpWithin(Statement):
    """An IPv4 address is of this subnet; ``prefix`` in bits."""

    __slots__ = ()

    def __new__(cls, field: Field, address: IPv4Address, prefix: int) -> IpWithin:
        return tuple.__new__(cls, ("ip within", field, address, prefix))


class Ip6Is(Statement):
    """An IPv6 address is this."""

    __slots__ = ()

    def __new__(cls, field: Field, address: Address) -> Ip6Is:
        return tuple.__new__(cls, ("ip6 is", field, address))


class DnatMap(Statement):
    """Translate the destination to what a map has for these fields, if it has."""

    __slots__ = ()

    def __new__(cls, family: Family, fields: Sequence[Field], map: str) -> DnatMap:
        return tuple.__new__(cls, ("dnat map", family, fields, map))


class SnatMap(Statement):
    """The same with the source."""

    __slots__ = ()

    def __new__(cls, family: Family, fields: Sequence[Field], map: str) -> SnatMap:
        return tuple.__new__(cls, ("snat map", family, fields, map))


class ForwardToLoopback(Statement):
    """Hand the packet to the loopback device of this index, as if it had come in there."""

    __slots__ = ()

    def __new__(cls, device_index: int) -> ForwardToLoopback:
        return tuple.__new__(cls, ("forward to loopback", device_index))


class DestinationIsLocal(Statement):
    """The destination is an address of the host's."""

    __slots__ = ()

    def __new__(cls) -> DestinationIsLocal:
        return tuple.__new__(cls, ("destination is local",))


class DestinationIsLocalHere(Statement):
    """It is one of the interface that the packet came in by."""

    __slots__ = ()

    def __new__(cls) -> DestinationIsLocalHere:
        return tuple.__new__(cls, ("destination is local here",))


class SourceIsForged(Statement):
    """The source is not reached by the interface that the packet came in by."""

    __slots__ = ()

    def __new__(cls) -> SourceIsForged:
        return tuple.__new__(cls, ("source is forged",))


class Established(Statement):
    """It is of a connection that was let in, or related to one."""

    __slots__ = ()

    def __new__(cls) -> Established:
        return tuple.__new__(cls, ("established",))


class InvalidState(Statement):
    """Connection tracking can make nothing of it."""

    __slots__ = ()

    def __new__(cls) -> InvalidState:
        return tuple.__new__(cls, ("invalid",))


class Translated(Statement):
    """Its destination was translated."""

    __slots__ = ()

    def __new__(cls) -> Translated:
        return tuple.__new__(cls, ("translated",))


class OriginalDirection(Statement):
    """It goes the way of the first packet of its connection."""

    __slots__ = ()

    def __new__(cls) -> OriginalDirection:
        return tuple.__new__(cls, ("original direction",))


class Counter(Statement):
    """Count packets and bytes."""

    __slots__ = ()

    def __new__(cls) -> Counter:
        return tuple.__new__(cls, ("counter",))


class Masquerade(Statement):
    """Translate the source to the address of the interface it leaves by."""

    __slots__ = ()

    def __new__(cls) -> Masquerade:
        return tuple.__new__(cls, ("masquerade",))


class Jump(Statement):
    """Go on in another chain."""

    __slots__ = ()

    def __new__(cls, chain: str) -> Jump:
        return tuple.__new__(cls, ("jump", chain))


class Accept(Statement):
    """Let it pass."""

    __slots__ = ()

    def __new__(cls) -> Accept:
        return tuple.__new__(cls, ("accept",))


class Drop(Statement):
    """Drop it."""

    __slots__ = ()

    def __new__(cls) -> Drop:
        return tuple.__new__(cls, ("drop",))


class Return(Statement):
    """Go back to where the jump was."""

    __slots__ = ()

    def __new__(cls) -> Return:
        return tuple.__new__(cls, ("return",))
