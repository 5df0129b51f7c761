"""Rows of the store as typed values."""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, TypedDict

from netyard.options.bridge import mode_of
from netyard.options.overlay import is_encrypted
from netyard.options.parent import routes_by_device
from netyard.state.rows import UNREADABLE, damaged
from netyard.values.ids import short
from netyard.values.named import NamedTuple
from netyard.values.parse import Address
from netyard.values.pool import Pool, address_from
from netyard.values.spec import NOTHING, ContainerSpec

#: How far each is; of those that end in "ing", all but ``running`` are found by the next operation
#: only if the one that was at work was killed.
NetworkState = Literal["planned", "making", "ready", "removing"]
ContainerState = Literal["created", "starting", "running", "exited", "removing"]
EndpointState = Literal["down", "attaching", "up", "detaching"]
ContainerKind = Literal["run", "adopted"]
#: What can be pending, see `PendingStep`.
PendingKind = Literal["port", "route"]
#: How a port is reached, see `Publication`.
PortAccess = Literal["nat", "trusted", "direct", "routed"]

# The built-in network beside overlays; see `netyard.networks.egress`.
EGRESS_NETWORK = "netyard_gwbridge"
# Auxiliary addresses of these names are the containers' gateways instead of the bridge's.
MAGIC_GATEWAYS = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}


# The same few are read again and again.
_address = functools.lru_cache(maxsize=1024)(ip_address)


class NetworkRecord(NamedTuple):
    """A network as it should exist.

    Attributes:
        state: ``planned`` (to be made with the first endpoint), ``making``, ``ready`` or
            ``removing``.
        vni: VXLAN network identifier of a network that spans hosts; 0 for others.
        underlay: This host's address between the hosts, if it is one.
    """

    id: str
    name: str
    driver: str
    created: str
    is_builtin: bool = False
    is_internal: bool = False
    is_attachable: bool = False
    has_ipv4: bool = True
    has_ipv6: bool = False
    options: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    bridge: str = ""
    state: NetworkState = "ready"
    is_config_only: bool = False
    config_from: str = ""
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = NOTHING
    is_foreign: bool = False
    vni: int = 0
    underlay: str = ""
    pools: tuple[Pool, ...] = ()

    def pool_of(self, address: Address) -> Pool | None:
        """The pool an address belongs to."""
        for pool in self.pools:
            if pool.version == address.version and address in pool.subnet:
                return pool
        return None

    def gateway(self, version: int) -> Address | None:
        """The gateway of a family, if there is one."""
        for pool in self.pools:
            if pool.version == version and pool.gateway is not None:
                return pool.gateway
        return None

    def prefix_of(self, endpoint: "EndpointRecord", version: int) -> int:
        """The prefix length of an endpoint's address of a family, in bits; 0 if it has none."""
        address = endpoint.address(version)
        if version == 4 and endpoint.lease is not None:
            return endpoint.lease.prefix
        pool = self.pool_of(address) if address is not None else None
        return pool.subnet.prefixlen if pool is not None else 0

    def route_via(self, endpoint: "EndpointRecord", version: int) -> Address | None:
        """What an endpoint routes a family by, if there is a way out.

        The gateway of its subnet or its lease, or an auxiliary address of a magic name (contract
        NC7); the unspecified address where the interface itself is the way out (contract IV2).
        """
        address = endpoint.address(version)
        # The way out of a network that spans hosts is beside it.
        if address is None or self.is_internal or self.spans_hosts:
            return None
        if mode_of(self.options, version) == "isolated":
            return None
        if version == 4 and endpoint.lease is not None:
            return ip_address(endpoint.lease.gateway) if endpoint.lease.gateway else None
        if routes_by_device(self.options):
            return address_from(0, version)
        for pool in self.pools:
            for name, other in pool.auxiliary:
                if name == MAGIC_GATEWAYS[version] and other.version == version:
                    return other
        pool_of_it = self.pool_of(address)
        return pool_of_it.gateway if pool_of_it else None

    def gateway_rank(self, endpoint: "EndpointRecord") -> tuple[int, bool, bool, str]:
        """A key that sorts first the endpoint that is to carry the default route (contract RN8)."""
        has_both = self.has_ipv4 and self.has_ipv6
        return -endpoint.gw_priority, self.is_internal, not has_both, self.name

    @property
    def spans_hosts(self) -> bool:
        """Whether it is an overlay: shared with other hosts, by etcd."""
        return self.vni != 0

    @property
    def is_encrypted(self) -> bool:
        """Whether it is carried by the WireGuard tunnel between the hosts."""
        return self.spans_hosts and is_encrypted(self.options)

    @property
    def is_egress(self) -> bool:
        """Whether it is the egress network beside overlays; see `netyard.networks.egress`."""
        return self.is_builtin and self.name == EGRESS_NETWORK

    @property
    def is_in_kernel(self) -> bool:
        """Whether the kernel has what it is made of, or is about to."""
        return self.state == "making" or self.state == "ready"

    @property
    def scope(self) -> str:
        """Docker's word for where it is known: ``local`` or ``global``."""
        return "global" if self.spans_hosts else "local"

    @property
    def leases_addresses(self) -> bool:
        """Whether its IPv4 addresses are a DHCP server's."""
        return self.has_ipv4 and self.ipam_driver == "dhcp"

    @property
    def takes_endpoints(self) -> bool:
        """Whether containers have interfaces on it, to be connected and disconnected."""
        return self.driver not in ("host", "none") and not self.is_config_only

    @property
    def shown_driver(self) -> str:
        """The driver's name as Docker shows it."""
        return "null" if self.driver == "none" else self.driver

    @property
    def has_name_service(self) -> bool:
        """Whether containers on it get the embedded name server (contract DN1)."""
        return self.takes_endpoints and not self.is_builtin


