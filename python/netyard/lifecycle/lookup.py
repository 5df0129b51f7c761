"""Containers found by what users call them, their state up to date."""

from __future__ import annotations

from netyard.errors import Invalid, NotFound
from netyard.lifecycle.stop import finish_container
from netyard.runtime.process import is_alive
from netyard.state.records import ContainerRecord
from netyard.state.root import Root


def find_container(root: Root, wanted: str) -> ContainerRecord:
    """The one container a user means, its state up to date."""
    found = root.store.find_container(wanted)
    if not found:
        raise NotFound(f"there is no container {wanted!r}")
    if len(found) > 1:
        raise Invalid(f"container id {wanted!r} is ambiguous: give more digits", value=wanted)
    present = refreshed_container(root, found[0])
    if present is None:
        raise NotFound(f"there is no container {wanted!r} any more: it has ended")
    return present


def refreshed_container(root: Root, container: ContainerRecord) -> ContainerRecord | None:
    """A container whose process died without anybody noticing is marked as ended.

    Returns:
        ``None`` if it was removed with its end (``--rm``), or by somebody else.
    """
    if container.state != "running" or container.kind == "adopted" or is_alive(container):
        return container
    finish_container(root, container.id)
    return root.store.container(container.id)
