"""What users type, checked: names, booleans, pairs, MAC addresses, hostnames.

Each function gives the value or raises `Invalid` with one sentence that names the field, the value
and what would be right. Nothing here looks at the kernel or the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from netyard.errors import Invalid

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NAME_MAX = 128
_HOSTNAME_MAX = 63
_DOMAIN_MAX = 254
_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}


def parse_name(field: str, value: str, *, shortest: int = 1) -> str:
    """A name of a network or container (contract NC1, RN30)."""
    if not shortest <= len(value) <= _NAME_MAX or not _NAME.fullmatch(value):
        raise Invalid(
            f"{field}: {value!r} is no valid name: it must begin with a letter or digit and go on "
            f"with letters, digits, '_', '.' or '-', {shortest} to {_NAME_MAX} characters in all",
            field=field,
            value=value,
        )
    # A name is a DNS name too, so that it can be resolved.
    if any(not label or len(label) > 63 for label in value.split(".")):
        raise Invalid(
            f"{field}: {value!r} cannot be resolved: no part between dots may be empty or longer "
            "than 63 characters",
            field=field,
            value=value,
        )
    return value


def parse_bool(field: str, value: str) -> bool:
    """A boolean in one of Docker's spellings (contract CV8)."""
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise Invalid(f"{field}: {value!r} is no boolean: use true or false", field=field, value=value)


def parse_pairs(field: str, values: Iterable[str], *, bare: str | None = None) -> dict[str, str]:
    """``KEY=VALUE`` words; ``bare`` is the value of a key without ``=``, if that is allowed."""
    pairs: dict[str, str] = {}
    for word in values:
        key, separator, value = word.partition("=")
        if not key or (not separator and bare is None):
            raise Invalid(f"{field}: {word!r} must be KEY=VALUE", field=field, value=word)
        pairs[key] = value if separator else (bare or "")
    return pairs


def parse_address(field: str, value: str | Address) -> Address:
    """An IP address without zone."""
    try:
        address = ip_address(str(value))
    except ValueError:
        raise Invalid(f"{field}: {value!r} is no IP address", field=field, value=value) from None
    if isinstance(address, IPv6Address) and address.scope_id:
        raise Invalid(f"{field}: {value!r} must not have a zone", field=field, value=value)
    return address


def parse_ipv4(field: str, value: str | Address) -> IPv4Address:
    """An IPv4 address."""
    address = parse_address(field, value)
    if not isinstance(address, IPv4Address):
        raise Invalid(f"{field}: {value} is no IPv4 address", field=field, value=value)
    return address


def parse_ipv6(field: str, value: str | Address) -> IPv6Address:
    """An IPv6 address."""
    address = parse_address(field, value)
    if not isinstance(address, IPv6Address):
        raise Invalid(f"{field}: {value} is no IPv6 address", field=field, value=value)
    return address


def parse_subnet(field: str, value: str | Subnet) -> Subnet:
    """A subnet in CIDR form, without host bits (contract NC4)."""
    text = str(value)
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        loose = None
    if loose is None or "/" not in text:
        raise Invalid(
            f"{field}: {text!r} is no subnet in CIDR form such as 172.28.0.0/16",
            field=field,
            value=text,
        )
    given = ip_address(text.split("/")[0])
    if given != loose.network_address:
        raise Invalid(
            f"{field}: {text} has host bits set: the subnet is {loose}", field=field, value=text
        )
    if loose.is_multicast:
        raise Invalid(f"{field}: {text} is a multicast range", field=field, value=text)
    return loose


def parse_mac(field: str, value: str) -> bytes:
    """A unicast MAC address: six octets with ``:`` or ``-`` between them (contract RN16)."""
    parts = re.split("[:-]", value)
    if len(parts) != 6 or not all(re.fullmatch("[0-9a-fA-F]{2}", part) for part in parts):
        raise Invalid(
            f"{field}: {value!r} is no MAC address such as 02:42:ac:11:00:02",
            field=field,
            value=value,
        )
    octets = bytes(int(part, 16) for part in parts)
    if octets[0] & 1 or not any(octets):
        raise Invalid(f"{field}: {value} is no unicast address", field=field, value=value)
    return octets


def format_mac(octets: bytes) -> str:
    """A MAC address as people write it."""
    return octets.hex(":")


def parse_hostname(field: str, value: str) -> str:
    """A host name: labels of letters, digits and ``-``, at most 63 characters (contract RN10)."""
    labels = value.split(".")
    if len(value) > _HOSTNAME_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid(
            f"{field}: {value!r} is no valid host name: labels of letters, digits and '-' joined "
            f"by dots, at most {_HOSTNAME_MAX} characters",
            field=field,
            value=value,
        )
    return value


def parse_domain(field: str, value: str) -> str:
    """A search domain, or ``.`` for none (contract RN12)."""
    bare = value.rstrip(".")
    labels = bare.split(".")
    good = len(bare) <= _DOMAIN_MAX and all(_LABEL.fullmatch(label) for label in labels)
    if value != "." and not (good and re.search("[A-Za-z]", bare)):
        raise Invalid(f"{field}: {value!r} is no domain name", field=field, value=value)
    return value


def parse_resolver_option(field: str, value: str) -> str:
    """An option of resolv.conf(5): one word of what ASCII can print."""
    if not re.fullmatch(r"[!-~]+", value):
        raise Invalid(f"{field}: {value!r} is no resolver option", field=field, value=value)
    return value


def parse_extra_host(field: str, value: str) -> tuple[str, str]:
    """``NAME:ADDRESS`` or ``NAME=ADDRESS``; the address may be ``host-gateway`` (contract RN19)."""
    match = re.fullmatch(r"([^:=]+)[:=](.+)", value)
    if not match:
        raise Invalid(f"{field}: {value!r} must be NAME:ADDRESS", field=field, value=value)
    name, address = match.groups()
    parse_hostname(field, name)
    if address == "host-gateway":
        return name, address
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return name, str(parse_address(field, address))
