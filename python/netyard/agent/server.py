"""The agent's process: its socket, its requests, and what the name server is told of containers.

Names and views are computed in `netyard.resolver`, questions are answered by `rust/dns`; leases,
the cluster and other firewalls have files of their own beside this one. Requests are handled one by
one, but for those about the cluster.
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import selectors
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_interface
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import netyard._core as _core
from netyard.agent.cluster_worker import ClusterWorker
from netyard.agent.coalesce import Coalescer
from netyard.agent.door import Door, explain
from netyard.agent.firewall_watch import FirewallWatch
from netyard.agent.firewalls import Firewalls
from netyard.agent.leases import Leases
from netyard.agent.retries import Retries
from netyard.agent.zones import Zones
from netyard.errors import NetyardError, StateError
from netyard.firewall import conntrack
from netyard.ipc import protocol
from netyard.resolver import names, views
from netyard.resolver.files import NAME_SERVER, ResolvConf, upstreams_of
from netyard.resolver.views import View
from netyard.state import config
from netyard.state.layout import Layout
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import check_owners
from netyard.state.store import Store

_LOG = logging.getLogger("netyard.agent")
_THREADS = 2
_CLIENT_SECONDS = 5.0
_TICK_SECONDS = 1.0
_IDLE_SECONDS = 5.0
# Delays so long that the rest of an operation is done first: deleting links holds the kernel's lock
# of the network, and the search for connections keeps a core busy for more than a millisecond. A
# link out of use is visible in a container for as long; an address is seldom given again at once.
_SWEEP_SECONDS = 0.01
_FORGET_SECONDS = 0.03
_RESOLV_CONF = Path("/etc/resolv.conf")


class _Listener(NamedTuple):
    container: str
    namespace: int
    address: IPv4Address
    view: View


@dataclass(slots=True)
class _Known:
    """What the name server has of a container.

    Attributes:
        endpoints: Network ids by endpoint id, of endpoints whose names are in a zone.
        namespace: Device and inode of the network namespace that it listens in.
    """

    endpoints: dict[str, str] = field(default_factory=dict)
    namespace: tuple[int, int] | None = None


class Agent:
    """The name server of one root, and the other services of its agent."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._store = Store(layout.database, create=False)
        self._server = _core.NameServer(_THREADS)
        self._known: dict[str, _Known] = {}
        self._zones = Zones(self._server)
        self.cluster = ClusterWorker(layout, self._store, self._zones)
        self.leases = Leases(layout, self._store)
        self._firewalls = Firewalls(layout, self._store)
        self._retries = Retries(layout, self._store)
        self._forgetter = Coalescer(
            "forgetter", lambda: conntrack.forget(layout), delay_seconds=_FORGET_SECONDS
        )
        self._sweeper = Coalescer("sweeper", _core.sweep, delay_seconds=_SWEEP_SECONDS)
        self._resolv_stamp: object = None
        self._host = ResolvConf()
        self.follow_resolv_conf()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do: no container, lease, cluster or other firewall, and
        nothing pending."""
        serves = any(known.namespace is not None for known in self._known.values())
        is_needed = serves or self._firewalls.matter or self.cluster.is_joined
        is_needed = is_needed or self._retries.matter
        return not is_needed and self.leases.is_idle

    def coexist(self) -> bool:
        """Look at other firewalls, in the background; whether there were any the last time."""
        self._firewalls.look()
        return self._firewalls.has_others

    def load(self) -> None:
        """Load everything from the store, and go on with leases and the cluster."""
        self._tidy()
        for container in self._store.containers():
            try:
                self._refresh(container.id)
            except (NetyardError, OSError) as error:
                # Its namespace may be gone, or descriptors short: the others go on.
                _LOG.error("container %s: %s", container.name, error)
        for service, begin in (("leases", self.leases.load), ("cluster", self.cluster.load)):
            try:
                begin()
            except (NetyardError, OSError) as error:
                # A damaged file or row: names are served without it.
                _LOG.error("%s: %s", service, error)

    def stop(self) -> None:
        """Stop serving."""
        self.cluster.stop()
        self._server.stop()
        self._firewalls.stop()
        self._retries.stop()
        conntrack.forget(self._layout)
        _core.sweep()
        self._store.close()

    def follow_resolv_conf(self) -> None:
        """Read the host's servers again if its file has changed."""
        try:
            stat = _RESOLV_CONF.stat()
            stamp: object = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            stamp = ()
        if stamp != self._resolv_stamp:
            self._resolv_stamp = stamp
            self._host = ResolvConf.of_host()
            self._server.set_host_upstreams(upstreams_of(self._host.servers))

    def follow_leases(self) -> None:
        """Take in what the DHCP clients have learnt."""
        try:
            self.leases.follow()
        except (NetyardError, OSError) as error:
            _LOG.error("leases: %s", explain(error))

    def retry_pending(self) -> None:
        """Try again what containers should have and could not have."""
        try:
            self._retries.look()
        except NetyardError as error:
            _LOG.error("pending: %s", explain(error))

    def heal(self) -> None:
        """Listen again for containers whose sockets were destroyed, as `ss -K` in them does."""
        for container_id in self._server.take_broken():
            try:
                self._refresh(container_id)
            except (NetyardError, OSError) as error:
                _LOG.error("container %s: %s", container_id, error)

    def handle(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Do what a request says; its answer, ``None`` if the client does not wait for one."""
        match message.get("op"):
            case "ping":
                return {"pid": os.getpid()}
            case "refresh":
                ended = bool(message.get("ended"))
                self._refresh_all([str(each) for each in message.get("containers", [])], ended)
                return {}
            case "tidy":
                self._tidy()
                return None
            case "rename":
                container_id = str(message.get("container"))
                known = self._known.get(container_id)
                for endpoint_id, network_id in list(known.endpoints.items()) if known else ():
                    self._zones.change(network_id, [endpoint_id], [])
                if known:
                    known.endpoints.clear()
                self._refresh(container_id)
                return {}
            case "forget":
                network_id = str(message.get("network"))
                self._zones.remove(network_id)
                self.cluster.forget(network_id)
                return {}
            case "lease":
                self.leases.hold(str(message.get("endpoint")))
                return {}
            case "leased":
                return self.leases.answer(str(message.get("endpoint")))
            case "release":
                self.leases.release([str(each) for each in message.get("endpoints", [])])
                return {}
            case "stats":
                local, forwarded, cached, failed, dropped = self._server.stats()
                return {
                    "listeners": len(self._server.listeners()),
                    "local": local,
                    "forwarded": forwarded,
                    "cached": cached,
                    "failed": failed,
                    "dropped": dropped,
                }
        return {"error": f"unknown request {message.get('op')!r}"}

    def _tidy(self) -> None:
        self._forgetter.ask()
        self._sweeper.ask()

    def _refresh_all(self, containers: list[str], ended: bool) -> None:
        """Refresh each, whatever fails with another; the first failure is raised at the end."""
        failure: Exception | None = None
        for container_id in containers:
            try:
                self._refresh(container_id, ended=ended)
            except (NetyardError, OSError) as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _refresh(self, container_id: str, *, ended: bool = False) -> None:
        """Bring names, view and listener of one container up to date with the store."""
        container = self._store.container(container_id)
        # One that is being attached counts: the command waits for us while the kernel works, and
        # asks for a refresh again should it fail.
        found = self._store.attachments_of(container_id)
        joined = [each for each in found if each.endpoint.is_joined]
        attached = [each.endpoint for each in joined]
        networks = {each.network.id: each.network for each in joined}
        known = self._known.setdefault(container_id, _Known())
        self._publish_names(container, attached, networks, known)
        self.cluster.update(container_id)
        needs_names = any(network.has_name_service for network in networks.values())
        if container is not None and needs_names:
            self._serve(container, attached, networks, known)
        elif container is not None and known.namespace is not None and not ended:
            # The listener stays, and answers nothing: to make another one takes long.
            self._server.set_view(container_id, views.EMPTY)
        else:
            self._server.unlisten(container_id)
            known.namespace = None
        if not known.endpoints and known.namespace is None:
            del self._known[container_id]

    def _publish_names(
        self,
        container: ContainerRecord | None,
        attached: list[EndpointRecord],
        networks: dict[str, NetworkRecord],
        known: _Known,
    ) -> None:
        wanted = {
            each.id: each
            for each in attached
            if each.network_id in networks and networks[each.network_id].has_name_service
        }
        for endpoint_id in [each for each in known.endpoints if each not in wanted]:
            self._zones.change(known.endpoints.pop(endpoint_id), [endpoint_id], [])
        for endpoint in wanted.values():
            if container is None or endpoint.id in known.endpoints:
                continue
            if networks[endpoint.network_id].leases_addresses and endpoint.lease is None:
                # Without an address there is nothing to answer with.
                continue
            self._add_zone(networks[endpoint.network_id], endpoint)
            entry = names.names_of(container, endpoint)
            self._zones.change(endpoint.network_id, [], [entry])
            known.endpoints[endpoint.id] = endpoint.network_id

    def _add_zone(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        leased = []
        if endpoint.lease is not None:
            leased = [ip_interface(f"{endpoint.ip4}/{endpoint.lease.prefix}").network]
        self._zones.add(network, leased)

    def _serve(
        self,
        container: ContainerRecord,
        attached: list[EndpointRecord],
        networks: dict[str, NetworkRecord],
        known: _Known,
    ) -> None:
        view = views.view_of(
            container.spec,
            config.load(self._layout.root),
            self._host,
            attached,
            networks,
            self._name_of,
        )
        path = self._layout.namespace(container.id)
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            identity = _core.namespace_identity(namespace)
            if identity == known.namespace and self._server.set_view(container.id, view):
                return
            address = IPv4Address(NAME_SERVER)
            self._server.listen([_Listener(container.id, namespace, address, view)])
            known.namespace = identity
        finally:
            os.close(namespace)

    def _name_of(self, target: str) -> str:
        """The name of a link's target, which may be given by id or not exist yet."""
        found = self._store.find_container(target)
        return found[0].name if len(found) == 1 else target


def serve(layout: Layout, *, exit_when_idle: bool) -> None:
    """Run the agent until SIGTERM or SIGINT, or until it has had nothing to do for a while.

    Raises:
        StateError: if another agent of this root runs.
    """
    check_owners(layout)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    lock = os.open(layout.agent_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if exit_when_idle:
            return
        raise StateError(f"an agent of root {layout.root} is running already") from None
    _raise_file_limit()
    agent = Agent(layout)
    door = Door(_listen(layout))
    try:
        agent.load()
        _loop(agent, door, exit_when_idle=exit_when_idle)
    finally:
        # The socket goes first: a client that still reaches it is not answered and starts another.
        layout.agent_socket.unlink(missing_ok=True)
        door.close()
        agent.stop()
        os.close(lock)


def _raise_file_limit() -> None:
    """As many files as are allowed: three a container, and one a forwarded question."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen(layout: Layout) -> socket.socket:
    """Listen, in place of an agent that was killed.

    The socket of that agent stays until ours is there: by a socket that does not answer, commands
    know that an agent is missing.
    """
    with suppress(FileNotFoundError):
        layout.agent_socket.rename(layout.dead_agent_socket)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(layout.agent_socket))
    finally:
        os.umask(before)
    listener.listen(64)
    layout.dead_agent_socket.unlink(missing_ok=True)
    return listener


def _loop(agent: Agent, door: Door, *, exit_when_idle: bool) -> None:
    ending, wake = socket.socketpair()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wake.send(b"."))
    idle_since = time.monotonic()
    with selectors.DefaultSelector() as selector, ending, wake:
        selector.register(door, selectors.EVENT_READ)
        selector.register(ending, selectors.EVENT_READ)
        selector.register(agent.leases, selectors.EVENT_READ)
        firewalls = FirewallWatch(selector)
        while True:
            if firewalls.is_due():
                firewalls.follow(has_others=agent.coexist())
            for key, _ in selector.select(firewalls.patience(_TICK_SECONDS)):
                if key.fileobj is ending:
                    return
                if key.fileobj is agent.leases:
                    agent.follow_leases()
                elif not firewalls.heard(key.fileobj):
                    _answer(agent, door)
            agent.follow_resolv_conf()
            agent.heal()
            agent.retry_pending()
            if not agent.is_idle:
                idle_since = time.monotonic()
            elif exit_when_idle and time.monotonic() - idle_since > _IDLE_SECONDS:
                return


def _answer(agent: Agent, door: Door) -> None:
    client = door.accept()
    if client is None:
        return
    client.settimeout(_CLIENT_SECONDS)
    try:
        with client.makefile("rb") as stream:
            message = protocol.receive(cast(BinaryIO, stream))
    except OSError as error:
        message = None
        _LOG.warning("client: %s", error)
    if message is None:
        client.close()
    elif message.get("op") == "cluster":
        # Takes as long as etcd takes: other clients must not wait for it.
        agent.cluster.submit(message, lambda answer: _reply(client, answer))
    else:
        _reply(client, _handled(agent, message))


def _reply(client: socket.socket, answer: dict[str, Any] | None) -> None:
    with client:
        if answer is None:
            return
        try:
            client.sendall(protocol.encode(answer))
        except OSError as error:
            _LOG.warning("client: %s", error)


def _handled(agent: Agent, message: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return agent.handle(message)
    except (NetyardError, OSError) as error:
        _LOG.error("%s: %s", message.get("op"), error)
        return {"error": explain(error)}
    except Exception as error:
        # Of a request of another version, or by a mistake here: it is not to end the others' names.
        _LOG.exception("%s", message.get("op"))
        return {"error": repr(error)}
