"""Several networks: apart unless joined; connect and disconnect while running; internal ones."""

from __future__ import annotations

import json
import sys

import pytest

from lab import HOST, INTERNET, SERVER, Guest, Lab, Machine, wait_for


@pytest.fixture
def two(lab: Lab, either_bridge_mode: None) -> tuple[Guest, Guest]:
    """A server on ``red``, a client on ``blue``; both networks dual-stack."""
    lab.serve_internet()
    for name in ("red", "blue"):
        lab.host.ny("network", "create", "--ipv6", name)
    lab.host.ny(*"run -d --name web --network red".split(), sys.executable, "-S", SERVER, "80")
    lab.host.ny(*"run -d --name client --network blue sleep 600".split())
    web, client = Guest(lab.host, "web"), Guest(lab.host, "client")
    wait_for(lambda: lab.host.fetch(web.address("red"), 80))
    return web, client


def _reaches(client: Guest, address: str) -> list[bool]:
    return [
        bool(client.fetch(address, 80)),
        bool(client.ask_udp(address, 80)),
        client.ping(address),
    ]


def test_networks_are_apart(lab: Lab, two: tuple[Guest, Guest]) -> None:
    """FW2 column O, SH3, DN6: no packet and no name crosses, whatever the address."""
    web, client = two
    for version in (4, 6):
        assert _reaches(client, web.address("red", version=version)) == [False] * 3
    assert client.dig("web") == ""
    assert client.dig("web.red") == ""
    # Neither by way of the other bridge's gateway address.
    client_route = client.run("ip", "route", "add", "10.0.0.0/8", "via", "10.0.0.1", check=False)
    assert client_route.returncode != 0
    gateway = json.loads(lab.host.ny("network", "inspect", "red"))[0]["IPAM"]["Config"][0][
        "Gateway"
    ]
    assert client.fetch(gateway, 80) is None
    # Frames for the other network straight to our own bridge, as root in the namespace could send.
    pid = json.loads(lab.host.ny("inspect", "client"))[0]["State"]["Pid"]
    inside = ("nsenter", "-t", str(pid), "-n", "--")
    lab.host.run(
        *inside,
        "ip",
        "route",
        "add",
        web.address("red"),
        "dev",
        "eth0",
        "via",
        lab.host.out(*inside, "sh", "-c", "ip route | awk '/default/{print $3}'"),
    )
    assert client.fetch(web.address("red"), 80) is None


def test_connect_and_disconnect_while_running(lab: Lab, two: tuple[Guest, Guest]) -> None:
    """NO1, ND1, EH3: no restart; address, name, alias and hosts line come and go together."""
    web, client = two
    lab.host.ny("network", "connect", "--alias", "guest", "red", "client")
    for version in (4, 6):
        assert _reaches(client, web.address("red", version=version)) == [True] * 3
    assert client.dig("web") == web.address("red")
    assert client.dig("web.red") == web.address("red")
    assert web.dig("guest") == client.address("red")
    assert client.run("cat", "/etc/hosts").stdout.count(client.address("red")) == 1
    assert client.fetch(INTERNET, 80) == f"hello {HOST}"
    lab.host.ny("network", "disconnect", "red", "client")
    assert _reaches(client, web.address("red")) == [False] * 3
    assert client.dig("web") == ""
    assert web.dig("guest") == ""
    assert client.fetch(INTERNET, 80) == f"hello {HOST}"
    links = json.loads(client.run("ip", "-j", "link").stdout)
    assert {link["ifname"] for link in links} == {"lo", "eth0"}
    assert "eth1" not in client.run("cat", "/etc/hosts").stdout
    assert "not on network" in lab.host.refused("network", "disconnect", "red", "client")


def test_last_disconnect_leaves_loopback_only(lab: Lab, two: tuple[Guest, Guest]) -> None:
    """ND1."""
    _, client = two
    lab.host.ny("network", "disconnect", "blue", "client")
    links = json.loads(client.run("ip", "-j", "link").stdout)
    assert [link["ifname"] for link in links] == ["lo"]
    lab.host.ny("network", "connect", "blue", "client")
    assert client.fetch(INTERNET, 80) == f"hello {HOST}"


def test_first_user_network_brings_the_name_server(host: Machine) -> None:
    """NO4: resolv.conf of a running container follows, unless the user changed it."""
    host.ny("network", "create", "net")
    for name in ("plain", "edited"):
        host.ny("run", "-d", "--name", name, "sleep", "600")
    Guest(host, "edited").run("sh", "-c", "echo nameserver 192.0.2.99 > /etc/resolv.conf")
    for name in ("plain", "edited"):
        host.ny("network", "connect", "net", name)
    assert "127.0.0.11" in Guest(host, "plain").run("cat", "/etc/resolv.conf").stdout
    assert Guest(host, "edited").run("cat", "/etc/resolv.conf").stdout == "nameserver 192.0.2.99\n"
    host.ny("network", "disconnect", "net", "plain")
    assert "127.0.0.11" not in Guest(host, "plain").run("cat", "/etc/resolv.conf").stdout


