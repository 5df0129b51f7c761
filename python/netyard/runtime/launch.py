"""What the shim is told of a container, and as which words; `netyard.runtime.one_more` is what it
is told of one more process in it.

How it is started is `netyard.runtime.shim`. Descriptors are not here: they have numbers only when
it is started.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netyard.values.mounts import MountRequest
from netyard.values.named import NamedTuple

if TYPE_CHECKING:
    from netyard.runtime.one_more import Exec


class Launch(NamedTuple):
    """What the shim needs to start and supervise a container.

    Attributes:
        directory: The container's runtime directory.
        namespace: Network namespace to join, or ``None`` for the host's.
        files: Pairs of source and absolute path in the container.
        host_users: Stay in the host's user namespace, whatever the network namespace belongs to.
        root_ids: User, group and group of terminals of the container, by the host's ids.
        maps_root: Files of the root have the container's ids instead of the host's.
        settings: Kernel settings that tell ids of the container, names and values.
        stream_owner: User and group of its first process, by the host's ids.
        hidden: Directories of the host that are covered; no path with a link in it.
        protected: Directories of the host that are read-only; no path with a link in it.
        read_only: Only what is mounted beside the root, or the host's files, can be written to.
        layer: Size of a layer that takes what is written to the host's files; none if empty.
        mounts: Volumes and tmpfs.
        attached: How many clients to wait for before the command starts.
        ulimits: Numbers of resources with their limits, soft and hard.
        cgroup: Its control group, if it has one.
        shm_size: Bytes of shared memory.
        seccomp: Rules of its filter of system calls; empty for none.
        log: Where its output is kept; ``None`` if it is not to be.
        log_size: How many bytes a file of the log may have; any number if ``None``.
        log_files: How many files, the newest included.
    """

    directory: Path
    log: Path | None
    command: Sequence[str]
    environment: Sequence[str]
    namespace: Path | None
    hostname: str
    domainname: str = ""
    files: Sequence[tuple[Path, str]] = ()
    hidden: Sequence[Path] = ()
    unmount: Sequence[Path] = ()
    protected: Sequence[str] = ()
    rootfs: str = ""
    read_only: bool = False
    layer: str = ""
    mounts: Sequence[MountRequest] = ()
    workdir: str = ""
    workdir_is_optional: bool = False
    user: str = ""
    tty: bool = False
    interactive: bool = False
    privileged: bool = False
    capabilities: int | None = None
    host_users: bool = False
    no_new_privileges: bool = False
    seccomp: str = ""
    ulimits: Sequence[tuple[int, int, int]] = ()
    cgroup: Path | None = None
    shm_size: int = 0
    root_ids: tuple[int, int, int] | None = None
    maps_root: bool = False
    settings: Sequence[tuple[str, str]] = ()
    stream_owner: tuple[int, int] | None = None
    attached: int = 0
    on_exit: Sequence[str] = ()
    log_size: int | None = None
    log_files: int = 1

    def options(self) -> list[str]:
        """The shim's command line, without descriptors."""
        words = ["--directory", str(self.directory), "--hostname", self.hostname]
        if self.log is not None:
            words += ["--log", str(self.log), "--log-files", str(self.log_files)]
            if self.log_size is not None:
                words += ["--log-size", str(self.log_size)]
        if self.domainname:
            words += ["--domainname", self.domainname]
        for source, target in self.files:
            words += ["--file", f"{source}:{target}"]
        for directory in self.hidden:
            words += ["--hide", str(directory)]
        for directory in self.unmount:
            words += ["--unmount", str(directory)]
        for place in self.protected:
            words += ["--protect", place]
        for mount in self.mounts:
            words += ["--volume", _volume(mount)]
        if self.rootfs:
            words += ["--root", self.rootfs]
        if self.shm_size:
            words += ["--shm-size", str(self.shm_size)]
        if self.layer:
            words += ["--layer", self.layer]
        if self.read_only:
            words.append("--read-only")
        if self.attached:
            words += ["--wait-attach", str(self.attached)]
        if self.host_users:
            words.append("--host-users")
        if self.root_ids is not None:
            words += ["--root-ids", ":".join(map(str, self.root_ids))]
        if self.maps_root:
            words.append("--map-root")
        for name, value in self.settings:
            words += ["--setting", f"{name}={value}"]
        for word in self.on_exit:
            words += ["--on-exit", word]
        return words + common_options(self)


def common_options(launch: "Launch | Exec") -> list[str]:
    """Options that both have."""
    words = []
    if launch.workdir:
        words += ["--workdir", launch.workdir]
    if launch.user:
        words += ["--user", launch.user]
    if launch.capabilities is not None:
        words += ["--capabilities", f"{launch.capabilities:x}"]
    if launch.stream_owner is not None:
        words += ["--stream-owner", ":".join(map(str, launch.stream_owner))]
    for numbers in launch.ulimits:
        # All bits set is no limit.
        words += ["--ulimit", ":".join(str(number % 2**64) for number in numbers)]
    flags = {
        "--workdir-is-optional": launch.workdir_is_optional,
        "--terminal": launch.tty,
        "--interactive": launch.interactive,
        "--privileged": launch.privileged,
        "--no-new-privileges": launch.no_new_privileges,
    }
    return words + [name for name, wanted in flags.items() if wanted]


def _volume(mount: MountRequest) -> str:
    """A mount as the shim reads it: either path may hold any character."""
    access = "ro" if mount.read_only else "rw"
    if mount.kind == "tmpfs":
        return f"{access}:tmpfs:{mount.options}:{mount.target}"
    if mount.idmap:
        access += ",idmap"
    length = len(os.fsencode(mount.source))
    return f"{access}:bind:{length}:{mount.source}{mount.target}"
