"""Beside real dockerd, firewalld and ufw: published ports, the way out and isolation hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

import firewalls
from lab import HOST, INTERNET, NEIGHBOUR, SERVER, SLOWNESS, Guest, Lab, Machine, wait_for

_CGROUPS = "cpu cpuacct cpuset memory devices freezer blkio pids"
_DOCKERD = (
    "exec dockerd --data-root /run/docker-data --exec-root /run/docker --pidfile /run/dockerd.pid "
    "--storage-driver vfs --bip 172.31.0.1/24 > /run/dockerd.log 2>&1"
)


def _serve(host: Machine) -> None:
    serve = (sys.executable, "-S", SERVER, "80", "81")
    host.ny("network", "create", "--subnet", "10.71.0.0/24", "net")
    host.ny("network", "create", "--subnet", "10.72.0.0/24", "other")
    host.ny("run", "-d", "--name", "web", "--network", "net", "-p", "8080:80", *serve)
    host.ny("run", "-d", "--name", "peer", "--network", "other", "sleep", "900")
    wait_for(lambda: host.fetch("10.71.0.2", 81))


def _problems(lab: Lab) -> list[str]:
    """What does not hold."""
    peer, web = Guest(lab.host, "peer"), Guest(lab.host, "web")
    checks = {
        "published to the wire": bool(lab.neighbour.fetch(HOST, 8080)),
        "published to another network": bool(peer.fetch(HOST, 8080)),
        "the way out": web.fetch(INTERNET, 80) == f"hello {HOST}",
        "isolation": peer.fetch("10.71.0.2", 80) is None,
        "unpublished": lab.neighbour.fetch("10.71.0.2", 81) is None,
    }
    return [what for what, holds in checks.items() if not holds]


@pytest.fixture
def beside(lab: Lab) -> Lab:
    """A network with a published port, made before the other firewall comes."""
    lab.serve_internet()
    lab.neighbour.run("ip", "route", "add", "10.71.0.0/24", "via", HOST)
    _serve(lab.host)
    assert _problems(lab) == []
    return lab


def _start_dockerd(host: Machine) -> subprocess.Popen[bytes]:
    started = host.popen("sh", "-c", _DOCKERD)
    try:
        wait_for(lambda: host.run("docker", "info", check=False).returncode == 0, seconds=40)
    except AssertionError as error:
        log = host.run("tail", "-n", "20", "/run/dockerd.log", check=False).stdout
        raise AssertionError(f"dockerd did not start: {log}") from error
    return started


def test_dockerd(beside: Lab) -> None:
    """FW27 to FW29: its FORWARD policy and restarts do not shut netyard out, nor netyard Docker."""
    host = beside.host
    host.run("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    for name in _CGROUPS.split():
        host.run("mkdir", f"/sys/fs/cgroup/{name}")
        host.run("mount", "-t", "cgroup", "-o", name, "cgroup", f"/sys/fs/cgroup/{name}")
    first = _start_dockerd(host)
    host.run("iptables", "-P", "FORWARD", "DROP")  # as dockerd does when it turns forwarding on
    wait_for(lambda: _problems(beside) == [], what="beside dockerd")
    assert "netyard" in host.out("iptables", "-S", "DOCKER-USER")
    host.run("sh", "-c", "cd /bin && tar c busybox | docker import - box")
    say = "box /busybox nc -ll -p 80 -e /busybox echo docker"
    host.run(*f"docker run -d --name theirs -p 9000:80 {say}".split())
    wait_for(lambda: beside.neighbour.fetch(HOST, 9000) == "docker\n")
    host.run("kill", host.out("cat", "/run/dockerd.pid"))
    first.wait(timeout=40 * SLOWNESS)
    host.run("rm", "-f", "/run/dockerd.pid")
    _start_dockerd(host)
    wait_for(lambda: _problems(beside) == [], what="after its restart")
    report = host.ny("doctor")
    assert "Docker" in report and "DOCKER-USER" in report
    host.run("docker", "start", "theirs")
    wait_for(lambda: beside.neighbour.fetch(HOST, 9000) == "docker\n")
    host.ny("rm", "-f", "web", "peer")
    host.ny("network", "rm", "net", "other")
    assert "netyard" not in host.out("iptables", "-S")
    assert beside.neighbour.fetch(HOST, 9000) == "docker\n", "Docker's own goes on"
    host.run("docker", "rm", "-f", "theirs")
    # Cgroups have no namespace that would take them away with the lab.
    tidy = "find /sys/fs/cgroup -depth -type d -path '*/docker*' -exec rmdir {} +"
    wait_for(lambda: host.run("sh", "-c", tidy, check=False).returncode == 0)


def test_firewalld(beside: Lab) -> None:
    """FW30: its start, and `firewall-cmd --reload`, leave netyard's networks as they were."""
    host = beside.host
    firewalls.start_firewalld(host)
    wait_for(lambda: _problems(beside) == [], what="beside firewalld")
    for _ in range(2):
        firewalls.reload_firewalld(host)
        wait_for(lambda: _problems(beside) == [], seconds=5, what="after a reload")
    report = host.ny("doctor")
    assert "firewalld" in report and "trusted" in report
    host.ny("network", "create", "third")
    host.ny(*"run -d --name late --network third sleep 600".split())
    assert Guest(host, "late").fetch(INTERNET, 80) == f"hello {HOST}"
    zone = host.out("firewall-cmd", "--zone=trusted", "--list-interfaces").split()
    assert len(zone) == 3
    host.ny("rm", "-f", "late")
    host.ny("network", "rm", "third")
    assert len(host.out("firewall-cmd", "--zone=trusted", "--list-interfaces").split()) == 2


