"""What on this host keeps networks from working, and what was done about it."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import netyard._core as _core
from netyard.api.host import Host
from netyard.drivers.registry import complaints, driver_of
from netyard.errors import DriverError
from netyard.firewall import other_firewalls
from netyard.firewall.other_firewalls import Found
from netyard.options import overlay as overlay_options
from netyard.options import parent as parent_options
from netyard.ports import host_ports
from netyard.runtime import cgroup, seccomp
from netyard.state import config
from netyard.state.records import singly
from netyard.values import ports

_FORWARDING = {
    4: Path("/proc/sys/net/ipv4/ip_forward"),
    6: Path("/proc/sys/net/ipv6/conf/all/forwarding"),
}

# The same number everywhere: `include/uapi/asm-generic/unistd.h`.
_MOUNT_SETATTR = 442


class Finding(NamedTuple):
    """One thing found.

    Attributes:
        level: ``ok``, ``note`` or ``problem``.
        text: A sentence.
    """

    level: str
    text: str


def examine(host: Host) -> list[Finding]:
    """Look at other firewalls, forwarding, and published ports; mend what can be mended."""
    found = other_firewalls.find(host.layout.table)
    done = other_firewalls.sync(host.layout, host.store, found)
    findings = [*_firewalls(host, found), *(Finding("ok", line) for line in done)]
    findings += [*_underlays(host, found), *_forwarding(host), *_parents(host), *_shadowed(host)]
    findings += [*_pending(host), *_drivers(host)]
    # What the kernel lacks is no problem of this root's, and is said beside.
    return [*(findings or [Finding("ok", "no problems found")]), *_confinement()]


def _firewalls(host: Host, found: Found) -> Iterator[Finding]:
    opens = config.load(host.layout.root).opens_host_firewall
    if found.has_docker:
        yield Finding(
            "note", "Docker's firewall is active: chain DOCKER-USER accepts netyard's bridges"
        )
    if found.has_firewalld:
        yield Finding(
            "note",
            "firewalld is active: netyard's bridges are in its zone 'trusted', and it accepts all "
            "forwarded packets whose destination was translated",
        )
    if found.has_ufw and opens:
        yield Finding(
            "note",
            "ufw is active: a rule such as 'ufw deny 8080' does not apply to published ports, "
            "which are forwarded; with 'netyard config set host-firewall decides', 'ufw route' "
            "rules do",
        )
    elif found.has_ufw:
        yield Finding("note", "ufw filters published ports: allow them with 'ufw route allow'")
    if found.chains:
        shown = ", ".join(f"{tool} {chain}" for tool, chain in found.chains)
        yield Finding("note", f"netyard's bridges are accepted in {shown}")
    for chain in found.others:
        yield Finding(
            "problem",
            f"chain {chain} drops forwarded packets: accept those from and to netyard's bridges in "
            "it",
        )


def _underlays(host: Host, found: Found) -> Iterator[Finding]:
    """What must come in from the other hosts, for overlay networks."""
    settings = config.load(host.layout.root)
    if settings.cluster is None:
        return
    version = ip_address(settings.cluster.advertise).version
    networks = [
        each for each in host.store.networks() if each.spans_hosts and each.state == "ready"
    ]
    for guard in found.guards_of(version):
        for network in networks:
            what = f"UDP port {overlay_options.port_of(network.options)} from the other hosts"
            if network.is_encrypted and guard.lets_in and settings.opens_host_firewall:
                yield Finding(
                    "note", f"{guard.name} accepts the tunnel of network {network.name!r}"
                )
                continue
            if network.is_encrypted:
                tunnel = host.layout.tunnel
                what = f"UDP port {overlay_options.TUNNEL_PORT} and packets from {tunnel}"
            yield Finding(
                "note",
                f"{guard.name} filters packets to this host: for network {network.name!r} it must "
                f"accept {what}",
            )


def _parents(host: Host) -> Iterator[Finding]:
    """What users of macvlan and ipvlan always ask (contract MV4)."""
    links = {link.name: link for link in _core.list_links()}
    for network in host.store.networks():
        if network.driver not in parent_options.KINDS or network.state != "ready":
            continue
        parent = parent_options.parent_of(network.options)
        if parent not in links:
            yield Finding(
                "problem", f"{parent}, the parent of network {network.name!r}, is missing"
            )
        elif not links[parent].is_up:
            yield Finding("problem", f"{parent}, the parent of network {network.name!r}, is down")
        if not parent_options.has_host_access(network.options):
            yield Finding(
                "note",
                f"this host and containers of {network.driver} network {network.name!r} do not "
                "reach each other, because the kernel separates a parent interface from those "
                "on it; a network created with '--opt host_access=true' does not have this limit",
            )


def _pending(host: Host) -> Iterator[Finding]:
    """What containers should have and cannot have; what cannot be finished."""
    # With the lock, and after an attempt to finish it: nothing is half-way for another reason.
    with host.change():
        left, pending = host.store.unfinished(), host.store.pending()
        endpoints = [host.store.endpoint(each) for each in left.endpoints]
    for each in pending:
        yield Finding("problem", f"container {_name_of(host, each.container_id)}: {each.shown}")
    halves = [*left.containers, *(each.container_id for each in endpoints if each is not None)]
    for container_id in dict.fromkeys([*halves, *left.ending, *left.publishing]):
        yield Finding(
            "problem",
            f"container {_name_of(host, container_id)} is half-way through a change that cannot be "
            "finished now: every command tries again, and 'netyard rm -f' removes it",
        )


def _name_of(host: Host, container_id: str) -> str:
    container = host.store.container(container_id)
    return repr(container.name) if container is not None else container_id


def _drivers(host: Host) -> Iterator[Finding]:
    """Driver packages that are missing, in one another's way, or of no use."""
    told = complaints()
    yield from (Finding("problem", sentence) for sentence in told)
    # With the lock, and after an attempt to finish it: nothing is half made for another reason.
    with host.change():
        networks = host.store.networks()
    for network in networks:
        try:
            driver_of(network)
        except DriverError as error:
            if str(error) not in told:
                hint = f": {error.hint}" if error.hint else ""
                yield Finding("problem", f"{error}{hint}")
        if network.state in ("making", "removing"):
            yield Finding(
                "problem",
                f"network {network.name!r} is half made or half removed, and driver "
                f"{network.driver!r} has not removed it: 'netyard network rm -f {network.name}' "
                "forgets it",
            )


