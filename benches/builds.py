"""Another build of netyard beside this one, with Docker and Podman, in turns in one run.

``python benches/builds.py BEFORE``, where ``BEFORE`` is the Python of an environment that has the
other build; both are release builds. It writes ``benches/results/builds.json`` and its section of
``docs/performance.md``. Each contestant works in namespaces of its own, and waits there for its turn:
what else the machine does at that time meets all of them, and the medians are of differences within
a round.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apart

HERE = Path(__file__).parent
ENTER = HERE / "peers" / "enter.sh"
RECORDED = HERE / "results" / "builds.json"
TURNS = int(os.environ.get("TURNS", "100"))
PEER_TURNS = int(os.environ.get("PEER_TURNS", "20"))
LIBRARY_TURNS = int(os.environ.get("LIBRARY_TURNS", "20"))
MANY = 100
BEFORE, AFTER = "before", "after"
RUN = "run --rm"
_MOUNTS = "mount -t tmpfs tmpfs /run; mkdir -p /run/netns; mount -t sysfs sysfs /sys"

Sample = dict[str, float]


def main() -> None:
    """Measure, write."""
    # Python's byte code is kept, as an installed package has it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if "--inside" in sys.argv:
        _work(*sys.argv[-2:])
        return
    before = str(Path(sys.argv[1]).absolute())
    found = measured(before)
    found["remark"] = os.environ.get("REMARK", "")
    builds = {BEFORE: before, AFTER: sys.executable}
    found["instructions"] = {name: _instructions(python) for name, python in builds.items()}
    RECORDED.write_text(json.dumps(found, indent=1) + "\n")
    from report import section_of_builds, with_section

    page = HERE.parent / "docs" / "performance.md"
    page.write_text(with_section(page.read_text(), section_of_builds(found)))
    print(section_of_builds(found))


def measured(before: str) -> dict[str, Any]:
    """All of it."""
    with contextlib.ExitStack() as stack:
        builds = {
            BEFORE: stack.enter_context(_contestant("netyard", before)),
            AFTER: stack.enter_context(_contestant("netyard", sys.executable)),
        }
        peers = {
            name: stack.enter_context(_contestant(name, sys.executable))
            for name in ("docker", "podman")
            if shutil.which(name)
        }
        runs = _in_turns({**builds, **peers}, RUN, TURNS, PEER_TURNS)
        library = _in_turns(builds, "library", LIBRARY_TURNS, LIBRARY_TURNS)
        memory = {name: build("memory") for name, build in builds.items()}
    return {
        "when": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "turns": TURNS,
        "batch": MANY,
        "run": runs,
        "library": library,
        "supervisor": memory,
    }


def _in_turns(
    contestants: dict[str, Callable[[str], Sample]], what: str, turns: int, peer_turns: int
) -> dict[str, Sample]:
    """Medians of each, and of what one build takes more than the other within a round."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for turn in range(-1, turns):
        # Whoever is first in one round is last in the next.
        for name in sorted(contestants, reverse=bool(turn % 2)):
            if name in (BEFORE, AFTER) or turn < peer_turns:
                sample = contestants[name](what)
                if turn >= 0:
                    samples[name].append(sample)
    found = {name: _medians(rows) for name, rows in samples.items()}
    pairs = zip(samples[BEFORE], samples[AFTER], strict=True)
    found["difference"] = _medians(
        [{key: after[key] - before[key] for key in before} for before, after in pairs]
    )
    return found


def _medians(rows: list[Sample]) -> Sample:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def _instructions(python: str) -> int:
    """Of a whole command; valgrind makes no user namespace."""
    netyard = Path(python).with_name("netyard")
    words = subprocess.run([netyard, "run", "--help"], capture_output=True, text=True).stdout
    run = f"run --rm {'--userns host' * ('--userns' in words)} --network cli true"
    inside = (
        f"{_MOUNTS}; ip link set lo up; {netyard} network create cli; {netyard} {run};"
        f"exec valgrind --tool=callgrind --callgrind-out-file=/dev/null {python} {netyard} {run}"
    )
    environment = {"PYTHONHASHSEED": "0", "NETYARD_ROOT": "/run/root"}
    done = apart.run(["sh", "-c", inside], environment=environment, capture_output=True, text=True)
    return int(re.findall(r"Collected : (\d+)", done.stderr)[-1])


