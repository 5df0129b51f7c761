"""What a driver is: it makes kernel objects and takes them away, and nothing else.

A driver never touches firewall, names or the store: the operation around it does. Every method
does all of its list or, raising, nothing of it; taking away what is already gone is no error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from netyard.options import Address
from netyard.store.records import EndpointRecord, NetworkRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
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
    #: Whether the firewall and the name server work for its networks.
    has_bridge: bool

    def check(self, network: NetworkRecord) -> None:
        """Raise `Invalid` for options and pools this driver cannot do."""

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """Make the networks."""

    def remove(self, networks: Sequence[NetworkRecord]) -> None:
        """Take the networks away."""

    def attach(self, plans: Sequence[EndpointPlan]) -> None:
        """Make endpoints, configured and up."""

    def detach(self, endpoints: Sequence[EndpointRecord]) -> None:
        """Take endpoints away."""

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """Make again what is missing of a network and of its endpoints."""
