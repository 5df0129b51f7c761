"""Addresses: static and chosen, subnets, ranges, full pools; and what is refused."""

from __future__ import annotations

import json

import pytest

from lab import Guest, Machine


def _config(host: Machine, network: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(host.ny("network", "inspect", network))[0]["IPAM"]["Config"][
        0
    ]
    return found


def test_static_addresses(host: Machine) -> None:
    """RN14, NO3, RN16: on run and on connect, both families, and the MAC."""
    host.ny("network", "create", "--subnet", "10.60.0.0/16", "--subnet", "fd60::/64", "net")
    host.ny(
        *"run -d --name box --network net --ip 10.60.7.7 --ip6 fd60::77".split(),
        *"--mac-address 02:42:ac:11:00:99 sleep 600".split(),
    )
    shown = Guest(host, "box").run("ip", "addr", "show", "eth0").stdout
    for part in ("10.60.7.7/16", "fd60::77/64", "02:42:ac:11:00:99"):
        assert part in shown
    assert host.ping("10.60.7.7")
    assert host.ping("fd60::77")
    for flags, words in {
        ("--ip", "10.60.7.7"): "belongs to container 'box'",
        ("--ip6", "fd60::77"): "belongs to container 'box'",
        ("--mac-address", "02:42:ac:11:00:99"): "belongs to container 'box'",
        ("--ip", "10.60.0.1"): "is the gateway",
        ("--ip", "10.60.255.255"): "is the broadcast address",
        ("--ip", "10.61.0.1"): "is in no subnet",
        ("--ip", "fd60::5"): "no IPv4 address",
        ("--ip", "10.60.0"): "no IP address",
        ("--mac-address", "03:00:00:00:00:01"): "no unicast",
        ("--mac-address", "zz"): "no MAC address",
    }.items():
        complaint = host.refused("run", "--rm", "--network", "net", *flags, "true", status=125)
        assert words in complaint
    assert host.ny("ps", "-aq", "--no-trunc").count("\n") == 0
    assert "neither static addresses" in host.refused(
        "run", "--ip", "172.17.0.9", "true", status=125
    )


def test_subnet_gateway_and_range(host: Machine) -> None:
    """NC4, NC5, NC6, NC7: Docker's example; dynamic from the range, static from anywhere."""
    host.ny(
        *"network create --subnet 172.28.0.0/16 --ip-range 172.28.5.0/30".split(),
        *"--gateway 172.28.5.2 --aux-address printer=172.28.5.1 net".split(),
    )
    assert _config(host, "net") == {
        "Subnet": "172.28.0.0/16",
        "IPRange": "172.28.5.0/30",
        "Gateway": "172.28.5.2",
        "AuxiliaryAddresses": {"printer": "172.28.5.1"},
    }
    for name in ("a", "b"):
        host.ny("run", "-d", "--name", f"box-{name}", "--network", "net", "sleep", "600")
    assert Guest(host, "box-a").address("net") == "172.28.5.0"
    assert Guest(host, "box-b").address("net") == "172.28.5.3"
    before = host.snapshot()
    full = host.refused("run", "-d", "--network", "net", "sleep", "600", status=125)
    assert full == "netyard: network 'net' has no free address left in 172.28.5.0/30"
    assert host.snapshot() == before
    host.ny(*"run -d --name box-c --network net --ip 172.28.9.9 sleep 600".split())
    host.ny("rm", "-f", "box-a")
    host.ny(*"run -d --name box-d --network net sleep 600".split())
    assert Guest(host, "box-d").address("net") == "172.28.5.0", "a freed address is found again"
    route = Guest(host, "box-d").run("ip", "route").stdout
    assert "default via 172.28.5.2" in route


def test_gateway_defaults_to_the_first_of_the_range(host: Machine) -> None:
    """NC6."""
    host.ny(*"network create --subnet 172.29.0.0/16 --ip-range 172.29.5.0/24 net".split())
    assert _config(host, "net")["Gateway"] == "172.29.5.0"


def test_chosen_subnets_avoid_networks_routes_and_addresses(host: Machine) -> None:
    """IP1, IP3, IP4: the lowest that collides with nothing; freed ones are found again."""
    host.run("ip", "link", "add", "x", "type", "bridge")
    host.run("ip", "link", "set", "x", "up")
    host.run("ip", "route", "add", "172.19.128.0/17", "dev", "x")
    host.run("ip", "addr", "add", "172.20.3.1/24", "dev", "x")
    host.run("ip", "route", "add", "172.21.0.0/16", "via", "192.0.2.1")
    for name, subnet in {"a": "172.18.0.0/16", "b": "172.21.0.0/16", "c": "172.22.0.0/16"}.items():
        host.ny("network", "create", name)
        assert _config(host, name)["Subnet"] == subnet
    host.ny("network", "rm", "a")
    host.ny("network", "create", "d")
    assert _config(host, "d")["Subnet"] == "172.18.0.0/16"


def test_more_networks_than_docker(host: Machine) -> None:
    """IP1, US5: the 32nd network is no problem."""
    code = (
        "from netyard import Network\n"
        "print(len({n.record.pools[0].subnet for n in "
        "[Network.create(f'n{i}') for i in range(60)]}))"
    )
    assert host.python(code) == "60"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--subnet 10.0.0.0/33 x", "no subnet in CIDR form"),
        ("--subnet 10.0.0.0 x", "no subnet in CIDR form"),
        ("--subnet 10.0.0.5/24 x", "host bits set: the subnet is 10.0.0.0/24"),
        ("--subnet 224.0.0.0/24 x", "multicast"),
        ("--subnet 10.70.0.0/24 x", "overlaps 10.70.0.0/16 of network 'taken'"),
        ("--subnet 10.70.0.0/15 x", "overlaps 10.70.0.0/16 of network 'taken'"),
        ("--subnet 10.1.0.0/24 --subnet 10.2.0.0/24 x", "one IPv4 subnet, not several"),
        ("--subnet 10.1.0.0/24 --gateway 10.2.0.1 x", "--gateway: 10.2.0.1 is in no subnet"),
        ("--subnet 10.1.0.0/24 --gateway 10.1.0.255 x", "is the broadcast address"),
        ("--subnet 10.1.0.0/24 --ip-range 10.2.0.0/25 x", "--ip-range: 10.2.0.0/25 is in no"),
        ("--subnet 10.1.0.0/24 --ip-range 10.0.0.0/8 x", "--ip-range: 10.0.0.0/8 is in no"),
        ("--subnet fd00::/64 --ipv6=false x", "is IPv6, which this network does not have"),
        ("--ipv4=false x", "at least one family"),
        ("--ipv4=maybe x", "'maybe' is no boolean"),
        ("-o mtu=12 x", "must be a number from 68"),
        ("-o mtuu=1500 x", "nearest is 'mtu'"),
        ("-o com.docker.network.bridge.nmae=x x", "com.docker.network.bridge.name"),
        ("-d weird x", "no driver 'weird'; known are bridge, ipvlan, macvlan, overlay"),
        ("-d host x", "only one 'host'"),
        ("taken", "a network named 'taken' exists"),
        ("bridge", "reserved"),
        ("-- -bad", "no valid name"),
        ("a/b", "no valid name"),
        ("x..y", "cannot be resolved"),
    ],
)
def test_bad_networks_are_refused_and_leave_nothing(
    host: Machine, arguments: str, words: str
) -> None:
    """NC1 to NC13, IP6, CV1, CV3, CV7."""
    host.ny("network", "create", "--subnet", "10.70.0.0/16", "taken")
    before = host.snapshot()
    assert words in host.refused("network", "create", *arguments.split())
    assert host.snapshot() == before


