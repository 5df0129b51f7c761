"""What of the host's files a container can write to, and what is mounted in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import netyard
from lab import Machine, wait_for

OLD_KERNEL = str(Path(__file__).parents[1] / "old_kernel.py")
PACKAGE = str(Path(netyard.__file__).parent)
SYSTEM = ("/usr", "/usr/bin/env", "/boot", "/etc", "/etc/passwd", "/bin", "/sbin", "/lib")
OWN = (PACKAGE, f"{PACKAGE}/__init__.py", sys.prefix, sys.base_prefix)


def writable(host: Machine, *flags: str, paths: tuple[str, ...], how: str = "run") -> list[str]:
    """Which of the files a container could write to; nothing is written."""
    script = 'for each; do [ -w "$each" ] && echo "$each"; done; true'
    command = ("sh", "-c", script, "sh", *paths)
    if how == "run":
        return host.ny("run", "--rm", *flags, *command).split()
    host.ny("create", "--name", "box", *flags, "sleep", "1000")
    for _ in range(2):
        host.ny("start", "box")
        found = host.ny("exec", "box", *command).split()
        host.ny("stop", "-t", "0", "box")
    host.ny("rm", "box")
    return found


@pytest.fixture
def home(host: Machine) -> str:
    """A directory of the host with a marker."""
    host.run("mkdir", "-p", "/run/home")
    host.run("sh", "-c", "echo marker > /run/home/marker")
    return "/run/home"


@pytest.mark.parametrize("how", ["run", "start"])
def test_system_files_are_read_only(host: Machine, home: str, how: str) -> None:
    """A5: programs and settings of the host, and netyard's own; the rest is as on the host."""
    present = tuple(each for each in SYSTEM if Path(each).exists())
    assert len(present) > 2
    wanted = (*present, *OWN, "/", "/tmp", f"{home}/marker", "/etc/hosts", "/etc/hostname")
    assert writable(host, paths=wanted, how=how) == list(wanted[-5:])
    assert writable(host, "--host-files", "all", paths=wanted, how=how) == list(wanted)
    kept = ["/tmp", "/etc/hosts", "/etc/hostname"]
    assert writable(host, "--host-files", "read-only", paths=wanted, how=how) == kept


def test_protected_directories_stay_where_they_are(host: Machine) -> None:
    """A5: no other directory can be put in the place of one that root of the host runs or reads."""
    host.ny("run", "--rm", "true")
    state = host.out("find", "/var/lib/netyard", "-newermt", "1970-01-01")
    above = [str(each) for path in (PACKAGE, sys.base_prefix) for each in Path(path).parents][:-1]
    for path in ("/usr", "/etc", "/var/lib/netyard", "/var/lib", "/run/netyard", *above):
        if path != "/":
            done = host.netyard("run", "--rm", "mv", path, f"{path}.moved", check=False)
            assert done.returncode != 0, path
            host.run("test", "-e", path, "-a", "!", "-e", f"{path}.moved")
    assert host.ny("run", "--rm", "ls", "-A", "/var/lib/netyard", "/run/netyard") == (
        "/run/netyard:\n\n/var/lib/netyard:"
    )
    assert host.out("find", "/var/lib/netyard", "-newermt", "1970-01-01") == state


def test_ephemeral_files_go_with_the_container(host: Machine, home: str) -> None:
    """A5: everything can be written to, of several file systems, and nothing has been."""
    script = (
        f"echo a > /etc/passwd && rm /usr/bin/env && echo b > {home}/marker && touch {home}/new"
        f" && mkdir /made && rm -r /var/lib/* ; cat /etc/passwd {home}/marker; ls -d /made"
        "; test -e /usr/bin/env || echo gone; cat /etc/hosts | grep -c localhost"
    )
    host.run("mkdir", "-p", "/var/lib/kept")
    passwd = Path("/etc/passwd").read_text()
    found = host.ny("run", "--rm", "--host-files", "ephemeral", "sh", "-c", script).split()
    assert found[:4] == ["a", "b", "/made", "gone"]
    assert Path("/etc/passwd").read_text() == passwd
    assert Path("/usr/bin/env").exists() and not Path("/made").exists()
    assert host.out("ls", "-A", home) == "marker"
    assert host.out("cat", f"{home}/marker") == "marker"
    assert "kept" in host.out("ls", "/var/lib")
    full = "head -c 2000000000 /dev/zero > /var/tmp/fill; echo $?"
    assert host.ny("run", "--rm", "--host-files", "ephemeral", "sh", "-c", full) == "1"


