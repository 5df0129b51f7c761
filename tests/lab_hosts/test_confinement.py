"""What a container's processes may ask of the kernel: system calls, privileges, keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lab import Guest, Machine

_PROBE = str(Path(__file__).parents[1] / "syscalls.py")
_PYTHON = (sys.executable, "-S", "-E")

_STATUS = ("grep", "-E", "^(NoNewPrivs|Seccomp):", "/proc/self/status")

# Let through, each of these fails for another reason, or does nothing: their arguments are -1.
_FORBIDDEN = (
    "add_key bpf clock_settime io_uring_setup keyctl kcmp mbind mount open_by_handle_at "
    "perf_event_open reboot setns swapon umount2 unshare:0 userfaultfd init_module kexec_load "
    "socket:40,1,0 socket:38,5,0 socket:99,1,0 personality:1 clone:0x10000000,0,0,0,0"
).split()
_MISSING = ["clone3", "x32", "newer"]
_ALLOWED = "getppid:0 chroot socket:1,1,0 socket:16,3,0 personality:0xffffffff ptrace".split()


def _tried(host: Machine, flags: list[str], words: list[str]) -> dict[str, str]:
    shown = host.ny("run", "--rm", *flags, *_PYTHON, _PROBE, *words)
    return dict(line.split() for line in shown.splitlines())


def test_default_filter(host: Machine) -> None:
    """What Docker denies to such a container is denied, and what is newer is not there."""
    words = [*_FORBIDDEN, *_MISSING, *_ALLOWED]
    found = _tried(host, [], words)
    assert {word: found[word] for word in _FORBIDDEN} == dict.fromkeys(_FORBIDDEN, "EPERM")
    assert {word: found[word] for word in _MISSING} == dict.fromkeys(_MISSING, "ENOSYS")
    assert {word: found[word] for word in _ALLOWED} == dict.fromkeys(_ALLOWED, "-")
    # Of one without privileges as well, and of what is executed later.
    assert "Seccomp:\t2" in host.ny("run", "--rm", "--user", "1000", *_STATUS)
    host.ny("run", "-d", "--name", "box", "sleep", "600")
    assert Guest(host, "box").run(*_PYTHON, _PROBE, "io_uring_setup").stdout.endswith("EPERM\n")
    assert Guest(host, "box").run(*_STATUS).stdout == "NoNewPrivs:\t0\nSeccomp:\t2\n"


def test_capabilities_open_what_they_are_for(host: Machine) -> None:
    """A capability lets its calls through, and no others."""
    words = ["unshare:0", "clone3", "mbind", "kcmp", "keyctl", "io_uring_setup"]
    admin = _tried(host, ["--cap-add", "SYS_ADMIN"], words)
    assert admin["unshare:0"] == admin["clone3"] == "-"
    assert admin["mbind"] == admin["kcmp"] == admin["keyctl"] == admin["io_uring_setup"] == "EPERM"
    nice = _tried(host, ["--cap-add", "SYS_NICE"], words)
    assert (nice["mbind"], nice["unshare:0"], nice["clone3"]) == ("-", "EPERM", "ENOSYS")
    assert _tried(host, ["--cap-drop", "SYS_CHROOT"], ["chroot"]) == {"chroot": "EPERM"}


def test_without_a_filter(host: Machine) -> None:
    """``seccomp=unconfined`` and ``--privileged``."""
    for flags in (["--security-opt", "seccomp=unconfined"], ["--privileged"]):
        assert _tried(host, flags, ["keyctl", "clone3"]) == {"keyctl": "-", "clone3": "-"}
        assert "Seccomp:\t0\n" in host.ny("run", "--rm", *flags, *_STATUS) + "\n"


def test_profile_of_dockers_form(host: Machine) -> None:
    """Names, errors, arguments, and conditions on capabilities, kernel and machine."""
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
        ],
        "syscalls": [
            {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {
                "names": ["personality"],
                "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
            },
            {"name": "kcmp", "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_NET_RAW"]}},
            {"names": ["mbind"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "4.8"}},
            {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "includes": {"arches": ["s390x"]}},
        ],
    }
    host.run("sh", "-c", "cat > /run/profile.json", input=json.dumps(profile))
    option = ["--security-opt", "seccomp=/run/profile.json"]
    words = ["getppid:0", "personality:8", "personality:0", "kcmp", "mbind:0,0,0,0,0", "keyctl"]
    expected = ["ENOSYS", "EPERM", "-", "-", "EPERM", "-"]
    assert list(_tried(host, option, words).values()) == expected
    dropped = [*option, "--cap-drop", "NET_RAW"]
    assert _tried(host, dropped, ["kcmp:0,0,99,0,0"]) == {"kcmp:0,0,99,0,0": "EPERM"}
    # Kept with the container: the file may be gone when it starts again, or changed.
    host.ny("run", "-d", "--name", "box", *option, "sleep", "600")
    host.run("rm", "/run/profile.json")
    host.ny("stop", "-t", "0", "box")
    host.ny("start", "box")
    assert Guest(host, "box").run(*_PYTHON, _PROBE, "getppid:0").stdout == "getppid:0 ENOSYS\n"
    shown = json.loads(host.ny("inspect", "box"))[0]["HostConfig"]["SecurityOpt"]
    assert [json.loads(each.removeprefix("seccomp=")) for each in shown] == [profile]


@pytest.mark.parametrize(
    ("profile", "word"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ('{"defaultAction": "SCMP_ACT_NOTIFY"}', "SCMP_ACT_NOTIFY"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}', "listenerPath"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]}', "S390X"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": '
            '[{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}',
            "no_such_call",
        ),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": '
            '"SCMP_ACT_ERRNO", "args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]}]}',
            "index 9",
        ),
    ],
)
def test_profiles_that_cannot_be_honoured(host: Machine, profile: str, word: str) -> None:
    """One sentence, and nothing is made."""
    host.run("sh", "-c", "cat > /run/profile.json", input=profile)
    option = ["--security-opt", "seccomp=/run/profile.json"]
    said = host.refused("run", *option, "true", status=125)
    assert "--security-opt" in said and "/run/profile.json" in said and word in said
    assert host.ny("ps", "-aq") == ""


def test_options_that_are_none(host: Machine) -> None:
    """The word, and what would be right."""
    for option in ("apparmor=x", "no-new-privileges=maybe", "seccomp", "x"):
        assert option in host.refused("run", "--security-opt", option, "true", status=125)
    missing = ("--security-opt", "seccomp=/run/none.json")
    assert "/run/none.json" in host.refused("run", *missing, "true", status=125)
    host.run("mkfifo", "/run/fifo")
    host.refused("run", "--security-opt", "seccomp=/run/fifo", "true", status=125)


def test_no_new_privileges(host: Machine) -> None:
    """A set-user-id program is of its caller, in what is executed later as well."""
    host.run("sh", "-c", "mkdir /var/lib/tools && cp /usr/bin/id /var/lib/tools && "
             "chmod 4755 /var/lib/tools/id")  # fmt: skip
    tool = "/var/lib/tools/id"
    user = ["--user", "1000"]
    assert host.ny("run", "--rm", *user, tool, "-u") == "0"
    for word in ("no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"):
        assert host.ny("run", "--rm", *user, "--security-opt", word, tool, "-u") == "1000"
    off = "no-new-privileges=false"
    assert host.ny("run", "--rm", *user, "--security-opt", off, tool, "-u") == "0"
    option = ["--security-opt", "no-new-privileges"]
    host.ny("run", "-d", "--name", "box", *user, *option, "sleep", "600")
    assert Guest(host, "box").run(tool, "-u").stdout == "1000\n"
    assert Guest(host, "box").run(*_STATUS).stdout == "NoNewPrivs:\t1\nSeccomp:\t2\n"
    shown = json.loads(host.ny("inspect", "box"))[0]["HostConfig"]["SecurityOpt"]
    assert shown == ["no-new-privileges"]


# Joins a session keyring with a key in it, and goes on as the command.
_WITH_KEY = """
import ctypes, os, platform, sys
libc = ctypes.CDLL(None)
keyctl, add_key = (250, 248) if platform.machine() == "x86_64" else (219, 217)
assert libc.syscall(keyctl, 1, b"lab-marker") > 0
assert libc.syscall(add_key, b"user", b"lab-secret", b"marker", 6, -3) > 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
# Describes its session keyring, and looks for the key.
_LOOK = """
import ctypes, platform
libc = ctypes.CDLL(None)
keyctl, request_key = (250, 249) if platform.machine() == "x86_64" else (219, 218)
text = ctypes.create_string_buffer(200)
libc.syscall(keyctl, 6, -3, text, 200)
print(text.value.decode(), libc.syscall(request_key, b"user", b"lab-secret", None, 0) > 0)
"""


