"""IP forwarding of the host (sysctl): turned on for a network, and off again with the last one.

The rules that keep other traffic from being forwarded are `netyard.firewall.rules`.
"""

from __future__ import annotations

import json
from pathlib import Path

import netyard._core as _core
from netyard.firewall.table import apply, forwarding_key
from netyard.state import config
from netyard.state.records import NetworkRecord
from netyard.state.root import Root

_FORWARDING = {
    4: ("net.ipv4.ip_forward", Path("/proc/sys/net/ipv4/ip_forward")),
    6: ("net.ipv6.conf.all.forwarding", Path("/proc/sys/net/ipv6/conf/all/forwarding")),
}
_IPV6_DEVICES = Path("/proc/sys/net/ipv6/conf")
# The name in the store's metadata of the interfaces whose ``accept_ra`` was raised.
_RAISED = "accept-ra-was-1"


def ensure_forwarding(root: Root, network: NetworkRecord) -> None:
    """Turn forwarding on where a network needs it and it is off (contract FW28).

    Other traffic is not forwarded: rules against that are there first.
    """
    has_egress = network.bridge and not network.is_internal and not network.spans_hosts
    if not has_egress or not config.load(root.layout.root).forwards:
        return
    for version, has in ((4, network.has_ipv4), (6, network.has_ipv6)):
        if not has:
            continue
        name, path = _FORWARDING[version]
        try:
            is_off = path.read_text().strip() == "0"
        except OSError:
            continue
        if not is_off:
            continue
        root.store.write_meta(forwarding_key(version), "1")
        _guard_router(root)
        if version == 6:
            _keep_router_advertisements(root)
        _core.write_sysctls(None, [(name, "1")])


def _guard_router(root: Root) -> None:
    """Add the rules against forwarding of other traffic, before forwarding is turned on."""
    from netyard.firewall.rules import router_guard_steps

    apply(root, [("inet", root.layout.table, router_guard_steps())])


def _keep_router_advertisements(root: Root) -> None:
    """Keep a host whose IPv6 routes come by router advertisements accepting these.

    With forwarding on, the kernel ignores them unless ``accept_ra`` is 2
    (`Documentation/networking/ip-sysctl.rst`).
    """
    present = (device.name for device in _IPV6_DEVICES.iterdir())
    raised = {name for name in present if name not in ("all", "lo") and _accepts(name) == "1"}
    # Recorded first, so that they are set back if this is interrupted. Forwarding may have been
    # turned off by another program since an earlier time, and the settings of then be recorded.
    root.store.write_meta(_RAISED, json.dumps(sorted(raised.union(_recorded(root)))))
    for name in raised:
        (_IPV6_DEVICES / name / "accept_ra").write_text("2")


def _accepts(device: str) -> str:
    """An interface's ``accept_ra``; ``""`` if there is no such interface."""
    try:
        return (_IPV6_DEVICES / device / "accept_ra").read_text().strip()
    except OSError:
        return ""


def restore_forwarding(root: Root) -> None:
    """Turn forwarding off again where netyard turned it on, when the last network is gone.

    It stays on if the host has another bridge: another engine, root or hypervisor may need it.
    """
    is_needed = any(link.kind == "bridge" for link in _core.list_links())
    for version, (name, path) in _FORWARDING.items():
        if root.store.read_meta(forwarding_key(version)) and path.exists():
            if not is_needed:
                _core.write_sysctls(None, [(name, "0")])
                if version == 6:
                    _restore_router_advertisements(root)
            root.store.write_meta(forwarding_key(version), None)


def _restore_router_advertisements(root: Root) -> None:
    """Undo `_keep_router_advertisements`, except where another program has changed the setting."""
    for name in _recorded(root):
        if _accepts(name) == "2":
            (_IPV6_DEVICES / name / "accept_ra").write_text("1")
    root.store.write_meta(_RAISED, None)


def _recorded(root: Root) -> list[str]:
    """The interfaces whose ``accept_ra`` was raised."""
    found: list[str] = json.loads(root.store.read_meta(_RAISED) or "[]")
    return found
