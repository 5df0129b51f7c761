"""New addresses for a container whose old ones the cluster has given to another.

That happens to a host that was silent for longer than its lease: it finds out when it is back.
"""

from __future__ import annotations

import netyard._core as _core
from netyard.endpoints.detach import flush_flows_of
from netyard.endpoints.namespace import opened_namespace
from netyard.ipc import agent, cluster
from netyard.lifecycle.etc_files import refresh_etc_hosts
from netyard.state.records import (
    Attachment,
    ContainerRecord,
    EndpointRecord,
    NetworkRecord,
    address_update,
)
from netyard.state.root import Root
from netyard.values.ids import overlay_mac
from netyard.values.parse import Address, format_mac


def give_new_addresses(root: Root, endpoint_id: str) -> list[Address]:
    """Claim other addresses for an endpoint and have its container use them; which they are.

    Raises:
        Exhausted: if the network has none left.
        ClusterError: if the cluster cannot be reached.
    """
    with root.change():
        before = root.store.endpoint(endpoint_id)
        container = root.store.container(before.container_id) if before else None
        network = root.store.network(before.network_id) if before else None
        if before is None or container is None or network is None:
            return []
        wanted: dict[int, Address | None] = {each.version: None for each in before.addresses}
        claimed = cluster.claim(root, network, container, endpoint_id, wanted)
        after = _moved(network, before, claimed)
        if before.is_joined:
            _change_interface(root, network, container, before, after)
        with root.store.transaction():
            root.store.delete_leases(endpoint_id)
            for address in claimed:
                root.store.add_lease(network.id, address, endpoint_id)
            root.store.update_endpoint(endpoint_id, ip4=after.ip4, ip6=after.ip6, mac=after.mac)
        if container.state == "running":
            left = Attachment(before, network)
            joined = Attachment(after, network)
            refresh_etc_hosts(root, container, removed=[left], added=[joined])
        agent.rename(root.layout, container.id)
        return claimed


def _moved(
    network: NetworkRecord, before: EndpointRecord, claimed: list[Address]
) -> EndpointRecord:
    update = address_update(claimed)
    derived = format_mac(overlay_mac(network.id, str(before.addresses[0])))
    if before.mac == derived:
        update["mac"] = format_mac(overlay_mac(network.id, str(claimed[0])))
    return before._replace(**update)


def _change_interface(
    root: Root,
    network: NetworkRecord,
    container: ContainerRecord,
    before: EndpointRecord,
    after: EndpointRecord,
) -> None:
    def prefixed(endpoint: EndpointRecord) -> list[tuple[Address, int]]:
        return [(each, network.prefix_of(endpoint, each.version)) for each in endpoint.addresses]

    with opened_namespace(root, container) as namespace:
        mac = bytes.fromhex(after.mac.replace(":", ""))
        _core.change_addresses(namespace, after.ifname, prefixed(before), prefixed(after), mac)
    flush_flows_of([before])
