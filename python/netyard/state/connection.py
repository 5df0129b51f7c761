"""The connection to the store of a root: its version, its transactions, and what SQLite refuses.

What is kept in it, and how it is read and written, is in `netyard.state.tables`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from netyard.errors import StoreError
from netyard.state.held_events import HeldEvents
from netyard.state.records import NetworkRecord
from netyard.state.rows import LOST_HINT
from netyard.state.schema import MIGRATIONS, VERSION

_BUSY_SECONDS = 30.0
_READER_MS = 100
# In bytes: what a few operations write.
_LITTLE_ROOM = 1 << 20
# How long a fork waits for what other threads do in the store: a batch may be as long as it likes.
_FORK_SECONDS = 5.0
# By what SQLite says: the number of a failure is not to be had before Python 3.11.
_ADVICE = {
    "database or disk is full": "make room on the file system it is on, and try again",
    "database is locked": (
        f"another process has kept it for more than {_BUSY_SECONDS:.0f} seconds: try again once "
        "that is done"
    ),
    "attempt to write a readonly database": (
        "have its file system mounted read-write, or choose another with --root or NETYARD_ROOT"
    ),
    "disk I/O error": "the kernel's log (dmesg) tells whether the disk fails",
}


class Connection:
    """One connection to the store, usable from any thread, one at a time.

    Args:
        path: The database.
        create: Make it if it is not there.

    Raises:
        StoreError: if it cannot be used, or was written by a newer netyard.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._lock = threading.RLock()
        # Held while SQLite works, and no longer.
        self._statement = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._is_closed = False
        self._for_fork: list[Any] = []
        self._times_opened = 0
        self._is_in_transaction = False
        # Why what the transaction has recorded so far is gone, if it is.
        self._loss: StoreError | None = None
        self._is_alone = False
        self.held_events = HeldEvents()
        # Networks are read the most: kept until another connection writes, or a transaction fails.
        self._networks: dict[str, NetworkRecord] = {}
        self._data_version = -1
        if not create and not path.exists():
            raise StoreError(f"there is no netyard state at {path}")
        try:
            self._migrate()
        except StoreError:
            self.close()
            raise
        _connections.add(self)

    def close(self) -> None:
        """Close the connection."""
        self._is_closed = True
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _db(self) -> sqlite3.Connection:
        """SQLite's connection, opened when it is first needed, again in a child after a fork."""
        if self._opened is None:
            if self._is_closed:
                raise StoreError(
                    f"the Host of {self._path.parent} is closed",
                    hint="open another, as Host(root=...)",
                )
            self._opened = _open(self._path)
            self._times_opened += 1
            self._data_version = -1
        return self._opened

    def _migrate(self) -> None:
        version = self._pragma("user_version")
        if version > VERSION:
            raise StoreError(
                f"the store {self._path} was written by a newer netyard (version {version}, this "
                f"one knows {VERSION})",
                hint=f"install that version, or use another --root; {LOST_HINT}",
            )
        if version == VERSION:
            return
        with self.transaction():
            # Another process may have done it while we waited for the lock.
            for number in range(self._pragma("user_version"), VERSION):
                for statement in _statements(MIGRATIONS[number]):
                    self._execute(statement)
            self._execute(f"PRAGMA user_version={VERSION}")

    def _pragma(self, name: str) -> int:
        return int(self._rows(f"PRAGMA {name}")[0][0])

    def _keep_room(self) -> None:
        """Where the disk is nearly full, have the journal's room back, for what is recorded next.

        What has been recorded is moved into the database, which has pages for most of it: so there
        is room to record that something has been removed.
        """
        try:
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < _LITTLE_ROOM:
                # A reader that is at work keeps it from being done, and is hardly waited for.
                self._rows(f"PRAGMA busy_timeout={_READER_MS}")
                self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
                self._rows(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000:.0f}")
        except (OSError, StoreError):
            # What cannot be recorded says so by itself.
            return

    # -- transactions -----------------------------------------------------------------------

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes meanwhile: `Root.change` holds the lock of the root."""
        with self._lock:
            self._forget_if_changed()
        self._keep_room()
        self._is_alone = True
        try:
            yield
        finally:
            self._is_alone = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; transactions inside one another are one.

        Raises:
            StoreError: if it cannot be begun or kept; then nothing of it is.
        """
        with self._lock:
            if self._is_in_transaction:
                yield
                return
            self._execute("BEGIN IMMEDIATE")
            self._is_in_transaction = True
            held = self.held_events.position()
            try:
                yield
                if self._loss is not None:
                    raise self._loss
                self._execute("COMMIT")
            except BaseException:
                self._networks.clear()
                self.held_events.cut(held)
                self._roll_back()
                raise
            finally:
                self._is_in_transaction, self._loss = False, None

    def _roll_back(self) -> None:
        # What has failed before is what the caller is told. SQLite may have rolled back itself.
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """All or nothing of a part of a transaction, which can go on without it.

        Unless the store fails so that all of the transaction is lost: then it ends with that.
        """
        with self._lock:
            self._execute("SAVEPOINT attempt")
            held = self.held_events.position()
            try:
                yield
            except BaseException:
                self._networks.clear()
                self.held_events.cut(held)
                if self._loss is None:
                    self._execute("ROLLBACK TO attempt")
                    self._execute("RELEASE attempt")
                raise
            self._execute("RELEASE attempt")

    def has_changed(self, seen: int) -> int | None:
        """The store's data version if another connection has written since ``seen``."""
        version = self._pragma("data_version")
        # Each connection of SQLite counts for itself.
        version += self._times_opened << 32
        return None if version == seen else version

    def _forget_if_changed(self) -> None:
        """Forget what was read before another connection's last commit."""
        version = self._pragma("data_version")
        if version != self._data_version:
            self._data_version = version
            self._networks.clear()

    # -- forks ------------------------------------------------------------------------------

    def _settle_before_fork(self) -> None:
        """Wait for transactions of other threads, and have nothing of SQLite in the child.

        SQLite forbids the use of a connection that a process has inherited, and where one is left
        in a transaction the child can only read.
        """
        for lock in (self._lock, self._statement):
            if lock.acquire(timeout=_FORK_SECONDS):
                self._for_fork.append(lock)
        is_at_rest = len(self._for_fork) == 2
        if is_at_rest and self._opened is not None and not self._opened.in_transaction:
            self._opened.close()
            self._opened = None

    def _go_on_after_fork(self) -> None:
        while self._for_fork:
            self._for_fork.pop().release()

    def _leave_to_parent(self) -> None:
        """In the child: an open transaction is the parent's, as is its connection."""
        if self._opened is not None:
            _inherited.append(self._opened)
            self._opened = None
        self._for_fork.clear()
        self._lock, self._statement = threading.RLock(), threading.Lock()
        self._is_in_transaction, self._loss, self._is_alone = False, None, False
        self.held_events.end()
        self._networks.clear()

    # -- statements, for the tables ---------------------------------------------------------

    def _execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            with self._lock, self._statement:
                return (self._opened or self._db).execute(sql, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _execute_each(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            with self._lock, self._statement:
                (self._opened or self._db).executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock, self._statement:
                return (self._opened or self._db).execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _each_row(self, sql: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """The same, read as they are needed."""
        try:
            yield from self._execute(sql, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> StoreError:
        failure = _explained(self._path, error)
        with suppress(sqlite3.Error):
            if self._is_in_transaction and not self._db.in_transaction:
                # A full disk, for one, makes SQLite roll back all of it. What is recorded from here
                # to the end of the transaction must not stay without what came before.
                self._loss = failure
                self._db.execute("BEGIN")
        return failure

    def _count(self, table: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM {table}")[0][0])

    def _insert(self, table: str, columns: str, values: Sequence[object]) -> None:
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)

    def _update(self, table: str, row_id: str, changes: Mapping[str, object]) -> None:
        settings = ", ".join(f"{column} = ?" for column in changes)
        self._execute(f"UPDATE {table} SET {settings} WHERE id = ?", (*changes.values(), row_id))

    def _find(self, table: str, columns: str, wanted: str) -> list[tuple[Any, ...]]:
        """Rows of what a user may mean: full id, else name, else id prefix (contract CV4)."""
        select = f"SELECT {columns} FROM {table} WHERE"
        exact = f"{select} id = ? UNION ALL {select} name = ?"
        rows = self._rows(exact, (wanted, wanted))
        if not rows and wanted and all(digit in "0123456789abcdef" for digit in wanted):
            prefix = f"{select} id >= ? AND id < ? LIMIT 2"
            return self._rows(prefix, (wanted, wanted + "g"))
        return rows[:1]


def _open(path: Path) -> sqlite3.Connection:
    try:
        made = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    try:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            made.execute(f"PRAGMA {pragma}").fetchall()
    except sqlite3.Error as error:
        made.close()
        raise _explained(path, error) from error
    return made


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
# Never closed: that would end the parent's transactions.
_inherited: list[sqlite3.Connection] = []


def _settle_all() -> None:
    for each in list(_connections):
        each._settle_before_fork()


def _go_on_in_parent() -> None:
    for each in list(_connections):
        each._go_on_after_fork()


def _leave_all_to_parent() -> None:
    for each in list(_connections):
        each._leave_to_parent()


os.register_at_fork(
    before=_settle_all, after_in_parent=_go_on_in_parent, after_in_child=_leave_all_to_parent
)


def _explained(path: Path, error: sqlite3.Error) -> StoreError:
    if isinstance(error, sqlite3.IntegrityError):
        return StoreError(f"the store {path} refuses what is to be recorded: {error}")
    said = str(error)
    # What SQLite calls operational (no room, no right) is not for lost.
    is_lost = type(error) is sqlite3.DatabaseError
    hint = LOST_HINT if is_lost else _ADVICE.get(said)
    return StoreError(f"the store {path} cannot be used: {said}", hint=hint)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one at a time: `executescript` would commit in between."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
