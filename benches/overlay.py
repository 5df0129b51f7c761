"""Overlay networks measured: how soon a container is there for others, how fast it sends.

    python benches/overlay.py

In lab hosts on a routed wire (`tests/cluster.py`), with a real etcd. The bare wire and a VXLAN made
by hand are measured in the same run.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import cluster
from cluster import Cluster, run
from lab import Guest, Machine, wait_for

ROUNDS = 15
SECONDS = 3

# On host A: starts a container when told, and says when it began.
_START = """
import sys, time
from netyard.api.container import Container
Container.run("sleep", "600", name="warm", network="net").remove(force=True)
print("ready", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    Container.run("sleep", "600", name=line.strip(), network="net")
    print(began, time.monotonic() - began, flush=True)
"""
# In a container of host B: says when a name is resolved and pinged for the first time. The clock is
# the machine's, the same for both.
_WATCH = """
import socket, struct, sys, time
def ask(name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.2)
    question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0\\0\\1\\0\\1"
    while True:
        s.sendto(struct.pack("!6H", 7, 256, 1, 0, 0, 0) + question, ("127.0.0.11", 53))
        answer = s.recv(512)
        if answer[7]:
            return socket.inet_ntoa(answer[-4:])
        time.sleep(0.0005)
def ping(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    s.settimeout(0.02)
    while True:
        s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1), (address, 0))
        try:
            s.recv(64)
            return
        except TimeoutError:
            pass
print("ready", flush=True)
for line in sys.stdin:
    address = ask(line.strip())
    resolved = time.monotonic()
    ping(address)
    print(resolved, time.monotonic(), flush=True)
"""
_SINK = """
import socket
s = socket.create_server(("", 99))
while True:
    c, _ = s.accept()
    buffer = bytearray(1 << 20)
    while c.recv_into(buffer):
        pass
"""
_SOURCE = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 99), 5)
data, sent, end = bytes(1 << 20), 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    sent += s.send(data)
print(sent * 8 / float(sys.argv[2]) / 1e9)
"""


def starts(found: Cluster) -> dict[str, float]:
    """Milliseconds from the start of `run` on one host to a name and a ping on the other."""
    alpha, beta = found.hosts
    run(beta, "watcher", "net")
    pipes = {"stdin": -1, "stdout": -1}
    starter = alpha.popen(sys.executable, "-c", _START, **pipes)
    command = (
        sys.executable,
        "-m",
        "netyard",
        "exec",
        "-i",
        "watcher",
        sys.executable,
        "-c",
        _WATCH,
    )
    watcher = beta.popen(*command, **pipes)
    for process in (starter, watcher):
        assert process.stdout.readline() == b"ready\n"
    taken: dict[str, list[float]] = {"run returns": [], "resolvable": [], "pingable": []}
    for number in range(ROUNDS):
        name = f"c{number}\n".encode()
        for process in (watcher, starter):
            process.stdin.write(name)
            process.stdin.flush()
        began, lasted = map(float, starter.stdout.readline().split())
        resolved, pinged = map(float, watcher.stdout.readline().split())
        taken["run returns"].append(lasted)
        taken["resolvable"].append(resolved - began)
        taken["pingable"].append(pinged - began)
    return {what: statistics.median(some) * 1000 for what, some in taken.items()}


def throughput(found: Cluster) -> dict[str, float]:
    """Gbit/s of one TCP connection: the bare wire, a VXLAN made by hand, the overlay."""
    alpha, beta = found.hosts
    by_hand(alpha, beta)
    by_hand(beta, alpha)
    source, sink = run(alpha, "source", "net"), run(beta, "sink", "net")
    beta.popen(sys.executable, "-S", "-c", _SINK)
    serving = (sys.executable, "-m", "netyard", "exec", "sink", sys.executable, "-S", "-c", _SINK)
    beta.popen(*serving)
    wait_for(lambda: source.ping("sink"))
    targets: dict[str, tuple[Machine | Guest, str]] = {
        "bare wire": (alpha, cluster.address_of(beta)),
        "VXLAN by hand": (alpha, "10.200.0.2"),
        "overlay": (source, sink.address("net")),
    }
    measured: dict[str, list[float]] = {what: [] for what in targets}
    for _ in range(5):
        for what, (sender, address) in targets.items():
            command = (sys.executable, "-S", "-c", _SOURCE, address, str(SECONDS))
            measured[what].append(float(sender.run(*command).stdout))
    return {what: statistics.median(some) for what, some in measured.items()}


def by_hand(here: Machine, there: Machine) -> None:
    """A VXLAN between the hosts with a namespace behind a bridge, as an overlay has it."""
    number = "12"[here.name == "beta"]
    local, remote = cluster.address_of(here), cluster.address_of(there)
    here.run(
        "sh",
        "-ec",
        f"ip link add hand type vxlan id 99 local {local} remote {remote} dstport 4799\n"
        f"ip addr add 10.200.0.{number}/24 dev hand; ip link set hand up",
    )


def main() -> None:
    """Measure, and print what was measured."""
    with cluster.opened(2) as found:
        found.join()
        found.hosts[0].ny("network", "create", "-d", "overlay", "net")
        speeds = throughput(found)
        results = {"milliseconds": starts(found), "gbit_per_second": speeds}
        results["ratios"] = {
            what: speeds["overlay"] / speeds[what] for what in ("bare wire", "VXLAN by hand")
        }
        print(json.dumps(results, indent=4))


if __name__ == "__main__":
    main()
