"""How much is kept of what containers write: rotation, reading across it, removal."""

from __future__ import annotations

import json
import subprocess
import sys

from lab import Machine, wait_for

NETYARD = (sys.executable, "-m", "netyard")
LOGS = "/var/lib/netyard/logs"


def _files(host: Machine) -> dict[str, int]:
    """Sizes of the files of logs, by name, the container's id left out."""
    lines = host.out("find", LOGS, "-type", "f", "-printf", "%f %s\\n").splitlines()
    return {name[64:]: int(size) for name, size in map(str.split, lines)}


def _count(start: int, end: int) -> str:
    return f"i={start}; while [ $i -lt {end} ]; do echo line $i; i=$((i+1)); done"


def _lines(start: int, end: int) -> str:
    return "".join(f"line {number}\n" for number in range(start, end))


def test_a_log_has_a_limit(host: Machine) -> None:
    """B4: so many files of so many bytes; the newest lines are kept, and none between is lost."""
    limits = ("--log-opt", "max-size=20k", "--log-opt", "max-file=3")
    host.ny("run", *limits, "--network", "none", "--name", "talker", "sh", "-c", _count(0, 5000))
    files = _files(host)
    assert set(files) == {"", ".1", ".2"}
    assert all(size <= 20_000 for size in files.values())
    assert files[".1"] > 19_900 and files[".2"] > 19_900, "no file is put aside before it is full"
    shown = host.netyard("logs", "talker").stdout
    kept = shown.count("\n")
    assert kept > 800
    assert shown == _lines(5000 - kept, 5000)
    assert host.netyard("logs", "--tail", "700", "talker").stdout == _lines(4300, 5000)
    assert host.netyard("logs", "-n", "all", "talker").stdout == shown
    assert "'some' must be a number of lines" in host.refused("logs", "-n", "some", "talker")
    host.ny("start", "-a", "talker")
    assert host.netyard("logs", "-n", "1", "talker").stdout == "line 4999\n", "it is gone on with"
    assert set(_files(host)) == {"", ".1", ".2"}
    host.ny("rm", "talker")
    assert _files(host) == {}


def test_following_goes_on_across_files(host: Machine) -> None:
    """No line is lost, none comes twice, by the command and from Python."""
    go = f"until [ -e /run/go ]; do sleep 0.05; done; {_count(0, 20000)}"
    limits = ("--log-opt", "max-size=30k,max-file=200")
    host.ny("run", "-d", *limits, "--network", "none", "--name", "talker", "sh", "-c", go)
    following = host.popen(*NETYARD, "logs", "-f", "talker", stdout=subprocess.PIPE)
    code = (
        "import sys; from netyard import Container\n"
        "for each in Container.get('talker').logs(follow=True): sys.stdout.buffer.write(each.data)"
    )
    python = host.popen(sys.executable, "-c", code, stdout=subprocess.PIPE)
    wait_for(lambda: "logs -f" in host.out("ps", "-e", "-ww", "-o", "args="))
    host.run("touch", "/run/go")
    for process in (following, python):
        assert process.stdout is not None
        assert process.stdout.read().decode() == _lines(0, 20000)
        assert process.wait(10) == 0
    assert len(_files(host)) > 20
    moment = json.loads(host.ny("logs", "--format", "json", "-n", "3", "talker").splitlines()[0])
    since = host.netyard("logs", "--since", moment["time"], "talker").stdout
    assert since.endswith(_lines(19997, 20000))
    assert since.count("\n") < 20_000


def test_one_file_begins_anew(host: Machine) -> None:
    """Docker's max-file=1."""
    limits = ("--log-opt", "max-size=1k", "--log-opt", "max-file=1")
    host.ny("run", *limits, "--network", "none", "--name", "talker", "sh", "-c", _count(0, 500))
    assert list(_files(host)) == [""]
    assert _files(host)[""] <= 1000
    assert host.netyard("logs", "talker").stdout.endswith("line 499\n")


