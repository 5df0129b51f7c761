"""Endpoints taken out of the kernel, of living and of dying namespaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import netyard._core as _core
from netyard.drivers.registry import driver_of, forgiving, note
from netyard.errors import DriverError
from netyard.firewall import conntrack
from netyard.firewall import table as firewall
from netyard.ipc import agent
from netyard.state.random_ids import new_host_ifname
from netyard.state.records import Attachment, EndpointRecord, NetworkRecord
from netyard.state.root import Root

Action = Callable[[], object]


def detach_endpoints(root: Root, attached: Sequence[Attachment]) -> None:
    """Take endpoints out of the kernel, and record that they are down.

    A driver package that is missing or fails is passed over: what goes must be able to go.
    """
    try:
        take_out_endpoints(root, attached)
    except DriverError as error:
        note(error)
        firewall.release(root, attached)
    _record_down(root, attached)


def take_out_endpoints(
    root: Root, attached: Sequence[Attachment], *, meanwhile: Action = lambda: None
) -> None:
    """Take endpoints out of the kernel; they stay recorded as being on their way out.

    Args:
        meanwhile: Called once that is recorded: what can go on beside the kernel's work.

    Raises:
        DriverError: if a driver package is missing or fails, after all others have done their part.
    """
    ids = [each.endpoint.id for each in attached]
    with root.store.transaction():
        root.store.set_endpoint_states(ids, "detaching")
    meanwhile()
    _give_back_leases(root, attached)
    stay: set[str] = set()
    failures: list[DriverError] = []
    for network, some in _by_network(attached):
        try:
            driver_of(network).detach(network, some, root.layout.namespaces)
        except DriverError as error:
            failures.append(error)
            stay |= {endpoint.id for endpoint in some}
    gone = [each for each in attached if each.endpoint.id not in stay]
    firewall.release(root, gone)
    _leave_to_tidy(root, gone)
    for other in failures[1:]:
        note(other)
    if failures:
        raise failures[0]


def set_down_endpoints(root: Root, attached: Sequence[Attachment]) -> None:
    """Record that endpoints are down, under a new name for the next time.

    For a namespace that has just died: the kernel takes the interfaces away in the background,
    with the help of a driver package or without it.
    """
    _give_back_leases(root, attached)
    for network, some in _by_network(attached):
        with forgiving():
            driver_of(network).let_go(network, some, root.layout.namespaces)
    firewall.release(root, attached)
    _leave_to_tidy(root, attached)
    _record_down(root, attached)


def _by_network(
    attached: Sequence[Attachment],
) -> Iterator[tuple[NetworkRecord, list[EndpointRecord]]]:
    found: dict[str, tuple[NetworkRecord, list[EndpointRecord]]] = {}
    for endpoint, network in attached:
        found.setdefault(network.id, (network, []))[1].append(endpoint)
    yield from found.values()


def _leave_to_tidy(root: Root, attached: Sequence[Attachment]) -> None:
    conntrack.leave(root.layout, [each.endpoint for each in attached])
    agent.tidy(root.layout)


def _give_back_leases(root: Root, attached: Sequence[Attachment]) -> None:
    """Have the agent release what a DHCP server granted, while the interface is there for it."""
    leased = [each.endpoint.id for each in attached if each.network.leases_addresses]
    if leased:
        agent.release_leases(root.layout, leased)
        with root.store.transaction():
            for endpoint_id in leased:
                root.store.update_endpoint(endpoint_id, ip4="", lease=None)


def _record_down(root: Root, attached: Sequence[Attachment]) -> None:
    with root.store.transaction():
        for endpoint, _ in attached:
            root.store.update_endpoint(endpoint.id, state="down", host_ifname=new_host_ifname())


def flush_flows_of(endpoints: Iterable[EndpointRecord]) -> None:
    """Forget connections of addresses that a running container has no longer, at once."""
    found = [(address, None) for each in endpoints for address in each.addresses]
    if found:
        _core.flush_flows(found)
