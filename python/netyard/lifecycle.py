"""A container's life: made, started, ended, removed; what is built up is taken down here.

`tear_down` undoes any stage of `start`, and is safe to run twice: failed starts, ended containers
and operations that were killed half-way all go through it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from netyard import _core
from netyard.endpoints import dhcp
from netyard.endpoints.attach import attach_endpoints, endpoint_plans, settle_endpoints
from netyard.endpoints.detach import detach_endpoints, set_down_endpoints
from netyard.endpoints.gateways import gateway_endpoints
from netyard.endpoints.namespace import opened_namespace
from netyard.endpoints.plan import forget_endpoint
from netyard.errors import Conflict, Invalid, NotFound
from netyard.ipc import agent, cluster
from netyard.networks import devices, egress
from netyard.options import bridge as bridge_options
from netyard.options import parent as parent_options
from netyard.ports.apply import publish_ports, unpublish_ports
from netyard.ports.places import Places, requests_of
from netyard.resolver import files
from netyard.runtime import shim
from netyard.runtime.process import is_alive, start_time
from netyard.state import config, events
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.root import Change, Root
from netyard.state.store import Store
from netyard.values import clock
from netyard.values.ids import short
from netyard.values.parse import Address
from netyard.values.spec import ContainerSpec

# Docker's defaults in every container: ping and low ports without privileges (contract RN21).
_NAMESPACE_SYSCTLS = [
    ("net.ipv4.ping_group_range", "0\t2147483647"),
    ("net.ipv4.ip_unprivileged_port_start", "0"),
]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EXIT_PATIENCE_SECONDS = 2.0
_EXIT_PAUSE_SECONDS = 0.0005
_UNKNOWN_STATUS = 137


def find(root: Root, wanted: str) -> ContainerRecord:
    """The one container a user means, its state up to date."""
    found = root.store.find_container(wanted)
    if not found:
        raise NotFound(f"there is no container {wanted!r}")
    if len(found) > 1:
        raise Invalid(f"container id {wanted!r} is ambiguous: give more digits", value=wanted)
    present = refreshed(root, found[0])
    if present is None:
        raise NotFound(f"there is no container {wanted!r} any more: it has ended")
    return present


def refreshed(root: Root, container: ContainerRecord) -> ContainerRecord | None:
    """A container whose process died without anybody noticing is marked as ended.

    Returns:
        ``None`` if it was removed with its end (``--rm``), or by somebody else.
    """
    if container.state != "running" or container.kind == "adopted" or is_alive(container):
        return container
    finish(root, container.id)
    return root.store.container(container.id)


def hostname_of(container: ContainerRecord, spec: ContainerSpec) -> str:
    """The host name: as asked, or the short id."""
    return spec.hostname or short(container.id)


def has_name_service(store: Store, attached: Sequence[EndpointRecord]) -> bool:
    """Whether any of these endpoints is on a network with the embedded server."""
    networks = (store.network(each.network_id) for each in attached)
    return any(network is not None and network.has_name_service for network in networks)


def start(
    change: Change,
    container: ContainerRecord,
    *,
    attached: int = 0,
    when_listening: Callable[[], object] = lambda: None,
) -> ContainerRecord:
    """Start a container: namespace, endpoints, ports, names, files, and at last the command.

    Raises:
        StartFailed: if the command does not start; then everything is taken down again.
        Conflict: if it runs already, or the container whose network it shares does not.
    """
    root, store = change.root, change.store
    if container.state == "running":
        raise Conflict(f"container {container.name!r} is running already")
    before = container.state
    with store.transaction():
        store.update_container(container.id, state="starting")
    change.on_failure(lambda: tear_down(root, container, state=before, now=True))
    spec = ContainerSpec.from_json(container.spec)
    directory = root.layout.container(container.id)
    directory.mkdir(mode=0o711, exist_ok=True)
    (directory / "exit").unlink(missing_ok=True)
    if container.donor_id is not None:
        _check_donor(root, container)
    elif spec.mode != "host":
        _make_namespace(root, container, spec)
        join_networks(change, container, spec)
    write_files(root, container)
    launch = _launch(root, container, spec, attached)
    pid = shim.supervise(root.layout, launch, when_listening=when_listening)
    with store.transaction():
        store.update_container(
            container.id,
            state="running",
            pid=pid,
            pid_start=start_time(pid),
            started=clock.now(),
            finished="",
            exit_code=0,
        )
        events.container_event(store, "start", container)
        for each in store.endpoints_of(container.id):
            network = store.network(each.network_id)
            if network is not None:
                events.network_event(store, "connect", network, container.id)
    return store.container(container.id) or container


def _check_donor(root: Root, container: ContainerRecord) -> None:
    donor = root.store.container(container.donor_id or "")
    present = refreshed(root, donor) if donor else None
    if present is None or present.state != "running":
        name = donor.name if donor else container.donor_id
        raise Conflict(
            f"--network: container {name!r}, whose network is to be shared, is not running"
        )


def _make_namespace(root: Root, container: ContainerRecord, spec: ContainerSpec) -> None:
    path = root.layout.namespace(container.id)
    if path.exists():
        # Kept by containers that share it while this one was stopped (contract RN7a).
        return
    _core.make_mount_point(str(root.layout.namespaces))
    _core.create_namespace(str(path))
    with opened_namespace(root, container) as namespace:
        _core.set_loopback(namespace, True)
        _core.write_sysctls(namespace, _NAMESPACE_SYSCTLS)
        _core.write_sysctls(namespace, list(spec.sysctls.items()))


def join_networks(change: Change, container: ContainerRecord, spec: ContainerSpec) -> None:
    """Bring a container's endpoints up, publish its ports and make its names known."""
    root, store = change.root, change.store
    attached = store.endpoints_of(container.id)
    joining = [each for each in attached if each.state != "up"]
    for each in attached:
        network = store.network(each.network_id)
        if network is not None:
            devices.ensure_device(change, network)
            cluster.follow(root, network)
    wanted = requests_of(spec)
    carriers = gateway_endpoints(store, attached)
    refresh = Names(change, container.id)
    with opened_namespace(root, container) as namespace:
        plans = endpoint_plans(store, joining, namespace, carriers=carriers, has_ports=bool(wanted))
        joining = attach_endpoints(change, plans, meanwhile=refresh.begin)
    if dhcp.acquire(change, container, joining):
        attached = store.endpoints_of(container.id)
        carriers = gateway_endpoints(store, attached)
    cluster.publish(root, joining)
    settle_endpoints(store, joining)
    if not store.publications(container.id):
        places = Places.of(store, attached, carriers)
        publish_ports(change, container, wanted, places)
    refresh.finish(needed=has_name_service(store, attached))


