"""Containers: created, run, adopted, and everything one does with them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netyard import _core, capabilities, endpoint, lifecycle, ports, publishing
from netyard.agent import client as agent
from netyard.errors import (
    Conflict,
    Exhausted,
    Forbidden,
    Invalid,
    NameInUse,
    NetyardError,
    NotFound,
    raise_all,
)
from netyard.host import Change, Host, default_host
from netyard.identity import parse_user
from netyard.naming import new_id
from netyard.network import ensure_builtin, timestamp
from netyard.network import find as find_network
from netyard.options import (
    parse_address,
    parse_domain,
    parse_extra_host,
    parse_hostname,
    parse_name,
)
from netyard.randomname import random_name
from netyard.runtime import logs, shim
from netyard.runtime.process import Process
from netyard.spec import ContainerSpec, NetworkRequest
from netyard.store.records import ContainerRecord

_NAME_SHORTEST = 2
_NAME_TRIES = 50
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

    def __init__(self, host: Host, record: ContainerRecord) -> None:
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
        return lifecycle.find(self.host, self._id)

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
        return ContainerSpec.from_json(self.record.spec)

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
        host: Host | None = None,
    ) -> Container:
        """Create a container without starting it. Its addresses are reserved from now on.

        Args:
            command: Program and arguments.
            name: At least two characters; generated if not given.
            network: What to join: a name, several, ``host``, ``none`` or ``container:NAME``; the
                default network ``bridge`` if not given.
            ip, ip6, mac_address, aliases: For the first network.
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
        requests = _requests(network)
        first = {"ip": ip, "ip6": ip6, "mac_address": mac_address, "aliases": tuple(aliases)}
        mode, target = _mode(requests)
        spec = ContainerSpec(
            command=command,
            mode=mode,
            networks=_with_first(requests, first) if mode == "networks" else (),
            publish=tuple(publish),
            expose=tuple(expose),
            publish_all=publish_all,
            hostname=hostname,
            domainname=domainname,
            environment=tuple(f"{key}={value}" for key, value in (environment or {}).items()),
            workdir=workdir,
            user=parse_user(user, os.fspath(rootfs)),
            rootfs=_check_rootfs(rootfs),
            tty=tty,
            interactive=interactive,
            auto_remove=auto_remove,
            privileged=privileged,
            capabilities=capabilities.capability_mask(cap_add, cap_drop),
            add_hosts=tuple(parse_extra_host("--add-host", word) for word in add_hosts),
            dns=tuple(dns),
            dns_search=tuple(dns_search),
            dns_options=tuple(dns_options),
            labels=dict(labels or {}),
        )
        _check_mode(spec, first, target)
        _check_values(spec)
        with host.change() as change:
            return cls(host, _make(change, name, spec, target))

    @classmethod
    def run(cls, *command: str, host: Host | None = None, **settings: Any) -> Container:
        """Create a container and start it; takes what `create` takes.

        Raises:
            StartFailed: if the command does not start; then nothing of the container is left.
        """
        host = host or default_host()
        with host.change() as change:
            container = cls.create(*command, host=host, **settings)
            change.on_failure(lambda: lifecycle.discard(host, container.record))
            lifecycle.start(change, container.record)
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
        host: Host | None = None,
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
        requests = _requests(network)
        mode, _ = _mode(requests)
        if mode != "networks":
            raise Invalid(f"--network: an adopted namespace cannot be in {mode!r} mode")
        first = {"ip": ip, "ip6": ip6, "mac_address": mac_address, "aliases": tuple(aliases)}
        spec = ContainerSpec(
            networks=_with_first(requests, first), publish=tuple(publish), labels=dict(labels or {})
        )
        _check_values(spec)
        source = _open_foreign(pid, netns)
        try:
            with host.change() as change:
                return cls(host, _adopt(change, name, spec, source))
        finally:
            os.close(source)

    # -- finding ------------------------------------------------------------------------------

    @classmethod
    def get(cls, wanted: str, *, host: Host | None = None) -> Container:
        """A container by full id, name or unique id prefix.

        Raises:
            NotFound: if there is none.
            Invalid: if a prefix fits several.
        """
        host = host or default_host()
        return cls(host, lifecycle.find(host, wanted))

    @classmethod
    def list(cls, *, all: bool = False, host: Host | None = None) -> list[Container]:
        """Containers, newest first: the running ones, or all."""
        host = host or default_host()
        records = [lifecycle.refreshed(host, each) for each in host.store.containers()]
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
                lifecycle.start(change, record, attached=attached, when_listening=when_listening)

    def stop(self, timeout: float = _KILL_SECONDS) -> None:
        """End it: SIGTERM, and SIGKILL after ``timeout`` seconds. A stopped one stays as it is."""
        self._end(signal.SIGTERM, timeout)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to its first process."""
        with Process(self._running()) as process:
            process.send(number)

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
        lifecycle.finish(self.host, record.id)
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
        if lifecycle.running_joiners(self.host, record):
            joiners = [each.name for each in lifecycle.running_joiners(self.host, record)]
            raise Conflict(
                f"container {record.name!r} shares its network with {', '.join(joiners)}",
                holder=", ".join(joiners),
            )
        if record.state == "running":
            if not force:
                raise Conflict(
                    f"container {record.name!r} is running", hint="stop it first, or use --force"
                )
            self._end(signal.SIGKILL, _KILL_SECONDS)
        with self.host.change() as change:
            left = change.store.container(record.id)
            if left is not None:
                lifecycle.discard(self.host, left)

    def abandon(self) -> None:
        """Give an adopted namespace back, as it was before.

        Raises:
            Forbidden: if netyard runs the container.
        """
        record = self.record
        if record.kind != "adopted":
            raise Forbidden(f"container {record.name!r} was not adopted", hint="remove it instead")
        with self.host.change():
            abandon(self.host, record)

    def wait(self) -> int:
        """Wait until it ends; its exit status."""
        record = self.record
        if record.state == "running":
            with Process(record) as process:
                while not process.wait(3600):
                    continue
            ended = lifecycle.finish(self.host, record.id)
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
            environment=lifecycle.environment_of(record, extra),
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
        found = self.host.store.publications(self.id)
        found.sort(key=lambda each: (each.container_port, each.protocol, each.family, each.host_ip))
        return [
            (
                f"{each.container_port}/{each.protocol}",
                ports.format_side(each.host_ip, each.family, each.host_port),
            )
            for each in found
        ]

    def inspect(self) -> dict[str, Any]:
        """The container as Docker's ``inspect`` shows it."""
        from netyard.inspect import inspect_container

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


