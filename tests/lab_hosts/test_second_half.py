"""Operations whose second half is refused for good: it becomes a state, and nothing else suffers.

What is refused is what a host or a container can take away between two commands: a host port, a
published address, an interface, its addresses, a route, room on a disk. In each case some thirty
other commands follow, and work (moby#51578, and wider).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import crashing
import warm
from crashing import Operation, Rig
from lab import SERVER, SLOWNESS, Lab, Machine, wait_for

# Exits when the file is removed, so that a test ends what it has started and nothing else.
_SERVER = """
import os, socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 8080)); s.listen()
open("/run/taken", "w").close()
while os.path.exists("/run/taken"): time.sleep(0.05)
"""
TWO = ("--network", "na", "--network", "nb")
RUN = ("run", "-d", "--name", "c1", "--cap-add", "NET_ADMIN", *TWO, "-p", "8080:80")
SLEEP = ("sleep", "600")
ADOPT = ("adopt", "c1", "--netns", "/run/netns/guest", *TWO, "-p", "8080:80")
DISCONNECT = ("network", "disconnect", "na", "c1")
VIP = "192.0.2.77"

# About other things than ``c1``.
OTHERS = (
    ("ps", "-a"),
    ("network", "ls"),
    ("network", "create", "x1"),
    ("network", "create", "--ipv6", "x2"),
    ("network", "inspect", "x1"),
    ("run", "--rm", "--network", "x1", "true"),
    ("run", "-d", "--name", "o1", "--network", "x1", "-p", "18080:80", "sleep", "600"),
    ("exec", "o1", "true"),
    ("inspect", "o1"),
    ("port", "o1"),
    ("port", "add", "o1", "18081:81"),
    ("port", "rm", "o1", "18081:81"),
    ("network", "connect", "--gw-priority", "3", "x2", "o1"),
    ("network", "disconnect", "x1", "o1"),
    ("network", "connect", "x1", "o1"),
    ("rename", "o1", "o2"),
    ("top", "o2"),
    ("logs", "o2"),
    ("stats", "--no-stream", "o2"),
    ("events", "--since", "10s", "--until", "0s"),
    ("stop", "-t", "0", "o2"),
    ("start", "o2"),
    ("kill", "o2"),
    ("wait", "o2"),
    ("rm", "-f", "o2"),
    ("create", "--name", "o3", "--network", "x1", "true"),
    ("start", "o3"),
    ("rm", "-f", "o3"),
    ("network", "rm", "x1"),
    ("network", "prune"),
    ("config",),
    ("doctor",),
    ("inspect", "c1"),
    ("repair",),
    ("reload",),
)


def check_others(host: Machine) -> None:
    """All of them work."""
    for command in OTHERS:
        done = warm.run(host.pid, command, 60.0 * SLOWNESS)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, (command, done.stderr)


def pending(host: Machine) -> list[str]:
    """What ``inspect`` says that the container lacks."""
    found = json.loads(host.ny("inspect", "c1"))[0]["NetworkSettings"]["Pending"]
    return [each["State"] for each in found]


def take_port(host: Machine) -> None:
    """A process of the host listens on the port."""
    host.popen("python3", "-S", "-c", _SERVER)
    wait_for(lambda: host.run("test", "-e", "/run/taken", check=False).returncode == 0)


def leave_port(host: Machine) -> None:
    """And ends."""
    host.run("rm", "/run/taken")
    wait_for(lambda: not host.out("ss", "-Hltn", "sport = :8080"))


def guest(host: Machine) -> None:
    """A namespace of another program's, with a way out of its own."""
    script = """
    ip netns add guest
    ip -n guest link add own0 type veth peer name own1
    ip -n guest addr add 10.99.0.2/24 dev own0
    ip -n guest link set own0 up; ip -n guest link set own1 up; ip -n guest link set lo up
    ip -n guest route add default via 10.99.0.1
    """
    host.run("sh", "-ec", script)


def on_host(*command: str) -> Callable[[Machine], object]:
    """A step on the host."""
    return lambda host: host.run(*command)


