"""Settings of a root: ``config.json`` in it, under the names of Docker's ``daemon.json``.

What a network or container says itself wins over these (contract BO14). Read anew by each command
that needs it; nothing has to be restarted.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netyard.errors import Invalid, NetyardError, StoreError, raise_all
from netyard.options import bridge as bridge_options
from netyard.options import common as common_options
from netyard.options import overlay as overlay_options
from netyard.options import parent as parent_options
from netyard.state import json_file
from netyard.values.named import NamedTuple
from netyard.values.parse import (
    Address,
    parse_address,
    parse_domain,
    parse_resolver_option,
    parse_subnet,
)
from netyard.values.spec import NOTHING
from netyard.values.subnet_pools import DEFAULT_SOURCES, Source, parse_sources

if TYPE_CHECKING:
    from netyard.values.membership import Membership

FILE = "config.json"


class Config(NamedTuple):
    """The settings, checked.

    Attributes:
        pools: Where subnets come from.
        bridge_options: Options of the built-in network ``bridge``.
        bridge_address: Address and subnet of its bridge (``bip``), as ``ADDRESS/PREFIX``.
        bridge_range: Where its dynamic addresses come from (``fixed-cidr``).
        network_options: Options of new networks, by driver.
        host_gateways: What ``host-gateway`` means in ``--add-host``, instead of the gateways.
        passing_mark: Firewall mark and mask of packets that may reach unpublished ports.
        binds_strictly: A port published on one address is asked through its interface only.
        forwards: Whether netyard turns forwarding on where it needs it.
        allows_direct_routing: Published ports may be asked at the container's address, by anyone.
        opens_host_firewall: Whether netyard makes its way through ufw, firewalld and Docker's
            chains for published ports; otherwise those decide about them.
        cluster: The cluster this host is in, if any (`netyard host join`).
    """

    pools: tuple[Source, ...] = DEFAULT_SOURCES
    bridge_options: Mapping[str, str] = NOTHING
    bridge_address: str = ""
    bridge_range: str = ""
    network_options: Mapping[str, Mapping[str, str]] = NOTHING
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_ttl_seconds: int = 2
    host_gateways: tuple[Address, ...] = ()
    passing_mark: tuple[int, int] | None = None
    binds_strictly: bool = False
    forwards: bool = True
    allows_direct_routing: bool = False
    opens_host_firewall: bool = True
    cluster: "Membership | None" = None


def read_settings(root: Path) -> dict[str, Any]:
    """The file's content; empty if there is none.

    Raises:
        Invalid: naming file and line, if it is no JSON object.
    """
    path = root / FILE
    try:
        return json_file.read_object(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error


def load(root: Path) -> Config:
    """The settings of a root.

    Raises:
        Invalid, Several: for everything in the file that is wrong.
    """
    return parse(read_settings(root))


def parse(settings: Mapping[str, Any]) -> Config:
    """Check settings, all of them at once."""
    found: dict[str, Any] = {}
    bridge: dict[str, str] = {}
    errors: list[NetyardError] = []
    for key, value in settings.items():
        try:
            if key in _BRIDGE_KEYS:
                option = _BRIDGE_KEYS[key]
                bridge |= bridge_options.normalise({option: _text(value)})
            elif key in _KEYS:
                attribute, check = _KEYS[key]
                found[attribute] = check(key, value)
            else:
                raise Invalid(_unknown(key), field=key)
        except NetyardError as error:
            errors.append(error)
    raise_all(errors)
    found.pop("", None)
    if found.get("cluster") or os.environ.get("NETYARD_ETCD"):
        # Most hosts are in no cluster.
        from netyard.state.cluster_settings import membership_of

        found["cluster"] = membership_of(found.get("cluster", {}))
    else:
        found["cluster"] = None
    return Config(**found, bridge_options=bridge)


def write_settings(root: Path, settings: Mapping[str, Any]) -> None:
    """Replace the file, whole or not at all, once it has been checked."""
    parse(settings)
    text = json.dumps(settings, indent=4, sort_keys=True) + "\n"
    try:
        # What cannot be read again would keep every command from then on from its work.
        json_file.parse(text)
    except ValueError as error:
        raise Invalid(f"config: {error}", field=FILE) from error
    path = root / FILE
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    draft.rename(path)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, known_keys(), n=1, cutoff=0.0)[0]
    return f"config: {key!r} is no setting; the nearest is {near!r}"


def known_keys() -> list[str]:
    """All settings there are."""
    return sorted([*_KEYS, *_BRIDGE_KEYS])


def _bool(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"config: {key}: {value!r} is no boolean", field=key, value=value)
    return value


def _list(check: Callable[[str, str], object], key: str, value: Any) -> tuple[Any, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise Invalid(f"config: {key}: {value!r} is no list of words", field=key, value=value)
    return tuple(check(f"config: {key}", word) for word in words)


def _address_text(field: str, word: str) -> str:
    return str(parse_address(field, word))


def _interface(key: str, value: Any) -> str:
    try:
        found = ip_interface(str(value))
    except ValueError:
        found = None
    if found is None or "/" not in str(value) or found.ip == found.network.network_address:
        raise Invalid(
            f"config: {key}: {value!r} is no address with its prefix such as 10.9.0.1/16",
            field=key,
            value=value,
        )
    return str(found)


def _subnet(key: str, value: Any) -> str:
    return str(parse_subnet(f"config: {key}", str(value)))


def _mark(key: str, value: Any) -> tuple[int, int]:
    mark, _, mask = str(value).partition("/")
    try:
        numbers = int(mark, 0), int(mask or "0xffffffff", 0)
    except ValueError:
        numbers = (-1, -1)
    if not all(0 <= number <= 0xFFFFFFFF for number in numbers):
        raise Invalid(
            f"config: {key}: {value!r} is no mark such as 0x1 or 0x1/0x3", field=key, value=value
        )
    return numbers


def _seconds(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 600:
        raise Invalid(
            f"config: {key}: {value!r} must be a number of seconds from 0 to 600", field=key
        )
    return value


def _no_proxy(key: str, value: Any) -> None:
    if _bool(key, value):
        raise Invalid(f"config: {key}: there is none, the kernel does its work", field=key)


def _network_options(key: str, value: Any) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise Invalid(f"config: {key}: must be an object of options by driver", field=key)
    return {
        driver: _NORMALISE.get(driver, dict)({name: _text(each) for name, each in options.items()})
        for driver, options in value.items()
    }


_NORMALISE: dict[str, Callable[[Mapping[str, str]], dict[str, str]]] = {
    "bridge": bridge_options.normalise,
    "overlay": overlay_options.normalise,
    **{kind: partial(parent_options.normalise, kind) for kind in parent_options.KINDS},
}


def _object(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"config: {key}: must be an object", field=key)
    return value


def _host_firewall(key: str, value: Any) -> bool:
    if value not in ("open", "decides"):
        raise Invalid(f"config: {key}: {value!r} must be open or decides", field=key, value=value)
    return bool(value == "open")


_BRIDGE_KEYS = {
    "icc": bridge_options.ICC,
    "ip": bridge_options.HOST_BINDING,
    "ip-masq": bridge_options.MASQUERADE,
    "mtu": common_options.MTU,
}
_KEYS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "allow-direct-routing": ("allows_direct_routing", _bool),
    "bip": ("bridge_address", _interface),
    "bridge-accept-fwmark": ("passing_mark", _mark),
    "cluster": ("cluster", _object),
    "default-address-pools": ("pools", parse_sources),
    "default-network-opts": ("network_options", _network_options),
    "dns": ("dns", partial(_list, _address_text)),
    "dns-opts": ("dns_options", partial(_list, parse_resolver_option)),
    "dns-search": ("dns_search", partial(_list, parse_domain)),
    "dns-ttl": ("dns_ttl_seconds", _seconds),
    "fixed-cidr": ("bridge_range", _subnet),
    "host-firewall": ("opens_host_firewall", _host_firewall),
    "host-gateway-ips": ("host_gateways", partial(_list, parse_address)),
    "ip-forward": ("forwards", _bool),
    "strict-binding": ("binds_strictly", _bool),
    "userland-proxy": ("", _no_proxy),
}
