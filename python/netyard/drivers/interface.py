"""A container's interface, whatever it is joined to: its addresses, settings and namespace."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

from netyard.options.common import announces
from netyard.options.endpoint import SYSCTLS, parse_interface_sysctls
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.values.parse import Address

_LINK_LOCAL_PREFIXES = {4: 16, 6: 64}


@functools.cache
def speaks_ipv6() -> bool:
    """Whether this kernel speaks IPv6 at all."""
    return Path("/proc/sys/net/ipv6").exists()


@contextmanager
def opened_namespaces(
    endpoints: Sequence[EndpointRecord], namespaces: Path
) -> Iterator[list[int | None]]:
    """Descriptors of the endpoints' network namespaces; ``None`` for those that are gone."""
    found: list[int | None] = []
    with ExitStack() as opened:
        for endpoint in endpoints:
            try:
                fd = os.open(namespaces / endpoint.container_id, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                found.append(None)
            else:
                opened.callback(os.close, fd)
                found.append(fd)
        yield found


def addresses_of(network: NetworkRecord, endpoint: EndpointRecord) -> Sequence[tuple[Address, int]]:
    """An endpoint's addresses with their prefix lengths, link-local ones last."""
    link_local = [ip_address(text) for text in endpoint.link_local]
    return [
        *((each, network.prefix_of(endpoint, each.version)) for each in endpoint.addresses),
        *((address, _LINK_LOCAL_PREFIXES[address.version]) for address in link_local),
    ]


def sysctls_of(network: NetworkRecord, endpoint: EndpointRecord) -> Sequence[tuple[str, str]]:
    """The settings of an endpoint's interface, before it has addresses."""
    has_ipv6 = network.has_ipv6 and (bool(endpoint.ip6) or not network.pools)
    settings = list(interface_sysctls(endpoint.ifname, has_ipv6, announces(network.options)))
    if SYSCTLS in endpoint.options:
        settings += parse_interface_sysctls(endpoint.options[SYSCTLS], endpoint.ifname)
    return settings


@functools.lru_cache(maxsize=64)
def interface_sysctls(ifname: str, has_ipv6: bool, announces: bool) -> list[tuple[str, str]]:
    """Whether an interface speaks IPv6, and announces its addresses to peers that knew them
    elsewhere (`Documentation/networking/ip-sysctl.rst`: arp_notify, ndisc_notify)."""
    notify = "1" if announces else "0"
    device = ifname.replace(".", "/")
    settings = [(f"net.ipv4.conf.{device}.arp_notify", notify)]
    if not speaks_ipv6():
        return settings
    if not has_ipv6:
        # Not even a link-local address: IPv6 must not lead around IPv4 rules (contract SH7).
        return [*settings, (f"net.ipv6.conf.{device}.disable_ipv6", "1")]
    return [
        *settings,
        (f"net.ipv6.conf.{device}.disable_ipv6", "0"),
        (f"net.ipv6.conf.{device}.ndisc_notify", notify),
        (f"net.ipv6.conf.{device}.accept_ra", "0"),
    ]
