"""``hub``: a Linux bridge that forgets at once where it has seen a MAC address.

So it sends each frame to all containers, as a hub would: one that watches sees what the others say
to each other. ``-o ageing=SECONDS`` has it remember for a while.

All the rest is that of netyard's own driver ``bridge``: its options, gateway, published ports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netyard.drivers.kit import (
    BridgeDriver,
    EndpointPlan,
    Foundation,
    NetworkRecord,
    NetworkSpec,
    Root,
    number,
)
from netyard.errors import Conflict, KernelError

NAME = "com.docker.network.bridge.name"
AGEING = "ageing"
LONGEST_SECONDS = 3600
TICKS = 100  # The kernel counts in hundredths of a second.


class HubDriver(BridgeDriver):
    """Networks on bridges that do not learn."""

    name = "hub"

    def normalise(self, options: Mapping[str, str]) -> dict[str, str]:
        """The options of a bridge network, and ``ageing``."""
        others = {key: value for key, value in options.items() if key != AGEING}
        found = super().normalise(others)
        if AGEING in options:
            found[AGEING] = number(0, LONGEST_SECONDS, f"--opt {AGEING}", options[AGEING])
        return found

    def plan(
        self, root: Root, spec: NetworkSpec, options: Mapping[str, str], network_id: str
    ) -> Foundation:
        """A bridge of its own: one that was there before may have to learn."""
        found = super().plan(root, spec, options, network_id)
        if found.is_foreign:
            raise Conflict(f"--opt: bridge {found.bridge!r} exists, and a hub needs one of its own")
        return found if NAME in options else found._replace(bridge=f"hub-{network_id[:8]}")

    def create(self, networks: Sequence[NetworkRecord]) -> None:
        """Bridges, and then what is special about them; all, or none."""
        super().create(networks)
        try:
            for network in networks:
                _set_ageing(network)
        except Exception:
            self.remove(networks)
            raise

    def restore(self, network: NetworkRecord, plans: Sequence[EndpointPlan]) -> None:
        """As of a bridge; one that has been made again learns until it is told not to."""
        super().restore(network, plans)
        _set_ageing(network)


def _set_ageing(network: NetworkRecord) -> None:
    ticks = int(network.options.get(AGEING, "0")) * TICKS
    with IPRoute() as links:
        try:
            (index,) = links.link_lookup(ifname=network.bridge)
            links.link("set", index=index, kind="bridge", br_ageing_time=ticks)
        except NetlinkError as error:
            raise KernelError(
                f"set ageing time of {network.bridge!r}: {error}", errno=error.code
            ) from error
