"""Containers that send in others' names: what reaches whom, with ``spoof_check`` and without."""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

import pytest

import frames
from lab import HOST, INTERNET, SERVER, Guest, Lab, Machine, wait_for

# Everything an interface sees for some seconds.
SNIFF = """
import json, socket, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
tap.bind(("eth0", 0))
tap.settimeout(0.2)
print("ready", flush=True)
seen, deadline = [], time.monotonic() + 4
while time.monotonic() < deadline:
    try:
        frame, (_, _, kind, *_) = tap.recvfrom(2000)
    except TimeoutError:
        continue
    if kind != 4:
        seen.append(frame.hex())
print(json.dumps(seen))
"""
SEND = """
import json, socket, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
for _ in range(2):
    for frame in json.loads(sys.argv[1]):
        out.send(bytes.fromhex(frame))
    time.sleep(0.2)
"""
CAPABILITIES = ("--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW")


class Party(NamedTuple):
    """A container and who it is."""

    guest: Guest
    mac: str
    ip: str
    ip6: str

    @classmethod
    def start(cls, host: Machine, name: str, *flags: str) -> Party:
        host.ny("run", "-d", "--name", name, "--network", "net", *CAPABILITIES, *flags)
        guest = Guest(host, name)
        link = json.loads(guest.run("ip", "-j", "link", "show", "eth0").stdout)[0]
        return cls(guest, link["address"], guest.address("net"), guest.address("net", version=6))


def _parties(host: Machine, *options: str) -> tuple[Party, Party, Party]:
    host.ny("network", "create", "--ipv6", *options, "net")
    web = (sys.executable, "-S", SERVER, "80")
    victim = Party.start(host, "victim", "-p", "8080:80", *web)
    return (
        victim,
        Party.start(host, "peer", "sleep", "600"),
        Party.start(host, "evil", "sleep", "600"),
    )


def _lies(victim: Party, peer: Party, evil: Party) -> dict[str, bytes]:
    """What the evil one sends, by what is wrong with it."""
    shown = evil.guest.run("ip", "-6", "-o", "addr", "show", "eth0", "scope", "link").stdout
    own = shown.split()[3].partition("/")[0]
    return {
        "MAC": frames.udp(victim.mac, peer.mac, evil.ip, peer.ip, b"mac"),
        "IPv4": frames.udp(evil.mac, peer.mac, victim.ip, peer.ip, b"ip"),
        "foreign IPv4": frames.udp(evil.mac, peer.mac, "198.51.100.7", peer.ip, b"far"),
        "IPv6": frames.udp(evil.mac, peer.mac, victim.ip6, peer.ip6, b"ip6"),
        "ARP": frames.arp(evil.mac, peer.mac, evil.mac, victim.ip, peer.ip),
        "ARP sender": frames.arp(evil.mac, peer.mac, victim.mac, evil.ip, peer.ip),
        "advertisement": frames.neighbour_advertisement(evil.mac, own, victim.ip6),
        "router": frames.router_advertisement(evil.mac, own),
        "spanning tree": frames.spanning_tree(evil.mac),
        "VLAN": frames.tagged(evil.mac, peer.mac),
    }


def _received(peer: Party, evil: Party, sent: dict[str, bytes]) -> set[str]:
    """What of it has reached the peer."""
    host = peer.guest.machine
    sniffer = host.popen(
        *(sys.executable, "-m", "netyard", "exec", "peer", sys.executable, "-S", "-c", SNIFF),
        stdout=-1,
    )
    assert sniffer.stdout is not None and sniffer.stdout.readline() == b"ready\n"
    wire = json.dumps([frame.hex() for frame in sent.values()])
    evil.guest.run(sys.executable, "-S", "-c", SEND, wire)
    shown, _ = sniffer.communicate()
    # A tag is taken off and told beside the frame; the rest may be padded.
    seen = json.loads(shown)
    plain = {name: frame.hex() for name, frame in sent.items()}
    plain["VLAN"] = (sent["VLAN"][:12] + sent["VLAN"][16:]).hex() if "VLAN" in sent else "-"
    return {name for name, frame in plain.items() if any(each.startswith(frame) for each in seen)}


