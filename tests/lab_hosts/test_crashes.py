"""Commands killed, and refused by the kernel, at each system call that changes something.

The points are counted, not listed: ``tests/failpoint.c`` disturbs a command at its n-th such call,
whichever that is. CI tries a share of them, ``make crashes`` all (CRASH_SHARE=1).
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import cluster
from agreement import Told, kernel, told, wait_for_kernel
from cluster import Cluster
from lab import Guest, Machine, wait_for

# Every n-th point.
SHARE = int(os.environ.get("CRASH_SHARE", "16"))
# For an agent to be back and answer, on a machine that is busy with other tests.
PATIENCE = 30.0
ERRORS = (errno.ENOMEM, errno.ENOBUFS, errno.EBUSY, errno.ENOSPC)
BOX = ("run", "-d", "--name", "box", "--network", "crash", "-p", "8080:80", "sleep", "600")
ON_PARENT = ("run", "-d", "--name", "box", "--network", "wire", "sleep", "600")
ADOPT = ("adopt", "box", "--netns", "/run/netns/guest", "--network", "crash", "-p", "8080:80")


class Operation(NamedTuple):
    """A command, and those before it."""

    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()


RUNNING = (BOX,)
OPERATIONS = {
    "create": Operation(("network", "create", "--ipv6", "other")),
    "remove": Operation(("network", "rm", "other"), (("network", "create", "other"),)),
    "run": Operation(BOX),
    "run to the end": Operation(("run", "--rm", "--network", "crash", "true")),
    "adopt": Operation(ADOPT),
    "abandon": Operation(("abandon", "box"), (ADOPT,)),
    "connect": Operation(("network", "connect", "steady", "box"), RUNNING),
    "disconnect": Operation(("network", "disconnect", "crash", "box"), RUNNING),
    # The default route moves, and published ports with it.
    "connect before others": Operation(
        ("network", "connect", "--gw-priority", "9", "steady", "box"), RUNNING
    ),
    "disconnect the first": Operation(
        ("network", "disconnect", "crash", "box"),
        (BOX, ("network", "connect", "steady", "box")),
    ),
    "publish": Operation(("port", "add", "box", "8081:81", "8082:82"), RUNNING),
    "unpublish": Operation(("port", "rm", "box", "8080:80"), RUNNING),
    "stop": Operation(("stop", "-t", "0", "box"), RUNNING),
    "start": Operation(("start", "box"), (BOX, ("stop", "-t", "0", "box"))),
    "rename": Operation(("rename", "box", "boxer"), RUNNING),
    "rm": Operation(("rm", "-f", "box"), RUNNING),
    "reload": Operation(("reload",), RUNNING),
    "repair": Operation(("repair",), RUNNING),
    "create macvlan": Operation(("network", "create", "-d", "macvlan", "other")),
    "run on macvlan": Operation(ON_PARENT),
    "rm on macvlan": Operation(("rm", "-f", "box"), (ON_PARENT,)),
    "connect macvlan": Operation(("network", "connect", "wire", "box"), RUNNING),
    "disconnect macvlan": Operation(
        ("network", "disconnect", "wire", "box"),
        (BOX, ("network", "connect", "wire", "box")),
    ),
}
ON_OVERLAY = ("run", "-d", "--name", "box", "--network", "crash", "sleep", "600")
SHARED_NETWORK = ("network", "create", "-d", "overlay", "other")
# In a cluster, where the network ``crash`` is one that spans hosts.
SHARED = {
    "create": Operation(SHARED_NETWORK),
    "remove": Operation(("network", "rm", "other"), (SHARED_NETWORK,)),
    "run": Operation(ON_OVERLAY),
    "rm": Operation(("rm", "-f", "box"), (ON_OVERLAY,)),
    "connect": Operation(
        ("network", "connect", "crash", "box"),
        (("run", "-d", "--name", "box", "--network", "steady", "sleep", "600"),),
    ),
    "disconnect": Operation(("network", "disconnect", "crash", "box"), (ON_OVERLAY,)),
}
# What a container may be besides what it was and what it was to be: steps users know by name.
BETWEEN = {
    "run": ("created",),
    # Its supervisor removes it meanwhile.
    "run to the end": ("created", "exited", "removing"),
    "rm": ("exited", "created"),
    "run on macvlan": ("created",),
    "rm on macvlan": ("exited", "created"),
}


@pytest.fixture(scope="session")
def failpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program that disturbs others."""
    source = Path(__file__).parents[1] / "failpoint.c"
    binary = tmp_path_factory.mktemp("failpoint") / "failpoint"
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
        self.host.run("ip", "netns", "add", "guest")
        self.host.ny("network", "create", "-d", "macvlan", "-o", "parent=eth0", "wire")

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
        assert calls > 10, "what is counted?"
        done = self.containers()
        self.tidy()
        return calls, done


