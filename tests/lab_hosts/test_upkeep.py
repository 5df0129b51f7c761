"""Reload and repair, crashes, scale, and what netyard says when it cannot work."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from agreement import kernel, wait_for_kernel
from dhcp_server import Server
from lab import HOST, HOST6, INTERNET, SERVER, Guest, Lab, Machine, wait_for


def test_reload_after_flush_and_deleted_bridge(lab: Lab) -> None:
    """Rules flushed, the bridge deleted: one command and everything works again."""
    lab.serve_internet()
    host = lab.host
    host.ny("network", "create", "--ipv6", "net")
    host.ny(
        *"run -d --name web --network net -p 8080:80 -p [::1]:81:80".split(),
        sys.executable,
        "-S",
        SERVER,
        "80",
    )
    host.ny(*"run -d --name client --network net sleep 600".split())
    client = Guest(host, "client")
    wait_for(lambda: lab.neighbour.fetch(HOST, 8080))
    bridge = next(name for name in host.links() if name.startswith("br-"))

    def works() -> list[bool]:
        return [
            bool(lab.neighbour.fetch(HOST, 8080)),
            bool(lab.neighbour.fetch(HOST6, 8080)),
            bool(host.fetch("::1", 81)),
            bool(client.fetch("web", 80)),
            bool(client.fetch(INTERNET, 80)),
        ]

    host.run("nft", "flush", "ruleset")
    host.run("ip", "link", "del", bridge)
    assert works() == [False] * 5
    shown = host.ny("reload")
    assert "restored: container web" in shown
    # IPv6 of a new bridge waits for the kernel's link watch, up to a second.
    wait_for(lambda: works() == [True] * 5, what="everything works again")
    ports = [name for name in host.links() if name.startswith("ny-")]
    for port in ports:
        host.run("ip", "link", "del", port)
    host.ny("reload")
    wait_for(lambda: works() == [True] * 5, what="everything works again")
    assert host.ny("reload").count("lost") == 0
    assert works() == [True] * 5
    host.ny("rm", "-f", "web", "client")
    host.ny("network", "rm", "net")


def test_table_is_made_again_by_the_next_change(host: Machine) -> None:
    """Without reload, too: a missing table is made whole."""
    host.ny("network", "create", "one")
    host.run("nft", "flush", "ruleset")
    host.ny("network", "create", "two")
    rules = host.out("nft", "list", "set", "inet", "netyard", "bridges")
    assert '"one"' in rules
    assert '"two"' in rules


def test_two_hundred_containers(host: Machine) -> None:
    """Each resolvable; created and removed; nothing of them is left."""
    host.ny("network", "create", "net")
    host.ny(*"run --rm --network net true".split())
    wait_for(lambda: not [name for name in host.links() if name.startswith("ny-")])
    links, mounts = host.links(), host.out("cat", "/proc/mounts")
    code = (
        "from netyard import Container, Host\n"
        "host = Host()\n"
        "for i in range(200):\n"
        "    Container.run('sleep', '600', name=f'c{i}', network='net', host=host)\n"
    )
    host.python(code, timeout=110)
    assert host.ny("ps", "-q").count("\n") == 199
    names = "\n".join(f"c{number}" for number in range(200))
    asked = host.run(
        *(sys.executable, "-m", "netyard", "exec", "-i", "c0", "dig", "+short", "-f", "-"),
        input=names,
    ).stdout.split()
    assert len(set(asked)) == 200
    Guest(host, "c7").run("ping", "-c1", "-W1", "c199")
    code = (
        "from netyard import Container, Host\n"
        "host = Host()\n"
        "for c in Container.list(host=host): c.remove(force=True)\n"
    )
    host.python(code, timeout=110)
    wait_for(lambda: host.links() == links, seconds=30, what="interfaces are gone")
    assert host.ny("ps", "-aq") == ""
    assert host.out("cat", "/proc/mounts") == mounts
    assert (
        host.out("ls", "/run/netyard/netns", "/run/netyard/c", "/var/lib/netyard/logs").count("\n")
        == 4
    )
    rules = host.out("nft", "list", "ruleset")
    assert not re.search(r"172\.18\.0\.\d+ ", rules)
    wait_for(lambda: not host.own_processes(), seconds=20)
    rows = (
        "import sqlite3; db=sqlite3.connect('/var/lib/netyard/netyard.db'); print(*(db.execute("
        "f'select count(*) from {t}').fetchone()[0] for t in "
        "('containers','endpoints','leases','publications')))"
    )
    assert host.python(rows) == "0 0 0 0"


KILL = """
import json, os, sys
from netyard import _core, Container, Host, Network
point, host = int(sys.argv[1]), Host()
calls = 0
def wrap(module, name):
    real = getattr(module, name)
    def wrapped(*arguments, **named):
        global calls
        for _ in range(2):
            calls += 1
            if calls == point:
                os.kill(os.getpid(), 9)
            if _ == 0:
                result = real(*arguments, **named)
        return result
    setattr(module, name, wrapped)
