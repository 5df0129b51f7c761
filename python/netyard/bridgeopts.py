"""The options of a bridge network: Docker's names, short names, what each may be. Pure.

Everything netyard knows about ``com.docker.network.*`` is here (contract §1.1 NC18, §1.2); other
modules ask for what an option means, never for its spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from netyard.errors import Invalid
from netyard.options import Address, parse_address, parse_bool, parse_ipv4, parse_ipv6

_BRIDGE = "com.docker.network.bridge."
NAME = _BRIDGE + "name"
ICC = _BRIDGE + "enable_icc"
MASQUERADE = _BRIDGE + "enable_ip_masquerade"
HOST_BINDING = _BRIDGE + "host_binding_ipv4"
GATEWAY_MODES = {4: _BRIDGE + "gateway_mode_ipv4", 6: _BRIDGE + "gateway_mode_ipv6"}
INHIBIT = _BRIDGE + "inhibit_ipv4"
TRUSTED = _BRIDGE + "trusted_host_interfaces"
DEFAULT_BRIDGE = _BRIDGE + "default_bridge"
MTU = "com.docker.network.driver.mtu"
PREFIX = "com.docker.network.container_iface_prefix"
SOURCES = {4: "com.docker.network.host_ipv4", 6: "com.docker.network.host_ipv6"}
ANNOUNCEMENTS = "com.docker.network.advertise_addr_nmsgs"
ANNOUNCE_MS = "com.docker.network.advertise_addr_ms"
ENABLE = {4: "com.docker.network.enable_ipv4", 6: "com.docker.network.enable_ipv6"}

SHORT_NAMES = {
    "name": NAME,
    "icc": ICC,
    "masquerade": MASQUERADE,
    "host_binding": HOST_BINDING,
    "gateway_mode": GATEWAY_MODES[4],
    "gateway_mode_ipv4": GATEWAY_MODES[4],
    "gateway_mode_ipv6": GATEWAY_MODES[6],
    "inhibit": INHIBIT,
    "trusted": TRUSTED,
    "mtu": MTU,
    "iface_prefix": PREFIX,
    "host_ipv4": SOURCES[4],
    "host_ipv6": SOURCES[6],
}

MODES = ("nat", "nat-unprotected", "routed", "isolated")
IFNAME_MAX = 15
_PREFIX_MAX = 11
_MTU_MIN, _MTU_MIN_IPV6, _MTU_MAX = 68, 1280, 65535
_IFNAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")

Options = Mapping[str, str]


# -- reading what users give ---------------------------------------------------------------------


def normalise(options: Options) -> dict[str, str]:
    """Options under their full names, values in one spelling.

    Raises:
        Invalid: for a key of ours that is none (contract CV7), naming the nearest; for a value
            that its key does not take.
    """
    full: dict[str, str] = {}
    for key, value in options.items():
        name = SHORT_NAMES.get(key, key)
        check = _CHECKS.get(name)
        if check is not None:
            full[name] = check(f"--opt {key}", value)
        elif "." in key and not key.startswith("com.docker.network."):
            full[name] = value
        else:
            raise Invalid(
                f"--opt: {key!r} is no option of this driver; the nearest is {_nearest(key)!r}",
                field="--opt",
                value=key,
            )
    return full


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    return get_close_matches(key, [*SHORT_NAMES, *_CHECKS], n=1, cutoff=0.0)[0]


def parse_ifname(field: str, value: str, *, longest: int = IFNAME_MAX) -> str:
    """An interface name (`dev_valid_name` of the kernel, and nothing a shell would mind)."""
    if len(value) > longest or value in (".", "..") or not _IFNAME.fullmatch(value):
        raise Invalid(
            f"{field}: {value!r} is no interface name of at most {longest} letters, digits, '_', "
            "'.' or '-'",
            field=field,
            value=value,
        )
    return value


def _bool(field: str, value: str) -> str:
    return "true" if parse_bool(field, value) else "false"


def _mode(field: str, value: str) -> str:
    if value not in MODES:
        raise Invalid(
            f"{field}: {value!r} is no gateway mode: use {', '.join(MODES)}",
            field=field,
            value=value,
        )
    return value


def _number(low: int, high: int, field: str, value: str) -> str:
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise Invalid(
            f"{field}: {value!r} must be a number from {low} to {high}", field=field, value=value
        )
    return str(int(value))


def _interfaces(field: str, value: str) -> str:
    return ":".join(parse_ifname(field, name) for name in value.split(":")) if value else ""


def _text_of(parse: Callable[[str, str], object]) -> Callable[[str, str], str]:
    return lambda field, value: str(parse(field, value))


def _reserved(field: str, _: str) -> str:
    raise Invalid(f"{field}: marks the built-in network and cannot be given", field=field)


def _announcements(field: str, value: str) -> str:
    if value in ("2", "3"):
        raise Invalid(
            f"{field}: {value} is more than needed: a bridge of this host loses no announcement; "
            "use 1, which is the default, or 0",
            field=field,
            value=value,
        )
    return _number(0, 1, field, value)


def _no_pause(field: str, _: str) -> str:
    raise Invalid(f"{field}: there is one announcement, so none to wait between", field=field)


_CHECKS: dict[str, Callable[[str, str], str]] = {
    NAME: parse_ifname,
    ICC: _bool,
    MASQUERADE: _bool,
    HOST_BINDING: _text_of(parse_address),
    GATEWAY_MODES[4]: _mode,
    GATEWAY_MODES[6]: _mode,
    INHIBIT: _bool,
    TRUSTED: _interfaces,
    DEFAULT_BRIDGE: _reserved,
    MTU: partial(_number, _MTU_MIN, _MTU_MAX),
    PREFIX: partial(parse_ifname, longest=_PREFIX_MAX),
    SOURCES[4]: _text_of(parse_ipv4),
    SOURCES[6]: _text_of(parse_ipv6),
    ANNOUNCEMENTS: _announcements,
    ANNOUNCE_MS: _no_pause,
    ENABLE[4]: _bool,
    ENABLE[6]: _bool,
}


def check_together(options: Options, *, has_ipv6: bool, is_internal: bool) -> None:
    """What options ask of one another and of the network."""
    if has_ipv6 and (mtu_of(options) or _MTU_MIN_IPV6) < _MTU_MIN_IPV6:
        raise Invalid(
            f"--opt: {MTU}={options[MTU]!r} must be a number from {_MTU_MIN_IPV6} to {_MTU_MAX}: "
            "this network has IPv6",
            field="--opt",
        )
    for version, key in GATEWAY_MODES.items():
        if mode_of(options, version) == "isolated" and not is_internal:
            raise Invalid(f"--opt: {key}=isolated needs --internal", field="--opt")


# -- what they mean ------------------------------------------------------------------------------


def allows_icc(options: Options) -> bool:
    """Whether containers may reach each other directly (contract BO2)."""
    return options.get(ICC, "true") == "true"


def masquerades(options: Options, version: int) -> bool:
    """Whether the way out is behind an address of the host (contract BO3, BO7)."""
    return options.get(MASQUERADE, "true") == "true" and mode_of(options, version) in (
        "nat",
        "nat-unprotected",
    )


def mode_of(options: Options, version: int) -> str:
    """The gateway mode of a family (contract BO5 to BO8)."""
    return options.get(GATEWAY_MODES[version], "nat")


def source_of(options: Options, version: int) -> Address | None:
    """The fixed source address of the way out, instead of masquerade (contract BO11)."""
    text = options.get(SOURCES[version])
    return parse_address(SOURCES[version], text) if text else None


def trusted_of(options: Options) -> list[str]:
    """Interfaces whose packets may go straight to published container ports (contract BO10)."""
    return [name for name in options.get(TRUSTED, "").split(":") if name]


def binding_of(options: Options) -> Address | None:
    """Where ports without a host address are published; ``None`` is everywhere (contract BO4)."""
    text = options.get(HOST_BINDING, "0.0.0.0")
    return None if text == "0.0.0.0" else parse_address(HOST_BINDING, text)


def has_bridge_address(options: Options, version: int) -> bool:
    """Whether the bridge has an address of a family (contract BO8, BO9)."""
    if mode_of(options, version) == "isolated":
        return False
    return version == 6 or options.get(INHIBIT, "false") == "false"


def mtu_of(options: Options) -> int | None:
    """The MTU in bytes, if one was asked for."""
    return int(options[MTU]) if MTU in options else None


def announces(options: Options) -> bool:
    """Whether addresses that come up are announced, by ARP and neighbour advertisement (NC18)."""
    return options.get(ANNOUNCEMENTS, "1") == "1"


def prefix_of(options: Options) -> str:
    """What container interfaces are called before their number (contract NC18)."""
    return options.get(PREFIX, "eth")
