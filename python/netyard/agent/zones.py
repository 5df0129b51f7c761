"""The zones of the name server: one a network, with the names of local and remote containers.

Which names these are is `netyard.resolver.names`. May be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import netyard._core as _core
from netyard.resolver.names import Names
from netyard.state.records import NetworkRecord
from netyard.values.parse import Subnet


class Zones:
    """The zones there are."""

    def __init__(self, server: _core.NameServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._present: set[str] = set()

    def add(self, network: NetworkRecord, further: Sequence[Subnet] = ()) -> None:
        """Add a network's zone, if it is not there.

        Args:
            further: Subnets beside the network's own for which PTR questions are answered.
        """
        with self._lock:
            if network.id in self._present:
                return
            subnets = [*(pool.subnet for pool in network.pools), *further]
            pairs = [(subnet.network_address, subnet.prefixlen) for subnet in subnets]
            self._server.add_zone(network.id, network.name, pairs)
            self._present.add(network.id)

    def change(self, network_id: str, removed: Sequence[str], added: Sequence[Names]) -> None:
        """Remove the names of endpoints from a zone, and add those of others.

        Args:
            removed: Ids of endpoints.
        """
        with self._lock:
            if network_id in self._present:
                self._server.update_zone(network_id, removed, added)

    def remove(self, network_id: str) -> None:
        """Remove a network's zone."""
        with self._lock:
            self._present.discard(network_id)
            self._server.remove_zone(network_id)
