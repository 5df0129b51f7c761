"""Lab hosts: machines made of namespaces, on which netyard believes to be alone.

A `Machine` has network, mount, UTS, IPC and PID namespaces of its own, a private /run and
/var/lib, and ends with everything in it when it is closed. A `Lab` is a small world::

    internet  203.0.113.5, 2001:db8:113::5        DNS (dnsmasq) and HTTP servers
       │ 192.0.2.1, 2001:db8::1
       ├──────────── the wire ────────────┐
    host 192.0.2.10, 2001:db8::10     neighbour 192.0.2.20, 2001:db8::20

Nothing is ever done in the initial namespaces but to start these.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import warm

# In the VM lab, where every process takes long to start.
_IS_EMULATED = "NETYARD_EMULATED" in os.environ
SLOWNESS = 10 if _IS_EMULATED else 1

HOST, HOST6 = "192.0.2.10", "2001:db8::10"
NEIGHBOUR, NEIGHBOUR6 = "192.0.2.20", "2001:db8::20"
ROUTER, ROUTER6 = "192.0.2.1", "2001:db8::1"
INTERNET, INTERNET6 = "203.0.113.5", "2001:db8:113::5"

_OWN_PROCESS = re.compile(r"-m netyard\b|/netyard/__main__\.py|\bnetyard-shim\b")
# What is a machine's own: its name, and what other machines must not see of it.
_FURNISH = """
hostname "$1"
[ -z "$2" ] || mount --bind "$2" /etc/resolv.conf
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t sysfs sysfs /sys
ip link set lo up
shift 2
exec "$@"
"""
# The first process of a machine: reaps what is orphaned, as an init does.
_INIT = """
import os, signal, sys
os.makedirs("/run/netns")
signal.signal(signal.SIGCHLD, lambda *_: None)
os.write(1, b"ready\\n")
while True:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    signal.sigtimedwait({signal.SIGCHLD}, 1)
"""


def wait_for(condition: Callable[[], Any], *, seconds: float = 10.0, what: str = "") -> Any:
    """What a condition gives once it is true; a failed test if it stays false."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.02)


