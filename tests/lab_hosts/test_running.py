"""Running commands: streams, terminals, statuses, detaching, exec, logs, supervisors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from lab import Guest, Machine, wait_for
from terminal import Terminal

NETYARD = (sys.executable, "-m", "netyard")


def test_exit_statuses(host: Machine) -> None:
    """CV2: the command's own, 128 and the signal, 127 not found, 126 not executable, 125 ours."""

    def status(*words: str) -> int:
        return host.netyard("run", "--rm", *words, check=False).returncode

    assert status("true") == 0
    assert status("sh", "-c", "exit 7") == 7
    assert status("sh", "-c", "sh -c 'kill -9 $$'; exit $?") == 137
    assert "is not found" in host.refused("run", "--rm", "no-such-command", status=127)
    assert "is not found" in host.refused("run", "--rm", "/no/such/command", status=127)
    assert "cannot be executed" in host.refused("run", "--rm", "/etc/passwd", status=126)
    assert "cannot be executed" in host.refused("run", "--rm", "/etc", status=126)
    assert "no network 'ghost'" in host.refused("run", "--network", "ghost", "true", status=125)
    host.refused("run", "--no-such-flag", "true", status=2)
    assert "command is needed" in host.refused("run", status=125)
    assert host.ny("ps", "-aq") == "", "nothing that failed is left"
    host.ny("run", "-d", "--name", "box", "sleep", "600")
    assert host.netyard("exec", "box", "sh", "-c", "exit 9", check=False).returncode == 9
    host.refused("exec", "box", "no-such-command", status=127)
    host.refused("exec", "box", "/etc/passwd", status=126)
    host.refused("exec", "ghost", "true", status=125)


