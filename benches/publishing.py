"""Ports of one container: many in one call, one more beside them, some unpublished."""

from __future__ import annotations

import time
from pathlib import Path

from measuring import FLOOR, FLOOR_MAP, ROUNDS, SETTLE_SECONDS, in_a_row, median, sh, timed

PORTS = 10_000


def published(work: Path) -> dict[str, dict[str, float]]:
    """Ports of one container: many in one call, one more beside them, some unpublished."""
    from netyard import Container, Host, Network

    host = Host()
    Network.create("ports", host=host)
    sh("ip netns add ports")
    floors: list[float] = []
    sh(f"nft '{FLOOR_MAP}'")
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
        columns.setdefault(f"{PORTS} as single flags", []).append(took - none)
        Container.get("web", host=host).abandon()
        time.sleep(SETTLE_SECONDS)
        row = [f"10000-{9999 + PORTS}:10000-{9999 + PORTS}"]
        took = timed(lambda words=row: Container.adopt("web", publish=words, **flags))
        columns.setdefault(f"{PORTS} in one call", []).append(took - none)
        box = Container.get("web", host=host)
        more = [f"{port}:80" for port in range(30001, 30011)]
        columns.setdefault("one more", []).append(in_a_row(box.add_ports, more))
        some = [f"{port}:{port}" for port in range(10000, 10300)]
        taken = timed(lambda box=box, some=some: box.remove_ports(*some))
        columns.setdefault("300 unpublished", []).append(taken)
        box.abandon()
    return {
        f"{FLOOR}, one map": {f"{PORTS} in one call": median(floors)},
        "netyard (library)": {name: median(samples) for name, samples in columns.items()},
    }
