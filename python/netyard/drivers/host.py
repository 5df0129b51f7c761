"""The host driver: no isolation, the host's own interfaces."""

from __future__ import annotations

from netyard.drivers.none import NoneDriver


class HostDriver(NoneDriver):
    """The built-in network ``host``, which has no kernel objects either."""

    name = "host"
