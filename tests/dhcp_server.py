"""DHCP servers for the wire of a lab: dnsmasq, and busybox's, whose leases can be of seconds."""

from __future__ import annotations

import subprocess

from lab import ROUTER, Machine, wait_for

LEASES = "/run/dhcp.leases"


class Server:
    """The wire's DHCP server, on the lab's router."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(
        self, first: str = "192.0.2.100", last: str = "192.0.2.120", *, flags: str = ""
    ) -> None:
        """Start it, with leases of two minutes, which is dnsmasq's shortest."""
        self._process = self.machine.popen(
            *f"dnsmasq --keep-in-foreground --port=0 --no-ping --dhcp-authoritative --user=root "
            f"--interface=eth0 --bind-interfaces --pid-file=/run/dhcp.pid --log-dhcp "
            f"--dhcp-range={first},{last},255.255.255.0,2m --dhcp-option=3,{ROUTER} "
            f"--dhcp-leasefile={LEASES} --log-facility=/run/dhcp.log {flags}".split()
        )
        wait_for(
            lambda: self.machine.run("test", "-s", "/run/dhcp.pid", check=False).returncode == 0
        )

    def stop(self) -> None:
        """End it; it keeps its leases."""
        pid = self.machine.out("cat", "/run/dhcp.pid")
        self.machine.run("kill", pid)
        assert self._process is not None
        self._process.wait()

    def leases(self) -> dict[str, tuple[str, str]]:
        """By address, who has it: MAC address and name."""
        lines = self.machine.run("cat", LEASES, check=False).stdout.splitlines()
        words = [line.split() for line in lines]
        return {word[2]: (word[1], word[3]) for word in words}

    def log(self) -> str:
        """What it has written."""
        return self.machine.run("cat", "/run/dhcp.log", check=False).stdout


def serve_briefly(machine: Machine, first: str, last: str) -> None:
    """Start a DHCP server whose leases are for eight seconds."""
    settings = f"start {first}\nend {last}\ninterface eth0\nmin_lease 4\nopt lease 8\n"
    settings += f"opt subnet 255.255.255.0\nopt router {ROUTER}\nlease_file /run/brief.leases\n"
    machine.run("sh", "-c", "cat >/run/udhcpd.conf; >/run/brief.leases", input=settings)
    machine.popen("busybox", "udhcpd", "-f", "/run/udhcpd.conf")
