"""What has happened, in the store; what it says: `netyard.state.events`."""

from __future__ import annotations

from collections.abc import Sequence

from netyard.state.connection import Connection
from netyard.state.held_events import HeldEvent

_KEPT = 10_000


class EventTable(Connection):
    """Events, numbered; the oldest of very many are forgotten."""

    def add_event(self, event: HeldEvent) -> None:
        """Record that something has happened, once the change that it is of is certain."""
        if not self.held_events.add(event):
            self._add_event(event)

    def add_events(self, events: Sequence[HeldEvent]) -> None:
        """Record that several things have happened, now."""
        if len(events) == 1:
            # One statement is a transaction of its own.
            self._add_event(events[0])
            return
        with self.transaction():
            for event in events:
                self._add_event(event)

    def _add_event(self, event: HeldEvent) -> None:
        columns = "INSERT INTO events (time_ns, body) VALUES (?, ?)"
        number = self._execute(columns, (event.time_ns, event.body)).lastrowid or 0
        if number % 1000 == 0:
            self._execute("DELETE FROM events WHERE id <= ?", (number - _KEPT,))

    def events_after(self, number: int) -> list[tuple[int, int, str]]:
        """Number, time and body of events after one."""
        query = "SELECT id, time_ns, body FROM events WHERE id > ? ORDER BY id"
        return [(row[0], row[1], row[2]) for row in self._rows(query, (number,))]

    def events_naming(self, word: str) -> list[str]:
        """The bodies of events in which a word is, such as an id; the latest first."""
        query = "SELECT body FROM events WHERE instr(body, ?) ORDER BY id DESC"
        recorded = [row[0] for row in self._rows(query, (word,))]
        return [body for body in self.held_events.bodies() if word in body] + recorded

    def last_event(self) -> int:
        """The number of the latest event, 0 if there was none."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM events")[0][0])
