"""Hosts as members of a cluster: joining, leaving, listing them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import netyard
import netyard._core as _core
from netyard.api import arguments
from netyard.errors import Conflict, Invalid, NotFound, StoreError
from netyard.ipc import agent, cluster
from netyard.networks import devices
from netyard.state import config
from netyard.state.cluster_settings import with_host_name
from netyard.values.membership import KEY, LEASE_SECONDS, Access, Membership, parse


class Member(NamedTuple):
    """A host of the cluster, as this one sees it. Two are equal if all of this is.

    Attributes:
        id: What it is known by in the cluster, hexadecimal digits.
        name: What it is called in the cluster.
        address: Where other hosts send to.
        is_self: It is this host.

    Example:
        >>> [each.name for each in host.members.list() if not each.is_self]
        ['other-host']
    """

    id: str
    name: str
    address: str
    is_self: bool


class Members:
    """The cluster of a host: `netyard.Host.members`.

    Example:
        >>> host.members.join(etcd="http://10.0.0.1:2379", advertise="10.0.0.7")
        >>> Network.create("shared", driver="overlay", host=host)
    """

    def __init__(self, host: netyard.Host) -> None:
        self._host = host

    def join(
        self,
        *,
        etcd: str | Iterable[str],
        advertise: str | IPv4Address | IPv6Address,
        name: str = "",
        ca: str | PathLike[str] = "",
        cert: str | PathLike[str] = "",
        key: str | PathLike[str] = "",
        lease_seconds: int = LEASE_SECONDS,
    ) -> Member:
        """Share networks with other hosts from now on.

        Args:
            etcd: URLs of the members of the etcd that keeps what is shared; one string is one URL.
            advertise: An address of this host that the others can send to (UDP).
            name: What the host is called among them; its host name if not given.
            ca: File with the certificate that signs those of etcd, if it is not a public one.
            cert: File with this host's certificate for etcd, if that asks for one.
            key: File with the key to that certificate.
            lease_seconds: After how many seconds of silence the others may have its addresses.

        Returns:
            This host, as the others see it.

        Raises:
            Invalid, Several: for every value that is wrong.
            NameInUse: if another host has the name.
            Conflict: if this host is a member already.
            ClusterError: if etcd cannot be reached or refuses.
            AgentError: if the agent, which keeps the connection, cannot be started.

        Example:
            >>> host.members.join(etcd="http://10.0.0.1:2379", advertise="10.0.0.7").name
            'this-host'
        """
        found: dict[str, Any] = {
            "etcd": list(arguments.words("etcd", etcd)),
            "advertise": arguments.address("advertise", advertise),
            "name": arguments.text("name", name),
            "ca": arguments.path("ca", ca),
            "cert": arguments.path("cert", cert),
            "key": arguments.path("key", key),
            "lease": arguments.whole("lease_seconds", lease_seconds),
        }
        return self.join_as(parse(KEY, with_host_name(found)))

    def join_as(self, member: Membership) -> Member:
        """The same with settings that are checked already.

        Args:
            member: All of them.

        Raises:
            ClusterError: if etcd cannot be reached or refuses, and what else `join` raises.
        """
        root = self._host.layout.root
        settings = config.read_settings(root)
        if KEY in settings:
            raise Conflict(
                f"this host is in a cluster already, as {settings[KEY].get('name')!r}",
                hint="leave it first with 'netyard host leave'",
            )
        _check_address(member.advertise)
        member = member._replace(access=_with_files(member.access))
        cluster.join(self._host, member)
        try:
            config.write_settings(root, {**settings, KEY: member.to_settings()})
        except OSError as error:
            cluster.leave(self._host)
            raise StoreError(f"the settings cannot be kept: {error.strerror}") from error
        return next(each for each in self.list() if each.is_self)

    def leave(self) -> None:
        """Share nothing any more; the others have this host's addresses at once.

        Raises:
            Conflict: if it is no member, or containers are on networks of the cluster.
            ClusterError: if etcd cannot be reached.

        Example:
            >>> host.members.leave()
        """
        host = self._host
        if config.load(host.layout.root).cluster is None:
            raise Conflict("this host is in no cluster")
        with host.change():
            shared = [each for each in host.store.networks() if each.spans_hosts]
            used = [each.name for each in shared if host.store.endpoints_on(each.id)]
            if used:
                raise Conflict(
                    f"containers of this host are on networks {', '.join(used)} of the cluster",
                    hint="remove or disconnect them first",
                )
            for network in shared:
                devices.forget(host, network)
        cluster.leave(host)
        settings = config.read_settings(host.layout.root)
        settings.pop(KEY, None)
        config.write_settings(host.layout.root, settings)
        for network in shared:
            agent.forget_network(host.layout, network.id)

    def rotate_key(self) -> None:
        """Have a new key for encrypted networks; connections go on.

        Raises:
            Conflict: if no encrypted network is used on this host.
            ClusterError: if etcd cannot be reached.

        Example:
            >>> host.members.rotate_key()
        """
        cluster.rotate_key(self._host)

    def list(self) -> list[Member]:
        """The hosts that are there, by name.

        Raises:
            Conflict: if this host is no member.
            ClusterError: if etcd cannot be reached.

        Example:
            >>> [(each.name, each.address) for each in host.members.list()]
            [('other-host', '10.0.0.8'), ('this-host', '10.0.0.7')]
        """
        own = cluster.check_member(self._host).name
        found = [
            Member(each.id, each.name, each.address, each.name == own)
            for each in cluster.hosts(self._host)
        ]
        return sorted(found, key=lambda each: each.name)

    def get(self, wanted: str) -> Member:
        """A host of the cluster.

        Args:
            wanted: Its name, its id, or the beginning of its id.

        Raises:
            NotFound: if there is none.
            ClusterError: if etcd cannot be reached.

        Example:
            >>> host.members.get("other-host").address
            '10.0.0.8'
        """
        arguments.text("wanted", wanted)
        for each in self.list():
            if wanted == each.name or (wanted and each.id.startswith(wanted)):
                return each
        raise NotFound(f"there is no host {wanted!r} in the cluster")


def _with_files(access: Access) -> Access:
    """The same with paths that mean the same to the agent, whose directory is another."""
    found: dict[str, Any] = {}
    for name in ("ca", "cert", "key"):
        path = getattr(access, name)
        if path:
            found[name] = str(Path(path).absolute())
            try:
                Path(path).read_bytes()
            except OSError as error:
                raise Invalid(
                    f"--{name}: {path!r} cannot be read: {error.strerror}", field=f"--{name}"
                ) from error
    return access._replace(**found)


def _check_address(advertise: str) -> None:
    own = [address for _, address, _ in _core.list_addresses()]
    if ip_address(advertise) not in own:
        shown = ", ".join(
            str(each) for each in own if not each.is_loopback and not each.is_link_local
        )
        raise Invalid(
            f"--advertise: {advertise} is no address of this host, which has {shown or 'none'}",
            field="--advertise",
            value=advertise,
        )
    if ip_address(advertise).is_loopback:
        raise Invalid(
            f"--advertise: {advertise} is the loopback: no other host can send to it",
            field="--advertise",
            value=advertise,
        )
