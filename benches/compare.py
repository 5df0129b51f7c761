"""netyard beside its peers and the bare kernel, in one run on one machine.

``make bench`` runs it; it writes ``docs/performance.md`` and ``benches/results/last.json``. Everything
happens in namespaces of its own. Peers that are not installed are left out of the tables.

Figures of one run are comparable with each other and with nothing else: trust the ratios.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import apart

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = os.environ.get("SECONDS", "1.5")
NAMES = 1000
BATCH = 500
PORTS = 10_000
CROWD = 1000
FLOOR = "kernel floor (raw netlink, C)"
SETTLE_SECONDS = 0.1


def main() -> None:
    """Build the C programs, go into namespaces of our own, measure, write."""
    if "--inside" not in sys.argv:
        work = tempfile.mkdtemp(prefix="netyard-bench-")
        try:
            for source in (HERE / "peers").glob("*.c"):
                binary = f"{work}/{source.stem}"
                subprocess.run(["cc", "-O2", "-pthread", "-o", binary, source], check=True)
            results = f"{work}/results.json"
            inside = [sys.executable, __file__, "--inside", work, results]
            apart.run(inside, check=True)
            found = json.loads(Path(results).read_text())
            found["lifecycle"].update(peers())
            write(found)
        finally:
            shutil.rmtree(work)
        return
    apart.check()
    work, results = Path(sys.argv[-2]), Path(sys.argv[-1])
    sh(
        "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; mount -t sysfs sysfs /sys; ip link set lo up"
    )
    os.environ["NETYARD_ROOT"] = "/run/root"
    # Python's byte code is kept, as an installed package has it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    measured = {
        # First, while there are no other namespaces: what they cost is what is measured.
        "scale": scale(),
        "lifecycle": lifecycle(work),
        "ports": published(work),
        "dns": names(work),
        "cli": cli(),
    }
    results.write_text(json.dumps(measured))


def sh(command: str) -> str:
    """Run a shell command; its output."""
    return subprocess.run(
        command, shell=True, check=True, capture_output=True, text=True
    ).stdout.strip()


def timed(action: Callable[[], object]) -> float:
    """How long something takes, in milliseconds, once the kernel has tidied up what was before."""
    time.sleep(SETTLE_SECONDS)
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def median(samples: list[float]) -> float:
    """The middle one."""
    return statistics.median(samples)


# -- lifecycle ----------------------------------------------------------------------------------


def floor(work: Path, count: int) -> dict[str, float]:
    """The kernel alone, in milliseconds a sandbox."""
    rounds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for pair in sh(f"{work}/floor attach {count}").split()[1:]:
            key, value = pair.split("=")
            rounds.setdefault(key, []).append(float(value) / 1000)
    return {key: median(values) for key, values in rounds.items()}


def lifecycle(work: Path) -> dict[str, dict[str, float]]:
    """Networks and attachments: the floor, netyard, and its peers."""
    one, many = floor(work, 1), floor(work, BATCH)
    sh("nft 'table ip floor { map pub { type inet_service : ipv4_addr . inet_service; }; }'")
    ports = []
    for _ in range(ROUNDS):
        ports.append(float(sh(f"{work}/floor ports 10").split("total_us=")[1]) / 1000)
        sh("nft flush map ip floor pub")
    return {
        FLOOR: {
            "create network": one["bridge_create_total"],
            "attach": one["attach"],
            "attach 10 ports": one["attach"] + median(ports),
            "detach": one["detach"],
            "remove network": one["bridge_remove_total"],
            f"{BATCH} attachments, each": many["attach"],
            f"{BATCH} detachments, each": many["detach_group"],
        },
        "netyard (library)": netyard(),
    }


def peers() -> dict[str, dict[str, float]]:
    """Docker, netavark, CNI, pyroute2, `ip` and `nft`, by their own harness in `benches/peers`.

    Needs Debian's docker.io, netavark, aardvark-dns, containernetworking-plugins and iptables; with
    any of them missing there are no peers in the table.
    """
    if not all(shutil.which(name) for name in ("dockerd", "iptables", "conntrack")):
        return {}
    harness = [str(HERE / "peers" / "enter.sh"), sys.executable, "lifecycle.py", "5"]
    (HERE / "peers" / "bin").mkdir(exist_ok=True)
    floor_binary = HERE / "peers" / "bin" / "floor"
    subprocess.run(["cc", "-O2", "-o", floor_binary, HERE / "peers" / "floor.c"], check=True)
    done = subprocess.run(harness, cwd=HERE / "peers", capture_output=True, text=True)
    rows: dict[str, dict[str, float]] = {}
    lines = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "|" in line]
    columns = lines[0][1:] if lines else []
    for name, *cells in lines[2:]:
        if name == "peer":
            break
        if name.startswith("kernel floor"):
            name = f"{FLOOR}, as the peers' harness measured it"
        if not name.startswith("spawn"):
            rows[name] = {
                column: float(cell)
                for column, cell in zip(columns, cells, strict=True)
                if cell != "–"
            }
    return rows


def netyard() -> dict[str, float]:
    """netyard as a library, warm, store and name server included."""
    from netyard import Container, Host, Network, _core

    if _core.build_profile != "release":
        raise SystemExit("benchmarks need a release build: make bench")
    host = Host()
    home = Network.create("home", host=host)
    Network.create("standing", host=host)
    columns: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        sh(f"ip netns add n{number}")
        box = Container.adopt(
            f"c{number}", netns=f"/run/netns/n{number}", network="home", host=host
        )
        sh(f"ip netns add p{number}")
        for name, milliseconds in one_round(host, box, f"/run/netns/p{number}"):
            columns.setdefault(name, []).append(milliseconds)
    # What a namespace costs others is seen in the crowd; here there are few until now.
    for number in range(BATCH):
        sh(f"ip netns add n{ROUNDS + number}")
    many = [
        Container.adopt(
            f"m{number}", netns=f"/run/netns/n{ROUNDS + number}", network="home", host=host
        )
        for number in range(BATCH)
    ]
    for box in many:
        home.disconnect(box)
    for _ in range(3):
        # A network of its own each time: what is measured is new containers, not old addresses.
        crowded = Network.create("crowded", host=host, subnet="10.61.0.0/16")
        for name, milliseconds in bulk(host, crowded, many):
            columns.setdefault(name, []).append(milliseconds / len(many))
        crowded.remove()
    return {name: median(samples) for name, samples in columns.items()}


def bulk(host: Any, network: Any, many: list[Any]) -> Iterator[tuple[str, float]]:
    """Many at once, in a batch and one by one."""

    def together(change: Callable[[Any], Any]) -> float:
        def all_of_them() -> None:
            with host.batch():
                for box in many:
                    change(box)

        return timed(all_of_them)

    yield f"{BATCH} attachments, each", together(network.connect)
    yield f"{BATCH} detachments, each", together(network.disconnect)
    yield "attachments one by one", timed(lambda: [network.connect(box) for box in many])
    yield "detachments one by one", timed(lambda: [network.disconnect(box) for box in many])


def one_round(host: Any, box: Any, netns: str) -> Iterator[tuple[str, float]]:
    """Every operation once."""
    from netyard import Container, Network

    yield "create network", timed(lambda: Network.create("round", host=host))
    net = Network.get("round", host=host)
    standing = Network.get("standing", host=host)
    yield "attach", timed(lambda: standing.connect(box))
    yield "detach", timed(lambda: standing.disconnect(box))

    def adopt(*ports: str) -> float:
        place = {"netns": netns, "network": "round", "publish": ports}
        took = timed(lambda: Container.adopt("extra", host=host, **place))
        Container.get("extra", host=host).abandon()
        return took

    yield "adopt a namespace, whole", adopt()
    yield "attach 10 ports", adopt(*(f"{port}:{port}" for port in range(20000, 20010)))
    yield "remove network", timed(net.remove)


# -- published ports ----------------------------------------------------------------------------


def published(work: Path) -> dict[str, dict[str, float]]:
    """Ports of one container: many in one call, one more beside them, some taken back."""
    from netyard import Container, Host, Network

    host = Host()
    Network.create("ports", host=host)
    sh("ip netns add ports")
    floors: list[float] = []
    for _ in range(ROUNDS):
        sh("nft flush map ip floor pub")
        floors.append(float(sh(f"{work}/floor ports {PORTS}").split("total_us=")[1]) / 1000)
    sh("nft delete table ip floor")
    columns: dict[str, list[float]] = {}
    flags = {"netns": "/run/netns/ports", "network": "ports", "host": host}
    for _ in range(3):
        none = timed(lambda: Container.adopt("few", **flags))
        Container.get("few", host=host).abandon()
        all_of_them = [f"{port}:{port}" for port in range(10000, 10000 + PORTS)]
        took = timed(lambda words=all_of_them: Container.adopt("web", publish=words, **flags))
        columns.setdefault(f"{PORTS} in as many words", []).append(took - none)
        Container.get("web", host=host).abandon()
        time.sleep(SETTLE_SECONDS)
        row = [f"10000-{9999 + PORTS}:10000-{9999 + PORTS}"]
        took = timed(lambda words=row: Container.adopt("web", publish=words, **flags))
        columns.setdefault(f"{PORTS} in one call", []).append(took - none)
        box = Container.get("web", host=host)
        columns.setdefault("one more", []).append(timed(lambda box=box: box.add_ports("30001:80")))
        some = [f"{port}:{port}" for port in range(10000, 10300)]
        taken = timed(lambda box=box, some=some: box.remove_ports(*some))
        columns.setdefault("300 taken back", []).append(taken)
        box.abandon()
    return {
        f"{FLOOR}, one map": {f"{PORTS} in one call": median(floors)},
        "netyard (library)": {name: median(samples) for name, samples in columns.items()},
    }


# -- many containers ----------------------------------------------------------------------------


def scale() -> dict[str, dict[str, float]]:
    """Containers of a command that waits: the first and the last hundred of them."""
    from netyard import Container, Host, Network

    host = Host()
    Network.create("crowd", subnet="10.77.0.0/16", host=host)
    made: list[Any] = []

    def run(count: int) -> None:
        for _ in range(count):
            made.append(Container.run("sleep", "3600", network="crowd", host=host))

    hundreds = [timed(lambda: run(100)) / 100 for _ in range(CROWD // 100)]
    listing = timed(lambda: Container.list(host=host))
    pid = sh("pgrep -f 'agent --exit-when-idle'").split()[0]
    memory = sum(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )
    removals = []
    while made:
        some, made[:] = made[:100], made[100:]
        removals.append(timed(lambda some=some: [box.remove(force=True) for box in some]) / 100)
    Network.get("crowd", host=host).remove()
    time.sleep(5)
    return {
        "run, each": {"first 100": hundreds[0], "last 100": hundreds[-1]},
        "remove, each": {"first 100": removals[-1], "last 100": removals[0]},
        f"list all {CROWD}": {"first 100": listing},
        "agent, PSS in MiB": {"last 100": memory / 1024},
    }


# -- names --------------------------------------------------------------------------------------


def names(work: Path) -> dict[str, dict[str, float]]:
    """Answers per second for local names on one core: netyard, dnsmasq, unbound, and the limit."""
    (work / "names").write_text("".join(f"n{number}. A\n" for number in range(NAMES)))
    rows: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for name, start in {
            "limit: udpresp, looks at nothing": limit,
            "netyard": own_server,
            "dnsmasq": dnsmasq,
            "unbound, 1 thread": unbound,
        }.items():
            with contextlib.suppress(FileNotFoundError), start(work) as (prefix, address, pids):
                before = cpu_seconds(pids())
                load = f"{prefix} {work}/udpload {address} 53 {work}/names {SECONDS} 96 8"
                rate, bad, _lost = map(float, sh(load).split())
                used = cpu_seconds(pids()) - before
                if bad:
                    raise SystemExit(f"{name} gave {bad} answers without a record")
                rows.setdefault(name, []).append((rate, used / (rate * float(SECONDS)) * 1e6))
    best = max(median([rate for rate, _ in samples]) for samples in rows.values())
    return {
        name: {
            "queries/s": round(median([rate for rate, _ in samples])),
            "ratio to best": round(median([rate for rate, _ in samples]) / best, 3),
            "server CPU, us/query": round(median([cpu for _, cpu in samples]), 2),
        }
        for name, samples in rows.items()
    }


def cpu_seconds(pids: list[int]) -> float:
    """CPU time used by processes so far."""
    total = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")


Served = Iterator[tuple[str, str, Callable[[], list[int]]]]


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
def own_server(work: Path) -> Served:
    """netyard's, asked at 127.0.0.11 inside a container, translation included."""
    from netyard import _core

    class View:
        networks, upstreams, keeps_single_labels, ttl_seconds = ["net"], None, False, 2
        links: tuple[tuple[str, str, str], ...] = ()

    class Listener:
        container, namespace, view = "c", -1, View
        address = IPv4Address("127.0.0.11")

    sh("ip netns add dnsbox; ip -n dnsbox link set lo up")
    fd = os.open("/run/netns/dnsbox", os.O_RDONLY)
    Listener.namespace = fd
    server = _core.NameServer(1)
    server.add_zone("net", "net", [(IPv4Address("10.0.0.0"), 8)])
    server.update_zone(
        "net", [], [(f"n{i}", [f"n{i}"], [IPv4Address(0x0A000002 + i)]) for i in range(NAMES)]
    )
    server.listen([Listener])
    try:
        yield "ip netns exec dnsbox", "127.0.0.11", lambda: [os.getpid()]
    finally:
        server.stop()
        os.close(fd)
        sh("ip netns del dnsbox")


