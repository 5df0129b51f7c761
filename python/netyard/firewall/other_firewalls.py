"""Coexistence with other firewalls: Docker, ufw, firewalld, an administrator's (FW27 to FW31).

An accept in netyard's table does not undo a drop in another table. So where Docker, ufw or an
administrator drops forwarded packets in iptables' FORWARD chain, or firewalld rejects interfaces
that are in none of its zones, netyard's bridges are entered there as well: accepted in both
directions, because netyard's own drops decide what reaches a container.

Of packets to the host itself, only those of the tunnel of encrypted overlay networks are accepted,
because WireGuard authenticates its peers. Plain VXLAN does not: the administrator decides from
where it may come.

Chains are changed with the tools of their owners, `iptables` and `firewall-cmd`, which can still
read them. Nothing is flushed, and only entries of this root are removed. netyard's own tables are
`netyard.firewall.table`; when this runs is `netyard.agent.firewalls`.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import netyard._core as _core
from netyard.errors import NetyardError
from netyard.options import overlay as overlay_options
from netyard.state import config
from netyard.state.flock import locked
from netyard.state.layout import Layout
from netyard.state.store import Store

_LOG = logging.getLogger("netyard.firewall")
_TOOLS = {"ip": "iptables", "ip6": "ip6tables"}
_LEGACY = {
    "iptables-legacy": Path("/proc/net/ip_tables_names"),
    "ip6tables-legacy": Path("/proc/net/ip6_tables_names"),
}
_INPUT_HOOK, _FORWARD_HOOK = 1, 2
_ZONE = "trusted"
_ZONED = "firewalld-interfaces"
_PORT = f"{overlay_options.TUNNEL_PORT}/udp"
_PORT_ZONE = "firewalld-port-zone"
_SECONDS = 20


class Guard(NamedTuple):
    """A firewall that drops packets to the host itself.

    Attributes:
        name: For messages.
        family: ``ip``, ``ip6`` or ``inet``.
        lets_in: Whether netyard can enter accepts there.
    """

    name: str
    family: str
    lets_in: bool


class Found(NamedTuple):
    """The other firewalls of this host.

    Attributes:
        chains: Tool and chain to enter bridges in, such as ``("iptables", "DOCKER-USER")``.
        inputs: The same for packets to the host itself.
        guards: The firewalls that drop packets to the host.
        has_docker, has_firewalld, has_ufw: Whether there are chains of these.
        others: Other chains that drop forwarded packets, in which netyard can enter nothing.
    """

    chains: Sequence[tuple[str, str]] = ()
    inputs: Sequence[tuple[str, str]] = ()
    guards: Sequence[Guard] = ()
    has_docker: bool = False
    has_firewalld: bool = False
    has_ufw: bool = False
    others: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.chains or self.inputs) or self.has_firewalld

    def guards_of(self, version: int) -> list[Guard]:
        """Those that see packets of an IP version."""
        families = ("inet", "ip" if version == 4 else "ip6")
        return [guard for guard in self.guards if guard.family in families]


def find(own_table: str) -> Found:
    """Find other firewalls by the chains of all tables: a netlink dump, no tool is started.

    Args:
        own_table: The name of this root's tables, which are left out.
    """
    try:
        present = [chain for chain in _core.list_chains() if chain.table != own_table]
    except NetyardError:
        return Found()
    chains, inputs, guards, others = [], [], [], []
    names = {(chain.family, chain.table, chain.name) for chain in present}
    for chain in present:
        if (chain.table, chain.name) == ("filter", "FORWARD") and chain.family in _TOOLS:
            has_docker = (chain.family, "filter", "DOCKER-USER") in names
            if chain.drops or has_docker:
                chains.append((_TOOLS[chain.family], "DOCKER-USER" if has_docker else "FORWARD"))
        elif chain.hook == _FORWARD_HOOK and chain.drops and not chain.table.startswith("netyard"):
            others.append(f"{chain.family} {chain.table} {chain.name}")
        elif chain.hook == _INPUT_HOOK and chain.drops:
            is_known = (chain.table, chain.name) == ("filter", "INPUT") and chain.family in _TOOLS
            name = f"chain {chain.family} {chain.table} {chain.name}"
            guards.append(Guard(name, chain.family, is_known))
            if is_known:
                inputs.append((_TOOLS[chain.family], "INPUT"))
    has_firewalld = ("inet", "firewalld", "filter_FORWARD") in names
    legacy = _legacy_tools()
    return Found(
        chains=[*chains, *((tool, "FORWARD") for tool in legacy)],
        inputs=[*inputs, *((tool, "INPUT") for tool in legacy)],
        guards=[*guards, *([Guard("firewalld", "inet", True)] if has_firewalld else [])],
        has_docker=any(name == "DOCKER-USER" for _, _, name in names),
        has_firewalld=has_firewalld,
        has_ufw=any(name.startswith("ufw") for _, _, name in names),
        others=others,
    )


def stamp() -> object:
    """A value that differs from the one before whenever `find` may find something else."""
    try:
        return _core.nft_generation(), [_legacy_tables(path) for path in _LEGACY.values()]
    except NetyardError:
        return object()


def _legacy_tools() -> list[str]:
    """The tools of legacy iptables, where it has a filter table: it is not part of nf_tables."""
    return [
        tool
        for tool, path in _LEGACY.items()
        if "filter" in _legacy_tables(path).split() and _which(tool)
    ]


def _legacy_tables(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def sync(layout: Layout, store: Store, found: Found | None = None) -> list[str]:
    """Enter the present bridges in other firewalls, and remove those that are gone.

    Returns:
        What was done, a line each.
    """
    found = find(layout.table) if found is None else found
    if not found:
        return []
    # One process at a time: the agent does it, and commands that create a network.
    with locked(layout.run / "coexistence.lock"):
        return _sync(layout, store, found)


def _sync(layout: Layout, store: Store, found: Found) -> list[str]:
    networks = [each for each in store.networks() if each.bridge and each.is_in_kernel]
    bridges = sorted(network.bridge for network in networks if not network.is_internal)
    internal = sorted(network.bridge for network in networks if network.is_internal)
    settings = config.load(layout.root)
    opens = settings.opens_host_firewall
    has_tunnel = opens and any(network.is_encrypted for network in networks)
    comment = f"netyard:{layout.table}"
    done: list[str] = []
    for tool, chain in found.chains:
        rules = [*_wanted(bridges, opens=opens), *_wanted_within(internal)]
        done += _sync_chain(tool, chain, rules, comment)
    for tool, chain in found.inputs:
        rules = _wanted_tunnel(layout.tunnel) if has_tunnel else []
        done += _sync_chain(tool, chain, rules, comment)
    zones = _zones() if found.has_firewalld else {}
    if _ZONE in zones:
        done += _sync_zone(
            store, zones, [*bridges, *internal, *([layout.tunnel] if has_tunnel else [])]
        )
        underlay = settings.cluster.advertise if has_tunnel and settings.cluster else None
        done += _sync_port(store, zones, underlay)
    return done


def _wanted(bridges: Iterable[str], *, opens: bool) -> list[list[str]]:
    """Rules by bridge: from it, and to it; only replies to it if the host's firewall decides."""
    replies = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    return [
        rule
        for bridge in bridges
        for rule in (["-i", bridge], ["-o", bridge, *([] if opens else replies)])
    ]


