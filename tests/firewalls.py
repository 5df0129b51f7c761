"""Real firewalls of others on lab machines."""

from __future__ import annotations

from lab import Machine, wait_for


def enable_ufw(host: Machine) -> None:
    """Its files are this machine's own: work on copies of them."""
    host.run(
        "sh",
        "-c",
        "cp -a /etc/ufw /run/ufw && mount --bind /run/ufw /etc/ufw && mkdir -p /var/lib/ufw && "
        "cp -a /etc/default /run/default && mount --bind /run/default /etc/default",
    )
    host.run("ufw", "--force", "enable")


def start_firewalld(host: Machine) -> None:
    """With a message bus of its own; its default zone rejects what is not allowed."""
    host.run("mkdir", "-p", "/run/dbus")
    host.popen("dbus-daemon", "--system", "--nofork", "--nopidfile")
    wait_for(
        lambda: host.run("test", "-S", "/run/dbus/system_bus_socket", check=False).returncode == 0
    )
    host.popen("firewalld", "--nofork", "--nopid")
    wait_for(lambda: host.run("firewall-cmd", "--state", check=False).returncode == 0, seconds=20)


def reload_firewalld(host: Machine) -> None:
    """Have it write its rules anew, and wait for it: longer than D-Bus does, for an emulator's sake."""
    done = host.run("firewall-cmd", "--reload", check=False)
    if done.returncode:
        assert "Did not receive a reply" in done.stderr, done.stderr
    wait_for(lambda: host.run("firewall-cmd", "--state", check=False).returncode == 0, seconds=60)
