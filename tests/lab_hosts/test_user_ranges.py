"""``--userns auto``: ids of a container's own, out of ``/etc/subuid`` and ``/etc/subgid``.

What is tried is harmless: marker files that must not be read or changed, and what must go on working.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

import cluster
import crashing
from crashing import Operation, Rig, kill_at_every_call
from dhcp_server import Server
from id_ranges import give, own_etc
from lab import NEIGHBOUR, Guest, Lab, Machine, wait_for

FIRST, SIZE = 200_000, 65_536
AUTO = ("--userns", "auto")
MAP = ("cat", "/proc/self/uid_map", "/proc/self/gid_map")


@pytest.fixture
def ranged(host: Machine) -> Machine:
    """A host with room for three containers of the usual size, the groups elsewhere than the users."""
    own_etc(host)
    room = f"{3 * SIZE}"
    give(host, f"other:100000:100000\ncontainers:{FIRST}:{room}\n", f"containers:900000:{room}\n")
    return host


@pytest.fixture
def rootfs(ranged: Machine) -> str:
    """A root with a static busybox, a file for root alone, and one of a user."""
    script = (
        "mkdir -p /run/root/bin /run/root/etc && cd /run/root && cp /bin/busybox bin && "
        "for each in sh cat stat touch id; do ln -s busybox bin/$each; done && "
        "echo user:x:1000:1000::/:/bin/sh > etc/passwd && "
        "echo private > private && chmod 600 private && echo users > users && chown 1000:1000 users"
    )
    ranged.run("sh", "-ec", script)
    return "/run/root"


def owner(host: Machine, path: str) -> str:
    return host.out("stat", "-c", "%u:%g", path)


def maps(host: Machine, *words: str) -> list[list[str]]:
    """Lines of the maps of users and groups, of a container that is run or entered."""
    return [line.split() for line in host.ny(*words, *MAP).splitlines()]


def test_root_is_nobody_on_the_host(ranged: Machine, tmp_path: Path) -> None:
    """What is the host root's alone can be neither read nor changed, whatever the capabilities."""
    for each in tmp_path.parents:
        if each.is_relative_to("/tmp") and each != Path("/tmp"):
            each.chmod(0o755)
    tmp_path.chmod(0o755)
    private, public = tmp_path / "private", tmp_path / "public"
    for each, mode in ((private, 0o600), (public, 0o644)):
        each.write_text("marker")
        each.chmod(mode)
    anyones = tmp_path / "anyones"
    anyones.mkdir()
    anyones.chmod(0o777)
    for files in ("system", "all"):
        run = ["run", "--rm", *AUTO, "--host-files", files, "--cap-add", "ALL"]
        assert ranged.ny(*run, "id", "-u") == "0"
        assert ranged.ny(*run, "cat", str(public)) == "marker"
        for refused in (
            ("cat", str(private)),
            ("touch", str(tmp_path / "new")),
            ("sh", "-c", f"echo changed > {public}"),
            ("rm", str(public)),
            ("chown", "0", str(public)),
            ("mount", "--bind", str(anyones), "/mnt/missing"),
            ("cat", "/etc/shadow"),
        ):
            done = ranged.netyard(*run, *refused, check=False)
            assert done.returncode != 0, (files, refused)
        # Where all may write it writes as itself, and that is a user of nobody's.
        ranged.ny(*run, "touch", str(anyones / files))
        assert owner(ranged, str(anyones / files)) == f"{FIRST}:900000"
    assert (private.read_text(), public.read_text()) == ("marker", "marker")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["anyones", "private", "public"]


def test_maps_and_processes(ranged: Machine) -> None:
    """What the kernel, `inspect` and `top` say; after a restart the same."""
    ranged.ny("run", "-d", "--name", "box", *AUTO, "sleep", "600")
    expected = [["0", str(FIRST), str(SIZE)], ["0", "900000", str(SIZE)]]
    assert maps(ranged, "exec", "box") == expected
    shown = json.loads(ranged.ny("inspect", "box"))[0]["HostConfig"]
    assert shown["UsernsMode"] == "auto"
    assert shown["IDMappings"] == {
        "UidMap": [f"0:{FIRST}:{SIZE}"],
        "GidMap": [f"0:900000:{SIZE}"],
    }
    assert ranged.ny("top", "box").splitlines()[1].split()[0] == str(FIRST)
    ranged.ny("stop", "-t", "0", "box")
    ranged.ny("start", "box")
    assert maps(ranged, "exec", "box") == expected
    assert "IDMappings" not in ranged.ny("inspect", ranged.ny("create", "true"))


