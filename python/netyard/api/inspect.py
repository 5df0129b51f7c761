"""Networks and containers as Docker's ``inspect`` shows them: its field names and shapes."""

from __future__ import annotations

from typing import Any

from netyard.ipam.allocate import usage
from netyard.ipc import cluster
from netyard.lifecycle import security_options
from netyard.lifecycle.security_options import SecurityOptions
from netyard.networks import egress
from netyard.state.records import (
    ContainerRecord,
    EndpointRecord,
    NetworkRecord,
    PendingStep,
    in_rows,
    singly,
)
from netyard.state.root import Root
from netyard.values import log_options, ports
from netyard.values.mounts import MountRequest
from netyard.values.pool import Pool
from netyard.values.spec import ContainerSpec


def inspect_network(root: Root, network: NetworkRecord, *, verbose: bool = False) -> dict[str, Any]:
    """Contract NI1, NI2."""
    pools = () if network.is_config_only else network.pools
    shared = _shared(root, network, verbose=verbose) if network.spans_hosts else {}
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": network.scope,
        "Driver": network.shown_driver,
        "EnableIPv4": network.has_ipv4,
        "EnableIPv6": network.has_ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": dict(network.ipam_options),
            "Config": [
                {
                    "Subnet": str(pool.subnet),
                    **({"IPRange": str(pool.ip_range)} if pool.ip_range else {}),
                    **({"Gateway": str(pool.gateway)} if pool.gateway else {}),
                    **(
                        {"AuxiliaryAddresses": {n: str(a) for n, a in pool.auxiliary}}
                        if pool.auxiliary
                        else {}
                    ),
                }
                for pool in network.pools
            ],
        },
        "Internal": network.is_internal,
        "Attachable": network.is_attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.is_config_only,
        "Containers": {
            each.container_id: _member(root, network, each)
            for each in root.store.endpoints_on(network.id)
            if each.state == "up"
        },
        "Options": dict(network.options),
        "Labels": dict(network.labels),
        **shared,
        "Status": {
            "IPAM": {"Subnets": {str(pool.subnet): _usage(root, network, pool) for pool in pools}}
        },
    }


def _shared(root: Root, network: NetworkRecord, *, verbose: bool) -> dict[str, Any]:
    """What an overlay is on all hosts: VNI, the hosts with containers on it, and these."""
    there = [each for each in cluster.endpoints(root, network) if each.is_up]
    peers = {each.host_address: each.host_name for each in there}
    shared: dict[str, Any] = {
        "Vni": network.vni,
        "Peers": [{"Name": peers[address], "IP": address} for address in sorted(peers)],
    }
    if verbose:
        shared["Endpoints"] = {
            each.id: {
                "Name": each.names[0],
                "Host": each.host_name,
                "MacAddress": each.mac,
                "Addresses": list(each.addresses),
            }
            for each in there
        }
    return shared


def _usage(root: Root, network: NetworkRecord, pool: Pool) -> dict[str, int]:
    in_use, available = usage(root.store, network, pool)
    return {"IPsInUse": in_use, "DynamicIPsAvailable": available}


def _member(root: Root, network: NetworkRecord, endpoint: EndpointRecord) -> dict[str, str]:
    owner = root.store.container(endpoint.container_id)
    return {
        "Name": owner.name if owner else "",
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": _with_prefix(network, endpoint, 4),
        "IPv6Address": _with_prefix(network, endpoint, 6),
    }


def _with_prefix(network: NetworkRecord, endpoint: EndpointRecord, version: int) -> str:
    address = endpoint.address(version)
    return f"{address}/{network.prefix_of(endpoint, version)}" if address is not None else ""


