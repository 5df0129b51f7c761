"""Drivers that installed packages offer: found by entry point, loaded, and held to the contract.

A package names its class in the entry point group ``netyard.drivers``; see ``docs/drivers.md``.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from netyard.drivers.base import Driver
from netyard.drivers.guard import Guarded, describe, guarded
from netyard.errors import DriverError

_GROUP = "netyard.drivers"


class Offer(NamedTuple):
    """A driver that a package offers.

    Attributes:
        name: The driver's name.
        package: The package's name.
    """

    name: str
    package: str
    entry: EntryPoint


def offers() -> list[Offer]:
    """All that is offered, by name and package; slow, as it looks through all packages."""
    found = [
        Offer(entry.name, entry.dist.name if entry.dist else "", entry)
        for entry in entry_points(group=_GROUP)
    ]
    return sorted(found, key=lambda offer: offer[:2])


def load(name: str) -> Driver | None:
    """The driver of a name; ``None`` if no package offers it.

    Raises:
        DriverError: if several packages offer it, or it cannot be loaded or used.
    """
    found = [offer for offer in offers() if offer.name == name]
    if len(found) > 1:
        names = " and ".join(repr(offer.package) for offer in found)
        raise DriverError(
            f"driver {name!r} is offered by packages {names}: uninstall all but one", driver=name
        )
    return _load(found[0]) if found else None


def _load(offer: Offer) -> Guarded:
    try:
        made = offer.entry.load()()
    # A module may end the interpreter when it is imported: not this one.
    except (Exception, SystemExit) as error:
        raise DriverError(
            f"driver {offer.name!r} of package {offer.package!r} cannot be loaded: "
            f"{describe(error)}",
            driver=offer.name,
            package=offer.package,
        ) from error
    return guarded(offer.name, offer.package, made)


def complaints(taken: Collection[str]) -> list[str]:
    """What is wrong with packages, a sentence each.

    Args:
        taken: Names of netyard's own drivers.
    """
    found: dict[str, None] = {}
    for offer in offers():
        if offer.name in taken:
            sentence = (
                f"package {offer.package!r} offers a driver {offer.name!r}, which is not used: "
                "netyard has one of that name itself"
            )
            found[sentence] = None
            continue
        try:
            load(offer.name)
        except DriverError as error:
            found[str(error)] = None
    return list(found)
