"""A host: what users see of one root, its networks and containers, and its recovery."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from netyard.api import default
from netyard.state.layout import Layout
from netyard.state.root import Root

if TYPE_CHECKING:
    from netyard.api.cluster import Members
    from netyard.api.container import Container
    from netyard.api.network import Network


class Host(Root):
    """The networks and containers of one root.

    Args:
        root: State directory; ``NETYARD_ROOT`` or ``/var/lib/netyard`` if not given.

    Raises:
        PermissionDenied: if this process is not root.
        StoreError: if the state directory cannot be used.

    Example:
        >>> host = Host(root="/tmp/lab")
        >>> net = host.networks.create("my-net")
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        super().__init__(root)
        self._settle()

    def _settle(self) -> None:
        """See `Root._settle`; and have an agent again if it was killed."""
        if self.layout.agent_socket.exists() or self.layout.dead_agent_socket.exists():
            from netyard.ipc import agent

            # One that was killed has left its socket, on which nobody listens.
            agent.ensure(self.layout)
        super()._settle()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def networks(self) -> Networks:
        """The networks of this host."""
        return Networks(self)

    @property
    def containers(self) -> Containers:
        """The containers of this host."""
        return Containers(self)

    @property
    def members(self) -> Members:
        """The cluster this host is in."""
        from netyard.api.cluster import Members

        return Members(self)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Connect and disconnect together: faster, and all or none.

        Within the block `Network.connect` of running containers plans and returns, addresses and
        all; the interfaces are there at its end, or before whatever else is changed in it, and
        have another name if somebody has put one of theirs into the container. So with
        `Network.disconnect`. If the block raises, nothing of what it has planned is done.

        Raises:
            KernelError: if the kernel refuses one of them.

        Example:
            >>> with host.batch():
            ...     for box in boxes:
            ...         net.connect(box)
        """
        from netyard.lifecycle.batch import Batch

        with self.change() as change:
            if change.batch is not None:
                yield
                return
            change.batch = batch = Batch(change)
            try:
                yield
                batch.flush()
            except BaseException as error:
                batch.abandon(error)
                raise
            finally:
                change.batch = None

    def _finish_interrupted(self) -> None:
        """See `Root._finish_interrupted`."""
        from netyard.lifecycle import recover

        recover.finish_interrupted(self)

    def _restore_all(self) -> None:
        """See `Root._restore_all`."""
        from netyard.lifecycle import recover

        recover.reload(self)

    @classmethod
    def _again(cls, before: Root | None) -> Root:
        """The default host: the one from before, if it is open and of this process and root."""
        is_usable = (
            before is not None
            and before._is_open
            # A fork's is its parent's.
            and before._pid == os.getpid()
            and before.layout.root == Layout.of(None).root
        )
        if before is None or not is_usable:
            return cls()
        before._settle()
        return before


class Networks:
    """The networks of a host, as docker-py has them: ``create``, ``get``, ``list``."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def create(self, name: str, **settings: Any) -> Network:
        """Create a network; see `Network.create`."""
        from netyard.api.network import Network

        return Network.create(name, host=self._host, **settings)

    def get(self, wanted: str) -> Network:
        """A network by name, id or id prefix; see `Network.get`."""
        from netyard.api.network import Network

        return Network.get(wanted, host=self._host)

    def list(self, *, filters: Sequence[str] = ()) -> list[Network]:
        """All networks, or those that fit; see `Network.list`."""
        from netyard.api.network import Network

        return Network.list(filters=filters, host=self._host)

    def prune(self, *, filters: Sequence[str] = ()) -> Sequence[str]:
        """Remove networks no container is on; see `netyard.lifecycle.listing.prune_networks`."""
        from netyard.lifecycle.listing import prune_networks

        return prune_networks(self._host, filters)


class Containers:
    """The containers of a host: ``create``, ``run``, ``adopt``, ``get``, ``list``."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def create(self, *command: str, **settings: Any) -> Container:
        """Create a container without starting it; see `Container.create`."""
        from netyard.api.container import Container

        return Container.create(*command, host=self._host, **settings)

    def run(self, *command: str, **settings: Any) -> Container:
        """Create and start a container; see `Container.run`."""
        from netyard.api.container import Container

        return Container.run(*command, host=self._host, **settings)

    def adopt(self, name: str, **settings: Any) -> Container:
        """Adopt an existing network namespace; see `Container.adopt`."""
        from netyard.api.container import Container

        return Container.adopt(name, host=self._host, **settings)

    def get(self, wanted: str) -> Container:
        """A container by name, id or id prefix; see `Container.get`."""
        from netyard.api.container import Container

        return Container.get(wanted, host=self._host)

    def list(self, *, all: bool = False, filters: Sequence[str] = ()) -> list[Container]:
        """Containers, the running ones or all; see `Container.list`."""
        from netyard.api.container import Container

        return Container.list(host=self._host, all=all, filters=filters)


default.open_by(Host._again)
