"""What demonstrations stand on: the throw-away machine, its neighbour, steps that are checked.

`start` makes the machine and runs `show` on it, so nothing of the real one is touched: its network,
its files under /run and its processes are all new and end with the demonstration.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import netyard._core as _core
from netyard.api.container import Container
from netyard.api.host import Host
from netyard.runtime import shim
from netyard.runtime.own_command import own_command, python_command
from netyard.state.layout import Layout
from netyard.values.parse import Address

HOST = IPv4Address("192.0.2.10")
NEIGHBOUR = IPv4Address("192.0.2.20")
PAGE = "hello from web"
PATIENCE_SECONDS = 0.4
_NEIGHBOUR_NAMESPACE = "/run/neighbour"

# What containers and the neighbour run: no tool but Python is needed on the machine.
PING = """
import os, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(1)
address = socket.gethostbyname(sys.argv[1])
start = time.perf_counter()
s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1), (address, 0))
s.recv(64)
ms = (time.perf_counter() - start) * 1000
print(f"reply from {sys.argv[1]} ({address}) in {ms:.2f} ms")
"""
FETCH = """
import sys, urllib.request
try:
    reply = urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2]))
    print(reply.status, reply.read().decode().strip())
except OSError as error:
    print("no reply:", getattr(error, "reason", error))
"""
RESOLVE = "import socket, sys; print(sys.argv[1], socket.gethostbyname(sys.argv[1]))"


@dataclass(slots=True)
class Step:
    """One thing that was done: what, what came of it, how long it took, whether it is right."""

    title: str
    output: str
    seconds: float
    is_right: bool


class _End(NamedTuple):
    namespace: int
    ifname: str
    addresses: Sequence[tuple[Address, int]]
    gateways: Sequence[Address] = ()


def start(scene: str, *, output_format: str) -> int:
    """Run the demonstration on a throw-away machine; its exit status."""
    with tempfile.TemporaryDirectory(prefix="netyard-demo-") as directory:
        layout = Layout(Path(directory))
        command = own_command("demo", scene, "--inside", "--format", output_format)
        return shim.run_isolated(layout, "host", command)


@dataclass(slots=True)
class Demonstration:
    """What is shown, step by step."""

    say: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)

    def step(self, title: str, action: Callable[[], str], right: Callable[[str], bool]) -> bool:
        """Do something, and show what came of it."""
        started = time.perf_counter()
        output = action()
        seconds = time.perf_counter() - started
        done = Step(title, output, seconds, right(output))
        self.steps.append(done)
        mark = "✓" if done.is_right else "✗ NOT AS IT SHOULD BE"
        self.say(f"\n▸ {title}  ({seconds * 1000:.0f} ms)")
        for line in output.splitlines():
            self.say(f"    {line}")
        self.say(f"    {mark}")
        return done.is_right


class Cast(NamedTuple):
    """Who takes part: the host, its containers, and the neighbour on its wire."""

    host: Host
    neighbour: int

    def inside(self, name: str, code: str, *arguments: str) -> str:
        """What Python code says in a container."""
        words = python_command("-c", code, *arguments)
        done = Container.get(name, host=self.host).exec(*words)
        return (done.stdout + done.stderr).decode().strip()

    def outside(self, code: str, *arguments: str) -> str:
        """What it says at the neighbour's."""
        words = python_command("-c", code, *arguments)
        return shim.run_in_namespace(self.host.layout, self.neighbour, words).stdout.strip()

    def here(self, code: str, *arguments: str) -> str:
        """What it says on the host itself."""
        done = subprocess.run(
            python_command("-c", code, *arguments), capture_output=True, text=True, check=False
        )
        return (done.stdout + done.stderr).strip()

    def address(self, name: str, network: str) -> str:
        """A container's address on a network."""
        found = Container.get(name, host=self.host).inspect()["NetworkSettings"]["Networks"]
        return str(found[network]["IPAddress"])

    def run(self, name: str, network: str, *command: str, publish: Sequence[str] = ()) -> str:
        """Start a container; its line in the show."""
        words = command or ("sleep", "600")
        made = Container.run(*words, name=name, network=network, publish=publish, host=self.host)
        return f"{made.id[:12]} {name} {self.address(name, network)}"


#: A demonstration: shows its steps on the machine that it is given.
Play = Callable[[Demonstration, Cast], None]


def show(play: Play, say: Callable[[str], None]) -> list[Step]:
    """A demonstration itself. Only ever on a throw-away machine."""
    if {link.name for link in _core.list_links()} - {"lo"}:
        raise RuntimeError("the demonstration must run on a machine of its own")
    demonstration = Demonstration(say)
    started = time.perf_counter()
    os.environ["NETYARD_ROOT"] = "/run/demo"
    with _world() as neighbour, Host(root="/run/demo") as host:
        play(demonstration, Cast(host, neighbour))
    seconds = time.perf_counter() - started
    good = sum(step.is_right for step in demonstration.steps)
    say(f"\n{good} of {len(demonstration.steps)} as they should be, in {seconds:.1f} s; all of it")
    say("happened in namespaces that are gone now: this machine's network was not touched")
    return demonstration.steps


@contextmanager
def web_server() -> Iterator[Sequence[str]]:
    """A command that serves `PAGE` on port 80."""
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        (Path(directory) / "index.html").write_text(f"{PAGE}\n")
        yield python_command("-m", "http.server", "80", "--directory", directory)


@contextmanager
def _world() -> Iterator[int]:
    """The host's wire and the neighbour at its other end."""
    _core.create_namespace(_NEIGHBOUR_NAMESPACE)
    neighbour = os.open(_NEIGHBOUR_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    near = _End(own, "eth0", [(HOST, 24)])
    far = _End(neighbour, "eth0", [(NEIGHBOUR, 24)], [HOST])
    _core.create_wire(near, far)
    try:
        yield neighbour
    finally:
        os.close(own)
        os.close(neighbour)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for it, half a minute at most."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
