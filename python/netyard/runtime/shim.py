"""The shim, a program that starts and supervises containers: started, attached to, claimed.

The program itself is ``rust/netns/src/shim``, its file `netyard.runtime.shim_file`, its
command line `netyard.runtime.launch`; what a container needs beside its process is
`netyard.lifecycle`.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netyard.errors import StartFailed, StateError
from netyard.runtime.launch import Launch, common_options
from netyard.runtime.own_command import own_command
from netyard.runtime.shim_file import PROGRAM, executable
from netyard.state.layout import Layout

if TYPE_CHECKING:
    from netyard.runtime.one_more import Exec

_ENDED = 5
_CLAIM = 6
_CLEANED = 7
_KILL = 8
_ORPHAN_SECONDS = 10.0
# MAX_ARG_STRLEN of the kernel, with the byte that ends a word.
_WORD_BYTES = 131_072
# As the shim's steps begin whose failure is of idmapped mounts.
_MAP_IDS = "map ids of "


def supervise(layout: Layout, launch: Launch, *, when_listening: Callable[[], object]) -> int:
    """Start a container's command under a supervisor of its own.

    Args:
        when_listening: Called once clients can attach, if the launch waits for any.

    Returns:
        The pid of the container's first process.

    Raises:
        StartFailed: if the command could not be started.
    """
    with _Started(layout, "supervise", launch.options(), launch) as started:
        for line in started.lines():
            word, _, rest = line.partition(" ")
            if word == "pid":
                return int(rest)
            if word == "listening":
                when_listening()
            elif word == "error":
                raise _start_failure(rest, launch.command)
    raise StartFailed("the container's supervisor ended before the command started", exit_code=125)


def _start_failure(text: str, command: Sequence[str]) -> StartFailed:
    number, _, step = text.partition(" ")
    reason = os.strerror(int(number))
    name = command[0] if command else ""
    if step != "exec" and int(number) == errno.ENOSYS:
        return StartFailed(
            f"this kernel cannot do what containers need: {step}",
            exit_code=125,
            hint="netyard needs Linux 5.12 or later",
        )
    if step.startswith("overlay ") and int(number) == errno.ENODEV:
        reason = "this kernel has no overlay file systems (CONFIG_OVERLAY_FS)"
    if step.startswith(_MAP_IDS):
        return StartFailed(
            f"--userns: {step.removeprefix(_MAP_IDS)} cannot have the ids of the container: this "
            f"kernel makes no idmapped mount of its file system ({reason})",
            exit_code=125,
            hint="ext4 and xfs can since Linux 5.12, btrfs since 5.15, tmpfs since 6.3",
        )
    if step != "exec":
        return StartFailed(f"{step}: {reason}", exit_code=125)
    if int(number) in (errno.ENOENT, errno.ENOTDIR):
        hint = "give its words one by one, as in ('ping', '-c1', 'web')" if " " in name else None
        complaint = f"command {name!r} is not found in the container"
        return StartFailed(complaint, exit_code=127, hint=hint)
    if int(number) == errno.E2BIG:
        return _too_long(command)
    return StartFailed(f"command {name!r} cannot be executed: {reason}", exit_code=126)


def _too_long(command: Sequence[str]) -> StartFailed:
    return StartFailed(
        f"command {command[0]!r} cannot be executed: its words and variables are longer than the "
        f"kernel takes: {_WORD_BYTES} bytes each, {os.sysconf('SC_ARG_MAX')} in all",
        exit_code=126,
        hint="hand on what is long in a file, or as input",
    )


def _popen(
    words: Sequence[str | Path], command: Sequence[str], **settings: Any
) -> subprocess.Popen[bytes]:
    """Start the shim, for a command.

    Raises:
        StartFailed: if the command is too long for it.
    """
    try:
        return subprocess.Popen([*words, "--", *command], **settings)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        raise _too_long(command) from error


class _Started:
    """A running shim and the pipes that go with its start."""

    def __init__(self, layout: Layout, mode: str, options: Sequence[str], launch: Launch) -> None:
        status_ours, status_theirs = os.pipe()
        self._status = os.fdopen(status_ours, "r")
        descriptors, words = _handed_over(launch)
        descriptors.append(status_theirs)
        words += ["--status", str(status_theirs)]
        if launch.namespace is not None:
            namespace = os.open(launch.namespace, os.O_RDONLY | os.O_CLOEXEC)
            descriptors.append(namespace)
            words += ["--network", str(namespace)]
        try:
            self._process = _popen(
                [PROGRAM, mode, *words, *options],
                launch.command,
                executable=executable(layout),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # A reader of our output must not wait for the end of the container.
                stderr=subprocess.DEVNULL,
                pass_fds=descriptors,
            )
        except BaseException:
            self._status.close()
            raise
        finally:
            for fd in descriptors:
                os.close(fd)

    def __enter__(self) -> _Started:
        return self

    def __exit__(self, *_: object) -> None:
        self._status.close()
        self._process.wait()

    def lines(self) -> Iterator[str]:
        """What the shim reports, line by line, until it closes the pipe."""
        return (line.rstrip("\n") for line in self._status)


def _handed_over(launch: Launch | Exec) -> tuple[list[int], list[str]]:
    """Descriptors to read from, and their options, of what is too long or not for a command line,
    which all users can read."""
    texts = {"--environment": b"\0".join(os.fsencode(entry) for entry in launch.environment)}
    if launch.seccomp:
        texts["--seccomp"] = launch.seccomp.encode()
    descriptors, words = [], []
    for option, text in texts.items():
        fd = os.memfd_create(option[2:], os.MFD_CLOEXEC)
        os.write(fd, text)
        os.lseek(fd, 0, os.SEEK_SET)
        descriptors.append(fd)
        words += [option, str(fd)]
    if launch.cgroup is not None:
        fd = os.open(launch.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        descriptors.append(fd)
        words += ["--cgroup", str(fd)]
    return descriptors, words


def execute(
    layout: Layout,
    request: Exec,
    *,
    capture: bool,
    feed: bool = False,
    passes_signals: bool = False,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a process in a container, in a session of its own, with streams that are relayed.

    Args:
        layout: Of its root.
        request: What to start.
        capture: Have its output in pipes instead of passing it through.
        feed: Have its input in a pipe.
        passes_signals: The caller passes on what its terminal signals: the shim, which is signalled
            as well, does not.

    Returns:
        The shim that runs it, and the process's pid. If nothing of ours is its input, the shim
        leads a session of its own.

    Raises:
        StartFailed: if it does not start.
    """
    descriptors, words = _handed_over(request)
    words += ["--target", str(request.target)]
    words += common_options(request._replace(interactive=request.interactive or feed))
    words += ["--told-signals"] * passes_signals
    status_ours, status_theirs = os.pipe()
    descriptors.append(status_theirs)
    words += ["--status", str(status_theirs)]
    streams = subprocess.PIPE if capture else None
    stdin = subprocess.PIPE if feed else None if request.interactive else subprocess.DEVNULL
    try:
        process = _popen(
            [PROGRAM, "exec", *words],
            request.command,
            executable=executable(layout),
            stdin=stdin,
            stdout=streams,
            stderr=streams,
            pass_fds=descriptors,
            start_new_session=capture and stdin is not None,
        )
    except BaseException:
        os.close(status_ours)
        raise
    finally:
        for fd in descriptors:
            os.close(fd)
    with os.fdopen(status_ours) as status:
        line = status.readline().rstrip("\n")
    word, _, rest = line.partition(" ")
    if word == "pid":
        return process, int(rest)
    process.communicate()
    if not word:
        raise StartFailed("the container cannot be entered", exit_code=125)
    raise _start_failure(rest, request.command)


