"""What this host asks of its cluster: by the agent, which has the connection.

Addresses are claimed when an endpoint is planned, and made known when it can be reached; what is
given up is made known by the agent itself, which is told of every change of a container.

What is kept in etcd is imported by who asks about it: most hosts are in no cluster, and these
functions are on the way of every command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netyard import errors
from netyard.errors import Conflict, NetyardError
from netyard.ipc import agent
from netyard.state import config
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.membership import Membership
from netyard.values.parse import Address, parse_address

if TYPE_CHECKING:
    from netyard.cluster.entries import EndpointEntry, HostEntry


def ask(root: Root, what: str, **fields: Any) -> dict[str, Any]:
    """Have the agent do something in the cluster.

    Raises:
        NetyardError: what the agent, or the cluster, says to it.
    """
    agent.ensure(root.layout)
    answer = agent.request(root.layout, {"op": "cluster", "what": what, **fields}) or {}
    if "refused" not in answer:
        return answer
    kind = getattr(errors, answer["refused"], NetyardError)
    extra = {"holder": answer["holder"]} if issubclass(kind, Conflict) else {}
    raise kind(answer["message"], hint=answer["hint"], **extra)


def check_member(root: Root) -> Membership:
    """This host's part in its cluster.

    Raises:
        Conflict: if it is in none (contract OV1).
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
    """This host, as the others know it."""
    from netyard.cluster.entries import HostEntry

    return HostEntry.from_json(ask(root, "self")["host"])


def rotate_key(root: Root) -> None:
    """Have a new key for the tunnel between the hosts.

    Raises:
        Conflict: if this host has no part in the tunnel.
    """
    ask(root, "rotate-key")


def prepare(root: Root, network: NetworkRecord) -> None:
    """Have the tunnel an encrypted network is carried by, before its device is made."""
    if network.is_encrypted:
        ask(root, "prepare")


def hosts(root: Root) -> list[HostEntry]:
    """The hosts of the cluster that are there."""
    from netyard.cluster.entries import HostEntry

    return [HostEntry.from_json(text) for text in ask(root, "hosts")["hosts"]]


def networks(root: Root) -> list[NetworkRecord]:
    """The networks of the cluster."""
    from netyard.cluster.entries import network_from_json

    return [network_from_json(text) for text in ask(root, "networks")["networks"]]


def add_network(root: Root, network: NetworkRecord) -> None:
    """Make a network known to all hosts.

    Raises:
        NameInUse, SubnetOverlap, Conflict: if another host was quicker.
    """
    from netyard.cluster.entries import network_to_json

    ask(root, "add", network=network_to_json(network))


def remove_network(root: Root, network: NetworkRecord) -> None:
    """Remove a network everywhere.

    Raises:
        Conflict: if containers of any host are on it; it names them.
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
    """Take addresses for an endpoint, one a family.

    Raises:
        NotFound, AddressInUse, Exhausted: as they say.
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
    """Have the kernel know a network's containers on other hosts, once the device is there."""
    if network.spans_hosts:
        ask(root, "follow", network=network.id)


def publish(root: Root, endpoints: Sequence[EndpointRecord]) -> None:
    """Make known that endpoints can be reached."""
    shared = [each.id for each in endpoints if _is_shared(root, each)]
    if shared:
        ask(root, "publish", endpoints=shared)


def give_up(root: Root, container_id: str, endpoints: Sequence[EndpointRecord]) -> None:
    """Make known that endpoints are gone from the store; at the latest when etcd is back."""
    if any(_is_shared(root, each) for each in endpoints):
        agent.refresh(root.layout, [container_id], needed=False)


def repair(root: Root) -> None:
    """Have the kernel know the containers on other hosts anew, and no others."""
    if config.load(root.layout.root).cluster is not None:
        ask(root, "repair")


def _is_shared(root: Root, endpoint: EndpointRecord) -> bool:
    network = root.store.network(endpoint.network_id)
    return network is not None and network.spans_hosts
