"""netyard beside its peers and the bare kernel, in one run on one machine.

``make bench`` runs it; it writes ``docs/performance.md`` and ``benches/results/last.json``. With
names of tables (``python benches/compare.py dns paths``) it measures and prints those, and writes
nothing. Everything happens in namespaces of its own. Peers that are not installed are left out.

Figures of one run are comparable with each other and with nothing else: trust the ratios.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import apart
from commands import commands
from connections import connections
from crowd import scale
from lifecycle import lifecycle, peers
from measuring import sh
from names import names
from publishing import published
from report import Table, write

HERE = Path(__file__).parent
TABLES: dict[str, Callable[[Path], Table]] = {
    "scale": scale,
    "lifecycle": lifecycle,
    "ports": published,
    "paths": connections,
    "dns": names,
    "cli": commands,
}


def main() -> None:
    """Build the C programs, measure each table in namespaces of its own, write."""
    if "--inside" in sys.argv:
        measure(Path(sys.argv[-2]), sys.argv[-1])
        return
    wanted = sys.argv[1:]
    work = tempfile.mkdtemp(prefix="netyard-bench-")
    try:
        for source in (HERE / "peers").glob("*.c"):
            binary = f"{work}/{source.stem}"
            subprocess.run(["cc", "-O2", "-pthread", "-o", binary, source], check=True)
        found: dict[str, Table] = {}
        for name in wanted or TABLES:
            apart.run([sys.executable, __file__, "--inside", work, name], check=True)
            found[name] = json.loads(Path(f"{work}/{name}.json").read_text())
            print(json.dumps({name: found[name]}, indent=1), flush=True)
        if not wanted:
            found["lifecycle"].update(peers())
            for name in [each for each in found["lifecycle"] if each.endswith("run --rm")]:
                found["cli"][name] = {"ms": found["lifecycle"].pop(name)["attach"]}
            write(found)
    finally:
        shutil.rmtree(work)


def measure(work: Path, name: str) -> None:
    """One table, written beside the C programs."""
    apart.check()
    sh(
        "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; mount -t sysfs sysfs /sys; ip link set lo up"
    )
    os.environ["NETYARD_ROOT"] = "/run/root"
    # Python's byte code is kept, as an installed package has it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    (work / f"{name}.json").write_text(json.dumps(TABLES[name](work)))


if __name__ == "__main__":
    main()
