"""The socket by which the agent is asked, also when there is no file descriptor left."""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import time
from contextlib import suppress

_LOG = logging.getLogger("netyard.agent")
_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE_SECONDS = 0.1


class Door:
    """A listening socket, with one descriptor kept for a client that comes when all are in use.

    What a client asks for may need no more, or even free some: that a container has ended.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._listener.setblocking(False)
        self._reserve = -1
        self._keep()

    def fileno(self) -> int:
        """What a selector waits for."""
        return self._listener.fileno()

    def accept(self) -> socket.socket | None:
        """The next client; ``None`` if it is gone, or has to wait."""
        self._keep()
        with suppress(BlockingIOError, ConnectionAbortedError):
            try:
                return self._listener.accept()[0]
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                _LOG.error("%s", explain(error))
            self._give()
            try:
                return self._listener.accept()[0]
            except OSError:
                # The client makes the socket ready all the time.
                time.sleep(_PAUSE_SECONDS)
        return None

    def _keep(self) -> None:
        if self._reserve < 0:
            with suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _give(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        self._give()


def explain(error: Exception) -> str:
    """What to tell a client: descriptors, if these are what was wanting in the end."""
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "errno", None) in (errno.EMFILE, errno.ENFILE):
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return f"it has no file descriptor left: its limit is {limit}"
        cause = cause.__cause__
    return str(error)
