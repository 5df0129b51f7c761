"""Parents that netyard makes: VLAN subinterfaces on a VLAN-aware switch, and dummies."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab import HOST, NEIGHBOUR, ROUTER, Guest, Lab, Machine, wait_for

# Who is in VLAN 50, on a port of his own.
PEER = "198.51.100.20"
VLAN_SUBNET = ("--subnet", "198.51.100.0/24", "--gateway", PEER)


@pytest.fixture
def switch(lab: Lab) -> Iterator[Machine]:
    """The wire as a VLAN-aware switch: the host's port carries VLAN 50 tagged."""
    wire, neighbour = lab.wire, lab.neighbour
    lab.plug(neighbour, PEER, "2001:db8:50::20", "eth1")
    wire.run(*"ip link set wire type bridge vlan_filtering 1".split())
    wire.run(*"bridge vlan add dev host-eth0 vid 50".split())
    wire.run(*"bridge vlan del dev neighbour-eth1 vid 1".split())
    wire.run(*"bridge vlan add dev neighbour-eth1 vid 50 pvid untagged".split())
    yield wire
    wire.run(*"ip link set wire type bridge vlan_filtering 0".split())
    wire.run(*"ip link del neighbour-eth1".split())


def start(host: Machine, name: str, *flags: str, network: str = "vlan") -> Guest:
    """Start a container that does nothing."""
    host.ny("run", "-d", "--name", name, "--network", network, *flags, "sleep", "3600")
    return Guest(host, name)


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_vlan_frames_are_tagged_on_the_wire(lab: Lab, switch: Machine, driver: str) -> None:
    """MV1, IV1: ``eth0.50`` is made, carries VLAN 50 and no other, and goes with the network."""
    create = ("network", "create", "-d", driver, *VLAN_SUBNET, "-o", "parent=eth0.50")
    lab.host.ny(*create, "vlan")
    guest = start(lab.host, "box")
    seen = switch.capture("host-eth0", "icmp", "or", "vlan", "50")
    wait_for(lambda: guest.ping(PEER))
    wait_for(lambda: f"vlan 50, p 0, ethertype IPv4 (0x0800), {guest.address('vlan')}" in seen())
    assert lab.neighbour.ping(guest.address("vlan"))
    assert not guest.ping(ROUTER)
    # The host itself has no business in there.
    assert not json.loads(lab.host.out("ip", "-j", "addr", "show", "eth0.50"))[0]["addr_info"]
    lab.host.ny("rm", "-f", "box")
    lab.host.ny("network", "rm", "vlan")
    assert "eth0.50" not in lab.host.links()


def test_made_vlan_goes_with_its_last_network(lab: Lab, switch: Machine) -> None:
    """MV1: two networks share it; one that was there before stays."""
    subnet = ("--subnet", "198.51.100.0/24", "-o", "parent=eth0.50", "-d", "macvlan")
    for name, ip_range in (("one", "198.51.100.64/28"), ("two", "198.51.100.80/28")):
        lab.host.ny("network", "create", *subnet, "--ip-range", ip_range, name)
    lab.host.ny("network", "rm", "one")
    guest = start(lab.host, "box", network="two")
    wait_for(lambda: guest.ping(PEER))
    lab.host.ny("rm", "-f", "box")
    lab.host.ny("network", "rm", "two")
    assert "eth0.50" not in lab.host.links()
    lab.host.run(*"ip link add link eth0 name eth0.50 up type vlan id 50".split())
    lab.host.ny("network", "create", *subnet, "one")
    lab.host.ny("network", "rm", "one")
    assert "eth0.50" in lab.host.links()
    lab.host.run("ip", "link", "del", "eth0.50")


def test_reload_makes_a_lost_vlan_again(lab: Lab, switch: Machine) -> None:
    """With its containers' interfaces, which the kernel took away with it."""
    create = ("network", "create", "-d", "macvlan", *VLAN_SUBNET, "-o", "parent=eth0.50")
    lab.host.ny(*create, "-o", "host_access=true", "vlan")
    guest = start(lab.host, "box")
    wait_for(lambda: guest.ping(PEER))
    lab.host.run("ip", "link", "del", "eth0.50")
    assert not guest.ping(PEER)
    lab.host.ny("reload")
    wait_for(lambda: guest.ping(PEER))
    assert lab.host.ping(guest.address("vlan"))


