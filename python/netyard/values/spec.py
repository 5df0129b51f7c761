"""What a container was asked to be: plain data, kept as JSON in the store."""

import functools
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from netyard.values.ports import PortRequest


class NetworkRequest(NamedTuple):
    """One network a container is to join.

    Attributes:
        network: Name or id.
        ip: Wanted IPv4 address, or ``None`` for the next free one.
        ip6: Wanted IPv6 address.
        mac_address: Wanted MAC address.
        aliases: Further names on this network.
        link_local_ips: Further, link-local addresses.
        driver_opts: Options of this endpoint (``com.docker.network.endpoint.*``).
        gw_priority: The endpoint with the highest carries the default route.
        links: ``CONTAINER[:ALIAS]``: names of others that this container alone sees.
    """

    network: str
    ip: str | None = None
    ip6: str | None = None
    mac_address: str | None = None
    aliases: Sequence[str] = ()
    link_local_ips: Sequence[str] = ()
    driver_opts: Mapping[str, str] = {}
    gw_priority: int = 0
    links: Sequence[str] = ()


NetworkMode = Literal["networks", "host", "none", "container"]


class _Asked(NamedTuple):
    """The fields of a `ContainerSpec`.

    Attributes:
        command: Program and arguments; empty for an adopted namespace.
        mode: ``networks``, ``host``, ``none`` or ``container``.
        networks: What to join, if the mode is ``networks``.
        publish: Ports as typed (``8080:80/udp``); see `netyard.values.ports`.
        expose: Ports as typed (``80/tcp``, ``7000-7010``).
        publish_all: Publish each exposed port to a chosen host port.
        environment: ``KEY=VALUE`` words, complete.
        user: ``UID:GID[,GROUP...]``, or empty for root.
        add_hosts: Pairs of name and address, or ``host-gateway``.
        sysctls: Settings of its network namespace (``net.*``).
        capabilities: Bit mask of capabilities, ``None`` for the default set.
        netns: Absolute path of an adopted namespace, if it was given by one.
    """

    command: Sequence[str] = ()
    mode: NetworkMode = "networks"
    networks: Sequence[NetworkRequest] = ()
    publish: Sequence[str] = ()
    expose: Sequence[str] = ()
    publish_all: bool = False
    hostname: str = ""
    domainname: str = ""
    environment: Sequence[str] = ()
    workdir: str = ""
    user: str = ""
    rootfs: str = ""
    tty: bool = False
    interactive: bool = False
    auto_remove: bool = False
    privileged: bool = False
    capabilities: int | None = None
    sysctls: Mapping[str, str] = {}
    add_hosts: Sequence[tuple[str, str]] = ()
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    labels: Mapping[str, str] = {}
    netns: str = ""


class ContainerSpec(_Asked):
    """What a container was asked to be; the fields are those of a named tuple."""

    @cached_property
    def port_requests(self) -> "Sequence[PortRequest]":
        """Everything it wants published, parsed when it is first asked for."""
        # Not every command that knows a container asks for its ports.
        from netyard.values.ports import PortRequest, parse_expose, parse_publish, singly

        wanted = [request for text in self.publish for request in parse_publish(text)]
        if self.publish_all:
            named = {(each.container_port, each.protocol) for each in singly(wanted)}
            for text in self.expose:
                for port, protocol in parse_expose(text):
                    if (port, protocol) not in named:
                        wanted.append(PortRequest(port, protocol, None, (), f"{port}/{protocol}"))
        return wanted

    def to_json(self) -> str:
        """The form the store keeps: what differs from the defaults."""
        told = {name: value for name, value in self._asdict().items() if value != _BARE[name]}
        if self.networks:
            told["networks"] = [request._asdict() for request in self.networks]
        return json.dumps(told)

    @classmethod
    @functools.lru_cache(maxsize=256)
    def from_json(cls, text: str) -> "ContainerSpec":
        """Read what `to_json` wrote."""
        values = json.loads(text)
        requests = values.pop("networks", ())
        hosts = values.pop("add_hosts", ())
        return cls(
            **values,
            networks=tuple(NetworkRequest(**request) for request in requests),
            add_hosts=tuple((name, address) for name, address in hosts),
        )


_BARE = ContainerSpec()._asdict()


class NetworkSpec(NamedTuple):
    """A network as users ask for it; see `netyard.api.network.Network.create`."""

    name: str
    driver: str = "bridge"
    subnets: Sequence[str] = ()
    gateways: Sequence[str] = ()
    ip_ranges: Sequence[str] = ()
    auxiliary: Mapping[str, str] = {}
    ipv4: bool | None = None
    ipv6: bool | None = None
    is_internal: bool = False
    is_attachable: bool = False
    is_ingress: bool = False
    scope: str = ""
    options: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = {}
    is_config_only: bool = False
    config_from: str = ""
