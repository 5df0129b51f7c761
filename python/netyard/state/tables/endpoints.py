"""Endpoints and the addresses they have, in the store; which to give: `netyard.ipam`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netyard.state.connection import Connection
from netyard.state.records import EndpointRecord, EndpointState, Lease
from netyard.state.rows import RowCache, named, values_of
from netyard.values.named import NamedTuple
from netyard.values.parse import Address
from netyard.values.spec import ReadOnly

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from netyard.state.records import EndpointUpdate

_ENDPOINT = (
    "id, network_id, container_id, position, ifname, host_ifname, mac, ip4, ip6, aliases, state, "
    "gw_priority, link_local, options, links, lease, is_unheard_of"
)


_UP: EndpointState = "up"


class PoolMarks(NamedTuple):
    """How far a pool has been given out.

    Attributes:
        next_free: The number below which no dynamic address is free.
        highest_given: The highest number that has been given to an endpoint so far.
    """

    next_free: int
    highest_given: int

    def given(self, number: int) -> PoolMarks:
        """The marks once a number has been given."""
        return self._replace(highest_given=max(number, self.highest_given))


class EndpointTable(Connection):
    """Endpoints, up or not; their leased addresses, and how far each pool has been given out."""

    def __init__(self, path: Path, *, create: bool) -> None:
        super().__init__(path, create=create)
        self._endpoint_of = RowCache(_endpoint, partial(self._count, "endpoints"))

    def add_endpoint(self, endpoint: EndpointRecord) -> None:
        """Record an endpoint."""
        values = named(_ENDPOINT, values_of(endpoint, _ENDPOINT))
        for column in ("aliases", "link_local", "options", "links"):
            values[column] = json.dumps(values[column])
        values["lease"] = _lease_text(endpoint.lease)
        self._insert("endpoints", _ENDPOINT, tuple(values.values()))

    def update_endpoint(self, endpoint_id: str, **changes: Unpack[EndpointUpdate]) -> None:
        """Change columns of an endpoint."""
        columns: dict[str, object] = {**changes}
        if "lease" in changes:
            columns["lease"] = _lease_text(changes["lease"])
        self._update("endpoints", endpoint_id, columns)

    def set_endpoint_states(self, endpoint_ids: Iterable[str], state: EndpointState) -> None:
        """Record how far several endpoints are."""
        self._execute_each(
            f"UPDATE endpoints SET state = ?1, is_unheard_of = is_unheard_of AND ?1 <> '{_UP}' "
            "WHERE id = ?2",
            [(state, endpoint_id) for endpoint_id in endpoint_ids],
        )

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Forget an endpoint, its leases and publications."""
        self._execute("DELETE FROM endpoints WHERE id = ?", (endpoint_id,))

    def endpoints(self) -> list[EndpointRecord]:
        """All endpoints."""
        return self._endpoints("ORDER BY container_id, position")

    def endpoint(self, endpoint_id: str) -> EndpointRecord | None:
        """One endpoint by its id."""
        found = self._endpoints("WHERE id = ?", endpoint_id)
        return found[0] if found else None

    def endpoints_of(self, container_id: str) -> list[EndpointRecord]:
        """A container's endpoints in the order of its interfaces."""
        return self._endpoints("WHERE container_id = ? ORDER BY position", container_id)

    def endpoints_on(self, network_id: str) -> list[EndpointRecord]:
        """A network's endpoints."""
        return self._endpoints("WHERE network_id = ? ORDER BY rowid", network_id)

    def endpoint_between(self, network_id: str, container_id: str) -> EndpointRecord | None:
        """The endpoint of a container on a network."""
        where = "WHERE network_id = ? AND container_id = ?"
        found = self._endpoints(where, network_id, container_id)
        return found[0] if found else None

    def _endpoints(self, where: str, *values: str) -> list[EndpointRecord]:
        rows = self._rows(f"SELECT {_ENDPOINT} FROM endpoints {where}", values)
        return [self._endpoint_of(row) for row in rows]

    def mac_holder(self, network_id: str, mac: str) -> str | None:
        """The name of the container that has a MAC address on a network."""
        rows = self._rows(
            "SELECT containers.name FROM endpoints JOIN containers ON containers.id = container_id "
            "WHERE network_id = ? AND mac = ?",
            (network_id, mac),
        )
        return rows[0][0] if rows else None

    # -- leases -----------------------------------------------------------------------------

    def pool_marks(self, network_id: str, position: int) -> PoolMarks:
        """How far a pool has been given out."""
        rows = self._rows(
            "SELECT next_free, highest_given FROM pools WHERE network_id = ? AND position = ?",
            (network_id, position),
        )
        next_free, highest_given = rows[0]
        return PoolMarks(int(next_free, 16), int(highest_given, 16))

    def set_pool_marks(self, network_id: str, position: int, marks: PoolMarks) -> None:
        """Move them."""
        self._execute(
            "UPDATE pools SET next_free = ?, highest_given = ? "
            "WHERE network_id = ? AND position = ?",
            (f"{marks.next_free:032x}", f"{marks.highest_given:032x}", network_id, position),
        )

    def leased_from(self, network_id: str, first: Address) -> Iterator[int]:
        """Leased numbers of a family from an address on, ascending, read as they are needed."""
        rows = self._each_row(
            "SELECT address FROM leases WHERE network_id = ? AND address >= ? AND address < ? "
            "ORDER BY address",
            (network_id, _lease_key(first), f"{first.version}g"),
        )
        for (address,) in rows:
            yield int(address[1:], 16)

    def lease_holder(self, network_id: str, address: Address) -> str | None:
        """Who has an address: a container's name."""
        rows = self._rows(
            "SELECT containers.name FROM leases JOIN endpoints ON endpoints.id = endpoint_id "
            "JOIN containers ON containers.id = container_id "
            "WHERE leases.network_id = ? AND leases.address = ?",
            (network_id, _lease_key(address)),
        )
        return rows[0][0] if rows else None

    def add_lease(self, network_id: str, address: Address, endpoint_id: str) -> None:
        """Record that an endpoint has an address."""
        columns = "network_id, address, endpoint_id"
        self._insert("leases", columns, (network_id, _lease_key(address), endpoint_id))

    def delete_leases(self, endpoint_id: str) -> None:
        """Forget which addresses an endpoint has."""
        self._execute("DELETE FROM leases WHERE endpoint_id = ?", (endpoint_id,))


def _endpoint(row: tuple[Any, ...]) -> EndpointRecord:
    values = named(_ENDPOINT, row)
    for column in ("aliases", "link_local", "links"):
        # Nearly always empty, and read for every endpoint.
        text = values[column]
        values[column] = _tuples(json.loads(text)) if text != "[]" else ()
    values["options"] = ReadOnly(json.loads(values["options"]))
    values["is_unheard_of"] = bool(values["is_unheard_of"])
    values["lease"] = Lease(**json.loads(values["lease"])) if values["lease"] else None
    return EndpointRecord(**values)


def _lease_text(lease: Lease | None) -> str:
    return lease.to_json() if lease else ""


def _tuples(found: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(each) if isinstance(each, list) else each for each in found)


def _lease_key(address: Address) -> str:
    """An address as text that sorts as its number does."""
    return f"{address.version}{int(address):032x}"
