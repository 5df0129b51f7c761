"""Which endpoint carries the default route of a container, and the routes themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import netyard._core as _core
from netyard.endpoints.namespace import opened_namespace
from netyard.errors import KernelError
from netyard.state.records import Attachment, ContainerRecord, EndpointRecord
from netyard.state.root import Root


def default_routes(attached: Sequence[Attachment]) -> dict[int, Attachment]:
    """Which of a container's endpoints carries the default route of each family (contract RN8)."""
    chosen: dict[int, Attachment] = {}
    for version in (4, 6):
        able = [each for each in attached if each.route_via(version) is not None]
        if able:
            chosen[version] = min(able, key=lambda each: each.network.gateway_rank(each.endpoint))
    return chosen


def route_defaults(
    root: Root, container: ContainerRecord, *, new: EndpointRecord | None = None
) -> None:
    """Make the default routes of a running container what its endpoints now make them.

    If they make none, those are back that an adopted namespace had before. What the kernel refuses
    is recorded as pending: the container may have set its interface down, or taken its address.

    Args:
        new: An endpoint that is just being made, and can be unmade.

    Raises:
        KernelError: if the kernel refuses a route by the new endpoint.
    """
    attached = [each for each in root.store.attachments_of(container.id) if each.endpoint.is_joined]
    carriers = default_routes(attached)
    refused = dict(_refusals(root, container, carriers))
    for version, error in refused.items():
        if new is not None and carriers[version].endpoint.id == new.id:
            raise error
    present = root.store.container(container.id)
    if present is not None and present.state == "running":
        found = {f"IPv{version}": _reason(version, error) for version, error in refused.items()}
        root.store.set_pending(container.id, "route", found)


def _refusals(
    root: Root, container: ContainerRecord, carriers: Mapping[int, Attachment]
) -> Iterator[tuple[int, OSError]]:
    """Set the routes by these endpoints; what was refused, by family."""
    wanted = {
        version: (carrier.endpoint.ifname, gateway)
        for version, carrier in carriers.items()
        if (gateway := carrier.route_via(version)) is not None
    }
    try:
        with opened_namespace(root, container) as namespace:
            outcome = _core.set_default_routes(namespace, list(wanted.values()))
    except OSError as error:
        # The namespace itself cannot be entered.
        yield from ((version, error) for version in wanted)
        return
    for version, refusal in zip(wanted, outcome, strict=True):
        if refusal is not None:
            yield version, refusal


def _reason(version: int, error: OSError) -> str:
    by = f" {error.subject}" if isinstance(error, KernelError) and error.subject else ""
    return f"IPv{version}{by}: {error.strerror or error}"
