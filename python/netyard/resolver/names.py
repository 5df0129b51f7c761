"""Names that the name server answers: those of an endpoint, and on which networks. Pure.

From these `netyard.resolver.views` makes the view of one container; zones in the server are
`netyard.agent.zones`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.values.ids import short
from netyard.values.parse import Address

Names = tuple[str, list[str], list[Address]]


def names_of(container: ContainerRecord, endpoint: EndpointRecord) -> Names:
    """An endpoint's id, its names and its addresses; the first name is the one a PTR gives.

    Contract DN4: container name, aliases, short id, host name.
    """
    names = [container.name, *endpoint.aliases, short(container.id), container.hostname]
    unique = list(dict.fromkeys(name for name in names if name))
    return endpoint.id, unique, list(endpoint.addresses)


def search_order(
    endpoints: Iterable[EndpointRecord], networks: Mapping[str, NetworkRecord]
) -> list[str]:
    """Ids of the networks whose names a container resolves, in gateway order (contract DN6)."""
    seen = [(each, networks[each.network_id]) for each in endpoints if each.network_id in networks]
    named = [pair for pair in seen if pair[1].has_name_service]
    in_order = sorted(named, key=lambda pair: pair[1].gateway_rank(pair[0]))
    return [network.id for _, network in in_order]


def forwards(endpoints: Sequence[EndpointRecord], networks: Mapping[str, NetworkRecord]) -> bool:
    """Whether other names are forwarded: not if all networks are internal (contract DN21)."""
    return any(
        not networks[each.network_id].is_internal
        for each in endpoints
        if each.network_id in networks
    )


def keeps_single_labels(options: Iterable[str]) -> bool:
    """Whether the user set ``ndots``, so that single labels are not forwarded (contract DN12)."""
    return any(option.startswith("ndots:") for option in options)
