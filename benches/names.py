"""The name server beside dnsmasq and unbound: local names, and names others are asked about.

The server has one core and the client another: left to the scheduler they now and then share one,
and figures double or halve. What matters are ratios: to a responder that looks at nothing, for local
names, and to the best peer for forwarded ones. netyard's server is asked where it lives, at
127.0.0.11 in a container's namespace, its ports rewritten on the way; the others directly.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from measuring import ROUNDS, SECONDS, cpu_seconds, median, sh

NAMES = 1000
# More than anybody answers in a round, so that no name is asked twice.
UNIQUE = 400_000
CLIENT_CORE, SERVER_CORE = 0, 1
# Where `make bench-peers` puts them.
PEERS = Path(__file__).parents[1] / "target" / "peers" / "bin"
GATEWAY, UPSTREAM = "10.96.0.1", "10.96.0.2"
LIMIT = "limit: udpresp, looks at nothing"
VETH_LIMIT = f"{LIMIT}, over a veth"
LOCAL, REPEATED, ALL_NEW = "local", "forwarded, repeated", "forwarded, unique"

Served = Iterator[tuple[str, str, Callable[[], list[int]]]]
Samples = dict[str, dict[str, list[tuple[float, float]]]]


def names(work: Path) -> dict[str, dict[str, float]]:
    """Answers per second, and the server's own CPU time for each."""
    write_names(work / LOCAL, (f"n{number}" for number in range(NAMES)))
    write_names(work / REPEATED, (f"f{number}.example.com" for number in range(NAMES)))
    samples: Samples = {}
    with upstream(work):
        for number in range(ROUNDS):
            for name, start in SERVERS.items():
                kinds = [LOCAL] if name.startswith(LIMIT) else [LOCAL, REPEATED, ALL_NEW]
                with contextlib.suppress(FileNotFoundError), start(work) as server:
                    for kind in kinds:
                        tag = f"{number}{list(SERVERS).index(name)}"
                        found = load(work, kind, server, tag)
                        samples.setdefault(name, {}).setdefault(kind, []).append(found)
    return table(samples)


def table(samples: Samples) -> dict[str, dict[str, float]]:
    """Medians, and local names beside the limits."""
    rows: dict[str, dict[str, float]] = {}
    for name, kinds in samples.items():
        row = rows[name] = {}
        for kind, found in kinds.items():
            row[f"{kind}/s"] = round(median([rate for rate, _ in found]))
            row[f"{kind}, CPU us"] = round(median([cpu for _, cpu in found]), 2)
    for row in rows.values():
        row["ratio to the limit"] = row[f"{LOCAL}/s"] / rows[LIMIT][f"{LOCAL}/s"]
        row["to that over a veth"] = row[f"{LOCAL}/s"] / rows[VETH_LIMIT][f"{LOCAL}/s"]
    return rows


def load(
    work: Path, kind: str, server: tuple[str, str, Callable[[], list[int]]], tag: str
) -> tuple[float, float]:
    """One round: answers per second and CPU time of the server for each, in microseconds."""
    prefix, address, pids = server
    if kind == ALL_NEW:
        write_names(work / kind, (f"u{tag}x{number}.example.com" for number in range(UNIQUE)))
    # Questions to upstreams leave tens of thousands of tracked connections behind.
    sh("conntrack -F 2>/dev/null || true")
    for pid in pids():
        sh(f"taskset -a -c -p {SERVER_CORE} {pid}")
    client = f"{prefix} taskset -c {CLIENT_CORE} {work}/udpload {address} 53 '{work / kind}'"
    if kind == REPEATED:
        sh(f"{client} 0.2 96 8")
    before = cpu_seconds(pids())
    rate, bad, lost = map(float, sh(f"{client} {SECONDS} 96 8").split())
    used = cpu_seconds(pids()) - before
    answers = rate * float(SECONDS)
    if bad or lost > answers / 1000:
        raise SystemExit(f"{kind}, {pids()}: {bad:.0f} without a record, {lost:.0f} lost")
    return rate, used / answers * 1e6


def write_names(path: Path, words: Iterator[str]) -> None:
    """A file of questions as dnsperf takes them."""
    path.write_text("".join(f"{word} A\n" for word in words))


@contextlib.contextmanager
def upstream(work: Path) -> Iterator[None]:
    """A responder on another host, a veth away."""
    sh(
        "ip netns add up; ip link add vup up type veth peer name eth0 netns up;"
        f"ip addr add {GATEWAY}/24 dev vup; ip -n up link set lo up; ip -n up link set eth0 up;"
        f"ip -n up addr add {UPSTREAM}/24 dev eth0"
    )
    try:
        with process(["ip", "netns", "exec", "up", f"{work}/udpresp", UPSTREAM, "53", "2"]):
            yield
    finally:
        sh("ip netns del up")


@contextlib.contextmanager
def process(words: list[str]) -> Iterator[list[int]]:
    """A server for the duration of a block."""
    quiet = subprocess.DEVNULL
    started = subprocess.Popen(words, stdout=quiet, stderr=quiet)
    time.sleep(0.5)
    try:
        yield [started.pid]
    finally:
        started.terminate()
        started.wait()


