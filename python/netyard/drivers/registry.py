"""The drivers there are: netyard's own, and those that installed packages offer.

What comes from packages is looked for in `netyard.drivers.packages`, and only when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from netyard.drivers.base import Driver
from netyard.errors import DriverError, NotFound
from netyard.state.records import NetworkRecord

_OWN = {
    "bridge": "netyard.drivers.bridge.driver:BridgeDriver",
    "host": "netyard.drivers.host:HostDriver",
    "ipvlan": "netyard.drivers.parent.driver:IpvlanDriver",
    "macvlan": "netyard.drivers.parent.driver:MacvlanDriver",
    "overlay": "netyard.drivers.overlay.driver:OverlayDriver",
    "none": "netyard.drivers.none:NoneDriver",
}
_ALIASES = {"null": "none"}
# There is one network of each, which always exists.
_NOT_CREATABLE = {"host", "none"}
_loaded: dict[str, Driver] = {}
_noted: set[str] = set()


def driver(name: str) -> Driver:
    """The driver of a name, which a user has given.

    Raises:
        NotFound: listing the drivers that networks can be created with.
        DriverError: if a package offers it and it cannot be used.
    """
    name = _ALIASES.get(name, name)
    if name not in _loaded:
        _loaded[name] = _load(name)
    return _loaded[name]


def driver_of(network: NetworkRecord) -> Driver:
    """The driver of a network that exists.

    Raises:
        DriverError: if its package is no longer installed, or cannot be used.
    """
    try:
        return driver(network.driver)
    except NotFound:
        raise DriverError(
            f"driver {network.driver!r} of network {network.name!r} is not installed",
            driver=network.driver,
            hint=f"install its package again, or let 'netyard network rm -f {network.name}' forget "
            "the network and leave what the driver has made",
        ) from None


def known_names() -> list[str]:
    """The names of all drivers, netyard's own and others'."""
    from netyard.drivers import packages

    return sorted({*_OWN, *(offer.name for offer in packages.offers())})


def creatable_names() -> list[str]:
    """The names of the drivers that ``netyard network create`` takes."""
    return [name for name in known_names() if name not in _NOT_CREATABLE]


def complaints() -> list[str]:
    """What is wrong with driver packages, a sentence each. Imports all of them."""
    from netyard.drivers import packages

    return packages.complaints({*_OWN, *_ALIASES})


@contextmanager
def forgiving() -> Iterator[None]:
    """Go on without a driver package that is missing or fails; the user is told in the log."""
    try:
        yield
    except DriverError as error:
        note(error)


def note(error: DriverError) -> None:
    """Tell of a failure that nothing else is to fail for, once a process."""
    if str(error) in _noted:
        return
    _noted.add(str(error))
    # Needed in trouble only. Without a handler of the program's own it is printed on stderr.
    import logging

    logging.getLogger("netyard.drivers").warning("netyard: warning: %s", error)


def _load(name: str) -> Driver:
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        made: Driver = getattr(import_module(module), attribute)()
        return made
    from netyard.drivers import packages

    found = packages.load(name)
    if found is None:
        known = ", ".join(creatable_names())
        raise NotFound(f"--driver: there is no driver {name!r}; known are {known}")
    return found
