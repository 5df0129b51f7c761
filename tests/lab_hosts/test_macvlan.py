"""macvlan networks on the wire of the lab: containers are neighbours of everybody there."""

from __future__ import annotations

import json
import sys

import pytest

from lab import (
    HOST,
    INTERNET,
    NEIGHBOUR,
    NEIGHBOUR6,
    ROUTER,
    ROUTER6,
    SERVER,
    Guest,
    Lab,
    Machine,
    wait_for,
)

LAN = ("--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27")
LAN6 = ("--subnet", "2001:db8::/64", "--ip-range", "2001:db8::100/120")
GATEWAY = ("--gateway", ROUTER)


def macvlan(host: Machine, name: str = "lan", *flags: str) -> None:
    """Create a network on the lab's wire."""
    host.ny("network", "create", "-d", "macvlan", *LAN, *GATEWAY, *flags, name)


def start(host: Machine, name: str, *flags: str, network: str = "lan") -> Guest:
    """Start a container that does nothing."""
    host.ny("run", "-d", "--name", name, "--network", network, *flags, "sleep", "600")
    return Guest(host, name)


def serve(host: Machine, name: str, *flags: str, network: str = "lan") -> Guest:
    """Start a container that says who asks."""
    command = (sys.executable, "-S", SERVER, "80")
    host.ny("run", "-d", "--name", name, "--network", network, *flags, *command)
    guest = Guest(host, name)
    wait_for(lambda: guest.fetch("127.0.0.1", 80))
    return guest


def test_containers_are_on_the_wire_without_nat(lab: Lab) -> None:
    """MV1, MV3, FW16, SH: both ways, and each sees the other's own address."""
    lab.serve_internet()
    lab.neighbour.serve("80")
    macvlan(lab.host, "lan", *LAN6, "--gateway", ROUTER6, "-o", "parent=eth0")
    web = serve(lab.host, "web")
    assert web.address("lan") == "192.0.2.64"
    assert "192.0.2.64" in (web.fetch(NEIGHBOUR, 80) or "")
    assert NEIGHBOUR in (lab.neighbour.fetch("192.0.2.64", 80) or "")
    assert "192.0.2.64" in (web.fetch(INTERNET, 80) or "")
    address6 = web.address("lan", version=6)
    assert address6 == "2001:db8::100"
    assert web.ping(NEIGHBOUR6)
    assert NEIGHBOUR6 in (lab.neighbour.fetch(address6, 80) or "")


def test_no_gateway_unless_given(host: Machine) -> None:
    """MV3, NC6: without --gateway there is no default route."""
    host.ny("network", "create", "-d", "macvlan", *LAN, "lan")
    guest = start(host, "box")
    assert "default" not in guest.run("ip", "route").stdout
    assert guest.ping(NEIGHBOUR)


def test_parent_is_that_of_the_default_route(host: Machine) -> None:
    """Without a parent given it is the default route's interface, and is named."""
    done = host.netyard("network", "create", "-d", "macvlan", *LAN, "lan")
    assert "the parent interface of 'lan' is eth0" in done.stderr
    options = json.loads(host.ny("network", "inspect", "lan"))[0]["Options"]
    assert options == {"parent": "eth0"}


def test_names_and_icc_as_on_bridges(host: Machine) -> None:
    """DN1: the embedded server answers for containers of the network, aliases and PTR too."""
    macvlan(host)
    one = start(host, "one", "--network-alias", "first")
    two = start(host, "two")
    assert two.ping("one") and one.ping("two")
    assert two.dig("first") == one.address("lan")
    assert two.dig("-x", one.address("lan")) == "one.lan."


def test_host_is_kept_apart_and_doctor_says_so(host: Machine) -> None:
    """MV4, FW16."""
    macvlan(host)
    guest = start(host, "box")
    assert not host.ping(guest.address("lan"))
    assert not guest.ping(HOST)
    assert "do not reach each other" in host.ny("doctor")


