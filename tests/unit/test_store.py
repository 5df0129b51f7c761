"""The store: transactions, migrations, what another process writes."""

from __future__ import annotations

import inspect
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from netyard.errors import StoreError
from netyard.state import connection
from netyard.state.held_events import HeldEvent
from netyard.state.records import (
    ContainerRecord,
    EndpointRecord,
    NetworkRecord,
    Publication,
    in_rows,
)
from netyard.state.schema import MIGRATIONS
from netyard.state.store import _UNFINISHED, Store
from netyard.state.tables.endpoints import PoolMarks
from netyard.values.pool import Pool
from netyard.values.spec import ContainerSpec, JoinRequest


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


ENDPOINT = EndpointRecord(
    *("e", "n" * 8, "c", 0), ifname="eth0", host_ifname="ny-1", mac="aa", ip4="10.0.0.2", ip6=""
)
CONTAINER = ContainerRecord(id="c", name="web", kind="run", created="", spec_json="{}")
PUBLICATION = Publication(4, "tcp", 8000, "", "c", "e", "10.0.0.2", 80)
#: Something to give for each kind of parameter.
SAMPLES: dict[str, Any] = {
    "str": "x",
    "str | None": "x",
    "int": 1,
    "Address": ip_address("10.0.0.2"),
    "NetworkRecord": _network("a"),
    "ContainerRecord": CONTAINER,
    "EndpointRecord": ENDPOINT,
    "NetworkState": "ready",
    "EndpointState": "up",
    "PendingKind": "port",
    "Mapping[str, str]": {"8080:80/tcp": "taken"},
    "Iterable[str]": ["x"],
    "HeldEvent": HeldEvent(1, "{}"),
    "Sequence[HeldEvent]": [HeldEvent(1, "{}")],
    "Sequence[int]": (4, 6),
    "PoolMarks": PoolMarks(1, 1),
    "Iterable[Publication]": [PUBLICATION],
}
METHODS = [
    name
    for name, _ in inspect.getmembers(Store, inspect.isfunction)
    if not name.startswith("_") and name != "close"
]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_explains_what_the_store_refuses(tmp_path: Path, name: str) -> None:
    """SQLite's errors are none of the callers' business: here, that its connection is closed."""
    store = Store(tmp_path / "db", create=True)
    method = getattr(store, name)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    arguments = [
        SAMPLES[each.annotation]
        for each in inspect.signature(method).parameters.values()
        if each.kind in positional
    ]
    columns = {"state": "up"} if name.startswith("update_") else {}
    store._db.close()
    with pytest.raises(StoreError, match=f"the store {tmp_path}/db cannot be used: .*closed"):
        result = method(*arguments, **columns)
        if isinstance(result, AbstractContextManager):
            result.__enter__()
        elif isinstance(result, Iterator):
            list(result)


def test_a_closed_one_says_so(tmp_path: Path) -> None:
    """And what to do instead."""
    store = Store(tmp_path / "db", create=True)
    store.close()
    with pytest.raises(StoreError, match=f"the Host of {tmp_path} is closed") as told:
        store.networks()
    assert told.value.hint == "open another, as Host(root=...)"
    store.close()


def test_all_methods_are_tried() -> None:
    """Those of every table."""
    wanted = {"transaction", "add_network", "update_container", "leased_from", "publications_at"}
    assert wanted | {"events_after", "unfinished", "update_endpoint"} <= set(METHODS)


