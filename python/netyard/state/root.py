"""A root: one state directory, its store, and the right to change things.

Everything that changes the kernel or the store goes through `Root.change`, one operation at a time
across all processes of a root. What is done about an operation that was killed, and after a restart
of the machine, is above this file: see `Root._finish_interrupted` and `Root._restore_all`.
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from netyard.errors import Conflict, NetyardError, PermissionDenied, StoreError
from netyard.state.flock import locked
from netyard.state.held_events import HeldEvent
from netyard.state.layout import Layout
from netyard.state.records import Attachment, ContainerRecord, EndpointRecord
from netyard.state.store import Store
from netyard.state.trusted import find_untrusted, is_foreign

Undo = Callable[[], object]


if TYPE_CHECKING:

    class Batch(Protocol):
        """Connections made together, and disconnections; see `netyard.lifecycle.batch`."""

        def begin(self) -> None:
            """Have what is planned from here on recorded together."""

        def add(self, container: ContainerRecord, planned: Attachment) -> None:
            """Make an endpoint later, with the others."""

        def leave(self, container: ContainerRecord, endpoint: EndpointRecord) -> None:
            """Take an endpoint away later, with the others."""

        def is_leaving(self, endpoint: EndpointRecord) -> bool:
            """Whether it is to be taken away."""

        def flush(self) -> None:
            """Do what is planned."""

        def end_leaving(self) -> None:
            """Take away what is to be taken away."""


class Change:
    """An operation under way: what to undo if it fails, what to do once it is done.

    Attributes:
        batch: What is to be made together with more to come, if it is such an operation.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self.store = root.store
        self._pid = os.getpid()
        self.batch: Batch | None = None
        self._undo: list[Undo] = []
        self._afterwards: list[Undo] = []

    @property
    def is_of_parent(self) -> bool:
        """Whether this process has been forked off within it: it is the parent's to end."""
        return self._pid != os.getpid()

    def on_failure(self, undo: Undo) -> None:
        """Have something undone if the operation fails; the last is undone first."""
        self._undo.append(undo)

    def afterwards(self, action: Undo) -> None:
        """Have something done once the operation has succeeded and the lock is open."""
        self._afterwards.append(action)

    def keep(self) -> None:
        """What has been done until now stays, whatever fails later."""
        self._undo.clear()
        self.tell(self.store.held_events.all())
        self.store.held_events.cut(0)

    def tell(self, events: list[HeldEvent]) -> None:
        """Record what has happened, for those that follow it.

        It has happened, whether or not there is room to tell of it: nothing is undone for that.
        """
        if not events or self.is_of_parent:
            return
        try:
            self.store.add_events(events)
        except StoreError as error:
            import logging

            text = "netyard: warning: %d events are not recorded: %s"
            logging.getLogger("netyard.state").warning(text, len(events), error)

    def roll_back(self) -> None:
        """Undo everything; a step that cannot be undone does not keep the others from it."""
        while self._undo and not self.is_of_parent:
            undo = self._undo.pop()
            try:
                undo()
            except (NetyardError, OSError):
                # The record of it stays unfinished, so the next operation tries again.
                continue

    def finish(self) -> None:
        """Do what was put off."""
        if self.is_of_parent:
            return
        for action in self._afterwards:
            action()


# Roots that are being changed, and the threads of this process that do it.
_changing: dict[str, int] = {}
_roots: weakref.WeakSet[Root] = weakref.WeakSet()


