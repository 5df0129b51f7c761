"""Advisory locks (``flock``) that a forked child does not hold on to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MADE_IF_MISSING = os.O_RDWR | os.O_CREAT
# Descriptors that hold locks.
_held: set[int] = set()


@contextmanager
def locked(path: Path, *, wait: bool = True, flags: int = _MADE_IF_MISSING) -> Iterator[None]:
    """Hold an advisory lock; a descriptor of its own each time, so threads exclude each other.

    Args:
        path: The file that stands for it, or a directory.
        wait: Until it is free.
        flags: How to open the file.

    Raises:
        BlockingIOError: if it is held elsewhere, and waiting is not wanted.
    """
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    _held.add(fd)
    owner = os.getpid()
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        # The child of a fork within the block has let go of it already.
        if os.getpid() == owner:
            _held.discard(fd)
            # A lock is held until the last copy of its descriptor is closed, or unlocked by any.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)


def _close_in_child() -> None:
    """Have the parent alone hold what it holds: should it be killed, nobody else does."""
    for fd in _held:
        os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
