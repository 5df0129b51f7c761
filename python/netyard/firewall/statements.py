"""What a transaction of nf_tables is made of: a value type a step, and a value type a statement.

`netyard._core` takes them as the tuples they are: the verb by which each is known there
(``rust/py/src/firewall.rs``), then its fields. Words are those of ``nft``. They are no named
tuples: to make such a class takes a tenth of a millisecond, and every command would pay for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any, Literal, NamedTuple, TypeAlias

from netyard.values.parse import Address

ChainType = Literal["filter", "nat"]
Hook = Literal["prerouting", "input", "forward", "output", "postrouting", "ingress"]
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
# Key, data, comment, and how many there are in a row.
Element = tuple[Any, Any, str | None, int]


class SetSpec(NamedTuple):
    """A set or map, in ``nft``'s type names."""

    name: str
    key: Sequence[str]
    data: Sequence[str] | None = None


class _Value(tuple[Any, ...]):
    """A verb and its fields."""

    __slots__ = ()

    @property
    def verb(self) -> str:
        """What it does, or asks."""
        return str(self[0])


# -- statements: what a rule asks of a packet, and does with it


class In(_Value):
    """These fields of the packet are an element of a set."""

    __slots__ = ()

    def __new__(cls, fields: Sequence[Field], set: str) -> In:
        return tuple.__new__(cls, ("in", fields, set))


class NotIn(_Value):
    """They are not."""

    __slots__ = ()

    def __new__(cls, fields: Sequence[Field], set: str) -> NotIn:
        return tuple.__new__(cls, ("not in", fields, set))


class IfNameIs(_Value):
    """An interface's name, or its kind, is this."""

    __slots__ = ()

    def __new__(cls, field: Field, name: str) -> IfNameIs:
        return tuple.__new__(cls, ("ifname is", field, name))


class IfNameIsNot(_Value):
    """It is not."""

    __slots__ = ()

    def __new__(cls, field: Field, name: str) -> IfNameIsNot:
        return tuple.__new__(cls, ("ifname is not", field, name))


class FamilyIs(_Value):
    """It is a packet of this family."""

    __slots__ = ()

    def __new__(cls, family: Family) -> FamilyIs:
        return tuple.__new__(cls, ("family is", family))


class EtherTypeIs(_Value):
    """The protocol of the frame, behind a VLAN tag that the kernel has taken off."""

    __slots__ = ()

    def __new__(cls, number: int) -> EtherTypeIs:
        return tuple.__new__(cls, ("ethertype is", number))


class EtherTypeIsNot(_Value):
    """It is not this one."""

    __slots__ = ()

    def __new__(cls, number: int) -> EtherTypeIsNot:
        return tuple.__new__(cls, ("ethertype is not", number))


class FrameTypeIs(_Value):
    """The type in the frame's own header."""

    __slots__ = ()

    def __new__(cls, number: int) -> FrameTypeIs:
        return tuple.__new__(cls, ("frame type is", number))


class IcmpTypeIs(_Value):
    """The type of an ICMP message of either family."""

    __slots__ = ()

    def __new__(cls, number: int) -> IcmpTypeIs:
        return tuple.__new__(cls, ("icmp type is", number))


class GroupIs(_Value):
    """An interface's link group is this."""

    __slots__ = ()

    def __new__(cls, field: Field, group: int) -> GroupIs:
        return tuple.__new__(cls, ("group is", field, group))


class MarkIs(_Value):
    """The packet's mark, under a mask, is this."""

    __slots__ = ()

    def __new__(cls, mark: int, mask: int) -> MarkIs:
        return tuple.__new__(cls, ("mark is", mark, mask))


class MarkIsNot(_Value):
    """It is not."""

    __slots__ = ()

    def __new__(cls, mark: int, mask: int) -> MarkIsNot:
        return tuple.__new__(cls, ("mark is not", mark, mask))


