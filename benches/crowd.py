"""A thousand containers: what the last hundred of them take beside the first, and their agent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from measuring import SECONDS, median, sh, timed

CROWD = 1000
IDLE_SECONDS = 10
FIRST, LAST = "first 100", "last 100"
# Containers that are asked at once: as many sockets as the client has.
ASKED = 64


def scale(work: Path) -> dict[str, dict[str, float]]:
    """Containers of a command that waits: the first and the last hundred of them."""
    from netyard import Container, Host, Network

    host = Host()
    Network.create("crowd", subnet="10.77.0.0/16", host=host)
    made: list[Any] = []

    def run(count: int) -> None:
        for _ in range(count):
            made.append(Container.run("sleep", "3600", network="crowd", host=host))

    def look() -> tuple[float, float]:
        """What it takes to list all, and to inspect the last hundred, for each of them."""
        listing = median([timed(lambda: Container.list(host=host)) for _ in range(5)])
        some = made[-100:]
        inspecting = median([timed(lambda: [box.inspect() for box in some]) for _ in range(5)])
        return listing / len(made), inspecting / len(some)

    starts = [timed(lambda: run(100)) / 100]
    seen = [look()]
    rows = agent(work, made, FIRST)
    starts += [timed(lambda: run(100)) / 100 for _ in range(CROWD // 100 - 1)]
    seen.append(look())
    for name, columns in agent(work, made, LAST).items():
        rows[name].update(columns)
    removals = []
    while made:
        some, made[:] = made[:100], made[100:]
        removals.append(timed(lambda some=some: [box.remove(force=True) for box in some]) / 100)
    Network.get("crowd", host=host).remove()
    time.sleep(5)
    return {
        "run, ms each": {FIRST: starts[0], LAST: starts[-1]},
        "remove, ms each": {FIRST: removals[-1], LAST: removals[0]},
        "list, ms each": {FIRST: seen[0][0], LAST: seen[1][0]},
        "inspect, ms each": {FIRST: seen[0][1], LAST: seen[1][1]},
        **rows,
    }


def agent(work: Path, made: list[Any], column: str) -> dict[str, dict[str, float]]:
    """What the agent takes, and how fast it answers, with so many containers."""
    time.sleep(2)
    pid = int(sh("pgrep -f 'agent --exit-when-idle'").split()[0])
    before = used_by(pid)
    time.sleep(IDLE_SECONDS)
    idle = {name: (used - before[name]) / IDLE_SECONDS for name, used in used_by(pid).items()}
    memory = sum(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )
    (work / "crowd").write_text("".join(f"{box.name} A\n" for box in made[:100]))
    spread = [str(box.namespace) for box in made[:: len(made) // ASKED]][:ASKED]
    sh(f"taskset -a -c -p 1 {pid}")
    asked = {
        "answers/s to one of them": f"96 8 {spread[0]}",
        f"answers/s to {ASKED} sockets of one": f"{2 * ASKED} {ASKED} {spread[0]}",
        f"answers/s to {ASKED} of them": f"{2 * ASKED} {ASKED} {' '.join(spread)}",
    }
    rates = {
        name: rate(f"{work}/udpload 127.0.0.11 53 {work}/crowd", how) for name, how in asked.items()
    }
    sh(f"taskset -a -c -p 0,1 {pid}")
    found = {
        "agent, PSS in MiB": memory / 1024,
        "its name server idle, CPU ms a second": idle["netyard-dns"],
        "the rest of it idle, CPU ms a second": sum(idle.values()) - idle["netyard-dns"],
        **rates,
    }
    return {name: {column: value} for name, value in found.items()}


def used_by(pid: int) -> dict[str, float]:
    """CPU time of a process so far, in milliseconds by the names of its threads.

    As the scheduler counts it: for what takes less than a tick, `cpu_seconds` counts none or a tick.
    """
    used: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        nanoseconds = int((task / "schedstat").read_text().split()[0])
        used[name] = used.get(name, 0.0) + nanoseconds / 1e6
    return used


def rate(client: str, how: str) -> float:
    """Answers per second, the middle of three."""
    words = f"taskset -c 0 {client} {SECONDS} {how}"
    return median([float(sh(words).split()[0]) for _ in range(3)])
