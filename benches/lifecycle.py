"""Networks and attachments: the floor, netyard, and its peers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from measuring import FLOOR, FLOOR_MAP, ROUNDS, in_a_row, median, sh, timed

HERE = Path(__file__).parent
BATCH = 500
# The aim for removals is set for so many at once, the one for attachments for the whole batch.
GROUP = 100
# Of each operation so many in a row: the first finds the caches cold.
ROW = 10


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
    one, some, many = (floor(work, count) for count in (1, GROUP, BATCH))
    sh(f"nft '{FLOOR_MAP}'")
    ports = []
    for _ in range(ROUNDS):
        ports.append(float(sh(f"{work}/floor ports 10").split("total_us=")[1]) / 1000)
        sh("nft flush map ip floor pub")
    sh("nft delete table ip floor")
    return {
        FLOOR: {
            "create network": one["bridge_create_total"],
            "attach": one["attach"],
            "attach 10 ports": one["attach"] + median(ports),
            "detach": one["detach"],
            "remove network": one["bridge_remove_total"],
            f"{BATCH} attachments, each": many["attach"],
            f"{BATCH} detachments, each": many["detach_group"],
            f"{GROUP} detachments, each": some["detach_group"],
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
    if done.returncode:
        print(f"no peers: {done.stderr[-500:]}", file=sys.stderr)
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
    for number in range(2 * ROW):
        sh(f"ip netns add n{number}")
    boxes = [
        Container.adopt(f"c{number}", netns=f"/run/netns/n{number}", network="home", host=host)
        for number in range(ROW)
    ]
    for _ in range(ROUNDS):
        for name, milliseconds in one_round(host, boxes):
            columns.setdefault(name, []).append(milliseconds)
    # What a namespace costs others is seen in the crowd; here there are few until now.
    for number in range(BATCH):
        sh(f"ip netns add n{2 * ROW + number}")
    many = [
        Container.adopt(
            f"m{number}", netns=f"/run/netns/n{2 * ROW + number}", network="home", host=host
        )
        for number in range(BATCH)
    ]
    for box in many:
        home.disconnect(box)
    for _ in range(3):
        # A network of its own each time: what is measured is new containers, not old addresses.
        crowded = Network.create("crowded", host=host, subnet="10.61.0.0/16")
        for name, milliseconds in bulk(host, crowded, many):
            columns.setdefault(name, []).append(milliseconds)
        crowded.remove()
    return {name: median(samples) for name, samples in columns.items()}


class Crowd:
    """Namespaces that are connected and disconnected, by themselves and in a batch."""

    def __init__(self, host: Any, count: int) -> None:
        from netyard import Container, Network

        self._host = host
        Network.create("home", host=host)
        for number in range(count):
            sh(f"ip netns add n{number}")
        self._boxes = [
            Container.adopt(f"c{number}", netns=f"/run/netns/n{number}", network="home", host=host)
            for number in range(count)
        ]
        self._rounds = 0

    def times(self) -> dict[str, float]:
        """Milliseconds, of a batch for each of them."""
        from netyard import Network

        self._rounds += 1
        network = Network.create(f"crowd{self._rounds}", host=self._host)
        found = {
            "attach": in_a_row(network.connect, self._boxes[:ROW]),
            "detach": in_a_row(network.disconnect, self._boxes[:ROW]),
            "attach in a batch, each": self._together(network.connect),
            "detach in a batch, each": self._together(network.disconnect),
        }
        network.remove()
        return found

    def _together(self, change: Callable[[Any], Any]) -> float:
        return _batch(self._host, change, self._boxes)


def _batch(host: Any, change: Callable[[Any], Any], some: list[Any]) -> float:
    def all_of_them() -> None:
        with host.batch():
            for box in some:
                change(box)

    return timed(all_of_them) / len(some)


def bulk(host: Any, network: Any, many: list[Any]) -> Iterator[tuple[str, float]]:
    """Many at once, in a batch and one by one: milliseconds for each of them."""

    def together(change: Callable[[Any], Any], some: list[Any]) -> float:
        return _batch(host, change, some)

    def one_by_one(change: Callable[[Any], Any]) -> float:
        return timed(lambda: [change(box) for box in many]) / len(many)

    yield f"{BATCH} attachments, each", together(network.connect, many)
    yield f"{BATCH} detachments, each", together(network.disconnect, many)
    yield "attachments one by one", one_by_one(network.connect)
    yield "detachments one by one", one_by_one(network.disconnect)
    together(network.connect, many[:GROUP])
    yield f"{GROUP} detachments, each", together(network.disconnect, many[:GROUP])


def one_round(host: Any, boxes: list[Any]) -> Iterator[tuple[str, float]]:
    """Every operation, several times in a row, and the middle one of these."""
    from netyard import Container, Network

    standing = Network.get("standing", host=host)
    rounds = [f"round{number}" for number in range(ROW)]
    yield "create network", in_a_row(partial(Network.create, host=host), rounds)
    yield "attach", in_a_row(standing.connect, boxes)
    yield "detach", in_a_row(standing.disconnect, boxes)

    def adopt(number: int, *ports: str) -> None:
        netns = f"/run/netns/n{ROW + number}"
        Container.adopt(f"x{number}", netns=netns, network="standing", publish=ports, host=host)

    def publishing(number: int) -> None:
        adopt(
            number, *(f"{port}:{port}" for port in range(20000 + 10 * number, 20010 + 10 * number))
        )

    for name, action in (("adopt a namespace, whole", adopt), ("attach 10 ports", publishing)):
        yield name, in_a_row(action, range(ROW))
        for number in range(ROW):
            Container.get(f"x{number}", host=host).abandon()
    made = [Network.get(name, host=host) for name in rounds]
    yield "remove network", in_a_row(lambda network: network.remove(), made)
