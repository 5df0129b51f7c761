"""netyard beside its peers and the bare kernel, in one run on one machine.

``make bench`` runs it; it writes ``docs/performance.md`` and ``benches/results/last.json``. With
names of tables (``python benches/compare.py dns paths``) it measures and prints those, and writes
nothing. Everything happens in namespaces of its own. Peers that are not installed are left out.

Figures of one run are comparable with each other and with nothing else: trust the ratios.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apart
from commands import commands
from connections import connections
from crowd import CROWD, scale
from lifecycle import BATCH, lifecycle, peers
from measuring import FLOOR, ROUNDS, sh
from names import names
from publishing import PORTS, published

HERE = Path(__file__).parent
Table = dict[str, dict[str, float]]
# The crowd first, while there are no other namespaces: what they cost is what is measured.
TABLES: dict[str, Callable[[Path], Table]] = {
    "scale": scale,
    "lifecycle": lifecycle,
    "ports": published,
    "paths": connections,
    "dns": names,
    "cli": commands,
}


def main() -> None:
    """Build the C programs, go into namespaces of our own, measure, write."""
    if "--inside" in sys.argv:
        measure(*sys.argv[sys.argv.index("--inside") + 1 :])
        return
    wanted = sys.argv[1:]
    work = tempfile.mkdtemp(prefix="netyard-bench-")
    try:
        for source in (HERE / "peers").glob("*.c"):
            binary = f"{work}/{source.stem}"
            subprocess.run(["cc", "-O2", "-pthread", "-o", binary, source], check=True)
        apart.run([sys.executable, __file__, "--inside", work, *wanted], check=True)
        found = json.loads(Path(f"{work}/results.json").read_text())
        if wanted:
            print(json.dumps(found, indent=1))
            return
        found["lifecycle"].update(peers())
        write(found)
    finally:
        shutil.rmtree(work)


def measure(directory: str, *wanted: str) -> None:
    """The tables of these names, or all, written beside the C programs."""
    apart.check()
    work = Path(directory)
    sh(
        "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; mount -t sysfs sysfs /sys; ip link set lo up"
    )
    os.environ["NETYARD_ROOT"] = "/run/root"
    # Python's byte code is kept, as an installed package has it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    measured = {name: table(work) for name, table in TABLES.items() if not wanted or name in wanted}
    (work / "results.json").write_text(json.dumps(measured))


def shown(rows: dict[str, dict[str, float]], columns: list[str], form: str) -> str:
    """A table in Markdown."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, cells in rows.items():
        cells_shown = (form.format(cells[column]) if column in cells else "–" for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells_shown) + " |")
    return "\n".join(lines)


def write(results: dict[str, Table]) -> None:
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

{shown(results["lifecycle"], steps, "{:.2f}")}

The same as multiples of the kernel floor:

{shown(ratios, steps[:7], "{:.1f}")}

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

{shown(results["ports"], [f"{PORTS} in one call", f"{PORTS} in as many words", "one more", "300 taken back"], "{:.1f}")}

The first two are what adopting a namespace takes longer with them: `-p 10000-19999:10000-19999`, and
{PORTS} flags. The kernel takes 18 ms of it for netyard's elements, whose keys hold the protocol and
which say whose they are. Of 300 taken back 5 ms are the search of the connection table. Docker, netavark and the CNI plugins
take seconds for a hundred: see `benches/peers`.

## {CROWD} containers on one network, milliseconds

{shown(results["scale"], ["first 100", "last 100"], "{:.2f}")}

What grows with the crowd is the kernel's, by `perf` at 900: the copy of the mount table that each
container's mount namespace begins as has one mount for every network namespace (12 % of a start), a
new port goes through all ports of the bridge (6 %), settings of a namespace are looked up in one hash
chain for all namespaces (6 %), and IPv6 routes of the host's ends are gone through (3 %).

## Names: answers per second on one core

![Names beside the peers](performance-names.svg)

{shown(results["dns"], dns, "{:.6g}")}

{NAMES} names, 96 questions in flight from a light client (`benches/peers/udpload.c`) that shares the
two cores with the server. On the same kind of machine, by the same client, Docker's server gave
0.37 of the limit and aardvark-dns 0.41. netyard's figures include the translation of 127.0.0.11:53 to its random
port in the container's namespace; the others are asked directly.

## Command line, whole processes, milliseconds

{shown(results["cli"], ["ms"], "{:.0f}")}

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
