"""The /etc/hosts, /etc/hostname and /etc/resolv.conf of containers: what is in them, and when."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from netyard.endpoints.gateways import default_routes
from netyard.errors import Conflict, Invalid
from netyard.lifecycle.lookup import find_container
from netyard.lifecycle.name_service import has_name_service
from netyard.networks import egress
from netyard.options import bridge as bridge_options
from netyard.options import parent as parent_options
from netyard.resolver import files
from netyard.resolver.etc_place import NAMES
from netyard.state import config
from netyard.state.records import Attachment, ContainerRecord, NetworkRecord
from netyard.state.root import Root
from netyard.state.small_files import read_small
from netyard.values.parse import Address
from netyard.values.spec import ContainerSpec

# -- files --------------------------------------------------------------------------------------


def write_etc_files(root: Root, container: ContainerRecord) -> None:
    """Make hosts, hostname and resolv.conf of a container that has its own."""
    if container.donor_id is not None:
        return
    spec, directory = container.spec, root.layout.etc(container.id)
    attached = root.store.attachments_of(container.id)
    hostname = container.hostname
    if spec.mode == "host" and not spec.hostname:
        hostname = os.uname().nodename
    files.write_in_place(directory / "hostname", f"{hostname}\n")
    if spec.mode == "host" and not spec.add_hosts:
        hosts = files.read_text(Path("/etc/hosts"))
    else:
        hosts = files.hosts_file(
            addresses=_own_addresses(attached),
            hostname=hostname,
            domainname=spec.domainname,
            extra=[*_extra_hosts(root, spec, attached), *_linked_hosts(root, container, attached)],
            has_ipv6=spec.mode == "host" or _has_ipv6(attached),
        )
    files.write_in_place(directory / "hosts", hosts)
    files.write_in_place(directory / "resolv.conf", _resolv_conf(root, spec, attached))
    if container.ids_json:
        from netyard.values.user_ids import IdMap

        # They are its root's, wherever they are mounted.
        owner = IdMap.from_json(container.ids_json).root
        for name in NAMES:
            os.chown(directory / name, *owner, follow_symlinks=False)


def _own_addresses(attached: Sequence[Attachment]) -> list[Address]:
    """A container's addresses that its own names are for."""
    return [address for each in egress.without(attached) for address in each.endpoint.addresses]


def _has_ipv6(attached: Sequence[Attachment]) -> bool:
    return any(each.endpoint.ip6 for each in attached)


def _resolv_conf(root: Root, spec: ContainerSpec, attached: Sequence[Attachment]) -> str:
    settings = config.load(root.layout.root)
    has_names = has_name_service(attached)
    is_copied = spec.mode != "host" and not has_names
    return files.resolv_conf(
        files.ResolvConf.to_copy() if is_copied else files.ResolvConf.of_host(),
        has_name_service=has_names,
        has_ipv6=_has_ipv6(attached),
        is_host_mode=spec.mode == "host",
        dns=spec.dns or settings.dns,
        search=spec.dns_search or settings.dns_search,
        options=spec.dns_options or settings.dns_options,
    )


def _extra_hosts(
    root: Root, spec: ContainerSpec, attached: Sequence[Attachment]
) -> list[tuple[str, str]]:
    """``--add-host`` entries, ``host-gateway`` turned into addresses (contract RN19)."""
    extra: list[tuple[str, str]] = []
    for name, address in spec.add_hosts:
        if address != "host-gateway":
            extra.append((name, address))
            continue
        found = _gateways(root, attached)
        if spec.mode == "host":
            found = ["127.0.0.1"]
        if not found:
            raise Conflict(f"--add-host: {name}:host-gateway needs a network with a gateway")
        extra += [(name, each) for each in found]
    return extra


