"""Publications, in the store: which ports of the host lead to which container.

Ports in a row are kept as one row of the table, and are cut up when only some of them go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from netyard.state.connection import Connection
from netyard.state.records import MOST_IN_A_ROW, PortAccess, Publication
from netyard.state.rows import named, values_of

_PUBLICATION = (
    "family, protocol, host_port, host_ip, container_id, endpoint_id, address, container_port, "
    "is_ending, access, length"
)
_KEY = "family, protocol, host_port, host_ip, address, container_port"
_SAME = " AND ".join(f"{column} = ?" for column in _KEY.split(", "))

_ROUTED: PortAccess = "routed"


class PublicationTable(Connection):
    """Published ports in force."""

    def add_publications(self, publications: Iterable[Publication]) -> None:
        """Record published ports."""
        marks = ", ".join("?" * len(_PUBLICATION.split(", ")))
        self._execute_each(
            f"INSERT INTO publications ({_PUBLICATION}) VALUES ({marks})",
            [values_of(publication, _PUBLICATION) for publication in publications],
        )

    def separate(self, parts: Iterable[Publication]) -> list[Publication]:
        """Publications of exactly these ports, cut out of larger ones where they are part of them.

        Those that are no longer published are left out.
        """
        found = []
        for part in parts:
            around = self._around(part)
            if around is None:
                continue
            found.append(part._replace(is_ending=around.is_ending))
            if around.length == part.length:
                continue
            before = part.container_port - around.container_port
            after = around.length - before - part.length
            behind = part.container_port + part.length
            rest = [around.part(around.container_port, before), around.part(behind, after)]
            self.delete_publications([around])
            self.add_publications([found[-1], *(each for each in rest if each.length)])
        return found

    def _around(self, part: Publication) -> Publication | None:
        """The publication that these ports are all or some of."""
        key = values_of(part, _KEY)
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE {_SAME} AND length >= ?",
            (*key, part.length),
        )
        # Those that are not translated are never several in a row.
        if rows or not part.host_port:
            return _publication(rows[0]) if rows else None
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE family = ? AND protocol = ? "
            "AND host_port BETWEEN ? AND ? AND host_port + length >= ? AND host_ip = ? "
            "AND address = ? AND container_port - host_port = ?",
            (
                part.family,
                part.protocol,
                part.host_port - MOST_IN_A_ROW,
                part.host_port,
                part.host_port + part.length,
                part.host_ip,
                part.address,
                part.container_port - part.host_port,
            ),
        )
        return _publication(rows[0]) if rows else None

    def end_publications(self, publications: Iterable[Publication]) -> None:
        """Record that published ports are on their way out."""
        self._execute_each(
            f"UPDATE publications SET is_ending = 1 WHERE {_SAME}",
            [values_of(publication, _KEY) for publication in publications],
        )

    def delete_publications(self, publications: Iterable[Publication]) -> None:
        """Forget published ports."""
        self._execute_each(
            f"DELETE FROM publications WHERE {_SAME}",
            [values_of(publication, _KEY) for publication in publications],
        )

    def publications(self, container_id: str | None = None) -> list[Publication]:
        """Published ports in force, of one container or of all."""
        where, values = ("WHERE container_id = ?", (container_id,)) if container_id else ("", ())
        rows = self._rows(f"SELECT {_PUBLICATION} FROM publications {where}", values)
        return [_publication(row) for row in rows]

    def publications_inside(
        self, container_id: str, protocol: str, first: int, count: int = 1
    ) -> list[Publication]:
        """Those of which some lead to one of so many ports of a container."""
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE container_id = ? AND protocol = ? "
            "AND container_port BETWEEN ? AND ? AND container_port + length > ?",
            (container_id, protocol, first - MOST_IN_A_ROW, first + count - 1, first),
        )
        return [_publication(row) for row in rows]

    def routed_publications(
        self, container_id: str, protocol: str, first: int, count: int = 1
    ) -> list[Publication]:
        """What of so many ports of a container is open on routed networks."""
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE access = '{_ROUTED}' "
            "AND container_id = ? AND protocol = ? AND container_port BETWEEN ? AND ?",
            (container_id, protocol, first, first + count - 1),
        )
        return [_publication(row) for row in rows]

    def publications_to(self, container_id: str, address: str, most: int) -> list[Publication]:
        """Those that lead to one address of a container, not more than so many."""
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications "
            f"WHERE container_id = ? AND address = ? AND access <> '{_ROUTED}' LIMIT ?",
            (container_id, address, most),
        )
        return [_publication(row) for row in rows]

    def has_publications(self, container_id: str) -> bool:
        """Whether a container has any published port."""
        query = "SELECT 1 FROM publications WHERE container_id = ? LIMIT 1"
        return bool(self._rows(query, (container_id,)))

    def publications_at(
        self, families: Sequence[int], protocol: str, first: int, count: int = 1
    ) -> list[Publication]:
        """Those of which some are at one of so many ports of the host, on any address."""
        marks = ", ".join("?" * len(families))
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE family IN ({marks}) AND protocol = ? "
            "AND host_port BETWEEN ? AND ? AND host_port + length > ?",
            (*families, protocol, first - MOST_IN_A_ROW, first + count - 1, first),
        )
        return [_publication(row) for row in rows]


def _publication(row: tuple[Any, ...]) -> Publication:
    return Publication(**named(_PUBLICATION, row))
