"""Ports published as far as they can be: what cannot be is recorded, and tried again.

For changes that can no longer be undone, as of a container that has left the network its ports were
on. What can be refused as a whole is published by `netyard.ports.apply` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netyard.errors import NetyardError, PortInUse
from netyard.ports.apply import enforce_ports, unpublish_ports
from netyard.ports.choose import record_ports
from netyard.ports.places import Places
from netyard.state.records import ContainerRecord, PendingStep, Publication
from netyard.state.root import Change, Root
from netyard.values import ports
from netyard.values.ports import PortRequest


def pending_requests(pending: Iterable[PendingStep]) -> list[PortRequest]:
    """The ports that wait to be published."""
    return [
        request
        for each in pending
        if each.kind == "port"
        for request in ports.parse_publish(each.subject)
    ]


def publish_possible(
    change: Change, container: ContainerRecord, wanted: Sequence[PortRequest], places: Places
) -> None:
    """Publish those of the ports that can be, and record the others as pending.

    These, and no others, are pending from then on.
    """
    root, store = change.root, change.store
    with store.transaction():
        is_first = not store.has_publications(container.id)
        made, refused = _record_possible(root, container, wanted, places)
        store.set_pending(container.id, "port", refused)
        if made:
            store.note_publishing(container.id)
    if not made:
        return
    try:
        enforce_ports(change, made, places, shares=not is_first)
    except NetyardError as error:
        unpublish_ports(root, container.id, made)
        store.set_pending(
            container.id, "port", {each.typed(): reason_of(error, each) for each in wanted}
        )
    store.note_publishing(None)


def _record_possible(
    root: Root, container: ContainerRecord, wanted: Sequence[PortRequest], places: Places
) -> tuple[list[Publication], dict[str, str]]:
    made: list[Publication] = []
    refused: dict[str, str] = {}
    # Without a place there is none that could be published: they are as those of a container
    # that is on no network.
    waiting = list(ports.joined(wanted)) if places else []
    while waiting:
        request = waiting.pop(0)
        try:
            with root.store.attempt():
                made += record_ports(root, container, [request], places)
        except NetyardError as error:
            if request.length > 1:
                waiting[:0] = ports.singly([request])
            else:
                refused[request.typed()] = reason_of(error, request)
    return made, refused


def reason_of(error: NetyardError, request: PortRequest) -> str:
    """Why a port is not published, to be told beside the port."""
    if isinstance(error, PortInUse) and error.holder:
        return f"taken by {error.holder}"
    return str(error).removeprefix(f"--publish: {request.shown!r}").lstrip(": ")