def test_a_root_of_its_own_is_its_own(ranged: Machine, rootfs: str) -> None:
    """Files keep the owners that they have on the host, seen from inside and from outside."""
    run = ["run", "--rm", *AUTO, "--rootfs", rootfs]
    seen = "stat -c %u:%g / /private /users /etc/hosts; cat /private; touch /new; id -u"
    assert ranged.ny(*run, "sh", "-c", seen).split() == [
        *("0:0", "0:0", "1000:1000", "0:0", "private", "0"),
    ]
    assert owner(ranged, f"{rootfs}/new") == "0:0"
    # What netyard makes there, as well.
    assert owner(ranged, f"{rootfs}/proc") == "0:0"
    as_user = "id -u; echo more >> /users; cat /users; cat /private 2>&1; touch /other 2>&1"
    done = ranged.netyard(*run, "--user", "user", "sh", "-c", as_user, check=False)
    assert done.stdout.split()[:3] == ["1000", "users", "more"]
    assert done.stdout.count("Permission denied") == 2
    assert owner(ranged, f"{rootfs}/users") == "1000:1000"
    done = ranged.netyard(*run, "--read-only", "touch", "/new2", check=False)
    assert "Read-only" in done.stderr


def test_a_layer_is_its_own(ranged: Machine) -> None:
    """``--host-files ephemeral``: everything is as on the host, and goes."""
    run = ["run", "--rm", *AUTO, "--host-files", "ephemeral"]
    seen = "stat -c %u:%g / /usr/bin/env && touch /usr/by-auto && stat -c %u:%g /usr/by-auto"
    assert ranged.ny(*run, "sh", "-c", seen).split() == ["0:0"] * 3
    assert not Path("/usr/by-auto").exists()
    read_only = ["run", "--rm", *AUTO, "--host-files", "read-only"]
    seen = "touch /tmp/x /run/x && stat -c %u:%g /tmp /run/x; touch /home/x 2>&1"
    done = ranged.netyard(*read_only, "sh", "-c", seen, check=False)
    assert done.stdout.split()[:2] == ["0:0", "0:0"]
    assert "Read-only file system" in done.stdout


def test_volumes(ranged: Machine, rootfs: str) -> None:
    """With ``idmap`` a volume's owners are the container's, and without it they are the host's."""
    ranged.run("sh", "-ec", "mkdir /run/data && echo marker > /run/data/m && chmod 600 /run/data/m")
    run = ["run", "--rm", *AUTO, "--rootfs", rootfs]
    look = ["sh", "-c", "stat -c %u /data/m; cat /data/m; touch /data/new"]
    plain = ranged.netyard(*run, "-v", "/run/data:/data", *look, check=False)
    assert plain.stdout.split() == ["65534"] and plain.stderr.count("Permission denied") == 2
    for flags in (
        ["-v", "/run/data:/data:idmap"],
        ["--mount", "type=bind,source=/run/data,target=/data,idmap"],
    ):
        assert ranged.ny(*run, *flags, *look).split() == ["0", "marker"]
        assert owner(ranged, "/run/data/new") == "0:0"
        ranged.run("rm", "/run/data/new")
    again = ["-v", "/run/data:/data:idmap,ro", *look]
    assert "Read-only file system" in ranged.netyard(*run, *again, check=False).stderr
    # Mount points below it are made as its root.
    below = ["-v", "/run/data:/data:idmap", "-v", "/run/root:/data/below", "true"]
    ranged.ny(*run, *below[:-1], "/bin/busybox", "true")
    assert owner(ranged, "/run/data/below") == "0:0"
    # Of a container with the host's ids it changes nothing.
    same = ["run", "--rm", "--rootfs", rootfs, "-v", "/run/data:/data:idmap", *look]
    assert ranged.ny(*same).split() == ["0", "marker"]
    tmpfs = ["--tmpfs", "/one:mode=0700", "--tmpfs", "/two:uid=1000,gid=1001,mode=0700"]
    seen = ranged.ny(*run, *tmpfs, "stat", "-c", "%u:%g", "/one", "/two")
    assert seen.split() == ["0:0", "1000:1001"]
    made = ranged.ny("create", *AUTO, "--rootfs", rootfs, *below[:2], "true")
    assert json.loads(ranged.ny("inspect", made))[0]["HostConfig"]["Binds"] == [
        "/run/data:/data:idmap"
    ]


