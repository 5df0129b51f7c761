"""What a new network stands on; its driver's `plan` finds it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netyard.state.records import NetworkRecord
from netyard.values.parse import Address, Subnet
from netyard.values.subnet_pools import Source


class Foundation(NamedTuple):
    """A device, and what follows from it for the network.

    Attributes:
        options: The network's options, completed.
        bridge: The device on the host that packets of the network pass, by which the firewall
            knows it; ``""`` if there is none: on a parent interface, or nowhere on the host.
        is_foreign: The device is not netyard's to remove.
        is_internal: There is no way out.
        subnets: As asked for, or as the device has them.
        gateways: The same.
        reserved: Addresses that the host has found to be in use.
        without_gateway: Families that have no gateway unless one was given.
        gets_host_address: The host is to have an address of its own on it.
        others: Networks of other hosts that it must keep apart from.
        avoid: Subnets that must not be chosen.
        sources: Where its subnets come from, instead of the root's pools.
        vni: Its VXLAN network identifier, if it spans hosts.
        underlay: This host's address between the hosts, if it does.
    """

    options: Mapping[str, str]
    bridge: str = ""
    is_foreign: bool = False
    is_internal: bool = False
    subnets: Sequence[Subnet] = ()
    gateways: Sequence[Address] = ()
    reserved: Sequence[tuple[str, Address]] = ()
    without_gateway: Sequence[int] = ()
    gets_host_address: bool = False
    others: Sequence[NetworkRecord] = ()
    avoid: Sequence[Subnet] = ()
    sources: Sequence[Source] = ()
    vni: int = 0
    underlay: str = ""

    def subnets_of(self, version: int) -> Sequence[Subnet]:
        """The subnets of a family."""
        return [subnet for subnet in self.subnets if subnet.version == version]
