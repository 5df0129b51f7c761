"""A container that starts joins its networks."""

from __future__ import annotations

from netyard.endpoints.attach import attach_endpoints, endpoint_plans, settle_endpoints
from netyard.endpoints.gateways import default_routes
from netyard.endpoints.namespace import opened_namespace
from netyard.ipc import cluster
from netyard.lifecycle.name_service import NameRefresh, has_name_service
from netyard.networks import devices
from netyard.ports.apply import publish_ports
from netyard.ports.places import Places
from netyard.state.records import ContainerRecord
from netyard.state.root import Change
from netyard.values.spec import ContainerSpec


def join_networks(change: Change, container: ContainerRecord, spec: ContainerSpec) -> None:
    """Bring a container's endpoints up, publish its ports and make its names known."""
    root, store = change.root, change.store
    attached = store.attachments_of(container.id)
    down = [each for each in attached if each.endpoint.state != "up"]
    for each in attached:
        devices.ensure_device(change, each.network)
        cluster.follow(root, each.network)
    wanted = spec.port_requests
    carriers = default_routes(attached)
    refresh = NameRefresh(change, container.id)
    with opened_namespace(root, container) as namespace:
        plans = endpoint_plans(down, namespace, carriers=carriers, has_ports=bool(wanted))
        joining = attach_endpoints(change, plans, meanwhile=refresh.begin)
    if any(each.network.leases_addresses for each in down):
        from netyard.endpoints import dhcp

        dhcp.acquire(change, container, joining)
        attached = store.attachments_of(container.id)
        carriers = default_routes(attached)
    cluster.publish(root, joining)
    settle_endpoints(store, joining)
    if not store.publications(container.id):
        publish_ports(change, container, wanted, Places.of(attached, carriers))
    refresh.finish(needed=has_name_service(attached))
