"""The options of overlay networks, which span hosts. Pure.

Docker's names (contract §1.5); other modules ask for what an option means, never for its spelling.
"""

from __future__ import annotations

from functools import partial

from netyard.errors import Invalid
from netyard.options import common as common_options
from netyard.options.common import Check, Options, number

VNI = "com.docker.network.driver.overlay.vxlanid_list"
PORT = "vxlan-port"
ENCRYPTED = "encrypted"

DEFAULT_PORT = 4789
# The tunnel's, for encrypted networks. WireGuard's own is 51820, which others may have.
TUNNEL_PORT = 51821
_PORT_MIN, _PORT_MAX = 1024, 49151
_VNI_MAX = (1 << 24) - 1


def _one_vni(field: str, value: str) -> str:
    if "," in value:
        raise Invalid(
            f"{field}: {value!r} must be one number: all subnets of a network share a VXLAN "
            "network identifier",
            field=field,
            value=value,
        )
    return number(1, _VNI_MAX, field, value)


def _switch(field: str, value: str) -> str:
    """A word by itself means true (contract OV5)."""
    return common_options.boolean(field, value or "true")


CHECKS: dict[str, Check] = {
    **common_options.CHECKS,
    VNI: _one_vni,
    PORT: partial(number, _PORT_MIN, _PORT_MAX),
    ENCRYPTED: _switch,
}
SHORT_NAMES = {**common_options.SHORT_NAMES, "vni": VNI}


def normalise(options: Options) -> dict[str, str]:
    """The options of an overlay network; see `netyard.options.common.normalise`."""
    return common_options.normalise(options, CHECKS, SHORT_NAMES)


def check_vni(value: object) -> None:
    """Raises `Invalid` for what is no VXLAN network identifier (RFC 7348: 24 bits)."""
    if not isinstance(value, int) or not 1 <= value <= _VNI_MAX:
        raise Invalid(f"VNI {value!r} is none from 1 to {_VNI_MAX}", field="vni", value=value)


def vni_of(options: Options) -> int | None:
    """The VXLAN network identifier that was asked for, if one was."""
    return int(options[VNI]) if VNI in options else None


def port_of(options: Options) -> int:
    """The UDP port VXLAN uses (RFC 7348: 4789)."""
    return int(options.get(PORT, DEFAULT_PORT))


def is_encrypted(options: Options) -> bool:
    """Whether it is carried by the tunnel between the hosts."""
    return options.get(ENCRYPTED) == "true"
