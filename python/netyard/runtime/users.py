"""Users and groups of a container, looked up in the passwd and group files of its root."""

from __future__ import annotations

from pathlib import Path

from netyard.errors import Invalid


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
    path = Path(rootfs or "/") / "etc" / name
    try:
        # A symbolic link out of the root must not give the container the host's users.
        if rootfs and not path.resolve().is_relative_to(Path(rootfs).resolve()):
            return []
        return [line.split(":") for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return []


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
