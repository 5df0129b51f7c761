"""A container that starts joins its networks."""

from __future__ import annotations

from netyard.endpoints import dhcp
from netyard.endpoints.attach import attach_endpoints, endpoint_plans, settle_endpoints
from netyard.endpoints.gateways import gateway_endpoints
from netyard.endpoints.namespace import opened_namespace
from netyard.ipc import cluster
from netyard.lifecycle.name_service import NameRefresh, has_name_service
from netyard.networks import devices
from netyard.ports.apply import publish_ports
from netyard.ports.places import Places, requests_of
from netyard.state.records import ContainerRecord
from netyard.state.root import Change
from netyard.values.spec import ContainerSpec


def join_networks(change: Change, container: ContainerRecord, spec: ContainerSpec) -> None:
    """Bring a container's endpoints up, publish its ports and make its names known."""
    root, store = change.root, change.store
    attached = store.endpoints_of(container.id)
    joining = [each for each in attached if each.state != "up"]
    for each in attached:
        network = store.network(each.network_id)
        if network is not None:
            devices.ensure_device(change, network)
            cluster.follow(root, network)
    wanted = requests_of(spec)
    carriers = gateway_endpoints(store, attached)
    refresh = NameRefresh(change, container.id)
    with opened_namespace(root, container) as namespace:
        plans = endpoint_plans(store, joining, namespace, carriers=carriers, has_ports=bool(wanted))
        joining = attach_endpoints(change, plans, meanwhile=refresh.begin)
    if dhcp.acquire(change, container, joining):
        attached = store.endpoints_of(container.id)
        carriers = gateway_endpoints(store, attached)
    cluster.publish(root, joining)
    settle_endpoints(store, joining)
    if not store.publications(container.id):
        places = Places.of(store, attached, carriers)
        publish_ports(change, container, wanted, places)
    refresh.finish(needed=has_name_service(store, attached))
