"""What every measurement needs: a shell, a clock, the middle of some samples."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROUNDS = int(os.environ.get("ROUNDS", "7"))
SECONDS = os.environ.get("SECONDS", "1.5")
FLOOR = "kernel floor (raw netlink, C)"
SETTLE_SECONDS = 0.1
# For `floor ports`.
FLOOR_MAP = "table ip floor { map pub { type inet_service : ipv4_addr . inet_service; }; }"


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


def in_a_row(action: Callable[[Any], object], things: Iterable[Any]) -> float:
    """The median of how long it takes with each, once the kernel has tidied up, without a pause."""
    time.sleep(SETTLE_SECONDS)
    samples = []
    for each in things:
        start = time.perf_counter()
        action(each)
        samples.append((time.perf_counter() - start) * 1000)
    return median(samples)


def median(samples: list[float]) -> float:
    """The middle one."""
    return statistics.median(samples)


def cpu_seconds(pids: list[int]) -> float:
    """CPU time used by processes so far."""
    total = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / os.sysconf("SC_CLK_TCK")