class SetMark(_Value):
    """Mark the packet."""

    __slots__ = ()

    def __new__(cls, mark: int) -> SetMark:
        return tuple.__new__(cls, ("set mark", mark))


class ProtocolIs(_Value):
    """The transport protocol is this."""

    __slots__ = ()

    def __new__(cls, number: int) -> ProtocolIs:
        return tuple.__new__(cls, ("protocol is", number))


class PortIs(_Value):
    """A port is this."""

    __slots__ = ()

    def __new__(cls, field: Field, port: int) -> PortIs:
        return tuple.__new__(cls, ("port is", field, port))


class IpWithin(_Value):
    """An IPv4 address is of this subnet; ``prefix`` in bits."""

    __slots__ = ()

    def __new__(cls, field: Field, address: IPv4Address, prefix: int) -> IpWithin:
        return tuple.__new__(cls, ("ip within", field, address, prefix))


class Ip6Is(_Value):
    """An IPv6 address is this."""

    __slots__ = ()

    def __new__(cls, field: Field, address: Address) -> Ip6Is:
        return tuple.__new__(cls, ("ip6 is", field, address))


class DnatMap(_Value):
    """Translate the destination to what a map has for these fields, if it has."""

    __slots__ = ()

    def __new__(cls, family: Family, fields: Sequence[Field], map: str) -> DnatMap:
        return tuple.__new__(cls, ("dnat map", family, fields, map))


class SnatMap(_Value):
    """The same with the source."""

    __slots__ = ()

    def __new__(cls, family: Family, fields: Sequence[Field], map: str) -> SnatMap:
        return tuple.__new__(cls, ("snat map", family, fields, map))


class ForwardToLoopback(_Value):
    """Hand the packet to the loopback device of this index, as if it had come in there."""

    __slots__ = ()

    def __new__(cls, device_index: int) -> ForwardToLoopback:
        return tuple.__new__(cls, ("forward to loopback", device_index))


class DestinationIsLocal(_Value):
    """The destination is an address of the host's."""

    __slots__ = ()

    def __new__(cls) -> DestinationIsLocal:
        return tuple.__new__(cls, ("destination is local",))


class DestinationIsLocalHere(_Value):
    """It is one of the interface that the packet came in by."""

    __slots__ = ()

    def __new__(cls) -> DestinationIsLocalHere:
        return tuple.__new__(cls, ("destination is local here",))


class SourceIsForged(_Value):
    """The source is not reached by the interface that the packet came in by."""

    __slots__ = ()

    def __new__(cls) -> SourceIsForged:
        return tuple.__new__(cls, ("source is forged",))


class Established(_Value):
    """It is of a connection that was let in, or related to one."""

    __slots__ = ()

    def __new__(cls) -> Established:
        return tuple.__new__(cls, ("established",))


class InvalidState(_Value):
    """Connection tracking can make nothing of it."""

    __slots__ = ()

    def __new__(cls) -> InvalidState:
        return tuple.__new__(cls, ("invalid",))


class Translated(_Value):
    """Its destination was translated."""

    __slots__ = ()

    def __new__(cls) -> Translated:
        return tuple.__new__(cls, ("translated",))


class OriginalDirection(_Value):
    """It goes the way of the first packet of its connection."""

    __slots__ = ()

    def __new__(cls) -> OriginalDirection:
        return tuple.__new__(cls, ("original direction",))


class Counter(_Value):
    """Count packets and bytes."""

    __slots__ = ()

    def __new__(cls) -> Counter:
        return tuple.__new__(cls, ("counter",))


class Masquerade(_Value):
    """Translate the source to the address of the interface it leaves by."""

    __slots__ = ()

    def __new__(cls) -> Masquerade:
        return tuple.__new__(cls, ("masquerade",))


class Jump(_Value):
    """Go on in another chain."""

    __slots__ = ()

    def __new__(cls, chain: str) -> Jump:
        return tuple.__new__(cls, ("jump", chain))


class Accept(_Value):
    """Let it pass."""

    __slots__ = ()

    def __new__(cls) -> Accept:
        return tuple.__new__(cls, ("accept",))


