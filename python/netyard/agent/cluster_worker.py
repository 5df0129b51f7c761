"""The thread that talks to etcd: a queue of requests and changes, and the lease kept between them.

It never waits for the root's lock, because commands that hold it wait for answers. What a request
does is in `cluster_requests`; watches have threads of their own (`cluster_watches`).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from netyard.agent.cluster_member import RETRY_SECONDS, ClusterMember
from netyard.agent.cluster_requests import ClusterRequests, Message
from netyard.agent.zones import Zones
from netyard.errors import NetyardError
from netyard.state import config
from netyard.state.layout import Layout
from netyard.state.store import Store

_LOG = logging.getLogger("netyard.agent")
_IDLE_SECONDS = 5.0
_END_SECONDS = 5.0

Answer = Callable[[Message], None]


class ClusterWorker:
    """See the module. `load`, `submit`, `update` and `forget` return at once, from any thread."""

    def __init__(self, layout: Layout, store: Store, zones: Zones) -> None:
        self._layout = layout
        self._member = ClusterMember(layout, store, zones)
        self._requests = ClusterRequests(self._member, store)
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def is_joined(self) -> bool:
        """Whether this host is in a cluster."""
        return self._member.settings is not None

    def load(self) -> None:
        """Go on as a member, if this host is one."""
        try:
            self._member.settings = config.load(self._layout.root).cluster
        except NetyardError as error:
            _LOG.error("%s", error)
        if self.is_joined:
            self._jobs.put(self._member.resume)
            self._start()

    def stop(self) -> None:
        """End the thread; the lease stays, for the agent after this one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(_END_SECONDS)

    def submit(self, message: Message, answer: Answer) -> None:
        """Do what a command asks, and hand the answer over, from the thread."""
        self._start()
        self._jobs.put(lambda: answer(self._requests.answer(message)))

    def update(self, container_id: str) -> None:
        """A container has changed: the other hosts are to know."""
        if self.is_joined:
            self._jobs.put(lambda: self._member.update(container_id))

    def forget(self, network_id: str) -> None:
        """A network has been removed."""
        if self.is_joined:
            self._jobs.put(lambda: self._member.watches.forget(network_id))

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="cluster", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        due = time.monotonic()
        while True:
            try:
                job = self._jobs.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + (self._member.keep() or _IDLE_SECONDS)
                continue
            if job is None:
                return
            try:
                job()
            except Exception:
                _LOG.exception("cluster")
                self._member.local.is_behind = True
            if self._member.local.is_behind:
                due = min(due, time.monotonic() + RETRY_SECONDS)
