"""Connections made and ended together: planned one by one, made in the kernel in one go.

What a single connect pays each time (a transaction, a socket, a thread in the container's
namespace, a word with the agent) is paid once for many.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from netyard.drivers.base import EndpointPlan
from netyard.endpoints.attach import attach_endpoints, settle_endpoints
from netyard.endpoints.detach import Action
from netyard.endpoints.gateways import route_defaults
from netyard.endpoints.namespace import opened_namespace
from netyard.lifecycle.connect import follow_up, running_plans, withdraw_endpoints
from netyard.lifecycle.name_service import NameRefresh, has_name_service
from netyard.state import events
from netyard.state.records import Attachment, ContainerRecord, EndpointRecord
from netyard.state.root import Change

# Each endpoint takes two descriptors while it is made, of 1,024 that a process has.
_AT_ONCE = 200


class Batch:
    """What a `Host.batch` is about to do: make connections, or end some, never both at a time.

    Planned connections are in an open transaction; `flush` commits it and makes them.
    """

    def __init__(self, change: Change) -> None:
        self._change = change
        self._planned: list[tuple[ContainerRecord, Attachment]] = []
        self._leaving: dict[str, tuple[ContainerRecord, EndpointRecord]] = {}
        self._transaction = ExitStack()

    def begin(self) -> None:
        """Have what is planned from here on recorded together."""
        if not self._planned:
            self._transaction.enter_context(self._change.store.transaction())

    def add(self, container: ContainerRecord, planned: Attachment) -> None:
        """Make an endpoint later, with the others."""
        self._planned.append((container, planned))

    def leave(self, container: ContainerRecord, endpoint: EndpointRecord) -> None:
        """Take an endpoint away later, with the others."""
        self._flush_planned()
        self._leaving[endpoint.id] = (container, endpoint)

    def is_leaving(self, endpoint: EndpointRecord) -> bool:
        """Whether it is to be taken away."""
        return endpoint.id in self._leaving

    def abandon(self, error: BaseException) -> None:
        """Nothing of what is planned and not yet made has been; the change undoes what was made."""
        self._planned.clear()
        self._leaving.clear()
        self._transaction.__exit__(type(error), error, error.__traceback__)

    def flush(self) -> None:
        """Do what is planned.

        Raises:
            KernelError: if the kernel refuses one of them; then none is left.
        """
        self._flush_planned()
        self.end_leaving()

    def end_leaving(self) -> None:
        """Take away what is to be taken away."""
        leaving, self._leaving = self._leaving, {}
        if leaving:
            withdraw_endpoints(self._change, list(leaving.values()))

    def _flush_planned(self) -> None:
        planned, self._planned = self._planned, []
        self._transaction.close()
        if not planned:
            return
        owners = {container.id: container for container, _ in planned}
        made: list[EndpointRecord] = []
        for container in owners.values():
            # One by one: a container that has gone meanwhile keeps no other from its routes.
            self._change.on_failure(partial(route_defaults, self._change.root, container))
        names = NameRefresh(self._change, *owners)
        begin = names.begin
        for first in range(0, len(planned), _AT_ONCE):
            made += self._attach(planned[first : first + _AT_ONCE], begin)
            begin = _nothing
        for endpoint in made:
            self._follow_up(owners[endpoint.container_id], endpoint)
        with self._change.store.transaction():
            settle_endpoints(self._change.store, made)
            for container, each in planned:
                events.network_event(self._change.store, "connect", each.network, container)
        names.finish(needed=has_name_service(each for _, each in planned))

    def _follow_up(self, container: ContainerRecord, endpoint: EndpointRecord) -> None:
        attached = self._change.store.attachments_of(container.id)
        before = [each for each in attached if each.endpoint.id != endpoint.id]
        made = [each for each in attached if each.endpoint.id == endpoint.id]
        for each in made:
            follow_up(self._change, container, before, each)

    def _attach(
        self, planned: Sequence[tuple[ContainerRecord, Attachment]], begin: Action
    ) -> list[EndpointRecord]:
        root = self._change.root
        plans: list[EndpointPlan] = []
        with ExitStack() as opened:
            for container, each in planned:
                namespace = opened.enter_context(opened_namespace(root, container))
                attached = root.store.attachments_of(container.id)
                plans += running_plans(container, each, attached, namespace)
            return attach_endpoints(self._change, plans, meanwhile=begin)


def _nothing() -> None:
    pass
