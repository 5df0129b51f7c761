"""Names and MAC addresses that derive from an id: the same whenever they are asked for."""

from __future__ import annotations

import functools
from contextlib import suppress
from importlib import import_module
from typing import Any


def short(full_id: str) -> str:
    """The first 12 digits, as people see ids."""
    return full_id[:12]


def bridge_name(network_id: str) -> str:
    """The bridge of a network that did not ask for a name."""
    return f"br-{short(network_id)}"


def dummy_name(kind: str, network_id: str) -> str:
    """The dummy parent of a macvlan or ipvlan network that has no other (contract MV1, IV1)."""
    return f"d{kind[0]}-{short(network_id)}"


def host_access_name(network_id: str) -> str:
    """The host's own interface on a macvlan or ipvlan network."""
    return f"nh-{short(network_id)}"


def vxlan_name(network_id: str) -> str:
    """The VXLAN device of an overlay network."""
    return f"vx-{short(network_id)}"


def overlay_mac(network_id: str, address: str) -> bytes:
    """The MAC address that goes with an address of an overlay network.

    Derived, so that whoever has the address next is reached by those who knew the one before:
    announcements do not cross hosts.
    """
    return local_unicast(digest(f"{network_id} {address}".encode())[:6])


def bridge_mac(network_id: str) -> bytes:
    """A bridge's MAC address: the same when it is made again, for containers that remember it."""
    return local_unicast(digest(network_id.encode())[:6])


def digest(data: bytes) -> bytes:
    digest: bytes = _sha256()(data).digest()
    return digest


@functools.cache
def _sha256() -> Any:
    # As `random` does: hashlib brings OpenSSL in, which takes long to load.
    for module in ("_sha2", "_sha256", "hashlib"):
        with suppress(ImportError):
            return import_module(module).sha256
    raise ImportError("sha256")


def local_unicast(octets: bytes) -> bytes:
    return bytes([(octets[0] & 0xFC) | 0x02]) + octets[1:]
