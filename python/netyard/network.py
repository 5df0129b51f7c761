"""Networks: created, found, joined, left, removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from netyard import connecting, provision
from netyard.agent import client as agent
from netyard.drivers.bridge import ICC, MASQUERADE, SHORT_NAMES
from netyard.drivers.bridge import NAME as BRIDGE_NAME
from netyard.drivers.registry import driver as find_driver
from netyard.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NameInUse,
    NotFound,
)
from netyard.host import Change, Host, default_host
from netyard.ipam.allocate import plan_pools
from netyard.ipam.defaults import choose_subnet
from netyard.ipam.pool import Pool, address_from
from netyard.naming import bridge_name, new_id
from netyard.options import (
    Address,
    Subnet,
    parse_address,
    parse_bool,
    parse_name,
    parse_subnet,
)
from netyard.store.records import EndpointRecord, NetworkRecord
from netyard.surroundings import subnets_in_use

if TYPE_CHECKING:
    from netyard.container import Container

RESERVED = ("bridge", "host", "none", "default")


def timestamp() -> str:
    """Now, as Docker prints times: RFC 3339, UTC, with fractions."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


class Network:
    """A network of a host.

    Not made directly: by `create`, `get` or `list`. As a context manager it removes itself at the
    end, with the containers' endpoints on it.

    Example:
        >>> with Network.create("my-net") as net:
        ...     web = Container.run("python3", "-m", "http.server", name="web", network=net.name)
    """

    def __init__(self, host: Host, record: NetworkRecord) -> None:
        self.host = host
        self._record = record

    def __repr__(self) -> str:
        return f"<Network {self.name} {self.id[:12]}>"

    @property
    def id(self) -> str:
        """The full id, 64 hexadecimal digits."""
        return self._record.id

    @property
    def name(self) -> str:
        """The name, unique on its host."""
        return self._record.name

    @property
    def driver(self) -> str:
        """The driver's name."""
        return self._record.driver

    @property
    def record(self) -> NetworkRecord:
        """Everything the store knows of it."""
        return self._record

    @classmethod
    def create(
        cls,
        name: str,
        *,
        driver: str = "bridge",
        subnet: str | Sequence[str] = (),
        gateway: str | Sequence[str] = (),
        ip_range: str | Sequence[str] = (),
        aux_addresses: Mapping[str, str] | None = None,
        ipv4: bool = True,
        ipv6: bool | None = None,
        internal: bool = False,
        attachable: bool = False,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        host: Host | None = None,
    ) -> Network:
        """Create a network.

        Args:
            name: Letters, digits, ``_``, ``.`` and ``-``; at most 128.
            driver: ``bridge``, or one an installed package offers.
            subnet: One a family, in CIDR form; chosen from the default pools where not given.
            gateway: One a subnet; the lowest free address where not given.
            ip_range: Where dynamic addresses come from; static ones may be anywhere.
            aux_addresses: Addresses somebody else has, by name; never handed out.
            ipv4: Whether it has IPv4.
            ipv6: Whether it has IPv6; by default if an IPv6 subnet is given.
            internal: No way out and none in.
            options: Driver options, under Docker's names or their short forms.
            host: Where; the default host if not given.

        Raises:
            Invalid: for every value that is wrong.
            NameInUse, SubnetOverlap, Forbidden, NotFound, Exhausted: as they say.
            KernelError: if the kernel refuses; then nothing is left behind.

        Example:
            >>> Network.create("my-net", subnet="172.28.0.0/16", ip_range="172.28.5.0/24")
        """
        host = host or default_host()
        record = _plan(
            host,
            name=name,
            driver=driver,
            subnets=_parse_each(parse_subnet, "--subnet", subnet),
            gateways=_parse_each(parse_address, "--gateway", gateway),
            ip_ranges=_parse_each(parse_subnet, "--ip-range", ip_range),
            auxiliary=[
                (key, parse_address("--aux-address", value))
                for key, value in (aux_addresses or {}).items()
            ],
            ipv4=ipv4,
            ipv6=ipv6,
            internal=internal,
            attachable=attachable,
            options=options or {},
            labels=labels or {},
        )
        return cls(host, record)

    @classmethod
    def get(cls, wanted: str, *, host: Host | None = None) -> Network:
        """A network by full id, name or unique id prefix.

        Raises:
            NotFound: if there is none.
            Invalid: if a prefix fits several.
        """
        host = host or default_host()
        return cls(host, find(host, wanted))

    @classmethod
    def list(cls, *, host: Host | None = None) -> list[Network]:
        """All networks, by name."""
        host = host or default_host()
        ensure_builtin(host)
        complete = ("ready", "planned")
        return [cls(host, each) for each in host.store.networks() if each.state in complete]

    def connect(
        self,
        container: Container | str,
        *,
        ip: str | None = None,
        ip6: str | None = None,
        aliases: Iterable[str] = (),
        mac_address: str | None = None,
    ) -> EndpointRecord:
        """Give a container an interface on this network, with a name and addresses.

        A running container has it when the call returns; a stopped one when it is started.

        Raises:
            Conflict: if it is on this network already.
            AddressInUse, Exhausted, Invalid, Forbidden: as they say.

        Example:
            >>> net.connect("web", aliases=["db"], ip="172.28.0.20")
        """
        return connecting.connect(
            self.host,
            self._record,
            container if isinstance(container, str) else container.id,
            ip=ip,
            ip6=ip6,
            aliases=tuple(aliases),
            mac_address=mac_address,
        )

    def disconnect(self, container: Container | str) -> None:
        """Take a container's interface on this network away, with its names and ports.

        Raises:
            Conflict: if it is not on this network.
        """
        wanted = container if isinstance(container, str) else container.id
        connecting.disconnect(self.host, self._record, wanted)

    def remove(self) -> None:
        """Remove the network.

        Raises:
            Forbidden: for a built-in one.
            Conflict: if containers are on it, running or not; it names them.
        """
        with self.host.change() as change:
            _remove(change, find(self.host, self.id))

    def inspect(self) -> dict[str, Any]:
        """The network as Docker's ``network inspect`` shows it."""
        from netyard.inspect import inspect_network

        return inspect_network(self.host, find(self.host, self.id))

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        with self.host.change():
            for endpoint in self.host.store.endpoints_on(self.id):
                connecting.disconnect(self.host, self._record, endpoint.container_id)
            self.remove()


