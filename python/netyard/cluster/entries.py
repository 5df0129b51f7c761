"""The schema of etcd: which keys there are, and their values as JSON. Pure.

::

    /netyard/v1/generation                         written with every change of the networks
    /netyard/v1/networks/NETWORK                   a network
    /netyard/v1/cursors/NETWORK/POOL               the last allocated address of a pool
    /netyard/v1/hosts/HOST                         a host                       (its lease)
    /netyard/v1/hostnames/NAME                     id of the host of this name  (its lease)
    /netyard/v1/endpoints/NETWORK/ENDPOINT         an endpoint                  (its host's lease)
    /netyard/v1/addresses/NETWORK/FAMILY+ADDRESS   id of the endpoint           (its host's lease)

When the lease of a host ends, all its keys go at once. Reading and changing keys is
`netyard.cluster.registry`.

Values were written by another host, perhaps by a newer version, whose further fields are ignored,
or by a client that has no business there. So they are checked like what users type, because they
become paths, names of interfaces and arguments to the kernel. `Unreadable` says what is wrong.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple, TypeVar

from netyard.errors import NetyardError
from netyard.options import overlay as overlay_options
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.values.ids import bridge_name
from netyard.values.parse import Address, parse_name
from netyard.values.pool import Pool

PREFIX = "/netyard/v1/"
GENERATION = f"{PREFIX}generation"
NETWORKS = f"{PREFIX}networks/"
HOSTS = f"{PREFIX}hosts/"
HOST_NAMES = f"{PREFIX}hostnames/"
DRIVER = "overlay"
_ID = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[\w.-]{1,128}", re.ASCII)
_KEY = re.compile(r"([0-9a-f]{64})?")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_NAME_MAX = 253
_Found = TypeVar("_Found")


class Unreadable(ValueError):
    """A value in etcd that is not valid for its key."""


def network_key(network_id: str) -> str:
    """The key of a network."""
    return f"{NETWORKS}{network_id}"


def host_key(host_id: str) -> str:
    """The key of a host."""
    return f"{HOSTS}{host_id}"


def host_name_key(name: str) -> str:
    """The key with the id of the host of a name."""
    return f"{HOST_NAMES}{name}"


def endpoints_prefix(network_id: str) -> str:
    """The prefix of a network's endpoints."""
    return f"{PREFIX}endpoints/{network_id}/"


def endpoint_key(network_id: str, endpoint_id: str) -> str:
    """The key of an endpoint."""
    return f"{endpoints_prefix(network_id)}{endpoint_id}"


def addresses_prefix(network_id: str) -> str:
    """The prefix of a network's addresses; the keys sort as the addresses do."""
    return f"{PREFIX}addresses/{network_id}/"


def address_key(network_id: str, address: Address) -> str:
    """The key with the id of the endpoint of an address."""
    digits = 8 if address.version == 4 else 32
    return f"{addresses_prefix(network_id)}{address.version}{int(address):0{digits}x}"


def address_of(key: str) -> Address:
    """The address of a key that `address_key` made."""
    digits = key.rpartition("/")[2]
    number = int(digits[1:], 16)
    return ip_address(number.to_bytes(4 if digits[0] == "4" else 16, "big"))


def cursor_key(network_id: str, position: int) -> str:
    """The key with the last allocated address of a pool, given by its position."""
    return f"{PREFIX}cursors/{network_id}/{position}"


def cursors_prefix(network_id: str) -> str:
    """The prefix of a network's cursors."""
    return f"{PREFIX}cursors/{network_id}/"


def tunnel_address(host_id: str) -> IPv6Address:
    """A host's address in the tunnel between the hosts: link-local, derived from the host's id."""
    return IPv6Address(0xFE80 << 112 | int(host_id[:16], 16))


