"""`netyard` on a lab machine without starting Python anew: forked off the test itself.

For the emulated machine of the VM lab, where Python takes seconds to start, and for tests of very
many commands. What is run is the same `netyard.cli.main`, in a process of the machine's namespaces.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import pkgutil
import select
import signal
import subprocess
import sys
import traceback

import netyard

_NAMESPACES = 0x40000000 | 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000  # net mnt uts ipc pid
_LIBC = ctypes.CDLL(None, use_errno=True)


def run(pid: int, arguments: tuple[str, ...], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command line on the machine whose first process this is."""
    _warm_up()
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    done, finished = os.pipe()
    child = os.fork()
    if child == 0:
        _enter_and_run(pid, arguments, outputs, finished)
    os.close(finished)
    try:
        if not select.select([done], [], [], timeout)[0]:
            os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired(["netyard", *arguments], timeout)
        status = int(os.read(done, 16) or b"-1")
        texts = [os.pread(fd, os.fstat(fd).st_size, 0).decode() for fd in outputs]
    finally:
        os.waitpid(child, 0)
        for fd in (done, *outputs):
            os.close(fd)
    return subprocess.CompletedProcess(["netyard", *arguments], status, *texts)


@functools.cache
def _warm_up() -> None:
    """Import all of netyard once, so that no command does: each module takes long there."""
    for module in pkgutil.walk_packages(netyard.__path__, "netyard."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _enter_and_run(pid: int, arguments: tuple[str, ...], outputs: list[int], finished: int) -> None:
    """In a child: enter the machine, and run the command line in a child of that."""
    try:
        machine = os.pidfd_open(pid)
        if _LIBC.setns(machine, _NAMESPACES) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        # The namespace of process ids is that of children.
        inner = os.fork()
        if inner:
            os.waitpid(inner, 0)
            os._exit(0)
        os.chdir("/")
        for number, fd in enumerate([os.open(os.devnull, os.O_RDONLY), *outputs]):
            os.dup2(fd, number)
        for number, stream in ((1, "stdout"), (2, "stderr")):
            setattr(sys, stream, os.fdopen(os.dup(number), "w"))
        sys.stdin = os.fdopen(os.dup(0))
        os.write(finished, str(_run(arguments)).encode())
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _run(arguments: tuple[str, ...]) -> int:
    from netyard.cli.main import cli
    from netyard.cli.report import guarded
    from netyard.ipc import agent

    agent.subprocess = _Spare()  # type: ignore[assignment]
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.argv = ["netyard", *arguments]
    status = guarded(cli)
    sys.stdout.flush()
    sys.stderr.flush()
    return status


class _Spare:
    """In place of `subprocess` where the agent is started: a process that is ready to be it.

    Forked off before the command opens the store, because SQLite does not survive a fork.
    """

    DEVNULL = subprocess.DEVNULL
    returncode = None

    def __init__(self) -> None:
        waiting, self._order = os.pipe()
        if os.fork() == 0:
            os.close(self._order)
            root = os.read(waiting, 4096).decode()
            if root:
                _be_agent(root)
            os._exit(0)
        os.close(waiting)

    def Popen(self, words: list[str], **_: object) -> _Spare:
        """Start the agent of the root that the words name."""
        # It has been started before, and ended: the kernel has nobody left to tell.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._order, words[words.index("--root") + 1].encode())
        return self

    def poll(self) -> None:
        """It runs."""


def _be_agent(root: str) -> None:
    from netyard.agent.server import serve
    from netyard.state.layout import Layout

    layout = Layout.of(root)
    os.setsid()
    log = os.open(layout.agent_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 256)
    sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1)
    try:
        serve(layout, exit_when_idle=True)
    except BaseException:
        traceback.print_exc()
