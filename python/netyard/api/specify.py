"""From what callers ask for to a `ContainerSpec`: one function for each group of parameters.

Types are settled here, by the rules of `netyard.api.arguments`; what values must be is checked in
`netyard.lifecycle.validate`. Nothing is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import netyard
from netyard.api import arguments
from netyard.api.container_base import ContainerBase, link_words
from netyard.api.default import check_host
from netyard.errors import Invalid
from netyard.lifecycle.validate import (
    check_host_files,
    check_mode,
    check_rootfs,
    check_userns,
    check_values,
    current_directory,
    network_mode,
    parse_network_flag,
    parse_sysctl,
    parse_userns,
    parse_volumes,
    with_first,
)
from netyard.values import limits, ports
from netyard.values.log_options import check_log_driver, log_limits
from netyard.values.named import NamedTuple
from netyard.values.parse import parse_extra_host
from netyard.values.spec import ContainerSpec, JoinRequest, NetworkMode


class Joining(NamedTuple):
    """Which networks a container is to be on, and how.

    Attributes:
        requests: What was asked for, network by network.
        first: What was asked for beside, which is for the first network.
        mode: ``networks``, ``host``, ``none`` or ``container``.
        target: Whose namespace is shared, if the mode is ``container``.
    """

    requests: tuple[JoinRequest, ...]
    first: Mapping[str, Any]
    mode: NetworkMode
    target: str


def joining(
    host: netyard.Host,
    network: str
    | netyard.Network
    | netyard.Container
    | netyard.NetworkRequest
    | Iterable[str | netyard.Network | netyard.Container | netyard.NetworkRequest],
    ip: str | IPv4Address | IPv6Address | None = None,
    ip6: str | IPv4Address | IPv6Address | None = None,
    mac_address: str | None = None,
    aliases: str | Iterable[str] = (),
    link_local_ips: str
    | IPv4Address
    | IPv6Address
    | Iterable[str | IPv4Address | IPv6Address] = (),
    links: str | netyard.Container | Iterable[str | netyard.Container] = (),
) -> Joining:
    """The networks a container is to be on."""
    requests = tuple(_request(host, each) for each in _given(network))
    first = {
        "ip": arguments.address("ip", ip),
        "ip6": arguments.address("ip6", ip6),
        "mac_address": arguments.optional_word("mac_address", mac_address),
        "aliases": arguments.words("aliases", aliases),
        "link_local_ips": arguments.addresses("link_local_ips", link_local_ips),
        "links": link_words(host, links),
    }
    mode, target = network_mode(requests)
    return Joining(requests, first, mode, target)


def _given(network: Any) -> Iterable[Any]:
    # A request is a tuple as well.
    # What would be read letter by letter, or by its keys, is one that is wrong.
    is_one = isinstance(network, str | bytes | Mapping) or hasattr(network, "_fields")
    return [network] if is_one or not isinstance(network, Iterable) else network


def _request(host: netyard.Host, given: Any) -> JoinRequest:
    if isinstance(given, str):
        return parse_network_flag(arguments.text("network", given))
    if isinstance(given, ContainerBase):
        check_host("network", host, given)
        return JoinRequest(network=f"container:{given.id}")
    # Commands give names.
    from netyard.api.network import Network
    from netyard.api.request import NetworkRequest, settled

    if isinstance(given, Network):
        return JoinRequest(network=_called(host, given))
    if not isinstance(given, NetworkRequest):
        right = "the name of a network, a Network, Container or NetworkRequest, or several of these"
        raise arguments.refuse("network", given, right)
    if not isinstance(given.network, str | Network):
        raise arguments.refuse("network", given.network, "the name of a network, or a Network")
    return settled(host, given._replace(network=_called(host, given.network)))


def _called(host: netyard.Host, network: str | netyard.Network) -> str:
    """What a network is called in a request: built-in ones by name, as that is what they mean."""
    if isinstance(network, str):
        return network
    check_host("network", host, network)
    return network.name if network.record.is_builtin else network.id


def container(
    command: tuple[str | os.PathLike[str], ...],
    joining: Joining,
    labels: Mapping[str, str] | None,
    auto_remove: bool,
) -> ContainerSpec:
    """A container that runs a command on networks, for the functions below to add to."""
    words = arguments.command(command)
    if not words:
        raise Invalid("a command is needed: netyard has no images that could name one")
    is_on_networks = joining.mode == "networks"
    return ContainerSpec(
        command=words,
        mode=joining.mode,
        networks=with_first(joining.requests, joining.first) if is_on_networks else (),
        labels=arguments.pairs("labels", labels),
        auto_remove=arguments.flag("auto_remove", auto_remove),
    )


def adopted(
    joining: Joining,
    netns: str | os.PathLike[str] | None,
    publish: str | Iterable[str],
    labels: Mapping[str, str] | None,
) -> ContainerSpec:
    """A namespace that is there already, and of which only the networks are netyard's."""
    if joining.mode != "networks":
        raise Invalid(f"--network: an adopted namespace cannot be in {joining.mode!r} mode")
    place = "" if netns is None else arguments.path("netns", netns)
    spec = ContainerSpec(
        networks=with_first(joining.requests, joining.first),
        publish=ports.compacted(arguments.words("publish", publish)),
        labels=arguments.pairs("labels", labels),
        netns=str(Path(place).absolute()) if netns is not None else "",
    )
    check_values(spec)
    return spec


def with_ports(
    spec: ContainerSpec,
    publish: str | Iterable[str],
    publish_all: bool,
    expose: str | Iterable[str],
) -> ContainerSpec:
    """The same with its ports."""
    return spec._replace(
        publish=ports.compacted(arguments.words("publish", publish)),
        publish_all=arguments.flag("publish_all", publish_all),
        expose=arguments.words("expose", expose),
    )