def test_host_access(lab: Lab) -> None:
    """The host and its containers reach each other, and everybody else as before."""
    before = lab.host.interface_state("eth0")
    macvlan(lab.host, "lan", *LAN6, "-o", "host_access=true")
    web = serve(lab.host, "web", "--add-host", "me:host-gateway")
    address, address6 = web.address("lan"), web.address("lan", version=6)
    pool = json.loads(lab.host.ny("network", "inspect", "lan"))[0]["IPAM"]["Config"][0]
    own = pool["AuxiliaryAddresses"]["host"]
    assert own in (lab.host.fetch(address, 80) or "")
    assert lab.host.ping(address6)
    assert web.ping(own) and web.ping(HOST) and web.ping("me")
    assert NEIGHBOUR in (lab.neighbour.fetch(address, 80) or "")
    assert lab.host.ping(NEIGHBOUR)
    # One that comes later, and one that is gone.
    second = start(lab.host, "second")
    assert lab.host.ping(second.address("lan"))
    gone = second.address("lan")
    lab.host.ny("rm", "-f", "second")
    assert gone not in lab.host.out("ip", "route")
    lab.host.ny("network", "disconnect", "lan", "web")
    assert address not in lab.host.out("ip", "route")
    lab.host.ny("rm", "-f", "web")
    lab.host.ny("network", "rm", "lan")
    assert lab.host.interface_state("eth0") == before
    assert not [name for name in lab.host.links() if name.startswith("nh-")]


def test_host_access_with_an_address_of_ones_own(host: Machine) -> None:
    """The host's address can be chosen."""
    macvlan(host, "lan", "-o", "host_access=true", "--aux-address", "host=192.0.2.99")
    guest = start(host, "box")
    assert guest.ping("192.0.2.99")
    assert "192.0.2.99" in host.refused(
        "run", "--network", "lan", "--ip", "192.0.2.99", "true", status=125
    )


def test_private_keeps_containers_apart(lab: Lab) -> None:
    """MV2: no container reaches another, everybody reaches the neighbour."""
    macvlan(lab.host, "lan", "-o", "macvlan_mode=private")
    one, two = start(lab.host, "one"), start(lab.host, "two")
    assert not one.ping(two.address("lan"))
    assert one.ping(NEIGHBOUR) and lab.neighbour.ping(two.address("lan"))


@pytest.mark.parametrize("hairpin", [False, True])
def test_vepa_needs_a_switch_that_turns_frames_round(lab: Lab, hairpin: bool) -> None:
    """MV2: containers reach each other by a switch port in hairpin mode only."""
    state = "on" if hairpin else "off"
    lab.wire.run("bridge", "link", "set", "dev", "host-eth0", "hairpin", state)
    macvlan(lab.host, "lan", "-o", "macvlan_mode=vepa")
    one, two = start(lab.host, "one"), start(lab.host, "two")
    assert one.ping(two.address("lan")) is hairpin
    assert one.ping(NEIGHBOUR) and lab.neighbour.ping(two.address("lan"))


def test_passthru_has_its_parent_to_itself(lab: Lab) -> None:
    """MV2, both ways round: with its MAC address, and nobody beside."""
    lab.plug(lab.host, "192.0.2.11", "2001:db8::11", "eth1")
    before = lab.host.interface_state("eth0")
    flags = ("-d", "macvlan", "--subnet", "192.0.2.0/24", "-o", "parent=eth1")
    passthru = (*flags, "-o", "mode=passthru")
    lab.host.ny("network", "create", *passthru, "--ip-range", "192.0.2.96/29", "one")
    beside = lab.host.refused("network", "create", *flags, "--ip-range", "192.0.2.64/29", "two")
    assert "'one'" in beside and "passthru" in beside
    guest = start(lab.host, "box", network="one")
    assert guest.ping(NEIGHBOUR)
    mac = lab.host.out("cat", "/sys/class/net/eth1/address")
    assert mac in guest.run("ip", "link").stdout
    refused = lab.host.refused(
        "run", "--network", "one", "--mac-address", "02:00:00:00:00:09", "true", status=125
    )
    assert "'eth1'" in refused
    # A second container finds no place.
    assert "'eth1'" in lab.host.refused("run", "--network", "one", "true", status=125)
    lab.host.ny("rm", "-f", "box")
    lab.host.ny("network", "rm", "one")
    lab.host.ny("network", "create", *flags, "--ip-range", "192.0.2.96/29", "one")
    assert "passthru" in lab.host.refused("network", "create", *passthru, "two")
    lab.host.ny("network", "rm", "one")
    assert lab.host.interface_state("eth0") == before