def test_keys_of_who_starts_it_are_not_its_own(host: Machine) -> None:
    """A session keyring of its own, for ``run`` and for ``exec``."""
    with_key = (sys.executable, "-c", _WITH_KEY)
    look = (sys.executable, "-c", _LOOK)
    assert host.out(*with_key, *look).endswith("lab-marker True"), "the test itself sees nothing"
    netyard = (*with_key, sys.executable, "-m", "netyard")
    flags = ("--security-opt", "seccomp=unconfined")
    for found in (
        host.out(*netyard, "run", "--rm", *flags, *look),
        host.ny("run", "-d", "--name", "box", *flags, "sleep", "600")
        and host.out(*netyard, "exec", "box", *look),
    ):
        assert "lab-marker" not in found and found.endswith(" False"), found


def _limits(host: Machine, flags: list[str], words: str) -> str:
    return host.ny("run", "--rm", *flags, "sh", "-c", words)


def test_ulimits(host: Machine) -> None:
    """Soft and hard, of the first process and of later ones."""
    flags = ["--ulimit", "nofile=77:99", "--ulimit", "cpu=unlimited", "--ulimit", "core=0"]
    words = "ulimit -Sn; ulimit -Hn; ulimit -Ht; ulimit -c"
    assert _limits(host, flags, words).split() == ["77", "99", "unlimited", "0"]
    # Set last of all: few are enough for a program, though not for the making of its mounts.
    assert _limits(host, ["--ulimit", "nofile=4"], "ulimit -n") == "4"
    host.ny("run", "-d", "--name", "box", *flags, "sleep", "600")
    assert Guest(host, "box").run("sh", "-c", words).stdout.split()[:2] == ["77", "99"]
    host.ny("stop", "-t", "0", "box")
    host.ny("start", "box")
    assert Guest(host, "box").run("sh", "-c", words).stdout.split()[:2] == ["77", "99"]
    shown = json.loads(host.ny("inspect", "box"))[0]["HostConfig"]["Ulimits"]
    assert shown[0] == {"Name": "nofile", "Hard": 99, "Soft": 77}
    assert shown[1] == {"Name": "cpu", "Hard": -1, "Soft": -1}


