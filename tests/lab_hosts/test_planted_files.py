"""What others have put where root looks: their Python, their directories, their FIFOs and links.

Each of them is harmless here: a marker that must not appear, an open that must not wait.
"""

from __future__ import annotations

import sys

import pytest

from lab import Lab, Machine

# As installers write it.
_SCRIPT = "import sys\nfrom netyard.cli.main import main\nsys.exit(main())\n"
_MARK = "open('/var/lib/marker', 'a').write(__file__)\n"


def test_a_caller_s_directory_holds_no_modules(host: Machine) -> None:
    """A6: neither netyard nor what it imports is taken from there, by any process it starts."""
    # Not below /run, which is another in the demonstration.
    host.run("mkdir", "-p", "/var/lib/bin", "/var/lib/planted/http", "/var/lib/planted/netyard")
    host.run("tee", "/var/lib/bin/netyard", input=_SCRIPT)
    for name in ("netyard.py", "netyard/__init__.py", "socket.py", "json.py", "http/__init__.py"):
        host.run("tee", f"/var/lib/planted/{name}", input=_MARK)
    command = f"cd /var/lib/planted && {sys.executable} /var/lib/bin/netyard"
    host.run("sh", "-c", f"{command} demo bridge", timeout=120)
    host.run("sh", "-c", f"{command} network create net")
    host.run("sh", "-c", f"{command} run --network net true")
    host.run("sh", "-c", f"{command} ps")
    assert host.run("cat", "/var/lib/marker", check=False).stdout == ""


def test_netyard_starts_itself_and_no_other(host: Machine) -> None:
    """A6: by its path, also where Python prefers a package of the same name."""
    code = "import netyard, sys; from netyard.runtime.own_command import own_command as own; "
    code += "sys.stdout.write(' '.join(own('version')))"
    words = host.python(code).split()
    host.run("mkdir", "-p", "/run/planted/netyard")
    host.run("tee", "/run/planted/netyard/__init__.py", input=_MARK)
    done = host.run(*words, env={"PYTHONPATH": "/run/planted"})
    assert done.stdout == host.netyard("version").stdout
    assert host.run("cat", "/var/lib/marker", check=False).stdout == ""


def test_a_fifo_is_no_namespace(host: Machine) -> None:
    """B3: refused at once; to open it would wait for ever."""
    host.run("mkfifo", "/run/fifo")
    host.run("tee", "/run/file", input="")
    for path in ("/run/fifo", "/run/file", "/dev/null", "/proc/self/ns/uts"):
        done = host.netyard("adopt", "guest", "--netns", path, check=False, timeout=10)
        assert f"{path!r} is no network namespace" in done.stderr


@pytest.mark.parametrize("planted", ["link", "fifo"])
def test_a_restart_takes_no_namespace_that_a_user_may_have_put_there(
    lab: Lab, planted: str
) -> None:
    """B3: nor does it wait; what root has put at the path is taken as before, by links of root's."""
    for name in ("theirs", "roots"):
        lab.host.run("ip", "netns", "add", name)
    _place(lab.host, "theirs")
    lab.host.run("ln", "-s", "/run/netns", "/run/spaces")
    lab.host.ny("network", "create", "net")
    lab.host.ny("adopt", "theirs", "--netns", "/run/user/theirs", "--network", "net")
    lab.host.ny("adopt", "roots", "--netns", "/run/spaces/roots", "--network", "net")
    lab.reboot()
    for name in ("other", "roots"):
        lab.host.run("ip", "netns", "add", name)
    lab.host.run("ln", "-s", "/run/netns", "/run/spaces")
    lab.host.run("mkdir", "/run/user")
    if planted == "link":
        lab.host.run("ln", "-s", "/run/netns/other", "/run/user/theirs")
    else:
        lab.host.run("mkfifo", "/run/user/theirs")
    lab.host.run("chown", "-hR", "1000", "/run/user")
    shown = lab.host.netyard("reload", check=False, timeout=20).stdout
    assert "restored: container roots" in shown
    assert "lost: container theirs: /run/user is not root's alone" in shown
    assert lab.host.out("ip", "-n", "other", "-o", "link").count("\n") == 0
    lab.host.ny("abandon", "theirs")


def test_a_restart_waits_for_no_fifo_of_root_s(lab: Lab) -> None:
    """B3: whatever lies at the path of an adopted namespace, `run` goes on."""
    lab.host.run("ip", "netns", "add", "guest")
    lab.host.ny("network", "create", "net")
    lab.host.ny("adopt", "guest", "--netns", "/run/netns/guest", "--network", "net")
    lab.reboot()
    lab.host.run("mkfifo", "/run/netns/guest")
    lab.host.netyard("run", "--network", "net", "true", timeout=20)
    shown = lab.host.netyard("reload", check=False, timeout=20).stdout
    assert "lost: container guest: --netns: '/run/netns/guest' is no network namespace" in shown


def _place(host: Machine, name: str) -> None:
    host.run("mkdir", "/run/user")
    host.run("touch", f"/run/user/{name}")
    host.run("mount", "--bind", f"/run/netns/{name}", f"/run/user/{name}")


