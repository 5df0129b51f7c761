"""The shim's file: unpacked from `netyard._core`, checked, executed so that nobody writes to it.

Command lines are `netyard.runtime.shim`.
"""

import os
import stat
import zlib
from contextlib import suppress
from pathlib import Path

import netyard._core as _core
from netyard.state.layout import Layout

#: Its name in the list of processes.
PROGRAM = "netyard-shim"
# By path: one process may work on several roots. Kept open, because each run is by descriptor.
_opened: dict[str, int] = {}


def executable(layout: Layout) -> str:
    """What to execute, by this process and its children, as long as this process runs.

    A descriptor of a read-only mount: a container that finds the shim in ``/proc`` can open its
    file for reading only, whether it runs or not (CVE-2019-5736).
    """
    folder = str(layout.binaries)
    if folder not in _opened:
        # Asked for once: each time it is another copy of half a megabyte.
        image = _core.shim_image()
        target = layout.binaries / f"{PROGRAM}-{_core.__version__}-{zlib.crc32(image):08x}"
        _unpack(target, image)
        _opened[folder] = _core.open_read_only(str(target))
    return f"/proc/{os.getpid()}/fd/{_opened[folder]}"


def _unpack(target: Path, image: bytes) -> None:
    """Have the program at a path: if it is not there yet, or something else is."""
    with suppress(OSError):
        if _is_whole(target, image):
            return
    target.parent.mkdir(mode=0o700, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o500), "wb") as stream:
        stream.write(image)
    draft.rename(target)


def _is_whole(target: Path, image: bytes) -> bool:
    """Whether a file is the program, to the last byte, and root's alone."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags), "rb", buffering=0) as stream:
        found = os.fstat(stream.fileno())
        return (
            stat.S_ISREG(found.st_mode)
            and found.st_uid == os.geteuid()
            and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            and stream.read(len(image) + 1) == image
        )
