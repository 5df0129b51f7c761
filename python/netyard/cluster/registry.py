"""Transactions on the shared state: hosts, networks, and addresses of endpoints, without races.

A network is added on condition that the list of networks is unchanged since it was read; an address
is claimed on condition that its key does not exist. Keys and values are `netyard.cluster.entries`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import merge
from itertools import count
from typing import NamedTuple

from netyard.cluster import decode, entries
from netyard.cluster.entries import EndpointEntry, HostEntry
from netyard.cluster.etcd import Absent, Condition, Delete, Entry, Etcd, Present, Put, end_of
from netyard.errors import (
    AddressInUse,
    ClusterError,
    Conflict,
    Exhausted,
    NameInUse,
    NotFound,
    SubnetOverlap,
)
from netyard.state.records import NetworkRecord
from netyard.values.parse import Address
from netyard.values.pool import Pool, address_from, lowest_free, overlapping

# How often a transaction is tried whose conditions other hosts' changes break.
_TRIES = 100
_PAGE = 256
_BATCH = 100


class Networks(NamedTuple):
    """The shared networks at one moment.

    Attributes:
        generation: The revision of the last change of any; 0 if there has been none.
    """

    records: Sequence[NetworkRecord]
    generation: int


class Registry:
    """The shared state as one host changes it.

    Args:
        lease: The host's; all keys that are to go with the host are attached to it.
    """

    def __init__(self, etcd: Etcd, host: HostEntry, lease: int) -> None:
        self._etcd = etcd
        self.host = host
        self.lease = lease

    @property
    def etcd(self) -> Etcd:
        """The connection."""
        return self._etcd

    def is_alive(self) -> bool:
        """Renew the lease; ``False`` if it has ended."""
        return self._etcd.keep_alive(self.lease)

    def leave(self) -> None:
        """End the lease, which deletes all keys of this host."""
        self._etcd.revoke(self.lease)

    # -- hosts ------------------------------------------------------------------------------

    def register_host(self) -> None:
        """Write this host and its name.

        Raises:
            NameInUse: if another host has its name.
        """
        host = self.host
        name_key = entries.host_name_key(host.name)
        mine = [
            Put(name_key, host.id, self.lease),
            Put(entries.host_key(host.id), host.to_json(), self.lease),
        ]
        for _ in range(_TRIES):
            if self._etcd.change([Absent(name_key)], mine):
                return
            found = self._etcd.get(name_key).entries
            if found and found[0].value != host.id:
                raise NameInUse(
                    f"--name: another host of this cluster is called {host.name!r}",
                    holder=host.name,
                )
            if found and self._etcd.change([Present(name_key, found[0].revision)], mine):
                return
        raise _crowded(f"host {host.name!r}")

    def announce_key(self, public_key: str) -> None:
        """Have the other hosts know this host's public key.

        Raises:
            ClusterError: if that fails; `host` has the key before then, which is the one
                that the others know.
        """
        before = self.host
        self.host = before._replace(public_key=public_key)
        try:
            self.register_host()
        except BaseException:
            self.host = before
            raise

    def hosts(self) -> dict[str, HostEntry]:
        """The present hosts, by id."""
        found = decode.hosts(self._etcd.read(entries.HOSTS).entries)
        return {host.id: host for host in found}

    # -- networks ---------------------------------------------------------------------------

    def networks(self) -> Networks:
        """The shared networks, read now."""
        found = self._etcd.read(entries.NETWORKS, entries.GENERATION).entries
        networks = [entry for entry in found if entry.key.startswith(entries.NETWORKS)]
        return Networks(list(decode.networks(networks)), _revision_of(found, entries.GENERATION))

    def add_network(self, network: NetworkRecord) -> None:
        """Add a network to the shared ones.

        Raises:
            NameInUse, SubnetOverlap, Conflict: if another has its name, addresses or VNI.
        """
        key = entries.network_key(network.id)
        for _ in range(_TRIES):
            known = self.networks()
            if any(other.id == network.id for other in known.records):
                # Added by an attempt before, whose answer was lost.
                return
            for other in known.records:
                _check_apart(network, other)
            unchanged: Condition = (
                Present(entries.GENERATION, known.generation)
                if known.generation
                else Absent(entries.GENERATION)
            )
            changes = [
                Put(key, entries.network_to_json(network)),
                Put(entries.GENERATION, network.id),
            ]
            if self._etcd.change([unchanged, Absent(key)], changes):
                return
        raise _crowded(f"network {network.name!r}")

    def remove_network(self, network: NetworkRecord) -> None:
        """Remove a network everywhere; it is no error if it is gone.

        Raises:
            Conflict: if containers are on it, on any host; it names them.
        """
        prefix = entries.endpoints_prefix(network.id)
        changes: list[Put | Delete] = [
            Delete(entries.network_key(network.id)),
            Delete(entries.addresses_prefix(network.id), is_prefix=True),
            Delete(entries.cursors_prefix(network.id), is_prefix=True),
            Put(entries.GENERATION, network.id),
        ]
        for _ in range(_TRIES):
            if self._etcd.change([Absent(prefix, is_prefix=True)], changes):
                return
            self._refuse_in_use(network)
        raise _crowded(f"network {network.name!r}")

    def _refuse_in_use(self, network: NetworkRecord) -> None:
        pages = self._etcd.pages(entries.endpoints_prefix(network.id))
        present = [entry for page in pages for entry in page.entries]
        if not present:
            return
        found = list(decode.endpoints(present))
        if not found:
            raise Conflict(
                f"network {network.name!r} has an endpoint in etcd, at {present[0].key}, that "
                "cannot be read",
                hint="if no container uses it, delete it with 'etcdctl del'",
            )
        users: dict[str, list[str]] = {}
        for each in found:
            users.setdefault(each.host_name, []).append(each.names[0])
        shown = "; ".join(
            f"{', '.join(sorted(names))} on host {host}" for host, names in sorted(users.items())
        )
        raise Conflict(
            f"network {network.name!r} is used by containers {shown}",
            holder=shown,
            hint="remove or disconnect them first",
        )

    def endpoints(self, network_id: str) -> list[EndpointEntry]:
        """A network's endpoints on all hosts."""
        pages = self._etcd.pages(entries.endpoints_prefix(network_id))
        return list(decode.endpoints(entry for page in pages for entry in page.entries))

    def own_endpoints(self) -> list[EndpointEntry]:
        """This host's endpoints."""
        prefix = f"{entries.PREFIX}endpoints/"
        keys = [key for key in self._etcd.keys_of(self.lease) if key.startswith(prefix)]
        found: list[EndpointEntry] = []
        for start in range(0, len(keys), _BATCH):
            page = self._etcd.get(*keys[start : start + _BATCH])
            found += decode.endpoints(page.entries)
        return found

    # -- endpoints --------------------------------------------------------------------------

    def claim(
        self, network: NetworkRecord, endpoint: EndpointEntry, wanted: Mapping[int, Address | None]
    ) -> list[Address]:
        """Claim addresses for an endpoint, one an IP version, and write the endpoint.

        Args:
            wanted: By IP version, the address that it must be; ``None`` for any free one.

        Raises:
            NotFound: if the network has been removed.
            AddressInUse: if another endpoint has a wanted address.
            Exhausted: if no address is free.
        """
        for _ in range(_TRIES):
            chosen = []
            moved: list[Put] = []
            for version, address in wanted.items():
                if address is None:
                    address, cursor = self._next_free(network, version)
                    moved.append(cursor)
                chosen.append(address)
            mine = endpoint._replace(addresses=[str(each) for each in chosen])
            if self._take(network, mine, moved):
                return chosen
            self._explain(network, endpoint, [each for each in wanted.values() if each])
        raise _crowded(f"network {network.name!r}")

    def reclaim(self, endpoint: EndpointEntry) -> bool:
        """Claim again what an endpoint had before this host's lease ended; whether that succeeded.

        Addresses that it still has are attached to the present lease.
        """
        addresses = [_address_key(endpoint, each) for each in endpoint.addresses]
        found = {entry.key: entry for entry in self._etcd.get(*addresses).entries}
        if any(entry.value != endpoint.id for entry in found.values()):
            return False
        conditions: list[Condition] = [Present(entries.network_key(endpoint.network))]
        for key in addresses:
            same = found.get(key)
            conditions.append(Present(key, same.revision) if same else Absent(key))
        changes = [Put(key, endpoint.id, self.lease) for key in addresses]
        return self._etcd.change(conditions, [*changes, self._put(endpoint)])

    def publish(self, endpoint: EndpointEntry) -> None:
        """Write an endpoint that has its addresses.

        Raises:
            Conflict: if other endpoints have got them meanwhile.
        """
        own = Present(entries.endpoint_key(endpoint.network, endpoint.id))
        if not self._etcd.change([own], [self._put(endpoint)]) and not self.reclaim(endpoint):
            raise Conflict(
                f"container {endpoint.names[0]!r} has lost {', '.join(endpoint.addresses)} to "
                "another host while this one was away",
                hint="disconnect it and connect it again",
            )

    def release(self, endpoints: Sequence[EndpointEntry]) -> None:
        """Delete endpoints and their addresses, but not addresses that other endpoints have now."""
        for endpoint in endpoints:
            keys = [_address_key(endpoint, each) for each in endpoint.addresses]
            found = self._etcd.get(*keys).entries if keys else []
            mine = [entry for entry in found if entry.value == endpoint.id]
            gone = Delete(entries.endpoint_key(endpoint.network, endpoint.id))
            conditions = [Present(entry.key, entry.revision) for entry in mine]
            if not self._etcd.change(conditions, [gone, *(Delete(each.key) for each in mine)]):
                self._etcd.change([], [gone])

    def _put(self, endpoint: EndpointEntry) -> Put:
        key = entries.endpoint_key(endpoint.network, endpoint.id)
        return Put(key, endpoint.to_json(), self.lease)

    def _take(self, network: NetworkRecord, endpoint: EndpointEntry, moved: Sequence[Put]) -> bool:
        keys = [_address_key(endpoint, each) for each in endpoint.addresses]
        conditions: list[Condition] = [Present(entries.network_key(network.id))]
        conditions += map(Absent, keys)
        addresses = [Put(key, endpoint.id, self.lease) for key in keys]
        return self._etcd.change(conditions, [*addresses, self._put(endpoint), *moved])

    def _explain(
        self, network: NetworkRecord, endpoint: EndpointEntry, wanted: Sequence[Address]
    ) -> None:
        """Raise why a claim was refused; return if it may succeed when it is tried again."""
        keys = [entries.address_key(network.id, each) for each in wanted]
        found = self._etcd.get(entries.network_key(network.id), *keys).entries
        by_key = {entry.key: entry.value for entry in found}
        if entries.network_key(network.id) not in by_key:
            raise NotFound(f"there is no network {network.name!r} any more")
        for address, key in zip(wanted, keys, strict=True):
            if key in by_key:
                flag = "--ip" if address.version == 4 else "--ip6"
                holder = self._holder(network, by_key[key])
                raise AddressInUse(
                    f"{flag}: {address} of network {network.name!r} belongs to {holder}",
                    holder=holder,
                )

    def _holder(self, network: NetworkRecord, endpoint_id: str) -> str:
        page = self._etcd.get(entries.endpoint_key(network.id, endpoint_id))
        holder = next(decode.endpoints(page.entries), None)
        if holder is None:
            return "a container that is going"
        return f"container {holder.names[0]!r} on host {holder.host_name!r}"

    def _next_free(self, network: NetworkRecord, version: int) -> tuple[Address, Put]:
        """The next free address after the last allocated one, cyclic, and the new cursor (IP8)."""
        for position, pool in enumerate(network.pools):
            if pool.version != version:
                continue
            key = entries.cursor_key(network.id, position)
            cursor = self._etcd.get(key).entries
            last = int(cursor[0].value) if cursor else pool.first_dynamic() - 1
            for first, end in (
                (last + 1, pool.last_dynamic()),
                (pool.first_dynamic(), min(last, pool.last_dynamic())),
            ):
                number = self._free_between(network.id, pool, first, end)
                if number is not None:
                    return address_from(number, version), Put(key, str(number))
        ranges = ", ".join(str(pool.dynamic) for pool in network.pools if pool.version == version)
        raise Exhausted(f"network {network.name!r} has no free address left in {ranges}")

    def _free_between(self, network_id: str, pool: Pool, first: int, last: int) -> int | None:
        """The lowest free address of a range, as a number; reads only as many keys as needed."""
        at_start = sorted(number for number in pool.taken_at_start() if first <= number <= last)
        end = end_of(entries.address_key(network_id, address_from(last, pool.version)))
        while first <= last:
            start = entries.address_key(network_id, address_from(first, pool.version))
            taken = self._etcd.read_from(start, end, limit=_PAGE).entries
            numbers = [int(entries.address_of(entry.key)) for entry in taken]
            until = last if len(numbers) < _PAGE else numbers[-1]
            here = (number for number in at_start if number <= until)
            found = lowest_free(first, until, merge(numbers, here))
            if found is not None:
                return found
            first = until + 1
        return None