def test_a_rootfs_s_users_are_read_without_waiting(host: Machine) -> None:
    """B3: a FIFO, a device or a file of any size; and no link leads out of the root."""
    host.run("mkdir", "-p", "/run/tree/etc")
    command = ("run", "--rootfs", "/run/tree", "--user", "someone", "true")

    def refused() -> str:
        done = host.netyard(*command, check=False, timeout=10)
        assert done.returncode == 125
        return done.stderr

    host.run("mkfifo", "/run/tree/etc/passwd")
    assert "--user: /run/tree/etc/passwd cannot be read: it is no regular file" in refused()
    host.run("rm", "/run/tree/etc/passwd")
    host.run("truncate", "-s", "1G", "/run/tree/etc/passwd")
    assert "/run/tree/etc/passwd cannot be read: it has more than 1 MiB" in refused()
    host.run("rm", "/run/tree/etc/passwd")
    host.run("ln", "-s", "/etc/passwd", "/run/tree/etc/passwd")
    assert "there is no user 'someone'" in refused()
    host.run("tee", "/run/tree/etc/users", input="someone:x:7:8::/:/bin/sh\n")
    host.run("ln", "-sf", "/etc/users", "/run/tree/etc/passwd")
    done = host.netyard(*command, check=False, timeout=10)
    assert done.returncode == 127, "found by a link inside"


def test_lists_of_variables_are_read_without_waiting(host: Machine) -> None:
    """B3, C7: what is no such file is refused in a sentence, and so is a value with a NUL."""
    host.run("mkfifo", "/run/fifo")
    host.run("truncate", "-s", "1G", "/run/large")
    host.run("tee", "/run/nul", input="A=1\nB=2\0C=3\n")

    def refused(path: str) -> str:
        flags = ("--network", "none", "--env-file", path)
        done = host.netyard("run", *flags, "true", check=False, timeout=10)
        assert done.returncode == 125
        return done.stderr

    assert "--env-file: /run/fifo cannot be read: it is no regular file" in refused("/run/fifo")
    assert "--env-file: /dev/zero cannot be read: it is no regular file" in refused("/dev/zero")
    assert "--env-file: /run/large cannot be read: it has more than 1 MiB" in refused("/run/large")
    complaint = refused("/run/nul")
    assert "must not hold a NUL character (line 2 of /run/nul)" in complaint
    assert complaint.count("\n") == 1
    given = f"{sys.executable} -m netyard run --network none --env-file"
    done = host.run("bash", "-c", f"{given} <(echo A=5) env")
    assert "A=5" in done.stdout.split(), "a pipe of the shell's"


def _on_root(host: Machine, root: str) -> str:
    done = host.netyard("--root", root, "network", "ls", check=False)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_state_directory_of_another_user_is_refused(host: Machine) -> None:
    """C5: it, what is above it, and what was put into it before it became root's."""
    host.run("mkdir", "-p", "/run/a/state", "/run/b/state", "/run/c/state/logs", "/run/d/state")
    host.run("chown", "1000", "/run/a/state", "/run/b", "/run/c/state/logs")
    host.run("chmod", "0777", "/run/d/state")
    assert "/run/a/state belongs to user 1000" in _on_root(host, "/run/a/state")
    assert "/run/b belongs to user 1000" in _on_root(host, "/run/b/state")
    assert "/run/c/state/logs belongs to user 1000" in _on_root(host, "/run/c/state")
    assert "/run/d/state can be changed by others" in _on_root(host, "/run/d/state")
    assert host.out("find", "/run/a", "/run/b", "/run/d", "-type", "f") == ""
    host.run("ln", "-s", "/run/a/state", "/run/link")
    assert "/run/a/state belongs to user 1000" in _on_root(host, "/run/link")
    host.run("mkdir", "-m", "1777", "/run/shared")
    assert _on_root(host, "/run/shared/new/state") == "", "what root makes where all may write"


def _shim(host: Machine) -> str:
    return host.out("sh", "-c", "ls /var/lib/netyard/bin/netyard-shim-*")


def test_only_netyard_s_own_shim_is_run(host: Machine) -> None:
    """C5: whatever has its name, be it a link or a program, is replaced, not run or written to."""
    run = ("run", "--network", "none", "echo", "works")
    assert host.ny(*run) == "works"
    shim = _shim(host)
    size = host.out("stat", "-c", "%s", shim)
    host.run("tee", "/run/other", input="#!/bin/sh\ntouch /run/marker\n")
    host.run("chmod", "0755", "/run/other")
    host.run("cp", "/run/other", shim)
    assert host.ny(*run) == "works"
    host.run("ln", "-sf", "/run/other", shim)
    assert host.ny(*run) == "works"
    host.run("chmod", "0777", shim)
    assert host.ny(*run) == "works"
    assert host.out("stat", "-c", "%s %a", shim) == f"{size} 500"
    assert host.run("test", "-e", "/run/marker", check=False).returncode == 1
    assert host.out("wc", "-c", "/run/other").split()[0] == "28", "not written to"


def test_the_shim_s_file_cannot_be_opened_for_writing(host: Machine) -> None:
    """C6: not through /proc, neither while it runs nor when it has ended."""
    host.ny(*"run -d --name box --network none sleep 600".split())
    supervisor = host.out("pgrep", "-f", "netyard-shim supervise")
    assert host.out("cat", f"/proc/{supervisor}/comm") == "netyard-shim"
    host.python(
        "import errno, os, signal, time\n"
        "def refused(*numbers):\n"
        "    try:\n"
        "        os.open(f'/proc/self/fd/{found}', os.O_WRONLY)\n"
        "    except OSError as error:\n"
        "        return error.errno in numbers\n"
        f"found = os.open('/proc/{supervisor}/exe', os.O_PATH)\n"
        "assert refused(errno.EROFS, errno.ETXTBSY), 'while it runs'\n"
        f"os.kill({supervisor}, signal.SIGKILL)\n"
        f"while os.path.exists('/proc/{supervisor}/exe'):\n"
        "    time.sleep(0.01)\n"
        "assert refused(errno.EROFS), 'when it has ended'"
    )
