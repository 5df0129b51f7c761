"""A thousand containers: what the last hundred of them take beside the first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from measuring import sh, timed

CROWD = 1000


def scale(_work: Path) -> dict[str, dict[str, float]]:
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