def free_vni(networks: Sequence[NetworkRecord]) -> int:
    """The next VXLAN network identifier (contract OV2).

    Raises:
        Exhausted: if all are taken.
    """
    taken = {network.vni for network in networks}
    found = next(number for number in count(VNI_FIRST) if number not in taken)
    if found > VNI_MAX:
        raise Exhausted(f"all VXLAN network identifiers from {VNI_FIRST} to {VNI_MAX} are taken")
    return found


VNI_FIRST, VNI_MAX = 4096, (1 << 24) - 1


def _check_apart(network: NetworkRecord, other: NetworkRecord) -> None:
    if network.name == other.name:
        raise NameInUse(f"a network named {network.name!r} exists", holder=other.name)
    if network.vni == other.vni:
        raise Conflict(
            f"--opt: VXLAN network identifier {network.vni} is network {other.name!r}'s",
            holder=other.name,
        )
    for pool in network.pools:
        twin = overlapping(pool.subnet, [each.subnet for each in other.pools])
        if twin is not None:
            raise SubnetOverlap(
                f"--subnet: {pool.subnet} overlaps {twin} of network {other.name!r}",
                holder=other.name,
            )


def _revision_of(found: Sequence[Entry], key: str) -> int:
    return next((entry.revision for entry in found if entry.key == key), 0)


def _address_key(endpoint: EndpointEntry, text: str) -> str:
    from ipaddress import ip_address

    return entries.address_key(endpoint.network, ip_address(text))


def _crowded(what: str) -> ClusterError:
    return ClusterError(f"{what}: other hosts were quicker {_TRIES} times over: try again")
