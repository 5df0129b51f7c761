"""Types of an nf_tables transaction: its steps, and the statements of its rules.

`netyard._core` takes them as the tuples they are. The last field of each is its verb, by which it
is known there (``rust/py/src/firewall.rs``); words are those of ``nft``.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any, Literal, NamedTuple

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
# Key, data, comment, and the number of consecutive ports that it stands for.
Element = tuple[Any, Any, str | None, int]


class SetSpec(NamedTuple):
    """A set or map, in ``nft``'s type names."""

    name: str
    key: Sequence[str]
    data: Sequence[str] | None = None


# -- statements: what a rule asks of a packet, and does with it


class In(NamedTuple):
    """These fields of the packet are an element of a set."""

    fields: Sequence[Field]
    set: str
    verb: Literal["in"] = "in"


class NotIn(NamedTuple):
    """They are not."""

    fields: Sequence[Field]
    set: str
    verb: Literal["not in"] = "not in"


class IfNameIs(NamedTuple):
    """An interface's name, or its kind, is this."""

    field: Field
    name: str
    verb: Literal["ifname is"] = "ifname is"


class IfNameIsNot(NamedTuple):
    """It is not."""

    field: Field
    name: str
    verb: Literal["ifname is not"] = "ifname is not"


class FamilyIs(NamedTuple):
    """It is a packet of this family."""

    family: Family
    verb: Literal["family is"] = "family is"


class EtherTypeIs(NamedTuple):
    """The protocol of the frame, behind a VLAN tag that the kernel has taken off."""

    number: int
    verb: Literal["ethertype is"] = "ethertype is"


class EtherTypeIsNot(NamedTuple):
    """It is not this one."""

    number: int
    verb: Literal["ethertype is not"] = "ethertype is not"


class FrameTypeIs(NamedTuple):
    """The type in the frame's own header."""

    number: int
    verb: Literal["frame type is"] = "frame type is"


class IcmpTypeIs(NamedTuple):
    """The type of an ICMP message of either family."""

    number: int
    verb: Literal["icmp type is"] = "icmp type is"


class GroupIs(NamedTuple):
    """An interface's link group is this."""

    field: Field
    group: int
    verb: Literal["group is"] = "group is"


class MarkIs(NamedTuple):
    """The packet's mark, under a mask, is this."""

    mark: int
    mask: int
    verb: Literal["mark is"] = "mark is"


class MarkIsNot(NamedTuple):
    """It is not."""

    mark: int
    mask: int
    verb: Literal["mark is not"] = "mark is not"


class SetMark(NamedTuple):
    """Mark the packet."""

    mark: int
    verb: Literal["set mark"] = "set mark"


class ProtocolIs(NamedTuple):
    """The transport protocol is this."""

    number: int
    verb: Literal["protocol is"] = "protocol is"


class PortIs(NamedTuple):
    """A port is this."""

    field: Field
    port: int
    verb: Literal["port is"] = "port is"


class IpWithin(NamedTuple):
    """An IPv4 address is of this subnet; ``prefix`` in bits."""

    field: Field
    address: IPv4Address
    prefix: int
    verb: Literal["ip within"] = "ip within"


class Ip6Is(NamedTuple):
    """An IPv6 address is this."""

    field: Field
    address: Address
    verb: Literal["ip6 is"] = "ip6 is"


class DnatMap(NamedTuple):
    """Translate the destination to what a map has for these fields, if it has."""

    family: Family
    fields: Sequence[Field]
    map: str
    verb: Literal["dnat map"] = "dnat map"


class SnatMap(NamedTuple):
    """The same with the source."""

    family: Family
    fields: Sequence[Field]
    map: str
    verb: Literal["snat map"] = "snat map"


class ForwardToLoopback(NamedTuple):
    """Hand the packet to the loopback device of this index, as if it had come in there."""

    device_index: int
    verb: Literal["forward to loopback"] = "forward to loopback"


class DestinationIsLocal(NamedTuple):
    """The destination is an address of the host's."""

    verb: Literal["destination is local"] = "destination is local"


