"""Users and groups of a container, looked up in the passwd and group files of its root."""

from __future__ import annotations

import os

import netyard._core as _core
from netyard.errors import Invalid, NetyardError
from netyard.state.small_files import read_found


def parse_user(text: str, rootfs: str) -> str:
    """``USER[:GROUP]`` by name or number, as ``UID:GID[,GROUP...]`` for the shim.

    Raises:
        Invalid: if there is no such user or group.
    """
    if not text:
        return ""
    user, _, group = text.partition(":")
    entry = _entry(rootfs, "passwd", user)
    if entry is not None:
        name, uid, gid = entry[0], int(entry[2]), int(entry[3])
    elif user.isascii() and user.isdigit():
        name, uid, gid = "", int(user), 0
    else:
        raise Invalid(f"--user: there is no user {user!r} in the container", field="--user")
    groups = _groups_of(rootfs, name) if not group else []
    if group:
        found = _entry(rootfs, "group", group)
        if found is not None:
            gid = int(found[2])
        elif group.isascii() and group.isdigit():
            gid = int(group)
        else:
            raise Invalid(f"--user: there is no group {group!r} in the container", field="--user")
    return f"{uid}:" + ",".join(str(number) for number in [gid, *groups])


def _lines(rootfs: str, name: str) -> list[list[str]]:
    """The file's lines, in words; none if there is no such file in the root."""
    try:
        # A symbolic link out of the root must not give the container the host's users.
        found = _core.find_beneath(rootfs or "/", f"/etc/{name}")
    except (NetyardError, OSError):
        return []
    try:
        text = read_found(found, f"{rootfs}/etc/{name}").decode(errors="replace")
    except OSError as error:
        raise Invalid(
            f"--user: {rootfs}/etc/{name} cannot be read: {error.strerror}", field="--user"
        ) from error
    finally:
        os.close(found)
    return [line.split(":") for line in text.splitlines()]


def _entry(rootfs: str, name: str, wanted: str) -> list[str] | None:
    for words in _lines(rootfs, name):
        if len(words) >= 4 and wanted in (words[0], words[2]):
            return words
    return None


def _groups_of(rootfs: str, user: str) -> list[int]:
    return [
        int(words[2])
        for words in _lines(rootfs, "group")
        if user and len(words) >= 4 and user in words[3].split(",")
    ]
