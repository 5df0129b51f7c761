"""Processes of containers, from the host's side: identified by pid and start time, pidfd, ``top``.

Starting them is `netyard.runtime.shim`.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from netyard.errors import Invalid, shown
from netyard.state.records import ContainerRecord

_KILL_SECONDS = 10.0
_POLL_SECONDS = 0.01
_LONG = 3600.0
_COMMAND_BYTES = 1 << 16


def signal_number(field: str, given: int | str) -> int:
    """A signal by number or by name, with or without ``SIG``.

    Raises:
        Invalid: if there is none such.
    """
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given < signal.NSIG:
        return int(given)
    if isinstance(given, str):
        text = given.upper()
        name = text if text.startswith("SIG") else f"SIG{text}"
        if name in signal.Signals.__members__:
            return int(signal.Signals[name])
        if text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) < signal.NSIG:
            return int(text)
    raise Invalid(
        f"{field}: {shown(given)} is no signal such as TERM or 15", field=field, value=given
    )


def _stat(pid: int | str) -> list[str]:
    """What follows the name in ``/proc/PID/stat``, from the third field on.

    The name is in parentheses and may hold anything, also bytes that are no text.
    """
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode().split()


def start_time(pid: int) -> int:
    """Field 22 of ``/proc/PID/stat``, in clock ticks since boot; 0 if there is no such process."""
    try:
        words = _stat(pid)
    except OSError:
        return 0
    return 0 if words[0] in ("Z", "X") else int(words[19])


def is_alive(container: ContainerRecord) -> bool:
    """Whether the container's first process runs."""
    # A recorded start time of 0: the process had ended before the time could be read.
    return container.pid_start > 0 and start_time(container.pid) == container.pid_start


def processes_below(pid: int) -> list[dict[str, str]]:
    """A process and its descendants, as ``top`` shows them, with the host's pids."""
    stats = _stats()
    return [_row(each, stats[each]) for each in _below(pid, stats)]


def _stats() -> dict[int, list[str]]:
    """Of each process, what follows its name in ``/proc/PID/stat``."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found[int(directory.name)] = _stat(directory.name)
    return found


def _below(pid: int, stats: Mapping[int, list[str]]) -> list[int]:
    parents: dict[int, list[int]] = {}
    for each, words in stats.items():
        parents.setdefault(int(words[1]), []).append(each)
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop(0)
        if each in stats:
            found.append(each)
        waiting += sorted(parents.get(each, ()))
    return found


def open_child(parent: int, pid: int) -> tuple[int, ...]:
    """A descriptor (pidfd) of a child of a process; none if it has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return ()
    # Checked after opening: only now can the pid not be given to another process unnoticed.
    with suppress(OSError, IndexError):
        if int(_stat(pid)[1]) == parent:
            return (fd,)
    os.close(fd)
    return ()


def end_all(leader: int, session: int) -> None:
    """Kill what a process has started and what is in a session, but not the process itself.

    Those whose parent has ended are found by the session. One that has begun a session of its own
    as well is the container's: its first process is its parent now, and it cannot be told from
    another's.

    Args:
        leader: The process.
        session: Pid of the leader of a session, which may have ended.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline:
        stats = _stats()
        below = set(_below(leader, stats)) - {leader}
        members = {pid for pid, words in stats.items() if int(words[3]) == session}
        left = [
            (pid, int(stats[pid][19])) for pid in below | members if stats[pid][0] not in ("Z", "X")
        ]
        if not left:
            return
        for pid, start in left:
            _kill(pid, start)
        if not members:
            # From now on the number may be another session's.
            session = -1
        time.sleep(_POLL_SECONDS)


def _kill(pid: int, start: int) -> None:
    with suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            if start_time(pid) == start:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)


def _row(pid: int, stat: list[str]) -> dict[str, str]:
    ticks = int(stat[11]) + int(stat[12])
    seconds = ticks // os.sysconf("SC_CLK_TCK")
    directory = Path(f"/proc/{pid}")
    try:
        uid = str(directory.stat().st_uid)
        with (directory / "cmdline").open("rb") as stream:
            words = stream.read(_COMMAND_BYTES)
        command = words.replace(b"\0", b" ").decode(errors="replace")
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

    def wait(self, seconds: float | None) -> bool:
        """Wait until the process has ended, for ever if ``None``; whether it has in time."""
        if self._fd < 0:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = _LONG if deadline is None else max(0.0, deadline - time.monotonic())
            # More than this is more than poll(2) takes.
            if poll.poll(min(left, _LONG) * 1000):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
