"""New TCP connections through published ports: ten of them, ten thousand, and a bare map.

A client, a router that publishes, a container behind it: ``conns.c`` connects to random published
ports and closes with RST. netyard is a router of its own; beside it one whose only table is a map
with the same ports, with the container behind a bridge as netyard's are, and one without a bridge.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from measuring import ROUNDS, SECONDS, median, sh

FEW, MANY, FIRST = 10, 10_000, 10_000
ROUTER = "10.1.0.1"
CLIENTS = 32
OURS, BRIDGED, ROUTED = "netyard", "nft, one map, a bridge", "nft, one map, no bridge"


class Place(NamedTuple):
    """Where a client's connections go."""

    client: str
    published: Callable[[int], contextlib.AbstractContextManager[None]]


def connections(work: Path) -> dict[str, dict[str, float]]:
    """Connections per second through so many published ports."""
    samples: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        places = {
            OURS: stack.enter_context(netyard(work)),
            BRIDGED: stack.enter_context(bare(work, "b", bridged=True)),
            ROUTED: stack.enter_context(bare(work, "r", bridged=False)),
        }
        for _ in range(ROUNDS):
            for name, place in places.items():
                for count in (FEW, MANY):
                    with place.published(count):
                        rate = load(work, place.client, count)
                    samples.setdefault(name, {}).setdefault(f"{count} ports", []).append(rate)
    rows = {
        name: {column: round(median(found)) for column, found in columns.items()}
        for name, columns in samples.items()
    }
    for row in rows.values():
        row[f"{MANY} / {FEW}"] = row[f"{MANY} ports"] / row[f"{FEW} ports"]
        row["beside the map"] = row[f"{MANY} ports"] / rows[BRIDGED][f"{MANY} ports"]
    return rows


def load(work: Path, client: str, count: int) -> float:
    """Connections per second to random ones of so many ports."""
    command = f"{work}/conns load {ROUTER} {FIRST} {count} {SECONDS} 64 {CLIENTS}"
    rate, failed = map(float, sh(f"ip netns exec {client} {command}").split())
    if failed:
        raise SystemExit(f"{client}: {failed:.0f} connections failed")
    return rate


@contextlib.contextmanager
def netyard(work: Path) -> Iterator[Place]:
    """A container on a network, its ports published by netyard."""
    from netyard import Container, Host, Network

    host = Host()
    network = Network.create("paths", host=host)
    sh("ip netns add nsrv")
    box = Container.adopt("srv", host=host, netns="/run/netns/nsrv", network="paths")
    with client("ncli", ""), serving(work, "nsrv"):
        yield Place("ncli", lambda count: added(box, count))
    box.abandon()
    network.remove()


@contextlib.contextmanager
def added(box: Any, count: int) -> Iterator[None]:
    """So many ports of the host, each to port 80 of the container."""
    ports = [f"{port}:80" for port in range(FIRST, FIRST + count)]
    box.add_ports(*ports)
    try:
        yield
    finally:
        box.remove_ports(*ports)


@contextlib.contextmanager
def bare(work: Path, letter: str, *, bridged: bool) -> Iterator[Place]:
    """A router of its own, whose only table is a map."""
    router, server = f"{letter}rtr", f"{letter}srv"
    inside = f"ip -n {router}"
    port = "br0" if bridged else "vs"
    sh(f"""
    ip netns add {router}; ip netns add {server}; {inside} link set lo up
    ip netns exec {router} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
    {inside} link add vs up type veth peer name eth0 netns {server}
    {f"{inside} link add br0 up type bridge; {inside} link set vs master br0" if bridged else ""}
    {inside} addr add 10.3.0.1/24 dev {port}
    ip -n {server} link set eth0 up; ip -n {server} addr add 10.3.0.2/24 dev eth0
    ip -n {server} route add default via 10.3.0.1
    """)
    with client(f"{letter}cli", router), serving(work, server):
        yield Place(f"{letter}cli", lambda count: mapped(router, count))
    sh(f"ip netns del {router}; ip netns del {server}")


@contextlib.contextmanager
def mapped(router: str, count: int) -> Iterator[None]:
    """A table with one map and one rule."""
    elements = ", ".join(f"{port} : 10.3.0.2 . 80" for port in range(FIRST, FIRST + count))
    table = (
        "table ip bare { map pub { type inet_service : ipv4_addr . inet_service; elements = { "
        f"{elements} }}; }}; chain pre {{ type nat hook prerouting priority dstnat; "
        "dnat ip to tcp dport map @pub; }; }\n"
    )
    nft = f"ip netns exec {router} nft"
    subprocess.run([*nft.split(), "-f", "-"], input=table, text=True, check=True)
    try:
        yield
    finally:
        sh(f"{nft} delete table ip bare")


@contextlib.contextmanager
def client(name: str, router: str) -> Iterator[None]:
    """A host with many addresses beside a router, which forgets closed connections soon.

    Args:
        router: Its namespace; ``""`` is the one that everything is measured in.
    """
    link = f"ip -n {router} link" if router else "ip link"
    inside = f"ip netns exec {router}" if router else ""
    sh(f"""
    ip netns add {name}
    {link} add vc up type veth peer name eth0 netns {name}
    {inside} ip addr add {ROUTER}/16 dev vc
    ip -n {name} link set lo up; ip -n {name} link set eth0 up
    for i in $(seq 2 {CLIENTS + 1}); do ip -n {name} addr add 10.1.0.$i/16 dev eth0; done
    ip -n {name} route add default via {ROUTER}
    {inside} sh -c 'for i in close time_wait; do
        echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_$i; done'
    """)
    try:
        yield
    finally:
        sh(f"{link} del vc; ip netns del {name}")


@contextlib.contextmanager
def serving(work: Path, namespace: str) -> Iterator[None]:
    """A server that accepts and closes."""
    words = ["ip", "netns", "exec", namespace, f"{work}/conns", "serve", "80"]
    server = subprocess.Popen(words)
    try:
        yield
    finally:
        server.terminate()
        server.wait()
