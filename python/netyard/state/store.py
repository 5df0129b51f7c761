"""The store's transactions, and typed rows in and out. SQL lives here and nowhere else."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from netyard.errors import StoreError
from netyard.state.records import (
    MOST_IN_A_ROW,
    Attachment,
    ContainerRecord,
    EndpointRecord,
    Lease,
    NetworkRecord,
    Publication,
)
from netyard.state.row_cache import RowCache
from netyard.state.schema import MIGRATIONS, VERSION
from netyard.values.parse import Address, parse_subnet
from netyard.values.pool import Pool

_BUSY_SECONDS = 30.0
_NETWORK = (
    "id, name, driver, created, is_builtin, is_internal, is_attachable, has_ipv4, has_ipv6, "
    "options, labels, bridge, state, is_config_only, config_from, ipam_driver, ipam_options, "
    "is_foreign, vni, underlay"
)
_CONTAINER = (
    "id, name, kind, created, spec, donor_id, state, pid, pid_start, exit_code, started, finished, "
    "was_loopback_up"
)
_ENDPOINT = (
    "id, network_id, container_id, position, ifname, host_ifname, mac, ip4, ip6, aliases, state, "
    "gw_priority, link_local, options, links, lease, is_unheard_of"
)
_PUBLICATION = (
    "family, protocol, host_port, host_ip, container_id, endpoint_id, address, container_port, "
    "is_ending, access, length"
)
_PUBLICATION_KEY = "family, protocol, host_port, host_ip, address, container_port"
_SAME_PUBLICATION = " AND ".join(f"{column} = ?" for column in _PUBLICATION_KEY.split(", "))
_NETWORK_FLAGS = (
    "is_builtin is_internal is_attachable has_ipv4 has_ipv6 is_config_only is_foreign".split()
)
_EVENTS_KEPT = 10_000
_PUBLISHING = "publishing"
_LOST_HINT = "`netyard repair --from-kernel` shows what there is of it, and takes it away"


def lease_key(address: Address) -> str:
    """An address as text that sorts as its number does."""
    return f"{address.version}{int(address):032x}"


class Unfinished(NamedTuple):
    """Ids of what a killed operation has left half-way.

    Attributes:
        ending: Containers with ports that are on their way out of the firewall.
        publishing: Containers with ports that are on their way into it.
    """

    networks: list[str]
    containers: list[str]
    endpoints: list[str]
    ending: list[str]
    publishing: list[str]


class Store:
    """One connection to the store of a root, usable from any thread, one at a time."""

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self._is_alone = False
        self._networks: dict[str, NetworkRecord] = {}
        self._data_version = -1
        self._network_of = RowCache(_network, partial(self._count, "networks"))
        self._pool_of = RowCache(_pool, partial(self._count, "pools"))
        self._container_of = RowCache(_container, partial(self._count, "containers"))
        self._endpoint_of = RowCache(_endpoint, partial(self._count, "endpoints"))
        if not create and not path.exists():
            raise StoreError(f"there is no netyard state at {path}")
        try:
            self._db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}").close()
            self._migrate()
        except sqlite3.Error as error:
            # What SQLite calls operational (no room, no right) is not for lost.
            hint = None if isinstance(error, sqlite3.OperationalError) else _LOST_HINT
            raise StoreError(f"the store {path} cannot be used: {error}", hint=hint) from error

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            self._db.close()
            raise StoreError(
                f"the store {self._path} was written by a newer netyard (version {version}, this "
                f"one knows {VERSION})",
                hint=f"install that version, or use another --root; {_LOST_HINT}",
            )
        if version == VERSION:
            return
        with self.transaction():
            # Another process may have done it while we waited for the lock.
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            for number in range(version, VERSION):
                for statement in _statements(MIGRATIONS[number]):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={VERSION}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes meanwhile: `Host.change` holds the lock of the root."""
        with self._lock:
            self._forget_if_changed()
        self._is_alone = True
        try:
            yield
        finally:
            self._is_alone = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; transactions inside one another are one."""
        with self._lock:
            if self._depth:
                yield
                return
            self._execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:
                self._networks.clear()
                self._db.execute("ROLLBACK")
                raise
            else:
                self._execute("COMMIT")
            finally:
                self._depth = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """All or nothing of a part of a transaction, which can go on without it."""
        with self._lock:
            self._execute("SAVEPOINT attempt")
            try:
                yield
            except BaseException:
                self._networks.clear()
                self._execute("ROLLBACK TO attempt")
                raise
            finally:
                self._execute("RELEASE attempt")

    def _execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _execute_each(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            with self._lock:
                self._db.executemany(sql, rows)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.DatabaseError) -> StoreError:
        if isinstance(error, sqlite3.OperationalError):
            return StoreError(f"the store {self._path} cannot be used: {error}")
        return StoreError(f"the store {self._path} is damaged: {error}", hint=_LOST_HINT)

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return self._execute(sql, values).fetchall()

    def _count(self, table: str) -> int:
        return int(str(self._rows(f"SELECT count(*) FROM {table}")[0][0]))

    def _insert(self, table: str, columns: str, values: Sequence[object]) -> None:
        marks = ", ".join("?" * len(values))
        with self._lock:
            self._execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)

    # -- settings ---------------------------------------------------------------------------

    def read_meta(self, key: str) -> str | None:
        """A setting of netyard's own."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def write_meta(self, key: str, value: str | None) -> None:
        """Set or, with ``None``, delete a setting."""
        with self._lock:
            if value is None:
                self._execute("DELETE FROM meta WHERE key = ?", (key,))
            else:
                self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # -- networks ---------------------------------------------------------------------------

    def add_network(self, network: NetworkRecord) -> None:
        """Record a network and its pools."""
        self._insert("networks", _NETWORK, _network_values(network))
        for position, pool in enumerate(network.pools):
            self._insert(
                "pools",
                "network_id, position, subnet, ip_range, gateway, auxiliary, next_free, "
                "highest_given",
                (
                    network.id,
                    position,
                    str(pool.subnet),
                    str(pool.ip_range) if pool.ip_range else None,
                    str(pool.gateway) if pool.gateway else None,
                    json.dumps({name: str(address) for name, address in pool.auxiliary}),
                    f"{pool.first_dynamic():032x}",
                    f"{0:032x}",
                ),
            )

    def set_network_state(self, network_id: str, state: str) -> None:
        """Record how far a network is."""
        with self._lock:
            self._networks.pop(network_id, None)
            self._execute("UPDATE networks SET state = ? WHERE id = ?", (state, network_id))

    def delete_network(self, network_id: str) -> None:
        """Forget a network, its pools and leases."""
        with self._lock:
            self._networks.pop(network_id, None)
            self._execute("DELETE FROM networks WHERE id = ?", (network_id,))

    def networks(self) -> list[NetworkRecord]:
        """All networks, by name."""
        pools = self._pools()
        rows = self._rows(f"SELECT {_NETWORK} FROM networks ORDER BY name")
        return [self._network_of(row, pools.get(str(row[0]), ())) for row in rows]

    def network(self, network_id: str) -> NetworkRecord | None:
        """One network by its full id."""
        with self._lock:
            known = self._cached_network(network_id)
            if known is None:
                rows = self._rows(f"SELECT {_NETWORK} FROM networks WHERE id = ?", (network_id,))
                if not rows:
                    return None
                known = self._network_of(rows[0], self._pools(network_id).get(network_id, ()))
                self._networks[network_id] = known
            return known

    def _cached_network(self, network_id: str) -> NetworkRecord | None:
        """A network read before, unless another connection has written since."""
        if not self._is_alone:
            self._forget_if_changed()
        return self._networks.get(network_id)

    def _forget_if_changed(self) -> None:
        """Forget what was read before another connection's last commit."""
        (version,) = self._execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self._networks.clear()

    def has_network_named(self, name: str) -> bool:
        """Whether a network of exactly this name exists."""
        return bool(self._rows("SELECT 1 FROM networks WHERE name = ?", (name,)))

    def holder_of_bridge(self, device: str) -> str | None:
        """The name of the network that has a bridge."""
        rows = self._rows("SELECT name FROM networks WHERE bridge = ?", (device,))
        return str(rows[0][0]) if rows else None

    def find_network(self, wanted: str) -> list[NetworkRecord]:
        """Networks a user may mean: full id, else name, else id prefix (contract CV4)."""
        ids = self._find("networks", wanted)
        found = (self.network(network_id) for network_id in ids)
        return [network for network in found if network is not None]

    def _find(self, table: str, wanted: str) -> list[str]:
        by_id, by_name = (f"SELECT id FROM {table} WHERE {key} = ?" for key in ("id", "name"))
        exact = f"{by_id} UNION ALL {by_name}"
        rows = self._rows(exact, (wanted, wanted))
        if not rows and wanted and all(digit in "0123456789abcdef" for digit in wanted):
            prefix = f"SELECT id FROM {table} WHERE id >= ? AND id < ? LIMIT 2"
            return [str(row[0]) for row in self._rows(prefix, (wanted, wanted + "g"))]
        return [str(row[0]) for row in rows[:1]]

    def _pools(self, network_id: str | None = None) -> dict[str, tuple[Pool, ...]]:
        where, values = ("WHERE network_id = ?", (network_id,)) if network_id else ("", ())
        rows = self._rows(
            "SELECT network_id, subnet, ip_range, gateway, auxiliary FROM pools "
            f"{where} ORDER BY network_id, position",
            values,
        )
        pools: dict[str, tuple[Pool, ...]] = {}
        for owner, *row in rows:
            pools[str(owner)] = (*pools.get(str(owner), ()), self._pool_of(tuple(row)))
        return pools

    # -- leases -----------------------------------------------------------------------------

    def next_free(self, network_id: str, position: int) -> int:
        """The number below which no dynamic address of a pool is free."""
        rows = self._rows(
            "SELECT next_free FROM pools WHERE network_id = ? AND position = ?",
            (network_id, position),
        )
        return int(str(rows[0][0]), 16)

    def note_given(self, network_id: str, position: int, number: int) -> bool:
        """Note that an address of a pool is somebody's; whether it may have been before."""
        with self._lock:
            cursor = self._execute(
                "UPDATE pools SET highest_given = ? "
                "WHERE network_id = ? AND position = ? AND highest_given < ?",
                (f"{number:032x}", network_id, position, f"{number:032x}"),
            )
            return cursor.rowcount == 0

    def set_next_free(self, network_id: str, position: int, number: int) -> None:
        """Move that number."""
        with self._lock:
            self._execute(
                "UPDATE pools SET next_free = ? WHERE network_id = ? AND position = ?",
                (f"{number:032x}", network_id, position),
            )

    def leased_from(self, network_id: str, first: Address) -> Iterator[int]:
        """Leased numbers of a family from an address on, ascending, read as they are needed."""
        cursor = self._execute(
            "SELECT address FROM leases WHERE network_id = ? AND address >= ? AND address < ? "
            "ORDER BY address",
            (network_id, lease_key(first), f"{first.version}g"),
        )
        for (address,) in cursor:
            yield int(address[1:], 16)

    def lease_holder(self, network_id: str, address: Address) -> str | None:
        """Who has an address: a container's name."""
        rows = self._rows(
            "SELECT containers.name FROM leases JOIN endpoints ON endpoints.id = endpoint_id "
            "JOIN containers ON containers.id = container_id "
            "WHERE leases.network_id = ? AND leases.address = ?",
            (network_id, lease_key(address)),
        )
        return str(rows[0][0]) if rows else None

    def add_lease(self, network_id: str, address: Address, endpoint_id: str) -> None:
        """Record that an endpoint has an address."""
        self._insert(
            "leases",
            "network_id, address, endpoint_id",
            (network_id, lease_key(address), endpoint_id),
        )

    def delete_leases(self, endpoint_id: str) -> None:
        """Forget which addresses an endpoint has."""
        with self._lock:
            self._execute("DELETE FROM leases WHERE endpoint_id = ?", (endpoint_id,))

    # -- containers -------------------------------------------------------------------------

    def add_container(self, container: ContainerRecord) -> None:
        """Record a container."""
        self._insert("containers", _CONTAINER, container)

    def update_container(self, container_id: str, **changes: object) -> None:
        """Change columns of a container."""
        self._update("containers", container_id, changes)

    def _update(self, table: str, row_id: str, changes: Mapping[str, object]) -> None:
        settings = ", ".join(f"{column} = ?" for column in changes)
        with self._lock:
            self._execute(
                f"UPDATE {table} SET {settings} WHERE id = ?", (*changes.values(), row_id)
            )

    def delete_container(self, container_id: str) -> None:
        """Forget a container, its endpoints, leases and publications."""
        with self._lock:
            self._execute("DELETE FROM containers WHERE id = ?", (container_id,))

    def containers(self) -> list[ContainerRecord]:
        """All containers, newest first."""
        rows = self._rows(f"SELECT {_CONTAINER} FROM containers ORDER BY created DESC, rowid DESC")
        return [self._container_of(row) for row in rows]

    def container(self, container_id: str) -> ContainerRecord | None:
        """One container by its full id."""
        rows = self._rows(f"SELECT {_CONTAINER} FROM containers WHERE id = ?", (container_id,))
        return self._container_of(rows[0]) if rows else None

    def find_container(self, wanted: str) -> list[ContainerRecord]:
        """Containers a user may mean (contract CV4)."""
        found = (self.container(container_id) for container_id in self._find("containers", wanted))
        return [container for container in found if container is not None]

    def joiners(self, donor_id: str) -> list[ContainerRecord]:
        """Containers that share another's network namespace."""
        rows = self._rows(f"SELECT {_CONTAINER} FROM containers WHERE donor_id = ?", (donor_id,))
        return [self._container_of(row) for row in rows]

    # -- endpoints --------------------------------------------------------------------------

    def add_endpoint(self, endpoint: EndpointRecord) -> None:
        """Record an endpoint."""
        values = _named(_ENDPOINT, _values(endpoint, _ENDPOINT))
        for column in ("aliases", "link_local", "options", "links"):
            values[column] = json.dumps(values[column])
        values["lease"] = endpoint.lease.to_json() if endpoint.lease else ""
        self._insert("endpoints", _ENDPOINT, tuple(values.values()))

    def update_endpoint(self, endpoint_id: str, **changes: object) -> None:
        """Change columns of an endpoint."""
        self._update("endpoints", endpoint_id, changes)

    def set_endpoint_states(self, endpoint_ids: Iterable[str], state: str) -> None:
        """Record how far several endpoints are."""
        self._execute_each(
            "UPDATE endpoints SET state = ?1, is_unheard_of = is_unheard_of AND ?1 <> 'up' "
            "WHERE id = ?2",
            [(state, endpoint_id) for endpoint_id in endpoint_ids],
        )

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Forget an endpoint, its leases and publications."""
        with self._lock:
            self._execute("DELETE FROM endpoints WHERE id = ?", (endpoint_id,))

    def endpoints_of(self, container_id: str) -> list[EndpointRecord]:
        """A container's endpoints in the order of its interfaces."""
        return self._endpoints("WHERE container_id = ? ORDER BY position", container_id)

    def attachments_of(self, container_id: str) -> list[Attachment]:
        """The same with their networks; without those that have gone while they were read."""
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

    def endpoints_on(self, network_id: str) -> list[EndpointRecord]:
        """A network's endpoints."""
        return self._endpoints("WHERE network_id = ? ORDER BY rowid", network_id)

    def endpoints(self) -> list[EndpointRecord]:
        """All endpoints."""
        return self._endpoints("ORDER BY container_id, position")

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
        return str(rows[0][0]) if rows else None

    # -- publications -----------------------------------------------------------------------

    def add_publications(self, publications: Iterable[Publication]) -> None:
        """Record published ports."""
        marks = ", ".join("?" * len(_PUBLICATION.split(", ")))
        self._execute_each(
            f"INSERT INTO publications ({_PUBLICATION}) VALUES ({marks})",
            [_values(publication, _PUBLICATION) for publication in publications],
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
        key = _values(part, _PUBLICATION_KEY)
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE {_SAME_PUBLICATION} AND length >= ?",
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
            f"UPDATE publications SET is_ending = 1 WHERE {_SAME_PUBLICATION}",
            [_values(publication, _PUBLICATION_KEY) for publication in publications],
        )

    def delete_publications(self, publications: Iterable[Publication]) -> None:
        """Forget published ports."""
        self._execute_each(
            f"DELETE FROM publications WHERE {_SAME_PUBLICATION}",
            [_values(publication, _PUBLICATION_KEY) for publication in publications],
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
            f"SELECT {_PUBLICATION} FROM publications WHERE access = 'routed' "
            "AND container_id = ? AND protocol = ? AND container_port BETWEEN ? AND ?",
            (container_id, protocol, first, first + count - 1),
        )
        return [_publication(row) for row in rows]

    def publications_to(self, container_id: str, address: str, most: int) -> list[Publication]:
        """Those that lead to one address of a container, not more than so many."""
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications "
            "WHERE container_id = ? AND address = ? AND access <> 'routed' LIMIT ?",
            (container_id, address, most),
        )
        return [_publication(row) for row in rows]

    def has_publications(self, container_id: str) -> bool:
        """Whether a container has any published port."""
        query = "SELECT 1 FROM publications WHERE container_id = ? LIMIT 1"
        return bool(self._rows(query, (container_id,)))

    def publications_at(
        self, family: int, protocol: str, first: int, count: int = 1
    ) -> list[Publication]:
        """Those of which some are at one of so many ports of the host, on any address."""
        rows = self._rows(
            f"SELECT {_PUBLICATION} FROM publications WHERE family = ? AND protocol = ? "
            "AND host_port BETWEEN ? AND ? AND host_port + length > ?",
            (family, protocol, first - MOST_IN_A_ROW, first + count - 1, first),
        )
        return [_publication(row) for row in rows]

    # -- events -----------------------------------------------------------------------------

    def add_event(self, time_ns: int, body: str) -> None:
        """Record that something happened; the oldest of very many are forgotten."""
        with self._lock:
            cursor = self._execute(
                "INSERT INTO events (time_ns, body) VALUES (?, ?)", (time_ns, body)
            )
            number = cursor.lastrowid or 0
            if number % 1000 == 0:
                self._execute("DELETE FROM events WHERE id <= ?", (number - _EVENTS_KEPT,))

    def events_after(self, number: int) -> list[tuple[int, int, str]]:
        """Number, time and body of events after one."""
        rows = self._rows(
            "SELECT id, time_ns, body FROM events WHERE id > ? ORDER BY id", (number,)
        )
        return [(int(str(row[0])), int(str(row[1])), str(row[2])) for row in rows]

    def last_event(self) -> int:
        """The number of the latest event, 0 if there was none."""
        return int(str(self._rows("SELECT coalesce(max(id), 0) FROM events")[0][0]))

    def has_changed(self, seen: int) -> int | None:
        """The store's data version if another connection has written since ``seen``."""
        with self._lock:
            (version,) = self._execute("PRAGMA data_version").fetchone()
        return None if version == seen else int(version)

    # -- what was interrupted ---------------------------------------------------------------

    def unfinished(self) -> Unfinished:
        """What a killed operation has left half-way."""
        rows = self._rows(
            "SELECT 'network', id FROM networks WHERE state IN ('making', 'removing') UNION ALL "
            "SELECT 'container', id FROM containers "
            "WHERE state IN ('making', 'starting', 'removing') UNION ALL "
            "SELECT 'endpoint', id FROM endpoints WHERE state IN ('attaching', 'detaching') "
            "UNION ALL SELECT DISTINCT 'ending', container_id FROM publications WHERE is_ending "
            "UNION ALL SELECT 'publishing', value FROM meta WHERE key = ?",
            (_PUBLISHING,),
        )
        kinds = ("network", "container", "endpoint", "ending", "publishing")
        found: dict[object, list[str]] = {kind: [] for kind in kinds}
        for kind, row_id in rows:
            found[kind].append(str(row_id))
        return Unfinished(*found.values())

    def note_publishing(self, container_id: str | None) -> None:
        """Record whose ports are on their way into the firewall; ``None`` once they are there."""
        self.write_meta(_PUBLISHING, container_id)

    def endpoint(self, endpoint_id: str) -> EndpointRecord | None:
        """One endpoint by its id."""
        found = self._endpoints("WHERE id = ?", endpoint_id)
        return found[0] if found else None


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one at a time: `executescript` would commit in between."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _named(columns: str, row: Sequence[object]) -> dict[str, object]:
    return dict(zip(columns.split(", "), row, strict=True))


