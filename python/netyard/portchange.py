"""Ports of a running container published and taken back, without a restart (wish US1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netyard import _core, lifecycle, ports, publishing
from netyard import endpoint as endpoints
from netyard.errors import Conflict, Invalid, NotFound
from netyard.host import Host
from netyard.ports import PortRequest
from netyard.spec import ContainerSpec
from netyard.store.records import ContainerRecord, EndpointRecord, Publication


def add_ports(host: Host, wanted: str, texts: Sequence[str]) -> list[Publication]:
    """Publish further ports of a container; a stopped one has them when it starts.

    Args:
        texts: As for ``-p``.

    Raises:
        Invalid: for a port that is none, or a container that cannot have its own.
        PortInUse, Exhausted: as they say; then nothing has changed.
        Conflict: if the container runs and has no network that can publish.
    """
    requests = [request for text in texts for request in ports.parse_publish(text)]
    with host.change() as change:
        container = lifecycle.find(host, wanted)
        spec = _spec_of(container)
        made: list[Publication] = []
        if container.state == "running":
            up = [each for each in host.store.endpoints_of(container.id) if each.state == "up"]
            carriers = endpoints.gateway_endpoints(host.store, up)
            places = publishing.Places.of(host.store, up, carriers)
            if not places:
                raise Conflict(
                    f"container {container.name!r} has no network that can publish a port"
                )
            made = publishing.publish(change, container, requests, places)
            _let_hairpin(host, carriers.values())
        _remember(host, container, spec._replace(publish=(*spec.publish, *texts)))
        return made


def remove_ports(host: Host, wanted: str, texts: Sequence[str]) -> None:
    """Take published ports back.

    Args:
        texts: As they were given to ``-p``; without a host's side every publication of the
            container port is meant.

    Raises:
        NotFound: if a port is not published.
    """
    with host.change():
        container = lifecycle.find(host, wanted)
        spec = _spec_of(container)
        published = _Published(spec.publish)
        gone: list[Publication] = []
        for text in texts:
            requests = ports.parse_publish(text)
            matching = [
                publication
                for each in requests
                for publication in host.store.publications_inside(
                    container.id, each.protocol, each.container_port
                )
                if _is_meant(publication, each)
            ]
            was_asked_for = published.take(requests)
            if not matching and not was_asked_for:
                raise NotFound(f"port {text!r} of container {container.name!r} is not published")
            gone += matching
        _remember(host, container, spec._replace(publish=published.texts()))
        if gone:
            publishing.unpublish(host, container.id, gone)


def _spec_of(container: ContainerRecord) -> ContainerSpec:
    spec = ContainerSpec.from_json(container.spec)
    if spec.mode != "networks":
        raise Invalid(
            f"container {container.name!r} is in {spec.mode!r} mode and has no ports of its own"
        )
    return spec


def _remember(host: Host, container: ContainerRecord, spec: ContainerSpec) -> None:
    with host.store.transaction():
        host.store.update_container(container.id, spec=spec.to_json())


def _let_hairpin(host: Host, carriers: Iterable[EndpointRecord]) -> None:
    """A container that had no ports may now ask its own."""
    for endpoint in carriers:
        network = host.store.network(endpoint.network_id)
        if network is not None and network.bridge:
            _core.restore_ports([(endpoint.host_ifname, network.bridge, True)])


class _Published:
    """What a container was asked to publish, by the ports inside: there may be thousands."""

    def __init__(self, texts: Sequence[str]) -> None:
        # Those of one port are found without parsing all; the others are ranges and long forms.
        self._plain: dict[tuple[int, str], list[str]] = {}
        self._others: list[str] = []
        self._put(texts)

    def _put(self, texts: Iterable[str]) -> None:
        for text in texts:
            port, _, protocol = text.rpartition(":")[2].partition("/")
            if port.isdecimal() and "=" not in text:
                inside = (int(port), protocol.lower() or "tcp")
                self._plain.setdefault(inside, []).append(text)
            else:
                self._others.append(text)

    def texts(self) -> tuple[str, ...]:
        """What is left."""
        return (*(text for some in self._plain.values() for text in some), *self._others)

    def take(self, requests: Sequence[PortRequest]) -> bool:
        """Take what these cover out; whether there was any."""
        insides = {(each.container_port, each.protocol) for each in requests}
        before = [text for inside in insides for text in self._plain.pop(inside, ())]
        before += self._others
        after = [rest for text in before for rest in _without(text, requests)]
        self._others = []
        self._put(after)
        return after != before


def _is_meant(publication: Publication, request: PortRequest) -> bool:
    inside = (publication.container_port, publication.protocol)
    if inside != (request.container_port, request.protocol):
        return False
    if publication.access == "routed":
        return True
    if request.host_ports and publication.host_port not in request.host_ports:
        return False
    return request.host_ip is None or publication.host_ip == ports.stored_host_ip(request.host_ip)


def _without(text: str, gone: Sequence[PortRequest]) -> list[str]:
    """What is left of a ``-p`` when some of its ports are taken back."""
    requests = ports.parse_publish(text)
    rest = [each for each in requests if not any(_covers(other, each) for other in gone)]
    if len(rest) == len(requests):
        return [text]
    return [_format(each) for each in rest]


def _covers(gone: PortRequest, each: PortRequest) -> bool:
    if (gone.container_port, gone.protocol) != (each.container_port, each.protocol):
        return False
    if gone.host_ports and each.host_ports and not set(gone.host_ports) & set(each.host_ports):
        return False
    return gone.host_ip is None or gone.host_ip == each.host_ip


def _format(request: PortRequest) -> str:
    shown = str(request.host_ip or "")
    address = f"[{shown}]:" if ":" in shown else f"{shown}:" if shown else ""
    first, last = (request.host_ports or [0])[0], (request.host_ports or [0])[-1]
    host = str(first) if first == last else f"{first}-{last}"
    return f"{address}{host}:{request.container_port}/{request.protocol}"
