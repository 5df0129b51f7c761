"""Ids, interface names and MAC addresses that no other object has had."""

from __future__ import annotations

import os

from netyard.values.ids import local_unicast


def new_id() -> str:
    """A fresh 64-digit id."""
    return os.urandom(32).hex()


def new_host_ifname() -> str:
    """The host's end of a new endpoint.

    Random, not derived: the kernel takes a dead container's interface away in the background, so
    the next start must not need the same name.
    """
    return f"ny-{os.urandom(6).hex()}"


def new_mac() -> bytes:
    """A random unicast MAC address of the locally administered range (RFC 7042)."""
    return local_unicast(os.urandom(6))
