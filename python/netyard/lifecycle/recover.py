"""Intent against kernel: finish or undo what was interrupted, rebuild what is missing."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import netyard._core as _core
from netyard.drivers.registry import driver_of, note
from netyard.endpoints.attach import endpoint_plans
from netyard.endpoints.detach import detach_endpoints
from netyard.endpoints.gateways import default_routes, route_defaults
from netyard.endpoints.namespace import opened_namespace
from netyard.errors import DriverError, NetyardError, raise_all
from netyard.firewall import forwarding, other_firewalls
from netyard.firewall import table as firewall
from netyard.ipc import agent, cluster
from netyard.lifecycle import adopt, change_ports
from netyard.lifecycle.connect import withdraw_endpoints
from netyard.lifecycle.name_service import has_name_service
from netyard.lifecycle.pending import retry
from netyard.lifecycle.stop import discard_container, finish_container, tear_down
from netyard.networks.devices import discard as discard_network
from netyard.networks.devices import label
from netyard.ports.apply import unpublish_ports
from netyard.resolver.etc_place import remove_place
from netyard.runtime import cgroup
from netyard.runtime.process import is_alive
from netyard.state.layout import Layout
from netyard.state.records import ContainerRecord, ContainerState
from netyard.state.root import Change, Root

# What users have been told of, once a process.
_told: set[str] = set()


def finish_interrupted(root: Root) -> None:
    """Undo what a killed operation has left half-way, and try again what is pending.

    Called with the lock held, so whatever is unfinished has no owner any more. What cannot be
    finished just now is left to the next time: it keeps nothing else from being done.
    """
    left = root.store.unfinished()
    for container_id in left.containers:
        container = root.store.container(container_id)
        if container is not None:
            with _apart(f"container {container.name!r}"):
                _undo_container(root, container)
    for container_id in left.ending:
        with _apart(f"published ports of container {_name_of(root, container_id)}"):
            ending = [each for each in root.store.publications(container_id) if each.is_ending]
            unpublish_ports(root, container_id, ending)
    for endpoint_id in left.endpoints:
        with _apart("a connection that was being made or ended"):
            _undo_endpoint(root, endpoint_id)
    for container_id in left.publishing:
        with _apart(f"published ports of container {_name_of(root, container_id)}"):
            change_ports.finish_publishing(root, container_id)
    for network_id in left.networks:
        network = root.store.network(network_id)
        if network is not None:
            with _apart(f"network {network.name!r}"):
                discard_network(root, network)
    for container_id in left.pending:
        with _apart(f"container {_name_of(root, container_id)}"):
            retry(root, container_id)


def _name_of(root: Root, container_id: str) -> str:
    container = root.store.container(container_id)
    return repr(container.name) if container is not None else container_id


@contextmanager
def _apart(what: str) -> Iterator[None]:
    """Whatever keeps one thing from being finished keeps no other: it stays as it is recorded."""
    try:
        yield
    except DriverError as error:
        note(error)
    except (NetyardError, OSError) as error:
        sentence = f"{what} is half-way, and cannot be finished now: {error}"
        if sentence not in _told:
            _told.add(sentence)
            logging.getLogger("netyard.lifecycle").warning("netyard: warning: %s", sentence)


def _undo_endpoint(root: Root, endpoint_id: str) -> None:
    endpoint = root.store.endpoint(endpoint_id)
    owner = root.store.container(endpoint.container_id) if endpoint else None
    if endpoint is None or owner is None:
        return
    if owner.state == "running" and root.layout.namespace(owner.id).exists():
        withdraw_endpoints(Change(root), [(owner, endpoint)])
    else:
        detach_endpoints(root, [root.store.attachment(endpoint)])


def _undo_container(root: Root, container: ContainerRecord) -> None:
    if container.kind == "adopted" and container.state == "starting" and container.started:
        # It was being brought back after a restart: that can be done again.
        adopt.give_back(root, container)
    elif container.kind == "adopted":
        adopt.abandon(root, container)
    elif container.state == "starting":
        state: ContainerState = "exited" if container.started else "created"
        tear_down(root, container, state=state, now=True)
        if container.spec.auto_remove:
            discard_container(root, container)
    else:
        discard_container(root, container)


@dataclass(slots=True)
class Report:
    """What `reload` and `repair` did.

    Attributes:
        restored: What was made again.
        ended: Containers found to have ended.
        lost: What could not be brought back, taken away or noted, and why.
        removed: Left-overs that were taken away.
        pending: What containers should have and cannot have now; it is tried again.
    """

    restored: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Go on with the rest, whatever fails with one thing."""
        try:
            yield
        except (NetyardError, OSError) as error:
            self.lost.append(f"{what}: {error}")

    def add_pending(self, root: Root) -> None:
        """Note what is pending of all containers."""
        for each in root.store.pending():
            name = _name_of(root, each.container_id)
            self.pending.append(f"container {name}: {each.shown}")