def _values(record: object, columns: str) -> tuple[object, ...]:
    return tuple(getattr(record, column) for column in columns.split(", "))


def _network_values(network: NetworkRecord) -> tuple[object, ...]:
    values = _named(_NETWORK, _values(network, _NETWORK))
    for column in ("options", "labels", "ipam_options"):
        values[column] = json.dumps(values[column])
    return tuple(values.values())


def _network(row: tuple[object, ...], pools: tuple[Pool, ...]) -> NetworkRecord:
    values = _named(_NETWORK, row)
    for column in _NETWORK_FLAGS:
        values[column] = bool(values[column])
    for column in ("options", "labels", "ipam_options"):
        values[column] = json.loads(str(values[column]))
    return NetworkRecord(**values, pools=pools)  # type: ignore[arg-type]


def _pool(row: tuple[object, ...]) -> Pool:
    subnet, ip_range, gateway, auxiliary = row
    return Pool(
        subnet=parse_subnet("subnet", str(subnet)),
        ip_range=parse_subnet("ip-range", str(ip_range)) if ip_range else None,
        gateway=ip_address(str(gateway)) if gateway else None,
        auxiliary=tuple(
            (name, ip_address(text)) for name, text in json.loads(str(auxiliary)).items()
        ),
    )


def _container(row: tuple[object, ...]) -> ContainerRecord:
    return ContainerRecord._make((*row[:-1], bool(row[-1])))


def _publication(row: Sequence[object]) -> Publication:
    return Publication(**_named(_PUBLICATION, row))  # type: ignore[arg-type]


def _endpoint(row: tuple[object, ...]) -> EndpointRecord:
    values = _named(_ENDPOINT, row)
    for column in ("aliases", "link_local", "links"):
        # Nearly always empty, and read for every endpoint.
        text = str(values[column])
        values[column] = _tuples(json.loads(text)) if text != "[]" else ()
    values["options"] = json.loads(str(values["options"]))
    values["is_unheard_of"] = bool(values["is_unheard_of"])
    values["lease"] = Lease(**json.loads(str(values["lease"]))) if values["lease"] else None
    return EndpointRecord(**values)  # type: ignore[arg-type]


def _tuples(found: list[object]) -> tuple[object, ...]:
    return tuple(tuple(each) if isinstance(each, list) else each for each in found)
