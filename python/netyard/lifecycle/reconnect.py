"""Connections made again that an operation has ended, and then failed: as they were."""

from __future__ import annotations

from collections.abc import Sequence

from netyard.endpoints.attach import attach_endpoints, endpoint_plans, settle_endpoints
from netyard.endpoints.gateways import default_routes, route_defaults
from netyard.endpoints.namespace import opened_namespace
from netyard.endpoints.plan import plan_again
from netyard.errors import NetyardError, raise_all
from netyard.ipc import agent, cluster
from netyard.lifecycle.etc_files import refresh_etc_files
from netyard.lifecycle.name_service import has_name_service
from netyard.networks import devices
from netyard.runtime.process import is_alive
from netyard.state.records import Attachment, ContainerRecord, EndpointRecord, EndpointState
from netyard.state.root import Change, Root

Left = tuple[ContainerRecord, EndpointRecord]


def reconnect(root: Root, left: Sequence[Left]) -> None:
    """Give containers back the interfaces that were taken away, with names and addresses.

    Those of containers and networks that have gone meanwhile stay away.

    Raises:
        NetyardError: what keeps one from being made again, once all others have been.
    """
    failures: list[NetyardError] = []
    for container, endpoint in left:
        change = Change(root)
        try:
            _reconnect(change, container.id, endpoint)
        except NetyardError as error:
            change.roll_back()
            failures.append(error)
    raise_all(failures)


def _reconnect(change: Change, container_id: str, endpoint: EndpointRecord) -> None:
    store = change.store
    container, network = store.container(container_id), store.network(endpoint.network_id)
    if container is None or network is None or store.endpoint(endpoint.id) is not None:
        return
    is_up = container.state == "running" and (container.kind == "adopted" or is_alive(container))
    with store.transaction():
        state: EndpointState = "attaching" if is_up else "down"
        planned = plan_again(change, network, container, endpoint, state)
    if is_up:
        devices.ensure_device(change, network)
        cluster.follow(change.root, network)
        _attach(change, container, Attachment(planned, network))


def _attach(change: Change, container: ContainerRecord, planned: Attachment) -> None:
    root, store = change.root, change.store
    attached = store.attachments_of(container.id)
    has_ports = bool(container.spec.port_requests)
    carriers = default_routes(attached)
    with opened_namespace(root, container) as namespace:
        plans = endpoint_plans([planned], namespace, carriers=carriers, has_ports=has_ports)
        (made,) = attach_endpoints(change, plans, meanwhile=lambda: None)
    if planned.network.leases_addresses:
        from netyard.endpoints import dhcp

        dhcp.acquire(change, container, [made])
        made = store.endpoint(made.id) or made
    cluster.publish(root, [made])
    settle_endpoints(store, [made])
    route_defaults(root, container)
    refresh_etc_files(root, container, added=[Attachment(made, planned.network)])
    agent.refresh(root.layout, [container.id], needed=has_name_service(attached))
