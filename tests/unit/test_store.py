"""The store: transactions, migrations, what another process writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from netyard.errors import StoreError
from netyard.spec import ContainerSpec, NetworkRequest
from netyard.store.records import NetworkRecord
from netyard.store.store import Store


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