def test_read_only_host_files(host: Machine, home: str) -> None:
    """A5: private /tmp, /run and /var/tmp, and what is mounted, are all that can be written to."""
    script = (
        "touch /tmp/new-a /run/new-a /var/tmp/new-a /mnt/new-a && ls -A /tmp /run /var/tmp /mnt;"
        "touch /root/new-a 2>/dev/null || echo refused; grep -c nameserver /etc/resolv.conf"
    )
    for flags in (("--read-only",), ("--host-files", "read-only")):
        run = ("run", "--rm", *flags, "-v", f"{home}:/mnt")
        found = host.ny(*run, "sh", "-c", script).split()
        assert found == [
            *("/mnt:", "marker", "new-a", "/run:", "new-a", "/tmp:", "new-a"),
            *("/var/tmp:", "new-a", "refused", "1"),
        ]
        host.run("rm", f"{home}/new-a")
    assert not Path("/tmp/new-a").exists()


def test_volumes(host: Machine, home: str) -> None:
    """`-v`, `--mount` and `--tmpfs`, in a container of each kind, also after a second start."""
    host.run("mkdir", "-p", "/run/root/bin")
    host.run("cp", "/bin/busybox", "/run/root/bin/")
    script = (
        "busybox cat /mnt/in/marker; (: >> /mnt/in/marker) 2>/dev/null && echo written;"
        "busybox cat /mnt/name; echo x > /mnt/out/x; busybox stat -c %a /mnt/fast;"
        "busybox df -k /mnt/fast | busybox tail -n1 | busybox tr -s ' ' | busybox cut -d' ' -f2"
    )
    given = (
        *("-v", f"{home}:/mnt/in:ro", "-v", "/run/fresh:/mnt/out"),
        *("--mount", f"type=bind,src={home}/marker,dst=/mnt/name,readonly"),
        *("--tmpfs", "/mnt:mode=755", "--tmpfs", "/mnt/fast:size=64k,mode=700"),
    )
    for files in ((), ("--host-files", "ephemeral"), ("--rootfs", "/run/root"), ("--read-only",)):
        host.ny("create", "--name", "box", *files, *given, "busybox", "sh", "-c", script)
        for _ in range(2):
            assert host.ny("start", "-a", "box").split() == ["marker", "marker", "700", "64"]
            assert host.out("cat", "/run/fresh/x") == "x"
            host.run("rm", "/run/fresh/x")
        shown = json.loads(host.ny("inspect", "box"))[0]
        host.ny("rm", "box")
    assert shown["HostConfig"]["Binds"] == [f"{home}:/mnt/in:ro", "/run/fresh:/mnt/out"]
    assert shown["HostConfig"]["ReadonlyRootfs"] is True
    assert shown["HostConfig"]["Tmpfs"]["/mnt/fast"].endswith("size=64k,mode=700")
    assert [each["Destination"] for each in shown["Mounts"]] == [
        *("/mnt/in", "/mnt/out", "/mnt/name", "/mnt", "/mnt/fast")
    ]
    assert shown["Config"]["HostFiles"] == "read-only"


def test_volumes_in_python(host: Machine, home: str) -> None:
    """Strings and mappings; what is wrong is `Invalid`, what is missing `StartFailed`."""
    code = f"""
from netyard import Container, Invalid, StartFailed
given = dict(
    volumes={{{home!r}: "/mnt:ro"}}, tmpfs={{"/srv": "size=1m"}},
    mounts="type=tmpfs,target=/media,tmpfs-size=64k", host_files="read-only",
)
with Container.run("sleep", "1000", **given) as box:
    print(box.exec("sh", "-c", "cat /mnt/marker; touch /srv/a /media/b; ls /srv /media").stdout)
for wrong in (
    dict(host_files="some"), dict(host_files="all", read_only=True),
    dict(volumes="name:/x"), dict(mounts="type=bind,src=/no/where,dst=/mnt"), dict(tmpfs="x"),
    dict(tmpfs=["/srv", "/srv"]), dict(rootfs="/run/home", host_files="all"),
):
    try:
        Container.create("true", **wrong)
    except Invalid as error:
        print(str(error).partition(":")[0])
try:
    Container.run("true", volumes="/srv:/no/where")
except StartFailed as error:
    print(error)
"""
    assert host.python(code).splitlines() == [
        "b'marker\\n/media:\\nb\\n\\n/srv:\\na\\n'",
        *("--host-files", "conflicting options", "--volume", "--mount", "--tmpfs", "--tmpfs"),
        "conflicting options",
        "--volume: the container has the host's files, and there is no /no/where to mount over",
    ]


