"""Control groups, which the machine that tests run on may not hand out: limits, and their ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Guest, Lab, Machine, wait_for

_TOP = "/sys/fs/cgroup"
_NONE = ("--network", "none")
_GROUPS = f"{_TOP}/netyard/default"


@pytest.fixture
def host(lab: Lab) -> Iterator[Machine]:
    """The host, with control groups."""
    lab.host.run("mount", "-t", "cgroup2", "cgroup2", _TOP)
    yield lab.host
    # While their groups can be seen.
    left = lab.host.ny("ps", "-aq").split()
    if left:
        lab.host.ny("rm", "-f", *left)
    lab.host.run("umount", _TOP)


def _state(host: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.ny("inspect", name))[0]
    return found


def _group(host: Machine, name: str) -> str:
    return f"{_GROUPS}/{_state(host, name)['Id']}"


def _setting(host: Machine, group: str, name: str) -> str:
    return host.out("cat", f"{group}/{name}")


def _groups(host: Machine) -> str:
    return host.out("sh", "-c", f"ls -d {_GROUPS}/*/ 2>/dev/null || true")


def test_limits_are_those_asked_for(host: Machine) -> None:
    """Of the first process and of later ones, again after a stop; nothing is left of them."""
    flags = "--memory 64m --memory-swap 96m --cpus 0.5 --pids-limit 20".split()
    host.ny("run", *_NONE, "-d", "--name", "box", *flags, "sleep", "600")
    for _ in range(2):
        group = _group(host, "box")
        assert _setting(host, group, "memory.max") == str(64 << 20)
        assert _setting(host, group, "memory.swap.max") == str(32 << 20)
        assert _setting(host, group, "cpu.max") == "50000 100000"
        assert _setting(host, group, "pids.max") == "20"
        box = Guest(host, "box")
        assert box.run("cat", "/proc/self/cgroup").stdout == "0::/\n"
        assert box.run("cat", "/proc/1/cgroup").stdout == "0::/\n"
        with_exec = host.popen(sys.executable, "-m", "netyard", "exec", "box", "sleep", "60")
        wait_for(lambda: len(_setting(host, group, "cgroup.procs").split()) == 2)  # noqa: B023
        host.ny("stop", "-t", "0", "box")
        with_exec.wait(60)
        assert _groups(host) == ""
        host.ny("start", "box")
    shown = _state(host, "box")["HostConfig"]
    assert (shown["Memory"], shown["MemorySwap"]) == (64 << 20, 96 << 20)
    assert (shown["NanoCpus"], shown["PidsLimit"]) == (500_000_000, 20)
    host.ny("rm", "-f", "box")
    assert _groups(host) == ""


def test_processes_are_counted(host: Machine) -> None:
    """4096 by default; what is above the limit is refused inside, and nobody else notices."""
    host.ny("run", *_NONE, "-d", "--name", "usual", "sleep", "600")
    assert _setting(host, _group(host, "usual"), "pids.max") == "4096"
    many = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait"
    done = host.netyard("run", *_NONE, "--rm", "--pids-limit", "5", "sh", "-c", many, check=False)
    assert "fork" in done.stderr.lower()
    assert host.netyard("run", *_NONE, "--rm", "--pids-limit", "-1", "sh", "-c", many).stderr == ""


def test_out_of_memory(host: Machine) -> None:
    """137, and ``inspect`` says why; not of one that was killed otherwise."""
    code = "b = bytearray(200 << 20)\nfor i in range(0, len(b), 4096): b[i] = 1"
    flags = ["--memory", "64m", "--memory-swap", "64m"]
    done = host.netyard(
        *("run", *_NONE, "--name", "box", *flags, sys.executable, "-S", "-c", code), check=False
    )
    assert done.returncode == 137
    assert _state(host, "box")["State"]["OOMKilled"] is True
    host.ny("run", *_NONE, "-d", "--name", "other", *flags, "sleep", "600")
    host.ny("kill", "other")
    assert host.ny("wait", "other") == "137"
    assert _state(host, "other")["State"]["OOMKilled"] is False
    assert _groups(host) == ""


def test_no_group_outlives_its_container(host: Machine) -> None:
    """Nor if its supervisor is killed; one of no container is removed by ``repair``."""
    host.ny("run", *_NONE, "-d", "--name", "box", "sleep", "600")
    shim = host.out("sh", "-c", "ps -e -o pid=,args= | grep '[n]etyard-shim.*supervise'").split()
    host.run("kill", "-9", shim[0])
    wait_for(lambda: host.ny("ps", "-q") == "")
    assert _groups(host) == ""
    host.run("mkdir", f"{_GROUPS}/left")
    assert f"{_GROUPS}/left" in host.ny("repair")
    assert _groups(host) == ""


def test_what_a_container_makes_below_its_group_goes_with_it(host: Machine) -> None:
    """Groups in groups."""
    host.ny("run", *_NONE, "-d", "--name", "box", "sleep", "600")
    host.run("mkdir", "-p", f"{_group(host, 'box')}/a/b")
    host.ny("rm", "-f", "box")
    assert _groups(host) == ""


def test_limits_above_those_of_netyard(host: Machine) -> None:
    """It is root of the host who raises them, whatever the container may do."""
    raised = ["--ulimit", "nofile=2000:3000", "--cap-drop", "ALL"]
    shell = ("sh", "-c", 'ulimit -n 500; exec "$@"', "sh", sys.executable, "-m", "netyard")
    assert host.out(*shell, "run", *_NONE, "--rm", *raised, "sh", "-c", "ulimit -n") == "2000"


def test_statistics(host: Machine) -> None:
    """What a container uses, of what it may."""
    flags = ["--memory", "64m", "--pids-limit", "20"]
    host.ny("run", *_NONE, "-d", "--name", "busy", *flags, "sh", "-c", "while :; do :; done")
    host.ny("run", *_NONE, "-d", "--name", "idle", "sleep", "600")
    rows = [
        json.loads(line)
        for line in host.ny("stats", "--no-stream", "--format", "json").splitlines()
    ]
    found = {row["Name"]: row for row in rows}
    assert float(found["busy"]["CPUPerc"].rstrip("%")) > 20
    assert float(found["idle"]["CPUPerc"].rstrip("%")) < 5
    assert found["busy"]["MemUsage"].endswith("/ 64MiB")
    assert found["busy"]["PIDs"] == found["idle"]["PIDs"] == "1"
    said = host.python(
        "from netyard import Container\n"
        "found = Container.get('idle').stats()\n"
        "print(found.pids, found.memory < 64 << 20, found.cpu_percent < 5)"
    )
    assert said == "1 True True"
