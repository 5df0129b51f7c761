"""Where a container's hosts, hostname and resolv.conf are: a small file system of its own.

It is in memory. The container can write to the files, because they are mounted in it: what it
fills is its own file system, and neither the host's /run nor that of another. Their text is
`netyard.resolver.files`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import netyard._core as _core
from netyard.state.layout import Layout

NAMES = ("hosts", "resolv.conf", "hostname")
_BYTES = 1 << 20


def make_place(layout: Layout, container_id: str) -> None:
    """Have the file system mounted and empty, for a container that starts."""
    place = layout.etc(container_id)
    try:
        place.mkdir(mode=0o711)
    except FileExistsError:
        if place.stat().st_dev != layout.containers.stat().st_dev:
            _empty(place)
            return
    # Of its own, or each new file system would appear in every container that runs.
    _core.make_mount_point(str(layout.containers))
    _core.mount_small(str(place), _BYTES, len(NAMES))


def _empty(place: Path) -> None:
    """Without content, not without files: those who share the network have them mounted."""
    for name in NAMES:
        with suppress(FileNotFoundError), (place / name).open("r+b") as stream:
            stream.truncate()


def remove_place(directory: Path) -> None:
    """Take the file system of a container's directory away. Nothing there is no error."""
    place = directory / "etc"
    for name in NAMES:
        # A container that started meanwhile keeps a copy of the mount, and would keep their memory.
        with suppress(OSError):
            (place / name).unlink()
    _core.unmount(str(place))
    with suppress(FileNotFoundError):
        place.rmdir()
