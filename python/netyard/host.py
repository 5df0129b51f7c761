"""A host: one root directory, its store, and the right to change things.

Everything that changes the kernel or the store goes through `Host.change`, one operation at a time
across all processes of a root.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netyard.errors import Conflict, NetyardError, PermissionDenied, StoreError
from netyard.naming import Layout
from netyard.store.store import Store

if TYPE_CHECKING:
    from netyard.batching import Batch
    from netyard.container import Container
    from netyard.members import Members
    from netyard.network import Network

Undo = Callable[[], object]


class Change:
    """An operation under way: what to undo if it fails, what to do once it is done.

    Attributes:
        batch: What is to be made together with more to come, if it is such an operation.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.store = host.store
        self.batch: Batch | None = None
        self._undo: list[Undo] = []
        self._afterwards: list[Undo] = []

    def on_failure(self, undo: Undo) -> None:
        """Have something undone if the operation fails; the last is undone first."""
        self._undo.append(undo)

    def afterwards(self, action: Undo) -> None:
        """Have something done once the operation has succeeded and the lock is open."""
        self._afterwards.append(action)

    def keep(self) -> None:
        """What has been done until now stays, whatever fails later."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo everything; a step that cannot be undone does not keep the others from it."""
        while self._undo:
            undo = self._undo.pop()
            try:
                undo()
            except (NetyardError, OSError):
                # The record of it stays unfinished, so the next operation tries again.
                continue

    def finish(self) -> None:
        """Do what was put off."""
        for action in self._afterwards:
            action()


# Roots that are being changed, and the threads of this process that do it.
_changing: dict[str, int] = {}


class Host:
    """The networks and containers of one root.

    Args:
        root: State directory; ``NETYARD_ROOT`` or ``/var/lib/netyard`` if not given.

    Raises:
        PermissionDenied: if this process is not root.
        StoreError: if the state directory cannot be used.

    Example:
        >>> host = Host(root="/tmp/lab")
        >>> net = host.networks.create("my-net")
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        self.layout = Layout.of(root)
        check_privileges()
        _make_directories(self.layout)
        self.store = Store(self.layout.database, create=True)
        self._root = str(self.layout.root)
        self._thread_lock = threading.RLock()
        self._change: Change | None = None
        if self.layout.agent_socket.exists() or self.layout.dead_agent_socket.exists():
            from netyard.agent import client as agent

            # One that was killed has left its socket, on which nobody listens.
            agent.ensure(self.layout)
        self._settle()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def networks(self) -> Networks:
        """The networks of this host."""
        return Networks(self)

    @property
    def containers(self) -> Containers:
        """The containers of this host."""
        return Containers(self)

    @property
    def members(self) -> Members:
        """The cluster this host is in."""
        from netyard.members import Members

        return Members(self)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Connect and disconnect together: faster, and all or none.

        Within the block `Network.connect` of running containers plans and returns, addresses and
        all; the interfaces are there at its end, or before whatever else is changed in it, and
        have another name if somebody has put one of theirs into the container. So with
        `Network.disconnect`. If the block raises, nothing of what it has planned is done.

        Raises:
            KernelError: if the kernel refuses one of them.

        Example:
            >>> with host.batch():
            ...     for box in boxes:
            ...         net.connect(box)
        """
        from netyard.batching import Batch

        with self.change() as change:
            if change.batch is not None:
                yield
                return
            change.batch = batch = Batch(change)
            try:
                yield
                batch.flush()
            except BaseException as error:
                batch.abandon(error)
                raise
            finally:
                change.batch = None

    @contextmanager
    def change(self, *, is_batched: bool = False, is_reload: bool = False) -> Iterator[Change]:
        """Hold the lock of this root; undo everything if the body raises.

        Changes inside one another are one. What a killed process left half-way is finished first,
        and after a restart of the machine everything is made again.

        Args:
            is_batched: It can be part of a batch; whatever else changes comes after the batch.
            is_reload: It makes everything again itself.
        """
        with self._thread_lock:
            if self._change is not None:
                if self._change.batch is not None and not is_batched:
                    self._change.batch.flush()
                yield self._change
                return
            self._refuse_to_wait_for_oneself()
            with locked(self.layout.lock), self.store.alone():
                self._prepare()
                _changing[self._root] = threading.get_ident()
                change = self._change = Change(self)
                try:
                    if not is_reload:
                        self._restore()
                    yield change
                except BaseException:
                    change.roll_back()
                    raise
                finally:
                    self._change = None
                    _changing.pop(self._root, None)
            change.finish()

    def _refuse_to_wait_for_oneself(self) -> None:
        """A thread that changes a root by one object would wait for ever if it used another."""
        if _changing.get(self._root) == threading.get_ident():
            raise Conflict(
                f"root {self._root!r} is being changed by another Host object of this thread",
                hint="use that one within its block, as in Network.get(name, host=host)",
            )

    def _restore(self) -> None:
        """After a restart of the machine, make again what the store knows of; see `reload`."""
        if self.layout.restored.exists():
            return
        made = [each for each in self.store.networks() if each.state == "ready"]
        if any(network.takes_endpoints for network in made):
            from netyard import reconcile

            reconcile.reload(self)
        self.layout.restored.touch(mode=0o600)

    def _settle(self) -> None:
        """Finish what a killed process left, so that whoever only reads sees no half of it.

        What is unfinished while somebody has the lock is being worked on.
        """
        if any(self.store.unfinished()):
            with (
                # Whoever reads need not fail for it: who changes something next tries again.
                suppress(OSError, NetyardError),
                locked(self.layout.lock, wait=False),
                self.store.alone(),
            ):
                self._prepare()

    def _prepare(self) -> None:
        if any(self.store.unfinished()):
            from netyard import reconcile

            reconcile.finish_interrupted(self)


