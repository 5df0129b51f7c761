"""ipvlan networks on the wire of the lab, in every mode."""

from __future__ import annotations

import json

import pytest

from lab import HOST, INTERNET, NEIGHBOUR, NEIGHBOUR6, ROUTER, ROUTER6, Guest, Lab, Machine

LAN = ("--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27", "--gateway", ROUTER)
LAN6 = ("--subnet", "2001:db8::/64", "--ip-range", "2001:db8::100/120", "--gateway", ROUTER6)
TWO_SUBNETS = ("--subnet", "10.51.0.0/24", "--subnet", "10.52.0.0/24")


def ipvlan(host: Machine, *flags: str) -> None:
    """Create the network ``lan`` on the lab's wire."""
    host.ny("network", "create", "-d", "ipvlan", "-o", "parent=eth0", *flags, "lan")


def start(host: Machine, name: str, *flags: str, network: str = "lan") -> Guest:
    """Start a container that does nothing."""
    host.ny("run", "-d", "--name", name, "--network", network, *flags, "sleep", "3600")
    return Guest(host, name)


def says(guest: Guest, address: str) -> str:
    """What the server there says, which is who asks it."""
    return guest.run("nc", "-w2", address, "80", check=False).stdout


def test_l2_on_the_wire_without_nat(lab: Lab) -> None:
    """IV1, IV4, FW16: reached and reaching, of either family, with the parent's MAC address."""
    ipvlan(lab.host, *LAN, *LAN6)
    one, two = start(lab.host, "one"), start(lab.host, "two")
    assert "192.0.2.64" in says(one, NEIGHBOUR)
    assert "192.0.2.64" in says(one, INTERNET)
    assert lab.neighbour.ping("192.0.2.64") and lab.neighbour.ping("2001:db8::100")
    assert one.ping(NEIGHBOUR6)
    assert one.ping("two") and two.ping("one")
    assert two.dig("one") == "192.0.2.64"
    mac = lab.host.out("cat", "/sys/class/net/eth0/address")
    assert mac in one.run("ip", "link", "show", "eth0").stdout
    assert not lab.host.ping("192.0.2.64") and not one.ping(HOST)
    refused = lab.host.refused(
        "run", "--network", "lan", "--mac-address", "02:00:00:00:00:09", "true", status=125
    )
    assert "MAC address of its parent interface 'eth0'" in refused


@pytest.mark.parametrize("flag", ["private", "vepa"])
def test_flags_keep_containers_apart(lab: Lab, flag: str) -> None:
    """IV3: neither lets containers reach each other here; both reach the wire."""
    ipvlan(lab.host, *LAN, "-o", f"ipvlan_flag={flag}")
    one = start(lab.host, "one")
    two = start(lab.host, "two")
    assert not one.ping("192.0.2.65")
    assert two.ping(NEIGHBOUR) and lab.neighbour.ping("192.0.2.64")
    shown = one.run("ip", "-d", "link", "show", "eth0").stdout
    assert f"ipvlan mode l2 {flag}" in " ".join(shown.split())


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_l3_routes_between_its_subnets(lab: Lab, mode: str) -> None:
    """IV2, IV5: no gateway and no neighbours; others need a route to the host."""
    ipvlan(lab.host, *TWO_SUBNETS, "--subnet", "fd51::/64", "-o", f"ipvlan_mode={mode}")
    one = start(lab.host, "one", "--ip", "10.51.0.7", "--ip6", "fd51::7")
    two = start(lab.host, "two", "--ip", "10.52.0.7", "--ip6", "fd51::8")
    assert "default dev eth0" in one.run("ip", "route").stdout
    assert one.ping("10.52.0.7") and two.ping("one") and one.ping("fd51::8")
    settings = json.loads(lab.host.ny("inspect", "one"))[0]["NetworkSettings"]["Networks"]["lan"]
    assert (settings["Gateway"], settings["MacAddress"]) == ("", "")
    assert not lab.neighbour.ping("10.51.0.7")
    for machine, family in ((lab.neighbour, "-4"), (lab.internet, "-4")):
        machine.run("ip", family, "route", "add", "10.48.0.0/13", "via", HOST)
    try:
        assert lab.neighbour.ping("10.51.0.7") and lab.neighbour.ping("10.52.0.7")
        assert "10.51.0.7" in says(one, NEIGHBOUR)
        assert "10.52.0.7" in says(two, INTERNET)
    finally:
        for machine in (lab.neighbour, lab.internet):
            machine.run("ip", "route", "del", "10.48.0.0/13")