@pytest.mark.parametrize(("driver", "prefix"), [("macvlan", "dm-"), ("ipvlan", "di-")])
def test_internal_stands_on_a_dummy(lab: Lab, driver: str, prefix: str) -> None:
    """MV1, IV1, NC11: containers reach each other and nobody else; it goes with the network."""
    lab.host.ny("network", "create", "-d", driver, "--internal", "inner")
    one, two = (start(lab.host, name, network="inner") for name in ("one", "two"))
    assert one.ping("two") and two.ping("one")
    assert "default" not in one.run("ip", "route").stdout
    assert not one.ping(NEIGHBOUR) and not one.ping(HOST)
    network = json.loads(lab.host.ny("network", "inspect", "inner"))[0]
    parent = network["Options"]["parent"]
    assert parent == f"{prefix}{network['Id'][:12]}" and parent in lab.host.links()
    lab.host.ny("rm", "-f", "one", "two")
    lab.host.ny("network", "rm", "inner")
    assert parent not in lab.host.links()


def test_without_a_default_route_it_is_internal(lab: Lab) -> None:
    """MV1: no parent given and none to be found."""
    routes = [(f, lab.host.out("ip", f, "route", "show", "default")) for f in ("-4", "-6")]
    for family, route in routes:
        lab.host.run("ip", family, "route", "del", *route.split())
    try:
        done = lab.host.netyard("network", "create", "-d", "macvlan", "inner")
        assert "no default route" in done.stderr
        assert json.loads(lab.host.ny("network", "inspect", "inner"))[0]["Internal"] is True
        lab.host.ny("network", "rm", "inner")
    finally:
        for family, route in routes:
            lab.host.run("ip", family, "route", "add", *route.split())


def test_vlan_that_has_another_name(lab: Lab) -> None:
    """Refused in a sentence, and the other is left."""
    lab.host.run(*"ip link add link eth0 name fifty up type vlan id 50".split())
    create = ("network", "create", "-d", "macvlan", "--subnet", "10.9.0.0/24")
    assert "VLAN 50 of 'eth0'" in lab.host.refused(*create, "-o", "parent=eth0.50", "bad")
    assert lab.host.links() == {"lo", "eth0", "fifty"}
    lab.host.run("ip", "link", "del", "fifty")


def test_parent_in_a_vrf(lab: Lab) -> None:
    """A VRF leaves its interfaces their packets: they are parents as others are."""
    lab.plug(lab.host, "192.0.2.11", "2001:db8::11", "eth1")
    lab.host.run(*"ip link add red up type vrf table 10".split())
    lab.host.run(*"ip link set eth1 master red".split())
    create = ("network", "create", "-d", "macvlan", "--subnet", "192.0.2.0/24", "-o", "parent=eth1")
    lab.host.ny(*create, "--ip-range", "192.0.2.64/27", "lan")
    guest = start(lab.host, "box", network="lan")
    assert guest.ping(NEIGHBOUR) and lab.neighbour.ping(guest.address("lan"))
    lab.host.ny("rm", "-f", "box")
    lab.host.ny("network", "rm", "lan")
    lab.host.run("ip", "link", "del", "red")
    lab.wire.run("ip", "link", "del", "host-eth1")


def test_vlan_on_a_parent_that_is_down(lab: Lab) -> None:
    """Refused in a sentence, and nothing is made."""
    lab.plug(lab.host, "192.0.2.11", "2001:db8::11", "eth1")
    lab.host.run("ip", "link", "set", "eth1", "down")
    create = ("network", "create", "-d", "macvlan", "--subnet", "10.9.0.0/24")
    assert "is down" in lab.host.refused(*create, "-o", "parent=eth1.50", "bad")
    assert "eth1.50" not in lab.host.links()
    lab.wire.run("ip", "link", "del", "host-eth1")
