"""What every container is: its identity, its interfaces and ports; below `container_process`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import netyard
from netyard.api import arguments
from netyard.api.default import check_host
from netyard.errors import NotFound, StateError
from netyard.ipc import agent
from netyard.lifecycle.create import check_container_name
from netyard.lifecycle.lookup import find_container
from netyard.lifecycle.unpublished import why_unpublished
from netyard.state import events
from netyard.state.records import ContainerRecord, Publication, singly
from netyard.values import ports
from netyard.values.spec import ContainerSpec


class ContainerBase:
    """What every container is; see `netyard.Container`, which all of them are.

    Attributes:
        host: The host it is of.
    """

    host: netyard.Host

    def __init__(self, host: netyard.Host, record: ContainerRecord) -> None:
        self.host = host
        self._id = record.id

    def __repr__(self) -> str:
        try:
            record = self.record
        except NotFound:
            return f"<Container {self.id[:12]} removed>"
        except StateError:
            return f"<Container {self.id[:12]}>"
        return f"<Container {record.name} {self.id[:12]} {record.state}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ContainerBase):
            return NotImplemented
        return self._id == other._id

    def __hash__(self) -> int:
        return hash(self._id)

    @property
    def id(self) -> str:
        """The full id, 64 hexadecimal digits. Containers are equal if their ids are."""
        return self._id

    @property
    def record(self) -> ContainerRecord:
        """Everything the store knows of it, its state up to date.

        Raises:
            NotFound: if it has been removed.
        """
        return find_container(self.host, self._id)

    @property
    def name(self) -> str:
        """The name, unique on its host."""
        return self.record.name

    @property
    def status(self) -> str:
        """``created``, ``running`` or ``exited``."""
        return self.record.state

    @property
    def pid(self) -> int:
        """The host's pid of its first process; 0 if it does not run."""
        return self.record.pid

    @property
    def spec(self) -> ContainerSpec:
        """What it was asked to be."""
        return self.record.spec

    @property
    def namespace(self) -> Path:
        """Where its network namespace is kept while it runs."""
        record = self.record
        return self.host.layout.namespace(record.donor_id or record.id)

    # -- looking ------------------------------------------------------------------------------

    def endpoints(self) -> Sequence[netyard.Endpoint]:
        """Its interfaces on networks, in the order in which it joined them; there or to be made.

        Example:
            >>> {each.network: str(each.ip) for each in web.endpoints()}
            {'my-net': '172.18.0.2'}
        """
        from netyard.api.endpoint import endpoint_of
        from netyard.networks import egress

        owner = self.host.store.container(self.id)
        attached = egress.without(self.host.store.attachments_of(self.id))
        return [endpoint_of(owner.name, *each) for each in attached] if owner else []

    def ports(self) -> Sequence[tuple[str, str]]:
        """Published ports in force.

        Returns:
            The container's and the host's side of each, such as ``("80/tcp", "0.0.0.0:8080")``.

        Example:
            >>> web.ports()
            [('80/tcp', '0.0.0.0:8080'), ('80/tcp', '[::]:8080')]
        """
        return _shown_ports(self.host.store.publications(self.id))

    def unpublished(self) -> str | None:
        """Why none of the ports that were asked for can be published, a sentence.

        Returns:
            ``None`` if they are, or if none was asked for.

        Example:
            >>> print(web.unpublished())
            None
        """
        record = self.host.store.container(self.id)
        return why_unpublished(self.host, record) if record else None

    def add_ports(self, *wanted: str) -> Sequence[tuple[str, str]]:
        """Publish further ports, without a restart, now and whenever it is started.

        Args:
            wanted: Ports as for ``publish`` of `netyard.Container.create`.

        Returns:
            Those that are in force now, as of `netyard.Container.ports`.

        Raises:
            Invalid: if one is none.
            PortInUse: if something else has a host port; then none is added.
            Exhausted: if no host port is left; then none is added.
            Conflict: if it runs and is on no network that can publish.

        Example:
            >>> web.add_ports("8443:443")
            [('443/tcp', '0.0.0.0:8443'), ('443/tcp', '[::]:8443')]
        """
        from netyard.lifecycle.change_ports import add_ports

        return _shown_ports(add_ports(self.host, self.id, arguments.words("wanted", wanted)))

    def remove_ports(self, *wanted: str) -> None:
        """Take published ports back, without a restart; connections by them end.

        Args:
            wanted: Ports as they were published (``8080:80``), or those of the container
                (``80``, ``53/udp``).

        Raises:
            Invalid: if one is none.
            NotFound: if one is not published; then none is taken back.

        Example:
            >>> web.remove_ports("8443:443")
        """
        from netyard.lifecycle.change_ports import remove_ports

        remove_ports(self.host, self.id, arguments.words("wanted", wanted))

    def inspect(self) -> dict[str, Any]:
        """The container as Docker's ``inspect`` shows it: its field names and shapes.

        Raises:
            NotFound: if it has been removed.

        Example:
            >>> web.inspect()["NetworkSettings"]["Networks"]["my-net"]["IPAddress"]
            '172.18.0.2'
        """
        from netyard.api.inspect import inspect_container

        return inspect_container(self.host, self.record)

    def rename(self, name: str) -> None:
        """Give it another name; others resolve it by that at once, and no longer by the old one.

        Args:
            name: The name, 2 to 128 characters.

        Raises:
            Invalid: if it is no name.
            NameInUse: if a container has it.

        Example:
            >>> web.rename("old-web")
        """
        wanted = arguments.text("name", name)
        with self.host.change():
            record = self.record
            check_container_name(self.host, wanted)
            with self.host.store.transaction():
                self.host.store.update_container(record.id, name=wanted)
                events.container_event(self.host.store, "rename", self.record, oldName=record.name)
            agent.rename(self.host.layout, record.id)


def link_words(
    host: netyard.Host, given: str | netyard.Container | Iterable[str | netyard.Container]
) -> tuple[str, ...]:
    """What to link to: as typed, or of a container its id, which stays, and the name it has now."""

    def word(name: str, each: str | netyard.Container) -> str:
        if not isinstance(each, ContainerBase):
            return arguments.text(name, each)
        check_host(name, host, each)
        return f"{each.id}:{each.name}"

    return arguments.several("links", [given] if isinstance(given, ContainerBase) else given, word)


def _shown_ports(publications: Iterable[Publication]) -> Sequence[tuple[str, str]]:
    """The container's and the host's side of each translated port, in order."""
    return [
        (
            f"{each.container_port}/{each.protocol}",
            ports.format_side(each.host_ip, each.family, each.host_port),
        )
        for each in sorted(
            singly(publications),
            key=lambda p: (p.container_port, p.protocol, p.family, p.host_ip),
        )
        if each.access != "routed"
    ]
