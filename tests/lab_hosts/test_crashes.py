"""Commands killed, and refused by the kernel, at each system call that changes something.

CI tries a share of them, ``make crashes`` all (CRASH_SHARE=1). ``tests/crashing.py`` is what disturbs;
drivers this kernel lacks are in ``tests/vm``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

import cluster
import crashing
from agreement import kernel, wait_for_kernel
from cluster import Cluster
from crashing import BOX, Operation, Rig, kill_at_every_call, refuse_at_every_call, some
from lab import Guest, Machine, wait_for

# For an agent to be back and answer, on a machine that is busy with other tests.
PATIENCE = 30.0
ON_PARENT = ("run", "-d", "--name", "box", "--network", "wire", "sleep", "600")
ADOPT = ("adopt", "box", "--netns", "/run/netns/guest", "--network", "crash", "-p", "8080:80")


RUNNING = (BOX,)
OPERATIONS = {
    "create": Operation(("network", "create", "--ipv6", "other")),
    "remove": Operation(("network", "rm", "other"), (("network", "create", "other"),)),
    "run": Operation(BOX, between=("created",)),
    "run to the end": Operation(
        ("run", "--rm", "--network", "crash", "true"),
        # Its supervisor removes it meanwhile.
        between=("created", "exited", "removing"),
    ),
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
    "rm": Operation(("rm", "-f", "box"), RUNNING, ("exited", "created")),
    "reload": Operation(("reload",), RUNNING),
    "repair": Operation(("repair",), RUNNING),
    "create macvlan": Operation(("network", "create", "-d", "macvlan", "other")),
    "run on macvlan": Operation(ON_PARENT, between=("created",)),
    "rm on macvlan": Operation(("rm", "-f", "box"), (ON_PARENT,), ("exited", "created")),
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
    "run": Operation(ON_OVERLAY, between=("created",)),
    "rm": Operation(("rm", "-f", "box"), (ON_OVERLAY,), ("exited", "created")),
    "connect": Operation(
        ("network", "connect", "crash", "box"),
        (("run", "-d", "--name", "box", "--network", "steady", "sleep", "600"),),
    ),
    "disconnect": Operation(("network", "disconnect", "crash", "box"), (ON_OVERLAY,)),
}


@pytest.fixture(scope="session")
def failpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program that disturbs others."""
    return crashing.compiled(tmp_path_factory.mktemp("failpoint"))


_GUEST = """
ip netns add guest
ip -n guest link add own0 type veth peer name own1
ip -n guest addr add 10.99.0.2/24 dev own0
ip -n guest link set own0 up; ip -n guest link set own1 up; ip -n guest link set lo up
ip -n guest route add default via 10.99.0.1
"""


class HostRig(Rig):
    """A host of its own, with networks of all kinds that this kernel has."""

    def furnish(self) -> None:
        """And a namespace to adopt, which has a default route of its own."""
        super().furnish()
        self.host.run("sh", "-e", "-c", _GUEST)
        self._guest = self._in_guest()
        self.host.ny("network", "create", "-d", "macvlan", "-o", "parent=eth0", "wire")

    def _in_guest(self) -> str:
        return self.host.out("sh", "-c", "ip -n guest -br addr; ip -n guest route")

    def check_untouched(self, where: str) -> None:
        """In the namespace that is not ours, too."""
        super().check_untouched(where)
        try:
            wait_for(lambda: self._in_guest() == self._guest)
        except AssertionError:
            raise AssertionError(f"{where}: {self._in_guest()} is not {self._guest}") from None


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
    return HostRig(host, failpoint, tmp_path / "report")


@pytest.fixture
def shared_rig(failpoint: str, tmp_path: Path) -> Iterator[SharedRig]:
    """A host of a cluster to crash commands on."""
    with cluster.opened(2) as made:
        made.join()
        yield SharedRig(made, failpoint, tmp_path / "report")


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


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", OPERATIONS)
def test_refused_at_every_call(rig: Rig, name: str) -> None:
    """CV3: a kernel without memory or room: the command does all the same, or nothing, and says so."""
    refuse_at_every_call(rig, name, OPERATIONS[name])


CREATE_FIRST = ("network", "create", "--ipv6", "-o", "spoof_check=true", "first")
REMOVE_LAST = ("network", "rm", "first")
_SETTINGS = (
    "net.ipv4.ip_forward=0",
    "net.ipv6.conf.all.forwarding=0",
    "net.ipv6.conf.eth0.accept_ra=1",
)


class BareRig(Rig):
    """A host without any network, so that all there is goes with the one that is made."""

    def __init__(self, host: Machine, failpoint: str, report: Path) -> None:
        self.host, self._failpoint, self._report = host, failpoint, report
        host.run("sysctl", "-qw", *_SETTINGS)
        self.settings = self._settings()
        host.ny(*CREATE_FIRST)
        assert host.out("nft", "list", "tables") and self._settings() != self.settings
        host.ny(*REMOVE_LAST)
        self.untouched = kernel(host)

    def _settings(self) -> str:
        shown = "sysctl -a 2>/dev/null | grep -E '^net.*(forward|accept_ra|redirects|localnet)'"
        return self.host.out("sh", "-c", f"{shown} | grep -v '^net.*[.]nx-'")

    def check_untouched(self, where: str) -> None:
        """No rule, and the settings of before there was any network."""
        super().check_untouched(where)
        assert self.host.out("nft", "list", "ruleset") == "", where
        assert self._settings() == self.settings, where


@pytest.mark.timeout(600)
@pytest.mark.parametrize("action", ["before", "after", str(errno.ENOMEM)])
@pytest.mark.parametrize("command", [CREATE_FIRST, REMOVE_LAST], ids=["create", "remove"])
def test_the_only_network_leaves_nothing(
    host: Machine, failpoint: str, tmp_path: Path, command: tuple[str, ...], action: str
) -> None:
    """CV3, FW28: tables and forwarding go with it, when its command is killed or fails, too."""
    rig = BareRig(host, failpoint, tmp_path / "report")
    rig.check_untouched("before all")
    gone = tried = 0
    for point in some("only" + action, 400):
        if command is REMOVE_LAST:
            host.ny(*CREATE_FIRST)
        rig.disturb(command, point, action)
        _, call = rig.reported
        where = f"{command[1]}: {action} call {point}, {call}"
        # Any command recovers what was interrupted.
        listed = host.ny("network", "ls", "--format", "{{.Name}}").split()
        if "first" in listed:
            host.ny(*REMOVE_LAST)
        else:
            gone += 1
        rig.check_untouched(where)
        if call == "nothing":
            break
        tried += 1
    assert gone > 1 and tried > 2


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
    # The journal's room is used for what is recorded; a few pages of the database each fill it.
    large = ("--label", "text=" + 10_000 * "x")
    for number in range(40):
        done = host.netyard(*ny, "network", "create", *large, f"net{number}", check=False)
        if done.returncode:
            failures += 1
            assert done.stderr.startswith("netyard: the store "), done.stderr
            assert "disk is full\nhint: make room " in done.stderr, done.stderr
            if failures == 1:
                before = kernel(host)
            wait_for_kernel(host, before, f"network {number}")
    assert failures > 1, "the disk is not full"
    assert "Up" in host.ny(*ny, "ps")
    assert Guest(host, "box") and host.ny(*ny, "exec", "box", "ip", "addr").count("eth0") >= 1
    host.run("rm", "/run/small/fill")
    host.ny(*ny, "network", "create", "again")
    host.ny(*ny, "rm", "-f", "box")