def test_no_two_have_the_same(ranged: Machine) -> None:
    """Ranges are disjoint, free with the container, and given again."""
    for name in ("one", "two", "three"):
        ranged.ny("run", "-d", "--name", name, *AUTO, "sleep", "600")
    firsts = {int(maps(ranged, "exec", name)[0][1]) for name in ("one", "two", "three")}
    assert firsts == {FIRST, FIRST + SIZE, FIRST + 2 * SIZE}
    complaint = ranged.refused("run", "-d", "--name", "four", *AUTO, "true", status=125)
    assert f"of the {3 * SIZE} ids that /etc/subuid gives user 'containers'" in complaint
    assert "remove a container of --userns auto" in complaint
    # Stopped it is still its own.
    ranged.ny("stop", "-t", "0", "two")
    assert "in a row are free" in ranged.refused("create", *AUTO, "true")
    ranged.ny("rm", "two")
    assert maps(ranged, "run", "--rm", *AUTO)[0] == ["0", str(FIRST + SIZE), str(SIZE)]
    # And what was refused has left nothing.
    assert ranged.ny("ps", "-a", "--format", "{{.Names}}").split() == ["three", "one"]
    sizes = [ranged.ny("run", "-d", f"--userns=auto:size={n}", "sleep", "60") for n in (10, 20)]
    assert [maps(ranged, "exec", each)[0] for each in sizes] == [
        ["0", str(FIRST + SIZE), "10"],
        ["0", str(FIRST + SIZE + 10), "20"],
    ]


def test_mappings_that_are_forced(ranged: Machine) -> None:
    """Podman's ``uidmapping`` and ``gidmapping``: the rest is filled up from the range."""
    asked = "auto:size=2000,uidmapping=1000:1000:1,gidmapping=100:50:2"
    assert maps(ranged, "run", "--rm", "--userns", asked) == [
        ["0", str(FIRST), "1000"],
        ["1000", "1000", "1"],
        ["1001", str(FIRST + 1000), "999"],
        ["0", "900000", "100"],
        ["100", "50", "2"],
        ["102", "900100", "1898"],
    ]


def test_networks_names_ports_and_settings(lab: Lab, ranged: Machine, rootfs: str) -> None:
    """What has to do with networks is as without it."""
    ranged.ny("network", "create", "--ipv6", "--subnet", "2001:db8:7::/64", "net")
    serve = ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/etc"]
    web = ["-d", "--name", "web", "--network", "net", "-p", "8080:80", "--rootfs", rootfs]
    ranged.ny("run", *AUTO, *web, "--user", "1000", *serve)
    ranged.ny("run", "-d", "--name", "box", *AUTO, "--network", "net", "sleep", "600")
    page = "user:x:1000:1000::/:/bin/sh"
    assert ranged.ny("exec", "box", "curl", "-sSm", "9", "http://web/passwd") == page
    assert lab.neighbour.out("curl", "-sSm", "9", "http://192.0.2.10:8080/passwd") == page
    for user in ("0", "1234"):
        for flag in ("-4", "-6"):
            ping = ("ping", flag, "-c1", "-W5", "web")
            assert "1 received" in ranged.ny("exec", "--user", user, "box", *ping)
    assert "1 received" in ranged.ny("exec", "box", "ping", "-c1", "-W5", NEIGHBOUR)
    # Files of its own, which it can write to, before and after a change of networks.
    ranged.ny("network", "create", "more")
    ranged.ny("network", "connect", "more", "box")
    ranged.ny("exec", "box", "sh", "-c", "echo 10.9.9.9 nine >> /etc/hosts && getent hosts nine")
    ranged.ny("network", "disconnect", "more", "box")
    assert "1 received" in ranged.ny("exec", "box", "ping", "-c1", "-W5", "web")
    ranged.run("nft", "flush", "ruleset")
    ranged.ny("reload")
    assert "1 received" in ranged.ny("exec", "box", "ping", "-c1", "-W5", NEIGHBOUR)
    ranges = "/proc/sys/net/ipv4/ping_group_range"
    run = ["run", "--rm", *AUTO]
    assert ranged.ny(*run, "cat", ranges).split() == ["0", str(SIZE - 1)]
    setting = "net.ipv4.ping_group_range=5 10"
    assert ranged.ny(*run, "--sysctl", setting, "cat", ranges).split() == ["5", "10"]
    forwarding = ["--sysctl", "net.ipv4.conf.all.forwarding=1"]
    read = ["cat", "/proc/sys/net/ipv4/conf/all/forwarding"]
    assert ranged.ny(*run, *forwarding, *read) == "1"


