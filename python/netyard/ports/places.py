"""Where the ports of a container can be published: on which of its endpoints, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netyard.endpoints.gateways import default_routes
from netyard.options import bridge as bridge_options
from netyard.options import parent as parent_options
from netyard.state.records import Attachment, ContainerRecord, EndpointRecord
from netyard.state.root import Root


class Places(NamedTuple):
    """Where a container's ports can be published.

    Attributes:
        translated: By family, the endpoint that carries the default route, if host ports can be
            translated to it (contract PB12).
        routed: Endpoints on routed networks, which open their own ports (contract BO7).
    """

    translated: Mapping[int, Attachment]
    routed: Sequence[tuple[int, EndpointRecord]]

    @classmethod
    def of(cls, attached: Sequence[Attachment], carriers: Mapping[int, Attachment]) -> Places:
        """Those among these endpoints of a container.

        Args:
            carriers: Which of its endpoints carry its default routes.
        """
        translated: dict[int, Attachment] = {}
        routed: list[tuple[int, EndpointRecord]] = []
        for each in attached:
            endpoint, network = each
            if network.is_internal or not network.bridge:
                continue
            for version in (4, 6):
                if endpoint.address(version) is None:
                    continue
                if bridge_options.mode_of(network.options, version) == "routed":
                    routed.append((version, endpoint))
                elif version in carriers and carriers[version].endpoint.id == endpoint.id:
                    translated[version] = each
        return cls(translated, routed)

    def __bool__(self) -> bool:
        return bool(self.translated or self.routed)


def why_unpublished(root: Root, container: ContainerRecord) -> str | None:
    """Why a container can have none of the ports it wants, as a sentence (MV5, PB12)."""
    attached = root.store.attachments_of(container.id)
    if container.spec.mode != "networks" or not container.spec.port_requests:
        return None
    if Places.of(attached, default_routes(attached)):
        return None
    for endpoint, network in attached:
        if network.driver in parent_options.KINDS:
            own = " and ".join(map(str, endpoint.addresses)) or "its own address"
            return (
                f"no port is published: on {network.driver} network {network.name!r} the "
                f"container is on the wire itself, and its ports are reached at {own}"
            )
    return "no port is published: the container has no network with a way out"