@contextlib.contextmanager
def dnsmasq(work: Path) -> Served:
    """Debian's dnsmasq with a hosts file."""
    hosts = work / "hosts"
    hosts.write_text("".join(f"10.0.{i >> 8}.{i & 255} n{i}\n" for i in range(NAMES)))
    words = "dnsmasq -k -h -R -C /dev/null -c 10000 -0 1000 -a 127.0.0.11 -z -u root".split()
    with process([*words, "-x", f"{work}/dm.pid", f"--addn-hosts={hosts}"]) as pids:
        yield "", "127.0.0.11", lambda: pids


@contextlib.contextmanager
def unbound(work: Path) -> Served:
    """Debian's unbound with local data."""
    data = "".join(f'local-data: "n{i}. A 10.0.{i >> 8}.{i & 255}"\n' for i in range(NAMES))
    (work / "unbound.conf").write_text(
        "server:\ninterface: 127.0.0.11\naccess-control: 0.0.0.0/0 allow\ndo-daemonize: no\n"
        f'chroot: ""\nusername: ""\npidfile: ""\nnum-threads: 1\nuse-syslog: no\n{data}'
    )
    with process(["unbound", "-d", "-c", f"{work}/unbound.conf"]) as pids:
        yield "", "127.0.0.11", lambda: pids


