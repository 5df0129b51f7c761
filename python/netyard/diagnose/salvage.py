"""What there is of a root, as the kernel and its directories have it: for when its store is lost.

Nothing here reads the store, except to see that it is lost.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import netyard._core as _core
from netyard.drivers.parent.driver import is_child
from netyard.errors import Conflict, StoreError
from netyard.firewall.steps import AddTable, DeleteTable
from netyard.ipc import agent
from netyard.lifecycle.adopt import is_netns
from netyard.runtime import shim
from netyard.state.flock import locked
from netyard.state.layout import Layout
from netyard.state.root import check_privileges
from netyard.state.store import Store


class Remains(NamedTuple):
    """What there is.

    Attributes:
        networks: Interfaces of networks, each with its network's name.
        ports: The host's ends of containers' interfaces.
        tables: Families in which there is a table of rules.
        namespaces: Where namespaces of containers are kept.
        containers: Directories of containers' files.
        stores: Files of the store that have been put aside.
    """

    networks: Sequence[tuple[str, str]]
    ports: Sequence[str]
    tables: Sequence[str]
    namespaces: Sequence[Path]
    containers: Sequence[Path]
    stores: Sequence[Path] = ()

    def lines(self) -> Iterator[str]:
        """A line for each."""
        yield from (f"interface {name} of network {network}" for name, network in self.networks)
        yield from (f"interface {name} of a container" for name in self.ports)
        yield from (f"table of rules, family {family}" for family in self.tables)
        yield from (f"namespace {path}" for path in self.namespaces)
        yield from (f"directory {path}" for path in self.containers)
        yield from (f"store, now at {path}" for path in self.stores)


def find(layout: Layout) -> Remains:
    """Everything that belongs to a root.

    Raises:
        PermissionDenied: if this process is not root.
    """
    check_privileges()
    mark, links = layout.alias(), _core.list_links()
    own = [link for link in links if link.alias.startswith(mark)]
    indices = {link.index for link in own}
    return Remains(
        networks=[(link.name, link.alias.removeprefix(mark)) for link in own],
        ports=[link.name for link in links if link.master in indices and link not in own],
        tables=sorted({each.family for each in _core.list_chains() if each.table == layout.table}),
        namespaces=_entries(layout.namespaces),
        containers=_entries(layout.containers),
    )


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return []


def clean(layout: Layout) -> Remains:
    """Take everything away that belongs to a root, and put its store aside.

    Processes of containers end. Adopted namespaces stay, without netyard's interfaces.

    Raises:
        Conflict: if the store is in order and knows of something: then that is to be removed.
    """
    check_privileges()
    layout.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(layout.lock):
        _check_lost(layout)
        found = find(layout)
        for directory in found.containers:
            shim.end_orphan(directory)
        agent.end(layout)
        for path in found.namespaces:
            _let_go(path)
        _core.delete_links([*found.ports, *(name for name, _ in found.networks)])
        for family in found.tables:
            _core.apply_nft([(family, layout.table, [AddTable(), DeleteTable()])])
        for directory in (*found.containers, layout.stale_flows, layout.log("x").parent):
            shutil.rmtree(directory, ignore_errors=True)
        return found._replace(stores=list(_put_aside(layout)))


def _check_lost(layout: Layout) -> None:
    """Refuse to take away what the store still knows how to."""
    if not layout.database.exists():
        return
    with suppress(StoreError):
        store = Store(layout.database, create=False)
        try:
            is_empty = not store.containers() and not any(
                each.state != "planned" and each.takes_endpoints for each in store.networks()
            )
        finally:
            store.close()
        if not is_empty:
            raise Conflict(
                f"the store {layout.database} is in order",
                hint="remove containers and networks with `rm` and `network rm`",
            )


def _let_go(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if is_netns(fd):
            _core.remove_dns_redirect(fd)
            groups = {link.group for link in _core.list_links(fd) if is_child(link)}
            _core.detach_children([(fd, group) for group in sorted(groups)])
    finally:
        os.close(fd)
    _core.release_namespace(str(path))


def _put_aside(layout: Layout) -> Iterator[Path]:
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    for suffix in ("", "-wal", "-shm"):
        path = layout.database.with_name(layout.database.name + suffix)
        if path.exists():
            yield path.rename(path.with_name(f"{path.name}.lost-{moment}"))
