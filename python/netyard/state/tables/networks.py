"""Networks and their pools, in the store."""

from __future__ import annotations

import json
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from netyard.state.connection import Connection
from netyard.state.records import NetworkRecord, NetworkState
from netyard.state.rows import RowCache, named, values_of
from netyard.values.parse import parse_subnet
from netyard.values.pool import Pool
from netyard.values.spec import ReadOnly

_NETWORK = (
    "id, name, driver, created, is_builtin, is_internal, is_attachable, has_ipv4, has_ipv6, "
    "options, labels, bridge, state, is_config_only, config_from, ipam_driver, ipam_options, "
    "is_foreign, vni, underlay"
)
_FLAGS = "is_builtin is_internal is_attachable has_ipv4 has_ipv6 is_config_only is_foreign".split()
_OBJECTS = ("options", "labels", "ipam_options")
_POOL = "network_id, position, subnet, ip_range, gateway, auxiliary, next_free, highest_given"


class NetworkTable(Connection):
    """Networks, each with its pools."""

    def __init__(self, path: Path, *, create: bool) -> None:
        super().__init__(path, create=create)
        self._network_of = RowCache(_network, partial(self._count, "networks"))
        self._pool_of = RowCache(_pool, partial(self._count, "pools"))

    def add_network(self, network: NetworkRecord) -> None:
        """Record a network and its pools."""
        self._insert("networks", _NETWORK, _network_values(network))
        for position, pool in enumerate(network.pools):
            values = (
                network.id,
                position,
                str(pool.subnet),
                str(pool.ip_range) if pool.ip_range else None,
                str(pool.gateway) if pool.gateway else None,
                json.dumps({name: str(address) for name, address in pool.auxiliary}),
                f"{pool.first_dynamic():032x}",
                f"{0:032x}",
            )
            self._insert("pools", _POOL, values)

    def set_network_state(self, network_id: str, state: NetworkState) -> None:
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
        return [self._network_of(row, pools.get(row[0], ())) for row in rows]

    def network(self, network_id: str) -> NetworkRecord | None:
        """One network by its full id."""
        with self._lock:
            known = self._known_network(network_id)
            if known is None:
                rows = self._rows(f"SELECT {_NETWORK} FROM networks WHERE id = ?", (network_id,))
                if not rows:
                    return None
                known = self._network_of(rows[0], self._pools(network_id).get(network_id, ()))
                self._networks[network_id] = known
            return known

    def _known_network(self, network_id: str) -> NetworkRecord | None:
        """A network read before, unless another connection has written since."""
        if not self._is_alone:
            self._forget_if_changed()
        return self._networks.get(network_id)

    def has_network_named(self, name: str) -> bool:
        """Whether a network of exactly this name exists."""
        return bool(self._rows("SELECT 1 FROM networks WHERE name = ?", (name,)))

    def holder_of_bridge(self, device: str) -> str | None:
        """The name of the network that has a bridge."""
        rows = self._rows("SELECT name FROM networks WHERE bridge = ?", (device,))
        return rows[0][0] if rows else None

    def find_network(self, wanted: str) -> list[NetworkRecord]:
        """Networks a user may mean: full id, else name, else id prefix (contract CV4)."""
        found = (self.network(network_id) for (network_id,) in self._find("networks", "id", wanted))
        return [network for network in found if network is not None]

    def _pools(self, network_id: str | None = None) -> dict[str, tuple[Pool, ...]]:
        where, values = ("WHERE network_id = ?", (network_id,)) if network_id else ("", ())
        rows = self._rows(
            "SELECT network_id, subnet, ip_range, gateway, auxiliary FROM pools "
            f"{where} ORDER BY network_id, position",
            values,
        )
        pools: dict[str, tuple[Pool, ...]] = {}
        for owner, *row in rows:
            pools[owner] = (*pools.get(owner, ()), self._pool_of(tuple(row)))
        return pools


def _network_values(network: NetworkRecord) -> tuple[object, ...]:
    values = named(_NETWORK, values_of(network, _NETWORK))
    for column in _OBJECTS:
        values[column] = json.dumps(values[column])
    return tuple(values.values())


def _network(row: tuple[Any, ...], pools: tuple[Pool, ...]) -> NetworkRecord:
    values = named(_NETWORK, row)
    for column in _FLAGS:
        values[column] = bool(values[column])
    for column in _OBJECTS:
        values[column] = ReadOnly(json.loads(values[column]))
    return NetworkRecord(**values, pools=pools)


def _pool(row: tuple[Any, ...]) -> Pool:
    subnet, ip_range, gateway, auxiliary = row
    return Pool(
        subnet=parse_subnet("subnet", subnet),
        ip_range=parse_subnet("ip-range", ip_range) if ip_range else None,
        gateway=ip_address(gateway) if gateway else None,
        auxiliary=tuple((name, ip_address(text)) for name, text in json.loads(auxiliary).items()),
    )