def _parse_each(parse: Any, field: str, values: str | Sequence[str]) -> list[Any]:
    words = [values] if isinstance(values, str) else list(values)
    return [parse(field, word) for word in words]


def find(host: Host, wanted: str) -> NetworkRecord:
    """The one network a user means."""
    ensure_builtin(host)
    found = host.store.find_network(wanted)
    if not found:
        raise NotFound(f"there is no network {wanted!r}")
    if len(found) > 1:
        raise Invalid(f"network id {wanted!r} is ambiguous: give more digits", value=wanted)
    return found[0]


def _plan(
    host: Host,
    *,
    name: str,
    driver: str,
    subnets: Sequence[Subnet],
    gateways: Sequence[Address],
    ip_ranges: Sequence[Subnet],
    auxiliary: Sequence[tuple[str, Address]],
    ipv4: bool,
    ipv6: bool | None,
    internal: bool,
    attachable: bool,
    options: Mapping[str, str],
    labels: Mapping[str, str],
) -> NetworkRecord:
    """Check everything, choose what was left open, and make the network."""
    parse_name("network name", name)
    if name in RESERVED:
        raise Forbidden(f"network name {name!r} is reserved for a built-in network")
    chosen = find_driver(driver)
    if not chosen.is_creatable:
        raise Forbidden(f"--driver: there is only one {driver!r} network, and it exists")
    if ipv6 is None:
        ipv6 = any(subnet.version == 6 for subnet in subnets)
    families = [version for version, wanted in ((4, ipv4), (6, ipv6)) if wanted]
    if not families:
        raise Invalid("--ipv4=false needs --ipv6: a network has at least one family")
    for key in labels:
        if not key:
            raise Invalid("--label: a label needs a key", field="--label")
    with host.change() as change:
        ensure_builtin(host)
        network_id = new_id()
        full_options = normalise_options(options)
        record = NetworkRecord(
            id=network_id,
            name=name,
            driver=chosen.name,
            created=timestamp(),
            is_internal=internal,
            is_attachable=attachable,
            has_ipv4=ipv4,
            has_ipv6=ipv6,
            options=full_options,
            labels=dict(labels),
            bridge=full_options.get(BRIDGE_NAME) or bridge_name(network_id),
            state="making",
            pools=plan_pools(
                subnets=subnets,
                ip_ranges=ip_ranges,
                gateways=gateways,
                auxiliary=auxiliary,
                families=families,
                networks=host.store.networks(),
                avoid=subnets_in_use() if len(subnets) < len(families) else (),
            ),
        )
        chosen.check(record)
        _make(change, record)
    return record