def test_shared_memory(host: Machine) -> None:
    """64 MiB unless told otherwise, with the host's files and with a root of its own."""
    size = "df -k --output=size /dev/shm | tail -n 1"
    assert _limits(host, [], size).strip() == str(64 << 10)
    assert _limits(host, ["--shm-size", "1m"], size).strip() == "1024"
    full = "head -c 2000000 /dev/zero >/dev/shm/full; wc -c </dev/shm/full"
    assert _limits(host, ["--shm-size", "1m"], full) == str(1 << 20)
    host.ny("create", "--name", "box", "--shm-size", "128m", "true")
    assert json.loads(host.ny("inspect", "box"))[0]["HostConfig"]["ShmSize"] == 128 << 20


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--memory", "lots"], "'lots'"),
        (["--memory", "5m"], "6MiB"),
        (["--memory-swap", "1g"], "--memory"),
        (["--memory", "64m", "--memory-swap", "32m"], "--memory-swap"),
        (["--cpus", "many"], "'many'"),
        (["--cpus", "-1"], "0.01"),
        (["--cpus", "nan"], "'nan'"),
        (["--pids-limit", "-2"], "-2"),
        (["--ulimit", "nofile"], "nofile=1024:4096"),
        (["--ulimit", "files=3"], "'files=3'"),
        (["--ulimit", "nofile=9:3"], "above"),
        (["--shm-size", "0"], "'0'"),
        (["--shm-size", "9" * 30], "--shm-size"),
    ],
)
def test_limits_that_are_none(host: Machine, flags: list[str], word: str) -> None:
    """One sentence that names the flag and the value."""
    said = host.refused("run", *flags, "true", status=125)
    assert word in said and flags[-2] in said


def test_without_control_groups(host: Machine) -> None:
    """Limits that need one are refused by name, and the default is passed over."""
    for flag, value in (("--memory", "64m"), ("--cpus", "0.5"), ("--pids-limit", "10")):
        said = host.refused("run", flag, value, "true", status=125)
        assert flag in said and "cgroup v2" in said
    assert host.ny("ps", "-aq") == ""
    assert host.ny("run", "--rm", "--pids-limit", "-1", "echo", "any") == "any"
    assert "cgroup v2" in host.ny("doctor")
    # Where it is, as far as the container sees, is the top.
    paths = host.ny("run", "--rm", "cat", "/proc/self/cgroup").splitlines()
    assert {line.split(":", 2)[2] for line in paths} == {"/"}