def test_ufw(beside: Lab) -> None:
    """FW31: denying what is forwarded does not shut containers off; reloading changes nothing."""
    host = beside.host
    firewalls.enable_ufw(host)
    wait_for(lambda: _problems(beside) == [], what="beside ufw")
    host.run("ufw", "reload")
    wait_for(lambda: _problems(beside) == [], what="after a reload")
    report = host.ny("doctor")
    assert "ufw" in report and "does not apply to published ports" in report


@pytest.mark.parametrize("whose", ["docker", "firewalld"])
def test_internal_networks(lab: Lab, whose: str) -> None:
    """FW27, FW30: with br_netfilter what stays within a network is forwarded, too, and passes."""
    host = lab.host
    for word in ("iptables", "ip6tables"):
        host.run("sh", "-c", f"echo 1 > /proc/sys/net/bridge/bridge-nf-call-{word}")
    if whose == "docker":
        host.run("iptables", "-P", "FORWARD", "DROP")
        host.run("ip6tables", "-P", "FORWARD", "DROP")
    else:
        firewalls.start_firewalld(host)
    host.ny("network", "create", "--internal", "--ipv6", "net")
    for name in ("one", "two"):
        host.ny("run", "-d", "--name", name, "--network", "net", "sleep", "600")
    one, two = Guest(host, "one"), Guest(host, "two")
    assert one.ping(two.address("net"))
    assert one.ping(two.address("net", version=6))
    host.ny("rm", "-f", "one", "two")
    host.ny("network", "rm", "net")
    assert "netyard" not in host.out("iptables", "-S")


def test_the_hosts_firewall_may_decide(lab: Lab) -> None:
    """FW31, US2: by choice, `ufw route` rules decide about published ports."""
    lab.serve_internet()
    host = lab.host
    firewalls.enable_ufw(host)
    host.ny("config", "set", "host-firewall", "decides")
    _serve(host)
    web = Guest(host, "web")
    assert web.fetch(INTERNET, 80), "the way out is open, replies come in"
    assert lab.neighbour.fetch(HOST, 8080) is None, "nobody has allowed it"
    host.run(*"ufw route allow proto tcp to any port 80".split())
    assert lab.neighbour.fetch(HOST, 8080)
    assert "ufw route" in host.ny("doctor")
    host.run(*"ufw route delete allow proto tcp to any port 80".split())
    assert lab.neighbour.fetch(HOST, 8080) is None


def test_doctor_finds_what_is_in_the_way(lab: Lab) -> None:
    """PB10, FW27: a host server behind a published port, a chain that drops, forwarding off."""
    host = lab.host
    assert host.doctor() == ["ok       no problems found"]
    _serve(host)
    host.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
    host.serve("8080")
    host.run("nft", "add table inet admin")
    host.run(
        "nft", "add chain inet admin routing { type filter hook forward priority 5; policy drop; }"
    )
    wait_for(lambda: "8080" in host.ny("doctor"))
    report = host.ny("doctor")
    assert "forwarding of IPv4 is off" in report
    assert "inet admin routing" in report


def test_rules_of_the_admin_come_first(beside: Lab) -> None:
    """FW32: a table of one's own decides before netyard's, by the port that was asked."""
    host = beside.host
    host.run("nft", "add table inet admin")
    host.run("nft", "add chain inet admin before { type filter hook forward priority filter - 1; }")
    rule = f"meta l4proto tcp ip saddr {NEIGHBOUR} ct original proto-dst 8080 drop"
    host.run("nft", f"add rule inet admin before {rule}")
    assert _problems(beside) == ["published to the wire"]
    host.ny("reload")
    assert _problems(beside) == ["published to the wire"], "it survives"
    host.run("nft", "delete table inet admin")
    assert _problems(beside) == []


@pytest.mark.parametrize("mode", ["1", "2"])
def test_reverse_path_filter(beside: Lab, mode: str) -> None:
    """FW37: whatever the host's rp_filter says."""
    script = f"for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {mode} > $f; done"
    beside.host.run("sh", "-c", script)
    assert _problems(beside) == []
    assert beside.host.fetch("127.0.0.1", 8080)


def test_no_moment_with_an_open_port(lab: Lab) -> None:
    """FW34: a neighbour that asks every millisecond is never answered while networks come and go."""
    host = lab.host
    lab.neighbour.run("ip", "route", "add", "10.71.0.0/24", "via", HOST)
    probe = (
        "import socket,time\n"
        "s=socket.socket(2,2); s.setblocking(False); end=time.time()+25\n"
        "print('asking',flush=True)\n"
        "while time.time()<end:\n"
        "  for port in (80,81):\n"
        "    s.sendto(b'x',('10.71.0.2',port))\n"
        "  try: print('ANSWERED',s.recv(99),flush=True)\n"
        "  except OSError: pass\n"
        "  time.sleep(0.001)\n"
    )
    asking = lab.neighbour.popen(sys.executable, "-S", "-c", probe, stdout=subprocess.PIPE)
    assert asking.stdout is not None
    assert asking.stdout.readline() == b"asking\n"
    while asking.poll() is None:
        _serve(host)
        host.ny("rm", "-f", "web", "peer")
        host.ny("network", "rm", "net", "other")
    assert asking.stdout.read() == b""