class HostEntry(NamedTuple):
    """A host of the cluster.

    Attributes:
        id: Of its root; the same for all its life.
        name: Unique in the cluster.
        address: To which the other hosts send.
        public_key: Of its end of the tunnel, in hexadecimal digits; ``""`` if it has none.
    """

    id: str
    name: str
    address: str
    public_key: str = ""

    def to_json(self) -> str:
        """The value in etcd."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> HostEntry:
        """From the value in etcd.

        Raises:
            Unreadable: if it is not a valid host.
        """
        return _read(text, cls._from_fields)

    @classmethod
    def _from_fields(cls, found: dict[str, Any]) -> HostEntry:
        entry = cls(**{key: found[key] for key in cls._fields if key in found})
        _match(_ID, entry.id)
        _match(_PART, entry.name)
        _match(_KEY, entry.public_key)
        _check_address(entry.address)
        return entry


class EndpointEntry(NamedTuple):
    """A container's attachment to a network that spans hosts.

    Attributes:
        host: The id of the host it is on.
        host_name: That host's name.
        host_address: That host's address on the network between the hosts.
        via: The VTEP: the address to which frames for it are sent, that one or the host's address
            in the tunnel.
        container: The container's id.
        names: Its names on this network, the PTR name first.
        is_up: It can be reached; otherwise it only holds its addresses.
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

    @classmethod
    def planned(
        cls, host: HostEntry, network_id: str, *, id: str, container: str, names: Sequence[str]
    ) -> EndpointEntry:
        """An endpoint whose addresses are being claimed; the rest follows when it is attached."""
        return cls(
            id=id,
            network=network_id,
            host=host.id,
            host_name=host.name,
            host_address=host.address,
            via="",
            container=container,
            names=names,
            mac="",
            addresses=(),
            is_up=False,
        )

    @classmethod
    def of(
        cls, host: HostEntry, network: NetworkRecord, endpoint: EndpointRecord, names: Sequence[str]
    ) -> EndpointEntry:
        """The entry of an endpoint of this host.

        Args:
            host: This host.
            names: The endpoint's names, the PTR name first.
        """
        return cls(
            id=endpoint.id,
            network=network.id,
            host=host.id,
            host_name=host.name,
            host_address=host.address,
            via=network.underlay,
            container=endpoint.container_id,
            names=names,
            mac=endpoint.mac,
            addresses=[str(each) for each in endpoint.addresses],
            is_up=endpoint.is_joined,
        )

    def to_json(self) -> str:
        """The value in etcd."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> EndpointEntry:
        """From the value in etcd.

        Raises:
            Unreadable: if it is not a valid endpoint.
        """
        return _read(text, cls._from_fields)

    @classmethod
    def _from_fields(cls, found: dict[str, Any]) -> EndpointEntry:
        for key in ("network", "host", "host_name", "host_address", "via"):
            # Equal in many entries, of which a hundred thousand may be in memory.
            found[key] = sys.intern(found[key])
        entry = cls(**{key: found[key] for key in cls._fields})
        for each in (entry.id, entry.container, entry.host_name):
            _match(_PART, each)
        for each in (entry.network, entry.host):
            _match(_ID, each)
        for each in (entry.host_address, *_listed(entry.addresses)):
            _check_address(each)
        if not all(0 < len(each) <= _NAME_MAX for each in _listed(entry.names)) or not entry.names:
            raise Unreadable(f"names {entry.names!r}")
        # Before it is up, an endpoint has neither.
        if entry.mac or entry.is_up:
            _match(_MAC, entry.mac)
        if entry.via or entry.is_up:
            _check_address(entry.via)
        return entry._replace(is_up=entry.is_up is True)


def network_to_json(network: NetworkRecord) -> str:
    """A network's value: the fields that are equal on all hosts."""
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
    """A network from its value, in state ``planned``: its device is made for the first container.

    Raises:
        Unreadable: if it is not a valid network.
    """
    return _read(text, _network_from_fields)


def _network_from_fields(found: dict[str, Any]) -> NetworkRecord:
    _match(_ID, found["id"])
    overlay_options.check_vni(found["vni"])
    if not isinstance(found["created"], str):
        raise Unreadable(f"created {found['created']!r}")
    options = {str(key): str(value) for key, value in found["options"].items()}
    return NetworkRecord(
        id=found["id"],
        name=parse_name("name", found["name"]),
        created=found["created"],
        vni=found["vni"],
        options=overlay_options.normalise(options),
        labels={str(key): str(value) for key, value in found["labels"].items()},
        ipam_options={str(key): str(value) for key, value in found["ipam_options"].items()},
        driver=DRIVER,
        bridge=bridge_name(found["id"]),
        state="planned",
        pools=tuple(_pool_from_json(each) for each in found["pools"]),
        is_internal=found["is_internal"] is True,
        is_attachable=found["is_attachable"] is True,
        has_ipv4=found["has_ipv4"] is True,
        has_ipv6=found["has_ipv6"] is True,
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


def _read(text: str, make: Callable[[dict[str, Any]], _Found]) -> _Found:
    """Parse a value and make something of it; all errors become `Unreadable`."""
    try:
        return make(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, NetyardError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _match(pattern: re.Pattern[str], value: str) -> None:
    if not pattern.fullmatch(value):
        raise Unreadable(repr(value))


def _listed(value: object) -> list[str]:
    """A list of strings, checked."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Unreadable(f"{value!r} is no list of strings")
    return value


# A host's address is in the entries of all its containers.
@functools.lru_cache(maxsize=1024)
def _check_address(value: object) -> None:
    if not isinstance(value, str):
        raise Unreadable(f"{value!r} is no address")
    ip_address(value)
