"""What runs in a container: started, waited for, ended; further commands; what was written."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import netyard
from netyard.api import arguments
from netyard.api.container_base import ContainerBase
from netyard.errors import Conflict, Forbidden, Invalid, NotFound, StartFailed, TimedOut
from netyard.lifecycle.environment import environment_of
from netyard.lifecycle.start import start_container
from netyard.lifecycle.stop import finish_container
from netyard.runtime import cgroup, seccomp, shim
from netyard.runtime.process import Process, processes_below, signal_number
from netyard.state import events
from netyard.state.records import ContainerRecord
from netyard.values import limits

if TYPE_CHECKING:
    from netyard.runtime.one_more import Exec

_KILL_SECONDS = 10.0
_ENDING_SECONDS = 0.5
_NOT_ENTERED = 125


class ContainerProcess(ContainerBase):
    """What runs in a container; see `netyard.Container`, which all of them are."""

    # -- its first process --------------------------------------------------------------------

    def start(
        self, *, attached: int = 0, when_listening: Callable[[], object] = lambda: None
    ) -> None:
        """Start it; a running one stays as it is.

        Args:
            attached: How many clients the command waits for before it begins.
            when_listening: Called once they can attach.

        Raises:
            Invalid: for a parameter that is wrong.
            StartFailed: if the command does not start.
            PortInUse: if something else has a host port of it.
            Conflict: if the container whose network it shares does not run.
            Forbidden: if it is adopted.
            KernelError: if its network cannot be made; then nothing of it is left up.

        Example:
            >>> web = Container.create("python3", "-m", "http.server", network="my-net")
            >>> web.start()
        """
        arguments.whole("attached", attached, 0)
        if not callable(when_listening):
            raise arguments.refuse("when_listening", when_listening, "a function")
        with self.host.change() as change:
            record = self.record
            if record.kind == "adopted":
                raise Forbidden(f"container {record.name!r} is adopted: netyard does not start it")
            if record.state != "running":
                start_container(change, record, attached=attached, when_listening=when_listening)

    def stop(self, timeout: float = _KILL_SECONDS) -> None:
        """End it: SIGTERM, and SIGKILL after a while. A stopped or adopted one stays as it is.

        Args:
            timeout: How many seconds it has between the two.

        Raises:
            Invalid: if the timeout is no number of seconds.
            NotFound: if it has been removed.

        Example:
            >>> web.stop(timeout=2)
        """
        self._end(signal.SIGTERM, arguments.seconds("timeout", timeout))

    def kill(self, number: int | str = signal.SIGKILL) -> None:
        """Send a signal to its first process.

        Args:
            number: The signal, by number or by name, as ``HUP`` or ``SIGHUP``.

        Raises:
            Invalid: if there is no such signal.
            Conflict: if the container does not run.
            Forbidden: if it is adopted: netyard knows none of its processes.

        Example:
            >>> web.kill("HUP")
        """
        wanted = signal_number("number", number)
        record = self._running()
        if record.kind == "adopted":
            raise Forbidden(f"container {record.name!r} is adopted: netyard kills nothing in it")
        with Process(record) as process:
            process.send(wanted)
        events.container_event(self.host.store, "kill", record, signal=str(wanted))

    def _end(self, first: int, timeout: float) -> None:
        record = self.record
        if record.kind == "adopted" or record.state != "running":
            return
        claim = shim.Claim.try_on(self.host.layout.container(record.id))
        with Process(record) as process:
            process.send(first)
            if not process.wait(timeout):
                process.send(signal.SIGKILL)
                process.wait(_KILL_SECONDS)
        finish_container(self.host, record.id)
        if claim is not None:
            claim.keep()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; its exit status.

        Args:
            timeout: How many seconds at most; without end if not given.

        Returns:
            The status of its first process; 128 and the number if a signal ended it. That of the
            last time if it does not run; also if it has been removed with its end (``auto_remove``)
            or since.

        Raises:
            TimedOut: if it still runs then; it goes on. Also a `TimeoutError`.
            NotFound: if it has been removed, and its end is not of the last ten thousand events.
            Invalid: if the timeout is no number of seconds.
            Forbidden: if it is adopted: netyard knows none of its processes.

        Example:
            >>> Container.run("sh", "-c", "exit 3").wait(timeout=5)
            3
        """
        if timeout is not None:
            timeout = arguments.seconds("timeout", timeout)
        try:
            record = self.record
        except NotFound:
            return self._last_status()
        if record.kind == "adopted":
            raise Forbidden(
                f"container {record.name!r} is adopted: netyard waits for nothing in it"
            )
        if record.state != "running":
            return record.exit_code
        with Process(record) as process:
            if not process.wait(timeout):
                raise TimedOut(
                    f"container {record.name!r} has not ended within {timeout:g} seconds"
                )
        ended = finish_container(self.host, record.id)
        # Whoever sees its end first, we or its supervisor, removes what is to be removed with it.
        return ended.exit_code if ended else self._last_status()

    def _last_status(self) -> int:
        """The status of one that has been removed."""
        status = events.last_status(self.host.store, self.id)
        if status is None:
            raise NotFound(
                f"container {self.id[:12]} has been removed, and how it has ended is not known"
            )
        return status

    # -- further processes --------------------------------------------------------------------

    def exec(
        self,
        *command: str | os.PathLike[str],
        environment: Mapping[str, str | int | os.PathLike[str]] | None = None,
        workdir: str | os.PathLike[str] = "",
        user: str | int = "",
        tty: bool = False,
        interactive: bool = False,
        capture: bool = True,
        input: bytes | bytearray | memoryview | None = None,
        timeout: float | None = None,
        pass_signals: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one more command in it and wait for it.

        What has not ended in time is killed with its children and theirs, and with what is in its
        session. A daemon goes on: one that has left both by a session and a parent of its own.

        Args:
            command: Program and arguments, a word each.
            environment: Further variables, beside the container's.
            workdir: Directory to begin in; the container's if not given.
            user: ``USER[:GROUP]``, names or numbers; the container's if not given.
            tty: Give it a terminal.
            interactive: Let it read what we could.
            capture: Collect output; otherwise it goes where ours goes.
            input: What it is to read; nothing if not given.
            timeout: How many seconds it has, writing or not; without end if not given.
            pass_signals: INT, QUIT, TERM and HUP are for it meanwhile; in the main thread only.

        Returns:
            ``returncode``, and if captured ``stdout`` and ``stderr``, bytes of any length.

        Raises:
            Conflict: if the container does not run, or is just ending.
            Forbidden: if it is adopted.
            StartFailed: if the command is not found (127) or cannot be executed (126), as one whose
                words or variables are too long.
            TimedOut: if it has not ended in time; it has been killed, with what it has started.
            Invalid: for a parameter that is wrong.

        Example:
            >>> web.exec("sort", input=b"b\\na\\n", timeout=5).stdout
            b'a\\nb\\n'
        """
        if timeout is not None:
            timeout = arguments.seconds("timeout", timeout)
        _check_input(input, tty=tty, interactive=interactive)
        request = self._request(command, environment, workdir, user)._replace(
            tty=arguments.flag("tty", tty), interactive=arguments.flag("interactive", interactive)
        )
        from netyard.runtime import execution

        shown = arguments.flag("capture", capture)
        passed = _in_main_thread(arguments.flag("pass_signals", pass_signals))
        layout = self.host.layout
        with self._unless_it_ends():
            return execution.run(
                layout, request, data=input, timeout=timeout, capture=shown, pass_signals=passed
            )

    def popen(
        self,
        *command: str | os.PathLike[str],
        environment: Mapping[str, str | int | os.PathLike[str]] | None = None,
        workdir: str | os.PathLike[str] = "",
        user: str | int = "",
    ) -> netyard.Execution:
        """Start one more command in it, to be read and fed while it runs.

        Args:
            command: Program and arguments, a word each.
            environment: Further variables, beside the container's.
            workdir: Directory to begin in; the container's if not given.
            user: ``USER[:GROUP]``, names or numbers; the container's if not given.

        Returns:
            The running command: iterate over what it writes, write to its ``stdin``, ``wait``.

        Raises:
            Conflict: if the container does not run, or is just ending.
            Forbidden: if it is adopted.
            StartFailed: if the command is not found (127) or cannot be executed (126), as one whose
                words or variables are too long.
            Invalid: for a parameter that is wrong.

        Example:
            >>> with web.popen("ping", "-c3", "db") as ping:
            ...     for output in ping:
            ...         print(output.stream, output.data)
        """
        from netyard.runtime import execution

        request = self._request(command, environment, workdir, user)
        with self._unless_it_ends():
            return execution.started(self.host.layout, request)

    def _request(
        self,
        command: tuple[str | os.PathLike[str], ...],
        environment: Mapping[str, str | int | os.PathLike[str]] | None,
        workdir: str | os.PathLike[str],
        user: str | int,
    ) -> Exec:
        """One more process, as the shim is told of it."""
        words = arguments.command(command)
        if not words:
            raise Invalid("a command is needed: which program is to run", field="command")
        extra = arguments.environment("environment", environment)
        directory = arguments.path("workdir", workdir)
        record = self._running()
        if record.kind == "adopted":
            raise Forbidden(f"container {record.name!r} is adopted: netyard runs nothing in it")
        from netyard.lifecycle.stream_owner import owner_of_streams
        from netyard.runtime.one_more import Exec

        spec = record.spec
        chosen_user = arguments.user(user, spec.rootfs) or spec.user
        return Exec(
            target=record.pid,
            command=words,
            environment=environment_of(record, extra),
            workdir=directory or spec.workdir or spec.caller_directory,
            workdir_is_optional=not (directory or spec.workdir),
            user=chosen_user,
            privileged=spec.privileged,
            capabilities=spec.capabilities,
            no_new_privileges=spec.no_new_privileges,
            seccomp=seccomp.rules(
                spec.seccomp, privileged=spec.privileged, capabilities=spec.capabilities
            ),
            ulimits=[(limits.ULIMITS[name], soft, hard) for name, soft, hard in spec.ulimits],
            cgroup=cgroup.of(self.host.layout, record.id),
            stream_owner=owner_of_streams(record, chosen_user),
        )

    def processes(self) -> Sequence[dict[str, str]]:
        """Its processes as the host sees them.

        Returns:
            Of each ``UID``, ``PID``, ``PPID``, ``TIME`` (of the processor) and ``CMD``.

        Raises:
            Conflict: if the container does not run.

        Example:
            >>> [each["CMD"] for each in web.processes()]
            ['python3 -m http.server']
        """
        return processes_below(self._running().pid)

    @contextmanager
    def _unless_it_ends(self) -> Iterator[None]:
        """What cannot be started in a container that is just ending is refused as in an ended one.

        Raises:
            Conflict: if it ends.
        """
        before = self.record
        try:
            yield
        except StartFailed as error:
            # A container that cannot be entered is about to end if its first process is.
            patience = _ENDING_SECONDS if error.exit_code == _NOT_ENTERED else 0
            with Process(before) as process:
                if not process.wait(patience):
                    raise
            raise Conflict(f"container {before.name!r} is not running") from error

    def stats(self, seconds: float = 1.0) -> netyard.Stats:
        """What it uses: processors over a while, and memory, network and processes then.

        Args:
            seconds: For how long to look.

        Raises:
            Conflict: if the container does not run.
            Invalid: if ``seconds`` is no number of seconds.

        Example:
            >>> web.stats().pids
            1
        """
        from netyard.lifecycle import usage

        arguments.seconds("seconds", seconds)
        record = self._running()
        first = usage.sample(self.host, record)
        time.sleep(seconds)
        return usage.between(record, first, usage.sample(self.host, record))

    def _running(self) -> ContainerRecord:
        record = self.record
        if record.state != "running":
            raise Conflict(f"container {record.name!r} is not running")
        return record

    # -- what it has written ------------------------------------------------------------------

    def logs(
        self,
        *,
        tail: int | None = None,
        follow: bool = False,
        since: str | float | datetime | None = None,
        until: str | float | datetime | None = None,
    ) -> Iterator[netyard.LogRecord]:
        """What its first process has written, line by line.

        Args:
            tail: Only the last so many lines of those that are there.
            follow: Go on with what comes, until it ends.
            since: Only what is of this time or later: a `datetime` (local time if it has no zone),
                Unix seconds, RFC 3339, or how long ago, as ``10m``.
            until: Only what is of this time or earlier. With ``follow``, it ends at that time.

        Raises:
            Invalid: for a time or a number that is none.
            Conflict: if nothing is kept of what it writes (``--log-driver none``).

        Example:
            >>> for record in web.logs(since="10m", tail=100):
            ...     print(record.time, record.stream, record.data)
        """
        from netyard.runtime import logs
        from netyard.values.filters import parse_moment

        record = self.record
        if record.spec.log_driver == "none":
            raise Conflict(f"container {record.name!r} keeps no log: it has --log-driver none")
        return logs.read(
            self.host.layout.log(record.id),
            tail=None if tail is None else arguments.whole("tail", tail, 0),
            follow=self._is_running if arguments.flag("follow", follow) else None,
            since_ns=None if since is None else parse_moment("--since", since),
            until_ns=None if until is None else parse_moment("--until", until),
        )

    def _is_running(self) -> bool:
        try:
            return self.record.state == "running"
        except NotFound:
            return False


def _in_main_thread(wanted: bool) -> bool:
    if wanted and threading.current_thread() is not threading.main_thread():
        raise Invalid("pass_signals: only the main thread gets signals", field="pass_signals")
    return wanted


def _check_input(
    given: bytes | bytearray | memoryview | None, *, tty: bool, interactive: bool
) -> None:
    if given is None:
        return
    if not isinstance(given, bytes | bytearray | memoryview):
        raise arguments.refuse("input", given, "bytes")
    if tty or interactive:
        other = "tty" if tty else "interactive"
        raise Invalid(f"conflicting options: input cannot be given with {other}", field="input")
