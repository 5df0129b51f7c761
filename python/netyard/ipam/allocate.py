"""Who gets which subnet and address. Reads and writes the store; the arithmetic is `pool`'s."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from heapq import merge
from ipaddress import IPv6Network

from netyard.errors import AddressInUse, Exhausted, Invalid, NetyardError, SubnetOverlap, raise_all
from netyard.options import parent as parent_options
from netyard.state.records import NetworkRecord
from netyard.state.store import Store
from netyard.values.parse import Address, Subnet
from netyard.values.pool import Pool, address_from, contains, lowest_free, overlapping
from netyard.values.subnet_pools import Source, choose_subnet

_LINK_LOCAL = IPv6Network("fe80::/64")


def plan_pools(
    *,
    subnets: Sequence[Subnet],
    ip_ranges: Sequence[Subnet],
    gateways: Sequence[Address],
    auxiliary: Sequence[tuple[str, Address]],
    families: Sequence[int],
    networks: Iterable[NetworkRecord],
    avoid: Iterable[Subnet],
    sources: Sequence[Source],
    without_gateway: Collection[int] = (),
    may_share: bool = False,
) -> tuple[Pool, ...]:
    """The pools of a new network: as asked, and chosen where nothing was asked.

    Args:
        subnets: ``0.0.0.0/N`` and ``::/N`` ask for any free one of that size (contract NC4).
        without_gateway: Families in which no gateway is chosen, and none but a given one is kept.
        may_share: The network is on a parent interface, and may have a subnet together with
            others that are, if their ranges are apart (contract IP6).

    Raises:
        Invalid: for every value that does not fit, all of them together (contract CV6).
        SubnetOverlap: if a subnet has addresses of another network.
        Exhausted: if no default subnet is left.
    """
    present = [(network, pool) for network in networks for pool in network.pools]
    users = {pool.subnet: network.name for network, pool in present}
    pools: list[Pool] = []

    def choose(family: int, prefix: int | None) -> None:
        out_of_the_way = [*users, *avoid, *subnets, *(pool.subnet for pool in pools)]
        chosen = choose_subnet(family, out_of_the_way, sources=sources, prefix=prefix, users=users)
        pools.append(Pool(chosen))

    for subnet in subnets:
        if subnet.network_address.is_unspecified:
            choose(subnet.version, subnet.prefixlen)
        else:
            pools.append(Pool(subnet))
    for family in families:
        if not any(pool.version == family for pool in pools):
            choose(family, None)
    errors: list[NetyardError] = []
    _check_subnets(pools, families, errors)
    for ip_range in ip_ranges:
        _place(pools, ip_range, errors)
    for gateway in gateways:
        _place_gateway(pools, gateway, errors)
    for name, address in auxiliary:
        _place_auxiliary(pools, name, address, errors)
    raise_all(errors)
    for pool in pools:
        for network, other in present:
            _check_apart(pool, network, other, may_share=may_share)
    return tuple(
        pool if pool.gateway or pool.version in without_gateway else _with_gateway(pool)
        for pool in pools
    )


def _check_apart(pool: Pool, network: NetworkRecord, other: Pool, *, may_share: bool) -> None:
    """Refuse a pool whose addresses could be those of another network's pool."""
    if overlapping(pool.subnet, [other.subnet]) is None:
        return
    can_share = may_share and network.driver in parent_options.KINDS
    if can_share and overlapping(pool.dynamic, [other.dynamic]) is None:
        return
    raise SubnetOverlap(
        f"--subnet: {pool.subnet} overlaps {other.subnet} of network {network.name!r}",
        holder=network.name,
        hint=f"give both an --ip-range apart from the other; {network.name!r} has {other.dynamic}"
        if can_share
        else None,
    )


