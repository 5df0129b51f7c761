"""Published ports of running containers: chosen, recorded, put into the firewall, taken out."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from netyard import _core
from netyard.endpoints.gateways import gateway_endpoints
from netyard.errors import Conflict, Invalid, KernelError
from netyard.firewall import conntrack
from netyard.firewall import table as firewall
from netyard.firewall.elements import (
    PROTOCOLS,
    elements_without,
    publication_elements,
    steps_to_add,
)
from netyard.firewall.loopback6 import is_looped, loop_steps
from netyard.firewall.statements import Step
from netyard.options import bridge as bridge_options
from netyard.options import parent as parent_options
from netyard.ports import host_ports
from netyard.state import config
from netyard.state.config import Config
from netyard.state.records import (
    MOST_IN_A_ROW,
    ContainerRecord,
    EndpointRecord,
    NetworkRecord,
    Publication,
    singly,
)
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values import ports
from netyard.values.parse import Address
from netyard.values.ports import PortRequest
from netyard.values.spec import ContainerSpec

_LAST_PORT = "last-port"
# Ports that are sooner tried than looked for among the sockets of the host.
_FEW = 64


def requests_of(spec: ContainerSpec) -> list[PortRequest]:
    """Everything a container wants published."""
    wanted = [request for text in spec.publish for request in ports.parse_publish(text)]
    if spec.publish_all:
        named = {(each.container_port, each.protocol) for each in ports.singly(wanted)}
        for text in spec.expose:
            for port, protocol in ports.parse_expose(text):
                if (port, protocol) not in named:
                    wanted.append(PortRequest(port, protocol, None, (), f"{port}/{protocol}"))
    return wanted


class Places(NamedTuple):
    """Where a container's ports can be published.

    Attributes:
        translated: By family, the endpoint that carries the default route, and its network, if
            host ports can be translated to it (contract PB12).
        routed: Endpoints on routed networks, which open their own ports (contract BO7).
    """

    translated: Mapping[int, tuple[EndpointRecord, NetworkRecord]]
    routed: Sequence[tuple[int, EndpointRecord]]

    @classmethod
    def of(
        cls,
        store: Store,
        endpoints: Sequence[EndpointRecord],
        carriers: Mapping[int, EndpointRecord],
    ) -> Places:
        """Those among these endpoints."""
        translated: dict[int, tuple[EndpointRecord, NetworkRecord]] = {}
        routed: list[tuple[int, EndpointRecord]] = []
        for endpoint in endpoints:
            network = store.network(endpoint.network_id)
            if network is None or network.is_internal or not network.bridge:
                continue
            for version in (4, 6):
                if endpoint.address(version) is None:
                    continue
                if bridge_options.mode_of(network.options, version) == "routed":
                    routed.append((version, endpoint))
                elif version in carriers and carriers[version].id == endpoint.id:
                    translated[version] = (endpoint, network)
        return cls(translated, routed)

    def __bool__(self) -> bool:
        return bool(self.translated or self.routed)


def why_unpublished(root: Root, container: ContainerRecord) -> str | None:
    """Why a container can have none of the ports it wants, as a sentence (MV5, PB12)."""
    spec = ContainerSpec.from_json(container.spec)
    attached = root.store.endpoints_of(container.id)
    if spec.mode != "networks" or not requests_of(spec):
        return None
    if Places.of(root.store, attached, gateway_endpoints(root.store, attached)):
        return None
    for endpoint in attached:
        network = root.store.network(endpoint.network_id)
        if network is not None and network.driver in parent_options.KINDS:
            own = " and ".join(map(str, endpoint.addresses)) or "its own address"
            return (
                f"no port is published: on {network.driver} network {network.name!r} the "
                f"container is on the wire itself, and its ports are reached at {own}"
            )
    return "no port is published: the container has no network with a way out"


def publish(
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
        made = record(change.root, container, wanted, places)
    enforce(change, made, places, shares=not is_first)
    return made


def record(
    root: Root, container: ContainerRecord, wanted: Sequence[PortRequest], places: Places
) -> list[Publication]:
    """Choose host ports and record them, in a transaction of the caller's; see `publish`."""
    settings = config.load(root.layout.root)
    made: list[Publication] = []
    for request in ports.joined(wanted):
        found = _choose(root.store, container, request, places, settings)
        root.store.add_publications(found)
        made += found
    return made


