"""Subnets for networks that did not ask for one (contract IP1 to IP5, IP9)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from netyard.errors import Exhausted
from netyard.ipam.pool import overlapping, subnets_of
from netyard.options import Subnet


@dataclass(frozen=True, slots=True)
class Source:
    """A large range and the size of the subnets that are cut from it."""

    base: Subnet
    prefix: int


# Docker's ranges first and in Docker's order; then what is left of 192.168/16 in small pieces and
# 10/8 from the top, because 31 networks are too few for a machine that tests distributed systems.
_IPV4_SOURCES = (
    Source(IPv4Network("172.17.0.0/16"), 16),
    Source(IPv4Network("172.18.0.0/16"), 16),
    Source(IPv4Network("172.19.0.0/16"), 16),
    Source(IPv4Network("172.20.0.0/14"), 16),
    Source(IPv4Network("172.24.0.0/14"), 16),
    Source(IPv4Network("172.28.0.0/14"), 16),
    Source(IPv4Network("192.168.0.0/16"), 20),
    Source(IPv4Network("10.192.0.0/10"), 20),
)


def _machine_id() -> bytes:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return Path(path).read_bytes().strip()
        except OSError:
            continue
    return b"netyard"


def ula_source(seed: bytes | None = None) -> Source:
    """The /48 of this machine's unique local addresses, cut in /64 (RFC 4193).

    The 40 bits come from the machine id, so networks made again get the same prefix again.
    """
    digest = hashlib.sha256(b"netyard ula " + (seed or _machine_id())).digest()
    number = 0xFD << 120 | int.from_bytes(digest[:5], "big") << 80
    return Source(IPv6Network((number, 48)), 64)


def sources(version: int) -> Sequence[Source]:
    """Where subnets of a family come from."""
    return _IPV4_SOURCES if version == 4 else (ula_source(),)


def choose_subnet(version: int, avoid: Iterable[Subnet], *, prefix: int | None = None) -> Subnet:
    """The lowest subnet that overlaps nothing to be avoided.

    Args:
        version: 4 or 6.
        avoid: Subnets of other networks, on-link routes and name servers of the host.
        prefix: Length wanted instead of the sources' own.

    Raises:
        Exhausted: if every subnet is taken.
    """
    taken = [subnet for subnet in avoid if subnet.version == version]
    for source in sources(version):
        wanted = prefix or source.prefix
        if wanted < source.base.prefixlen:
            continue
        for subnet in subnets_of(source.base, wanted):
            if overlapping(subnet, taken) is None:
                return subnet
    raise Exhausted(
        f"no IPv{version} subnet is free in the default pools",
        hint="give one with --subnet, or remove networks that are not used",
    )
