"""User namespaces of containers: what root inside one is, and is not, to its host.

Each probe is a call that must be refused, or a marker that must not change.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab import Machine

# Lists the links of the namespace that has a number in ours: rtnetlink(7), IFLA_TARGET_NETNSID.
LINKS_OF_PEER = """
import os, socket, struct
body = struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("=HHi", 8, 46, 0)
asked = struct.pack("=IHHII", 16 + len(body), 18, 0x301, 1, 0) + body
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
    route.send(asked)
    answer = route.recv(65536)
kind, = struct.unpack_from("=H", answer, 4)
error = -struct.unpack_from("=i", answer, 16)[0] if kind in (2, 3) else 0
print(os.strerror(error) if error else "links")
"""


def own_users(host: Machine) -> str:
    return host.run("readlink", "/proc/self/ns/user").stdout.strip()


@pytest.mark.parametrize("ipv6", [(), ("--ipv6", "--subnet", "2001:db8:7::/64")])
def test_the_hosts_links_are_out_of_reach(host: Machine, ipv6: tuple[str, ...]) -> None:
    """A1: capabilities of a container count for its own network namespace alone."""
    host.ny("network", "create", *ipv6, "net")
    probe = [sys.executable, "-c", LINKS_OF_PEER]
    run = ["run", "--rm", "--network", "net"]
    for capability in ("NET_ADMIN", "ALL"):
        found = host.ny(*run, "--cap-add", capability, *probe)
        assert found in ("Permission denied", "Operation not permitted"), capability
    host.ny("run", "-d", "--name", "box", "--network", "net", "--cap-add", "ALL", "sleep", "600")
    for again in ("exec", "restart"):
        if again == "restart":
            host.ny("stop", "-t", "0", "box")
            host.ny("start", "box")
        found = host.ny("exec", "box", *probe)
        assert found in ("Permission denied", "Operation not permitted"), again
    # Of its own it may do what it likes.
    host.ny("exec", "box", "ip", "link", "add", "own", "type", "bridge")
    assert "own" in host.ny("exec", "box", "ip", "-br", "link")
    assert "own" not in host.run("ip", "-br", "link").stdout


def test_every_container_has_one_of_its_own(host: Machine) -> None:
    """Started, started again, entered, and shared with those that share the network."""
    link = ["readlink", "/proc/self/ns/user"]
    host.ny("run", "-d", "--name", "box", "sleep", "600")
    first = host.ny("exec", "box", *link)
    assert first != own_users(host)
    assert host.ny("run", "--rm", "--network", "container:box", *link) == first
    assert host.ny("run", "--rm", *link) not in (first, own_users(host))
    assert host.ny("run", "--rm", "--network", "none", *link) != own_users(host)
    host.ny("stop", "-t", "0", "box")
    host.ny("start", "box")
    assert host.ny("exec", "box", *link) != own_users(host)
    assert host.ny("run", "--rm", "--hostname", "named", "hostname") == "named"


def test_who_asks_for_the_hosts_has_it(host: Machine) -> None:
    """--userns host, --privileged and the host's network."""
    link = ["readlink", "/proc/self/ns/user"]
    host.ny("run", "-d", "--name", "box", "sleep", "600")
    for flags in (
        ["--userns", "host"],
        ["--privileged"],
        ["--network", "host"],
        ["--userns", "host", "--network", "container:box"],
        ["--privileged", "--network", "container:box"],
    ):
        assert host.ny("run", "--rm", *flags, *link) == own_users(host), flags
    assert "private, auto or host" in host.refused("run", "--userns", "keep", "true", status=125)
    assert '"UsernsMode": "host"' in _inspected(host, "--userns", "host")
    assert '"UsernsMode": ""' in _inspected(host, "--userns", "private")


def _inspected(host: Machine, *flags: str) -> str:
    made = host.ny("create", *flags, "true")
    shown = host.ny("inspect", made)
    host.ny("rm", made)
    return shown


