"""What has happened to networks and containers, as users see it, and how it is followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, NamedTuple


class Event(NamedTuple):
    """Something that has happened to a network or a container.

    Attributes:
        type: ``network`` or ``container``.
        action: What has happened, in Docker's words: ``create`` and ``destroy`` of both,
            ``connect`` and ``disconnect`` of a network, ``start``, ``kill``, ``die``, ``rename`` of
            a container.
        id: Full id of the network or container.
        name: Its name at that time.
        attributes: What else is known of it, such as ``container`` (an id), ``exitCode`` or
            ``signal``. Read-only.
        scope: ``local``, or ``global`` for a network that spans hosts.
        time_ns: When, in nanoseconds since 1970.

    Example:
        >>> for event in host.events(since="1h", follow=False):
        ...     print(event.time, event.type, event.action, event.name)
    """

    type: str
    action: str
    id: str
    name: str
    attributes: Mapping[str, str]
    scope: str
    time_ns: int

    @property
    def time(self) -> datetime:
        """When, in UTC; to the microsecond."""
        seconds, rest = divmod(self.time_ns, 1_000_000_000)
        return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=rest // 1000)

    def __hash__(self) -> int:
        return hash((self.type, self.action, self.id, self.time_ns))

    def __reduce__(self) -> tuple[object, ...]:
        # A read-only view can be neither pickled nor copied.
        return _remade, (*self[:4], dict(self.attributes), *self[5:])


class EventStream(Iterator[Event]):
    """Events as they come: `netyard.Host.events`. As a context manager it closes itself.

    Example:
        >>> with host.events(filters="event=die") as deaths:
        ...     for event in deaths:
        ...         print(event.name, event.attributes["exitCode"])
    """

    def __init__(self, told: Iterator[dict[str, Any]], closed: threading.Event) -> None:
        self._told = told
        self._closed = closed

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> Event:
        return event_of(next(self._told))

    def close(self) -> None:
        """Have no more events come, from any thread: who waits for the next finds the end.

        Example:
            >>> follower = host.events()
            >>> threading.Timer(60, follower.close).start()
            >>> print(len(list(follower)))
        """
        self._closed.set()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _remade(
    type: str,
    action: str,
    id: str,
    name: str,
    attributes: dict[str, str],
    scope: str,
    time_ns: int,
) -> Event:
    return Event(type, action, id, name, MappingProxyType(attributes), scope, time_ns)


def event_of(told: dict[str, Any]) -> Event:
    """What users see of an event in Docker's form."""
    actor = told["Actor"]
    return Event(
        type=told["Type"],
        action=told["Action"],
        id=actor["ID"],
        name=actor["Attributes"].get("name", ""),
        attributes=MappingProxyType(actor["Attributes"]),
        scope=told["scope"],
        time_ns=told["timeNano"],
    )
