"""The options of a bridge network: Docker's names, short names, what each may be. Pure.

Everything netyard knows about ``com.docker.network.bridge.*`` is here (contract §1.2); other
modules ask for what an option means, never for its spelling.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from netyard.errors import Invalid
from netyard.options import common as common_options
from netyard.options.common import Check, Options, boolean, one_of, parse_ifname
from netyard.values.parse import Address, parse_address, parse_ipv4, parse_ipv6

_BRIDGE = "com.docker.network.bridge."
NAME = _BRIDGE + "name"
ICC = _BRIDGE + "enable_icc"
MASQUERADE = _BRIDGE + "enable_ip_masquerade"
HOST_BINDING = _BRIDGE + "host_binding_ipv4"
GATEWAY_MODES = {4: _BRIDGE + "gateway_mode_ipv4", 6: _BRIDGE + "gateway_mode_ipv6"}
INHIBIT = _BRIDGE + "inhibit_ipv4"
TRUSTED = _BRIDGE + "trusted_host_interfaces"
DEFAULT_BRIDGE = _BRIDGE + "default_bridge"
SPOOF_CHECK = "spoof_check"
SOURCES = {4: "com.docker.network.host_ipv4", 6: "com.docker.network.host_ipv6"}

SHORT_NAMES = {
    **common_options.SHORT_NAMES,
    "name": NAME,
    "icc": ICC,
    "masquerade": MASQUERADE,
    "host_binding": HOST_BINDING,
    "gateway_mode": GATEWAY_MODES[4],
    "gateway_mode_ipv4": GATEWAY_MODES[4],
    "gateway_mode_ipv6": GATEWAY_MODES[6],
    "inhibit": INHIBIT,
    "trusted": TRUSTED,
    "host_ipv4": SOURCES[4],
    "host_ipv6": SOURCES[6],
}

GatewayMode = Literal["nat", "nat-unprotected", "routed", "isolated"]
MODES: tuple[GatewayMode, ...] = get_args(GatewayMode)


# -- reading what users give ---------------------------------------------------------------------


def normalise(options: Options) -> dict[str, str]:
    """A bridge network's options; see `netyard.options.common.normalise`."""
    return common_options.normalise(options, CHECKS, SHORT_NAMES)


def _interfaces(field: str, value: str) -> str:
    return ":".join(parse_ifname(field, name) for name in value.split(":")) if value else ""


def _text_of(parse: Callable[[str, str], object]) -> Callable[[str, str], str]:
    return lambda field, value: str(parse(field, value))


def _reserved(field: str, _: str) -> str:
    raise Invalid(f"{field}: marks the built-in network and cannot be given", field=field)


_MODE = partial(one_of, MODES, "gateway mode")

CHECKS: dict[str, Check] = {
    **common_options.CHECKS,
    NAME: parse_ifname,
    ICC: boolean,
    MASQUERADE: boolean,
    HOST_BINDING: _text_of(parse_address),
    GATEWAY_MODES[4]: _MODE,
    GATEWAY_MODES[6]: _MODE,
    INHIBIT: boolean,
    TRUSTED: _interfaces,
    DEFAULT_BRIDGE: _reserved,
    SPOOF_CHECK: boolean,
    SOURCES[4]: _text_of(parse_ipv4),
    SOURCES[6]: _text_of(parse_ipv6),
}


def check_together(options: Options, *, has_ipv6: bool, is_internal: bool) -> None:
    """What options ask of one another and of the network."""
    common_options.check_mtu(options, has_ipv6=has_ipv6)
    for version, key in GATEWAY_MODES.items():
        if mode_of(options, version) == "isolated" and not is_internal:
            raise Invalid(f"--opt: {key}=isolated needs --internal", field="--opt")


# -- what they mean ------------------------------------------------------------------------------


def allows_icc(options: Options) -> bool:
    """Whether containers may reach each other directly (contract BO2)."""
    return options.get(ICC, "true") == "true"


def checks_sources(options: Options) -> bool:
    """Whether containers may send only what is from themselves (contract SH26)."""
    return options.get(SPOOF_CHECK, "false") == "true"


def masquerades(options: Options, version: int) -> bool:
    """Whether the way out is behind an address of the host (contract BO3, BO7)."""
    mode = mode_of(options, version)
    return options.get(MASQUERADE, "true") == "true" and (
        mode == "nat" or mode == "nat-unprotected"
    )


def mode_of(options: Options, version: int) -> GatewayMode:
    """The gateway mode of a family (contract BO5 to BO8)."""
    # What is recorded has been through `CHECKS`; asked too often for a call of `cast`.
    return options.get(GATEWAY_MODES[version], "nat")  # type: ignore[return-value]


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
