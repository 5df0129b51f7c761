"""What one endpoint can be asked for: driver options, link-local addresses, links. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Network

from netyard.errors import Invalid
from netyard.options.common import parse_ifname
from netyard.values.parse import Address, parse_address, parse_name

_ENDPOINT = "com.docker.network.endpoint."
IFNAME = _ENDPOINT + "ifname"
SYSCTLS = _ENDPOINT + "sysctls"
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.([a-z]+)\.(IFNAME|ifname)\.([a-z0-9_]+)")
_LINK_LOCAL6 = IPv6Network("fe80::/10")


def parse_endpoint_options(options: Mapping[str, str]) -> dict[str, str]:
    """Driver options of an endpoint, values checked (contract RN18, RN21, CV7).

    Raises:
        Invalid: for an unknown option of ours, or a value it does not take.
    """
    field = "--driver-opt"
    checked: dict[str, str] = {}
    for key, value in options.items():
        if key == IFNAME:
            if value == "lo":
                raise Invalid(f"{field}: {key}=lo is the loopback's own name", field=field)
            checked[key] = parse_ifname(f"{field} {key}", value)
        elif key == SYSCTLS:
            parse_interface_sysctls(value, "IFNAME")
            checked[key] = value
        elif "." not in key or key.startswith("com.docker.network."):
            raise Invalid(
                f"{field}: {key!r} is no option of an endpoint: there are {IFNAME} and {SYSCTLS}",
                field=field,
                value=key,
            )
        else:
            checked[key] = value
    return checked


def parse_interface_sysctls(text: str, ifname: str) -> list[tuple[str, str]]:
    """``net.ipv4.conf.IFNAME.KEY=VALUE,…`` for the interface of this name."""
    found = []
    for word in text.split(","):
        name, separator, value = word.partition("=")
        match = _SYSCTL.fullmatch(name)
        if not match or not separator or not value:
            raise Invalid(
                f"--driver-opt: {word!r} must be like net.ipv4.conf.IFNAME.KEY=VALUE, with "
                "the word IFNAME and ipv4, ipv6 or mpls",
                field="--driver-opt",
                value=word,
            )
        family, group, _, key = match.groups()
        # A slash keeps dots of the interface's name apart from those of the setting's.
        found.append((f"net.{family}.{group}.{ifname.replace('.', '/')}.{key}", value))
    return found


def parse_link_local(value: str) -> Address:
    """An address for one link only (contract RN15)."""
    field = "--link-local-ip"
    address = parse_address(field, value)
    is_local = address.is_link_local
    if not isinstance(address, IPv4Address):
        is_local = address in _LINK_LOCAL6
    if not is_local:
        raise Invalid(
            f"{field}: {value} is no link-local address, of 169.254.0.0/16 or fe80::/10",
            field=field,
            value=value,
        )
    return address


def parse_link(field: str, value: str) -> tuple[str, str]:
    """``CONTAINER[:ALIAS]``: the container as typed and what it is to be called (RN20)."""
    target, separator, alias = value.partition(":")
    if not target or (separator and not alias) or ":" in alias:
        raise Invalid(
            f"{field}: {value!r} must be CONTAINER or CONTAINER:ALIAS", field=field, value=value
        )
    if alias:
        parse_name(field, alias)
    return target, alias or target