# -- checking -----------------------------------------------------------------------------------


def _requests(
    network: str | NetworkRequest | Sequence[str | NetworkRequest],
) -> Sequence[NetworkRequest]:
    """One network or several, by name or in full."""
    given = [network] if isinstance(network, str | NetworkRequest) else network
    return [
        each if isinstance(each, NetworkRequest) else NetworkRequest(network=each) for each in given
    ]


def _mode(requests: Sequence[NetworkRequest]) -> tuple[str, str]:
    """The network mode, and whose namespace is shared if it is ``container``."""
    names = [request.network for request in requests]
    special = [name for name in names if name in ("host", "none") or name.startswith("container:")]
    if special and len(names) > 1:
        raise Invalid(f"--network: {special[0]!r} cannot be joined with other networks")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"--network: {twice!r} is given twice")
    if "bridge" in names and len(names) > 1:
        raise Invalid("--network: the default network cannot be joined with others")
    if not special:
        return "networks", ""
    mode, _, target = special[0].partition(":")
    if mode == "container" and not target:
        raise Invalid("--network: container: needs a name or id", field="--network")
    return mode, target


def _with_first(
    requests: Sequence[NetworkRequest], first: Mapping[str, Any]
) -> tuple[NetworkRequest, ...]:
    """The requests, what was given for "the first network" put into the first."""
    head, *tail = requests or [NetworkRequest(network="bridge")]
    if head.network == "default":
        head = NetworkRequest(network="bridge")
    for key, value in first.items():
        if value and getattr(head, key):
            raise Invalid(f"--network: {key} is given both for the network and for the container")
    merged = {key: value or getattr(head, key) for key, value in first.items()}
    return (NetworkRequest(network=head.network, **merged), *tail)