def test_l3_internal_has_no_way_out(lab: Lab) -> None:
    """IV2, NC11: no default route; the subnets reach each other all the same."""
    lab.host.ny(
        *("network", "create", "-d", "ipvlan", "--internal", "-o", "mode=l3", *TWO_SUBNETS, "lan")
    )
    one = start(lab.host, "one", "--ip", "10.51.0.7")
    start(lab.host, "two", "--ip", "10.52.0.7")
    assert "default" not in one.run("ip", "route").stdout
    assert one.ping("10.52.0.7")
    assert not one.ping(HOST)


@pytest.mark.parametrize("mode", ["l2", "l3"])
def test_host_access(lab: Lab, mode: str) -> None:
    """The host reaches its containers and they reach it, until they are gone."""
    subnet = LAN if mode == "l2" else ("--subnet", "10.51.0.0/24")
    ipvlan(lab.host, *subnet, "-o", f"mode={mode}", "-o", "host_access=true")
    one = start(lab.host, "one")
    address = one.address("lan")
    pool = json.loads(lab.host.ny("network", "inspect", "lan"))[0]["IPAM"]["Config"][0]
    own = pool["AuxiliaryAddresses"]["host"]
    assert lab.host.ping(address)
    assert one.ping(own)
    lab.host.ny("rm", "-f", "one")
    assert address not in lab.host.out("ip", "route")


def test_one_network_a_parent(lab: Lab) -> None:
    """IV1: a second one is refused, and a macvlan beside, each naming both."""
    ipvlan(lab.host, *LAN)
    create = ("network", "create", "--subnet", "10.9.0.0/24", "-o", "parent=eth0", "-d")
    assert "'lan'" in lab.host.refused(*create, "ipvlan", "two")
    both = lab.host.refused(*create, "macvlan", "two")
    assert "'lan'" in both and "ipvlan" in both and "macvlan" in both
    lab.host.ny("network", "rm", "lan")
    lab.host.ny(*create, "macvlan", "lan")
    both = lab.host.refused(*create, "ipvlan", "two")
    assert "'lan'" in both and "ipvlan" in both and "macvlan" in both


def test_interfaces_of_others_on_the_parent(lab: Lab) -> None:
    """Somebody else's macvlan on the parent, seen or in a namespace we cannot see."""
    host = lab.host
    create = ("network", "create", "-d", "ipvlan", *LAN, "-o", "parent=eth0", "lan")
    host.run(*"ip link add mv0 link eth0 type macvlan mode bridge".split())
    assert "macvlan interface 'mv0'" in host.refused(*create)
    host.run(*"ip netns add away".split())
    host.run(*"ip link set mv0 netns away".split())
    host.ny(*create)
    before = host.snapshot()
    refused = host.refused("run", "--network", "lan", "true", status=125)
    assert "another kind" in refused and "'eth0'" in refused
    assert host.snapshot() == before
    host.run(*"ip netns del away".split())


def test_bad_input_leaves_nothing(lab: Lab) -> None:
    """IV2, IV3, CV3."""
    before = lab.host.snapshot()

    def refused(*flags: str) -> str:
        return lab.host.refused("network", "create", "-d", "ipvlan", *flags, "bad")

    assert "ipvlan mode" in refused("-o", "ipvlan_mode=l4")
    assert "ipvlan flag" in refused("-o", "ipvlan_flag=both")
    assert "no gateway" in refused("-o", "mode=l3", *LAN)
    assert "'lo'" in refused("-o", "parent=lo")
    assert "private" in refused("-o", "flag=private", "-o", "host_access=true")
    assert lab.host.snapshot() == before


def test_stop_start_and_connect_beside_a_bridge(lab: Lab) -> None:
    """RN8: the default route is the interface's own, moves, and comes back."""
    ipvlan(lab.host, *TWO_SUBNETS, "-o", "mode=l3")
    lab.host.ny("network", "create", "my-net")
    one = start(lab.host, "one", network="my-net")
    lab.host.ny("network", "connect", "--gw-priority", "1", "lan", "one")
    assert "default dev eth1" in one.run("ip", "route").stdout
    lab.host.ny("stop", "-t", "0", "one")
    lab.host.ny("start", "one")
    assert "default dev eth1" in one.run("ip", "route").stdout
    lab.host.ny("network", "disconnect", "lan", "one")
    assert "default via" in one.run("ip", "route").stdout
    assert HOST in says(one, INTERNET)
