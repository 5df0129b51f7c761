"""What a container was asked to be: plain data, kept as JSON in the store."""

import functools
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from netyard.values.limits import DEFAULT_PIDS, DEFAULT_SHM_SIZE, Ulimit
from netyard.values.mounts import MountRequest
from netyard.values.named import NamedTuple

if TYPE_CHECKING:
    from netyard.values.ports import PortRequest

_T = TypeVar("_T")


class ReadOnly(dict[str, _T]):
    """A mapping that cannot change, as it is in many values; JSON and pickle take it as it is."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("this mapping is read-only: dict(mapping) is a copy to change")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        # Made by its items one by one it would refuse them.
        return ReadOnly, (dict(self),)


NOTHING: ReadOnly[Any] = ReadOnly()


class JoinRequest(NamedTuple):
    """One network a container is to join, settled from a `netyard.NetworkRequest`.

    Attributes:
        network: Name or id.
        ip: IPv4 address; the next free one if not given.
        ip6: IPv6 address; the next free one if not given.
        mac_address: Six octets with ``:`` between them; chosen if not given.
        aliases: Further names of the container on this network.
        link_local_ips: Further addresses, of 169.254.0.0/16 or fe80::/10.
        driver_opts: ``com.docker.network.endpoint.ifname`` and ``.sysctls``.
        gw_priority: A whole number of at most 64 bits: the endpoint with the highest carries the
            default route.
        links: ``CONTAINER[:ALIAS]``: names of others that this container alone resolves.
    """

    network: str
    ip: str | None = None
    ip6: str | None = None
    mac_address: str | None = None
    aliases: Sequence[str] = ()
    link_local_ips: Sequence[str] = ()
    driver_opts: Mapping[str, str] = NOTHING
    gw_priority: int = 0
    links: Sequence[str] = ()


NetworkMode = Literal["networks", "host", "none", "container"]
HostFiles = Literal["system", "ephemeral", "read-only", "all"]


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
        workdir: Directory that the command begins in, as it was asked for.
        caller_directory: What it begins in otherwise, if it is there; else in ``/``.
        user: ``UID:GID[,GROUP...]``, or empty for root.
        read_only: Only mounts can be written to.
        host_files: What of the host's files can be written to, if these are the container's.
        mounts: Volumes and tmpfs.
        add_hosts: Pairs of name and address, or ``host-gateway``.
        sysctls: Settings of its network namespace (``net.*``).
        capabilities: Bit mask of capabilities, ``None`` for the default set.
        userns: ``host`` for the host's user namespace, ``""`` for one of its own, ``auto`` (and
            options, see `netyard.values.user_ids`) for one with a range of ids of its own.
        no_new_privileges: Set-user-id programs give it nothing.
        memory: Bytes of memory; 0 for no limit.
        memory_swap: Bytes of memory and swap; 0 for twice the memory, -1 for no limit.
        nano_cpus: Billionths of a processor; 0 for no limit.
        pids_limit: Processes and threads; -1 for no limit.
        ulimits: Limits of each process.
        shm_size: Bytes of shared memory.
        seccomp: Empty for the default filter, ``unconfined``, or a profile's text.
        netns: Absolute path of an adopted namespace, if it was given by one.
        log_driver: ``json-file``, ``none``, or empty for the default.
        log_opts: As given; see `netyard.values.log_options`.
    """

    command: Sequence[str] = ()
    mode: NetworkMode = "networks"
    networks: Sequence[JoinRequest] = ()
    publish: Sequence[str] = ()
    expose: Sequence[str] = ()
    publish_all: bool = False
    hostname: str = ""
    domainname: str = ""
    environment: Sequence[str] = ()
    workdir: str = ""
    caller_directory: str = ""
    user: str = ""
    rootfs: str = ""
    read_only: bool = False
    host_files: HostFiles = "system"
    mounts: Sequence[MountRequest] = ()
    tty: bool = False
    interactive: bool = False
    auto_remove: bool = False
    privileged: bool = False
    capabilities: int | None = None
    userns: str = ""
    no_new_privileges: bool = False
    seccomp: str = ""
    memory: int = 0
    memory_swap: int = 0
    nano_cpus: int = 0
    pids_limit: int = DEFAULT_PIDS
    ulimits: Sequence[Ulimit] = ()
    shm_size: int = DEFAULT_SHM_SIZE
    sysctls: Mapping[str, str] = NOTHING
    add_hosts: Sequence[tuple[str, str]] = ()
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    labels: Mapping[str, str] = NOTHING
    netns: str = ""
    log_driver: str = ""
    log_opts: Mapping[str, str] = NOTHING


class ContainerSpec(_Asked):
    """What a container was asked to be; the fields are those of a named tuple."""

    @property
    def is_confined(self) -> bool:
        """Whether it has a user namespace of its own, to which its network namespace belongs."""
        return not self.privileged and self.userns != "host"

    @property
    def has_own_ids(self) -> bool:
        """Whether it asks for a range of ids of its own."""
        return self.userns.partition(":")[0] == "auto"

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
        # One value is for all that ask.
        for each in (values, *requests):
            for name in ("sysctls", "labels", "driver_opts", "log_opts"):
                if name in each:
                    each[name] = ReadOnly(each[name])
        ulimits = values.pop("ulimits", ())
        mounts = values.pop("mounts", ())
        return cls(
            **values,
            networks=tuple(JoinRequest(**request) for request in requests),
            mounts=tuple(MountRequest(*mount) for mount in mounts),
            add_hosts=tuple((name, address) for name, address in hosts),
            ulimits=tuple(Ulimit(*each) for each in ulimits),
        )


_BARE = ContainerSpec()._asdict()


class NetworkSpec(NamedTuple):
    """A network as users ask for it; see `netyard.api.network.Network.create`."""

    name: str
    driver: str = "bridge"
    subnets: Sequence[str] = ()
    gateways: Sequence[str] = ()
    ip_ranges: Sequence[str] = ()
    auxiliary: Mapping[str, str] = NOTHING
    ipv4: bool | None = None
    ipv6: bool | None = None
    is_internal: bool = False
    is_attachable: bool = False
    is_ingress: bool = False
    scope: str = ""
    options: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] = NOTHING
    is_config_only: bool = False
    config_from: str = ""
