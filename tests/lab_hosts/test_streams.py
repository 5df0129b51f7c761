"""What a container has of the terminal at which it is run: nothing. What is typed arrives once."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from lab import Machine, wait_for
from terminal import Terminal

NETYARD = (sys.executable, "-m", "netyard")

# Harmless looks at what a process has: its descriptors, its terminal, its session. The number of
# the terminal and the session are fields 7 and 6 of its stat.
_PROBE = (
    "for n in 0 1 2; do echo fd $n is $(readlink /proc/$$/fd/$n); done;"
    "echo fds $(ls /proc/$$/fd | wc -l); tty; (: </dev/tty) 2>&1; (: >/dev/tty) 2>&1;"
    "read -r stat </proc/$$/stat; set -- ${stat##*) };"
    "echo terminal $5 session $(($4 == $$)); echo probed"
)
_PYTHON = "from netyard import Container; box = Container.get('box'); "

WAYS = {
    "exec": (*NETYARD, "exec", "box", "sh", "-c", _PROBE),
    "exec -i": (*NETYARD, "exec", "-i", "box", "sh", "-c", _PROBE),
    "exec as nobody": (*NETYARD, "exec", "-u", "65534", "box", "sh", "-c", _PROBE),
    "exec with streams elsewhere": (
        *("sh", "-c", '"$@" </dev/null 2>&1 | cat', "sh"),
        *(*NETYARD, "exec", "box", "sh", "-c", _PROBE),
    ),
    "run": (*NETYARD, "run", "--rm", "--network", "none", "sh", "-c", _PROBE),
    "run -i": (*NETYARD, "run", "--rm", "-i", "--network", "none", "sh", "-c", _PROBE),
    "start -a": (*NETYARD, "start", "-a", "probe"),
    "start -ai": (*NETYARD, "start", "-ai", "probe"),
    "Container.exec": (
        *(sys.executable, "-c"),
        _PYTHON + f"print(box.exec('sh', '-c', {_PROBE!r}).stdout.decode())",
    ),
    "Container.exec, passed through": (
        *(sys.executable, "-c"),
        _PYTHON + f"box.exec('sh', '-c', {_PROBE!r}, capture=False)",
    ),
    "Container.exec, interactive": (
        *(sys.executable, "-c"),
        _PYTHON + f"box.exec('sh', '-c', {_PROBE!r}, capture=False, interactive=True)",
    ),
    "Container.popen": (
        *(sys.executable, "-c"),
        _PYTHON + f"[print(each.data.decode()) for each in box.popen('sh', '-c', {_PROBE!r})]",
    ),
}


@pytest.fixture
def box(host: Machine) -> Machine:
    """A host with a container that runs, and one that is yet to be started."""
    host.ny("run", "-d", "--name", "box", "--network", "none", "sleep", "600")
    host.ny("create", "-i", "--name", "probe", "--network", "none", "sh", "-c", _PROBE)
    return host


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_the_terminal_is_in_the_container(box: Machine, way: str) -> None:
    """A2: no descriptor, no controlling terminal, a session of its own."""
    admin = Terminal(box, *WAYS[way])
    shown = admin.expect("probed")
    assert "/dev/pts" not in shown and "/dev/tty is" not in shown, shown
    for number in (1, 2):
        assert f"fd {number} is pipe:" in shown, shown
    # One of them is of the look itself.
    assert "fds 4" in shown, shown
    assert "not a tty" in shown, shown
    assert shown.count("No such device or address") == 2, shown
    assert "terminal 0 session 1" in shown, shown
    assert admin.close() == 0


def test_in_an_interactive_python(box: Machine) -> None:
    """A2: what is typed at the prompt stays the prompt's, during a call and after it."""
    admin = Terminal(box, sys.executable, "-q", "-i")
    admin.type("import os; os.environ['TERM'] = 'dumb'\n")
    admin.type("from netyard import Container; box = Container.get('box')\n")
    leave = "sh -c 'while read x; do echo $x; done >/run/seen' & echo going"
    admin.type(f"box.exec('sh', '-c', {leave!r}, capture=False, interactive=True).returncode\n")
    admin.expect("going\r\n0\r\n")
    admin.type("6 * 7\n")
    admin.expect("42")
    admin.type(f"box.exec('sh', '-c', {_PROBE!r}, capture=False)\n")
    assert "terminal 0 session 1" in admin.expect("probed\r\n")
    admin.type("exit()\n")
    assert admin.close() == 0
    assert box.run("cat", "/run/seen", check=False).stdout == ""


def test_what_is_typed_afterwards_is_the_admins(box: Machine) -> None:
    """A2: a child that leaves the session reads nothing once exec is over."""
    reader = "while read x; do echo $x >>/run/seen; done"
    leave = f"setsid sh -c '{reader}' <&0 & echo left; exit 3"
    words = f'{sys.executable} -m netyard exec -i box sh -c "$1"; echo over $?; read line; echo has $line'
    admin = Terminal(box, "sh", "-c", words, "sh", leave)
    admin.expect("over 3")
    admin.type("a secret\n")
    admin.expect("has a secret")
    assert admin.close() == 0
    assert box.run("cat", "/run/seen", check=False).stdout == ""