def test_on_the_wire(lab: Lab, ranged: Machine) -> None:
    """macvlan, with an address that is leased."""
    lab.serve_internet()
    Server(lab.internet)
    lab.neighbour.serve("80")
    ranged.ny("network", "create", "-d", "macvlan", "--ipam-driver", "dhcp", "lan")
    ranged.ny("run", "-d", "--name", "box", *AUTO, "--network", "lan", "sleep", "600")
    address = Guest(ranged, "box").address("lan")
    assert address in ranged.ny("exec", "box", "busybox", "nc", "-w", "9", NEIGHBOUR, "80")


def test_across_hosts() -> None:
    """Overlay networks, with names."""
    with cluster.opened(2) as made:
        made.join()
        one, two = made.hosts[:2]
        one.ny("network", "create", "-d", "overlay", "net")
        for host, name in ((one, "here"), (two, "there")):
            own_etc(host)
            give(host, f"containers:{FIRST}:{SIZE}\n")
            cluster.run(host, name, "net", *AUTO)
        for host, name, peer in ((one, "here", "there"), (two, "there", "here")):
            assert maps(host, "exec", name)[0] == ["0", str(FIRST), str(SIZE)]
            guest = Guest(host, name)
            wait_for(partial(guest.ping, peer))


def test_all_capabilities_are_of_its_own(ranged: Machine) -> None:
    """They count for its mounts, devices and names, and for nothing that it was given."""
    ranged.ny("run", "-d", "--name", "box", *AUTO, "--cap-add", "ALL", "sleep", "600")
    own = "mount -t tmpfs own /mnt && touch /mnt/x && stat -c %u /mnt/x && ip link add own type bridge"
    assert ranged.ny("exec", "box", "sh", "-c", own) == "0"
    assert "own" not in ranged.out("ip", "-br", "link")
    for refused in (
        ("umount", "/proc/sys"),
        ("mount", "-o", "remount,bind,rw", "/proc/sys"),
        ("mount", "-t", "proc", "again", "/mnt"),
        ("mknod", "/mnt/null", "c", "1", "3"),
        ("sh", "-c", "echo 1 > /proc/sys/kernel/printk_delay"),
    ):
        assert ranged.netyard("exec", "box", *refused, check=False).returncode != 0, refused
    assert ranged.out("cat", "/proc/sys/kernel/printk_delay") == "0"


def test_streams_and_terminals(ranged: Machine) -> None:
    """Streams can be opened again by their names, as root and as a user; terminals are its own."""
    write = "echo out > /dev/stdout; echo err > /dev/stderr"
    for user in ("0", "1234"):
        done = ranged.netyard("run", "--rm", *AUTO, "--user", user, "sh", "-c", write)
        assert (done.stdout, done.stderr) == ("out\n", "err\n")
    ranged.ny("run", "-d", "--name", "box", *AUTO, "sh", "-c", f"{write}; exec sleep 600")
    done = ranged.netyard("logs", "box")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    for user in ("0", "1234"):
        done = ranged.netyard("exec", "--user", user, "box", "sh", "-c", f"id -u; {write}")
        assert (done.stdout, done.stderr) == (f"{user}\nout\n", "err\n")
    on_terminal = ["sh", "-c", "echo tty > /dev/tty; echo console > /dev/console"]
    ranged.ny("run", "-dt", "--name", "term", *AUTO, *on_terminal)
    ranged.ny("wait", "term")
    assert ranged.ny("logs", "term").split() == ["tty", "console"]
    assert ranged.ny("exec", "-t", "box", "sh", "-c", "echo tty > /dev/tty") == "tty"
    opened = "import os; os.close(os.open(os.ttyname(os.openpty()[1]), os.O_RDWR))"
    ranged.ny("exec", "box", "/usr/bin/python3", "-c", opened)


