"""What a container is asked to be, checked before anything is made. Looks at nothing but values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netyard import ports
from netyard.errors import Invalid, NetyardError, raise_all
from netyard.options import parse_address, parse_domain, parse_hostname
from netyard.spec import ContainerSpec, NetworkRequest


def parse_requests(
    network: str | NetworkRequest | Sequence[str | NetworkRequest],
) -> Sequence[NetworkRequest]:
    """One network or several, by name or in full."""
    given = [network] if isinstance(network, str | NetworkRequest) else network
    return [
        each if isinstance(each, NetworkRequest) else NetworkRequest(network=each) for each in given
    ]


def network_mode(requests: Sequence[NetworkRequest]) -> tuple[str, str]:
    """The network mode, and whose namespace is shared if it is ``container``."""
    names = [request.network for request in requests]
    special = [name for name in names if name in ("host", "none") or name.startswith("container:")]
    if special and len(names) > 1:
        raise Invalid(f"--network: {special[0]!r} cannot be joined with other networks")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"--network: {twice!r} is given twice")
    if "bridge" in names and len(names) > 1:
        raise Invalid("--network: the default network cannot be joined with others")
    if not special:
        return "networks", ""
    mode, _, target = special[0].partition(":")
    if mode == "container" and not target:
        raise Invalid("--network: container: needs a name or id", field="--network")
    return mode, target


def with_first(
    requests: Sequence[NetworkRequest], first: Mapping[str, Any]
) -> tuple[NetworkRequest, ...]:
    """The requests, what was given for "the first network" put into the first."""
    head, *tail = requests or [NetworkRequest(network="bridge")]
    if head.network == "default":
        head = NetworkRequest(network="bridge")
    for key, value in first.items():
        if value and getattr(head, key):
            raise Invalid(f"--network: {key} is given both for the network and for the container")
    merged = {key: value or getattr(head, key) for key, value in first.items()}
    return (NetworkRequest(network=head.network, **merged), *tail)


def check_mode(spec: ContainerSpec, first: Mapping[str, Any], target: str) -> None:
    """Refuse flags that have no meaning in a mode, each by name (contract RN6, RN7, RN9)."""
    given: dict[str, object] = {"--network-alias": first["aliases"]}
    given |= {"--ip": first["ip"], "--ip6": first["ip6"], "--mac-address": first["mac_address"]}
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
    elif spec.mode == "networks":
        return
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


def check_values(spec: ContainerSpec) -> None:
    """Check everything that can be checked without looking at the host, all at once."""
    checks: list[Callable[[], object]] = []
    if spec.hostname:
        checks.append(partial(parse_hostname, "--hostname", spec.hostname))
    if spec.domainname:
        checks.append(partial(parse_domain, "--domainname", spec.domainname))
    checks += [partial(parse_address, "--dns", word) for word in spec.dns]
    checks += [partial(parse_domain, "--dns-search", word) for word in spec.dns_search]
    checks += [partial(_parse_option, word) for word in spec.dns_options]
    checks += [partial(ports.parse_publish, word) for word in spec.publish]
    checks += [partial(ports.parse_expose, word) for word in spec.expose]
    errors: list[NetyardError] = []
    for check in checks:
        try:
            check()
        except NetyardError as error:
            errors.append(error)
    raise_all(errors)


def _parse_option(word: str) -> None:
    if not word or any(letter.isspace() for letter in word):
        raise Invalid(f"--dns-option: {word!r} is no resolver option", field="--dns-option")


def check_rootfs(rootfs: str | os.PathLike[str]) -> str:
    if not os.fspath(rootfs):
        return ""
    path = Path(rootfs).absolute()
    if not path.is_dir():
        raise Invalid(f"--rootfs: {path} is no directory", field="--rootfs", value=str(path))
    return str(path)