def test_two_networks_on_one_parent(host: Machine) -> None:
    """MV2, IP6, US16: one LAN subnet, ranges apart: legal, and they reach each other."""
    macvlan(host)
    other = ("-d", "macvlan", "--subnet", "192.0.2.0/24")
    overlapping = host.refused("network", "create", *other, "two")
    assert "'lan'" in overlapping and "--ip-range" in overlapping
    host.ny("network", "create", *other, "--ip-range", "192.0.2.96/27", "two")
    one, two = start(host, "one"), start(host, "two", network="two")
    assert one.ping(two.address("two"))
    # Static addresses collide with neither.
    run = ("run", "--network", "two", "--ip")
    assert "'lan'" in host.refused(*run, "192.0.2.70", "true", status=125)
    start(host, "three", "--ip", "192.0.2.140", network="two")
    run = ("run", "--network", "lan", "--ip")
    assert "'three'" in host.refused(*run, "192.0.2.140", "true", status=125)
    taken = host.refused("network", "create", *other, "--ip-range", "192.0.2.136/29", "four")
    assert "192.0.2.140" in taken
    # A bridge has a device on its subnet: never together with another.
    bridge = ("network", "create", "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.192/28", "br")
    assert "overlaps" in host.refused(*bridge)


def test_ports_are_not_published_and_it_says_why(host: Machine) -> None:
    """MV5, PB12: one warning, from run, start, adopt and connect."""
    macvlan(host)
    rules = host.out("nft", "list", "ruleset")
    done = host.netyard(
        "run", "-d", "--name", "web", "--network", "lan", "-p", "80:80", "sleep", "9"
    )
    said = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(said) == 1 and "on the wire itself" in said[0] and "192.0.2.64" in said[0]
    assert host.ny("port", "web") == ""
    assert host.out("nft", "list", "ruleset") == rules
    host.ny("stop", "-t", "0", "web")
    assert "on the wire itself" in host.netyard("start", "web").stderr
    foreground = host.netyard("run", "--network", "lan", "-p", "81:80", "true")
    assert "on the wire itself" in foreground.stderr
    host.run("ip", "netns", "add", "lab")
    adopted = host.netyard(
        "adopt", "--netns", "/run/netns/lab", "--network", "lan", "-p", "82:80", "mine"
    )
    assert "on the wire itself" in adopted.stderr


def test_connect_beside_a_bridge(lab: Lab) -> None:
    """RN8, NO4, PB12: gw-priority decides the default route, and ports follow it."""

    def published() -> str:
        # From beyond the router: neighbours on its wire are answered there.
        asked = lab.internet.run("nc", "-w1", "-s", INTERNET, HOST, "8080", check=False)
        return asked.stdout

    lab.serve_internet()
    lab.host.ny("network", "create", "my-net")
    web = serve(lab.host, "web", "-p", "8080:80", network="my-net")
    assert published()
    macvlan(lab.host)
    lab.host.ny("network", "connect", "--gw-priority", "-1", "lan", "web")
    assert "192.0.2.64" not in (web.fetch(INTERNET, 80) or "")
    assert published()
    assert lab.neighbour.fetch("192.0.2.64", 80)
    lab.host.ny("network", "disconnect", "lan", "web")
    assert not lab.neighbour.ping("192.0.2.64")
    moved = lab.host.netyard("network", "connect", "--gw-priority", "10", "lan", "web")
    assert "on the wire itself" in moved.stderr
    assert "192.0.2.64" in (web.fetch(INTERNET, 80) or "")
    assert not published()
    lab.host.ny("network", "disconnect", "lan", "web")
    assert HOST in (web.fetch(INTERNET, 80) or "")
    assert published()


