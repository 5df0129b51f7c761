"""Events of a change that is not yet certain: they are recorded once it is, or as far as it is.

What an event says is `netyard.state.events`; the table is `netyard.state.tables.events`.
"""

from __future__ import annotations

import threading


class HeldEvent:
    """An event as it will be recorded.

    Attributes:
        time_ns: When.
        body: What it says, as JSON.
        ids: Of what it is about: networks and containers.
        makes: It is what has made the first of these.
        stays: It stays true if the change fails: nothing brings back what has ended or gone.
    """

    # Not a `NamedTuple`: to make one takes each command a while.
    __slots__ = ("body", "ids", "makes", "stays", "time_ns")

    def __init__(
        self,
        time_ns: int,
        body: str,
        ids: tuple[str, ...] = (),
        makes: bool = False,
        stays: bool = False,
    ) -> None:
        self.time_ns = time_ns
        self.body = body
        self.ids = ids
        self.makes = makes
        self.stays = stays


class HeldEvents:
    """Events of the thread that changes a root, in their order."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._events: list[HeldEvent] = []

    def begin(self) -> None:
        """Hold this thread's events from here on."""
        self._thread = threading.get_ident()
        self._events = []

    def end(self) -> None:
        """Hold none; those that are held are dropped."""
        self._thread = None
        self._events = []

    def add(self, event: HeldEvent) -> bool:
        """Hold an event; false if this thread's are not held."""
        if self._thread != threading.get_ident():
            return False
        self._events.append(event)
        return True

    def certain(self) -> list[HeldEvent]:
        """Those that stay true if all that can be undone is."""
        undone = {event.ids[0] for event in self._events if event.makes}
        return [each for each in self._events if each.stays and undone.isdisjoint(each.ids)]

    def all(self) -> list[HeldEvent]:
        """All of them."""
        return list(self._events)

    def bodies(self) -> list[str]:
        """What they say, the latest first."""
        return [each.body for each in reversed(self._events)]

    def position(self) -> int:
        """How many there are, for `cut`."""
        return len(self._events)

    def cut(self, position: int) -> None:
        """Drop those that have come since: what they tell of has been rolled back."""
        # In another thread it is another's transaction.
        if self._thread == threading.get_ident():
            del self._events[position:]