def _neighbours(party: Party) -> dict[str, str]:
    shown = json.loads(party.guest.run("ip", "-j", "neigh").stdout)
    return {each["dst"]: each.get("lladdr", "") for each in shown}


def test_without_the_check(host: Machine) -> None:
    """SH26: as with Docker, peers of a bridge can be lied to; the way through the host is checked."""
    victim, peer, evil = _parties(host)
    lies = _lies(victim, peer, evil)
    # Where br_netfilter shows bridged frames to the inet table, sources from elsewhere are dropped.
    assert _received(peer, evil, lies) >= set(lies) - {"spanning tree", "foreign IPv4"}
    # SH8: nobody believes in the router, neither peers nor the host.
    for routes in (peer.guest.run("ip", "-6", "route").stdout, host.out("ip", "-6", "route")):
        assert "2001:db8:bad" not in routes
        assert evil.guest.address("net", version=6) not in routes


@pytest.mark.parametrize("icc", ["true", "false"])
def test_with_the_check(lab: Lab, icc: str) -> None:
    """SH26, SH8: nothing gets out of a container but what is in its own name; all else works."""
    lab.serve_internet()
    host = lab.host
    untouched = host.snapshot()
    victim, peer, evil = _parties(host, "-o", "spoof_check=true", "-o", f"icc={icc}")
    lies = _lies(victim, peer, evil)
    truth = {
        "truth": frames.udp(evil.mac, peer.mac, evil.ip, peer.ip, b"truth"),
        "truth, IPv6": frames.udp(evil.mac, peer.mac, evil.ip6, peer.ip6, b"truth"),
    }
    passes = set(truth) if icc == "true" else set()
    assert _received(peer, evil, lies | truth) == passes
    for asker in (peer, evil):
        assert asker.guest.fetch(INTERNET, 80)
        assert asker.guest.fetch(HOST, 8080)
        if icc == "true":
            assert asker.guest.ping(victim.ip) and asker.guest.ping(victim.ip6)
            assert asker.guest.fetch("victim", 80)
            assert _neighbours(asker)[victim.ip] == victim.mac
    wait_for(lambda: lab.neighbour.fetch(HOST, 8080))
    # Another address, added by the container, is of no use.
    evil.guest.run("ip", "addr", "add", "172.31.9.9/16", "dev", "eth0")
    evil.guest.run("ip", "addr", "del", f"{evil.ip}/16", "dev", "eth0", check=False)
    assert not evil.guest.fetch(HOST, 8080)
    counted = host.out("nft", "list", "chain", "bridge", "netyard", "spoofing")
    assert (
        "packets 0 bytes 0"
        not in counted.split("forged sender MAC address in ARP")[0].split("drop")[0]
    )
    for name in ("victim", "peer", "evil"):
        host.ny("rm", "-f", name)
    assert "elements" not in host.out("nft", "list", "table", "bridge", "netyard")
    host.ny("network", "rm", "net")
    assert host.snapshot() == untouched


def test_the_check_survives_a_flush_and_moves_with_connections(lab: Lab) -> None:
    """Connecting, disconnecting, restarting, a flush and reload: what is held is who is there."""
    host = lab.host
    victim, peer, evil = _parties(host, "-o", "spoof_check=true")
    host.ny("network", "create", "-o", "spoof_check=1", "second")
    host.ny("network", "connect", "second", "evil")
    host.ny("network", "disconnect", "second", "evil")
    host.ny("stop", "-t", "0", "peer")
    host.ny("start", "peer")
    host.run("nft", "flush", "ruleset")
    host.ny("reload")
    lies = _lies(victim, peer, evil)
    assert _received(peer, evil, lies) == set()
    assert evil.guest.ping(peer.ip)
    held = host.out("nft", "list", "set", "bridge", "netyard", "guarded")
    assert held.count('"ny-') == 3