def test_those_that_share_a_network_share_ids(ranged: Machine, rootfs: str) -> None:
    """``--network container:``: the ids are those of the other, or it is refused."""
    ranged.ny("run", "-d", "--name", "owner", *AUTO, "sleep", "600")
    ranged.ny("run", "-d", "--name", "plain", "sleep", "600")
    share = ["run", "--rm", "--network", "container:owner"]
    expected = [["0", str(FIRST), str(SIZE)], ["0", "900000", str(SIZE)]]
    for flags in ([], list(AUTO)):
        assert maps(ranged, *share, *flags) == expected
        look = ["--rootfs", rootfs, "cat", "/private", "/etc/hosts"]
        assert "private" in ranged.ny(*share, *flags, *look)
    assert maps(ranged, *share, "--userns", "host")[0] == ["0", "0", "4294967295"]
    refusal = ["run", "--network", "container:plain", *AUTO, "true"]
    assert "'plain', whose network is to be shared, has the ids of the host" in ranged.refused(
        *refusal, status=125
    )
    with_size = ["run", "--network", "container:owner", "--userns", "auto:size=9", "true"]
    assert "have the same ids" in ranged.refused(*with_size, status=125)
    # The range is taken for as long as one of them is there.
    ranged.ny("run", "-d", "--name", "joiner", "--network", "container:owner", "sleep", "600")
    ranged.ny("stop", "-t", "0", "joiner", "owner")
    ranged.ny("rm", "owner")
    assert maps(ranged, "run", "--rm", *AUTO)[0][1] == str(FIRST + SIZE)
    ranged.ny("rm", "-f", "joiner")
    assert maps(ranged, "run", "--rm", *AUTO)[0][1] == str(FIRST)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--privileged"], "--userns auto cannot be used with --privileged"),
        (["--network", "host"], "--userns auto cannot be used with --network host"),
        (["--user", "70000"], "--user: the container has no user 70000"),
        (["--user", "1:70000"], "--user: the container has no group 70000"),
        (["--tmpfs", "/mnt:uid=70000"], "--tmpfs: the container has no user 70000"),
        (["--userns", "auto:size=200000"], f"'containers' {3 * SIZE} ids in a row, and 200000 are"),
    ],
)
def test_what_does_not_go_together(ranged: Machine, flags: list[str], complaint: str) -> None:
    """One sentence, and nothing is left."""
    for command in ("run", "create"):
        status = 125 if command == "run" else 1
        assert complaint in ranged.refused(command, *AUTO, *flags, "true", status=status)
    assert ranged.ny("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "/etc/subuid has no line for user 'containers'"),
        ("other:100000:65536\n", "/etc/subuid has no line for user 'containers'"),
        ("\ncontainers:x:9\n", "/etc/subuid, line 2: 'containers:x:9' must be USER:FIRST:COUNT"),
        ("containers\n", "/etc/subuid, line 1: 'containers' must be USER:FIRST:COUNT"),
        ("containers:0:65536\n", "begins at 0, which is root of the host"),
        ("containers:4294967000:65536\n", "must have ids from 1 to 4294967294"),
        ("containers:100000:500\n", "500 ids in a row, and 65536 are wanted"),
        ("containers:100000:40000\ncontainers:500000:40000\n", "40000 ids in a row, and 65536"),
    ],
)
def test_files_that_give_nothing(ranged: Machine, text: str, complaint: str) -> None:
    """A file that is empty, of others, wrong, or too small; and one of groups that is."""
    give(ranged, text)
    assert complaint in ranged.refused("run", *AUTO, "true", status=125)
    good = f"containers:{FIRST}:{SIZE}\n"
    give(ranged, good, text)
    groups = complaint.replace("subuid", "subgid")
    assert groups in ranged.refused("create", *AUTO, "true")
    code = (
        "from netyard import Container, Invalid\n"
        "try: Container.run('true', userns='auto')\n"
        "except Invalid as error: print(error)\n"
    )
    assert groups in ranged.python(code)
    assert ranged.ny("ps", "-aq") == ""
    give(ranged, good)
    assert maps(ranged, "run", "--rm", *AUTO)[0] == ["0", str(FIRST), str(SIZE)]


def test_files_that_are_none(ranged: Machine) -> None:
    """Missing, or a FIFO, which is not waited for; the lines of a number are those of its user."""
    ranged.run("rm", "/etc/subgid")
    assert "there is no /etc/subgid" in ranged.refused("run", *AUTO, "true", status=125)
    ranged.run("mkfifo", "/etc/subgid")
    refused = ranged.refused("run", *AUTO, "true", status=125)
    assert "/etc/subgid cannot be read: it is no regular file" in refused
    ranged.run("rm", "/etc/subgid")
    ranged.run("sh", "-c", "echo containers:x:4321:4321::/:/bin/false >> /etc/passwd")
    give(ranged, f"4321:{FIRST}:{SIZE}\n")
    assert maps(ranged, "run", "--rm", *AUTO)[0] == ["0", str(FIRST), str(SIZE)]


