"""Pending steps, in the store: what a running container should have and cannot have now."""

from __future__ import annotations

from collections.abc import Mapping

from netyard.state.connection import Connection
from netyard.state.records import PendingKind, PendingStep


class PendingTable(Connection):
    """What is to be tried again, and why it could not be done."""

    def set_pending(self, container_id: str, kind: PendingKind, found: Mapping[str, str]) -> None:
        """Record what of a kind is pending for a container, in place of what was.

        Args:
            found: Reasons by subject.
        """
        before = {
            each.subject: each.reason for each in self.pending(container_id) if each.kind == kind
        }
        if before == found:
            # Nearly always: nothing is pending, and nothing was.
            return
        with self.transaction():
            where = "WHERE container_id = ? AND kind = ?"
            self._execute(f"DELETE FROM pending {where}", (container_id, kind))
            self._execute_each(
                "INSERT INTO pending (container_id, kind, subject, reason) VALUES (?, ?, ?, ?)",
                [(container_id, kind, subject, reason) for subject, reason in found.items()],
            )

    def forget_pending(self, container_id: str) -> None:
        """Nothing is pending for a container: it has ended."""
        self._execute("DELETE FROM pending WHERE container_id = ?", (container_id,))

    def pending(self, container_id: str | None = None) -> list[PendingStep]:
        """What is pending, for one container or for all."""
        where, values = ("WHERE container_id = ?", (container_id,)) if container_id else ("", ())
        rows = self._rows(
            f"SELECT container_id, kind, subject, reason FROM pending {where} "
            "ORDER BY container_id, kind, subject",
            values,
        )
        return [PendingStep._make(row) for row in rows]