class Lease(NamedTuple):
    """What a DHCP server granted beside the address (RFC 2131).

    Attributes:
        prefix: Length of the subnet's prefix in bits.
        gateway: The way out; ``""`` if there is none.
        server: Whose lease it is.
        seconds: For how long it was granted.
    """

    prefix: int
    gateway: str
    server: str
    seconds: int

    def to_json(self) -> str:
        """As the store keeps it."""
        return json.dumps(self._asdict())


class EndpointRecord(NamedTuple):
    """One container's attachment to one network.

    Attributes:
        state: ``down``, ``attaching``, ``up`` or ``detaching``.
        gw_priority: The endpoint with the highest carries the default route.
        link_local: Further, link-local addresses of the interface.
        options: Driver options of this endpoint.
        links: Pairs of another container, as typed, and the name it has for this one.
        lease: What came with its IPv4 address, if that is a DHCP server's.
        is_unheard_of: It has never been up, and no endpoint had its addresses before: they need
            not be announced.
    """

    id: str
    network_id: str
    container_id: str
    position: int
    ifname: str
    host_ifname: str
    mac: str
    ip4: str
    ip6: str
    aliases: tuple[str, ...] = ()
    state: EndpointState = "down"
    gw_priority: int = 0
    link_local: tuple[str, ...] = ()
    options: Mapping[str, str] = NOTHING
    links: tuple[tuple[str, str], ...] = ()
    lease: Lease | None = None
    is_unheard_of: bool = False

    @property
    def is_joined(self) -> bool:
        """Whether it counts among its container's: it is up, or is about to be."""
        return self.state == "attaching" or self.state == "up"

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its addresses, IPv4 first."""
        return tuple(_address(text) for text in (self.ip4, self.ip6) if text)

    def address(self, version: int) -> Address | None:
        """Its address of a family."""
        text = self.ip4 if version == 4 else self.ip6
        return _address(text) if text else None


class Attachment(NamedTuple):
    """An endpoint, and the network that it is on."""

    endpoint: EndpointRecord
    network: NetworkRecord

    def route_via(self, version: int) -> Address | None:
        """See `NetworkRecord.route_via`."""
        return self.network.route_via(self.endpoint, version)


class ContainerRecord(NamedTuple):
    """A container as it should exist.

    Attributes:
        kind: ``run``: its process is netyard's. ``adopted``: a namespace that another program made.
        spec_json: How the store keeps its `spec`.
        ids_json: Which ids of the host its own are, ``""`` if they are the same; see
            `netyard.values.user_ids.IdMap`.
        donor_id: Whose network namespace it shares, if not its own.
        state: ``created``, ``starting``, ``running``, ``exited`` or ``removing``.
        pid_start: When the process was started, as the kernel counts, to know it again.
        was_loopback_up: How an adopted namespace was found.
        was_oom_killed: The kernel killed something of it for want of memory, when it last ran.
    """

    id: str
    name: str
    kind: ContainerKind
    created: str
    spec_json: str
    donor_id: str | None = None
    state: ContainerState = "created"
    pid: int = 0
    pid_start: int = 0
    exit_code: int = 0
    started: str = ""
    finished: str = ""
    was_loopback_up: bool = False
    was_oom_killed: bool = False
    ids_json: str = ""

    @property
    def spec(self) -> ContainerSpec:
        """What it was asked to be."""
        try:
            return ContainerSpec.from_json(self.spec_json)
        except UNREADABLE as error:
            raise damaged(self.id) from error

    @property
    def hostname(self) -> str:
        """Its host name: as asked, or the short id."""
        return self.spec.hostname or short(self.id)


if TYPE_CHECKING:

    class ContainerUpdate(TypedDict, total=False):
        """What of a container changes; see `ContainerRecord`."""

        name: str
        spec: ContainerSpec
        donor_id: str | None
        state: ContainerState
        pid: int
        pid_start: int
        exit_code: int
        started: str
        finished: str
        was_loopback_up: bool
        was_oom_killed: bool

    class EndpointUpdate(TypedDict, total=False):
        """What of an endpoint changes; see `EndpointRecord`."""

        ifname: str
        host_ifname: str
        mac: str
        ip4: str
        ip6: str
        state: EndpointState
        lease: Lease | None
        is_unheard_of: bool


def address_update(addresses: Iterable[Address]) -> "EndpointUpdate":
    """What of an endpoint changes when it gets addresses, one of a family."""
    found: EndpointUpdate = {}
    for each in addresses:
        if each.version == 4:
            found["ip4"] = str(each)
        else:
            found["ip6"] = str(each)
    return found


class PendingStep(NamedTuple):
    """What a running container should have and cannot have now: it is tried again.

    Attributes:
        kind: ``port``: a published port. ``route``: the default route of a family.
        subject: A port as ``-p`` takes it, a single one; ``IPv4`` or ``IPv6``.
        reason: Why, as users are told.
    """

    container_id: str
    kind: PendingKind
    subject: str
    reason: str

    @property
    def state(self) -> str:
        """What users are told of it, beside what it is about."""
        what = "unpublished" if self.kind == "port" else "no route"
        return f"{what}: {self.reason}"

    @property
    def shown(self) -> str:
        """The same, with what it is about."""
        return f"port {self.subject} is {self.state}" if self.kind == "port" else self.state


#: A publication is found by a port in the midst of it among those that begin so little below.
MOST_IN_A_ROW = 256


class Publication(NamedTuple):
    """A published port in force, of one family; or several in a row, which lead to as many.

    Attributes:
        family: 4 or 6.
        protocol: ``tcp``, ``udp`` or ``sctp``.
        host_port: The first on the host; 0 if it is not translated.
        host_ip: ``""`` for every address of the family.
        address: The container's address that packets go to.
        container_port: The first in the container.
        is_ending: On its way out of the firewall; not to be put back.
        access: ``nat``: the host's port is translated. ``trusted``: that, and some interfaces may
            ask the container's address. ``direct``: that, and anyone may. ``routed``: only the
            container's address, by anyone.
        length: How many ports it is: 1 if they are not translated.
    """

    family: int
    protocol: str
    host_port: int
    host_ip: str
    container_id: str
    endpoint_id: str
    address: str
    container_port: int
    is_ending: bool = False
    access: PortAccess = "nat"
    length: int = 1

    def part(self, first: int, length: int) -> "Publication":
        """So many of its ports, from a container port on."""
        ahead = first - self.container_port
        host_port = self.host_port + ahead if self.host_port else 0
        return self._replace(container_port=first, host_port=host_port, length=length)

    def goes_on_from(self, other: "Publication") -> bool:
        """Whether it is the rest of a row that another begins."""
        behind = other.part(other.container_port + other.length, self.length)
        return bool(self.host_port) and behind == self


def singly(publications: Iterable[Publication]) -> Iterator[Publication]:
    """The same ports, one by one."""
    for each in publications:
        for port in range(each.container_port, each.container_port + each.length):
            yield each.part(port, 1)


def in_rows(publications: Iterable[Publication]) -> list[Publication]:
    """The same ports, in as few rows as there can be: longer than the store keeps them."""
    found: list[Publication] = []
    for each in sorted(publications):
        if found and each.goes_on_from(found[-1]):
            found[-1] = found[-1]._replace(length=found[-1].length + each.length)
        else:
            found.append(each)
    return found