def test_files_keep_their_owners(host: Machine, tmp_path: Path) -> None:
    """Every id is what it is on the host."""
    tmp_path.chmod(0o777)
    parents = [each for each in tmp_path.parents if each != Path("/tmp")]
    for each in parents:
        if each.is_relative_to("/tmp"):
            each.chmod(0o755)
    for user, owner in (("0", 0), ("1234:5678", 1234)):
        name = f"by-{owner}"
        host.ny("run", "--rm", "--user", user, "-w", str(tmp_path), "touch", name)
        assert (tmp_path / name).stat().st_uid == owner
    assert (tmp_path / "by-1234").stat().st_gid == 5678
    host.ny("run", "--rm", "-w", str(tmp_path), "chown", "77:78", "by-0")
    assert (tmp_path / "by-0").stat().st_uid == 77
    assert host.ny("run", "--rm", "cat", "/proc/self/uid_map").split() == ["0", "0", "4294967295"]


def test_devices_cannot_be_made(host: Machine, tmp_path: Path) -> None:
    """A3: a node for the host's null device is refused, whatever the capabilities."""
    node = str(tmp_path / "node")
    for flags in ([], ["--cap-add", "ALL"]):
        done = host.netyard("run", "--rm", *flags, "mknod", node, "c", "1", "3", check=False)
        assert "Operation not permitted" in done.stderr
        assert not Path(node).exists()
    host.ny("run", "--rm", "--userns", "host", "mknod", node, "c", "1", "3")
    Path(node).unlink()


def test_covers_stay_on_what_they_cover(host: Machine) -> None:
    """C2: whoever may mount inside can still not take a cover off, or mount /proc anew."""
    host.ny("run", "-d", "--name", "box", "--cap-add", "ALL", "sleep", "600")

    def refused(*words: str) -> None:
        done = host.netyard("exec", "box", *words, check=False)
        assert done.returncode != 0, words

    host.ny("exec", "box", "mount", "-t", "tmpfs", "own", "/mnt")
    refused("umount", "/proc/sys")
    refused("mount", "-o", "remount,bind,rw", "/proc/sys")
    refused("mount", "-t", "proc", "again", "/mnt")
    refused("sh", "-c", "echo 1 > /proc/sys/kernel/printk_delay")
    assert host.run("cat", "/proc/sys/kernel/printk_delay").stdout.strip() == "0"


def test_low_ports_names_and_settings_go_on(host: Machine) -> None:
    """What worked without: ports below 1024 by anybody, ping, --sysctl, the name server."""
    host.ny("network", "create", "net")
    serve = ["busybox", "httpd", "-f", "-p", "80", "-h", "/etc"]
    host.ny("run", "-d", "--name", "web", "--network", "net", "--user", "1234", *serve)
    peer = ["run", "--rm", "--network", "net"]
    fetch = ["curl", "-sSm", "9", "http://web/protocols"]
    assert "icmp" in host.ny(*peer, *fetch)
    assert "1 received" in host.ny(*peer, "--user", "1234", "ping", "-c1", "-W5", "web")
    setting = "net.ipv4.conf.all.forwarding"
    read = ["cat", "/proc/sys/net/ipv4/conf/all/forwarding"]
    assert host.ny(*peer, "--sysctl", f"{setting}=1", *read) == "1"


def test_a_host_without_user_namespaces_says_so(host: Machine) -> None:
    """One sentence, with the way on."""
    # A limit of this user namespace alone: the sandbox is its root's.
    flags = "--root /mnt/root run --rm --network none"
    script = (
        "mount -t tmpfs own /mnt && mount -t tmpfs own /run && "
        "echo 0 > /proc/sys/user/max_user_namespaces && "
        f"exec {sys.executable} -m netyard {flags} true"
    )
    done = host.run("unshare", "-Urmn", "sh", "-c", script, check=False)
    assert "user.max_user_namespaces is too low" in done.stderr
    assert "--userns host" in done.stderr
    assert done.returncode == 125
