"""Host ports chosen for what a container wants published, and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from netyard.errors import Conflict, Invalid
from netyard.options import bridge as bridge_options
from netyard.ports import host_ports
from netyard.ports.places import Places
from netyard.state import config
from netyard.state.config import Config
from netyard.state.records import (
    MOST_IN_A_ROW,
    ContainerRecord,
    NetworkRecord,
    PortAccess,
    Publication,
    singly,
)
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values import ports
from netyard.values.ports import PortRequest

_LAST_PORT = "last-port"
# Ports that are sooner tried than looked for among the sockets of the host.
_FEW = 64


def record_ports(
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
        network = next(iter(places.translated.values())).network
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
            endpoint_id=places.translated[family].endpoint.id,
            address=str(places.translated[family].endpoint.address(family)),
            container_port=request.container_port + port - first,
            access=_access(places.translated[family].network, settings),
            length=min(MOST_IN_A_ROW, first + request.length - port),
        )
        for family in families
        for port in range(first, first + request.length, MOST_IN_A_ROW)
    ]


def _host_port(store: Store, request: PortRequest, families: Sequence[int], host_ip: str) -> int:
    """The first host port for one container port that can be had."""
    last_given = 0 if request.host_ports else int(store.read_meta(_LAST_PORT) or 0)
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
    for other in store.publications_at(families, run.protocol, first, count):
        suspect.update(range(other.host_port, other.host_port + other.length))
    for port in sorted(suspect & set(run.host_ports)):
        single = run.part(run.container_port + port - first, 1)
        problem = _problem(store, single, families, host_ip, port)
        if problem is not None:
            raise problem


def _access(network: NetworkRecord, settings: Config) -> PortAccess:
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
        for other in store.publications_at((family,), request.protocol, port):
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
    publications: Sequence[Publication],
    wanted: Sequence[PortRequest],
    pending: Sequence[PortRequest] = (),
) -> list[PortRequest]:
    """Requests for exactly the host ports that are in force, and for what else is wanted.

    To publish them elsewhere.

    Args:
        pending: What of that waits already to be published, and is left out.
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
    named = {(each.container_port, each.protocol) for each in (*found.values(), *pending)}
    others = [
        each for each in ports.singly(wanted) if (each.container_port, each.protocol) not in named
    ]
    return [*found.values(), *others]
