"""A host is restarted: everything of the kernel is gone, the state directory is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab import HOST, HOST6, INTERNET, SERVER, Guest, Lab, Machine, wait_for

PACKAGING = Path(__file__).parents[2] / "packaging"
WEB = (sys.executable, "-S", SERVER, "80")
WIRE = "-d macvlan -o parent=eth0 --subnet 192.0.2.0/24 --gateway 192.0.2.1".split()


def _furnish(lab: Lab) -> None:
    """What was there before the restart."""
    host = lab.host
    host.ny("network", "create", "--ipv6", "net")
    host.ny("network", "create", *WIRE, "wire")
    host.run("ip", "netns", "add", "guest")
    ports = ("-p", "8080:80", "-p", "[::]:8081:80")
    host.ny("adopt", "guest", "--netns", "/run/netns/guest", "--network", "net", *ports)
    host.popen("unshare", "-n", "sleep", "600")
    pid = wait_for(lambda: host.run("pgrep", "-x", "sleep", check=False).stdout.strip())
    host.ny("adopt", "process", "--pid", pid, "--network", "net")
    host.ny("run", "-d", "--name", "web", "--network", "net", "-p", "8090:80", *WEB)


def _serve_in_guest(host: Machine) -> None:
    host.popen("ip", "netns", "exec", "guest", *WEB)


def _works(lab: Lab) -> list[bool]:
    return [
        bool(lab.neighbour.fetch(HOST, 8080)),
        bool(lab.neighbour.fetch(HOST6, 8081)),
        bool(lab.neighbour.fetch(HOST, 8090)),
    ]


def test_reload_after_a_restart(lab: Lab) -> None:
    """Networks, ports and namespaces that somebody has made again are back; the rest is named."""
    lab.serve_internet()
    _furnish(lab)
    _serve_in_guest(lab.host)
    wait_for(lambda: _works(lab) == [True] * 3)
    address = Guest(lab.host, "guest").address("net")
    networks = lab.host.ny("network", "ls", "-q")
    lab.reboot()
    assert _works(lab) == [False] * 3
    lab.host.run("ip", "netns", "add", "guest")
    done = lab.host.netyard("reload", check=False)
    assert done.returncode == 1
    shown = done.stdout.splitlines()
    assert "restored: network net" in shown
    assert "restored: network wire" in shown
    assert "restored: container guest" in shown
    assert "ended: container web" in shown
    lost = [line for line in shown if line.startswith("lost: ")]
    assert lost == ["lost: container process: it was the namespace of a process, which has ended"]
    assert lab.host.ny("network", "ls", "-q") == networks
    assert Guest(lab.host, "guest").address("net") == address
    _serve_in_guest(lab.host)
    wait_for(lambda: _works(lab) == [True, True, False], what="the adopted namespace is back")
    lab.host.ny("start", "web")
    wait_for(lambda: _works(lab) == [True] * 3)
    inside = ("ip", "netns", "exec", "guest")
    asked = lab.host.out(*inside, "dig", "+short", "@127.0.0.11", "web")
    assert asked == Guest(lab.host, "web").address("net")
    fetched = f"import socket; print(socket.create_connection(('{INTERNET}', 80), 3).recv(99))"
    assert lab.host.out(*inside, sys.executable, "-S", "-c", fetched)
    lab.host.ny("abandon", "process")
    assert "lost" not in lab.host.ny("reload")


def test_reload_before_the_namespace_is_made(lab: Lab) -> None:
    """What comes later than netyard does is brought back by the next reload."""
    _furnish(lab)
    lab.reboot()
    shown = lab.host.netyard("reload", check=False).stdout
    assert "lost: container guest: there is no network namespace '/run/netns/guest'" in shown
    assert "8080" not in lab.host.out("nft", "list", "map", "inet", "netyard", "published4")
    lab.host.run("ip", "netns", "add", "guest")
    assert "restored: container guest" in lab.host.netyard("reload", check=False).stdout
    _serve_in_guest(lab.host)
    wait_for(lambda: lab.neighbour.fetch(HOST, 8080))


def test_any_command_works_after_a_restart(lab: Lab) -> None:
    """Without reload: nothing is claimed that is not so, and new containers run."""
    _furnish(lab)
    lab.reboot()
    shown = lab.host.ny("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    assert "web exited" in shown
    lab.host.ny("run", "-d", "--name", "new", "--network", "net", "-p", "8099:80", *WEB)
    wait_for(lambda: lab.neighbour.fetch(HOST, 8099))
    lab.host.ny("rm", "-f", "web", "new")
    lab.host.ny("abandon", "guest")
    lab.host.ny("abandon", "process")
    lab.host.ny("network", "rm", "net", "wire")
    assert lab.host.links() == {"lo", "eth0"}


def test_what_brings_back_is_killed(lab: Lab) -> None:
    """An adopted container that was being brought back is brought back by the next reload."""
    _furnish(lab)
    lab.reboot()
    lab.host.run("ip", "netns", "add", "guest")
    lab.host.netyard("reload", check=False)
    # As a kill just before the end leaves it.
    lab.host.python(
        "import sqlite3; db = sqlite3.connect('/var/lib/netyard/netyard.db', isolation_level=None)\n"
        "db.execute(\"update containers set state = 'starting' where name = 'guest'\")"
    )
    shown = lab.host.ny("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    assert "guest exited" in shown
    assert lab.host.out("ip", "-n", "guest", "-o", "link").count("\n") == 0
    assert "restored: container guest" in lab.host.netyard("reload", check=False).stdout
    _serve_in_guest(lab.host)
    wait_for(lambda: lab.neighbour.fetch(HOST, 8080))


def test_a_namespace_that_is_somebody_elses_now(lab: Lab) -> None:
    """Two containers are never brought back in one namespace."""
    _furnish(lab)
    lab.reboot()
    lab.host.netyard("reload", check=False)
    lab.host.run("ip", "netns", "add", "guest")
    lab.host.ny("adopt", "other", "--netns", "/run/netns/guest", "--network", "net")
    shown = lab.host.netyard("reload", check=False).stdout
    assert "lost: container guest: this namespace is container 'other' already" in shown
    assert Guest(lab.host, "other").address("net") in lab.host.out("ip", "-n", "guest", "addr")


def test_a_command_that_fails_after_a_restart(lab: Lab) -> None:
    """What it has brought back before it failed stays."""
    _furnish(lab)
    lab.reboot()
    lab.host.run("ip", "netns", "add", "guest")
    refused = ("run", "-d", "--network", "net", "-p", "8080:80", "sleep", "600")
    assert "is taken by container 'guest'" in lab.host.refused(*refused, status=125)
    _serve_in_guest(lab.host)
    wait_for(lambda: lab.neighbour.fetch(HOST, 8080))
    assert lab.host.ny("ps", "-q").count("\n") == 0


def test_systemd_unit() -> None:
    """It is one that systemd takes."""
    unit = PACKAGING / "netyard.service"
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
