"""Containers started: namespace, networks, files, process.

What a start has built is taken down by `netyard.lifecycle.stop`, at whatever stage it fails.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netyard._core as _core
from netyard.endpoints.namespace import opened_namespace
from netyard.errors import Conflict, Forbidden, KernelError
from netyard.lifecycle.container_files import launch_files
from netyard.lifecycle.environment import environment
from netyard.lifecycle.etc_files import write_etc_files
from netyard.lifecycle.join import join_networks
from netyard.lifecycle.lookup import refreshed_container
from netyard.lifecycle.stop import tear_down
from netyard.resolver.etc_place import make_place
from netyard.runtime import cgroup, seccomp, shim
from netyard.runtime.launch import Launch
from netyard.runtime.process import start_time
from netyard.state import events
from netyard.state.records import ContainerRecord
from netyard.state.root import Change, Root
from netyard.values import clock, limits
from netyard.values.log_options import log_limits
from netyard.values.spec import ContainerSpec

if TYPE_CHECKING:
    from netyard.values.user_ids import IdMap

# Docker's defaults in every container: ping and low ports without privileges (contract RN21).
_PING = "net.ipv4.ping_group_range"
_NAMESPACE_SYSCTLS = {
    _PING: "0\t2147483647",
    "net.ipv4.ip_unprivileged_port_start": "0",
}
_NO_USER_NAMESPACES = (errno.ENOSPC, errno.EINVAL, errno.EUSERS)


def start_container(
    change: Change,
    container: ContainerRecord,
    *,
    attached: int = 0,
    when_listening: Callable[[], object] = lambda: None,
) -> ContainerRecord:
    """Start a container: namespace, endpoints, ports, names, files, and at last the command.

    Raises:
        StartFailed: if the command does not start; then everything is taken down again.
        Conflict: if it runs already, or the container whose network it shares does not.
    """
    root, store = change.root, change.store
    if container.state == "running":
        raise Conflict(f"container {container.name!r} is running already")
    before = container.state
    with store.transaction():
        store.update_container(container.id, state="starting")
    change.on_failure(lambda: tear_down(root, container, state=before, now=True))
    spec = container.spec
    directory = root.layout.container(container.id)
    directory.mkdir(mode=0o711, exist_ok=True)
    (directory / "exit").unlink(missing_ok=True)
    if container.donor_id is not None:
        _check_donor(root, container)
    else:
        make_place(root.layout, container.id)
        if spec.mode != "host":
            _make_namespace(root, container, spec)
            join_networks(change, container, spec)
    write_etc_files(root, container)
    group = cgroup.make(root.layout, container.id, spec)
    launch = _launch(root, container, spec, attached)._replace(cgroup=group)
    pid = shim.supervise(root.layout, launch, when_listening=when_listening)
    with store.transaction():
        store.update_container(
            container.id,
            state="running",
            pid=pid,
            pid_start=start_time(pid),
            started=clock.now(),
            finished="",
            exit_code=0,
            was_oom_killed=False,
        )
        events.container_event(store, "start", container)
        for each in store.attachments_of(container.id):
            events.network_event(store, "connect", each.network, container)
    return store.container(container.id) or container


def _check_donor(root: Root, container: ContainerRecord) -> None:
    donor = root.store.container(container.donor_id or "")
    present = refreshed_container(root, donor) if donor else None
    if present is None or present.state != "running":
        name = donor.name if donor else container.donor_id
        raise Conflict(
            f"--network: container {name!r}, whose network is to be shared, is not running"
        )


def _make_namespace(root: Root, container: ContainerRecord, spec: ContainerSpec) -> None:
    path = root.layout.namespace(container.id)
    if path.exists():
        # Kept by containers that share it while this one was stopped (contract RN7a).
        return
    _core.make_mount_point(str(root.layout.namespaces))
    _create_namespace(path, confined=spec.is_confined, ids=_ids_of(container))
    settings = {**_NAMESPACE_SYSCTLS, **spec.sysctls}
    if container.ids_json:
        # The kernel reads ids as those of whoever writes: see `_launch`.
        settings.pop(_PING, None)
    with opened_namespace(root, container) as namespace:
        _core.set_loopback(namespace, True)
        _core.write_sysctls(namespace, list(settings.items()))


def _create_namespace(path: Path, *, confined: bool, ids: IdMap | None) -> None:
    """Make the network namespace, in a user namespace of its own or in ours.

    Raises:
        KernelError: if the kernel makes none.
        Forbidden: if this host allows no user namespaces.
    """
    try:
        _core.create_namespace(str(path), confined, ids.lines if ids else None)
    except KernelError as error:
        if error.operation == "create user namespace" and error.errno in _NO_USER_NAMESPACES:
            raise Forbidden(
                "this host makes no user namespace for a container: user.max_user_namespaces is "
                "too low, or the kernel has none (CONFIG_USER_NS)",
                hint="--userns host runs it without one",
            ) from error
        raise


def _launch(root: Root, container: ContainerRecord, spec: ContainerSpec, attached: int) -> Launch:
    owner = container.donor_id or container.id
    layout = root.layout
    etc = layout.etc(owner)
    hostname = container.hostname
    if container.donor_id:
        donor = root.store.container(container.donor_id)
        if donor is not None:
            hostname = donor.hostname
    elif spec.mode == "host" and not spec.hostname:
        hostname = os.uname().nodename
    kept = log_limits(spec.log_opts)
    ids = _ids_of(container)
    return Launch(
        directory=layout.container(container.id),
        log=None if spec.log_driver == "none" else layout.log(container.id),
        log_size=kept.max_size,
        log_files=kept.max_file,
        command=spec.command,
        environment=environment(spec, hostname),
        namespace=None if spec.mode == "host" else layout.namespace(owner),
        hostname=hostname,
        domainname=spec.domainname,
        files=[
            (etc / "hosts", "/etc/hosts"),
            (etc / "resolv.conf", "/etc/resolv.conf"),
            (etc / "hostname", "/etc/hostname"),
        ],
        workdir=spec.workdir or spec.caller_directory,
        workdir_is_optional=not spec.workdir,
        user=spec.user,
        tty=spec.tty,
        interactive=spec.interactive,
        privileged=spec.privileged,
        host_users=not spec.is_confined,
        capabilities=spec.capabilities,
        no_new_privileges=spec.no_new_privileges,
        seccomp=seccomp.rules(
            spec.seccomp, privileged=spec.privileged, capabilities=spec.capabilities
        ),
        ulimits=[(limits.ULIMITS[name], soft, hard) for name, soft, hard in spec.ulimits],
        shm_size=spec.shm_size,
        attached=attached,
        on_exit=shim.exit_command(layout, container.id),
        **launch_files(layout, spec, ids),
        **_launch_ids(spec, ids),
    )


def _ids_of(container: ContainerRecord) -> IdMap | None:
    """A container's ids; ``None`` if they are the host's."""
    if not container.ids_json:
        return None
    # Few have their own, and this module is on the way of each `run`.
    from netyard.values.user_ids import IdMap

    return IdMap.from_json(container.ids_json)


def _launch_ids(spec: ContainerSpec, ids: IdMap | None) -> dict[str, Any]:
    """What the shim is told of ids that are not the host's: fields of a `Launch`."""
    if ids is None:
        return {}
    from netyard.lifecycle.user_ranges import host_user

    told: dict[str, Any] = {
        "root_ids": (*ids.root, ids.terminals),
        "stream_owner": host_user(spec.user, ids),
    }
    if spec.mode != "container":
        last = min(2**31, sum(each.length for each in ids.gids)) - 1
        told["settings"] = [(_PING, spec.sysctls.get(_PING, f"0\t{last}"))]
    return told
