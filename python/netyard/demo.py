"""The demonstration: a host, a neighbour, a network, two containers; who reaches whom.

`start` makes a throw-away machine and runs `show` on it, so nothing of the real one is touched:
its network, its files under /run and its processes are all new and end with the demonstration.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from netyard import _core, firewall
from netyard.container import Container
from netyard.host import Host
from netyard.naming import Layout
from netyard.network import Network
from netyard.options import Address
from netyard.runtime import shim

HOST = IPv4Address("192.0.2.10")
NEIGHBOUR = IPv4Address("192.0.2.20")
_PATIENCE_SECONDS = 0.4
_PAGE = "hello from web"
_NEIGHBOUR_NAMESPACE = "/run/neighbour"

# What containers and the neighbour run: no tool but Python is needed on the machine.
_PING = """
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
_FETCH = """
import sys, urllib.request
try:
    reply = urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2]))
    print(reply.status, reply.read().decode().strip())
except OSError as error:
    print("no reply:", getattr(error, "reason", error))
"""
_RESOLVE = "import socket, sys; print(sys.argv[1], socket.gethostbyname(sys.argv[1]))"

_PICTURE = """
   neighbour 192.0.2.20               host 192.0.2.10
   ┌────────────────────┐  the wire  ┌──────────────────────────────────────────────────┐
   │ GET host:8080    {published} │────────────│ :8080 ──▶ web:80                                 │
   │ GET {address:<11}  {direct} │            │                                                  │
   └────────────────────┘            │  my-net {subnet:<17} other {other:<17}│
                                     │  ┌─────┐   ┌────────┐    ┌──────────┐            │
                                     │  │ web │◀──│ client │    │ stranger │            │
                                     │  └─────┘   └────────┘    └──────────┘            │
                                     │     ▲  ping {ping}  GET {fetch}          │ GET {isolated}            │
                                     │     └─────────── ✗ ───────────┘                  │
                                     └──────────────────────────────────────────────────┘
"""


@dataclass(slots=True)
class Step:
    """One thing that was done: what, what came of it, how long it took, whether it is right."""

    title: str
    output: str
    seconds: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class _End:
    namespace: int
    ifname: str
    addresses: Sequence[tuple[Address, int]]
    gateways: Sequence[Address] = ()


def start(*, output_format: str) -> int:
    """Run the demonstration on a throw-away machine; its exit status."""
    with tempfile.TemporaryDirectory(prefix="netyard-demo-") as directory:
        layout = Layout(Path(directory))
        command = [sys.executable, "-m", "netyard", "demo", "--inside", "--format", output_format]
        done = subprocess.run(shim.isolated(layout, "host", command), check=False)
    return done.returncode


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


def show(say: Callable[[str], None]) -> list[Step]:
    """The demonstration itself. Only ever on a throw-away machine."""
    if {link.name for link in _core.list_links()} - {"lo"}:
        raise RuntimeError("the demonstration must run on a machine of its own")
    demonstration = Demonstration(say)
    started = time.perf_counter()
    os.environ["NETYARD_ROOT"] = "/run/demo"
    with _world() as neighbour, Host(root="/run/demo") as host:
        _scenes(demonstration, host, neighbour)
    seconds = time.perf_counter() - started
    good = sum(step.is_right for step in demonstration.steps)
    say(f"\n{good} of {len(demonstration.steps)} as they should be, in {seconds:.1f} s; all of it")
    say("happened in namespaces that are gone now: this machine's network was not touched")
    return demonstration.steps


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


