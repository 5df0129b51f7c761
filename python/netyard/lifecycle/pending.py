"""Pending steps tried again: what a running container should have, and could not have before.

Where a step becomes pending is said in `netyard.endpoints.gateways` (default routes) and
`netyard.ports.pending`; what it is, in `netyard.state.records.PendingStep`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from netyard.endpoints.gateways import default_routes, route_defaults
from netyard.errors import AgentError
from netyard.ipc import agent
from netyard.ports.pending import pending_requests, publish_possible
from netyard.ports.places import Places
from netyard.runtime.process import is_alive
from netyard.state.records import ContainerRecord
from netyard.state.root import Change, Root


def retry(root: Root, container_id: str) -> None:
    """Do for a container what is pending and can be done now; with the lock held."""
    store = root.store
    container = store.container(container_id)
    if container is None or container.state != "running":
        store.forget_pending(container_id)
        return
    if container.kind == "run" and not is_alive(container):
        # It is about to be recorded that it has ended.
        return
    pending = store.pending(container_id)
    if any(each.kind == "route" for each in pending):
        route_defaults(root, container)
    wanted = pending_requests(pending)
    if wanted:
        attached = store.attachments_of(container_id)
        up = [each for each in attached if each.endpoint.state == "up"]
        publish_possible(Change(root), container, wanted, Places.of(up, default_routes(up)))


def tell_pending(root: Root, containers: Iterable[ContainerRecord]) -> None:
    """Tell the user of what could not be done, and have the agent try it again."""
    names = {container.id: container.name for container in containers}
    pending = [each for each in root.store.pending() if each.container_id in names]
    for each in pending:
        import logging

        text = "netyard: warning: container %r: %s"
        logging.getLogger("netyard.lifecycle").warning(text, names[each.container_id], each.shown)
    if pending:
        # Without one it is tried again by the next command.
        with suppress(AgentError, OSError):
            agent.ensure(root.layout)
