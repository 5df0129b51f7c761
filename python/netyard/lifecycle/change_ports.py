"""Ports of a running container published and taken back, without a restart (wish US1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import netyard._core as _core
from netyard.endpoints.gateways import default_routes
from netyard.errors import Conflict, Invalid, NotFound
from netyard.firewall import table as firewall
from netyard.lifecycle.lookup import find_container
from netyard.ports.apply import enforce_ports, forget_udp_clients, withdraw_ports
from netyard.ports.choose import record_ports
from netyard.ports.places import Places
from netyard.state.records import Attachment, ContainerRecord, Publication
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values import ports
from netyard.values.ports import PortRequest
from netyard.values.spec import ContainerSpec


def add_ports(root: Root, wanted: str, texts: Sequence[str]) -> list[Publication]:
    """Publish further ports of a container; a stopped one has them when it starts.

    Args:
        texts: As for ``-p``.

    Raises:
        Invalid: for a port that is none, or a container that cannot have its own.
        PortInUse, Exhausted: as they say; then nothing has changed.
        Conflict: if the container runs and has no network that can publish.
    """
    requests = [each for text in ports.compacted(texts) for each in ports.parse_publish(text)]
    with root.change() as change:
        container = find_container(root, wanted)
        spec = _spec_of(container)
        more = spec._replace(publish=ports.compacted((*spec.publish, *texts)))
        if container.state != "running":
            _remember(root, container, more)
            return []
        carriers, places = _carriers_and_places(root, container)
        if not places:
            raise Conflict(f"container {container.name!r} has no network that can publish a port")
        with root.store.transaction():
            shares = root.store.has_publications(container.id)
            made = record_ports(root, container, requests, places)
            root.store.note_publishing(container.id)
            _remember(root, container, more)
        change.on_failure(lambda: _forget(root, container, spec))
        enforce_ports(change, made, places, shares=shares)
        _let_hairpin(carriers.values())
        root.store.note_publishing(None)
        return made


def _forget(root: Root, container: ContainerRecord, spec: ContainerSpec) -> None:
    with root.store.transaction():
        root.store.note_publishing(None)
        _remember(root, container, spec)


def finish_publishing(root: Root, container_id: str) -> None:
    """Put ports into the firewall that a killed command has recorded: all or none are there."""
    container = root.store.container(container_id)
    if container is not None and container.state == "running":
        carriers, _ = _carriers_and_places(root, container)
        firewall.rebuild_table(root)
        _let_hairpin(carriers.values())
        forget_udp_clients(root, root.store.publications(container_id))
    root.store.note_publishing(None)


def _carriers_and_places(
    root: Root, container: ContainerRecord
) -> tuple[Mapping[int, Attachment], Places]:
    attached = root.store.attachments_of(container.id)
    up = [each for each in attached if each.endpoint.state == "up"]
    carriers = default_routes(up)
    return carriers, Places.of(up, carriers)


def remove_ports(root: Root, wanted: str, texts: Sequence[str]) -> None:
    """Take published ports back.

    Args:
        texts: As they were given to ``-p``; without a host's side every publication of the
            container port is meant.

    Raises:
        NotFound: if a port is not published.
    """
    with root.change():
        container = find_container(root, wanted)
        spec = _spec_of(container)
        published = Published(spec.publish)
        reasons = {
            each.subject: each.reason
            for each in root.store.pending(container.id)
            if each.kind == "port"
        }
        pending = Published(tuple(reasons))
        gone: list[Publication] = []
        for text, requests in _worded(root, container, texts):
            matching = _matching(root, container, requests)
            was_asked_for = published.take(requests)
            pending.take(requests)
            if not matching and not was_asked_for:
                raise NotFound(f"port {text!r} of container {container.name!r} is not published")
            gone += matching
        left = spec._replace(publish=ports.compacted(published.texts()))
        with root.store.transaction():
            _remember(root, container, left)
            if reasons:
                waiting = {subject: reasons[subject] for subject in pending.texts()}
                root.store.set_pending(container.id, "port", waiting)
            ending = root.store.separate(gone)
            root.store.end_publications(ending)
        withdraw_ports(root, ending)


def _worded(
    root: Root, container: ContainerRecord, texts: Sequence[str]
) -> list[tuple[str, list[PortRequest]]]:
    """What is to be taken back; in few words, if all that was named in many is there."""
    few = [(text, ports.parse_publish(text)) for text in ports.compacted(texts)]
    for _, requests in few:
        if len(few) < len(texts):
            found = sum(each.length for each in _matching(root, container, requests))
            if found < sum(each.length for each in requests):
                return [(text, ports.parse_publish(text)) for text in texts]
    return few


def _matching(
    root: Root, container: ContainerRecord, requests: Sequence[PortRequest]
) -> list[Publication]:
    """The publications, or parts of them, that are meant by requests."""
    return [
        part
        for each in requests
        for publication in _candidates(root.store, container, each)
        if (part := _meant(publication, each)) is not None
    ]


def _candidates(
    store: Store, container: ContainerRecord, request: PortRequest
) -> list[Publication]:
    """The publications among which those meant by a request are."""
    inside = (request.protocol, request.container_port, request.length)
    if not request.is_fixed:
        return store.publications_inside(container.id, *inside)
    # By the host's side: thousands of host ports may lead to the same one inside.
    at = (request.protocol, request.host_ports[0], request.length)
    outside = store.publications_at((4, 6), *at)
    own = [each for each in outside if each.container_id == container.id]
    return own + store.routed_publications(container.id, *inside)


def _spec_of(container: ContainerRecord) -> ContainerSpec:
    spec = container.spec
    if spec.mode != "networks":
        raise Invalid(
            f"container {container.name!r} is in {spec.mode!r} mode and has no ports of its own"
        )
    return spec


def _remember(root: Root, container: ContainerRecord, spec: ContainerSpec) -> None:
    root.store.update_container(container.id, spec=spec)


def _let_hairpin(carriers: Iterable[Attachment]) -> None:
    """A container that had no ports may now ask its own."""
    for endpoint, network in carriers:
        if network.bridge:
            _core.restore_ports([(endpoint.host_ifname, network.bridge, True)])


class Published:
    """What a container was asked to publish, by the ports of both sides: there may be thousands."""

    def __init__(self, texts: Sequence[str]) -> None:
        # Those of one port are found without parsing all; the others are ranges and long forms.
        # By the port inside, then by the host's, where there is one and no choice.
        self._plain: dict[tuple[int, str], dict[int | None, list[str]]] = {}
        self._others: list[str] = []
        self._put(texts)

    def _put(self, texts: Iterable[str]) -> None:
        for text in texts:
            outside, _, last = text.rpartition(":")
            port, _, protocol = last.partition("/")
            if port.isdecimal() and "=" not in text:
                inside = (int(port), protocol.lower() or "tcp")
                word = outside.rpartition(":")[2]
                # Port 0 is any.
                outer = int(word) or None if word.isdecimal() else None
                self._plain.setdefault(inside, {}).setdefault(outer, []).append(text)
            else:
                self._others.append(text)

    def texts(self) -> tuple[str, ...]:
        """What is left."""
        plain = (some for by_host in self._plain.values() for some in by_host.values())
        return (*(text for some in plain for text in some), *self._others)

    def _pop(self, request: PortRequest) -> Iterator[str]:
        """Take out what may be meant by a request for one port."""
        by_host = self._plain.get((request.container_port, request.protocol), {})
        chosen = (None, *request.host_ports) if request.host_ports else tuple(by_host)
        for outer in chosen:
            yield from by_host.pop(outer, ())

    def take(self, requests: Sequence[PortRequest]) -> bool:
        """Take what these cover out; whether there was any."""
        before = [text for each in ports.singly(requests) for text in self._pop(each)]
        before += self._others
        after = [rest for text in before for rest in _without(text, requests)]
        self._others = []
        self._put(after)
        return after != before


def _overlap(one: PortRequest | Publication, other: PortRequest) -> tuple[int, int] | None:
    """First and last of the container ports that both are for."""
    if one.protocol != other.protocol:
        return None
    first = max(one.container_port, other.container_port)
    last = min(one.container_port + one.length, other.container_port + other.length) - 1
    return (first, last) if first <= last else None


def _meant(publication: Publication, request: PortRequest) -> Publication | None:
    """The part of a publication that is to be taken back."""
    shared = _overlap(publication, request)
    if shared is None:
        return None
    first, last = shared
    part = publication.part(first, last - first + 1)
    if publication.access == "routed":
        return part
    asked = request.part(first, part.length).host_ports
    if asked and part.host_port not in (asked if part.length == 1 else asked[:1]):
        return None
    is_there = request.host_ip is None or part.host_ip == ports.stored_host_ip(request.host_ip)
    return part if is_there else None


def _without(text: str, gone: Sequence[PortRequest]) -> list[str]:
    """What is left of a ``-p`` when some of its ports are taken back."""
    requests = ports.parse_publish(text)
    rest = requests
    for other in gone:
        rest = [left for each in rest for left in _cut(each, other)]
    return [text] if rest == requests else [each.typed() for each in rest]


def _cut(request: PortRequest, gone: PortRequest) -> list[PortRequest]:
    """What of a request another leaves."""
    shared = _overlap(request, gone)
    if shared is None or gone.host_ip not in (None, request.host_ip):
        return [request]
    first, last = shared
    count = last - first + 1
    hosts, others = request.part(first, count).host_ports, gone.part(first, count).host_ports
    if hosts and others and not _agree(hosts, others, count):
        return [request]
    begun, behind = request.container_port, last + 1
    parts = [(begun, first - begun), (behind, begun + request.length - behind)]
    return [request.part(begin, length) for begin, length in parts if length]


def _agree(hosts: Sequence[int], others: Sequence[int], count: int) -> bool:
    """Whether container ports in a row are at the same host ports by two requests.

    Of one port that has a choice any may be meant.
    """
    return hosts[0] == others[0] if count > 1 else not set(hosts).isdisjoint(others)