def enforce(
    change: Change, made: Sequence[Publication], places: Places, *, shares: bool = True
) -> None:
    """Put what is recorded into the firewall, of one container.

    Args:
        shares: The container may have published other ports, which share elements with these.
    """
    if not made:
        return
    root, container_id = change.root, made[0].container_id
    change.on_failure(lambda: unpublish(root, container_id, made))
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


def unpublish(
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
    withdraw(root, ending, shares=gone is not None, forgets_flows=forgets_flows)


def withdraw(
    root: Root,
    ending: Sequence[Publication],
    *,
    shares: bool = True,
    forgets_flows: bool = True,
) -> None:
    """Take what is recorded as ending out of the firewall, of one container; see `unpublish`.

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


def put_back(root: Root, container_id: str, before: Sequence[Publication]) -> None:
    """Publish exactly what was, of a container whose ports could not be moved."""
    store = root.store
    with store.transaction():
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
    steps: list[Step] = [("flush chain", chain)]
    looped = [each for each in rest if is_looped(each)]
    network = root.store.network(endpoint.network_id)
    gateway = network.gateway(6) if network else None
    if looped and gateway is not None:
        steps += loop_steps(chain, gateway, looped)
    else:
        steps.append(("delete chain", chain))
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
    """Clients that asked somebody else at the host's port before would go on doing so (PB11).

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


def _choose(
    store: Store,
    container: ContainerRecord,
    request: PortRequest,
    places: Places,
    settings: Config,
) -> list[Publication]:
    """Host ports for one request, and what it opens on routed networks."""
    # Several host ports may lead to the same routed port, which is opened once.
    are_open = {
        (each.address, each.container_port)
        for each in store.routed_publications(
            container.id, request.protocol, request.container_port, request.length
        )
    }
    opened = [
        Publication(
            family=version,
            protocol=request.protocol,
            host_port=0,
            host_ip="",
            container_id=container.id,
            endpoint_id=endpoint.id,
            address=str(endpoint.address(version)),
            container_port=each.container_port,
            access="routed",
        )
        for version, endpoint in places.routed
        for each in ports.singly([request])
        if (str(endpoint.address(version)), each.container_port) not in are_open
    ]
    if request.protocol == "sctp" and places.translated:
        host_ports.check_sctp(request)
    return opened + _choose_translated(store, container, request, places, settings)


def _choose_translated(
    store: Store,
    container: ContainerRecord,
    request: PortRequest,
    places: Places,
    settings: Config,
) -> list[Publication]:
    wanted_ip = request.host_ip
    if wanted_ip is None and places.translated:
        network = next(iter(places.translated.values()))[1]
        wanted_ip = bridge_options.binding_of(network.options)
    families = [family for family in ports.families_of(wanted_ip) if family in places.translated]
    if not families:
        if places.routed:
            return []
        family = ports.families_of(wanted_ip)[0]
        raise Invalid(
            f"--publish: {request.shown!r} is for IPv{family}, and container {container.name!r} "
            f"has no IPv{family} way out",
            field="--publish",
            value=request.shown,
            hint="create the network with --ipv6" if 4 in places.translated else None,
        )
    host_ip = ports.stored_host_ip(wanted_ip)
    if request.length == 1:
        first = _host_port(store, request, families, host_ip)
    else:
        first = request.host_ports[0]
        _check_run(store, request, families, host_ip)
    return [
        Publication(
            family=family,
            protocol=request.protocol,
            host_port=port,
            host_ip=host_ip,
            container_id=container.id,
            endpoint_id=places.translated[family][0].id,
            address=str(places.translated[family][0].address(family)),
            container_port=request.container_port + port - first,
            access=_access(places.translated[family][1], settings),
            length=min(MOST_IN_A_ROW, first + request.length - port),
        )
        for family in families
        for port in range(first, first + request.length, MOST_IN_A_ROW)
    ]


def _host_port(store: Store, request: PortRequest, families: Sequence[int], host_ip: str) -> int:
    """The first host port for one container port that can be had."""
    last_given = int(store.read_meta(_LAST_PORT) or 0)
    for port in host_ports.candidates(request, last_given):
        problem = _problem(store, request, families, host_ip, port)
        if problem is None:
            break
        if len(request.host_ports) == 1:
            raise problem
    else:
        raise host_ports.exhausted_error(request)
    if not request.host_ports:
        store.write_meta(_LAST_PORT, str(port))
    return port


def _check_run(store: Store, run: PortRequest, families: Sequence[int], host_ip: str) -> None:
    """Refuse host ports in a row of which one cannot be had: of many, some are tried."""
    first, count = run.host_ports[0], run.length
    if count <= _FEW or run.protocol == "sctp":
        suspect = set(run.host_ports)
    else:
        suspect = {first} | host_ports.held(run.protocol) & set(run.host_ports)
    for family in families:
        for other in store.publications_at(family, run.protocol, first, count):
            suspect.update(range(other.host_port, other.host_port + other.length))
    for port in sorted(suspect & set(run.host_ports)):
        single = run.part(run.container_port + port - first, 1)
        problem = _problem(store, single, families, host_ip, port)
        if problem is not None:
            raise problem


def _access(network: NetworkRecord, settings: Config) -> str:
    """Who may ask the container's address directly (contract BO10, BO14)."""
    if settings.allows_direct_routing:
        return "direct"
    return "trusted" if bridge_options.trusted_of(network.options) else "nat"


def _problem(
    store: Store, request: PortRequest, families: Sequence[int], host_ip: str, port: int
) -> Conflict | None:
    """Why a host port cannot be had."""
    for family in families:
        shown = host_ip or ("0.0.0.0" if family == 4 else "::")
        for other in store.publications_at(family, request.protocol, port):
            if not host_ip or not other.host_ip or host_ip == other.host_ip:
                owner = store.container(other.container_id)
                name = f"container {owner.name!r}" if owner else "another container"
                return host_ports.taken_error(request, shown, port, name)
        reason = host_ports.probe(family, request.protocol, host_ip, port)
        if reason is None:
            continue
        owner_name = host_ports.find_owner(request.protocol, port)
        if owner_name or not host_ip:
            holder = owner_name or f"this host: {reason}"
            return host_ports.taken_error(request, shown, port, holder)
        return Conflict(f"--publish: {request.shown!r}: {shown} cannot be used here: {reason}")
    return None


def same_ports(
    publications: Sequence[Publication], wanted: Sequence[PortRequest]
) -> list[PortRequest]:
    """Requests for exactly the host ports that are in force, and for what else is wanted.

    To publish them elsewhere.
    """
    found: dict[tuple[str, int, str, int], PortRequest] = {}
    for each in singly(publications):
        if each.access == "routed":
            continue
        shown = ports.format_side(each.host_ip, each.family, each.host_port)
        text = f"{shown}:{each.container_port}/{each.protocol}"
        host_ip = ip_address(each.host_ip) if each.host_ip else None
        key = (each.protocol, each.host_port, each.host_ip, each.container_port)
        found[key] = PortRequest(
            each.container_port, each.protocol, host_ip, (each.host_port,), text
        )
    named = {(each.container_port, each.protocol) for each in found.values()}
    others = [
        each for each in ports.singly(wanted) if (each.container_port, each.protocol) not in named
    ]
    return [*found.values(), *others]
