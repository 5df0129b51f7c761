"""Networks as users have them; `netyard.networks.operations` makes and removes them.

Listing and finding must stay quick, so that is imported by what needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netyard.api.default import default_host
from netyard.errors import Conflict, NotFound
from netyard.networks import lookup
from netyard.options import parent as parent_options
from netyard.state.records import EndpointRecord, NetworkRecord
from netyard.state.root import Root
from netyard.values.spec import NetworkRequest, NetworkSpec

if TYPE_CHECKING:
    from netyard.api.container import Container


class Network:
    """A network of a host.

    Not made directly: by `create`, `get` or `list`. As a context manager it removes itself at the
    end, with the containers' endpoints on it.

    Example:
        >>> with Network.create("my-net") as net:
        ...     web = Container.run("python3", "-m", "http.server", name="web", network=net.name)
    """

    def __init__(self, host: Root, record: NetworkRecord) -> None:
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
    def parent(self) -> str:
        """The parent interface of a macvlan or ipvlan network; ``""`` for others."""
        has_parent = self.driver in parent_options.KINDS
        return parent_options.parent_of(self._record.options) if has_parent else ""

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
        ipv4: bool | None = None,
        ipv6: bool | None = None,
        internal: bool = False,
        attachable: bool = False,
        ingress: bool = False,
        scope: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        ipam_driver: str = "default",
        ipam_options: Mapping[str, str] | None = None,
        config_only: bool = False,
        config_from: str = "",
        host: Root | None = None,
    ) -> Network:
        """Create a network.

        Args:
            name: Letters, digits, ``_``, ``.`` and ``-``; at most 128.
            driver: ``bridge``, ``macvlan``, ``ipvlan``, ``overlay``, or one that an installed
                package offers (``docs/drivers.md``).
            subnet: One a family, in CIDR form; chosen from the default pools where not given.
                Several of a family on macvlan and ipvlan.
                ``0.0.0.0/24`` asks for any free one of that size.
            gateway: One a subnet; the lowest free address where not given, none on macvlan and
                ipvlan.
            ip_range: Where dynamic addresses come from; static ones may be anywhere.
            aux_addresses: Addresses somebody else has, by name; never handed out.
            ipv4: Whether it has IPv4, as it does by default.
            ipv6: Whether it has IPv6; by default if an IPv6 subnet is given.
            internal: No way out and none in.
            attachable: Kept and shown; containers may join every network.
            ingress: Refused: there is no swarm.
            scope: ``local``, which every network of these drivers is.
            options: Driver options, under Docker's names or their short forms
                (`netyard.options.bridge`, `netyard.options.parent`).
            ipam_driver: ``default``, ``null`` for a network without addresses, or on macvlan
                ``dhcp``: IPv4 addresses are leased from a DHCP server on the wire; ``subnet`` is
                what its leases must be of.
            ipam_options: Kept and shown; the default driver has none.
            config_only: Keep the settings under the name, for ``config_from``; make nothing.
            config_from: The config-only network whose settings to take.
            host: Where; the default host if not given.

        Raises:
            Invalid: for every value that is wrong.
            NameInUse, SubnetOverlap, Forbidden, NotFound, Exhausted: as they say.
            KernelError: if the kernel refuses; then nothing is left behind.
            DriverError: if the driver is another package's and fails; then nothing is left, either.

        Example:
            >>> Network.create("my-net", subnet="172.28.0.0/16", ip_range="172.28.5.0/24")
        """
        from netyard.networks.operations import create_network

        host = host or default_host()
        spec = NetworkSpec(
            name=name,
            driver=driver,
            subnets=_words(subnet),
            gateways=_words(gateway),
            ip_ranges=_words(ip_range),
            auxiliary=aux_addresses or {},
            ipv4=ipv4,
            ipv6=ipv6,
            is_internal=internal,
            is_attachable=attachable,
            is_ingress=ingress,
            scope=scope,
            options=options or {},
            labels=labels or {},
            ipam_driver=ipam_driver,
            ipam_options=ipam_options or {},
            is_config_only=config_only,
            config_from=config_from,
        )
        with host.change() as change:
            lookup.ensure_builtin_networks(host)
            return cls(host, create_network(change, spec))

    @classmethod
    def get(cls, wanted: str, *, host: Root | None = None) -> Network:
        """A network by full id, name or unique id prefix.

        Raises:
            NotFound: if there is none.
            Invalid: if a prefix fits several.
        """
        host = host or default_host()
        return cls(host, lookup.find_network(host, wanted))

    @classmethod
    def list(cls, *, filters: Sequence[str] = (), host: Root | None = None) -> list[Network]:
        """All networks, or those that fit, by name.

        Args:
            filters: ``KEY=VALUE`` words as of ``docker network ls``: ``driver``, ``id``, ``name``,
                ``scope``, ``label``, ``type``, ``dangling``.
        """
        host = host or default_host()
        records = lookup.list_networks(host)
        if filters:
            from netyard.lifecycle.listing import select_networks

            records = select_networks(host, records, filters)
        return [cls(host, each) for each in records]

    def warnings(self) -> Sequence[str]:
        """What is allowed and will not work as one may think, a sentence each."""
        from netyard.networks.planning import find_warnings

        return find_warnings(self._record)

    def connect(
        self,
        container: Container | str,
        *,
        ip: str | None = None,
        ip6: str | None = None,
        aliases: Iterable[str] = (),
        mac_address: str | None = None,
        link_local_ips: Iterable[str] = (),
        driver_opts: Mapping[str, str] | None = None,
        gw_priority: int = 0,
        links: Iterable[str] = (),
    ) -> EndpointRecord:
        """Give a container an interface on this network, with a name and addresses.

        A running container has it when the call returns; a stopped one when it is started.

        Args:
            ip, ip6, mac_address: Wanted addresses; the next free and a random one if not given.
            aliases: Further names of the container on this network.
            link_local_ips: Further addresses of 169.254.0.0/16 or fe80::/10.
            driver_opts: ``com.docker.network.endpoint.ifname`` and ``.sysctls``.
            gw_priority: The endpoint with the highest carries the default route.
            links: ``CONTAINER[:ALIAS]``: names that only this container sees.

        Raises:
            Conflict: if it is on this network already.
            AddressInUse, Exhausted, Invalid, Forbidden: as they say.

        Example:
            >>> net.connect("web", aliases=["db"], ip="172.28.0.20")
        """
        from netyard.lifecycle.connect import connect_container

        request = NetworkRequest(
            network=self.id,
            ip=ip,
            ip6=ip6,
            aliases=tuple(aliases),
            mac_address=mac_address,
            link_local_ips=tuple(link_local_ips),
            driver_opts=dict(driver_opts or {}),
            gw_priority=gw_priority,
            links=tuple(links),
        )
        wanted = container if isinstance(container, str) else container.id
        return connect_container(self.host, self._record, wanted, request)

    def disconnect(self, container: Container | str, *, force: bool = False) -> None:
        """Take a container's interface on this network away, with its names and ports.

        Args:
            force: It is no error if there is no such container or it is not on this network.

        Raises:
            Conflict: if it is not on this network.
            Invalid: for the networks ``host`` and ``none``.
        """
        from netyard.lifecycle.connect import disconnect_container

        wanted = container if isinstance(container, str) else container.id
        try:
            disconnect_container(self.host, self._record, wanted)
        except (Conflict, NotFound):
            if not force:
                raise

    def remove(self, *, force: bool = False) -> None:
        """Remove the network.

        Args:
            force: If its driver is another package's, and is missing or fails, forget the network
                all the same. What the driver has made may stay.

        Raises:
            Forbidden: for a built-in one.
            Conflict: if containers are on it, running or not; it names them.
            DriverError: if its driver is another package's, and is missing or fails.
        """
        from netyard.networks.operations import remove_network

        with self.host.change() as change:
            record = lookup.find_network(self.host, self.id)
            remove_network(change, record, forced=force)

    def inspect(self, *, verbose: bool = False) -> dict[str, Any]:
        """The network as Docker's ``network inspect`` shows it.

        Args:
            verbose: With the containers of other hosts, where it spans hosts.
        """
        from netyard.api.inspect import inspect_network

        return inspect_network(self.host, lookup.find_network(self.host, self.id), verbose=verbose)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        from netyard.lifecycle.connect import disconnect_container

        with self.host.change():
            for endpoint in self.host.store.endpoints_on(self.id):
                disconnect_container(self.host, self._record, endpoint.container_id)
            self.remove()


def _words(values: str | Sequence[str]) -> Sequence[str]:
    return [values] if isinstance(values, str) else list(values)
