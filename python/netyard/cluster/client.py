"""What this host asks of its cluster: by the agent, which has the connection.

Addresses are claimed when an endpoint is planned, and made known when it can be reached; what is
given up is made known by the agent itself, which is told of every change of a container.

What is kept in etcd is imported by who asks about it: most hosts are in no cluster, and these
functions are on the way of every command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netyard import config, errors
from netyard.agent import client as agent
from netyard.cluster.membership import Membership
from netyard.errors import Conflict, NetyardError
from netyard.host import Host
from netyard.options import Address, parse_address
from netyard.store.records import ContainerRecord, EndpointRecord, NetworkRecord

if TYPE_CHECKING:
    from netyard.cluster.entries import EndpointEntry, HostEntry


def ask(host: Host, what: str, **fields: Any) -> dict[str, Any]:
    """Have the agent do something in the cluster.

    Raises:
        NetyardError: what the agent, or the cluster, says to it.
    """
    agent.ensure(host.layout)
    answer = agent.request(host.layout, {"op": "cluster", "what": what, **fields}) or {}
    if "refused" not in answer:
        return answer
    kind = getattr(errors, answer["refused"], NetyardError)
    extra = {"holder": answer["holder"]} if issubclass(kind, Conflict) else {}
    raise kind(answer["message"], hint=answer["hint"], **extra)


def check_member(host: Host) -> Membership:
    """This host's part in its cluster.

    Raises:
        Conflict: if it is in none (contract OV1).
    """
    found = config.load(host.layout.root).cluster
    if found is None:
        raise Conflict(
            "--driver: overlay networks are shared by a cluster, and this host is in none",
            hint="join one with 'netyard host join --etcd URL --advertise ADDRESS'",
        )
    return found


def join(host: Host, member: Membership) -> None:
    """Become a member of a cluster. Its networks are in the store when this returns."""
    ask(host, "join", settings=member.to_settings())


def leave(host: Host) -> None:
    """Be a member no longer."""
    ask(host, "leave")


def own_host(host: Host) -> HostEntry:
    """This host, as the others know it."""
    from netyard.cluster.entries import HostEntry

    return HostEntry.from_json(ask(host, "self")["host"])


def rotate_key(host: Host) -> None:
    """Have a new key for the tunnel between the hosts.

    Raises:
        Conflict: if this host has no part in the tunnel.
    """
    ask(host, "rotate-key")


def prepare(host: Host, network: NetworkRecord) -> None:
    """Have the tunnel an encrypted network is carried by, before its device is made."""
    if network.is_encrypted:
        ask(host, "prepare")


def hosts(host: Host) -> list[HostEntry]:
    """The hosts of the cluster that are there."""
    from netyard.cluster.entries import HostEntry

    return [HostEntry.from_json(text) for text in ask(host, "hosts")["hosts"]]


def networks(host: Host) -> list[NetworkRecord]:
    """The networks of the cluster."""
    from netyard.cluster.entries import network_from_json

    return [network_from_json(text) for text in ask(host, "networks")["networks"]]


def add_network(host: Host, network: NetworkRecord) -> None:
    """Make a network known to all hosts.

    Raises:
        NameInUse, SubnetOverlap, Conflict: if another host was quicker.
    """
    from netyard.cluster.entries import network_to_json

    ask(host, "add", network=network_to_json(network))


def remove_network(host: Host, network: NetworkRecord) -> None:
    """Remove a network everywhere.

    Raises:
        Conflict: if containers of any host are on it; it names them.
    """
    from netyard.cluster.entries import network_to_json

    ask(host, "remove", network=network_to_json(network))


def endpoints(host: Host, network: NetworkRecord) -> list[EndpointEntry]:
    """A network's endpoints on all hosts."""
    from netyard.cluster.entries import EndpointEntry

    found = ask(host, "endpoints", network=network.id)["endpoints"]
    return [EndpointEntry.from_json(text) for text in found]


def claim(
    host: Host,
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
        host,
        "claim",
        network=network.id,
        endpoint={"id": endpoint_id, "container": container.id, "names": [container.name]},
        wanted={str(version): str(each) if each else "" for version, each in wanted.items()},
    )
    return [parse_address("address", text) for text in answer["addresses"]]


def follow(host: Host, network: NetworkRecord) -> None:
    """Have the kernel know a network's containers on other hosts, once the device is there."""
    if network.spans_hosts:
        ask(host, "follow", network=network.id)


def publish(host: Host, endpoints: Sequence[EndpointRecord]) -> None:
    """Make known that endpoints can be reached."""
    shared = [each.id for each in endpoints if _is_shared(host, each)]
    if shared:
        ask(host, "publish", endpoints=shared)


def give_up(host: Host, container_id: str, endpoints: Sequence[EndpointRecord]) -> None:
    """Make known that endpoints are gone from the store; at the latest when etcd is back."""
    if any(_is_shared(host, each) for each in endpoints):
        agent.refresh(host.layout, [container_id], needed=False)


def repair(host: Host) -> None:
    """Have the kernel know the containers on other hosts anew, and no others."""
    if config.load(host.layout.root).cluster is not None:
        ask(host, "repair")


def _is_shared(host: Host, endpoint: EndpointRecord) -> bool:
    network = host.store.network(endpoint.network_id)
    return network is not None and network.spans_hosts
