"""What of its files a container can write to, and which of the host's it does not see.

How it is mounted is the shim's; what users type is read in `netyard.values.mounts`.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netyard._core as _core
from netyard.errors import StartFailed
from netyard.lifecycle.validate import check_rootfs
from netyard.state.layout import Layout
from netyard.values.mounts import MountRequest
from netyard.values.spec import ContainerSpec

if TYPE_CHECKING:
    from netyard.values.user_ids import IdMap

#: All layers of one container together; it is memory.
LAYER_SIZE = "1g"
_SYSTEM = ("/usr", "/boot", "/etc", "/bin", "/sbin")
_PACKAGES = ("/site-packages", "/dist-packages")
_OWN = {"/tmp": "1777", "/var/tmp": "1777", "/run": "0755"}


def launch_files(layout: Layout, spec: ContainerSpec, ids: IdMap | None) -> dict[str, Any]:
    """What the shim is told of a container's files: fields of a `Launch`.

    Raises:
        Invalid: if the root is none any more.
        StartFailed: if a volume or a mount point cannot be made.
    """
    _make_sources(spec.mounts)
    own = _own_directories(spec.mounts) if spec.host_files == "read-only" else []
    mounts = [*own, *spec.mounts]
    if ids is not None:
        from netyard.lifecycle.user_ranges import translated

        mounts = translated(mounts, ids)
    told: dict[str, Any] = {"mounts": mounts, "unmount": [layout.namespaces]}
    # Root's files are the container's root's where they are its own: not those of the host itself.
    told["maps_root"] = ids is not None and (spec.rootfs != "" or spec.host_files == "ephemeral")
    if spec.rootfs:
        check_rootfs(spec.rootfs)
        return {**told, "rootfs": spec.rootfs, "read_only": spec.read_only}
    # A container has no business with netyard's sockets, namespaces and records.
    if not spec.privileged:
        told["hidden"] = [layout.run.resolve(), layout.root.resolve()]
    if spec.host_files == "system":
        told["protected"] = _protected(layout.root if spec.privileged else None)
    elif spec.host_files == "read-only":
        told["read_only"] = True
    elif spec.host_files == "ephemeral":
        return {**told, "layer": LAYER_SIZE}
    _check_targets(told["mounts"])
    return told


def _make_sources(mounts: Sequence[MountRequest]) -> None:
    """Make directories of the host that ``-v`` names, as Docker does."""
    for each in mounts:
        if each.flag == "volume":
            try:
                Path(each.source).mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise StartFailed(
                    f"--volume: {each.source} cannot be made: {error.strerror}", exit_code=125
                ) from error


def _check_targets(mounts: Sequence[MountRequest]) -> None:
    """Refuse a mount point that the host lacks: it is not for a container to make it there."""
    for each in mounts:
        is_below = any(each.target.startswith(f"{other.target}/") for other in mounts)
        if not is_below and not Path(each.target).exists():
            raise StartFailed(
                f"--{each.flag}: the container has the host's files, and there is no {each.target} "
                "to mount over",
                exit_code=125,
                hint="make it on the host, or use --host-files ephemeral",
            )


def _own_directories(mounts: Sequence[MountRequest]) -> list[MountRequest]:
    """Where programs write whatever they are, for a container that can write nowhere else."""
    taken = {each.target for each in mounts}
    return [
        MountRequest("tmpfs", "tmpfs", "", path, options=f"nosuid,nodev,mode={mode}")
        for path, mode in _OWN.items()
        if path not in taken and Path(path).is_dir()
    ]


@functools.lru_cache(maxsize=4)
def _protected(own: Path | None) -> Sequence[str]:
    """Directories of the host's programs, and of netyard's own: none is below another.

    What netyard imports runs as root on the host, when a container has ended.
    """
    package = Path(_core.__file__).parent.parent
    libraries = Path("/").glob("lib*")
    imported = (each for each in sys.path if each.endswith(_PACKAGES))
    wanted: list[str | Path] = [*_SYSTEM, *libraries, sys.prefix, sys.base_prefix, package]
    wanted += [*imported, *([own] if own else [])]
    found = {os.path.realpath(each) for each in wanted} - {"/"}
    # Texts, because each `run` asks: as a `Path` each part of each takes several times as long.
    return tuple(
        each
        for each in sorted(found)
        if Path(each).is_dir() and found.isdisjoint(_directories_above(each))
    )


def _directories_above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