def inspect_container(root: Root, container: ContainerRecord) -> dict[str, Any]:
    """As ``docker inspect CONTAINER``, where netyard has the thing."""
    spec = container.spec
    directory = root.layout.etc(container.donor_id or container.id)
    running = container.state == "running"
    return {
        "Id": container.id,
        "Created": container.created,
        "Path": spec.command[0] if spec.command else "",
        "Args": list(spec.command[1:]),
        "State": {
            "Status": container.state,
            "Running": running,
            "Pid": container.pid,
            "ExitCode": container.exit_code,
            "OOMKilled": container.was_oom_killed,
            "StartedAt": container.started or "0001-01-01T00:00:00Z",
            "FinishedAt": container.finished or "0001-01-01T00:00:00Z",
        },
        "Name": f"/{container.name}",
        "Adopted": container.kind == "adopted",
        "ResolvConfPath": str(directory / "resolv.conf"),
        "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": "" if spec.log_driver == "none" else str(root.layout.log(container.id)),
        "HostConfig": _host_config(container, spec),
        "Mounts": [_mount_point(each) for each in spec.mounts],
        "Config": {
            "Hostname": container.hostname,
            "Domainname": spec.domainname,
            "User": spec.user,
            "Tty": spec.tty,
            "OpenStdin": spec.interactive,
            "Env": list(spec.environment),
            "Cmd": list(spec.command),
            # As it was asked for: whether it has its caller's directory is known when it starts.
            "WorkingDir": spec.workdir,
            "Rootfs": spec.rootfs,
            "HostFiles": "" if spec.rootfs or not spec.command else spec.host_files,
            "Labels": dict(spec.labels),
        },
        "NetworkSettings": {
            "SandboxKey": str(root.layout.namespace(container.donor_id or container.id)),
            "Ports": _ports(root, container),
            "Pending": _pending(root, container),
            "Networks": {
                each.network.name: _settings(container, *each)
                for each in egress.without(root.store.attachments_of(container.id))
            },
        },
    }


def _host_config(container: ContainerRecord, spec: ContainerSpec) -> dict[str, Any]:
    security = SecurityOptions(spec.no_new_privileges, spec.seccomp)
    return {
        "NetworkMode": _network_mode(spec, container),
        "PortBindings": _bindings(spec),
        "PublishAllPorts": spec.publish_all,
        "AutoRemove": spec.auto_remove,
        "Privileged": spec.privileged,
        "LogConfig": _log_config(spec),
        "UsernsMode": spec.userns,
        **_id_mappings(container),
        "Dns": list(spec.dns),
        "DnsSearch": list(spec.dns_search),
        "DnsOptions": list(spec.dns_options),
        "Memory": spec.memory,
        "MemorySwap": spec.memory_swap or 2 * spec.memory,
        "NanoCpus": spec.nano_cpus,
        "PidsLimit": spec.pids_limit,
        "Ulimits": [
            {"Name": name, "Hard": hard, "Soft": soft} for name, soft, hard in spec.ulimits
        ],
        "ShmSize": spec.shm_size,
        "SecurityOpt": security_options.shown(security),
        "ReadonlyRootfs": spec.read_only,
        "Binds": [each.shown for each in spec.mounts if each.flag == "volume"],
        "Mounts": [_mount_asked(each) for each in spec.mounts if each.flag == "mount"],
        "Tmpfs": {each.target: each.options for each in spec.mounts if each.flag == "tmpfs"},
        "Sysctls": dict(spec.sysctls),
        "ExtraHosts": [f"{name}:{address}" for name, address in spec.add_hosts],
    }


def _id_mappings(container: ContainerRecord) -> dict[str, Any]:
    """As Podman shows them; nothing if its ids are the host's."""
    if not container.ids_json:
        return {}
    from netyard.values.user_ids import IdMap

    ids = IdMap.from_json(container.ids_json)
    maps = {"UidMap": ids.uids, "GidMap": ids.gids}
    return {"IDMappings": {name: [each.shown for each in found] for name, found in maps.items()}}


def _mount_asked(mount: MountRequest) -> dict[str, Any]:
    asked = {"Type": mount.kind, "Source": mount.source, "Target": mount.target}
    return {**asked, "ReadOnly": mount.read_only}


def _mount_point(mount: MountRequest) -> dict[str, Any]:
    return {
        "Type": mount.kind,
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": mount.options if mount.kind == "tmpfs" else "ro" if mount.read_only else "",
        "RW": not mount.read_only,
        "Propagation": "" if mount.kind == "tmpfs" else "rprivate",
    }


def _log_config(spec: ContainerSpec) -> dict[str, Any]:
    if spec.log_driver == "none":
        return {"Type": "none", "Config": {}}
    return {"Type": "json-file", "Config": {**log_options.DEFAULTS, **spec.log_opts}}