class Networks:
    """The networks of a host, as docker-py has them: ``create``, ``get``, ``list``."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def create(self, name: str, **settings: Any) -> Network:
        """Create a network; see `Network.create`."""
        from netyard.network import Network

        return Network.create(name, host=self._host, **settings)

    def get(self, wanted: str) -> Network:
        """A network by name, id or id prefix; see `Network.get`."""
        from netyard.network import Network

        return Network.get(wanted, host=self._host)

    def list(self, *, filters: Sequence[str] = ()) -> list[Network]:
        """All networks, or those that fit; see `Network.list`."""
        from netyard.network import Network

        return Network.list(filters=filters, host=self._host)

    def prune(self, *, filters: Sequence[str] = ()) -> Sequence[str]:
        """Remove networks no container is on; see `netyard.listing.prune_networks`."""
        from netyard.listing import prune_networks

        return prune_networks(self._host, filters)


class Containers:
    """The containers of a host: ``create``, ``run``, ``adopt``, ``get``, ``list``."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def create(self, *command: str, **settings: Any) -> Container:
        """Create a container without starting it; see `Container.create`."""
        from netyard.container import Container

        return Container.create(*command, host=self._host, **settings)

    def run(self, *command: str, **settings: Any) -> Container:
        """Create and start a container; see `Container.run`."""
        from netyard.container import Container

        return Container.run(*command, host=self._host, **settings)

    def adopt(self, name: str, **settings: Any) -> Container:
        """Adopt an existing network namespace; see `Container.adopt`."""
        from netyard.container import Container

        return Container.adopt(name, host=self._host, **settings)

    def get(self, wanted: str) -> Container:
        """A container by name, id or id prefix; see `Container.get`."""
        from netyard.container import Container

        return Container.get(wanted, host=self._host)

    def list(self, *, all: bool = False, filters: Sequence[str] = ()) -> list[Container]:
        """Containers, the running ones or all; see `Container.list`."""
        from netyard.container import Container

        return Container.list(host=self._host, all=all, filters=filters)


_default: Host | None = None
_default_lock = threading.Lock()


def default_host() -> Host:
    """The host of ``NETYARD_ROOT`` or of the default root, opened once a process."""
    global _default
    with _default_lock:
        if _default is None or _default.layout != Layout.of(None):
            _default = Host()
        return _default


def check_privileges() -> None:
    """Raise `PermissionDenied` unless this process is root."""
    if os.geteuid() != 0:
        raise PermissionDenied(
            f"netyard needs root to work on networks, and this is user {os.geteuid()}",
            hint="run it with sudo",
        )


def _make_directories(layout: Layout) -> None:
    try:
        for directory in _directories(layout):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(layout.root, os.W_OK) or not os.access(layout.run, os.W_OK):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(layout.root))
    except OSError as error:
        raise StoreError(
            f"the state directory {layout.root} cannot be used: {error.strerror}: {error.filename}",
            hint="choose another with --root or NETYARD_ROOT",
        ) from error


def _directories(layout: Layout) -> tuple[Path, ...]:
    logs = layout.log("x").parent
    return layout.root, logs, layout.run, layout.namespaces, layout.containers


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an advisory lock; a descriptor of its own each time, so threads exclude each other.

    Raises:
        BlockingIOError: if somebody else holds it, and waiting for him is not wanted.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)
