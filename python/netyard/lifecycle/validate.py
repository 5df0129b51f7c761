"""What a container is asked to be, checked before anything is made. Looks at nothing but values."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netyard.errors import Invalid, NetyardError, raise_all
from netyard.values import ports
from netyard.values.mounts import (
    MountRequest,
    check_targets,
    parse_mount,
    parse_tmpfs,
    parse_volume,
)
from netyard.values.parse import (
    parse_address,
    parse_domain,
    parse_hostname,
    parse_pairs,
    parse_resolver_option,
)
from netyard.values.spec import ContainerSpec, HostFiles, JoinRequest, NetworkMode

_LONG_KEYS = {
    "name": "network",
    "alias": "aliases",
    "ip": "ip",
    "ip6": "ip6",
    "link-local-ip": "link_local_ips",
    "mac-address": "mac_address",
    "driver-opt": "driver_opts",
    "gw-priority": "gw_priority",
}
_HOST_FILES: dict[str, HostFiles] = {
    "system": "system",
    "ephemeral": "ephemeral",
    "read-only": "read-only",
    "all": "all",
}
_REPEATED = {"alias", "link-local-ip", "driver-opt"}


def _split(field: str, text: str) -> list[str]:
    # Few use the long form, and this module is on the way of each `run`.
    import csv

    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        raise Invalid(f"{field}: {text!r} is no list of KEY=VALUE", field=field) from None


def parse_network_flag(text: str) -> JoinRequest:
    """``NAME`` or ``name=NAME,alias=…,ip=…`` (contract RN4).

    Comma separated as in CSV: a field that holds commas is quoted. Keys are taken in any case, but
    what they are given is taken as it is.
    """
    field = "--network"
    if "=" not in text:
        return JoinRequest(network=text)
    found: dict[str, Any] = {}
    for word in _split(field, text):
        key, separator, value = word.partition("=")
        key = key.strip().lower()
        if not separator or key not in _LONG_KEYS:
            raise Invalid(
                f"{field}: {word!r} must be one of {', '.join(_LONG_KEYS)}, then '=' and a value",
                field=field,
                value=text,
            )
        if key in _REPEATED:
            found.setdefault(key, []).append(value)
        elif key in found:
            raise Invalid(f"{field}: {text!r} has {key} twice", field=field, value=text)
        else:
            found[key] = value
    if not found.get("name"):
        raise Invalid(f"{field}: {text!r} needs name=NETWORK", field=field, value=text)
    if "driver-opt" in found:
        found["driver-opt"] = parse_pairs(f"{field} driver-opt", found["driver-opt"])
    if "gw-priority" in found:
        found["gw-priority"] = parse_priority(f"{field} gw-priority", found["gw-priority"])
    values: dict[str, Any] = {
        _LONG_KEYS[key]: tuple(value) if isinstance(value, list) else value
        for key, value in found.items()
    }
    return JoinRequest(**values)


def parse_priority(field: str, text: str) -> int:
    """A gateway priority: any whole number of 64 bits (contract RN8)."""
    found = int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else None
    if found is None or not -(2**63) <= found < 2**63:
        raise Invalid(
            f"{field}: {text!r} must be a whole number of at most 64 bits", field=field, value=text
        )
    return found


def network_mode(requests: Sequence[JoinRequest]) -> tuple[NetworkMode, str]:
    """The network mode, and whose namespace is shared if it is ``container``."""
    names = [request.network for request in requests]
    special = [name for name in names if name in ("host", "none") or name.startswith("container:")]
    if special and len(names) > 1:
        raise Invalid(f"--network: {special[0]!r} cannot be joined with other networks")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"--network: {twice!r} is given twice")
    if {"bridge", "default"} & set(names) and len(names) > 1:
        raise Invalid("--network: the default network cannot be joined with others")
    if not special:
        return "networks", ""
    word, _, target = special[0].partition(":")
    if word != "container":
        return "host" if word == "host" else "none", ""
    if not target:
        raise Invalid("--network: container: needs a name or id", field="--network")
    return "container", target


def with_first(
    requests: Sequence[JoinRequest], first: Mapping[str, Any]
) -> tuple[JoinRequest, ...]:
    """The requests, what was given for "the first network" put into the first."""
    head, *tail = requests or [JoinRequest(network="bridge")]
    if head.network == "default":
        head = head._replace(network="bridge")
    for key, value in first.items():
        if value and getattr(head, key):
            raise Invalid(f"--network: {key} is given both for the network and for the container")
    given = {key: value for key, value in first.items() if value}
    return (head._replace(**given), *tail)


def check_mode(
    spec: ContainerSpec,
    first: Mapping[str, Any],
    target: str,
    requests: Sequence[JoinRequest],
) -> None:
    """Refuse flags that have no meaning in a mode, each by name (contract RN6, RN7, RN9)."""
    if spec.mode == "networks":
        return
    long = requests[0] if requests else JoinRequest(network="")
    given: dict[str, object] = {
        "--network-alias": first["aliases"] or long.aliases,
        "--ip": first["ip"] or long.ip,
        "--ip6": first["ip6"] or long.ip6,
        "--link-local-ip": first["link_local_ips"] or long.link_local_ips,
        "--mac-address": first["mac_address"] or long.mac_address,
        "--link": first["links"],
    }
    if spec.mode == "container":
        given |= {
            "--add-host": spec.add_hosts,
            "--hostname": spec.hostname,
            "--domainname": spec.domainname,
            "--dns": spec.dns,
            "--dns-search": spec.dns_search,
            "--dns-option": spec.dns_options,
            "--publish": spec.publish,
            "--publish-all": spec.publish_all,
            "--expose": spec.expose,
        }
    if spec.mode != "none":
        given["--sysctl"] = spec.sysctls
    shown = f"container:{target}" if spec.mode == "container" else spec.mode
    raise_all(
        [
            Invalid(
                f"conflicting options: {flag} cannot be used with --network {shown}", field=flag
            )
            for flag, value in given.items()
            if value
        ]
    )


def parse_sysctl(word: str) -> tuple[str, str]:
    """``net.KEY=VALUE`` for the container's network namespace (contract RN21)."""
    field = "--sysctl"
    name, separator, value = word.partition("=")
    if not separator or not re.fullmatch(r"net\.[A-Za-z0-9_.-]+", name):
        raise Invalid(f"{field}: {word!r} must be net.KEY=VALUE", field=field, value=word)
    if re.match(r"net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.(?!(all|default|lo)\.)", name):
        raise Invalid(
            f"{field}: {name!r} is of one interface: use --network "
            "name=NETWORK,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.…",
            field=field,
            value=word,
        )
    return name, value


