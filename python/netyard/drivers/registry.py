"""The drivers there are: netyard's own, and those installed packages offer as entry points.

A driver package names its class in the entry point group ``netyard.drivers``.
"""

from __future__ import annotations

from importlib import import_module

from netyard.drivers.base import Driver
from netyard.errors import NotFound

_GROUP = "netyard.drivers"
_OWN = {
    "bridge": "netyard.drivers.bridge.driver:BridgeDriver",
    "host": "netyard.drivers.host:HostDriver",
    "ipvlan": "netyard.drivers.parent.driver:IpvlanDriver",
    "macvlan": "netyard.drivers.parent.driver:MacvlanDriver",
    "overlay": "netyard.drivers.overlay.driver:OverlayDriver",
    "none": "netyard.drivers.none:NoneDriver",
}
_ALIASES = {"null": "none"}
_loaded: dict[str, Driver] = {}


def driver(name: str) -> Driver:
    """The driver of a name.

    Raises:
        NotFound: listing the names there are.
    """
    name = _ALIASES.get(name, name)
    if name not in _loaded:
        _loaded[name] = _load(name)
    return _loaded[name]


def _load(name: str) -> Driver:
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        made: Driver = getattr(import_module(module), attribute)()
        return made
    # Slow to import, and needed for others' drivers only.
    from importlib.metadata import entry_points

    for entry in entry_points(group=_GROUP):
        if entry.name == name:
            other: Driver = entry.load()()
            return other
    known = sorted({*_OWN, *(entry.name for entry in entry_points(group=_GROUP))})
    raise NotFound(f"--driver: there is no driver {name!r}; known are {', '.join(known)}")