for name in ("create_bridges attach delete_links apply_nft create_namespace release_namespace "
             "set_loopback write_sysctls flush_flows make_mount_point create_shim attach_children "
             "detach_children set_host_routes change_addresses set_default_routes").split():
    wrap(_core, name)
from netyard.state.store import Store
from netyard.runtime import shim
from netyard.ipc import agent
wrap(agent, "begin_lease")
wrap(agent, "release_leases")
wrap(Store, "set_endpoint_states")
wrap(Store, "update_container")
wrap(Store, "add_publications")
wrap(shim, "supervise")
net = Network.create("crash", host=host, **json.loads(sys.argv[2]))
box = Container.run("sleep", "600", name="box", network="crash", publish=["8080:80"], host=host)
second = Network.create("crash2", host=host)
second.connect(box)
second.disconnect(box)
box.remove(force=True)
second.remove()
net.remove()
print("finished", calls)
"""


def _agrees_with_its_kernel(host: Machine) -> None:
    """A running box has an interface for each network it is said to be on, and its port works."""
    shown = json.loads(host.ny("inspect", "box"))[0]
    if not shown["State"]["Running"]:
        return
    wanted = {each["InterfaceName"] for each in shown["NetworkSettings"]["Networks"].values()}
    links = json.loads(host.ny("exec", "box", "ip", "-j", "link"))
    assert {link["ifname"] for link in links} == {"lo", *wanted}
    # Beside a macvlan network the port is published while the bridge carries the default route.
    is_published = bool(shown["NetworkSettings"]["Ports"])
    assert is_published or "macvlan" in host.ny("network", "ls")
    ports = host.out("nft", "list", "map", "inet", "netyard", "published4")
    assert ("8080" in ports) == is_published


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(4))
def test_killed_at_every_step(host: Machine, part: int) -> None:
    """SIGKILL before and after each kernel call and record: the next command leaves no trace."""
    _kill_at_each(host, {}, part)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(4))
def test_killed_at_every_step_on_macvlan(lab: Lab, part: int) -> None:
    """The same on a parent interface: no route of the host is left, and no lease at the server."""
    server = Server(lab.internet)
    options = {"parent": "eth0", "host_access": "true"}
    settings = {"driver": "macvlan", "ipam_driver": "dhcp", "options": options}
    _kill_at_each(lab.host, settings, part)
    wait_for(lambda: not server.leases())


def _kill_at_each(host: Machine, settings: dict[str, Any], part: int) -> None:
    script = (sys.executable, "-c", KILL)
    host.ny("network", "create", "steady")
    host.ny("run", "-d", "--name", "witness", "--network", "steady", "sleep", "600")

    def kernel() -> tuple[object, ...]:
        rules = re.sub(r"packets \d+ bytes \d+", "", host.out("nft", "list", "ruleset"))
        return (
            host.links(),
            host.out("ip", "route"),
            rules,
            host.out("ls", "/run/netyard/netns"),
            host.out("ls", "/run/netyard/c"),
        )

    before = kernel()
    total = int(host.run(*script, "0", json.dumps(settings)).stdout.split()[-1])
    wait_for(lambda: kernel() == before, what="an undisturbed run leaves nothing")
    assert total > 40
    for point in range(1 + part, total + 1, 4):
        words = (*script, str(point), json.dumps(settings))
        done = host.run(*words, check=False, timeout=30)
        assert done.returncode == -9 or done.returncode == 137, (point, done)
        host.ny("repair")
        names = host.ny("ps", "-a", "--format", "json").splitlines()
        if any(json.loads(line)["Names"] == "box" for line in names):
            _agrees_with_its_kernel(host)
            host.ny("rm", "-f", "box")
        host.ny("network", "rm", "-f", "crash", "crash2")
        try:
            wait_for(lambda: kernel() == before)
        except AssertionError:
            assert kernel() == before, f"killed at point {point}"
    assert Guest(host, "witness").ping(Guest(host, "witness").address("steady"))


def test_not_root(host: Machine) -> None:
    """One sentence that says what is missing."""
    import netyard

    package = str(__import__("pathlib").Path(netyard.__file__).parents[1])
    command = (
        "import sys; sys.argv=['netyard','network','ls']; from netyard.cli.main import main; main()"
    )
    done = host.run(
        "setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        sys.executable,
        "-c",
        command,
        check=False,
        env={"PYTHONPATH": package},
    )
    if "Permission denied" in done.stderr and "netyard needs root" not in done.stderr:
        pytest.fail(f"the interpreter itself is not readable to others: {done.stderr}")
    assert done.returncode == 1
    assert done.stderr.startswith("netyard: netyard needs root")
    assert "sudo" in done.stderr


def test_read_only_root(host: Machine) -> None:
    """StoreError, not a traceback."""
    host.run("mkdir", "/run/frozen")
    host.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/run/frozen")
    assert "/run/frozen" in host.refused("--root", "/run/frozen/x", "network", "ls")
    assert "Read-only" in host.refused("--root", "/run/frozen", "network", "ls")


def test_store_of_a_newer_version_and_a_damaged_one(host: Machine) -> None:
    """It is left alone."""
    host.ny("network", "ls")
    code = "import sqlite3; d=sqlite3.connect('/var/lib/netyard/netyard.db'); d.execute('pragma user_version=99')"
    host.python(code)
    before = host.out("sha256sum", "/var/lib/netyard/netyard.db")
    assert "newer netyard" in host.refused("network", "create", "x")
    assert host.out("sha256sum", "/var/lib/netyard/netyard.db") == before
    host.run(
        "sh",
        "-c",
        "head -c 9000 /dev/urandom > /var/lib/netyard/netyard.db; rm -f /var/lib/netyard/*-*",
    )
    assert "cannot be used" in host.refused("network", "ls")


def test_kernel_without_nf_tables(host: Machine) -> None:
    """The module is named, and nothing is left."""
    before = host.links()
    code = (
        "import sys\nfrom netyard import _core, errors\n"
        "def apply_nft(tables):\n"
        "    kind = _core.FailureKind.NO_NFTABLES\n"
        "    raise errors.kernel_error(kind=kind, operation='open netlink socket', errno=93)\n"
        "_core.apply_nft = apply_nft\n"
        "sys.argv = ['netyard', 'network', 'create', 'x']\n"
        "from netyard.cli.main import main\nmain()\n"
    )
    done = host.run(sys.executable, "-c", code, check=False)
    assert done.returncode == 1
    assert "lacks nf_tables: load the modules nf_tables" in done.stderr
    assert host.links() == before
    assert host.ny("network", "ls").count("\n") == 3


def test_two_roots_do_not_meet(host: Machine) -> None:
    """Several roots on one machine never collide."""
    for root in ("/run/a", "/run/b"):
        host.ny("--root", root, "network", "create", "net")
        host.ny("--root", root, *"run -d --name box --network net sleep 600".split())
    assert host.ny("ps", "-q") == ""
    for root in ("/run/a", "/run/b"):
        assert host.ny("--root", root, "ps", "-q").count("\n") == 0
        assert "1 received" in host.ny(
            "--root", root, *"run --rm --network net ping -c1 box".split()
        )
    host.ny("--root", "/run/a", "rm", "-f", "box")
    assert "1 received" in host.ny(
        "--root", "/run/b", *"run --rm --network net ping -c1 box".split()
    )


def test_parallel_commands_get_different_addresses(host: Machine) -> None:
    """IP13: across processes."""
    host.ny("network", "create", "net")
    words = (sys.executable, "-m", "netyard", "run", "-d", "--network", "net", "sleep", "600")
    started = [host.popen(*words) for _ in range(8)]
    assert [process.wait(60) for process in started] == [0] * 8
    members = json.loads(host.ny("network", "inspect", "net"))[0]["Containers"].values()
    assert len({member["IPv4Address"] for member in members}) == 8


def test_links_out_of_use(host: Machine) -> None:
    """What is disconnected or removed is gone for good, by whoever comes next; nothing else is."""
    host.run("ip", "link", "add", "nx-9", "type", "bridge")
    host.ny("network", "create", "net")
    host.ny("run", "-d", "--name", "box", "--network", "net", "sleep", "600")
    agent = host.out("pgrep", "-f", "agent --exit-when-idle").split()[0]
    host.run("kill", "-STOP", agent)
    code = (
        "from netyard import _core; import os\n"
        "box = os.open('/run/netyard/netns/' + os.listdir('/run/netyard/netns')[0], os.O_RDONLY)\n"
        "ends = [link.name for link in _core.list_links() if link.name.startswith('ny-')]\n"
        "_core.retire_pairs([(ends[0], box)])\n"
        "print([link.name for link in _core.list_links(box)])\n"
    )
    assert host.python(code) == "['lo']"
    present = host.out("ip", "-o", "link")
    assert "state DOWN" in present and present.count(": nx-") == 2, "out of use, and there"
    host.run("kill", "-KILL", agent)
    host.ny("ps")
    wait_for(lambda: host.out("ip", "-o", "link").count(": nx-") == 1, what="left by the agent")
    assert "nx-9" in host.out("ip", "-o", "link"), "somebody's own"


@pytest.mark.parametrize(
    "damage",
    [
        "head -c 9000 /dev/urandom > /var/lib/netyard/netyard.db; rm -f /var/lib/netyard/*-*",
        "rm /var/lib/netyard/netyard.db*",
        "python3 -Ic \"import sqlite3; sqlite3.connect('/var/lib/netyard/netyard.db')"
        ".execute('pragma user_version=99')\"",
    ],
    ids=["garbage", "gone", "newer"],
)
def test_repair_from_kernel(lab: Lab, damage: str) -> None:
    """A lost store: what there is of it is shown, and taken away, and nothing of anybody else."""
    host = lab.host
    host.run("ip", "link", "add", "br-other", "type", "bridge")
    host.run("ip", "netns", "add", "guest")
    host.ny("--root", "/run/other", "network", "create", "theirs")
    wait_for(lambda: not host.own_processes())
    before = kernel(host)
    host.ny("network", "create", "--ipv6", "net")
    host.ny("network", "create", "empty")
    host.ny(
        "network", "create", "-d", "macvlan", "-o", "parent=eth0", "-o", "host_access=true", "wire"
    )
    host.ny(*"run -d --name box --network net -p 8080:80 sleep 600".split())
    host.ny(*"adopt guest --netns /run/netns/guest --network net".split())
    host.ny(*"network connect wire guest".split())
    host.run(*"ip -n guest link add own0 type veth peer name own1".split())
    host.run(*"ip -n guest link add nobody link own0 type macvlan".split())
    assert "in order" in host.refused("repair", "--from-kernel", "--clean")
    host.run("sh", "-c", damage)
    if "rm" not in damage.split()[0]:
        assert "repair --from-kernel" in host.refused("network", "ls")
    found = host.ny("repair", "--from-kernel")
    assert {"net", "empty", "wire"} == set(re.findall(r"of network (\S+)", found))
    assert found.count("of a container") == 2
    assert "theirs" not in found
    assert host.ny("repair", "--from-kernel") == found, "it only shows"
    removed = host.ny("repair", "--from-kernel", "--clean")
    assert set(found.replace("found: ", "").splitlines()) <= set(
        removed.replace("removed: ", "").splitlines()
    )
    host.run("umount", "/run/netyard/netns", "/run/netyard/c")
    host.run("rm", "-r", "/var/lib/netyard", "/run/netyard")
    # Whether forwarding was off before is known to the store only.
    before["settings"] = kernel(host)["settings"]
    wait_for_kernel(host, before, damage)
    left = [each["ifname"] for each in json.loads(host.out("ip", "-n", "guest", "-j", "link"))]
    assert sorted(left) == ["lo", "nobody", "own0", "own1"]
    host.ny("network", "create", "net")
    host.ny(*"run -d --name box --network net -p 8080:80 sleep 600".split())
    host.ny("--root", "/run/other", "network", "rm", "theirs")
