"""Processes of containers, from the host's side: identified by pid and start time, pidfd, ``top``.

Starting them is `netyard.runtime.shim`.
"""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

from netyard.state.records import ContainerRecord


def start_time(pid: int) -> int:
    """Field 22 of ``/proc/PID/stat``, in clock ticks since boot; 0 if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The second field is the name in parentheses, which may hold anything.
    words = text.rpartition(")")[2].split()
    return 0 if words[0] in ("Z", "X") else int(words[19])


def is_alive(container: ContainerRecord) -> bool:
    """Whether the container's first process runs."""
    # A recorded start time of 0: the process had ended before the time could be read.
    return container.pid_start > 0 and start_time(container.pid) == container.pid_start


def processes_below(pid: int) -> list[dict[str, str]]:
    """A process and its descendants, as ``top`` shows them, with the host's pids."""
    parents: dict[int, list[int]] = {}
    stats: dict[int, list[str]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(directory.name)] = words
        parents.setdefault(int(words[1]), []).append(int(directory.name))
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop(0)
        if each in stats:
            found.append(_row(each, stats[each]))
        waiting += sorted(parents.get(each, ()))
    return found


def _row(pid: int, stat: list[str]) -> dict[str, str]:
    ticks = int(stat[11]) + int(stat[12])
    seconds = ticks // os.sysconf("SC_CLK_TCK")
    directory = Path(f"/proc/{pid}")
    try:
        uid = str(directory.stat().st_uid)
        command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        uid, command = "?", ""
    time_used = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    parts = {"UID": uid, "PID": str(pid), "PPID": stat[1], "TIME": time_used}
    return {**parts, "CMD": command.strip() or "?"}


class Process:
    """A pidfd of a container's first process: never another process with the same pid."""

    def __init__(self, container: ContainerRecord) -> None:
        self._fd = -1
        try:
            fd = os.pidfd_open(container.pid)
        except (ProcessLookupError, ValueError, OSError):
            return
        # Checked after opening: from now on, reuse of the pid does not change what the pidfd is of.
        if start_time(container.pid) == container.pid_start:
            self._fd = fd
        else:
            os.close(fd)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def send(self, number: int) -> None:
        """Send a signal; nothing happens if the process is gone."""
        if self._fd < 0:
            return
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return

    def wait(self, seconds: float) -> bool:
        """Wait until the process has ended; whether it has in time."""
        if self._fd < 0:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(max(0, int(seconds * 1000))))