def with_names(
    spec: ContainerSpec,
    hostname: str,
    domainname: str,
    add_hosts: str | Iterable[str],
    dns: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address],
    dns_search: str | Iterable[str],
    dns_options: str | Iterable[str],
) -> ContainerSpec:
    """The same with its own names, and how it finds those of others."""
    hosts = arguments.words("add_hosts", add_hosts)
    return spec._replace(
        hostname=arguments.text("hostname", hostname),
        domainname=arguments.text("domainname", domainname),
        add_hosts=tuple(parse_extra_host("--add-host", word) for word in hosts),
        dns=arguments.addresses("dns", dns),
        dns_search=arguments.words("dns_search", dns_search),
        dns_options=arguments.words("dns_options", dns_options),
    )


def with_files(
    spec: ContainerSpec,
    rootfs: str | os.PathLike[str],
    read_only: bool,
    host_files: str,
    volumes: str | Iterable[str] | Mapping[str, str],
    mounts: str | Iterable[str],
    tmpfs: str | Iterable[str] | Mapping[str, str],
) -> ContainerSpec:
    """The same with its files, and which of them it can write to."""
    root = check_rootfs(arguments.path("rootfs", rootfs))
    only_read = arguments.flag("read_only", read_only)
    word = arguments.text("host_files", host_files)
    kept = check_host_files(word, rootfs=root, read_only=only_read)
    return spec._replace(
        rootfs=root,
        host_files=kept,
        read_only=only_read or kept == "read-only",
        mounts=parse_volumes(
            arguments.joined("volumes", volumes),
            arguments.words("mounts", mounts),
            arguments.joined("tmpfs", tmpfs),
        ),
    )


def with_process(
    spec: ContainerSpec,
    environment: Mapping[str, str | int | os.PathLike[str]] | None,
    workdir: str | os.PathLike[str],
    user: str | int,
    tty: bool,
    interactive: bool,
) -> ContainerSpec:
    """The same with what its first process finds; its files are known already."""
    begin = arguments.path("workdir", workdir)
    return spec._replace(
        environment=arguments.environment("environment", environment),
        workdir=begin,
        # Of other files the caller's directory is no directory.
        caller_directory="" if begin or spec.rootfs else current_directory(),
        user=arguments.user(user, spec.rootfs),
        tty=arguments.flag("tty", tty),
        interactive=arguments.flag("interactive", interactive),
    )


def with_isolation(
    spec: ContainerSpec,
    sysctls: Mapping[str, str | int | bool] | None,
    privileged: bool,
    cap_add: str | Iterable[str],
    cap_drop: str | Iterable[str],
    userns: str,
    security_opt: str | Iterable[str],
) -> ContainerSpec:
    """The same with what it may do, and how its kernel settings are."""
    found = arguments.options("sysctls", sysctls, true="1")
    add, drop = arguments.words("cap_add", cap_add), arguments.words("cap_drop", cap_drop)
    asked = arguments.words("security_opt", security_opt)
    if asked:
        from netyard.lifecycle import security_options

        spec = spec._replace(**security_options.parse(asked)._asdict())
    return spec._replace(
        sysctls=dict(parse_sysctl(f"{name}={value}") for name, value in found.items()),
        privileged=arguments.flag("privileged", privileged),
        capabilities=_capabilities(add, drop) if add or drop else None,
        userns=parse_userns(arguments.text("userns", userns)),
    )


def with_limits(
    spec: ContainerSpec,
    memory: str | float,
    memory_swap: str | float,
    cpus: str | float,
    pids_limit: int,
    ulimits: str | Iterable[str],
    shm_size: str | float,
) -> ContainerSpec:
    """The same with how much of the host it may use."""
    memory = arguments.word_or_number("memory", memory)
    memory_swap = arguments.word_or_number("memory_swap", memory_swap)
    shm_size = arguments.word_or_number("shm_size", shm_size)
    cpus = arguments.word_or_number("cpus", cpus)
    most = limits.parse_size("--memory", memory, limits.LEAST_MEMORY) if memory else 0
    pids = arguments.whole("pids_limit", pids_limit)
    return spec._replace(
        memory=most,
        memory_swap=limits.parse_swap(memory_swap, most),
        nano_cpus=limits.parse_cpus(cpus) if cpus else 0,
        pids_limit=limits.parse_pids(pids),
        ulimits=tuple(map(limits.parse_ulimit, arguments.words("ulimits", ulimits))),
        shm_size=limits.parse_size("--shm-size", shm_size) if shm_size else limits.DEFAULT_SHM_SIZE,
    )


def with_log(
    spec: ContainerSpec, log_driver: str, log_opts: Mapping[str, str | int] | None
) -> ContainerSpec:
    """The same with how much is kept of what it writes."""
    driver = check_log_driver(arguments.text("log_driver", log_driver))
    found = arguments.options("log_opts", log_opts)
    if found and driver == "none":
        raise Invalid("conflicting options: --log-opt cannot be used with --log-driver none")
    log_limits(found)
    return spec._replace(log_driver=driver, log_opts=found)


def _capabilities(add: tuple[str, ...], drop: tuple[str, ...]) -> int | None:
    from netyard.runtime.capabilities import capability_mask

    return capability_mask(add, drop)


def check(spec: ContainerSpec, joining: Joining) -> None:
    """Refuse what cannot be, or does not go together."""
    check_mode(spec, joining.first, joining.target, joining.requests)
    check_userns(spec)
    check_values(spec)
