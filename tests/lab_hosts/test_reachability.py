"""The reachability matrix of the contract (section 6.1), cell by cell, by packets that cross or not.

Every cell is asked by TCP and UDP, IPv4 and IPv6, with br_netfilter on and off, and again after
the rules were flushed and reloaded.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field

import pytest

from lab import (
    HOST,
    HOST6,
    INTERNET,
    INTERNET6,
    NEIGHBOUR,
    NEIGHBOUR6,
    SERVER,
    Guest,
    Lab,
    Machine,
    wait_for,
)

# Network options, and further flags of `network create`, by the network's name.
NETWORKS = {
    "plain": [],
    "other": [],
    "trusting": ["-o", "trusted=eth0"],
    "inside": ["--internal"],
    "alone": "--internal -o gateway_mode=isolated -o gateway_mode_ipv6=isolated".split(),
    "apart": ["-o", "icc=false"],
    "routed": "-o gateway_mode=routed -o gateway_mode_ipv6=routed".split(),
    "open": "-o gateway_mode=nat-unprotected -o gateway_mode_ipv6=nat-unprotected".split(),
}
_BOTH = ("tcp", "udp")


def _ports(*specs: str) -> list[str]:
    return [word for spec in specs for kind in _BOTH for word in ("-p", f"{spec}/{kind}")]


PUBLISHED = {
    "plain": _ports("8001:80", "127.0.0.1:8002:80", "[::1]:8002:80", f"{HOST}:8003:80")
    + _ports(f"[{HOST6}]:8003:80"),
    "trusting": _ports("8004:80"),
    "apart": _ports("8005:80"),
    "routed": _ports("8006:80"),
    "inside": _ports("8007:80"),
}
# Row, whose address (a network's container, or the host's), port, and who is answered.
# S: same network, O: another network, H: the host, W: a neighbour with routes, X: anyone.
CELLS = [
    ("FW2", "plain", 81, "SH"),
    ("FW3", "plain", 80, "SH"),
    ("FW3", "trusting", 80, "SHW"),
    ("FW2", "trusting", 81, "SH"),
    ("FW4", "host", 8001, "SOHWX"),
    ("FW5", "host", 8003, "SOHWX"),
    ("FW5", "host2", 8003, ""),
    ("FW6", "inside", 80, "SH"),
    ("FW6", "inside", 81, "SH"),
    ("FW6", "host", 8007, ""),
    ("FW6", "alone", 80, "S"),
    ("FW7", "apart", 80, "H"),
    ("FW7", "apart", 81, "H"),
    ("FW7a", "host", 8005, "SOHWX"),
    ("FW8", "host", 8002, ""),
    ("FW8", "loopback", 8002, "H"),
    ("FW4", "loopback", 8001, "H"),
    ("FW9", "routed", 80, "SOHW"),
    ("FW10", "routed", 81, "SH"),
    ("FW10", "host", 8006, ""),
    ("FW11", "open", 80, "SOHW"),
    ("FW11", "open", 81, "SOHW"),
]
HOST2, HOST62 = "192.0.2.11", "2001:db8::11"


@dataclass
class World:
    """The lab with a server and a peer on each network."""

    lab: Lab
    addresses: dict[str, dict[int, str]] = field(default_factory=dict)

    def sources(self, target: str) -> dict[str, Machine | Guest]:
        """Who asks about a target, by column."""
        same = target if target in NETWORKS else {"8005": "apart"}.get(target, "plain")
        return {
            "S": Guest(self.lab.host, f"peer-{same}"),
            "O": Guest(self.lab.host, "web-other"),
            "H": self.lab.host,
            "W": self.lab.neighbour,
            "X": self.lab.internet,
        }

    def check(self) -> None:
        """Every cell, both families and protocols; all that is wrong at once."""
        questions: dict[str, list[tuple[str, bool, tuple[str, str, int]]]] = {}
        machines: dict[str, Machine | Guest] = {}
        for row, target, port, answered in CELLS:
            peers = self.sources("8005" if (target, port) == ("host", 8005) else target)
            for column, machine in peers.items():
                if column == "X" and target in NETWORKS:
                    continue
                if target == "loopback" and column in "SO":
                    # Their own loopback, which nobody listens on: not a question about the host.
                    continue
                name = f"{column}:{machine.name}"
                machines[name] = machine
                for version in (4, 6):
                    for kind in _BOTH:
                        question = (kind, self.addresses[target][version], port)
                        cell = f"{row} {column}: {target} IPv{version} {kind} {port}"
                        questions.setdefault(name, []).append((cell, column in answered, question))
        wrong = []
        for name, asked in questions.items():
            answers = machines[name].probe([question for *_, question in asked])
            for (cell, wanted, _), answer in zip(asked, answers, strict=True):
                heard = answer is not None and not answer.startswith("refused")
                if heard != wanted:
                    wrong.append(f"{cell}: {answer}, wanted {'an answer' if wanted else 'none'}")
        assert not wrong, "\n".join(wrong)


@pytest.fixture
def world(lab: Lab, either_bridge_mode: None) -> World:
    """Everything up; the neighbour has routes to all container subnets by way of the host."""
    lab.serve_internet()
    host = lab.host
    made = World(lab)
    host.run("ip", "addr", "add", f"{HOST2}/24", "dev", "eth0")
    host.run("ip", "addr", "add", f"{HOST62}/64", "dev", "eth0", "nodad")
    for name, flags in NETWORKS.items():
        host.ny("network", "create", "--ipv6", *flags, name)
        serve = (sys.executable, "-S", SERVER, "80", "81")
        ports = PUBLISHED.get(name, [])
        host.ny("run", "-d", "--name", f"web-{name}", "--network", name, *ports, *serve)
        host.ny("run", "-d", "--name", f"peer-{name}", "--network", name, "sleep", "900")
        web = Guest(host, f"web-{name}")
        made.addresses[name] = {v: web.address(name, version=v) for v in (4, 6)}
        for config in json.loads(host.ny("network", "inspect", name))[0]["IPAM"]["Config"]:
            via = HOST6 if ":" in config["Subnet"] else HOST
            lab.neighbour.run("ip", "route", "add", config["Subnet"], "via", via)
            # The way back for networks that keep their addresses.
            if name == "routed":
                lab.internet.run("ip", "route", "add", config["Subnet"], "via", via)
    made.addresses["host"] = {4: HOST, 6: HOST6}
    made.addresses["host2"] = {4: HOST2, 6: HOST62}
    made.addresses["loopback"] = {4: "127.0.0.1", 6: "::1"}
    for version in (4, 6):
        for port in (80, 81):
            address = made.addresses["plain"][version]
            wait_for(lambda address=address, port=port: host.fetch(address, port))
    wait_for(lambda: host.fetch(made.addresses["open"][6], 81))
    return made


def test_who_reaches_what(world: World) -> None:
    """FW2 to FW11, FW7a, FW17, FW36, SH2, SH3, SH24: the whole matrix, and again after a reload."""
    world.check()
    world.lab.host.run("nft", "flush", "ruleset")
    world.lab.host.ny("reload")
    world.check()


def test_source_addresses(world: World) -> None:
    """FW12, FW14, FW20, SH14: servers see who asks, never a proxy."""
    host, lab = world.lab.host, world.lab
    gateway = {
        version: next(
            config["Gateway"]
            for config in json.loads(host.ny("network", "inspect", "plain"))[0]["IPAM"]["Config"]
            if (":" in config["Gateway"]) == (version == 6)
        )
        for version in (4, 6)
    }
    inside = {version: world.addresses["plain"][version] for version in (4, 6)}
    outside = {4: (NEIGHBOUR, HOST, INTERNET), 6: (NEIGHBOUR6, HOST6, INTERNET6)}
    for version in (4, 6):
        neighbour, own, internet = outside[version]
        assert lab.neighbour.fetch(own, 8001) == f"hello {neighbour}"
        assert host.fetch(own, 8001) == f"hello {own}", "the address it asked from"
        loopback = "127.0.0.1" if version == 4 else "::1"
        assert host.fetch(loopback, 8001) == f"hello {gateway[version]}"
        assert Guest(host, "web-plain").fetch(own, 8001) == f"hello {gateway[version]}", "FW12"
        assert Guest(host, "peer-plain").fetch(inside[version], 80), "FW2"
        seen = Guest(host, "peer-plain").fetch(internet, 80)
        assert seen in (f"hello {own}", f"hello {HOST2}", f"hello {HOST62}"), "FW14"
        seen = Guest(host, "peer-routed").fetch(internet, 80)
        own_address = Guest(host, "peer-routed").address("routed", version=version)
        assert seen == f"hello {own_address}", "BO7: no masquerade"


def test_routed_networks_answer_ping_only(world: World) -> None:
    """FW10, BO7: ICMP from the wire reaches routed containers; port shows no host port."""
    addresses = world.addresses
    for version in (4, 6):
        assert world.lab.neighbour.ping(addresses["routed"][version])
        assert not world.lab.neighbour.ping(addresses["plain"][version])
        assert not world.lab.host.ping(addresses["alone"][version]), "BO8"
    assert world.lab.host.ny("port", "web-routed") == ""
    shown = json.loads(world.lab.host.ny("inspect", "web-routed"))[0]["NetworkSettings"]["Ports"]
    assert shown["80/tcp"] == [{"HostIp": "", "HostPort": ""}] * 2


def test_forged_loopback_destination(world: World) -> None:
    """FW8, SH9: not even frames for 127.0.0.1 straight to the host's MAC address."""
    host, neighbour = world.lab.host, world.lab.neighbour
    mac = json.loads(host.out("ip", "-j", "link", "show", "eth0"))[0]["address"]
    neighbour.run("ip", "route", "flush", "table", "local")
    neighbour.run("ip", "addr", "del", "127.0.0.1/8", "dev", "lo", check=False)
    neighbour.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet")
    neighbour.run("ip", "route", "add", "127.0.0.1/32", "via", HOST, "dev", "eth0", "onlink")
    neighbour.run("ip", "route", "add", "local", NEIGHBOUR, "dev", "eth0", "table", "local")
    neighbour.run("ip", "neigh", "replace", HOST, "lladdr", mac, "dev", "eth0")
    targets = [(kind, "127.0.0.1", port) for port in (8001, 8002) for kind in _BOTH]
    assert neighbour.probe(targets) == [None] * 4
