"""Keeping netyard's entries in other firewalls, in a background thread of the agent.

Only when this is done is here: what is entered, and how, is `netyard.firewall.other_firewalls`. It
is in the background because the tools of other firewalls take seconds.
"""

from __future__ import annotations

import logging

from netyard.agent.coalesce import Coalescer
from netyard.firewall import other_firewalls
from netyard.state.layout import Layout
from netyard.state.store import Store

_LOG = logging.getLogger("netyard.agent")


class Firewalls:
    """See the module.

    Attributes:
        has_others: Whether there were other firewalls the last time.
        matter: Whether they concerned a network, so that the agent must stay.
    """

    def __init__(self, layout: Layout, store: Store) -> None:
        self._layout = layout
        self._store = store
        self.has_others = self.matter = False
        self._stamp: object = None
        self._looks = Coalescer("firewalls", self._look)

    def look(self) -> None:
        """Check soon, unless the kernel says that no firewall has changed."""
        if self.has_others or other_firewalls.stamp() != self._stamp:
            self._looks.ask()

    def stop(self) -> None:
        """The store is about to be closed: a check that runs may fail."""
        self._looks.end()

    def _look(self) -> None:
        stamp = other_firewalls.stamp()
        found = other_firewalls.find(self._layout.table)
        for line in other_firewalls.sync(self._layout, self._store, found):
            _LOG.info("%s", line)
        self.matter = bool(found) and any(
            network.bridge and network.state == "ready" for network in self._store.networks()
        )
        self.has_others = bool(found)
        # Only now: a check that failed is due again.
        self._stamp = stamp
