"""The store of a root: all its tables over one connection, notes, and what was left half-way.

SQL is in `netyard.state.tables` and here, and nowhere else; transactions are in
`netyard.state.connection`.
"""

from __future__ import annotations

from collections.abc import Sequence

from netyard.errors import StoreError
from netyard.state.records import (
    Attachment,
    ContainerState,
    EndpointRecord,
    EndpointState,
    NetworkState,
)
from netyard.state.tables.containers import ContainerTable
from netyard.state.tables.endpoints import EndpointTable
from netyard.state.tables.events import EventTable
from netyard.state.tables.networks import NetworkTable
from netyard.state.tables.pending import PendingTable
from netyard.state.tables.publications import PublicationTable
from netyard.values.named import NamedTuple

_PUBLISHING = "publishing"
# In the order of the indices that find them; see `netyard.state.schema`.
_NETWORKS: tuple[NetworkState, ...] = ("making", "removing")
_CONTAINERS: tuple[ContainerState, ...] = ("starting", "removing")
_ENDPOINTS: tuple[EndpointState, ...] = ("attaching", "detaching")


def _one_of(states: Sequence[str]) -> str:
    return "({})".format(", ".join(f"'{state}'" for state in states))


_UNFINISHED = (
    f"SELECT 'network', id FROM networks WHERE state IN {_one_of(_NETWORKS)} "
    f"UNION ALL SELECT 'container', id FROM containers WHERE state IN {_one_of(_CONTAINERS)} "
    f"UNION ALL SELECT 'endpoint', id FROM endpoints WHERE state IN {_one_of(_ENDPOINTS)} "
    "UNION ALL SELECT DISTINCT 'ending', container_id FROM publications WHERE is_ending "
    "UNION ALL SELECT 'publishing', value FROM meta WHERE key = ? "
    "UNION ALL SELECT DISTINCT 'pending', container_id FROM pending"
)


class Unfinished(NamedTuple):
    """Ids of what a killed operation has left half-way.

    Attributes:
        ending: Containers with ports that are on their way out of the firewall.
        publishing: Containers with ports that are on their way into it.
        pending: Containers that lack what could not be done: see `PendingStep`.
    """

    networks: list[str]
    containers: list[str]
    endpoints: list[str]
    ending: list[str]
    publishing: list[str]
    pending: list[str]


class Store(
    NetworkTable, ContainerTable, EndpointTable, PublicationTable, PendingTable, EventTable
):
    """What should exist, as netyard keeps it between commands."""

    # -- endpoints with their networks ------------------------------------------------------

    def attachments_of(self, container_id: str) -> list[Attachment]:
        """A container's endpoints in the order of its interfaces, each with its network.

        Without those that have gone while they were read.
        """
        return [
            Attachment(endpoint, network)
            for endpoint in self.endpoints_of(container_id)
            if (network := self.network(endpoint.network_id)) is not None
        ]

    def attachment(self, endpoint: EndpointRecord) -> Attachment:
        """An endpoint with its network, which is there for as long as the endpoint is.

        Raises:
            StoreError: if the endpoint has been deleted, and its network after it.
        """
        network = self.network(endpoint.network_id)
        if network is None:
            raise StoreError(f"the network of interface {endpoint.ifname!r} is gone")
        return Attachment(endpoint, network)

    # -- what netyard notes for itself ------------------------------------------------------

    def read_meta(self, key: str) -> str | None:
        """A setting of netyard's own."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def write_meta(self, key: str, value: str | None) -> None:
        """Set or, with ``None``, delete a setting."""
        if value is None:
            self._execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def note_publishing(self, container_id: str | None) -> None:
        """Record whose ports are on their way into the firewall; ``None`` once they are there."""
        self.write_meta(_PUBLISHING, container_id)

    # -- what was interrupted ---------------------------------------------------------------

    def unfinished(self) -> Unfinished:
        """What a killed operation has left half-way."""
        rows = self._rows(_UNFINISHED, (_PUBLISHING,))
        kinds = ("network", "container", "endpoint", "ending", "publishing", "pending")
        found: dict[str, list[str]] = {kind: [] for kind in kinds}
        for kind, row_id in rows:
            found[kind].append(row_id)
        return Unfinished(*found.values())