class SharedRig(Rig):
    """One of two hosts of a cluster; a container on the other watches what it hears of it."""

    def __init__(self, members: Cluster, failpoint: str, report: Path) -> None:
        self._cluster = members
        super().__init__(members.hosts[0], failpoint, report)
        self._keys = self._owned()

    def furnish(self) -> None:
        """The network is everybody's."""
        self.host.ny("network", "create", "-d", "overlay", "crash")
        self.witness = cluster.run(self._cluster.hosts[1], "listener", "crash")

    def _owned(self) -> set[str]:
        """What there is in etcd, but for where addresses have got to."""
        return {key for key in self._cluster.shared_keys() if "/cursors/" not in key}

    def check_untouched(self, where: str) -> None:
        """In etcd and for the other host, too."""
        super().check_untouched(where)
        wait_for(lambda: self._owned() == self._keys, seconds=10, what=f"{where}: {self._keys}")
        wait_for(lambda: not self.witness.dig("box"), what=f"{where}: its name")


@pytest.fixture
def rig(host: Machine, failpoint: str, tmp_path: Path) -> Rig:
    """A host to crash commands on."""
    return Rig(host, failpoint, tmp_path / "report")


@pytest.fixture
def shared_rig(failpoint: str, tmp_path: Path) -> Iterator[SharedRig]:
    """A host of a cluster to crash commands on."""
    with cluster.opened(2) as made:
        made.join()
        yield SharedRig(made, failpoint, tmp_path / "report")


def some(name: str, calls: int) -> Iterator[int]:
    """The points that are tried: others for each operation."""
    yield from range(1 + len(name) % SHARE, calls + 1, SHARE)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_every_call(rig: Rig, name: str, moment: str) -> None:
    """CV3: the next command finds all or nothing done; nothing acknowledged is lost, nothing left."""
    kill_at_every_call(rig, name, OPERATIONS[name], moment)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", SHARED)
def test_killed_at_every_call_in_a_cluster(shared_rig: SharedRig, name: str, moment: str) -> None:
    """CV3: and nothing is left in etcd, nor known to other hosts."""
    kill_at_every_call(shared_rig, name, SHARED[name], moment)


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
        assert found in (was, done) or states[0] in BETWEEN.get(name, ()), (where, was, found)
        rig.tidy()
        rig.check_untouched(where)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", OPERATIONS)
def test_refused_at_every_call(rig: Rig, name: str) -> None:
    """CV3: a kernel without memory or room: the command does all the same, or nothing, and says so."""
    operation = OPERATIONS[name]
    calls, done = rig.undisturbed(operation)
    for number, point in enumerate(some(name, calls)):
        was, before = rig.prepare(operation), kernel(rig.host)
        error = ERRORS[number % len(ERRORS)]
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
            assert found in (was, done) or states[0] in BETWEEN.get(name, ()), (where, was, found)
            if found == was != done:
                wait_for_kernel(rig.host, before, where)
        rig.tidy()
        rig.check_untouched(where)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_agent_killed_at_every_call(rig: Rig, moment: str) -> None:
    """A name server that dies at any moment is back with the next command, and knows everybody."""
    host, tried = rig.host, 0
    host.ny("run", "-d", "--name", "asker", "--network", "steady", "sleep", "6000")
    asker, address = Guest(host, "asker"), Guest(host, "witness").address("steady")
    rig.untouched = kernel(host)

    def resolved(name: str) -> str | None:
        done = asker.run("dig", "+short", "+time=1", "+tries=1", name, check=False)
        if done.returncode:
            # The question has ended it; the next command brings it back.
            host.ny("ps")
            return None
        return done.stdout.strip()

    for point in some(moment, 400):
        host.run("pkill", "-KILL", "-f", " agent --exit-when-idle", check=False)
        agent = rig.start_disturbed(("agent", "--exit-when-idle"), point, moment)
        where = f"agent killed {moment} call {point}"
        wait_for(lambda: resolved("witness") == address, seconds=PATIENCE, what=where)
        host.ny(*BOX)
        host.ny("network", "connect", "steady", "box")
        own = Guest(host, "box").address("steady")
        wait_for(lambda own=own: resolved("box") == own, seconds=PATIENCE, what=where)
        host.ny("rm", "-f", "box")
        wait_for(lambda: resolved("witness") == address, seconds=PATIENCE, what=where)
        wait_for(lambda own=own: resolved("box") != own, seconds=PATIENCE, what=where)
        rig.check_untouched(where)
        if agent.poll() is None:
            break
        tried += 1
    assert tried > 2


@pytest.mark.timeout(120)
def test_full_disk(host: Machine) -> None:
    """No room under the root: one sentence, nothing half done, and all is well with room again."""
    host.run("mkdir", "/run/small")
    host.run("mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", "/run/small")
    ny = ("--root", "/run/small")
    host.ny(*ny, "network", "create", "net")
    host.ny(*ny, "run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    host.run("dd", "if=/dev/zero", "of=/run/small/fill", "bs=4k", check=False)
    before = kernel(host)
    failures = 0
    for number in range(40):
        done = host.netyard(*ny, "network", "create", f"net{number}", check=False)
        if done.returncode:
            failures += 1
            assert done.stderr.startswith("netyard: the store "), done.stderr
            assert "full" in done.stderr, done.stderr
            if failures == 1:
                before = kernel(host)
            wait_for_kernel(host, before, f"network {number}")
    assert failures > 1, "the disk is not full"
    assert "Up" in host.ny(*ny, "ps")
    assert Guest(host, "box") and host.ny(*ny, "exec", "box", "ip", "addr").count("eth0") >= 1
    host.run("rm", "/run/small/fill")
    host.ny(*ny, "network", "create", "again")
    host.ny(*ny, "rm", "-f", "box")