def attach(layout: Layout, directory: Path, *, tty: bool, interactive: bool) -> Attachment:
    """Connect our streams to a container's, in a process of the shim."""
    status_ours, status_theirs = os.pipe()
    words = ["--directory", str(directory), "--status", str(status_theirs)]
    words += ["--terminal"] * tty + ["--interactive"] * interactive
    process = subprocess.Popen(
        [PROGRAM, "attach", *words], executable=executable(layout), pass_fds=[status_theirs]
    )
    os.close(status_theirs)
    return Attachment(process, status_ours)


class Attachment:
    """An attached client."""

    def __init__(self, process: subprocess.Popen[bytes], status: int) -> None:
        self._process = process
        self._status = status

    def wait(self) -> int | None:
        """The container's status, or ``None`` if the user detached."""
        code = self._process.wait()
        with os.fdopen(self._status) as status:
            return None if status.read().strip() == "detached" else code


class Claim:
    """A promise to the supervisor: "I clean up after this container".

    While it is held the supervisor leaves the clean-up to us; if we vanish without `keep`, it does
    it itself.
    """

    def __init__(self, directory: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                # Through a descriptor: a socket's path is limited to 108 bytes.
                self._socket.connect(f"/proc/self/fd/{fd}/attach.sock")
            finally:
                os.close(fd)
            self._socket.send(bytes([_CLAIM]))
        except OSError:
            self._socket.close()
            raise

    @classmethod
    def try_on(cls, directory: Path) -> Claim | None:
        """A claim, or ``None`` if the supervisor is gone."""
        try:
            return cls(directory)
        except OSError:
            return None

    def wait(self, seconds: float | None = None) -> int | None:
        """The container's status once it has ended; ``None`` if it has not in time."""
        self._socket.settimeout(seconds)
        try:
            packet = self._socket.recv(64)
        except TimeoutError:
            return None
        except OSError as error:
            raise StateError(f"the container's supervisor does not answer: {error}") from error
        if packet[:1] != bytes([_ENDED]):
            raise StateError("the container's supervisor is gone")
        return packet[1]

    def kill(self) -> None:
        """Have the supervisor kill its container, whose pid may not be recorded."""
        with suppress(OSError):
            self._socket.send(bytes([_KILL]))

    def keep(self) -> None:
        """The clean-up is done: the supervisor may end."""
        with suppress(OSError):
            self._socket.send(bytes([_CLEANED]))
        self._socket.close()


def end_orphan(directory: Path) -> None:
    """End a container whose start was killed before the pid was recorded."""
    claim = Claim.try_on(directory)
    if claim is not None:
        claim.kill()
        with suppress(StateError):
            claim.wait(_ORPHAN_SECONDS)
        claim.keep()


def exit_command(layout: Layout, container_id: str) -> list[str]:
    """The command that a supervisor runs when its container has ended without a `Claim`."""
    return own_command("--root", str(layout.root), "container-ended", container_id)


def run_isolated(layout: Layout, hostname: str, command: Sequence[str]) -> int:
    """Run a command in new namespaces, as if on a machine of its own; its exit status."""
    words = [PROGRAM, "isolate", "--hostname", hostname, "--", *command]
    return subprocess.run(words, executable=executable(layout), check=False).returncode


def run_in_namespace(
    layout: Layout, namespace: int, command: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace, given by descriptor, and collect its output."""
    return subprocess.run(
        [PROGRAM, "enter", "--network", str(namespace), "--", *command],
        executable=executable(layout),
        capture_output=True,
        text=True,
        pass_fds=[namespace],
        check=False,
    )