def test_ports_of_a_routed_network_beside(lab: Lab) -> None:
    """PB12, US1: a routed network opens its ports whoever carries the default route."""
    lab.host.ny(
        "network", "create", "-o", "gateway_mode=routed", "--subnet", "10.7.0.0/24", "plain"
    )
    macvlan(lab.host)
    serve(lab.host, "web", network="plain")
    lab.host.ny("network", "connect", "--gw-priority", "1", "lan", "web")
    lab.internet.run("ip", "route", "add", "10.7.0.0/24", "via", HOST)
    assert lab.internet.ask_udp("10.7.0.2", 80) is None
    lab.host.ny("port", "add", "web", "80/udp")
    assert lab.internet.ask_udp("10.7.0.2", 80)


def test_addresses_are_announced(lab: Lab) -> None:
    """NC18, IP8: the neighbour that knew the address elsewhere is right at once."""
    macvlan(lab.host, "lan", *LAN6)
    for round_number in range(3):
        name = f"box{round_number}"
        start(lab.host, name, "--ip", "192.0.2.70", "--ip6", "2001:db8::170")
        lost = lab.neighbour.run("ping", "-c2", "-i0.2", "-W1", "192.0.2.70")
        assert " 0% packet loss" in lost.stdout
        lab.neighbour.run("ping", "-c2", "-i0.2", "-W1", "2001:db8::170")
        lab.host.ny("rm", "-f", name)


def test_announcements_are_on_the_wire(lab: Lab) -> None:
    """NC18: gratuitous ARP and an unsolicited advertisement (RFC 5227, RFC 4861 7.2.6)."""
    macvlan(lab.host, "lan", *LAN6)
    seen = lab.neighbour.capture("eth0", "arp or icmp6")
    guest = start(lab.host, "box")
    address, address6 = guest.address("lan"), guest.address("lan", version=6)
    wait_for(lambda: f"who-has {address} tell {address}" in seen())
    wait_for(lambda: f"neighbor advertisement, tgt is {address6}" in seen())
    lab.host.ny(
        *("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet", "10.9.0.0/24"),
        *("-o", "com.docker.network.advertise_addr_nmsgs=0", "quiet"),
    )
    silent = start(lab.host, "silent", network="quiet").address("quiet")
    start(lab.host, "loud")
    wait_for(lambda: "tell 192.0.2.65" in seen())
    assert f"who-has {silent}" not in seen()


def test_adopted_namespace_and_stop_start(lab: Lab) -> None:
    """Adopted namespaces and restarts: given back, found again."""
    macvlan(lab.host)
    lab.host.run("ip", "netns", "add", "lab")
    lab.host.ny("adopt", "--netns", "/run/netns/lab", "--network", "lan", "mine")
    assert lab.neighbour.ping("192.0.2.64")
    lab.host.ny("abandon", "mine")
    assert "eth0" not in lab.host.out("ip", "-n", "lab", "link")
    assert not lab.neighbour.ping("192.0.2.64")
    start(lab.host, "box")
    lab.host.ny("stop", "-t", "0", "box")
    assert not lab.neighbour.ping("192.0.2.64")
    lab.host.ny("start", "box")
    assert lab.neighbour.ping("192.0.2.64")


def test_everything_is_removed_afterwards(host: Machine) -> None:
    """The parent is as it was, and nothing else is left."""
    host.ny("network", "ls")
    before, parent = host.snapshot(), host.interface_state("eth0")
    macvlan(host)
    for name in ("one", "two"):
        start(host, name)
    host.ny("rm", "-f", "one", "two")
    host.ny("network", "rm", "lan")
    assert (host.snapshot(), host.interface_state("eth0")) == (before, parent)


