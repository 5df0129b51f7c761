"""Encrypted overlay networks: what goes between the hosts is WireGuard's, and nothing else comes in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

import cluster
import firewalls
from cluster import Cluster, run
from lab import SERVER, Guest, Machine, wait_for

# A frame for a container, in VXLAN as anybody on the wire can make it.
_FORGE = """
import socket, struct, sys
host, vni, mac, count = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]), int(sys.argv[4])
inner = mac + b"\\x02\\0\\0\\0\\0\\x99" + b"\\x88\\xb5" + bytes(60)
packet = struct.pack("!II", 0x08000000, vni << 8) + inner
info = socket.getaddrinfo(host, 4789, 0, socket.SOCK_DGRAM)[0]
s = socket.socket(info[0], socket.SOCK_DGRAM)
for _ in range(count):
    s.sendto(packet, info[4])
"""
# Says a line every 20 ms for as long as it is heard.
_TALK = """
import socket, time
s = socket.create_server(("", 90))
c, _ = s.accept()
number = 0
while True:
    number += 1
    c.sendall(b"%d\\n" % number)
    time.sleep(0.02)
"""


@pytest.fixture
def pair() -> Iterator[Cluster]:
    """Two hosts that have joined, with an encrypted network."""
    with cluster.opened(2) as found:
        found.join()
        found.hosts[0].ny("network", "create", "-d", "overlay", "--opt", "encrypted", "net")
        yield found


def received(machine: Machine, name: str) -> int:
    """How many packets a container has received."""
    shown = machine.ny("exec", name, "ip", "-s", "-j", "link", "show", "eth0")
    return int(json.loads(shown)[0]["stats64"]["rx"]["packets"])


def mac_of(machine: Machine, name: str, network: str) -> str:
    """A container's MAC address on a network, in digits."""
    found = json.loads(machine.ny("inspect", name))[0]["NetworkSettings"]["Networks"]
    return str(found[network]["MacAddress"]).replace(":", "")


def public_keys(pair: Cluster) -> list[str]:
    """The keys etcd has, by host."""
    listed = pair.etcdctl("get", "/netyard/v1/hosts/", "--prefix", "--print-value-only").stdout
    hosts = [json.loads(line) for line in listed.splitlines() if line]
    return [each["public_key"] for each in sorted(hosts, key=lambda each: str(each["name"]))]


def test_only_ciphertext_on_the_wire(pair: Cluster) -> None:
    """OV4, OV5, SH5: containers reach one another; the wire sees WireGuard and no word of it."""
    alpha, beta = pair.hosts
    before = alpha.links()
    seen = pair.router.capture("alpha", "udp or icmp")
    alpha.ny("run", "-d", "--name", "web", "--network", "net", sys.executable, "-S", SERVER, "80")
    web, client = Guest(alpha, "web"), run(beta, "client", "net")
    wait_for(lambda: client.ping("web"))
    assert client.fetch("web", 80), "no TCP"
    assert web.ping("client")
    assert client.run("ping", "-c1", "-W5", "-M", "do", "-s", str(1370 - 28), "web")
    wire = seen()
    assert ".51821 > " in wire
    assert "VXLAN" not in wire and ".4789" not in wire
    private = alpha.out("base64", "-w0", "/var/lib/netyard/wireguard.key")
    shared = pair.etcdctl("get", "/", "--prefix").stdout
    assert "public_key" in shared
    assert private not in shared
    assert (
        alpha.out("od", "-An", "-tx1", "/var/lib/netyard/wireguard.key")
        .replace(" ", "")
        .replace("\n", "")
        not in shared
    )
    for machine in pair.hosts:
        machine.ny("rm", "-f", *machine.ny("ps", "-aq").split())
    alpha.ny("network", "rm", "net")
    for machine in pair.hosts:
        wait_for(lambda machine=machine: machine.links() == before, what=machine.name)  # type: ignore[misc]