def _check_mode(spec: ContainerSpec, first: Mapping[str, Any], target: str) -> None:
    """Refuse flags that have no meaning in a mode, each by name (contract RN6, RN7, RN9)."""
    given: dict[str, object] = {"--network-alias": first["aliases"]}
    given |= {"--ip": first["ip"], "--ip6": first["ip6"], "--mac-address": first["mac_address"]}
    if spec.mode == "container":
        given |= {
            "--add-host": spec.add_hosts,
            "--hostname": spec.hostname,
            "--domainname": spec.domainname,
            "--dns": spec.dns,
            "--dns-search": spec.dns_search,
            "--dns-option": spec.dns_options,
            "--publish": spec.publish,
            "--publish-all": spec.publish_all,
            "--expose": spec.expose,
        }
    elif spec.mode == "networks":
        return
    shown = f"container:{target}" if spec.mode == "container" else spec.mode
    raise_all(
        [
            Invalid(
                f"conflicting options: {flag} cannot be used with --network {shown}", field=flag
            )
            for flag, value in given.items()
            if value
        ]
    )


def _check_values(spec: ContainerSpec) -> None:
    """Check everything that can be checked without looking at the host, all at once."""
    checks: list[Callable[[], object]] = []
    if spec.hostname:
        checks.append(partial(parse_hostname, "--hostname", spec.hostname))
    if spec.domainname:
        checks.append(partial(parse_domain, "--domainname", spec.domainname))
    checks += [partial(parse_address, "--dns", word) for word in spec.dns]
    checks += [partial(parse_domain, "--dns-search", word) for word in spec.dns_search]
    checks += [partial(_parse_option, word) for word in spec.dns_options]
    checks += [partial(ports.parse_publish, word) for word in spec.publish]
    checks += [partial(ports.parse_expose, word) for word in spec.expose]
    errors: list[NetyardError] = []
    for check in checks:
        try:
            check()
        except NetyardError as error:
            errors.append(error)
    raise_all(errors)


def _parse_option(word: str) -> None:
    if not word or any(letter.isspace() for letter in word):
        raise Invalid(f"--dns-option: {word!r} is no resolver option", field="--dns-option")


def _check_rootfs(rootfs: str | os.PathLike[str]) -> str:
    if not os.fspath(rootfs):
        return ""
    path = Path(rootfs).absolute()
    if not path.is_dir():
        raise Invalid(f"--rootfs: {path} is no directory", field="--rootfs", value=str(path))
    return str(path)


# -- making -------------------------------------------------------------------------------------


def _make(change: Change, name: str | None, spec: ContainerSpec, target: str) -> ContainerRecord:
    """Record a container and its endpoints, which have addresses from now on."""
    host, store = change.host, change.store
    ensure_builtin(host)
    donor = _find_donor(host, target) if spec.mode == "container" else None
    networks = [find_network(host, request.network) for request in spec.networks]
    record = ContainerRecord(
        id=new_id(),
        name=_choose_name(host, name),
        kind="run" if spec.command else "adopted",
        created=timestamp(),
        spec=spec.to_json(),
        donor_id=donor,
        state="created",
    )
    with store.transaction():
        store.add_container(record)
        for position, (network, request) in enumerate(zip(networks, spec.networks, strict=True)):
            if not network.bridge:
                raise Invalid(f"--network: {network.name!r} cannot be joined with others")
            ifname = f"eth{position}"
            endpoint.plan(store, network, record, request, ifname, position)
    change.on_failure(lambda: _unmake(host, record.id))
    return record


def _unmake(host: Host, container_id: str) -> None:
    left = host.store.container(container_id)
    if left is not None:
        lifecycle.discard(host, left)


def _find_donor(host: Host, target: str) -> str:
    donor = lifecycle.find(host, target)
    if donor.state != "running":
        raise Conflict(
            f"--network: container {donor.name!r}, whose network is to be shared, is not running"
        )
    # Sharing with one that shares means sharing with the owner.
    return donor.donor_id or donor.id


