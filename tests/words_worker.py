"""Runs command lines one after the other in one lab machine, each in a fork of a program that has
netyard loaded.

Of each it tells how it ended, what it printed, what it took of the processor, and what is there
that was not there before. What a command has made is taken away again before the next one.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import sqlite3
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import netyard
from netyard.cli.main import main

_ROOT, _RUN = Path("/var/lib/netyard"), Path("/run/netyard")
_SECONDS, _GRACE = 1.0, 20.0
# Ends when it is told to.
_WAITS = ("sh", "-c", "trap 'exit 0' TERM; sleep 9999 & wait")
# What commands make that stays: the rest comes and goes with containers.
_MADE = ("network", "container", "setting")
_FIXTURES = {
    "network net": "network create --subnet 10.80.0.0/24 --label a=b net".split(),
    "container box": ["run", "-d", "--name", "box", "--network", "net", "--label", "a=b", *_WAITS],
    "container old": ["create", "--name", "old", "-p", "8080:80", "true", "\udcff"],
}


def run(words: list[str], *, seconds: float = _SECONDS) -> dict[str, Any]:
    """Run one command line; one that goes on is interrupted, as by Ctrl-C."""
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        _be(words, outputs)
    handle = os.pidfd_open(child)
    ways = [(None, seconds), (signal.SIGINT, _GRACE), (signal.SIGKILL, _GRACE)]
    interrupted = -1
    for number, wait in ways:
        if number is not None:
            signal.pidfd_send_signal(handle, number)
        interrupted += 1
        if select.select([handle], [], [], wait)[0]:
            break
    _, status, usage = os.wait4(child, 0)
    texts = [os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace") for fd in outputs]
    for fd in (handle, *outputs):
        os.close(fd)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "stdout": texts[0][:20_000],
        "stderr": texts[1],
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss,
        "wall": time.monotonic() - begun,
        "interrupted": interrupted,
    }


def _be(words: list[str], outputs: list[int]) -> None:
    status = 70
    try:
        for number, fd in enumerate([os.open(os.devnull, os.O_RDONLY), *outputs]):
            os.dup2(fd, number)
        os.closerange(3, 100)
        sys.argv = ["netyard", *words]
        main()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def present() -> set[str]:
    """Networks, containers, links, namespaces and directories that are there."""
    found = {f"link {name}" for name in os.listdir("/sys/class/net") if not name.startswith("nx-")}
    for directory in ("netns", "c"):
        with contextlib.suppress(OSError):
            found |= {f"{directory} {name}" for name in os.listdir(_RUN / directory)}
    with contextlib.suppress(OSError):
        found |= {f"setting {name}" for name in json.loads((_ROOT / "config.json").read_text())}
    if (_ROOT / "netyard.db").exists():
        with contextlib.closing(sqlite3.connect(_ROOT / "netyard.db")) as store:
            for kind in ("network", "container"):
                rows = store.execute(f"SELECT name, state FROM {kind}s").fetchall()
                # One that is to run, and was stopped or killed by its name, is made again.
                found |= {f"{kind} {row[0]}" for row in rows if row != ("box", "exited")}
    return found


def tidy(usual: set[str]) -> None:
    """Take away what is not usual, and make again what is."""
    for kind, undo in (
        ("container", ["rm", "-f"]),
        ("network", ["network", "rm", "-f"]),
        ("setting", ["config", "unset"]),
    ):
        names = [
            each.partition(" ")[2] for each in present() - usual if each.startswith(f"{kind} ")
        ]
        for name in names:
            done = run([*undo, "--", name], seconds=60)
            if done["status"] != 0:
                raise RuntimeError(f"{undo} {name}: {done}")
    for missing, words in _FIXTURES.items():
        if missing not in present():
            run(
                ["rm", "-f", words[words.index("--name") + 1]] if "--name" in words else ["version"]
            )
            done = run(words, seconds=60)
            if done["status"] != 0:
                raise RuntimeError(f"{words}: {done}")


def _empty(root: Path) -> None:
    """Remove all containers and networks of a root."""
    with contextlib.closing(sqlite3.connect(root / "netyard.db")) as store:
        containers = [name for (name,) in store.execute("SELECT name FROM containers")]
    if containers:
        run(["--root", str(root), "rm", "-f", "--", *containers], seconds=60)
    run(["--root", str(root), "network", "prune", "-f"], seconds=60)


def _prepare() -> None:
    for module in pkgutil.walk_packages(netyard.__path__, "netyard."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    os.makedirs("/run/words/rootfs/etc", exist_ok=True)
    Path("/run/words/env").write_text("A=1\n# x\n\nB\n")
    os.environ["HOME"] = "/run/words"
    os.chdir("/run/words")
    gc.freeze()


def serve() -> None:
    """Answer a line of JSON for each line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    _prepare()
    # Makes the built-in network.
    run(["run", "--rm", "true"], seconds=60)
    before = present()
    tidy(before)
    usual = now = present()
    for line in sys.stdin:
        words = json.loads(line)
        if words is None:
            break
        was = now
        done = run(words)
        now = present()
        done["left"] = sorted(each for each in now - was if each.startswith(_MADE))
        if any(each.startswith(_MADE) for each in now ^ usual):
            tidy(usual)
            now = present()
        print(json.dumps(done), file=answers, flush=True)
    for root in [_ROOT, *(path.parent for path in Path("/run/words").glob("*/netyard.db"))]:
        _empty(root)
    deadline = time.monotonic() + 10
    while present() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    # A root's built-in bridge stays once it has been used, as Docker's does.
    left = [each for each in present() - before if not each.startswith("link netyard")]
    print(json.dumps({"left": sorted(left)}), file=answers, flush=True)


if __name__ == "__main__":
    serve()