def _check_subnets(
    pools: Sequence[Pool], families: Sequence[int], errors: list[NetyardError]
) -> None:
    for index, pool in enumerate(pools):
        if pool.version not in families:
            errors.append(
                Invalid(
                    f"--subnet: {pool.subnet} is IPv{pool.version}, which this network does not "
                    "have",
                    field="--subnet",
                    value=str(pool.subnet),
                    hint="add --ipv6" if pool.version == 6 else "leave out --ipv4=false",
                )
            )
        if pool.subnet != _LINK_LOCAL and overlapping(pool.subnet, [_LINK_LOCAL]):
            errors.append(
                Invalid(f"--subnet: {pool.subnet} overlaps {_LINK_LOCAL}, every link's own")
            )
        twin = overlapping(pool.subnet, [other.subnet for other in pools[:index]])
        if twin is not None:
            errors.append(Invalid(f"--subnet: {pool.subnet} overlaps {twin} of the same command"))


def _index_of(pools: Sequence[Pool], address: Address) -> int | None:
    for index, pool in enumerate(pools):
        if contains(pool.subnet, address):
            return index
    return None


def _place(pools: list[Pool], ip_range: Subnet, errors: list[NetyardError]) -> None:
    index = _index_of(pools, ip_range.network_address)
    if index is None or not contains(pools[index].subnet, ip_range.broadcast_address):
        errors.append(
            Invalid(f"--ip-range: {ip_range} is in no subnet of this network", field="--ip-range")
        )
    elif pools[index].ip_range is not None:
        errors.append(Invalid(f"--ip-range: {pools[index].subnet} has two ranges"))
    else:
        pools[index] = pools[index]._replace(ip_range=ip_range)


def _place_gateway(pools: list[Pool], gateway: Address, errors: list[NetyardError]) -> None:
    index = _index_of(pools, gateway)
    if index is None:
        errors.append(
            Invalid(f"--gateway: {gateway} is in no subnet of this network", field="--gateway")
        )
    elif pools[index].gateway is not None:
        errors.append(Invalid(f"--gateway: {pools[index].subnet} has two gateways"))
    elif reserved := pools[index].is_reserved(gateway):
        errors.append(AddressInUse(f"--gateway: {gateway} is {reserved} of {pools[index].subnet}"))
    else:
        pools[index] = pools[index]._replace(gateway=gateway)


def _place_auxiliary(
    pools: list[Pool], name: str, address: Address, errors: list[NetyardError]
) -> None:
    index = _index_of(pools, address)
    if index is None:
        errors.append(Invalid(f"--aux-address: {name}={address} is in no subnet of this network"))
    else:
        pool = pools[index]
        pools[index] = pool._replace(auxiliary=(*pool.auxiliary, (name, address)))


def _with_gateway(pool: Pool) -> Pool:
    """The lowest address that is free, of the range if there is one (contract NC6)."""
    number = lowest_free(pool.first_dynamic(), pool.last_dynamic(), sorted(pool.taken_at_start()))
    if number is None:
        raise Exhausted(f"--subnet: {pool.subnet} has no address for a gateway")
    return pool._replace(gateway=address_from(number, pool.version))


def lease(
    store: Store, network: NetworkRecord, endpoint_id: str, wanted: Address | None, version: int
) -> tuple[Address, bool]:
    """Give an endpoint an address, inside the caller's transaction.

    Returns:
        The address, and whether other hosts may know it at another MAC address, or at all.

    Raises:
        Invalid: if the wanted address is in no subnet.
        AddressInUse: if it is in use, or reserved.
        Exhausted: if no dynamic address is left.
    """
    if wanted is not None:
        check_wanted(store, network, wanted)
        store.add_lease(network.id, wanted, endpoint_id)
        for position, pool in enumerate(network.pools):
            if wanted in pool.subnet:
                marks = store.pool_marks(network.id, position)
                store.set_pool_marks(network.id, position, marks.given(int(wanted)))
        return wanted, True
    for position, pool in enumerate(network.pools):
        if pool.version != version:
            continue
        marks = store.pool_marks(network.id, position)
        address = _lowest(store, network.id, marks.next_free, pool)
        if address is not None:
            number = int(address)
            store.add_lease(network.id, address, endpoint_id)
            given = marks.given(number)._replace(next_free=number + 1)
            store.set_pool_marks(network.id, position, given)
            return address, number <= marks.highest_given
    ranges = ", ".join(str(pool.dynamic) for pool in network.pools if pool.version == version)
    raise Exhausted(f"network {network.name!r} has no free address left in {ranges}")