def test_ids_beyond_half_of_all(ranged: Machine) -> None:
    """Podman's own example; ping for everybody is a range of groups, in the kernel of fewer."""
    give(ranged, "containers:2147483647:2147483648\n")
    ranged.ny("run", "-d", "--name", "box", *AUTO, "sleep", "600")
    assert maps(ranged, "exec", "box")[1] == ["0", "2147483647", str(SIZE)]
    ping = ("ping", "-c1", "-W5", "127.0.0.1")
    assert "1 received" in ranged.ny("exec", "--user", "1234:1234", "box", *ping)


def test_a_file_system_that_cannot(ranged: Machine, rootfs: str) -> None:
    """An overlay takes no ids of others: said by its path."""
    script = (
        "mkdir -p /run/over/upper /run/over/work /run/over/root && mount -t overlay -o "
        f"lowerdir={rootfs},upperdir=/run/over/upper,workdir=/run/over/work overlay /run/over/root"
    )
    ranged.run("sh", "-ec", script)
    run = ["run", *AUTO, "--rootfs", "/run/over/root", "busybox", "true"]
    complaint = ranged.refused(*run, status=125)
    assert "--userns: /run/over/root cannot have the ids of the container" in complaint
    volume = ["-v", "/run/over/root:/data:idmap", "/bin/busybox", "true"]
    complaint = ranged.refused("run", *AUTO, "--rootfs", rootfs, *volume, status=125)
    assert "--userns: /run/over/root cannot have the ids of the container" in complaint
    assert ranged.ny("ps", "-aq") == ""


def test_in_python(ranged: Machine) -> None:
    """The same words; what is wrong is one exception of a kind."""
    code = (
        "from netyard import Container, Exhausted, Invalid\n"
        "box = Container.run('sleep', '600', userns='auto')\n"
        "print(box.exec('cat', '/proc/self/uid_map').stdout.decode().split())\n"
        "print(box.popen('id', '-u', user=77).wait())\n"
        "for each in (lambda: box.exec('id', user=99999),\n"
        "             lambda: Container.create('true', userns='auto:size=x'),\n"
        "             lambda: [Container.create('true', userns='auto') for _ in range(3)]):\n"
        "    try: each()\n"
        "    except (Invalid, Exhausted) as error: print(type(error).__name__, error.kind)\n"
    )
    assert ranged.python(code).splitlines() == [
        f"['0', '{FIRST}', '{SIZE}']",
        "0",
        "Invalid invalid",
        "Invalid invalid",
        "Exhausted exhausted",
    ]


def test_many_at_once(ranged: Machine) -> None:
    """Made by several commands at the same time, no two have the same ids."""
    give(ranged, f"containers:{FIRST}:800\n")
    flags = "--userns auto:size=100 --network none"
    create = f"{sys.executable} -m netyard create {flags} true"
    ranged.run("sh", "-c", f"for n in 1 2 3 4 5 6; do {create} & done; wait")
    shown = json.loads(ranged.ny("inspect", *ranged.ny("ps", "-aq").split()))
    firsts = [each["HostConfig"]["IDMappings"]["UidMap"][0] for each in shown]
    assert sorted(firsts) == [f"0:{FIRST + 100 * n}:100" for n in range(6)]


class OneRange(Rig):
    """A host with room for one container."""

    def furnish(self) -> None:
        super().furnish()
        own_etc(self.host)
        give(self.host, f"containers:{FIRST}:100\n")

    def check_untouched(self, where: str) -> None:
        """And that is free."""
        super().check_untouched(where)
        once = ["run", "--rm", "--userns", "auto:size=100", "--network", "none"]
        assert maps(self.host, *once)[0] == ["0", str(FIRST), "100"], where


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("command", ["create", "run"])
def test_killed_at_every_call(host: Machine, tmp_path: Path, command: str, moment: str) -> None:
    """CV3: a container is there and has its ids, or is not, and they are free."""
    rig = OneRange(host, crashing.compiled(tmp_path), tmp_path / "report")
    words = (command, *["-d"] * (command == "run"), "--name", "box", "--userns", "auto:size=100")
    operation = Operation((*words, "--network", "crash", "sleep", "600"), between=("created",))
    kill_at_every_call(rig, f"{command} with ids of its own", operation, moment)
