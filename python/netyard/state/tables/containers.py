"""Containers, in the store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netyard.state.connection import Connection
from netyard.state.records import ContainerRecord
from netyard.state.rows import RowCache

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from netyard.state.records import ContainerUpdate

# In the order of the record's fields.
_CONTAINER = (
    "id, name, kind, created, spec, donor_id, state, pid, pid_start, exit_code, started, finished, "
    "was_loopback_up, was_oom_killed, ids"
)


class ContainerTable(Connection):
    """Containers, run and adopted."""

    def __init__(self, path: Path, *, create: bool) -> None:
        super().__init__(path, create=create)
        self._container_of = RowCache(_container, partial(self._count, "containers"))

    def add_container(self, container: ContainerRecord) -> None:
        """Record a container."""
        self._insert("containers", _CONTAINER, container)

    def update_container(self, container_id: str, **changes: Unpack[ContainerUpdate]) -> None:
        """Change columns of a container."""
        columns: dict[str, object] = {**changes}
        if "spec" in changes:
            columns["spec"] = changes["spec"].to_json()
        self._update("containers", container_id, columns)

    def delete_container(self, container_id: str) -> None:
        """Forget a container, its endpoints, leases and publications."""
        self._execute("DELETE FROM containers WHERE id = ?", (container_id,))

    def containers(self) -> list[ContainerRecord]:
        """All containers, newest first."""
        return self._containers("ORDER BY created DESC, rowid DESC")

    def container(self, container_id: str) -> ContainerRecord | None:
        """One container by its full id."""
        found = self._containers("WHERE id = ?", container_id)
        return found[0] if found else None

    def find_container(self, wanted: str) -> list[ContainerRecord]:
        """Containers a user may mean (contract CV4)."""
        rows = self._find("containers", _CONTAINER, wanted)
        return [self._container_of(row) for row in rows]

    def joiners(self, donor_id: str) -> list[ContainerRecord]:
        """Containers that share another's network namespace."""
        return self._containers("WHERE donor_id = ?", donor_id)

    def id_maps(self) -> list[str]:
        """The ids of all containers that have their own, as `ContainerRecord.ids_json`."""
        rows = self._rows("SELECT DISTINCT ids FROM containers WHERE ids != ''")
        return [text for (text,) in rows]

    def _containers(self, where: str, *values: str) -> list[ContainerRecord]:
        rows = self._rows(f"SELECT {_CONTAINER} FROM containers {where}", values)
        return [self._container_of(row) for row in rows]


def _container(row: tuple[Any, ...]) -> ContainerRecord:
    *others, was_loopback_up, was_oom_killed, ids = row
    return ContainerRecord._make((*others, bool(was_loopback_up), bool(was_oom_killed), ids))
