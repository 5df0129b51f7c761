"""Requests of commands about the cluster, sent to the agent, which has the connection to etcd.

The other side is `netyard.agent.cluster_requests`. Addresses are claimed when an endpoint is
planned, and published when it can be reached. What is released the agent finds out itself, when it
is told that a container has changed.

`netyard.cluster` is imported inside functions: every command imports this file, and most hosts are
in no cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import netyard.errors as errors
from netyard.errors import Conflict, NetyardError
from netyard.ipc import agent
from netyard.state import config
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.parse import Address, parse_address

if TYPE_CHECKING:
    from netyard.cluster.entries import EndpointEntry, HostEntry
    from netyard.values.membership import Membership


def ask(root: Root, what: str, **fields: Any) -> dict[str, Any]:
    """Have the agent do something in the cluster.

    Args:
        what: The request, as `netyard.agent.cluster_requests` names them.

    Raises:
        NetyardError: of the class that was raised in the agent.
    """
    agent.ensure(root.layout)
    answer = agent.request(root.layout, {"op": "cluster", "what": what, **fields}) or {}
    if "refused" not in answer:
        return answer
    kind = getattr(errors, answer["refused"], NetyardError)
    extra = {"holder": answer["holder"]} if issubclass(kind, Conflict) else {}
    raise kind(answer["message"], hint=answer["hint"], **extra)


def check_member(root: Root) -> Membership:
    """This host's membership in a cluster.

    Raises:
        Conflict: if it is in no cluster (contract OV1).
    """
    found = config.load(root.layout.root).cluster
    if found is None:
        raise Conflict(
            "--driver: overlay networks are shared by a cluster, and this host is in none",
            hint="join one with 'netyard host join --etcd URL --advertise ADDRESS'",
        )
    return found


def join(root: Root, member: Membership) -> None:
    """Become a member of a cluster. Its networks are in the store when this returns."""
    ask(root, "join", settings=member.to_settings())


def leave(root: Root) -> None:
    """Be a member no longer."""
    ask(root, "leave")


def own_host(root: Root) -> HostEntry:
    """This host's entry in etcd."""
    from netyard.cluster.entries import HostEntry

    return HostEntry.from_json(ask(root, "self")["host"])


def rotate_key(root: Root) -> None:
    """Make a new key for this host's end of the tunnel between the hosts.

    Raises:
        Conflict: if this host has no tunnel.
    """
    ask(root, "rotate-key")


def prepare(root: Root, network: NetworkRecord) -> None:
    """Have the agent make the tunnel that an encrypted network needs, before its device."""
    if network.is_encrypted:
        ask(root, "prepare")


def hosts(root: Root) -> list[HostEntry]:
    """The present hosts of the cluster."""
    from netyard.cluster.entries import HostEntry

    return [HostEntry.from_json(text) for text in ask(root, "hosts")["hosts"]]


def networks(root: Root) -> list[NetworkRecord]:
    """The networks of the cluster."""
    from netyard.cluster.entries import network_from_json

    return [network_from_json(text) for text in ask(root, "networks")["networks"]]


def add_network(root: Root, network: NetworkRecord) -> None:
    """Add a network to the cluster's.

    Raises:
        NameInUse, SubnetOverlap, Conflict: if another network has its name, addresses or VNI.
    """
    from netyard.cluster.entries import network_to_json

    ask(root, "add", network=network_to_json(network))


def remove_network(root: Root, network: NetworkRecord) -> None:
    """Remove a network from all hosts.

    Raises:
        Conflict: if containers of any host are on it; the error names them.
    """
    from netyard.cluster.entries import network_to_json

    ask(root, "remove", network=network_to_json(network))


def endpoints(root: Root, network: NetworkRecord) -> list[EndpointEntry]:
    """A network's endpoints on all hosts."""
    from netyard.cluster.entries import EndpointEntry

    found = ask(root, "endpoints", network=network.id)["endpoints"]
    return [EndpointEntry.from_json(text) for text in found]


def claim(
    root: Root,
    network: NetworkRecord,
    container: ContainerRecord,
    endpoint_id: str,
    wanted: Mapping[int, Address | None],
) -> list[Address]:
    """Claim addresses for an endpoint, one an IP version.

    Args:
        wanted: By IP version, the address that it must be; ``None`` for any free one.

    Raises:
        NotFound: if the network has been removed.
        AddressInUse: if another endpoint has a wanted address.
        Exhausted: if no address is free.
        ClusterError: if etcd cannot be reached.
    """
    answer = ask(
        root,
        "claim",
        network=network.id,
        endpoint={"id": endpoint_id, "container": container.id, "names": [container.name]},
        wanted={str(version): str(each) if each else "" for version, each in wanted.items()},
    )
    return [parse_address("address", text) for text in answer["addresses"]]


def follow(root: Root, network: NetworkRecord) -> None:
    """Have the agent write a network's endpoints on other hosts to its device, and watch them."""
    if network.spans_hosts:
        ask(root, "follow", network=network.id)


def publish(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    """Have the agent publish endpoints that can be reached now."""
    shared = [each.id for each in endpoints if _is_shared(root, each)]
    if shared:
        ask(root, "publish", endpoints=shared)


def give_up(root: Root, container_id: str, endpoints: Sequence[EndpointRecord]) -> None:
    """Have the agent release endpoints that are gone from the store, now or when etcd is back."""
    if any(_is_shared(root, each) for each in endpoints):
        agent.refresh(root.layout, [container_id], needed=False)


def repair(root: Root) -> None:
    """Have the agent set the kernel's entries for endpoints on other hosts right."""
    if config.load(root.layout.root).cluster is not None:
        ask(root, "repair")


def _is_shared(root: Root, endpoint: EndpointRecord) -> bool:
    network = root.store.network(endpoint.network_id)
    return network is not None and network.spans_hosts
