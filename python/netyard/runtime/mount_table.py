"""What is mounted where, as the kernel tells it of this process (``/proc/self/mountinfo``).

Paths are any bytes: a user may mount a file system of their own where they like, and call the place
what they like.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from netyard.values.named import NamedTuple

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = rb"\\([0-7]{3})"


class Mount(NamedTuple):
    """A mount.

    Attributes:
        device: Numbers of the file system, as in ``0:25``.
        root: What of the file system is mounted.
        point: Where.
        kind: The type of the file system.
    """

    device: str
    root: str
    point: str
    kind: str


def mounts(kind: str | None = None) -> Iterator[Mount]:
    """What this process sees, in the order in which they were made.

    Args:
        kind: Only those of this type of file system; there may be thousands of others.
    """
    wanted = None if kind is None else os.fsencode(kind)
    for line in _TABLE.read_bytes().split(b"\n"):
        # Id, parent, device, root, point, …, " - ", type (proc_pid_mountinfo(5)).
        left, _, right = line.partition(b" - ")
        words = left.split(b" ")
        found = right.split(b" ", 1)[0]
        if len(words) > 4 and found and wanted in (None, found):
            yield Mount(*(_text(each) for each in (words[2], words[3], words[4], found)))


def _text(word: bytes) -> str:
    """White space and backslashes are there as three octal digits."""
    if b"\\" not in word:
        return os.fsdecode(word)
    import re

    return os.fsdecode(re.sub(_ESCAPED, lambda found: bytes([int(found[1], 8) & 0xFF]), word))
