"""``--ipam-driver dhcp``: leases of a real dnsmasq on the wire."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dhcp_server import Server, serve_briefly
from lab import INTERNET, NEIGHBOUR, NEIGHBOUR6, ROUTER, Guest, Lab, Machine, wait_for


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    """A DHCP server."""
    lab.serve_internet()
    yield Server(lab.internet)


def create(host: Machine, *flags: str) -> None:
    """Create the network ``lan``."""
    host.ny("network", "create", "-d", "macvlan", "--ipam-driver", "dhcp", *flags, "lan")


def start(host: Machine, name: str, *flags: str) -> Guest:
    """Start a container that does nothing."""
    host.ny("run", "-d", "--name", name, "--network", "lan", *flags, "sleep", "600")
    return Guest(host, name)


def test_leases_appear_and_are_given_back(lab: Lab, server: Server) -> None:
    """Address, route, name and /etc/hosts of a lease; released on removal."""
    lab.neighbour.serve("80")
    create(lab.host)
    seen = lab.neighbour.capture("eth0", "arp")
    one, two = start(lab.host, "one"), start(lab.host, "two")
    address = one.address("lan")
    wait_for(lambda: f"who-has {address} tell {address}" in seen())
    settings = json.loads(lab.host.ny("inspect", "one"))[0]["NetworkSettings"]["Networks"]["lan"]
    assert server.leases()[address] == (settings["MacAddress"], "one")
    assert (settings["Gateway"], settings["IPPrefixLen"]) == (ROUTER, 24)
    assert address in (one.fetch(NEIGHBOUR, 80) or "")
    assert address in (one.fetch(INTERNET, 80) or "")
    assert lab.neighbour.ping(address)
    assert two.ping("one") and two.dig("-x", address) == "one.lan."
    assert f"{address}\t" in one.run("cat", "/etc/hosts").stdout
    lab.host.ny("rm", "-f", "one")
    wait_for(lambda: address not in server.leases())
    # The end of a container by itself counts as well.
    lab.host.ny("run", "--rm", "--network", "lan", "true")
    second = two.address("lan")
    wait_for(lambda: set(server.leases()) == {second})
    lab.host.ny("network", "disconnect", "lan", "two")
    wait_for(lambda: not server.leases())


@pytest.mark.parametrize("seed", range(4))
def test_nonsense_from_another_server(lab: Lab, server: Server, seed: int) -> None:
    """SH26: a container may be given a wrong address by it, which DHCP has no remedy for, or none.

    That is all: the agent lives on, with the leases of others, and so does the next container.
    """
    host = lab.host
    create(host)
    before = start(host, "before")
    address = before.address("lan")
    agent = host.out("pgrep", "-f", "agent --exit-when-idle")
    script = Path(__file__).parents[1] / "rogue_dhcp.py"
    lab.neighbour.popen("python3", "-S", str(script), "eth0", str(seed))
    wait_for(lambda: ":67 " in lab.neighbour.out("ss", "-Hlun"))
    heard = lab.neighbour.capture("eth0", "udp", "src", "port", "67")
    for number in range(6):
        words = ("run", "-d", "--name", f"box{number}", "--network", "lan", "sleep", "600")
        done = host.netyard(*words, check=False)
        assert done.returncode == 0 or done.stderr.startswith("netyard: "), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
    wait_for(lambda: len(heard().splitlines()) > 100)
    lab.neighbour.run("pkill", "-KILL", "-f", "rogue_dhcp")
    after = start(host, "after")
    assert {address, after.address("lan")} <= set(server.leases())
    assert before.ping(ROUTER) and after.ping(ROUTER)
    assert before.ping("after"), "names"
    assert host.out("pgrep", "-f", "agent --exit-when-idle") == agent, "it is another"
    assert "panicked" not in host.out("sh", "-c", "cat /run/netyard*/agent.log")


def test_same_address_after_stop_and_start(lab: Lab, server: Server) -> None:
    """The endpoint keeps its MAC address, by which servers know it."""
    create(lab.host)
    guest = start(lab.host, "one", "--mac-address", "02:00:00:00:07:01")
    before = guest.address("lan")
    lab.host.ny("stop", "-t", "0", "one")
    wait_for(lambda: not server.leases())
    assert guest.address("lan") == ""
    lab.host.ny("start", "one")
    assert guest.address("lan") == before
    assert server.leases()[before][0] == "02:00:00:00:07:01"


def test_renewed_in_time(lab: Lab, server: Server) -> None:
    """The agent renews by unicast at T1, well before the two minutes are over."""
    server.stop()
    server.start(flags="--dhcp-option=58,3 --dhcp-option=59,60")
    create(lab.host)
    guest = start(lab.host, "one")
    asked = server.log().count("DHCPREQUEST")
    wait_for(lambda: server.log().count("DHCPREQUEST") >= asked + 2, seconds=15)
    assert guest.ping(NEIGHBOUR)


def test_rebound_to_another_server(lab: Lab, server: Server) -> None:
    """Its server gone, the container keeps its address from whoever answers a broadcast."""
    server.stop()
    server.start(flags="--dhcp-option=58,3 --dhcp-option=59,5")
    create(lab.host)
    guest = start(lab.host, "one")
    address = guest.address("lan")
    # Another server takes over with the same leases: at another address, so that renewing fails.
    server.stop()
    lab.internet.run("ip", "addr", "del", f"{ROUTER}/24", "dev", "eth0")
    lab.internet.run("ip", "addr", "add", "192.0.2.2/24", "dev", "eth0")
    asked = server.log().count("DHCPACK")
    server.start(flags="--dhcp-option=58,3 --dhcp-option=59,5")
    wait_for(lambda: server.log().count("DHCPACK") > asked, seconds=20)
    assert guest.address("lan") == address and guest.ping(NEIGHBOUR)
    # And what it gives back goes to the new one.
    lab.host.ny("rm", "-f", "one")
    wait_for(lambda: not server.leases())


def test_lost_and_found_elsewhere(lab: Lab) -> None:
    """A lease that runs out is no longer used; the next one is, names and routes with it.

    By busybox's server, whose leases can be of seconds.
    """
    lab.serve_internet()
    serve_briefly(lab.internet, "192.0.2.100", "192.0.2.109")
    create(lab.host)
    one, two = start(lab.host, "one"), start(lab.host, "two")
    old = one.address("lan")
    lab.internet.run("pkill", "-f", "udhcpd.conf")
    wait_for(lambda: one.address("lan") == "", seconds=20)
    assert "default" not in one.run("ip", "route").stdout
    assert not lab.neighbour.ping(old)
    assert f"{old}\t" not in one.run("cat", "/etc/hosts").stdout
    serve_briefly(lab.internet, "192.0.2.140", "192.0.2.149")
    new = wait_for(lambda: one.address("lan"), seconds=40)
    assert new.startswith("192.0.2.14")
    assert lab.neighbour.ping(new) and one.ping(INTERNET)
    wait_for(lambda: two.dig("one") == new)
    assert f"{new}\t" in one.run("cat", "/etc/hosts").stdout


def test_agent_killed(lab: Lab, server: Server) -> None:
    """The next agent goes on with the leases, and gives them back."""
    create(lab.host)
    guest = start(lab.host, "one")
    address = guest.address("lan")
    lab.host.kill_agent()
    asked = server.log().count("DHCPREQUEST")
    lab.host.ny("ps")
    wait_for(lambda: server.log().count("DHCPREQUEST") > asked)
    assert guest.address("lan") == address and guest.ping(NEIGHBOUR)
    lab.host.kill_agent()
    lab.host.ny("rm", "-f", "one")
    wait_for(lambda: not server.leases())


def test_host_access_and_bridge_beside(lab: Lab, server: Server) -> None:
    """The host reaches leased addresses; a bridge beside keeps the default route if told to."""
    six = ("--subnet", "2001:db8::/64", "--ip-range", "2001:db8::100/120")
    create(lab.host, "-o", "host_access=true", *six)
    guest = start(lab.host, "one")
    assert lab.host.ping(guest.address("lan"))
    assert lab.host.ping(guest.address("lan", version=6)) and guest.ping(NEIGHBOUR6)
    member = json.loads(lab.host.ny("network", "inspect", "lan"))[0]["Containers"]
    (shown,) = (each["IPv4Address"] for each in member.values())
    assert shown == f"{guest.address('lan')}/24"
    lab.host.ny("network", "create", "my-net")
    lab.host.ny("network", "connect", "--gw-priority", "1", "my-net", "one")
    assert ROUTER not in guest.run("ip", "route", "show", "default").stdout
    lab.host.ny("network", "disconnect", "my-net", "one")
    assert ROUTER in guest.run("ip", "route", "show", "default").stdout
    lab.host.ny("network", "disconnect", "lan", "one")
    lab.host.ny("network", "connect", "lan", "one")
    assert lab.host.ping(guest.address("lan"))


def test_adopted_namespaces(lab: Lab, server: Server) -> None:
    """By their name; given back with the namespace."""
    create(lab.host, "--subnet", "192.0.2.0/24")
    lab.host.run("ip", "netns", "add", "lab")
    lab.host.ny("adopt", "--netns", "/run/netns/lab", "--network", "lan", "mine")
    (address,) = server.leases()
    assert server.leases()[address][1] == "mine"
    assert lab.neighbour.ping(address)
    lab.host.ny("abandon", "mine")
    wait_for(lambda: not server.leases())


def test_refused_in_a_sentence(lab: Lab, server: Server) -> None:
    """Bad input, a subnet that is not the lease's, and what a server alone can say."""
    host = lab.host
    host.ny("network", "ls")
    before = host.snapshot()
    dhcp = ("network", "create", "--ipam-driver", "dhcp")
    assert "use macvlan" in host.refused(*dhcp, "bad")
    assert "MAC address" in host.refused(*dhcp, "-d", "ipvlan", "-o", "parent=eth0", "bad")
    macvlan = (*dhcp, "-d", "macvlan", "-o", "parent=eth0")
    assert "IPv4" in host.refused(*macvlan, "--ipv4=false", "--ipv6", "bad")
    for flag, word in (("--gateway", ROUTER), ("--aux-address", f"x={ROUTER}")):
        subnet = ("--subnet", "192.0.2.0/24")
        assert "DHCP server to say" in host.refused(*macvlan, *subnet, flag, word, "bad")
    assert host.snapshot() == before
    warned = host.netyard(*macvlan, "--subnet", "192.0.2.0/24", "right").stderr
    assert "--ip-range" not in warned
    host.ny("network", "rm", "right")
    host.ny(*macvlan, "--subnet", "10.1.2.0/24", "lan")
    refused = host.refused("run", "--name", "one", "--network", "lan", "true", status=125)
    assert "not the subnet 10.1.2.0/24" in refused
    host.ny("network", "rm", "lan")
    assert host.snapshot() == before
    wait_for(lambda: not server.leases())
    host.ny(*macvlan, "lan")
    run = ("run", "--network", "lan", "--ip", "192.0.2.100", "true")
    assert "DHCP server's" in host.refused(*run, status=125)


def test_no_server_answers(host: Machine) -> None:
    """Waited for, then refused; nothing of the container is left."""
    create(host)
    before = host.snapshot()
    begin = time.monotonic()
    refused = host.refused("run", "--name", "one", "--network", "lan", "true", status=125)
    assert "no DHCP server on the wire of 'eth0'" in refused
    assert time.monotonic() - begin < 30
    assert host.snapshot() == before
