"""What is done beside the agent's other work, once for all who ask while it is under way."""

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
        action: What to do; what it raises is logged.
        delay_seconds: How long more is waited for, to be done with it.
    """

    def __init__(
        self, name: str, action: Callable[[], object], *, delay_seconds: float = 0.0
    ) -> None:
        self._action = action
        self._delay_seconds = delay_seconds
        # Room for one: what is asked for while it is under way is one more time, not several.
        self._asked: queue.Queue[None] = queue.Queue(1)
        self._is_ended = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def ask(self) -> None:
        """Have it done soon."""
        with suppress(queue.Full):
            self._asked.put_nowait(None)

    def end(self) -> None:
        """What it works with is about to be closed: what is under way may fail."""
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
