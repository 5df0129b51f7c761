"""Containers as users have them: made, found, renamed, published, removed.

What one is, is in `netyard.api.container_base`; what runs in it, in `container_process`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from os import PathLike

import netyard
from netyard.api import arguments, specify
from netyard.api.container_process import ContainerProcess
from netyard.api.default import chosen
from netyard.api.hints import Unpack
from netyard.errors import Conflict, Forbidden, NotFound
from netyard.lifecycle.create import make_container
from netyard.lifecycle.lookup import find_container, refreshed_container
from netyard.lifecycle.start import start_container
from netyard.lifecycle.stop import discard_container, running_joiners
from netyard.values import limits

_KILL_SECONDS = 10.0


class Container(ContainerProcess):
    """A container of a host: a network namespace with a name, and possibly processes in it.

    Not made directly: by `create`, `run`, `adopt`, `get` or `list`. As a context manager it removes
    itself at the end (or, if adopted, gives the namespace back). Two objects of one container are
    equal.

    Where several words are taken, such as ports, one string is one word. Where an address is taken,
    one of ``ipaddress`` is as good as a string; where a path is taken, one of ``pathlib``.

    Attributes:
        host: The host it is of.

    Example:
        >>> with Container.run("redis-server", name="redis", network="my-net") as redis:
        ...     redis.exec("redis-cli", "ping").stdout
        b'PONG\\n'
    """

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        *command: str | PathLike[str],
        # identity
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        # networks
        network: str
        | netyard.Network
        | netyard.Container
        | netyard.NetworkRequest
        | Iterable[str | netyard.Network | netyard.Container | netyard.NetworkRequest] = (),
        ip: str | IPv4Address | IPv6Address | None = None,
        ip6: str | IPv4Address | IPv6Address | None = None,
        mac_address: str | None = None,
        aliases: str | Iterable[str] = (),
        link_local_ips: str
        | IPv4Address
        | IPv6Address
        | Iterable[str | IPv4Address | IPv6Address] = (),
        links: str | netyard.Container | Iterable[str | netyard.Container] = (),
        # ports
        publish: str | Iterable[str] = (),
        publish_all: bool = False,
        expose: str | Iterable[str] = (),
        # names and DNS
        hostname: str = "",
        domainname: str = "",
        add_hosts: str | Iterable[str] = (),
        dns: str | IPv4Address | IPv6Address | Iterable[str | IPv4Address | IPv6Address] = (),
        dns_search: str | Iterable[str] = (),
        dns_options: str | Iterable[str] = (),
        # process
        environment: Mapping[str, str | int | PathLike[str]] | None = None,
        workdir: str | PathLike[str] = "",
        user: str | int = "",
        tty: bool = False,
        interactive: bool = False,
        # files
        rootfs: str | PathLike[str] = "",
        read_only: bool = False,
        host_files: str = "system",
        volumes: str | Iterable[str] | Mapping[str, str] = (),
        mounts: str | Iterable[str] = (),
        tmpfs: str | Iterable[str] | Mapping[str, str] = (),
        log_driver: str = "",
        log_opts: Mapping[str, str | int] | None = None,
        # isolation
        sysctls: Mapping[str, str | int | bool] | None = None,
        privileged: bool = False,
        cap_add: str | Iterable[str] = (),
        cap_drop: str | Iterable[str] = (),
        userns: str = "",
        security_opt: str | Iterable[str] = (),
        # limits
        memory: str | int = "",
        memory_swap: str | int = "",
        cpus: str | float = "",
        pids_limit: int = limits.DEFAULT_PIDS,
        ulimits: str | Iterable[str] = (),
        shm_size: str | int = "",
        # life
        auto_remove: bool = False,
        host: netyard.Host | None = None,
    ) -> Container:
        """Create a container without starting it. Its addresses are reserved from now on.

        Args:
            command: Program and arguments, a word each: strings or paths.
            name: What to call it: letters, digits, ``_``, ``.`` and ``-``, 2 to 128 characters.
                Others on its networks resolve it by this name. Generated if not given.
            labels: Metadata, names and strings; for filters, and shown by ``inspect``.
            network: What to join, one or several: names or ids, `Network` objects, or a
                `NetworkRequest` for what is to be so on one network alone. A name may be in
                Docker's long form, ``name=NAME,alias=…,ip=…,gw-priority=…``. Or ``host`` (the
                host's own network), ``none`` (none at all), or that of another container: a
                `Container` object, or ``container:NAME``. The default network, ``bridge``, if not
                given.
            ip: IPv4 address on the first network; the next free one if not given.
            ip6: IPv6 address on the first network; the next free one if not given.
            mac_address: MAC address on the first network, six octets with ``:`` between them;
                chosen if not given.
            aliases: Further names on the first network.
            link_local_ips: Further addresses on the first network, of 169.254.0.0/16 or fe80::/10.
            links: Others on the first network that it alone resolves: `Container` objects, or
                ``CONTAINER[:ALIAS]``.
            publish: Ports to be reached from outside, as for ``docker run -p``: ``8080:80``, ``80``
                (at a free port of the host), ``127.0.0.1:8080:80/udp``, ``8000-8009:8000-8009``.
            publish_all: Publish each exposed port at a free port of the host.
            expose: Ports for ``publish_all``: ``80``, ``53/udp``, ``7000-7010``.
            hostname: Its host name, at most 63 characters; the short id if not given.
            domainname: Its domain name (NIS), as ``hostname -d`` shows it.
            add_hosts: ``NAME:ADDRESS`` lines for /etc/hosts; the address may be ``host-gateway``.
            dns: Addresses of name servers to ask instead of the host's.
            dns_search: Domains to complete names by; ``.`` for none.
            dns_options: Resolver options, such as ``ndots:2``.
            environment: Further variables: names, and strings, whole numbers or paths.
            workdir: Directory that the command begins in; if not given, the caller's, if the
                container has the host's files and its user may enter it, else ``/``.
            user: ``USER[:GROUP]``, names or numbers; root if not given.
            tty: Give it a terminal.
            interactive: Keep its standard input open, for ``netyard attach``.
            rootfs: Directory to be its root; the host's files if not given.
            read_only: Let it write to nothing but private /tmp, /run and /var/tmp, and to what
                ``volumes``, ``mounts`` and ``tmpfs`` name; with ``rootfs``, only to these.
            host_files: What of the host's files it may write to, if it has no ``rootfs``:
                ``system`` is all but the host's programs and settings, ``ephemeral`` all, in a
                layer that goes with it, ``read-only`` nothing, ``all`` what a user of the host may.
            volumes: Directories or files of the host to mount in it, as for ``docker run -v``:
                ``/srv/data:/data``, ``/srv/data:/data:ro``; or a mapping,
                ``{"/srv/data": "/data:ro"}``. A directory that is missing is made. ``:idmap``: with
                ``userns="auto"``, what is root's there is its root's.
            mounts: The same as for ``docker run --mount``:
                ``type=bind,source=/srv/data,target=/data,readonly``,
                ``type=tmpfs,target=/scratch,tmpfs-size=64m``. A source that is missing is refused.
            tmpfs: Directories in memory, as for ``docker run --tmpfs``: ``/scratch``,
                ``/scratch:size=64m,mode=0700``; or a mapping, ``{"/scratch": "size=64m"}``.
            log_driver: ``json-file``, or ``none`` to keep nothing of what it writes.
            log_opts: How much is kept: ``max-size`` of a file, such as ``500k`` or ``1g`` (10m if
                not given, ``-1`` for any number of bytes), and ``max-file``, how many files (3).
            sysctls: Settings of its network namespace: names such as ``net.ipv4.ip_forward``, and
                strings, whole numbers, or ``True`` and ``False`` for 1 and 0.
            privileged: All capabilities, and /proc/sys to write to.
            cap_add: Capabilities to keep beside Docker's usual ones, such as ``NET_ADMIN``, or
                ``ALL``.
            cap_drop: Capabilities to take away, or ``ALL``.
            userns: ``private`` for a user namespace of its own (the default), in which ids are what
                they are on the host and capabilities count for nothing of the host's; ``auto`` for
                one that has a range of ids of its own, 65536 of those that /etc/subuid and
                /etc/subgid give to ``containers``, so that its root is nobody on the host, or
                ``auto:size=N``; ``host`` for the host's, which ``privileged`` and the network
                ``host`` mean as well.
            security_opt: ``no-new-privileges``, and ``seccomp=unconfined`` or ``seccomp=FILE``, a
                profile in Docker's form.
            memory: Bytes of memory it may use, or ``512m``; any amount if not given.
            memory_swap: Bytes of memory and swap together, -1 for all there is; twice the memory if
                not given.
            cpus: Processors it may use at a time, such as 0.5; all if not given.
            pids_limit: Processes and threads it may have; -1 for any number.
            ulimits: Limits of each process: ``nofile=1024:4096``, soft and hard.
            shm_size: Bytes of shared memory, or ``1g``; ``64m`` if not given.
            auto_remove: Remove it when it ends.
            host: Where; the default host if not given.

        Raises:
            Invalid: for a value that is wrong, or that does not go with another.
            Several: for more than one such.
            NameInUse: if another container has the name.
            AddressInUse: if another container has the address.
            NotFound: if there is no such network, or no container of which to share the network.
            Exhausted: if no address of the network is left, or no range of ids.
            Forbidden: if the network cannot be joined: it only holds settings.
            Conflict: if the container whose network is to be shared does not run, or has other ids
                than ``userns`` asks for.

        Example:
            >>> web = Container.create("python3", "-m", "http.server", publish="8080:8000")
        """
        host = chosen(host)
        first = (ip, ip6, mac_address, aliases, link_local_ips, links)
        joining = specify.joining(host, network, *first)
        spec = specify.container(command, joining, labels, auto_remove)
        spec = specify.with_ports(spec, publish, publish_all, expose)
        names = (hostname, domainname, add_hosts, dns, dns_search, dns_options)
        spec = specify.with_names(spec, *names)
        files = (rootfs, read_only, host_files, volumes, mounts, tmpfs)
        spec = specify.with_files(spec, *files)
        spec = specify.with_process(spec, environment, workdir, user, tty, interactive)
        isolation = (sysctls, privileged, cap_add, cap_drop, userns, security_opt)
        spec = specify.with_isolation(spec, *isolation)
        spec = specify.with_limits(spec, memory, memory_swap, cpus, pids_limit, ulimits, shm_size)
        spec = specify.with_log(spec, log_driver, log_opts)
        specify.check(spec, joining)
        wanted = arguments.optional_text("name", name)
        with host.change() as change:
            return cls(host, make_container(change, wanted, spec, joining.target))

    @classmethod
    def run(
        cls,
        *command: str | PathLike[str],
        host: netyard.Host | None = None,
        **settings: Unpack[netyard.ContainerSettings],
    ) -> Container:
        """Create a container and start it.

        Args:
            command: Program and arguments, a word each: strings or paths.
            host: Where; the default host if not given.
            settings: As `create` takes them.

        Raises:
            StartFailed: if the command does not start; then nothing of the container is left.
            PortInUse: if something else has a host port of it.
            KernelError: if its network cannot be made; then nothing of the container is left.
            Invalid: as of `create`, and whatever else it raises.

        Example:
            >>> box = Container.run("sleep", "600", name="box", network="my-net", ip="172.28.0.9")
        """
        host = chosen(host)
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
        netns: str | PathLike[str] | None = None,
        labels: Mapping[str, str] | None = None,
        network: str
        | netyard.Network
        | netyard.NetworkRequest
        | Iterable[str | netyard.Network | netyard.NetworkRequest] = (),
        ip: str | IPv4Address | IPv6Address | None = None,
        ip6: str | IPv4Address | IPv6Address | None = None,
        mac_address: str | None = None,
        aliases: str | Iterable[str] = (),
        publish: str | Iterable[str] = (),
        host: netyard.Host | None = None,
    ) -> Container:
        """Put an existing network namespace on networks.

        Its files and processes are not touched; names are served at 127.0.0.11 inside. `abandon`
        gives it back as it was.

        Args:
            name: What to call it, 2 to 128 characters. Others on its networks resolve it by this.
            pid: A process in the namespace, the host's pid; either this or ``netns`` is needed.
            netns: A path to the namespace, such as ``/run/netns/lab`` or ``/proc/1234/ns/net``.
            labels: Metadata, names and strings; for filters, and shown by ``inspect``.
            network: What to join, one or several: names or ids, `Network` objects, or a
                `NetworkRequest` for what is to be so on one network alone. The default network,
                ``bridge``, if not given.
            ip: IPv4 address on the first network; the next free one if not given.
            ip6: IPv6 address on the first network; the next free one if not given.
            mac_address: On the first network, six octets with ``:`` between them; chosen if not
                given.
            aliases: Further names on the first network.
            publish: Ports to be reached from outside, as `netyard.Container.create` takes them.
            host: Where; the default host if not given.

        Raises:
            Invalid: for a value that is wrong.
            NotFound: if there is no such process, namespace or network.
            Forbidden: for the host's own namespace.
            Conflict: if the namespace is a container's already.

        Example:
            >>> Container.adopt("lab", netns="/run/netns/lab", network="my-net", publish="80:80")
        """
        from netyard.lifecycle import adopt

        host = chosen(host)
        joining = specify.joining(host, network, ip, ip6, mac_address, aliases)
        spec = specify.adopted(joining, netns, publish, labels)
        process = None if pid is None else arguments.whole("pid", pid, 1)
        source = adopt.open_foreign(process, spec.netns or None)
        try:
            with host.change() as change:
                return cls(host, adopt.adopt(change, arguments.text("name", name), spec, source))
        finally:
            os.close(source)

    # -- finding ------------------------------------------------------------------------------

    @classmethod
    def get(cls, wanted: str, *, host: netyard.Host | None = None) -> Container:
        """A container by what it is called.

        Args:
            wanted: Its full id, its name, or as much of the id as no other begins with.
            host: Where; the default host if not given.

        Raises:
            NotFound: if there is none.
            Invalid: if several ids begin so.

        Example:
            >>> Container.get("web").status
            'running'
        """
        host = chosen(host)
        return cls(host, find_container(host, arguments.text("wanted", wanted)))

    @classmethod
    def list(
        cls,
        *,
        all: bool = False,
        filters: str | Iterable[str] = (),
        host: netyard.Host | None = None,
    ) -> list[Container]:
        """Containers, newest first.

        Args:
            all: Those that do not run as well.
            filters: ``KEY=VALUE`` words as of ``docker ps``: ``id``, ``name``, ``label``,
                ``status``, ``exited``, ``network``, ``publish``, ``expose``, ``before``, ``since``.
            host: Where; the default host if not given.

        Raises:
            Invalid: for a filter that is none.

        Example:
            >>> Container.list(all=True, filters="label=tier=web")
        """
        host = chosen(host)
        arguments.flag("all", all)
        words = arguments.words("filters", filters)
        found = (refreshed_container(host, each) for each in host.store.containers())
        records = [each for each in found if each is not None]
        if words:
            from netyard.lifecycle.listing import select_containers

            records = select_containers(host, records, words)
        return [cls(host, each) for each in records if all or each.state == "running"]

    # -- changing -----------------------------------------------------------------------------

    def remove(self, *, force: bool = False) -> None:
        """Remove it and give its addresses and names back; an adopted namespace is abandoned.

        Args:
            force: End it first, if it runs.

        Raises:
            Conflict: if it runs, or others share its namespace.
            NotFound: if it has been removed.
            Invalid: if ``force`` is neither True nor False.

        Example:
            >>> web.remove(force=True)
        """
        arguments.flag("force", force)
        record = self.record
        if record.kind == "adopted":
            self.abandon()
            return
        # Another process may start it again before we have the lock.
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
            NotFound: if it has been given back.

        Example:
            >>> lab.abandon()
        """
        from netyard.lifecycle import adopt

        record = self.record
        if record.kind != "adopted":
            raise Forbidden(f"container {record.name!r} was not adopted", hint="remove it instead")
        with self.host.change():
            adopt.abandon(self.host, record)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(NotFound):
            self.remove(force=True)
