"""Volumes and tmpfs as users type them: ``-v``, ``--mount``, ``--tmpfs``, in Docker's words.

Nothing of the host is looked at: whether a source is there, those see that mount it.
"""

import re
from collections.abc import Sequence
from posixpath import normpath
from typing import Literal, NoReturn

from netyard.errors import Invalid
from netyard.values.named import NamedTuple

# Docker's for every tmpfs; what is typed comes after.
_TMPFS = {"noexec": "", "nosuid": "", "nodev": ""}
_OPPOSITES = {"exec": "noexec", "suid": "nosuid"}
# Not compiled: this module is on the way of each `run`.
_SIZE = "[1-9][0-9]{0,15}[kmgKMG]?"
_MODE = "[0-7]{1,4}"
_NUMBER = "[0-9]{1,9}"
_TMPFS_VALUES = {
    "size": (f"{_SIZE}|[1-9][0-9]?%|100%", "64m or 10%"),
    "mode": (_MODE, "octal digits such as 1777"),
    "uid": (_NUMBER, "a number"),
    "gid": (_NUMBER, "a number"),
    "nr_inodes": (_SIZE, "a number such as 4k"),
}
_MOUNT_KEYS = {
    "type": "type",
    "source": "source",
    "src": "source",
    "target": "target",
    "destination": "target",
    "dst": "target",
    "readonly": "readonly",
    "ro": "readonly",
    "bind-propagation": "bind-propagation",
    "idmap": "idmap",
    "tmpfs-size": "tmpfs-size",
    "tmpfs-mode": "tmpfs-mode",
}
_KIND_OF = {
    "bind-propagation": "bind",
    "idmap": "bind",
    "tmpfs-size": "tmpfs",
    "tmpfs-mode": "tmpfs",
}
_YES, _NO = ("", "true", "1"), ("false", "0")


class MountRequest(NamedTuple):
    """Something to be mounted in a container.

    Attributes:
        flag: How it was asked for: ``volume``, ``mount`` or ``tmpfs``.
        kind: ``bind`` or ``tmpfs``.
        source: Absolute path on the host, of a bind mount.
        target: Absolute path in the container.
        read_only: Whether it can only be read.
        options: Of a tmpfs, as ``mount -o`` takes them.
        idmap: Whether its files have the container's ids, if these are its own: root's are root's.
    """

    flag: Literal["volume", "mount", "tmpfs"]
    kind: Literal["bind", "tmpfs"]
    source: str
    target: str
    read_only: bool = False
    options: str = ""
    idmap: bool = False

    @property
    def shown(self) -> str:
        """As ``-v`` takes it."""
        flags = ",".join(["ro"] * self.read_only + ["idmap"] * self.idmap)
        return f"{self.source}:{self.target}" + (f":{flags}" if flags else "")


def _refuse(field: str, text: str, what: str) -> NoReturn:
    raise Invalid(f"{field}: {text!r} {what}", field=field, value=text)


def parse_volume(text: str, directory: str) -> MountRequest:
    """``HOST:CONTAINER[:ro|rw|idmap,…]``; a host path with ``.`` in front is of the directory."""
    field = "--volume"
    source, *rest = text.split(":")
    if not rest or len(rest) > 2:
        _refuse(field, text, "must be HOST:CONTAINER or HOST:CONTAINER:ro, with two absolute paths")
    if source.split("/")[0] in (".", ".."):
        source = f"{directory}/{source}"
    if not source.startswith("/"):
        _refuse(
            field,
            text,
            f"names a volume {source!r}: netyard keeps none, give an absolute path of the host",
        )
    words = rest[1].split(",") if len(rest) > 1 else []
    for word in words:
        if word not in ("ro", "rw", "idmap", "private", "rprivate"):
            _refuse(field, text, f"has the option {word!r}, which is none of ro, rw and idmap")
    target = _target(field, rest[0])
    return MountRequest(
        "volume", "bind", normpath(source), target, "ro" in words, idmap="idmap" in words
    )


def parse_tmpfs(text: str) -> MountRequest:
    """``PATH[:OPTION,…]``."""
    target, _, options = text.partition(":")
    found, read_only = _tmpfs_options("--tmpfs", options)
    return MountRequest("tmpfs", "tmpfs", "", _target("--tmpfs", target), read_only, found)