def test_three_hundred_containers_on_one_parent(lab: Lab) -> None:
    """All reachable from the wire, all gone again."""
    subnet = ("--subnet", "10.20.0.0/16", "-o", "parent=eth0", "--gateway", "10.20.0.1")
    lab.host.ny("network", "create", "-d", "macvlan", *subnet, "wide")
    lab.neighbour.run("ip", "addr", "add", "10.20.0.1/16", "dev", "eth0")
    parent = lab.host.interface_state("eth0")
    lab.host.python(
        "import subprocess\n"
        "from netyard import Container\n"
        "for n in range(300):\n"
        "    subprocess.run(['ip', 'netns', 'add', f'n{n}'], check=True)\n"
        "    Container.adopt(f'box{n}', netns=f'/run/netns/n{n}', network='wide')\n",
        timeout=110,
    )
    alive = lab.neighbour.python(
        "import subprocess\n"
        "pings = [subprocess.Popen(['ping', '-c1', '-W3', f'10.20.{n >> 8}.{n & 255}'],\n"
        "                          stdout=subprocess.DEVNULL) for n in range(2, 302)]\n"
        "print(sum(ping.wait() == 0 for ping in pings))"
    )
    assert alive == "300"
    lab.host.python(
        "from netyard import Container\nfor each in Container.list(): each.abandon()\n",
        timeout=110,
    )
    assert lab.host.interface_state("eth0") == parent
    lab.host.ny("network", "rm", "wide")


def test_bad_input_leaves_nothing(lab: Lab) -> None:
    """MV1, MV2, NC18, CV3: one sentence each, nothing made."""
    host = lab.host
    host.run(*"ip link add mv0 link eth0 type macvlan".split())
    host.run(*"ip link add br9 type bridge".split())
    host.run(*"ip link add veth8 type veth peer name veth9".split())
    host.run(*"ip link set veth8 master br9".split())
    host.ny("network", "ls")
    before = host.snapshot()

    def refused(*flags: str, driver: str = "macvlan") -> str:
        subnet = ("--subnet", "10.30.0.0/24")
        return host.refused("network", "create", "-d", driver, *subnet, *flags, "bad")

    assert "no interface 'eth9'" in refused("-o", "parent=eth9")
    assert "'lo'" in refused("-o", "parent=lo")
    assert "itself a macvlan" in refused("-o", "parent=mv0")
    assert "port of 'br9'" in refused("-o", "parent=veth8")
    for wrong in ("eth0.0", "eth0.4095", "eth0.x"):
        assert "VLAN id from 1 to 4094" in refused("-o", f"parent={wrong}")
    assert "one dot" in refused("-o", "parent=eth0.5.6")
    assert "'eth7'" in refused("-o", "parent=eth7.50")
    assert "macvlan mode" in refused("-o", "macvlan_mode=both")
    assert "more than the 1500" in refused("-o", "mtu=9000")
    assert "1280" in refused("-o", "mtu=900", "--subnet", "fd00:1::/64")
    assert "no option of this driver" in refused("-o", "icc=true")
    assert "private" in refused("-o", "mode=private", "-o", "host_access=true")
    assert "is in no subnet" in refused("--gateway", "10.99.0.1")
    assert host.snapshot() == before


def test_kernel_without_a_driver(host: Machine) -> None:
    """A driver this kernel lacks is refused by its module's name (asks the kernel itself)."""
    host.ny("network", "ls")
    before = host.snapshot()
    subnet = ("--subnet", "10.30.0.0/24")
    missing = [
        (kind, flags)
        for kind, module, flags in (
            ("ipvlan", "ipvlan", ("-d", "ipvlan")),
            ("vlan", "8021q", ("-d", "macvlan", "-o", "parent=eth0.50")),
            ("dummy", "dummy", ("-d", "macvlan", "--internal")),
        )
        if host.run("ip", "link", "add", "x", "link", "eth0", "type", kind, check=False).stderr
        and f"'{module}'" in host.refused("network", "create", *flags, *subnet, "bad")
    ]
    assert host.snapshot() == before
    assert [kind for kind, _ in missing] == ["ipvlan", "vlan", "dummy"]