def _network_mode(spec: ContainerSpec, container: ContainerRecord) -> str:
    if spec.mode == "container":
        return f"container:{container.donor_id}"
    if spec.mode != "networks":
        return spec.mode
    return spec.networks[0].network if spec.networks else "none"


def _bindings(spec: ContainerSpec) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for request in ports.singly(spec.port_requests):
        port = request.host_ports
        found.setdefault(f"{request.container_port}/{request.protocol}", []).append(
            {
                "HostIp": str(request.host_ip) if request.host_ip else "",
                "HostPort": str(port[0]) if len(port) == 1 else "",
            }
        )
    return found


def _ports(root: Root, container: ContainerRecord) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for each in singly(root.store.publications(container.id)):
        anywhere = "0.0.0.0" if each.family == 4 else "::"
        found.setdefault(f"{each.container_port}/{each.protocol}", []).append(
            {"HostIp": "", "HostPort": ""}
            if each.access == "routed"
            else {"HostIp": each.host_ip or anywhere, "HostPort": str(each.host_port)}
        )
    return found


def _settings(
    container: ContainerRecord, endpoint: EndpointRecord, network: NetworkRecord
) -> dict[str, Any]:
    ip4, ip6 = endpoint.address(4), endpoint.address(6)
    return {
        "NetworkID": network.id,
        "EndpointID": endpoint.id,
        "InterfaceName": endpoint.ifname,
        "IPAMConfig": _ipam_config(container, network, endpoint),
        "Links": [f"{target}:{alias}" for target, alias in endpoint.links],
        "DriverOpts": dict(endpoint.options),
        "GwPriority": endpoint.gw_priority,
        "Gateway": _gateway(network, endpoint, 4),
        "IPAddress": str(ip4 or ""),
        "IPPrefixLen": network.prefix_of(endpoint, 4),
        "IPv6Gateway": _gateway(network, endpoint, 6),
        "GlobalIPv6Address": str(ip6 or ""),
        "GlobalIPv6PrefixLen": network.prefix_of(endpoint, 6),
        "MacAddress": endpoint.mac,
        "Aliases": list(endpoint.aliases),
        "DNSNames": [container.name, *endpoint.aliases, container.id[:12]],
    }


def _gateway(network: NetworkRecord, endpoint: EndpointRecord, version: int) -> str:
    gateway = network.route_via(endpoint, version)
    return "" if gateway is None or gateway.is_unspecified else str(gateway)


def _ipam_config(
    container: ContainerRecord, network: NetworkRecord, endpoint: EndpointRecord
) -> dict[str, Any]:
    """What addresses were asked for when the container was created, and the link-local ones."""
    found: dict[str, Any] = {}
    for request in container.spec.networks:
        if request.network in (network.name, network.id):
            found |= {"IPv4Address": request.ip} if request.ip else {}
            found |= {"IPv6Address": request.ip6} if request.ip6 else {}
    if endpoint.link_local:
        found["LinkLocalIPs"] = list(endpoint.link_local)
    return found


def format_ports(root: Root, container: ContainerRecord) -> str:
    """The PORTS column of ``ps``: those in force, and those that wait, with the reason."""
    published = [
        f"{ports.span(each.container_port, each.length)}/{each.protocol}"
        if each.access == "routed"
        else f"{ports.format_side(each.host_ip, each.family, each.host_port, each.length)}->"
        f"{ports.span(each.container_port, each.length)}/{each.protocol}"
        for each in in_rows(root.store.publications(container.id))
    ]
    pending = root.store.pending(container.id)
    return ", ".join([*published, *(_waiting(each) for each in pending if each.kind == "port")])


def _waiting(port: PendingStep) -> str:
    outside, _, inside = port.subject.rpartition(":")
    return f"{outside}->{inside} ({port.state})"


def format_lacking(root: Root, container: ContainerRecord) -> str:
    """What the STATUS column of ``ps`` says of a running container that lacks a route."""
    pending = root.store.pending(container.id)
    return "".join(f" ({each.state})" for each in pending if each.kind == "route")


def _pending(root: Root, container: ContainerRecord) -> list[dict[str, str]]:
    """What it should have and cannot have now."""
    return [
        {"Kind": each.kind, "Subject": each.subject, "State": each.state}
        for each in root.store.pending(container.id)
    ]