def test_streams_are_apart_and_input_arrives(host: Machine) -> None:
    """RN30: -i passes input to its end; stdout and stderr stay two."""
    done = host.run(*NETYARD, "run", "--rm", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    big = "x" * 300_000
    done = host.run(*NETYARD, *"run --rm -i wc -c".split(), input=big)
    assert done.stdout.strip() == "300000"
    done = host.run(*NETYARD, "run", "--rm", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' y")
    assert len(done.stdout) == 3_000_000
    done = host.run(*NETYARD, "run", "--rm", "cat", input="ignored")
    assert done.stdout == "", "without -i there is no input"


def test_short_lived_output_is_never_lost(host: Machine) -> None:
    """The command starts only when somebody listens."""
    for number in range(8):
        assert host.ny("run", "--rm", "echo", f"line {number}") == f"line {number}"


def test_terminal_detach_and_attach(host: Machine) -> None:
    """RN30: -it is a shell on a terminal; Ctrl-P Ctrl-Q leaves it running; attach comes back."""
    shell = Terminal(host, *NETYARD, *"run -it --name shell -e PS1=ready> busybox sh".split())
    shell.expect("ready>")
    shell.type("tty; stty size; echo $TERM\n")
    shell.expect("/dev/")
    shell.expect("xterm")
    shell.type("\x10\x11")
    assert shell.close() == 0
    assert "Up" in host.ny("ps")
    again = Terminal(host, *NETYARD, "attach", "shell")
    again.type("echo a$((40+2))b\n")
    again.expect("a42b")
    again.type("sleep 60\n")
    time.sleep(0.3)
    again.type("\x03")
    again.type("exit 3\n")
    assert again.close() == 3
    assert json.loads(host.ny("inspect", "shell"))[0]["State"]["ExitCode"] == 3


def test_exec_on_a_terminal(host: Machine) -> None:
    """``exec -it``."""
    host.ny("run", "-d", "--name", "box", "sleep", "600")
    shell = Terminal(host, *NETYARD, *"exec -it -e PS1=in> box busybox sh".split())
    shell.expect("in>")
    shell.type("hostname; ps\n")
    shell.expect("sleep 600")
    shell.type("exit 5\n")
    assert shell.close() == 5


def test_signals_reach_a_foreground_command(host: Machine) -> None:
    """Signals sent to ``netyard run`` are for the command."""
    script = "trap 'echo got it; exit 4' TERM; echo up; while :; do sleep 0.1; done"
    process = host.popen(*NETYARD, "run", "--rm", "--name", "trap", "sh", "-c", script, stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    inside = host.out("pgrep", "-f", "netyard run --rm --name trap").split()
    for pid in inside[:1]:
        host.run("kill", "-TERM", pid)
    assert process.stdout.readline() == b"got it\n"
    assert process.wait(10) == 4
    assert host.ny("ps", "-aq") == ""


def test_logs(host: Machine) -> None:
    """Every line with its stream and time; tail and follow."""
    script = "for i in 1 2 3; do echo line $i; done; echo oops >&2; printf unfinished"
    host.ny("run", "-d", "--name", "talker", "sh", "-c", script + "; exec sleep 600")
    wait_for(lambda: "oops" in host.netyard("logs", "talker").stderr)
    host.ny("stop", "-t", "0", "talker")
    done = host.netyard("logs", "talker")
    assert done.stdout == "line 1\nline 2\nline 3\nunfinished"
    assert done.stderr == "oops\n"
    records = [
        json.loads(line) for line in host.ny("logs", "--format", "json", "talker").splitlines()
    ]
    assert records[0]["stream"] == "stdout"
    assert records[0]["time"].endswith("Z")
    assert host.netyard("logs", "--tail", "2", "talker").stdout == "unfinished"
    slow = "for i in 1 2 3; do echo tick $i; sleep 0.3; done"
    host.ny("run", "-d", "--name", "slow", "sh", "-c", slow)
    assert host.ny("logs", "-f", "slow") == "tick 1\ntick 2\ntick 3"


def test_detached_container_lives_on_and_its_end_is_recorded(host: Machine) -> None:
    """-d: id on stdout; afterwards status, time, and everything of the network given back."""
    made = host.ny("run", "-d", "--name", "brief", "sh", "-c", "sleep 3; exit 6")
    assert host.ny("ps", "-q") == made[:12]
    wait_for(lambda: "Exited (6)" in host.ny("ps", "-a"))
    state = json.loads(host.ny("inspect", "brief"))[0]["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 6, 0)
    assert state["FinishedAt"] > state["StartedAt"]
    wait_for(lambda: not [name for name in host.links() if name.startswith("ny-")])
    assert host.out("ls", "/run/netyard/netns") == ""
    host.ny("start", "brief")
    wait_for(lambda: "Exited (6)" in host.ny("ps", "-a"))


def test_rm_flag_removes_however_it_ends(host: Machine) -> None:
    """RN30 --rm: by itself, killed, its supervisor killed."""
    host.ny("run", "-d", "--rm", "--name", "one", "-p", "8080:80", "sleep", "0.3")
    wait_for(lambda: host.ny("ps", "-aq") == "")
    host.ny("run", "-d", "--rm", "--name", "two", "-p", "8080:80", "sleep", "600")
    pid = json.loads(host.ny("inspect", "two"))[0]["State"]["Pid"]
    host.run("kill", "-9", str(pid))
    wait_for(lambda: host.ny("ps", "-aq") == "")
    host.ny("run", "-d", "--rm", "--name", "three", "-p", "8080:80", "sleep", "600")
    supervisor = host.out("pgrep", "-f", "netyard-shim.*supervise")
    host.run("kill", "-9", *supervisor.split())
    assert host.ny("ps", "-aq") == ""
    assert "8080" not in host.out("nft", "list", "ruleset")
    wait_for(lambda: not [name for name in host.links() if name.startswith("ny-")])


def test_supervisor_is_small(host: Machine) -> None:
    """At most 3 MiB PSS beside each detached container."""
    for number in range(3):
        # Lines, and one that does not end.
        script = "yes a line of some length | head -c 9000000; head -c 9000000 /dev/zero; sleep 600"
        host.ny("run", "-d", "--name", f"c{number}", "sh", "-c", script)
    wait_for(lambda: len(host.ny("logs", "--tail", "1000", "c2")) > 9_000_000)
    for pid in host.out("pgrep", "-f", "netyard-shim.*supervise").split():
        rollup = host.out("cat", f"/proc/{pid}/smaps_rollup")
        pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        assert pss <= 3 * 1024, f"{pss} KiB"


def test_stop_gives_time_and_then_kills(host: Machine) -> None:
    """SIGTERM first; what ignores it is killed."""
    polite = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    host.ny("run", "-d", "--name", "polite", "sh", "-c", polite)
    host.ny(
        "run", "-d", "--name", "stubborn", "sh", "-c", "trap '' TERM; while :; do sleep 1; done"
    )
    time.sleep(0.3)
    host.ny("stop", "-t", "5", "polite")
    host.ny("stop", "-t", "0.5", "stubborn")
    codes = {
        name: json.loads(host.ny("inspect", name))[0]["State"]["ExitCode"]
        for name in ("polite", "stubborn")
    }
    assert codes == {"polite": 0, "stubborn": 137}
    assert "is running" in host.refused("rm", host.ny("run", "-d", "sleep", "600"))


@pytest.fixture
def rootfs(host: Machine) -> str:
    """A root with nothing but a static busybox, and traps: links that lead out of it."""
    host.run("mkdir", "-p", "/run/root/bin", "/run/root/etc")
    host.run("cp", "/bin/busybox", "/run/root/bin/")
    host.run("ln", "-s", "busybox", "/run/root/bin/sh")
    host.run("sh", "-c", "echo secret > /run/outside")
    host.run("ln", "-s", "/run/outside", "/run/root/etc/hosts")
    host.run("sh", "-c", "echo 'app:x:1234:1235::/:/bin/sh' > /run/root/etc/passwd")
    return "/run/root"


def test_rootfs(host: Machine, rootfs: str) -> None:
    """SH28: a root of its own; links in it are the container's, not the host's."""
    host.ny("network", "create", "net")
    run = ("run", "--rm", "--network", "net", "--rootfs", rootfs)
    assert "busybox" in host.ny(*run, "busybox", "ls", "/bin")
    assert "localhost" in host.ny(*run, "busybox", "cat", "/etc/hosts")
    assert host.out("cat", "/run/outside") == "secret"
    assert host.ny(*run, "busybox", "cat", "/proc/1/comm") == "busybox"
    assert "/etc/shadow" not in host.ny(*run, "busybox", "find", "/", "-name", "shadow")
    assert "1234" in host.ny(*run, "-u", "app", "busybox", "id")
    assert "1235" in host.ny(*run, "-u", "app", "busybox", "id")
    assert host.ny(*run, "-w", "/etc", "busybox", "pwd") == "/etc"
    devices = host.ny(*run, "busybox", "ls", "/dev").split()
    assert {"null", "zero", "random", "tty", "pts", "shm"} <= set(devices)
    assert "is no directory" in host.refused("run", "--rootfs", "/no/where", "true", status=125)


def test_environment_user_and_capabilities(host: Machine) -> None:
    """--env, --user, --cap-add, --cap-drop; only descriptors 0 to 2 get in (SH22)."""
    assert host.ny("run", "--rm", "-e", "A=b c", "sh", "-c", "echo $A-$HOME") == "b c-/root"
    assert host.ny("run", "--rm", "-u", "nobody", "id", "-un") == "nobody"
    assert host.ny("run", "--rm", "-u", "12:34", "id", "-g") == "34"
    assert "no user 'ghost'" in host.refused("run", "-u", "ghost", "true", status=125)
    caps = "grep CapBnd /proc/self/status | cut -f2"
    assert host.ny("run", "--rm", "sh", "-c", caps) == "00000000a80425fb", "Docker's set"
    assert host.ny(
        "run", "--rm", "--cap-drop", "ALL", "--cap-add", "NET_RAW", "sh", "-c", caps
    ) == ("0000000000002000")
    assert "no capability" in host.refused("run", "--cap-add", "FLY", "true", status=125)
    assert host.ny("run", "--rm", "sh", "-c", "ls /proc/self/fd | wc -l") == "4"
    assert host.ny("run", "--rm", "-h", "x", "sh", "-c", "umount /etc/hosts 2>&1 | head -1") != ""


def test_adopt_and_abandon(host: Machine) -> None:
    """EH8: a foreign namespace gets an interface, a name and a port, and is given back as it was."""
    host.ny("network", "create", "my-net")
    host.run("ip", "netns", "add", "lab")
    host.run(*"ip -n lab link add eth0 type bridge".split())
    look = "ip addr | sed s/qdisc.[a-z]*//; ip route; nft list ruleset; cat /etc/hosts; cat /proc/sys/net/ipv4/ip_forward"
    before = host.out("ip", "netns", "exec", "lab", "sh", "-c", look)
    host.ny(
        *"adopt lab --netns /run/netns/lab --network my-net --network-alias box -p 8080:80".split()
    )
    host.popen(
        "ip",
        "netns",
        "exec",
        "lab",
        sys.executable,
        "-S",
        os.path.join(os.path.dirname(__file__), "..", "server.py"),
        "80",
    )
    wait_for(lambda: host.fetch("127.0.0.1", 8080))
    assert host.ny("run", "--rm", "--network", "my-net", "ping", "-c1", "box")
    shown = host.out(*"ip netns exec lab dig +short @127.0.0.11 lab".split())
    assert shown == Guest(host, "lab").address("my-net")
    assert "(adopted)" in host.ny("ps")
    assert "already" in host.refused("adopt", "twice", "--netns", "/run/netns/lab")
    assert "adopted" in host.refused("exec", "lab", "true", status=125)
    host.ny("abandon", "lab")
    assert host.out("ip", "netns", "exec", "lab", "sh", "-c", look) == before
    assert host.fetch("127.0.0.1", 8080) is None
    assert host.ny("ps", "-aq") == ""
    host.popen("unshare", "-n", "sleep", "600")
    inside = wait_for(lambda: host.run("pgrep", "-x", "sleep", check=False).stdout).split()[0]
    wait_for(
        lambda: (
            host.out("readlink", f"/proc/{inside}/ns/net") != host.out("readlink", "/proc/1/ns/net")
        )
    )
    host.ny("adopt", "by-pid", "--pid", inside, "--network", "my-net")
    assert host.ping(Guest(host, "by-pid").address("my-net"))
    host.ny("rm", "by-pid")
    for arguments, words in {
        ("x1", "--netns", "/etc/passwd"): "no network namespace",
        ("x2", "--netns", "/no/where"): "there is no network namespace",
        ("x3", "--pid", "999999"): "there is no process",
        ("x4", "--pid", "1"): "host's own",
        ("x5",): "either --pid or --netns",
    }.items():
        assert words in host.refused("adopt", *arguments)


_WATCH = """
import os, sys, time
seen, end = 0, time.time() + 20
print("watching", flush=True)
while not os.path.exists("/run/enough") and time.time() < end:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
            seen += words[-3:-2] == [b"container-ended"]
        except OSError:
            pass
print(seen, flush=True)
"""


def test_whoever_ends_a_container_cleans_up(host: Machine) -> None:
    """The supervisor starts a clean-up of its own only if nobody else does it."""
    for number in range(5):
        host.ny("run", "-d", "--name", f"box{number}", "sleep", "600")
    watching = host.popen(sys.executable, "-S", "-c", _WATCH, stdout=subprocess.PIPE)
    assert watching.stdout is not None
    assert watching.stdout.readline() == b"watching\n"
    host.ny("stop", "-t", "0", "box0")
    host.ny("rm", "-f", "box1", "box2", "box3", "box4")
    host.run("touch", "/run/enough")
    assert watching.stdout.readline() == b"0\n"