def test_parent_that_is_down(lab: Lab) -> None:
    """As on any host whose cable is out: said so, and all is well once it is up."""
    host = lab.host
    macvlan(host, "lan", "-o", "parent=eth0")
    host.run("ip", "link", "set", "eth0", "down")
    other = ("network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet", "10.9.0.0/24")
    assert "is down" in host.netyard(*other, "other").stderr
    assert "is down" in host.ny("doctor")
    start(host, "box")
    assert not lab.neighbour.ping("192.0.2.64")
    host.run("ip", "link", "set", "eth0", "up")
    wait_for(lambda: lab.neighbour.ping("192.0.2.64"))


def test_settings_kept_and_taken(host: Machine) -> None:
    """NC16, NC17: settings of any driver are kept; defaults of a driver count for its networks."""
    host.ny("network", "create", "--config-only", *LAN, "-o", "parent=eth0", "kept")
    host.ny("network", "create", "-d", "macvlan", "--config-from", "kept", "lan")
    network = json.loads(host.ny("network", "inspect", "lan"))[0]
    assert network["Options"] == {"parent": "eth0"}
    assert start(host, "box").address("lan") == "192.0.2.64"
    assert "'parent' is no option" in host.refused(
        "network", "create", "--config-from", "kept", "br"
    )
    host.ny("config", "set", "default-network-opts", '{"macvlan": {"mode": "vepa", "mtu": "1400"}}')
    host.ny("network", "create", "-d", "macvlan", "--subnet", "10.9.0.0/24", "other")
    network = json.loads(host.ny("network", "inspect", "other"))[0]
    assert network["Options"]["macvlan_mode"] == "vepa"
    assert "mtu 1400" in start(host, "second", network="other").run("ip", "link").stdout
    refused = host.refused("config", "set", "default-network-opts", '{"macvlan": {"mode": "x"}}')
    assert "macvlan mode" in refused


def test_network_without_addresses(host: Machine) -> None:
    """NC15: ``--ipam-driver null`` makes an interface on the wire and nothing more."""
    host.ny("network", "create", "-d", "macvlan", "--ipam-driver", "null", "bare")
    guest = start(host, "box", "--cap-add", "NET_ADMIN", network="bare")
    assert "inet " not in guest.run("ip", "addr", "show", "eth0").stdout
    guest.run("ip", "addr", "add", "192.0.2.77/24", "dev", "eth0")
    assert guest.ping(NEIGHBOUR)


def test_reload_makes_lost_interfaces_again(lab: Lab) -> None:
    """A deleted child and a lost route of the host come back."""
    macvlan(lab.host, "lan", "-o", "host_access=true")
    guest = start(lab.host, "box", "--cap-add", "NET_ADMIN")
    address = guest.address("lan")
    guest.run("ip", "link", "del", "eth0")
    lab.host.run("ip", "route", "del", address)
    assert not lab.neighbour.ping(address)
    lab.host.ny("reload")
    assert lab.neighbour.ping(address) and lab.host.ping(address)
    assert guest.ping(ROUTER)


def test_several_subnets_and_gateways(host: Machine) -> None:
    """Each container routes by the gateway of its own subnet."""
    subnets = ("--subnet", "192.0.2.0/30", "--subnet", "192.0.2.64/26")
    gateways = ("--gateway", ROUTER, "--gateway", "192.0.2.126")
    host.ny("network", "create", "-d", "macvlan", *subnets, *gateways, "lan")
    first = start(host, "first", "--ip", "192.0.2.2")
    second = start(host, "second", "--ip", "192.0.2.100")
    assert f"default via {ROUTER}" in first.run("ip", "route").stdout
    assert "default via 192.0.2.126" in second.run("ip", "route").stdout
