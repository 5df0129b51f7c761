"""The none driver: a network namespace with nothing but its loopback."""

from __future__ import annotations

from collections.abc import Sequence

from netyard.drivers.base import Driver, EndpointPlan
from netyard.errors import Invalid


class NoneDriver(Driver):
    """The built-in network ``none``, which has no kernel objects."""

    name = "none"
    is_creatable = False

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`."""
        raise Invalid(f"network {self.name!r} can only be chosen when a container is created")
