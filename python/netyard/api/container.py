"""Containers: created, run, adopted, and everything one does with them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netyard.api.default import default_host
from netyard.errors import Conflict, Forbidden, Invalid, NotFound
from netyard.ipc import agent
from netyard.lifecycle import adopt
from netyard.lifecycle.create import check_container_name, make_container
from netyard.lifecycle.environment import environment_of
from netyard.lifecycle.lookup import find_container, refreshed_container
from netyard.lifecycle.start import start_container
from netyard.lifecycle.stop import discard_container, finish_container, running_joiners
from netyard.lifecycle.unpublished import why_unpublished
from netyard.lifecycle.validate import (
    check_mode,
    check_rootfs,
    check_values,
    network_mode,
    parse_requests,
    parse_sysctl,
    with_first,
)
from netyard.runtime import capabilities, logs, shim
from netyard.runtime.process import Process
from netyard.runtime.users import parse_user
from netyard.state import events
from netyard.state.records import ContainerRecord, Publication, singly
from netyard.state.root import Root
from netyard.values import ports
from netyard.values.parse import parse_extra_host
from netyard.values.spec import ContainerSpec, NetworkRequest

_KILL_SECONDS = 10.0


class Container:
    """A container of a host: a network namespace with a name, and possibly processes in it.

    Not made directly: by `create`, `run`, `adopt`, `get` or `list`. As a context manager it removes
    itself at the end (or, if adopted, gives the namespace back).

    Example:
        >>> with Container.run("redis-server", name="redis", network="my-net") as redis:
        ...     redis.exec("redis-cli", "ping").stdout
        b'PONG\\n'
    """

    def __init__(self, host: Root, record: ContainerRecord) -> None:
        self.host = host
        self._id = record.id

    def __repr__(self) -> str:
        return f"<Container {self.name} {self.id[:12]} {self.status}>"

    @property
    def id(self) -> str:
        """The full id, 64 hexadecimal digits."""
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

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        *command: str,
        name: str | None = None,
        network: str | NetworkRequest | Sequence[str | NetworkRequest] = (),
        ip: str | None = None,
        ip6: str | None = None,
        mac_address: str | None = None,
        aliases: Sequence[str] = (),
        link_local_ips: Sequence[str] = (),
        links: Sequence[str] = (),
        sysctls: Mapping[str, str] | None = None,
        publish: Sequence[str] = (),
        publish_all: bool = False,
        expose: Sequence[str] = (),
        hostname: str = "",
        domainname: str = "",
        add_hosts: Sequence[str] = (),
        dns: Sequence[str] = (),
        dns_search: Sequence[str] = (),
        dns_options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        workdir: str = "",
        user: str = "",
        rootfs: str | os.PathLike[str] = "",
        tty: bool = False,
        interactive: bool = False,
        auto_remove: bool = False,
        privileged: bool = False,
        cap_add: Sequence[str] = (),
        cap_drop: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        host: Root | None = None,
    ) -> Container:
        """Create a container without starting it. Its addresses are reserved from now on.

        Args:
            command: Program and arguments.
            name: At least two characters; generated if not given.
            network: What to join: a name, several, ``host``, ``none`` or ``container:NAME``; the
                default network ``bridge`` if not given. A name may be in Docker's long form,
                ``name=NAME,alias=…,ip=…,gw-priority=…``, or a `NetworkRequest`.
            ip, ip6, mac_address, aliases, link_local_ips, links: For the first network.
            sysctls: Settings of its network namespace, such as ``net.ipv4.tcp_syncookies``.
            publish: Ports as for ``docker run -p``: ``8080:80``, ``127.0.0.1:8080:80/udp``.
            publish_all: Publish each exposed port to a chosen host port.
            hostname: The short id if not given.
            add_hosts: ``NAME:ADDRESS`` lines for /etc/hosts; ``host-gateway`` is an address.
            dns: Name servers to ask instead of the host's.
            environment: Further variables.
            rootfs: Directory to be its root; the host's files if not given.
            auto_remove: Remove it when it ends.

        Raises:
            Invalid, Several: for everything that is wrong.
            NameInUse, AddressInUse, NotFound, Exhausted: as they say.
        """
        host = host or default_host()
        if not command:
            raise Invalid("a command is needed: netyard has no images that could name one")
        requests = parse_requests(network)
        first = {
            "ip": ip,
            "ip6": ip6,
            "mac_address": mac_address,
            "aliases": tuple(aliases),
            "link_local_ips": tuple(link_local_ips),
            "links": tuple(links),
        }
        mode, target = network_mode(requests)
        spec = ContainerSpec(
            command=command,
            mode=mode,
            networks=with_first(requests, first) if mode == "networks" else (),
            publish=ports.compacted(publish),
            expose=tuple(expose),
            publish_all=publish_all,
            hostname=hostname,
            domainname=domainname,
            environment=tuple(f"{key}={value}" for key, value in (environment or {}).items()),
            workdir=workdir,
            user=parse_user(user, os.fspath(rootfs)),
            rootfs=check_rootfs(rootfs),
            tty=tty,
            interactive=interactive,
            auto_remove=auto_remove,
            privileged=privileged,
            capabilities=capabilities.capability_mask(cap_add, cap_drop),
            sysctls=dict(
                parse_sysctl(f"{name}={value}") for name, value in (sysctls or {}).items()
            ),
            add_hosts=tuple(parse_extra_host("--add-host", word) for word in add_hosts),
            dns=tuple(dns),
            dns_search=tuple(dns_search),
            dns_options=tuple(dns_options),
            labels=dict(labels or {}),
        )
        check_mode(spec, first, target, requests)
        check_values(spec)
        with host.change() as change:
            return cls(host, make_container(change, name, spec, target))

    @classmethod
    def run(cls, *command: str, host: Root | None = None, **settings: Any) -> Container:
        """Create a container and start it; takes what `create` takes.

        Raises:
            StartFailed: if the command does not start; then nothing of the container is left.
        """
        host = host or default_host()
        with host.change() as change:
            container = cls.create(*command, host=host, **settings)
            change.on_failure(lambda: discard_container(host, container.record))
            start_container(change, container.record)
        return container

    @classmethod
    def adopt(
        cls,
        name: str,
        *,
        pid: int | None = None,
        netns: str | os.PathLike[str] | None = None,
        network: str | NetworkRequest | Sequence[str | NetworkRequest] = (),
        ip: str | None = None,
        ip6: str | None = None,
        mac_address: str | None = None,
        aliases: Sequence[str] = (),
        publish: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        host: Root | None = None,
    ) -> Container:
        """Put an existing network namespace on networks.

        Its files and processes are not touched; names are served at 127.0.0.11 inside. `abandon`
        gives it back as it was.

        Args:
            pid: A process in the namespace; or
            netns: a path to it, such as ``/run/netns/lab`` or ``/proc/1234/ns/net``.

        Raises:
            NotFound: if there is no such process or namespace.
            Forbidden: for the host's own namespace.

        Example:
            >>> Container.adopt("lab", netns="/run/netns/lab", network="my-net", publish=["80:80"])
        """
        host = host or default_host()
        requests = parse_requests(network)
        mode, _ = network_mode(requests)
        if mode != "networks":
            raise Invalid(f"--network: an adopted namespace cannot be in {mode!r} mode")
        first = {"ip": ip, "ip6": ip6, "mac_address": mac_address, "aliases": tuple(aliases)}
        spec = ContainerSpec(
            networks=with_first(requests, first),
            publish=ports.compacted(publish),
            labels=dict(labels or {}),
            netns="" if netns is None else str(Path(netns).absolute()),
        )
        check_values(spec)
        source = adopt.open_foreign(pid, netns)
        try:
            with host.change() as change:
                return cls(host, adopt.adopt(change, name, spec, source))
        finally:
            os.close(source)

    # -- finding ------------------------------------------------------------------------------

    @classmethod
    def get(cls, wanted: str, *, host: Root | None = None) -> Container:
        """A container by full id, name or unique id prefix.

        Raises:
            NotFound: if there is none.
            Invalid: if a prefix fits several.
        """
        host = host or default_host()
        return cls(host, find_container(host, wanted))

    @classmethod
    def list(
        cls, *, all: bool = False, filters: Sequence[str] = (), host: Root | None = None
    ) -> list[Container]:
        """Containers, newest first: the running ones, or all.

        Args:
            filters: ``KEY=VALUE`` words as of ``docker ps``: ``id``, ``name``, ``label``,
                ``status``, ``exited``, ``network``, ``publish``, ``expose``, ``before``, ``since``.
        """
        host = host or default_host()
        found = (refreshed_container(host, each) for each in host.store.containers())
        records = [each for each in found if each is not None]
        if filters:
            from netyard.lifecycle.listing import select_containers

            records = select_containers(host, records, filters)
        return [cls(host, each) for each in records if all or each.state == "running"]

    # -- living -------------------------------------------------------------------------------

    def start(
        self, *, attached: int = 0, when_listening: Callable[[], object] = lambda: None
    ) -> None:
        """Start it; a running one stays as it is.

        Args:
            attached: How many clients the command waits for.
            when_listening: Called once they can attach.

        Raises:
            StartFailed: if the command does not start.
            PortInUse, Conflict, KernelError: if its network cannot be made; nothing is left up.
        """
        with self.host.change() as change:
            record = self.record
            if record.kind == "adopted":
                raise Forbidden(f"container {record.name!r} is adopted: netyard does not start it")
            if record.state != "running":
                start_container(change, record, attached=attached, when_listening=when_listening)

    def stop(self, timeout: float = _KILL_SECONDS) -> None:
        """End it: SIGTERM, and SIGKILL after ``timeout`` seconds. A stopped one stays as it is."""
        self._end(signal.SIGTERM, timeout)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to its first process."""
        record = self._running()
        with Process(record) as process:
            process.send(number)
        events.container_event(self.host.store, "kill", record, signal=str(number))

    def rename(self, name: str) -> None:
        """Give it another name; others resolve it by that at once, and no longer by the old one.

        Raises:
            NameInUse: if a container has it.
        """
        with self.host.change():
            record = self.record
            check_container_name(self.host, name)
            with self.host.store.transaction():
                self.host.store.update_container(record.id, name=name)
                events.container_event(self.host.store, "rename", self.record, oldName=record.name)
            agent.rename(self.host.layout, record.id)

    def _end(self, first: int, timeout: float) -> None:
        record = self.record
        if record.kind == "adopted" or record.state != "running":
            return
        claim = shim.Claim.try_on(self.host.layout.container(record.id))
        with Process(record) as process:
            process.send(first)
            if not process.wait(timeout):
                process.send(signal.SIGKILL)
                process.wait(_KILL_SECONDS)
        finish_container(self.host, record.id)
        if claim is not None:
            claim.keep()

    def remove(self, *, force: bool = False) -> None:
        """Remove it and give its addresses and names back.

        Args:
            force: End it first, if it runs.

        Raises:
            Conflict: if it runs, or others share its namespace.
        """
        record = self.record
        if record.kind == "adopted":
            self.abandon()
            return
        # Somebody may start it again before we have the lock.
        while not self._discard(force=force):
            self._end(signal.SIGKILL, _KILL_SECONDS)

    def _discard(self, *, force: bool) -> bool:
        """Remove it; false if it must be ended first."""
        with self.host.change() as change:
            left = change.store.container(self.id)
            record = left and refreshed_container(self.host, left)
            if record is None:
                return True
            joiners = [each.name for each in running_joiners(self.host, record)]
            if joiners:
                raise Conflict(
                    f"container {record.name!r} shares its network with {', '.join(joiners)}",
                    holder=", ".join(joiners),
                )
            if record.state == "running":
                if not force:
                    raise Conflict(
                        f"container {record.name!r} is running",
                        hint="stop it first, or use --force",
                    )
                return False
            discard_container(self.host, record)
            return True

    def abandon(self) -> None:
        """Give an adopted namespace back, as it was before.

        Raises:
            Forbidden: if netyard runs the container.
        """
        record = self.record
        if record.kind != "adopted":
            raise Forbidden(f"container {record.name!r} was not adopted", hint="remove it instead")
        with self.host.change():
            adopt.abandon(self.host, record)

    def wait(self) -> int:
        """Wait until it ends; its exit status."""
        record = self.record
        if record.state == "running":
            with Process(record) as process:
                while not process.wait(3600):
                    continue
            ended = finish_container(self.host, record.id)
            return ended.exit_code if ended else 0
        return record.exit_code

    # -- looking ------------------------------------------------------------------------------

    def exec(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        workdir: str = "",
        user: str = "",
        tty: bool = False,
        interactive: bool = False,
        capture: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one more process in it and wait.

        Args:
            capture: Collect output; otherwise it goes where ours goes.

        Raises:
            Conflict: if the container does not run.
            StartFailed: if the command is not found (127) or cannot be executed (126).
        """
        record = self._running()
        if record.kind == "adopted":
            raise Forbidden(f"container {record.name!r} is adopted: netyard runs nothing in it")
        spec = self.spec
        extra = [f"{key}={value}" for key, value in (environment or {}).items()]
        request = shim.Exec(
            target=record.pid,
            command=command,
            environment=environment_of(record, extra),
            workdir=workdir or spec.workdir,
            user=parse_user(user, spec.rootfs) or spec.user,
            tty=tty,
            interactive=interactive,
            privileged=spec.privileged,
            capabilities=spec.capabilities,
        )
        return shim.execute(self.host.layout, request, capture=capture)

    def logs(self, *, tail: int | None = None, follow: bool = False) -> Iterator[logs.LogRecord]:
        """What its command has written, line by line.

        Args:
            tail: Only the last so many lines.
            follow: Go on with what comes, until it ends.
        """
        path = self.host.layout.log(self.record.id)
        return logs.read(path, tail=tail, follow=self._is_running if follow else None)

    def _is_running(self) -> bool:
        try:
            return self.record.state == "running"
        except NotFound:
            return False

    def ports(self) -> Sequence[tuple[str, str]]:
        """Published ports in force: pairs such as ``("80/tcp", "0.0.0.0:8080")``."""
        return _shown_ports(self.host.store.publications(self.id))

    def unpublished(self) -> str | None:
        """Why none of the ports that were asked for can be published, if that is so."""
        record = self.host.store.container(self.id)
        return why_unpublished(self.host, record) if record else None

    def add_ports(self, *wanted: str) -> Sequence[tuple[str, str]]:
        """Publish further ports, without a restart; see `netyard.lifecycle.change_ports.add_ports`.

        Example:
            >>> web.add_ports("8443:443")
            [('443/tcp', '0.0.0.0:8443'), ('443/tcp', '[::]:8443')]
        """
        from netyard.lifecycle.change_ports import add_ports

        return _shown_ports(add_ports(self.host, self.id, wanted))

    def remove_ports(self, *wanted: str) -> None:
        """Take published ports back; see `netyard.lifecycle.change_ports.remove_ports`."""
        from netyard.lifecycle.change_ports import remove_ports

        remove_ports(self.host, self.id, wanted)

    def processes(self) -> Sequence[dict[str, str]]:
        """Its processes as the host sees them: ``UID``, ``PID``, ``PPID``, ``TIME``, ``CMD``."""
        from netyard.runtime.process import processes_below

        return processes_below(self._running().pid)

    def inspect(self) -> dict[str, Any]:
        """The container as Docker's ``inspect`` shows it."""
        from netyard.api.inspect import inspect_container

        return inspect_container(self.host, self.record)

    def _running(self) -> ContainerRecord:
        record = self.record
        if record.state != "running":
            raise Conflict(f"container {record.name!r} is not running")
        return record

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(NotFound):
            self.remove(force=True)


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
