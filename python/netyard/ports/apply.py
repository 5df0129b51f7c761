"""Published ports in the firewall: put in, taken out, their connections forgotten."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import netyard._core as _core
from netyard.errors import KernelError
from netyard.firewall import conntrack
from netyard.firewall import table as firewall
from netyard.firewall.elements import (
    PROTOCOLS,
    elements_without,
    publication_elements,
    steps_to_add,
)
from netyard.firewall.loopback6 import is_looped, loop_steps
from netyard.firewall.steps import DeleteChain, FlushChain, Step
from netyard.ports.choose import record_ports
from netyard.ports.places import Places
from netyard.state.records import ContainerRecord, PendingStep, Publication
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values.parse import Address
from netyard.values.ports import PortRequest


def publish_ports(
    change: Change, container: ContainerRecord, wanted: Sequence[PortRequest], places: Places
) -> list[Publication]:
    """Publish ports.

    Raises:
        PortInUse: if a container or a process of the host has one of them.
        Invalid: if a host address is of a family the container does not have.
        Exhausted: if no host port is free.
    """
    if not wanted or not places:
        return []
    with change.store.transaction():
        is_first = not change.store.has_publications(container.id)
        made = record_ports(change.root, container, wanted, places)
    enforce_ports(change, made, places, shares=not is_first)
    return made


def enforce_ports(
    change: Change, made: Sequence[Publication], places: Places, *, shares: bool = True
) -> None:
    """Put what is recorded into the firewall, of one container.

    Args:
        shares: The container may have published other ports, which share elements with these.
    """
    if not made:
        return
    root, container_id = change.root, made[0].container_id
    change.on_failure(lambda: unpublish_ports(root, container_id, made))
    before = _sharing(change.store, container_id, made) if shares else []
    firewall.apply(root, _tables(root, made, before, places))
    forget_udp_clients(root, made)


def _sharing(store: Store, container_id: str, some: Sequence[Publication]) -> Sequence[Publication]:
    """Other ports of a container that elements of these may be shared with.

    Those that lead to the same ports, and one for each address they lead to, if there is one.
    """
    keys = {_key(each) for each in some}
    # Thousands of host ports may lead to the same one.
    insides = {
        (each.protocol, each.container_port, each.length) for each in some if each.access != "nat"
    }
    others = [
        other for inside in insides for other in store.publications_inside(container_id, *inside)
    ]
    for address, count in Counter(each.address for each in some).items():
        # One more than these: if there is another it is among so many.
        others += store.publications_to(container_id, address, count + 1)
    return [each for each in others if _key(each) not in keys]


def _tables(
    root: Root, made: Sequence[Publication], before: Sequence[Publication], places: Places
) -> list[tuple[str, str, list[Step]]]:
    """The steps of a publication, in both tables, as one transaction.

    Args:
        before: What the container has published already: some elements are shared by its ports.
    """
    table = root.layout.table
    elements = elements_without(publication_elements(made), publication_elements(before))
    tables = [("inet", table, steps_to_add(elements))]
    looped = [each for each in made if is_looped(each)]
    if looped and 6 in places.translated:
        endpoint, network = places.translated[6]
        gateway = network.gateway(6)
        if gateway is not None:
            steps = loop_steps(endpoint.host_ifname, gateway, looped)
            tables.append(("netdev", table, steps))
    return tables


def unpublish_ports(
    root: Root,
    container_id: str,
    gone: Sequence[Publication] | None = None,
    *,
    forgets_flows: bool = True,
) -> None:
    """Take published ports of a container back, and forget their connections.

    Args:
        gone: Which, or parts of which; all of them if not given.
        forgets_flows: False if the caller forgets those of the whole address: the kernel looks
            through its whole table for it.
    """
    store = root.store
    with store.transaction():
        # All of them are whole.
        ending = store.publications(container_id) if gone is None else store.separate(gone)
        store.end_publications(ending)
    withdraw_ports(root, ending, shares=gone is not None, forgets_flows=forgets_flows)


def withdraw_ports(
    root: Root,
    ending: Sequence[Publication],
    *,
    shares: bool = True,
    forgets_flows: bool = True,
) -> None:
    """Take what is recorded as ending out of the firewall, of one container; see `unpublish_ports`.

    Args:
        shares: The container may have other ports, which share elements with these.
    """
    if not ending:
        return
    store, container_id = root.store, ending[0].container_id
    # Elements are shared by ports of one container: they go with the last that needs them.
    sharing = _sharing(store, container_id, ending) if shares else []
    elements = elements_without(publication_elements(ending), publication_elements(sharing))
    firewall.change_elements(root, delete=elements)
    looped = {each.endpoint_id for each in ending if is_looped(each)}
    rest = (
        [each for each in store.publications(container_id) if not each.is_ending] if looped else []
    )
    for endpoint_id in looped:
        _reset_loops(root, endpoint_id, [each for each in rest if each.endpoint_id == endpoint_id])
    if forgets_flows:
        _core.flush_flows(_flows(ending))
    with store.transaction():
        store.delete_publications(ending)


def put_back_ports(
    root: Root, container_id: str, before: Sequence[Publication], pending: Sequence[PendingStep]
) -> None:
    """Publish exactly what was, of a container whose ports could not be moved.

    Args:
        pending: What waited to be published, and does so again.
    """
    store = root.store
    with store.transaction():
        waiting = {each.subject: each.reason for each in pending if each.kind == "port"}
        store.set_pending(container_id, "port", waiting)
        store.delete_publications(store.publications(container_id))
        store.add_publications(each._replace(is_ending=False) for each in before)
        # Should the kernel refuse again, the next command goes on from here.
        store.note_publishing(container_id)
    firewall.rebuild_table(root)
    store.note_publishing(None)


def _key(each: Publication) -> tuple[object, ...]:
    inside = (each.address, each.container_port)
    return (each.family, each.protocol, each.host_port, each.host_ip, *inside)


def _reset_loops(root: Root, endpoint_id: str, rest: Sequence[Publication]) -> None:
    """Leave an interface only the rules of what is left; without any, no chain.

    The kernel may have taken the chain away with the interface.
    """
    endpoint = root.store.endpoint(endpoint_id)
    if endpoint is None:
        return
    chain = endpoint.host_ifname
    steps: list[Step] = [FlushChain(chain)]
    looped = [each for each in rest if is_looped(each)]
    gateway = root.store.attachment(endpoint).network.gateway(6)
    if looped and gateway is not None:
        steps += loop_steps(chain, gateway, looped)
    else:
        steps.append(DeleteChain(chain))
    try:
        _core.apply_nft([("netdev", root.layout.table, steps)])
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise


_Flow = tuple[Address, tuple[int, int, int] | None]


def _flows(publications: Iterable[Publication]) -> list[_Flow]:
    return [
        (ip_address(each.address), _numbers(each, each.container_port)) for each in publications
    ]


def _numbers(each: Publication, first: int) -> tuple[int, int, int]:
    """Protocol, first and last port."""
    return PROTOCOLS[each.protocol], first, first + each.length - 1


def forget_udp_clients(root: Root, publications: Iterable[Publication]) -> None:
    """Clients that reached another server at the host's port before would go on doing so (PB11).

    For UDP only: whoever begins a TCP connection begins a new flow.
    """
    udp = [each for each in publications if each.protocol == "udp"]
    if not udp:
        return
    conntrack.forget(root.layout)
    own = [address for _, address, _ in _core.list_addresses()]
    on_host: list[_Flow] = [
        (address, _numbers(each, each.host_port))
        for each in udp
        for address in own
        if address.version == each.family
    ]
    _core.flush_flows([*_flows(udp), *on_host])
