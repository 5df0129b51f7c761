"""What happens to networks and containers: those events that fit filters."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from netyard.state import events
from netyard.state.root import Root
from netyard.values.filters import Filters, Moment, Test, parse_moment


def follow_events(
    root: Root,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    filters: Sequence[str] = (),
    follow: bool = True,
    closed: threading.Event | None = None,
) -> Iterator[dict[str, Any]]:
    """Events in Docker's form, from the time of this call on.

    Args:
        root: Whose.
        since: Begin with those of a time; by default with what comes, or without ``follow`` with
            the oldest.
        until: End at a time.
        filters: ``KEY=VALUE`` words: ``type``, ``event``, ``container``, ``network``.
        follow: Wait for those that come.
        closed: They end once it is set, by any thread.

    Raises:
        Invalid: for a filter or a time that is none.
    """
    wanted = Filters(filters, _TESTS)
    found = events.read(
        root.store,
        since_ns=None if since is None else parse_moment("--since", since),
        until_ns=None if until is None else parse_moment("--until", until),
        follow=follow,
        closed=closed,
    )
    return map(_as_docker_tells_it, filter(wanted.match, found))


def _as_docker_tells_it(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != events.CONTAINER_NAME}


def _is_actor(event: dict[str, Any], value: str) -> bool:
    actor = event["Actor"]
    return value == actor["Attributes"].get("name") or (
        bool(value) and actor["ID"].startswith(value)
    )


def _concerns_container(event: dict[str, Any], value: str) -> bool:
    if event["Type"] == "container":
        return _is_actor(event, value)
    joined: str = event["Actor"]["Attributes"].get("container", "")
    return bool(value) and (joined.startswith(value) or value == event.get(events.CONTAINER_NAME))


_TESTS: dict[str, Test[dict[str, Any]]] = {
    "type": lambda event, value: event["Type"] == value,
    "event": lambda event, value: event["Action"] == value,
    "container": _concerns_container,
    "network": lambda event, value: event["Type"] == "network" and _is_actor(event, value),
}
