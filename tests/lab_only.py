"""For programs of the tests that change networks: they run on lab machines and nowhere else."""

from __future__ import annotations

from pathlib import Path


def check() -> None:
    """End the process unless the first one here is that of a lab machine (`lab._INIT`)."""
    if b"sigtimedwait" not in Path("/proc/1/cmdline").read_bytes():
        raise SystemExit("this changes networks: only tests run it, on a lab machine")
