"""Networks made and removed, here and for all hosts of a cluster."""

from __future__ import annotations

from netyard.drivers.registry import note
from netyard.errors import Conflict, DriverError, Forbidden, NameInUse
from netyard.ipc import agent, cluster
from netyard.networks import devices
from netyard.networks.planning import SCOPES, plan_network
from netyard.state import events
from netyard.state.records import NetworkRecord
from netyard.state.root import Change, Root
from netyard.values.spec import NetworkSpec

# How often a shared network is planned anew when other hosts are quicker.
_TRIES = 20


def create_network(change: Change, spec: NetworkSpec) -> NetworkRecord:
    """Make a network.

    Raises:
        NetyardError: what keeps it from being made; see `netyard.api.network.Network.create`.
    """
    if SCOPES.get(spec.driver) == "global" and not spec.is_config_only:
        return _make_shared(change, spec)
    record = plan_network(change.root, spec)
    _make(change, record)
    return record._replace(state="ready")


def _make(change: Change, record: NetworkRecord) -> None:
    root, store = change.root, change.store
    with store.transaction():
        _check_name_free(root, record)
        store.add_network(record)
    change.on_failure(lambda: devices.undo(root, record))
    devices.make_in_kernel(root, record)
    with store.transaction():
        store.set_network_state(record.id, "ready")
        events.network_event(store, "create", record)


def _make_shared(change: Change, spec: NetworkSpec) -> NetworkRecord:
    """Make a network known to all hosts; each makes its own part when a container needs it.

    Where subnet and VNI are chosen, another host may choose them at the same time: then again.
    """
    root = change.root
    for attempts_left in reversed(range(_TRIES)):
        record = plan_network(root, spec)._replace(state="planned")
        _check_name_free(root, record)
        try:
            cluster.add_network(root, record)
            break
        except NameInUse:
            raise
        except Conflict:
            if not attempts_left:
                raise
    change.on_failure(lambda: cluster.remove_network(root, record))
    with root.store.transaction():
        root.store.add_network(record)
        events.network_event(root.store, "create", record)
    return record


def _check_name_free(root: Root, record: NetworkRecord) -> None:
    if root.store.has_network_named(record.name):
        raise NameInUse(f"a network named {record.name!r} exists", holder=record.name)


def remove_network(change: Change, record: NetworkRecord, *, forced: bool = False) -> None:
    """Take a network away that nothing is on.

    Args:
        forced: If its driver package is missing or fails, forget the network all the same.

    Raises:
        Forbidden, Conflict: as they say.
        DriverError: if its driver package is missing or fails.
    """
    root = change.root
    if record.is_builtin:
        raise Forbidden(f"network {record.name!r} is built in and cannot be removed")
    _check_unused_settings(root, record)
    users = [
        owner.name
        for endpoint in root.store.endpoints_on(record.id)
        if (owner := root.store.container(endpoint.container_id))
    ]
    if users:
        raise Conflict(
            f"network {record.name!r} is used by containers {', '.join(sorted(users))}",
            holder=", ".join(sorted(users)),
            hint="remove or disconnect them first",
        )
    if record.spans_hosts:
        cluster.remove_network(root, record)
        devices.forget(root, record)
    else:
        _discard(root, record, forced=forced)
    events.network_event(root.store, "destroy", record)
    change.afterwards(lambda: agent.forget_network(root.layout, record.id))


def _discard(root: Root, record: NetworkRecord, *, forced: bool) -> None:
    try:
        devices.discard(root, record)
    except DriverError as error:
        if not forced:
            raise
        note(error)
        devices.abandon(root, record)


def _check_unused_settings(root: Root, record: NetworkRecord) -> None:
    """Settings other networks were made from stay (contract NC16)."""
    if not record.is_config_only:
        return
    made = [each.name for each in root.store.networks() if each.config_from == record.name]
    if made:
        raise Forbidden(
            f"network {record.name!r} holds the settings of {', '.join(made)}",
            hint="remove those first",
        )