def _lowest(store: Store, network_id: str, next_free: int, pool: Pool) -> Address | None:
    first = max(next_free, pool.first_dynamic())
    if first > pool.last_dynamic():
        return None
    start = address_from(first, pool.version)
    at_start = sorted(number for number in pool.taken_at_start() if number >= first)
    leased = store.leased_from(network_id, start)
    number = lowest_free(first, pool.last_dynamic(), merge(leased, at_start))
    return None if number is None else address_from(number, pool.version)


def check_wanted(store: Store, network: NetworkRecord, wanted: Address) -> None:
    """Refuse an address that cannot be given, as far as this host knows.

    Raises:
        Invalid: if it is in no subnet.
        AddressInUse: if it is in use, or reserved.
    """
    flag = "--ip" if wanted.version == 4 else "--ip6"
    pool = network.pool_of(wanted)
    if pool is None:
        subnets = ", ".join(str(pool.subnet) for pool in network.pools)
        raise Invalid(
            f"{flag}: {wanted} is in no subnet of network {network.name!r} ({subnets or 'none'})",
            field=flag,
            value=str(wanted),
        )
    why = pool.is_reserved(wanted)
    if wanted == pool.gateway:
        why = "the gateway"
    for name, address in pool.auxiliary:
        if address == wanted:
            why = f"the auxiliary address {name!r}"
    if why:
        raise AddressInUse(f"{flag}: {wanted} is {why} of network {network.name!r}")
    _check_others(store, network, wanted, flag)
    holder = store.lease_holder(network.id, wanted)
    if holder is not None:
        raise AddressInUse(
            f"{flag}: {wanted} of network {network.name!r} belongs to container {holder!r}",
            holder=holder,
        )


def _check_others(store: Store, network: NetworkRecord, wanted: Address, flag: str) -> None:
    """Refuse what belongs to another network that shares the subnet (contract IP6)."""
    if network.driver not in parent_options.KINDS:
        return
    for other in store.networks():
        pool = other.pool_of(wanted)
        if other.id == network.id or pool is None or other.is_config_only:
            continue
        if contains(pool.dynamic, wanted):
            raise AddressInUse(
                f"{flag}: {wanted} is in {pool.dynamic}, from which network {other.name!r} gives "
                "addresses",
                holder=other.name,
            )
        holder = store.lease_holder(other.id, wanted)
        if holder is not None:
            raise AddressInUse(
                f"{flag}: {wanted} belongs to container {holder!r} on network {other.name!r}",
                holder=holder,
            )


_UNCOUNTABLE = (1 << 64) - 1


def usage(store: Store, network: NetworkRecord, pool: Pool) -> tuple[int, int]:
    """How many addresses of a pool are gone, and how many can still be handed out (IP14).

    Network and broadcast address, gateway and auxiliary addresses are gone from the start. Both
    end at 2^64 - 1, as in Docker.
    """
    last = int(pool.subnet.broadcast_address)
    leased = store.leased_from(network.id, pool.subnet.network_address)
    taken = {number for number in leased if number <= last} | pool.taken_at_start()
    ends = {
        number
        for number in (int(pool.subnet.network_address), last)
        if pool.is_reserved(address_from(number, pool.version))
    }
    first_dynamic, last_dynamic = pool.first_dynamic(), pool.last_dynamic()
    gone = sum(first_dynamic <= number <= last_dynamic for number in taken)
    available = max(0, last_dynamic - first_dynamic + 1 - gone)
    return min(len(taken | ends), _UNCOUNTABLE), min(available, _UNCOUNTABLE)


def note_released(store: Store, network: NetworkRecord, addresses: Iterable[Address]) -> None:
    """Let released addresses be found again at once (contract IP8)."""
    for address in addresses:
        for position, pool in enumerate(network.pools):
            if contains(pool.dynamic, address):
                marks = store.pool_marks(network.id, position)
                if int(address) < marks.next_free:
                    freed = marks._replace(next_free=int(address))
                    store.set_pool_marks(network.id, position, freed)
