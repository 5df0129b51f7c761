"""The none driver: a network namespace with nothing but its loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netyard.drivers.base import EndpointPlan
from netyard.errors import Invalid
from netyard.state.records import EndpointRecord, NetworkRecord


class NoneDriver:
    """The built-in network ``none``, which has no kernel objects."""

    name = "none"
    is_creatable = False
    device = ""

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """See `Driver.normalise`."""
        return dict(options)

    def check(self, network: NetworkRecord) -> None:
        """See `Driver.check`."""

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.create`."""

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """See `Driver.remove`."""

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.attach`."""
        raise Invalid(f"network {self.name!r} can only be chosen when a container is created")

    def detach(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.detach`."""

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """See `Driver.let_go`."""

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """See `Driver.restore`."""