def normalise_options(options: Mapping[str, str]) -> dict[str, str]:
    """Driver options under their full names; unknown ones of ours are refused (contract CV7)."""
    from difflib import get_close_matches

    known = set(SHORT_NAMES.values())
    full: dict[str, str] = {}
    for key, value in options.items():
        name = SHORT_NAMES.get(key, key)
        if name not in known and ("." not in key or key.startswith("com.docker.network.")):
            near = get_close_matches(key, [*SHORT_NAMES, *known], n=1, cutoff=0.0)[0]
            raise Invalid(
                f"--opt: {key!r} is no option of this driver; the nearest is {near!r}",
                field="--opt",
                value=key,
            )
        if name in (ICC, MASQUERADE):
            value = "true" if parse_bool(f"--opt {key}", value) else "false"
        full[name] = value
    return full


def _make(change: Change, record: NetworkRecord) -> None:
    host, store = change.host, change.store
    with store.transaction():
        if store.has_network_named(record.name):
            raise NameInUse(f"a network named {record.name!r} exists", holder=record.name)
        for other in store.networks():
            if other.bridge == record.bridge:
                raise Conflict(
                    f"--opt: bridge {record.bridge!r} belongs to network {other.name!r}",
                    holder=other.name,
                )
        store.add_network(record)
    change.on_failure(lambda: provision.discard(host, record))
    provision.make_in_kernel(host, record)
    with store.transaction():
        store.set_network_state(record.id, "ready")


def _remove(change: Change, record: NetworkRecord) -> None:
    host = change.host
    if record.is_builtin:
        raise Forbidden(f"network {record.name!r} is built in and cannot be removed")
    users = [
        owner.name
        for endpoint in host.store.endpoints_on(record.id)
        if (owner := host.store.container(endpoint.container_id))
    ]
    if users:
        raise Conflict(
            f"network {record.name!r} is used by containers {', '.join(sorted(users))}",
            holder=", ".join(sorted(users)),
            hint="remove or disconnect them first",
        )
    provision.discard(host, record)
    change.afterwards(lambda: agent.forget_network(host.layout, record.id))
    provision.tidy_up(host)


# -- built-in networks --------------------------------------------------------------------------


def ensure_builtin(host: Host) -> None:
    """Record the networks ``bridge``, ``host`` and ``none`` on first use."""
    if host.store.has_network_named("none"):
        return
    with host.change() as change:
        if host.store.has_network_named("none"):
            return
        taken = [pool.subnet for network in host.store.networks() for pool in network.pools]
        subnet = choose_subnet(4, [*taken, *subnets_in_use()])
        gateway = address_from(int(subnet.network_address) + 1, 4)
        pools = {"bridge": (Pool(subnet, gateway=gateway),)}
        with change.store.transaction():
            for name in ("bridge", "host", "none"):
                change.store.add_network(
                    NetworkRecord(
                        id=new_id(),
                        name=name,
                        driver=name,
                        created=timestamp(),
                        is_builtin=True,
                        bridge=host.layout.default_bridge if name == "bridge" else "",
                        state="planned" if name == "bridge" else "ready",
                        pools=pools.get(name, ()),
                    )
                )
