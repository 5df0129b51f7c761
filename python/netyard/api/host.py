"""A host: what users see of one root, its networks and containers, and its recovery."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING

import netyard
from netyard.api import default
from netyard.api.hints import Unpack
from netyard.errors import AgentError, Invalid
from netyard.state.layout import Layout
from netyard.state.root import Root

if TYPE_CHECKING:
    import netyard.api.cluster


class Host(Root):
    """The networks and containers of one root.

    Hosts are equal if their state directory is the same. As a context manager it closes its store
    at the end; its networks and containers go on. A child that is forked off can go on with it;
    what was being changed stays the parent's. Within a block of `batch` a child can only read.

    Args:
        root: State directory; ``NETYARD_ROOT`` or ``/var/lib/netyard`` if not given.

    Raises:
        Invalid: if the state directory is no path.
        PermissionDenied: if this process is not root.
        StoreError: if the state directory cannot be used.

    Attributes:
        layout: Paths and names in the kernel, which all derive from the state directory.
        store: What is recorded in the state directory.

    Example:
        >>> host = Host(root="/tmp/lab")
        >>> net = host.networks.create("my-net")
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        if root is not None:
            from netyard.api import arguments

            root = arguments.path("root", root)
            if not root:
                raise Invalid("root: '' must be a path, or None for the default", field="root")
        super().__init__(root)
        self._settle()

    def __repr__(self) -> str:
        return f"<Host {self.layout.root}{'' if self._is_open else ' closed'}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Host):
            return NotImplemented
        return self.layout.root == other.layout.root

    def __hash__(self) -> int:
        return hash(self.layout.root)

    def _settle(self) -> None:
        """See `Root._settle`; and have an agent again if it was killed."""
        if self.layout.agent_socket.exists() or self.layout.dead_agent_socket.exists():
            from netyard.ipc import agent

            # One that was killed has left its socket, on which nothing listens. What needs one
            # and cannot have it fails by itself; all else need not.
            with suppress(AgentError, OSError):
                agent.ensure(self.layout)
        super()._settle()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def networks(self) -> Networks:
        """The networks of this host: created, found, listed, pruned."""
        return Networks(self)

    @property
    def containers(self) -> Containers:
        """The containers of this host: created, run, adopted, found, listed."""
        return Containers(self)

    @property
    def members(self) -> netyard.api.cluster.Members:
        """The cluster this host is in, if it is in one: joined, left, listed."""
        from netyard.api.cluster import Members

        return Members(self)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Connect and disconnect together: faster, and all or none.

        Within the block `Network.connect` of running containers plans and returns, addresses and
        all; the interfaces are there at its end, or before whatever else is changed in it, and
        have another name if something else has put an interface of that name into the container
        meanwhile. So with `Network.disconnect`. If the block raises, what it has made and connected
        goes, and what it has disconnected is connected again as it was; `Host.events` tells of
        none of it. What has ended or been removed in it stays so.

        Raises:
            KernelError: if the kernel refuses one of them; then none is done.

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
                if not change.is_of_parent:
                    batch.flush()
            except BaseException as error:
                batch.abandon(error)
                raise
            finally:
                change.batch = None

    def events(
        self,
        *,
        since: str | float | datetime | None = None,
        until: str | float | datetime | None = None,
        filters: str | Iterable[str] = (),
        follow: bool = True,
    ) -> netyard.EventStream:
        """What happens to networks and containers, as ``netyard events`` shows it.

        It begins with the call, not with the first event that is asked for: what is done in between
        is in it. The last ten thousand events are kept.

        Args:
            since: Begin with those of this time: a `datetime` (local time if it has no zone), Unix
                seconds, RFC 3339, or how long ago, as ``10m``. By default with what comes from now
                on, or without ``follow`` with the oldest.
            until: End at this time, which may be to come.
            filters: ``KEY=VALUE`` words: ``type`` (``network``, ``container``), ``event``
                (``create``, ``die``, …), ``container`` and ``network`` (a name or an id). Those of
                a container are also those of networks that it is connected to and disconnected
                from. The same key twice means either, different keys mean both. One string is one
                word.
            follow: Wait for those that come, until it is closed; otherwise end with the latest.

        Returns:
            An iterator that can be closed, by another thread too, or used in a ``with`` block.

        Raises:
            Invalid: for a time or a filter that is none, at the call.

        Example:
            >>> for event in host.events(filters=["type=container", "event=die"]):
            ...     print(event.name, event.attributes["exitCode"])
        """
        import threading

        from netyard.api import arguments
        from netyard.api.event import EventStream
        from netyard.lifecycle.event_stream import follow_events

        closed = threading.Event()
        told = follow_events(
            self,
            since=since,
            until=until,
            filters=arguments.words("filters", filters),
            follow=arguments.flag("follow", follow),
            closed=closed,
        )
        return EventStream(told, closed)

    def _finish_interrupted(self) -> None:
        """See `Root._finish_interrupted`."""
        from netyard.lifecycle import recover

        recover.finish_interrupted(self)

    def _restore_all(self) -> None:
        """See `Root._restore_all`."""
        from netyard.lifecycle import recover

        recover.reload(self)

    @classmethod
    def _again(cls, before: Host | None) -> Host:
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
    """The networks of a host: `netyard.Host.networks`. The words are those of docker-py.

    Example:
        >>> net = host.networks.create("my-net", subnet="172.28.0.0/16")
        >>> [each.name for each in host.networks.list(filters="driver=bridge")]
        ['bridge', 'my-net']
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def create(self, name: str, **settings: Unpack[netyard.NetworkSettings]) -> netyard.Network:
        """Create a network.

        Args:
            name: What to call it: letters, digits, ``_``, ``.`` and ``-``, at most 128 characters.
            settings: As `netyard.Network.create` takes them.

        Raises:
            Invalid: for a value that is wrong, and what else `netyard.Network.create` raises.

        Example:
            >>> host.networks.create("my-net", internal=True)
        """
        from netyard.api.network import Network

        return Network.create(name, host=self._host, **settings)

    def get(self, wanted: str) -> netyard.Network:
        """A network by what it is called.

        Args:
            wanted: Its full id, its name, or as much of the id as no other begins with.

        Raises:
            NotFound: if there is none.
            Invalid: if several ids begin so.

        Example:
            >>> host.networks.get("my-net").driver
            'bridge'
        """
        from netyard.api.network import Network

        return Network.get(wanted, host=self._host)

    def list(self, *, filters: str | Iterable[str] = ()) -> list[netyard.Network]:
        """All networks, or those that fit, by name.

        Args:
            filters: ``KEY=VALUE`` words; see `netyard.Network.list`. One string is one word.

        Raises:
            Invalid: for a filter that is none.

        Example:
            >>> host.networks.list(filters="dangling=true")
        """
        from netyard.api.network import Network

        return Network.list(filters=filters, host=self._host)

    def prune(self, *, filters: str | Iterable[str] = ()) -> Sequence[str]:
        """Remove every network of users that no container is on, running or not.

        Args:
            filters: ``until=TIME``, ``label=KEY[=VALUE]``, ``label!=KEY[=VALUE]``. One string is
                one word.

        Returns:
            The names of those removed.

        Raises:
            Invalid: for a filter that is none.

        Example:
            >>> host.networks.prune(filters="until=24h")
            ['my-net']
        """
        from netyard.api import arguments
        from netyard.lifecycle.listing import prune_networks

        return prune_networks(self._host, arguments.words("filters", filters))


class Containers:
    """The containers of a host: `netyard.Host.containers`.

    Example:
        >>> web = host.containers.run("python3", "-m", "http.server", name="web", network="my-net")
        >>> [each.name for each in host.containers.list(filters="network=my-net")]
        ['web']
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def create(
        self, *command: str | PathLike[str], **settings: Unpack[netyard.ContainerSettings]
    ) -> netyard.Container:
        """Create a container without starting it.

        Args:
            command: Program and arguments, a word each: strings or paths.
            settings: As `netyard.Container.create` takes them.

        Raises:
            Invalid: for a value that is wrong, and what else `netyard.Container.create` raises.

        Example:
            >>> host.containers.create("sleep", "600", name="box").start()
        """
        from netyard.api.container import Container

        return Container.create(*command, host=self._host, **settings)

    def run(
        self, *command: str | PathLike[str], **settings: Unpack[netyard.ContainerSettings]
    ) -> netyard.Container:
        """Create a container and start it.

        Args:
            command: Program and arguments, a word each: strings or paths.
            settings: As `netyard.Container.create` takes them.

        Raises:
            StartFailed: if the command does not start, and what else `netyard.Container.run`
                raises; then nothing of the container is left.

        Example:
            >>> host.containers.run("sleep", "600", name="box", network="my-net")
        """
        from netyard.api.container import Container

        return Container.run(*command, host=self._host, **settings)

    def adopt(self, name: str, **settings: Unpack[netyard.AdoptSettings]) -> netyard.Container:
        """Put an existing network namespace on networks.

        Args:
            name: What to call it, 2 to 128 characters.
            settings: As `netyard.Container.adopt` takes them: ``pid`` or ``netns`` at least.

        Raises:
            NotFound: if there is no such namespace, and what else `netyard.Container.adopt` raises.

        Example:
            >>> host.containers.adopt("lab", netns="/run/netns/lab", network="my-net")
        """
        from netyard.api.container import Container

        return Container.adopt(name, host=self._host, **settings)

    def get(self, wanted: str) -> netyard.Container:
        """A container by what it is called.

        Args:
            wanted: Its full id, its name, or as much of the id as no other begins with.

        Raises:
            NotFound: if there is none.
            Invalid: if several ids begin so.

        Example:
            >>> host.containers.get("web").status
            'running'
        """
        from netyard.api.container import Container

        return Container.get(wanted, host=self._host)

    def list(
        self, *, all: bool = False, filters: str | Iterable[str] = ()
    ) -> list[netyard.Container]:
        """Containers, newest first.

        Args:
            all: Those that do not run as well.
            filters: ``KEY=VALUE`` words; see `netyard.Container.list`. One string is one word.

        Raises:
            Invalid: for a filter that is none.

        Example:
            >>> host.containers.list(all=True, filters=["label=tier=web", "status=exited"])
        """
        from netyard.api.container import Container

        return Container.list(host=self._host, all=all, filters=filters)


default.open_by(Host._again)