def test_where_a_container_begins(host: Machine, home: str) -> None:
    """The caller's directory, if the container has it and its user may enter it; or `-w`."""
    host.run("mkdir", "-p", "/run/root/bin", "/run/root/run/home")
    host.run("cp", "/bin/busybox", "/run/root/bin/")
    host.run("sh", "-c", f"mkdir -m 700 {home}/private")

    def begins(directory: str, *flags: str) -> str:
        run = f"cd {directory} && exec {sys.executable} -m netyard run --rm {' '.join(flags)}"
        return host.out("sh", "-c", f"{run} busybox pwd")

    assert begins(home) == home
    assert begins(home, "--host-files", "ephemeral") == home
    assert begins(home, "--read-only") == "/", "its /run is another"
    assert begins(home, "-w", "/usr") == "/usr"
    assert begins(home, "--rootfs", "/run/root") == "/"
    assert begins("/var/lib/netyard") == "/var/lib/netyard"
    assert begins(f"{home}/private", "-u", "nobody") == "/"
    refused = host.refused("run", "-w", "/no/where", "true", status=125)
    assert "/no/where" in refused
    host.run("sh", "-c", f"cd {home} && {sys.executable} -m netyard run -d --name box sleep 1000")
    assert host.ny("exec", "box", "pwd") == home
    assert host.ny("inspect", "-f", "[{{.Config.WorkingDir}}]", "box") == "[]", "as in Docker"
    host.ny("create", "--name", "made", "-w", "/usr", "true")
    assert host.ny("inspect", "-f", "{{.Config.WorkingDir}}", "made") == "/usr"


def test_what_takes_no_layer_is_read_only(host: Machine) -> None:
    """A layer over a file system with two of them already is refused by the kernel, as over FAT."""
    host.run(
        *("sh", "-ec"),
        "cd /run; mkdir a; mount -t tmpfs t a; cd a; mkdir l u w m u2 w2 top\n"
        "mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m\n"
        "mount -t overlay o -o lowerdir=m,upperdir=u2,workdir=w2 top\n"
        "echo kept >top/file; mkdir top/below; mount -t tmpfs t top/below; echo kept >top/below/file",
    )
    script = (
        "cd /run/a/top; cat file below/file; (echo new >file) || echo refused; rm -r below || echo"
        " refused; echo new >below/file; cat below/file; echo new >/run/a/new; cat /run/a/new"
    )
    shown = host.netyard("run", "--rm", "--host-files", "ephemeral", "sh", "-c", script)
    assert shown.stdout.split() == ["kept", "kept", "refused", "refused", "new", "new"]
    assert "Read-only file system" in shown.stderr
    assert host.out("cat", "/run/a/top/file", "/run/a/top/below/file") == "kept\nkept"
    assert host.run("test", "-e", "/run/a/new", check=False).returncode == 1


def test_kernels_that_lack_what_files_need(host: Machine) -> None:
    """One sentence, and `doctor` says so where no container can run."""
    netyard = (sys.executable, "-m", "netyard")

    def on_kernel_without(calls: str, *words: str) -> tuple[int, str]:
        done = host.run(sys.executable, "-S", OLD_KERNEL, calls, *netyard, *words, check=False)
        return done.returncode, done.stderr if done.returncode else done.stdout

    status, complaint = on_kernel_without("442", "run", "--rm", "--network", "none", "true")
    assert (status, complaint) == (
        125,
        "netyard: this kernel cannot do what containers need: cut off /\n"
        "hint: netyard needs Linux 5.12 or later\n",
    )
    assert "problem  this kernel runs no containers" in on_kernel_without("442", "doctor")[1]
    assert "runs no containers" not in host.ny("doctor")
    assert host.ny("ps", "-aq") == ""


_SERVICE = """
import os, socket, struct, sys
for path in sys.argv[1:]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen()
    if os.fork():
        continue
    while True:
        client, _ = listener.accept()
        client.send(b"user %d" % struct.unpack("3i", client.getsockopt(1, 17, 12))[1])
        client.close()
"""
_ASK = """
import socket, sys
for path in sys.argv[1:]:
    asking = socket.socket(socket.AF_UNIX)
    try:
        asking.connect(path)
        print(asking.recv(99).decode())
    except OSError as error:
        print(type(error).__name__)
"""


def test_services_of_the_host_by_their_sockets(host: Machine) -> None:
    """Whom a service takes for root can have it do what it does for root: who that is, is said."""
    sockets = ("/run/service", "/var/lib/service")
    host.popen(sys.executable, "-S", "-c", _SERVICE, *sockets)
    wait_for(lambda: host.run("test", "-S", sockets[1], check=False).returncode == 0)

    def answers(*flags: str) -> list[str]:
        command = (sys.executable, "-S", "-c", _ASK, *sockets)
        return host.netyard("run", "--rm", *flags, *command).stdout.splitlines()

    assert answers() == ["user 0", "user 0"], "as the page on security has it"
    assert answers("--host-files", "ephemeral") == ["ConnectionRefusedError"] * 2
    assert answers("--host-files", "read-only") == ["FileNotFoundError", "user 0"]