def netyard(*command: str) -> Callable[[Machine], object]:
    """A command."""
    return lambda host: host.ny(*command)


def inside(*command: str) -> Callable[[Machine], object]:
    """A step of the container's own."""
    return netyard("exec", "c1", *command)


def nothing(_: Machine) -> None:
    """No step."""


class Case(NamedTuple):
    """What is refused.

    Attributes:
        make: The container.
        refuse: What is done between two commands.
        states: What the container lacks then, the beginning of each.
        cure: What is done for it to be well again.
        left: What it lacks after that.
        before: What is done before all.
        operation: What is refused in its second half.
        ipv6: Of the networks: that they have it.
    """

    make: tuple[str, ...]
    refuse: Callable[[Machine], object]
    states: tuple[str, ...]
    cure: Callable[[Machine], object]
    left: tuple[str, ...] = ()
    before: Callable[[Machine], object] = nothing
    operation: tuple[str, ...] = DISCONNECT
    ipv6: str = "na nb"


_NO_IPV6 = "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1"
NO_ROUTE = "no route: IPv4 via "
CASES = {
    "the port is taken": Case(
        (*RUN, *SLEEP), take_port, ("unpublished: taken by python3 (pid ",), leave_port, ipv6=""
    ),
    "the port is taken, and there is IPv6": Case(
        (*RUN, *SLEEP), take_port, ("unpublished: taken by python3 (pid ",), leave_port
    ),
    "the published address is gone": Case(
        (*RUN[:-1], f"{VIP}:8080:80", *SLEEP),
        on_host("ip", "addr", "del", f"{VIP}/24", "dev", "eth0"),
        (f"unpublished: {VIP} cannot be used here: Cannot assign requested address",),
        on_host("ip", "addr", "add", f"{VIP}/24", "dev", "eth0"),
        before=on_host("ip", "addr", "add", f"{VIP}/24", "dev", "eth0"),
    ),
    "the container sets its other interface down": Case(
        (*RUN, *SLEEP),
        inside("ip", "link", "set", "eth1", "down"),
        (NO_ROUTE,),
        inside("ip", "link", "set", "eth1", "up"),
        ipv6="",
    ),
    "the container sets its other interface down, with IPv6": Case(
        (*RUN, *SLEEP),
        inside("ip", "link", "set", "eth1", "down"),
        (NO_ROUTE, "no route: IPv6 via "),
        inside("ip", "link", "set", "eth1", "up"),
        # The kernel has taken the IPv6 address for good.
        left=("no route: IPv6 via ",),
    ),
    "IPv6 is turned off on its other interface": Case(
        (*RUN, *SLEEP),
        on_host("sh", "-c", f"nsenter --net=$(echo /run/netyard/netns/*) {_NO_IPV6}"),
        ("no route: IPv6 via ",),
        nothing,
        left=("no route: IPv6 via ",),
    ),
    "the container renames its other interface": Case(
        (*RUN, *SLEEP),
        inside("sh", "-c", "ip link set eth1 down; ip link set eth1 name x; ip link set x up"),
        ("no route: IPv4",),
        inside("sh", "-c", "ip link set x down; ip link set x name eth1; ip link set eth1 up"),
        ipv6="",
    ),
    "the container deletes its other interface": Case(
        (*RUN, *SLEEP),
        inside("ip", "link", "del", "eth1"),
        ("no route: IPv4",),
        # `reload` is among the other commands, and makes it again.
        nothing,
        ipv6="",
    ),
    "an adopted namespace's interface is down": Case(
        ADOPT,
        on_host("ip", "-n", "guest", "link", "set", "eth1", "down"),
        (NO_ROUTE,),
        on_host("ip", "-n", "guest", "link", "set", "eth1", "up"),
        before=guest,
        ipv6="",
    ),
    "an adopted namespace's interface is flushed": Case(
        ADOPT,
        on_host("ip", "-n", "guest", "addr", "flush", "dev", "eth1"),
        (NO_ROUTE,),
        nothing,
        left=(NO_ROUTE,),
        before=guest,
        ipv6="",
    ),
    "everything in an adopted namespace is flushed": Case(
        ADOPT,
        on_host("sh", "-c", "for i in own0 eth0 eth1; do ip -n guest addr flush dev $i; done"),
        (NO_ROUTE,),
        nothing,
        left=(NO_ROUTE,),
        before=guest,
        ipv6="",
    ),
    "the other network has no IPv6": Case(
        (*RUN[:-1], "[::1]:8080:80", *SLEEP),
        nothing,
        ("unpublished: is for IPv6, and container 'c1' has no IPv6 way out",),
        netyard("network", "connect", "--gw-priority", "9", "na", "c1"),
        ipv6="na",
    ),
}