def parse_userns(word: str) -> str:
    """``host``; ``private`` or nothing for a user namespace of the container's own; ``auto`` and
    options for one with ids of its own."""
    if word.partition(":")[0] == "auto":
        # Few ask for it, and this module is on the way of each `run`.
        from netyard.values.user_ids import parse_auto

        parse_auto(word)
        return word
    if word not in ("", "private", "host"):
        raise Invalid(
            f"--userns: {word!r} must be private, auto or host", field="--userns", value=word
        )
    return "host" if word == "host" else ""


def check_userns(spec: ContainerSpec) -> None:
    """Refuse ids of its own where a container has the user namespace of another, or the host's."""
    if not spec.has_own_ids:
        return
    field = "--userns"
    if spec.privileged:
        raise Invalid(
            f"conflicting options: {field} {spec.userns} cannot be used with --privileged, which "
            "is root of the host",
            field=field,
            value=spec.userns,
        )
    if spec.mode == "host":
        raise Invalid(
            f"conflicting options: {field} {spec.userns} cannot be used with --network host, which "
            "belongs to the host's user namespace",
            field=field,
            value=spec.userns,
        )
    if spec.mode == "container" and spec.userns != "auto":
        raise Invalid(
            f"conflicting options: {field} {spec.userns} cannot be used with --network container: "
            "containers that share a network have the same ids",
            field=field,
            value=spec.userns,
            hint=f"use {field} auto",
        )


