"""Namespaces that another program made: put on networks, and given back as they were."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import netyard._core as _core
from netyard.endpoints.detach import detach_endpoints
from netyard.endpoints.namespace import opened_namespace
from netyard.endpoints.plan import choose_ifname
from netyard.errors import Conflict, Forbidden, Invalid, NotFound
from netyard.ipc import agent
from netyard.lifecycle.create import make_container
from netyard.lifecycle.join import join_networks
from netyard.lifecycle.stop import discard_container, tear_down
from netyard.options.endpoint import IFNAME
from netyard.ports.apply import unpublish_ports
from netyard.runtime.mount_table import mounts
from netyard.state.records import ContainerRecord
from netyard.state.root import Change, Root
from netyard.state.trusted import find_untrusted
from netyard.values import clock
from netyard.values.spec import ContainerSpec

_OWN_NETNS = Path("/proc/self/ns/net")


def open_foreign(pid: int | None, netns: str | os.PathLike[str] | None) -> int:
    """An open descriptor of another program's network namespace."""
    if (pid is None) == (netns is None):
        raise Invalid("adopt: give either --pid or --netns")
    path = f"/proc/{pid}/ns/net" if pid is not None else os.fspath(netns or "")
    try:
        fd = _open_netns(path)
    except OSError as error:
        what = f"process {pid}" if pid is not None else f"network namespace {path!r}"
        raise NotFound(f"there is no {what}: {error.strerror}") from error
    if fd is None:
        raise Invalid(f"--netns: {path!r} is no network namespace", field="--netns", value=path)
    if _core.namespace_identity(fd) == _core.namespace_identity():
        os.close(fd)
        raise Forbidden("adopt: this is the host's own network namespace")
    return fd


def _open_netns(path: str) -> int | None:
    """A network namespace at a path, or ``None``. Nothing else is opened: a FIFO would wait."""
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        # All namespaces are on one file system of the kernel's, and nothing else is.
        if os.fstat(found).st_dev != _OWN_NETNS.stat().st_dev:
            return None
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)
    if is_netns(fd):
        return fd
    os.close(fd)
    return None


def is_netns(fd: int) -> bool:
    """Whether a descriptor is a network namespace: on nsfs, of this type (ioctl_ns(2))."""
    ns_get_nstype = 0xB703
    clone_newnet = 0x40000000
    try:
        return fcntl.ioctl(fd, ns_get_nstype) == clone_newnet
    except OSError:
        return False


def adopt(change: Change, name: str, spec: ContainerSpec, source: int) -> ContainerRecord:
    root, store = change.root, change.store
    _check_free(root, source)
    with store.transaction():
        record = make_container(change, name, spec, "")
        store.update_container(record.id, state="starting")
        _note_interfaces(root, record, source)
    change.on_failure(lambda: abandon(root, record))
    _take_in(change, record, spec, source)
    return store.container(record.id) or record


def _take_in(change: Change, record: ContainerRecord, spec: ContainerSpec, source: int) -> None:
    """Keep a namespace and put it on its networks."""
    root, store = change.root, change.store
    _core.make_mount_point(str(root.layout.namespaces))
    _core.bind_namespace(source, str(root.layout.namespace(record.id)))
    _core.set_loopback(source, True)
    join_networks(change, record, spec)
    with store.transaction():
        store.update_container(record.id, state="running", started=clock.now())


def is_kept(root: Root, record: ContainerRecord) -> bool:
    """Whether an adopted namespace is still where we keep it: not after a reboot of the host."""
    try:
        with opened_namespace(root, record) as namespace:
            return is_netns(namespace)
    except FileNotFoundError:
        return False


def revive(change: Change, record: ContainerRecord) -> None:
    """Put a namespace that was made again, after a reboot of the host, on its networks.

    Raises:
        NotFound: if it was not, or it was adopted by a process, of which none is left.
        Forbidden: if others than root can put a namespace there: it may be any by now.
    """
    root, store = change.root, change.store
    spec = record.spec
    if record.state == "running":
        tear_down(root, record, state="exited", now=True, finished=clock.now())
    if not spec.netns or spec.netns.startswith("/proc/"):
        raise NotFound("it was the namespace of a process, which has ended")
    _check_place(record, spec.netns)
    source = open_foreign(None, spec.netns)
    try:
        _check_free(root, source)
        with store.transaction():
            store.update_container(record.id, state="starting")
            _note_interfaces(root, record, source)
        _take_in(change, record, spec, source)
    except BaseException:
        give_back(root, record)
        raise
    finally:
        os.close(source)


def _check_place(record: ContainerRecord, path: str) -> None:
    """Refuse to take what lies at a path for the namespace that lay there before a restart, if a
    user could have put it there: who adopts looks at what is there, a restart cannot."""
    foreign = find_untrusted(path)
    if foreign is not None:
        raise Forbidden(
            f"{foreign} is not root's alone, so that {path} may be another namespace by now",
            hint=f"abandon {record.name!r}, and adopt it again if it is the right one",
        )


def give_back(root: Root, record: ContainerRecord) -> None:
    """Take everything of ours out of a namespace whose container is kept, for another `revive`."""
    _clear(root, record)
    tear_down(root, record, state="exited", now=True)


def _check_free(root: Root, source: int) -> None:
    owner = _owner_of(root, source)
    if owner is not None:
        raise Conflict(f"this namespace is container {owner.name!r} already", holder=owner.name)


def _owner_of(root: Root, source: int) -> ContainerRecord | None:
    """Whose namespace it is, by what is mounted where: one file, however many containers."""
    _, inode = _core.namespace_identity(source)
    shown = f"net:[{inode}]"
    for mount in mounts():
        if mount.root == shown:
            directory, _, container_id = mount.point.rpartition("/")
            if directory == str(root.layout.namespaces):
                return root.store.container(container_id)
    return None


def _note_interfaces(root: Root, record: ContainerRecord, source: int) -> None:
    """How a namespace is found, before anything is changed in it: given back, it is so again.

    Endpoints get the names that are free in it.
    """
    found = _core.list_links(source)
    was_up = any(link.name == "lo" and link.is_up for link in found)
    root.store.update_container(record.id, was_loopback_up=was_up)
    taken = {link.name for link in found}
    for endpoint, network in root.store.attachments_of(record.id):
        ifname = choose_ifname(network, endpoint.options.get(IFNAME), taken)
        root.store.update_endpoint(endpoint.id, ifname=ifname)
        taken.add(ifname)


def abandon(root: Root, record: ContainerRecord) -> None:
    """Take everything of ours out of an adopted namespace, and forget it."""
    left = root.store.container(record.id)
    if left is None:
        return
    with root.store.transaction():
        root.store.update_container(record.id, state="removing")
    _clear(root, record)
    discard_container(root, left)


def _clear(root: Root, record: ContainerRecord) -> None:
    """Leave a namespace as it was before it was adopted."""
    store, path = root.store, root.layout.namespace(record.id)
    unpublish_ports(root, record.id, forgets_flows=False)
    up = [each for each in store.attachments_of(record.id) if each.endpoint.state != "down"]
    detach_endpoints(root, up)
    agent.refresh(root.layout, [record.id], needed=False, ended=True)
    if path.exists():
        with opened_namespace(root, record) as namespace:
            # A crash may have left the bare file that the namespace is mounted on.
            left = store.container(record.id)
            if is_netns(namespace):
                _core.remove_dns_redirect(namespace)
                _core.set_default_routes(namespace, [])
                if left is not None and not left.was_loopback_up:
                    _core.set_loopback(namespace, False)
