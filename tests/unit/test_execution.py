"""Commands whose output always waits: the clock counts for them as for all others."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import weakref
from collections.abc import Callable, Iterator

import pytest

from netyard import TimedOut
from netyard.runtime.execution import Execution


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """What goes on for ever fails instead."""

    def give_up(*_: object) -> None:
        raise AssertionError("it goes on for ever")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _flooding(*command: str) -> Execution:
    process = subprocess.Popen(command)
    # Never empty, as a pipe is not into which more is written than is read.
    process.stdout = os.fdopen(os.open("/dev/urandom", os.O_RDONLY), "rb", buffering=0)
    return Execution(process, process.pid, command)


@pytest.mark.parametrize(
    "end", [lambda each: each.wait(0.05), lambda each: each._communicate(None, 0.05)]
)
def test_a_flood_of_output_does_not_stop_the_clock(end: Callable[[Execution], object]) -> None:
    """`wait` and `exec` with a timeout end in time."""
    with _flooding("sleep", "60") as execution, pytest.raises(TimedOut, match=r"within 0\.05 sec"):
        try:
            end(execution)
        finally:
            os.kill(execution.pid, signal.SIGKILL)
            os.waitid(os.P_PID, execution.pid, os.WEXITED | os.WNOWAIT)


def test_an_end_is_seen_though_others_write_on() -> None:
    """What a command has left behind may hold its streams and write."""
    with _flooding("sh", "-c", "exit 3") as execution:
        assert execution.wait() == 3


def test_what_is_dropped_is_closed_at_once() -> None:
    """Descriptors do not wait for garbage to be collected; what is kept of it keeps it."""
    descriptors = len(os.listdir("/proc/self/fd"))
    gc.disable()
    try:
        process = subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        execution = Execution(process, process.pid, ["true"])
        known, stdin = weakref.ref(execution), execution.stdin
        process.wait()
        del execution, process
        assert known() is not None
        assert not stdin.closed
        del stdin
        assert known() is None
        assert len(os.listdir("/proc/self/fd")) == descriptors
    finally:
        gc.enable()
