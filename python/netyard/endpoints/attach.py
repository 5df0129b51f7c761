"""Endpoints made in the kernel, by their drivers."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence

import netyard._core as _core
from netyard.drivers.base import EndpointPlan
from netyard.drivers.registry import driver_of
from netyard.endpoints.detach import Action, detach_endpoints
from netyard.endpoints.plan import choose_ifname
from netyard.errors import KernelError
from netyard.firewall import conntrack
from netyard.firewall import table as firewall
from netyard.options.endpoint import IFNAME
from netyard.state.records import Attachment, EndpointRecord
from netyard.state.root import Change
from netyard.state.store import Store


def endpoint_plans(
    attached: Sequence[Attachment],
    namespace: int,
    *,
    carriers: Mapping[int, Attachment],
    has_ports: bool,
) -> list[EndpointPlan]:
    """What the drivers are told about a container's endpoints.

    Args:
        carriers: Which of the container's endpoints carry its default routes.
    """
    plans = []
    for endpoint, network in attached:
        gateways = [
            gateway
            for version, carrier in carriers.items()
            if carrier.endpoint.id == endpoint.id
            and (gateway := network.route_via(endpoint, version)) is not None
        ]
        plans.append(
            EndpointPlan(
                endpoint=endpoint,
                network=network,
                namespace=namespace,
                gateways=gateways,
                has_ports=has_ports and bool(gateways),
            )
        )
    return plans


def attach_endpoints(
    change: Change, plans: Sequence[EndpointPlan], *, meanwhile: Action
) -> list[EndpointRecord]:
    """Make endpoints in the kernel; `settle_endpoints` records that they are up.

    Args:
        meanwhile: Called before the kernel is asked: what can go on beside it.

    Returns:
        The endpoints: one whose interface's name somebody else's has in the container has another.
    """
    store = change.store
    new = [plan.endpoint.id for plan in plans if plan.endpoint.state != "attaching"]
    if new:
        with store.transaction():
            store.set_endpoint_states(new, "attaching")
    planned = [Attachment(plan.endpoint, plan.network) for plan in plans]
    change.on_failure(lambda: detach_endpoints(change.root, planned))
    meanwhile()
    firewall.guard(change.root, planned)
    conntrack.forget_before(change.root.layout, (plan.endpoint for plan in plans))
    by_driver: dict[str, list[EndpointPlan]] = {}
    for plan in plans:
        by_driver.setdefault(plan.network.driver, []).append(plan)
    made: list[EndpointRecord] = []
    for some in by_driver.values():
        driver = driver_of(some[0].network)
        try:
            driver.attach(some)
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
            some = _with_free_names(store, some)
            driver.attach(some)
        made += [plan.endpoint for plan in some]
    return made


def _with_free_names(store: Store, plans: Sequence[EndpointPlan]) -> list[EndpointPlan]:
    """Have interfaces called as nothing in their containers is, where there is a choice."""
    renamed = []
    planned = {(plan.namespace, plan.endpoint.ifname) for plan in plans}
    for plan in plans:
        endpoint = plan.endpoint
        present = {link.name for link in _core.list_links(plan.namespace)}
        if endpoint.ifname in present and IFNAME not in endpoint.options:
            taken = present | {name for namespace, name in planned if namespace == plan.namespace}
            endpoint = endpoint._replace(ifname=choose_ifname(plan.network, None, taken))
            planned.add((plan.namespace, endpoint.ifname))
            with store.transaction():
                store.update_endpoint(endpoint.id, ifname=endpoint.ifname)
        renamed.append(plan._replace(endpoint=endpoint))
    return renamed


def settle_endpoints(store: Store, endpoints: Iterable[EndpointRecord]) -> None:
    """Record that endpoints are up, with all that follows from them: no kill undoes them now."""
    with store.transaction():
        store.set_endpoint_states([endpoint.id for endpoint in endpoints], "up")