class Names:
    """The agent learning of containers' endpoints, beside the kernel making them."""

    def __init__(self, change: Change, *container_ids: str) -> None:
        self._change = change
        self._container_ids = container_ids
        self._refresh: agent.Refresh | None = None

    def begin(self) -> None:
        """Tell the agent; should the operation fail, it is told again."""
        layout, ids = self._change.root.layout, self._container_ids
        self._refresh = agent.begin_refresh(layout, ids)
        self._change.on_failure(lambda: agent.refresh(layout, ids, needed=False, ended=True))

    def finish(self, *, needed: bool) -> None:
        """Wait until it knows; start it if it is needed and does not run."""
        if self._refresh is not None:
            self._refresh.finish(needed=needed)


def _launch(
    root: Root, container: ContainerRecord, spec: ContainerSpec, attached: int
) -> shim.Launch:
    owner = container.donor_id or container.id
    layout = root.layout
    directory = layout.container(owner)
    hostname = hostname_of(container, spec)
    if container.donor_id:
        donor = root.store.container(container.donor_id)
        if donor is not None:
            hostname = hostname_of(donor, ContainerSpec.from_json(donor.spec))
    elif spec.mode == "host" and not spec.hostname:
        hostname = os.uname().nodename
    return shim.Launch(
        directory=layout.container(container.id),
        log=layout.log(container.id),
        command=spec.command,
        environment=_environment(spec, hostname),
        namespace=None if spec.mode == "host" else layout.namespace(owner),
        hostname=hostname,
        domainname=spec.domainname,
        files=[
            (directory / "hosts", "/etc/hosts"),
            (directory / "resolv.conf", "/etc/resolv.conf"),
            (directory / "hostname", "/etc/hostname"),
        ],
        # A container has no business with netyard's sockets, namespaces and records.
        hidden=[] if spec.rootfs or spec.privileged else [layout.run, layout.root],
        unmount=[layout.namespaces],
        rootfs=spec.rootfs,
        workdir=spec.workdir,
        user=spec.user,
        tty=spec.tty,
        interactive=spec.interactive,
        privileged=spec.privileged,
        capabilities=spec.capabilities,
        attached=attached,
        on_exit=shim.exit_command(layout, container.id),
    )