@contextlib.contextmanager
def _contestant(kind: str, python: str) -> Iterator[Callable[[str], Sample]]:
    """A process in namespaces of its own that measures when it is asked to."""
    with tempfile.TemporaryDirectory(prefix="netyard-bench-") as work:
        words = [python, __file__, "--inside", kind, work]
        environment = {
            **os.environ,
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
            "NETYARD_ROOT": "/run/root",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        start = apart.start if kind == "netyard" else _start_peer
        with start(words, environment=environment, **pipes) as process:

            def ask(what: str) -> Sample:
                print(what, file=process.stdin, flush=True)
                sample: Sample = json.loads(process.stdout.readline())
                return sample

            try:
                yield ask
            finally:
                process.stdin.close()


def _start_peer(words: list[str], *, environment: dict[str, str], **settings: Any) -> Any:
    return subprocess.Popen([str(ENTER), *words], env=environment, **settings)


def _work(kind: str, work: str) -> None:
    """Measure what is asked for, line by line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    contestants: dict[str, Callable[[Path], dict[str, Callable[[], Sample]]]] = {
        "netyard": _netyard,
        "docker": _docker,
        "podman": _podman,
    }
    with contextlib.ExitStack() as stack:
        actions = stack.enter_context(contestants[kind](Path(work)))
        for line in sys.stdin:
            print(json.dumps(actions[line.strip()]()), file=answers, flush=True)


def _command(*words: str, environment: dict[str, str] | None = None) -> Sample:
    """What a command takes, its children that it waits for included, in milliseconds."""
    time.sleep(0.05)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True, env=environment)
    took = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"ms": 1000 * took, "CPU ms": 1000 * used}


@contextlib.contextmanager
def _netyard(_work: Path) -> Iterator[dict[str, Callable[[], Sample]]]:
    apart.check()
    subprocess.run(f"{_MOUNTS}; ip link set lo up", shell=True, check=True)
    from lifecycle import Crowd

    from netyard import Host, Network, _core

    if _core.build_profile != "release":
        raise SystemExit("both builds have to be release builds")
    host = Host()
    Network.create("cli", host=host)
    command = [
        str(Path(sys.executable).with_name("netyard")),
        *"run --rm --network cli true".split(),
    ]
    crowd: list[Crowd] = []

    def library() -> Sample:
        if not crowd:
            crowd.append(Crowd(host, MANY))
        return crowd[0].times()

    yield {RUN: lambda: _command(*command), "library": library, "memory": lambda: _memory(host)}


def _memory(host: Any) -> Sample:
    """KiB of a container's supervisor, the middle one of five with some output each."""
    from netyard import Container

    chatty = "yes a line of some length | head -c 9000000; head -c 9000000 /dev/zero; sleep 600"
    boxes = [Container.run("sh", "-c", chatty, host=host) for _ in range(5)]
    time.sleep(3)
    samples = []
    for each in Path("/proc").iterdir():
        words = (each / "cmdline").read_bytes().split(b"\0") if each.name.isdigit() else []
        if words[1:2] == [b"supervise"]:
            lines = (each / "smaps_rollup").read_text().splitlines()[1:]
            fields = {
                name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)
            }
            private = fields["Private_Clean"] + fields["Private_Dirty"]
            samples.append({"PSS": fields["Pss"], "private": private, "RSS": fields["Rss"]})
    for box in boxes:
        box.remove(force=True)
    return _medians(samples)


@contextlib.contextmanager
def _docker(_work: Path) -> Iterator[dict[str, Callable[[], Sample]]]:
    sys.path.insert(0, str(HERE / "peers"))
    from common import Docker, sh

    sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    docker = Docker("--userland-proxy=false")
    docker.cli("network", "create", "runs")
    words = "docker run --rm --network runs bb:1 /bin/true".split()
    yield {RUN: lambda: _command(*words, environment=docker.env)}
    docker.stop()


@contextlib.contextmanager
def _podman(_work: Path) -> Iterator[dict[str, Callable[[], Sample]]]:
    sys.path.insert(0, str(HERE / "peers"))
    from common import Podman, sh

    sh("echo 1 > /proc/sys/net/ipv4/ip_forward")
    podman = Podman()
    podman.run("network", "create", "runs")
    words = [*podman.words, *"run --rm --network runs localhost/bb:1 /bin/true".split()]
    yield {RUN: lambda: _command(*words)}


if __name__ == "__main__":
    main()
