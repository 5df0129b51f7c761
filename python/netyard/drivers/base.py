"""What a driver is: it says what a network stands on, makes kernel objects, and takes them away.

A driver never touches firewall, names or the store: the operation around it does. `plan`, `check`
and `warnings` look at things and make nothing. Every other method does all of its list or, raising,
nothing of it; taking away what is already gone is no error.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.named import NamedTuple
from netyard.values.parse import Address, parse_address, parse_subnet
from netyard.values.spec import NetworkSpec

if TYPE_CHECKING:
    from netyard.drivers.foundation import Foundation


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
    """The contract of a driver. What has a body here need not be written again by a subclass."""

    name: str
    #: Whether users may create networks of it.
    is_creatable: bool

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """Options as users give them under their full names; `Invalid` for what is wrong."""
        return dict(options)

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> "Foundation":
        """What a new network is to stand on, or the reason why it cannot be.

        Args:
            root: For looking at other networks.
            spec: What was asked for.
            options: What `normalise` made of its options, with the root's defaults.
            network_id: The new network's id, for names that derive from it.
        """
        # For new networks only.
        from netyard.drivers.foundation import Foundation

        return Foundation(
            options=options,
            is_internal=spec.is_internal,
            subnets=[parse_subnet("--subnet", word) for word in spec.subnets],
            gateways=[parse_address("--gateway", word) for word in spec.gateways],
        )

    def check(self, root: Root, network: NetworkRecord) -> None:
        """Raise `Invalid` or `Conflict` for options and pools that do not go together."""

    def warnings(self, network: NetworkRecord) -> list[str]:
        """What is allowed and will not work as its user may think, a sentence each."""
        return []

    def devices(self, network: NetworkRecord) -> list[str]:
        """The interfaces on the host that are this network's, which get its name as their alias.

        Some of them may not be there. None that was there before the network.
        """
        return [network.bridge] if network.bridge and not network.is_foreign else []

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
        """Take endpoints of a network away, so that they are unreachable from then on.

        Args:
            namespaces: Where network namespaces are, by container id; some may be gone.
        """

    def let_go(
        self, network: NetworkRecord, endpoints: Sequence[EndpointRecord], namespaces: Path
    ) -> None:
        """Make endpoints unreachable whose namespace is dying, which takes the kernel a while.

        Args:
            namespaces: See `detach`.
        """

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """Make again what is missing of a network and of its endpoints."""