def _choose_name(host: Host, name: str | None) -> str:
    if name is not None:
        parse_name("--name", name, shortest=_NAME_SHORTEST)
        if any(each.name == name for each in host.store.find_container(name)):
            raise NameInUse(f"--name: a container named {name!r} exists", holder=name)
        return name
    for _ in range(_NAME_TRIES):
        candidate = random_name()
        if not host.store.find_container(candidate):
            return candidate
    raise Exhausted("no generated container name is free", hint="give one with --name")


# -- adopting -----------------------------------------------------------------------------------


def _open_foreign(pid: int | None, netns: str | os.PathLike[str] | None) -> int:
    """An open descriptor of somebody else's network namespace."""
    if (pid is None) == (netns is None):
        raise Invalid("adopt: give either --pid or --netns")
    path = f"/proc/{pid}/ns/net" if pid is not None else os.fspath(netns or "")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        what = f"process {pid}" if pid is not None else f"network namespace {path!r}"
        raise NotFound(f"there is no {what}: {error.strerror}") from error
    if not _is_netns(fd):
        os.close(fd)
        raise Invalid(f"--netns: {path!r} is no network namespace", field="--netns", value=path)
    if _core.namespace_identity(fd) == _core.namespace_identity():
        os.close(fd)
        raise Forbidden("adopt: this is the host's own network namespace")
    return fd


def _is_netns(fd: int) -> bool:
    """Whether a descriptor is a network namespace: on nsfs, of this type (ioctl_ns(2))."""
    ns_get_nstype = 0xB703
    clone_newnet = 0x40000000
    try:
        return fcntl.ioctl(fd, ns_get_nstype) == clone_newnet
    except OSError:
        return False


def _adopt(change: Change, name: str, spec: ContainerSpec, source: int) -> ContainerRecord:
    host, store = change.host, change.store
    identity = _core.namespace_identity(source)
    for other in store.containers():
        path = host.layout.namespace(other.id)
        if path.exists() and (path.stat().st_dev, path.stat().st_ino) == identity:
            raise Conflict(f"this namespace is container {other.name!r} already", holder=other.name)
    record = _make(change, name, spec, "")
    with store.transaction():
        store.update_container(record.id, state="starting")
        _name_interfaces(host, record, source)
    _core.make_mount_point(str(host.layout.namespaces))
    _core.bind_namespace(source, str(host.layout.namespace(record.id)))
    change.on_failure(lambda: abandon(host, record))
    was_up = _core.set_loopback(source, True)
    with store.transaction():
        store.update_container(record.id, was_loopback_up=was_up)
    lifecycle.join_networks(change, record, spec)
    with store.transaction():
        store.update_container(record.id, state="running", started=timestamp())
    return store.container(record.id) or record


def _name_interfaces(host: Host, record: ContainerRecord, source: int) -> None:
    """Endpoints of an adopted namespace get the names that are free in it."""
    taken = {link.name for link in _core.list_links(source)}
    free = (name for number in range(1 << 16) if (name := f"eth{number}") not in taken)
    for each in host.store.endpoints_of(record.id):
        host.store.update_endpoint(each.id, ifname=next(free))


def abandon(host: Host, record: ContainerRecord) -> None:
    """Take everything of ours out of an adopted namespace."""
    store = host.store
    path = host.layout.namespace(record.id)
    left = store.container(record.id)
    if left is None:
        return
    with store.transaction():
        store.update_container(record.id, state="removing")
    publishing.unpublish(host, record.id, forgets_flows=False)
    up = [each for each in store.endpoints_of(record.id) if each.state != "down"]
    endpoint.detach(host, up)
    endpoint.flush_flows_of(up)
    agent.refresh(host.layout, [record.id], needed=False, ended=True)
    if path.exists():
        with endpoint.opened_namespace(host, record) as namespace:
            _core.remove_dns_redirect(namespace)
            if not left.was_loopback_up:
                _core.set_loopback(namespace, False)
    lifecycle.discard(host, left)
