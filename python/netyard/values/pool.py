"""The arithmetic of address pools. Pure functions of values: no store, no kernel."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from netyard.errors import Exhausted
from netyard.values.named import NamedTuple
from netyard.values.parse import Address, Subnet


class Pool(NamedTuple):
    """One subnet of a network and what is known about it.

    Attributes:
        subnet: The whole subnet; a static address may be anywhere in it.
        ip_range: Where dynamic addresses come from; ``None`` means the whole subnet.
        gateway: The gateway's address, if there is one.
        auxiliary: Addresses that belong to something outside netyard, by name.
    """

    subnet: Subnet
    ip_range: Subnet | None = None
    gateway: Address | None = None
    auxiliary: tuple[tuple[str, Address], ...] = ()

    @property
    def version(self) -> int:
        return self.subnet.version

    @property
    def dynamic(self) -> Subnet:
        """Where dynamic addresses come from."""
        return self.ip_range or self.subnet

    def first_dynamic(self) -> int:
        """The lowest number that may be handed out (contract IP7)."""
        first = int(self.dynamic.network_address)
        if self.dynamic.network_address == self.subnet.network_address and _keeps_ends(self.subnet):
            first += 1
        return first

    def last_dynamic(self) -> int:
        """The highest number that may be handed out."""
        last = int(self.dynamic.broadcast_address)
        at_end = self.dynamic.broadcast_address == self.subnet.broadcast_address
        if self.version == 4 and at_end and _keeps_ends(self.subnet):
            last -= 1
        return last

    @property
    def host_address(self) -> Address | None:
        """The host's own address on the network, if it has one."""
        return next((address for name, address in self.auxiliary if name == HOST), None)

    def is_reserved(self, address: Address) -> str | None:
        """Why an address of the subnet can be no container's, or ``None``."""
        if _keeps_ends(self.subnet) and address == self.subnet.network_address:
            return "the network address"
        at_end = self.version == 4 and address == self.subnet.broadcast_address
        if at_end and _keeps_ends(self.subnet):
            return "the broadcast address"
        return None

    def taken_at_start(self) -> set[int]:
        """Addresses of the dynamic range that are gone before anybody asks."""
        taken = {int(address) for _, address in self.auxiliary}
        if self.gateway is not None:
            taken.add(int(self.gateway))
        return taken


# The auxiliary address of this name is the host's own on a network it would not reach otherwise.
HOST = "host"


def with_host_address(pool: Pool) -> Pool:
    """A pool with an address for the host: as given, or the lowest that is free.

    Raises:
        Exhausted: if there is none.
    """
    if pool.host_address is not None:
        return pool
    taken = sorted(pool.taken_at_start())
    number = lowest_free(pool.first_dynamic(), pool.last_dynamic(), taken)
    if number is None:
        raise Exhausted(f"--subnet: {pool.subnet} has no address for the host")
    own = (HOST, address_from(number, pool.version))
    return pool._replace(auxiliary=(*pool.auxiliary, own))


def _keeps_ends(subnet: Subnet) -> bool:
    """Whether first and last address are set aside: not in a /31 or /32 (RFC 3021).

    In IPv6 the first one is the subnet-router anycast address (RFC 4291, 2.6.1), always.
    """
    return subnet.version == 6 or subnet.prefixlen < 31


def lowest_free(first: int, last: int, taken_ascending: Iterable[int]) -> int | None:
    """The lowest number of ``first..last`` not in an ascending sequence."""
    candidate = first
    for number in taken_ascending:
        if number < candidate:
            continue
        if number > candidate:
            break
        candidate += 1
    return candidate if candidate <= last else None


def address_from(number: int, version: int) -> Address:
    """A number as an address of a family."""
    return IPv4Address(number) if version == 4 else IPv6Address(number)


def overlapping(subnet: Subnet, others: Iterable[Subnet]) -> Subnet | None:
    """The first of the others that has addresses in common with a subnet."""
    first, last = span(subnet)
    for other in others:
        begin, end = span(other)
        if other.version == subnet.version and begin <= last and end >= first:
            return other
    return None


def span(subnet: Subnet) -> tuple[int, int]:
    """First and last address, as numbers: compared much faster than as addresses."""
    return int(subnet.network_address), int(subnet.broadcast_address)


def contains(subnet: Subnet, address: Address) -> bool:
    """Whether an address is in a subnet; false across families."""
    return subnet.version == address.version and address in subnet
