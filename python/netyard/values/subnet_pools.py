"""Subnets for networks that did not ask for one (contract IP1 to IP5, IP9)."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from netyard.errors import Exhausted, Invalid
from netyard.values.named import NamedTuple
from netyard.values.parse import Subnet, parse_subnet
from netyard.values.pool import overlapping, span


class Source(NamedTuple):
    """A large range and the size of the subnets that are cut from it."""

    base: Subnet
    prefix: int


# Docker's ranges first and in Docker's order; then what is left of 192.168/16 in small pieces and
# 10/8 from the top, because 31 networks are too few for a machine that tests distributed systems.
DEFAULT_SOURCES: tuple[Source, ...] = (
    Source(IPv4Network("172.17.0.0/16"), 16),
    Source(IPv4Network("172.18.0.0/16"), 16),
    Source(IPv4Network("172.19.0.0/16"), 16),
    Source(IPv4Network("172.20.0.0/14"), 16),
    Source(IPv4Network("172.24.0.0/14"), 16),
    Source(IPv4Network("172.28.0.0/14"), 16),
    Source(IPv4Network("192.168.0.0/16"), 20),
    Source(IPv4Network("10.192.0.0/10"), 20),
)

# Docker's for networks that span hosts.
GLOBAL_SOURCES: tuple[Source, ...] = (Source(IPv4Network("10.0.0.0/8"), 24),)


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
    # Brings OpenSSL in, which takes long to load.
    import hashlib

    digest = hashlib.sha256(b"netyard ula " + (seed or _machine_id())).digest()
    number = 0xFD << 120 | int.from_bytes(digest[:5], "big") << 80
    return Source(IPv6Network((number, 48)), 64)


def parse_sources(field: str, value: Any) -> tuple[Source, ...]:
    """``default-address-pools``: a list of objects with ``base`` and ``size`` (contract IP2).

    Where pools overlap, the longer ones are dropped.

    Raises:
        Invalid: for a base that is no subnet, or a size that does not fit it.
    """
    errors = Invalid(
        f"config: {field}: {value!r} must be a list of pools such as "
        '{"base": "10.9.0.0/16", "size": 24}',
        field=field,
    )
    if not isinstance(value, list) or not value:
        raise errors
    found: list[Source] = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"base", "size"}:
            raise errors
        base, size = parse_subnet(f"config: {field}", str(entry["base"])), entry["size"]
        if not isinstance(size, int) or not base.prefixlen <= size <= base.max_prefixlen:
            raise Invalid(
                f"config: {field}: size {size!r} must be from {base.prefixlen} to "
                f"{base.max_prefixlen} for {base}",
                field=field,
                value=size,
            )
        found.append(Source(base, size))
    kept: list[Source] = []
    for source in sorted(found, key=lambda source: source.base.prefixlen):
        if overlapping(source.base, [other.base for other in kept]) is None:
            kept.append(source)
    return tuple(source for source in found if source in kept)


def choose_subnet(
    version: int,
    avoid: Iterable[Subnet],
    *,
    sources: Sequence[Source] = DEFAULT_SOURCES,
    prefix: int | None = None,
    users: Mapping[Subnet, str] | None = None,
) -> Subnet:
    """The lowest subnet that overlaps nothing to be avoided.

    Args:
        version: 4 or 6.
        avoid: Subnets of other networks, on-link routes and name servers of the host.
        sources: Where subnets come from; this machine's unique local addresses are added if there
            are no IPv6 ones among them.
        prefix: Length wanted instead of the sources' own.
        users: Names of the networks that have a subnet, for the message.

    Raises:
        Invalid: if no source is as large as what is wanted.
        Exhausted: if every subnet is taken.
    """
    taken = sorted(span(subnet) for subnet in set(avoid) if subnet.version == version)
    usable = [source for source in sources if source.base.version == version]
    if version == 6 and not usable:
        usable = [ula_source()]
    if prefix is not None:
        usable = [source for source in usable if source.base.prefixlen <= prefix]
        if not usable:
            raise Invalid(f"--subnet: no IPv{version} default pool is as large as a /{prefix}")
    for source in usable:
        found = _first_free(source.base, prefix or source.prefix, taken)
        if found is not None:
            return found
    shown = ", ".join(f"{subnet} ({name})" for subnet, name in (users or {}).items())
    raise Exhausted(
        f"no IPv{version} subnet is free in the default pools",
        hint="give one with --subnet, or remove networks that are not used"
        + (f"; in use are {shown}" if shown else ""),
    )


def _first_free(base: Subnet, prefix: int, taken: Sequence[tuple[int, int]]) -> Subnet | None:
    """The first subnet of a size that overlaps nothing of what is taken, which ascends."""
    begin, end = span(base)
    size = 1 << (base.max_prefixlen - prefix)
    candidate = begin
    for first, last in taken:
        if first >= candidate + size:
            break
        if last >= candidate:
            candidate = -(-(last + 1) // size) * size
    if candidate + size - 1 > end:
        return None
    make = IPv4Network if base.version == 4 else IPv6Network
    return make((candidate, prefix))
