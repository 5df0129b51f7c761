"""The options every driver's networks take, and the machinery that checks options. Pure.

What one driver alone understands is in `netyard.options.bridge`, `netyard.options.parent` and
`netyard.options.overlay`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from netyard.errors import Invalid
from netyard.values.parse import parse_bool

MTU = "com.docker.network.driver.mtu"
PREFIX = "com.docker.network.container_iface_prefix"
ANNOUNCEMENTS = "com.docker.network.advertise_addr_nmsgs"
ANNOUNCE_MS = "com.docker.network.advertise_addr_ms"
ENABLE = {4: "com.docker.network.enable_ipv4", 6: "com.docker.network.enable_ipv6"}

SHORT_NAMES = {"mtu": MTU, "iface_prefix": PREFIX}

IFNAME_MAX = 15
_PREFIX_MAX = 11
_MTU_MIN, _MTU_MIN_IPV6, _MTU_MAX = 68, 1280, 65535
_IFNAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")

Options = Mapping[str, str]
Check = Callable[[str, str], str]


# -- reading what users give ---------------------------------------------------------------------


def normalise(
    options: Options, checks: Mapping[str, Check], short_names: Mapping[str, str]
) -> dict[str, str]:
    """Options under their full names, values in one spelling.

    Args:
        checks: What each key takes: the value in its one spelling, or `Invalid`.
        short_names: Further names of keys.

    Raises:
        Invalid: for a key of ours that is none (contract CV7), naming the nearest; for a value
            that its key does not take.
    """
    full: dict[str, str] = {}
    for key, value in options.items():
        name = short_names.get(key, key)
        check = checks.get(name)
        if check is not None:
            full[name] = check(f"--opt {key}", value)
        elif "." in key and not key.startswith("com.docker.network."):
            full[name] = value
        else:
            nearest = _nearest(key, [*short_names, *checks])
            raise Invalid(
                f"--opt: {key!r} is no option of this driver; the nearest is {nearest!r}",
                field="--opt",
                value=key,
            )
    return full


def _nearest(key: str, known: list[str]) -> str:
    from difflib import get_close_matches

    return get_close_matches(key, known, n=1, cutoff=0.0)[0]


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


def boolean(field: str, value: str) -> str:
    """``true`` or ``false``."""
    return "true" if parse_bool(field, value) else "false"


def number(low: int, high: int, field: str, value: str) -> str:
    """A whole number of a range."""
    # Thousands of digits are more than `int` takes.
    is_number = value.isascii() and value.isdigit() and len(value) < 100
    if not is_number or not low <= int(value) <= high:
        raise Invalid(
            f"{field}: {value!r} must be a number from {low} to {high}", field=field, value=value
        )
    return str(int(value))


def one_of(words: tuple[str, ...], what: str, field: str, value: str) -> str:
    """One of some words."""
    if value not in words:
        raise Invalid(
            f"{field}: {value!r} is no {what}: use {', '.join(words)}", field=field, value=value
        )
    return value


def _announcements(field: str, value: str) -> str:
    if value in ("2", "3"):
        raise Invalid(
            f"{field}: {value} is more than needed: the one that is sent waits until the link "
            "carries it; use 1, which is the default, or 0",
            field=field,
            value=value,
        )
    return number(0, 1, field, value)


def _no_pause(field: str, _: str) -> str:
    raise Invalid(f"{field}: there is one announcement, so none to wait between", field=field)


CHECKS: dict[str, Check] = {
    MTU: partial(number, _MTU_MIN, _MTU_MAX),
    PREFIX: partial(parse_ifname, longest=_PREFIX_MAX),
    ANNOUNCEMENTS: _announcements,
    ANNOUNCE_MS: _no_pause,
    ENABLE[4]: boolean,
    ENABLE[6]: boolean,
}


def check_mtu(options: Options, *, has_ipv6: bool) -> None:
    """What IPv6 asks of the MTU (RFC 8200, 5)."""
    if has_ipv6 and (mtu_of(options) or _MTU_MIN_IPV6) < _MTU_MIN_IPV6:
        raise Invalid(
            f"--opt: {MTU}={options[MTU]!r} must be a number from {_MTU_MIN_IPV6} to {_MTU_MAX}: "
            "this network has IPv6",
            field="--opt",
        )


# -- what they mean ------------------------------------------------------------------------------


def mtu_of(options: Options) -> int | None:
    """The MTU in bytes, if one was asked for."""
    return int(options[MTU]) if MTU in options else None


def announces(options: Options) -> bool:
    """Whether addresses that come up are announced, by ARP and neighbour advertisement (NC18)."""
    return options.get(ANNOUNCEMENTS, "1") == "1"


def prefix_of(options: Options) -> str:
    """What container interfaces are called before their number (contract NC18)."""
    return options.get(PREFIX, "eth")
