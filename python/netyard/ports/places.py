"""Where the ports of a container can be published: on which of its endpoints, and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netyard.endpoints.gateways import gateway_endpoints
from netyard.options import bridge as bridge_options
from netyard.options import parent as parent_options
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values import ports
from netyard.values.ports import PortRequest
from netyard.values.spec import ContainerSpec


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