def test_lines_without_end(host: Machine) -> None:
    """A line of any length is kept in parts as Docker's, and shown as one."""
    script = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo short"
    host.ny("run", "--network", "none", "--name", "talker", "sh", "-c", script)
    assert host.netyard("logs", "talker").stdout == "x" * 100_000 + "\nshort\n"
    code = (
        "from netyard import Container\n"
        "print(*(len(each.data) for each in Container.get('talker').logs()))"
    )
    assert host.python(code) == " ".join(["16384"] * 6 + [str(100_000 - 6 * 16_384 + 1), "6"])


def test_what_is_asked_for_is_kept_and_shown(host: Machine) -> None:
    """inspect has the defaults, too; wrong words are refused before anything is made."""
    host.ny("create", "--name", "plain", "--network", "none", "true")
    host.ny("create", "--name", "much", "--log-opt", "max-size=-1", "--network", "none", "true")
    host.python(
        "from netyard import Container\n"
        "Container.create('true', name='told', network='none',\n"
        "                 log_opts={'max-size': '5m', 'max-file': 7})"
    )
    shown = {
        name: json.loads(host.ny("inspect", name))[0]["HostConfig"]["LogConfig"]
        for name in ("plain", "much", "told")
    }
    assert shown == {
        "plain": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "much": {"Type": "json-file", "Config": {"max-size": "-1", "max-file": "3"}},
        "told": {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "7"}},
    }
    for words, complaint in {
        ("--log-opt", "max-size=big"): "max-size: 'big' must be a number of bytes",
        ("--log-opt", "max-file=0"): "max-file: '0' must be a number of files",
        ("--log-opt", "tag=x"): "'tag' must be one of max-size, max-file",
        ("--log-opt", "max-size"): "'max-size' must be KEY=VALUE",
        ("--log-driver", "syslog"): "'syslog' must be one of json-file, none",
        ("--log-driver", "none", "--log-opt", "max-file=1"): "cannot be used with",
    }.items():
        assert complaint in host.refused("run", *words, "--network", "none", "true", status=125)
    assert len(host.ny("ps", "-aq").split()) == 3


def test_no_log_at_all(host: Machine) -> None:
    """``--log-driver none``: nothing is kept, and what is written is seen by whoever is attached."""
    run = ("run", "--log-driver", "none", "--network", "none", "--name", "quiet")
    assert host.ny(*run, "echo", "seen") == "seen"
    assert _files(host) == {}
    assert "keeps no log" in host.refused("logs", "quiet")
    shown = json.loads(host.ny("inspect", "quiet"))[0]
    assert (shown["LogPath"], shown["HostConfig"]["LogConfig"]["Type"]) == ("", "none")


def test_a_full_disk_stops_no_container(host: Machine) -> None:
    """What finds no room is lost, whole records at a time; the command goes on."""
    host.ny("create", "--name", "talker", "--network", "none", "sh", "-c", _count(0, 9000))
    host.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", LOGS)
    host.ny("start", "-a", "talker")
    assert json.loads(host.ny("inspect", "talker"))[0]["State"]["ExitCode"] == 0
    shown = host.netyard("logs", "talker").stdout.splitlines()
    assert 1000 < len(shown) < 3000
    written = {f"line {number}": number for number in range(9000)}
    numbers = [written[line] for line in shown]
    assert numbers[:1000] == list(range(1000)) and numbers == sorted(set(numbers))
    host.run("umount", LOGS)


def test_logs_of_unknown_containers_are_removed(host: Machine) -> None:
    """`netyard repair` removes what no container has, older files too, and nothing else."""
    limits = ("--log-opt", "max-size=1k")
    host.ny("run", *limits, "--network", "none", "--name", "kept", "sh", "-c", _count(0, 500))
    host.run("sh", "-c", f"touch {LOGS}/stranger {LOGS}/stranger.1")
    host.ny("repair")
    names = host.out("ls", LOGS).split()
    assert len(names) == 3
    assert not [each for each in names if each.startswith("stranger")]
