"""A command that runs in a container beside its own: fed and read at once, waited for, ended.

Its streams are relayed by the shim, which is all that we talk to: see ``rust/netns/src/shim``.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, Literal, NamedTuple

from netyard.errors import Invalid, TimedOut, shown
from netyard.runtime import shim
from netyard.runtime.one_more import Exec
from netyard.runtime.process import end_all, open_child, signal_number
from netyard.state.layout import Layout

# As much as a pipe holds.
_CHUNK = 16 * os.sysconf("SC_PAGE_SIZE")
_END_SECONDS = 10.0
# As `TOLD` of the shim (`exec.rs`): the number by which it is told which signal to pass on.
_TOLD = 40
_PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


class Output(NamedTuple):
    """Something that a command has written.

    Attributes:
        stream: ``stdout`` or ``stderr``.
        data: The bytes, as many as were there: no line, and no whole number of lines.
    """

    stream: Literal["stdout", "stderr"]
    data: bytes


class Execution:
    """A command started in a running container by `netyard.Container.popen`.

    Iterating gives what it writes, as it comes, until both its streams are closed. Writing to it
    and waiting for it read what it writes meanwhile and keep it for the iteration, so that it never
    waits for its reader while that waits for it. As a context manager it ends the command, with all
    that `netyard.Container.exec` ends with one, if it still runs. It is for one thread at a time.

    Attributes:
        command: Program and arguments.
        pid: The host's pid of the command.

    Example:
        >>> with web.popen("ping", "-c3", "db") as ping:
        ...     for output in ping:
        ...         print(output.stream, output.data)
    """

    def __init__(self, process: subprocess.Popen[bytes], pid: int, command: Sequence[str]) -> None:
        self.command = tuple(command)
        self.pid = pid
        self._process = process
        self._input = process.stdin
        self._pending = memoryview(b"")
        self._is_broken = False
        self._taken: deque[Output] = deque()
        self._outputs: dict[int, tuple[Literal["stdout", "stderr"], IO[bytes]]] = {}
        self._pidfds: tuple[int, ...] = ()
        if self._input is not None:
            os.set_blocking(self._input.fileno(), False)
        if process.stdout is not None:
            self._outputs[process.stdout.fileno()] = ("stdout", process.stdout)
        if process.stderr is not None:
            self._outputs[process.stderr.fileno()] = ("stderr", process.stderr)
        # The shim ends when the command has ended.
        self._ended = os.pidfd_open(process.pid)
        self._pidfds = (self._ended, *open_child(process.pid, pid))

    def __repr__(self) -> str:
        status = "running" if self.returncode is None else f"exited {self.returncode}"
        return f"<Execution {self.command[0] if self.command else ''!r} {self.pid} {status}>"

    @property
    def stdin(self) -> Stdin:
        """What the command reads: ``write(bytes)`` and ``close()``."""
        # Made anew: one that we kept would keep us, with all descriptors, until it is collected.
        return Stdin(self)

    @property
    def returncode(self) -> int | None:
        """Its exit status, 128 and the number if a signal ended it; ``None`` while it runs."""
        status = self._process.poll()
        return status if status is None or status >= 0 else 128 - status

    def __iter__(self) -> Iterator[Output]:
        while True:
            while self._taken:
                yield self._taken.popleft()
            if not self._outputs:
                return
            self._step(None)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; its exit status.

        Args:
            timeout: How many seconds at most; without end if not given.

        Raises:
            TimedOut: if it still runs then; it goes on.

        Example:
            >>> web.popen("sleep", "1").wait()
            0
        """
        deadline = _deadline(timeout)
        while (status := self.returncode) is None:
            self._step(_left(deadline))
            # Whether or not it writes: one that writes without end has to end in time as well.
            if _left(deadline) == 0 and self.returncode is None:
                raise TimedOut(f"{self._name} has not ended within {timeout:g} seconds")
        # What it has written, and that this is all; what it has started may go on writing.
        for _ in range(2):
            if self._outputs:
                self._step(0)
        return status

    def kill(self, number: int | str = signal.SIGKILL) -> None:
        """Send it a signal; nothing happens if it has ended.

        Args:
            number: The signal, by number or by name as ``TERM``.

        Raises:
            Invalid: if there is no such signal.

        Example:
            >>> ping.kill("INT")
        """
        wanted = signal_number("number", number)
        for fd in self._pidfds[1:]:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, wanted)

    def __enter__(self) -> Execution:
        return self

    def __exit__(self, *_: object) -> None:
        if self.returncode is None:
            self._end()
        self._close()

    def __del__(self) -> None:
        self._close()

    # -- internal -----------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"command {self.command[0]!r}"

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise Invalid(
                f"data: {shown(data)} must be bytes, not {type(data).__name__}", field="data"
            )
        if self._input is None:
            raise ValueError(f"what {self._name} reads is closed")
        self._pending = _bytes_of(data)
        size = len(self._pending)
        while self._pending:
            self._step(None)
        if self._is_broken:
            self._is_broken = False
            raise BrokenPipeError(f"{self._name} reads no more")
        return size

    def _close_input(self) -> None:
        if self._input is not None:
            with suppress(BrokenPipeError):
                self._input.close()
            self._input = None

    def _step(self, seconds: float | None) -> bool:
        """Give it what is pending, take what is there, once; false if nothing happens in time."""
        poll = select.poll()
        if self._process.returncode is None:
            poll.register(self._ended, select.POLLIN)
        for fd in self._outputs:
            poll.register(fd, select.POLLIN)
        if self._input is not None and self._pending:
            poll.register(self._input.fileno(), select.POLLOUT)
        ready = poll.poll(None if seconds is None else min(seconds, 1e6) * 1000)
        for fd, _ in ready:
            if fd in self._outputs:
                self._take(fd)
            elif fd == self._ended:
                self._process.wait()
            else:
                self._give(fd)
        return bool(ready)

    def _take(self, fd: int) -> None:
        name, file = self._outputs[fd]
        data = os.read(fd, _CHUNK)
        if data:
            self._taken.append(Output(name, data))
        else:
            file.close()
            del self._outputs[fd]

    def _give(self, fd: int) -> None:
        try:
            self._pending = self._pending[os.write(fd, self._pending[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._pending = memoryview(b"")
            self._is_broken = True
            self._close_input()

    def _communicate(
        self, data: bytes | bytearray | memoryview | None, timeout: float | None
    ) -> None:
        """Feed it and read it until it has ended and its streams are closed."""
        if not self._outputs and self._input is None and timeout is None:
            self._process.wait()
            return
        deadline = _deadline(timeout)
        self._pending = _bytes_of(data or b"")
        while True:
            if not self._pending:
                self._close_input()
            if not self._outputs and self.returncode is not None:
                return
            self._step(_left(deadline))
            if _left(deadline) == 0 and (self._outputs or self.returncode is None):
                raise TimedOut(
                    f"{self._name} has not ended within {timeout:g} seconds and was killed"
                )

    def _take_signal(self, number: int, _: object) -> None:
        """Have the shim send it a signal, to all of its group."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._ended, _TOLD + number)

    def _await_end(self) -> None:
        with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            self._process.wait(_END_SECONDS)

    def _end(self) -> None:
        """Kill it and what it has started (see `end_all`), and reap it."""
        end_all(self._process.pid, self.pid)
        deadline = _deadline(_END_SECONDS)
        # What the shim still has is taken: it does not end before it is rid of it.
        while self._process.poll() is None and _left(deadline) != 0:
            self._step(_left(deadline))
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        self._close_input()
        for _, file in self._outputs.values():
            file.close()
        self._outputs = {}
        for fd in self._pidfds:
            os.close(fd)
        self._pidfds = ()


class Stdin:
    """What a command in a container reads."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def closed(self) -> bool:
        """Whether the command has been told that nothing more comes, or reads no more."""
        return self._execution._input is None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Have the command read something; returns when the pipe to it has taken all of it.

        Args:
            data: As many bytes as one likes.

        Returns:
            How many bytes they are.

        Raises:
            BrokenPipeError: if the command has closed its input.
            ValueError: if `close` has been called, or if it is not bytes (`netyard.Invalid`).

        Example:
            >>> with web.popen("sort") as sort:
            ...     sort.stdin.write(b"b\\na\\n")
            ...     sort.stdin.close()
            ...     print(b"".join(output.data for output in sort))
            4
            b'a\\nb\\n'
        """
        return self._execution._write(data)

    def close(self) -> None:
        """Tell the command that nothing more comes."""
        self._execution._close_input()


class _Signals:
    """Signals that we get are for a command: while it runs, and while it is being started.

    A context manager around both. Without `wanted` it holds Ctrl-C back while it is being started.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._numbers = _PASSED_ON if wanted else ()
        self._mask: set[int | signal.Signals] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        # Held back in any case: an interrupted start would leave the shim to itself.
        held = self._numbers or (signal.SIGINT,)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, held)
        return self

    def go_to(self, execution: Execution) -> None:
        """From now on, to this one; those that have come since the beginning as well."""
        for number in self._numbers:
            if signal.getsignal(number) == signal.SIG_IGN:
                # As below nohup.
                continue
            self._before[number] = signal.signal(number, execution._take_signal)
        self._unblock()

    def _unblock(self) -> None:
        if self._mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            self._mask = None

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._unblock()


def started(layout: Layout, request: Exec) -> Execution:
    """Start a command, to be fed and read by the caller."""
    process, pid = shim.execute(layout, request, capture=True, feed=True)
    return Execution(process, pid, request.command)


def run(
    layout: Layout,
    request: Exec,
    *,
    data: bytes | bytearray | memoryview | None = None,
    timeout: float | None = None,
    capture: bool = True,
    pass_signals: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Start a command and wait for it.

    Args:
        layout: Of its root.
        request: What to start.
        data: What it is to read.
        timeout: How many seconds it has; after that it is killed, with what it has started.
        capture: Collect its output instead of passing it through.
        pass_signals: Have it get the signals that we get meanwhile; for a main thread only.

    Returns:
        Status and, if captured, output.

    Raises:
        StartFailed: if it does not start.
        TimedOut: if it was killed.
    """
    with _Signals(wanted=pass_signals) as signals:
        process, pid = shim.execute(
            layout,
            request,
            capture=capture,
            feed=data is not None,
            passes_signals=pass_signals,
        )
        execution = Execution(process, pid, request.command)
        try:
            signals.go_to(execution)
            execution._communicate(data, timeout)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and not capture:
                # It has got the signal as well, and may have something to put in order.
                execution._await_end()
            execution._end()
            raise
        finally:
            execution._close()
    found = {
        name: b"".join(each.data for each in execution._taken if each.stream == name)
        for name in ("stdout", "stderr")
    }
    return subprocess.CompletedProcess(
        list(request.command),
        execution.returncode or 0,
        found["stdout"] if capture else None,
        found["stderr"] if capture else None,
    )


def _bytes_of(data: bytes | bytearray | memoryview) -> memoryview:
    view = memoryview(data)
    # Only what lies in one piece can be seen as bytes.
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (is_number and 0 <= timeout < math.inf):
        sentence = f"timeout: {shown(timeout)} must be a number of seconds, 0 or more"
        raise Invalid(sentence, field="timeout", value=timeout)
    # Thirty years are without end; much more is more than a clock takes.
    return time.monotonic() + min(timeout, 1e9)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