def test_the_end_of_the_command_is_the_end(box: Machine) -> None:
    """What it has left behind may hold its output, and write to it; what it had written arrives."""
    script = "head -c 200000 /dev/zero | tr '\\0' x; {} & exit 4"
    for left in ("sleep 30", "yes"):
        begun = time.monotonic()
        done = box.netyard("exec", "box", "sh", "-c", script.format(left), check=False)
        assert (done.returncode, done.stdout[:200_000]) == (4, "x" * 200_000)
        assert time.monotonic() - begun < 20
    assert "yes" not in box.ny("top", "box"), "it writes to nobody"
    assert "sleep 30" in box.ny("top", "box")


def test_bytes_pass_as_they_are(box: Machine) -> None:
    """Both ways, in files and pipes, to the end of file; no byte more, none less."""
    box.run("sh", "-c", "head -c 5000000 /dev/urandom >/run/data")
    netyard = " ".join(NETYARD)
    box.run("sh", "-c", f"{netyard} exec -i box cat </run/data >/run/copy; cmp /run/data /run/copy")
    box.run("sh", "-c", f"cat /run/data | {netyard} exec -i box cat | cmp - /run/data")
    box.run("sh", "-c", f"echo kept >/run/log; {netyard} exec box echo added >>/run/log")
    assert box.out("cat", "/run/log") == "kept\nadded"
    done = box.run(
        "sh", "-c", f"echo a | {netyard} exec box cat; echo b | {netyard} exec -i box cat"
    )
    assert done.stdout == "b\n", "without -i there is no input"
    done = box.run(*NETYARD, *"exec -i box head -c 1".split(), input="x" * 1_000_000)
    assert done.stdout == "x", "one that does not read it all"