def test_forged_frames_and_a_lost_tunnel(pair: Cluster) -> None:
    """SH4 to SH6: plain VXLAN does not get in, with or without a tunnel; without one nothing gets out."""
    alpha, beta = pair.hosts
    alpha.ny("network", "create", "-d", "overlay", "plain")
    for network in ("net", "plain"):
        run(alpha, f"in-{network}", network)
    client = run(beta, "client", "net")
    wait_for(lambda: client.ping("in-net"))
    vni = {
        name: str(json.loads(alpha.ny("network", "inspect", name))[0]["Vni"])
        for name in ("net", "plain")
    }

    def gets_in(network: str, host: str) -> bool:
        before = received(alpha, f"in-{network}")
        mac = mac_of(alpha, f"in-{network}", network)
        pair.etcd.run(sys.executable, "-S", "-c", _FORGE, host, vni[network], mac, "50")
        return received(alpha, f"in-{network}") - before >= 50

    assert gets_in("plain", "10.99.1.2"), "the forgery is no good"
    assert not gets_in("net", "10.99.1.2")
    assert not gets_in("net", "2001:db8:99:1::2")
    seen = pair.router.capture("alpha", "udp")
    alpha.run("ip", "link", "del", "netyard-wg")
    assert not Guest(alpha, "in-net").ping(client.address("net"))
    assert not gets_in("net", "10.99.1.2") and not gets_in("net", "2001:db8:99:1::2")
    assert "VXLAN" not in [
        line for line in seen().splitlines() if "10.99.1.2." in line.split(">")[0]
    ]
    alpha.ny("reload")
    wait_for(lambda: client.ping("in-net"), what="not restored")


def test_a_new_key_and_no_connection_lost(pair: Cluster) -> None:
    """Both hosts change keys while a connection is open: what is said arrives, in order."""
    alpha, beta = pair.hosts
    alpha.ny("run", "-d", "--name", "web", "--network", "net", sys.executable, "-S", "-c", _TALK)
    client = run(beta, "client", "net")
    wait_for(lambda: client.ping("web"))
    heard = beta.popen(
        *(sys.executable, "-m", "netyard", "exec", "client", "sh", "-c", "nc web 90 > /run/heard")
    )

    def last() -> int:
        lines = client.run("cat", "/run/heard", check=False).stdout.split()
        assert [int(line) for line in lines[:-1]] == list(range(1, len(lines)))
        return len(lines)

    wait_for(lambda: last() > 10)
    keys = [public_keys(pair)]
    for machine in (*pair.hosts, *pair.hosts):
        machine.ny("host", "rotate-key")
        keys.append(public_keys(pair))
        before = last()
        wait_for(lambda before=before: last() > before + 20, what="silent after a new key")  # type: ignore[misc]
    assert heard.poll() is None, "the connection was lost"
    assert len({key for some in keys for key in some}) == 6
    # A new agent goes on with the last key.
    alpha.kill_agent()
    alpha.ny("ps")
    wait_for(lambda: client.ping("web"))
    assert public_keys(pair) == keys[-1]


def test_firewalls_of_the_hosts(pair: Cluster) -> None:
    """FW30, FW31: ufw and firewalld let the tunnel in, after they reload as well, and while it is."""
    alpha, beta = pair.hosts
    firewalls.enable_ufw(alpha)
    firewalls.start_firewalld(beta)
    web, client = run(alpha, "web", "net"), run(beta, "client", "net")
    wait_for(lambda: client.ping("web"))
    assert web.ping("client")
    assert "accepts the tunnel" in alpha.ny("doctor")
    assert "firewalld accepts the tunnel" in beta.ny("doctor")
    alpha.run("ufw", "reload")
    firewalls.reload_firewalld(beta)
    for machine in pair.hosts:
        # The others' keys do not make up for a closed firewall: a new session is needed.
        machine.ny("host", "rotate-key")
    wait_for(lambda: client.ping("web") and web.ping("client"), what="after a reload")
    for machine in pair.hosts:
        machine.ny("rm", "-f", *machine.ny("ps", "-aq").split())
    alpha.ny("network", "rm", "net")
    wait_for(lambda: "51821" not in alpha.out("iptables", "-S", "INPUT"))
    wait_for(lambda: not beta.out("firewall-cmd", "--list-ports"))
    assert not beta.out("firewall-cmd", "--zone=trusted", "--list-interfaces")
