"""Why a container has none of the ports that it was asked to publish."""

from __future__ import annotations

from netyard.endpoints.gateways import default_routes
from netyard.options import parent as parent_options
from netyard.ports.places import Places
from netyard.state.records import ContainerRecord
from netyard.state.root import Root


def why_unpublished(root: Root, container: ContainerRecord) -> str | None:
    """Why a container can have none of the ports it wants, as a sentence (MV5, PB12)."""
    attached = root.store.attachments_of(container.id)
    if container.spec.mode != "networks" or not container.spec.port_requests:
        return None
    if Places.of(attached, default_routes(attached)):
        return None
    for endpoint, network in attached:
        if network.bridge:
            continue
        if network.driver in parent_options.KINDS:
            own = " and ".join(map(str, endpoint.addresses)) or "its own address"
            return (
                f"no port is published: on {network.driver} network {network.name!r} the "
                f"container is on the wire itself, and its ports are reached at {own}"
            )
        return (
            f"no port is published: {network.driver} network {network.name!r} has no device on the "
            "host to publish it on"
        )
    return "no port is published: the container has no network with a way out"
