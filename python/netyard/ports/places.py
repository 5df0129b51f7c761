"""Where the ports of a container can be published: on which of its endpoints. Pure."""

from collections.abc import Mapping, Sequence

from netyard.options import bridge as bridge_options
from netyard.state.records import Attachment, EndpointRecord
from netyard.values.named import NamedTuple


class Places(NamedTuple):
    """Where a container's ports can be published.

    Attributes:
        translated: By family, the endpoint that carries the default route, if host ports can be
            translated to it (contract PB12).
        routed: Endpoints on routed networks, which open their own ports (contract BO7).
    """

    translated: Mapping[int, Attachment]
    routed: Sequence[tuple[int, EndpointRecord]]

    @classmethod
    def of(cls, attached: Sequence[Attachment], carriers: Mapping[int, Attachment]) -> "Places":
        """Those among these endpoints of a container.

        Args:
            carriers: Which of its endpoints carry its default routes.
        """
        translated: dict[int, Attachment] = {}
        routed: list[tuple[int, EndpointRecord]] = []
        for each in attached:
            endpoint, network = each
            if network.is_internal or not network.bridge:
                continue
            for version in (4, 6):
                if endpoint.address(version) is None:
                    continue
                if bridge_options.mode_of(network.options, version) == "routed":
                    routed.append((version, endpoint))
                elif version in carriers and carriers[version].endpoint.id == endpoint.id:
                    translated[version] = each
        return cls(translated, routed)

    def __bool__(self) -> bool:
        return bool(self.translated or self.routed)
