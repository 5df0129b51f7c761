"""What control groups have counted: time of processors, memory, processes."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from netyard.runtime.cgroup import numbers


class Usage(NamedTuple):
    """What a group uses.

    Attributes:
        cpu_ns: Time of processors so far, in nanoseconds.
        memory: Bytes, without cached files that can be given back at once; ``None`` if not counted.
        pids: Processes and threads; ``None`` if not counted.
    """

    cpu_ns: int
    memory: int | None
    pids: int | None


def usage(group: Path) -> Usage:
    """What a group uses now.

    Raises:
        FileNotFoundError: if it is gone.
    """
    cpu = numbers(group / "cpu.stat", missing_ok=False).get("usage_usec", 0)
    memory = _number(group / "memory.current")
    if memory is not None:
        memory = max(0, memory - numbers(group / "memory.stat").get("inactive_file", 0))
    return Usage(cpu * 1000, memory, _number(group / "pids.current"))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=1)
def memory_of_the_machine() -> int:
    """All the memory there is, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
