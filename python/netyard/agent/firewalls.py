"""Sees to it that other firewalls let our networks pass (`netyard.coexistence`).

On a thread of its own, because their tools take seconds and nobody is to wait for that.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress

from netyard import coexistence
from netyard.naming import Layout
from netyard.store.store import Store

_LOG = logging.getLogger("netyard.agent")


class Firewalls:
    """See the module.

    Attributes:
        has_others: Whether there were others the last time.
        matter: Whether they were in the way of a network.
    """

    def __init__(self, layout: Layout, store: Store) -> None:
        self._layout = layout
        self._store = store
        # Room for one: what is asked for during a look is a second look, and no third.
        self._asked: queue.Queue[None] = queue.Queue(1)
        self._is_ended = False
        self.has_others = self.matter = False
        threading.Thread(target=self._work, name="firewalls", daemon=True).start()

    def look(self) -> None:
        """Look again, soon."""
        with suppress(queue.Full):
            self._asked.put_nowait(None)

    def stop(self) -> None:
        """The store is about to be closed: a look under way ends there."""
        self._is_ended = True

    def _work(self) -> None:
        while True:
            self._asked.get()
            try:
                found = coexistence.find(self._layout.table)
                for line in coexistence.sync(self._layout, self._store, found):
                    _LOG.info("%s", line)
                self.matter = bool(found) and any(
                    network.bridge and network.state == "ready"
                    for network in self._store.networks()
                )
                self.has_others = bool(found)
            except Exception:
                if self._is_ended:
                    return
                _LOG.exception("firewalls")
