"""Containers in the store: recorded with their endpoints, named, undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netyard.endpoints.plan import plan_endpoint
from netyard.errors import Conflict, Exhausted, Forbidden, Invalid, NameInUse
from netyard.lifecycle.lookup import find_container
from netyard.lifecycle.stop import discard_container
from netyard.lifecycle.validate import disables_ipv6
from netyard.networks import egress
from netyard.networks.lookup import ensure_builtin_networks, find_network
from netyard.runtime import cgroup
from netyard.state import events
from netyard.state.random_ids import new_id
from netyard.state.records import ContainerRecord, NetworkRecord
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values import clock
from netyard.values.parse import parse_name
from netyard.values.spec import ContainerSpec, JoinRequest

if TYPE_CHECKING:
    from netyard.values.user_ids import IdMap

_NAME_SHORTEST = 2
_NAME_TRIES = 50


def make_container(
    change: Change, name: str | None, spec: ContainerSpec, target: str
) -> ContainerRecord:
    """Record a container and its endpoints, which have addresses from now on."""
    root, store = change.root, change.store
    cgroup.check(spec)
    ensure_builtin_networks(root)
    donor = _find_donor(root, target) if spec.mode == "container" else None
    ids = _choose_ids(store, spec, donor)
    networks = [find_network(root, request.network) for request in spec.networks]
    record = ContainerRecord(
        id=new_id(),
        name=_choose_name(root, name),
        kind="run" if spec.command else "adopted",
        created=clock.now(),
        spec_json=spec.to_json(),
        donor_id=donor.id if donor else None,
        state="created",
        ids_json=ids.to_json() if ids else "",
    )
    with store.transaction():
        store.add_container(record)
        for position, (network, request) in enumerate(zip(networks, spec.networks, strict=True)):
            if network.is_config_only:
                raise Forbidden(f"--network: {network.name!r} only holds settings")
            if not network.takes_endpoints:
                raise Invalid(f"--network: {network.name!r} cannot be joined with others")
            if network.is_egress:
                raise Forbidden(f"--network: {network.name!r} is joined beside overlay networks")
            _plan(change, network, record, request, spec, position)
        planned = store.attachments_of(record.id)
        if egress.is_needed(planned):
            network = egress.ensure_network(root)
            request = JoinRequest(network=network.id)
            _plan(change, network, record, request, spec, len(planned))
        events.container_event(store, "create", record)
    change.on_failure(lambda: _unmake(root, record.id))
    return record


def _choose_ids(store: Store, spec: ContainerSpec, donor: ContainerRecord | None) -> IdMap | None:
    """The ids of a container; ``None`` if they are the host's."""
    if not spec.has_own_ids and (donor is None or not donor.ids_json):
        return None
    # Few have their own, and this module is on the way of each `run`.
    from netyard.lifecycle.user_ranges import choose_ids

    return choose_ids(store, spec, donor)


def _plan(
    change: Change,
    network: NetworkRecord,
    container: ContainerRecord,
    request: JoinRequest,
    spec: ContainerSpec,
    position: int,
) -> None:
    present = change.store.endpoints_of(container.id)
    has_ipv6 = not network.is_egress or egress.has_ipv6(present)
    plan_endpoint(
        change,
        network,
        container,
        request,
        position,
        taken=[each.ifname for each in present],
        without_ipv6=disables_ipv6(spec.sysctls) or not has_ipv6,
    )


def _unmake(root: Root, container_id: str) -> None:
    left = root.store.container(container_id)
    if left is not None:
        discard_container(root, left)


def _find_donor(root: Root, target: str) -> ContainerRecord:
    donor = find_container(root, target)
    if donor.state != "running":
        raise Conflict(
            f"--network: container {donor.name!r}, whose network is to be shared, is not running"
        )
    # Sharing with one that shares means sharing with the owner.
    return (root.store.container(donor.donor_id) if donor.donor_id else None) or donor


def check_container_name(root: Root, name: str) -> None:
    """Refuse a name that is none or that another container has."""
    parse_name("--name", name, shortest=_NAME_SHORTEST)
    if any(each.name == name for each in root.store.find_container(name)):
        raise NameInUse(f"--name: a container named {name!r} exists", holder=name)


def _choose_name(root: Root, name: str | None) -> str:
    if name is not None:
        check_container_name(root, name)
        return name
    from netyard.lifecycle.random_name import random_name

    for _ in range(_NAME_TRIES):
        candidate = random_name()
        if not root.store.find_container(candidate):
            return candidate
    raise Exhausted("no generated container name is free", hint="give one with --name")