def _environment(spec: ContainerSpec, hostname: str) -> list[str]:
    given = dict(word.split("=", 1) for word in spec.environment)
    base = {"PATH": _PATH, "HOSTNAME": hostname, "HOME": "/root"}
    if spec.tty:
        base["TERM"] = "xterm"
    return [f"{key}={value}" for key, value in {**base, **given}.items()]


def environment_of(container: ContainerRecord, extra: Sequence[str] = ()) -> list[str]:
    """What a further process in a container gets."""
    spec = ContainerSpec.from_json(container.spec)
    joined = spec._replace(environment=[*spec.environment, *extra])
    return _environment(joined, hostname_of(container, spec))


# -- files --------------------------------------------------------------------------------------


def write_files(root: Root, container: ContainerRecord) -> None:
    """Make hosts, hostname and resolv.conf of a container that has its own."""
    if container.donor_id is not None:
        return
    spec = ContainerSpec.from_json(container.spec)
    store, directory = root.store, root.layout.container(container.id)
    attached = store.endpoints_of(container.id)
    hostname = hostname_of(container, spec)
    if spec.mode == "host" and not spec.hostname:
        hostname = os.uname().nodename
    files.write_in_place(directory / "hostname", f"{hostname}\n")
    if spec.mode == "host" and not spec.add_hosts:
        hosts = files.read_text(Path("/etc/hosts"))
    else:
        hosts = files.hosts_file(
            addresses=[
                address for each in egress.without(store, attached) for address in each.addresses
            ],
            hostname=hostname,
            domainname=spec.domainname,
            extra=[*_extra_hosts(root, spec, attached), *_linked_hosts(root, container, attached)],
            has_ipv6=spec.mode == "host" or _has_ipv6(attached),
        )
    files.write_in_place(directory / "hosts", hosts)
    files.write_in_place(directory / "resolv.conf", _resolv_conf(root, spec, attached))


def _has_ipv6(attached: Sequence[EndpointRecord]) -> bool:
    return any(each.ip6 for each in attached)


def _resolv_conf(root: Root, spec: ContainerSpec, attached: Sequence[EndpointRecord]) -> str:
    settings = config.load(root.layout.root)
    has_names = has_name_service(root.store, attached)
    is_copied = spec.mode != "host" and not has_names
    return files.resolv_conf(
        files.ResolvConf.to_copy() if is_copied else files.ResolvConf.of_host(),
        has_name_service=has_names,
        has_ipv6=_has_ipv6(attached),
        is_host_mode=spec.mode == "host",
        dns=spec.dns or settings.dns,
        search=spec.dns_search or settings.dns_search,
        options=spec.dns_options or settings.dns_options,
    )


def _extra_hosts(
    root: Root, spec: ContainerSpec, attached: Sequence[EndpointRecord]
) -> list[tuple[str, str]]:
    """``--add-host`` entries, ``host-gateway`` turned into addresses (contract RN19)."""
    extra: list[tuple[str, str]] = []
    for name, address in spec.add_hosts:
        if address != "host-gateway":
            extra.append((name, address))
            continue
        found = _gateways(root, attached)
        if spec.mode == "host":
            found = ["127.0.0.1"]
        if not found:
            raise Conflict(f"--add-host: {name}:host-gateway needs a network with a gateway")
        extra += [(name, each) for each in found]
    return extra