def test_neither_way_waits_for_the_other(box: Machine) -> None:
    """Output that is not read does not stop input, nor output that goes elsewhere."""
    script = "cat >&2 & yes | head -c 3000000; wait"
    command = (*NETYARD, "exec", "-i", "box", "bash", "-c", script.replace("cat", "cat <&0"))
    done = box.popen(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stdin and done.stdout and done.stderr
    done.stdin.write(b"through\n")
    done.stdin.close()
    assert done.stderr.readline() == b"through\n", "while nobody reads the standard output"
    assert len(done.stdout.read()) == 3_000_000
    assert done.wait(10) == 0


def test_a_reader_that_goes_ends_the_writer(box: Machine) -> None:
    """SIGPIPE as if it wrote there itself; a full disk is no success."""
    netyard = " ".join(NETYARD)
    for flag in ("", "-t"):
        script = f"{{ {netyard} exec {flag} box yes; echo $? >/run/status; }} | head -n 1"
        assert box.out("sh", "-c", script) == "y"
        status = wait_for(lambda: box.run("cat", "/run/status", check=False).stdout.strip())
        assert status == ("129" if flag else "141")
        box.run("rm", "/run/status")
    done = box.run("sh", "-c", f"{netyard} exec box echo lost >/dev/full", check=False)
    assert (done.returncode, "No space left" in done.stderr) == (125, True)


_TRAPS = (
    'for s in INT TERM HUP QUIT; do trap "echo got $s; n=\\$((n+1)); exit \\$((20+n))" $s; done;'
    "n=0; echo up; while :; do sleep 0.05; done"
)


def test_keys_are_signals_for_the_command(box: Machine) -> None:
    """Ctrl-C, Ctrl-\\ and a terminal that is gone: once each, and its answer is the status."""
    for key, name in (("\x03", "INT"), ("\x1c", "QUIT")):
        for words in ((), ("-i",)):
            admin = Terminal(box, *NETYARD, "exec", *words, "box", "sh", "-c", _TRAPS)
            admin.expect("up")
            admin.type(key)
            admin.expect(f"got {name}")
            assert admin.close() == 21
    count = (
        "trap 'echo more >>/run/count' INT; echo up; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done"
    )
    admin = Terminal(box, *NETYARD, "exec", "box", "sh", "-c", count)
    admin.expect("up")
    admin.type("\x03")
    assert admin.close() == 0
    assert box.out("cat", "/run/count") == "more", "one key, one signal"
    admin = Terminal(box, *NETYARD, "exec", "-i", "box", "sh", "-c", "echo up; sleep 61")
    admin.expect("up")
    os.close(admin._ours)
    admin.process.wait(10)
    wait_for(lambda: "sleep 61" not in box.ny("top", "box"), what="ended with its terminal")


def test_signals_for_netyard_are_for_the_command(box: Machine) -> None:
    """TERM, HUP and INT sent to `netyard exec` by another process."""
    for name in ("TERM", "HUP", "INT"):
        process = box.popen(*NETYARD, "exec", "box", "sh", "-c", _TRAPS, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        inside = box.out("pgrep", "-f", "netyard exec box").split()[0]
        box.run("kill", f"-{name}", inside)
        assert process.stdout.readline() == f"got {name}\n".encode()
        assert process.wait(10) == 21
        process.stdout.close()


def test_ctrl_c_in_python(box: Machine) -> None:
    """A caller without handlers: its command gets the key too, and nothing is left of it."""
    code = (
        _PYTHON + "\ntry:\n    box.exec('sh', '-c', \"trap 'sleep 0.3; echo tidy; exit' INT; "
        'echo up; while :; do sleep 0.05; done", capture=False)\n'
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    admin = Terminal(box, sys.executable, "-c", code)
    admin.expect("up")
    admin.type("\x03")
    admin.expect("tidy")
    admin.expect("interrupted")
    assert admin.close() == 0


def test_ctrl_z_stops_both(box: Machine) -> None:
    """Stopped with the command, and going on with it."""
    count = "echo x >/run/ticks; echo up; while :; do echo x >>/run/ticks; sleep 0.02; done"
    words = (
        f"set -m; {' '.join(NETYARD)} exec box sh -c '{count}'; echo stopped; read x; fg; echo end"
    )
    admin = Terminal(box, "bash", "-c", words)
    admin.expect("up")
    admin.type("\x1a")
    admin.expect("stopped")
    before = box.out("wc", "-l", "/run/ticks")
    time.sleep(0.3)
    assert box.out("wc", "-l", "/run/ticks") == before
    admin.type("\n")
    wait_for(lambda: box.out("wc", "-l", "/run/ticks") != before)
    admin.type("\x03")
    admin.expect("end")
    assert admin.close() == 0


def test_a_terminal_of_its_own(box: Machine) -> None:
    """``exec -t``: another terminal than ours, its controlling one, and ours is as before."""
    ours = "tty; stty -g; {}; stty -g; read line; echo has $line"
    words = ours.format(f'{" ".join(NETYARD)} exec -it box sh -c "$1"')
    inside = "tty; : </dev/tty && echo opened; sleep 60 & echo bye; exit 6"
    admin = Terminal(box, "sh", "-c", words, "sh", inside)
    shown = admin.expect("bye")
    assert "opened" in shown
    terminals = [line for line in shown.split() if line.startswith("/dev/")]
    assert len(terminals) == 2 or "not a tty" in shown, shown
    settings = next(line for line in shown.split() if line.count(":") > 9)
    # Shown again when exec is over: until then what is typed is for it.
    admin.expect(settings)
    admin.type("mine\n")
    admin.expect("has mine")
    assert admin.close() == 0


@pytest.mark.parametrize("user", ["65534", "7:9", "0"])
def test_streams_belong_to_the_user(box: Machine, user: str) -> None:
    """A program that opens ``/dev/stderr`` by its name, as with Docker; the host's stay as they are."""
    write = "echo out >/dev/stdout; echo error >/dev/stderr; cat /dev/stdin"
    before = box.out("stat", "-c", "%u:%g %a", "/dev/null")
    for words in (("exec", "-u", user, "box"), ("run", "--rm", "--network", "none", "-u", user)):
        done = box.netyard(*words, "sh", "-c", write)
        assert (done.stdout, done.stderr) == ("out\n", "error\n"), words
    words = ("run", "--rm", "-i", "--network", "none", "-u", user)
    done = box.run(*NETYARD, *words, "sh", "-c", write, input="typed")
    assert (done.stdout, done.stderr) == ("out\ntyped", "error\n")
    box.ny("run", "-d", "--name", "left", "--network", "none", "-u", user, "sh", "-c", write)
    wait_for(lambda: "error" in box.netyard("logs", "left").stderr)
    script = "echo out >/dev/stdout; echo error >/dev/stderr; echo is $?"
    alone = ("--rm", "-it", "--network", "none")
    for words in (("exec", "-it", "-u", user, "box"), ("run", *alone, "-u", user)):
        admin = Terminal(box, *NETYARD, *words, "sh", "-c", script)
        assert admin.expect("is 0") == "out\r\nerror\r\n", words
        assert admin.close() == 0
    assert box.out("stat", "-c", "%u:%g %a", "/dev/null") == before


@pytest.mark.parametrize("given", ["empty", "pipe"])
def test_a_terminal_is_fed_by_a_terminal(box: Machine, given: str) -> None:
    """``-it`` where standard input is none: Docker's sentence and status, and nothing is run."""
    text = None if given == "empty" else "typed"
    for words in (("exec", "-it", "box"), ("run", "-it", "--network", "none", "--name", "other")):
        done = box.run(*NETYARD, *words, "touch", "/var/lib/ran", check=False, input=text)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "netyard: the input device is not a TTY\nhint: leave -t out\n"
    assert box.run("test", "-e", "/var/lib/ran", check=False).returncode == 1
    assert "other" not in box.ny("ps", "-a")
    done = box.run(*NETYARD, "exec", "-t", "box", "sh", "-c", "test -t 1 && echo has", check=False)
    assert (done.returncode, done.stdout) == (0, "has\n"), "without -i none is needed"