class DestinationIsLocalHere(NamedTuple):
    """It is one of the interface that the packet came in by."""

    verb: Literal["destination is local here"] = "destination is local here"


class SourceIsForged(NamedTuple):
    """The source is not reached by the interface that the packet came in by."""

    verb: Literal["source is forged"] = "source is forged"


class Established(NamedTuple):
    """It is of a connection that was let in, or related to one."""

    verb: Literal["established"] = "established"


class InvalidState(NamedTuple):
    """Connection tracking can make nothing of it."""

    verb: Literal["invalid"] = "invalid"


class Translated(NamedTuple):
    """Its destination was translated."""

    verb: Literal["translated"] = "translated"


class OriginalDirection(NamedTuple):
    """It goes the way of the first packet of its connection."""

    verb: Literal["original direction"] = "original direction"


class Counter(NamedTuple):
    """Count packets and bytes."""

    verb: Literal["counter"] = "counter"


class Masquerade(NamedTuple):
    """Translate the source to the address of the interface it leaves by."""

    verb: Literal["masquerade"] = "masquerade"


class Jump(NamedTuple):
    """Go on in another chain."""

    chain: str
    verb: Literal["jump"] = "jump"


class Accept(NamedTuple):
    """Let it pass."""

    verb: Literal["accept"] = "accept"


class Drop(NamedTuple):
    """Drop it."""

    verb: Literal["drop"] = "drop"


class Return(NamedTuple):
    """Go back to where the jump was."""

    verb: Literal["return"] = "return"


Statement = (
    In
    | NotIn
    | IfNameIs
    | IfNameIsNot
    | FamilyIs
    | EtherTypeIs
    | EtherTypeIsNot
    | FrameTypeIs
    | IcmpTypeIs
    | GroupIs
    | MarkIs
    | MarkIsNot
    | SetMark
    | ProtocolIs
    | PortIs
    | IpWithin
    | Ip6Is
    | DnatMap
    | SnatMap
    | ForwardToLoopback
    | DestinationIsLocal
    | DestinationIsLocalHere
    | SourceIsForged
    | Established
    | InvalidState
    | Translated
    | OriginalDirection
    | Counter
    | Masquerade
    | Jump
    | Accept
    | Drop
    | Return
)


# -- steps: what a transaction does to a table


class AddTable(NamedTuple):
    """Make the table, if it is missing."""

    verb: Literal["add table"] = "add table"


class DeleteTable(NamedTuple):
    """Delete the table with all that is in it."""

    verb: Literal["delete table"] = "delete table"


class AddChain(NamedTuple):
    """Make a chain at a hook; ``device`` is for ``ingress`` only."""

    name: str
    kind: ChainType
    hook: Hook
    priority: int
    device: str | None
    verb: Literal["add chain"] = "add chain"


class AddRegularChain(NamedTuple):
    """Make a chain that is jumped to."""

    name: str
    verb: Literal["add regular chain"] = "add regular chain"


class DeleteChain(NamedTuple):
    """Delete a chain."""

    name: str
    verb: Literal["delete chain"] = "delete chain"


class FlushChain(NamedTuple):
    """Delete the rules of a chain."""

    name: str
    verb: Literal["flush chain"] = "flush chain"


class AddSet(NamedTuple):
    """Make a set or map."""

    set: SetSpec
    verb: Literal["add set"] = "add set"


class AddRule(NamedTuple):
    """Append a rule."""

    chain: str
    statements: Sequence[Statement]
    comment: str | None
    verb: Literal["add rule"] = "add rule"


class AddElements(NamedTuple):
    """Put elements into a set or map."""

    set: SetSpec
    elements: Sequence[Element]
    verb: Literal["add elements"] = "add elements"


class DeleteElements(NamedTuple):
    """Take elements out of a set or map."""

    set: SetSpec
    elements: Sequence[Element]
    verb: Literal["delete elements"] = "delete elements"


Step = (
    AddTable
    | DeleteTable
    | AddChain
    | AddRegularChain
    | DeleteChain
    | FlushChain
    | AddSet
    | AddRule
    | AddElements
    | DeleteElements
)
