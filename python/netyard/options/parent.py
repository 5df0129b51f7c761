"""The options of macvlan and ipvlan networks, whose containers stand on a parent interface. Pure.

Docker's names (contract §1.4, §1.5) and netyard's own `HOST_ACCESS`; other modules ask for what an
option means, never for its spelling.
"""

from __future__ import annotations

from functools import partial
from typing import Literal, cast, get_args

from netyard.errors import Invalid
from netyard.options import common as common_options
from netyard.options.common import Check, Options, boolean, one_of, parse_ifname

PARENT = "parent"
HOST_ACCESS = "host_access"
FLAG = "ipvlan_flag"
MODE = {"macvlan": "macvlan_mode", "ipvlan": "ipvlan_mode"}
KINDS = tuple(MODE)

MacvlanMode = Literal["bridge", "vepa", "private", "passthru"]
IpvlanMode = Literal["l2", "l3", "l3s"]
IpvlanFlag = Literal["bridge", "private", "vepa"]

# The first of each is the default.
_MODES: dict[str, tuple[MacvlanMode | IpvlanMode, ...]] = {
    "macvlan": get_args(MacvlanMode),
    "ipvlan": get_args(IpvlanMode),
}
_FLAGS: tuple[IpvlanFlag, ...] = get_args(IpvlanFlag)
_LAYER3: tuple[IpvlanMode, ...] = ("l3", "l3s")
VLAN_MIN, VLAN_MAX = 1, 4094

_SHARED: dict[str, Check] = {
    **common_options.CHECKS,
    PARENT: parse_ifname,
    HOST_ACCESS: boolean,
}
CHECKS: dict[str, dict[str, Check]] = {
    "macvlan": {
        **_SHARED,
        MODE["macvlan"]: partial(one_of, _MODES["macvlan"], "macvlan mode"),
    },
    "ipvlan": {
        **_SHARED,
        MODE["ipvlan"]: partial(one_of, _MODES["ipvlan"], "ipvlan mode"),
        FLAG: partial(one_of, _FLAGS, "ipvlan flag"),
    },
}
SHORT_NAMES = {
    "macvlan": {**common_options.SHORT_NAMES, "mode": MODE["macvlan"]},
    "ipvlan": {**common_options.SHORT_NAMES, "mode": MODE["ipvlan"], "flag": FLAG},
}


def normalise(kind: str, options: Options) -> dict[str, str]:
    """Options of a ``macvlan`` or ``ipvlan`` network; see `netyard.options.common.normalise`."""
    return common_options.normalise(options, CHECKS[kind], SHORT_NAMES[kind])


def parse_vlan(parent: str) -> tuple[str, int] | None:
    """A name such as ``eth0.50`` as base interface and VLAN id; ``None`` without a dot.

    Raises:
        Invalid: if the id is none of 802.1Q, or there is more than one dot (contract MV1).
    """
    base, dot, word = parent.rpartition(".")
    if not dot:
        return None
    if not base or "." in base:
        raise Invalid(
            f"--opt parent: {parent!r} has no one dot between an interface and a VLAN id, as in "
            "eth0.50",
            field="--opt",
            value=parent,
        )
    is_number = word.isascii() and word.isdigit() and len(word) < 10
    if not is_number or not VLAN_MIN <= int(word) <= VLAN_MAX:
        raise Invalid(
            f"--opt parent: {word!r} in {parent!r} is no VLAN id from {VLAN_MIN} to {VLAN_MAX}",
            field="--opt",
            value=parent,
        )
    return base, int(word)


def parent_of(options: Options) -> str:
    """The parent interface; ``""`` before one is chosen, and where there is none."""
    return options.get(PARENT, "")


def mode_of(kind: str, options: Options) -> MacvlanMode | IpvlanMode:
    """The mode of the containers' interfaces."""
    # What is recorded has been through `CHECKS`.
    return cast("MacvlanMode | IpvlanMode", options.get(MODE[kind], _MODES[kind][0]))


def flag_of(options: Options) -> IpvlanFlag:
    """The ipvlan flag."""
    return cast("IpvlanFlag", options.get(FLAG, _FLAGS[0]))


def routes_by_device(options: Options) -> bool:
    """Whether the interfaces work on layer 3: no neighbours, no gateway (contract IV2)."""
    return options.get(MODE["ipvlan"]) in _LAYER3


def has_own_mac(kind: str, options: Options) -> bool:
    """Whether containers have MAC addresses of their own; else their parent's (contract IV4)."""
    return kind == "macvlan" and mode_of(kind, options) != "passthru"


def has_host_access(options: Options) -> bool:
    """Whether the host has an interface of its own on the network."""
    return options.get(HOST_ACCESS, "false") == "true"