def _confinement() -> Iterator[Finding]:
    """What this kernel cannot do to hold containers back."""
    if not _mounts_by_descriptor():
        yield Finding(
            "problem",
            "this kernel runs no containers: it cannot change mounts by descriptor "
            "(mount_setattr), which Linux 5.12 and later can",
        )
    if not seccomp.is_available():
        yield Finding("note", "this kernel filters no system calls: containers may use them all")
    here = cgroup.find()
    missing = sorted({"cpu", "memory", "pids"} - (here.controllers if here else set()))
    if missing:
        yield Finding(
            "note",
            f"this host has no cgroup v2 with {', '.join(missing)} that netyard could use: "
            "containers are not limited in that, nor by default to 4096 processes",
        )


def _mounts_by_descriptor() -> bool:
    """Asked about no mount, and with no attributes: only whether there is such a call."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    return call(_MOUNT_SETATTR, -1, b"", 0, None, 0) == 0 or ctypes.get_errno() != errno.ENOSYS


def _forwarding(host: Host) -> Iterator[Finding]:
    networks = [each for each in host.store.networks() if each.bridge and each.state == "ready"]
    for version, path in _FORWARDING.items():
        needed = any(
            not each.is_internal and (each.has_ipv4 if version == 4 else each.has_ipv6)
            for each in networks
        )
        try:
            is_off = path.read_text().strip() == "0"
        except OSError:
            continue
        if needed and is_off:
            yield Finding(
                "problem", f"forwarding of IPv{version} is off: 'netyard reload' turns it on"
            )


def _shadowed(host: Host) -> Iterator[Finding]:
    """Host servers started after a port was published: packets from outside do not reach them."""
    seen = set()
    held = {protocol: host_ports.held(protocol) for protocol in ports.PROTOCOLS}
    for each in singly(host.store.publications()):
        port = (each.protocol, each.host_port)
        if each.access == "routed" or port in seen or each.host_port not in held[each.protocol]:
            continue
        seen.add(port)
        owner = host_ports.find_owner(each.protocol, each.host_port)
        if owner:
            container = host.store.container(each.container_id)
            name = container.name if container else each.container_id
            yield Finding(
                "problem",
                f"{owner} listens on {each.protocol} port {each.host_port}, which is published for "
                f"container {name!r}: packets from outside go to the container",
            )
