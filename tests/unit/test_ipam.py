"""Pool arithmetic, against the obvious way of doing it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netyard.errors import Exhausted
from netyard.ipam import allocate
from netyard.state.random_ids import new_id
from netyard.state.records import ContainerRecord, EndpointRecord, NetworkRecord
from netyard.state.store import Store
from netyard.values.pool import Pool, lowest_free, overlapping
from netyard.values.subnet_pools import choose_subnet, ula_source


@given(st.integers(0, 40), st.integers(0, 40), st.sets(st.integers(0, 60)))
def test_lowest_free_is_the_lowest_free(first: int, size: int, taken: set[int]) -> None:
    """Compared with trying one after the other."""
    last = first + size
    slow = next((n for n in range(first, last + 1) if n not in taken), None)
    assert lowest_free(first, last, sorted(taken)) == slow


@pytest.mark.parametrize(
    ("subnet", "first", "last"),
    [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
        ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
        ("10.0.0.7/32", "10.0.0.7", "10.0.0.7"),
        ("fd00::/126", "fd00::1", "fd00::3"),
    ],
)
def test_ends_of_a_subnet(subnet: str, first: str, last: str) -> None:
    """IP7."""
    from ipaddress import ip_address

    pool = Pool(ip_network(subnet))
    assert (pool.first_dynamic(), pool.last_dynamic()) == (
        int(ip_address(first)),
        int(ip_address(last)),
    )


def test_docker_ranges_come_first_and_in_order() -> None:
    """IP1."""
    taken: list = []
    for _ in range(31):
        taken.append(choose_subnet(4, taken))
    assert [str(each) for each in taken[:3]] == ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"]
    assert str(taken[15]) == "192.168.0.0/20"
    assert len(set(taken)) == 31
    for _ in range(1000):
        taken.append(choose_subnet(4, taken[-3:] + taken[:31]) if len(taken) < 35 else taken[-1])
    everything = [ip_network("0.0.0.0/0")]
    with pytest.raises(Exhausted):
        choose_subnet(4, everything)


def test_ula_is_stable_for_a_machine() -> None:
    """IP9."""
    one, two = ula_source(b"machine"), ula_source(b"machine")
    assert one == two != ula_source(b"other")
    assert str(one.base).startswith("fd")
    assert one.base.prefixlen == 48
    assert choose_subnet(6, [], sources=[one]).prefixlen == 64


def test_overlap_across_families() -> None:
    """An IPv4 subnet never overlaps an IPv6 one."""
    assert overlapping(ip_network("0.0.0.0/0"), [ip_network("::/0")]) is None
    assert overlapping(ip_network("10.0.0.0/8"), [ip_network("10.1.0.0/16")]) is not None


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one network and one container, and a way to lease."""
    made = Store(tmp_path / "netyard.db", create=True)
    yield made
    made.close()


def _network(store: Store, subnet: str) -> NetworkRecord:
    pool = allocate.plan_pools(
        subnets=[ip_network(subnet)],
        ip_ranges=[],
        gateways=[],
        auxiliary=[],
        families=[ip_network(subnet).version],
        networks=[],
        avoid=[],
        sources=(),
    )
    network = NetworkRecord(
        id=new_id(),
        name="n",
        driver="bridge",
        created="",
        pools=pool,
        has_ipv4=pool[0].version == 4,
        has_ipv6=pool[0].version == 6,
        bridge="br-x",
    )
    store.add_network(network)
    return network


def _endpoint(store: Store, network: NetworkRecord) -> str:
    container = ContainerRecord(id=new_id(), name=new_id(), kind="run", created="", spec_json="{}")
    store.add_container(container)
    endpoint = EndpointRecord(
        id=new_id(),
        network_id=network.id,
        container_id=container.id,
        position=0,
        ifname="eth0",
        host_ifname="ny-x",
        mac="02:00:00:00:00:01",
        ip4="",
        ip6="",
    )
    store.add_endpoint(endpoint)
    return endpoint.id


@pytest.mark.parametrize("subnet", ["10.0.0.0/28", "fd00::/124", "10.0.0.0/8", "fd00::/64"])
def test_leases_are_lowest_first_and_found_again(store: Store, subnet: str) -> None:
    """IP8, IP10, IP11: the same in small and in huge subnets."""
    network = _network(store, subnet)
    base = int(network.pools[0].subnet.network_address)
    version = network.pools[0].version
    owners = {}
    with store.transaction():
        for number in range(12):
            endpoint = _endpoint(store, network)
            address, may_be_known = allocate.lease(store, network, endpoint, None, version)
            assert not may_be_known
            assert int(address) == base + 2 + number
            owners[endpoint] = address
        for endpoint, address in list(owners.items())[3:6]:
            store.delete_endpoint(endpoint)
            allocate.note_released(store, network, [address])
        again = [
            allocate.lease(store, network, _endpoint(store, network), None, version)
            for _ in range(4)
        ]
    assert [int(address) - base for address, _ in again] == [5, 6, 7, 14]
    assert [may_be_known for _, may_be_known in again] == [True, True, True, False]


def test_addresses_asked_for_may_be_known(store: Store) -> None:
    """IP8: whoever waits for one is told that it has come; so those below it, which may be old."""
    network = _network(store, "10.0.0.0/24")
    wanted = ip_address("10.0.0.9")
    found = [
        allocate.lease(store, network, _endpoint(store, network), address, 4)
        for address in (None, wanted, None, *[None] * 6)
    ]
    assert [int(address) & 255 for address, _ in found] == [2, 9, 3, 4, 5, 6, 7, 8, 10]
    assert [may_be_known for _, may_be_known in found] == [False, *[True] * 7, False]


def test_full_subnet(store: Store) -> None:
    """IP7, IP12: a /30 serves one container."""
    network = _network(store, "10.0.0.0/30")
    allocate.lease(store, network, _endpoint(store, network), None, 4)
    with pytest.raises(Exhausted, match=r"no free address left in 10\.0\.0\.0/30"):
        allocate.lease(store, network, _endpoint(store, network), None, 4)