def arrange(host: Machine, case: Case) -> None:
    """Networks and the container, and what is refused from now on."""
    case.before(host)
    for name in ("na", "nb"):
        flags = ("--ipv6",) if name in case.ipv6.split() else ()
        host.ny("network", "create", *flags, name)
    host.ny(*case.make)
    case.refuse(host)


def lacks(host: Machine, wanted: tuple[str, ...]) -> bool:
    """Whether these are what the container lacks."""
    found = pending(host)
    return len(found) == len(wanted) and all(
        any(each.startswith(word) for each in found) for word in wanted
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_a_refused_second_half_is_a_state(host: Machine, name: str) -> None:
    """The container has left the network; what could not follow is shown, and comes by itself."""
    case = CASES[name]
    arrange(host, case)
    done = host.netyard(*DISCONNECT)
    assert "na" not in host.ny("ps", "--format", "{{.Networks}}").split(",")
    assert lacks(host, case.states), pending(host)
    shown = host.ny("ps", "--format", "{{.Status}} {{.Ports}}")
    findings = "\n".join(host.doctor())
    for state in pending(host):
        for told in (done.stderr, shown, findings):
            assert state in told, (state, told)
    check_others(host)
    case.cure(host)
    assert lacks(host, case.left), pending(host)
    if not case.left:
        assert host.doctor()[0].startswith("ok ")
    host.ny("rm", "-f", "c1")
    host.ny("network", "rm", "na", "nb")
    assert "c1" not in host.ny("ps", "-a")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_what_is_refused_can_be_removed(host: Machine, name: str) -> None:
    """`rm -f` and `repair` get through, at once."""
    case = CASES[name]
    arrange(host, case)
    host.ny(*DISCONNECT)
    host.ny("repair")
    host.ny("rm", "-f", "c1")
    host.ny("network", "rm", "na", "nb")
    assert host.ny("ps", "-aq") == ""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_connecting_is_undone_or_done(host: Machine, name: str) -> None:
    """A connection that draws ports and routes to itself, of a container that lacks some already."""
    case = CASES[name]
    arrange(host, case)
    host.ny("network", "create", "nc")
    before = host.ny("ps", "--format", "{{.Networks}} {{.Ports}}")
    done = host.netyard("network", "connect", "--gw-priority", "9", "nc", "c1", check=False)
    if done.returncode:
        assert host.ny("ps", "--format", "{{.Networks}} {{.Ports}}") == before, done.stderr
        assert pending(host) == []
    else:
        assert "nc" in host.ny("ps", "--format", "{{.Networks}}").split(",")
    host.ny("repair")
    host.ny("rm", "-f", "c1")


def test_a_port_comes_back_by_itself(lab: Lab) -> None:
    """Nobody types a command: the agent publishes it when the process is gone, within 10 s."""
    host = lab.host
    host.ny("network", "create", "na")
    host.ny("network", "create", "nb")
    host.ny(*RUN, sys.executable, "-S", SERVER, "80")
    wait_for(lambda: lab.neighbour.fetch("192.0.2.10", 8080))
    take_port(host)
    host.ny(*DISCONNECT)
    assert lab.neighbour.fetch("192.0.2.10", 8080) is None
    leave_port(host)
    wait_for(lambda: lab.neighbour.fetch("192.0.2.10", 8080), seconds=10)
    assert "unpublished" not in host.ny("ps")


def test_a_waiting_port_is_taken_back(host: Machine) -> None:
    """`port rm` of what is not published: it does not come when it could."""
    case = CASES["the port is taken"]
    arrange(host, case)
    host.ny(*DISCONNECT)
    assert "8080->80/tcp (unpublished: taken by python3" in host.ny("ps")
    host.ny("port", "rm", "c1", "8080:80")
    assert pending(host) == []
    leave_port(host)
    assert "8080" not in host.ny("ps")
    host.ny("port", "add", "c1", "8080:80")
    assert "0.0.0.0:8080->80/tcp" in host.ny("ps")


def test_a_waiting_port_ends_with_its_container(host: Machine) -> None:
    """Stopped, it lacks nothing; it starts if the port is free, and says what is in the way if not."""
    arrange(host, CASES["the port is taken"])
    host.ny(*DISCONNECT)
    host.ny("stop", "-t", "0", "c1")
    assert pending(host) == [] and host.doctor()[0].startswith("ok ")
    assert "8080 is taken by python3" in host.refused("start", "c1")
    leave_port(host)
    host.ny("start", "c1")
    assert pending(host) == [] and "0.0.0.0:8080->80/tcp" in host.ny("ps")


def test_several_ports_of_which_one_is_taken(host: Machine) -> None:
    """The others are published, in a row with it or not."""
    host.ny("network", "create", "na")
    host.ny("network", "create", "nb")
    host.ny(*RUN[:-1], "8000-8100:8000-8100", "-p", "9090:90/udp", *SLEEP)
    take_port(host)
    host.ny(*DISCONNECT)
    shown = host.ny("ps", "--format", "{{.Ports}}")
    for word in ("8000-8079->8000-8079/tcp", "8081-8100->8081-8100/tcp", "9090->90/udp"):
        assert f"0.0.0.0:{word}" in shown, shown
    assert "8080->8080/tcp (unpublished: taken by python3" in shown, shown
    leave_port(host)
    assert "0.0.0.0:8000-8100->8000-8100/tcp" in host.ny("ps", "--format", "{{.Ports}}")


_BATCH = """
import netyard
host = netyard.Host()
boxes = [host.containers.get(name) for name in ("c1", "c2")]
try:
    with host.batch():
        for box in boxes:
            host.networks.get("na").disconnect(box)
        {last}
except ZeroDivisionError:
    pass
"""


@pytest.mark.parametrize("last", ["pass", "host.networks.create('nd'); 1 / 0"])
def test_disconnected_together(host: Machine, last: str) -> None:
    """One whose port is taken keeps no other; if the block fails, both are as they were."""
    arrange(host, CASES["the port is taken"])
    host.ny("run", "-d", "--name", "c2", *TWO, "-p", "8082:80", *SLEEP)
    before = host.ny("ps", "--format", "{{.Networks}} {{.Ports}}")
    host.python(_BATCH.format(last=last))
    shown = host.ny("ps", "--format", "{{.Networks}} {{.Ports}}")
    if last == "pass":
        assert "na" not in shown and "0.0.0.0:8082->80/tcp" in shown, shown
        assert "8080->80/tcp (unpublished: taken by python3" in shown, shown
    else:
        assert shown == before and pending(host) == []
    check_others(host)


@pytest.fixture(scope="module")
def failpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program that kills commands."""
    return crashing.compiled(tmp_path_factory.mktemp("failpoint"))


class TwoRig(Rig):
    """A container on two networks, with a port, and a third network."""

    def furnish(self) -> None:
        """The networks."""
        for name in ("na", "nb", "nc", "crash"):
            self.host.ny("network", "create", name)


KILLED = {
    "connect": ("network", "connect", "--gw-priority", "9", "nc", "c1"),
    "disconnect": DISCONNECT,
    "disconnect the other": ("network", "disconnect", "nb", "c1"),
    "port add": ("port", "add", "c1", "8081:81"),
    "port rm": ("port", "rm", "c1", "8080:80"),
    "stop": ("stop", "-t", "0", "c1"),
    "rm": ("rm", "-f", "c1"),
    "run": ("run", "-d", "--name", "c2", *TWO, "-p", "8082:80", *SLEEP),
}
# How many points of each operation, spread over all.
POINTS = 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", KILLED)
def test_killed_and_then_refused(host: Machine, failpoint: str, tmp_path: Path, name: str) -> None:
    """SIGKILL in the midst, and what it was about is taken away before the next command."""
    rig = TwoRig(host, failpoint, tmp_path / "report")
    start = (*RUN, *SLEEP)
    calls, _ = rig.undisturbed(Operation(KILLED[name], (start,)))
    for number in range(POINTS):
        host.ny(*start)
        point = 1 + (number * calls + calls // 2) // POINTS
        rig.disturb(KILLED[name], point, "before" if number % 2 else "after")
        where = f"{name}: killed at call {point}, {rig.reported[1]}"
        take_port(host)
        # By the kernel's own means: netyard's commands would be the next ones.
        names = host.out("sh", "-c", "ls /run/netyard/netns").split()
        for each in names:
            path = f"--net=/run/netyard/netns/{each}"
            for ifname in ("eth0", "eth1", "eth2"):
                host.run("nsenter", path, "ip", "link", "set", ifname, "down", check=False)
        for command in (("ps", "-a"), ("network", "create", "x1"), ("repair",), ("reload",)):
            done = host.netyard(*command, check=False)
            assert done.returncode == 0, (where, command, done.stdout, done.stderr)
        host.ny("run", "--rm", "--network", "x1", "true")
        host.ny("network", "rm", "x1")
        host.ny("rm", "-f", "c1", "c2")
        leave_port(host)
        rig.check_untouched(where)


def fill(host: Machine, place: str) -> None:
    """Leave no room on a file system."""
    host.run("mount", "-o", "remount,size=8m", place)
    host.run("sh", "-c", f"cat /dev/zero > {place}/fill", check=False)


@pytest.mark.timeout(120)
def test_no_room_for_what_is_running(host: Machine) -> None:
    """A full /run keeps no container from leaving a network, nor from being ended and removed."""
    arrange(host, CASES["the container sets its other interface down"])
    host.ny("run", "-d", "--name", "c2", *TWO, *SLEEP)
    fill(host, "/run")
    host.ny(*DISCONNECT)
    assert lacks(host, (NO_ROUTE,))
    host.ny("repair")
    host.ny("network", "disconnect", "nb", "c2")
    host.ny("rm", "-f", "c1")
    host.run("rm", "/run/fill")
    assert host.ny("ps", "--format", "{{.Names}} {{.Networks}}") == "c2 na"
    host.ny(*RUN, *SLEEP)
    check_others(host)


@pytest.mark.timeout(120)
def test_no_room_for_the_store(host: Machine) -> None:
    """What goes is recorded all the same; what is refused is so with a sentence, and not half-way."""
    arrange(host, CASES["the container sets its other interface down"])
    host.ny("run", "-d", "--name", "c2", *TWO, *SLEEP)
    fill(host, "/var/lib")
    host.ny(*DISCONNECT)
    assert lacks(host, (NO_ROUTE,))
    for command in (("ps", "-a"), ("network", "ls"), ("inspect", "c1"), ("repair",)):
        host.ny(*command)
    host.ny("network", "disconnect", "nb", "c2")
    host.ny("rm", "-f", "c1")
    assert host.ny("ps", "--format", "{{.Names}} {{.Networks}}") == "c2 na"
    large = ("--label", "text=" + 10_000 * "x")
    for number in range(40):
        done = host.netyard("network", "create", *large, f"n{number}", check=False)
        if done.returncode:
            break
    assert "disk is full\nhint: make room" in done.stderr, "the disk is not full"
    host.run("rm", "/var/lib/fill")
    host.ny(*RUN, *SLEEP)
    check_others(host)