def _wanted_within(bridges: Iterable[str]) -> list[list[str]]:
    """For internal networks: with br_netfilter, frames from port to port pass there as well."""
    return [["-i", bridge, "-o", bridge] for bridge in bridges]


def _wanted_tunnel(tunnel: str) -> list[list[str]]:
    """Rules for packets to the tunnel's port, and for those that arrive through it."""
    port = str(overlay_options.TUNNEL_PORT)
    return [["-p", "udp", "-m", "udp", "--dport", port], ["-i", tunnel]]


def _sync_chain(tool: str, chain: str, wanted: Sequence[Sequence[str]], comment: str) -> list[str]:
    marked = ["-m", "comment", "--comment", comment, "-j", "ACCEPT"]
    rules = [[*rule, *marked] for rule in wanted]
    listed = _run(tool, "-w", "-S", chain)
    if listed is None:
        return []
    present = [
        line.replace('"', "").split()[2:]
        for line in listed.splitlines()
        if line.startswith("-A ") and f"--comment {comment} " in line.replace('"', "")
    ]
    done = []
    for at, rule in enumerate(present):
        if rule not in rules or rule in present[:at]:
            _run(tool, "-w", "-D", chain, *rule)
            done.append(f"{tool}: removed {' '.join(rule[: -len(marked)])} from {chain}")
    for rule in rules:
        if rule not in present:
            _run(tool, "-w", "-I", chain, "1", *rule)
            done.append(f"{tool}: added {' '.join(rule[: -len(marked)])} to {chain}")
    return done


