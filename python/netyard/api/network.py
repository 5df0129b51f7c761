"""Networks as users have them; `netyard.networks.operations` makes and removes them.

Listing and finding must stay quick, so what the rest needs is imported where it is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import netyard
from netyard.api.default import check_host, chosen
from netyard.errors import Conflict, NotFound
from netyard.networks import lookup
from netyard.options import parent as parent_options
from netyard.state.records import NetworkRecord
from netyard.values.spec import NetworkSpec


class Network:
    """A network of a host.

    Not made directly: by `create`, `get` or `list`. As a context manager it removes itself at the
    end, with the containers' endpoints on it. Two objects of one network are equal.

    Where several words are taken, such as aliases, one string is one word. Where an address or a
    subnet is taken, one of ``ipaddress`` is as good as a string.

    Attributes:
        host: The host it is of.

    Example:
        >>> with Network.create("my-net") as net:
        ...     web = Container.run("python3", "-m", "http.server", name="web", network=net)
    """

    host: netyard.Host

    def __init__(self, host: netyard.Host, record: NetworkRecord) -> None:
        self.host = host
        self._record = record

    def __repr__(self) -> str:
        return f"<Network {self.name} {self.id[:12]}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        # An overlay has one id on all its hosts.
        ours, theirs = self.host.layout.root, other.host.layout.root
        return (self.id, ours) == (other.id, theirs)

    def __hash__(self) -> int:
        return hash(self.id)

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
        # driver
        driver: str = "bridge",
        options: Mapping[str, str | int | bool] | None = None,
        # addresses
        subnet: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network] = (),
        gateway: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address] = (),
        ip_range: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network] = (),
        aux_addresses: Mapping[str, str | IPv4Address | IPv6Address] | None = None,
        ipam_driver: str = "default",
        ipam_options: Mapping[str, str | int | bool] | None = None,
        ipv4: bool | None = None,
        ipv6: bool | None = None,
        # reach
        internal: bool = False,
        attachable: bool = False,
        ingress: bool = False,
        scope: str = "",
        # identity
        labels: Mapping[str, str] | None = None,
        # kept settings
        config_only: bool = False,
        config_from: str | netyard.Network = "",
        host: netyard.Host | None = None,
    ) -> Network:
        """Create a network.

        Args:
            name: What to call it: letters, digits, ``_``, ``.`` and ``-``, at most 128 characters.
            driver: ``bridge``, ``macvlan``, ``ipvlan``, ``overlay``, or one that an installed
                package offers (``docs/drivers.md``).
            options: Driver options, under Docker's names or their short forms, such as ``mtu``:
                strings, whole numbers, ``True`` or ``False``.
            subnet: Subnets in CIDR form, such as ``172.28.0.0/16``; free ones are chosen if not
                given. Several of a family on macvlan and ipvlan. ``0.0.0.0/24`` asks for any free
                one of that size.
            gateway: Its own address in each subnet; the lowest free one where not given, none on
                macvlan and ipvlan.
            ip_range: Part of each subnet, in CIDR form, that dynamic addresses come from; static
                ones may be anywhere.
            aux_addresses: Addresses that something else has, by a name for each; never handed out.
            ipam_driver: ``default``, ``null`` for a network without addresses, or on macvlan
                ``dhcp``: IPv4 addresses are leased from a DHCP server on the wire, and ``subnet``
                is what its leases must be of.
            ipam_options: Options of the IPAM driver: kept and shown, the default driver has none.
            ipv4: Whether it has IPv4, as it has by default.
            ipv6: Whether it has IPv6; by default if an IPv6 subnet is given.
            internal: No way out and none in.
            attachable: Kept and shown; containers may join every network.
            ingress: Refused: there is no swarm.
            scope: ``local``, or ``global`` for overlay: what the driver's networks are.
            labels: Metadata, names and strings; for filters, and shown by ``inspect``.
            config_only: Keep the settings under the name, for ``config_from``; make nothing.
            config_from: The config-only network whose settings to take, or its name.
            host: Where; the default host if not given.

        Raises:
            Invalid: for a value that is wrong, or that does not go with another.
            Several: for more than one such.
            NameInUse: if a network has the name.
            SubnetOverlap: if another network has addresses of a subnet.
            Forbidden: for a reserved name, and settings that exclude one another.
            NotFound: if there is no such driver, parent interface, or network of settings.
            Exhausted: if no subnet is free to be chosen.
            ClusterError: if it spans hosts, and what they share cannot be reached.
            KernelError: if the kernel refuses; then nothing is left behind.
            DriverError: if the driver is another package's and fails; then nothing is left, either.

        Example:
            >>> Network.create("my-net", subnet="172.28.0.0/16", options={"mtu": 1400})
        """
        from netyard.api import arguments
        from netyard.networks.operations import create_network

        host = chosen(host)
        spec = NetworkSpec(
            name=arguments.text("name", name),
            driver=arguments.text("driver", driver),
            options=arguments.options("options", options),
            subnets=arguments.addresses("subnet", subnet),
            gateways=arguments.addresses("gateway", gateway),
            ip_ranges=arguments.addresses("ip_range", ip_range),
            auxiliary=arguments.addresses_by_name("aux_addresses", aux_addresses),
            ipam_driver=arguments.text("ipam_driver", ipam_driver),
            ipam_options=arguments.options("ipam_options", ipam_options),
            ipv4=arguments.optional_flag("ipv4", ipv4),
            ipv6=arguments.optional_flag("ipv6", ipv6),
            is_internal=arguments.flag("internal", internal),
            is_attachable=arguments.flag("attachable", attachable),
            is_ingress=arguments.flag("ingress", ingress),
            scope=arguments.text("scope", scope),
            labels=arguments.pairs("labels", labels),
            is_config_only=arguments.flag("config_only", config_only),
            config_from=_name_of("config_from", host, config_from),
        )
        with host.change() as change:
            lookup.ensure_builtin_networks(host)
            return cls(host, create_network(change, spec))

    @classmethod
    def get(cls, wanted: str, *, host: netyard.Host | None = None) -> Network:
        """A network by what it is called.

        Args:
            wanted: Its full id, its name, or as much of the id as no other begins with.
            host: Where; the default host if not given.

        Raises:
            NotFound: if there is none.
            Invalid: if several ids begin so.

        Example:
            >>> Network.get("my-net").driver
            'bridge'
        """
        host = chosen(host)
        from netyard.api import arguments

        return cls(host, lookup.find_network(host, arguments.text("wanted", wanted)))

    @classmethod
    def list(
        cls, *, filters: str | Iterable[str] = (), host: netyard.Host | None = None
    ) -> list[Network]:
        """All networks, or those that fit, by name.

        Args:
            filters: ``KEY=VALUE`` words as of ``docker network ls``: ``driver``, ``id``, ``name``,
                ``scope``, ``label``, ``type``, ``dangling``.
            host: Where; the default host if not given.

        Raises:
            Invalid: for a filter that is none.

        Example:
            >>> [each.name for each in Network.list(filters="driver=bridge")]
            ['bridge', 'my-net']
        """
        host = chosen(host)
        records = lookup.list_networks(host)
        if filters != ():
            from netyard.api import arguments
            from netyard.lifecycle.listing import select_networks

            records = select_networks(host, records, arguments.words("filters", filters))
        return [cls(host, each) for each in records]

    def warnings(self) -> Sequence[str]:
        """What is allowed and will not work as one may think, a sentence each.

        Example:
            >>> for sentence in net.warnings():
            ...     print("warning:", sentence)
        """
        from netyard.networks.planning import find_warnings

        return find_warnings(self._record)

    def connect(
        self,
        container: str | netyard.Container,
        *,
        ip: str | IPv4Address | IPv6Address | None = None,
        ip6: str | IPv4Address | IPv6Address | None = None,
        aliases: str | Iterable[str] = (),
        mac_address: str | None = None,
        link_local_ips: str
        | IPv4Address
        | IPv6Address
        | Iterable[str | IPv4Address | IPv6Address] = (),
        driver_opts: Mapping[str, str | int | bool] | None = None,
        gw_priority: int = 0,
        links: str | netyard.Container | Iterable[str | netyard.Container] = (),
    ) -> netyard.Endpoint:
        """Give a container an interface on this network, with a name and addresses.

        A running container has it when the call returns; a stopped one when it is started.

        Args:
            container: A `Container`, or its name or id.
            ip: IPv4 address; the next free one if not given.
            ip6: IPv6 address; the next free one if not given.
            aliases: Further names of the container on this network.
            mac_address: Six octets with ``:`` between them; chosen if not given.
            link_local_ips: Further addresses, of 169.254.0.0/16 or fe80::/10.
            driver_opts: ``com.docker.network.endpoint.ifname`` and ``.sysctls``.
            gw_priority: The highest carries the default route: a whole number of at most 64 bits.
            links: `Container` objects, or ``CONTAINER[:ALIAS]``: others that it alone resolves.

        Returns:
            What it has got.

        Raises:
            Invalid: for a value that is wrong.
            NotFound: if there is no such container.
            Conflict: if it is on this network already.
            AddressInUse: if another container has the address.
            Exhausted: if no address is left.
            Forbidden: if nothing can be on this network, or the container joins no networks.
            KernelError: if the kernel refuses; then nothing has changed.

        Example:
            >>> net.connect("web", aliases="db", ip="172.28.0.20").ip
            IPv4Address('172.28.0.20')
        """
        from netyard.api.endpoint import endpoint_of
        from netyard.api.request import NetworkRequest, settled
        from netyard.lifecycle.connect import connect_container

        first = (self.id, ip, ip6, mac_address, aliases, link_local_ips)
        request = settled(self.host, NetworkRequest(*first, driver_opts, gw_priority, links))
        wanted = self._called(container)
        owner, made = connect_container(self.host, self._record, wanted, request)
        return endpoint_of(owner.name, made, self._record)

    def disconnect(self, container: str | netyard.Container, *, force: bool = False) -> None:
        """Take a container's interface on this network away, with its names and ports.

        Args:
            container: A `Container`, or its name or id.
            force: It is no error if there is no such container or it is not on this network.

        Raises:
            NotFound: if there is no such container.
            Conflict: if it is not on this network.
            Invalid: for the networks ``host`` and ``none``, and if ``force`` is neither True nor
                False.
            KernelError: if the kernel refuses.

        Example:
            >>> net.disconnect("web")
        """
        from netyard.api import arguments
        from netyard.lifecycle.connect import disconnect_container

        arguments.flag("force", force)
        wanted = self._called(container)
        try:
            disconnect_container(self.host, self._record, wanted)
        except (Conflict, NotFound):
            if not force:
                raise

    def _called(self, container: str | netyard.Container) -> str:
        from netyard.api import arguments
        from netyard.api.container_base import ContainerBase

        if isinstance(container, str):
            return arguments.text("container", container)
        if not isinstance(container, ContainerBase):
            right = "a Container, or the name or id of one"
            raise arguments.refuse("container", container, right)
        return container.id

    def endpoints(self) -> Sequence[netyard.Endpoint]:
        """The interfaces of containers of this host on it, there or to be made.

        Example:
            >>> {each.container: str(each.ip) for each in net.endpoints()}
            {'web': '172.18.0.2'}
        """
        from netyard.api.endpoint import endpoint_of

        store = self.host.store
        found = ((store.container(each.container_id), each) for each in store.endpoints_on(self.id))
        return [endpoint_of(owner.name, each, self._record) for owner, each in found if owner]

    def remove(self, *, force: bool = False) -> None:
        """Remove the network.

        Args:
            force: If its driver is another package's, and is missing or fails, forget the network
                all the same. What the driver has made may stay.

        Raises:
            Invalid: if ``force`` is neither True nor False.
            NotFound: if it has been removed.
            Forbidden: for a built-in one, and for settings that networks are made from.
            Conflict: if containers are on it, running or not; it names them.
            DriverError: if its driver is another package's, and is missing or fails.

        Example:
            >>> Network.get("my-net").remove()
        """
        from netyard.api.arguments import flag
        from netyard.networks.operations import remove_network

        flag("force", force)
        with self.host.change() as change:
            record = lookup.find_network(self.host, self.id)
            remove_network(change, record, forced=force)

    def inspect(self, *, verbose: bool = False) -> dict[str, Any]:
        """The network as Docker's ``network inspect`` shows it: its field names and shapes.

        Args:
            verbose: With the containers of other hosts, where it spans hosts.

        Raises:
            NotFound: if it has been removed.
            Invalid: if ``verbose`` is neither True nor False.

        Example:
            >>> net.inspect()["IPAM"]["Config"]
            [{'Subnet': '172.28.0.0/16', 'Gateway': '172.28.0.1'}]
        """
        from netyard.api.arguments import flag
        from netyard.api.inspect import inspect_network

        flag("verbose", verbose)
        return inspect_network(self.host, lookup.find_network(self.host, self.id), verbose=verbose)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        from netyard.lifecycle.connect import disconnect_container

        with contextlib.suppress(NotFound), self.host.change():
            for endpoint in self.host.store.endpoints_on(self.id):
                disconnect_container(self.host, self._record, endpoint.container_id)
            self.remove()


def _name_of(name: str, host: netyard.Host, given: str | Network) -> str:
    """The name of a network that is given by it, or as an object."""
    from netyard.api import arguments

    if not isinstance(given, Network):
        return arguments.text(name, given)
    check_host(name, host, given)
    return given.name