def _linked_hosts(
    root: Root, container: ContainerRecord, attached: Sequence[Attachment]
) -> list[tuple[str, str]]:
    """Lines for ``--link`` on the default network, which has no name server (contract RN20)."""
    lines: list[tuple[str, str]] = []
    for endpoint, network in attached:
        if not network.is_builtin:
            continue
        if endpoint.links and not bridge_options.allows_icc(network.options):
            raise Invalid(
                f"--link: containers of network {network.name!r} are apart: icc is off",
                field="--link",
            )
        for wanted, alias in endpoint.links:
            target = find_container(root, wanted)
            there = root.store.endpoint_between(network.id, target.id)
            if there is None or target.state != "running":
                raise Conflict(
                    f"--link: container {target.name!r} does not run on the default network"
                )
            called = target.hostname
            names = dict.fromkeys((alias, called, target.name))
            lines += [(" ".join(names), str(address)) for address in there.addresses]
    return lines


def _gateways(root: Root, attached: Sequence[Attachment]) -> list[str]:
    """The host's addresses as a container sees them: its own gateways, internal or not.

    Those of the network that carries the default route, where there is one (contract RN19).
    """
    configured = config.load(root.layout.root).host_gateways
    if configured:
        return [str(address) for address in configured]
    found: list[str] = []
    carriers = default_routes(attached)
    for version in (4, 6):
        first = [carriers[version]] if version in carriers else []
        for each in [*first, *attached]:
            address = _host_on(each.network, version)
            if address is not None:
                found.append(str(address))
                break
    return found


def _host_on(network: NetworkRecord, version: int) -> Address | None:
    """The host's own address on a network, if its containers reach it by one."""
    if network.spans_hosts:
        return None
    if network.bridge:
        has_one = bridge_options.has_bridge_address(network.options, version)
        return network.gateway(version) if has_one else None
    if not parent_options.has_host_access(network.options):
        return None
    return next((pool.host_address for pool in network.pools if pool.version == version), None)


def refresh_etc_files(
    root: Root,
    container: ContainerRecord,
    *,
    added: Sequence[Attachment] = (),
    removed: Sequence[Attachment] = (),
) -> None:
    """Bring a running container's files up to date after connect or disconnect.

    Only lines of these endpoints change; resolv.conf is written anew only while it is as netyard
    made it.
    """
    if container.kind == "adopted":
        return
    spec, path = container.spec, root.layout.etc(container.id) / "resolv.conf"
    refresh_etc_hosts(root, container, added=added, removed=removed)
    gone = {each.endpoint.id for each in removed}
    attached = root.store.attachments_of(container.id)
    after = [each for each in attached if each.endpoint.id not in gone]
    new = {each.endpoint.id for each in added}
    before = [*(each for each in after if each.endpoint.id not in new), *removed]
    ours, wanted = _resolv_conf(root, spec, before), _resolv_conf(root, spec, after)
    _change(container, path, lambda text: wanted if text == ours else text)


def refresh_etc_hosts(
    root: Root,
    container: ContainerRecord,
    *,
    added: Sequence[Attachment],
    removed: Sequence[Attachment],
) -> None:
    """Put a running container's own addresses into its /etc/hosts, and take others out."""
    if container.kind == "adopted":
        return
    hostname, domainname = container.hostname, container.spec.domainname
    path = root.layout.etc(container.id) / "hosts"

    def lines(some: Sequence[Attachment]) -> list[str]:
        return files.own_lines(_own_addresses(some), hostname, domainname)

    def changed(text: str) -> str:
        return files.with_lines(files.without_lines(text, lines(removed)), lines(added))

    _change(container, path, changed)


def _change(container: ContainerRecord, path: Path, change: Callable[[str], str]) -> None:
    """Change a file that a running container can write to.

    One that cannot be read or written stays as it is: it is the container that made it so, and the
    operation is about more than its files.
    """
    try:
        before = read_small(path).decode(errors="surrogateescape")
        after = change(before)
        if after != before:
            files.write_in_place(path, after)
    except OSError as error:
        import logging

        logging.getLogger("netyard.lifecycle").warning(
            "netyard: warning: /etc/%s of container %r stays as it is: %s",
            path.name,
            container.name,
            error.strerror,
        )