def reload(root: Root) -> Report:
    """Make every kernel object again that should exist and does not.

    For after a ``nft flush ruleset``, a deleted bridge, or a reboot of the host, of which adopted
    namespaces come back if they were made again at the same path.
    """
    report = Report()
    with root.change(is_reload=True) as change:
        _end_the_dead(root, report)
        firewall.rebuild_table(root)
        for network in root.store.networks():
            if network.takes_endpoints and network.state == "ready":
                with report.noting(f"network {network.name}"):
                    forwarding.ensure_forwarding(root, network)
                    cluster.prepare(root, network)
                    driver_of(network).restore(network, [])
                    label(root, network)
                    report.restored.append(f"network {network.name}")
        for container in root.store.containers():
            if container.state != "running" and container.kind != "adopted":
                continue
            with report.noting(f"container {container.name}"):
                _restore_container(change, container)
                report.restored.append(f"container {container.name}")
            change.keep()
        with report.noting("containers on other hosts"):
            cluster.repair(root)
        with report.noting("other firewalls"):
            other_firewalls.sync(root.layout, root.store)
        # Once more: chains on interfaces can only be made when these are there.
        firewall.rebuild_table(root)
        for container_id in root.store.unfinished().pending:
            with report.noting(f"container {_name_of(root, container_id)}"):
                retry(root, container_id)
        report.add_pending(root)
        running = [each for each in root.store.containers() if each.state == "running"]
        needed = any(has_name_service(root.store.attachments_of(each.id)) for each in running)
        ids = [each.id for each in running]
        root.layout.restored.touch(mode=0o600)
        change.afterwards(lambda: agent.refresh(root.layout, ids, needed=needed))
    return report


def _restore_container(change: Change, container: ContainerRecord) -> None:
    """Bring a running container's endpoints back, and its default routes."""
    root = change.root
    if container.kind == "adopted" and not adopt.is_kept(root, container):
        adopt.revive(change, container)
        return
    attached = root.store.attachments_of(container.id)
    if not attached:
        return
    has_ports = bool(root.store.publications(container.id))
    with opened_namespace(root, container) as namespace:
        carriers = default_routes(attached)
        plans = endpoint_plans(attached, namespace, carriers=carriers, has_ports=has_ports)
        failures: list[NetyardError] = []
        for plan in plans:
            try:
                driver_of(plan.network).restore(plan.network, [plan])
            except NetyardError as error:
                failures.append(error)
    route_defaults(root, container)
    raise_all(failures)


def _end_the_dead(root: Root, report: Report) -> None:
    for container in root.store.containers():
        if container.state == "running" and container.kind == "run" and not is_alive(container):
            with report.noting(f"container {container.name}"):
                finish_container(root, container.id)
                report.ended.append(f"container {container.name}")


def repair(root: Root) -> Report:
    """Undo what was interrupted, note what has ended, and take left-overs away."""
    report = Report()
    with root.change():
        _end_the_dead(root, report)
        _remove_leftovers(root, report)
        report.add_pending(root)
    return report


def _remove_leftovers(root: Root, report: Report) -> None:
    """Links out of use; namespaces and directories of containers the store does not know."""
    with report.noting("links out of use"):
        swept = _core.sweep()
        if swept:
            report.removed.append(f"{swept} links out of use")
    layout: Layout = root.layout
    known = {container.id for container in root.store.containers()}
    for path in layout.namespaces.iterdir():
        if path.name not in known:
            with report.noting(f"namespace {path}"):
                _core.release_namespace(str(path))
                report.removed.append(f"namespace {path}")
    for path in cgroup.leftovers(layout, known):
        if cgroup.remove(path):
            report.removed.append(f"control group {path}")
    for path in layout.containers.iterdir():
        if path.name not in known:
            with report.noting(f"directory {path}"):
                remove_place(path)
                shutil.rmtree(path, ignore_errors=True)
                report.removed.append(f"directory {path}")
    for path in layout.log("x").parent.iterdir():
        # Older files of a log have a number behind its name.
        if path.name.partition(".")[0] not in known:
            with report.noting(f"log {path}"):
                path.unlink(missing_ok=True)
                report.removed.append(f"log {path}")