@contextlib.contextmanager
def limit(work: Path) -> Served:
    """The fastest responder there can be, on the same loopback address as netyard's server."""
    with process([f"{work}/udpresp", "127.0.0.11", "53", "1"]) as pids:
        yield "", "127.0.0.11", lambda: pids


@contextlib.contextmanager
def limit_over_veth(work: Path) -> Served:
    """The same for a client in another namespace, as most servers are asked by containers."""
    with process([f"{work}/udpresp", GATEWAY, "53", "1"]) as pids:
        yield "ip netns exec up", GATEWAY, lambda: pids


@contextlib.contextmanager
def own_server(_work: Path) -> Served:
    """netyard's, asked at 127.0.0.11 inside a container, translation included."""
    from netyard import _core

    class View:
        networks, upstreams, keeps_single_labels, ttl_seconds = ["net"], [], False, 2
        links: tuple[tuple[str, str, str], ...] = ()

    class Listener:
        container, namespace, view = "c", -1, View
        address = IPv4Address("127.0.0.11")

    sh("ip netns add dnsbox; ip -n dnsbox link set lo up")
    fd = os.open("/run/netns/dnsbox", os.O_RDONLY)
    Listener.namespace = fd
    server = _core.NameServer(1)
    server.set_host_upstreams([(IPv4Address(UPSTREAM), "", 53)])
    server.add_zone("net", "net", [(IPv4Address("10.0.0.0"), 8)])
    server.update_zone(
        "net", [], [(f"n{i}", [f"n{i}"], [IPv4Address(0x0A000002 + i)]) for i in range(NAMES)]
    )
    server.listen([Listener])
    try:
        yield "ip netns exec dnsbox", "127.0.0.11", lambda: [os.getpid()]
    finally:
        server.stop()
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        os.close(fd)
        sh("ip netns del dnsbox")


@contextlib.contextmanager
def dnsmasq(work: Path) -> Served:
    """Debian's dnsmasq with a hosts file."""
    hosts = work / "hosts"
    hosts.write_text("".join(f"10.0.{i >> 8}.{i & 255} n{i}\n" for i in range(NAMES)))
    words = f"dnsmasq -k -h -R -C /dev/null -c 10000 -0 1000 -a 127.0.0.11 -z -u root -S {UPSTREAM}"
    with process([*words.split(), "-x", f"{work}/dm.pid", f"--addn-hosts={hosts}"]) as pids:
        yield "", "127.0.0.11", lambda: pids


@contextlib.contextmanager
def unbound(work: Path) -> Served:
    """Debian's unbound with local data, as a forwarder for the rest, without DNSSEC."""
    data = "".join(f'local-data: "n{i}. A 10.0.{i >> 8}.{i & 255}"\n' for i in range(NAMES))
    (work / "unbound.conf").write_text(
        "server:\ninterface: 127.0.0.11\naccess-control: 0.0.0.0/0 allow\ndo-daemonize: no\n"
        'chroot: ""\nusername: ""\npidfile: ""\nnum-threads: 1\nuse-syslog: no\n'
        f'module-config: "iterator"\ndomain-insecure: "."\ndirectory: "{work}"\n{data}'
        f'remote-control:\ncontrol-enable: no\nforward-zone:\nname: "."\nforward-addr: {UPSTREAM}\n'
    )
    with process(["unbound", "-d", "-c", f"{work}/unbound.conf"]) as pids:
        yield "", "127.0.0.11", lambda: pids


@contextlib.contextmanager
def aardvark(program: Path, work: Path) -> Served:
    """Podman's name server: it knows its clients by their addresses, so it is asked over a veth."""
    directory = work / "aardvark"
    directory.mkdir(exist_ok=True)
    own = f"{GATEWAY}\n{'f' * 64} {UPSTREAM}  client\n"
    others = (f"{i:064x} 10.0.{i >> 8}.{i & 255}  n{i}\n" for i in range(NAMES))
    (directory / "bench").write_text(own + "".join(others))
    (work / "resolv.conf").write_text(f"nameserver {UPSTREAM}\n")
    sh(f"mount --bind {work}/resolv.conf /etc/resolv.conf")
    words = [program, "--config", directory, "-p", "53", "run"]
    try:
        # It goes on in the background.
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        pid = int((directory / "aardvark.pid").read_text())
        yield "ip netns exec up", GATEWAY, lambda: [pid]
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.5)
    finally:
        sh("umount /etc/resolv.conf")
        shutil.rmtree(directory)


SERVERS: dict[
    str,
    Callable[[Path], contextlib.AbstractContextManager[tuple[str, str, Callable[[], list[int]]]]],
] = {
    LIMIT: limit,
    VETH_LIMIT: limit_over_veth,
    "netyard": own_server,
    "dnsmasq": dnsmasq,
    "unbound, 1 thread": unbound,
    "aardvark-dns 1.4": partial(aardvark, Path("/usr/lib/podman/aardvark-dns")),
    "aardvark-dns 2.1": partial(aardvark, PEERS / "aardvark-dns"),
}
