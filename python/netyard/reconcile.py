"""Intent against kernel: finish or undo what was interrupted, rebuild what is missing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from netyard import (
    _core,
    adopting,
    coexistence,
    connecting,
    kernel,
    lifecycle,
    portchange,
    publishing,
)
from netyard import endpoint as endpoints
from netyard.agent import client as agent
from netyard.cluster import client as cluster
from netyard.drivers.registry import driver
from netyard.errors import NetyardError
from netyard.host import Change, Host
from netyard.naming import Layout
from netyard.provision import discard as discard_network
from netyard.provision import label
from netyard.runtime.process import is_alive
from netyard.spec import ContainerSpec
from netyard.store.records import ContainerRecord


def finish_interrupted(host: Host) -> None:
    """Undo what a killed operation has left half-way.

    Called with the lock held, so whatever is unfinished has no owner any more.
    """
    left = host.store.unfinished()
    for container_id in left.containers:
        container = host.store.container(container_id)
        if container is not None:
            _undo_container(host, container)
    for container_id in left.ending:
        ending = [each for each in host.store.publications(container_id) if each.is_ending]
        publishing.unpublish(host, container_id, ending)
    for endpoint_id in left.endpoints:
        _undo_endpoint(host, endpoint_id)
    for container_id in left.publishing:
        portchange.finish_publishing(host, container_id)
    for network_id in left.networks:
        network = host.store.network(network_id)
        if network is not None:
            discard_network(host, network)


def _undo_endpoint(host: Host, endpoint_id: str) -> None:
    endpoint = host.store.endpoint(endpoint_id)
    owner = host.store.container(endpoint.container_id) if endpoint else None
    if endpoint is None or owner is None:
        return
    if owner.state == "running" and host.layout.namespace(owner.id).exists():
        connecting.withdraw(Change(host), [(owner, endpoint)])
    else:
        endpoints.detach(host, [endpoint])


def _undo_container(host: Host, container: ContainerRecord) -> None:
    if container.kind == "adopted" and container.state == "starting" and container.started:
        # It was being brought back after a restart: that can be done again.
        adopting.give_back(host, container)
    elif container.kind == "adopted":
        adopting.abandon(host, container)
    elif container.state == "starting":
        state = "exited" if container.started else "created"
        lifecycle.tear_down(host, container, state=state, now=True)
        if ContainerSpec.from_json(container.spec).auto_remove:
            lifecycle.discard(host, container)
    else:
        lifecycle.discard(host, container)


@dataclass(slots=True)
class Report:
    """What `reload` and `repair` did.

    Attributes:
        restored: What was made again.
        ended: Containers found to have ended.
        lost: What could not be brought back, and why.
        removed: Left-overs that were taken away.
    """

    restored: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def reload(host: Host) -> Report:
    """Make every kernel object again that should exist and does not.

    For after a ``nft flush ruleset``, a deleted bridge, or a reboot of the host, of which adopted
    namespaces come back that somebody has made again at the same path.
    """
    report = Report()
    with host.change(is_reload=True) as change:
        _end_the_dead(host, report)
        kernel.rebuild_table(host)
        for network in host.store.networks():
            if network.takes_endpoints and network.state == "ready":
                kernel.ensure_forwarding(host, network)
                try:
                    cluster.prepare(host, network)
                    driver(network.driver).restore(network, [])
                    label(host, network)
                    report.restored.append(f"network {network.name}")
                except NetyardError as error:
                    report.lost.append(f"network {network.name}: {error}")
        for container in host.store.containers():
            if container.state != "running" and container.kind != "adopted":
                continue
            try:
                _restore_container(change, container)
                report.restored.append(f"container {container.name}")
            except (NetyardError, OSError) as error:
                report.lost.append(f"container {container.name}: {error}")
            change.keep()
        try:
            cluster.repair(host)
        except NetyardError as error:
            report.lost.append(f"containers on other hosts: {error}")
        coexistence.sync(host.layout, host.store)
        # Once more: chains on interfaces can only be made when these are there.
        kernel.rebuild_table(host)
        running = [each for each in host.store.containers() if each.state == "running"]
        needed = any(
            lifecycle.has_name_service(host.store, host.store.endpoints_of(each.id))
            for each in running
        )
        ids = [each.id for each in running]
        host.layout.restored.touch(mode=0o600)
        change.afterwards(lambda: agent.refresh(host.layout, ids, needed=needed))
    return report


def _restore_container(change: Change, container: ContainerRecord) -> None:
    """Bring a running container's endpoints back, and its default routes."""
    host = change.host
    if container.kind == "adopted" and not adopting.is_kept(host, container):
        adopting.revive(change, container)
        return
    attached = host.store.endpoints_of(container.id)
    if not attached:
        return
    has_ports = bool(host.store.publications(container.id))
    with endpoints.opened_namespace(host, container) as namespace:
        carriers = endpoints.gateway_endpoints(host.store, attached)
        plans = endpoints.plans_for(
            host.store, attached, namespace, carriers=carriers, has_ports=has_ports
        )
        for plan in plans:
            driver(plan.network.driver).restore(plan.network, [plan])
    endpoints.route_defaults(host, container)


def _end_the_dead(host: Host, report: Report) -> None:
    for container in host.store.containers():
        if container.state == "running" and container.kind == "run" and not is_alive(container):
            lifecycle.finish(host, container.id)
            report.ended.append(f"container {container.name}")


def repair(host: Host) -> Report:
    """Undo what was interrupted, note what has ended, and take left-overs away."""
    report = Report()
    with host.change():
        _end_the_dead(host, report)
        _remove_leftovers(host, report)
    return report


def _remove_leftovers(host: Host, report: Report) -> None:
    """Links out of use; namespaces and directories of containers the store does not know."""
    swept = _core.sweep()
    if swept:
        report.removed.append(f"{swept} links out of use")
    layout: Layout = host.layout
    known = {container.id for container in host.store.containers()}
    for path in layout.namespaces.iterdir():
        if path.name not in known:
            _core.release_namespace(str(path))
            report.removed.append(f"namespace {path}")
    for path in layout.containers.iterdir():
        if path.name not in known:
            shutil.rmtree(path, ignore_errors=True)
            report.removed.append(f"directory {path}")
    for path in layout.log("x").parent.iterdir():
        if path.name not in known:
            path.unlink(missing_ok=True)
            report.removed.append(f"log {path}")
