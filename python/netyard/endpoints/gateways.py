"""Which endpoint carries the default route of a container, and the routes themselves."""

from __future__ import annotations

from collections.abc import Sequence

import netyard._core as _core
from netyard.endpoints.namespace import opened_namespace
from netyard.state.records import Attachment, ContainerRecord
from netyard.state.root import Root


def default_routes(attached: Sequence[Attachment]) -> dict[int, Attachment]:
    """Which of a container's endpoints carries the default route of each family (contract RN8)."""
    chosen: dict[int, Attachment] = {}
    for version in (4, 6):
        able = [each for each in attached if each.route_via(version) is not None]
        if able:
            chosen[version] = min(able, key=lambda each: each.network.gateway_rank(each.endpoint))
    return chosen


def route_defaults(root: Root, container: ContainerRecord) -> None:
    """Make the default routes of a running container what its endpoints now make them.

    If they make none, those are back that an adopted namespace had before.
    """
    attached = [each for each in root.store.attachments_of(container.id) if each.endpoint.is_joined]
    gateways = [
        (carrier.endpoint.ifname, gateway)
        for version, carrier in default_routes(attached).items()
        if (gateway := carrier.route_via(version)) is not None
    ]
    with opened_namespace(root, container) as namespace:
        _core.set_default_routes(namespace, gateways)
