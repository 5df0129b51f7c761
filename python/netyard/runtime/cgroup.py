"""Control groups (cgroup v2): one a container, with its limits.

They lie below ``netyard/ROOT`` in the topmost group that this host shows. Processes enter theirs in
the shim; what they have counted is read by `netyard.runtime.cgroup_usage`. Where no such group can
be made, containers run without, and flags that need one are refused.
"""

import errno
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from netyard.errors import Conflict, Invalid
from netyard.runtime.mount_table import mounts
from netyard.state.layout import Layout
from netyard.values import limits
from netyard.values.named import NamedTuple
from netyard.values.spec import ContainerSpec

_CONTROLLERS = ("cpu", "memory", "pids")
_PERIOD = 100_000
_NANO = 10**9
_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.002


class Hierarchy(NamedTuple):
    """Where control groups can be made.

    Attributes:
        top: The topmost group that is seen here.
        controllers: What can be limited, of ``cpu``, ``memory`` and ``pids``.
    """

    top: Path
    controllers: frozenset[str]


def find() -> Hierarchy | None:
    """The hierarchy of this host, if netyard can use it."""
    for top in _mounts():
        with suppress(OSError):
            present = (top / "cgroup.controllers").read_text().split()
            usable = frozenset(present).intersection(_CONTROLLERS)
            if usable and os.access(top / "cgroup.subtree_control", os.W_OK):
                return Hierarchy(top, usable)
    return None


def _mounts() -> list[Path]:
    """Where cgroup v2 is mounted, and not covered by something else."""
    found = []
    for mount in mounts("cgroup2"):
        point = Path(mount.point)
        with suppress(OSError):
            device = point.stat().st_dev
            if f"{os.major(device)}:{os.minor(device)}" == mount.device:
                found.append(point)
    return found


def wanted(spec: ContainerSpec) -> dict[str, dict[str, str]]:
    """The settings of a container's group, by controller."""
    found: dict[str, dict[str, str]] = {}
    if spec.memory:
        total = spec.memory_swap or 2 * spec.memory
        swap = "max" if total == limits.UNLIMITED else str(total - spec.memory)
        found["memory"] = {"memory.max": str(spec.memory), "memory.swap.max": swap}
    if spec.nano_cpus:
        found["cpu"] = {"cpu.max": f"{spec.nano_cpus * _PERIOD // _NANO} {_PERIOD}"}
    if spec.pids_limit != limits.UNLIMITED:
        found["pids"] = {"pids.max": str(spec.pids_limit)}
    return found


def _asked(spec: ContainerSpec) -> dict[str, str]:
    """The flags that a container was asked for, by the controller they need."""
    flags = {}
    if spec.memory:
        flags["memory"] = "--memory"
    if spec.nano_cpus:
        flags["cpu"] = "--cpus"
    if spec.pids_limit not in (limits.DEFAULT_PIDS, limits.UNLIMITED):
        flags["pids"] = "--pids-limit"
    return flags


def check(spec: ContainerSpec) -> None:
    """Refuse limits that this host cannot keep to.

    Raises:
        Invalid: if so.
    """
    asked = _asked(spec)
    if asked:
        here = find()
        _refuse(asked, here.controllers if here else frozenset())


def _refuse(asked: Mapping[str, str], controllers: frozenset[str]) -> None:
    for controller, flag in asked.items():
        if controller not in controllers:
            raise Invalid(
                f"{flag}: this host has no cgroup v2 with the controller {controller!r} that "
                "netyard could use",
                field=flag,
            )


def make(layout: Layout, container_id: str, spec: ContainerSpec) -> Path | None:
    """Make the group of a container, with its limits; ``None`` if there can be none.

    Raises:
        Invalid: if it was asked for limits that cannot be.
    """
    here = find()
    controllers = _delegate(here, layout) if here else frozenset()
    _refuse(_asked(spec), controllers)
    if here is None or not controllers:
        return None
    group = here.top / layout.cgroup / container_id
    remove(group)
    group.mkdir()
    for controller, settings in wanted(spec).items():
        for name, value in settings.items() if controller in controllers else ():
            _set(group / name, value, spec)
    return group


def _set(path: Path, value: str, spec: ContainerSpec) -> None:
    try:
        path.write_text(value)
    except FileNotFoundError:
        # Without swap accounting there is nothing to be kept to, unless it was asked for.
        if path.name != "memory.swap.max" or spec.memory_swap:
            raise Conflict(f"limits: this kernel has no {path.name}") from None


def _delegate(here: Hierarchy, layout: Layout) -> frozenset[str]:
    """Hand controllers down to where groups of containers are; those that are there then."""
    left = here.controllers
    group = here.top
    for name in (*layout.cgroup.split("/"), ""):
        switch = group / "cgroup.subtree_control"
        try:
            missing = left.difference(switch.read_text().split())
            for each in missing:
                # One by one: each may be refused, because something else has it or is in there.
                with suppress(OSError):
                    switch.write_text(f"+{each}")
            if missing:
                left = left.intersection(switch.read_text().split())
            if name:
                group = group / name
                group.mkdir(exist_ok=True)
        except OSError:
            return frozenset()
    return left


def of(layout: Layout, container_id: str) -> Path | None:
    """The group of a container, if it has one."""
    for top in _mounts():
        group = top / layout.cgroup / container_id
        if group.is_dir():
            return group
    return None


def leftovers(layout: Layout, known: set[str]) -> list[Path]:
    """Groups in which nothing runs and that are none of these containers'."""
    found = []
    for top in _mounts():
        with suppress(OSError):
            groups = [each for each in (top / layout.cgroup).iterdir() if each.is_dir()]
            found += [each for each in groups if each.name not in known and not _is_populated(each)]
    return found


def _is_populated(group: Path) -> bool:
    return numbers(group / "cgroup.events").get("populated", 0) > 0


def remove(group: Path) -> bool:
    """Kill what is left in a group, and remove it; whether it is gone."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while group.is_dir():
        try:
            _remove_tree(group)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                return not group.is_dir()
            with suppress(OSError):
                (group / "cgroup.kill").write_text("1")
            time.sleep(_PAUSE_SECONDS)
    return True


def _remove_tree(group: Path) -> None:
    """The group and what its processes have made below it."""
    try:
        group.rmdir()
    except FileNotFoundError:
        return
    except OSError:
        for each in group.iterdir():
            if each.is_dir():
                _remove_tree(each)
        group.rmdir()


def was_out_of_memory(group: Path) -> bool:
    """Whether the kernel has killed something in it because it had used all of its memory."""
    return numbers(group / "memory.events").get("oom_kill", 0) > 0


def numbers(path: Path, *, missing_ok: bool = True) -> dict[str, int]:
    """A file of names and their numbers; none if it is missing, and may be."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        if missing_ok:
            return {}
        raise
    return {name: int(value) for name, _, value in (line.partition(" ") for line in lines)}