class Machine:
    """One machine of a lab."""

    def __init__(self, name: str, resolv_conf: str = "") -> None:
        self.name = name
        self._files = tempfile.TemporaryDirectory(prefix=f"lab-{name}-")
        resolv = str(Path(self._files.name) / "resolv.conf") if resolv_conf else ""
        if resolv:
            Path(resolv).write_text(resolv_conf)
        self._init = subprocess.Popen(
            [
                *"unshare -n -m -u -i -p --fork --kill-child --mount-proc".split(),
                *("--propagation", "private", "sh", "-ec", _FURNISH, "sh", name, resolv),
                *(sys.executable, "-S", "-E", "-c", _INIT),
            ],
            stdout=subprocess.PIPE,
        )
        assert self._init.stdout is not None
        if self._init.stdout.readline() != b"ready\n":
            raise RuntimeError(f"lab machine {name} did not come up")
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text()
        self.pid = int(children.split()[0])
        own, initial = (Path(f"/proc/{pid}/ns/net").readlink() for pid in (self.pid, "self"))
        if own == initial:
            raise RuntimeError("lab machine shares the initial network namespace")
        self._started: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End the machine and everything in it."""
        self._init.kill()
        self._init.wait()
        assert self._init.stdout is not None
        self._init.stdout.close()
        for process in self._started:
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self._files.cleanup()

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        return ["nsenter", "-t", str(self.pid), *"-n -m -u -i -p".split(), "--", *command]

    def run(
        self,
        *command: str,
        check: bool = True,
        input: str | None = None,
        timeout: float = 60.0,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine."""
        done = subprocess.run(
            self._inside(command),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout * SLOWNESS,
            env={**os.environ, **(env or {})},
        )
        return self._checked(done, check=check)

    def _checked(
        self, done: subprocess.CompletedProcess[str], *, check: bool
    ) -> subprocess.CompletedProcess[str]:
        if check and done.returncode != 0:
            raise AssertionError(
                f"{self.name}$ {shlex.join(done.args)}\nexit {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done

    def out(self, *command: str) -> str:
        """A command's output, without white space around it."""
        return self.run(*command).stdout.strip()

    def popen(self, *command: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Start a command on the machine; it ends with it."""
        settings.setdefault("stdin", subprocess.DEVNULL)
        settings.setdefault("stdout", subprocess.DEVNULL)
        settings.setdefault("stderr", subprocess.DEVNULL)
        process = subprocess.Popen(self._inside(command), **settings)
        self._started.append(process)
        return process

    def doctor(self) -> list[str]:
        """What `netyard doctor` finds, without what a kernel lacks to hold containers back."""
        lacks = ("this kernel filters no system calls", "this host has no cgroup v2")
        lines = self.netyard("doctor").stdout.splitlines()
        return [line for line in lines if not any(each in line for each in lacks)]

    def netyard(
        self, *arguments: str, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run ``netyard`` on the machine."""
        if not _IS_EMULATED:
            command = (sys.executable, "-m", "netyard", *arguments)
            return self.run(*command, check=check, timeout=timeout)
        return self._checked(warm.run(self.pid, arguments, timeout * SLOWNESS), check=check)

    def ny(self, *arguments: str) -> str:
        """The output of ``netyard`` on the machine."""
        return self.netyard(*arguments).stdout.strip()

    def refused(self, *arguments: str, status: int = 1) -> str:
        """The one complaint of ``netyard`` about something it must refuse."""
        done = self.netyard(*arguments, check=False)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        complaint = [line for line in done.stderr.splitlines() if not line.startswith("hint: ")]
        assert complaint, "refused without a word"
        assert status == 2 or all(line.startswith("netyard: ") for line in complaint), done.stderr
        return done.stderr.strip()

    def python(self, code: str, *, timeout: float = 60.0) -> str:
        """Run Python code on the machine."""
        return self.run(sys.executable, "-c", code, timeout=timeout).stdout.strip()

    def own_processes(self) -> list[str]:
        """Command lines of netyard's processes: commands, agents, shims; not those of a checkout
        that lies in a folder of that name."""
        lines = self.out("ps", "-e", "-ww", "-o", "args=").splitlines()
        return [line for line in lines if _OWN_PROCESS.search(line)]

    def kill_agent(self) -> None:
        """End the agent as the kernel would when memory runs out."""
        self.python(
            "import os\n"
            "from netyard.ipc import agent\n"
            "from netyard.state.layout import Layout\n"
            "os.kill(agent.request(Layout.of(None), {'op': 'ping'})['pid'], 9)"
        )

    def ping(self, address: str) -> bool:
        """Whether an address answers within a second."""
        return self.run("ping", "-c1", "-W1", address, check=False).returncode == 0

    def fetch(self, address: str, port: int, *, seconds: float = 1.0) -> str | None:
        """What a TCP server says, or ``None`` if it does not."""
        return _fetch(self.run, address, port, seconds)

    def ask_udp(self, address: str, port: int, *, seconds: float = 1.0) -> str | None:
        """What a UDP server answers, or ``None``."""
        code = _UDP_CLIENT.format(address=address, port=port, seconds=seconds)
        done = self.run(sys.executable, "-S", "-c", code, check=False)
        return done.stdout or None

    def probe(self, targets: Sequence[tuple[str, str, int]]) -> list[str | None]:
        """What servers answer, asked all at once: protocol, address and port of each."""
        return _probe(self.run, targets)

    def serve(self, *flags: str) -> None:
        """Start the test server (`tests/server.py`) on the machine itself."""
        self.popen(sys.executable, "-S", SERVER, *flags)

    def capture(self, ifname: str, *words: str) -> Callable[[], str]:
        """Start to capture packets that fit a filter; what gives those seen so far."""
        path = f"/run/{ifname}.pcap"
        # In immediate mode each packet has a slot of its own. With blocks of them (TPACKET_V3) some
        # captures under the emulator had empty records, and garbage behind these.
        mode = ("--immediate-mode", "-U", "-n")
        self.popen("tcpdump", *mode, "-i", ifname, "-w", path, *words)
        wait_for(lambda: self.run("test", "-s", path, check=False).returncode == 0)

        def seen() -> str:
            # What is being written just now cannot be read to its end; what was before can.
            return self.run("tcpdump", "-n", "-e", "-r", path, check=False).stdout

        return seen

    def links(self) -> set[str]:
        """Names of the interfaces, once those out of use are gone: the agent deletes them."""
        return set(wait_for(self._settled_links, seconds=1, what="links out of use stay"))

    def _settled_links(self) -> list[str]:
        names = [link["ifname"] for link in json.loads(self.out("ip", "-j", "link"))]
        return [] if any(name.startswith("nx-") for name in names) else names

    def interface_state(self, ifname: str) -> tuple[Any, ...]:
        """What of an interface must be as before when nothing stands on it any more."""
        link = json.loads(self.out("ip", "-j", "-d", "link", "show", "dev", ifname))[0]
        kept = ("address", "mtu", "flags", "promiscuity", "allmulti", "operstate", "group")
        addresses = self.out("ip", "-o", "addr", "show", "dev", ifname, "scope", "global")
        macs = self.out("bridge", "fdb", "show", "dev", ifname)
        routes = self.out("ip", "route"), self.out("ip", "-6", "route")
        return {key: link[key] for key in kept}, addresses, macs, routes

    def snapshot(self) -> dict[str, Any]:
        """Everything a failing command must leave as it was (contract CV3)."""
        return {
            "links": self.links(),
            "rules": self.out("nft", "list", "ruleset"),
            "namespaces": self.out("sh", "-c", "ls /run/netyard/netns 2>/dev/null || true"),
            "directories": self.out("sh", "-c", "ls /run/netyard/c 2>/dev/null || true"),
            "mounts": self.out("sh", "-c", "grep -c nsfs /proc/self/mountinfo || true"),
            "containers": self.ny("ps", "-a", "-q"),
            "networks": self.ny("network", "ls", "-q"),
        }


def _probe(run: Callable[..., Any], targets: Sequence[tuple[str, str, int]]) -> list[str | None]:
    done = run(sys.executable, "-S", PROBE, json.dumps(list(targets)))
    found: list[str | None] = json.loads(done.stdout)
    return found


PROBE = str(Path(__file__).with_name("probe.py"))
SERVER = str(Path(__file__).with_name("server.py"))

_UDP_CLIENT = """
import socket
info = socket.getaddrinfo({address!r}, {port}, 0, socket.SOCK_DGRAM)[0]
s = socket.socket(info[0], socket.SOCK_DGRAM)
s.settimeout({seconds})
s.sendto(b"hello", info[4])
try:
    print(s.recv(999).decode(), end="")
except OSError:
    pass
"""

_TCP_CLIENT = """
import socket
try:
    s = socket.create_connection(({address!r}, {port}), {seconds})
    print(s.recv(999).decode(), end="")
except OSError:
    pass
"""


def _fetch(run: Callable[..., Any], address: str, port: int, seconds: float) -> str | None:
    code = _TCP_CLIENT.format(address=address, port=port, seconds=seconds)
    return run(sys.executable, "-S", "-c", code, check=False).stdout or None


class Guest:
    """A running container of a machine, for trying what it reaches."""

    def __init__(self, machine: Machine, name: str) -> None:
        self.machine = machine
        self.name = name

    def run(self, *command: str, check: bool = True, **_: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return self.machine.netyard("exec", self.name, *command, check=check)

    def ping(self, address: str) -> bool:
        """Whether an address or name answers within a second."""
        return self.run("ping", "-c1", "-W1", address, check=False).returncode == 0

    def fetch(self, address: str, port: int, *, seconds: float = 1.0) -> str | None:
        """What a TCP server says, or ``None``."""
        return _fetch(self.run, address, port, seconds)

    def ask_udp(self, address: str, port: int, *, seconds: float = 1.0) -> str | None:
        """What a UDP server answers, or ``None``."""
        code = _UDP_CLIENT.format(address=address, port=port, seconds=seconds)
        return self.run(sys.executable, "-S", "-c", code, check=False).stdout or None

    def probe(self, targets: Sequence[tuple[str, str, int]]) -> list[str | None]:
        """What servers answer, asked all at once."""
        return _probe(self.run, targets)

    def dig(self, *arguments: str) -> str:
        """``dig +short``."""
        return self.run("dig", "+short", "+time=2", "+tries=2", *arguments).stdout.strip()

    def address(self, network: str, *, version: int = 4) -> str:
        """Its address on a network."""
        found = json.loads(self.machine.ny("inspect", self.name))[0]
        settings = found["NetworkSettings"]["Networks"][network]
        return str(settings["IPAddress" if version == 4 else "GlobalIPv6Address"])


_RESOLV_CONF = f"nameserver {ROUTER}\nsearch lab.test\n"


class Lab:
    """A host, a neighbour on its wire, and an internet behind a router."""

    def __init__(self) -> None:
        self._machines: list[Machine] = []
        self.wire = self._machine("wire")
        self.host = self._machine("host", _RESOLV_CONF)
        self.neighbour = self._machine("neighbour")
        self.internet = self._machine("internet")
        self.wire.run("ip", "-batch", "-", input="link add wire up type bridge")
        self.plug(self.host, HOST, HOST6, routed=True)
        self.plug(self.neighbour, NEIGHBOUR, NEIGHBOUR6, routed=True)
        self.plug(self.internet, ROUTER, ROUTER6)
        elsewhere = (f"addr add {address} dev lo\n" for address in (INTERNET, INTERNET6))
        self.internet.run("ip", "-batch", "-", input="".join(elsewhere))

    def _machine(self, name: str, resolv_conf: str = "") -> Machine:
        machine = Machine(name, resolv_conf)
        self._machines.append(machine)
        return machine

    def plug(
        self,
        machine: Machine,
        address: str,
        address6: str,
        ifname: str = "eth0",
        *,
        routed: bool = False,
    ) -> None:
        """Plug a machine into the wire; ``routed`` with the router as its way out."""
        port = f"{machine.name}-{ifname}"[:15]
        # Only the network namespace is entered: pids mean the same on both sides.
        subprocess.run(
            [
                *f"nsenter -t {self.wire.pid} -n ip link add {port}".split(),
                *f"master wire up type veth peer name {ifname} netns {machine.pid}".split(),
            ],
            check=True,
        )
        script = (
            f"link set {ifname} up\n"
            f"addr add {address}/24 dev {ifname}\n"
            f"addr add {address6}/64 dev {ifname} nodad\n"
        )
        if routed:
            script += f"route add default via {ROUTER}\nroute add default via {ROUTER6}\n"
        machine.run("ip", "-batch", "-", input=script)

    def reboot(self) -> None:
        """Restart the host: of all it had only the files under ``/var/lib`` are left."""
        mac = self.host.out("cat", "/sys/class/net/eth0/address")
        with tempfile.TemporaryDirectory(prefix="lab-disk-") as disk:
            self.host.run("cp", "-a", "/var/lib/.", disk)
            self.host.close()
            self._machines.remove(self.host)
            self.host = self._machine("host", _RESOLV_CONF)
            self.host.run("cp", "-a", f"{disk}/.", "/var/lib")
        # The kernel takes a dead namespace's interfaces away in the background.
        self.wire.run("ip", "link", "del", "host-eth0", check=False)
        self.plug(self.host, HOST, HOST6, routed=True)
        self.host.run("ip", "link", "set", "eth0", "address", mac)

    def serve_internet(self) -> None:
        """Start DNS and a TCP/UDP echo server on port 80 out there."""
        self.internet.serve("80")
        self.internet.popen(
            *f"dnsmasq --keep-in-foreground --no-resolv --no-hosts --listen-address {ROUTER} "
            f"--bind-interfaces --user=root --pid-file= --log-queries --log-facility=/run/dns.log "
            f"--address=/example.test/{INTERNET} --host-record=six.test,{INTERNET6} "
            f"--host-record=web.lab.test,{INTERNET} --local=/test/".split()
        )
        question = ("dig", "+short", "+time=1", "+tries=1", f"@{ROUTER}", "example.test")
        wait_for(lambda: self.internet.run(*question, check=False).stdout.strip() == INTERNET)

    def asked_outside(self) -> str:
        """The questions the server out there has seen."""
        return self.internet.run("cat", "/run/dns.log", check=False).stdout

    def close(self) -> None:
        """End all machines."""
        for machine in self._machines:
            machine.close()


@contextlib.contextmanager
def opened() -> Iterator[Lab]:
    """A lab for the duration of a block."""
    lab = Lab()
    try:
        yield lab
    finally:
        lab.close()