def test_several_errors_come_together(host: Machine) -> None:
    """CV6."""
    complaint = host.refused(
        *"network create --subnet 10.1.0.0/24 --gateway 10.2.0.1 --ip-range 10.3.0.0/25 x".split()
    )
    assert len(complaint.splitlines()) == 2


def test_a_network_in_use_is_not_removed(host: Machine) -> None:
    """NR1, NR2: running or stopped, its users are named; built-in networks never go."""
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "up", "--network", "net", "sleep", "600")
    host.ny("create", "--name", "idle", "--network", "net", "sleep", "600")
    assert "used by containers idle, up" in host.refused("network", "rm", "net")
    host.ny("rm", "-f", "up")
    assert "used by containers idle" in host.refused("network", "rm", "-f", "net")
    assert "built in" in host.refused("network", "rm", "bridge")
    host.ny("rm", "idle")
    host.ny("network", "create", "other")
    done = host.netyard("network", "rm", "net", "ghost", "other", check=False)
    assert done.stdout.split() == ["net", "other"]
    assert "no network 'ghost'" in done.stderr
    assert done.returncode == 1


def test_names_and_prefixes(host: Machine) -> None:
    """CV4: full id, name, unique prefix; a name beats a prefix."""
    made = host.ny("network", "create", "net")
    for wanted in (made, made[:12], made[:6], "net"):
        assert json.loads(host.ny("network", "inspect", wanted))[0]["Id"] == made
    named = host.ny("network", "create", made[:5])
    assert json.loads(host.ny("network", "inspect", made[:5]))[0]["Id"] == named


_REUSE = """
import subprocess, threading
from netyard.api.container import Container
from netyard.api.network import Network

def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True).stdout

def churn(name):
    while True:
        ip("link", "add", name, "up", "type", "veth", "peer", "name", f"{name}-peer")
        ip("link", "set", f"{name}-peer", "up")
        ip("link", "del", name)

net = Network.create("net", subnet="10.66.0.0/24", ipv6=True)
for name in ("asker", "owner"):
    ip("netns", "add", name)
    Container.adopt(name, netns=f"/run/netns/{name}")
net.connect("asker")
for name in ("one", "two"):
    threading.Thread(target=churn, args=(name,), daemon=True).start()
remembered = unanswered = 0
for _ in range(60):
    made = net.connect("owner", ip="10.66.0.99")
    for address in made.addresses:
        # One packet, so what is lost stays lost; patience is for machines that are busy.
        ping = ["ip", "netns", "exec", "asker", "ping", "-c1", "-W4", str(address)]
        unanswered += subprocess.run(ping, capture_output=True).returncode != 0
        known = ip("netns", "exec", "asker", "ip", "neigh", "show", str(address))
        remembered += "lladdr" in known and made.mac not in known
    net.disconnect("owner")
print(remembered, unanswered)
"""


def test_a_reused_address_is_always_announced(host: Machine) -> None:
    """IP8: also while links come and go, when the kernel opens and closes bridge ports late."""
    assert host.python(_REUSE) == "0 0", "MACs of somebody gone remembered, pings unanswered"
