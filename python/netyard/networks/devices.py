"""The kernel's side of a network: made when it is first needed, discarded when it goes."""

from __future__ import annotations

from contextlib import suppress

import netyard._core as _core
from netyard.drivers.registry import driver_of, note
from netyard.errors import DriverError, Unsupported
from netyard.firewall import table as firewall
from netyard.ipc import agent, cluster
from netyard.options import parent as parent_options
from netyard.state.records import NetworkRecord
from netyard.state.root import Change, Root


def ensure_device(change: Change, record: NetworkRecord) -> None:
    """Make the default network's bridge when the first container joins it."""
    if record.state != "planned":
        return
    with change.store.transaction():
        change.store.set_network_state(record.id, "making")
    change.on_failure(lambda: discard(change.root, record))
    make_in_kernel(change.root, record)
    with change.store.transaction():
        change.store.set_network_state(record.id, "ready")


def make_in_kernel(root: Root, record: NetworkRecord) -> None:
    """The kernel's side of a network: rules before the device, so that it is never open."""
    cluster.prepare(root, record)
    firewall.admit(root, record)
    driver_of(record).create([record])
    label(root, record)
    # Not needed to run a container on a network that is there.
    from netyard.firewall import forwarding, other_firewalls

    forwarding.ensure_forwarding(root, record)
    found = other_firewalls.find(root.layout.table)
    if found:
        other_firewalls.sync(root.layout, root.store, found)
        # It sees to it that the others go on letting us pass.
        agent.ensure(root.layout)


def label(root: Root, record: NetworkRecord) -> None:
    """Say on a network's interfaces whose they are; not on those that were there before it."""
    names = driver_of(record).devices(record)
    if names:
        _core.set_aliases(names, root.layout.alias(record.name))


def discard(root: Root, record: NetworkRecord) -> None:
    """Take everything of a network away, however far it had come.

    With the last network that has a device, the firewall tables and forwarding go too. Until all is
    done the network is ``removing``, so that the next operation goes on if this one is killed.
    A built-in network goes back to being planned, and so does one that other hosts have as well.

    Raises:
        DriverError: if its driver is not there, or fails; it is the same network as before then.
    """
    from netyard.drivers.parent import plan

    driver = driver_of(record)
    with root.store.transaction():
        root.store.set_network_state(record.id, "removing")
    stays = record
    if record.driver in parent_options.KINDS and plan.sharers(root, record):
        # What they stand on together goes with the last of them.
        stays = record._replace(is_foreign=True)
    try:
        driver.remove([stays])
    except DriverError:
        with root.store.transaction():
            root.store.set_network_state(record.id, record.state)
        raise
    _leave_firewall(root, record)
    with root.store.transaction():
        if record.is_builtin or record.spans_hosts:
            root.store.set_network_state(record.id, "planned")
        else:
            root.store.delete_network(record.id)


def _leave_firewall(root: Root, record: NetworkRecord) -> None:
    from netyard.firewall import other_firewalls

    # A kernel without nf_tables has no elements either.
    with suppress(Unsupported):
        firewall.expel(root, record)
    agent.tidy(root.layout)
    other_firewalls.sync(root.layout, root.store)
    others = [each for each in root.store.networks() if each.id != record.id]
    if not any(each.bridge and each.state != "planned" for each in others):
        from netyard.firewall import forwarding

        forwarding.restore_forwarding(root)
        firewall.remove_table(root)


def abandon(root: Root, record: NetworkRecord) -> None:
    """Forget a network whose driver cannot take it away.

    What is known to be its own on the host goes; whatever else the driver has made stays.
    """
    alias = root.layout.alias(record.name)
    names = [link.name for link in _core.list_links() if link.alias == alias]
    if record.bridge and not record.is_foreign:
        names.append(record.bridge)
    _core.delete_links(list(dict.fromkeys(names)))
    _leave_firewall(root, record)
    with root.store.transaction():
        root.store.delete_network(record.id)


def undo(root: Root, record: NetworkRecord) -> None:
    """Take away what was to become a network, even if its driver fails in that, too."""
    try:
        discard(root, record)
    except DriverError as error:
        note(error)
        abandon(root, record)


def forget(root: Root, record: NetworkRecord) -> None:
    """Take a network that spanned hosts away for good, and with the last the way out of all."""
    _delete(root, record)
    networks = root.store.networks()
    if not any(network.spans_hosts for network in networks):
        for network in networks:
            if network.is_egress and not root.store.endpoints_on(network.id):
                _delete(root, network)


def _delete(root: Root, record: NetworkRecord) -> None:
    discard(root, record)
    with root.store.transaction():
        root.store.delete_network(record.id)
