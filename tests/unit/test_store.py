"""The store: transactions, migrations, what another process writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from netyard.errors import StoreError
from netyard.state.records import (
    ContainerRecord,
    EndpointRecord,
    NetworkRecord,
    Publication,
    in_rows,
)
from netyard.state.schema import MIGRATIONS
from netyard.state.store import Store
from netyard.values.spec import ContainerSpec, NetworkRequest


def _network(name: str) -> NetworkRecord:
    return NetworkRecord(id=name * 8, name=name, driver="bridge", created="")


def test_transactions_are_all_or_nothing(tmp_path: Path) -> None:
    """And transactions inside one another are one."""
    store = Store(tmp_path / "db", create=True)
    with pytest.raises(RuntimeError), store.transaction():
        store.add_network(_network("a"))
        with store.transaction():
            store.add_network(_network("b"))
        raise RuntimeError
    assert store.networks() == []
    store.close()


def test_a_cached_network_follows_other_connections(tmp_path: Path) -> None:
    """What another process changes is seen."""
    one, two = Store(tmp_path / "db", create=True), Store(tmp_path / "db", create=True)
    with one.transaction():
        one.add_network(_network("a"))
    assert two.network("a" * 8) is not None
    with one.transaction():
        one.set_network_state("a" * 8, "removing")
    found = two.network("a" * 8)
    assert found is not None
    assert found.state == "removing"
    one.close()
    two.close()


def test_missing_store(tmp_path: Path) -> None:
    """The agent does not make one."""
    with pytest.raises(StoreError):
        Store(tmp_path / "db", create=False)


def test_specs_come_back_as_they_were() -> None:
    """JSON and back."""
    spec = ContainerSpec(
        command=("a", "b"),
        networks=(NetworkRequest(network="n", aliases=("x",)),),
        add_hosts=(("db", "10.0.0.1"),),
        labels={"k": "v"},
        capabilities=3,
        tty=True,
    )
    again = ContainerSpec.from_json(spec.to_json())
    assert again.networks[0].network == "n"
    assert list(again.command) == ["a", "b"]
    assert again.labels == {"k": "v"}
    assert again.add_hosts == (("db", "10.0.0.1"),)
    assert again.capabilities == 3


def test_a_store_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """Migrations keep what is there: networks, endpoints, published ports."""
    db = sqlite3.connect(tmp_path / "db")
    db.executescript(MIGRATIONS[0])
    db.execute(
        "INSERT INTO networks VALUES ('n', 'net', 'bridge', '', 0, 0, 0, 1, 0, "
        """'{"com.docker.network.bridge.enable_icc": "false"}', '{}', 'br-n', 'ready')"""
    )
    db.execute(
        "INSERT INTO containers (id, name, kind, created, spec, state) "
        "VALUES ('c', 'web', 'run', '', '{}', 'running')"
    )
    db.execute(
        "INSERT INTO endpoints VALUES "
        "('e', 'n', 'c', 0, 'eth0', 'ny-1', 'aa', '10.0.0.2', '', '[\"www\"]', 'up')"
    )
    db.execute("INSERT INTO publications VALUES (4, 'tcp', 80, '', 'c', 'e', '10.0.0.2', 80, 0)")
    db.execute("PRAGMA user_version=1")
    db.commit()
    db.close()
    store = Store(tmp_path / "db", create=False)
    network = store.network("n")
    assert network is not None and not network.is_config_only
    (endpoint,) = store.endpoints_of("c")
    assert (endpoint.aliases, endpoint.gw_priority, endpoint.links) == (("www",), 0, ())
    (publication,) = store.publications("c")
    assert (publication.host_port, publication.access) == (80, "nat")
    store.close()


def test_parts_of_ports_in_a_row_are_separated(tmp_path: Path) -> None:
    """What is cut out is a row of its own, and the rest is as it was."""
    store = Store(tmp_path / "db", create=True)
    store.add_network(_network("n"))
    store.add_container(ContainerRecord(id="c", name="web", kind="run", created="", spec_json="{}"))
    names = {"ifname": "eth0", "host_ifname": "ny-1", "mac": "aa"}
    place = {"network_id": "n" * 8, "container_id": "c", "position": 0}
    store.add_endpoint(EndpointRecord(id="e", ip4="10.0.0.2", ip6="", **names, **place))
    row = Publication(4, "tcp", 8000, "", "c", "e", "10.0.0.2", 80, length=100)
    alone = Publication(4, "tcp", 9000, "", "c", "e", "10.0.0.2", 80)
    store.add_publications([row, alone])
    assert store.separate([row.part(100, 10), row.part(80, 1), row.part(179, 1), alone]) == [
        *(row.part(100, 10), row.part(80, 1), row.part(179, 1), alone)
    ]
    assert sorted((each.host_port, each.length) for each in store.publications()) == [
        *((8000, 1), (8001, 19), (8020, 10), (8030, 69), (8099, 1), (9000, 1))
    ]
    assert sorted(in_rows(store.publications())) == [row, alone]
    store.delete_publications([row.part(100, 10)])
    assert store.separate([row.part(100, 10), row.part(105, 1)]) == []
    assert [each.host_port for each in store.publications_at(4, "tcp", 8019, 12)] == [8001, 8030]
    assert [each.host_port for each in store.publications_inside("c", "tcp", 80)] == [8000, 9000]
    store.close()


def test_events_are_read_in_order(tmp_path: Path) -> None:
    """By number, and another connection is told that there is something new."""
    one, two = Store(tmp_path / "db", create=True), Store(tmp_path / "db", create=True)
    seen = two.has_changed(-1)
    assert seen is not None
    assert two.has_changed(seen) is None
    for number in range(3):
        one.add_event(number, f'{{"n": {number}}}')
    assert two.has_changed(seen) is not None
    assert [body for _, _, body in two.events_after(1)] == ['{"n": 1}', '{"n": 2}']
    assert two.last_event() == 3
    one.close()
    two.close()
