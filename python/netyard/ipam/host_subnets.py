"""What the host already uses, so that chosen subnets stay out of its way (contract IP4)."""

from __future__ import annotations

import functools
from ipaddress import ip_network

import netyard._core as _core
from netyard.resolver.files import ResolvConf, upstreams_of
from netyard.values.parse import Address, Subnet


def subnets_in_use() -> list[Subnet]:
    """On-link routes, addresses of every interface, and name servers of the host.

    Routes through a gateway are not avoided: VPNs route halves of the whole address space. Other
    engines' networks are seen as addresses of their bridges.
    """
    found: list[Subnet] = []
    for route in _core.list_routes():
        if route.is_on_link and route.destination is not None and route.prefix:
            found.append(_subnet(route.destination, route.prefix))
    for _, address, prefix in _core.list_addresses():
        if not address.is_loopback and not address.is_link_local:
            found.append(_subnet(address, prefix))
    for server, _, _ in upstreams_of(ResolvConf.of_host().servers):
        if not server.is_loopback:
            found.append(ip_network(str(server)))
    return found


@functools.lru_cache(maxsize=1024)
def _subnet(address: Address, prefix: int) -> Subnet:
    return ip_network(f"{address}/{prefix}", strict=False)
