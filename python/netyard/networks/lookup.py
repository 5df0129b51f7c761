"""Networks found by what users call them; quick, as every command begins with it."""

from __future__ import annotations

import re

from netyard.errors import Invalid, NotFound
from netyard.state.records import NetworkRecord, NetworkState
from netyard.state.root import Root

_COMPLETE: tuple[NetworkState, ...] = ("ready", "planned")


def find_network(root: Root, wanted: str) -> NetworkRecord:
    """The one network that a name, an id or the beginning of an id means.

    Raises:
        NotFound: if there is none.
        Invalid: if a prefix fits several.
    """
    ensure_builtin_networks(root)
    found = root.store.find_network(wanted)
    if not found:
        raise NotFound(f"there is no network {wanted!r}")
    if len(found) > 1:
        raise Invalid(f"network id {wanted!r} is ambiguous: give more digits", value=wanted)
    return found[0]


def list_networks(root: Root) -> list[NetworkRecord]:
    """All networks that are complete, by name."""
    ensure_builtin_networks(root)
    found = [each for each in root.store.networks() if each.state in _COMPLETE]
    return sorted(found, key=lambda each: natural(each.name))


def ensure_builtin_networks(root: Root) -> None:
    """Have the built-in networks recorded; they are, but for the first time."""
    if not root.store.has_network_named("none"):
        from netyard.networks.builtin import ensure_builtin

        ensure_builtin(root)


def natural(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts ``net2`` before ``net10``."""
    return [
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
        for part in re.split(r"([0-9]+)", name)
        if part
    ]