class Root(ABC):
    """What is below every `netyard.Host`: one state directory, its store and its lock.

    Args:
        directory: State directory; ``NETYARD_ROOT`` or ``/var/lib/netyard`` if not given.

    Raises:
        PermissionDenied: if this process is not root.
        StoreError: if the state directory cannot be used.

    Attributes:
        layout: Paths and names in the kernel, which all derive from the state directory.
        store: What is recorded in the state directory.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self.layout = Layout.of(directory)
        check_privileges()
        _make_directories(self.layout)
        self.store = Store(self.layout.database, create=True)
        self._name = str(self.layout.root)
        self._pid = os.getpid()
        self._is_open = True
        self._thread_lock = threading.RLock()
        self._change: Change | None = None
        _roots.add(self)

    def close(self) -> None:
        """Close the store; the host is of no use afterwards, its networks go on."""
        self._is_open = False
        self.store.close()

    def _leave_to_parent(self) -> None:
        """In a child that has been forked off: what another thread was doing is the parent's."""
        self._thread_lock = threading.RLock()
        self._change = None

    @abstractmethod
    def _finish_interrupted(self) -> None:
        """Undo what a killed operation has left half-way; called with the lock held."""

    @abstractmethod
    def _restore_all(self) -> None:
        """Make everything again that the store knows of; called within a change."""

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
                _changing[self._name] = threading.get_ident()
                change = self._change = Change(self)
                self.store.held_events.begin()
                try:
                    if not is_reload:
                        self._restore_once()
                    yield change
                    change.tell(self.store.held_events.all())
                except BaseException:
                    certain = self.store.held_events.certain()
                    change.roll_back()
                    change.tell(certain)
                    raise
                finally:
                    self.store.held_events.end()
                    self._change = None
                    _changing.pop(self._name, None)
            change.finish()

    def _settle(self) -> None:
        """Finish what a killed process left, so that whoever only reads sees no half of it.

        What is unfinished while another process has the lock is being worked on.
        """
        if any(self.store.unfinished()):
            with (
                # A command that only reads need not fail for it: the next change tries again.
                suppress(OSError, NetyardError),
                locked(self.layout.lock, wait=False),
                self.store.alone(),
            ):
                self._prepare()

    def _refuse_to_wait_for_oneself(self) -> None:
        """A thread that changes a root by one object would wait for ever if it used another."""
        if _changing.get(self._name) == threading.get_ident():
            raise Conflict(
                f"root {self._name!r} is being changed by another Host object of this thread",
                hint="use that one within its block, as in Network.get(name, host=host)",
            )

    def _restore_once(self) -> None:
        """After a restart of the machine, make again what the store knows of."""
        if self.layout.restored.exists():
            return
        made = [each for each in self.store.networks() if each.state == "ready"]
        if any(network.takes_endpoints for network in made):
            self._restore_all()
        self.layout.restored.touch(mode=0o600)

    def _prepare(self) -> None:
        if any(self.store.unfinished()):
            self._finish_interrupted()


def check_privileges() -> None:
    """Raise `PermissionDenied` unless this process is root."""
    if os.geteuid() != 0:
        raise PermissionDenied(
            f"netyard needs root to work on networks, and this is user {os.geteuid()}",
            errno=errno.EPERM,
            hint="run it with sudo",
        )


def _make_directories(layout: Layout) -> None:
    check_owners(layout)
    try:
        made = [directory for directory in _directories(layout) if _make_directory(directory)]
        if made:
            # Another may have been faster, in a directory that all may write to.
            check_owners(layout)
        if not os.access(layout.root, os.W_OK) or not os.access(layout.run, os.W_OK):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(layout.root))
    except OSError as error:
        raise _unusable(layout, error) from error


def _make_directory(directory: Path) -> bool:
    """Make a directory, if it is not there yet; whether it was not."""
    if directory.is_dir():
        return False
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return True


def check_owners(layout: Layout) -> None:
    """Refuse to work as root in a directory that others can put things into, or have.

    Programs are run from it, and files are written in it: see `netyard.state.trusted`.

    Raises:
        StoreError: naming what belongs to another user, or can be replaced by one.
    """
    try:
        foreign = find_untrusted(layout.root) or find_untrusted(layout.run)
        foreign = foreign or _find_planted(layout.root)
        if foreign is None:
            return
        owner = os.lstat(foreign).st_uid
    except OSError as error:
        raise _unusable(layout, error) from error
    whose = "can be changed by others" if owner == 0 else f"belongs to user {owner}"
    raise StoreError(
        f"the state directory {layout.root} is not safe to use: {foreign} {whose}",
        hint="give it to root, or choose another directory with --root or NETYARD_ROOT",
    )


def _find_planted(directory: Path) -> str | None:
    """An entry that is not root's: made before the directory became root's."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if is_foreign(entry.stat(follow_symlinks=False).st_uid):
                    return entry.path
    except FileNotFoundError:
        pass
    return None


def _unusable(layout: Layout, error: OSError) -> StoreError:
    return StoreError(
        f"the state directory {layout.root} cannot be used: {error.strerror}: {error.filename}",
        hint="choose another with --root or NETYARD_ROOT",
    )


def _directories(layout: Layout) -> tuple[Path, ...]:
    logs = layout.log("x").parent
    return layout.root, logs, layout.run, layout.namespaces, layout.containers


def _leave_all_to_parent() -> None:
    _changing.clear()
    for root in list(_roots):
        root._leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