def _linked_hosts(
    root: Root, container: ContainerRecord, attached: Sequence[EndpointRecord]
) -> list[tuple[str, str]]:
    """Lines for ``--link`` on the default network, which has no name server (contract RN20)."""
    lines: list[tuple[str, str]] = []
    for each in attached:
        network = root.store.network(each.network_id)
        if network is None or not network.is_builtin:
            continue
        if each.links and not bridge_options.allows_icc(network.options):
            raise Invalid(
                f"--link: containers of network {network.name!r} are apart: icc is off",
                field="--link",
            )
        for wanted, alias in each.links:
            target = find(root, wanted)
            there = root.store.endpoint_between(network.id, target.id)
            if there is None or target.state != "running":
                raise Conflict(
                    f"--link: container {target.name!r} does not run on the default network"
                )
            called = hostname_of(target, ContainerSpec.from_json(target.spec))
            names = dict.fromkeys((alias, called, target.name))
            lines += [(" ".join(names), str(address)) for address in there.addresses]
    return lines


def _gateways(root: Root, attached: Sequence[EndpointRecord]) -> list[str]:
    """The host's addresses as a container sees them: its own gateways, internal or not.

    Those of the network that carries the default route, where there is one (contract RN19).
    """
    configured = config.load(root.layout.root).host_gateways
    if configured:
        return [str(address) for address in configured]
    found: list[str] = []
    carriers = gateway_endpoints(root.store, attached)
    for version in (4, 6):
        first = [carriers[version]] if version in carriers else []
        for each in [*first, *attached]:
            network = root.store.network(each.network_id)
            address = _host_on(network, version) if network else None
            if address is not None:
                found.append(str(address))
                break
    return found


def _host_on(network: NetworkRecord, version: int) -> Address | None:
    """The host's own address on a network, if its containers reach it by one."""
    if network.spans_hosts:
        return None
    if network.bridge:
        has_one = bridge_options.has_bridge_address(network.options, version)
        return network.gateway(version) if has_one else None
    if not parent_options.has_host_access(network.options):
        return None
    return next((pool.host_address for pool in network.pools if pool.version == version), None)


def refresh_files(
    root: Root,
    container: ContainerRecord,
    *,
    added: Sequence[EndpointRecord] = (),
    removed: Sequence[EndpointRecord] = (),
) -> None:
    """Bring a running container's files up to date after connect or disconnect.

    Only lines of these endpoints change; resolv.conf is written anew only while it is as netyard
    made it.
    """
    if container.kind == "adopted":
        return
    spec = ContainerSpec.from_json(container.spec)
    directory = root.layout.container(container.id)
    refresh_hosts(root, container, added=added, removed=removed)
    after = root.store.endpoints_of(container.id)
    gone = {each.id for each in removed}
    after = [each for each in after if each.id not in gone]
    new = {each.id for each in added}
    before = [*(each for each in after if each.id not in new), *removed]
    if files.read_text(directory / "resolv.conf") == _resolv_conf(root, spec, before):
        files.write_in_place(directory / "resolv.conf", _resolv_conf(root, spec, after))


def refresh_hosts(
    root: Root,
    container: ContainerRecord,
    *,
    added: Sequence[EndpointRecord],
    removed: Sequence[EndpointRecord],
) -> None:
    """Put a running container's own addresses into its /etc/hosts, and take others out."""
    if container.kind == "adopted":
        return
    spec = ContainerSpec.from_json(container.spec)
    hostname = hostname_of(container, spec)
    path = root.layout.container(container.id) / "hosts"

    def lines(some: Sequence[EndpointRecord]) -> list[str]:
        shown = egress.without(root.store, some)
        addresses = [address for each in shown for address in each.addresses]
        return files.own_lines(addresses, hostname, spec.domainname)

    hosts = files.without_lines(files.read_text(path), lines(removed))
    files.write_in_place(path, files.with_lines(hosts, lines(added)))


# -- the end ------------------------------------------------------------------------------------


