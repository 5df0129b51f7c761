"""Whether others than root can put something at a path: then root must not work through it.

Only metadata is looked at; nothing is opened.
"""

import os
import stat
from pathlib import Path

_LINKS_MAX = 40


def find_untrusted(path: str | os.PathLike[str]) -> str | None:
    """The first part of a path that others than root can replace; ``None`` if there is none.

    A part must be root's. A directory that others may write to must be sticky, as ``/tmp`` is: what
    root has in it then stays. Links are followed if they are root's. What is missing at the end of
    the path is to be made yet, and makes no difference.
    """
    # Texts, because each command asks: a `Path` for every part takes five times as long.
    seen, at = 0, ""
    rest = str(Path(path).absolute()).split("/")[1:]
    while True:
        try:
            found = os.lstat(at or "/")
        except FileNotFoundError:
            return None
        if not _is_roots(found):
            return at or "/"
        if stat.S_ISLNK(found.st_mode):
            seen += 1
            if seen > _LINKS_MAX:
                return at
            target = Path(at).parent / Path(at).readlink()
            rest, at = [*target.parts[1:], *rest], ""
            continue
        if not rest:
            return None
        name, *rest = rest
        at = at.rpartition("/")[0] if name == ".." else f"{at}/{name}"


def _is_roots(found: os.stat_result) -> bool:
    if is_foreign(found.st_uid):
        return False
    if stat.S_ISLNK(found.st_mode):
        return True
    others = stat.S_IWOTH if found.st_gid == 0 else stat.S_IWOTH | stat.S_IWGRP
    return not found.st_mode & others or bool(
        stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    )


def is_foreign(uid: int) -> bool:
    """Whether a user is another than root."""
    return uid != 0 and not _is_unmapped(uid)


def _is_unmapped(uid: int) -> bool:
    """In a user namespace: a user outside, such as the real root, who owns ``/`` there."""
    try:
        unmapped = int(Path("/proc/sys/kernel/overflowuid").read_text())
        mapped = Path("/proc/self/uid_map").read_text().split()
    except (OSError, ValueError):
        return False
    return uid == unmapped and mapped != ["0", "0", "4294967295"]
