"""A container's place on a network, as users see it: a value, made from a row of the store."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import MappingProxyType
from typing import NamedTuple, cast

from netyard.options import parent as parent_options
from netyard.state.records import EndpointRecord, NetworkRecord


class Endpoint(NamedTuple):
    """A container's interface on a network, and what belongs to it.

    A value of the moment it was asked for: it does not follow what happens later. Two are equal if
    all of this is; it can be a key of a dictionary.

    Attributes:
        id: 64 hexadecimal digits.
        network: Name of the network.
        network_id: Full id of the network.
        container: Name of the container.
        container_id: Full id of the container.
        ifname: Name of the interface in the container, such as ``eth0``.
        host_ifname: Name of its other end on the host; ``""`` on macvlan and ipvlan, where the host
            has none.
        mac: MAC address, six octets with ``:`` between them.
        ip: IPv4 address; ``None`` without IPv4, or while a DHCP server has not given one.
        ip6: IPv6 address; ``None`` without IPv6.
        aliases: Further names of the container on this network.
        link_local_ips: Further addresses, of 169.254.0.0/16 or fe80::/10.
        gw_priority: A whole number: the endpoint with the highest carries the default route.
        options: Driver options of the endpoint, under their full names. Read-only.
        is_up: Whether the interface is there; if not, it is made when the container is started.

    Example:
        >>> endpoint = net.connect("web", aliases=["www"])
        >>> endpoint.ip, endpoint.ifname
        (IPv4Address('172.18.0.2'), 'eth1')
    """

    id: str
    network: str
    network_id: str
    container: str
    container_id: str
    ifname: str
    host_ifname: str
    mac: str
    ip: IPv4Address | None
    ip6: IPv6Address | None
    aliases: tuple[str, ...]
    link_local_ips: tuple[IPv4Address | IPv6Address, ...]
    gw_priority: int
    options: Mapping[str, str]
    is_up: bool

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Its addresses, IPv4 first; without link-local ones."""
        return tuple(each for each in (self.ip, self.ip6) if each is not None)

    def __hash__(self) -> int:
        # A mapping has no hash.
        return hash(self[:-2])

    def __reduce__(self) -> tuple[object, ...]:
        # A read-only view can be neither pickled nor copied.
        values = self._asdict()
        return _remade, ({**values, "options": dict(self.options)},)


def _remade(values: dict[str, object]) -> Endpoint:
    made = Endpoint(**values)  # type: ignore[arg-type]
    return made._replace(options=MappingProxyType(dict(made.options)))


def endpoint_of(container: str, record: EndpointRecord, network: NetworkRecord) -> Endpoint:
    """What users see of a row, of the container of this name."""
    # Each row has one, in case it is needed.
    has_other_end = network.driver not in parent_options.KINDS
    return Endpoint(
        id=record.id,
        network=network.name,
        network_id=network.id,
        container=container,
        container_id=record.container_id,
        ifname=record.ifname,
        host_ifname=record.host_ifname if has_other_end else "",
        mac=record.mac,
        ip=cast("IPv4Address | None", record.address(4)),
        ip6=cast("IPv6Address | None", record.address(6)),
        aliases=tuple(record.aliases),
        link_local_ips=tuple(ip_address(each) for each in record.link_local),
        gw_priority=record.gw_priority,
        options=MappingProxyType(dict(record.options)),
        is_up=record.state == "up",
    )
