"""The keywords of what makes networks and containers, as types: a misspelt one is a type error.

For functions that hand keywords on, as `Container.run` does to `Container.create`, whose own
signature has the same. Imported by nothing at run time but `netyard` itself, if one asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from os import PathLike
from typing import TypedDict

import netyard


class ContainerSettings(TypedDict, total=False):
    """Keywords of `netyard.Container.create` and `netyard.Container.run`. None of them is needed.

    Where several words are taken, one string is one word. Where an address is taken, an object of
    ``ipaddress`` is as good as a string; where a path is taken, one of ``pathlib``.

    Attributes:
        name: What to call it: letters, digits, ``_``, ``.`` and ``-``, 2 to 128 characters. Others
            on its networks resolve it by this name. Generated if not given.
        labels: Metadata, names and strings; for filters, and shown by ``inspect``.
        network: What to join, one or several: names or ids, `Network` objects, or a
            `NetworkRequest` for what is to be so on one network alone. A name may be in Docker's
            long form, ``name=NAME,alias=…,ip=…,gw-priority=…``. Or ``host`` (the host's own
            network), ``none`` (none at all), or that of another container: a `Container` object, or
            ``container:NAME``. The default network, ``bridge``, if not given.
        ip: IPv4 address on the first network; the next free one if not given.
        ip6: IPv6 address on the first network; the next free one if not given.
        mac_address: MAC address on the first network, six octets with ``:`` between them; chosen if
            not given.
        aliases: Further names on the first network.
        link_local_ips: Further addresses on the first network, of 169.254.0.0/16 or fe80::/10.
        links: Others on the first network that it alone resolves: `Container` objects, or
            ``CONTAINER[:ALIAS]``.
        publish: Ports to be reached from outside, as for ``docker run -p``: ``8080:80``, ``80`` (at
            a free port of the host), ``127.0.0.1:8080:80/udp``, ``8000-8009:8000-8009``.
        publish_all: Publish each exposed port at a free port of the host.
        expose: Ports for ``publish_all``: ``80``, ``53/udp``, ``7000-7010``.
        hostname: Its host name, at most 63 characters; the short id if not given.
        domainname: Its domain name (NIS), as ``hostname -d`` shows it.
        add_hosts: ``NAME:ADDRESS`` lines for /etc/hosts; the address may be ``host-gateway``.
        dns: Addresses of name servers to ask instead of the host's.
        dns_search: Domains to complete names by; ``.`` for none.
        dns_options: Resolver options, such as ``ndots:2``.
        environment: Further variables: names, and strings, whole numbers or paths.
        workdir: Directory that the command begins in; if not given, the caller's, if the
            container has the host's files and its user may enter it, else ``/``.
        user: ``USER[:GROUP]``, names or numbers; root if not given.
        tty: Give it a terminal.
        interactive: Keep its standard input open, for ``netyard attach``.
        rootfs: Directory to be its root; the host's files if not given.
        read_only: Let it write to nothing but private /tmp, /run and /var/tmp, and to what
            ``volumes``, ``mounts`` and ``tmpfs`` name; with ``rootfs``, only to these.
        host_files: What of the host's files it may write to, if it has no ``rootfs``:
            ``system`` is all but the host's programs and settings, ``ephemeral`` all, in a
            layer that goes with it, ``read-only`` nothing, ``all`` what a user of the host may.
        volumes: Directories or files of the host to mount in it, as for ``docker run -v``:
            ``/srv/data:/data``, ``/srv/data:/data:ro``; or a mapping,
            ``{"/srv/data": "/data:ro"}``. A directory that is missing is made. ``:idmap``: with
            ``userns="auto"``, what is root's there is its root's.
        mounts: The same as for ``docker run --mount``:
            ``type=bind,source=/srv/data,target=/data,readonly``,
            ``type=tmpfs,target=/scratch,tmpfs-size=64m``. A source that is missing is refused.
        tmpfs: Directories in memory, as for ``docker run --tmpfs``: ``/scratch``,
            ``/scratch:size=64m,mode=0700``; or a mapping, ``{"/scratch": "size=64m"}``.
        log_driver: ``json-file``, or ``none`` to keep nothing of what it writes.
        log_opts: How much is kept: ``max-size`` of a file, such as ``500k`` or ``1g`` (10m if not
            given, ``-1`` for any number of bytes), and ``max-file``, how many files (3).
        sysctls: Settings of its network namespace: names such as ``net.ipv4.ip_forward``, and
            strings, whole numbers, or ``True`` and ``False`` for 1 and 0.
        privileged: All capabilities, and /proc/sys to write to.
        cap_add: Capabilities to keep beside Docker's usual ones, such as ``NET_ADMIN``, or ``ALL``.
        cap_drop: Capabilities to take away, or ``ALL``.
        userns: ``private`` for a user namespace of its own (the default), in which ids are what
            they are on the host and capabilities count for nothing of the host's; ``auto`` for
            one that has a range of ids of its own, 65536 of those that /etc/subuid and
            /etc/subgid give to ``containers``, so that its root is nobody on the host, or
            ``auto:size=N``; ``host`` for the host's, which ``privileged`` and the network
            ``host`` mean as well.
        security_opt: ``no-new-privileges``, and ``seccomp=unconfined`` or ``seccomp=FILE``, a
            profile in Docker's form.
        memory: Bytes of memory it may use, or ``512m``; any amount if not given.
        memory_swap: Bytes of memory and swap together, -1 for all there is; twice the memory if
            not given.
        cpus: Processors it may use at a time, such as 0.5; all if not given.
        pids_limit: Processes and threads it may have; -1 for any number.
        ulimits: Limits of each process: ``nofile=1024:4096``, soft and hard.
        shm_size: Bytes of shared memory, or ``1g``; ``64m`` if not given.
        auto_remove: Remove it when it ends.

    Example:
        >>> def nice(*command: str, **settings: Unpack[ContainerSettings]) -> Container:
        ...     return Container.run("nice", *command, **settings)
    """

    # identity
    name: str | None
    labels: Mapping[str, str] | None
    # networks
    network: (
        str
        | netyard.Network
        | netyard.Container
        | netyard.NetworkRequest
        | Iterable[str | netyard.Network | netyard.Container | netyard.NetworkRequest]
    )
    ip: str | IPv4Address | IPv6Address | None
    ip6: str | IPv4Address | IPv6Address | None
    mac_address: str | None
    aliases: str | Iterable[str]
    link_local_ips: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address]
    links: str | netyard.Container | Iterable[str | netyard.Container]
    # ports
    publish: str | Iterable[str]
    publish_all: bool
    expose: str | Iterable[str]
    # names and DNS
    hostname: str
    domainname: str
    add_hosts: str | Iterable[str]
    dns: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address]
    dns_search: str | Iterable[str]
    dns_options: str | Iterable[str]
    # process
    environment: Mapping[str, str | int | PathLike[str]] | None
    workdir: str | PathLike[str]
    user: str | int
    tty: bool
    interactive: bool
    # files
    rootfs: str | PathLike[str]
    read_only: bool
    host_files: str
    volumes: str | Iterable[str] | Mapping[str, str]
    mounts: str | Iterable[str]
    tmpfs: str | Iterable[str] | Mapping[str, str]
    log_driver: str
    log_opts: Mapping[str, str | int] | None
    # isolation
    sysctls: Mapping[str, str | int | bool] | None
    privileged: bool
    cap_add: str | Iterable[str]
    cap_drop: str | Iterable[str]
    userns: str
    security_opt: str | Iterable[str]
    # limits
    memory: str | int
    memory_swap: str | int
    cpus: str | float
    pids_limit: int
    ulimits: str | Iterable[str]
    shm_size: str | int
    # life
    auto_remove: bool


class AdoptSettings(TypedDict, total=False):
    """Keywords of `netyard.Container.adopt`: ``pid`` or ``netns``, and what else one likes.

    Attributes:
        pid: A process in the namespace, the host's pid; either this or ``netns`` is needed.
        netns: A path to the namespace, such as ``/run/netns/lab`` or ``/proc/1234/ns/net``.
        labels: Metadata, names and strings; for filters, and shown by ``inspect``.
        network: What to join, one or several: names or ids, `Network` objects, or a
            `NetworkRequest` for what is to be so on one network alone. The default network,
            ``bridge``, if not given.
        ip: IPv4 address on the first network; the next free one if not given.
        ip6: IPv6 address on the first network; the next free one if not given.
        mac_address: On the first network, six octets with ``:`` between them; chosen if not given.
        aliases: Further names on the first network.
        publish: Ports to be reached from outside, as `netyard.Container.create` takes them.

    Example:
        >>> given: AdoptSettings = {"netns": "/run/netns/lab", "network": "my-net"}
        >>> Container.adopt("lab", **given)
    """

    # the namespace
    pid: int | None
    netns: str | PathLike[str] | None
    # identity
    labels: Mapping[str, str] | None
    # networks
    network: (
        str
        | netyard.Network
        | netyard.NetworkRequest
        | Iterable[str | netyard.Network | netyard.NetworkRequest]
    )
    ip: str | IPv4Address | IPv6Address | None
    ip6: str | IPv4Address | IPv6Address | None
    mac_address: str | None
    aliases: str | Iterable[str]
    # ports
    publish: str | Iterable[str]


class NetworkSettings(TypedDict, total=False):
    """Keywords of `netyard.Network.create`. None of them is needed.

    Where several words are taken, one string is one word. Where an address or a subnet is taken, an
    object of ``ipaddress`` is as good as a string.

    Attributes:
        driver: ``bridge``, ``macvlan``, ``ipvlan``, ``overlay``, or one that an installed
            package offers (``docs/drivers.md``).
        options: Driver options, under Docker's names or their short forms, such as ``mtu``:
            strings, whole numbers, ``True`` or ``False``.
        subnet: Subnets in CIDR form, such as ``172.28.0.0/16``; free ones are chosen if not given.
            Several of a family on macvlan and ipvlan. ``0.0.0.0/24`` asks for any free one of that
            size.
        gateway: Its own address in each subnet; the lowest free one where not given, none on
            macvlan and ipvlan.
        ip_range: Part of each subnet, in CIDR form, that dynamic addresses come from; static ones
            may be anywhere.
        aux_addresses: Addresses that something else has, by a name for each; never handed out.
        ipam_driver: ``default``, ``null`` for a network without addresses, or on macvlan ``dhcp``:
            IPv4 addresses are leased from a DHCP server on the wire, and ``subnet`` is what its
            leases must be of.
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

    Example:
        >>> given: NetworkSettings = {"subnet": "172.28.0.0/16", "options": {"mtu": 1400}}
        >>> Network.create("my-net", **given)
    """

    # driver
    driver: str
    options: Mapping[str, str | int | bool] | None
    # addresses
    subnet: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network]
    gateway: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address]
    ip_range: str | IPv4Network | IPv6Network | Iterable[str | IPv4Network | IPv6Network]
    aux_addresses: Mapping[str, str | IPv4Address | IPv6Address] | None
    ipam_driver: str
    ipam_options: Mapping[str, str | int | bool] | None
    ipv4: bool | None
    ipv6: bool | None
    # reach
    internal: bool
    attachable: bool
    ingress: bool
    scope: str
    # identity
    labels: Mapping[str, str] | None
    # kept settings
    config_only: bool
    config_from: str | netyard.Network
