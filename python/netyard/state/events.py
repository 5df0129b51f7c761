"""What has happened, as Docker's event stream tells it: recorded in the store, read from it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from netyard.state.held_events import HeldEvent
from netyard.state.records import ContainerRecord, NetworkRecord
from netyard.state.store import Store

_POLL_SECONDS = 0.05
# Kept beside what Docker tells of a network's event: the name of the container of that time.
CONTAINER_NAME = "containerName"


# What is not undone when the operation fails that it is part of.
_LASTING = ("kill", "die", "rename", "destroy")


def network_event(
    store: Store,
    action: str,
    network: NetworkRecord,
    container: ContainerRecord | None = None,
    *,
    stays: bool = False,
) -> None:
    """Record ``create``, ``connect``, ``disconnect`` or ``destroy`` of a network.

    Args:
        stays: It is not undone when the operation fails that it is part of.
    """
    attributes = {"name": network.name, "type": network.driver}
    more = {}
    if container is not None:
        attributes = {"container": container.id, **attributes}
        more[CONTAINER_NAME] = container.name
    _record(store, "network", action, network.id, attributes, network.scope, stays, **more)


def container_event(store: Store, action: str, container: ContainerRecord, **more: str) -> None:
    """Record ``create``, ``start``, ``kill``, ``die``, ``rename`` or ``destroy`` of a container."""
    _record(store, "container", action, container.id, {"name": container.name, **more})


def _record(
    store: Store,
    kind: str,
    action: str,
    actor: str,
    attributes: dict[str, str],
    scope: str = "local",
    stays: bool = False,
    **more: str,
) -> None:
    now = time.time_ns()
    body = {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": actor, "Attributes": attributes},
        "scope": scope,
        "time": now // 1_000_000_000,
        "timeNano": now,
        **more,
    }
    ids = (actor, attributes["container"]) if "container" in attributes else (actor,)
    stays = stays or action in _LASTING
    store.add_event(HeldEvent(now, json.dumps(body), ids, action == "create", stays))


def last_status(store: Store, container_id: str) -> int | None:
    """With what status a container last ended, removed since or not; ``None`` if that is not known.

    Of those that are removed with their end nothing else is left to tell it.
    """
    for event in map(json.loads, store.events_naming(container_id)):
        if event["Action"] == "die" and event["Actor"]["ID"] == container_id:
            return int(event["Actor"]["Attributes"]["exitCode"])
    return None


def read(
    store: Store,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    follow: bool = True,
    closed: threading.Event | None = None,
) -> Iterator[dict[str, Any]]:
    """Events as recorded, from the time of this call on, whenever the first is asked for.

    Args:
        store: Where they are recorded.
        since_ns: Begin with those that are so old, in nanoseconds since 1970; by default with what
            comes, or without ``follow`` with the oldest.
        until_ns: End when that time has come, in nanoseconds since 1970.
        follow: Wait for those that come; otherwise end with the latest.
        closed: Nothing more is read or waited for once it is set, by any thread.
    """
    number = store.last_event() if since_ns is None and follow else 0
    closed = closed or threading.Event()
    return _read(store, number, since_ns or 0, until_ns, closed, follow=follow)


def _read(
    store: Store,
    number: int,
    since_ns: int,
    until_ns: int | None,
    closed: threading.Event,
    *,
    follow: bool,
) -> Iterator[dict[str, Any]]:
    seen = -1
    while not closed.is_set():
        ends = not follow or (until_ns is not None and time.time_ns() >= until_ns)
        changed = store.has_changed(seen)
        if changed is not None or ends:
            seen = changed if changed is not None else seen
            for latest, when, body in store.events_after(number):
                number = latest
                if when < since_ns:
                    continue
                if until_ns is not None and when > until_ns:
                    return
                yield json.loads(body)
                if closed.is_set():
                    return
        if ends:
            return
        closed.wait(_POLL_SECONDS)
