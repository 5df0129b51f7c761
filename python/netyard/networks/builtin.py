"""The networks that always exist: ``bridge``, ``host`` and ``none`` (contract BO13)."""

from __future__ import annotations

from ipaddress import ip_interface

from netyard.errors import Conflict, Invalid
from netyard.ipam.host_subnets import subnets_in_use
from netyard.networks import devices
from netyard.options import bridge as bridge_options
from netyard.state import config
from netyard.state.config import Config
from netyard.state.random_ids import new_id
from netyard.state.records import NetworkRecord
from netyard.state.root import Root
from netyard.values import clock
from netyard.values.parse import Subnet, parse_subnet
from netyard.values.pool import Pool, address_from, contains
from netyard.values.subnet_pools import choose_subnet


def ensure_builtin(root: Root) -> None:
    """Record the built-in networks on first use."""
    if root.store.has_network_named("none"):
        return
    with root.change() as change:
        if root.store.has_network_named("none"):
            return
        settings = config.load(root.layout.root)
        with change.store.transaction():
            change.store.add_network(_default_network(root, settings))
            for name in ("host", "none"):
                change.store.add_network(
                    NetworkRecord(
                        id=new_id(), name=name, driver=name, created=clock.now(), is_builtin=True
                    )
                )


def _default_network(root: Root, settings: Config, present: Subnet | None = None) -> NetworkRecord:
    pool = _default_pool(root, settings, present)
    options = {**settings.bridge_options, bridge_options.DEFAULT_BRIDGE: "true"}
    bridge_options.check_together(options, has_ipv6=False, is_internal=False)
    return NetworkRecord(
        id=new_id(),
        name="bridge",
        driver="bridge",
        created=clock.now(),
        is_builtin=True,
        options=options,
        bridge=root.layout.default_bridge,
        state="planned",
        pools=(pool,),
    )


def _default_pool(root: Root, settings: Config, present: Subnet | None) -> Pool:
    """The default network's subnet, gateway and range (``bip``, ``fixed-cidr``).

    Args:
        present: The subnet it has, which it keeps if no other is set.
    """
    if settings.bridge_address:
        own = ip_interface(settings.bridge_address)
        pool = Pool(own.network, gateway=own.ip)
    else:
        taken = [pool.subnet for network in root.store.networks() for pool in network.pools]
        out_of_the_way = [*taken, *subnets_in_use()]
        subnet = present or choose_subnet(4, out_of_the_way, sources=settings.pools)
        pool = Pool(subnet, gateway=address_from(int(subnet.network_address) + 1, 4))
    if not settings.bridge_range:
        return pool
    inner = parse_subnet("config: fixed-cidr", settings.bridge_range)
    if not contains(pool.subnet, inner.network_address) or inner.prefixlen < pool.subnet.prefixlen:
        raise Invalid(f"config: fixed-cidr: {inner} is not within {pool.subnet}")
    return Pool(pool.subnet, ip_range=inner, gateway=pool.gateway)


def plan_default_again(root: Root) -> None:
    """Let changed settings count for the default network.

    Its bridge is taken away, and made with the new settings when the next container joins it.

    Raises:
        Conflict: if containers are on it, running or not; it keeps its settings then.
    """
    with root.change() as change:
        found = root.store.find_network("bridge")
        if not found:
            return
        (present,) = found
        settings = config.load(root.layout.root)
        wanted = _default_network(root, settings, present.pools[0].subnet)
        wanted = wanted._replace(id=present.id, created=present.created)
        if (present.options, present.pools) == (wanted.options, wanted.pools):
            return
        _refuse_in_use(root, present)
        if present.state != "planned":
            devices.discard(root, present)
        with change.store.transaction():
            change.store.delete_network(present.id)
            change.store.add_network(wanted)


def _refuse_in_use(root: Root, network: NetworkRecord) -> None:
    owners = (
        root.store.container(each.container_id) for each in root.store.endpoints_on(network.id)
    )
    users = ", ".join(sorted(owner.name for owner in owners if owner))
    if users:
        raise Conflict(
            f"config: network {network.name!r} is in use by containers {users} and keeps its "
            "settings",
            holder=users,
            hint="disconnect or remove these containers, then give the command again",
        )