class Drop(_Value):
    """Drop it."""

    __slots__ = ()

    def __new__(cls) -> Drop:
        return tuple.__new__(cls, ("drop",))


class Return(_Value):
    """Go back to where the jump was."""

    __slots__ = ()

    def __new__(cls) -> Return:
        return tuple.__new__(cls, ("return",))


Statement: TypeAlias = (
    "In | NotIn | IfNameIs | IfNameIsNot | FamilyIs | EtherTypeIs | EtherTypeIsNot | "
    "FrameTypeIs | IcmpTypeIs | GroupIs | MarkIs | MarkIsNot | SetMark | ProtocolIs | "
    "PortIs | IpWithin | Ip6Is | DnatMap | SnatMap | ForwardToLoopback | "
    "DestinationIsLocal | DestinationIsLocalHere | SourceIsForged | Established | "
    "InvalidState | Translated | OriginalDirection | Counter | Masquerade | Jump | Accept | "
    "Drop | Return"
)


# -- steps: what a transaction does to a table


class AddTable(_Value):
    """Make the table, if it is missing."""

    __slots__ = ()

    def __new__(cls) -> AddTable:
        return tuple.__new__(cls, ("add table",))


class DeleteTable(_Value):
    """Delete the table with all that is in it."""

    __slots__ = ()

    def __new__(cls) -> DeleteTable:
        return tuple.__new__(cls, ("delete table",))


class AddChain(_Value):
    """Make a chain at a hook; ``device`` is for ``ingress`` only."""

    __slots__ = ()

    def __new__(
        cls, name: str, kind: ChainType, hook: Hook, priority: int, device: str | None
    ) -> AddChain:
        return tuple.__new__(cls, ("add chain", name, kind, hook, priority, device))


class AddRegularChain(_Value):
    """Make a chain that is jumped to."""

    __slots__ = ()

    def __new__(cls, name: str) -> AddRegularChain:
        return tuple.__new__(cls, ("add regular chain", name))


class DeleteChain(_Value):
    """Delete a chain."""

    __slots__ = ()

    def __new__(cls, name: str) -> DeleteChain:
        return tuple.__new__(cls, ("delete chain", name))


class FlushChain(_Value):
    """Delete the rules of a chain."""

    __slots__ = ()

    def __new__(cls, name: str) -> FlushChain:
        return tuple.__new__(cls, ("flush chain", name))


class AddSet(_Value):
    """Make a set or map."""

    __slots__ = ()

    def __new__(cls, set: SetSpec) -> AddSet:
        return tuple.__new__(cls, ("add set", set))


class AddRule(_Value):
    """Append a rule."""

    __slots__ = ()

    def __new__(cls, chain: str, statements: Sequence[Statement], comment: str | None) -> AddRule:
        return tuple.__new__(cls, ("add rule", chain, statements, comment))

    @property
    def chain(self) -> str:
        """The chain it is of."""
        return str(self[1])

    @property
    def statements(self) -> Sequence[Statement]:
        """What it asks and does, in order."""
        found: Sequence[Statement] = self[2]
        return found

    @property
    def comment(self) -> str:
        """What it says of itself."""
        return self[3] or ""


class AddElements(_Value):
    """Put elements into a set or map."""

    __slots__ = ()

    def __new__(cls, set: SetSpec, elements: Sequence[Element]) -> AddElements:
        return tuple.__new__(cls, ("add elements", set, elements))


class DeleteElements(_Value):
    """Take elements out of a set or map."""

    __slots__ = ()

    def __new__(cls, set: SetSpec, elements: Sequence[Element]) -> DeleteElements:
        return tuple.__new__(cls, ("delete elements", set, elements))


Step: TypeAlias = (
    "AddTable | DeleteTable | AddChain | AddRegularChain | DeleteChain | FlushChain | "
    "AddSet | AddRule | AddElements | DeleteElements"
)
