"""Connecting containers to networks and disconnecting them, running or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netyard.drivers.base import EndpointPlan
from netyard.endpoints.attach import attach_endpoints, endpoint_plans, settle_endpoints
from netyard.endpoints.detach import take_out_endpoints
from netyard.endpoints.gateways import default_routes, route_defaults
from netyard.endpoints.namespace import opened_namespace
from netyard.endpoints.plan import forget_endpoint, plan_endpoint, taken_ifnames
from netyard.errors import Conflict, Forbidden, Invalid, NotFound
from netyard.ipc import cluster
from netyard.lifecycle.etc_files import refresh_etc_files
from netyard.lifecycle.lookup import find_container
from netyard.lifecycle.name_service import NameRefresh, has_name_service
from netyard.lifecycle.pending import tell_pending
from netyard.lifecycle.reconnect import reconnect
from netyard.lifecycle.validate import disables_ipv6
from netyard.networks import devices, egress
from netyard.options.endpoint import IFNAME
from netyard.ports.apply import publish_ports, put_back_ports, unpublish_ports
from netyard.ports.choose import same_ports
from netyard.ports.pending import pending_requests, publish_possible
from netyard.ports.places import Places
from netyard.state import events
from netyard.state.records import Attachment, ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values.spec import JoinRequest

if TYPE_CHECKING:
    from netyard.state.root import Batch


def connect_container(
    root: Root, network: NetworkRecord, wanted: str, request: JoinRequest
) -> tuple[ContainerRecord, EndpointRecord]:
    """See `Network.connect`."""
    with root.change(is_batched=True) as change:
        if change.batch is not None:
            change.batch.end_leaving()
        container = find_container(root, wanted)
        before = root.store.attachments_of(container.id)
        _check(root, network, container, before)
        if change.batch is not None:
            if _can_wait(root, network, container):
                made = _plan_in_batch(change, change.batch, network, container, before, request)
                return container, made
            change.batch.flush()
            before = root.store.attachments_of(container.id)
        made = _join(change, network, container, before, request)
        _arrange_egress(change, container, [*before, Attachment(made, network)])
        return container, made


def _can_wait(root: Root, network: NetworkRecord, container: ContainerRecord) -> bool:
    """Whether a connection is of those that are made together: of running ones to bridges here."""
    present = root.store.network(network.id)
    is_made = present is not None and present.state == "ready"
    return container.state == "running" and network.driver == "bridge" and is_made


def _plan_in_batch(
    change: Change,
    batch: Batch,
    network: NetworkRecord,
    container: ContainerRecord,
    before: Sequence[Attachment],
    request: JoinRequest,
) -> EndpointRecord:
    batch.begin()
    with change.store.attempt():
        made = _plan(change, network, container, before, request)
    batch.add(container, Attachment(made, network))
    return made


def _join(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    before: Sequence[Attachment],
    request: JoinRequest,
) -> EndpointRecord:
    root = change.root
    made = _plan(change, network, container, before, request)
    if container.state == "running":
        devices.ensure_device(change, network)
        cluster.follow(root, network)
        with opened_namespace(root, container) as namespace:
            return _attach(change, container, before, Attachment(made, network), namespace)
    _note_connected(root.store, container, network)
    return made


def _note_connected(store: Store, container: ContainerRecord, network: NetworkRecord) -> None:
    if not network.is_egress:
        events.network_event(store, "connect", network, container)


def _plan(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    attached: Sequence[Attachment],
    request: JoinRequest,
) -> EndpointRecord:
    """The record of a new endpoint, with its addresses."""
    root = change.root
    is_up = container.state == "running"
    looks = is_up and IFNAME in request.driver_opts
    before = [each.endpoint for each in attached]
    taken = taken_ifnames(root, container, before, looks=looks)
    has_ipv6 = not network.is_egress or egress.has_ipv6(before)
    disabled = disables_ipv6(container.spec.sysctls)
    with change.store.transaction():
        made = plan_endpoint(
            change,
            network,
            container,
            request,
            _next_position(before),
            taken=taken,
            without_ipv6=disabled or not has_ipv6,
            state="attaching" if is_up else "down",
        )
    change.on_failure(lambda: forget_endpoint(root, made))
    return made


def _arrange_egress(
    change: Change, container: ContainerRecord, attached: Sequence[Attachment]
) -> None:
    """Give a container the interface beside its overlays that leads out, or take it away."""
    root = change.root
    present = [each.endpoint for each in attached if each.network.is_egress]
    if egress.is_needed(attached):
        if not present:
            network = egress.ensure_network(root)
            _join(change, network, container, attached, JoinRequest(network=network.id))
    else:
        for each in present:
            _leave(change, container, each)


def _attach(
    change: Change,
    container: ContainerRecord,
    before: Sequence[Attachment],
    planned: Attachment,
    namespace: int,
) -> EndpointRecord:
    """Give a running container the interface, and what follows from it."""
    root, store = change.root, change.store
    attached = [*before, planned]
    plans = running_plans(container, planned, attached, namespace)
    refresh = NameRefresh(change, container.id)
    # Once the interface is gone, if it must go again.
    change.on_failure(lambda: route_defaults(root, container))
    (made,) = attach_endpoints(change, plans, meanwhile=refresh.begin)
    if planned.network.leases_addresses:
        from netyard.endpoints import dhcp

        dhcp.acquire(change, container, [made])
        made = store.endpoint(made.id) or made
    cluster.publish(root, [made])
    follow_up(change, container, before, planned._replace(endpoint=made))
    with store.transaction():
        settle_endpoints(store, [made])
        _note_connected(store, container, planned.network)
    refresh.finish(needed=has_name_service(attached))
    return made._replace(state="up")


def running_plans(
    container: ContainerRecord, planned: Attachment, attached: Sequence[Attachment], namespace: int
) -> list[EndpointPlan]:
    """What the driver is told of an endpoint of a running container.

    Args:
        attached: All its endpoints, with the one that is planned.
    """
    spec = container.spec
    carriers = default_routes(attached)
    has_ports = bool(spec.publish or spec.publish_all)
    return endpoint_plans([planned], namespace, carriers=carriers, has_ports=has_ports)


def follow_up(
    change: Change, container: ContainerRecord, before: Sequence[Attachment], made: Attachment
) -> None:
    """What follows from a new interface: default routes, where the ports are, files.

    Args:
        before: The container's other endpoints.
    """
    root, new = change.root, [made]
    carriers, carriers_before = default_routes([*before, made]), default_routes(before)
    if carriers != carriers_before or Places.of(new, carriers).routed:
        _move_ports(change, container)
    if carriers != carriers_before and carriers_before:
        route_defaults(root, container, new=made.endpoint)
    refresh_etc_files(root, container, added=new)


def _move_ports(change: Change, container: ContainerRecord, *, has_left: bool = False) -> None:
    """Published ports live on the endpoint that carries the default route (contract PB12).

    Args:
        has_left: The endpoint they were on is gone, and with it the way back: what cannot be
            published elsewhere is recorded as pending. Otherwise that refuses the operation.
    """
    root = change.root
    before = root.store.publications(container.id)
    wanted = container.spec.port_requests
    if not before and not wanted:
        return
    waiting = root.store.pending(container.id)
    pending = pending_requests(waiting)
    kept = same_ports(before, wanted, pending)
    change.on_failure(lambda: put_back_ports(root, container.id, before, waiting))
    unpublish_ports(root, container.id)
    attached = root.store.attachments_of(container.id)
    joined = [each for each in attached if each.endpoint.is_joined]
    places = Places.of(joined, default_routes(joined))
    if has_left:
        publish_possible(change, container, [*kept, *pending], places)
    else:
        # What is pending goes on to be so, until it is tried again.
        publish_ports(change, container, kept, places)


def disconnect_container(root: Root, network: NetworkRecord, wanted: str) -> None:
    """See `Network.disconnect`."""
    if network.is_egress:
        raise Forbidden(f"network {network.name!r} goes when the container's overlay networks go")
    if network.name in ("host", "none") and network.is_builtin:
        raise Invalid(f"network {network.name!r} cannot be left: it is chosen for a whole life")
    with root.change(is_batched=True) as change:
        container = find_container(root, wanted)
        gone = root.store.endpoint_between(network.id, container.id)
        batch = change.batch
        if gone is None or (batch is not None and batch.is_leaving(gone)):
            raise Conflict(f"container {container.name!r} is not on network {network.name!r}")
        if batch is not None:
            if _can_leave_later(root, container):
                batch.leave(container, gone)
                return
            batch.flush()
        _leave(change, container, gone)
        _arrange_egress(change, container, root.store.attachments_of(container.id))


def _can_leave_later(root: Root, container: ContainerRecord) -> bool:
    """Whether it is one of the disconnections that are made together."""
    attached = root.store.attachments_of(container.id)
    is_plain = all(each.network.driver == "bridge" for each in attached)
    return container.state == "running" and is_plain


def _leave(change: Change, container: ContainerRecord, gone: EndpointRecord) -> None:
    if container.state == "running":
        withdraw_endpoints(change, [(container, gone)])
        return
    with change.store.transaction():
        _forget(change.root, container, change.store.attachment(gone))
    change.on_failure(lambda: reconnect(change.root, [(container, gone)]))
    cluster.give_up(change.root, container.id, [gone])


def withdraw_endpoints(
    change: Change, leaving: Sequence[tuple[ContainerRecord, EndpointRecord]]
) -> None:
    """Take endpoints of running containers away, and what follows from it.

    Can be done again from the start, whatever part of it has been done: what a killed operation
    has left half-way, connecting or disconnecting, ends here.
    """
    root = change.root
    left = [(container, root.store.attachment(gone)) for container, gone in leaving]
    refresh = NameRefresh(change, *dict.fromkeys(container.id for container, _ in left))
    take_out_endpoints(root, [each for _, each in left], meanwhile=refresh.begin)
    for container, each in left:
        _follow_leaving(change, container, each)
    refresh.finish(needed=False)
    with root.store.transaction():
        for container, each in left:
            _forget(root, container, each)
    # Before the ports are put back, which lead to its interfaces.
    change.on_failure(lambda: reconnect(root, leaving))
    for container, gone in leaving:
        cluster.give_up(root, container.id, [gone])
    tell_pending(root, [container for container, _ in leaving])


def _follow_leaving(change: Change, container: ContainerRecord, left: Attachment) -> None:
    """What follows from an interface that is gone: default routes, where the ports are, files."""
    root = change.root
    attached = root.store.attachments_of(container.id)
    rest = [each for each in attached if each.endpoint.state == "up"]
    carriers = default_routes(rest)
    has_moved = carriers != default_routes([*rest, left])
    # The kernel has taken the interface's own routes with it: without another there is none to set.
    if has_moved and carriers:
        route_defaults(root, container)
    elif has_moved:
        root.store.set_pending(container.id, "route", {})
    ports = root.store.publications(container.id)
    if has_moved or any(each.endpoint_id == left.endpoint.id for each in ports):
        _move_ports(change, container, has_left=True)
    refresh_etc_files(root, container, removed=[left])


def _forget(root: Root, container: ContainerRecord, left: Attachment) -> None:
    """Remove an endpoint from the store, with word of it if it has been told to have come."""
    gone, network = left
    forget_endpoint(root, gone)
    if not network.is_egress and gone.state != "attaching":
        events.network_event(root.store, "disconnect", network, container)


def _check(
    root: Root, network: NetworkRecord, container: ContainerRecord, before: Sequence[Attachment]
) -> None:
    """Refuse what cannot be connected (contract NO1, NO2)."""
    if root.store.network(network.id) is None:
        raise NotFound(f"network {network.name!r} has been removed meanwhile")
    if network.is_config_only:
        raise Forbidden(f"network {network.name!r} only holds settings: nothing can be on it")
    if network.is_egress:
        raise Forbidden(f"network {network.name!r} is joined beside overlay networks, and only so")
    if not network.takes_endpoints:
        raise Forbidden(f"network {network.name!r} can only be chosen when a container is created")
    mode = container.spec.mode
    if mode != "networks":
        raise Forbidden(f"container {container.name!r} is in {mode!r} mode and joins no networks")
    if any(each.network.id == network.id for each in before):
        raise Conflict(f"container {container.name!r} is on network {network.name!r} already")


def _next_position(before: list[EndpointRecord]) -> int:
    return max((each.position for each in before), default=-1) + 1
