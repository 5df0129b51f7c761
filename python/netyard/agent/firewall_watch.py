"""When other firewalls are to be checked: nf_tables notifications from netlink, or a timer.

While there is another firewall, after each burst of changes, by a netlink socket. Otherwise by the
timer: with a listener, each change of nf_tables on the host costs a message, and most hosts have no
other firewall. What a check does is in `firewalls`.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time

# Firewalls change in bursts: one check for all of it, well within a second.
_SETTLE_SECONDS = 0.3
# A little less than the agent's own tick, so that none is skipped.
_TICK_SECONDS = 0.9
_NETFILTER = 12
_NFNLGRP_NFTABLES = 7


class FirewallWatch:
    """Says when a check is due.

    Args:
        selector: Gets the netlink socket while there is one.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._events: socket.socket | None = None
        self._due = 0.0
        self._looked = 0.0

    def heard(self, source: object) -> bool:
        """Whether a readable object is the netlink socket; if so, its messages are noted."""
        if source is not self._events or self._events is None:
            return False
        _drain(self._events)
        self._due = self._due or time.monotonic() + _SETTLE_SECONDS
        return True

    def patience(self, longest: float) -> float:
        """For how long the loop may wait, in seconds.

        Args:
            longest: What it would wait otherwise.
        """
        return min(longest, _SETTLE_SECONDS) if self._due else longest

    def is_due(self) -> bool:
        """Whether a check is due now."""
        now = time.monotonic()
        if self._events is None and now - self._looked >= _TICK_SECONDS:
            self._looked = now
            return True
        if not self._due or now < self._due:
            return False
        self._due = 0.0
        return True

    def follow(self, *, has_others: bool) -> None:
        """Listen to notifications while there are other firewalls."""
        if has_others and self._events is None:
            self._events = _open()
            self._selector.register(self._events, selectors.EVENT_READ)
        elif not has_others and self._events is not None:
            self._selector.unregister(self._events)
            self._events.close()
            self._events = None


def _open() -> socket.socket:
    """A netlink socket that becomes readable with each change of nf_tables, by any process."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    events.bind((0, 1 << (_NFNLGRP_NFTABLES - 1)))
    events.setblocking(False)
    return events


def _drain(events: socket.socket) -> None:
    """Read all messages. Their content does not matter, nor that the kernel had to drop some."""
    while True:
        try:
            events.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                return
