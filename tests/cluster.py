"""A cluster of lab hosts on a routed wire: no two share a segment.

::

    alpha 10.99.1.2   beta 10.99.2.2   gamma 10.99.3.2 …      etcd 10.99.0.2
            └───────────────┴──────── router (10.99.N.1) ────────────┘
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import Guest, Machine, wait_for

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")
ETCD = "10.99.0.2"
ETCD_URL = f"http://{ETCD}:2379"

# Who signs, etcd itself, one of its clients, and a stranger with a certificate of his own making.
_CERTIFICATES = """
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
for name in server client; do
    openssl req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
    echo "subjectAltName=IP:$2" > $name.ext
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
        -extfile $name.ext -out $name.pem
done
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger -keyout stranger.key -out stranger.pem
"""


class Cluster:
    """Machines with netyard, joined by a router, and one with etcd."""

    def __init__(self, hosts: int) -> None:
        self._machines: list[Machine] = []
        self._files = tempfile.TemporaryDirectory(prefix="cluster-")
        self.router = self._machine("router")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.etcd = self._machine("etcd")
        self._plug(self.etcd, 0)
        self.hosts = [self._machine(name) for name in NAMES[:hosts]]
        for number, machine in enumerate(self.hosts, 1):
            self._plug(machine, number)
        self._etcd: subprocess.Popen[bytes] | None = None

    def _machine(self, name: str) -> Machine:
        # Nobody answers there, and at once.
        machine = Machine(name, "nameserver 127.0.0.1\n")
        self._machines.append(machine)
        return machine

    def _plug(self, machine: Machine, number: int) -> None:
        subprocess.run(
            [
                *f"nsenter -t {self.router.pid} -n ip link add {machine.name} up".split(),
                *f"type veth peer name eth0 netns {machine.pid}".split(),
            ],
            check=True,
        )
        subnet, subnet6 = f"10.99.{number}", f"2001:db8:99:{number}"
        self.router.run("ip", "addr", "add", f"{subnet}.1/24", "dev", machine.name)
        self.router.run("ip", "addr", "add", f"{subnet6}::1/64", "dev", machine.name, "nodad")
        machine.run(
            "ip",
            "-batch",
            "-",
            input=f"link set eth0 up\naddr add {subnet}.2/24 dev eth0\n"
            f"addr add {subnet6}::2/64 dev eth0 nodad\n"
            f"route add default via {subnet}.1\nroute add default via {subnet6}::1\n",
        )

    def start_etcd(self, *flags: str, scheme: str = "http") -> None:
        """Start etcd, or start it again on what it had."""
        self._etcd = self.etcd.popen(
            *("etcd", "--data-dir", "/var/lib/etcd", "--log-level", "error"),
            *("--listen-client-urls", f"{scheme}://0.0.0.0:2379"),
            *("--advertise-client-urls", f"{scheme}://{ETCD}:2379"),
            *("--listen-peer-urls", "http://127.0.0.1:2380", *flags),
        )
        port = ("nc", "-z", "127.0.0.1", "2379")
        wait_for(lambda: self.etcd.run(*port, check=False).returncode == 0, what="etcd")
        if scheme == "http":
            wait_for(lambda: self.etcdctl("endpoint", "health", check=False).returncode == 0)

    def start_etcd_with_tls(self) -> Path:
        """The same with certificates; returns the directory with ca, cert and key of a client."""
        directory = Path(self._files.name)
        self.etcd.run("sh", "-ec", _CERTIFICATES, "sh", str(directory), ETCD)
        files = {"cert": "server.pem", "key": "server.key", "trusted-ca": "ca.pem"}
        flags = [f"--{name}-file={directory / file}" for name, file in files.items()]
        self.start_etcd("--client-cert-auth", *flags, scheme="https")
        return directory

    def stop_etcd(self) -> None:
        """End etcd as a crash would."""
        self.etcd.run("pkill", "-9", "-x", "etcd")
        assert self._etcd is not None
        self._etcd.wait()

    def etcdctl(self, *words: str, check: bool = True) -> Any:
        """Run ``etcdctl``."""
        return self.etcd.run("etcdctl", *words, env={"ETCDCTL_API": "3"}, check=check)

    def shared_keys(self) -> list[str]:
        """Every key there is."""
        listed = self.etcdctl("get", "/", "--prefix", "--keys-only").stdout
        return [line for line in listed.splitlines() if line]

    def join(self, *hosts: Machine, flags: tuple[str, ...] = ()) -> None:
        """Make hosts members."""
        for machine in hosts or self.hosts:
            machine.ny(
                "host", "join", "--etcd", ETCD_URL, "--advertise", address_of(machine), *flags
            )

    def cut(self, machine: Machine) -> None:
        """Take a host off the wire."""
        self.router.run("ip", "link", "set", machine.name, "down")

    def mend(self, machine: Machine) -> None:
        """Put it back."""
        self.router.run("ip", "link", "set", machine.name, "up")

    def close(self) -> None:
        """End all machines."""
        for machine in self._machines:
            machine.close()
        self._files.cleanup()


def address_of(machine: Machine) -> str:
    """A host's address between the hosts."""
    return f"10.99.{NAMES.index(machine.name) + 1}.2"


def run(machine: Machine, name: str, network: str, *words: str) -> Guest:
    """A container that only waits, on a network that must have come to its host.

    Args:
        words: Further flags.
    """
    wait_for(lambda: network in machine.ny("network", "ls", "--format", "{{.Name}}").split())
    machine.ny("run", "-d", "--name", name, "--network", network, *words, "sleep", "600")
    return Guest(machine, name)


@contextlib.contextmanager
def opened(hosts: int = 3, *, has_etcd: bool = True) -> Iterator[Cluster]:
    """A cluster for the duration of a block, its etcd running, its hosts not joined."""
    cluster = Cluster(hosts)
    try:
        if has_etcd:
            cluster.start_etcd()
        yield cluster
    finally:
        cluster.close()
