"""Networks and containers found by filter, and unused networks removed."""

from __future__ import annotations

from collections.abc import Sequence

from netyard.drivers.registry import forgiving
from netyard.errors import Conflict, Invalid, NetyardError
from netyard.networks.lookup import find_network, list_networks
from netyard.state.records import ContainerRecord, ContainerState, NetworkRecord, singly
from netyard.state.root import Root
from netyard.values import ports
from netyard.values.filters import Filters, Test, boolean, has_label, matches, one_of, parse_moment

STATES: tuple[ContainerState, ...] = ("created", "running", "exited")


def select_networks(
    root: Root, networks: Sequence[NetworkRecord], filters: Sequence[str]
) -> list[NetworkRecord]:
    """Networks that fit (contract NL2).

    Raises:
        Invalid: for a filter that is none.
    """
    tests: dict[str, Test[NetworkRecord]] = {
        "driver": lambda network, value: network.shown_driver == value,
        "scope": lambda network, value: value == network.scope,
        "id": lambda network, value: matches(network.id, value),
        "name": lambda network, value: matches(network.name, value),
        "label": lambda network, value: has_label(network.labels, value),
        "type": lambda network, value: (
            network.is_builtin == (one_of(value, "builtin", "custom") == "builtin")
        ),
        "dangling": lambda network, value: (
            not network.is_builtin and boolean(value) != _is_used(root, network)
        ),
    }
    wanted = Filters(filters, tests)
    if len(wanted.values("dangling")) > 1:
        raise Invalid("--filter: dangling can be given once", field="--filter")
    return [each for each in networks if wanted.match(each)]


def _is_used(root: Root, network: NetworkRecord) -> bool:
    if network.is_config_only:
        return any(other.config_from == network.name for other in root.store.networks())
    return bool(root.store.endpoints_on(network.id))


def prune_networks(root: Root, filters: Sequence[str] = ()) -> list[str]:
    """Remove every network of users that no container is on, running or not (contract NP1, NP2).

    Args:
        filters: ``until=TIME``, ``label=KEY[=VALUE]``, ``label!=KEY[=VALUE]``.

    Returns:
        The names of those removed.
    """

    def is_older(network: NetworkRecord, value: str) -> bool:
        return parse_moment("network", network.created) < parse_moment("--filter until", value)

    tests: dict[str, Test[NetworkRecord]] = {
        "until": is_older,
        "label": lambda network, value: has_label(network.labels, value),
        "label!=": lambda network, value: not has_label(network.labels, value),
    }
    wanted = Filters(filters, tests)
    if len(wanted.values("until")) > 1:
        raise Invalid("--filter: until can be given once", field="--filter")
    for value in wanted.values("until"):
        parse_moment("--filter until", value)
    from netyard.networks.operations import remove_network

    removed = []
    with root.change() as change:
        for record in list_networks(root):
            if record.is_builtin or _is_used(root, record) or not wanted.match(record):
                continue
            try:
                with forgiving():
                    remove_network(change, record)
                    removed.append(record.name)
            except Conflict:
                # In use on another host.
                if not record.spans_hosts:
                    raise
    return removed


def select_containers(
    root: Root, containers: Sequence[ContainerRecord], filters: Sequence[str]
) -> list[ContainerRecord]:
    """Containers that fit ``ps``'s filters.

    Raises:
        Invalid: for a filter that is none.
    """
    by_age = [each.id for each in root.store.containers()]

    def position(value: str) -> int:
        from netyard.lifecycle.lookup import find_container

        return by_age.index(find_container(root, value).id)

    tests: dict[str, Test[ContainerRecord]] = {
        "id": lambda each, value: matches(each.id, value),
        "name": lambda each, value: matches(each.name, value),
        "label": lambda each, value: has_label(each.spec.labels, value),
        "status": lambda each, value: each.state == one_of(value, *STATES),
        "exited": lambda each, value: (
            each.state == "exited" and str(each.exit_code) == _number(value)
        ),
        "network": lambda each, value: _is_on(root, each, value),
        "publish": lambda each, value: _publishes(root, each, value),
        "expose": _exposes,
        "before": lambda each, value: by_age.index(each.id) > position(value),
        "since": lambda each, value: by_age.index(each.id) < position(value),
    }
    wanted = Filters(filters, tests)
    return [each for each in containers if wanted.match(each)]


def _number(value: str) -> str:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid(f"--filter: exited={value!r} must be a number", field="--filter")
    return str(int(value))


def _is_on(root: Root, container: ContainerRecord, wanted: str) -> bool:
    spec = container.spec
    if spec.mode != "networks":
        return spec.mode == wanted
    try:
        network = find_network(root, wanted)
    except NetyardError:
        return False
    return root.store.endpoint_between(network.id, container.id) is not None


def _publishes(root: Root, container: ContainerRecord, value: str) -> bool:
    wanted = set(ports.parse_expose(value))
    return any(
        (each.container_port, each.protocol) in wanted or (each.host_port, each.protocol) in wanted
        for each in singly(root.store.publications(container.id))
    )


def _exposes(container: ContainerRecord, value: str) -> bool:
    spec = container.spec
    exposed = {port for text in spec.expose for port in ports.parse_expose(text)}
    exposed |= {(each.container_port, each.protocol) for each in ports.singly(spec.port_requests)}
    return bool(exposed & set(ports.parse_expose(value)))
