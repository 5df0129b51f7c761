"""What a container is to be on one network, as users ask for it; see `netyard.api.specify`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import netyard
from netyard.api import arguments
from netyard.api.container_base import link_words
from netyard.values.spec import JoinRequest


class NetworkRequest(NamedTuple):
    """One network a container is to join, and what is to be so on this network alone.

    Where several words are taken, one string is one word. Where an address is taken, one of
    ``ipaddress`` is as good as a string. Two are equal if all of this is.

    Attributes:
        network: A `Network`, or its name or id.
        ip: IPv4 address; the next free one if not given.
        ip6: IPv6 address; the next free one if not given.
        mac_address: Six octets with ``:`` between them; chosen if not given.
        aliases: Further names of the container on this network.
        link_local_ips: Further addresses, of 169.254.0.0/16 or fe80::/10.
        driver_opts: ``com.docker.network.endpoint.ifname`` and ``.sysctls``.
        gw_priority: A whole number of at most 64 bits: the endpoint with the highest carries the
            default route.
        links: Others that this container alone resolves: `Container` objects, or
            ``CONTAINER[:ALIAS]``.

    Example:
        >>> front = NetworkRequest("front", ip="172.28.0.9", aliases="www")
        >>> web = Container.run("nginx", network=[front, "back"])
    """

    network: str | netyard.Network
    ip: str | IPv4Address | IPv6Address | None = None
    ip6: str | IPv4Address | IPv6Address | None = None
    mac_address: str | None = None
    aliases: str | Iterable[str] = ()
    link_local_ips: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address] = ()
    driver_opts: Mapping[str, str | int | bool] | None = None
    gw_priority: int = 0
    links: str | netyard.Container | Iterable[str | netyard.Container] = ()


def settled(host: netyard.Host, given: NetworkRequest) -> JoinRequest:
    """The same in plain values, of a network that is given by name or id."""
    return JoinRequest(
        network=arguments.text("network", given.network),  # type: ignore[arg-type]
        ip=arguments.address("ip", given.ip),
        ip6=arguments.address("ip6", given.ip6),
        mac_address=arguments.optional_word("mac_address", given.mac_address),
        aliases=arguments.words("aliases", given.aliases),
        link_local_ips=arguments.addresses("link_local_ips", given.link_local_ips),
        driver_opts=arguments.options("driver_opts", given.driver_opts),
        gw_priority=arguments.whole("gw_priority", given.gw_priority),
        links=link_words(host, given.links),
    )