def _tmpfs_options(field: str, text: str) -> tuple[str, bool]:
    found, read_only = dict(_TMPFS), False
    for word in filter(None, text.split(",")):
        key, separator, value = word.partition("=")
        if word in ("ro", "rw"):
            read_only = word == "ro"
        elif word in _TMPFS:
            found[word] = ""
        elif word in _OPPOSITES:
            found.pop(_OPPOSITES[word], None)
        elif separator and key in _TMPFS_VALUES:
            pattern, right = _TMPFS_VALUES[key]
            if not re.fullmatch(pattern, value):
                _refuse(field, word, f"must be {key}= and {right}")
            found[key] = value
        else:
            known = "ro, rw, exec, noexec, suid, nosuid, nodev, " + ", ".join(_TMPFS_VALUES)
            _refuse(field, word, f"is no option of a tmpfs such as {known}")
    return ",".join(f"{key}={value}" if value else key for key, value in found.items()), read_only


def parse_mount(text: str, words: Sequence[str]) -> MountRequest:
    """``type=bind,source=…,target=…`` or ``type=tmpfs,target=…``, in words already."""
    field = "--mount"
    found: dict[str, str] = {}
    for word in words:
        given, separator, value = word.partition("=")
        key = _MOUNT_KEYS.get(given.strip().lower(), "")
        if not key or not (separator or key in ("readonly", "idmap")):
            known = ", ".join(_MOUNT_KEYS)
            _refuse(field, word, f"must be one of {known}, then '=' and a value")
        if key in found:
            _refuse(field, text, f"has {key} twice")
        found[key] = value
    kind = found.get("type", "volume")
    if kind not in ("bind", "tmpfs"):
        _refuse(field, text, f"is of type {kind!r}, and can be of type=bind or type=tmpfs")
    for key in found:
        if _KIND_OF.get(key, kind) != kind:
            _refuse(field, text, f"has {key}, which is not of type={kind}")
    if found.get("bind-propagation", "rprivate") not in ("private", "rprivate"):
        _refuse(
            field, text, f"has bind-propagation={found['bind-propagation']}: it is always rprivate"
        )
    flags = {key: found.get(key, "false").lower() for key in ("readonly", "idmap")}
    for key, value in flags.items():
        if value not in (*_YES, *_NO):
            _refuse(field, text, f"has {key}={value}, which must be true or false")
    source = found.get("source", "")
    if kind == "bind" and not source.startswith("/"):
        _refuse(field, text, "needs source= and an absolute path of the host")
    if kind == "tmpfs" and source:
        _refuse(field, text, "has a source, and a tmpfs has none")
    return MountRequest(
        "mount",
        "bind" if kind == "bind" else "tmpfs",
        normpath(source) if source else "",
        _target(field, found.get("target", "")),
        flags["readonly"] in _YES,
        _mount_options(field, text, found) if kind == "tmpfs" else "",
        flags["idmap"] in _YES,
    )


def _mount_options(field: str, text: str, found: dict[str, str]) -> str:
    words = []
    if "tmpfs-size" in found:
        size = found["tmpfs-size"].lower().removesuffix("b")
        if not re.fullmatch(_SIZE, size):
            _refuse(field, text, f"has tmpfs-size={found['tmpfs-size']}, which must be as in 64m")
        words.append(f"size={size}")
    if "tmpfs-mode" in found:
        words.append(f"mode={found['tmpfs-mode']}")
    return _tmpfs_options(field, ",".join(words))[0]


def _target(field: str, path: str) -> str:
    """A path in the container at which something can be mounted."""
    if not path.startswith("/"):
        _refuse(field, path, "must be an absolute path in the container")
    found = "/" + normpath(path).lstrip("/")
    if found == "/":
        _refuse(field, path, "is the root of the container: --rootfs gives it another")
    if found == "/proc" or found.startswith("/proc/"):
        _refuse(field, path, "is in /proc, which is the container's own")
    return found


def check_targets(mounts: Sequence[MountRequest]) -> None:
    """Refuse two mounts at one place."""
    seen: set[str] = set()
    for each in mounts:
        if each.target in seen:
            _refuse(f"--{each.flag}", each.target, "is a mount point twice")
        seen.add(each.target)