class _Zone(NamedTuple):
    interfaces: list[str]
    ports: list[str]


def _zones() -> dict[str, _Zone]:
    """firewalld's zones, parsed: a line with a name, then indented lines about this zone."""
    zones: dict[str, _Zone] = {}
    zone = _Zone([], [])
    for line in (_run("firewall-cmd", "--list-all-zones") or "").splitlines():
        key, _, rest = line.strip().partition(": ")
        if line and not line.startswith(" "):
            zone = zones[line.split()[0]] = _Zone([], [])
        elif key == "interfaces":
            zone.interfaces.extend(rest.split())
        elif key == "ports":
            zone.ports.extend(rest.split())
    return zones


def _sync_zone(store: Store, zones: Mapping[str, _Zone], bridges: Sequence[str]) -> list[str]:
    """Put bridges, and the tunnel, into the zone of firewalld that it does not filter."""
    present = set(zones[_ZONE].interfaces)
    ours = set((store.read_meta(_ZONED) or "").split())
    gone = sorted((ours - set(bridges)) & present)
    new = [bridge for bridge in bridges if bridge not in present]
    for flag, some in (("--remove-interface", gone), ("--change-interface", new)):
        if some:
            _run("firewall-cmd", f"--zone={_ZONE}", *(f"{flag}={bridge}" for bridge in some))
    if ours != set(bridges):
        store.write_meta(_ZONED, " ".join(bridges) or None)
    return [
        *(f"firewalld: removed {bridge} from zone {_ZONE}" for bridge in gone),
        *(f"firewalld: added {bridge} to zone {_ZONE}" for bridge in new),
    ]


def _sync_port(store: Store, zones: Mapping[str, _Zone], underlay: str | None) -> list[str]:
    """Open the tunnel's port in the zone of the interface with this address of the host."""
    before = store.read_meta(_PORT_ZONE)
    zone = _zone_of(zones, underlay) if underlay else None
    done = []
    if before and before != zone and before in zones and _PORT in zones[before].ports:
        _run("firewall-cmd", f"--zone={before}", f"--remove-port={_PORT}")
        done.append(f"firewalld: closed {_PORT} in zone {before}")
    if zone and _PORT not in zones[zone].ports:
        _run("firewall-cmd", f"--zone={zone}", f"--add-port={_PORT}")
        done.append(f"firewalld: opened {_PORT} in zone {zone}")
    if before != zone:
        store.write_meta(_PORT_ZONE, zone)
    return done


def _zone_of(zones: Mapping[str, _Zone], underlay: str) -> str | None:
    """The zone of the interface that has an address; firewalld's default one if it has none."""
    links = {link.index: link.name for link in _core.list_links()}
    devices = {
        links[index] for index, address, _ in _core.list_addresses() if str(address) == underlay
    }
    for name, zone in zones.items():
        if devices & set(zone.interfaces):
            return name
    default = (_run("firewall-cmd", "--get-default-zone") or "").strip()
    return default if default in zones else None


def _which(tool: str) -> str | None:
    # Imported here: `shutil` imports decompressors, and hardly any host has legacy iptables.
    import shutil

    return shutil.which(tool)


def _run(*command: str) -> str | None:
    """Run the tool of another firewall; its output, or ``None`` after a warning in the log."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOG.warning("%s: %s", command[0], error)
        return None
    if done.returncode != 0:
        _LOG.warning("%s: %s", " ".join(command), done.stderr.strip() or done.returncode)
        return None
    return done.stdout