def _scenes(demonstration: Demonstration, host: Host, neighbour: int) -> None:
    step = demonstration.step
    web_files = Path("/run/web")
    web_files.mkdir()
    (web_files / "index.html").write_text(f"{_PAGE}\n")

    def create(name: str) -> str:
        return f"{name} {Network.create(name, host=host).record.pools[0].subnet}"

    def run(name: str, network: str, *command: str, publish: Sequence[str] = ()) -> str:
        made = Container.run(*command, name=name, network=network, publish=publish, host=host)
        found = made.inspect()["NetworkSettings"]["Networks"][network]["IPAddress"]
        return f"{made.id[:12]} {name} {found}"

    def inside(name: str, code: str, *arguments: str) -> str:
        done = Container.get(name, host=host).exec(sys.executable, "-c", code, *arguments)
        return (done.stdout + done.stderr).decode().strip()

    def outside(url: str) -> str:
        words = [sys.executable, "-c", _FETCH, url, str(_PATIENCE_SECONDS)]
        return shim.run_in_namespace(host.layout, neighbour, words).stdout.strip()

    sleep = ("sleep", "600")
    serve = (sys.executable, "-m", "http.server", "80", "--directory", str(web_files))
    step("netyard network create my-net", lambda: create("my-net"), bool)
    step(
        "netyard run -d --name web --network my-net -p 8080:80 python3 -m http.server 80",
        lambda: run("web", "my-net", *serve, publish=["8080:80"]),
        bool,
    )
    address = Container.get("web", host=host).inspect()["NetworkSettings"]["Networks"]["my-net"]
    own = str(address["IPAddress"])
    _wait_for(lambda: _PAGE in inside("web", _FETCH, "http://127.0.0.1", "1"))
    step(
        "netyard run -d --name client --network my-net sleep 600",
        lambda: run("client", "my-net", *sleep),
        bool,
    )
    step("client resolves web", lambda: inside("client", _RESOLVE, "web"), lambda out: own in out)
    ping = step(
        "client pings web", lambda: inside("client", _PING, "web"), lambda out: "reply" in out
    )
    fetch = step(
        "client fetches http://web/",
        lambda: inside("client", _FETCH, "http://web/", "2"),
        lambda out: _PAGE in out,
    )
    published = step(
        f"the neighbour fetches http://{HOST}:8080/, the published port",
        lambda: outside(f"http://{HOST}:8080/"),
        lambda out: _PAGE in out,
    )
    direct = step(
        f"the neighbour tries http://{own}/, the container itself, with a route to it",
        lambda: outside(f"http://{own}/"),
        lambda out: "timed out" in out,
    )
    other = create("other").split()[1]
    run("stranger", "other", *sleep)
    isolated = step(
        f"stranger, on another network, tries the name web and http://{own}/",
        lambda: "\n".join(
            [
                inside("stranger", _RESOLVE, "web").splitlines()[-1],
                inside("stranger", _FETCH, f"http://{own}/", str(_PATIENCE_SECONDS)),
            ]
        ),
        lambda out: "timed out" in out and own not in out.splitlines()[0],
    )
    demonstration.say("\n▸ the firewall: constant rules, and elements for networks and ports")
    for line in _rules(host):
        demonstration.say(f"    {line}")
    subnet = str(Network.get("my-net", host=host).record.pools[0].subnet)
    demonstration.say(
        _PICTURE.format(
            published="✓" if published else "?",
            direct="✗" if direct else "?",
            ping="✓" if ping else "?",
            fetch="✓" if fetch else "?",
            isolated="✗" if isolated else "?",
            address=own,
            subnet=subnet,
            other=other,
        ).rstrip()
    )
    step("netyard rm -f web client stranger", lambda: _clean_up(host), lambda out: out == "lo eth0")


def _clean_up(host: Host) -> str:
    for container in Container.list(all=True, host=host):
        container.remove(force=True)
    for name in ("my-net", "other"):
        Network.get(name, host=host).remove()
    shutil.rmtree("/run/web")
    _wait_for(lambda: len(_core.list_links()) == 2)
    return " ".join(link.name for link in _core.list_links())


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _rules(host: Host) -> Iterator[str]:
    """The rules in force, in words: what `nft list table inet netyard` shows as comments."""
    chain = ""
    for step in firewall.base_steps(guards_forwarding=False):
        if step[0] != "add rule":
            continue
        if step[1] != chain:
            chain = step[1]
            yield f"{chain}:"
        verdict = step[2][-1][0]
        word = "dnat" if verdict == "dnat map" else verdict
        yield f"  {word:10}  {step[3]}"
    for network in host.store.networks():
        if network.state == "ready" and network.bridge:
            yield f"element: {network.bridge} is {network.name}"
    for each in host.store.publications():
        yield f"element: {each.protocol} {each.host_port} : {each.address}:{each.container_port}"