def test_published_ports_move_with_the_default_route(lab: Lab, two: tuple[Guest, Guest]) -> None:
    """RN8, PB12: they live on the endpoint that carries the default route."""
    lab.host.ny(
        *"run -d --name pub --network red -p 8080:80".split(), sys.executable, "-S", SERVER, "80"
    )
    wait_for(lambda: lab.neighbour.fetch(HOST, 8080))
    lab.host.ny("network", "connect", "blue", "pub")  # "blue" sorts before "red"
    pub = Guest(lab.host, "pub")
    assert pub.address("blue") in lab.host.out(
        "nft", "list", "map", "inet", "netyard", "published4"
    )
    assert lab.neighbour.fetch(HOST, 8080)
    lab.host.ny("network", "disconnect", "blue", "pub")
    assert lab.neighbour.fetch(HOST, 8080)
    assert pub.address("red") in lab.host.out("nft", "list", "map", "inet", "netyard", "published4")


def test_connect_a_stopped_container(host: Machine) -> None:
    """NO1, NX1: remembered and applied at start; addresses and names stay over a stop."""
    for name in ("one", "two"):
        host.ny("network", "create", name)
    host.ny("run", "-d", "--name", "box", "--network", "one", "sleep", "600")
    address = Guest(host, "box").address("one")
    host.ny("stop", "-t", "0", "box")
    host.ny("run", "-d", "--name", "thief", "--network", "one", "sleep", "600")
    assert Guest(host, "thief").address("one") != address
    host.ny("network", "connect", "--alias", "late", "two", "box")
    assert "already" in host.refused("network", "connect", "two", "box")
    host.ny("start", "box")
    assert Guest(host, "box").address("one") == address
    assert Guest(host, "thief").dig("box") == address
    links = json.loads(Guest(host, "box").run("ip", "-j", "link").stdout)
    assert [link["ifname"] for link in links] == ["lo", "eth0", "eth1"]


def test_internal_network(lab: Lab, either_bridge_mode: None) -> None:
    """NC9, FW6, DN21, SH1: nothing in or out, no question to the host's server; the host may."""
    lab.serve_internet()
    lab.host.ny("network", "create", "--internal", "--ipv6", "inside")
    lab.host.ny("network", "create", "--ipv6", "outside")
    lab.host.ny(
        *"run -d --name web --network inside -p 8080:80".split(), sys.executable, "-S", SERVER, "80"
    )
    for network in ("inside", "outside"):
        lab.host.ny("run", "-d", "--name", f"on-{network}", "--network", network, "sleep", "600")
    web, peer, other = (Guest(lab.host, name) for name in ("web", "on-inside", "on-outside"))
    own = web.address("inside")
    wait_for(lambda: lab.host.fetch(own, 80))
    assert peer.fetch("web", 80)
    assert other.fetch(own, 80) is None
    assert peer.fetch(other.address("outside"), 80) is None
    assert not peer.ping(INTERNET)
    assert peer.run("ip", "route").stdout.count("default") == 0
    assert peer.ping(own.rpartition(".")[0] + ".1"), "its gateway address answers"
    assert lab.neighbour.fetch(HOST, 8080) is None
    assert (
        peer.run("dig", "secret.example.test", "+time=2", check=False).stdout.count("SERVFAIL") == 1
    )
    assert "secret.example.test" not in lab.asked_outside()
    # Even with a route of its own making.
    pid = json.loads(lab.host.ny("inspect", "on-inside"))[0]["State"]["Pid"]
    gateway = own.rpartition(".")[0] + ".1"
    lab.host.run(*f"nsenter -t {pid} -n ip route add default via {gateway}".split())
    assert not peer.ping(INTERNET)


def test_icc_off(lab: Lab, either_bridge_mode: None) -> None:
    """BO2, FW7: no direct way between containers, L2 included; the host and outside go on."""
    lab.serve_internet()
    lab.host.ny("network", "create", "-o", "icc=false", "apart")
    lab.host.ny(*"run -d --name web --network apart".split(), sys.executable, "-S", SERVER, "80")
    lab.host.ny(*"run -d --name peer --network apart sleep 600".split())
    web, peer = Guest(lab.host, "web"), Guest(lab.host, "peer")
    wait_for(lambda: lab.host.fetch(web.address("apart"), 80))
    assert _reaches(peer, web.address("apart")) == [False] * 3
    assert peer.fetch(INTERNET, 80)


