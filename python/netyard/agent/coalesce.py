"""Coalescing of background work: requests that come while it runs lead to one further run.

The work itself is given by the files that use it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

_LOG = logging.getLogger("netyard.agent")


class Coalescer:
    """An action with a thread of its own.

    Args:
        name: Of the thread, for the log.
        action: What to do; exceptions from it are logged.
        delay_seconds: Between a request and the run, which is for all requests until then.
    """

    def __init__(
        self, name: str, action: Callable[[], object], *, delay_seconds: float = 0.0
    ) -> None:
        self._action = action
        self._delay_seconds = delay_seconds
        # Room for one: several requests during a run lead to one more run.
        self._asked: queue.Queue[None] = queue.Queue(1)
        self._is_ended = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def ask(self) -> None:
        """Have the action run soon; returns at once."""
        with suppress(queue.Full):
            self._asked.put_nowait(None)

    def end(self) -> None:
        """What the action uses is about to be closed: failures of a run are no longer logged."""
        self._is_ended = True

    def _work(self) -> None:
        while True:
            self._asked.get()
            if self._delay_seconds:
                time.sleep(self._delay_seconds)
            with suppress(queue.Empty):
                self._asked.get_nowait()
            try:
                self._action()
            except Exception:
                if self._is_ended:
                    return
                _LOG.exception("%s", threading.current_thread().name)
