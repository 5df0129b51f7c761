"""Users and groups of a container, looked up in the passwd and group files of its root."""

from __future__ import annotations

import os
import re

import netyard._core as _core
from netyard.errors import Invalid, NetyardError
from netyard.state.small_files import read_found

# The highest number is -1 to setresuid(2) and setresgid(2): "as before", which is root.
_ID_MAX = 2**32 - 2


def parse_user(text: str, rootfs: str) -> str:
    """``USER[:GROUP]`` by name or number, as ``UID:GID[,GROUP...]`` for the shim.

    Raises:
        Invalid: if there is no such user or group, or its number is none that a process can have.
    """
    if not text:
        return ""
    user, _, group = text.partition(":")
    entry = _entry(rootfs, "passwd", user)
    if entry is not None:
        name = entry[0]
        uid = _number(entry[2], f"user {user!r}")
        gid = _number(entry[3], f"the group of user {user!r}")
    elif _is_number(user):
        name, uid, gid = "", _number(user), 0
    else:
        raise Invalid(f"--user: there is no user {user!r} in the container", field="--user")
    groups = _groups_of(rootfs, name) if not group else []
    if group:
        gid = _group(rootfs, group)
    return f"{uid}:" + ",".join(str(number) for number in [gid, *groups])


def _group(rootfs: str, wanted: str) -> int:
    found = _entry(rootfs, "group", wanted)
    if found is not None:
        return _number(found[2], f"group {wanted!r}")
    if _is_number(wanted):
        return _number(wanted)
    raise Invalid(f"--user: there is no group {wanted!r} in the container", field="--user")


def _is_number(text: str) -> bool:
    return re.fullmatch("-?[0-9]+", text) is not None


def _number(text: str, whose: str = "") -> int:
    """The number of a user or group, as typed or as the container's files have it."""
    if re.fullmatch("[0-9]{1,10}", text) and int(text) <= _ID_MAX:
        return int(text)
    what = f"{text!r}, the number of {whose} in the container," if whose else repr(text)
    raise Invalid(
        f"--user: {what} must be a number from 0 to {_ID_MAX}", field="--user", value=text
    )


def _lines(rootfs: str, name: str) -> list[list[str]]:
    """The file's lines, in words; none if there is no such file in the root.

    Lines as libc has them: one that Python would divide at another character could hold a user of
    whoever may only change what their name is written as.
    """
    try:
        # A symbolic link out of the root must not give the container the host's users.
        found = _core.find_beneath(rootfs or "/", f"/etc/{name}")
    except (NetyardError, OSError):
        return []
    try:
        data = read_found(found, f"{rootfs}/etc/{name}")
    except OSError as error:
        raise Invalid(
            f"--user: {rootfs}/etc/{name} cannot be read: {error.strerror}", field="--user"
        ) from error
    finally:
        os.close(found)
    return [os.fsdecode(line).split(":") for line in data.split(b"\n")]


def _entry(rootfs: str, name: str, wanted: str) -> list[str] | None:
    for words in _lines(rootfs, name):
        if len(words) >= 4 and wanted in (words[0], words[2]):
            return words
    return None


def _groups_of(rootfs: str, user: str) -> list[int]:
    return [
        _number(words[2], f"group {words[0]!r}")
        for words in _lines(rootfs, "group")
        if user and len(words) >= 4 and user in words[3].split(",")
    ]