def test_masquerade_off_keeps_the_address(lab: Lab, host: Machine) -> None:
    """BO3, FW17: with a route back the outside sees the container itself."""
    lab.serve_internet()
    host.ny("network", "create", "-o", "masquerade=false", "--subnet", "10.88.0.0/24", "plain")
    lab.internet.run("ip", "route", "add", "10.88.0.0/24", "via", HOST)
    host.ny("run", "-d", "--name", "box", "--network", "plain", "sleep", "600")
    assert Guest(host, "box").fetch(INTERNET, 80) == "hello 10.88.0.2"
    assert not lab.internet.ping("10.88.0.2"), "but cannot begin"


def test_spoofed_source_is_dropped(lab: Lab, either_bridge_mode: None) -> None:
    """FW15: a container sends from its own network's addresses only."""
    lab.serve_internet()
    host = lab.host
    host.ny("network", "create", "net", "--subnet", "10.91.0.0/24")
    host.ny(
        "run", "-d", "--name", "liar", "--network", "net", "--cap-add", "NET_ADMIN", "sleep", "600"
    )
    liar = Guest(host, "liar")
    assert liar.ping(INTERNET)
    liar.run("ip", "addr", "add", "198.51.100.9/32", "dev", "eth0")
    done = liar.run("ping", "-c1", "-W1", "-I", "198.51.100.9", INTERNET, check=False)
    assert done.returncode != 0
    lab.internet.popen("sh", "-c", "tcpdump -U -n -i any -w /run/seen.pcap icmp")
    wait_for(lambda: lab.internet.run("test", "-s", "/run/seen.pcap", check=False).returncode == 0)
    liar.run("ping", "-c2", "-W1", "-I", "198.51.100.9", INTERNET, check=False)
    liar.ping(INTERNET)
    wait_for(lambda: HOST in lab.internet.out("tcpdump", "-n", "-r", "/run/seen.pcap"))
    assert "198.51.100.9" not in lab.internet.out("tcpdump", "-n", "-r", "/run/seen.pcap")


def test_router_advertisement_of_a_container_is_ignored(host: Machine) -> None:
    """SH8: neither host nor peers take a container for a router."""
    host.ny("network", "create", "--ipv6", "six")
    host.ny("run", "-d", "--name", "peer", "--network", "six", "sleep", "600")
    host.ny("run", "-d", "--name", "rogue", "--network", "six", "sleep", "600")
    before = host.out("ip", "-6", "route"), Guest(host, "peer").run("ip", "-6", "route").stdout
    code = (
        "import socket,struct\n"
        "s=socket.socket(socket.AF_INET6,socket.SOCK_RAW,socket.IPPROTO_ICMPV6)\n"
        "s.setsockopt(41,socket.IPV6_MULTICAST_HOPS,255)\n"
        "i=socket.if_nametoindex('eth0')\n"
        "prefix=struct.pack('!BBBBIII',3,4,64,0xc0,9999,9999,0)+socket.inet_pton(10,'2001:db8:bad::')\n"
        "s.sendto(struct.pack('!BBHBBHII',134,0,0,64,0,1800,0,0)+prefix,('ff02::1',0,0,i))\n"
    )
    Guest(host, "rogue").run(sys.executable, "-S", "-c", code)
    import time

    time.sleep(0.5)  # nothing to wait for: nothing may happen
    after = host.out("ip", "-6", "route"), Guest(host, "peer").run("ip", "-6", "route").stdout
    assert "2001:db8:bad" not in "".join(after)
    assert after == before


def test_a_bridge_without_a_free_port(host: Machine) -> None:
    """The kernel gives it 1023: the next container is refused in words, and nothing of it stays."""
    host.ny("network", "create", "net")
    bridge = json.loads(host.ny("network", "inspect", "net"))[0]["Id"][:12]
    name = next(each for each in host.links() if each.endswith(bridge))
    pairs = "".join(
        f"link add a{n} master {name} type veth peer name b{n}\nlink set b{n} master {name}\n"
        for n in range(511)
    )
    host.run("ip", "-batch", "-", input=pairs)
    host.ny(*"run -d --name last --network net sleep 600".split())
    before = host.snapshot()
    complaint = host.refused(*"run -d --network net sleep 600".split(), status=125)
    assert "netyard: network 'net' is full: a bridge takes 1023 ports" in complaint
    assert host.snapshot() == before
    host.ny("rm", "-f", "last")
    host.ny(*"run -d --name next --network net sleep 600".split())