def disables_ipv6(sysctls: Mapping[str, str]) -> bool:
    """Whether a container is to have no IPv6 at all (contract RN22)."""
    names = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")
    return any(sysctls.get(name) == "1" for name in names)


def check_values(spec: ContainerSpec) -> None:
    """Check everything that can be checked without looking at the host, all at once."""
    checks: list[Callable[[], object]] = []
    if spec.hostname:
        checks.append(partial(parse_hostname, "--hostname", spec.hostname))
    if spec.domainname:
        checks.append(partial(parse_domain, "--domainname", spec.domainname))
    checks += [partial(parse_address, "--dns", word) for word in spec.dns]
    checks += [partial(parse_domain, "--dns-search", word) for word in spec.dns_search]
    checks += [partial(parse_resolver_option, "--dns-option", word) for word in spec.dns_options]
    checks += [partial(ports.parse_publish, word) for word in spec.publish]
    checks += [partial(ports.parse_expose, word) for word in spec.expose]
    errors: list[NetyardError] = []
    for check in checks:
        try:
            check()
        except NetyardError as error:
            errors.append(error)
    raise_all(errors)


def check_rootfs(rootfs: str | os.PathLike[str]) -> str:
    """The absolute path of a root in which the container's own file systems can be mounted."""
    if not os.fspath(rootfs):
        return ""
    path = Path(rootfs).absolute()
    try:
        is_directory = path.is_dir()
    except OSError:
        # Its name is too long, or it is in a directory of others.
        is_directory = False
    if not is_directory:
        raise Invalid(f"--rootfs: {path} is no directory", field="--rootfs", value=str(path))
    for name in ("proc", "sys", "dev"):
        place = path / name
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise Invalid(
                f"--rootfs: {place} must be a directory: it is where the container's own /{name} "
                "is mounted",
                field="--rootfs",
                value=str(path),
            )
    return str(path)


def parse_volumes(
    volumes: Sequence[str], mounts: Sequence[str], tmpfs: Sequence[str]
) -> tuple[MountRequest, ...]:
    """What is to be mounted in a container, in the order of the flags."""
    directory = current_directory() if volumes else ""
    found = [parse_volume(text, directory) for text in volumes]
    for text in mounts:
        each = parse_mount(text, _split("--mount", text))
        if each.kind == "bind" and not Path(each.source).exists():
            raise Invalid(
                f"--mount: {each.source} does not exist: make it, or let --volume make it",
                field="--mount",
                value=text,
            )
        found.append(each)
    found += [parse_tmpfs(text) for text in tmpfs]
    check_targets(found)
    return tuple(found)


def current_directory() -> str:
    """Where we are; the root if that has been removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return "/"


def check_host_files(word: str, *, rootfs: str, read_only: bool) -> HostFiles:
    """What of the host's files can be written to, ``read_only`` taken into account."""
    field = "--host-files"
    if word not in _HOST_FILES:
        known = ", ".join(_HOST_FILES)
        raise Invalid(f"{field}: {word!r} must be one of {known}", field=field, value=word)
    if rootfs and word != "system":
        raise Invalid(
            f"conflicting options: {field} {word} is of the host's files, and --rootfs gives "
            "the container others",
            field=field,
            value=word,
        )
    if read_only and word not in ("system", "read-only"):
        raise Invalid(
            f"conflicting options: {field} {word} cannot be used with --read-only",
            field=field,
            value=word,
        )
    return "read-only" if read_only and not rootfs else _HOST_FILES[word]
