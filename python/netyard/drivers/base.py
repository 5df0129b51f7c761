"""What a driver is: it makes kernel objects and takes them away, and nothing else.

A driver never touches firewall, names or the store: the operation around it does. Every method
does all of its list or, raising, nothing of it; taking away what is already gone is no error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.values.parse import Address


class EndpointPlan(NamedTuple):
    """An endpoint about to be made.

    Attributes:
        namespace: Open descriptor of the container's network namespace.
        gateways: Default routes this endpoint is to carry; at most one a family.
        has_ports: Ports are published on it.
    """

    endpoint: EndpointRecord
    network: NetworkRecord
    namespace: int
    gateways: Sequence[Address] = ()
    has_ports: bool = False


class Driver(Protocol):
    """The contract of a driver."""

    name: str
    #: Whether users may create networks of it.
    is_creatable: bool
    #: What its networks are planned on: ``bridge`` or ``parent``; ``""`` for nothing.
    device: str

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """Options as users give them under their full names; `Invalid` for what is wrong."""

    def check(self, network: NetworkRecord) -> None:
        """Raise `Invalid` for options and pools this driver cannot do."""

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """Make the networks."""

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """Take the networks away.

        What takes the kernel long may be left to `netyard._core.sweep`, which is always called
        afterwards, as long as nothing is reachable any more; so in `detach`.
        """

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """Make endpoints, configured and up."""

    def detach(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """Take endpoints of a network away, so that nobody reaches them from then on.

        Args:
            namespaces: Where network namespaces are, by container id; some may be gone.
        """

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """Have nobody reach endpoints whose namespace is dying, which takes the kernel a while.

        Args:
            namespaces: See `detach`.
        """

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """Make again what is missing of a network and of its endpoints."""
