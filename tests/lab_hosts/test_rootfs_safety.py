"""A root of its own, and what a container may open: nothing outside changes, whatever lies in it."""

from __future__ import annotations

import sys
import time

import pytest

from lab import Machine

NAMES = ("proc", "sys", "dev")
MASKED = (
    *(f"/proc/{name}" for name in ("acpi", "asound", "interrupts", "kcore", "keys")),
    *(f"/proc/{name}" for name in ("latency_stats", "sched_debug", "scsi", "timer_list")),
    *("/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap"),
)
READ_ONLY = ("/proc/sys/kernel/panic", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity")
# Opens without writing anything: the status says whether that would have been possible.
OPEN = "(: >> {path}) 2>/dev/null && echo {path}"
# Exchanges a directory for a link to another one, as often as it can.
EXCHANGE = """
import ctypes, os
libc = ctypes.CDLL(None)
while True:
    libc.renameat2(-100, b"/run/root/proc", -100, b"/run/link", 2)
"""


@pytest.fixture
def rootfs(host: Machine) -> str:
    """A root with a static busybox, and beside it what must stay as it is."""
    host.run("mkdir", "-p", "/run/root/bin", "/run/trap/sys", "/run/trap/pts")
    host.run("cp", "/bin/busybox", "/run/root/bin/")
    host.run("sh", "-c", "echo marker | tee /run/trap/null /run/trap/hosts > /run/trap/sys/panic")
    return "/run/root"


def trap(host: Machine) -> str:
    """What is in the directory that links lead to: names, contents and modes."""
    return host.out("sh", "-c", "cd /run/trap && find . | sort | xargs ls -ld && grep -r . .")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_directory_is_refused(host: Machine, rootfs: str, name: str, kind: str) -> None:
    """A4: in one sentence, at `run`, `create`, `start` and in Python; nothing outside changes."""
    before = trap(host)
    made = host.ny("create", "--rootfs", rootfs, "busybox", "true")
    host.run("rm", "-rf", f"{rootfs}/{name}")
    plant = ("ln", "-s", "/run/trap") if kind == "link" else ("cp", "/run/trap/null")
    host.run(*plant, f"{rootfs}/{name}")
    sentence = f"--rootfs: {rootfs}/{name} must be a directory"
    assert sentence in host.refused("run", "--rootfs", rootfs, "busybox", "true", status=125)
    assert sentence in host.refused("create", "--rootfs", rootfs, "busybox", "true")
    assert sentence in host.refused("start", made)
    code = (
        "from netyard import Container, Invalid\n"
        f"try: Container.run('busybox', rootfs={rootfs!r})\n"
        "except Invalid as error: print(error)\n"
    )
    assert sentence in host.python(code)
    host.run("rm", f"{rootfs}/{name}")
    assert host.ny("run", "--rm", "--rootfs", rootfs, "busybox", "cat", "/proc/1/comm") == "busybox"
    assert trap(host) == before


def test_exchanged_while_starting(host: Machine, rootfs: str) -> None:
    """A4: a directory that becomes a link in the moment of the start leads nowhere."""
    host.run("mkdir", f"{rootfs}/proc")
    host.run("ln", "-s", "/run/trap", "/run/link")
    before = trap(host)
    host.popen("python3", "-S", "-c", EXCHANGE)
    script = "; ".join(OPEN.format(path=path) for path in ("/proc/sys/panic", READ_ONLY[0]))
    deadline = time.monotonic() + 60
    outcomes = set()
    for _ in range(30):
        run = ("run", "--rm", "--rootfs", rootfs, "--network", "none")
        done = host.netyard(*run, "busybox", "sh", "-c", f"{script}; true", check=False)
        assert done.stdout == "", "a container could have written to settings of the kernel"
        assert "Traceback" not in done.stderr
        outcomes.add(done.returncode)
        if time.monotonic() > deadline:
            break
    assert outcomes <= {0, 125}
    assert trap(host) == before


def test_links_to_files_lead_nowhere(host: Machine, rootfs: str) -> None:
    """A4: the files that netyard puts into a root, and volumes, stay inside it."""
    host.run("mkdir", f"{rootfs}/etc", "/run/volume")
    host.run("ln", "-s", "/run/trap/hosts", f"{rootfs}/etc/hosts")
    host.run("ln", "-s", "../../../../run/trap/null", f"{rootfs}/etc/resolv.conf")
    host.run("ln", "-s", "/run/trap", f"{rootfs}/data")
    before = trap(host)
    run = ("run", "--rm", "--rootfs", rootfs, "-v", "/run/volume:/data/x")
    found = host.ny(*run, "busybox", "sh", "-c", "echo a > /data/x/y; busybox cat /etc/hosts")
    assert "localhost" in found
    assert host.out("cat", "/run/volume/y") == "a"
    assert trap(host) == before
    host.run("ln", "-s", "/proc/self", f"{rootfs}/late")
    refused = host.refused(
        *("run", "--rootfs", rootfs, "-v", "/run/volume:/late/attr", "busybox", "true"), status=125
    )
    assert "/late/attr" in refused, "nothing of a caller's is mounted in /proc"


@pytest.mark.parametrize(
    "files",
    [
        ("--rootfs", "/run/root"),
        ("--rootfs", "/run/root", "--read-only", "--tmpfs", "/tmp"),
        *(("--host-files", word) for word in ("system", "ephemeral", "read-only", "all")),
    ],
    ids=" ".join,
)
def test_only_its_own_devices_can_be_opened(
    host: Machine, rootfs: str, files: tuple[str, ...]
) -> None:
    """A3: nodes that are there, of whatever mount, and nodes that it makes, are useless."""
    for place in (f"{rootfs}/node", "/run/volume/node", "/run/node"):
        host.run("mkdir", "-p", place.rpartition("/")[0])
        # The null device: nothing is read or written if it can be opened.
        host.run("mknod", "-m", "666", place, "c", "1", "3")
    # A volume's mount point, which the host's files must have.
    host.run("mkdir", "-p", f"{rootfs}/run/volume", f"{rootfs}/tmp")
    script = """
for node in /node /run/node /run/volume/node /tmp/made /dev/made /dev/shm/made; do
    case $node in *made) busybox mknod $node c 1 3 ;; esac
    (: < $node) && echo $node opened
done 2>/dev/null
for node in null zero full random urandom tty; do test -c /dev/$node || echo $node is missing; done
echo x > /dev/null && busybox head -c 3 /dev/zero | busybox wc -c
busybox chmod 600 /dev/null
rm -f /tmp/made
"""
    run = ("run", "--rm", *files, "-v", "/run/volume:/run/volume")
    # Under read-only the private /run is empty but for the volume.
    assert host.ny(*run, "busybox", "sh", "-c", script) == "3"
    assert host.out("stat", "-c", "%a", "/dev/null") == "666", "the host's node is another"
    assert "kmsg" not in host.ny(*run, "busybox", "ls", "/dev").split()


@pytest.mark.parametrize("files", [(), ("--rootfs", "/run/root")], ids=["host", "rootfs"])
@pytest.mark.parametrize("network", ["bridge", "host", "none"])
def test_masked_and_read_only(
    host: Machine, rootfs: str, files: tuple[str, ...], network: str
) -> None:
    """C2, C3: what Docker masks has no content, what it makes read-only cannot be written to."""
    masks = f"for each in {' '.join(MASKED)}; do busybox ls -A $each/ || busybox cat $each; done"
    opens = "; ".join(OPEN.format(path=path) for path in READ_ONLY)
    made = "busybox mkdir /sys/fs/made /proc/sys/made /sys/firmware/made"
    script = f"({masks}; {opens}; {made}) 2>/dev/null; true"
    run = ("run", "-d", "--network", network, *files, "busybox", "sleep", "1000")
    name = host.ny(*run)
    assert host.ny("exec", name, "busybox", "sh", "-c", script) == ""
    host.ny("rm", "-f", name)
    assert host.ny("run", "--rm", *run[2:-2], "sh", "-c", script) == ""


def test_privileged_is_as_before(host: Machine, rootfs: str) -> None:
    """It has the host's devices and the kernel's settings to write to."""
    for files in ((), ("--rootfs", rootfs)):
        script = OPEN.format(path="/proc/sys/kernel/panic")
        run = ("run", "--rm", "--privileged", *files, "busybox")
        assert host.ny(*run, "sh", "-c", script) == "/proc/sys/kernel/panic"
        assert "/proc/keys" not in host.ny(*run, "mount")
    assert host.ny("run", "--rm", "--privileged", "ls", "/dev") == host.out("ls", "/dev")


# The first descriptors beyond the standard ones; where each leads is not known.
DESCRIPTORS = range(3, 20)
REACHES = "echo in $(pwd); ls -a; ls -a .. ../.. ../../.."


@pytest.mark.parametrize("how", ["run", "start", "exec", "by an optional directory"])
def test_no_descriptor_leads_out(host: Machine, rootfs: str, how: str) -> None:
    """A4: a working directory by ``/proc/self/fd`` is none, whatever a descriptor is of."""
    host.run("sh", "-c", "echo marker >/var/lib/netyard-marker; mkdir /run/root/dir")
    host.ny("run", "-d", "--name", "box", "--rootfs", rootfs, "busybox", "sleep", "1000")
    link = f"{rootfs}/dir" if how != "by an optional directory" else "/run/dir"
    shown = []
    for number in DESCRIPTORS:
        host.run("sh", "-c", 'rm -rf "$1"; ln -s "/proc/self/fd/$2" "$1"', "sh", link, f"{number}")
        command = ("busybox", "sh", "-c", REACHES)
        if how == "exec":
            words = ("exec", "-w", "/dir", "box", *command)
        elif how == "run":
            words = ("run", "--rm", "--rootfs", rootfs, "-w", "/dir", *command)
        elif how == "start":
            name = f"box{number}"
            host.ny("create", "--name", name, "--rootfs", rootfs, "-w", "/dir", *command)
            words = ("start", "-a", name)
        else:
            host.run("sh", "-c", f"rm -f {link}; mkdir {link}")
            made = f"cd {link} && exec {sys.executable} -m netyard create --name box{number} "
            host.run("sh", "-c", f"{made} sh -c '{REACHES}'")
            host.run("sh", "-c", f"rmdir {link}; ln -s /proc/self/fd/{number} {link}")
            words = ("start", "-a", f"box{number}")
        done = host.netyard(*words, check=False)
        shown.append(done.stdout)
        if how == "by an optional directory":
            assert done.stdout.startswith("in /\n"), (number, done)
        else:
            assert done.returncode in (1, 125), (number, done)
            assert "/dir" in done.stderr, (number, done)
    assert "netyard-marker" not in "".join(shown)
    if how != "by an optional directory":
        assert "".join(shown) == ""


def test_no_descriptor_is_a_program(host: Machine, rootfs: str) -> None:
    """A4: nor does a command lead to a file of the host by one."""
    host.ny("run", "-d", "--name", "box", "--rootfs", rootfs, "busybox", "sleep", "1000")
    for number in DESCRIPTORS:
        for words in (("run", "--rm", "--rootfs", rootfs), ("exec", "box")):
            done = host.netyard(*words, f"/proc/self/fd/{number}/../../../bin/true", check=False)
            assert done.returncode in (126, 127), (number, done)
