"""The view of one container: from which networks, links and upstream servers it gets answers. Pure.

Which names an endpoint has is `netyard.resolver.names`; listening in the container's namespace and
answering are the agent's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from netyard.resolver import names
from netyard.resolver.files import ResolvConf, upstreams_of
from netyard.state.config import Config
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.values.parse import Address
from netyard.values.spec import ContainerSpec


class View(NamedTuple):
    """How questions of one container are answered, as `netyard._core` takes it.

    Attributes:
        networks: Ids of the networks whose names it resolves; the first that has a name counts.
        upstreams: Address, zone and port of servers for other names; empty for the host's, ``None``
            if other names are not forwarded.
        keeps_single_labels: Names without a dot are not forwarded.
        links: Network id, alias, and name of the container that the alias means.
    """

    networks: list[str]
    upstreams: list[tuple[Address, str, int]] | None
    keeps_single_labels: bool
    ttl_seconds: int
    links: list[tuple[str, str, str]]


#: For a container that is on no network with names: no name is answered or forwarded.
EMPTY = View([], None, keeps_single_labels=False, ttl_seconds=0, links=[])


def view_of(
    spec: ContainerSpec,
    settings: Config,
    host: ResolvConf,
    attached: Sequence[EndpointRecord],
    networks: Mapping[str, NetworkRecord],
    name_of: Callable[[str], str],
) -> View:
    """The view of a container (contract DN6, DN12, DN21).

    Args:
        host: The host's resolv.conf.
        attached: The container's endpoints.
        networks: The networks that these are on, by id.
        name_of: The name of a link's target, which may be given by id.
    """
    upstreams: list[tuple[Address, str, int]] | None = upstreams_of(spec.dns or settings.dns)
    if not (spec.dns or settings.dns) and not names.forwards(attached, networks):
        upstreams = None
    return View(
        networks=names.search_order(attached, networks),
        upstreams=upstreams,
        keeps_single_labels=names.keeps_single_labels(
            spec.dns_options or settings.dns_options or host.options
        ),
        ttl_seconds=settings.dns_ttl_seconds,
        links=[
            (each.network_id, alias, name_of(target))
            for each in attached
            for target, alias in each.links
        ],
    )
