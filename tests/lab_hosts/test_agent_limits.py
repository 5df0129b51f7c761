"""The agent at its limits: sockets that a container destroys, and a full table of descriptors."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from lab import Guest, Machine, wait_for

# `make crowd` has 3,000.
_CROWD = int(os.environ.get("CROWD", "60"))
# Each takes three descriptors, so that less than half of them find room.
_CROWD_LIMIT = _CROWD * 4 // 3 + 48
_CROWD_SECONDS = 60.0 + 0.3 * _CROWD
_RUN_CROWD = f"""
import json
from netyard import Container, Host, Network, NetyardError
host = Host()
# A bridge takes 1023 ports.
nets = [
    Network.create(f"net{{each}}", subnet=f"10.{{each}}.0.0/16", host=host) for each in (70, 71, 72)
]
ran, refused = [], []
for number in range({_CROWD}):
    try:
        Container.run("sleep", "9999", name=f"c{{number}}", network=nets[number % 3], host=host)
        ran.append(f"c{{number}}")
    except NetyardError as error:
        refused.append(str(error))
print(json.dumps([ran, sorted(set(refused)), len(refused)]))
"""
_DESTROY = "ss -K -a -t src 127.0.0.11; ss -K -a -u src 127.0.0.11; true"


def _agent(host: Machine) -> str:
    code = "from netyard.ipc import agent; from netyard.state.layout import Layout; "
    return host.python(f"{code}print(agent.request(Layout.of(None), {{'op': 'ping'}})['pid'])")


def _processor_seconds(host: Machine, pid: str) -> float:
    words = host.out("cat", f"/proc/{pid}/stat").rpartition(")")[2].split()
    ticks = int(host.out("getconf", "CLK_TCK"))
    return (int(words[11]) + int(words[12])) / ticks


def _usage(host: Machine, pid: str, seconds: float = 3.0) -> float:
    before = _processor_seconds(host, pid)
    time.sleep(seconds)
    return (_processor_seconds(host, pid) - before) / seconds


def _is_idle(host: Machine, pid: str) -> None:
    """Once it has done what the commands before have left to it."""
    wait_for(lambda: _usage(host, pid) < 0.01, seconds=15, what="the agent is busy")


def test_names_come_back_when_a_container_destroys_its_sockets(host: Machine) -> None:
    """B2: within seconds by themselves, at once by `reload`; and the agent does not spin."""
    host.ny("network", "create", "net")
    host.ny(*"run -d --name web --network net sleep 600".split())
    host.ny(*"run -d --name box --network net --cap-add NET_ADMIN sleep 600".split())
    box, agent = Guest(host, "box"), _agent(host)
    address = Guest(host, "web").address("net")
    assert box.dig("web") == box.dig("+tcp", "web") == address
    box.run("sh", "-c", _DESTROY)
    assert _usage(host, agent) < 0.1
    wait_for(lambda: box.dig("web") == address, what="names over UDP")
    wait_for(lambda: box.dig("+tcp", "web") == address, what="names over TCP")
    box.run("sh", "-c", _DESTROY)
    host.ny("reload")
    assert box.dig("web") == box.dig("+tcp", "web") == address
    assert Guest(host, "web").dig("box") == box.address("net")
    assert _agent(host) == agent
    _is_idle(host, agent)


def test_an_agent_without_descriptors_refuses_in_a_sentence(host: Machine) -> None:
    """B2: it neither ends nor spins, and serves again once there are some."""
    host.ny("network", "create", "net")
    host.ny(*"run -d --name one --network net sleep 600".split())
    agent, one = _agent(host), Guest(host, "one")
    used = int(host.out("sh", "-c", f"ls /proc/{agent}/fd | wc -l"))
    _limit(host, agent, used)
    # A client over TCP that cannot be taken in waits at the listening socket.
    host.popen(
        *(sys.executable, "-m", "netyard", "exec", "one", sys.executable, "-S", "-c"),
        "import socket, time; s = socket.create_connection(('127.0.0.11', 53)); time.sleep(60)",
    )
    complaint = host.refused(*"run -d --name two --network net sleep 600".split(), status=125)
    assert "the agent failed: it has no file descriptor left: its limit is" in complaint
    assert one.dig("one") == one.address("net"), "what is served goes on"
    _is_idle(host, agent)
    assert _agent_of(host) == agent
    _limit(host, agent, None)
    host.ny(*"run -d --name two --network net sleep 600".split())
    assert one.dig("two") == Guest(host, "two").address("net")
    assert one.dig("+tcp", "two") == Guest(host, "two").address("net")
    assert _agent(host) == agent
    names = json.loads(host.ny("inspect", "one"))
    assert names[0]["State"]["Status"] == "running"


def test_a_crowd_meets_the_hard_limit_of_the_agent(host: Machine) -> None:
    """B2: all that find no room are refused in a sentence and leave nothing; the rest is served."""
    done = _within_limit(host, "-c", _RUN_CROWD)
    ran, complaints, refused = json.loads(done)
    assert complaints == [
        f"the agent failed: it has no file descriptor left: its limit is {_CROWD_LIMIT}"
    ]
    assert len(ran) > _CROWD // 4
    assert refused > _CROWD // 4
    _serves(host, ran)
    agent = _agent(host)
    host.ny("reload")
    assert _agent(host) == agent
    # One that starts with all of them there has the same limit, and is not in trouble either.
    host.kill_agent()
    _within_limit(host, "-m", "netyard", "reload")
    assert _agent(host) != agent
    _serves(host, ran)
    host.ny("rm", "-f", *ran[:2])
    host.ny(*"run -d --name again --network net72 sleep 9999".split())
    again = Guest(host, "again")
    assert again.dig("c2") == Guest(host, "c2").address("net72")


def _within_limit(host: Machine, *words: str) -> str:
    """The output of Python that has so few descriptors, as what it starts has."""
    limit = ("prlimit", f"--nofile={_CROWD_LIMIT}:{_CROWD_LIMIT}")
    return host.run(*limit, sys.executable, *words, timeout=_CROWD_SECONDS).stdout


def _serves(host: Machine, ran: list[Any]) -> None:
    """There are these containers and nothing else, they have names, and the agent has no work."""
    assert len(host.ny("ps", "-aq").split()) == len(ran)
    wait_for(lambda: len(_ports(host)) == len(ran), seconds=30, what="ports of those refused")
    first, last = Guest(host, ran[0]), Guest(host, ran[-1])
    assert first.dig(ran[0]) == first.dig("+tcp", ran[0]) == first.address("net70")
    number = 70 + int(ran[-1][1:]) % 3
    assert last.dig(ran[-1]) == last.address(f"net{number}")
    _is_idle(host, _agent(host))


def _ports(host: Machine) -> list[str]:
    links = json.loads(host.out("ip", "-j", "link", "show", "type", "veth"))
    return [link["ifname"] for link in links if link["ifname"] != "eth0"]


def _agent_of(host: Machine) -> str:
    return host.out("pgrep", "-f", "agent --exit-when-idle")


def _limit(host: Machine, pid: str, files: int | None) -> None:
    """Let a process have so many descriptors, or as many as it had."""
    host.python(
        "import resource\n"
        f"_, hard = resource.prlimit({pid}, resource.RLIMIT_NOFILE)\n"
        f"resource.prlimit({pid}, resource.RLIMIT_NOFILE, ({files} or hard, hard))"
    )


def test_a_supervisor_without_descriptors_does_not_spin(host: Machine) -> None:
    """B2: who attaches meanwhile waits, also beside a container that writes all the time."""
    for name, command in (("idle", "sleep 600"), ("busy", "while :; do echo x; sleep 0.03; done")):
        host.ny("run", "-d", "--name", name, "--network", "none", "sh", "-c", command)
        inside = host.ny("inspect", "-f", "{{.State.Pid}}", name)
        shim = host.out("ps", "-o", "ppid=", "-p", inside).strip()
        usual = _usage(host, shim, 1)
        used = {int(number) for number in host.out("ls", f"/proc/{shim}/fd").split()}
        free = min(set(range(64)) - used)
        host.run("prlimit", "--pid", shim, f"--nofile={free}:4096")
        attached = host.popen(sys.executable, "-m", "netyard", "attach", "--no-stdin", name)
        wait_for(lambda shim=shim: _waits(host, shim), what="somebody waits")
        assert _usage(host, shim, 2) < usual + 0.1
        assert attached.poll() is None
        host.run("prlimit", "--pid", shim, "--nofile=1024:4096")
        wait_for(lambda shim=shim: not _waits(host, shim), what="let in")
        host.ny("kill", name)
        assert attached.wait(20) == 137


def _waits(host: Machine, pid: str) -> bool:
    """Whether a client has not been let in by a process."""
    waiting = host.out("ss", "-x", "-l", "-p", "-H").splitlines()
    return any(f"pid={pid}," in line and line.split()[2] != "0" for line in waiting)