def running_joiners(root: Root, container: ContainerRecord) -> list[ContainerRecord]:
    """Running containers that share this one's network namespace."""
    joiners = root.store.joiners(container.id)
    return [each for each in joiners if each.state == "running" and is_alive(each)]


def tear_down(
    root: Root, container: ContainerRecord, *, state: str, now: bool = False, **outcome: object
) -> None:
    """Take down what a start has built, and record the state.

    Args:
        outcome: What else is to be recorded with it.
        now: It did not come to run as it should: end a process that nobody knows of, and wait until
            interfaces are gone, instead of leaving them to the kernel, which takes them away in
            the background when a namespace has died.
    """
    store = root.store
    if now:
        shim.end_orphan(root.layout.container(container.id))
    if not running_joiners(root, container):
        _leave_networks(root, container, now=now)
    with store.transaction():
        store.update_container(container.id, state=state, pid=0, pid_start=0, **outcome)
        if outcome:
            _record_end(store, container, outcome)


def _record_end(store: Store, container: ContainerRecord, outcome: Mapping[str, object]) -> None:
    for each in store.endpoints_of(container.id):
        network = store.network(each.network_id)
        if network is not None:
            events.network_event(store, "disconnect", network, container.id)
    events.container_event(store, "die", container, exitCode=str(outcome.get("exit_code", 0)))


def _leave_networks(root: Root, container: ContainerRecord, *, now: bool) -> None:
    store = root.store
    attached = store.endpoints_of(container.id)
    unpublish_ports(root, container.id, forgets_flows=False)
    up = [each for each in attached if each.state != "down"]
    if up:
        if now:
            detach_endpoints(root, up)
        else:
            set_down_endpoints(root, up)
    namespace = root.layout.namespace(container.id)
    if namespace.exists():
        # First, because the agent's sockets would keep the namespace alive.
        agent.refresh(root.layout, [container.id], needed=False, ended=True)
        _core.release_namespace(str(namespace))


def finish(root: Root, container_id: str) -> ContainerRecord | None:
    """Record that a container has ended, and take down what belongs to it.

    Returns:
        What the store says now; ``None`` if it was removed with its end (``--rm``).
    """
    with root.change():
        container = root.store.container(container_id)
        if container is None or container.state != "running" or is_alive(container):
            return container
        status, finished = _read_exit(root, container)
        tear_down(root, container, state="exited", exit_code=status, finished=finished)
        if container.donor_id is not None:
            _release_donor(root, container.donor_id)
        ended = root.store.container(container_id)
        if ended is not None and ContainerSpec.from_json(ended.spec).auto_remove:
            discard(root, ended)
            return None
        return ended


def _release_donor(root: Root, donor_id: str) -> None:
    """The last container that shared a stopped one's namespace lets go of it."""
    donor = root.store.container(donor_id)
    if donor is not None and donor.state == "exited" and not running_joiners(root, donor):
        _leave_networks(root, donor, now=False)


def _read_exit(root: Root, container: ContainerRecord) -> tuple[int, str]:
    """Status and time the supervisor left; its record comes a moment after the process's end."""
    record = root.layout.container(container.id) / "exit"
    deadline = time.monotonic() + _EXIT_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        words = files.read_text(record).split()
        if len(words) == 2:
            return int(words[0]), clock.show(int(words[1]))
        if not (record.parent / "attach.sock").exists():
            break
        time.sleep(_EXIT_PAUSE_SECONDS)
    # The supervisor was killed, and the container with it.
    return _UNKNOWN_STATUS, clock.now()


def discard(root: Root, container: ContainerRecord) -> None:
    """Remove everything of a container that does not run."""
    store = root.store
    attached = store.endpoints_of(container.id)
    with store.transaction():
        store.update_container(container.id, state="removing")
    _leave_networks(root, container, now=False)
    files.remove_directory(root.layout.container(container.id))
    root.layout.log(container.id).unlink(missing_ok=True)
    with store.transaction():
        for joiner in store.joiners(container.id):
            store.update_container(joiner.id, donor_id=None)
        for each in attached:
            forget_endpoint(root, each)
        store.delete_container(container.id)
        events.container_event(store, "destroy", container)
    cluster.give_up(root, container.id, attached)
