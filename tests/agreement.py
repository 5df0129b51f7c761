"""Whether what netyard says is what the kernel has, and what of a host there is to compare.

For tests that disturb netyard; what they disturb it with is theirs.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lab import Machine, wait_for

_STATE = r"""
echo == links; ip -o link | grep -v ' nx-' | sed 's/^[0-9]*: //;s/@if[0-9]*//;s/link-netns.*//'
echo == addresses; ip -o addr | sed 's/^[0-9]*: //;s/valid_lft.*//' | grep -v ' fe80'
echo == routes; (ip route; ip -6 route | grep -v fe80) | sed 's/ linkdown//'
echo == rules; nft list ruleset
echo == mounts; cut -d' ' -f5 /proc/self/mountinfo
echo == files; find /run /var/lib/netyard ! -name '*-wal' ! -name '*-shm' ! -name exit ! -path '/run/netns*'
echo == settings
grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv4/conf/all/
echo == processes; ps -eww -o args= | grep -v ' agent \|ps -e\|^sh -c\|grep\|^\[[^]]*\]$'
"""
# The last pattern is a process that has no memory at the moment, as this very pipe's have between
# fork and exec; one that nobody waits for is "[name] <defunct>", and stays in.
# What comes and goes by itself.
_CARRIER = re.compile(r"NO-CARRIER,|,LOWER_UP| state [A-Z]+")

# Of a namespace that is adopted.
_NOT_OURS = ("lo", "own0")

Told = dict[str, tuple[str, list[str], list[str]]]


def kernel(host: Machine) -> dict[str, list[str]]:
    """Everything there is of networks, files and processes."""
    shown = host.run("sh", "-c", _STATE, check=False).stdout
    sections = re.split(r"^== (\w+)$", shown, flags=re.MULTILINE)[1:]
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    found["rules"] = re.sub(r"packets \d+ bytes \d+", "", found["rules"])
    found["links"] = _CARRIER.sub("", found["links"])
    return {name: sorted(text.splitlines()) for name, text in found.items()}


def wait_for_kernel(host: Machine, wanted: dict[str, list[str]], where: str) -> None:
    """Wait for everything to be as it was: the agent may be deleting links."""
    try:
        wait_for(lambda: kernel(host) == wanted, seconds=5)
    except AssertionError:
        now = kernel(host)
        changed = {
            kind: sorted(set(now[kind]) ^ set(lines))
            for kind, lines in wanted.items()
            if now[kind] != lines
        }
        if changed:
            raise AssertionError(f"{where}: {changed}") from None


def told(host: Machine, *, but: str = "") -> Told:
    """What users are told of containers: state, networks, ports; after a look whether it is true."""
    listed = host.ny("ps", "-a", "--format", "{{.Names}}").split()
    names = [name for name in listed if name != but]
    # One that removes itself may go in between.
    shown = host.netyard("inspect", *names, check=False).stdout if names else "[]"
    containers = json.loads(shown)
    running = [each for each in containers if each["State"]["Running"]]
    for each in running:
        _check_addresses(host, each)
    _check_ports(host, running)
    return {
        each["Name"].strip("/"): (
            each["State"]["Status"],
            sorted(each["NetworkSettings"]["Networks"]),
            sorted(port for port, bound in each["NetworkSettings"]["Ports"].items() if bound),
        )
        for each in containers
    }


def _check_addresses(host: Machine, container: dict[str, Any]) -> None:
    settings = container["NetworkSettings"]
    inside = ("nsenter", f"--net={settings['SandboxKey']}")
    present = {
        info["local"]
        for link in json.loads(host.out(*inside, "ip", "-j", "addr"))
        if link["ifname"] not in _NOT_OURS
        for info in link["addr_info"]
        if info["scope"] == "global"
    }
    said = {
        each[key]
        for each in settings["Networks"].values()
        for key in ("IPAddress", "GlobalIPv6Address")
        if each[key]
    }
    gateways = {each["Gateway"] for each in settings["Networks"].values() if each["Gateway"]}
    own, gateway = _way_out(host, container["Id"])
    assert present == said | own, container["Name"]
    gateways |= gateway
    found = json.loads(host.out(*inside, "ip", "-j", "route", "show", "default"))
    routes = [route for route in found if route["dev"] not in _NOT_OURS]
    assert found[: len(routes)] == routes, "somebody's own route goes before ours"
    assert bool(routes) == bool(gateways), (container["Name"], routes)
    assert {route.get("gateway") for route in routes} <= gateways, (routes, gateways)


def _way_out(host: Machine, container_id: str) -> tuple[set[str], set[str]]:
    """Address and gateway on the bridge beside overlays, which is not among a container's networks."""
    done = host.netyard("network", "inspect", "netyard_gwbridge", check=False)
    if done.returncode:
        return set(), set()
    (network,) = json.loads(done.stdout)
    found = network["Containers"].get(container_id)
    if found is None:
        return set(), set()
    addresses = {found[key].split("/")[0] for key in ("IPv4Address", "IPv6Address") if found[key]}
    gateways = {each["Gateway"] for each in network["IPAM"]["Config"] if ":" not in each["Gateway"]}
    return addresses, gateways


def _check_ports(host: Machine, running: list[dict[str, Any]]) -> None:
    """The firewall leads each host port where its owner is said to be, and no other anywhere."""
    said = sorted(
        f"{bound['HostPort']} {port.split('/')[0]}"
        for each in running
        for port, bindings in each["NetworkSettings"]["Ports"].items()
        for bound in bindings or ()
        if ":" not in bound["HostIp"]
    )
    # Without a network there is no table.
    listing = ("nft", "list", "map", "inet", "netyard", "published4")
    rules = host.run(*listing, check=False).stdout
    elements = re.findall(r"tcp \. (\d+)(?: comment \"\w+\")? : [\d.]+ \. (\d+)", rules)
    assert sorted(" ".join(each) for each in elements) == said, rules
