"""Pending steps tried again by the agent, in the background: see `netyard.lifecycle.pending`.

Every command does the same when it begins; the agent does it for a host on which none comes.
"""

from __future__ import annotations

import time

from netyard.agent.coalesce import Coalescer
from netyard.api.host import Host
from netyard.state.layout import Layout
from netyard.state.store import Store

_EVERY_SECONDS = 5.0


class Retries:
    """See the module.

    Attributes:
        matter: Whether something is pending, so that the agent must stay.
    """

    def __init__(self, layout: Layout, store: Store) -> None:
        self._layout = layout
        self._store = store
        self.matter = False
        self._looked = 0.0
        # Nearly always nothing is pending: then there is no thread for it.
        self._tries: Coalescer | None = None

    def look(self) -> None:
        """Try soon, if something is pending and has not been tried for a while."""
        now = time.monotonic()
        if now - self._looked < _EVERY_SECONDS:
            return
        self._looked = now
        self.matter = bool(self._store.pending())
        if self.matter:
            self._tries = self._tries or Coalescer("retries", self._try)
            self._tries.ask()

    def stop(self) -> None:
        """A try that is under way may fail."""
        if self._tries is not None:
            self._tries.end()

    def _try(self) -> None:
        # To open a root is to finish what is unfinished, unless a command is at work.
        Host(self._layout.root).close()
