"""What kills commands, and has the kernel refuse them, at each call that changes something.

Which commands is for the tests to say. The points are counted, not listed: ``failpoint.c`` disturbs
a command at its n-th such call, whichever that is.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agreement import Told, kernel, told, wait_for_kernel
from lab import Machine

# Every n-th point.
SHARE = int(os.environ.get("CRASH_SHARE", "16"))
_ERRORS = (errno.ENOMEM, errno.ENOBUFS, errno.EBUSY, errno.ENOSPC)
BOX = ("run", "-d", "--name", "box", "--network", "crash", "-p", "8080:80", "sleep", "600")


class Operation(NamedTuple):
    """A command.

    Attributes:
        before: Those before it.
        between: What a container may be besides what it was and what it was to be: steps users
            know by name.
    """

    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    between: tuple[str, ...] = ()


def compiled(directory: Path) -> str:
    """The program that disturbs others."""
    source, binary = Path(__file__).parent / "failpoint.c", directory / "failpoint"
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source], check=True)
    return str(binary)


class Rig:
    """A host with something on it that must never be touched, and what disturbs its commands."""

    def __init__(self, host: Machine, failpoint: str, report: Path) -> None:
        self.host, self._failpoint, self._report = host, failpoint, report
        host.ny("network", "create", "steady")
        host.ny("run", "-d", "--name", "witness", "--network", "steady", "sleep", "6000")
        self.furnish()
        # The first of everything leaves more than the next: a shim unpacked, a mount point.
        host.ny(*BOX)
        self.tidy()
        self.untouched = kernel(host)

    def furnish(self) -> None:
        """Make what commands are about."""
        self.host.ny("network", "create", "--ipv6", "crash")

    def check_untouched(self, where: str) -> None:
        """All is as it was."""
        wait_for_kernel(self.host, self.untouched, where)

    def start_disturbed(
        self, command: tuple[str, ...], point: int, action: str
    ) -> subprocess.Popen[bytes]:
        """Start what goes on until a point."""
        disturbed = (self._failpoint, str(point), action, sys.executable, "-m", "netyard", *command)
        environment = {**os.environ, "FAILPOINT_REPORT": str(self._report)}
        return self.host.popen(*disturbed, env=environment)

    def disturb(self, command: tuple[str, ...], point: int, action: str) -> tuple[int, str]:
        """Run a command to a point; its exit status and what it said."""
        disturbed = (self._failpoint, str(point), action, sys.executable, "-m", "netyard", *command)
        environment = {"FAILPOINT_REPORT": str(self._report)}
        done = self.host.run(*disturbed, check=False, timeout=30, env=environment)
        return done.returncode, done.stderr

    @property
    def reported(self) -> tuple[int, str]:
        """How many calls the last command made, and the one that was disturbed."""
        calls, name = self._report.read_text().split()
        return int(calls), name

    def prepare(self, operation: Operation) -> Told:
        """What is to be there before it."""
        for command in operation.before:
            self.host.ny(*command)
        return self.containers()

    def containers(self) -> Told:
        """What users are told of the containers that commands are about."""
        return told(self.host, but="witness")

    def tidy(self) -> None:
        """By ordinary commands."""
        listed = self.host.ny("ps", "-a", "--format", "{{.Names}}").split()
        for name in (each for each in listed if each != "witness"):
            self.host.ny("rm", "-f", name)
        if "other" in self.host.ny("network", "ls", "--format", "{{.Name}}").split():
            self.host.ny("network", "rm", "other")

    def undisturbed(self, operation: Operation) -> tuple[int, Told]:
        """How many calls there are to disturb, and what there is when none was."""
        self.prepare(operation)
        status, said = self.disturb(operation.command, 0, "before")
        assert status == 0, said
        calls, _ = self.reported
        # Of what is whole `repair` changes little.
        assert calls > 5, "what is counted?"
        done = self.containers()
        self.tidy()
        return calls, done


def some(name: str, calls: int) -> Iterator[int]:
    """The points that are tried: others for each operation."""
    yield from range(1 + len(name) % SHARE, calls + 1, SHARE)


def kill_at_every_call(rig: Rig, name: str, operation: Operation, moment: str) -> None:
    """Kill a command at each point, and see what there is."""
    calls, done = rig.undisturbed(operation)
    for point in some(name, calls):
        was = rig.prepare(operation)
        status, said = rig.disturb(operation.command, point, moment)
        _, call = rig.reported
        where = f"{name}: killed {moment} call {point}, {call}: {said}"
        assert status == 137 or call == "nothing", where
        found = rig.containers()
        states = [state for state, *_ in found.values()]
        assert found in (was, done) or states[0] in operation.between, (where, was, found)
        rig.tidy()
        rig.check_untouched(where)


def refuse_at_every_call(rig: Rig, name: str, operation: Operation) -> None:
    """Have each point refused, and see what there is and what is said."""
    calls, done = rig.undisturbed(operation)
    for number, point in enumerate(some(name, calls)):
        was, before = rig.prepare(operation), kernel(rig.host)
        error = _ERRORS[number % len(_ERRORS)]
        status, said = rig.disturb(operation.command, point, str(error))
        _, call = rig.reported
        where = f"{name}: {errno.errorcode[error]} from call {point}, {call}: {status} {said}"
        assert "Traceback" not in said and "panicked" not in said, where
        if status == 0:
            assert rig.containers() == done, where
        else:
            # Reload says what is lost in its report.
            assert said.startswith("netyard: ") or name == "reload", where
            found = rig.containers()
            # What was being taken away is, by the next command.
            states = [state for state, *_ in found.values()]
            assert found in (was, done) or states[0] in operation.between, (where, was, found)
            if found == was != done:
                wait_for_kernel(rig.host, before, where)
        rig.tidy()
        rig.check_untouched(where)
