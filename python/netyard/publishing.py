"""Published ports of running containers: chosen, recorded, put into the firewall, taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from netyard import _core, firewall, kernel, ports
from netyard.errors import Conflict, Invalid, KernelError
from netyard.host import Change, Host
from netyard.options import Address
from netyard.ports import PortRequest
from netyard.spec import ContainerSpec
from netyard.store.records import ContainerRecord, EndpointRecord, Publication
from netyard.store.store import Store

_LAST_PORT = "last-port"


def requests_of(spec: ContainerSpec) -> list[PortRequest]:
    """Everything a container wants published."""
    wanted = [request for text in spec.publish for request in ports.parse_publish(text)]
    if spec.publish_all:
        named = {(request.container_port, request.protocol) for request in wanted}
        for text in spec.expose:
            for port, protocol in ports.parse_expose(text):
                if (port, protocol) not in named:
                    wanted.append(PortRequest(port, protocol, None, (), f"{port}/{protocol}"))
    return wanted


def publish(
    change: Change,
    container: ContainerRecord,
    wanted: Sequence[PortRequest],
    carriers: Mapping[int, EndpointRecord],
) -> list[Publication]:
    """Publish ports on the endpoints that carry a container's default routes (contract PB12).

    Raises:
        PortInUse: if a container or a process of the host has one of them.
        Invalid: if a host address is of a family the container does not have.
        Exhausted: if no host port is free.
    """
    if not wanted or not carriers:
        return []
    store, host = change.store, change.host
    with store.transaction():
        made: list[Publication] = []
        for request in wanted:
            found = _choose(store, container, request, carriers)
            store.add_publications(found)
            made += found
    change.on_failure(lambda: unpublish(host, container.id))
    kernel.apply(host, _tables(host, made, carriers))
    _forget_udp_clients(made)
    return made


def _tables(
    host: Host, made: Sequence[Publication], carriers: Mapping[int, EndpointRecord]
) -> list[tuple[str, str, list[firewall.Step]]]:
    """The steps of a publication, in both tables, as one transaction."""
    table = host.layout.table
    tables = [("inet", table, firewall.add_steps(firewall.publication_elements(made)))]
    looped = [each for each in made if firewall.is_looped(each)]
    carrier = carriers.get(6)
    network = host.store.network(carrier.network_id) if carrier else None
    gateway = network.gateway(6) if network else None
    if looped and carrier and gateway:
        tables.append(("netdev", table, firewall.loop_steps(carrier.host_ifname, gateway, looped)))
    return tables


def unpublish(host: Host, container_id: str, *, forgets_flows: bool = True) -> None:
    """Take a container's published ports back, and forget their connections.

    Args:
        forgets_flows: False if the caller forgets those of the whole address: the kernel looks
            through its whole table for it.
    """
    store = host.store
    gone = store.publications(container_id)
    if not gone:
        return
    with store.transaction():
        store.end_publications(container_id)
    kernel.change_elements(host, delete=firewall.publication_elements(gone))
    _remove_loops(host, {each.endpoint_id for each in gone if firewall.is_looped(each)})
    if forgets_flows:
        _core.flush_flows(_flows(gone))
    with store.transaction():
        store.delete_publications(container_id)


def _remove_loops(host: Host, endpoint_ids: Iterable[str]) -> None:
    """Take out the chains of interfaces; the kernel may have done it with the interface."""
    for endpoint_id in endpoint_ids:
        endpoint = host.store.endpoint(endpoint_id)
        if endpoint is None:
            continue
        chain = endpoint.host_ifname
        steps: list[firewall.Step] = [("flush chain", chain), ("delete chain", chain)]
        try:
            _core.apply_nft([("netdev", host.layout.table, steps)])
        except KernelError:
            continue


def _flows(publications: Iterable[Publication]) -> list[tuple[Address, tuple[int, int] | None]]:
    return [
        (ip_address(each.address), (firewall.PROTOCOLS[each.protocol], each.container_port))
        for each in publications
    ]


def _forget_udp_clients(publications: Iterable[Publication]) -> None:
    """Clients that asked the host's port before it was published would go on doing so (PB11).

    For UDP only: whoever begins a TCP connection begins a new flow.
    """
    udp = [each for each in publications if each.protocol == "udp"]
    if not udp:
        return
    own = [address for _, address, _ in _core.list_addresses()]
    on_host: list[tuple[Address, tuple[int, int] | None]] = [
        (address, (firewall.PROTOCOLS["udp"], each.host_port))
        for each in udp
        for address in own
        if address.version == each.family
    ]
    _core.flush_flows([*_flows(udp), *on_host])


def _choose(
    store: Store,
    container: ContainerRecord,
    request: PortRequest,
    carriers: Mapping[int, EndpointRecord],
) -> list[Publication]:
    """A free host port for a request: one row a family, the same number in both."""
    families = [family for family in ports.families_of(request.host_ip) if family in carriers]
    if not families:
        family = ports.families_of(request.host_ip)[0]
        raise Invalid(
            f"--publish: {request.text!r} is for IPv{family}, and container {container.name!r} has "
            f"no IPv{family} way out",
            field="--publish",
            value=request.text,
            hint="create the network with --ipv6" if 4 in carriers else None,
        )
    host_ip = ports.stored_host_ip(request.host_ip)
    last_given = int(store.read_meta(_LAST_PORT) or 0)
    for port in ports.candidates(request, last_given):
        problem = _problem(store, request, families, host_ip, port)
        if problem is None:
            break
        if len(request.host_ports) == 1:
            raise problem
    else:
        raise ports.exhausted_error(request)
    if not request.host_ports:
        store.write_meta(_LAST_PORT, str(port))
    return [
        Publication(
            family=family,
            protocol=request.protocol,
            host_port=port,
            host_ip=host_ip,
            container_id=container.id,
            endpoint_id=carriers[family].id,
            address=str(carriers[family].address(family)),
            container_port=request.container_port,
        )
        for family in families
    ]


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
                return ports.taken_error(request, shown, port, name)
        reason = ports.probe(family, request.protocol, host_ip, port)
        if reason is None:
            continue
        owner_name = ports.find_owner(request.protocol, port)
        if owner_name or not host_ip:
            return ports.taken_error(request, shown, port, owner_name or f"this host: {reason}")
        return Conflict(f"--publish: {request.text!r}: {shown} cannot be used here: {reason}")
    return None


def same_ports(publications: Iterable[Publication]) -> list[PortRequest]:
    """Requests for exactly the host ports that are in force, to publish them elsewhere."""
    found: dict[tuple[str, int, str, int], PortRequest] = {}
    for each in publications:
        shown = ports.format_side(each.host_ip, each.family, each.host_port)
        text = f"{shown}:{each.container_port}/{each.protocol}"
        host_ip = ip_address(each.host_ip) if each.host_ip else None
        key = (each.protocol, each.host_port, each.host_ip, each.container_port)
        found[key] = PortRequest(
            each.container_port, each.protocol, host_ip, (each.host_port,), text
        )
    return list(found.values())
