"""The foundation of overlay networks: a bridge with a VXLAN device on each host.

Looks at the store and asks the cluster; makes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

import netyard._core as _core
from netyard.cluster.entries import tunnel_address
from netyard.cluster.registry import VNI_FIRST, free_vni
from netyard.drivers.foundation import Foundation
from netyard.errors import Conflict, Invalid, NameInUse, Unsupported
from netyard.firewall import other_firewalls
from netyard.ipc import cluster
from netyard.options import overlay as overlay_options
from netyard.state.records import NetworkRecord
from netyard.state.root import Root
from netyard.values.ids import bridge_name
from netyard.values.parse import parse_address, parse_subnet
from netyard.values.spec import NetworkSpec
from netyard.values.subnet_pools import GLOBAL_SOURCES


def find_foundation(
    root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
) -> Foundation:
    """What a new network has on all hosts (contract OV1 to OV6).

    Raises:
        Conflict: if this host is in no cluster.
        NameInUse: if the cluster has a network of that name.
        ClusterError: if the cluster cannot be reached.
    """
    if spec.ipam_driver != "default":
        raise Invalid(
            f"--ipam-driver: {spec.ipam_driver!r} is not for overlay networks, whose addresses the "
            "cluster gives",
            field="--ipam-driver",
        )
    cluster.check_member(root)
    is_encrypted = overlay_options.is_encrypted(options)
    if is_encrypted and not _core.knows_wireguard():
        raise Unsupported(
            "--opt encrypted: this kernel has no WireGuard: it lacks the module 'wireguard'"
        )
    own = cluster.own_host(root)
    others = cluster.networks(root)
    if any(other.name == spec.name for other in others):
        raise NameInUse(f"a network named {spec.name!r} exists", holder=spec.name)
    return Foundation(
        options=options,
        bridge=bridge_name(network_id),
        is_internal=spec.is_internal,
        subnets=[parse_subnet("--subnet", word) for word in spec.subnets],
        gateways=[parse_address("--gateway", word) for word in spec.gateways],
        others=others,
        avoid=[ip_network(each.address) for each in cluster.hosts(root)],
        sources=GLOBAL_SOURCES,
        vni=_vni(options, others),
        underlay=str(tunnel_address(own.id)) if is_encrypted else own.address,
    )


def _vni(options: Mapping[str, str], others: Sequence[NetworkRecord]) -> int:
    wanted = overlay_options.vni_of(options)
    if wanted is None:
        return free_vni(others)
    for other in others:
        if other.vni == wanted:
            raise Conflict(
                f"--opt: VXLAN network identifier {wanted} is network {other.name!r}'s",
                holder=other.name,
            )
    return wanted


def find_warnings(record: NetworkRecord) -> list[str]:
    """What is allowed and will not work as its maker may think."""
    found = []
    if record.vni < VNI_FIRST:
        found.append(
            f"VXLAN network identifiers below {VNI_FIRST} are often the physical network's"
        )
    if not record.is_encrypted:
        port = overlay_options.port_of(record.options)
        found += [
            f"{guard.name} filters packets to this host: allow UDP port {port} from the others"
            for guard in other_firewalls.find("").guards_of(ip_address(record.underlay).version)
        ]
    return found
