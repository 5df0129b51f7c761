"""Containers ended and removed: what a start has built up is taken down.

`tear_down` undoes any stage of a start, and is safe to run twice: failed starts, ended containers
and operations that were killed half-way all go through it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypedDict

import netyard._core as _core
from netyard.endpoints.detach import detach_endpoints, set_down_endpoints
from netyard.endpoints.plan import forget_endpoint
from netyard.ipc import agent, cluster
from netyard.ports.apply import unpublish_ports
from netyard.resolver import files
from netyard.resolver.etc_place import remove_place
from netyard.runtime import cgroup, log_files, shim
from netyard.runtime.process import is_alive
from netyard.state import events
from netyard.state.records import ContainerRecord, ContainerState
from netyard.state.root import Root
from netyard.state.store import Store
from netyard.values import clock

if TYPE_CHECKING:
    from typing_extensions import Unpack

_EXIT_PATIENCE_SECONDS = 2.0
_EXIT_PAUSE_SECONDS = 0.0005
_UNKNOWN_STATUS = 137


if TYPE_CHECKING:

    class Outcome(TypedDict, total=False):
        """How a container has ended."""

        exit_code: int
        finished: str
        was_oom_killed: bool


# -- the end ------------------------------------------------------------------------------------


def running_joiners(root: Root, container: ContainerRecord) -> list[ContainerRecord]:
    """Running containers that share this one's network namespace."""
    joiners = root.store.joiners(container.id)
    return [each for each in joiners if each.state == "running" and is_alive(each)]


def tear_down(
    root: Root,
    container: ContainerRecord,
    *,
    state: ContainerState,
    now: bool = False,
    **outcome: Unpack[Outcome],
) -> None:
    """Take down what a start has built, and record the state.

    Args:
        outcome: What else is to be recorded with it.
        now: It did not come to run as it should: end a process that nobody knows of, and wait until
            interfaces are gone, instead of leaving them to the kernel, which takes them away in
            the background when a namespace has died.
    """
    store = root.store
    if now:
        shim.end_orphan(root.layout.container(container.id))
    group = cgroup.of(root.layout, container.id)
    if group is not None:
        if outcome:
            outcome["was_oom_killed"] = cgroup.was_out_of_memory(group)
        cgroup.remove(group)
    if not running_joiners(root, container):
        _leave_networks(root, container, now=now)
    with store.transaction():
        store.update_container(container.id, state=state, pid=0, pid_start=0, **outcome)
        store.forget_pending(container.id)
        if outcome:
            _record_end(store, container, outcome)


def _record_end(store: Store, container: ContainerRecord, outcome: Outcome) -> None:
    for each in store.attachments_of(container.id):
        events.network_event(store, "disconnect", each.network, container, stays=True)
    events.container_event(store, "die", container, exitCode=str(outcome.get("exit_code", 0)))


def _leave_networks(root: Root, container: ContainerRecord, *, now: bool) -> None:
    store = root.store
    attached = store.attachments_of(container.id)
    unpublish_ports(root, container.id, forgets_flows=False)
    up = [each for each in attached if each.endpoint.state != "down"]
    if up:
        if now:
            detach_endpoints(root, up)
        else:
            set_down_endpoints(root, up)
    namespace = root.layout.namespace(container.id)
    if namespace.exists():
        # First, because the agent's sockets would keep the namespace alive.
        agent.refresh(root.layout, [container.id], needed=False, ended=True)
        _core.release_namespace(str(namespace))


def finish_container(root: Root, container_id: str) -> ContainerRecord | None:
    """Record that a container has ended, and take down what belongs to it.

    Returns:
        What the store says now; ``None`` if it was removed with its end (``--rm``).
    """
    with root.change():
        container = root.store.container(container_id)
        if container is None or container.state != "running" or is_alive(container):
            return container
        status, finished = _read_exit(root, container)
        tear_down(root, container, state="exited", exit_code=status, finished=finished)
        if container.donor_id is not None:
            _release_donor(root, container.donor_id)
        ended = root.store.container(container_id)
        if ended is not None and ended.spec.auto_remove:
            discard_container(root, ended)
            return None
        return ended


def _release_donor(root: Root, donor_id: str) -> None:
    """The last container that shared a stopped one's namespace lets go of it."""
    donor = root.store.container(donor_id)
    if donor is not None and donor.state == "exited" and not running_joiners(root, donor):
        _leave_networks(root, donor, now=False)


def _read_exit(root: Root, container: ContainerRecord) -> tuple[int, str]:
    """Status and time the supervisor left; its record comes a moment after the process's end."""
    record = root.layout.container(container.id) / "exit"
    deadline = time.monotonic() + _EXIT_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        words = files.read_text(record).split()
        if len(words) == 2:
            return int(words[0]), clock.show(int(words[1]))
        if not (record.parent / "attach.sock").exists():
            break
        time.sleep(_EXIT_PAUSE_SECONDS)
    # The supervisor was killed, and the container with it.
    return _UNKNOWN_STATUS, clock.now()


def discard_container(root: Root, container: ContainerRecord) -> None:
    """Remove everything of a container that does not run."""
    store = root.store
    attached = store.endpoints_of(container.id)
    with store.transaction():
        store.update_container(container.id, state="removing")
    _leave_networks(root, container, now=False)
    remove_place(root.layout.container(container.id))
    files.remove_directory(root.layout.container(container.id))
    log_files.remove(root.layout.log(container.id))
    with store.transaction():
        for joiner in store.joiners(container.id):
            store.update_container(joiner.id, donor_id=None)
        for each in attached:
            forget_endpoint(root, each)
        store.delete_container(container.id)
        events.container_event(store, "destroy", container)
    cluster.give_up(root, container.id, attached)
