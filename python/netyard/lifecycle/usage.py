"""What running containers use: processors, memory, network, processes (``netyard stats``).

From their control groups and the counters of their interfaces; without the former, of the network
alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from netyard.runtime import cgroup, cgroup_usage
from netyard.state.records import ContainerRecord
from netyard.state.root import Root


class Stats(NamedTuple):
    """What a container uses.

    Attributes:
        cpu_percent: Time of processors in the time that was looked at: 100 for all of one.
            ``None``, as the next, where the host has no control groups for netyard.
        memory: Bytes, without cached files that can be given back at once; ``None`` if not counted.
        memory_limit: Bytes it may use: all of the machine's if it has no limit.
        received: Bytes from its networks; 0 if it has the host's.
        sent: Bytes to its networks.
        pids: Processes and threads; ``None`` if not counted.

    Example:
        >>> web.stats().memory
        8593408
    """

    cpu_percent: float | None
    memory: int | None
    memory_limit: int
    received: int
    sent: int
    pids: int | None


class Sample(NamedTuple):
    """Counters of a container at one moment.

    Attributes:
        time_ns: When, by a clock that only goes on.
        usage: Of its control group, if it has one.
        traffic: Bytes received and sent.
    """

    time_ns: int
    usage: cgroup_usage.Usage | None
    traffic: tuple[int, int]


def sample(root: Root, container: ContainerRecord) -> Sample:
    """Read the counters of a running container; all are 0 once it has ended."""
    group = cgroup.of(root.layout, container.id)
    try:
        usage = cgroup_usage.usage(group) if group else None
    except FileNotFoundError:
        usage = None
    own = container.spec.mode != "host"
    return Sample(time.monotonic_ns(), usage, _traffic(container.pid) if own else (0, 0))


def between(container: ContainerRecord, first: Sample, last: Sample) -> Stats:
    """What it has used from one moment to another, and uses then."""
    percent = None
    if first.usage and last.usage and last.time_ns > first.time_ns:
        spent = last.usage.cpu_ns - first.usage.cpu_ns
        percent = 100 * spent / (last.time_ns - first.time_ns)
    return Stats(
        cpu_percent=percent,
        memory=last.usage.memory if last.usage else None,
        memory_limit=container.spec.memory or cgroup_usage.memory_of_the_machine(),
        received=last.traffic[0],
        sent=last.traffic[1],
        pids=last.usage.pids if last.usage else None,
    )


def _traffic(pid: int) -> tuple[int, int]:
    """Bytes of all interfaces but loopback, as a process sees them.

    Their names may hold anything but white space, also bytes that are no text and colons.
    """
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_bytes().split(b"\n")[2:-1]
    except OSError:
        return 0, 0
    found = [counters.split() for name, _, counters in (line.rpartition(b":") for line in lines)
             if name.strip() != b"lo"]  # fmt: skip
    return sum(int(each[0]) for each in found), sum(int(each[8]) for each in found)