def test_a_failed_commit_is_rolled_back(tmp_path: Path) -> None:
    """The disk fails when all is written at last: nothing of it stays, and the next one works."""
    store = Store(tmp_path / "db", create=True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(StoreError) as caught, store.transaction():
            store.add_network(_network("a"))
            assert store.network("a" * 8) is not None
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"the store {tmp_path}/db cannot be used: disk I/O error"
    assert "dmesg" in str(caught.value.hint)
    assert store.networks() == [] and store.network("a" * 8) is None
    with store.transaction():
        store.add_network(_network("b"))
    assert [each.name for each in store.networks()] == ["b"]
    store.close()


def test_a_full_disk_loses_all_of_a_transaction(tmp_path: Path) -> None:
    """What comes after a part that found no room, and was given up, does not stay without it."""
    store = Store(tmp_path / "db", create=True)
    with pytest.raises(StoreError) as caught, store.transaction():
        store.add_network(_network("a"))
        with pytest.raises(StoreError, match="disk is full"), store.attempt():
            store._rows("PRAGMA max_page_count=1")
            store.write_meta("large", "x" * 100_000)
        store._rows("PRAGMA max_page_count=1000000")
        store.add_network(_network("b"))
    assert str(caught.value) == f"the store {tmp_path}/db cannot be used: database or disk is full"
    assert "make room" in str(caught.value.hint)
    assert store.networks() == []
    with store.transaction():
        store.add_network(_network("c"))
    store.close()
    again = Store(tmp_path / "db", create=False)
    assert [each.name for each in again.networks()] == ["c"]
    again.close()


def test_a_part_can_fail_alone(tmp_path: Path) -> None:
    """What is refused for a reason of its own does not take the rest with it."""
    store = Store(tmp_path / "db", create=True)
    with store.transaction():
        store.add_network(_network("a"))
        with pytest.raises(StoreError) as caught, store.attempt():
            store.add_network(_network("b"))
            store.add_network(_network("a"))
        store.add_network(_network("c"))
    assert "refuses what is to be recorded: UNIQUE constraint failed" in str(caught.value)
    assert [each.name for each in store.networks()] == ["a", "c"]
    store.close()


def test_locked_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another process that does not end its transaction."""
    Store(tmp_path / "db", create=True).close()
    monkeypatch.setattr(connection, "_BUSY_SECONDS", 0.01)
    store = Store(tmp_path / "db", create=False)
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="cannot be used: database is locked") as caught:
        store.write_meta("key", "value")
    assert "another process" in str(caught.value.hint)
    with pytest.raises(StoreError, match="cannot be used: database is locked"), store.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()
    store.write_meta("key", "value")
    assert store.read_meta("key") == "value"
    store.close()


def test_damaged_and_read_only(tmp_path: Path) -> None:
    """Found when it is read, or written: what to do about either."""
    Store(tmp_path / "db", create=True).close()
    store = Store(tmp_path / "db", create=False)
    store._rows("PRAGMA query_only=1")
    with pytest.raises(StoreError, match="readonly") as caught:
        store.delete_network("x")
    assert "read-write" in str(caught.value.hint)
    store.close()
    whole = (tmp_path / "db").read_bytes()
    (tmp_path / "db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError, match="malformed") as caught:
        Store(tmp_path / "db", create=False).networks()
    assert "netyard repair --from-kernel" in str(caught.value.hint)
    (tmp_path / "db").write_bytes(b"\xff" * 9000)
    with pytest.raises(StoreError, match="cannot be used: file is not a database") as caught:
        Store(tmp_path / "db", create=False)
    assert "netyard repair --from-kernel" in str(caught.value.hint)


def _read_all(store: Store) -> None:
    for each in store.containers():
        assert each.spec
    store.endpoints()
    store.networks()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("containers", "spec", "["),
        ("containers", "spec", '{"no": 1}'),
        ("containers", "spec", "7"),
        ("containers", "spec", '{"networks": [[]]}'),
        ("endpoints", "lease", "["),
        ("endpoints", "lease", '{"prefix": 1}'),
        ("endpoints", "options", "\x00"),
        ("networks", "options", "nothing"),
        ("networks", "labels", "nothing"),
        ("pools", "subnet", "nothing"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, table: str, column: str, value: str) -> None:
    """Each command says so in a sentence, as of a file that is damaged whole."""
    path = tmp_path / "db"
    with closing(Store(path, create=True)) as store, store.transaction():
        pool = Pool(ip_network("10.0.0.0/24"))
        store.add_network(_network("n")._replace(pools=(pool,)))
        store.add_container(CONTAINER)
        store.add_endpoint(ENDPOINT)
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute(f"UPDATE {table} SET {column} = ?", [value]).rowcount
    with (
        closing(Store(path, create=True)) as store,
        pytest.raises(StoreError, match="cannot be read") as caught,
    ):
        _read_all(store)
    assert "\n" not in str(caught.value)
    assert "repair --from-kernel" in str(caught.value.hint)


def test_missing_store(tmp_path: Path) -> None:
    """The agent does not make one."""
    with pytest.raises(StoreError):
        Store(tmp_path / "db", create=False)


def test_specs_come_back_as_they_were() -> None:
    """JSON and back."""
    spec = ContainerSpec(
        command=("a", "b"),
        networks=(JoinRequest(network="n", aliases=("x",)),),
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


def test_interrupted_containers_of_an_older_store_are_found_by_their_index(tmp_path: Path) -> None:
    """Every command asks for them: with thousands of containers it must not read all."""
    db = sqlite3.connect(tmp_path / "db")
    for script in MIGRATIONS[:7]:
        db.executescript(script)
    for name, state in (("a", "running"), ("b", "starting"), ("c", "removing")):
        db.execute(
            "INSERT INTO containers (id, name, kind, created, spec, state) "
            "VALUES (?, ?, 'run', '', '{}', ?)",
            (name, name, state),
        )
    db.execute("PRAGMA user_version=7")
    db.commit()
    db.close()
    store = Store(tmp_path / "db", create=False)
    assert sorted(store.unfinished().containers) == ["b", "c"]
    store.close()
    db = sqlite3.connect(tmp_path / "db")
    plan = db.execute(f"EXPLAIN QUERY PLAN {_UNFINISHED}", ("publishing",)).fetchall()
    used = " ".join(str(row[3]) for row in plan)
    assert "containers_unfinished" in used and "endpoints_unfinished" in used, used
    db.close()


def test_pending_steps(tmp_path: Path) -> None:
    """Kept by kind, found among what is unfinished, gone with their container."""
    store = Store(tmp_path / "db", create=True)
    store.add_container(CONTAINER)
    store.set_pending("c", "port", {"8080:80/tcp": "taken by python3 (pid 7)", "81:81/tcp": "x"})
    store.set_pending("c", "route", {"IPv4": "IPv4 via 10.0.0.1: Network is unreachable"})
    assert store.unfinished().pending == ["c"]
    store.set_pending("c", "port", {"8080:80/tcp": "taken by python3 (pid 8)"})
    port, route = store.pending("c")
    assert port.state == "unpublished: taken by python3 (pid 8)"
    assert port.shown == "port 8080:80/tcp is unpublished: taken by python3 (pid 8)"
    assert route.shown == "no route: IPv4 via 10.0.0.1: Network is unreachable"
    store.set_pending("c", "port", {})
    assert store.pending() == [route]
    store.delete_container("c")
    assert store.pending() == [] and not any(store.unfinished())
    store.close()


def test_a_store_without_pending_steps_goes_on(tmp_path: Path) -> None:
    """Of the version before there were any: none is pending, and some can be."""
    db = sqlite3.connect(tmp_path / "db")
    for script in MIGRATIONS[:9]:
        db.executescript(script)
    db.execute(
        "INSERT INTO containers (id, name, kind, created, spec, state) "
        "VALUES ('c', 'web', 'run', '', '{}', 'running')"
    )
    db.execute("PRAGMA user_version=9")
    db.commit()
    db.close()
    store = Store(tmp_path / "db", create=False)
    assert store.pending() == [] and not any(store.unfinished())
    store.set_pending("c", "route", {"IPv6": "x"})
    assert store.unfinished().pending == ["c"]
    store.close()


def test_parts_of_ports_in_a_row_are_separated(tmp_path: Path) -> None:
    """What is cut out is a row of its own, and the rest is as it was."""
    store = Store(tmp_path / "db", create=True)
    store.add_network(_network("n"))
    store.add_container(CONTAINER)
    store.add_endpoint(ENDPOINT)
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
    assert [each.host_port for each in store.publications_at((4,), "tcp", 8019, 12)] == [8001, 8030]
    assert [each.host_port for each in store.publications_inside("c", "tcp", 80)] == [8000, 9000]
    store.close()


def test_events_are_read_in_order(tmp_path: Path) -> None:
    """By number, and another connection is told that there is something new."""
    one, two = Store(tmp_path / "db", create=True), Store(tmp_path / "db", create=True)
    seen = two.has_changed(-1)
    assert seen is not None
    assert two.has_changed(seen) is None
    for number in range(3):
        one.add_event(HeldEvent(number, f'{{"n": {number}}}'))
    assert two.has_changed(seen) is not None
    assert [body for _, _, body in two.events_after(1)] == ['{"n": 1}', '{"n": 2}']
    assert two.last_event() == 3
    one.close()
    two.close()
