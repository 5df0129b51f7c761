"""What is kept in etcd: which keys there are, and their values as JSON. Pure.

::

    /netyard/v1/generation                         changes with every network; orders their makers
    /netyard/v1/networks/NETWORK                   a network
    /netyard/v1/cursors/NETWORK/POOL               the address given last
    /netyard/v1/hosts/HOST                         a host                       (its lease)
    /netyard/v1/hostnames/NAME                     whose name it is             (its lease)
    /netyard/v1/endpoints/NETWORK/ENDPOINT         an endpoint                  (its host's lease)
    /netyard/v1/addresses/NETWORK/FAMILY+ADDRESS   whose address it is          (its host's lease)

With the lease of a host, everything that is there only because the host is goes at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple

from netyard.ipam.pool import Pool
from netyard.naming import bridge_name
from netyard.options import Address
from netyard.store.records import NetworkRecord

PREFIX = "/netyard/v1/"
GENERATION = f"{PREFIX}generation"
NETWORKS = f"{PREFIX}networks/"
HOSTS = f"{PREFIX}hosts/"
HOST_NAMES = f"{PREFIX}hostnames/"
DRIVER = "overlay"


def network_key(network_id: str) -> str:
    """Where a network is."""
    return f"{NETWORKS}{network_id}"


def host_key(host_id: str) -> str:
    """Where a host is."""
    return f"{HOSTS}{host_id}"


def host_name_key(name: str) -> str:
    """Where it says whose name this is."""
    return f"{HOST_NAMES}{name}"


def endpoints_prefix(network_id: str) -> str:
    """Where a network's endpoints are."""
    return f"{PREFIX}endpoints/{network_id}/"


def endpoint_key(network_id: str, endpoint_id: str) -> str:
    """Where an endpoint is."""
    return f"{endpoints_prefix(network_id)}{endpoint_id}"


def addresses_prefix(network_id: str) -> str:
    """Where a network's addresses are, in their order."""
    return f"{PREFIX}addresses/{network_id}/"


def address_key(network_id: str, address: Address) -> str:
    """Where it says whose address this is."""
    digits = 8 if address.version == 4 else 32
    return f"{addresses_prefix(network_id)}{address.version}{int(address):0{digits}x}"


def address_of(key: str) -> Address:
    """The address a key is about."""
    digits = key.rpartition("/")[2]
    number = int(digits[1:], 16)
    return ip_address(number.to_bytes(4 if digits[0] == "4" else 16, "big"))


def cursor_key(network_id: str, position: int) -> str:
    """Where it says which address of a pool was given last."""
    return f"{PREFIX}cursors/{network_id}/{position}"


def cursors_prefix(network_id: str) -> str:
    """Where a network's cursors are."""
    return f"{PREFIX}cursors/{network_id}/"


def tunnel_address(host_id: str) -> IPv6Address:
    """A host's address in the tunnel between the hosts: a link-local one, as its id makes it."""
    return IPv6Address(0xFE80 << 112 | int(host_id[:16], 16))


class HostEntry(NamedTuple):
    """A host of the cluster.

    Attributes:
        id: Of its root; the same for all its life.
        address: Where the others send to.
        public_key: Of its end of the tunnel, in hexadecimal digits; ``""`` if it has none.
    """

    id: str
    name: str
    address: str
    public_key: str = ""

    def to_json(self) -> str:
        """As etcd keeps it."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> HostEntry:
        """From what etcd keeps."""
        return cls(**json.loads(text))


class EndpointEntry(NamedTuple):
    """A container's attachment to a network that spans hosts.

    Attributes:
        host: The id of the host it is on.
        host_name: What that host is called.
        host_address: That host's address between the hosts.
        via: Where frames for it are sent: the same, or its address in the tunnel.
        container: The container's id.
        names: What it is called on this network, the PTR name first.
        is_up: It can be reached; else it only keeps its addresses.
    """

    id: str
    network: str
    host: str
    host_name: str
    host_address: str
    via: str
    container: str
    names: Sequence[str]
    mac: str
    addresses: Sequence[str]
    is_up: bool

    def to_json(self) -> str:
        """As etcd keeps it."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> EndpointEntry:
        """From what etcd keeps."""
        found = json.loads(text)
        for key in ("network", "host", "host_name", "host_address", "via"):
            # The same for many, of whom a hundred thousand may be in memory.
            found[key] = sys.intern(found[key])
        return cls(**found)


def network_to_json(network: NetworkRecord) -> str:
    """A network as etcd keeps it: what is the same on all hosts."""
    return json.dumps(
        {
            "id": network.id,
            "name": network.name,
            "created": network.created,
            "vni": network.vni,
            "is_internal": network.is_internal,
            "is_attachable": network.is_attachable,
            "has_ipv4": network.has_ipv4,
            "has_ipv6": network.has_ipv6,
            "options": dict(network.options),
            "labels": dict(network.labels),
            "ipam_options": dict(network.ipam_options),
            "pools": [_pool_to_json(pool) for pool in network.pools],
        }
    )


def network_from_json(text: str) -> NetworkRecord:
    """A network as a host first hears of it: planned, until a container joins it there."""
    found: dict[str, Any] = json.loads(text)
    pools = tuple(_pool_from_json(each) for each in found.pop("pools"))
    return NetworkRecord(
        **found, driver=DRIVER, bridge=bridge_name(found["id"]), state="planned", pools=pools
    )


def _pool_to_json(pool: Pool) -> dict[str, Any]:
    return {
        "subnet": str(pool.subnet),
        "ip_range": str(pool.ip_range) if pool.ip_range else "",
        "gateway": str(pool.gateway) if pool.gateway else "",
        "auxiliary": [[name, str(address)] for name, address in pool.auxiliary],
    }


def _pool_from_json(found: Mapping[str, Any]) -> Pool:
    return Pool(
        subnet=ip_network(found["subnet"]),
        ip_range=ip_network(found["ip_range"]) if found["ip_range"] else None,
        gateway=ip_address(found["gateway"]) if found["gateway"] else None,
        auxiliary=tuple((name, ip_address(word)) for name, word in found["auxiliary"]),
    )