# -- command line -------------------------------------------------------------------------------


def cli() -> dict[str, dict[str, float]]:
    """Whole processes, in milliseconds."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "netyard version": [sys.executable, "-m", "netyard", "version"],
        "netyard network ls": [sys.executable, "-m", "netyard", "network", "ls"],
        "netyard run --rm --network home true": [
            *(sys.executable, "-m", "netyard", "run", "--rm", "--network", "home", "true"),
        ],
    }
    quiet = subprocess.DEVNULL
    return {
        name: {
            "ms": median(
                [
                    timed(partial(subprocess.run, words, stdout=quiet, check=True))
                    for _ in range(ROUNDS)
                ]
            )
        }
        for name, words in commands.items()
    }


# -- writing ------------------------------------------------------------------------------------


def table(rows: dict[str, dict[str, float]], columns: list[str], form: str) -> str:
    """A table in Markdown."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, cells in rows.items():
        shown = (form.format(cells[column]) if column in cells else "–" for column in columns)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def write(results: dict[str, dict[str, dict[str, float]]]) -> None:
    """Keep the figures, and the page about them."""
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "last.json").write_text(json.dumps(results, indent=1) + "\n")
    steps = [
        "create network",
        "attach",
        "attach 10 ports",
        "detach",
        "remove network",
        f"{BATCH} attachments, each",
        f"{BATCH} detachments, each",
        "attachments one by one",
        "detachments one by one",
        "adopt a namespace, whole",
    ]
    base = results["lifecycle"][FLOOR]
    ratios = {
        name: {key: value / base[key] for key, value in cells.items() if key in base}
        for name, cells in results["lifecycle"].items()
    }
    counts = json.loads((HERE / "results" / "counts.json").read_text())
    dns = ["queries/s", "ratio to best", "server CPU, us/query"]
    text = f"""# Performance

Written by `make bench` on {time.strftime("%Y-%m-%d")}: {os.cpu_count()} cores, kernel
{platform.release()}, Python {platform.python_version()}; medians of {ROUNDS} rounds. Everything in
a table was measured in one run, side by side; compare within a table, not across machines.

## Networks and attachments, milliseconds

![Networks and attachments beside the peers](performance-lifecycle.svg)

{table(results["lifecycle"], steps, "{:.2f}")}

The same as multiples of the kernel floor:

{table(ratios, steps[:7], "{:.1f}")}

- Before each timed step the kernel gets a tenth of a second to tidy up after the one before.
- The floor is raw netlink in C: no store, no names, no firewall, no checks.
- netyard's attach is `network.connect(container)` on a running container, with the lock, two
  recorded transactions, the name server told and answering. With 10 ports it is the adoption of a
  namespace, which opens the name server's door in it, and the publication.
- {BATCH} attachments are one `with host.batch():`, of containers whose addresses are new to the
  network, and so are {BATCH} detachments, for which the floor deletes a whole link group.
- RTM_DELLINK waits for RCU, 20 to 50 ms. netyard takes links out of use, which takes a millisecond,
  and its agent deletes them. It also searches the connection table, 5 ms however few flows there
  are, for those of addresses that have gone; who takes one before that does it himself.

Where the time of one attachment goes, by `strace -r` and `perf`: the pair 0.7 ms; the far end with
its settings, on a thread that enters the namespace, 0.4; the bridge's port 0.05; two transactions of
SQLite 0.4; the name server, which learns of it meanwhile, 0.2; the rest is Python, 0.8. The floor has
the first two, without the settings. In a batch the kernel has 0.9 ms of an endpoint, Python 0.5.
What an announcement costs grows with the network, as it is sent to every port: 0.1
ms with 100, 3 ms with 900. So new addresses, which nobody can know elsewhere, are not announced.

## Published ports, milliseconds

{table(results["ports"], [f"{PORTS} in one call", f"{PORTS} in as many words", "one more", "300 taken back"], "{:.1f}")}

The first two are what adopting a namespace takes longer with them: `-p 10000-19999:10000-19999`, and
{PORTS} flags. The kernel takes 18 ms of it for netyard's elements, whose keys hold the protocol and
which say whose they are. Of 300 taken back 5 ms are the search of the connection table. Docker, netavark and the CNI plugins
take seconds for a hundred: see `benches/peers`.

## {CROWD} containers on one network, milliseconds

{table(results["scale"], ["first 100", "last 100"], "{:.2f}")}

What grows with the crowd is the kernel's, by `perf` at 900: the copy of the mount table that each
container's mount namespace begins as has one mount for every network namespace (12 % of a start), a
new port goes through all ports of the bridge (6 %), settings of a namespace are looked up in one hash
chain for all namespaces (6 %), and IPv6 routes of the host's ends are gone through (3 %).

## Names: answers per second on one core

![Names beside the peers](performance-names.svg)

{table(results["dns"], dns, "{:.6g}")}

{NAMES} names, 96 questions in flight from a light client (`benches/peers/udpload.c`) that shares the
two cores with the server. On the same kind of machine, by the same client, Docker's server gave
0.37 of the limit and aardvark-dns 0.41. netyard's figures include the translation of 127.0.0.11:53 to its random
port in the container's namespace; the others are asked directly.

## Command line, whole processes, milliseconds

{table(results["cli"], ["ms"], "{:.0f}")}

`docker run -d` is in the first table, as an attachment: a container started, with its network. Half
of `netyard network ls` is click, which needs `inspect` and `uuid` as soon as an option has help.

## Regressions

`make counts`, part of `make test`, counts the instructions of hot paths with callgrind, on whatever
machine: {", ".join(sorted(next(iter(counts.values()))))}. More than a tenth above the baseline in
`benches/results/counts.json` fails; `make record-counts` makes a new one.
"""
    (HERE.parent / "docs" / "performance.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
