"""What is done beside the agent's other work, once for all who ask while it is under way."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress

_LOG = logging.getLogger("netyard.agent")


class Errand:
    """An action with a thread of its own.

    Args:
        action: What to do; what it raises is logged.
    """

    def __init__(self, name: str, action: Callable[[], object]) -> None:
        self._action = action
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
            try:
                self._action()
            except Exception:
                if self._is_ended:
                    return
                _LOG.exception("%s", threading.current_thread().name)
